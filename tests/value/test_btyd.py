"""The purchase models against published figures, known truth and plain integration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta as beta_law

from tasks.errors import DataRejected
from tasks.value.amounts import AmountModel, expect_amount, fit_amounts
from tasks.value.btyd import (
    Counts,
    Kind,
    PurchaseModel,
    _Likelihood,
    expect_orders,
    find_alive,
    find_order_if_alive,
    fit_purchases,
)
from tests.value.customers import Cdnow, as_counts, collapse, simulate


@pytest.fixture(scope="module")
def cdnow(shared_data: Path) -> Cdnow:
    return Cdnow(shared_data / "cdnow" / "cdnow_sample.parquet")


def test_cdnow_as_published_for_bg_nbd(cdnow: Cdnow) -> None:
    """Fader, Hardie and Lee (2005), table 2, and their correlation in the hold-out."""
    counts = collapse(cdnow.frequency, cdnow.recency, cdnow.age)
    assert counts.customers.sum() == 2357
    model = fit_purchases(counts, "bg_nbd")
    found = [round(value, 3) for value in (model.r, model.alpha, model.a, model.b)]
    assert found == [0.243, 4.414, 0.793, 2.426]
    assert round(model.log_likelihood, 1) == -9582.4
    orders = expect_orders(model, cdnow.frequency, cdnow.recency, cdnow.age, 39.0)
    assert round(float(np.corrcoef(orders, cdnow.later_orders)[0, 1]), 3) == 0.626


def test_cdnow_as_published_for_mbg_nbd(cdnow: Cdnow) -> None:
    """Parameters as of the R package BTYDplus for the same sample."""
    model = fit_purchases(collapse(cdnow.frequency, cdnow.recency, cdnow.age), "mbg_nbd")
    found = [round(value, 3) for value in (model.r, model.alpha, model.a, model.b)]
    assert found == [0.525, 6.183, 0.891, 1.614]
    assert round(model.log_likelihood, 1) == -9582.1


def test_cdnow_as_published_for_gamma_gamma(cdnow: Cdnow) -> None:
    """Fader and Hardie (2013): 946 customers with a repeat order."""
    assert len(cdnow.repeat_orders) == 946
    model = fit_amounts(
        cdnow.repeat_orders, cdnow.repeat_mean_amount, np.ones(len(cdnow.repeat_orders))
    )
    assert [round(value, 2) for value in (model.p, model.q, model.gamma)] == [6.25, 3.74, 15.44]


@pytest.mark.parametrize("kind", ["bg_nbd", "mbg_nbd"])
def test_the_gradient_is_that_of_the_likelihood(kind: Kind) -> None:
    likelihood = _Likelihood(as_counts(*simulate(kind, 300, 0.8, 5, 0.7, 3, 60, 3)), kind)
    at = np.log([0.6, 4.0, 0.9, 2.2])
    _, gradient = likelihood(at)
    for place in range(4):
        step = np.zeros(4)
        step[place] = 1e-6
        slope = (likelihood(at + step)[0] - likelihood(at - step)[0]) / 2e-6
        assert gradient[place] == pytest.approx(slope, rel=1e-5, abs=1e-8)


@pytest.mark.statistics
@pytest.mark.parametrize("kind", ["bg_nbd", "mbg_nbd"])
def test_known_parameters_are_found_again(kind: Kind) -> None:
    truth = {"r": 0.8, "alpha": 6.0, "a": 0.9, "b": 3.0}
    model = fit_purchases(as_counts(*simulate(kind, 40_000, **truth, age=100, seed=5)), kind)
    for name, value in truth.items():
        assert model.parameters[name] == pytest.approx(value, rel=0.08), name


@pytest.mark.statistics
@pytest.mark.parametrize("kind", ["bg_nbd", "mbg_nbd"])
def test_expected_orders_are_those_that_come(kind: Kind) -> None:
    """Over ages 50 to 100, then 20 more: the mean of what is expected is the mean of what came."""
    truth = {"r": 0.8, "alpha": 6.0, "a": 0.9, "b": 3.0}
    random = np.random.default_rng(8)
    customers, age, more = 60_000, 60.0, 20.0
    rates = random.gamma(truth["r"], 1 / truth["alpha"], customers)
    stops = random.beta(truth["a"], truth["b"], customers)
    frequency, recency, later = (np.zeros(customers) for _ in range(3))
    alive = np.ones(customers, dtype=bool)
    if kind == "mbg_nbd":
        alive = random.random(customers) >= stops
    now = np.zeros(customers)
    while alive.any():
        now = now + random.exponential(1 / np.maximum(rates, 1e-12))
        alive &= now < age + more
        seen, unseen = alive & (now < age), alive & (now >= age)
        frequency[seen] += 1
        recency[seen] = now[seen]
        later[unseen] += 1
        alive &= random.random(customers) >= stops
    model = PurchaseModel(kind, **truth, log_likelihood=0.0)
    ages = np.full(customers, age)
    orders = expect_orders(model, frequency, recency, ages, more)
    assert orders.mean() == pytest.approx(later.mean(), rel=0.02)
    chance = find_alive(model, frequency, recency, ages) * find_order_if_alive(
        model, frequency, ages, more
    )
    assert chance.mean() == pytest.approx((later > 0).mean(), rel=0.02)
    for part in (frequency == 0, (frequency > 0) & (frequency < 4), frequency >= 8):
        assert orders[part].mean() == pytest.approx(later[part].mean(), rel=0.08)
        assert chance[part].mean() == pytest.approx((later[part] > 0).mean(), rel=0.08)


positive = st.floats(0.2, 8)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["bg_nbd", "mbg_nbd"]),
    r=positive,
    alpha=st.floats(0.5, 40),
    a=positive,
    b=positive,
    frequency=st.integers(1, 400),
    age=st.floats(1, 300),
    gone_share=st.floats(0, 1),
    horizon=st.floats(0.5, 60),
)
def test_expected_orders_by_plain_integration(
    kind: Kind,
    r: float,
    alpha: float,
    a: float,
    b: float,
    frequency: int,
    age: float,
    gone_share: float,
    horizon: float,
) -> None:
    """E[(1 - e^(-rate p t)) / p] over the beta of who is alive, whatever the parameters."""
    model = PurchaseModel(kind, r, alpha, a, b, 0.0)
    x = np.array([float(frequency)])
    age_at, recency = np.array([age]), np.array([age * gone_share])
    found = expect_orders(model, x, recency, age_at, horizon)[0]
    alive = find_alive(model, x, recency, age_at)[0]
    survived = b + frequency + (1 if kind == "mbg_nbd" else 0)
    shape, rate = r + frequency, alpha + age

    # The beta's mean by its quantiles at the middles of many equal parts.
    stop = np.maximum(beta_law.ppf((np.arange(20_000) + 0.5) / 20_000, a, survived), 1e-300)
    if_alive = float((-np.expm1(-shape * np.log1p(stop * horizon / rate)) / stop).mean())
    assert 0 <= alive <= 1
    assert found == pytest.approx(alive * if_alive, rel=2e-3, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["bg_nbd", "mbg_nbd"]),
    r=positive,
    alpha=st.floats(0.5, 40),
    a=st.one_of(positive, st.just(1.0), st.just(100.0)),
    b=st.one_of(positive, st.just(1000.0)),
    age=st.floats(0.1, 3000),
    horizon=st.floats(0.1, 500),
)
def test_figures_stay_sound_for_anybody(
    kind: Kind, r: float, alpha: float, a: float, b: float, age: float, horizon: float
) -> None:
    model = PurchaseModel(kind, r, alpha, a, b, 0.0)
    x = np.array([0, 1, 2, 50, 5000], dtype=np.float64)
    recency = np.array([0, 0.2, 0.9, 0.5, 1]) * age
    ages = np.full(5, age)
    alive = find_alive(model, x, recency, ages)
    orders = expect_orders(model, x, recency, ages, horizon)
    chance = alive * find_order_if_alive(model, x, ages, horizon)
    assert ((alive >= 0) & (alive <= 1)).all()
    assert np.isfinite(orders).all()
    assert (orders >= chance * (1 - 1e-3) - 1e-9).all()  # one order at least, where one comes
    assert (alive[0] == 1) == (kind == "bg_nbd") or alive[0] > 1 - 1e-9
    longer = expect_orders(model, x, recency, ages, horizon * 2)
    assert (longer >= orders * (1 - 1e-3) - 1e-9).all()


@pytest.mark.parametrize(
    ("frequency", "recency", "age", "found"),
    [
        ([], [], [], "there is no customer"),
        ([0.0] * 10, [0.0] * 10, [5.0] * 10, "0 customers ordered on a second day"),
        ([1.0, 2], [3.0, 9], [4.0, 8], "last orders that lie outside"),
        ([1.0, np.nan], [1.0, 1], [4.0, 8], "missing or no number"),
        ([1.0, 1], [0.0, 0], [0.0, 0], "came on the last day"),
    ],
)
def test_what_cannot_be_learnt_is_said(
    frequency: list[float], recency: list[float], age: list[float], found: str
) -> None:
    counts = as_counts(*(np.array(one, dtype=np.float64) for one in (frequency, recency, age)))
    with pytest.raises(DataRejected, match="cannot be learnt") as caught:
        fit_purchases(counts, "bg_nbd")
    assert found in caught.value.found
    assert caught.value.next_step


def test_everybody_alike_is_fitted_without_a_word() -> None:
    counts = Counts(np.full(3, 4.0), np.full(3, 40.0), np.full(3, 50.0), np.full(3, 100.0))
    for kind in ("bg_nbd", "mbg_nbd"):
        model = fit_purchases(counts, kind)  # type: ignore[arg-type]
        orders = expect_orders(model, counts.frequency, counts.recency, counts.age, 10.0)
        assert np.isfinite(orders).all()


def test_a_collapsed_row_counts_like_its_customers() -> None:
    customers = [np.round(one) for one in simulate("bg_nbd", 2000, 0.8, 5, 0.7, 3, 60, 3)]
    one_by_one = fit_purchases(as_counts(*customers), "bg_nbd")
    together = fit_purchases(collapse(*customers), "bg_nbd")
    assert len(collapse(*customers)) < 1500
    assert together.log_likelihood == pytest.approx(one_by_one.log_likelihood, rel=1e-9)
    assert together.r == pytest.approx(one_by_one.r, rel=1e-3)


def test_amounts_are_drawn_towards_everybodys() -> None:
    model = AmountModel(6.25, 3.74, 15.44, 0.0)
    orders = np.array([1.0, 10, 1000, 0, 3])
    means = np.array([100.0, 100, 100, 0, 0])
    expected = expect_amount(model, orders, means)
    everybody = 6.25 * 15.44 / 2.74
    assert everybody < expected[0] < expected[1] < expected[2] < 100
    assert expected[3] == expected[4] == pytest.approx(everybody)
    without_mean = AmountModel(2.0, 0.5, 10.0, 0.0)
    assert np.isfinite(expect_amount(without_mean, orders, means)).all()


@pytest.mark.statistics
def test_known_amounts_are_found_again() -> None:
    random = np.random.default_rng(4)
    customers, p, q, gamma = 30_000, 5.0, 4.0, 20.0
    orders = random.integers(1, 12, customers).astype(np.float64)
    rates = random.gamma(q, 1 / gamma, customers)
    means = random.gamma(p * orders, 1 / (rates * orders))
    model = fit_amounts(orders, means, np.ones(customers))
    assert [model.p, model.q, model.gamma] == pytest.approx([p, q, gamma], rel=0.05)


@pytest.mark.parametrize("mean", [[0.0, 0.0], [np.nan, 5.0], [5.0]])
def test_amounts_that_teach_nothing(mean: list[float]) -> None:
    with pytest.raises(DataRejected, match="worth cannot be learnt"):
        fit_amounts(np.ones(len(mean)), np.array(mean), np.ones(len(mean)))


def test_one_amount_for_all() -> None:
    model = fit_amounts(np.array([1.0, 2, 3]), np.full(3, 7.0), np.ones(3))
    assert expect_amount(model, np.array([1.0]), np.array([7.0]))[0] == pytest.approx(7, rel=0.01)
