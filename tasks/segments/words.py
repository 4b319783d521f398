"""The words that segments and features are named by, in English and Korean.

A `Theme` is one thing to say of customers, measured by several features that mean the same; each
of its poles has the words that a name is made of. `FEATURE_WORDS` are short forms of the features
for tables and maps. A column that is not here is called by its own name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.findings import Words


@dataclass(frozen=True, slots=True)
class Pole:
    """One end of a theme.

    English: `adjective` before the noun; `noun` instead of "customers", where there is one.
    Korean: `ending` directly before 고객, `joining` before another such form, and `adverb` before
    사는 where the theme is about how they buy.
    """

    adjective: str
    ending: str
    joining: str
    noun: str = ""
    adverb: str = ""


@dataclass(frozen=True, slots=True)
class Theme:
    """`features` maps each feature to +1 or -1: whether more of it is more of the theme.

    `weight` prefers what a marketer acts on; `high` and `low` are the words of both ends.
    """

    name: str
    weight: float
    features: Mapping[str, int]
    high: Pole
    low: Pole


# In the order in which English adjectives stand in a name.
THEMES: tuple[Theme, ...] = (
    Theme(
        "recency",
        0.95,
        {"recency_days": -1},
        Pole("recent", "최근에 온", "최근에 오고"),
        Pole("quiet", "발길이 뜸한", "발길이 뜸하고"),
    ),
    Theme(
        "rhythm",
        0.7,
        {"gap_now_to_median": 1, "gap_now_to_usual": 1},
        Pole("overdue", "평소 주기를 넘긴", "평소 주기를 넘기고"),
        Pole("on-time", "평소 주기를 지키는", "평소 주기를 지키고"),
    ),
    Theme(
        "trend",
        0.8,
        {"order_days_trend": 1, "amount_trend": 1, "order_days_share_90": 1},
        Pole("growing", "구매가 늘고 있는", "구매가 늘고"),
        Pole("fading", "구매가 줄고 있는", "구매가 줄고"),
    ),
    Theme(
        "tenure",
        0.9,
        {
            "tenure_days": 1,
            "customer_age_days": 1,
            "registered_days": 1,
            "contract_age_days": 1,
        },
        Pole("long-standing", "오래된", "오래되고"),
        Pole("new", "새로운", "새롭고"),
    ),
    Theme(
        "frequency",
        1.0,
        {
            "order_days_7": 1,
            "order_days_30": 1,
            "order_days_90": 1,
            "order_days_180": 1,
            "order_days_365": 1,
            "active_months_365": 1,
            "order_days_decayed": 1,
            "order_days_a_month": 1,
            "order_days_total": 1,
            "gap_median_days": -1,
            "gap_mean_days": -1,
        },
        Pole("frequent", "자주 사는", "자주 사고", adverb="자주"),
        Pole("occasional", "가끔 사는", "가끔 사고", adverb="가끔"),
    ),
    Theme(
        "basket",
        0.8,
        {"amount_an_order_day": 1, "lines_an_order_day_365": 1},
        Pole("big-basket", "한 번에 많이 담는", "한 번에 많이 담고"),
        Pole("small-basket", "한 번에 조금 담는", "한 번에 조금 담고"),
    ),
    Theme(
        "discount",
        0.9,
        {"discount_share_365": 1, "discount_share_90": 1},
        Pole("discount-seeking", "할인을 찾는", "할인을 찾고"),
        Pole("full-price", "정가에 사는", "정가에 사고"),
    ),
    Theme(
        "returns",
        0.8,
        {"return_share_365": 1, "return_days_365": 1},
        Pole("returns-heavy", "반품이 많은", "반품이 많고"),
        Pole("returns-light", "반품이 적은", "반품이 적고"),
    ),
    Theme(
        "breadth",
        0.6,
        {
            "categories_total": 1,
            "categories_new_90": 1,
            "channels_total": 1,
            "weekdays_365": 1,
        },
        Pole("broad", "여러 가지를 사는", "여러 가지를 사고"),
        Pole("narrow", "몇 가지만 사는", "몇 가지만 사고"),
    ),
    Theme(
        "steadiness",
        0.6,
        {"gap_deviation_days": -1, "gap_longest_days": -1},
        Pole("steady", "구매가 고른", "구매가 고르고"),
        Pole("irregular", "구매가 들쭉날쭉한", "구매가 들쭉날쭉하고"),
    ),
    Theme(
        "visits",
        0.8,
        {
            "event_recency_days": -1,
            "events_7": 1,
            "events_30": 1,
            "events_90": 1,
            "event_days_90": 1,
            "sessions_30": 1,
            "sessions_90": 1,
            "event_kinds_90": 1,
        },
        Pole("browsing", "자주 둘러보는", "자주 둘러보고"),
        Pole("seldom-browsing", "잘 둘러보지 않는", "잘 둘러보지 않고"),
    ),
    Theme(
        "service",
        0.8,
        {
            "tickets_30": 1,
            "tickets_90": 1,
            "tickets_365": 1,
            "open_tickets": 1,
            "open_ticket_age_days": 1,
            "complaint_share_365": 1,
            "ticket_recency_days": -1,
        },
        Pole("support-heavy", "문의가 많은", "문의가 많고"),
        Pole("support-light", "문의가 적은", "문의가 적고"),
    ),
    Theme(
        "response",
        0.8,
        {
            "contact_opened_share_365": 1,
            "contact_clicked_share_365": 1,
            "contact_answered_share_365": 1,
            "contacts_answered_365": 1,
            "contact_answered_recency_days": -1,
        },
        Pole("responsive", "메시지에 반응하는", "메시지에 반응하고"),
        Pole("unresponsive", "메시지에 반응이 적은", "메시지에 반응이 적고"),
    ),
    Theme(
        "contact",
        0.4,
        {"contacts_30": 1, "contacts_90": 1, "contacts_365": 1, "contact_recency_days": -1},
        Pole("often-contacted", "자주 연락받은", "자주 연락받고"),
        Pole("seldom-contacted", "드물게 연락받은", "드물게 연락받고"),
    ),
    Theme(
        "opt-out",
        0.6,
        {"opted_out": 1},
        Pole("opted-out", "수신을 거부한", "수신을 거부하고"),
        Pole("reachable", "수신에 동의한", "수신에 동의하고"),
    ),
    Theme(
        "contracts",
        0.8,
        {"open_contracts": 1},
        Pole("many-contract", "계약이 많은", "계약이 많고"),
        Pole("few-contract", "계약이 적은", "계약이 적고"),
    ),
    Theme(
        "spend",
        1.0,
        {
            "amount_7": 1,
            "amount_30": 1,
            "amount_90": 1,
            "amount_365": 1,
            "amount_total": 1,
            "value_amount": 1,
            "period_amount": 1,
        },
        Pole("high-value", "많이 사는", "많이 사고", noun="big spenders", adverb="많이"),
        Pole("low-value", "적게 사는", "적게 사고", noun="small spenders", adverb="적게"),
    ),
)

# Nothing sets them apart.
TYPICAL = Words(en="Typical customers", ko="평범한 고객")
EVERYBODY = Words(en="All customers", ko="전체 고객")
# Half of them or more have ordered on one day only.
ONE_TIME = Words(en="one-time buyers", ko="한 번 구매한")

FEATURE_WORDS: dict[str, Words] = {
    name: Words(en=en, ko=ko)
    for name, en, ko in (
        ("recency_days", "days since last order", "마지막 주문 후 일수"),
        ("gap_median_days", "median days between orders", "주문 간격 중앙값(일)"),
        ("gap_mean_days", "mean days between orders", "평균 주문 간격(일)"),
        ("gap_deviation_days", "unevenness of gaps", "주문 간격 편차(일)"),
        ("gap_last_days", "last gap in days", "직전 주문 간격(일)"),
        ("gap_longest_days", "longest gap in days", "가장 긴 주문 간격(일)"),
        ("gap_now_to_median", "gap now to median gap", "현재 간격/중앙값"),
        ("gap_now_to_usual", "gap now to usual range", "현재 간격/평소 범위"),
        ("gap_last_to_median", "last gap to median gap", "직전 간격/중앙값"),
        ("order_days_7", "order days, 7 days", "최근 7일 주문일수"),
        ("order_days_30", "order days, 30 days", "최근 30일 주문일수"),
        ("order_days_90", "order days, 90 days", "최근 90일 주문일수"),
        ("order_days_180", "order days, 180 days", "최근 180일 주문일수"),
        ("order_days_365", "order days, 365 days", "최근 365일 주문일수"),
        ("active_months_365", "months with an order", "주문한 달 수"),
        ("order_days_decayed", "order days, recent weigh more", "최근 가중 주문일수"),
        ("order_days_a_month", "order days a month", "월 주문일수"),
        ("order_days_trend", "trend of order days", "주문일수 추세"),
        ("order_days_share_90", "part of orders in 90 days", "최근 90일 주문 비중"),
        ("amount_7", "spent, 7 days", "최근 7일 구매액"),
        ("amount_30", "spent, 30 days", "최근 30일 구매액"),
        ("amount_90", "spent, 90 days", "최근 90일 구매액"),
        ("amount_365", "spent, 365 days", "최근 365일 구매액"),
        ("amount_total", "spent so far", "누적 구매액"),
        ("value_amount", "worth so far", "누적 가치"),
        ("amount_an_order_day", "spent on an order day", "주문일당 구매액"),
        ("amount_last_to_usual", "last order to usual order", "직전 구매액/평소"),
        ("amount_trend", "trend of spending", "구매액 추세"),
        ("discount_share_365", "discount share, 365 days", "최근 365일 할인율"),
        ("discount_share_90", "discount share, 90 days", "최근 90일 할인율"),
        ("return_share_365", "share of spending returned", "반품 금액 비율"),
        ("return_days_365", "days with a return", "반품한 일수"),
        ("categories_total", "categories bought", "구매한 품목군 수"),
        ("categories_new_90", "new categories, 90 days", "최근 90일 새 품목군 수"),
        ("channels_total", "channels used", "이용 채널 수"),
        ("weekdays_365", "weekdays they order on", "주문하는 요일 수"),
        ("lines_an_order_day_365", "lines on an order day", "주문일당 품목 줄 수"),
        ("lines_trend", "trend of lines a day", "주문 줄 수 추세"),
        ("tenure_days", "days since first order", "첫 주문 후 일수"),
        ("order_days_total", "order days so far", "누적 주문일수"),
        ("order_days_year_ago", "order days a year ago", "작년 같은 기간 주문일수"),
        ("amount_year_ago", "spent a year ago", "작년 같은 기간 구매액"),
        ("order_days_year_ago_share", "that season's part of orders", "그 계절의 주문 비중"),
        ("season_index", "how busy the season is", "계절 지수"),
        ("year_sine", "day of the year (sine)", "연중 시기(사인)"),
        ("year_cosine", "day of the year (cosine)", "연중 시기(코사인)"),
        ("event_recency_days", "days since last visit", "마지막 방문 후 일수"),
        ("events_7", "events, 7 days", "최근 7일 활동 수"),
        ("events_30", "events, 30 days", "최근 30일 활동 수"),
        ("events_90", "events, 90 days", "최근 90일 활동 수"),
        ("event_days_90", "days with an event, 90 days", "최근 90일 활동 일수"),
        ("sessions_30", "sessions, 30 days", "최근 30일 방문 수"),
        ("sessions_90", "sessions, 90 days", "최근 90일 방문 수"),
        ("event_kinds_90", "kinds of events, 90 days", "최근 90일 활동 종류 수"),
        ("events_trend", "trend of events", "활동 추세"),
        ("ticket_recency_days", "days since last ticket", "마지막 문의 후 일수"),
        ("tickets_30", "tickets, 30 days", "최근 30일 문의 수"),
        ("tickets_90", "tickets, 90 days", "최근 90일 문의 수"),
        ("tickets_365", "tickets, 365 days", "최근 365일 문의 수"),
        ("open_tickets", "tickets not closed", "처리 중인 문의 수"),
        ("open_ticket_age_days", "age of oldest open ticket", "가장 오래된 미해결 문의(일)"),
        ("complaint_share_365", "share of complaints", "불만 문의 비율"),
        ("ticket_closing_days", "days to close a ticket", "문의 처리 일수"),
        ("satisfaction_median_365", "median satisfaction", "만족도 중앙값"),
        ("contact_recency_days", "days since last message", "마지막 메시지 후 일수"),
        ("contacts_30", "messages, 30 days", "최근 30일 메시지 수"),
        ("contacts_90", "messages, 90 days", "최근 90일 메시지 수"),
        ("contacts_365", "messages, 365 days", "최근 365일 메시지 수"),
        ("contact_opened_share_365", "share of messages opened", "메시지 열람률"),
        ("contact_clicked_share_365", "share of messages clicked", "메시지 클릭률"),
        ("contact_answered_share_365", "share of messages answered", "메시지 응답률"),
        ("contacts_answered_365", "messages answered", "응답한 메시지 수"),
        ("contact_answered_recency_days", "days since last answer", "마지막 응답 후 일수"),
        ("opted_out", "asked for no messages", "수신 거부"),
        ("open_contracts", "open contracts", "유효 계약 수"),
        ("ended_contracts", "ended contracts", "종료된 계약 수"),
        ("contract_age_days", "age of oldest contract", "가장 오래된 계약(일)"),
        ("customer_age_days", "days since first contract", "첫 계약 후 일수"),
        ("period_amount", "paid a period", "기간당 요금"),
        ("registered_days", "days since registration", "가입 후 일수"),
    )
}


def word_feature(name: str, meanings: Mapping[str, str]) -> Words:
    """A feature in short; else what `meanings` says, which is English; else its own name."""
    if name in FEATURE_WORDS:
        return FEATURE_WORDS[name]
    plain = " ".join(name.replace("_", " ").split()) or name
    return Words(en=meanings.get(name) or plain, ko=plain)
