"""Rows of a rollout: one after another, by whoever saw the newest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tasks.errors import ConfigurationError, LockHeld, UsageError
from tasks.moments import standing_at
from tasks.rollout.recording import (
    Rollout,
    Terms,
    find_live,
    list_rollouts,
    read_history,
    read_rollout,
    record_row,
)
from tasks.rollout.stepping import look, start_row, stop_row
from tasks.warehouse import Lake
from tests.rollout.made_up import make_plan

NIGHT = datetime(2026, 3, 2, tzinfo=UTC)


def planned(**changes: object) -> Rollout:
    terms = Terms(
        champion_decision_id="d1",
        hold_out_salt="holdfast",
        hold_out_share=0.1,
        early_days=10,
        margin_share=0.3,
    )
    return Rollout(make_plan(**changes), terms, "planned", "plan", 1)


def begin(lake: Lake, **changes: object) -> Rollout:
    row = start_row(record_row(lake, planned(**changes)), NIGHT, NIGHT, "ann")
    assert row is not None
    return record_row(lake, row)


def test_what_is_written_is_read(lake: Lake) -> None:
    started = begin(lake)
    assert read_rollout(lake) == started
    assert (started.state, started.stage, started.share) == ("running", 0, 0.05)
    assert started.stages_since == (NIGHT,)
    assert [row.row_kind for row in read_history(lake, started.rollout_id)] == ["plan", "start"]
    assert read_history(lake, started.rollout_id)[0].terms_hash == started.terms_hash
    decisions = lake.rows("select decision_id, outcome from lake.ledger.decisions order by 1")
    assert [row["outcome"] for row in decisions] == ["plan", "start"]
    assert find_live(lake, "churn") == started
    assert find_live(lake, "segments") is None


@pytest.mark.faults(40, 65)
def test_of_two_steps_at_once_one_wins(lake: Lake) -> None:
    """FAULTS 65 for rollouts: both saw the same row, the second is refused and writes nothing."""
    started = begin(lake)
    one = started.next("continue", "running", "one", as_of=NIGHT)
    other = started.next("promote", "promoted", "other", as_of=NIGHT)
    record_row(lake, one)
    with pytest.raises(LockHeld, match="moved the rollout"):
        record_row(lake, other)
    assert [row.reason for row in read_history(lake, started.rollout_id)][-1] == "one"
    assert lake.scalar("select count(*) from lake.ledger.decisions") == 3


@pytest.mark.faults(70)
def test_an_id_is_a_salt_and_used_once(lake: Lake) -> None:
    first = begin(lake)
    with pytest.raises(ConfigurationError, match="used before"):
        record_row(lake, planned())
    stopped = stop_row(first, "enough", "ann")
    assert stopped is not None
    record_row(lake, stopped)
    with pytest.raises(ConfigurationError, match="used before"):
        record_row(lake, planned())


def test_one_rollout_of_a_subject_at_a_time(lake: Lake) -> None:
    begin(lake)
    with pytest.raises(LockHeld, match="one at a time"):
        begin(lake, rollout_id="churn-other")
    assert begin(lake, rollout_id="segments-one", subject="segments").is_live
    with pytest.raises(UsageError, match="More than one is running"):
        read_rollout(lake)
    assert len(list_rollouts(lake, "churn")) == 2


@pytest.mark.faults(15)
def test_a_clock_that_steps_back_undoes_nothing(lake: Lake) -> None:
    """The newest row is the one with the highest number, whatever the wall clock says."""
    with standing_at(NIGHT + timedelta(days=5)):
        started = begin(lake)
    with standing_at(NIGHT):
        row = started.next("continue", "running", "later", as_of=NIGHT + timedelta(days=3))
        moved = record_row(lake, row)
        assert read_rollout(lake).reason == "later"
        assert moved.decided_at >= started.decided_at
        # A night before the last one that was judged is not judged.
        assert look(lake, moved, NIGHT + timedelta(days=2), NIGHT) is None


@pytest.mark.parametrize(
    ("state", "act"),
    [
        ("promoted", lambda one: start_row(one, NIGHT, NIGHT, "ann")),
        ("rolled_back", lambda one: start_row(one, NIGHT, NIGHT, "ann")),
        ("promoted", lambda one: stop_row(one, "no", "ann")),
        ("inconclusive", lambda one: stop_row(one, "no", "ann")),
    ],
)
def test_what_has_ended_stays_so(state: str, act: Callable[[Rollout], object]) -> None:
    ended = replace(planned(), state=state, row_kind="promote")
    with pytest.raises(UsageError, match="has ended"):
        act(ended)
