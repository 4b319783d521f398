"""What letting a batch in would change, tried on a branch of the lake that is thrown away.

Rows, features, scores, the action list and the money: before anybody decides.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.branch import Branch, open_branch
from tasks.clock import find_time
from tasks.errors import DataRejected, UsageError
from tasks.features.comparison import compare_features
from tasks.features.steps import build, features_of
from tasks.handles import Batch, FeatureTable, RawBatch, Snapshot, Verdict, Waiver
from tasks.impact import How, Preview
from tasks.incidents.waivers import append_waiver
from tasks.intake.ledger import find_asked
from tasks.intake.publication import Replay
from tasks.intake.replay import keep_replacement, recall_raw
from tasks.intake.steps import publish_batch, restage_batch
from tasks.intake.trying import (
    count_days,
    demand_accepted,
    describe_overruled,
    find_replaced,
    known_from,
)
from tasks.moments import read_clock
from tasks.orchestration import without_artifacts
from tasks.progress import show_progress
from tasks.registry.champion import find_champion
from tasks.registry.steps import load_champion
from tasks.scoring.comparison import SCORE_CHANGE, compare_scores
from tasks.validation.steps import validate_batch
from tasks.validation.waiving import list_waivable
from tasks.warehouse import open_lake

if TYPE_CHECKING:
    from tasks.handles import Champion, Predictor
    from tasks.settings import Settings

ACTOR = "preview"
_STAGES = ("branch", "read and judge", "features", "scores")


def preview(
    settings: Settings,
    asked: int | str,
    *,
    raw: RawBatch | None = None,
    file: Path | None = None,
    lift_stops: bool = False,
    waivers: Sequence[Waiver] = (),
    score_change: float = SCORE_CHANGE,
) -> Preview:
    """Take the batch in on a branch and compare; what cannot be taken in comes back `refused`.

    `asked` is its number or name; `raw` or `file` is other content in its place. `waivers` hold
    on the branch beside those in force; `lift_stops` is one of all that stops it, and the rows
    that break a rule stay aside. A score moves if its probability changes by more than
    `score_change`. The lake is only read. Raises UsageError (64) for an unknown batch or file,
    StoredDataCorrupt (74) where the kept bytes are damaged.
    """
    started = time.monotonic()
    with show_progress("preview") as report:

        def say(stage: str) -> None:
            if report is not None:
                report(_STAGES.index(stage), len(_STAGES), stage)

        say("branch")
        with open_lake(settings) as lake:
            batch = find_asked(lake, str(asked))
            serving = load_champion(lake) if find_champion(lake) is not None else None
        with open_branch(settings) as branch, without_artifacts():
            if file is not None:
                raw = keep_replacement(file, batch, branch.settings)
            found = Preview(
                deployment=settings.called,
                batch_number=batch.batch_number,
                batch_name=batch.batch_name,
                table=batch.table,
                how=_name_how(raw, lift_stops=lift_stops, waivers=waivers),
                content_hash=raw.content_hash if raw is not None else batch.content_hash,
            )
            say("read and judge")
            before = branch.snapshot()
            try:
                raw = raw or recall_raw(batch, settings)
                lifted = _lift_stops(raw) if lift_stops else None
                granted = (*waivers, lifted) if lifted is not None else tuple(waivers)
                published, verdict = _take_in(branch, batch, raw, granted)
                demand_accepted(published, settings.called)
            except (DataRejected, UsageError) as refusal:
                said = tuple(line.strip() for line in str(refusal).splitlines())
                return replace(found, refused=said, seconds=time.monotonic() - started)
            replaced = find_replaced(branch, published)
            found = replace(
                found,
                received_rows=published.received_rows,
                accepted_rows=published.accepted_rows,
                quarantined_rows=published.quarantined_rows,
                overruled=describe_overruled(verdict, lifted) if lifted is not None else (),
                replaces_batch_number=replaced,
            )
            if published.already_known:
                return replace(
                    _note(found, "these rows are published already: nothing would change"),
                    seconds=time.monotonic() - started,
                )
            found = replace(found, days=tuple(count_days(branch, published, replaced)))
            say("features")
            found, tables = _compare_features(branch, found, published, before)
            if tables is not None:
                say("scores")
                found = _compare_scores(branch, found, tables, serving, score_change)
    return replace(found, seconds=time.monotonic() - started)


def _name_how(raw: RawBatch | None, *, lift_stops: bool, waivers: Sequence[Waiver]) -> How:
    if raw is not None:
        return "corrected file"
    return "waived" if waivers or lift_stops else "judged again"


def _lift_stops(raw: RawBatch) -> Waiver:
    """A waiver of all that can be waived for this one content; it never leaves the branch."""
    now = read_clock()
    return Waiver(
        waiver_id=ACTOR,
        source=raw.delivery.source,
        rules=tuple(list_waivable(raw.delivery.table)),
        effect="leave_out",
        reason="tried on a branch",
        author=ACTOR,
        granted_at=now,
        ends_at=now + timedelta(days=1),
        batch_name=raw.delivery.batch_name,
        content_hash=raw.content_hash,
    )


def _take_in(
    branch: Branch, batch: Batch, raw: RawBatch, waivers: Sequence[Waiver]
) -> tuple[Batch, Verdict]:
    """Replay the batch with these bytes on the branch, as a person's decision would on the lake."""
    if waivers:
        with branch.publish(ACTOR, f"waive for {batch.batch_name}"):
            for waiver in waivers:
                append_waiver(branch, waiver, None)
    replay = Replay(batch.batch_number)
    staged = restage_batch(branch, raw, branch.settings, ACTOR, replay, True)
    verdict = validate_batch(branch, staged, branch.settings)
    return publish_batch(branch, staged, verdict, ACTOR, True, replay), verdict


def _compare_features(
    branch: Branch, found: Preview, published: Batch, before: Snapshot
) -> tuple[Preview, tuple[FeatureTable, FeatureTable] | None]:
    """Features at the clock that the lake has with the batch, without it and with it."""
    after = branch.snapshot()
    try:
        now = find_time(branch, branch.settings)
    except DataRejected as refusal:
        return _note(found, refusal.what), None
    replaces = found.replaces_batch_number is not None
    counts_from = known_from(branch, published, now.as_of, replaces=replaces)
    known_by = max(now.known_by, counts_from or now.known_by)
    if known_by > now.known_by:
        found = _note(
            found,
            f"a run as of {now.as_of:%Y-%m-%d} counts what is known by"
            f" {now.known_by:%Y-%m-%d %H:%M} UTC, and this batch would be known by"
            f" {known_by:%Y-%m-%d %H:%M} UTC: it is compared as later runs will count it",
        )
    found = replace(found, as_of=now.as_of, known_by=known_by)
    tables = []
    for snapshot, which in ((before, "without"), (after, "with")):
        try:
            tables.append(
                build(branch, (now.as_of,), (known_by,), snapshot, branch.settings.features)
            )
        except DataRejected as refusal:
            return _note(found, f"{which} the batch there are no features: {refusal.what}"), None
    one, other = tables
    return replace(found, features=compare_features(branch, one, other)), (one, other)


def _compare_scores(
    branch: Branch,
    found: Preview,
    tables: tuple[FeatureTable, FeatureTable],
    serving: tuple[Champion, Predictor] | None,
    score_change: float,
) -> Preview:
    if serving is None:
        return _note(found, "there is no champion yet, so no score and no money is compared")
    try:
        scores = compare_scores(
            branch,
            *serving,
            *tables,
            branch.settings,
            threshold=score_change,
            may_miss={
                name: source
                for source, one in branch.settings.intake.sources.items()
                if one.optional
                for name in features_of(one.table)
            },
        )
    except DataRejected as refusal:
        return _note(found, f"scores cannot be compared: {refusal.what} {refusal.found}".strip())
    return replace(found, scores=scores)


def _note(found: Preview, text: str) -> Preview:
    return replace(found, notes=(*found.notes, text))
