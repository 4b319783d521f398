"""What letting a batch in would change, tried on a branch of the lake that is thrown away.

Rows, features, scores, the action list and the money: before anybody decides.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.branch import Branch, open_branch
from tasks.clock import find_time
from tasks.errors import DataRejected, UsageError
from tasks.features.comparison import compare_features
from tasks.features.steps import build
from tasks.handles import Batch, FeatureTable, RawBatch, Snapshot, StagedBatch, Verdict
from tasks.impact import How, Preview
from tasks.intake.publication import publish
from tasks.intake.trying import (
    borrow_file,
    count_days,
    demand_accepted,
    describe_stops,
    find_numbered,
    find_replaced,
    known_from,
    recall_raw,
    reopen,
    stage_again,
)
from tasks.progress import show_progress
from tasks.registry.champion import find_champion
from tasks.registry.steps import load_champion
from tasks.scoring.comparison import SCORE_CHANGE, compare_scores
from tasks.validation.letting_in import let_in as pass_over
from tasks.validation.steps import validate_batch
from tasks.warehouse import open_lake

if TYPE_CHECKING:
    from tasks.handles import Champion, Predictor
    from tasks.settings import Settings

ACTOR = "preview"
_STAGES = ("branch", "read", "judge", "publish", "features", "scores")


def preview(
    settings: Settings,
    asked: int | str,
    *,
    raw: RawBatch | None = None,
    file: Path | None = None,
    let_in: bool = False,
    waivers: Sequence[object] = (),
    score_change: float = SCORE_CHANGE,
) -> Preview:
    """Take the batch in on a branch and compare; what cannot be taken in comes back `refused`.

    `asked` is its number or name; `raw` or `file` is other content in its place; `let_in` passes
    over every rule that stops it, `waivers` over those that they name. A score moves if its
    probability changes by more than `score_change`. The lake is only read. Raises UsageError (64)
    for an unknown batch, StoredDataCorrupt (74) where its kept bytes are damaged.
    """
    started = time.monotonic()
    with show_progress("preview") as report:

        def say(stage: str) -> None:
            if report is not None:
                report(_STAGES.index(stage), len(_STAGES), stage)

        say("branch")
        with open_lake(settings) as lake:
            batch = find_numbered(lake, asked)
            serving = load_champion(lake) if find_champion(lake) is not None else None
        with open_branch(settings) as branch:
            how: How = "let in" if let_in else "judged again"
            found = Preview(
                settings.called, batch.batch_number, batch.batch_name, batch.table, how, ""
            )
            try:
                if file is not None:
                    raw = borrow_file(file, batch, branch.settings)
                if raw is not None:
                    found = replace(found, how="corrected file")
                raw = raw or recall_raw(batch, settings)
                found = replace(found, content_hash=raw.content_hash)
                say("read")
                staged = stage_again(raw, branch.settings)
                say("judge")
                verdict, overruled = _judge(branch, staged, let_in=let_in, waivers=waivers)
                say("publish")
                before = branch.snapshot()
                reopened = reopen(branch, raw)
                published = publish(branch, staged, verdict, ACTOR, supersede=True)
                demand_accepted(published, settings.called)
            except DataRejected as refusal:
                lines = str(refusal).splitlines()
                return replace(
                    found,
                    refused=tuple(line.strip() for line in lines),
                    seconds=time.monotonic() - started,
                )
            replaced = reopened.batch_number if reopened else find_replaced(branch, published)
            found = replace(
                found,
                received_rows=published.received_rows,
                accepted_rows=published.accepted_rows,
                quarantined_rows=published.quarantined_rows,
                overruled=overruled,
                replaces_batch_number=replaced,
                days=tuple(count_days(branch, published, replaced)),
            )
            say("features")
            found, tables = _compare_features(branch, found, published, before)
            if tables is not None:
                say("scores")
                found = _compare_scores(branch, found, tables, serving, score_change)
    return replace(found, seconds=time.monotonic() - started)


def _judge(
    branch: Branch, staged: StagedBatch, *, let_in: bool, waivers: Sequence[object]
) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict as the decision would have it, and the rules that it passes over."""
    if waivers:
        raise UsageError("A preview of waivers is not possible yet.")
    verdict = validate_batch(branch, staged, branch.settings)
    if not let_in or verdict.outcome == "accepted":
        return verdict, ()
    return pass_over(staged, verdict, branch.settings), describe_stops(verdict)


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
        scores = compare_scores(branch, *serving, *tables, branch.settings, threshold=score_change)
    except DataRejected as refusal:
        return _note(found, f"scores cannot be compared: {refusal.what} {refusal.found}".strip())
    return replace(found, scores=scores)


def _note(found: Preview, text: str) -> Preview:
    return replace(found, notes=(*found.notes, text))
