"""The steps of the segments, as a flow calls them."""

from __future__ import annotations

import logging
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Literal

from tasks.archive import recall_findings
from tasks.crash import crash_point
from tasks.errors import Refused, ServiceDown, StoredDataCorrupt
from tasks.escaping import escape_markdown
from tasks.findings import SegmentFindings
from tasks.handles import FeatureTable
from tasks.orchestration import publish_markdown, step
from tasks.progress import show_progress
from tasks.segments import assigning
from tasks.segments.arms import Trial, group_arm
from tasks.segments.challengers import (
    admit,
    find_all,
    find_challenger,
    promote_challenger,
    require_segmented,
    take_back,
)
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

__all__ = [
    "Segmented",
    "Trial",
    "assign_segments",
    "find_challenger",
    "find_segmented",
    "find_segments",
    "mirror",
    "plan_cutoffs",
    "promote_challenger",
    "require_segmented",
    "take_back",
]

_LOG = logging.getLogger("holdfast.segments")
Newer = Literal["serve", "wait", "none"]


def _find_segments(lake: Lake, table: FeatureTable, newer: Newer = "serve") -> Segmented:
    """The segmentation that serves; found anew where none does, the last is old or its files gone.

    `newer` says what becomes of groups found beside sound ones: they 'serve' at once, 'wait' as a
    candidate, or are not looked for ('none'). `table` holds the cut-offs of `plan_cutoffs`,
    labelled. Raises DataRejected (65) where there are too few customers or features to find groups.
    """
    old = find_segmented(lake)
    beside = False
    if old is not None:
        known = find_all(lake)
        try:
            old.open()
        except (Refused, StoredDataCorrupt) as error:
            # It would be the same fit again: the data and the seed are.
            _LOG.error("INTEGRITY: %s The segments are found anew.", " ".join(str(error).split()))
        else:
            settings = lake.settings.segments
            if newer == "none" or not is_due(old, table.as_of[-1], settings, known.newest_as_of):
                _mirror(lake, old)
                return old
            beside = newer == "wait"
        old = known.lend_ids(old)
    lake.record_read("segments", table.snapshot_id, table.as_of[-1], table.known_by[-1])
    with show_progress("finding segments") as report:
        refitted = refit(
            lake,
            table,
            old,
            None if report is None else lambda done, total: report(done, total, None),
            beside=beside,
        )
    promotion = _keep(lake, refitted)
    if old is not None and beside:
        candidate = admit(lake, promotion, old)
        _LOG.info("Version %s of the segments waits for a rollout.", candidate.label)
        found = old
    else:
        found = promote(lake, promotion, old.decision_id if old is not None else None)
    _drop_unregistered(lake, refitted)
    _mirror(lake, found)
    return found


def _assign_segments(
    lake: Lake, table: FeatureTable, segmented: Segmented, trial: Trial | None = None
) -> SegmentFindings:
    """Put every customer of the newest cut-off into a segment and publish; once a night's data.

    While a rollout is running, its `trial` groups its share of them.
    """
    sources = assigning.find_sources(lake, table.as_of[-1])
    previous = assigning.find_previous(lake, table.as_of[-1])
    known = find_all(lake)
    segmented = known.lend_ids(segmented)
    # What has been found this very night and waits.
    candidate = next((one for one in known.admitted if one.fitted_as_of == table.as_of[-1]), None)
    beside = [candidate.decision_id] if candidate is not None else []
    beside += trial.arm.parts if trial is not None else ()
    run_id = assigning.name_run(lake, table, segmented, sources, previous, beside)
    found = recall_findings(lake, SegmentFindings, run_id)
    if found is None:
        assigner = segmented.open()
        assigning.assign_customers(lake, table, assigner)
        arm = group_arm(lake, table, trial) if trial is not None else None
        with one_thread():
            found = describe_segments(
                lake,
                table,
                segmented,
                assigner,
                sources,
                previous,
                arm,
                candidate,
                known.newest_as_of,
            )
        words = present_names(assigner, lake.settings, arm)
        names = {key: name.en for key, name in words.items()}
        record = partial(arm.record, lake, run_id) if arm is not None else None
        found = assigning.publish(lake, run_id, found, names, record)
        if segmented.run_id is not None and segmented.serves_as_of == found.as_of:
            _show_run(lake, segmented.run_id, found)
    _show(found)
    return found


def mirror(lake: Lake) -> None:
    """Make MLflow's alias say who serves by the ledger."""
    segmented = find_segmented(lake)
    if segmented is not None:
        _mirror(lake, segmented)


def _keep(lake: Lake, refitted: Refitted) -> Promotion:
    """Show the fit to MLflow if it answers, and keep its files; all that a promotion needs."""
    home = models_directory(lake.settings.home, lake.deployment)
    model_hash = hash_refitted(refitted)
    directory = write_model(_unregistered(lake, model_hash), refitted.files)
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
    return Promotion(
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
    )


def _unregistered(lake: Lake, model_hash: str) -> Path:
    """Where a fit stands until it has a version."""
    return models_directory(lake.settings.home, lake.deployment) / f"fit-{model_hash[:12]}"


def _drop_unregistered(lake: Lake, refitted: Refitted) -> None:
    """Drop it once the fit stands under its version, unless some decision goes by it."""
    unregistered = _unregistered(lake, hash_refitted(refitted))
    named = "select count(*) from lake.ledger.decisions where evidence ->> 'directory' = $name"
    if not lake.scalar(named, {"name": unregistered.name}):
        shutil.rmtree(unregistered, ignore_errors=True)


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
    lines += [""] + [
        f"Rollout {one.rollout_id}, {one.arm}'s arm: {one.customers:,} customers by version"
        f" {escape_markdown(one.version)}, {one.fell_back_customers:,} of them left to the"
        " champion."
        for one in found.arms
    ]
    publish_markdown(
        f"segments {found.deployment}", "\n".join(lines), "The segments and what they are worth"
    )


find_segments = step(_find_segments, name="find segments")
assign_segments = step(_assign_segments, name="assign segments", retries=1)
