"""A rollout as it is told: looks, nights in few lines, signs that are evidence, and units."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rollout.page import draw_page
from tasks.rollout.recording import Rollout
from tasks.rollout.report import (
    fold_history,
    list_looks,
    newest_estimate,
    read_signs,
    say_agreement,
    sum_up_agreement,
    tell,
)
from tasks.rollout.units import Units
from tasks.rollout.verdict import HarmFinding
from tests.rollout.lived import (
    BEGAN,
    add,
    estimate,
    judged,
    live_through,
    look,
    night,
    plan_row,
)

NOTHING = sum_up_agreement([])


def page_of(rows: list[Rollout]) -> str:
    return draw_page(rows[-1], rows, sum_up_agreement(rows[-1:]))


def test_the_looks_are_handed_on() -> None:
    rows = live_through()
    told = tell(rows[-1], rows)
    assert [one["number"] for one in told["looks"]] == [1, 2, 3]
    assert told["looks"][1] == {
        "number": 2,
        "date": "2026-03-23",
        "information_share": 0.85,
        "z": 0.2,
        "upper": 2.17,
        "lower": -2.17,
        "effect": 0.002,
        "interval": pytest.approx([-0.0197, 0.0237]),
        "confidence": 0.95,
        "method": "repeated",
        "is_last": False,
    }
    assert told["looks"][2]["method"] == "stagewise"
    assert newest_estimate(rows) == (night(84), list_looks(rows)[-1].estimate)
    assert tell(rows[0], rows[:1])["looks"] == []
    assert newest_estimate(rows[:3]) is None


def test_nights_without_a_decision_are_folded() -> None:
    rows = live_through()
    add(rows, 85, "hold", "held")
    add(rows, 86, "hold", "held")
    folded = fold_history(rows)
    assert [row for one in folded for row in one.rows] == rows
    (quiet,) = [one for one in folded if one.is_quiet]
    assert (quiet.since, quiet.until, len(quiet.rows)) == (night(28), night(77), 8)
    assert [one.last.row_kind for one in folded] == [
        "plan", "start", "advance", "continue", "continue", "continue", "inconclusive", "hold",
    ]  # fmt: skip
    assert len(folded[-1].rows) == 2


def agreement(online: tuple[float, float] | None, offline: tuple[Any, Any, Any]) -> dict[str, Any]:
    """`online` is an interval, the effect in its middle."""
    amount, low, high = offline
    return {
        "offline": {"difference_amount": amount, "low_amount": low, "high_amount": high},
        "online": online and {"effect": sum(online) / 2, "low": online[0], "high": online[1]},
    }


@pytest.mark.parametrize(
    ("online", "offline", "signs"),
    [
        ((0.01, 0.02), (900.0, 200.0, 1_350.0), "same"),
        ((-0.02, -0.01), (-5.0, -9.0, -1.0), "same"),
        ((-0.02, -0.01), (900.0, 200.0, 1_350.0), "opposite"),
        ((-0.07, 0.06), (900.0, 200.0, 1_350.0), "not_shown"),
        ((0.0, 0.06), (900.0, 200.0, 1_350.0), "not_shown"),
        ((0.01, 0.02), (300.0, -390.0, 1_118.0), "not_shown"),
        ((0.01, 0.02), (900.0, None, None), "same"),
        ((0.01, 0.02), (None, None, None), "not_known"),
        (None, (900.0, 200.0, 1_350.0), "not_known"),
    ],
)
def test_a_sign_is_evidence_where_an_interval_leaves_zero_out(
    online: tuple[float, float] | None, offline: tuple[Any, Any, Any], signs: str
) -> None:
    assert read_signs(agreement(online, offline)) == signs


@given(st.floats(-1, 1), st.floats(0, 1))
def test_signs_of_an_effect_turned_around_are_turned_around(effect: float, reach: float) -> None:
    gate = (900.0, 200.0, 1_350.0)
    found = read_signs(agreement((effect - reach, effect + reach), gate))
    turned = read_signs(agreement((-effect - reach, -effect + reach), gate))
    others = {"same": "opposite", "opposite": "same", "not_shown": "not_shown"}
    assert turned == others[found]


def test_what_the_ledger_wrote_of_signs_is_read_anew() -> None:
    """A row of a former version says `agree: false` of an effect that is not shown either way."""
    rows = live_through()
    assert rows[-1].evidence["agreement"]["agree"] is False
    found = sum_up_agreement([rows[-1], rows[1]])
    assert (found["rollouts"], found["compared"], found["not_shown"]) == (1, 0, 1)
    assert (found["pairs"][0]["agree"], found["pairs"][0]["signs"]) == (None, "not_shown")
    assert tell(rows[-1], rows)["agreement"]["agree"] is None
    assert say_agreement(found).startswith("In 1 finished rollout the difference is not shown")


def test_agreement_in_words() -> None:
    won, open_ = live_through(0.1, 0.05)[-1], live_through()[-1]
    lost = live_through(-0.1, 0.05)[-1]
    said = say_agreement(sum_up_agreement([won, open_, lost]))
    assert "agree on the sign in 1 of 2 finished rollouts in which both are shown." in said
    assert "In 1 more finished rollout the" in said
    assert "No finished rollout" in say_agreement(NOTHING)


@pytest.mark.parametrize(
    ("units", "value", "said"),
    [
        (Units("lapse_share"), -0.00522, "-0.52 points of lapse"),
        (Units("lapse_share"), 0.1, "+10.00 points of lapse"),
        (Units("lapse_share"), -0.00001, "0.00 points of lapse"),
        (Units("margin_amount", "EUR"), 1_234.5, "+1,234.50 EUR a customer"),
        (Units("margin_amount"), 2.1, "+2.10 money a customer"),
    ],
)
def test_effects_have_their_unit(units: Units, value: float, said: str) -> None:
    assert units.effect(value) == said


def test_the_page_says_it_in_words_and_units() -> None:
    page = page_of(live_through(minimum_effect=0.1, horizon_days=14))
    for text in (
        "No difference was shown in time: version 1 serves everybody as before.",
        "-0.50 points",
        "-7.50 to +6.50 (95 %)",
        "day 84 of 90",
        "planned to be judged on day 49",
        "10 points of lapse",
        "14 days",
        "20 %, 50 %",
        "2026-03-30 to 2026-05-18",
        "8 nights, no look",
        "lies between the bounds of -2.15 and 2.15",
        "42.4 %",
        "46.27 %",
        "4.2 to 1",
        "40 to 1",
        "+900 EUR (+200 to +1,350)",
        "not shown either way: an interval holds 0",
        "Every night (14 rows)",
    ):
        assert text in page, text


def test_money_is_told_as_money() -> None:
    rows = live_through(2.5, 1.0, metric="margin_amount", minimum_effect=1.5)
    page = page_of(rows)
    for text in ("+2.50 EUR", "+1.50 to +3.50", "1.5 EUR a customer", "4,906", "12.91"):
        assert text in page, text
    assert "points" not in page.replace("903 customers detect 9.2 points.", "").replace(
        'points="', ""
    )


def test_harm_stands_out() -> None:
    rows = live_through()[:-1]
    bad = HarmFinding("opt_outs", 3, 40, 12.0, 5_000.0, 0.0002, 0.0125, True, night(80))
    end = judged("roll_back", harms=(bad,))
    add(rows, 80, "roll_back", "rolled_back", verdict=end, reason="Harm in opt_outs.")
    page = page_of(rows)
    assert '<tr class="red"><td>opt-outs</td><td class="no">harm, since 2026-05-21</td>' in page
    assert "5,000 to 1" in page
    assert "80 to 1" in page
    assert "Version 2 was taken back" in page


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_rollout_that_has_hardly_begun_has_a_page(rows: int) -> None:
    page = page_of(live_through()[:rows])
    assert "No look was made yet" in page
    assert "None" not in page
    assert page == page_of(live_through()[:rows])


def test_a_win_and_one_side_are_drawn() -> None:
    rows = [plan_row(sides=1)]
    add(rows, 0, "start", "running", stages_since=(BEGAN,))
    only = look(1, 14, 0.8, 2.9, 2.3, lower=None, lower_effect=None)
    won = judged("promote", look=only, estimate=estimate(0.03, 0.01, "stagewise"))
    add(rows, 14, "promote", "promoted", verdict=won)
    page = page_of(rows)
    assert "has crossed the upper bound of 2.30: a win" in page
    assert "100 %" in page
    assert 'class="beyond loss"' not in page
    assert "same sign" in page
