"""Findings go into the ledger as they are, and the newest that fits comes back."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tasks.archive import find_findings, insert_findings, recall_findings
from tasks.errors import StoredDataCorrupt
from tasks.findings import FINDINGS, ActionFindings, ForecastFindings, ForecastSeries, Words
from tasks.warehouse import Lake

MAY, JUNE = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)


def make_actions(as_of: datetime, budget: str) -> ActionFindings:
    return ActionFindings(
        deployment="shop",
        as_of=as_of,
        known_by=as_of,
        snapshot_id=7,
        currency="KRW",
        notes=(Words(en="few <contacts>", ko="연락이 적음"),),
        budget_amount=Decimal(budget),
        planned_cost_amount=Decimal("900.5000"),
        expected_return_amount=Decimal("1200.0001"),
        customers=3,
        held_out_customers=1,
        hold_out_share=0.1,
        lines=(),
        winback_lines=(),
        winback_customers=0,
        left_alone={"opted out": 2},
        files=("actions.csv",),
    )


def put(lake: Lake, finding_id: str, found: ActionFindings) -> None:
    with lake.writer_lock("test"), lake.publish("test", "findings"):
        insert_findings(lake, finding_id, found)


def test_what_was_written_is_read(lake: Lake) -> None:
    assert find_findings(lake, ActionFindings) is None
    for finding_id, as_of, budget in (("a", MAY, "1"), ("b", JUNE, "2"), ("c", JUNE, "3")):
        put(lake, finding_id, make_actions(as_of, budget))
    newest = find_findings(lake, ActionFindings)
    assert newest == make_actions(JUNE, "3")
    assert newest.notes[0].ko == "연락이 적음"
    assert find_findings(lake, ActionFindings, as_of=MAY) == make_actions(MAY, "1")
    assert find_findings(lake, ActionFindings, finding_id="b") == make_actions(JUNE, "2")
    assert find_findings(lake, ActionFindings, finding_id="b", as_of=MAY) is None
    assert find_findings(lake, ForecastFindings) is None


def test_a_setting_that_is_taken_back_makes_the_run_before_the_newest_again(lake: Lake) -> None:
    assert recall_findings(lake, ActionFindings, "a") is None
    for finding_id, as_of, budget in (("a", MAY, "1"), ("b", MAY, "2"), ("c", JUNE, "3")):
        put(lake, finding_id, make_actions(as_of, budget))
    for _ in range(2):
        assert recall_findings(lake, ActionFindings, "a") == make_actions(MAY, "1")
        assert find_findings(lake, ActionFindings, as_of=MAY) == make_actions(MAY, "1")
        # Who is the newest already is not written again.
        assert lake.scalar("select count(*) from lake.ledger.findings") == 4


def test_findings_that_cannot_be_read_are_named(lake: Lake) -> None:
    put(lake, "a", make_actions(MAY, "1"))
    with lake.writer_lock("test"), lake.publish("test", "damage"):
        lake.execute('update lake.ledger.findings set content = \'{"kind": "actions"}\'')
    with pytest.raises(StoredDataCorrupt) as caught:
        find_findings(lake, ActionFindings)
    assert "actions findings" in str(caught.value)
    assert "run the night again" in str(caught.value)


def test_a_kind_has_one_model() -> None:
    for kind, model in FINDINGS.items():
        assert model.model_fields["kind"].default == kind
    # A wrong type is refused when it is found, not when the page is drawn.
    with pytest.raises(ValueError, match="confidence"):
        ForecastSeries.model_validate({"confidence": "high"})
