"""Faults 7 to 25 that only judging a batch can find, from the delivered file to the ledger.

For each: the batch is safely aside with its causes and exit 65, and what is published, to the
last row, is what it was before.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import DataRejected
from tasks.handles import Batch
from tasks.intake import steps as intake
from tasks.settings import Settings
from tasks.validation.history import NoHistory
from tasks.validation.judging import validate
from tasks.validation.steps import validate_batch
from tasks.visibility import table_fingerprint
from tasks.warehouse import Lake, open_lake
from tests.faults.fed_shop import COLUMNS, MAP
from tests.validation.drawing import draw, failed, fill, rejected, result

pytestmark = pytest.mark.faults

HEADER = ("customer", "number", "stamp", "quantity", "paid", "money", "kind")
ROWS = 300
Row = dict[str, Any]


def usual_row(number: int, month: str) -> Row:
    """Line `number` of a usual month: 28 days, amounts from 10 to 73, three kinds of goods."""
    return {
        "customer": f"c{number % 80}",
        "number": f"{month}-{number}",
        "stamp": f"{month}-{1 + number % 28:02d}T12:00:00Z",
        "quantity": 1 + number % 3,
        "paid": f"{10 + (number * 37 % 64):.2f}",
        "money": "EUR",
        "kind": ("tea", "cup", "pot")[number % 3],
    }


class Shop:
    """A deployment that is fed CSV files, with its lake."""

    def __init__(self, lake: Lake, settings: Settings, folder: Path) -> None:
        self.lake, self.settings, self.folder = lake, settings, folder
        self._numbers = itertools.count(1)

    def deliver(self, name: str, rows: Sequence[Row]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, HEADER)
        writer.writeheader()
        writer.writerows(rows)
        (self.folder / f"{name}.csv").write_text(text.getvalue())

    def ingest(self, name: str) -> Batch:
        """One delivery through reading, judging and publishing, as the flow does it."""
        found = [
            delivery
            for delivery in intake.discover_deliveries(self.lake, self.settings, "test")
            if delivery.batch_name == f"orders/{name}"
        ]
        staged = intake.stage_delivery(self.lake, found[0], self.settings, "test")
        if isinstance(staged, Batch):
            return staged
        verdict = validate_batch(self.lake, staged, self.settings)
        return intake.publish_batch(self.lake, staged, verdict, "test")

    def published(self) -> str:
        return table_fingerprint(self.lake, "orders", self.lake.snapshot())

    def refuse(self, change: Callable[[Row, int], Row], *, rows: int = ROWS) -> DataRejected:
        """Deliver a changed month; the refusal, after it was seen to leave nothing behind."""
        name = f"2024-05-{next(self._numbers)}"
        self.deliver(name, [change(usual_row(n, "2024-05"), n) for n in range(rows)])
        before = self.published()
        batch = self.ingest(name)
        assert batch.state == "quarantined", batch
        assert (batch.received_rows, batch.accepted_rows) == (rows, 0)
        assert batch.quarantined_rows == rows
        assert self.published() == before
        refusal = intake.describe_stop(batch, self.lake.deployment)
        assert refusal.exit_code == 65
        assert f"quarantine show orders/{name}" in str(refusal)
        return refusal


@pytest.fixture(scope="module")
def shop(
    make_settings: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """Four usual months are published; each test delivers a fifth that is not."""
    folder = tmp_path_factory.mktemp("deliveries")
    source = {
        "kind": "files",
        "table": "orders",
        "folder": str(folder),
        "pattern": "*.csv",
        "columns": COLUMNS,
        "map": MAP,
    }
    settings = make_settings(intake={"sources": {"orders": source}})
    with open_lake(settings) as lake:
        shop = Shop(lake, settings, folder)
        for month in ("2024-01", "2024-02", "2024-03", "2024-04"):
            shop.deliver(month, [usual_row(number, month) for number in range(ROWS)])
            assert shop.ingest(month).state == "accepted"
        yield shop


def test_row_7_days_read_as_months(shop: Shop) -> None:
    """05/01 to 05/12, of May, read as the fifth of every month: each is a date."""

    def swapped(row: Row, n: int) -> Row:
        return {**row, "stamp": f"2023-{1 + n % 12:02d}-05T12:00:00Z"}

    assert "time_span" in str(shop.refuse(swapped))


def test_row_9_a_column_that_is_suddenly_empty(shop: Shop) -> None:
    refusal = shop.refuse(lambda row, n: {**row, "kind": ""})
    assert "category null_jump: found 100.0% missing, usually 0.0%" in str(refusal)


def test_a_refused_delivery_that_comes_again_is_recorded_once(shop: Shop) -> None:
    name = "2024-05-again"
    empty = {"kind": "", "quantity": 2}
    shop.deliver(name, [usual_row(n, "2024-05") | empty for n in range(ROWS)])
    first, second = shop.ingest(name), shop.ingest(name)
    assert (second.batch_number, second.already_known) == (first.batch_number, True)
    listed = [
        batch["batch_name"]
        for item in intake.describe_queue(shop.lake, everything=True)
        for batch in item["batches"]
    ]
    assert listed.count(f"orders/{name}") == 1


def test_row_9_a_quarter_of_the_customers_missing(shop: Shop) -> None:
    refusal = shop.refuse(lambda row, n: {**row, "customer": "" if n % 4 == 0 else "c1"})
    assert "customer_id_present: 75 of 300 rows (25.0%)" in str(refusal)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_row_10_numbers_that_are_not_finite(
    tmp_path: Path, make_settings: Callable[..., Settings], value: str
) -> None:
    staged = fill(
        tmp_path, "events", 100, value=f"case when n < 3 then '{value}'::double else n end"
    )
    now = datetime(2024, 4, 1, tzinfo=UTC)
    verdict = validate(staged, NoHistory(), make_settings(), now=now)
    assert verdict.outcome == "accepted"
    assert sorted(rejected(verdict)) == [2, 3, 4]
    assert result(verdict, "value_finite").failed_rows == 3


@pytest.mark.parametrize(("factor", "words"), [(100, "looks like cents"), (1000, "thousandths")])
def test_row_11_another_unit(shop: Shop, factor: int, words: str) -> None:
    refusal = shop.refuse(lambda row, n: {**row, "paid": f"{float(row['paid']) * factor:.2f}"})
    assert f"net_amount shift: found trailing ratio {factor:.3g}" in str(refusal)
    assert words in str(refusal)


def test_row_12_another_currency_and_a_mix(shop: Shop) -> None:
    assert "currency new_category" in str(shop.refuse(lambda row, n: {**row, "money": "JPY"}))
    mixed = shop.refuse(lambda row, n: {**row, "money": "JPY" if n % 2 else "EUR"})
    assert "currency one_currency: found 2 currencies: EUR, JPY" in str(mixed)


@pytest.mark.parametrize("stamp", ["1970-01-01T00:00:00Z", "9999-12-31T00:00:00Z"])
def test_row_14_times_that_cannot_be(shop: Shop, stamp: str) -> None:
    refusal = shop.refuse(lambda row, n: {**row, "stamp": stamp if n % 10 == 0 else row["stamp"]})
    assert "ordered_at_plausible: 30 of 300 rows (10.0%)" in str(refusal)


def test_row_16_rows_delivered_again_under_another_name(shop: Shop) -> None:
    """The same file is a no-op by its hash; its rows among others are found one by one."""

    def repeated(row: Row, n: int) -> Row:
        return usual_row(n, "2024-04") if n < 100 else row

    assert "published_before: 100 of 300 rows (33.3%)" in str(shop.refuse(repeated))


def test_row_16_the_same_file_again(shop: Shop) -> None:
    before = shop.published()
    assert shop.ingest("2024-04").already_known
    assert shop.published() == before


def test_row_17_one_identity_two_contents(
    tmp_path: Path, make_settings: Callable[..., Settings]
) -> None:
    staged = fill(
        tmp_path,
        "tickets",
        100,
        ticket_id="'t' || (n - n % 2)",
        topic="case when n % 2 = 0 then 'bill' else 'order' end",
    )
    verdict = validate(staged, NoHistory(), make_settings(), now=datetime(2024, 4, 1, tzinfo=UTC))
    assert verdict.outcome == "stopped"
    assert "ticket_id_repeated" in failed(verdict, "stop")


def test_row_21_rows_repeated_in_the_batch(shop: Shop) -> None:
    refusal = shop.refuse(lambda row, n: usual_row(n - n % 2, "2024-05"))
    assert "row_repeated: 150 of 300 rows (50.0%)" in str(refusal)


@pytest.mark.parametrize(
    ("churned", "stopped"), [("n % 4 = 0", False), ("n % 4 > 0", True), ("n < 0", True)]
)
def test_row_24_a_label_turned_round_or_cut_off(
    tmp_path: Path, make_settings: Callable[..., Settings], churned: str, stopped: bool
) -> None:
    staged = fill(tmp_path, "labelled", 400, churned=churned)
    now = datetime(2024, 4, 1, tzinfo=UTC)
    verdict = validate(staged, NoHistory(), make_settings(), now=now)
    assert failed(verdict, "stop") == ({"base_rate"} if stopped else set())


def test_row_25_other_goods(shop: Shop) -> None:
    refusal = shop.refuse(lambda row, n: {**row, "kind": "car"})
    assert "category new_category: 300 of 300 rows" in str(refusal)


def test_row_25_ten_times_the_rows(shop: Shop) -> None:
    refusal = shop.refuse(lambda row, n: row, rows=11 * ROWS)
    assert "volume: found 11 times the trailing median" in str(refusal)


@pytest.mark.parametrize("payload", ["<script>alert(1)</script>", '"><img src=x onerror=x> | |'])
def test_row_33_markup_in_a_value(shop: Shop, payload: str) -> None:
    refusal = shop.refuse(lambda row, n: {**row, "money": payload, "kind": payload})
    assert "<" not in str(refusal)


def test_a_usual_month_passes_and_a_rise_of_a_fifth_too(shop: Shop) -> None:
    """Last, since it is published: what stopped the others was what was wrong with them."""
    name = "2024-06"
    rows = [usual_row(n, name) for n in range(ROWS)]
    shop.deliver(name, [{**row, "paid": f"{float(row['paid']) * 1.2:.2f}"} for row in rows])
    batch = shop.ingest(name)
    assert (batch.state, batch.accepted_rows) == ("accepted", ROWS)
    assert batch.report["causes"] == []


def test_a_drawn_empty_batch_is_refused(
    tmp_path: Path, make_settings: Callable[..., Settings]
) -> None:
    verdict = validate(draw(tmp_path, "orders", "customer_id"), NoHistory(), make_settings())
    assert verdict.outcome == "stopped"
