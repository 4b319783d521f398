"""Two months of a real shop with all their dirt, and nine days that it delivered twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.handles import Batch, StagedBatch, Verdict
from tasks.intake import steps as intake
from tasks.settings import CONF, Settings
from tasks.validation.steps import validate_batch
from tasks.warehouse import Lake, open_lake
from tests.validation.drawing import failed, result

pytestmark = pytest.mark.sql

# The sheets are the two deliveries: both cover 2010-12-01 to 09.
FIRST = "sheet = 'Year 2009-2010' and InvoiceDate >= '2010-11-01'"
SECOND = "sheet = 'Year 2010-2011' and InvoiceDate < '2010-12-10'"


@pytest.fixture(scope="module")
def retail(
    make_settings: Callable[..., Settings], shared_data: Path
) -> Iterator[tuple[Lake, Settings]]:
    file = shared_data / "online_retail_II" / "online_retail_II.parquet"
    if not file.is_file():
        pytest.skip(f"no file {file}: set HOLDFAST_DATA")  # its licence keeps it out
    conf: dict[str, Any] = yaml.safe_load((CONF / "online_retail.yaml").read_text())
    source = conf["intake"]["sources"]["orders"] | {"folder": str(file.parent)}
    query = "select * exclude (sheet) from lines where "
    sources = {
        "orders": source | {"query": query + FIRST},
        "again": {k: v for k, v in source.items() if k != "split"}
        | {"query": query + SECOND, "part": "2010-12"},
    }
    settings = make_settings(intake={"sources": sources}, validation=conf["validation"])
    with open_lake(settings) as lake:
        yield lake, settings


def judge(lake: Lake, settings: Settings, name: str) -> tuple[StagedBatch, Verdict]:
    offered = intake.discover_deliveries(lake, settings, "test")
    [delivery] = [d for d in offered if d.batch_name == name]
    staged = intake.stage_delivery(lake, delivery, settings, "test")
    assert not isinstance(staged, Batch)
    return staged, validate_batch(lake, staged, settings)


def test_a_month_and_a_second_delivery_of_nine_days(retail: tuple[Lake, Settings]) -> None:
    lake, settings = retail
    staged, verdict = judge(lake, settings, "orders/2010-11")
    assert verdict.outcome == "accepted"
    # Counted in the source with pandas: lines of November 2010, those without a customer, and
    # those equal in every column to an earlier one.
    assert verdict.received_rows == 78_015
    assert result(verdict, "customer_id_present").failed_rows == 16_525
    assert result(verdict, "row_repeated").failed_rows == 1_431
    assert verdict.accepted_rows == 78_015 - verdict.quarantined_rows
    intake.publish_batch(lake, staged, verdict, "test")

    staged, verdict = judge(lake, settings, "orders/2010-12")
    assert verdict.outcome == "accepted"
    assert verdict.received_rows == 22_523
    intake.publish_batch(lake, staged, verdict, "test")

    staged, verdict = judge(lake, settings, "again/2010-12")
    assert verdict.received_rows == 22_523
    assert verdict.outcome == "stopped"
    assert "published_before" in failed(verdict, "stop")
    # Every line that was published is found; those set aside the first time were not.
    published = lake.scalar(
        "select count(*) from lake.main.orders where ordered_at >= timestamptz '2010-12-01'"
    )
    found = result(verdict, "published_before").failed_rows
    repeated = result(verdict, "row_repeated").failed_rows
    assert published <= found <= published + repeated
    batch = intake.publish_batch(lake, staged, verdict, "test")
    assert batch.state == "quarantined"
    assert batch.quarantined_rows == 22_523
