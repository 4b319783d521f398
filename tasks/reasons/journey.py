"""The last steps before a lapse: what leavers had done by the cut-off before, against stayers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tasks.findings import JourneyStep, Words
from tasks.handles import FeatureTable
from tasks.reasons.reading import SQL, present_condition
from tasks.warehouse import Lake, quote


@dataclass(frozen=True, slots=True)
class Step:
    """A step: the features it needs, and the condition on them that says it was taken."""

    words: Words
    features: tuple[str, ...]
    condition: str


def _step(en: str, ko: str, condition: str, *features: str) -> Step:
    return Step(Words(en=en, ko=ko), features, condition)


STEPS: tuple[Step, ...] = (
    _step(
        "the pause is longer than their usual range",
        "평소보다 긴 공백",
        "gap_now_to_usual > 1",
        "gap_now_to_usual",
    ),
    _step(
        "fewer order days than in the 90 days before",
        "직전 90일보다 줄어든 주문일",
        "order_days_trend < 1",
        "order_days_trend",
    ),
    _step(
        "the last order a fifth smaller than usual",
        "평소보다 20% 이상 작은 마지막 주문",
        "amount_last_to_usual < 0.8",
        "amount_last_to_usual",
    ),
    _step(
        "spent a fifth less than in the 90 days before",
        "직전 90일보다 20% 이상 줄어든 구매액",
        "amount_trend < 0.8",
        "amount_trend",
    ),
    _step(
        "a fifth fewer lines an order day than over the year",
        "연중보다 20% 이상 줄어든 주문당 품목 수",
        "lines_trend < 0.8",
        "lines_trend",
    ),
    _step(
        "no new category in 90 days",
        "90일간 새 카테고리 없음",
        "categories_new_90 = 0",
        "categories_new_90",
    ),
    _step(
        "more at a discount in 90 days than over the year",
        "연중보다 높아진 최근 90일 할인 비중",
        "discount_share_90 > discount_share_365",
        "discount_share_90",
        "discount_share_365",
    ),
    _step(
        "gave something back within a year",
        "1년 내 반품",
        "return_days_365 > 0",
        "return_days_365",
    ),
    _step(
        "asked the service desk within 30 days",
        "30일 내 문의",
        "tickets_30 > 0",
        "tickets_30",
    ),
    _step(
        "complained, and asked the desk within 90 days",
        "90일 내 문의가 있고 1년 내 불만 접수",
        "tickets_90 > 0 and complaint_share_365 > 0",
        "tickets_90",
        "complaint_share_365",
    ),
    _step("a ticket still open", "미해결 문의", "open_tickets > 0", "open_tickets"),
    _step(
        "messages within 90 days, none answered",
        "90일 내 메시지에 무응답",
        "contacts_90 > 0 and coalesce(contact_answered_recency_days > 90, true)",
        "contacts_90",
        "contact_answered_recency_days",
    ),
    _step("asked for no more messages", "수신 거부", "opted_out = 1", "opted_out"),
    _step(
        "a fifth fewer visits than in the 30 days before",
        "직전 30일보다 20% 이상 줄어든 방문",
        "events_trend < 0.8",
        "events_trend",
    ),
)


def measure_journey(lake: Lake, table: FeatureTable) -> tuple[JourneyStep, ...]:
    """The steps that can be seen in a labelled table, the most telling first.

    Of those who were still there at a cut-off, leavers are who went within the horizon. Stayers are
    weighted to the leavers' cut-offs, so that a season does not look like a step. A step that
    no stayer or nobody took has no lift and is left out.
    """
    steps = [step for step in STEPS if set(step.features) <= set(table.feature_names)]
    if not steps:
        return ()
    counted = ", ".join(
        f"count(*) filter ({group} and {known}) as {group.replace(' ', '_')}_known_{n},"
        f" count(*) filter ({group} and {known} and {step.condition})"
        f" as {group.replace(' ', '_')}_{n}"
        for n, step in enumerate(steps)
        for group in ("churned", "not churned")
        for known in (f"{quote(step.features[0])} is not null",)
    )
    rows = lake.rows(
        lake.text(
            SQL / "journey.sql",
            names={
                "table": f"lake.main.{quote(table.table)}",
                "present": present_condition(lake, table),
                "counted": counted,
            },
        )
    )
    found = []
    for n, step in enumerate(steps):
        cutoffs = [
            row for row in rows if row[f"churned_known_{n}"] and row[f"not_churned_known_{n}"]
        ]
        leavers = sum(int(row[f"churned_known_{n}"]) for row in cutoffs)
        left = sum(int(row[f"churned_{n}"]) for row in cutoffs) / max(1, leavers)
        stayed = sum(
            int(row[f"churned_known_{n}"])
            / leavers
            * int(row[f"not_churned_{n}"])
            / int(row[f"not_churned_known_{n}"])
            for row in cutoffs
        )
        if left and stayed:
            found.append(
                JourneyStep(
                    words=step.words, leavers_share=left, stayers_share=stayed, lift=left / stayed
                )
            )
    return tuple(sorted(found, key=lambda one: (-abs(math.log(one.lift)), one.words.en)))
