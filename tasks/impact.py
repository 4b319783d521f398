"""What a decision about a batch would change: plain values for JSON, a terminal and a page.

They hold names, counts and sums, never a customer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

How = Literal["judged again", "waived", "corrected file"]
SHOWN_DAYS = 12


@dataclass(frozen=True, slots=True)
class DayRows:
    """Rows of one day (UTC) of a table: those that a batch replaces, and those it brings."""

    table: str
    day: date
    rows_before: int
    rows_after: int


@dataclass(frozen=True, slots=True)
class FeatureMove:
    """How one feature moves, over the customers that are there before and after.

    The changes are relative to the value before, without sign; None where nobody who moves had
    a value other than 0 before. A value that comes or goes counts as a move.
    """

    feature: str
    customers: int
    median_change: float | None
    largest_change: float | None


@dataclass(frozen=True, slots=True)
class FeatureMoves:
    """Two feature tables of one cut-off. `moves` are those that move most, at most so many."""

    customers_before: int
    customers_after: int
    customers_both: int
    customers_moved: int
    features: int
    features_moved: int
    moves: tuple[FeatureMove, ...]


@dataclass(frozen=True, slots=True)
class ScoreMoves:
    """Two rankings by one champion. Amounts are in `currency`; a probability is from 0 to 1.

    The action list is the ranks that the budget pays for and that promise a gain. `entering` and
    `leaving` are customers of it; their amounts are the expected returns of those customers, after
    and before.
    """

    champion: str
    currency: str
    threshold: float
    customers_before: int
    customers_after: int
    customers_both: int
    scores_moved: int
    largest_change: float | None
    at_risk_before_amount: Decimal
    at_risk_after_amount: Decimal
    list_before: int
    list_after: int
    entering: int
    leaving: int
    entering_return_amount: Decimal
    leaving_return_amount: Decimal
    list_return_before_amount: Decimal
    list_return_after_amount: Decimal

    @property
    def at_risk_change_amount(self) -> Decimal:
        return self.at_risk_after_amount - self.at_risk_before_amount

    @property
    def list_return_change_amount(self) -> Decimal:
        return self.list_return_after_amount - self.list_return_before_amount


@dataclass(frozen=True, slots=True)
class Preview:
    """What taking a batch in would change, computed on a branch that is gone.

    `refused` says why it cannot be taken in so, line by line; then nothing else is known.
    `overruled` are the failed rules that would be passed over. `known_by` is the second clock of
    the comparison. `notes` say what could not be compared, and why.
    """

    deployment: str
    batch_number: int
    batch_name: str
    table: str
    how: How
    content_hash: str
    received_rows: int = 0
    accepted_rows: int = 0
    quarantined_rows: int = 0
    refused: tuple[str, ...] = ()
    overruled: tuple[str, ...] = ()
    replaces_batch_number: int | None = None
    days: tuple[DayRows, ...] = ()
    as_of: datetime | None = None
    known_by: datetime | None = None
    features: FeatureMoves | None = None
    scores: ScoreMoves | None = None
    notes: tuple[str, ...] = field(default=())
    seconds: float = 0.0

    @property
    def possible(self) -> bool:
        """Whether the batch would be taken in."""
        return not self.refused

    def as_dictionary(self) -> dict[str, Any]:
        """Ready for JSON: amounts as decimal text, times in ISO 8601 UTC."""
        plain: dict[str, Any] = _plain(asdict(self))
        plain["possible"] = self.possible
        if self.scores is not None:
            plain["scores"]["at_risk_change_amount"] = str(self.scores.at_risk_change_amount)
            plain["scores"]["list_return_change_amount"] = str(
                self.scores.list_return_change_amount
            )
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value


def render_preview(preview: Preview, *, shown_days: int = SHOWN_DAYS) -> str:
    """The preview as lines of plain text, for a terminal, a message or a page's `<pre>`."""
    return "\n".join(_lines(preview, shown_days))


def _lines(preview: Preview, shown_days: int) -> Iterator[str]:
    how = {
        "judged again": "judged again as it is",
        "waived": "let in, with what stops it waived",
        "corrected file": "replaced by the given file",
    }[preview.how]
    yield f"Preview: batch {preview.batch_name} (number {preview.batch_number}) {how}"
    if not preview.possible:
        yield "It would not be taken in:"
        yield from (f"  {line}" for line in preview.refused)
        yield "The lake is as it was."
        return
    yield (
        f"  {preview.received_rows:,} rows received:"
        f" {preview.accepted_rows:,} accepted, {preview.quarantined_rows:,} set aside"
    )
    if preview.replaces_batch_number is not None:
        yield f"  it replaces batch number {preview.replaces_batch_number}"
    yield from (f"  passed over: {line}" for line in preview.overruled)
    yield from _day_lines(preview.days, shown_days)
    if preview.as_of is not None and preview.known_by is not None:
        yield (
            f"Compared as of {preview.as_of:%Y-%m-%d},"
            f" with what is known by {preview.known_by:%Y-%m-%d %H:%M} UTC"
        )
    if preview.features is not None:
        yield from _feature_lines(preview.features)
    if preview.scores is not None:
        yield from _score_lines(preview.scores)
    yield from (f"Note: {note}" for note in preview.notes)
    yield f"Computed in {preview.seconds:.1f} s on a branch that is gone; the lake is as it was."


def _day_lines(days: Sequence[DayRows], shown: int) -> Iterator[str]:
    if not days:
        return
    tables = sorted({day.table for day in days})
    for table in tables:
        ours = [day for day in days if day.table == table]
        before = sum(day.rows_before for day in ours)
        after = sum(day.rows_after for day in ours)
        yield (
            f"Rows of {table} by day: {_change(before, after)}, {len(ours):,} days,"
            f" {ours[0].day} to {ours[-1].day}"
        )
        most = max(max(day.rows_before, day.rows_after) for day in ours)
        listed = ours if len(ours) <= shown else [*ours[: shown - 1], ours[-1]]
        for place, day in enumerate(listed):
            if len(ours) > shown and place == shown - 1:
                yield f"    ... {len(ours) - shown:,} days more"
            yield (
                f"    {day.day}  {_change(day.rows_before, day.rows_after):>20}"
                f"  {'#' * round(30 * day.rows_after / most)}".rstrip()
            )


def _change(before: int, after: int) -> str:
    return f"{before:,} to {after:,}" if before else f"+{after:,}"


def _feature_lines(moves: FeatureMoves) -> Iterator[str]:
    yield (
        f"Features: {moves.features_moved} of {moves.features} move, for"
        f" {moves.customers_moved:,} of {moves.customers_both:,} customers;"
        f" customers {moves.customers_before:,} to {moves.customers_after:,}"
    )
    if moves.moves:
        width = max(len(move.feature) for move in moves.moves)
        yield f"    {'feature':<{width}}  {'customers':>9}  {'median':>10}  {'largest':>10}"
        for move in moves.moves:
            yield (
                f"    {move.feature:<{width}}  {move.customers:>9,}"
                f"  {_percent(move.median_change):>10}  {_percent(move.largest_change):>10}"
            )


def _percent(change: float | None) -> str:
    return "-" if change is None else f"{change:,.1%}"


def _score_lines(scores: ScoreMoves) -> Iterator[str]:
    largest = "" if scores.largest_change is None else f", the largest {scores.largest_change:+.3f}"
    yield (
        f"Scores by {scores.champion}: {scores.scores_moved:,} of {scores.customers_both:,} move by"
        f" more than {scores.threshold:g}{largest}"
    )
    yield (
        f"Action list: {scores.list_before:,} to {scores.list_after:,} customers:"
        f" {scores.entering:,} enter, {scores.leaving:,} leave"
    )
    rows = (
        ("money at risk", scores.at_risk_before_amount, scores.at_risk_after_amount),
        (
            "expected return of the list",
            scores.list_return_before_amount,
            scores.list_return_after_amount,
        ),
    )
    yield f"    {scores.currency:<28}{'before':>18}{'after':>18}{'change':>18}"
    for name, before, after in rows:
        yield f"    {name:<28}{before:>18,.2f}{after:>18,.2f}{after - before:>+18,.2f}"
    yield (
        f"    those who enter promise {scores.entering_return_amount:,.2f},"
        f" those who leave promised {scores.leaving_return_amount:,.2f} {scores.currency}"
    )
