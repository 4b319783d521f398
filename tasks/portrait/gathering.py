"""What the page is drawn from: findings of the ledger, and what it says of the churn champion."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from tasks.archive import find_findings
from tasks.findings import (
    ActionFindings,
    Contest,
    ForecastFindings,
    Kind,
    Night,
    ReasonFindings,
    SegmentFindings,
    ValueFindings,
    Words,
)
from tasks.warehouse import Lake

N = TypeVar("N", bound=Night)
_SQL = Path(__file__).with_name("sql")


@dataclass(frozen=True, slots=True)
class Champion:
    """The churn champion as the ledger has it, and what it was let in by."""

    name: str
    version: int
    kind: str
    run_id: str | None
    snapshot_id: int
    promoted_at: datetime
    contest: Contest | None


@dataclass(frozen=True, slots=True)
class Portrait:
    """All that one page says; a part that is None has not been found out yet.

    `as_of` is the newest cut-off of any part; `called` is what `-d` takes for the deployment.
    `finding_ids` maps a kind to the run that its figures are of, `former` the groups of the month
    before to their names, since some of them may be no more.
    """

    deployment: str
    called: str
    as_of: datetime
    champion: Champion | None = None
    value: ValueFindings | None = None
    segments: SegmentFindings | None = None
    reasons: ReasonFindings | None = None
    forecasts: ForecastFindings | None = None
    actions: ActionFindings | None = None
    finding_ids: Mapping[Kind, str] | None = None
    former: Mapping[str, Words] | None = None

    @property
    def parts(self) -> dict[Kind, Night | None]:
        """Every kind in the order of the night."""
        return {
            "value": self.value,
            "segments": self.segments,
            "reasons": self.reasons,
            "forecasts": self.forecasts,
            "actions": self.actions,
        }

    @property
    def currency(self) -> str | None:
        """That of the first part that has one."""
        return next((one.currency for one in self.parts.values() if one and one.currency), None)


def gather(lake: Lake, status: Mapping[str, Any], fallback: datetime) -> Portrait:
    """The newest findings of each kind, and the champion that `status` tells of.

    `fallback` is the cut-off of a page on which nothing has been found out yet. Raises
    StoredDataCorrupt (74) for findings that this version cannot read.
    """
    newest = {row["kind"]: row for row in lake.rows(lake.text(_SQL / "newest.sql"))}

    def find(kind: Kind, model: type[N]) -> N | None:
        if kind not in newest:
            return None
        return find_findings(lake, model, finding_id=str(newest[kind]["finding_id"]))

    portrait = Portrait(
        deployment=lake.deployment,
        called=lake.settings.called,
        as_of=fallback,
        champion=_find_champion(lake, status.get("champion")),
        value=find("value", ValueFindings),
        segments=find("segments", SegmentFindings),
        reasons=find("reasons", ReasonFindings),
        forecasts=find("forecasts", ForecastFindings),
        actions=find("actions", ActionFindings),
        finding_ids={kind: str(row["finding_id"]) for kind, row in newest.items()},
    )
    portrait = replace(portrait, former=_find_former(lake, portrait.segments))
    moments = [one.as_of for one in portrait.parts.values() if one is not None]
    return replace(portrait, as_of=max(moments)) if moments else portrait


def _find_former(lake: Lake, found: SegmentFindings | None) -> dict[str, Words]:
    if found is None or found.moved_from is None or found.moved_from == found.as_of:
        return {}
    before = find_findings(lake, SegmentFindings, as_of=found.moved_from)
    return {one.segment_id: one.name for one in before.segments} if before else {}


def _find_champion(lake: Lake, status: Mapping[str, Any] | None) -> Champion | None:
    if status is None:
        return None
    rows = lake.rows(
        lake.text(_SQL / "admission.sql"),
        {"model_name": status["name"], "model_version": status["version"]},
    )
    return Champion(
        name=str(status["candidate"]),
        version=int(status["version"]),
        kind=str(status["kind"]),
        run_id=status["run_id"],
        snapshot_id=int(status["snapshot_id"]),
        promoted_at=datetime.fromisoformat(status["promoted_at"]),
        contest=read_admission(rows[0], status) if rows else None,
    )


def read_admission(decision: Mapping[str, Any], status: Mapping[str, Any]) -> Contest | None:
    """The gate's comparison of the model with the best rule, told of the one that serves.

    None for evidence that lacks a figure; the page then says that it is not known.
    """
    evidence = json.loads(decision["evidence"])
    compared = evidence.get("against_rule") or {}
    names = (
        "profit_amount",
        "other_profit_amount",
        "difference_amount",
        "low_amount",
        "high_amount",
    )
    figures = [compared.get(name) for name in names]
    if not all(isinstance(one, int | float) and math.isfinite(one) for one in figures):
        return None
    model, rule, difference, low, high = (float(one) for one in figures if one is not None)
    rule_name = str(evidence.get("rule") or "rule")
    if decision["outcome"] == "serve_rule":
        return Contest(
            served=rule_name,
            served_kind="rule",
            rival="model",
            measure="profit_amount",
            higher_is_better=True,
            served_figure=rule,
            rival_figure=model,
            difference=-difference,
            low=-high,
            high=-low,
            reason="",
        )
    return Contest(
        served=str(status["candidate"]),
        served_kind="model",
        rival=rule_name,
        measure="profit_amount",
        higher_is_better=True,
        served_figure=model,
        rival_figure=rule,
        difference=difference,
        low=low,
        high=high,
        reason="",
    )
