"""Figures are drawn from whatever a training found, the thin and the broken included."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.handles import Curves, Trial
from tasks.plots import (
    plot_calibration,
    plot_drivers,
    plot_history,
    plot_parallel_coordinates,
    plot_profit,
    write_figures,
)
from tests.tracking.records import (
    MODEL,
    RULE,
    make_candidate,
    make_curves,
    make_record,
    make_trials,
)


def test_every_figure_is_a_png_and_the_same_each_time(tmp_path: Path) -> None:
    candidate = make_candidate(tmp_path)
    record = make_record(candidate, replace(candidate, kind="rule", name=RULE), "shop")
    first = [path.read_bytes() for path in write_figures(record, tmp_path / "a")]
    second = [path.read_bytes() for path in write_figures(record, tmp_path / "b")]
    assert len(first) == 7
    assert all(data.startswith(b"\x89PNG") for data in first)
    assert first == second


def test_nothing_to_draw_is_no_error(tmp_path: Path) -> None:
    candidate = make_candidate(tmp_path)
    empty = replace(
        make_record(candidate, candidate, "shop"),
        trials=(),
        curves=Curves({}, {}, {}, {}),
        drivers={},
    )
    assert len(write_figures(empty, tmp_path / "a")) == 7


def test_points_that_are_no_numbers_are_left_out() -> None:
    figure = plot_profit({MODEL: [(0.0, 0.0), (0.5, math.nan), (1.0, 10.0)]}, MODEL, "GBP")
    (line, *_) = figure.axes[0].get_lines()
    assert list(line.get_ydata()) == [0.0, 10.0]
    broken = plot_calibration({MODEL: [(0.2, math.inf, 5.0), (0.4, 0.5, 9.0)]}, MODEL)
    assert list(broken.axes[0].get_lines()[0].get_xdata()) == [0.4]


def test_the_model_lies_on_top_of_the_baselines() -> None:
    figure = plot_profit(make_curves().profit, MODEL, "GBP", 0.1)
    labels = [line.get_label() for line in figure.axes[0].get_lines()]
    assert labels[:3] == [RULE, "logistic", MODEL]
    assert "contact budget" in labels


@pytest.mark.parametrize(("direction", "best"), [("maximize", 0.9), ("minimize", 0.1)])
def test_best_so_far_follows_the_direction(direction: str, best: float) -> None:
    trials = [
        Trial(number, "complete", value, {"rate": 0.1 * (number + 1)}, 1.0)
        for number, value in enumerate([0.5, 0.9, 0.1, 0.4])
    ]
    axes = plot_history(trials, "log_loss", direction).axes[0]
    assert list(axes.get_lines()[-1].get_ydata())[-1] == best
    parallel = plot_parallel_coordinates(trials, "log_loss", direction).axes[0]
    labels = {line.get_label() for line in parallel.get_lines()}
    assert f"best, trial {1 if best == 0.9 else 2}" in labels


def test_drivers_are_ranked_and_few() -> None:
    axes = plot_drivers({f"driver_{n}": float(n) for n in range(30)}).axes[0]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[-1] == "driver 29"
    assert len(labels) == 12


def test_categories_and_constants_have_axes_of_their_own() -> None:
    trials = [replace(trial, params={**trial.params, "seed": 7}) for trial in make_trials()]
    names = [
        t.get_text() for t in plot_parallel_coordinates(trials, "auc").axes[0].get_xticklabels()
    ]
    assert any("(log)" in name for name in names)
    assert "seed" in names
    assert "boosting" in names
