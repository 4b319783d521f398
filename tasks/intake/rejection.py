"""The named ways in which a delivery is refused before any rule about its content is asked.

    MALFORMED  ragged line, open quote, broken gzip or Parquet, not text at all
    EMPTY      no bytes, or a header alone
    ENCODING   bytes that are not the declared encoding, or NUL
    SCHEMA     a column is missing, doubled, of another kind, or not allowed
    TYPE       a value is not what its column is declared to hold
    FORMAT     a number or a date in another notation, or one with two readings
    NONFINITE  NaN, infinity, or a number too large to hold
    TZ         a time without a zone, or one that its zone has twice or never
    LIMIT      larger than `intake.limits` allows
    BOMB       small as delivered, enormous once unpacked

A refused delivery leaves its raw bytes in our keeping and nothing anywhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tasks.errors import ConfigurationError, DataRejected, Refused

Code = Literal[
    "MALFORMED",
    "EMPTY",
    "ENCODING",
    "SCHEMA",
    "TYPE",
    "FORMAT",
    "NONFINITE",
    "TZ",
    "LIMIT",
    "BOMB",
]

# Line numbers that a message names; the report of the batch holds the count.
SHOWN_LINES = 5
_SHOWN_CHARACTERS = 40


class SourceAbsent(ConfigurationError):
    """A source's folder or file is not there; an optional source then offers nothing."""


class OfferRefused(Refused):
    """A source offers what cannot be a delivery, by its name or as a link; `source` names it."""

    source = ""


class BatchRejected(DataRejected):
    """A delivery that cannot be read as declared.

    `code` is one of the names above, `lines` the first lines concerned (header = line 1; for
    Parquet rows from 1), `count` how many there are, `column` the delivered column if it is one.
    """

    def __init__(
        self,
        code: Code,
        batch_name: str,
        problem: str,
        *,
        lines: Sequence[int] = (),
        count: int = 0,
        column: str = "",
        found: str = "",
        available: Sequence[str] = (),
        next_step: str = "",
    ) -> None:
        self.code: Code = code
        self.batch_name = batch_name
        self.problem = problem
        self.lines = tuple(lines)
        self.count = count or len(self.lines)
        self.column = column
        self._detail = found
        places = _places(self.lines, self.count)
        super().__init__(
            f"batch {batch_name} rejected, {code}: {problem}",
            found="; ".join(part for part in (places, found) if part),
            available=available,
            next_step=next_step
            or "correct it at the source and deliver it again; nothing of it was published",
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (self.__dict__ | {"args": self.args},))


def _rebuild(state: dict[str, object]) -> BatchRejected:
    error = BatchRejected.__new__(BatchRejected, *state["args"])  # type: ignore[misc]
    error.__dict__.update({key: value for key, value in state.items() if key != "args"})
    return error


def _places(lines: Sequence[int], count: int) -> str:
    if not lines:
        return ""
    shown = ", ".join(f"{line:,}" for line in lines[:SHOWN_LINES])
    word = "line" if count == 1 else "lines"
    more = f" and {count - len(lines[:SHOWN_LINES]):,} more" if count > SHOWN_LINES else ""
    return f"{word} {shown}{more}"


def show(text: str) -> str:
    """A foreign text made harmless for a message: quoted, on one line, ASCII, and short."""
    cut = text[:_SHOWN_CHARACTERS]
    return ascii(cut) + ("..." if len(text) > _SHOWN_CHARACTERS else "")
