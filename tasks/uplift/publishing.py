"""The ladder as rows that the action list reads, and as findings, at once or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.archive import find_findings, insert_findings
from tasks.crash import crash_point
from tasks.evidence import EvidenceCell, UpliftFindings
from tasks.uplift.kept import prune_learners
from tasks.uplift.ladder import KNOWN_HERE
from tasks.uplift.subjects import SQL

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.uplift.studying import OwnUplifts
    from tasks.warehouse import Lake


def publish_uplift(
    lake: Lake, run_id: str, found: UpliftFindings, own: Sequence[OwnUplifts] = ()
) -> bool:
    """Publish; whether it was new. Another process may have been quicker with the same run."""
    rows = _list_rows(found)
    with lake.writer_lock("publish uplift"):
        if find_findings(lake, UpliftFindings, finding_id=run_id) is not None:
            return False
        crash_point("uplift.before_publish")
        lake.load_arrow("effect_row", rows)
        try:
            with lake.publish(
                "holdfast", f"evidence as of {found.as_of:%Y-%m-%d}", {"run_id": run_id}
            ):
                lake.run(
                    SQL / "publish.sql",
                    {
                        "as_of": found.as_of,
                        "known_by": found.known_by,
                        "run_id": run_id,
                        "metric": found.metric,
                        "currency": found.currency,
                    },
                )
                for one in own:
                    _insert_own(lake, run_id, found, one)
                crash_point("uplift.rows_inserted")
                insert_findings(lake, run_id, found)
        finally:
            lake.drop_arrow("effect_row")
        prune_learners(lake)
    crash_point("uplift.published")
    return True


def is_measured(cell: EvidenceCell) -> bool:
    """Whether the list takes the cell's increment for the policy's guess.

    What is known to do harm counts for everybody too: a guess that it helps would be worse.
    """
    return cell.level == KNOWN_HERE or cell.verdict == "harms"


def _insert_own(lake: Lake, run_id: str, found: UpliftFindings, own: OwnUplifts) -> None:
    import pyarrow as pa

    lake.load_arrow(
        "own_row",
        pa.table({"customer_id": pa.array(own.customer_ids, pa.string()), "uplift": own.values}),
    )
    try:
        lake.run(
            SQL / "publish_own.sql",
            {
                "as_of": found.as_of,
                "known_by": found.known_by,
                "run_id": run_id,
                "listed_for": own.listed_for,
                "action": own.action,
                "learner_hash": own.learner_hash,
                "measure": own.measure,
            },
        )
    finally:
        lake.drop_arrow("own_row")


def _list_rows(found: UpliftFindings) -> pa.Table:
    import pyarrow as pa

    rows = []
    for cell in found.cells:
        # A lapse less is good: the sign turns, and with it the bounds.
        lapse, margin = cell.lapse, cell.margin
        rows.append(
            {
                "listed_for": cell.listed_for,
                "action": cell.action,
                "segment_id": cell.segment_id,
                "driver": cell.driver,
                "level": cell.level,
                "verdict": cell.verdict,
                "is_measured": is_measured(cell),
                "incremental_share": None if lapse is None else -lapse.expected,
                "low_share": None if lapse is None else -lapse.high,
                "high_share": None if lapse is None else -lapse.low,
                "incremental_amount": None if margin is None else margin.expected,
                "low_amount": None if margin is None else margin.low,
                "high_amount": None if margin is None else margin.high,
            }
        )
    text, number = pa.string(), pa.float64()
    return pa.Table.from_pylist(
        rows,
        pa.schema(
            [
                ("listed_for", text),
                ("action", text),
                ("segment_id", text),
                ("driver", text),
                ("level", pa.int32()),
                ("verdict", text),
                ("is_measured", pa.bool_()),
                ("incremental_share", number),
                ("low_share", number),
                ("high_share", number),
                ("incremental_amount", number),
                ("low_amount", number),
                ("high_amount", number),
            ]
        ),
    )
