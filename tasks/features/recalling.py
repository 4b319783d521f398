"""Feature tables that were built before, found again or built again from the same snapshot."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.features.building import build_features, find_features
from tasks.handles import FeatureTable

if TYPE_CHECKING:
    from tasks.sections import FeaturesSettings
    from tasks.warehouse import Lake


def recall_newest(lake: Lake, as_of: datetime, known_by: datetime) -> FeatureTable | None:
    """The table without outcomes that was built last for this one cut-off, if it is still there."""
    rows = lake.rows(
        "select table_name from lake.ledger.feature_tables"
        " where as_of = $as_of and known_by = $known_by and not labelled"
        " order by built_at desc",
        {"as_of": [as_of], "known_by": [known_by]},
    )
    for row in rows:
        found = find_features(lake, str(row["table_name"]))
        if found is not None:
            return found
    return None


def recall_training(
    lake: Lake, fingerprint: str, settings: FeaturesSettings
) -> FeatureTable | None:
    """The table that a model has learnt from: as it is, or built again without its outcomes.

    None where the ledger knows no table of that fingerprint.
    """
    rows = lake.rows(
        "select table_name, as_of, known_by, snapshot_id from lake.ledger.feature_tables"
        " where fingerprint = $fingerprint order by built_at desc limit 1",
        {"fingerprint": fingerprint},
    )
    if not rows:
        return None
    row = rows[0]
    found = find_features(lake, str(row["table_name"]))
    if found is not None:
        return found
    return build_features(
        lake,
        [moment.astimezone(UTC) for moment in row["as_of"]],
        [moment.astimezone(UTC) for moment in row["known_by"]],
        int(row["snapshot_id"]),
        settings,
    )
