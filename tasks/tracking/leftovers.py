"""Runs that a killed training has left open: told from those at work by a tag of their process.

MLflow never closes a run by itself: after a kill it would show RUNNING for ever, and who looks
would wait for it. A run of another host is left alone, because nobody here can tell whether it
lives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.liveness import is_abandoned

if TYPE_CHECKING:
    from mlflow import MlflowClient

PROCESS_TAG = "holdfast.process"

_MOST_CLOSED = 1_000


def close_abandoned(client: MlflowClient, experiment: str) -> int:
    """Mark the experiment's open runs of dead processes of this host KILLED; how many."""
    found = client.search_runs(
        [experiment], "attributes.status = 'RUNNING'", max_results=_MOST_CLOSED
    )
    gone = [run for run in found if is_abandoned(run.data.tags.get(PROCESS_TAG, ""))]
    for run in gone:
        client.set_terminated(run.info.run_id, "KILLED")
    return len(gone)
