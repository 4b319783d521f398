"""Which items a night reports, and in which order it looks at what they cost."""

from __future__ import annotations

from datetime import UTC, datetime

from flows.telling import choose_fresh
from tasks.handles import Cause, Incident, IncidentLevel


def item(number: int, batches: tuple[int, ...], level: IncidentLevel = "stop") -> Incident:
    now = datetime(2026, 11, 26, tzinfo=UTC)
    cause = Cause(f"orders|{number}", "X", level, "orders", "", "it is broken")
    return Incident(number, cause, "orders", "open", None, now, now, "night", "", batches)


def test_an_item_of_most_batches_comes_first_with_the_newest_of_this_night() -> None:
    items = [
        item(1, (3,)),
        item(2, (4, 5, 9)),
        item(3, (1, 2)),  # of an earlier night
        item(4, (6,), "held"),  # rows of a published batch stop nothing
        item(5, (7,)),
    ]
    found = choose_fresh(items, [3, 4, 5, 6, 7])
    assert [(one.incident_number, number) for one, number in found] == [(2, 5), (1, 3), (5, 7)]
    assert choose_fresh(items, []) == []
