"""What became of customers who were scored: the label of a training, without its features.

A label needs no features, and a customer's night of scoring is mostly no cut-off of a training. The
meaning is the same one (a test holds both equal): an outcome is known when its whole horizon lies
before `as_of` and its rows were received by `known_by`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from tasks.contracts import POPULATION
from tasks.features.declaration import SQL
from tasks.visibility import supersessions, visible

if TYPE_CHECKING:
    from tasks.handles import Snapshot
    from tasks.sections import FeaturesSettings
    from tasks.warehouse import Lake


def join_outcomes(
    lake: Lake,
    scored: str,
    known_by: datetime,
    snapshot: Snapshot | int,
    settings: FeaturesSettings,
) -> None:
    """Make the temporary table `scored_outcome` (customer_id, as_of, churned) for a relation.

    `scored` is SQL of a relation with `customer_id` and `as_of`, all of them matured. A static set
    has no outcome that comes later: then the table is empty.
    """
    if settings.outcome == "given":
        lake.execute(
            "create or replace temporary table scored_outcome as"
            f" select customer_id, as_of, null::boolean as churned from {scored} where false"
        )
        return
    table = POPULATION[settings.outcome]
    lake.run(
        SQL / f"scored_{settings.outcome}.sql",
        {"known_by": known_by, "horizon_days": settings.horizon_days},
        names={
            "scored": scored,
            "seen": visible(table, snapshot, supersessions(lake, snapshot, table)),
        },
    )
