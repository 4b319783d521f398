"""The reasons as text for a flow run and as a study for MLflow: figures, never a customer."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.findings import ReasonFindings
from tasks.handles import FeatureTable
from tasks.reasons.finding import Told
from tasks.settings import Settings
from tasks.studies import StudyRecord


def write_summary(found: ReasonFindings) -> str:
    """Markdown: what holds, by driver, and what it comes to."""
    total = found.explained_customers + found.unstable_customers
    lines = [
        f"As of {found.as_of:%Y-%m-%d}: {found.explained_customers:,} of {total:,} customers have a"
        f" reason that held in {found.refits} refits; the others have no stable reason.",
        "",
        "| driver (association) | weight | agreement |",
        "|---|---:|---:|",
    ]
    lines += [
        f"| {one.words.en} | {one.weight_share:.1%} | {one.agreement_share:.1%} |"
        for one in found.drivers
    ]
    if found.ablation_change is not None:
        lines += [
            "",
            "Setting the features of the top reason to the segment's medians changes the"
            f" probability by {found.ablation_change:+.3f} on average"
            f" ({found.ablation_low:+.3f} to {found.ablation_high:+.3f}).",
        ]
    if found.lead_time is not None and found.lead_time.quantile_days:
        lead = found.lead_time
        lines += [
            "",
            f"Of {lead.lapsed_customers:,} who lapsed, {lead.flagged_customers:,} were flagged"
            f" before, half of them {lead.quantile_days['0.5']:.0f} days or more ahead.",
        ]
    lines += ["", *(f"- {note.en}" for note in found.notes)]
    return "\n".join(lines)


@contextmanager
def describe_study(settings: Settings, told: Told, newest: FeatureTable) -> Iterator[StudyRecord]:
    """The study as MLflow shows it; its files are there as long as the context is open."""
    found = told.findings
    total = found.explained_customers + found.unstable_customers
    metrics = {
        "stable_share": found.explained_customers / total if total else 0.0,
        **{f"weight_{one.driver}": one.weight_share for one in found.drivers},
        **{f"agreement_{one.driver}": one.agreement_share for one in found.drivers},
    }
    optional = {
        "ablation_change": found.ablation_change,
        "ablation_low": found.ablation_low,
        "ablation_high": found.ablation_high,
        "survival_p_value": found.survival_p_value,
        "lead_median_days": (
            found.lead_time.quantile_days.get("0.5") if found.lead_time is not None else None
        ),
    }
    metrics |= {name: value for name, value in optional.items() if value is not None}
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        (directory / "reasons.md").write_text(write_summary(found), encoding="utf-8")
        (directory / "findings.json").write_text(
            found.model_dump_json(indent=1) + "\n", encoding="utf-8"
        )
        yield StudyRecord(
            subject="reasons",
            run_name=f"{found.as_of:%Y-%m-%d} reasons",
            command="holdfast reasons",
            tags={"holdfast.finding_id": told.finding_id, "holdfast.evidence": "association"},
            params={
                "refits": found.refits,
                "agreement_share": settings.reasons.agreement_share,
                "seed": settings.reasons.seed,
                "snapshot_id": found.snapshot_id,
            },
            metrics=metrics,
            dataset_name=newest.table,
            dataset_fingerprint=newest.fingerprint,
            dataset_rows=newest.rows,
            files=directory,
        )
