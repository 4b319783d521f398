"""How the figure of a failed rule went over the last batches of its source, and what is usual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from tasks.warehouse import Connection

SQL = Path(__file__).parent / "sql"
SHOWN_BATCHES = 30


@dataclass(frozen=True, slots=True)
class Point:
    """The figure of one batch with the limits it was held to. `in_item`: it belongs to the item."""

    batch_number: int
    batch_name: str
    state: str
    is_accepted: bool
    in_item: bool
    recorded_at: datetime
    figure: float | None
    lower_limit: float | None
    upper_limit: float | None


@dataclass(frozen=True, slots=True)
class Usual:
    """The figure in good batches: accepted ones that came before the item's newest."""

    batches: int
    middle: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class Trend:
    """Oldest first. `usual` is None where no good batch has the figure."""

    points: tuple[Point, ...] = ()
    usual: Usual | None = None

    @property
    def drawn(self) -> tuple[Point, ...]:
        """The points that have a figure."""
        return tuple(point for point in self.points if point.figure is not None)


def read_trends(
    lake: Connection,
    source: str,
    keys: Sequence[tuple[str, str]],
    members: Sequence[int],
    *,
    batches: int = SHOWN_BATCHES,
) -> dict[tuple[str, str], Trend]:
    """A trend for each (rule, column) of `keys`; `members` are the numbers of the item's batches.

    The newest of the members are always among the points, however old they are.
    """
    if not keys:
        return {}
    rows = lake.rows(
        Connection.text(SQL / "trends.sql"),
        {
            "source": source,
            "keys": [f"{rule}:{column}" for rule, column in keys],
            "always": sorted(members)[-batches // 3 :],
            "batches": batches,
        },
    )
    ours, newest = set(members), max(members, default=0)
    points: dict[tuple[str, str], list[Point]] = {}
    for row in rows:
        points.setdefault((row["rule"], row["column_name"]), []).append(
            Point(
                batch_number=int(row["batch_number"]),
                batch_name=row["batch_name"],
                state=row["state"],
                is_accepted=bool(row["is_accepted"]),
                in_item=int(row["batch_number"]) in ours,
                recorded_at=row["recorded_at"].astimezone(UTC),
                figure=row["figure"],
                lower_limit=row["lower_limit"],
                upper_limit=row["upper_limit"],
            )
        )
    return {
        key: Trend(tuple(found), describe_usual(found, newest)) for key, found in points.items()
    }


def describe_usual(points: Sequence[Point], newest: int) -> Usual | None:
    """Median and range of the figure over accepted batches before the number `newest`."""
    good = [
        point.figure
        for point in points
        if point.is_accepted
        and not point.in_item
        and point.figure is not None
        and (point.batch_number < newest or not newest)
    ]
    return Usual(len(good), median(good), min(good), max(good)) if good else None


def format_figure(value: float, *, is_share: bool) -> str:
    """`12.3%` for a share, else three digits that count: `98.7`, `1,250`, `0.00321`."""
    if is_share:
        percent = value * 100
        return f"{percent:.1f}%" if abs(percent) >= 0.1 or percent == 0 else f"{percent:.2g}%"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
