"""Features of random small histories are those of the plain-Python oracle, late lines and all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.features.computing import Computed, compute_features
from tasks.features.request import Request
from tasks.visibility import Supersession
from tasks.warehouse import Connection, scratch
from tests.features.oracle import Line, expected

pytestmark = pytest.mark.sql

START = datetime(2020, 1, 1, tzinfo=UTC)
AS_OF = tuple(START + timedelta(days=days) for days in (200, 290, 380, 470))
KNOWN_BY = tuple(moment + timedelta(days=1) for moment in AS_OF)
LABELS_AS_OF = START + timedelta(days=530)
HORIZON, WINDOW = 60, 120

moments = st.builds(
    lambda day, second: START + timedelta(days=day, seconds=second),
    st.integers(0, 540),
    st.sampled_from([0, 1, 43_200, 86_399]),
)
amounts = st.integers(1, 2_000_000).map(lambda units: Decimal(units) / 10_000)


@st.composite
def lines(draw: st.DrawFn) -> Line:
    moment = draw(moments)
    is_return = draw(st.integers(0, 5)) == 0
    amount = draw(amounts)
    # Mostly known at once, sometimes with the declared day's lag, sometimes very late.
    lag = draw(st.sampled_from([0, 0, 0, 0, 1, 1, 45, 300]))
    return Line(
        customer_id=draw(st.sampled_from(["a", "b", "c"])),
        ordered_at=moment,
        net_amount=-amount if is_return else amount,
        discount_amount=draw(st.none() | amounts),
        category=draw(st.sampled_from([None, "x", "y", "z"])),
        channel=draw(st.sampled_from([None, "web", "shop"])),
        is_return=is_return,
        received_at=moment + timedelta(days=lag),
        batch_number=draw(st.sampled_from([1, 1, 1, 2, 3])),
    )


histories = st.lists(lines(), min_size=1, max_size=40)
superseding = st.dictionaries(
    st.sampled_from([2, 3]), st.integers(100, 600).map(lambda d: START + timedelta(days=d))
)


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    with scratch() as opened:
        yield opened


def load(connection: Connection, rows: Sequence[Line]) -> None:
    """Make the rows the table `shop`."""
    stamp = pa.timestamp("us", tz="UTC")
    columns = {
        "customer_id": pa.array([row.customer_id for row in rows], pa.string()),
        "ordered_at": pa.array([row.ordered_at for row in rows], stamp),
        "net_amount": pa.array([row.net_amount for row in rows], pa.decimal128(18, 4)),
        "discount_amount": pa.array([row.discount_amount for row in rows], pa.decimal128(18, 4)),
        "category": pa.array([row.category for row in rows], pa.string()),
        "channel": pa.array([row.channel for row in rows], pa.string()),
        "is_return": pa.array([row.is_return for row in rows], pa.bool_()),
        "received_at": pa.array([row.received_at for row in rows], stamp),
        "batch_number": pa.array([row.batch_number for row in rows], pa.int32()),
    }
    connection.load_arrow("shop_rows", pa.table(columns))
    connection.execute("create or replace temporary table shop as from shop_rows")
    connection.drop_arrow("shop_rows")


def compute(
    connection: Connection,
    superseded: dict[int, datetime],
    *,
    chunk_lines: int = 1_000,
    labelled: bool = True,
    as_of: tuple[datetime, ...] = AS_OF,
    known_by: tuple[datetime, ...] = KNOWN_BY,
) -> Computed:
    connection.execute("drop table if exists result")
    made: list[str] = []

    def write(rows: str) -> None:
        connection.execute(
            f"insert into result {rows}" if made else f"create temporary table result as {rows}"
        )
        made.append(rows)

    request = Request(
        as_of,
        known_by,
        {"orders": "shop"},
        "lapse",
        HORIZON,
        WINDOW,
        labels_as_of=LABELS_AS_OF if labelled else None,
        labels_known_by=LABELS_AS_OF if labelled else None,
        superseded={
            "orders": tuple(Supersession(number, moment) for number, moment in superseded.items())
        },
        chunk_lines=chunk_lines,
    )
    return compute_features(connection, request, write)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rows=histories, superseded=superseding)
def test_features_are_those_of_the_oracle(
    connection: Connection, rows: list[Line], superseded: dict[int, datetime]
) -> None:
    wanted = {
        (customer, as_of): row
        for as_of, known_by in zip(AS_OF, KNOWN_BY, strict=True)
        for customer, row in expected(
            rows,
            as_of,
            known_by,
            horizon=HORIZON,
            window=WINDOW,
            superseded=superseded,
            labels_as_of=LABELS_AS_OF,
            labels_known_by=LABELS_AS_OF,
        ).items()
    }
    load(connection, rows)
    if not wanted:
        return
    compute(connection, superseded)
    found = {
        (row["customer_id"], row["as_of"].astimezone(UTC)): row
        for row in connection.rows("from result")
    }
    assert set(found) == set(wanted)
    for key, row in wanted.items():
        for name, value in row.items():
            got = found[key][name]
            same = (
                got == value
                if value is None or got is None or isinstance(value, bool)
                else math.isclose(got, value, rel_tol=1e-9, abs_tol=1e-9)
            )
            assert same, (key, name, got, value)


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rows=histories, later=histories, superseded=superseding)
def test_rows_that_come_later_change_no_feature(
    connection: Connection,
    rows: list[Line],
    later: list[Line],
    superseded: dict[int, datetime],
) -> None:
    as_of, known_by = AS_OF[:3], KNOWN_BY[:3]
    if not any(
        line.ordered_at < as_of[-1]
        and line.received_at <= known_by[-1]
        and line.batch_number not in superseded
        for line in rows
    ):
        return
    load(connection, rows)
    before = compute(connection, superseded, labelled=False, as_of=as_of, known_by=known_by)
    # After the last cut-off, or before it but received after it was looked at.
    appended = [
        line for line in later if line.ordered_at >= as_of[-1] or line.received_at > known_by[-1]
    ]
    load(connection, [*rows, *appended])
    after = compute(
        connection, superseded, labelled=False, as_of=as_of, known_by=known_by, chunk_lines=7
    )
    assert after.fingerprint == before.fingerprint
    assert after.rows == before.rows


def test_a_cutoff_alone_has_the_rows_it_has_among_others(connection: Connection) -> None:
    rows = [
        Line(
            "a",
            START + timedelta(days=day),
            Decimal(3),
            None,
            None,
            None,
            False,
            START + timedelta(days=day + (60 if day % 7 == 0 else 0)),
        )
        for day in range(0, 500, 9)
    ]
    load(connection, rows)
    compute(connection, {}, labelled=False)
    together = connection.rows("from result order by as_of")
    alone = []
    for as_of, known_by in zip(AS_OF, KNOWN_BY, strict=True):
        compute(connection, {}, labelled=False, as_of=(as_of,), known_by=(known_by,))
        alone += connection.rows("from result")
    assert together == alone
    assert len(alone) == len(AS_OF)
