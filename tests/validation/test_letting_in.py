"""A stopped batch let in by decision: what is computable goes in, the rest stays aside."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tasks.errors import DataRejected
from tasks.handles import StagedBatch, Verdict
from tasks.settings import Settings
from tasks.validation.history import NoHistory
from tasks.validation.judging import validate
from tasks.validation.letting_in import INCOMPLETE, let_in
from tests.validation.drawing import draw, rejected

pytestmark = pytest.mark.sql

DRAWN = """
    customer_id | net_amount | quantity
    a           | 10.00      | 1
    -           | 11.00      | 1      # row 3
    b           | -          | 1      # row 4
    c           | 12.00      | -      # row 5
    d           | 13.00      | 2
"""


Stopped = Callable[..., tuple[StagedBatch, Verdict, Settings]]


@pytest.fixture
def stopped(
    with_rules: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory
) -> Stopped:
    def make(drawn: str, **rules: dict[str, object]) -> tuple[StagedBatch, Verdict, Settings]:
        settings = with_rules(rules)
        staged = draw(tmp_path_factory.mktemp("staged"), "orders", drawn)
        return staged, validate(staged, NoHistory(), settings), settings

    return make


def test_an_accepted_batch_needs_nothing(stopped: Stopped) -> None:
    staged, verdict, settings = stopped("customer_id\na\nb")
    assert verdict.outcome == "accepted"
    assert let_in(staged, verdict, settings) is verdict


def test_rows_that_cannot_be_computed_from_stay_aside(stopped: Stopped) -> None:
    # One rule stops and writes no row down, one is off; what they looked for is still missing.
    staged, verdict, settings = stopped(
        DRAWN,
        customer_id_present={"severity": "stop"},
        net_amount_present={"severity": "off"},
        quantity_present={"severity": "quarantine", "stop_above_share": 1.0},
    )
    assert verdict.outcome == "stopped"
    found = let_in(staged, verdict, settings)
    assert found.outcome == "accepted"
    assert (found.received_rows, found.accepted_rows, found.quarantined_rows) == (5, 2, 3)
    assert found.results == verdict.results
    aside = rejected(found)
    assert set(aside) == {3, 4, 5}
    assert INCOMPLETE in aside[3]
    assert INCOMPLETE in aside[4]
    assert INCOMPLETE not in aside[5]
    assert let_in(staged, verdict, settings) == found  # as often as one likes


def test_a_batch_without_one_good_row_is_refused(stopped: Stopped) -> None:
    staged, verdict, settings = stopped(
        "customer_id | net_amount\n- | 1\n- | 2", customer_id_present={"severity": "stop"}
    )
    with pytest.raises(DataRejected, match="each of its 2 rows is set aside by itself") as caught:
        let_in(staged, verdict, settings)
    assert "customer_id_present" in str(caught.value)


def test_an_empty_batch_is_refused(stopped: Stopped) -> None:
    staged, verdict, settings = stopped("customer_id")
    assert verdict.outcome == "stopped"
    with pytest.raises(DataRejected, match="cannot be let in: it is empty"):
        let_in(staged, verdict, settings)
