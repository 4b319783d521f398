"""From figures to alerts, and from later figures to whether an alert was right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING

from tasks.handles import Interval
from tasks.monitoring.alerts import Alert, Verdict, Wanted
from tasks.quality import DriftCause, PerformanceEstimate, WeekQuality
from tasks.significance import deviation_of

if TYPE_CHECKING:
    from tasks.alarms import MonitoringSettings

_RANKING, _CALIBRATION = "ranking", "calibration"
# Nights of scoring so far from an alert's still speak of what it was raised about.
_NEAR_DAYS = 8


def want_alerts(
    model_hash: str,
    promised: Interval | None,
    promised_confidence: float,
    weeks: Sequence[WeekQuality],
    estimate: PerformanceEstimate | None,
    causes: Sequence[DriftCause],
    expected_profit_amount: float,
    settings: MonitoringSettings,
) -> list[Wanted]:
    """What tonight's figures call for. `weeks` are the judged ones of this model, oldest first.

    Only the newest week is judged, so a week is judged once as it matures. Each kind of alert has
    `alpha` to itself, shared by its two questions.
    """
    limit = NormalDist().inv_cdf(1 - settings.alpha / 2)
    wanted = []
    if weeks:
        wanted += _want_quality(
            model_hash, promised, promised_confidence, weeks[-1], limit, settings
        )
    if estimate is not None and promised is not None:
        wanted += _want_estimate(
            model_hash, promised, promised_confidence, estimate, limit, settings
        )
    least = settings.minimum_loss_share * max(0.0, expected_profit_amount)
    for cause in causes:
        if cause.looks_like == "real_change" and cause.lost_amount <= least:
            continue  # it moved, but nobody would be contacted who should not
        named = ", ".join(cause.inputs[:3]) + (", ..." if len(cause.inputs) > 3 else "")
        what = "a data fault" if cause.looks_like == "data_fault" else "a real change"
        wanted.append(
            Wanted(
                cause.looks_like,
                cause.subject,
                model_hash,
                f"DRIFT: {named} moved, {cause.lost_amount:,.0f} of expected profit at stake;"
                f" looks like {what}",
                {**cause.model_dump(mode="json"), "expected_profit_amount": expected_profit_amount},
            )
        )
    return wanted


def judge_alert(
    alert: Alert,
    promised: Interval | None,
    promised_confidence: float,
    weeks: Sequence[WeekQuality],
    settings: MonitoringSettings,
) -> tuple[Verdict, str] | None:
    """Whether matured outcomes confirm an alert about quality, and the sentence; None: not yet.

    Right: worse than promised, or off in the share that leaves, even at the good end of the
    interval. Wrong: within the tolerance even at the bad end. In between nothing is said. An alert
    that came from outcomes is judged by weeks after its own, an estimate by the nights around it.
    """
    fitting = [one for one in weeks if one.model_hash == alert.model_hash and _speaks(alert, one)]
    if promised is None or not fitting:
        return None
    week = (
        fitting[0]
        if alert.kind == "performance"
        else min(fitting, key=lambda one: abs((one.as_of - alert.as_of).total_seconds()))
    )
    if week.auc is None:
        return None
    reach = deviation_of(settings.confidence)
    lost, error = _loss(promised, promised_confidence, week.auc, settings.confidence)
    off, off_error = abs(week.gap[0]), (week.gap[2] - week.gap[1]) / 2 / reach
    said = (
        f"the scores of {week.as_of:%Y-%m-%d} had an AUC of {week.auc[0]:.3f}, promised"
        f" {promised[0]:.3f}; {week.gap[0]:+.1%} left against the prediction"
    )
    tolerance, gap_tolerance = settings.auc_tolerance, settings.calibration_tolerance_share
    if lost - reach * error > 0 and lost > tolerance / 2:
        return "right", said
    if off - reach * off_error > gap_tolerance:
        return "right", said
    if lost + reach * error < tolerance and off + reach * off_error < gap_tolerance:
        return "wrong", said
    return None


def _want_quality(
    model_hash: str,
    promised: Interval | None,
    promised_confidence: float,
    week: WeekQuality,
    limit: float,
    settings: MonitoringSettings,
) -> list[Wanted]:
    wanted = []
    said = f"the {week.customers:,} customers scored on {week.as_of:%Y-%m-%d}"
    said += " and held out" if week.population == "held_out" else ""
    report = {"week": week.model_dump(mode="json"), "promised_auc": promised}
    if promised is not None and week.auc is not None:
        lost, error = _loss(promised, promised_confidence, week.auc, settings.confidence)
        if lost - settings.auc_tolerance > limit * error:
            wanted.append(
                Wanted(
                    "performance",
                    _RANKING,
                    model_hash,
                    f"DRIFT: of {said} the AUC was {week.auc[0]:.3f}; the champion promised"
                    f" {promised[0]:.3f}",
                    report,
                )
            )
    error = (week.gap[2] - week.gap[1]) / 2 / deviation_of(settings.confidence)
    if abs(week.gap[0]) - settings.calibration_tolerance_share > limit * error:
        wanted.append(
            Wanted(
                "performance",
                _CALIBRATION,
                model_hash,
                f"DRIFT: of {said} {week.gap[0]:+.1%} left against the prediction",
                report,
            )
        )
    return wanted


def _want_estimate(
    model_hash: str,
    promised: Interval,
    promised_confidence: float,
    estimate: PerformanceEstimate,
    limit: float,
    settings: MonitoringSettings,
) -> list[Wanted]:
    lost, error = _loss(promised, promised_confidence, estimate.auc, settings.confidence)
    if lost - settings.auc_tolerance <= limit * error:
        return []
    return [
        Wanted(
            "estimated",
            _RANKING,
            model_hash,
            f"DRIFT: tonight's scores let expect an AUC of {estimate.auc[0]:.3f}; the champion"
            f" promised {promised[0]:.3f}",
            {"estimate": estimate.model_dump(mode="json")},
        )
    ]


def _loss(
    promised: Interval, promised_confidence: float, found: Interval, confidence: float
) -> tuple[float, float]:
    """What is lost against the promise, and the standard error of that."""
    first = (promised[2] - promised[1]) / 2 / deviation_of(promised_confidence)
    second = (found[2] - found[1]) / 2 / deviation_of(confidence)
    return promised[0] - found[0], math.hypot(first, second)


def _speaks(alert: Alert, week: WeekQuality) -> bool:
    if alert.kind == "performance":
        about = alert.report.get("week", {}).get("as_of", "")
        return week.as_of.isoformat() > str(about).replace("Z", "+00:00")
    return abs((week.as_of - alert.as_of).days) <= _NEAR_DAYS
