"""What is asked of the feature computation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from typing import Any

from tasks.contracts import POPULATION as POPULATION
from tasks.contracts import Outcome as Outcome
from tasks.errors import UsageError
from tasks.features.declaration import SQL
from tasks.visibility import Supersession, visible_condition


@dataclass(frozen=True, slots=True)
class Request:
    """What to compute.

    `as_of` are midnights UTC in ascending order, `known_by` as many moments, not descending.
    `relations` gives for each canonical table that may be read its SQL (`lake.main."orders" at
    (version => 12)`). With `labels_as_of` and `labels_known_by` outcomes are added where the
    horizon has passed by then; else there is no column `churned`. `only_customers` is SQL of a
    relation with `customer_id`, for a part of the customers.
    """

    as_of: tuple[datetime, ...]
    known_by: tuple[datetime, ...]
    relations: Mapping[str, str]
    outcome: Outcome
    horizon_days: int
    activity_window_days: int
    labels_as_of: datetime | None = None
    labels_known_by: datetime | None = None
    superseded: Mapping[str, tuple[Supersession, ...]] = field(default_factory=dict)
    chunk_lines: int = 4_000_000
    category_codes: Mapping[tuple[str, str], int] = field(default_factory=dict)
    drivers: Mapping[str, str] = field(default_factory=dict)
    sql: Any = SQL

    def __post_init__(self) -> None:
        if not self.as_of or len(self.as_of) != len(self.known_by):
            raise UsageError(
                "Features need one `known_by` for each `as_of`.",
                found=f"{len(self.as_of)} as_of, {len(self.known_by)} known_by",
            )
        for moment in self.as_of:
            if moment.tzinfo is None or moment.astimezone(UTC).time() != time():
                raise UsageError("A cut-off is a midnight UTC.", found=moment.isoformat())
        if list(self.as_of) != sorted(set(self.as_of)):
            raise UsageError("Cut-offs must be in ascending order, each once.")
        if list(self.known_by) != sorted(self.known_by):
            raise UsageError("A later cut-off cannot know less: `known_by` must not descend.")

    @property
    def labelled(self) -> bool:
        return self.labels_as_of is not None

    @property
    def latest_known_by(self) -> datetime:
        return max(self.known_by[-1], self.labels_known_by or self.known_by[-1])

    def seen_by(self, table: str, known_by: datetime | str, alias: str = "") -> str:
        """The condition that a row of `table` is visible at a moment, or at one given as SQL."""
        known = known_by if isinstance(known_by, str) else moment_sql(known_by)
        return visible_condition(self.superseded.get(table, ()), known_by=known, alias=alias)

    def doubtful_batches(self) -> list[int]:
        """Batches of orders that some of the asked moments still see and others no longer."""
        return [
            item.batch_number
            for item in self.superseded.get("orders", ())
            if self.known_by[0] < item.superseded_at <= self.latest_known_by
        ]


def moment_sql(moment: datetime) -> str:
    """A moment as an SQL literal."""
    stamp = moment.astimezone(UTC).isoformat(sep=" ", timespec="microseconds")
    return f"timestamptz '{stamp}'"


def day_of(moment: datetime) -> int:
    """Days since 1970."""
    return int(moment.timestamp()) // 86_400
