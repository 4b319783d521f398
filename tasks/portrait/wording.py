"""How the page speaks: phrases, numbers, amounts and dates in one of two languages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

from tasks.findings import Words
from tasks.portrait.phrases import PHRASES
from tasks.portrait.terms import TERMS

Language = Literal["en", "ko"]
LANGUAGES: tuple[Language, ...] = ("en", "ko")
NOTHING = "–"

_SYMBOLS = {"USD": "$", "GBP": "£", "EUR": "€", "JPY": "¥", "KRW": "₩"}
_KOREAN_UNITS = {"USD": "달러", "GBP": "파운드", "EUR": "유로", "JPY": "엔", "KRW": "원"}
_WITHOUT_CENTS = frozenset({"JPY", "KRW"})
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
# Below this an amount is told with cents, above it they would be noise.
_CENTS_BELOW = 100


@dataclass(frozen=True, slots=True)
class Speech:
    """One language and one currency (None: amounts are plain numbers)."""

    language: Language
    currency: str | None

    def say(self, key: str, **values: object) -> str:
        """A phrase with its values filled in. English takes the singular where `n` is 1."""
        english, korean = PHRASES[key]
        if self.language == "ko":
            return korean.format(**values)
        if isinstance(english, tuple):
            english = english[0] if str(values.get("n")) == "1" else english[1]
        return english.format(**values)

    def words(self, words: Words) -> str:
        """A text of findings, in English where the other language is empty; as it begins a line."""
        text = (words.ko if self.language == "ko" else words.en) or words.en
        return text[:1].upper() + text[1:]

    def term(self, code: str) -> str:
        """The name of a code (measure, method, cause); an unknown one as it is, but readable."""
        known = TERMS.get(code.replace(" ", "_"))
        if known is None:
            return code.replace("_", " ")
        return known[1] if self.language == "ko" else known[0]

    def count(self, number: float) -> str:
        """`12,345`."""
        return f"{number:,.0f}" if math.isfinite(number) else NOTHING

    def share(self, share: float | None, digits: int = 1) -> str:
        """`12.3%`."""
        if share is None or not math.isfinite(share):
            return NOTHING
        return f"{_positive_zero(share * 100, digits):.{digits}f}%"

    def points(self, share: float, digits: int = 1) -> str:
        """A difference of two shares: `3.2 points`."""
        return self.say("unit.points", number=f"{abs(share) * 100:.{digits}f}")

    def lead_times(self, quantile_days: Mapping[str, float]) -> list[str]:
        """How far ahead which part was flagged, the most certain first; without the median."""
        told = []
        for quantile, days in sorted(quantile_days.items()):
            try:
                part = 1 - float(quantile)
            except ValueError:
                continue
            if abs(part - 0.5) > 1e-9:
                told.append(
                    self.say("leaving.lead_others", share=f"{part:.0%}", days=self.days(days))
                )
        return told

    def signed_points(self, share: float) -> str:
        """`−8.3 points`."""
        return ("−" if share < 0 else "+") + self.points(share)

    def signed_share(self, share: float) -> str:
        """`+6.2%`."""
        if not math.isfinite(share):
            return NOTHING
        return ("−" if share < 0 else "+") + self.share(abs(share))

    def percent(self, share: float) -> str:
        """A width in a style: 0 to 100, whatever the share."""
        return f"{min(1.0, max(0.0, share)) * 100 if math.isfinite(share) else 0:.1f}"

    def top(self, share: str) -> str:
        """`0.05` as `5%`; what is no number as it is."""
        try:
            return f"{float(share) * 100:g}%"
        except ValueError:
            return share

    def tenths(self, value: float) -> str:
        """`2.8`."""
        return f"{value:,.1f}" if math.isfinite(value) else NOTHING

    def probability(self, value: float) -> str:
        """A p-value with its sign, never as zero."""
        return "< 0.001" if value < 0.001 else f"= {value:.3f}"

    def money(self, amount: Decimal | float) -> str:
        """`$1,235`, below a hundred `$12.35`."""
        value = float(amount)
        if not math.isfinite(value):
            return NOTHING
        cents = abs(value) < _CENTS_BELOW and value != 0 and self.currency not in _WITHOUT_CENTS
        digits = 2 if cents else 0
        return self._in_currency(f"{abs(value):,.{digits}f}", value)

    def money_short(self, amount: Decimal | float) -> str:
        """For headlines: `$1.24M`, in Korean `124만 달러`."""
        value = float(amount)
        if not math.isfinite(value):
            return NOTHING
        size = abs(value)
        if self.language == "ko":
            return self._short_korean(value, size)
        for limit, name in ((1e9, "B"), (1e6, "M"), (1e4, "K")):
            if size >= limit:
                scaled = size / (1e3 if name == "K" else limit)
                return self._in_currency(f"{_three_digits(scaled)}{name}", value)
        return self.money(amount)

    def _short_korean(self, value: float, size: float) -> str:
        sign = "−" if value < 0 else ""
        unit = _KOREAN_UNITS.get(self.currency or "", self.currency or "")
        for limit, name in ((1e12, "조"), (1e8, "억"), (1e4, "만")):
            if size >= limit:
                text = f"{sign}{_three_digits(size / limit)}{name}"
                return f"{text} {unit}".rstrip()
        return self.money(value)

    def _in_currency(self, digits: str, value: float) -> str:
        sign = "−" if value < 0 and digits.strip("0.,") else ""
        before, after = self.currency_signs
        return f"{sign}{before}{digits}{after}"

    @property
    def currency_signs(self) -> tuple[str, str]:
        """What stands before and behind an amount."""
        currency = self.currency
        if currency is None:
            return "", ""
        if currency == "KRW" and self.language == "ko":
            return "", "원"
        return _SYMBOLS.get(currency, f"{currency} "), ""

    def figure(self, value: float | None, measure: str = "") -> str:
        """A figure as its measure wants it: an amount, a share, or three significant digits."""
        if value is None or not math.isfinite(value):
            return NOTHING
        if measure.endswith("_amount"):
            return self.money(value)
        if measure.endswith("_share") or measure == "churn_rate":
            return self.share(value)
        if measure.endswith(("_customers", "_days")):
            return self.count(value)
        return _signed(_three_digits(abs(value)), value)

    def plain_figure(self, value: float, measure: str = "") -> str:
        """The same without zeros that say nothing: a median of 6 orders, 44%."""
        text = self.figure(value, measure)
        mark = "%" if text.endswith("%") else ""
        digits = text.removesuffix("%")
        return (digits.rstrip("0").rstrip(".") if "." in digits else digits) + mark

    def date(self, moment: datetime) -> str:
        """`9 December 2011`; `2011년 12월 9일`."""
        day = moment.astimezone(UTC)
        if self.language == "ko":
            return f"{day.year}년 {day.month}월 {day.day}일"
        return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"

    def period(self, moment: datetime, period: str) -> str:
        """The month, or the week by its first day."""
        day = moment.astimezone(UTC)
        if period == "week":
            return self.say("forecasts.week_of", date=self.date(moment))
        if self.language == "ko":
            return f"{day.year}년 {day.month}월"
        return f"{_MONTHS[day.month - 1]} {day.year}"

    def days(self, days: float | None) -> str:
        """`45 days`."""
        if days is None or not math.isfinite(days):
            return NOTHING
        return self.say("unit.days", n=f"{days:,.0f}")


def _three_digits(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    if value >= 1 or value == 0:
        return f"{value:.2f}"
    return f"{value:.3g}" if value < 0.001 else f"{value:.3f}"


def _signed(digits: str, value: float) -> str:
    return f"−{digits}" if value < 0 and digits.strip("0.") else digits


def _positive_zero(value: float, digits: int) -> float:
    rounded = round(value, digits)
    return 0.0 if rounded == 0 else rounded
