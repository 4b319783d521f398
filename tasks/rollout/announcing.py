"""What people hear of a rollout: items for on-call, and the challenger's run in MLflow.

All of it follows from the rollout's latest row, so that it can be done again: a process that died
after the row was written leaves nothing unsaid.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import ServiceDown
from tasks.handles import Cause
from tasks.incidents.queue import raise_incident, resolve_raised
from tasks.rollout.page import read_page
from tasks.rollout.recording import LIVE, Rollout, verdict_of
from tasks.tracking.tracker import CHALLENGER, open_tracker

if TYPE_CHECKING:
    from tasks.warehouse import Lake

_LOG = logging.getLogger("holdfast.rollout")
_SOURCE = "rollout"
_ACTOR = "holdfast"


def announce(lake: Lake, rollout: Rollout) -> None:
    """Raise the items that the latest row calls for, and end those whose cause is gone."""
    for code, headline in _causes(rollout).items():
        cause = Cause(_key(rollout, code), code, "fault", _SOURCE, "", headline)
        report = {"found": rollout.reason, "next": f"holdfast rollout status {rollout.rollout_id}"}
        raise_incident(lake, cause, actor=_ACTOR, report=report)
    if rollout.state == "held":
        return
    for code in ("SAMPLE_RATIO", "ROLLOUT_INCOMPLETE"):
        resolve_raised(
            lake, _key(rollout, code), actor=_ACTOR, reason="the rollout is not held any more"
        )


def show_run(lake: Lake, rollout: Rollout) -> bool:
    """Tell the challenger's run of its rollout, with the page; whether MLflow could be told."""
    run_id = rollout.terms.challenger_run_id
    if not run_id:
        return False
    page = read_page(lake, rollout)
    tags = {
        "rollout": rollout.rollout_id,
        "rollout_state": rollout.state,
        "rollout_stage": f"{rollout.stage + 1} of {len(rollout.plan.stages)}",
        "rollout_reason": rollout.reason,
        "rollout_plan_hash": rollout.terms_hash,
    }
    challenger = rollout.plan.challenger
    version = int(challenger.version) if challenger.version.isdecimal() else None
    try:
        with open_tracker(lake.settings) as store, tempfile.TemporaryDirectory() as temporary:
            tracker = store.of_model(challenger.name)
            (Path(temporary) / "rollout.html").write_text(page, encoding="utf-8")
            tracker.tag_decision(tags, run_id=run_id, version=version)
            tracker.add_files(run_id, Path(temporary))
            if version is None or rollout.state not in LIVE:
                return True
            known = tracker.version_hash(version) == challenger.content_hash
            if known and tracker.alias_version(CHALLENGER) != version:
                tracker.set_alias(CHALLENGER, version)
    except ServiceDown as error:
        _LOG.warning("MLflow does not show this rollout yet: %s", error.what)
        return False
    return True


def _causes(rollout: Rollout) -> dict[str, str]:
    """The items of the latest row: a headline by code, without a value of any row."""
    called = f"rollout {rollout.rollout_id}"
    found = {}
    if rollout.evidence.get("crossed"):
        found["BOTH_ARMS"] = (
            f"{called}: {rollout.evidence['crossed']:,} customers were in both arms and are left"
            " out"
        )
    if rollout.state == "held":
        verdict = verdict_of(rollout)
        is_split = verdict is not None and any(one.is_broken for one in verdict.ratios)
        code = "SAMPLE_RATIO" if is_split else "ROLLOUT_INCOMPLETE"
        found[code] = f"{called} is held: {rollout.reason}"
    if rollout.row_kind == "roll_back":
        code = "CHALLENGER_FAILED" if "breaker" in rollout.evidence else "ROLLOUT_HARM"
        found[code] = f"{called} was rolled back: {rollout.reason}"
    return found


def _key(rollout: Rollout, code: str) -> str:
    return f"{_SOURCE}|{rollout.rollout_id}|{code}"
