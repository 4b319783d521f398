"""The deployment that a replay runs in: history's own but for names, folders and a few pages."""

from __future__ import annotations

from datetime import UTC, datetime

from tasks.replay.standin import make_stand_in, write_deployment
from tasks.settings import Settings


def test_what_nobody_looks_at_is_left_out(settings: Settings) -> None:
    stand_in = make_stand_in(settings, "a-span", [])
    made = write_deployment(stand_in, settings, datetime(2023, 1, 2, tzinfo=UTC), 7, ())
    assert made.deployment != settings.deployment
    assert not made.tracking.figures
    assert not made.tracking.child_runs
    assert not made.validation.data_docs
    # What decides is history's own.
    assert made.registry == settings.registry
    assert made.rollout == settings.rollout
    assert made.monitoring == settings.monitoring


def test_other_settings_are_another_replay(settings: Settings) -> None:
    other = settings.replay.model_copy(update={"outcomes": "simulated"})
    changed = settings.model_copy(update={"replay": other})
    names = {make_stand_in(one, "a-span", []).name for one in (settings, changed)}
    assert len(names) == 2
