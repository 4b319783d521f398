"""The list takes what was measured where it was, leaves harm out, and says what numbers rest on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tasks.actions.listing import list_actions
from tasks.evidence import EVIDENCE_TABLES
from tasks.exports import arrow_schema
from tasks.findings import ActionFindings
from tasks.settings import Settings
from tasks.warehouse import Lake
from tests.actions.made_up import AS_OF, KNOWN_BY, put_known, put_scores
from tests.actions.test_listing import is_held_out, rows, scored
from tests.conftest import MakeSettings

pytestmark = pytest.mark.sql

PEOPLE = [f"c{n:04d}" for n in range(30)]
A, B, C = [who for who in PEOPLE if not is_held_out(who)][:3]
POLICY = {"rules": [{"action": "voucher"}], "winback": {"enabled": False}}


@pytest.fixture
def shop(lake: Lake, make_settings: MakeSettings) -> Settings:
    """Thirty customers worth 300 a year each; one in the segment g1, one with the reason price."""
    put_scores(lake, scored(30, probability=0.5, value=1000))
    put_known(lake, "segments", [{"customer_id": w, "segment_id": "g1"} for w in (A, C)], "g")
    put_known(lake, "reasons", [{"customer_id": w, "driver": "price"} for w in (B, C)], "w")
    return make_settings(lake.deployment, actions=POLICY)


def put_effects(lake: Lake, effects: Sequence[dict[str, Any]], run_id: str = "u1") -> None:
    plain = {
        "as_of": AS_OF,
        "known_by": KNOWN_BY,
        "run_id": run_id,
        "listed_for": "retention",
        "action": "voucher",
        "verdict": "works",
        "metric": "lapse_share",
        "currency": "USD",
        "level": 3,
        "is_measured": True,
    }
    table = pa.Table.from_pylist(
        [{**plain, **one} for one in effects], arrow_schema(EVIDENCE_TABLES["action_effects"])
    )
    lake.load_arrow("made_rows", table)
    lake.execute("insert into lake.main.action_effects by name from made_rows")
    lake.drop_arrow("made_rows")
    lake.execute(
        "insert into lake.ledger.findings values ($id, 'uplift', $as_of, $known_by, 1, $at, '{}')",
        {"id": run_id, "as_of": AS_OF, "known_by": KNOWN_BY, "at": datetime.now(UTC)},
    )


def run(lake: Lake, settings: Settings) -> ActionFindings:
    return list_actions(lake, AS_OF, KNOWN_BY, settings, budget_amount=Decimal(10_000))[0]


def guess(row: dict[str, Any]) -> Decimal:
    """Verbraken et al. 2013 with the policy's 30 %."""
    value = float(row["value_amount"])
    return Decimal(f"{0.5 * (0.3 * (value - 5) - 0.5) - 0.5 * 5.5:.4f}")


def test_without_evidence_all_is_a_guess_of_level_0(lake: Lake, shop: Settings) -> None:
    found = run(lake, shop)
    listed = rows(lake)
    assert {row["evidence_level"] for row in listed.values()} == {0}
    assert listed[A]["expected_return_amount"] == pytest.approx(
        guess(listed[A]), abs=Decimal("0.001")
    )
    assert {line.evidence_level for line in found.lines} == {0}
    assert any("level 0" in note.en for note in found.notes)


def test_what_was_measured_takes_the_place_of_the_guess(lake: Lake, shop: Settings) -> None:
    before = run(lake, shop)
    put_effects(
        lake,
        [
            {"level": 2, "is_measured": False, "incremental_share": 0.01},
            {"segment_id": "g1", "incremental_share": 0.2},
            {"driver": "price", "incremental_share": 0.1},
            # Of another list: it is not read.
            {"listed_for": "winback", "incremental_share": 0.9},
        ],
    )
    found = run(lake, shop)
    run_ids = lake.rows("select distinct run_id from lake.main.customer_actions")
    assert len(run_ids) == 2
    listed = {
        row["customer_id"]: row
        for row in lake.rows("from lake.main.customer_actions where evidence_level > 0")
    }
    assert {listed[who]["evidence_level"] for who in (A, B, C)} == {3}
    others = set(listed) - {A, B, C}
    assert {listed[who]["evidence_level"] for who in others} == {2}
    one = next(iter(others))
    assert listed[one]["expected_return_amount"] == pytest.approx(
        guess(listed[one]), abs=Decimal("0.001")
    )
    for who, share in ((A, 0.2), (B, 0.1), (C, 0.1)):
        value = float(listed[who]["value_amount"])
        assert float(listed[who]["expected_return_amount"]) == pytest.approx(
            share * (value - 5) - 0.5 * 5 - 0.5, abs=1e-3
        )
    assert {line.segment_id: line.evidence_level for line in found.lines} == {"g1": 3, None: 2}
    assert before.expected_return_amount != found.expected_return_amount
    assert any("rests on the policy's guess" in note.en for note in found.notes)
    # The same evidence under another run's name is the same list.
    put_effects(
        lake,
        [
            {"level": 2, "is_measured": False, "incremental_share": 0.01},
            {"segment_id": "g1", "incremental_share": 0.2},
            {"driver": "price", "incremental_share": 0.1},
            {"listed_for": "winback", "incremental_share": 0.9},
        ],
        "u2",
    )
    assert run(lake, shop) == found


def test_harm_is_left_out_and_a_segment_of_its_own_is_not(lake: Lake, shop: Settings) -> None:
    put_effects(
        lake,
        [
            {"level": 1, "verdict": "harms", "incremental_share": -0.05},
            {"segment_id": "g1", "incremental_share": 0.2},
        ],
    )
    found = run(lake, shop)
    assert set(rows(lake)) == {A, C}
    assert found.left_alone["no_positive_return"] == 28


def test_measured_in_money(lake: Lake, shop: Settings) -> None:
    put_effects(
        lake,
        [
            {"driver": "price", "metric": "margin_amount", "incremental_amount": 12.0},
            {"segment_id": "g1", "metric": "margin_amount", "incremental_amount": 4.0},
        ],
    )
    run(lake, shop)
    listed = rows(lake)
    assert listed[B]["expected_return_amount"] == Decimal("6.5000")
    # Of segment and reason the lower counts: less than the offer costs, so not at all.
    assert not {A, C} & set(listed)
