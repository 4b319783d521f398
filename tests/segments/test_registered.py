"""The segments in the real MLflow: the run with its trials and figures, and the model by alias."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from tasks.segments.champion import find_segmented
from tasks.segments.steps import assign_segments, find_segments
from tasks.tracking.tracker import open_tracker
from tasks.warehouse import Lake, open_lake
from tests.conftest import MakeSettings
from tests.segments.shops import QUICK, make_features

pytestmark = pytest.mark.flow


@pytest.fixture
def lake(make_settings: MakeSettings) -> Iterator[Lake]:
    with open_lake(make_settings(segments=QUICK)) as opened:
        yield opened


def test_the_champion_is_loaded_by_its_alias_and_says_what_the_lake_says(lake: Lake) -> None:
    import mlflow

    table = make_features(lake, 300)
    segmented = find_segments(lake, table)
    found = assign_segments(lake, table, segmented)
    assert segmented.version == 1
    assert segmented.directory.name == "1"
    assert [path.name for path in segmented.directory.parent.iterdir()] == ["1"]
    with open_tracker(lake.settings) as tracker:
        of_segments = tracker.of_model(segmented.name)
        assert of_segments.alias_version("champion") == 1
        assert of_segments.alias_version("challenger") is None
        client = mlflow.MlflowClient(tracker.uri, tracker.uri)
        model = mlflow.pyfunc.load_model(f"models:/{segmented.name}@champion")
    frame = pd.DataFrame(
        lake.rows(
            "select * from lake.main.segment_features join lake.main.customer_segments"
            " using (customer_id, as_of) order by customer_id"
        )
    )
    inputs = frame[list(model.metadata.get_input_schema().input_names())].astype(np.float64)
    answered = model.predict(inputs)
    assert answered["segment_id"].tolist() == frame["segment_id"].tolist()
    assert answered["name"].tolist() == frame["segment_name"].tolist()
    assert answered["name_ko"].notna().all()
    # What the run shows, which holds no customer.
    run = client.get_run(str(segmented.run_id))
    assert run.info.status == "FINISHED"
    assert run.data.params["served"] == found.contest.served
    assert run.data.metrics["rfm.stability"] == found.measures["rfm"]["stability"]
    shown = {one.path for one in client.list_artifacts(str(segmented.run_id))}
    assert {"trials.json", "pareto.png", "profiles_heat.png", "segments.html"} <= shown
    experiment = client.get_experiment_by_name(f"{lake.deployment}.segments")
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) > 1  # the best trials are child runs
    # The ledger knows no other champion, and another night asks the same one.
    assert find_segmented(lake) == segmented
    assert find_segments(lake, table) == segmented
    # An alias that somebody moved away comes back.
    client.delete_registered_model_alias(segmented.name, "champion")
    find_segments(lake, table)
    assert client.get_model_version_by_alias(segmented.name, "champion").version == 1
