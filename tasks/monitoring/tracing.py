"""Whether moved inputs look like a data fault, which goes to quarantine, or like a real change.

A fault comes at once, at the border of a delivery, in one column of one table: its median jumps
by a power of ten or by far more than from batch to batch so far, or its values go missing. People
change gradually, and in everything they do. So the batches that came after what the champion has
learnt from are asked for a jump in the tables that the moved inputs are computed from; where there
is none, it is taken for a change. Both are a guess with its evidence, for a person to confirm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tasks.contracts import CONTRACTS
from tasks.visibility import supersessions, visible
from tasks.warehouse import quote

if TYPE_CHECKING:
    from tasks.alarms import MonitoringSettings
    from tasks.handles import Snapshot
    from tasks.warehouse import Lake

SQL = Path(__file__).parent / "sql"
_NUMERIC = ("DECIMAL", "DOUBLE", "INTEGER", "BIGINT")
# A power of ten within this part of one (in log10) is taken for a change of unit.
_UNIT_PART = 0.15
# A jump that is no power of ten must stand out from the jumps before by so many deviations.
_DEVIATIONS = 8.0
_LEAST_DEVIATION = 0.05
_LEAST_BEFORE = 2
_BEFORE = 8
_BATCH_ROWS = 30

Sort = Literal["factor", "step", "missing"]


@dataclass(frozen=True)
class Jump:
    """A column whose level changed from one batch to the next.

    `ratio` is of medians; of the sort 'missing' it is the share of values that went missing.
    """

    table: str
    column: str
    batch_number: int
    first_at: datetime
    sort: Sort
    ratio: float

    def describe(self) -> str:
        """The jump in a line."""
        where = f"since batch {self.batch_number} of {self.first_at:%Y-%m-%d}"
        if self.sort == "missing":
            return f"{self.table}.{self.column}: {self.ratio:.0%} more missing {where}"
        text = f"{self.table}.{self.column}: median x {self.ratio:.3g} {where}, in one batch"
        return f"{text}; looks like a change of unit" if self.sort == "factor" else text


@dataclass(frozen=True)
class Level:
    """A batch's median size of a column (None: no value) and its missing share."""

    batch_number: int
    first_at: datetime
    rows: int
    median: float | None
    missing_share: float


def read_levels(
    lake: Lake,
    table: str,
    as_of: datetime,
    known_by: datetime,
    snapshot: Snapshot | int,
    batches: int,
) -> dict[str, list[Level]]:
    """The newest batches of a table by column, oldest first."""
    contract = CONTRACTS[table]
    chosen = [column for column in contract.columns if column.type.startswith(_NUMERIC)]
    listed = [
        f"median(abs({quote(c.name)}::double)) filter ({quote(c.name)} <> 0)"
        f" as {quote('median_' + c.name)}, avg(({quote(c.name)} is null)::integer)"
        f" as {quote('missing_' + c.name)}"
        for c in chosen
    ]
    if not listed:
        return {}
    sql = lake.text(
        SQL / "batch_columns.sql",
        names={
            "seen": visible(table, snapshot, supersessions(lake, snapshot, table)),
            "event_time": quote(contract.event_time),
            "columns": ",\n    ".join(listed),
        },
    )
    rows = lake.rows(sql, {"as_of": as_of, "known_by": known_by, "batches": batches})
    return {
        column.name: [_read_level(row, column.name) for row in reversed(rows)] for column in chosen
    }


def find_jumps(
    table: str,
    levels: Mapping[str, Sequence[Level]],
    learnt_until: datetime,
    settings: MonitoringSettings,
) -> list[Jump]:
    """Columns that jumped in a batch after `learnt_until`, the largest first; one a column."""
    found = [
        jump
        for column, batches in levels.items()
        if (jump := _find_jump(table, column, batches, learnt_until, settings)) is not None
    ]
    return sorted(found, key=lambda one: (one.sort != "factor", -abs(math.log(one.ratio))))


def _find_jump(
    table: str,
    column: str,
    batches: Sequence[Level],
    learnt_until: datetime,
    settings: MonitoringSettings,
) -> Jump | None:
    kept = [one for one in batches if one.rows >= _BATCH_ROWS]
    for place in range(_LEAST_BEFORE, len(kept)):
        batch, before = kept[place], kept[max(0, place - _BEFORE) : place]
        if batch.first_at < learnt_until and place + 1 < len(kept):
            continue
        usual = float(np.median([one.missing_share for one in before]))
        if batch.missing_share - usual >= settings.null_jump_share:
            gone = batch.missing_share - usual
            return Jump(table, column, batch.batch_number, batch.first_at, "missing", gone)
        medians = [one.median for one in before if one.median]
        if batch.median is None or len(medians) < _LEAST_BEFORE:
            continue
        logs = np.log(np.asarray(medians))
        jump = math.log(batch.median) - float(np.median(logs))
        powers = jump / math.log(10)
        if abs(round(powers)) >= 1 and abs(powers - round(powers)) <= _UNIT_PART:
            sort: Sort = "factor"
        else:
            spread = max(_LEAST_DEVIATION, 1.4826 * float(np.median(np.abs(np.diff(logs)))))
            if abs(jump) < math.log(settings.step_ratio) or abs(jump) < _DEVIATIONS * spread:
                continue
            sort = "step"
        return Jump(table, column, batch.batch_number, batch.first_at, sort, math.exp(jump))
    return None


def _read_level(row: Mapping[str, Any], column: str) -> Level:
    median = row[f"median_{column}"]
    return Level(
        int(row["batch_number"]),
        row["first_at"].astimezone(UTC),
        int(row["batch_rows"]),
        None if median is None else float(median),
        float(row[f"missing_{column}"]),
    )
