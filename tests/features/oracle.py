"""What the features of orders mean, said again in plain Python: slow, without windows or joins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from statistics import median, stdev

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Line:
    """One order line as the lake keeps it."""

    customer_id: str
    ordered_at: datetime
    net_amount: Decimal
    discount_amount: Decimal | None
    category: str | None
    channel: str | None
    is_return: bool
    received_at: datetime
    batch_number: int = 1

    @property
    def day(self) -> int:
        return (self.ordered_at - EPOCH).days


def seen(
    lines: Sequence[Line], known_by: datetime, superseded: Mapping[int, datetime]
) -> list[Line]:
    """The lines that somebody sees at `known_by`."""
    return [
        line
        for line in lines
        if line.received_at <= known_by
        and not (line.batch_number in superseded and superseded[line.batch_number] <= known_by)
    ]


def features_of(
    lines: Sequence[Line], as_of: datetime, horizon: int, everybody: Sequence[Line]
) -> dict[str, float | None]:
    """The features of one customer; `lines` and `everybody` are what the cut-off sees."""
    today = (as_of - EPOCH).days
    bought = [line for line in lines if not line.is_return]
    days = sorted({line.day for line in bought})
    gaps = [later - earlier for earlier, later in pairwise(days)]

    def age(line: Line) -> int:
        return today - line.day

    def order_days(least: int, most: int) -> int:
        return sum(least <= today - day <= most for day in days)

    def amount(least: int, most: int) -> float:
        return float(sum(line.net_amount for line in bought if least <= age(line) <= most))

    def share(part: float, whole: float | None) -> float | None:
        return part / whole if whole else None

    def discount_share(window: int) -> float | None:
        known = [
            line for line in bought if age(line) <= window and line.discount_amount is not None
        ]
        discount = float(sum(line.discount_amount or 0 for line in known))
        return share(discount, discount + float(sum(line.net_amount for line in known)))

    last_amount = float(sum(line.net_amount for line in bought if line.day == days[-1]))
    total = float(sum(line.net_amount for line in bought))
    recency, tenure = today - days[-1], today - days[0]
    year_lines = sum(age(line) <= 365 for line in bought)
    lines_90 = sum(age(line) <= 90 for line in bought)
    first_category = {
        line.category: min(other.day for other in bought if other.category == line.category)
        for line in bought
        if line.category is not None
    }
    channels = {line.channel for line in bought if line.channel is not None}
    spread = stdev(gaps) if len(gaps) > 1 else None
    mean_gap = sum(gaps) / len(gaps) if gaps else None
    middle = median(gaps) if gaps else None
    a90, a180, d90, d180 = amount(1, 90), amount(1, 180), order_days(1, 90), order_days(1, 180)
    d365, a365 = order_days(1, 365), amount(1, 365)
    returned = -float(sum(x.net_amount for x in lines if x.is_return and age(x) <= 365))
    all_bought = [line for line in everybody if not line.is_return]
    year_total = sum(age(line) <= 365 for line in all_bought)
    coming = sum(365 - horizon < age(line) <= 365 for line in all_bought)
    whole_year = any(age(line) >= 365 for line in all_bought)
    year_ago = order_days(365 - horizon + 1, 365)
    return {
        "recency_days": recency,
        "gap_median_days": middle,
        "gap_mean_days": mean_gap,
        "gap_deviation_days": spread,
        "gap_last_days": gaps[-1] if gaps else None,
        "gap_longest_days": max(gaps) if gaps else None,
        "gap_now_to_median": recency / middle if middle else None,
        "gap_now_to_usual": recency / (mean_gap + (spread or 0)) if mean_gap else None,
        "gap_last_to_median": gaps[-1] / middle if middle else None,
        "order_days_7": order_days(1, 7),
        "order_days_30": order_days(1, 30),
        "order_days_90": d90,
        "order_days_180": d180,
        "order_days_365": d365,
        "active_months_365": len(
            {
                (moment.year, moment.month)
                for moment in (EPOCH + timedelta(days=day) for day in days if today - day <= 365)
            }
        ),
        "order_days_decayed": 0.15 * order_days(1, 7)
        + 0.15 * order_days(1, 30)
        + 0.25 * d90
        + 0.25 * d180
        + 0.2 * d365,
        "order_days_a_month": 30 * (len(days) + 0.7) / (tenure + 60),
        "order_days_trend": share(d90, d180 - d90) if tenure >= 180 else None,
        "amount_trend": share(a90, a180 - a90) if tenure >= 180 else None,
        "order_days_share_90": share(d90, d365),
        "amount_7": amount(1, 7),
        "amount_30": amount(1, 30),
        "amount_90": a90,
        "amount_365": a365,
        "amount_total": total,
        "amount_an_order_day": total / len(days),
        "amount_last_to_usual": share(last_amount * len(days), total),
        "discount_share_365": discount_share(365),
        "discount_share_90": discount_share(90),
        "return_share_365": returned / a365 if a365 > 0 else None,
        "return_days_365": len({x.day for x in lines if x.is_return and age(x) <= 365}),
        "categories_total": len(first_category) or None,
        "categories_new_90": sum(today - day <= 90 for day in first_category.values())
        if first_category
        else None,
        "channels_total": len(channels) or None,
        "weekdays_365": len({(day + 4) % 7 for day in days if today - day <= 365}),
        "lines_an_order_day_365": share(year_lines, d365),
        "lines_trend": (lines_90 / d90) / (year_lines / d365) if d90 and year_lines else None,
        "tenure_days": tenure,
        "order_days_total": len(days),
        "order_days_year_ago": year_ago if tenure >= 365 else None,
        "amount_year_ago": amount(365 - horizon + 1, 365) if tenure >= 365 else None,
        "order_days_year_ago_share": share(year_ago, d365) if tenure >= 365 else None,
        "season_index": (coming / horizon) / (year_total / 365)
        if whole_year and year_total
        else None,
        "year_sine": round(math.sin(2 * math.pi * today / 365.2425), 9),
        "year_cosine": round(math.cos(2 * math.pi * today / 365.2425), 9),
    }


def expected(
    lines: Sequence[Line],
    as_of: datetime,
    known_by: datetime,
    *,
    horizon: int,
    window: int,
    superseded: Mapping[int, datetime],
    labels_as_of: datetime | None = None,
    labels_known_by: datetime | None = None,
) -> dict[str, dict[str, float | bool | None]]:
    """Features (and `churned`) of the eligible customers at one cut-off, by customer."""
    visible = [line for line in seen(lines, known_by, superseded) if line.ordered_at < as_of]
    after = seen(lines, labels_known_by, superseded) if labels_known_by else []
    found: dict[str, dict[str, float | bool | None]] = {}
    for customer in sorted({line.customer_id for line in visible}):
        own = [line for line in visible if line.customer_id == customer]
        days = [line.day for line in own if not line.is_return]
        if not days or max(days) < (as_of - EPOCH).days - window:
            continue
        row: dict[str, float | bool | None] = dict(features_of(own, as_of, horizon, visible))
        if labels_as_of is not None:
            until = as_of + timedelta(days=horizon)
            row["churned"] = (
                not any(
                    line.customer_id == customer
                    and not line.is_return
                    and as_of <= line.ordered_at < until
                    for line in after
                )
                if until <= labels_as_of
                else None
            )
        found[customer] = row
    return found
