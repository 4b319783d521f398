"""How far the sources of a deployment can be built on, and what outputs are stamped with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

# What a night does when a batch of a source is refused, or when one is missing.
WhenRefused = Literal["stop", "degrade"]


@dataclass(frozen=True, slots=True)
class SourceStanding:
    """How far a source can be built on now. Parts are the second halves of batches' names.

    `missing` never came although later ones did, `overdue` should have come by now, `refused` came
    and stand in quarantine or were never finished; the latter are `unfinished` too, which a night
    goes on with. `blocking` are those of all three that a
    training refuses: what a waiver covers or the settings allow is not among them. `never_came`:
    nothing of the source was ever published. `age_days` is how much older its newest row is than
    it should be, None where it is not behind or has no row.
    """

    source: str
    table: str
    when_refused: WhenRefused
    optional: bool
    missing: tuple[str, ...] = ()
    overdue: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    blocking: tuple[str, ...] = ()
    is_behind: bool = False
    never_came: bool = False
    age_days: float | None = None


@dataclass(frozen=True, slots=True)
class Staleness:
    """What a night's outputs are stamped with; the default is a fresh night.

    `days` is how much older the stalest source's newest row is than it should be, `sources` are
    the sources that are behind, `left_out` the optional ones that are gone on without.
    """

    days: float = 0.0
    sources: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def is_fresh(self) -> bool:
        return not self.sources and not self.left_out

    @property
    def text(self) -> str:
        """`events; orders; tickets (left out)`, or an empty text for a fresh night."""
        return "; ".join([*self.sources, *(f"{name} (left out)" for name in self.left_out)])


@dataclass(frozen=True, slots=True)
class Standing:
    """How all sources of a deployment stand; `left_out` are tables that features go without."""

    sources: tuple[SourceStanding, ...] = ()
    staleness: Staleness = field(default_factory=Staleness)
    left_out: frozenset[str] = frozenset()
