"""The page of how the model is doing: a file of its own beside the lists of its cut-off."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.archive import find_findings
from tasks.crash import crash_point
from tasks.durability import write_page
from tasks.escaping import open_templates
from tasks.exports import export_directory
from tasks.monitoring.alerts import Alert, Precision, list_alerts, measure_precision
from tasks.monitoring.outcomes import choose_judged
from tasks.quality import DecayFindings, Figure, MonitoringFindings, WeekQuality

if TYPE_CHECKING:
    from jinja2 import Environment

    from tasks.warehouse import Lake

TEMPLATES = Path(__file__).parent / "templates"
_SHOWN_INPUTS = 25
_SHOWN_ALERTS = 30
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 1000, 260, 50, 30


@dataclass(frozen=True, slots=True)
class Report:
    """A night's monitoring, the alerts as they stand now, the pager's precision, and the page."""

    found: MonitoringFindings
    alerts: tuple[Alert, ...]
    precision: Precision
    path: Path

    @property
    def open_alerts(self) -> list[Alert]:
        return [one for one in self.alerts if one.state != "closed"]


def publish_report(lake: Lake, found: MonitoringFindings) -> Report:
    """Draw the page and write it: `exports/<deployment>/<date>/monitoring.html`.

    Raises DiskFailure (73).
    """
    alerts = list_alerts(lake)
    report = Report(
        found,
        tuple(alerts),
        measure_precision(alerts),
        export_directory(lake.settings, found.as_of) / "monitoring.html",
    )
    write_page(report.path, render_page(report, find_findings(lake, DecayFindings), lake))
    crash_point("monitoring.page_written")
    return report


def render_page(report: Report, decay: DecayFindings | None, lake: Lake) -> str:
    """The page as HTML; every text is escaped, and nothing is loaded."""
    from markupsafe import Markup

    found = report.found
    dearest = max((one.lost_amount for one in found.inputs), default=0.0)
    currency = found.currency or ""
    return (
        _environment()
        .get_template("monitoring.html")
        .render(
            found=found,
            tiles=_list_tiles(report),
            alerts=list(reversed(report.alerts))[:_SHOWN_ALERTS],
            inputs=found.inputs[:_SHOWN_INPUTS],
            decay=decay,
            chart=Markup(_draw(choose_judged(found.weeks, found.model_hash), _promise(found))),  # noqa: S704
            confidence=f"{lake.settings.monitoring.confidence:.0%}",
            money=lambda amount: f"{amount:,.0f} {currency}",
            span=_span,
            share=lambda one: f"{one[0]:+.1%} ({one[1]:+.1%} to {one[2]:+.1%})",
            bar=lambda amount: round(100 * amount / dearest) if dearest else 0,
        )
    )


def _list_tiles(report: Report) -> list[tuple[str, str, str]]:
    found, precision = report.found, report.precision
    promise = _promise(found)
    judged = choose_judged(found.weeks, found.model_hash)
    newest = judged[-1] if judged and judged[-1].auc else None
    share = "–" if precision.share is None else f"{precision.share:.0%}"
    return [
        ("promised AUC", "–" if promise is None else f"{promise[0]:.3f}", "in the final test"),
        (
            "newest AUC known",
            "–" if newest is None or newest.auc is None else f"{newest.auc[0]:.3f}",
            "nothing has matured" if newest is None else f"scored on {newest.as_of:%Y-%m-%d}",
        ),
        (
            "AUC expected tonight",
            "–" if found.estimate is None else f"{found.estimate.auc[0]:.3f}",
            "from the probabilities alone",
        ),
        ("open alerts", str(len(report.open_alerts)), f"{len(report.alerts)} ever raised"),
        (
            "the pager was right",
            share,
            f"{precision.right} right, {precision.wrong} wrong, {precision.unmarked} not marked",
        ),
    ]


def _promise(found: MonitoringFindings) -> Figure | None:
    return None if found.estimate is None else found.estimate.promised_auc


def _span(one: Figure) -> str:
    return f"{one[0]:,.0f} ({one[1]:,.0f} to {one[2]:,.0f})"


def _draw(weeks: Sequence[WeekQuality], promise: Figure | None) -> str:
    """AUC by night with its interval, as SVG: figures and dates only, no text of anybody."""
    points = [(one.as_of, one.auc) for one in weeks if one.auc is not None]
    if not points:
        return ""
    values = [value for _, auc in points for value in auc[1:]]
    values += [promise[0]] if promise else []
    low, high = min(values) - 0.01, max(values) + 0.01
    step = (_WIDTH - _LEFT - 40) / max(1, len(points) - 1)

    def across(place: int) -> float:
        return _LEFT + 20 + place * step

    def up(value: float) -> float:
        return 10 + (high - value) / (high - low) * (_HEIGHT - _BOTTOM - 20)

    drawn = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="AUC by night of scoring">'
    ]
    for number in range(5):
        value = low + (high - low) * number / 4
        drawn.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{up(value):.1f}" y2="{up(value):.1f}"'
            f' stroke="var(--edge)"/><text x="4" y="{up(value) + 4:.1f}">{value:.3f}</text>'
        )
    if promise:
        drawn.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{up(promise[0]):.1f}"'
            f' y2="{up(promise[0]):.1f}" stroke="var(--soft)" stroke-dasharray="6 4"/>'
        )
    line = " ".join(f"{across(i):.1f},{up(auc[0]):.1f}" for i, (_, auc) in enumerate(points))
    drawn.append(f'<polyline points="{line}" fill="none" stroke="var(--line)" stroke-width="2"/>')
    for place, (moment, auc) in enumerate(points):
        x = across(place)
        drawn.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{up(auc[1]):.1f}" y2="{up(auc[2]):.1f}"'
            f' stroke="var(--line)"/><circle cx="{x:.1f}" cy="{up(auc[0]):.1f}" r="4"'
            ' fill="var(--line)"/>'
        )
        if place % max(1, len(points) // 8) == 0:
            drawn.append(
                f'<text x="{x:.1f}" y="{_HEIGHT - 8}" text-anchor="middle">{moment:%m-%d}</text>'
            )
    return "".join([*drawn, "</svg>"])


@functools.cache
def _environment() -> Environment:
    return open_templates(TEMPLATES)
