"""Level 1: whether who was told to leave did leave more often, on outcomes that came afterwards."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.evidence import Ranking
from tasks.findings import Words
from tasks.offers import held_out_sql
from tasks.significance import deviation_of, measure_auc
from tasks.uplift.subjects import SQL
from tasks.visibility import supersessions, visible

if TYPE_CHECKING:
    from tasks.handles import Snapshot
    from tasks.settings import Settings
    from tasks.warehouse import Lake

Floats = NDArray[np.float64]


def judge_ranking(
    lake: Lake,
    as_of: datetime,
    known_by: datetime,
    snapshot: Snapshot,
    settings: Settings,
    champion: Mapping[str, Any] | None,
) -> Ranking:
    """By the newest served scores whose horizon has passed, else by the champion's final test.

    Where a list went out meanwhile, those held out alone judge the scores.

    `champion` is what the registry says of it: `metrics.auc` with estimate, low and high, on a
    cut-off that no choice had touched.
    """
    if "scores" in lake.tables():
        rows = lake.arrow(
            lake.text(
                SQL / "ranking.sql",
                names={
                    "orders": visible("orders", snapshot, supersessions(lake, snapshot, "orders")),
                    "is_held_out": held_out_sql("scored.customer_id"),
                },
            ),
            {
                "as_of": as_of,
                "known_by": known_by,
                "horizon_days": settings.features.horizon_days,
                "hold_out_salt": settings.actions.hold_out_salt,
                "hold_out_share": settings.actions.hold_out_share,
            },
        )
        if rows.num_rows:
            scores = rows["probability"].to_numpy().astype(np.float64)
            lapsed = rows["lapsed"].to_numpy().astype(bool)
            if lapsed.any() and not lapsed.all():
                auc, low, high = bound_auc(scores, lapsed, settings.uplift.confidence)
                scored_at = rows["as_of"][0].as_py().astimezone(UTC)
                held_out = bool(rows["only_held_out"][0].as_py())
                return _tell("scores", auc, low, high, scored_at, rows.num_rows, held_out)
    auc_found = ((champion or {}).get("metrics") or {}).get("auc") or {}
    figures = [auc_found.get(key) for key in ("estimate", "low", "high")]
    if all(isinstance(one, int | float) and math.isfinite(one) for one in figures):
        auc, low, high = (float(one) for one in figures if one is not None)
        return _tell("final_test", auc, low, high, None, None)
    return Ranking(
        source="none",
        as_of=None,
        customers=None,
        auc=None,
        low=None,
        high=None,
        confirmed=False,
        words=Words(
            en="No ranking has been checked: no scores have matured, and no model serves.",
            ko="성숙한 점수도 운영 중인 모델도 없어 순위를 확인하지 못했습니다.",
        ),
    )


def bound_auc(
    scores: Floats, events: NDArray[np.bool_], confidence: float
) -> tuple[float, float, float]:
    """The area under the ROC curve with its interval, within 0 and 1.

    >>> bound_auc(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]), 0.95)
    (1.0, 1.0, 1.0)
    """
    auc, error = measure_auc(events, scores)
    half = deviation_of(confidence) * error
    return auc, max(0.0, auc - half), min(1.0, auc + half)


def _tell(
    source: Any,
    auc: float,
    low: float,
    high: float,
    as_of: datetime | None,
    customers: int | None,
    held_out: bool = False,
) -> Ranking:
    confirmed = low > 0.5
    held, holds = ("held", "확인됨") if confirmed else ("did not hold", "확인되지 않음")
    if source == "scores" and as_of is not None:
        words = Words(
            en=f"The ranking of {as_of:%Y-%m-%d} {held}: AUC {auc:.3f} ({low:.3f} to {high:.3f})"
            f" on {customers:,} customers{' held out' if held_out else ''} whose outcome has"
            " matured.",
            ko=f"{as_of:%Y-%m-%d} 순위 {holds}: 결과가 확정된"
            f" {'대조군 ' if held_out else ''}고객 {customers:,}명의 AUC"
            f" {auc:.3f} ({low:.3f}~{high:.3f}).",
        )
    else:
        words = Words(
            en=f"The champion's ranking {held} on its final test: AUC {auc:.3f} ({low:.3f} to"
            f" {high:.3f}). No served scores have matured yet.",
            ko=f"챔피언의 최종 시험 순위 {holds}: AUC {auc:.3f} ({low:.3f}~{high:.3f})."
            " 제공된 점수의 결과는 아직 확정되지 않았습니다.",
        )
    return Ranking(
        source=source,
        as_of=as_of,
        customers=customers,
        auc=auc,
        low=low,
        high=high,
        confirmed=confirmed,
        words=words,
    )
