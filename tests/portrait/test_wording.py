"""Numbers, amounts, dates and phrases in both languages."""

from __future__ import annotations

import math
import re
import string
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.findings import Words
from tasks.portrait import page
from tasks.portrait.phrases import PHRASES
from tasks.portrait.wording import LANGUAGES, Language, Speech

ENGLISH, KOREAN = Speech("en", "GBP"), Speech("ko", "GBP")
WON = Speech("ko", "KRW")


@pytest.mark.parametrize(
    ("speech", "amount", "told"),
    [
        (ENGLISH, Decimal("1234.5"), "£1,234"),
        (ENGLISH, Decimal("12.345"), "£12.35"),
        (ENGLISH, Decimal("-12.3"), "−£12.30"),
        (ENGLISH, 0, "£0"),
        (ENGLISH, -0.001, "£0.00"),
        (KOREAN, 1234.5, "£1,234"),
        (WON, 1234567, "1,234,567원"),
        (WON, 12.5, "12원"),
        (Speech("en", "KRW"), 1234567, "₩1,234,567"),
        (Speech("en", "CHF"), 1500, "CHF 1,500"),
        (Speech("en", None), 1500, "1,500"),
        (ENGLISH, math.nan, "–"),
    ],
)
def test_amounts(speech: Speech, amount: Decimal | float, told: str) -> None:
    assert speech.money(amount) == told


@pytest.mark.parametrize(
    ("speech", "amount", "told"),
    [
        (ENGLISH, 1_239_000, "£1.24M"),
        (ENGLISH, 71_900, "£71.9K"),
        (ENGLISH, 7_190, "£7,190"),
        (ENGLISH, -2_500_000_000, "−£2.50B"),
        (KOREAN, 1_239_000, "124만 파운드"),
        (WON, 1_239_000_000, "12.4억 원"),
        (WON, 9_999, "9,999원"),
        (Speech("ko", None), 45_000, "4.50만"),
        (Speech("ko", "CHF"), 45_000, "4.50만 CHF"),
    ],
)
def test_amounts_of_headlines(speech: Speech, amount: float, told: str) -> None:
    assert speech.money_short(amount) == told


def test_dates_and_days() -> None:
    day = datetime(2011, 12, 9, tzinfo=UTC)
    assert ENGLISH.date(day) == "9 December 2011"
    assert KOREAN.date(day) == "2011년 12월 9일"
    assert ENGLISH.period(day, "month") == "December 2011"
    assert KOREAN.period(day, "month") == "2011년 12월"
    assert ENGLISH.period(day, "week") == "week of 9 December 2011"
    assert ENGLISH.days(1) == "1 day"
    assert ENGLISH.days(45.2) == "45 days"
    assert ENGLISH.days(None) == "–"


def test_figures_follow_their_measure() -> None:
    assert ENGLISH.figure(0.4123, "gini_share") == "41.2%"
    assert ENGLISH.figure(1_312.4, "profit_amount") == "£1,312"
    assert ENGLISH.figure(4_891.6, "active_customers") == "4,892"
    assert ENGLISH.figure(0.81) == "0.810"
    assert ENGLISH.figure(-0.81) == "−0.810"
    assert ENGLISH.figure(0.00012) == "0.00012"
    assert ENGLISH.plain_figure(6.0, "orders_count") == "6"
    assert ENGLISH.plain_figure(0.44, "discount_share") == "44%"
    assert ENGLISH.plain_figure(1_200.0) == "1,200"


def test_the_other_language_stands_in_for_an_empty_text() -> None:
    assert KOREAN.words(Words(en="Loyal", ko="")) == "Loyal"
    assert KOREAN.words(Words(en="Loyal", ko="단골")) == "단골"
    assert ENGLISH.words(Words(en="days since last order", ko="")) == "Days since last order"
    assert ENGLISH.term("a_new_measure") == "a new measure"


def test_quantiles_of_lead_time_are_told_by_how_many() -> None:
    told = ENGLISH.lead_times({"0.25": 12.0, "0.5": 34.0, "0.75": 61.0, "mean": 30.0})
    assert told == ["75% at least 12 days ahead.", "25% at least 61 days ahead."]


@pytest.mark.parametrize("key", sorted(PHRASES))
def test_both_languages_name_the_same_values(key: str) -> None:
    english, korean = PHRASES[key]
    forms = english if isinstance(english, tuple) else (english,)
    assert all(_names(form) == _names(korean) for form in forms)
    assert korean.strip()


def _names(phrase: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(phrase) if name}


def test_no_phrase_is_left_over() -> None:
    """Every key is asked for somewhere, by its whole name or by the stem of a family of keys."""
    sources = [*Path(page.__file__).parent.glob("*.py"), *page.TEMPLATES.iterdir()]
    text = "\n".join(
        one.read_text(encoding="utf-8") for one in sources if not one.name.startswith("phrases")
    )
    quoted = set(re.findall(r"\"[a-z_.]+\"|'[a-z_.]+'", text))
    unused = [
        key
        for key in PHRASES
        if not {f'"{key}"', f"'{key}'"} & quoted
        and not re.search(rf'"{re.escape(key.rpartition(".")[0])}\.(" ~|{{)', text)
        and not (key.endswith(".title") or key.startswith("nav."))
    ]
    assert unused == []


@given(
    amount=st.floats(-1e15, 1e15) | st.sampled_from([math.nan, math.inf, -math.inf]),
    language=st.sampled_from(LANGUAGES),
    currency=st.sampled_from(["USD", "KRW", "JPY", "CHF", None]),
)
def test_any_number_is_told(amount: float, language: Language, currency: str | None) -> None:
    speech = Speech(language, currency)
    told = [
        speech.money(amount),
        speech.money_short(amount),
        speech.share(amount),
        speech.figure(amount),
        speech.plain_figure(amount),
        speech.signed_share(amount),
        speech.percent(amount),
    ]
    assert all(told)
    assert not any(word in one.lower() for one in told for word in ("nan", "inf", "e+"))
