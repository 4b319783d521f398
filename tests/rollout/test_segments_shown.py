"""A rollout of segments in the real MLflow: the challenger's run, and who bears which alias."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from importlib import import_module

import pytest

from tasks.rollout.announcing import show_run
from tasks.rollout.plan import Contender
from tasks.rollout.recording import record_row
from tasks.rollout.stepping import start_row
from tasks.segments.challengers import find_challenger, promote_challenger
from tasks.segments.champion import Segmented
from tasks.tracking.tracker import CHALLENGER, CHAMPION, open_tracker
from tasks.warehouse import Lake, open_lake
from tests.conftest import MakeSettings
from tests.rollout.test_recording import NIGHT, planned
from tests.segments.shops import AS_OF, QUICK, make_features

pytestmark = pytest.mark.flow


@pytest.fixture
def lake(make_settings: MakeSettings) -> Iterator[Lake]:
    with open_lake(make_settings(segments=QUICK)) as opened:
        yield opened


def test_the_aliases_follow_the_rollout(lake: Lake) -> None:
    import mlflow

    steps = import_module("tasks.segments.steps")
    first = steps.find_segments(lake, make_features(lake, 300))
    later = make_features(lake, 300, as_of=AS_OF + timedelta(days=28), seed=5)
    assert steps.find_segments(lake, later, "wait") == first
    second = find_challenger(lake)
    assert (first.version, second.version) == (1, 2)
    row = planned(subject="segments", champion=name(first), challenger=name(second), guardrails=())
    terms = row.terms.model_copy(
        update={
            "champion_decision_id": first.decision_id,
            "challenger_run_id": second.run_id,
        }
    )
    begun = start_row(record_row(lake, replace(row, terms=terms)), NIGHT, NIGHT, "ann")
    assert begun is not None
    assert show_run(lake, record_row(lake, begun))

    def aliases() -> tuple[int | None, int | None]:
        with open_tracker(lake.settings) as store:
            tracker = store.of_model(first.name)
            return tracker.alias_version(CHAMPION), tracker.alias_version(CHALLENGER)

    assert aliases() == (1, 2)
    with open_tracker(lake.settings) as store:
        client = mlflow.MlflowClient(store.uri, store.uri)
        run = client.get_run(str(second.run_id))
        assert run.data.tags["holdfast.rollout_state"] == "running"
        assert "rollout.html" in {one.path for one in client.list_artifacts(run.info.run_id)}
    promote_challenger(
        lake,
        second,
        expected=first.decision_id,
        decision_id="rollout-x-3",
        reason="better",
        as_of=later.as_of[-1],
        alongside=lambda: None,
    )
    steps.mirror(lake)
    assert aliases() == (2, None)


def name(found: Segmented) -> Contender:
    return Contender(name=found.name, version=found.label, content_hash=found.model_hash)
