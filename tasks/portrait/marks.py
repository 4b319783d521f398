"""The letter and colour by which a group is known in every figure and table of the page.

Colours are those of Okabe and Ito, which colour-blind people can tell apart; the letter and the
shape say the same without colour. They follow the order of the groups' ids, which stay from month
to month, so that a group looks the same on the next page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.findings import SegmentFindings, Words
from tasks.portrait.wording import Speech

COLORS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#F0E442",
    "#999999",
)
SHAPES = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "triangle-down")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid", "dash")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
NEW, GONE = "new", "gone"
# Everybody, and what is no group.
PLAIN_COLOR = "#777777"


@dataclass(frozen=True, slots=True)
class Mark:
    """How one group looks. `order` is its place among the colours, None for what is no group."""

    letter: str
    name: str
    order: int | None

    @property
    def color(self) -> str:
        """`#RRGGBB`."""
        return PLAIN_COLOR if self.order is None else COLORS[self.order % len(COLORS)]

    @property
    def shape(self) -> str:
        """Plotly's name of the marker."""
        return SHAPES[(self.order or 0) % len(SHAPES)]

    @property
    def dash(self) -> str:
        """Plotly's name of the line."""
        return DASHES[(self.order or 0) % len(DASHES)]

    @property
    def letter_color(self) -> str:
        """What can be read on the colour."""
        return "#ffffff" if self.order is not None and self.order % len(COLORS) == 0 else "#000000"

    @property
    def style_class(self) -> str:
        """Its class in the style sheet."""
        return "sx" if self.order is None else f"s{self.order % len(COLORS)}"


class Marks:
    """The marks of all groups of one page; an id that is no more gets a plain one."""

    def __init__(
        self,
        found: SegmentFindings | None,
        speech: Speech,
        former: Mapping[str, Words] | None = None,
    ) -> None:
        self._speech = speech
        self._former = former or {}
        self._marks: dict[str, Mark] = {}
        segments: Mapping[str, str] = (
            {one.segment_id: speech.words(one.name) for one in found.segments} if found else {}
        )
        for order, segment_id in enumerate(sorted(segments, key=_natural)):
            letter = _LETTERS[order] if order < len(_LETTERS) else str(order + 1)
            self._marks[segment_id] = Mark(letter, segments[segment_id], order)

    def __contains__(self, segment_id: str) -> bool:
        return segment_id in self._marks

    def of(self, segment_id: str | None) -> Mark:
        """The mark of a group, of everybody (None), or of the outside ('new', 'gone')."""
        if segment_id is None:
            return Mark("", self._speech.say("unit.everybody"), None)
        if segment_id in self._marks:
            return self._marks[segment_id]
        if segment_id == NEW:
            return Mark("+", self._speech.say("moves.new"), None)
        if segment_id == GONE:
            return Mark("×", self._speech.say("moves.gone"), None)
        name = self._former.get(segment_id)
        return Mark("·", self._speech.words(name) if name else segment_id, None)

    def all(self) -> Sequence[Mark]:
        """Every group, by letter."""
        return tuple(self._marks.values())


def _natural(text: str) -> tuple[tuple[int, str], ...]:
    """Sorts `s10` behind `s9`."""
    parts: list[tuple[int, str]] = []
    digits = ""
    for character in text + "\0":
        if character.isdecimal():
            digits += character
            continue
        if digits:
            parts.append((int(digits), ""))
            digits = ""
        parts.append((-1, character))
    return tuple(parts)
