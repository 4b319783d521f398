"""Figures of a training, drawn from plain values: no customer, no file, no global state.

Every function returns a matplotlib `Figure` of its own (no pyplot, so threads do not share one);
`write_figures` makes the PNG files. A series named as the model is drawn strong, the others,
the baselines, in lighter lines. Points that are not finite are left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.handles import TrainingRecord, Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = Sequence[tuple[float, float]]

_MODEL_COLOUR = "#1f5fa8"
# Okabe and Ito's set, which colour-blind readers can tell apart.
_OTHER_COLOURS = ("#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c8c8c")
_GUIDE_COLOUR = "#9a9a9a"
_DOTS_PER_INCH = 110
# A parameter whose largest value is this many times its smallest is drawn on a log axis.
_LOG_AXIS_RATIO = 50.0
_MAXIMUM_DRIVERS = 12


def plot_calibration(
    bins: Mapping[str, Sequence[tuple[float, float, float]]], model: str
) -> Figure:
    """Share that churned over mean predicted probability, a point a bin, sized by customers."""
    figure, axes = _canvas("Calibration: does 30 % mean 30 %?")
    largest = 0.0
    for name, colour, width in _styles(bins, model):
        points = [point for point in bins[name] if all(map(math.isfinite, point))]
        if not points:
            continue
        predicted, observed, customers = zip(*points, strict=True)
        largest = max(largest, *predicted, *observed)
        most = max(customers) or 1.0
        axes.plot(predicted, observed, color=colour, linewidth=width, label=_plain(name))
        axes.scatter(
            predicted,
            observed,
            s=[12 + 70 * count / most for count in customers],
            color=colour,
            alpha=0.7,
            edgecolors="none",
        )
    top = min(1.0, largest * 1.08) or 1.0
    axes.plot([0, top], [0, top], color=_GUIDE_COLOUR, linestyle="--", linewidth=1, label="perfect")
    axes.set_xlim(0, top)
    axes.set_ylim(0, top)
    axes.set_xlabel("mean predicted probability of churn")
    axes.set_ylabel("share that churned")
    return _finish(figure, axes)


def plot_gain(curves: Mapping[str, Points], model: str) -> Figure:
    """Left: share of churners reached; right: lift, both over the share contacted."""
    figure, (gain, lift) = _panels("Gain and lift: who is reached first", columns=2, width=10.8)
    gain.plot([0, 1], [0, 1], color=_GUIDE_COLOUR, linestyle="--", linewidth=1, label="at random")
    lift.axhline(1.0, color=_GUIDE_COLOUR, linestyle="--", linewidth=1)
    for name, colour, width in _styles(curves, model):
        points = _finite(curves[name])
        gain.plot(*_columns(points), color=colour, linewidth=width, label=_plain(name))
        # Below a hundredth of the customers a lift is noise, and it would set the scale.
        lifted = [(share, reached / share) for share, reached in points if share >= 0.01]
        lift.plot(*_columns(lifted), color=colour, linewidth=width, label=_plain(name))
    gain.set_xlim(0, 1)
    gain.set_ylim(0, 1.02)
    gain.set_ylabel("share of churners reached")
    lift.set_xlim(0, 1)
    lift.set_ylim(bottom=0)
    lift.set_ylabel("lift over random")
    for one in (gain, lift):
        one.set_xlabel("share of customers contacted")
    return _finish(figure, gain)


def plot_precision_recall(
    curves: Mapping[str, Points], model: str, base_rate: float | None = None
) -> Figure:
    """Precision over recall, with the share of churners as the line to beat."""
    figure, axes = _canvas("Precision and recall")
    for name, colour, width in _styles(curves, model):
        # Where nobody is found yet, precision is no number; a curve begins at its first find.
        points = [(recall, found) for recall, found in _finite(curves[name]) if recall > 0]
        axes.plot(*_columns(points), color=colour, linewidth=width, label=_plain(name))
    if base_rate is not None and math.isfinite(base_rate):
        axes.axhline(base_rate, color=_GUIDE_COLOUR, linestyle="--", linewidth=1, label="at random")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("recall: share of churners found")
    axes.set_ylabel("precision: share of the found that churn")
    return _finish(figure, axes)


def plot_profit(
    curves: Mapping[str, Points], model: str, currency: str, budget_share: float | None = None
) -> Figure:
    """Profit of contacting the first x of the list, with the budget as an upright line."""
    figure, axes = _canvas("Profit by share contacted")
    for name, colour, width in _styles(curves, model):
        points = _finite(curves[name])
        axes.plot(*_columns(points), color=colour, linewidth=width, label=_plain(name))
        if name == model and points:
            share, best = max(points, key=lambda point: point[1])
            axes.scatter([share], [best], color=colour, s=36, zorder=3)
            axes.annotate(
                f"best at {share:.0%}: {best:,.0f} {currency}",
                (share, best),
                textcoords="offset points",
                xytext=(8, 6) if share < 0.6 else (-8, 6),
                ha="left" if share < 0.6 else "right",
                fontsize=9,
            )
    axes.axhline(0.0, color=_GUIDE_COLOUR, linewidth=1)
    if budget_share is not None and math.isfinite(budget_share):
        axes.axvline(
            budget_share, color=_GUIDE_COLOUR, linestyle="--", linewidth=1, label="contact budget"
        )
    axes.margins(y=0.12)
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of customers contacted")
    axes.set_ylabel(f"profit, {currency}")
    axes.yaxis.set_major_formatter(lambda value, _position: f"{value:,.0f}")
    return _finish(figure, axes)


def plot_drivers(drivers: Mapping[str, float]) -> Figure:
    """Bars of the mean absolute SHAP value by business driver, largest on top."""
    figure, axes = _canvas("What moves the prediction")
    ranked = sorted(
        ((value, name) for name, value in drivers.items() if math.isfinite(value)), reverse=True
    )[:_MAXIMUM_DRIVERS]
    ranked.reverse()
    places = range(len(ranked))
    axes.barh(places, [value for value, _ in ranked], color=_MODEL_COLOUR, height=0.66)
    axes.set_yticks(list(places), [_plain(name) for _, name in ranked])
    for place, (value, _) in zip(places, ranked, strict=True):
        axes.annotate(
            f"{value:.3g}", (value, place), textcoords="offset points", xytext=(4, -3), fontsize=8
        )
    axes.margins(x=0.12)
    axes.set_xlabel("mean absolute contribution, log-odds (association, not cause)")
    return _finish(figure, axes, legend=False)


def plot_history(trials: Sequence[Trial], objective: str, direction: str = "maximize") -> Figure:
    """Every trial's objective in order, and the best so far."""
    figure, axes = _canvas(f"Tuning history: {_plain(objective)}")
    done = [
        (trial.number, trial.value)
        for trial in trials
        if trial.state == "complete" and trial.value is not None and math.isfinite(trial.value)
    ]
    cut = [
        (trial.number, trial.value)
        for trial in trials
        if trial.state == "pruned" and trial.value is not None and math.isfinite(trial.value)
    ]
    if cut:
        axes.scatter(
            *_columns(cut), s=18, color=_GUIDE_COLOUR, marker="x", label="pruned, on fewer folds"
        )
    if done:
        axes.scatter(
            *_columns(done), s=20, color=_OTHER_COLOURS[3], edgecolors="none", label="trial"
        )
        best = done[0][1]
        so_far: list[tuple[float, float]] = []
        for number, value in done:
            best = max(best, value) if direction == "maximize" else min(best, value)
            so_far.append((number, best))
        axes.step(
            *_columns(so_far), where="post", color=_MODEL_COLOUR, linewidth=2, label="best so far"
        )
    axes.set_xlabel("trial")
    axes.set_ylabel(_plain(objective))
    return _finish(figure, axes)


def plot_parallel_coordinates(
    trials: Sequence[Trial], objective: str, direction: str = "maximize"
) -> Figure:
    """A line a finished trial through its parameters, coloured by the objective; best on top."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    done = sorted(
        (
            trial
            for trial in trials
            if trial.state == "complete" and trial.value is not None and math.isfinite(trial.value)
        ),
        key=lambda trial: (trial.value or 0.0) * (1 if direction == "maximize" else -1),
    )
    names = sorted({name for trial in done for name in trial.params})
    figure, axes = _canvas("Which settings won", width=max(8.0, 1.35 * (len(names) + 1)))
    if not done or not names:
        axes.text(0.5, 0.5, "no finished trial", ha="center", va="center")
        axes.set_axis_off()
        return figure
    values = [trial.value or 0.0 for trial in done]
    # The worst tenth would take most of the colours. `done` runs from worst to best.
    low, high = sorted((values[len(values) // 10], values[-1]))
    norm = Normalize(low, high if high > low else low + 1e-9)
    colours = colormaps["viridis" if direction == "maximize" else "viridis_r"]
    scales = [_Scale([trial.params.get(name) for trial in done]) for name in names]
    for trial in done:
        best = trial is done[-1]
        points = [
            (place, scale.place(trial.params.get(name)))
            for place, (name, scale) in enumerate(zip(names, scales, strict=True))
        ]
        axes.plot(
            *_columns([point for point in points if not math.isnan(point[1])]),
            color="#d1242f" if best else colours(norm(trial.value or 0.0)),
            linewidth=2.6 if best else 1.0,
            alpha=1.0 if best else 0.6,
            label=f"best, trial {trial.number}" if best else None,
        )
    for place, scale in enumerate(scales):
        axes.axvline(place, color="#444444", linewidth=0.8)
        for height, text in scale.ticks:
            axes.annotate(
                text,
                (place, height),
                textcoords="offset points",
                xytext=(4, 0),
                va="center",
                fontsize=7,
                color="#333333",
                bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.6},
            )
    axes.set_xticks(
        range(len(names)),
        [
            _wrapped(name) + ("\n(log)" if s.is_log else "")
            for name, s in zip(names, scales, strict=True)
        ],
        fontsize=8,
    )
    axes.set_yticks([])
    axes.set_ylim(-0.05, 1.05)
    axes.set_xlim(-0.15, len(names) - 0.45)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    figure.colorbar(
        ScalarMappable(norm, colours), ax=axes, label=_plain(objective), fraction=0.03, pad=0.01
    )
    return _finish(figure, axes)


def write_figures(record: TrainingRecord, directory: Path) -> list[Path]:
    """Draw every figure of a training as PNG into `directory`; the files, in reading order."""
    model = record.model.name
    curves = record.curves
    objective, direction = record.objective, record.objective_direction
    figures = {
        "calibration": plot_calibration(curves.calibration, model),
        "gain_and_lift": plot_gain(curves.gain, model),
        "precision_recall": plot_precision_recall(
            curves.precision_recall, model, _base_rate(curves.calibration.get(model, ()))
        ),
        "profit": plot_profit(curves.profit, model, record.currency, record.contact_budget_share),
        "drivers": plot_drivers(record.drivers),
        "trial_history": plot_history(record.trials, objective, direction),
        "parallel_coordinates": plot_parallel_coordinates(record.trials, objective, direction),
    }
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name, figure in figures.items():
        path = directory / f"{name}.png"
        figure.savefig(path, dpi=_DOTS_PER_INCH)
        written.append(path)
    return written


class _Scale:
    """Places a parameter's values on [0, 1]: linear, logarithmic, or by category."""

    def __init__(self, values: Iterable[float | int | str | None]) -> None:
        known = [value for value in values if value is not None]
        self.categories: list[str] = []
        self.is_log = False
        self.low, self.high = 0.0, 1.0
        self.ticks: list[tuple[float, str]] = []
        if any(isinstance(value, str) for value in known):
            self.categories = sorted({str(value) for value in known})
            self.ticks = [(self.place(name), name) for name in self.categories]
            return
        numbers = [float(value) for value in known if math.isfinite(float(value))]
        if not numbers:
            return
        self.low, self.high = min(numbers), max(numbers)
        self.is_log = self.low > 0 and self.high / self.low >= _LOG_AXIS_RATIO
        if self.high == self.low:
            self.ticks = [(0.5, f"{self.low:.3g}")]
            return
        middle = math.sqrt(self.low * self.high) if self.is_log else (self.low + self.high) / 2
        self.ticks = [
            (self.place(value), f"{value:.3g}") for value in (self.low, middle, self.high)
        ]

    def place(self, value: float | int | str | None) -> float:
        if value is None:
            return math.nan
        if self.categories:
            last = len(self.categories) - 1
            return self.categories.index(str(value)) / last if last else 0.5
        if self.high == self.low:
            return 0.5
        number = float(value)
        if self.is_log:
            return math.log(number / self.low) / math.log(self.high / self.low)
        return (number - self.low) / (self.high - self.low)


def _canvas(title: str, *, width: float = 8.0) -> tuple[Figure, Axes]:
    figure, (axes,) = _panels(title, columns=1, width=width)
    return figure, axes


def _panels(title: str, *, columns: int, width: float) -> tuple[Figure, list[Axes]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=13, x=0.01, ha="left")
    axes = list(figure.subplots(1, columns, squeeze=False)[0])
    for one in axes:
        one.grid(color="#e6e6e6", linewidth=0.7)
        one.set_axisbelow(True)
        for side in ("top", "right"):
            one.spines[side].set_visible(False)
    return figure, axes


def _finish(figure: Figure, axes: Axes, *, legend: bool = True) -> Figure:
    # One legend serves both panels of a figure: the same names stand in each.
    handles, _ = axes.get_legend_handles_labels()
    if legend and handles:
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=min(4, len(handles)),
            frameon=False,
            fontsize=9,
        )
    return figure


def _styles(series: Mapping[str, object], model: str) -> list[tuple[str, str, float]]:
    """(name, colour, line width) of every series; the model last, so that it lies on top."""
    others = [name for name in series if name != model]
    styled = [
        (name, _OTHER_COLOURS[place % len(_OTHER_COLOURS)], 1.3)
        for place, name in enumerate(others)
    ]
    return styled + ([(model, _MODEL_COLOUR, 2.4)] if model in series else [])


def _finite(points: Points) -> list[tuple[float, float]]:
    return [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def _columns(points: Points) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _base_rate(bins: Sequence[tuple[float, float, float]]) -> float | None:
    customers = sum(count for _, _, count in bins)
    return sum(share * count for _, share, count in bins) / customers if customers else None


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _wrapped(name: str) -> str:
    words = name.split("_")
    half = (len(words) + 1) // 2
    return "\n".join(filter(None, (" ".join(words[:half]), " ".join(words[half:]))))
