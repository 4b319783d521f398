"""Findings of every kind for the six groups of a shop that never was."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tasks.findings import (
    ActionFindings,
    ActionLine,
    Contest,
    Contradiction,
    Driver,
    ForecastFindings,
    ForecastSeries,
    JourneyStep,
    LeadTime,
    MapPoint,
    Movement,
    ReasonCell,
    ReasonFindings,
    Segment,
    SegmentEvent,
    SegmentFindings,
    ShareAlarm,
    SurvivalCurve,
    Trait,
    ValueContender,
    ValueFindings,
    Words,
)

AS_OF = datetime(2011, 12, 9, tzinfo=UTC)
BEFORE = datetime(2011, 11, 9, tzinfo=UTC)
NIGHT: dict[str, Any] = {
    "deployment": "corner_shop",
    "as_of": AS_OF,
    "known_by": AS_OF + timedelta(hours=6),
    "snapshot_id": 417,
    "currency": "GBP",
}
# id, English, Korean, customers, risk, left in the past, worth and spend a customer
GROUPS = (
    ("s1", "Loyal big spenders", "단골 큰손 고객", 412, 0.11, 0.10, 2_140.0, 3_480.0),
    ("s2", "Regulars slowing down", "뜸해지는 단골", 655, 0.46, 0.43, 860.0, 1_590.0),
    ("s3", "Bargain hunters", "할인 추구 고객", 1_020, 0.34, 0.36, 240.0, 520.0),
    ("s4", "New arrivals", "신규 고객", 540, 0.52, 0.55, 310.0, 290.0),
    ("s5", "Seasonal gift buyers", "시즌 선물 고객", 890, 0.27, 0.25, 420.0, 610.0),
    ("s6", "One-time visitors", "1회 구매 고객", 1_375, 0.71, 0.74, 95.0, 160.0),
)
DRIVERS = (
    ("cadence", "Buying less often", "구매 주기가 길어짐", 4, 0.31, 0.94),
    ("price", "Price and discounts", "가격과 할인", 3, 0.22, 0.91),
    ("service", "Complaints and returns", "불만과 반품", 5, 0.16, 0.88),
    ("engagement", "Less time on site and e-mail", "방문과 이메일 반응 감소", 6, 0.14, 0.84),
    ("assortment", "Fewer kinds of products", "구매 품목 감소", 3, 0.10, 0.79),
    ("tenure", "Short time as a customer", "짧은 거래 기간", 2, 0.07, 0.77),
)
NAMES = {one[0]: Words(en=one[1], ko=one[2]) for one in GROUPS}


def contest(**changed: Any) -> Contest:
    return Contest(
        **{
            "served": "clustering",
            "served_kind": "model",
            "rival": "rfm",
            "measure": "usefulness",
            "higher_is_better": True,
            "served_figure": 0.412,
            "rival_figure": 0.371,
            "difference": 0.041,
            "low": 0.012,
            "high": 0.070,
            "reason": "more stable and more useful than RFM on the same customers",
            **changed,
        }
    )


def money(amount: float) -> Decimal:
    return Decimal(str(round(amount, 2)))


def segment(place: int) -> Segment:
    key, english, korean, customers, risk, churned, worth, spent = GROUPS[place]
    everybody = sum(one[3] for one in GROUPS)
    unfit = key == "s5"
    far = (-0.7 * place + 1.9, place * 0.6 - 1.1, place * 0.5 - 1.2)
    traits = (
        ("spent_365_amount", "Spent in a year", "연간 구매액", spent, 690.0, (spent - 690) / 700),
        ("orders_count_365", "Orders in a year", "연간 주문 수", 14 - 2 * place, 6.0, far[0]),
        ("gap_days", "Days since an order", "구매 후 일수", 12 + 31 * place, 48.0, far[1]),
        ("discount_share", "At a discount", "할인 비중", 0.08 + 0.09 * place, 0.21, far[2]),
    )
    return Segment(
        segment_id=key,
        name=Words(en=english, ko=korean),
        customers=customers,
        customers_share=customers / everybody,
        risk_share=risk,
        churn_share=churned,
        value_amount=money(worth * customers),
        spent_365_amount=money(spent * customers),
        at_risk_amount=money(worth * customers * risk),
        traits=tuple(
            Trait(
                feature=name,
                words=Words(en=en, ko=ko),
                median=float(median),
                overall_median=overall,
                deviation=deviation,
            )
            for name, en, ko, median, overall, deviation in traits
        ),
        conditions=(
            f"orders_count_365 >= {14 - 2 * place}",
            f"spent_365_amount >= {spent:.0f}",
            f"{3 + place} <= gap_days <= {30 + 31 * place} (or unknown)",
        ),
        sql=(
            f'"orders_count_365" >= {14 - 2 * place} and "spent_365_amount" >= {spent:.0f}'
            f' and ("gap_days" between {3 + place} and {30 + 31 * place} or "gap_days" is null)'
        ),
        precision_share=0.84 if unfit else 0.96 - 0.005 * place,
        recall_share=0.91 if unfit else 0.94,
    )


def movements() -> tuple[Movement, ...]:
    moved = []
    for place, one in enumerate(GROUPS):
        key, customers = one[0], one[3]
        moved.append(Movement(from_id=key, to_id=key, customers=int(customers * 0.74)))
        if key == "s4":
            moved[-1] = Movement(from_id="new", to_id=key, customers=420)
        other = GROUPS[(place + 1) % 6][0]
        moved.append(Movement(from_id=key, to_id=other, customers=int(customers * 0.09)))
        if one[4] > 0.3:
            moved.append(Movement(from_id=key, to_id="gone", customers=int(customers * 0.08)))
    moved.append(Movement(from_id="s0", to_id="s2", customers=140))
    moved.append(Movement(from_id="new", to_id="s6", customers=210))
    return tuple(moved)


def points(seed: int) -> tuple[MapPoint, ...]:
    random_numbers = random.Random(seed)
    return tuple(
        MapPoint(
            x=math.cos(place) * 3 + random_numbers.gauss(0, 0.8),
            y=math.sin(place) * 3 + random_numbers.gauss(0, 0.8),
            segment_id=one[0],
        )
        for place, one in enumerate(GROUPS)
        for _ in range(60)
    )


def segment_findings(**changed: Any) -> SegmentFindings:
    segments = tuple(segment(place) for place in range(len(GROUPS)))
    return SegmentFindings(
        **{
            **NIGHT,
            "segmentation_id": "5f0c2a9be1d34c77",
            "model_name": "corner_shop.segments",
            "model_version": 3,
            "method": "kmeans",
            "contest": contest(),
            "measures": {
                "clustering": {"stability": 0.91, "usefulness": 0.412, "separation": 0.38},
                "rfm": {"stability": 0.83, "usefulness": 0.371, "separation": 0.29},
            },
            "segments": segments,
            "agreement_share": 0.932,
            "moved_from": BEFORE,
            "movements": movements(),
            "events": (
                SegmentEvent(event="kept", segment_id="s1", related_ids=(), overlap_share=0.93),
                SegmentEvent(event="born", segment_id="s4", related_ids=(), overlap_share=None),
                SegmentEvent(
                    event="split", segment_id="s3", related_ids=("s5",), overlap_share=0.41
                ),
                SegmentEvent(
                    event="died", segment_id="s0", related_ids=("s2",), overlap_share=0.77
                ),
            ),
            "alarms": (ShareAlarm(segment_id="s6", share=0.281, low_share=0.19, high_share=0.25),),
            "pca_map": points(1),
            "tsne_map": points(2),
            "heat_features": tuple(one.words for one in segments[0].traits),
            "heat": {one.segment_id: tuple(t.deviation for t in one.traits) for one in segments},
            "tree": (
                (0.0, 1.0, 1.1, 2.0),
                (2.0, 4.0, 1.4, 2.0),
                (3.0, 5.0, 1.7, 2.0),
                (6.0, 7.0, 2.6, 4.0),
                (8.0, 9.0, 3.9, 6.0),
            ),
            "notes": (
                Words(
                    en="Scores of this cut-off were used for risk.",
                    ko="이 기준일의 점수를 위험도에 사용했습니다.",
                ),
            ),
            **changed,
        }
    )


def reason_findings(**changed: Any) -> ReasonFindings:
    random_numbers = random.Random(7)
    cells = []
    for key, _, _, customers, risk, _, worth, _ in GROUPS:
        left = customers
        for place, driver in enumerate(DRIVERS):
            part = random_numbers.uniform(0.04, 0.3) if place < 5 else 0.03
            number = min(left, int(customers * part))
            left -= number
            q_value = random_numbers.uniform(0, 0.2)
            cells.append(
                ReasonCell(
                    segment_id=key,
                    driver=driver[0],
                    customers=number,
                    customers_share=number / customers,
                    rest_share=random_numbers.uniform(0.05, 0.2),
                    at_risk_amount=money(number * worth * risk),
                    q_value=q_value,
                    stands_out=q_value < 0.05,
                )
            )
        cells.append(
            ReasonCell(
                segment_id=key,
                driver=None,
                customers=left,
                customers_share=left / customers,
                rest_share=0.3,
                at_risk_amount=money(left * worth * risk),
                q_value=None,
                stands_out=False,
            )
        )
    return ReasonFindings(
        **{
            **NIGHT,
            "drivers": tuple(
                Driver(
                    driver=key,
                    words=Words(en=en, ko=ko),
                    features=features,
                    weight_share=weight,
                    agreement_share=agreement,
                )
                for key, en, ko, features, weight, agreement in DRIVERS
            ),
            "cells": tuple(cells),
            "explained_customers": 3_604,
            "unstable_customers": 1_288,
            "refits": 20,
            "ablation_change": -0.083,
            "ablation_low": -0.097,
            "ablation_high": -0.069,
            "survival": (
                curve(None, 4_892, 300.0),
                *(curve(one[0], one[3], 90 / one[4]) for one in GROUPS),
            ),
            "survival_p_value": 0.00012,
            "lead_time": LeadTime(
                flag_probability=0.5,
                lapsed_customers=1_842,
                flagged_customers=1_391,
                quantile_days={"0.25": 12.0, "0.5": 34.0, "0.75": 61.0},
                stayers_flagged_share=0.071,
            ),
            "journey": (
                JourneyStep(
                    words=Words(en="Returned an order", ko="주문을 반품함"),
                    leavers_share=0.21,
                    stayers_share=0.08,
                    lift=2.6,
                ),
                JourneyStep(
                    words=Words(en="Opened a complaint", ko="불만을 접수함"),
                    leavers_share=0.14,
                    stayers_share=0.06,
                    lift=2.3,
                ),
                JourneyStep(
                    words=Words(en="Ignored three e-mails", ko="이메일 3건을 열지 않음"),
                    leavers_share=0.48,
                    stayers_share=0.29,
                    lift=1.7,
                ),
            ),
            **changed,
        }
    )  # fmt: skip


def curve(segment_id: str | None, customers: int, scale: float) -> SurvivalCurve:
    shares = [(day, math.exp(-day / (1.45 * scale))) for day in range(0, 361, 15)]
    return SurvivalCurve(
        segment_id=segment_id,
        customers=customers,
        points=tuple((float(d), s, max(0, s - 0.02), min(1, s + 0.02)) for d, s in shares),
        median_days=scale if scale < 360 else None,
    )


def value_findings(**changed: Any) -> ValueFindings:
    return ValueFindings(
        **{
            **NIGHT,
            "horizon_days": 365,
            "customers": 4_892,
            "total_amount": Decimal("2391440.20"),
            "low_amount": Decimal("2248800.00"),
            "high_amount": Decimal("2542100.00"),
            "unreconciled_amount": Decimal("2442200.00"),
            "confidence": 0.9,
            "coverage_share": 0.88,
            "contest": contest(
                served="last_years_spend",
                served_kind="rule",
                rival="bg_nbd",
                measure="gini_share",
                served_figure=0.741,
                rival_figure=0.733,
                difference=0.008,
                low=-0.004,
                high=0.021,
                reason="the model does not beat last year's spend",
            ),
            "contenders": (
                contender("last_years_spend", "rule", 0.741, 0.062, 402.0),
                contender("bg_nbd", "model", 0.733, -0.018, 388.0),
                contender("tweedie", "model", 0.729, 0.031, 391.5),
                contender("simple_formula", "rule", 0.688, 0.144, 455.2),
            ),
            "deciles": tuple((4.1 * 2.05**n + 3, 3.6 * 2.08**n + 5) for n in range(10)),
            "parameters": {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426},
            "contradictions": (
                Contradiction(
                    code="one_time_alive",
                    words=Words(
                        en="One purchase, surely alive by value, likely to leave by churn",
                        ko="1회 구매 고객: 가치 모델은 생존 확실, 이탈 모델은 이탈 유력",
                    ),
                    customers=611,
                    before_amount=Decimal("81200.00"),
                    after_amount=Decimal("30450.00"),
                ),
            ),
            **changed,
        }
    )


def contender(name: str, kind: str, gini: float, bias: float, error: float) -> ValueContender:
    return ValueContender(
        name=name,
        kind="rule" if kind == "rule" else "model",
        gini_share=gini,
        bias_share=bias,
        mean_absolute_error_amount=error,
        captured_share={"0.01": gini * 0.35, "0.05": gini * 0.66, "0.1": gini * 0.85},
    )


def series(measure: str, segment_id: str | None, level: float, kind: str) -> ForecastSeries:
    months = [datetime(2010 + (11 + n) // 12, (11 + n) % 12 + 1, 1, tzinfo=UTC) for n in range(15)]
    swing = [level * (1 + 0.16 * math.sin(n / 12 * math.tau) + 0.008 * n) for n in range(15)]
    names = ("arima", "seasonal_naive") if kind == "model" else ("seasonal_naive", "arima")
    return ForecastSeries(
        measure=measure,  # type: ignore[arg-type]
        segment_id=segment_id,
        period="month",
        history=tuple(zip(months[:12], swing[:12], strict=True)),
        forecast=tuple(
            (moment, value, value * (0.94 - 0.02 * n), value * (1.06 + 0.02 * n))
            for n, (moment, value) in enumerate(zip(months[12:], swing[12:], strict=True))
        ),
        confidence=0.8,
        coverage_share=0.79,
        checked_values=24,
        errors={"arima": 0.81, "seasonal_naive": 0.93, "exponential_smoothing": 0.88},
        contest=contest(
            served=names[0],
            served_kind=kind,
            rival=names[1],
            measure="mean absolute scaled error",
            higher_is_better=False,
            served_figure=0.81,
            rival_figure=0.93,
            difference=-0.12,
            low=None,
            high=None,
        ),
    )


def forecast_findings(**changed: Any) -> ForecastFindings:
    made = []
    for key, scale in ((None, 1.0), *((one[0], one[3] / 4_892) for one in GROUPS)):
        kind = "rule" if key == "s3" else "model"
        made += [
            series("churn_rate", key, 0.062 * (0.7 + scale), kind),
            series("active_customers", key, 4_700 * scale, kind),
            series("revenue", key, 612_000 * scale, kind),
        ]
    return ForecastFindings(**{**NIGHT, "series": tuple(made), **changed})


def action_findings(**changed: Any) -> ActionFindings:
    lines = (
        ("call", "A personal call", "전화 상담", "phone", "s1", 38, 190.0, 2_610.0),
        ("delivery", "Free delivery", "한 달 무료 배송", "email", "s2", 214, 428.0, 3_905.0),
        ("voucher", "A voucher of 10 %", "10% 할인 쿠폰", "email", "s3", 160, 240.0, 612.5),
        ("welcome", "A second welcome", "두 번째 환영 메시지", "email", None, 97, 48.5, 410.0),
    )  # fmt: skip
    made = tuple(
        ActionLine(
            action=key,
            words=Words(en=en, ko=ko),
            channel=channel,
            segment_id=group,
            customers=number,
            cost_amount=money(cost),
            expected_return_amount=money(gain),
        )
        for key, en, ko, channel, group, number, cost, gain in lines
    )
    return ActionFindings(
        **{
            **NIGHT,
            "budget_amount": Decimal("1000"),
            "planned_cost_amount": Decimal("906.50"),
            "expected_return_amount": Decimal("7537.50"),
            "customers": 509,
            "held_out_customers": 57,
            "hold_out_share": 0.1,
            "lines": made,
            "winback_lines": (made[2],),
            "winback_customers": 160,
            "left_alone": {
                "no_rule": 2_840,
                "no_positive_return": 911,
                "budget": 402,
                "held_out": 57,
            },
            "scored_customers": 4_719,
            "lapsed_customers": 172,
            "winback_budget_amount": Decimal("200"),
            "winback_left_alone": {"contacted_lately": 12},
            "bound_return_amount": Decimal("7600"),
            "gap_share": 0.008,
            "files": ("/srv/exports/shop/2011-12-09/actions.csv", "/srv/winback.csv"),
            **changed,
        }
    )
