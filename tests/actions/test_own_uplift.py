"""Where uplift targeting is unlocked the list chooses by each customer's own uplift, else not."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tasks.actions.listing import list_actions
from tasks.actions.steps import describe_lists
from tasks.evidence import EVIDENCE_TABLES
from tasks.exports import arrow_schema
from tasks.findings import ActionFindings
from tasks.settings import Settings
from tasks.warehouse import Lake
from tests.actions.made_up import AS_OF, KNOWN_BY, put_known, put_scores
from tests.actions.test_evidence import POLICY, guess, put_effects
from tests.actions.test_listing import is_held_out, rows, scored
from tests.conftest import MakeSettings

pytestmark = pytest.mark.sql

PEOPLE = [f"c{n:04d}" for n in range(30)]
A, B, C, D, E = [who for who in PEOPLE if not is_held_out(who)][:5]
BROAD: dict[str, Any] = {"level": 2, "is_measured": False, "incremental_share": 0.01}


@pytest.fixture
def shop(lake: Lake, make_settings: MakeSettings) -> Settings:
    """Thirty customers worth 300 a year each; two of them in the segment g1."""
    put_scores(lake, scored(30, probability=0.5, value=1000))
    put_known(lake, "segments", [{"customer_id": w, "segment_id": "g1"} for w in (A, B)], "g")
    return make_settings(lake.deployment, actions=POLICY)


def put_study(lake: Lake, run_id: str = "u1", *, unlocked: bool = True) -> None:
    """What the findings say of the action `voucher`."""
    study = {
        "listed_for": "retention",
        "action": "voucher",
        "unlocked": unlocked,
        "reason": {"en": "Locked: it is not above zero.", "ko": "잠김"},
    }
    lake.execute(
        "update lake.ledger.findings set content = $content where finding_id = $id",
        {"content": json.dumps({"studies": [study]}), "id": run_id},
    )


def put_uplifts(lake: Lake, uplifts: Mapping[str, float], run_id: str = "u1", **more: Any) -> None:
    """Own uplifts in stays, published by a run."""
    plain = {
        "as_of": AS_OF,
        "known_by": KNOWN_BY,
        "run_id": run_id,
        "listed_for": "retention",
        "action": "voucher",
        "learner_hash": "h",
    }
    table = pa.Table.from_pylist(
        [
            {**plain, "customer_id": who, "incremental_share": value, **more}
            for who, value in uplifts.items()
        ],
        arrow_schema(EVIDENCE_TABLES["customer_uplifts"]),
    )
    lake.load_arrow("made_rows", table)
    lake.execute("insert into lake.main.customer_uplifts by name from made_rows")
    lake.drop_arrow("made_rows")


def run(lake: Lake, settings: Settings, budget: int = 10_000) -> ActionFindings:
    return list_actions(lake, AS_OF, KNOWN_BY, settings, budget_amount=Decimal(budget))[0]


def gain(row: Mapping[str, Any], share: float) -> Any:
    """With an offer of 5 and a contact of 0.5, to whom leaves with 0.5."""
    exact = share * (float(row["value_amount"]) - 5) - 0.5 * 5 - 0.5
    return pytest.approx(Decimal(f"{exact:.4f}"), abs=Decimal("0.001"))


def test_unlocked_it_ranks_and_chooses_by_each_ones_own(lake: Lake, shop: Settings) -> None:
    put_effects(lake, [BROAD, {"segment_id": "g1", "incremental_share": 0.2}])
    put_study(lake)
    others = dict.fromkeys(set(PEOPLE) - {A, B, C, D, E}, -0.05)
    put_uplifts(lake, {A: 0.05, C: 0.3, D: 0.1, E: -0.4, **others})
    found = run(lake, shop)
    listed = {who: row for who, row in rows(lake).items() if not row["held_out"]}
    # B, of whom nothing was told, keeps their segment's; whom it drives away is left alone.
    assert set(listed) == {A, B, C, D}
    assert listed[C]["expected_return_amount"] == gain(listed[C], 0.3)
    assert listed[A]["expected_return_amount"] == gain(listed[A], 0.05)
    assert sorted(listed, key=lambda who: listed[who]["rank"]) == [C, B, D, A]
    assert {who: row["evidence_basis"] for who, row in listed.items()} == {
        A: "own_uplift",
        B: "measured",
        C: "own_uplift",
        D: "own_uplift",
    }
    assert {row["evidence_level"] for row in listed.values()} == {3}
    by_segment = {line.segment_id: line for line in found.lines}
    assert by_segment["g1"].own_uplift_customers == 1
    assert by_segment[None].own_uplift_customers == 2
    assert any("unlocked: 3 of the customers" in note.en for note in found.notes)
    assert "| 3, own uplift of 2 |" in describe_lists(found)


def test_the_money_goes_first_to_whom_it_changes_most(lake: Lake, shop: Settings) -> None:
    put_effects(lake, [BROAD])
    put_study(lake)
    put_uplifts(lake, {who: 0.02 + 0.01 * place for place, who in enumerate(PEOPLE)})
    run(lake, shop, budget=11)
    listed = [who for who, row in rows(lake).items() if not row["held_out"]]
    assert set(listed) == set([who for who in PEOPLE if not is_held_out(who)][-2:])


def test_locked_or_not_told_it_is_the_list_of_before(lake: Lake, shop: Settings) -> None:
    put_effects(lake, [BROAD])
    put_study(lake, unlocked=False)
    locked = run(lake, shop)
    assert {row["evidence_basis"] for row in rows(lake).values()} == {"guess"}
    assert {row["evidence_level"] for row in rows(lake).values()} == {2}
    one = rows(lake)[A]
    assert one["expected_return_amount"] == pytest.approx(guess(one), abs=Decimal("0.001"))
    assert any("not used. Locked: it is not" in note.en for note in locked.notes)
    assert not sum(line.own_uplift_customers for line in locked.lines)
    # Unlocked, but nothing was published: said, and nothing else is done.
    put_effects(lake, [{**BROAD, "incremental_share": 0.02}], "u2")
    put_study(lake, "u2")
    silent = run(lake, shop)
    assert silent.expected_return_amount == locked.expected_return_amount
    assert any("nobody's own uplift was told" in note.en for note in silent.notes)
    # Of another night's run, or of an earlier cut-off: not read.
    put_uplifts(lake, dict.fromkeys(PEOPLE, 0.9), "u1")
    put_uplifts(lake, dict.fromkeys(PEOPLE, 0.9), "u2", as_of=AS_OF.replace(year=2022))
    assert run(lake, shop) == silent


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1.5, 1e300])
def test_what_is_no_share_of_a_customer_is_not_taken(
    lake: Lake, shop: Settings, value: float
) -> None:
    put_effects(lake, [BROAD])
    put_study(lake)
    put_uplifts(lake, {A: value, B: 0.3})
    run(lake, shop)
    listed = rows(lake)
    assert listed[A]["evidence_basis"] == "guess"
    assert listed[A]["expected_return_amount"] == pytest.approx(
        guess(listed[A]), abs=Decimal("0.001")
    )
    assert listed[B]["evidence_basis"] == "own_uplift"


def test_harm_known_of_a_segment_is_stronger(lake: Lake, shop: Settings) -> None:
    put_effects(lake, [BROAD, {"segment_id": "g1", "incremental_share": -0.05, "verdict": "harms"}])
    put_study(lake)
    put_uplifts(lake, {A: 0.3, B: -0.5, C: 0.3})
    run(lake, shop)
    assert not {A, B} & set(rows(lake))
    assert rows(lake)[C]["evidence_basis"] == "own_uplift"


def test_harm_known_overall_leaves_those_whom_it_keeps(lake: Lake, shop: Settings) -> None:
    put_effects(lake, [{"level": 1, "verdict": "harms", "incremental_share": -0.05}])
    put_study(lake)
    put_uplifts(lake, {A: 0.3, C: 0.1})
    run(lake, shop)
    assert {who for who, row in rows(lake).items() if not row["held_out"]} == {A, C}


def test_other_uplifts_are_another_list_and_the_same_are_the_same(
    lake: Lake, shop: Settings
) -> None:
    put_effects(lake, [BROAD])
    put_study(lake)
    put_uplifts(lake, {A: 0.3})
    first = run(lake, shop)
    assert run(lake, shop) == first
    put_effects(lake, [BROAD], "u2")
    put_study(lake, "u2")
    put_uplifts(lake, {A: 0.31}, "u2")
    second = run(lake, shop)
    assert second.expected_return_amount > first.expected_return_amount


def test_measured_in_money(lake: Lake, shop: Settings) -> None:
    put_effects(lake, [{**BROAD, "metric": "margin_amount", "incremental_amount": 1.0}])
    put_study(lake)
    put_uplifts(lake, {A: 0.0}, incremental_share=None, incremental_amount=20.0)
    put_uplifts(lake, {B: 0.0}, incremental_share=None, incremental_amount=4.0)
    put_uplifts(lake, {C: 0.0}, incremental_share=None, incremental_amount=1e300)
    run(lake, shop)
    assert rows(lake)[C]["evidence_basis"] == "guess"
    assert rows(lake)[A]["expected_return_amount"] == Decimal("14.5000")
    assert B not in rows(lake)
