"""The steps of the segments, as a flow calls them."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path

from tasks.archive import recall_findings
from tasks.crash import crash_point
from tasks.errors import Refused, ServiceDown, StoredDataCorrupt
from tasks.escaping import escape_markdown
from tasks.findings import SegmentFindings
from tasks.handles import FeatureTable
from tasks.orchestration import publish_markdown, step
from tasks.progress import show_progress
from tasks.segments import assigning
from tasks.segments.champion import (
    Promotion,
    Segmented,
    find_segmented,
    models_directory,
    promote,
    segments_name,
)
from tasks.segments.contest import one_thread
from tasks.segments.data import plan_cutoffs
from tasks.segments.describing import describe_segments, present_names
from tasks.segments.figures import write_figures
from tasks.segments.model_files import hash_texts, write_model
from tasks.segments.refitting import Refitted, is_due, refit
from tasks.segments.registering import describe_study, hash_refitted, register
from tasks.tracking.tracker import CHALLENGER, CHAMPION, open_tracker
from tasks.warehouse import Lake

__all__ = ["assign_segments", "find_segments", "plan_cutoffs"]

_LOG = logging.getLogger("holdfast.segments")


def _find_segments(lake: Lake, table: FeatureTable) -> Segmented:
    """The segmentation that serves; found anew where none does, the last is old or its files gone.

    `table` holds the cut-offs of `plan_cutoffs`, labelled. Raises DataRejected (65) where there
    are too few customers or features to find groups.
    """
    old = find_segmented(lake)
    if old is not None and not is_due(old, table.as_of[-1], lake.settings.segments):
        try:
            old.open()
        except (Refused, StoredDataCorrupt) as error:
            # It would be the same fit again: the data and the seed are.
            _LOG.error("INTEGRITY: %s The segments are found anew.", " ".join(str(error).split()))
        else:
            _mirror(lake, old)
            return old
    lake.record_read("segments", table.snapshot_id, table.as_of[-1], table.known_by[-1])
    with show_progress("finding segments") as report:
        refitted = refit(
            lake,
            table,
            old,
            None if report is None else lambda done, total: report(done, total, None),
        )
    return _admit(lake, refitted, old)


def _assign_segments(lake: Lake, table: FeatureTable, segmented: Segmented) -> SegmentFindings:
    """Put every customer of the newest cut-off into a segment and publish; once a night's data."""
    sources = assigning.find_sources(lake, table.as_of[-1])
    previous = assigning.find_previous(lake, table.as_of[-1])
    run_id = assigning.name_run(lake, table, segmented, sources, previous)
    found = recall_findings(lake, SegmentFindings, run_id)
    if found is None:
        assigner = segmented.open()
        assigning.assign_customers(lake, table, assigner)
        with one_thread():
            found = describe_segments(lake, table, segmented, assigner, sources, previous)
        names = {one: words.en for one, words in present_names(assigner, lake.settings).items()}
        found = assigning.publish(lake, run_id, found, names)
        if segmented.run_id is not None and segmented.fitted_as_of == found.as_of:
            _show_run(lake, segmented.run_id, found)
    _show(found)
    return found


def _admit(lake: Lake, refitted: Refitted, old: Segmented | None) -> Segmented:
    """Show the fit to MLflow if it answers, keep its files, and let it serve."""
    home = models_directory(lake.settings.home, lake.deployment)
    model_hash = hash_refitted(refitted)
    unregistered = home / f"fit-{model_hash[:12]}"
    directory = write_model(unregistered, refitted.files)
    version, run_id = None, None
    try:
        with open_tracker(lake.settings) as tracker, tempfile.TemporaryDirectory() as temporary:
            run_id = tracker.log_study(describe_study(refitted, lake.settings, Path(temporary)))
            version = register(tracker, refitted, directory, run_id).version
            tracker.finish_run(run_id)
    except ServiceDown as error:
        _LOG.warning("MLflow does not show this fit: %s", " ".join(str(error).split()))
    if version is not None:
        directory = write_model(_place(home / str(version), model_hash), refitted.files)
    outcome = refitted.outcome
    segmented = promote(
        lake,
        Promotion(
            files=hash_texts(refitted.files),
            directory=directory,
            kind=outcome.kind,
            method=str(outcome.segmentation["method"]),
            reason=outcome.reason,
            fitted_as_of=refitted.fitted_as_of,
            taught_as_of=refitted.taught_as_of,
            contest=outcome.contest,
            measures=outcome.measures,
            events=refitted.events,
            used_ids=refitted.used_ids,
            snapshot_id=refitted.snapshot_id,
            version=version,
            run_id=run_id,
        ),
        old.decision_id if old is not None else None,
    )
    if directory != unregistered:
        shutil.rmtree(unregistered, ignore_errors=True)
    _mirror(lake, segmented)
    return segmented


def _place(directory: Path, model_hash: str) -> Path:
    """A version's directory; another where a rebuilt registry counts from 1 again."""
    return (
        directory.with_name(f"{directory.name}-{model_hash[:12]}")
        if directory.exists()
        else directory
    )


def _mirror(lake: Lake, segmented: Segmented) -> None:
    """Make MLflow's alias say what the ledger says; the ledger stands where MLflow is down."""
    if segmented.version is None:
        return
    try:
        with open_tracker(lake.settings) as store:
            tracker = store.of_model(segments_name(lake.deployment))
            if tracker.alias_version(CHAMPION) == segmented.version:
                return
            if tracker.version_hash(segmented.version) != segmented.model_hash:
                _LOG.warning(
                    "Version %s of the segments is not in MLflow any more; our own copy serves.",
                    segmented.version,
                )
                return
            crash_point("segments.before_alias")
            tracker.set_alias(CHAMPION, segmented.version)
            if tracker.alias_version(CHALLENGER) == segmented.version:
                tracker.set_alias(CHALLENGER, None)
    except ServiceDown as error:
        _LOG.warning("MLflow's alias waits: %s", " ".join(str(error).split()))


def _show_run(lake: Lake, run_id: str, found: SegmentFindings) -> None:
    """Profiles, maps and movements beside the fit's trials; the findings stand without."""
    try:
        with open_tracker(lake.settings) as tracker, tempfile.TemporaryDirectory() as temporary:
            write_figures(found, Path(temporary))
            tracker.add_files(run_id, Path(temporary))
    except ServiceDown as error:
        _LOG.warning("MLflow does not show the segments: %s", " ".join(str(error).split()))


def _show(found: SegmentFindings) -> None:
    lines = [
        f"{sum(one.customers for one in found.segments):,} customers as of"
        f" {found.as_of:%Y-%m-%d} in {len(found.segments)} segments: {found.method}.",
        "",
        f"Served: **{found.contest.served}**; {found.contest.reason}",
        "",
        "| segment | customers | share | risk | left before | worth | at risk |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for one in found.segments:
        risk = "" if one.risk_share is None else f"{one.risk_share:.1%}"
        churn = "" if one.churn_share is None else f"{one.churn_share:.1%}"
        lines.append(
            f"| {escape_markdown(f'{one.name.en} / {one.name.ko}')} | {one.customers:,}"
            f" | {one.customers_share:.1%}"
            f" | {risk} | {churn} | {one.value_amount:,.0f} | {one.at_risk_amount:,.0f} |"
        )
    publish_markdown(
        f"segments {found.deployment}", "\n".join(lines), "The segments and what they are worth"
    )


find_segments = step(_find_segments, name="find segments")
assign_segments = step(_assign_segments, name="assign segments", retries=1)
