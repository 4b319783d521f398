"""The ladder and the contest as Markdown and as a figure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.escaping import escape_markdown
from tasks.evidence import Effect, EvidenceCell, UpliftFindings, UpliftStudy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def render(found: UpliftFindings) -> str:
    """The findings in Markdown: shares and amounts, nobody's name."""
    lines = [
        f"What contacts bring, as of {found.as_of:%Y-%m-%d}, in {found.horizon_days} days;"
        f" {found.confidence:.0%} intervals that hold at every look.",
        "",
        f"Level 1: {found.ranking.words.en}",
        "",
        "| level | action | for | contacted | not | lapses | margin each | p (Holm) | needs |",
        "|--:|---|---|--:|--:|---|---|--:|---|",
    ]
    lines += [
        f"| {cell.level} | {escape_markdown(cell.action)} | {escape_markdown(name_cell(cell))}"
        f" | {cell.customers:,} | {cell.controls:,} | {tell_lapse(cell.lapse)}"
        f" | {tell_margin(cell.margin)} | {tell_p_value(cell)}"
        f" | {escape_markdown(cell.needs.en)} |"
        for cell in found.cells
    ]
    for study in found.studies:
        lines += ["", f"**{escape_markdown(study.action)}**: {escape_markdown(study.reason.en)}"]
        if study.kept is not None:
            lines += ["", escape_markdown(say_own(study))]
        if study.strategies:
            lines += [
                "",
                "| way to choose | contacted | Qini | for the better, of 1,000"
                f" | {found.currency}, of 1,000 |",
                "|---|--:|---|---|---|",
            ]
        lines += [
            f"| {name} | {share} | {qini} | {good} | {money} |"
            for name, share, qini, good, money in list_strategies(study)
        ]
    lines += ["", *(f"- {escape_markdown(one)}" for one in say_vouchers(found))]
    lines += [f"- {escape_markdown(one.reason.en)}" for one in found.undeclared]
    lines += [f"- {escape_markdown(note.en)}" for note in found.notes]
    return "\n".join(lines)


def say_vouchers(found: UpliftFindings) -> list[str]:
    """Who vouches for each source of lots, and whether its shares agree."""
    return [
        f"'{one.source}' went by lot, "
        + ("drawn by this product" if one.declared_by is None else f"says {one.declared_by}")
        + f": {one.share:.1%} of {one.customers:,} were contacted in {one.lots:,} lots,"
        f" {one.declared_share:.1%} were to be."
        for one in found.vouchers
    ]


def say_own(study: UpliftStudy) -> str:
    """Of how many customers an own uplift is told tonight, and how it was made modest."""
    kept = study.kept
    if kept is None:
        return ""
    unit = 100.0 if study.measure == "lapse_share" else 1.0
    name = "points" if study.measure == "lapse_share" else "of margin"
    return (
        f"Tonight {study.own_customers:,} customers have an own uplift by {kept.learner}"
        f" {kept.model_hash[:12]}, from {kept.low * unit:+.2f} to {kept.high * unit:+.2f} {name},"
        f" {kept.slope:.0%} of its spread held; {study.unlike_customers:,} are unlike anybody in"
        " the lots and have none."
    )


def name_cell(cell: EvidenceCell) -> str:
    """For whom it holds."""
    if cell.segment_id is not None:
        return f"segment {cell.segment_id}"
    return f"reason {cell.driver}" if cell.driver is not None else f"all, {cell.listed_for}"


def tell_lapse(effect: Effect | None) -> str:
    """Percentage points with their interval; below zero is good."""
    if effect is None:
        return "-"
    return f"{effect.estimate * 100:+.2f} ({effect.low * 100:+.2f} to {effect.high * 100:+.2f}) pp"


def tell_margin(effect: Effect | None) -> str:
    """An amount with its interval."""
    if effect is None:
        return "-"
    return f"{effect.estimate:+.2f} ({effect.low:+.2f} to {effect.high:+.2f})"


def tell_p_value(cell: EvidenceCell) -> str:
    """Holm's p-value; a dash where there was no test."""
    return "-" if cell.adjusted_p_value is None else f"{cell.adjusted_p_value:.3g}"


def list_strategies(study: UpliftStudy) -> list[tuple[str, str, str, str, str]]:
    """(name, share contacted, Qini, for the better of 1,000, money of 1,000) of each strategy."""
    rows = []
    for one in study.strategies:
        qini = "-"
        if one.qini is not None and one.qini_low is not None and one.qini_high is not None:
            qini = f"{one.qini:.5f} ({one.qini_low:.5f} to {one.qini_high:.5f})"
        rows.append(
            (
                f"{one.name} *" if one.name == study.served else one.name,
                f"{one.contacted_share:.0%}",
                qini,
                f"{one.at_budget:.1f} ({one.at_budget_low:.1f} to {one.at_budget_high:.1f})",
                f"{one.money_amount:,.0f} ({one.money_low:,.0f} to {one.money_high:,.0f})",
            )
        )
    return rows


def write_curves(found: UpliftFindings, directory: Path) -> None:
    """Each action's Qini curve as a PNG."""
    for study in found.studies:
        if study.curve:
            plot_qini(study).savefig(directory / f"qini_{study.action}.png", dpi=110)


def plot_qini(study: UpliftStudy) -> Figure:
    """The served learner's curve with its interval, over chance's straight line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.subplots()
    shares = [point[0] for point in study.curve]
    gains, lows, highs = ([1000 * point[place] for point in study.curve] for place in (1, 2, 3))
    axes.fill_between(shares, lows, highs, color="#1f5fa8", alpha=0.18, linewidth=0)
    axes.plot(shares, gains, color="#1f5fa8", linewidth=2.2, label=study.served)
    axes.plot([0, 1], [0, gains[-1]], color="#9a9a9a", linestyle="--", label="random")
    axes.axhline(0, color="#9a9a9a", linewidth=0.8)
    axes.set_xlim(0, 1)
    axes.set_title("Qini: what contacting the first x changes", loc="left")
    axes.set_xlabel("share of customers contacted, by predicted uplift")
    what = "stays" if study.measure == "lapse_share" else "margin"
    axes.set_ylabel(f"{what} more, of 1,000 customers")
    axes.legend(frameon=False)
    return figure
