"""A gate decision as pages: what was decided and why, from the data's snapshot to who served.

The pages are Markdown and JSON in the folder `gate` of the MLflow run, and the Prefect artifact of
the night. No customer is in them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.escaping import show_controls

if TYPE_CHECKING:
    from tasks.handles import Decision, TrainingRecord
    from tasks.registry.sheet import Sheet

FOLDER = "gate"
# Names of features and segments come from deliveries: shown as they are, never followed.
_FOLLOWED = str.maketrans({c: f"&#{ord(c)};" for c in "&<>|[]`\\"} | {"\n": " "})
_SAID = {True: "yes", False: "**no**"}


def write_story(
    directory: Path, decision: Decision, record: TrainingRecord, sheet: Sheet | None
) -> None:
    """Write `decision.md`, `criteria.json`, `sheet.md` and `sheet.json` below `directory`/gate."""
    folder = directory / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "decision.md").write_text(tell_decision(decision, record), encoding="utf-8")
    evidence = json.dumps(decision.evidence["criteria"], indent=1, sort_keys=True, default=str)
    (folder / "criteria.json").write_text(evidence + "\n", encoding="utf-8")
    if sheet is not None:
        (folder / "sheet.md").write_text(tell_sheet(sheet, record), encoding="utf-8")
        answers = json.dumps(sheet.rows(), indent=1, sort_keys=True, default=str)
        (folder / "sheet.json").write_text(answers + "\n", encoding="utf-8")


def tell_decision(decision: Decision, record: TrainingRecord | None = None) -> str:
    """The decision as Markdown: outcome, where it comes from, and every criterion's answer."""
    lines = [f"# Gate: {decision.outcome}", "", _in_cell(decision.reason), ""]
    lines += ["| what | which |", "|---|---|"]
    lines += [f"| {name} | {_in_cell(value)} |" for name, value in _trace(decision, record)]
    lines += ["", "| criterion | answer | by what |", "|---|---|---|"]
    lines += [
        f"| {one['name']} | {_answer(one)} | {_in_cell(str(one['detail']))} |"
        for one in decision.evidence["criteria"]
    ]
    return "\n".join(lines) + "\n"


def tell_sheet(sheet: Sheet, record: TrainingRecord) -> str:
    """The model information sheet as Markdown."""
    lines = [
        f"# Model information sheet: {record.deployment}, {record.model.name}",
        "",
        "Every answer was computed. L1 to L3 are the types of leakage of Kapoor and Narayanan"
        " (2023).",
        "",
        f"sha256 of the answers: `{sheet.digest}`",
        "",
        "| | question | clean | answer |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {one.code} | {_in_cell(one.question)} |"
        f" {'**not answered**' if one.unanswered else _SAID[one.passed]} | {_in_cell(one.answer)} |"
        for one in sheet.answers
    ]
    return "\n".join(lines) + "\n"


def _answer(criterion: dict[str, Any]) -> str:
    if criterion["evidence_missing"]:
        return "**no: evidence is missing**"
    return _SAID[bool(criterion["passed"])]


def _trace(decision: Decision, record: TrainingRecord | None) -> list[tuple[str, str]]:
    evidence = decision.evidence
    previous = "none"
    if evidence.get("champion_version") is not None:
        previous = (
            f"version {evidence['champion_version']}, decision {evidence['champion_decision_id']},"
            f" model {evidence['champion_model_hash']}"
        )
    told = [
        ("decision", decision.decision_id),
        ("decided at", f"{decision.decided_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("challenger", f"version {decision.model_version}, model {decision.model_hash}"),
        ("champion before", previous),
        ("best rule", str(evidence.get("rule"))),
        ("data snapshot", str(decision.snapshot_id)),
    ]
    if record is not None:
        told += [
            ("features", f"{record.dataset_name}, sha256 {record.dataset_fingerprint}"),
            ("final cut-off", f"{record.as_of:%Y-%m-%d}, known by {record.known_by:%Y-%m-%d}"),
            ("code", record.git_commit),
            ("libraries", f"requirements.lock sha256 {record.lock_hash}"),
        ]
    return [
        *told,
        ("final customers", f"sha256 {evidence.get('final_customers_fingerprint')}"),
        ("information sheet", f"sheet.md, sha256 {evidence.get('sheet_sha256')}"),
    ]


def _in_cell(text: str) -> str:
    return show_controls(text).translate(_FOLLOWED)
