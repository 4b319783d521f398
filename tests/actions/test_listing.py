"""The action list: who is on it, who is not and why, and that a night's list is one list."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pyarrow.parquet
import pytest

from tasks import offers
from tasks.actions.listing import list_actions
from tasks.actions.steps import describe_lists
from tasks.archive import find_findings
from tasks.contracts import CUSTOMER_TABLES
from tasks.errors import DataRejected
from tasks.exports import hash_file
from tasks.findings import ActionFindings, Words
from tasks.settings import Settings
from tasks.warehouse import Lake
from tests.actions.made_up import AS_OF, KNOWN_BY, put_known, put_scores
from tests.conftest import MakeSettings
from tests.features.shop import put

pytestmark = pytest.mark.sql


def scored(customers: int, probability: float = 0.6, value: float = 400) -> list[dict[str, Any]]:
    return [
        {
            "customer_id": f"c{number:04d}",
            "probability": probability,
            "value_amount": value + number,
        }
        for number in range(customers)
    ]


def run(lake: Lake, settings: Settings, budget: str | None = None) -> ActionFindings:
    amount = None if budget is None else Decimal(budget)
    return list_actions(lake, AS_OF, KNOWN_BY, settings, budget_amount=amount)[0]


def rows(lake: Lake) -> dict[str, dict[str, Any]]:
    found = lake.rows("select * from lake.main.customer_actions")
    return {row["customer_id"]: row for row in found}


def is_held_out(customer: str, salt: str = "holdfast", share: float = 0.1) -> bool:
    return offers.is_held_out(customer, salt, share)


def contact(customer: str, days_before: float, **columns: Any) -> dict[str, Any]:
    return {
        "customer_id": customer,
        "contact_id": f"{customer}-{days_before}",
        "contacted_at": AS_OF - timedelta(days=days_before),
        **columns,
    }


def test_every_scored_customer_is_listed_held_out_or_left_alone(
    lake: Lake, settings: Settings
) -> None:
    put_scores(lake, scored(300))
    found = run(lake, settings, "200")
    listed = rows(lake)
    contacted = {who for who, row in listed.items() if not row["held_out"]}
    assert found.customers == len(contacted) > 10
    assert found.customers + sum(found.left_alone.values()) == found.scored_customers == 300
    held = {who for who, row in listed.items() if row["held_out"]}
    assert held == {who for who in held if is_held_out(who)}
    assert not {who for who in contacted if is_held_out(who)}
    assert found.held_out_customers == len(held) == found.left_alone["held_out"]
    assert found.planned_cost_amount <= Decimal(200)
    assert found.expected_return_amount == sum(
        row["expected_return_amount"] for row in listed.values() if not row["held_out"]
    )
    assert min(row["expected_return_amount"] for row in listed.values()) > 0
    assert sum(line.customers for line in found.lines) == found.customers
    assert sum(line.cost_amount for line in found.lines) == found.planned_cost_amount
    assert found.gap_share is not None
    assert 0 <= found.gap_share < 0.02


def test_the_same_night_is_one_list_and_the_same_bytes(lake: Lake, settings: Settings) -> None:
    put_scores(lake, scored(80))
    first, is_new = list_actions(lake, AS_OF, KNOWN_BY, settings)
    assert is_new
    files = [settings.home / path for path in first.files]
    before = [path.read_bytes() for path in files]
    assert list_actions(lake, AS_OF, KNOWN_BY, settings) == (first, False)
    files[0].write_text("somebody sorted it in a spreadsheet")
    files[1].unlink()
    assert run(lake, settings) == first
    assert [path.read_bytes() for path in files] == before
    exports = lake.rows("select path, sha256 from lake.ledger.exports where export_id <> 's1'")
    assert len(exports) == 6
    for row in exports:
        assert hash_file(settings.home / row["path"]) == row["sha256"]
    other = run(lake, settings, "20")
    assert other.planned_cost_amount <= 20 < first.planned_cost_amount
    assert lake.scalar("select count(distinct run_id) from lake.main.customer_actions") == 2
    # The first budget after all: its files lie there, so its findings are those that count.
    assert run(lake, settings) == first
    assert [path.read_bytes() for path in files] == before
    assert find_findings(lake, ActionFindings, as_of=AS_OF) == first


def test_files_hold_the_table_in_its_order(lake: Lake, settings: Settings) -> None:
    put_scores(lake, scored(120))
    found = run(lake, settings)
    paths = {path.rsplit("/", 1)[1]: settings.home / path for path in found.files}
    assert set(paths) == {
        f"{stem}.{kind}"
        for stem in ("actions", "winback", "held_out")
        for kind in ("csv", "parquet")
    }
    names = [column.name for column in CUSTOMER_TABLES["customer_actions"]]
    table = pyarrow.parquet.read_table(paths["actions.parquet"])
    assert table.column_names == names
    assert table["rank"].to_pylist() == list(range(1, found.customers + 1))
    assert not any(table["held_out"].to_pylist())
    returns = table["expected_return_amount"].to_pylist()
    assert returns == sorted(returns, reverse=True)
    assert all(pyarrow.parquet.read_table(paths["held_out.parquet"])["held_out"].to_pylist())
    header = paths["winback.csv"].read_text(encoding="utf-8-sig").strip()
    assert header == ",".join(f'"{name}"' for name in names)


def test_words_of_the_settings_stay_in_their_cell(lake: Lake, settings: Settings) -> None:
    put_scores(lake, scored(80))
    found = run(lake, settings)
    words = Words(en="=1|<script>alert(1)</script>", ko="=1")
    lines = tuple(line.model_copy(update={"words": words}) for line in found.lines)
    shown = describe_lists(found.model_copy(update={"lines": lines}))
    assert "<script" not in shown
    row = next(line for line in shown.splitlines() if "alert" in line)
    assert row.count("|") == 8


def test_nobody_scored_is_told_what_to_do(lake: Lake, settings: Settings) -> None:
    with pytest.raises(DataRejected, match="scored as of 2023-01-01") as raised:
        run(lake, settings)
    assert "score" in str(raised.value)


def test_opt_out_and_contacts_of_late_are_honoured(lake: Lake, settings: Settings) -> None:
    put_scores(lake, scored(40))
    free = [f"c{n:04d}" for n in range(40) if not is_held_out(f"c{n:04d}")]
    asked, outed, newly, tired = free[:4]
    put(
        lake,
        "contacts",
        [
            contact(asked, 5),
            contact(outed, 400, opted_out_at=AS_OF - timedelta(days=399)),
            # After the cut-off, and yet honoured at once.
            contact(newly, 300, opted_out_at=AS_OF + timedelta(days=20)),
            contact(tired, 5),
            contact(tired, 29),
        ],
    )
    found = run(lake, settings, "10000")
    listed = set(rows(lake))
    assert asked in listed
    assert not listed & {outed, newly, tired}
    assert (found.left_alone["opted_out"], found.left_alone["contacted_lately"]) == (2, 1)


def test_earlier_lists_count_as_contacts_until_the_contact_comes_in(
    lake: Lake, make_settings: MakeSettings
) -> None:
    settings = make_settings(lake.deployment, actions={"maximum_contacts": 1})
    before = AS_OF - timedelta(days=10)
    put_scores(lake, scored(40), "s0", before)
    list_actions(lake, before, before, settings, budget_amount=Decimal(60))
    first = {who for who, row in rows(lake).items() if not row["held_out"]}
    assert first
    put_scores(lake, scored(40))
    second = run(lake, settings, "60")
    again = lake.rows(
        "select customer_id from lake.main.customer_actions where as_of = $at and not held_out",
        {"at": AS_OF},
    )
    assert not first & {row["customer_id"] for row in again}
    assert second.left_alone["contacted_lately"] == len(first)


def test_what_other_families_know_is_used(lake: Lake, make_settings: MakeSettings) -> None:
    settings = make_settings(
        lake.deployment,
        actions={
            "rules": [
                {"action": "service_call", "reasons": ["service"]},
                {"action": "voucher", "segments": ["loyal"]},
                {"action": "none", "segments": ["wholesale"]},
                {"action": "voucher", "segments": ["loyall"], "reasons": ["prise"]},
            ]
        },
    )
    people = [f"c{n:04d}" for n in range(60) if not is_held_out(f"c{n:04d}")]
    a, b, c, d = people[:4]
    put_scores(lake, scored(60, value=1))
    worth = [
        {"customer_id": who, "value_amount": 500, "churn_probability": 0.8} for who in (a, b, c, d)
    ]
    put_known(lake, "values", worth, "v")
    put_known(
        lake,
        "segments",
        [
            {"customer_id": a, "segment_id": "g1", "segment_name": "loyal"},
            {"customer_id": b, "segment_id": "g2", "segment_name": "other"},
            {"customer_id": c, "segment_id": "wholesale", "segment_name": "resellers"},
            {"customer_id": d, "segment_id": "g2", "segment_name": "other"},
        ],
        "g",
    )
    put_known(lake, "reasons", [{"customer_id": w, "driver": "service"} for w in (b, c)], "w")
    found = run(lake, settings, "10000")
    listed = rows(lake)
    assert {who: row["action"] for who, row in listed.items()} == {a: "voucher", b: "service_call"}
    # Verbraken et al. 2013 by hand: 0.8 (0.3 (500 - 5) - 0.5) - 0.2 (5 + 0.5).
    assert listed[a]["expected_return_amount"] == Decimal("117.3000")
    assert listed[a]["probability"] == 0.8
    assert found.left_alone["by_rule"] == 1
    # A name that is mistyped fits nobody; that is said.
    assert [note.en for note in found.notes if "are not there tonight: loyall, prise" in note.en]
    assert found.left_alone["no_rule"] == 60 - 3
    assert {(line.action, line.segment_id) for line in found.lines} == {
        ("voucher", "g1"),
        ("service_call", "g2"),
    }


def test_a_value_that_looks_less_far_is_carried_on(lake: Lake, settings: Settings) -> None:
    """As the average customer stays: here half of them for each 90 days."""
    put_scores(lake, scored(20, probability=0.5, value=1))
    put_known(
        lake,
        "values",
        [{"customer_id": f"c{n:04d}", "value_amount": 40, "horizon_days": 90} for n in range(20)],
    )
    found = run(lake, settings)
    daily = 0.5 ** (1 / 90)
    expected = 40 * (1 - daily**365) / (1 - daily**90)
    (worth,) = {float(row["value_amount"]) for row in rows(lake).values()}
    assert worth == pytest.approx(expected, abs=1e-3)
    assert any("looks 90 days ahead" in note.en for note in found.notes)


def orders_of(gone: Mapping[str, int]) -> list[dict[str, Any]]:
    return [
        {
            "customer_id": who,
            "order_id": f"{who}-{days}",
            "ordered_at": AS_OF - timedelta(days=days + extra),
            "quantity": 1,
            "net_amount": 300,
            "currency": "USD",
            "is_return": False,
        }
        for who, days in gone.items()
        for extra in (0, 30)
    ]


def test_winback_is_a_list_of_its_own(lake: Lake, settings: Settings) -> None:
    put_scores(lake, scored(50))
    gone = {f"g{number:03d}": 185 + 10 * number for number in range(60)}
    active = {f"c{number:04d}": 20 for number in range(50)}
    put(lake, "orders", orders_of({**gone, **active}))
    found = run(lake, settings, "1000")
    lapsed = {who: row for who, row in rows(lake).items() if row["listed_for"] == "winback"}
    assert lapsed
    assert {who[0] for who in lapsed} == {"g"}
    # Its last order is 735 days old.
    assert "g055" not in lapsed
    assert found.lapsed_customers == 55
    assert found.winback_customers == sum(not row["held_out"] for row in lapsed.values())
    assert found.winback_customers + sum(found.winback_left_alone.values()) == 55
    cost = sum(line.cost_amount for line in found.winback_lines)
    assert 0 < cost <= found.winback_budget_amount == Decimal(200)
    # Two orders of 300 in their last year; half of that is kept, 30 % of it margin.
    assert {row["value_amount"] for row in lapsed.values()} == {Decimal("90.0000")}
    assert all(row["silent_days"] == gone[who] for who, row in lapsed.items())


def test_ten_customers_of_no_worth_give_an_empty_list(lake: Lake, settings: Settings) -> None:
    put_scores(
        lake,
        [{"customer_id": f"c{n}", "probability": 0.5, "value_amount": None} for n in range(10)],
    )
    found = run(lake, settings)
    assert (found.customers, found.planned_cost_amount) == (0, Decimal(0))
    assert found.left_alone == {"no_positive_return": 10}
    assert any("empty" in note.en for note in found.notes)


def test_one_customer(lake: Lake, settings: Settings) -> None:
    put_scores(lake, [{"customer_id": "=1+1", "probability": 1.0, "value_amount": 9000}])
    found = run(lake, settings)
    assert found.customers + found.held_out_customers == 1
    text = (settings.home / found.files[0]).read_text("utf-8-sig")
    assert '"\'=1+1"' in text or is_held_out("=1+1")
