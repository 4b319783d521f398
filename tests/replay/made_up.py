"""Replays' worth of findings without a replay."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from tasks.replay.catching import Caught
from tasks.replay.money import Account, Sum
from tasks.replay.planting import Plant
from tasks.replay.recording import Told
from tasks.replay.truth import Check

FIRST = datetime(2023, 1, 2, tzinfo=UTC)


def told(number: int = 0, **changed: object) -> Told:
    """A step; the first has promoted version 1."""
    found = {
        "as_of": FIRST + timedelta(days=7 * number),
        "batches": 2,
        "rows": 1_200 + 10 * number,
        "aside_rows": 12,
        "champion": 1,
        "champion_kind": "model",
        "customers": 400,
        "contacts": {"served": 40, "best rule": 38},
    }
    if number == 0:
        found |= {"learnt": ("v1",), "decisions": ("promote",), "reasons": ("it is the first",)}
    return Told.model_validate({**found, **changed})


def account(weeks: int = 6) -> Account:
    names = ("served", "never retrained", "always promoted", "best rule")
    by_week = {
        name: tuple(100.0 - 10 * place for _ in range(weeks)) for place, name in enumerate(names)
    }
    sums = [
        Sum(
            policy=name,
            contacts=240,
            realised_amount=Decimal(sum(int(one) for one in by_week[name])),
            interval=(300.0, 700.0),
            expected_amount=612.0,
            lead_amount=Decimal(10 * place * weeks),
            lead_interval=(-20.0, 140.0),
        )
        for place, name in enumerate(names)
    ]
    return Account(
        "EUR", tuple(FIRST + timedelta(days=7 * n) for n in range(weeks)), tuple(sums), by_week
    )


def caught() -> list[Caught]:
    """One that was, one that was not."""
    return [
        Caught(
            Plant("unit_change", date(2023, 1, 9)),
            FIRST + timedelta(days=7),
            FIRST + timedelta(days=7),
            "UNIT_SHIFT (shift)",
            "the median is 98 times as high",
        ),
        Caught(
            Plant("concept_drift", date(2023, 1, 16)),
            FIRST + timedelta(days=14),
            None,
            "",
            "nothing",
        ),
    ]


def checks() -> list[Check]:
    return [
        Check("money of served", 600.0, (300.0, 700.0), 640.0, True),
        Check("share of the contacted who leave", 0.41, (0.39, 0.43), 0.35, False),
    ]
