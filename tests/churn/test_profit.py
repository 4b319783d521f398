"""Money: what a contact brings, what a list brings, and the expected maximum."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from scipy.stats import beta

from tasks.churn.profit import expected_maximum_profit, sum_profit
from tasks.economics import Economics
from tests.churn.made_up import economics_settings

# Contact 1, offer 10, worth 200, Beta(6, 14): the setting of Verbraken et al.
PAPER = Economics.of(
    economics_settings(
        contact_cost_amount=Decimal("1"),
        offer_cost_amount=Decimal("10"),
        margin_share=1.0,
        accept_share=0.3,
        accept_certainty=20.0,
        budget_amount=Decimal("33"),
    )
)


def test_what_a_contact_brings() -> None:
    value = np.asarray([200.0, 200.0, np.nan, -50.0])
    churned = np.asarray([True, False, True, True])
    # 0.3 x (200 - 10) - 1 = 56; -10 - 1; nothing to keep: 0.3 x (0 - 10) - 1 = -4.
    assert PAPER.realised_returns(churned, value) == pytest.approx([56, -11, -4, -4])
    assert PAPER.expected_returns(np.full(4, 0.5), value)[0] == pytest.approx(22.5)


def test_a_list_keeps_to_the_budget_and_leaves_losses_out() -> None:
    value = np.full(5, 200.0)
    probability = np.asarray([0.9, 0.8, 0.7, 0.6, 0.05])
    assert PAPER.affordable_contacts == 3
    assert PAPER.choose(probability, value).tolist() == [0, 1, 2]
    assert PAPER.choose(np.full(5, 0.05), value).tolist() == []
    churned = np.asarray([True, False, True, True, False])
    assert sum_profit(churned, probability, value, PAPER) == Decimal("101.00")


def test_sums_of_money_are_exact() -> None:
    economics = Economics.of(economics_settings(margin_share=1.0, offer_cost_amount=Decimal("0")))
    churned = np.ones(1000, dtype=bool)
    # 0.3 x 2 - 0.5 = 0.1 a customer, which floats do not add up to 100.
    assert sum_profit(churned, np.ones(1000), np.full(1000, 2.0), economics) == Decimal("100.00")


def _integrate(churners: np.ndarray, stayers: np.ndarray, worth: float) -> float:
    """The definition itself: for each accept share the best cut, weighed by its chance."""
    total = churners.sum() + stayers.sum()
    found = np.append(0, np.cumsum(churners)) / total
    wasted = np.append(0, np.cumsum(stayers)) / total

    edges = np.linspace(0, 1, 20_001)
    accept = (edges[1:] + edges[:-1]) / 2
    gain = worth * (accept * (1 - 10 / worth) - 1 / worth)
    best = np.max(gain[:, None] * found - (10 + 1) * wasted, axis=1)
    return float(np.sum(best * np.diff(beta.cdf(edges, 6, 14))))


@pytest.mark.parametrize("worth", [200.0, 40.0, 12.0])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_expected_maximum_profit_equals_its_integral(seed: int, worth: float) -> None:
    rng = np.random.default_rng(seed)
    churners = rng.integers(0, 9, 40) * np.linspace(1.0, 0.1, 40)
    stayers = rng.integers(0, 9, 40) * np.linspace(0.2, 1.5, 40)
    assert expected_maximum_profit(churners, stayers, worth, PAPER) == pytest.approx(
        _integrate(churners, stayers, worth), abs=1e-5
    )


def test_expected_maximum_profit_of_a_perfect_ranking_in_closed_form() -> None:
    # All churners first: contact exactly them as long as accept x 190 > 1; Beta(6, 14) is above
    # 1/190 but for a chance of 1e-9. So 0.5 x (0.3 x 190 - 1) = 28 a customer.
    found = expected_maximum_profit(np.array([50.0, 0.0]), np.array([0.0, 50.0]), 200.0, PAPER)
    assert found == pytest.approx(28.0, abs=1e-4)


def test_expected_maximum_profit_where_nothing_can_be_earned() -> None:
    ones = np.ones(4)
    assert expected_maximum_profit(ones, ones, 0.0, PAPER) == 0.0
    assert expected_maximum_profit(ones, ones, 5.0, PAPER) == 0.0
    assert np.isnan(expected_maximum_profit(ones, np.zeros(4), 200.0, PAPER))
