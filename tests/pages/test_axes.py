"""Scales of a figure: round ticks that hold all values, and places within the figure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.pages.axes import BOTTOM, NARROW, TOP, WIDE, Axes, choose_ticks, spread

NUMBERS = st.floats(-1e9, 1e9, allow_nan=False, allow_infinity=False)


@given(st.lists(NUMBERS, min_size=1, max_size=5))
def test_ticks_hold_all_values_and_are_few(values: list[float]) -> None:
    ticks = choose_ticks(min(values), max(values))
    near = 1e-9 * max(1e-300, *map(abs, ticks))
    assert ticks[0] <= min(values) + near
    assert ticks[-1] >= max(values) - near
    assert 2 <= len(ticks) <= 7
    assert list(ticks) == sorted(set(ticks))


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 185_467, (0, 50_000, 100_000, 150_000, 200_000)),
        (-3.3, 6.1, (-4, -2, 0, 2, 4, 6, 8)),
        (5, 5, (0, 2, 4, 6, 8, 10)),
        (0, 0, (-1, -0.5, 0, 0.5, 1)),
        (0, 5e-324, (-1, -0.5, 0, 0.5, 1)),
    ],
)
def test_ticks_are_round(low: float, high: float, ticks: tuple[float, ...]) -> None:
    assert choose_ticks(low, high, most=7) == pytest.approx(ticks)


@given(NUMBERS, NUMBERS, NUMBERS)
def test_whatever_is_drawn_lies_within_the_figure(low: float, high: float, value: float) -> None:
    axes = Axes.around(NARROW, 0, 1, (low, high))
    assert TOP - 1e-6 <= axes.down(value) <= axes.height - BOTTOM + 1e-6


def test_words_in_a_figure_are_escaped() -> None:
    axes = Axes.around(WIDE, 0, 1, (0, float("nan"), 2))
    drawn = axes.close("<b>", axes.draw_dot("seen", (0.5, 1), "<i>\x1b"), axes.draw_grid(str))
    assert "<b>" not in drawn
    assert "<i>" not in drawn
    assert "\x1b" not in drawn


def test_of_many_things_some_are_named() -> None:
    assert list(spread(3)) == [0, 1, 2]
    assert list(spread(20)) == [0, 3, 6, 9, 12, 15, 18]
    assert list(spread(20, NARROW)) == [0, 10]
    assert list(spread(0)) == []
