"""The champion's training inputs, kept small in the ledger: its feature table goes in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.archive import find_findings, insert_findings
from tasks.handles import Champion, FeatureTable
from tasks.monitoring.inputs import profile_input
from tasks.monitoring.pricing import VALUE
from tasks.monitoring.reading import read_columns
from tasks.quality import ReferenceFindings
from tasks.warehouse import quote

if TYPE_CHECKING:
    from tasks.warehouse import Lake


# Counted up when what is kept has another form: a reference of the one before is not read.
_FORM = 2


def find_reference(lake: Lake, champion: Champion) -> ReferenceFindings | None:
    """What is kept of the champion's training; None before its first night."""
    return find_findings(lake, ReferenceFindings, finding_id=_name(champion))


def keep_reference(lake: Lake, champion: Champion, training: FeatureTable) -> ReferenceFindings:
    """Profile the inputs that the champion asks for, by cut-off, and keep that; once."""
    settings = lake.settings
    names = [name for name in champion.feature_names if name in training.feature_names]
    share = min(1.0, 10 * settings.monitoring.maximum_customers / max(1, training.rows))
    columns, cutoffs = read_columns(lake, training, [*names, VALUE], share)
    moments, numbers = np.unique(cutoffs, return_inverse=True)
    found = ReferenceFindings(
        deployment=settings.deployment,
        as_of=training.as_of[-1],
        known_by=training.known_by[-1],
        snapshot_id=training.snapshot_id,
        currency=settings.economics.currency,
        model_hash=champion.model_hash,
        cutoffs=tuple(sorted(training.as_of))[: len(moments)],
        inputs=tuple(
            profile_input(columns[name], numbers.astype(np.int64), name) for name in [*names, VALUE]
        ),
    )
    with lake.writer_lock("keep a reference"):
        again = find_reference(lake, champion)
        if again is not None:
            return again
        message = f"inputs of version {champion.version}"
        with lake.publish("holdfast", message, {"finding_id": _name(champion)}):
            insert_findings(lake, _name(champion), found)
    return found


def _name(champion: Champion) -> str:
    return f"reference-{_FORM}-{champion.model_hash[:16]}-{champion.features_fingerprint[:16]}"


def describe_size(lake: Lake, table: FeatureTable) -> int:
    """Customers of the table's newest cut-off."""
    return int(
        lake.scalar(
            f"select count(*) from lake.main.{quote(table.table)} where as_of = $as_of",
            {"as_of": table.as_of[-1]},
        )
    )
