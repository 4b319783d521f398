"""The steps of uplift and its ladder, as a flow calls them."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from tasks.archive import find_findings
from tasks.errors import InternalError, ServiceDown
from tasks.evidence import UpliftFindings
from tasks.handles import FeatureTable, Snapshot
from tasks.keeping import holds_files
from tasks.orchestration import publish_markdown, step
from tasks.studies import StudyRecord
from tasks.tracking.tracker import open_tracker
from tasks.uplift import finding, publishing
from tasks.uplift.finding import Plan
from tasks.uplift.kept import verify_learners
from tasks.uplift.report import render, write_curves
from tasks.uplift.serving import find_directory
from tasks.warehouse import Lake

__all__ = ["Plan", "find", "plan", "render", "verify_learners"]

_LOG = logging.getLogger(__name__)


def _plan(
    lake: Lake,
    as_of: datetime,
    known_by: datetime,
    snapshot: Snapshot,
    champion: Mapping[str, Any] | None,
) -> Plan:
    """What went by lot and has matured, and which features are needed to learn from it."""
    return finding.plan_uplift(lake, as_of, known_by, snapshot, champion)


def _find(lake: Lake, plan: Plan, table: FeatureTable | None) -> UpliftFindings:
    """Climb the ladder, judge the strategies, publish; the same evidence twice is one run."""
    if plan.done is not None:
        found, is_new = plan.done, False
    else:
        lake.record_read("uplift", plan.snapshot, plan.as_of, plan.known_by, plan.run_id)
        made = finding.find_uplift(lake, plan, table)
        is_new = publishing.publish_uplift(lake, plan.run_id, made.findings, made.own)
        kept = find_findings(lake, UpliftFindings, finding_id=plan.run_id)
        if kept is None:
            raise InternalError("The evidence that was published is not there.", found=plan.run_id)
        found = kept
    publish_markdown(f"uplift {lake.deployment}", render(found), "What contacts bring, by lot")
    if is_new:
        _log_study(lake, plan, found, table)
    return found


def _log_study(lake: Lake, plan: Plan, found: UpliftFindings, table: FeatureTable | None) -> None:
    """Into MLflow, after the ledger has it: a store that is down costs a warning."""
    with tempfile.TemporaryDirectory() as temporary:
        files = Path(temporary)
        (files / "uplift.md").write_text(render(found), encoding="utf-8")
        (files / "findings.json").write_text(
            json.dumps(found.model_dump(mode="json"), indent=2, ensure_ascii=False),
            encoding="utf-8",
        )
        write_curves(found, files)
        _copy_learners(lake, found, files / "learners")
        levels = [cell.level for cell in found.cells]
        record = StudyRecord(
            subject="uplift",
            run_name=f"uplift {found.as_of:%Y-%m-%d}",
            command=f"holdfast -d {lake.settings.called} uplift",
            tags={
                "finding_id": plan.run_id,
                "as_of": found.as_of.isoformat(),
                "known_by": found.known_by.isoformat(),
                "snapshot_id": str(found.snapshot_id),
                "unlocked": ", ".join(one.action for one in found.studies if one.unlocked),
                "declared_by": "; ".join(
                    f"{one.source}: {one.declared_by}" for one in found.vouchers if one.declared_by
                ),
            },
            params={
                f"uplift.{key}": str(value)
                for key, value in lake.settings.uplift.model_dump(mode="json").items()
            },
            metrics={
                "highest_level": float(max(levels, default=0)),
                "cells": float(len(levels)),
                **{
                    f"{study.action}.{one.name}.qini": one.qini
                    for study in found.studies
                    for one in study.strategies
                    if one.qini is not None
                },
            },
            dataset_name=f"{lake.deployment}.trial" if table is None else table.table,
            dataset_fingerprint=plan.run_id if table is None else table.fingerprint,
            dataset_rows=0 if table is None else table.rows,
            files=files,
        )
        try:
            with open_tracker(lake.settings) as tracker:
                tracker.finish_run(tracker.log_study(record))
        except ServiceDown as error:
            _LOG.warning("The evidence is published but not logged to MLflow: %s", error.what)


def _copy_learners(lake: Lake, found: UpliftFindings, target: Path) -> None:
    for study in found.studies:
        if study.kept is None:
            continue
        directory = find_directory(lake.settings.home, lake.deployment, study.kept.model_hash)
        if holds_files(directory, study.kept.files):
            shutil.copytree(directory, target / directory.name)


plan = step(_plan, name="plan uplift")
find = step(_find, name="climb the evidence ladder")
