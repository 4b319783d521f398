"""A dirty population through intake and validation: every planted fault is found, and no other."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tasks.handles import Batch
from tasks.intake import steps as intake
from tasks.settings import load_settings
from tasks.simulation.writing import load_simulation, simulate
from tasks.validation import steps as validation
from tasks.warehouse import open_lake, scratch
from tests.conftest import MakeSettings

pytestmark = pytest.mark.sql

MONTHS = 6
CUSTOMERS = 500
# Where each fault of a line ends, of those that keep it from being accepted.
RULES = {
    "customer_missing": "customer_id_present",
    "delivered_twice": "row_repeated",
    "wrong_currency": "currency_allowed",
    "future_stamp": "ordered_at_plausible",
}


@pytest.fixture(scope="module")
def ingested(
    make_settings: MakeSettings, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The orders of a dirty population taken in month by month, as far as they are let."""
    directory = tmp_path_factory.mktemp("dirty") / "population"
    declared = load_settings("simulated").intake.sources["orders"].model_dump(mode="json")
    settings = make_settings(
        intake={"sources": {"orders": {**declared, "folder": str(directory / "orders")}}},
        validation={
            "tables": {
                "orders": {
                    "rows": {"currency_allowed": {"allowed": ["EUR"], "stop_above_share": 0.05}},
                    # Here lines of another currency are set aside one by one.
                    "batch": {"one_currency": {"enabled": False}},
                }
            }
        },
        simulation={"months": MONTHS},
    )
    simulate(settings, customers=CUSTOMERS, directory=directory, dirty_share=0.03)
    batches: dict[str, Batch] = {}
    with open_lake(settings) as lake:
        for delivery in intake.discover_deliveries(lake, settings, "test"):
            staged = intake.stage_delivery(lake, delivery, settings, "test", False)
            assert not isinstance(staged, Batch)
            verdict = validation.validate_batch(lake, staged, settings)
            batch = intake.publish_batch(lake, staged, verdict, "test", False)
            batches[batch.batch_name.removeprefix("orders/").removesuffix(".csv.gz")] = batch
        quarantined = lake.rows(
            "select batch_number, rule, count(*) as rows from lake.ledger.quarantine group by all"
        )
        accepted = lake.rows(
            "select batch_number, count(*) as rows,"
            " count(*) filter (received_at < ordered_at) as early"
            " from lake.main.orders group by all"
        )
    with scratch() as connection:
        # A late line stands in the file of the month after its own.
        planted = connection.rows(
            "select month, fault, count(*) as lines from read_parquet($parts) group by all",
            {"parts": str(directory / "truth" / "faults" / "*.parquet")},
        )
    return {
        "simulation": load_simulation(directory),
        "batches": batches,
        "quarantined": {(row["batch_number"], row["rule"]): row["rows"] for row in quarantined},
        "accepted": {row["batch_number"]: row for row in accepted},
        "planted": {(row["month"], row["fault"]): row["lines"] for row in planted},
    }


def test_every_planted_fault_of_a_line_is_set_aside(ingested: dict[str, Any]) -> None:
    stopped = ingested["simulation"]
    assert sum(stopped.planted_faults.values()) > 100
    for month, batch in ingested["batches"].items():
        if batch.state != "accepted":
            continue
        for fault, rule in RULES.items():
            found = ingested["quarantined"].get((batch.batch_number, rule), 0)
            assert found == ingested["planted"].get((month, fault), 0), (month, fault)


def test_nothing_but_the_planted_is_set_aside(ingested: dict[str, Any]) -> None:
    for month, batch in ingested["batches"].items():
        if batch.state != "accepted":
            continue
        planted = sum(ingested["planted"].get((month, fault), 0) for fault in RULES)
        assert batch.quarantined_rows == planted, month
        assert batch.accepted_rows + batch.quarantined_rows == batch.received_rows
        assert ingested["accepted"][batch.batch_number]["rows"] == batch.accepted_rows
        assert ingested["accepted"][batch.batch_number]["early"] == 0


def test_the_month_in_another_unit_is_stopped_and_no_other(ingested: dict[str, Any]) -> None:
    states = Counter(batch.state for batch in ingested["batches"].values())
    assert states == {"accepted": MONTHS - 1, "quarantined": 1}
    [stopped] = [m for m, batch in ingested["batches"].items() if batch.state == "quarantined"]
    assert (stopped, "unit_hundredfold") in ingested["planted"]
