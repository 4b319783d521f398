"""What MLflow shows of a fit, and how its model is called there. Plain values, never a customer."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING

from tasks.keeping import combine_hashes
from tasks.segments.champion import segments_name
from tasks.segments.model_files import hash_texts
from tasks.segments.refitting import Refitted
from tasks.segments.search import Search
from tasks.studies import StudyRecord
from tasks.tracking.evidence import make_signature
from tasks.tracking.tracker import Registered, Tracker

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from tasks.settings import Settings

_REQUIREMENTS = ("mlflow", "numpy", "pandas", "pyarrow")
COMMAND = "holdfast segments"
_DOTS_PER_INCH = 110


def describe_study(refitted: Refitted, settings: Settings, files: Path) -> StudyRecord:
    """The parent run of a fit; its Pareto plot is drawn into the directory `files`."""
    outcome, search = refitted.outcome, refitted.outcome.search
    plot_front(search).savefig(files / "pareto.png", dpi=_DOTS_PER_INCH)
    params: dict[str, float | int | str] = {
        "served": outcome.contest.served,
        "method": outcome.segmentation["method"],
        "trials": len(search.trials),
        "front": len(search.front),
    }
    if search.chosen is not None:
        params |= {
            f"chosen.{name}": value for name, value in search.chosen.setting.params().items()
        }
        params["chosen.trial"] = search.chosen.number
    metrics = {
        f"{name}.{measure}": value
        for name, values in outcome.measures.items()
        for measure, value in values.items()
    }
    children = sorted(search.front, key=lambda number: -search.trials[number].values["stability"])
    if search.chosen is not None:
        children = [search.chosen.number, *(n for n in children if n != search.chosen.number)]
    return StudyRecord(
        subject="segments",
        run_name=f"{refitted.fitted_as_of:%Y-%m-%d} {outcome.contest.served}",
        command=COMMAND,
        tags={
            "deployment": settings.deployment,
            "as_of": refitted.fitted_as_of.isoformat(),
            "taught_as_of": refitted.taught_as_of.isoformat(),
            "snapshot_id": str(refitted.snapshot_id),
            "dataset_fingerprint": refitted.fingerprint,
            "model_hash": hash_refitted(refitted),
            "served": outcome.contest.served,
            "contest": outcome.contest.reason,
            "chosen_because": search.reason,
        },
        params=params,
        metrics=metrics,
        dataset_name=f"{settings.deployment} features",
        dataset_fingerprint=refitted.fingerprint,
        dataset_rows=refitted.customers,
        files=files,
        trials=tuple(one.record() for one in search.trials),
        child_trials=tuple(children[: settings.tracking.child_runs]),
    )


def plot_front(search: Search) -> Figure:
    """Usefulness over stability of the usable trials, coloured by separation; the front ringed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.set_title("What the search found, and what it chose", loc="left")
    axes.set_xlabel("stability")
    axes.set_ylabel("usefulness")
    usable = [one for one in search.trials if not one.fault]
    if usable:
        separation, stability, usefulness = zip(*(one.objectives for one in usable), strict=True)
        drawn = axes.scatter(stability, usefulness, c=separation, cmap="viridis", s=28)
        figure.colorbar(drawn, ax=axes, label="separation")
    for numbers, label, size in (
        (search.front, "best at something", 90),
        ((search.chosen.number,) if search.chosen else (), "chosen", 220),
    ):
        ringed = [search.trials[number] for number in numbers]
        axes.scatter(
            [one.values["stability"] for one in ringed],
            [one.values["usefulness"] for one in ringed],
            s=size,
            facecolors="none",
            edgecolors="black",
            label=label,
        )
    axes.legend(frameon=False)
    return figure


def hash_refitted(refitted: Refitted) -> str:
    """The model's hash, of its files as they will stand on disk."""
    return combine_hashes(hash_texts(refitted.files))


def register(tracker: Tracker, refitted: Refitted, directory: Path, run_id: str) -> Registered:
    """Log the files in `directory` as pyfunc of the run and register them as a version."""
    kind = refitted.outcome.kind
    return tracker.register_files(
        segments_name(tracker.settings.deployment),
        directory,
        run_id,
        label=kind,
        signature=make_signature(refitted.feature_names, ("segment_id", "name", "name_ko")),
        requirements=[f"{name}=={installed_version(name)}" for name in _REQUIREMENTS],
        purpose=f"Groups of customers of '{tracker.settings.deployment}' with names that stay.",
        description=f"{kind}: {refitted.outcome.segmentation['method']}",
        tags={
            "holdfast.kind": kind,
            "holdfast.model_hash": hash_refitted(refitted),
            "holdfast.snapshot_id": str(refitted.snapshot_id),
            "holdfast.features_fingerprint": refitted.fingerprint,
        },
    )
