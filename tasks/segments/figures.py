"""Figures of a segmentation for its MLflow run: plotly ones to look into, small PNGs to glance at.

Drawn from findings alone, so they hold no customer. The page for marketing draws its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import DiskFailure
from tasks.findings import MapPoint, Movement, SegmentFindings
from tasks.segments.memory import GONE, NEW

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture
    from plotly.graph_objects import Figure

CAPTION = "A map shows who is near whom. It is no evidence that the groups are separate."
# Okabe and Ito's set, which colour-blind readers can tell apart.
_COLOURS = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#8c8c8c",
)  # fmt: skip
_GREY = "#9a9a9a"
_MOST_SPOKES = 8
_DOTS_PER_INCH = 110

# A trial on the Pareto plot: (separation, stability, use), and whether it was chosen.
Trial = tuple[float, float, float]


def draw_movements(movements: Sequence[Movement], names: Mapping[str, str]) -> Figure:
    """Sankey of who went where; `names` says a segment id in words."""
    from plotly.graph_objects import Figure, Sankey

    froms = sorted({m.from_id for m in movements}, key=lambda key: (key == NEW, key))
    tos = sorted({m.to_id for m in movements}, key=lambda key: (key == GONE, key))
    left = {key: place for place, key in enumerate(froms)}
    right = {key: len(froms) + place for place, key in enumerate(tos)}
    colours = _colour({*froms, *tos} - {NEW, GONE})
    figure = Figure(
        Sankey(
            node={
                "label": [names.get(key, key) for key in [*froms, *tos]],
                "color": [colours.get(key, _GREY) for key in [*froms, *tos]],
            },
            link={
                "source": [left[m.from_id] for m in movements],
                "target": [right[m.to_id] for m in movements],
                "value": [m.customers for m in movements],
            },
        )
    )
    return _titled(figure, "Who moved where")


def draw_map(
    points: Sequence[MapPoint], names: Mapping[str, str], title: str, caption: str = CAPTION
) -> Figure:
    """Scatter of a sample, one colour a segment, with the warning underneath."""
    from plotly.graph_objects import Figure, Scatter

    figure = Figure()
    for key, colour in _colour({point.segment_id for point in points}).items():
        own = [point for point in points if point.segment_id == key]
        figure.add_trace(
            Scatter(
                x=[point.x for point in own],
                y=[point.y for point in own],
                mode="markers",
                name=names.get(key, key),
                marker={"size": 5, "color": colour, "opacity": 0.7},
            )
        )
    figure.add_annotation(
        text=caption, xref="paper", yref="paper", x=0, y=-0.14, showarrow=False, xanchor="left"
    )
    return _titled(figure, title)


def draw_heat(
    heat: Mapping[str, Sequence[float]], features: Sequence[str], names: Mapping[str, str]
) -> Figure:
    """Heat map: how far a segment's median is from everybody's, in robust deviations."""
    from plotly.graph_objects import Figure, Heatmap

    keys = sorted(heat)
    figure = Figure(
        Heatmap(
            z=[list(heat[key]) for key in keys],
            x=list(features),
            y=[names.get(key, key) for key in keys],
            colorscale="RdBu",
            zmid=0,
        )
    )
    return _titled(figure, "What sets the segments apart")


def draw_radar(
    heat: Mapping[str, Sequence[float]], features: Sequence[str], names: Mapping[str, str]
) -> Figure:
    """Radar of the features that differ most between segments, eight at most."""
    from plotly.graph_objects import Figure, Scatterpolar

    widths = [
        (max(column) - min(column), -place)
        for place, column in enumerate(zip(*heat.values(), strict=True))
    ]
    spokes = sorted(-place for _, place in sorted(widths, reverse=True)[:_MOST_SPOKES])
    figure = Figure()
    for key, colour in _colour(set(heat)).items():
        figure.add_trace(
            Scatterpolar(
                r=[heat[key][place] for place in [*spokes, *spokes[:1]]],
                theta=[features[place] for place in [*spokes, *spokes[:1]]],
                name=names.get(key, key),
                line={"color": colour},
            )
        )
    return _titled(figure, "Profiles, in robust deviations from everybody")


def draw_tree(tree: Sequence[tuple[float, float, float, float]], labels: Sequence[str]) -> Figure:
    """Dendrogram of the centroids; `labels` are the leaves in the linkage's order."""
    from plotly.graph_objects import Figure, Scatter

    figure = Figure()
    if tree:
        drawn = _branches(tree)
        for across, up in zip(drawn["icoord"], drawn["dcoord"], strict=True):
            figure.add_trace(
                Scatter(x=across, y=up, mode="lines", line={"color": _COLOURS[0]}, showlegend=False)
            )
        # SciPy sets leaf number i at 5 + 10·i.
        figure.update_xaxes(
            tickvals=[5 + 10 * place for place in range(len(labels))],
            ticktext=[labels[leaf] for leaf in drawn["leaves"]],
        )
    return _titled(figure, "Which segments are alike")


def draw_pareto(trials: Sequence[Trial], chosen: int | None) -> Figure:
    """Stability over separation, coloured by use; the chosen trial is ringed."""
    from plotly.graph_objects import Figure, Scatter

    figure = Figure(
        Scatter(
            x=[trial[0] for trial in trials],
            y=[trial[1] for trial in trials],
            mode="markers",
            marker={
                "color": [trial[2] for trial in trials],
                "colorscale": "Viridis",
                "showscale": True,
                "colorbar": {"title": {"text": "use"}},
            },
            text=[f"trial {place}" for place in range(len(trials))],
            showlegend=False,
        )
    )
    if chosen is not None:
        figure.add_trace(
            Scatter(
                x=[trials[chosen][0]],
                y=[trials[chosen][1]],
                mode="markers",
                marker={"size": 18, "symbol": "circle-open", "color": "black"},
                name="chosen",
            )
        )
    figure.update_xaxes(title="separation")
    figure.update_yaxes(title="stability")
    return _titled(figure, "Trials: separation, stability, use")


def plot_heat(
    heat: Mapping[str, Sequence[float]], features: Sequence[str], names: Mapping[str, str]
) -> Picture:
    """The heat map as a small picture."""
    picture, axes = _picture(9.0, 1.5 + 0.45 * len(heat))
    keys = sorted(heat)
    rows = [list(heat[key]) for key in keys]
    largest = max((abs(value) for row in rows for value in row), default=0.0) or 1.0
    drawn = axes.imshow(rows, cmap="RdBu", vmin=-largest, vmax=largest, aspect="auto")
    axes.set_xticks(range(len(features)), features, rotation=60, ha="right", fontsize=7)
    axes.set_yticks(range(len(keys)), [names.get(key, key) for key in keys], fontsize=8)
    picture.colorbar(drawn, ax=axes, label="robust deviations")
    return picture


def plot_map(points: Sequence[MapPoint], names: Mapping[str, str], title: str) -> Picture:
    """A map as a small picture, with its warning."""
    picture, axes = _picture(7.0, 5.0)
    for key, colour in _colour({point.segment_id for point in points}).items():
        own = [point for point in points if point.segment_id == key]
        axes.scatter(
            [point.x for point in own],
            [point.y for point in own],
            s=6,
            color=colour,
            alpha=0.7,
            label=names.get(key, key),
        )
    axes.set_title(title, loc="left")
    axes.set_xlabel(CAPTION, fontsize=7)
    axes.set_xticks([])
    axes.set_yticks([])
    picture.legend(loc="outside right upper", fontsize=7, frameon=False)
    return picture


def write_figures(
    findings: SegmentFindings,
    directory: Path,
    *,
    tree_ids: Sequence[str] = (),
    trials: Sequence[Trial] = (),
    chosen: int | None = None,
) -> list[Path]:
    """Write the figures into `directory`: one page that needs no network, and PNGs; the files.

    `tree_ids` are the leaves of `findings.tree`, by default the segments' ids in order. Raises
    DiskFailure (73).
    """
    names = {segment.segment_id: segment.name.en for segment in findings.segments}
    features = [words.en for words in findings.heat_features]
    leaves = [names.get(key, key) for key in (tree_ids or sorted(findings.heat))]
    figures = {
        "movements": draw_movements(findings.movements, names),
        "map_pca": draw_map(findings.pca_map, names, "Map by PCA"),
        "map_tsne": draw_map(findings.tsne_map, names, "Map by t-SNE"),
        "profiles_heat": draw_heat(findings.heat, features, names),
        "profiles_radar": draw_radar(findings.heat, features, names),
        "tree": draw_tree(findings.tree, leaves),
    }
    if trials:
        figures["pareto"] = draw_pareto(trials, chosen)
    pictures = {
        "profiles_heat": plot_heat(findings.heat, features, names),
        "map_pca": plot_map(findings.pca_map, names, "Map by PCA"),
        "map_tsne": plot_map(findings.tsne_map, names, "Map by t-SNE"),
    }
    written = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        page = directory / "segments.html"
        page.write_text(_write_page(figures), encoding="utf-8")
        written.append(page)
        for name, picture in pictures.items():
            path = directory / f"{name}.png"
            picture.savefig(path, dpi=_DOTS_PER_INCH)
            written.append(path)
    except OSError as error:
        raise DiskFailure(
            "The figures of the segments could not be written.", found=str(error)
        ) from error
    return written


def _write_page(figures: Mapping[str, Figure]) -> str:
    """All figures under each other, the library (5 MB) once."""
    parts = [
        figure.to_html(full_html=False, include_plotlyjs=place == 0, div_id=name)
        for place, (name, figure) in enumerate(figures.items())
    ]
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Segments</title>'
    return "\n".join([head, *parts, "</html>", ""])


def _colour(keys: set[str]) -> dict[str, str]:
    return {key: _COLOURS[place % len(_COLOURS)] for place, key in enumerate(sorted(keys))}


def _branches(tree: Sequence[tuple[float, float, float, float]]) -> dict[str, Any]:
    import numpy as np
    from scipy.cluster.hierarchy import dendrogram

    drawn: dict[str, Any] = dendrogram(np.asarray(tree, dtype=np.float64), no_plot=True)
    return drawn


def _titled(figure: Figure, title: str) -> Figure:
    figure.update_layout(title=title, template="plotly_white", margin={"t": 60, "b": 90})
    return figure


def _picture(width: float, height: float) -> tuple[Picture, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Picture

    picture = Picture(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(picture)
    return picture, picture.subplots()
