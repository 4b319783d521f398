"""Levels: what was shown, Holm over all that is asked, and what is still needed."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from tasks.evidence import EvidenceCell
from tasks.incrementality import UpliftSettings
from tasks.uplift.effects import Trial
from tasks.uplift.ladder import climb
from tasks.uplift.publishing import is_measured
from tasks.uplift.ranking import bound_auc
from tasks.uplift.subjects import Subjects
from tests.uplift.test_effects import join, make_trial

DAY = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = UpliftSettings()


def make_subjects(parts: dict[str, Trial], reasons: dict[str, str] | None = None) -> Subjects:
    """Segments by name; `reasons` gives some of them a driver, too."""
    trial = join(*parts.values())
    trial = Trial(trial.treated, trial.lots, np.arange(len(trial)), trial.lapsed, trial.margin)
    labels = np.concatenate(
        [np.full(len(part), name, dtype=object) for name, part in parts.items()]
    )
    drivers = np.array([(reasons or {}).get(one) for one in labels], dtype=object)
    return Subjects(trial, labels, drivers, ("action list",), DAY, DAY)


def by_name(cells: tuple[EvidenceCell, ...]) -> dict[str, EvidenceCell]:
    return {one.segment_id or one.driver or one.action: one for one in cells}


def test_without_a_lot_the_level_is_that_of_the_ranking() -> None:
    for confirmed, level in ((False, 0), (True, 1)):
        actions = [("retention", "voucher"), ("winback", "come_back")]
        cells = by_name(climb(actions, {}, confirmed, SETTINGS))  # type: ignore[arg-type]
        assert cells["voucher"].level == level
        # Nobody ranks those who are gone.
        assert cells["come_back"].level == 0
        assert {one.verdict for one in cells.values()} == {"none"}
        assert "hold-out" in cells["voucher"].needs.en
        assert cells["voucher"].needed_customers > 5000


def test_it_climbs_to_where_it_was_shown() -> None:
    found = make_subjects(
        {
            "loyal": make_trial(3000, 0.5, 0.5, -0.25, 1),
            "tired": make_trial(3000, 0.5, 0.3, 0.0, 2),
            "tiny": make_trial(100, 0.5, 0.3, -0.3, 3),
        },
        {"loyal": "price"},
    )
    cells = by_name(
        climb([("retention", "voucher")], {("retention", "voucher"): found}, True, SETTINGS)
    )
    assert {name: (one.level, one.verdict) for name, one in cells.items()} == {
        "voucher": (2, "works"),
        "loyal": (3, "works"),
        "price": (3, "works"),
        "tired": (2, "open"),
        "tiny": (2, "too_few"),
    }
    loyal = cells["loyal"]
    assert loyal.lapse is not None
    assert loyal.lapse.high < 0
    assert loyal.customers + loyal.controls == 3000
    assert cells["tiny"].lapse is None
    assert "At least 200 customers in each arm" in cells["tiny"].needs.en
    assert "segment or reason" in cells["voucher"].needs.en
    assert [name for name, one in cells.items() if is_measured(one)] == ["loyal", "price"]


def test_harm_is_known_and_counts() -> None:
    found = make_subjects({"shy": make_trial(4000, 0.5, 0.3, 0.2, 1)})
    cells = by_name(climb([("retention", "call")], {("retention", "call"): found}, False, SETTINGS))
    assert (cells["call"].level, cells["call"].verdict) == (0, "harms")
    assert (cells["shy"].level, cells["shy"].verdict) == (3, "harms")
    assert is_measured(cells["call"])
    assert "stop it" in cells["call"].needs.en


def test_holm_asks_more_where_more_is_asked() -> None:
    one = make_trial(3000, 0.5, 0.4, -0.075, 5)
    alone = make_subjects({"one": one})
    crowd = make_subjects(
        {"one": one} | {f"s{n}": make_trial(3000, 0.5, 0.4, 0.0, 50 + n) for n in range(12)}
    )
    levels = {}
    for name, found in (("alone", alone), ("crowd", crowd)):
        cells = by_name(climb([("retention", "a")], {("retention", "a"): found}, True, SETTINGS))
        levels[name] = cells["one"]
    assert levels["alone"].verdict == "works"
    assert levels["crowd"].verdict == "open"
    assert levels["crowd"].lapse == levels["alone"].lapse


def test_the_money_may_decide() -> None:
    trial = make_trial(4000, 0.5, 0.3, 0.0, 8)
    richer = Trial(
        trial.treated, trial.lots, trial.customers, trial.lapsed, trial.margin + trial.treated
    )
    found = {("retention", "a"): make_subjects({"all": richer})}
    for metric, verdict in (("lapse_share", "open"), ("margin_amount", "works")):
        settings = UpliftSettings(metric=metric)  # type: ignore[arg-type]
        cells = by_name(climb([("retention", "a")], found, True, settings))
        assert cells["a"].verdict == verdict


@pytest.mark.statistics
def test_the_interval_of_a_ranking_covers() -> None:
    """Scores of two normals a standard deviation apart: an AUC of 0.760."""
    generator = np.random.default_rng(3)
    covered = 0
    for _ in range(300):
        events = generator.random(400) < 0.2
        _, low, high = bound_auc(generator.normal(size=400) + events, events, 0.95)
        covered += low <= 0.7602 <= high
    assert 273 <= covered <= 297


def test_ties_are_half() -> None:
    scores, events = np.array([1.0, 1.0, 1.0, 1.0]), np.array([True, False, True, False])
    assert bound_auc(scores, events, 0.95)[0] == 0.5
