"""The past as the lake knows it: trailing figures, rows published before, customers known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.handles import StagedBatch, Verdict
from tasks.intake.publication import publish
from tasks.intake.raw import hash_file
from tasks.settings import Settings
from tasks.validation.history import CustomersKnown, LakeHistory
from tasks.validation.judging import validate
from tasks.validation.rules import table_rules
from tasks.warehouse import Lake, open_lake
from tests.validation.drawing import draw, fill

pytestmark = pytest.mark.sql

NOW = datetime(2024, 4, 1, tzinfo=UTC)
IDENTITY = table_rules("orders").identity


@pytest.fixture
def shop(make_settings: Callable[..., Settings]) -> Iterator[Lake]:
    with open_lake(make_settings()) as lake:
        yield lake


def publish_drawn(lake: Lake, staged: StagedBatch, *, supersede: bool = False) -> Verdict:
    """Judge and publish a drawn batch; its staged file stands for its raw bytes."""
    content_hash, _ = hash_file(staged.staged_path)
    known = replace(staged, raw=replace(staged.raw, content_hash=content_hash))
    verdict = validate(known, LakeHistory(lake), lake.settings, now=NOW)
    batch = publish(lake, known, verdict, "test", supersede=supersede)
    assert batch.state == "accepted", batch
    return verdict


def months(directory: Path, *names: str, rows: int = 40) -> Iterator[StagedBatch]:
    for number, name in enumerate(names):
        yield fill(
            directory,
            "orders",
            rows + number,
            name=f"orders/{name}",
            order_id=f"'{name}-' || n",
            net_amount="10 + n % 7",
        )


def test_trailing_batches_are_the_accepted_ones_of_the_source(tmp_path: Path, shop: Lake) -> None:
    for staged in months(tmp_path, "a", "b", "c"):
        publish_drawn(shop, staged)
    other = fill(tmp_path, "orders", 33, name="till/a", source="till", order_id="'till' || n")
    publish_drawn(shop, other)
    history = LakeHistory(shop)
    [next_batch] = months(tmp_path, "d")
    trailing = history.trailing_batches(next_batch, 12)
    assert [batch.figures["", "rows"] for batch in trailing] == [40, 41, 42]
    assert trailing[0].figures["currency", "share:GBP"] == 1.0
    assert [b.figures["", "rows"] for b in history.trailing_batches(next_batch, 2)] == [41, 42]
    # A batch that is delivered anew is not compared with what it replaces.
    again = replace(
        next_batch,
        raw=replace(
            next_batch.raw, delivery=replace(next_batch.raw.delivery, batch_name="orders/b")
        ),
    )
    assert [b.figures["", "rows"] for b in history.trailing_batches(again, 12)] == [40, 42]


def test_rows_published_before(tmp_path: Path, shop: Lake) -> None:
    first = draw(
        tmp_path,
        "orders",
        """
        customer_id | order_id | product_id | net_amount
        a           | 1        | p          | 10
        a           | 1        | -          | 11
        b           | 2        | q          | 12
        """,
        name="orders/a",
    )
    history = LakeHistory(shop)
    assert history.published_before(first, IDENTITY) is None
    publish_drawn(shop, first)
    second = draw(
        tmp_path,
        "orders",
        """
        customer_id | order_id | product_id | net_amount
        a           | 1        | p          | 10           # the same row
        a           | 1        | -          | 11           # the same row, no product
        c           | 2        | q          | 12           # of another customer
        """,
        name="orders/b",
    )
    found = history.published_before(second, IDENTITY)
    assert found is not None
    assert found.column("row_number").to_pylist() == [2, 3]
    # A new delivery of the batch itself replaces its rows: they are not published by another.
    same = replace(second, raw=first.raw)
    found = history.published_before(same, IDENTITY)
    assert found is not None
    assert found.num_rows == 0


def test_rows_of_a_superseded_batch_do_not_count(tmp_path: Path, shop: Lake) -> None:
    first = draw(tmp_path, "orders", "customer_id | order_id\na | 1\nb | 2", name="orders/a")
    publish_drawn(shop, first)
    corrected = tmp_path / "corrected"
    corrected.mkdir()
    text = "customer_id | order_id\na | 1\nb | 3"
    publish_drawn(shop, draw(corrected, "orders", text, name="orders/a"), supersede=True)
    late = draw(tmp_path, "orders", "customer_id | order_id\na | 1\nb | 2", name="orders/b")
    found = LakeHistory(shop).published_before(late, IDENTITY)
    assert found is not None
    # Row 2 stands in the correction, row 3 only in what it replaced.
    assert found.column("row_number").to_pylist() == [2]


def test_attributes_of_customers_are_compared_as_a_whole(tmp_path: Path, shop: Lake) -> None:
    first = draw(
        tmp_path,
        "customers",
        "customer_id | attributes\na | {age=30}\nb | -",
        name="customers/a",
    )
    publish_drawn(shop, first)
    second = draw(
        tmp_path,
        "customers",
        "customer_id | attributes\na | {age=31}\nb | -\na | {age=30}",
        name="customers/b",
    )
    found = LakeHistory(shop).published_before(second, table_rules("customers").identity)
    assert found is not None
    assert found.column("row_number").to_pylist() == [3, 4]


def test_customers_known(tmp_path: Path, shop: Lake) -> None:
    tickets = draw(tmp_path, "tickets", "customer_id\na\na\nb\nz\n-")
    history = LakeHistory(shop)
    assert history.customers_known(tickets) is None
    publish_drawn(shop, draw(tmp_path, "orders", "customer_id\na\nc", name="orders/a"))
    assert history.customers_known(tickets) == CustomersKnown(customers=3, known=1)
    publish_drawn(shop, draw(tmp_path, "customers", "customer_id\nb", name="customers/a"))
    assert history.customers_known(tickets) == CustomersKnown(customers=3, known=2)


def test_customers_whose_id_was_anothers(tmp_path: Path, shop: Lake) -> None:
    first = draw(
        tmp_path,
        "customers",
        """
        customer_id | registered_at          | recorded_at            | attributes
        a           | 2020-01-01 00:00:00+00 | 2020-02-01 00:00:00+00 | {city=Ulm, plan=x, age=40}
        b           | 2020-01-01 00:00:00+00 | 2020-02-01 00:00:00+00 | {city=Ulm, plan=x, age=40}
        c           | -                      | 2020-02-01 00:00:00+00 | {city=Ulm, plan=x, age=40}
        d           | -                      | 2020-02-01 00:00:00+00 | {city=Ulm, plan=x, age=40}
        e           | 2020-01-01 00:00:00+00 | 2020-02-01 00:00:00+00 | -
        """,
        name="customers/a",
    )
    second = draw(
        tmp_path,
        "customers",
        """
        customer_id | registered_at          | recorded_at            | attributes
        a           | 2022-03-01 00:00:00+00 | 2022-04-01 00:00:00+00 | -  # after two silent years
        b           | 2022-03-01 00:00:00+00 | 2022-04-01 00:00:00+00 | -  # ordered lately
        c           | -                      | 2022-04-01 00:00:00+00 | {city=Bonn, plan=y, age=20}
        d           | -                      | 2022-04-01 00:00:00+00 | {city=Bonn, plan=y, age=40}
        e           | 2020-01-01 00:00:00+00 | 2022-04-01 00:00:00+00 | -  # as before
        f           | 2022-03-01 00:00:00+00 | 2022-04-01 00:00:00+00 | -  # new
        """,
        name="customers/b",
    )
    history = LakeHistory(shop)
    assert history.customers_reused(second, 365) is None
    publish_drawn(shop, first)
    orders = """
        customer_id | ordered_at
        a           | 2020-06-01 12:00:00+00
        a           | 2022-03-05 12:00:00+00
        b           | 2022-02-01 12:00:00+00
        c           | 2020-06-01 12:00:00+00
        d           | 2020-06-01 12:00:00+00
        """
    publish_drawn(shop, draw(tmp_path, "orders", orders, name="orders/a"))

    def found(minimum_days: float) -> list[int]:
        rows = history.customers_reused(second, minimum_days)
        assert rows is not None
        numbers: list[int] = rows.column("row_number").to_pylist()
        return numbers

    assert found(365) == [2, 4]
    assert found(20) == [2, 3, 4]
    assert found(700) == []
    # Delivered anew, the first list is not compared with itself.
    again = history.customers_reused(first, 365)
    assert again is not None
    assert again.num_rows == 0


def test_the_newest_event(tmp_path: Path, shop: Lake) -> None:
    staged = draw(tmp_path, "orders", "ordered_at\n2024-03-01 10:00:00+00\n2024-03-02 10:00:00+02")
    history = LakeHistory(shop)
    assert history.newest_event_at(staged) is None
    publish_drawn(shop, staged)
    assert history.newest_event_at(staged) == datetime(2024, 3, 2, 8, tzinfo=UTC)
