"""Types, time zones and expressions: what a delivered text becomes, and what it may not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tasks.contracts import CONTRACTS
from tasks.intake.mapping import Delivered, clock_changes, match_columns, to_utc, type_column
from tasks.intake.rejection import BatchRejected
from tasks.sources import FilesSource, RawColumn
from tasks.warehouse import Connection, scratch
from tests.intake.shop import COLUMNS, MAP


def make_source(**changes: Any) -> FilesSource:
    declared: dict[str, Any] = {
        "kind": "files",
        "table": "orders",
        "folder": "/nowhere",
        "pattern": "*.csv",
        "columns": COLUMNS,
        "map": MAP,
    }
    return FilesSource.model_validate(declared | changes, strict=False)


def read_text(value: str, kind: str, form: str | None = None, **source: Any) -> Any:
    """What `value` of a text file becomes in a column of `kind`; None where it is refused."""
    declared = RawColumn.model_validate({"type": kind, "format": form})
    sql = type_column(Delivered("x", declared, "value"), make_source(**source), "shop/a")
    with scratch() as connection:
        return connection.scalar(f"select {sql} from (select $value as value)", {"value": value})


@pytest.mark.sql
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1", 1.0), ("-1.50", -1.5), ("+.5", 0.5), ("1.", 1.0), ("1e3", 1000.0), ("007", 7.0),
        ("1,50", None), ("1.000,50", None), ("1,000.50", None), ("1 000", None), (" 1", None),
        ("1_000", None), ("0x1F", None), ("nan", None), ("inf", None), ("-Infinity", None),
        ("1e400", None), ("abc", None), ("٣", None), ("1-", None), ("--1", None), ("", None),
        ("9007199254740993", 9007199254740992.0),
    ],
)  # fmt: skip
def test_numbers(value: str, expected: float | None) -> None:
    assert read_text(value, "number") == expected


@pytest.mark.sql
@pytest.mark.parametrize(
    ("form", "value", "expected"),
    [
        ("1234,56", "1,50", 1.5), ("1234,56", "1.50", None), ("1234,56", "1.000,50", None),
        ("1.234,56", "1.000,50", 1000.5), ("1.234,56", "1.000", 1000.0),
        ("1.234,56", "1000,5", 1000.5), ("1.234,56", "1.50", None), ("1.234,56", "10.00,5", None),
        ("1,234.56", "1,000.50", 1000.5), ("1,234.56", "1,50", None),
    ],
)  # fmt: skip
def test_numbers_in_declared_notations(form: str, value: str, expected: float | None) -> None:
    assert read_text(value, "number", text={"number_format": form}) == expected


@pytest.mark.sql
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("12", 12), ("-3", -3), ("+3", 3), ("1.0", None), ("1.6", None), ("1e3", None),
        ("9223372036854775808", None), ("true", None),
    ],
)  # fmt: skip
def test_integers(value: str, expected: int | None) -> None:
    assert read_text(value, "integer") == expected


@pytest.mark.sql
@pytest.mark.parametrize(
    ("value", "expected"),
    [("true", True), ("F", False), ("Yes", True), ("no", False), ("1", True), ("2", None)],
)
def test_booleans(value: str, expected: bool | None) -> None:
    assert read_text(value, "boolean") is expected


@pytest.mark.sql
@pytest.mark.parametrize("value", ["007", "9007199254740993", " x ", "NaN", "1e5", "'; drop"])
def test_texts_stay_as_they_are(value: str) -> None:
    assert read_text(value, "text") == value


@pytest.mark.sql
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2011-10-03T12:00:00Z", datetime(2011, 10, 3, 12, tzinfo=UTC)),
        ("2011-10-03 12:00+09", datetime(2011, 10, 3, 3, tzinfo=UTC)),
        ("2011-10-03 12:00:00.5-03:30", datetime(2011, 10, 3, 15, 30, 0, 500_000, tzinfo=UTC)),
        ("2011-10-03 12:00:00", None),
        ("2011-10-03", None),
        ("2011-02-30T00:00:00Z", None),
        ("03/04/2011 12:00", None),
        ("20111003T120000Z", None),
        ("2011-10-03 12:00:00 Europe/London", None),
        ("2011-10-03 12:00:00+25:00", None),
        ("infinity", None),
        ("epoch", None),
        ("now", None),
    ],
)
def test_times_without_a_zone_are_refused(value: str, expected: datetime | None) -> None:
    assert read_text(value, "timestamp") == expected


@pytest.mark.sql
@pytest.mark.parametrize(
    ("form", "value", "expected"),
    [
        ("%d/%m/%Y", "03/04/2025", datetime(2025, 4, 2, 23, tzinfo=UTC)),
        ("%m/%d/%Y", "03/04/2025", datetime(2025, 3, 4, 0, tzinfo=UTC)),
        ("%d/%m/%Y", "2025-04-03", None),
        ("%d/%m/%Y", "31/02/2025", None),
        ("%d/%m/%Y %H:%M %z", "03/04/2025 12:00 +0900", datetime(2025, 4, 3, 3, tzinfo=UTC)),
    ],
)
def test_times_in_a_declared_form(form: str, value: str, expected: datetime | None) -> None:
    assert read_text(value, "timestamp", form, time_zone="Europe/London") == expected


@pytest.mark.sql
@pytest.mark.parametrize(
    ("zone", "local", "setting", "expected"),
    [
        # 2011-10-30 02:00 London: the hour from 01:00 comes twice.
        ("Europe/London", "2011-10-30 00:59:59", {}, "2011-10-29 23:59:59"),
        ("Europe/London", "2011-10-30 01:00:00", {}, None),
        ("Europe/London", "2011-10-30 01:59:59", {}, None),
        (
            "Europe/London",
            "2011-10-30 01:30:00",
            {"ambiguous_times": "earlier"},
            "2011-10-30 00:30",
        ),
        ("Europe/London", "2011-10-30 01:30:00", {"ambiguous_times": "later"}, "2011-10-30 01:30"),
        ("Europe/London", "2011-10-30 02:00:00", {}, "2011-10-30 02:00:00"),
        # 2011-03-27 01:00 London: the hour until 02:00 is left out.
        ("Europe/London", "2011-03-27 00:59:59", {}, "2011-03-27 00:59:59"),
        ("Europe/London", "2011-03-27 01:30:00", {}, None),
        ("Europe/London", "2011-03-27 01:30:00", {"skipped_times": "shift"}, "2011-03-27 01:30"),
        ("Europe/London", "2011-03-27 02:00:00", {}, "2011-03-27 01:00:00"),
        ("Australia/Lord_Howe", "2011-04-03 01:45:00", {}, None),
        ("Australia/Lord_Howe", "2011-04-03 01:15:00", {}, "2011-04-02 14:15:00"),
        ("Asia/Seoul", "2011-03-27 01:30:00", {}, "2011-03-26 16:30:00"),
        ("UTC", "2011-03-27 01:30:00", {}, "2011-03-27 01:30:00"),
    ],
)
def test_hours_that_a_zone_has_twice_or_not_at_all(
    zone: str, local: str, setting: dict[str, str], expected: str | None
) -> None:
    moment = datetime.fromisoformat(expected).replace(tzinfo=UTC) if expected else None
    assert read_text(local, "timestamp", time_zone=zone, **setting) == moment


ZONES = ["Europe/London", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe"]


@pytest.fixture(scope="module")
def connection() -> Any:
    with scratch() as opened:
        yield opened


@pytest.mark.sql
@hypothesis_settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    change=st.integers(0, 10_000),
    minutes=st.integers(-24 * 60, 48 * 60),
)
def test_local_times_mean_what_the_zone_says(
    connection: Connection, zone: str, change: int, minutes: int
) -> None:
    days = [day for day in clock_changes(zone)[0] if 1990 <= day.year <= 2037]
    day = days[change % len(days)]
    local = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)
    info = ZoneInfo(zone)
    first, second = (local.replace(tzinfo=info, fold=fold).astimezone(UTC) for fold in (0, 1))
    exists = first.astimezone(info).replace(tzinfo=None) == local
    expected = first if exists and first == second else None
    sql = to_utc("value", make_source(time_zone=zone))
    found = connection.scalar(
        f"select {sql} from (select cast($local as timestamp) as value)", {"local": str(local)}
    )
    assert found == expected
    if exists:
        for setting, moment in (("earlier", first), ("later", second)):
            sql = to_utc("value", make_source(time_zone=zone, ambiguous_times=setting))
            found = connection.scalar(
                f"select {sql} from (select cast($local as timestamp) as value)",
                {"local": str(local)},
            )
            assert found == moment


@pytest.mark.parametrize(
    ("kind", "delivered"),
    [
        ("text", "DOUBLE"), ("text", "BLOB"), ("text", "TIMESTAMP"), ("integer", "DOUBLE"),
        ("integer", "DECIMAL(18,2)"), ("number", "BOOLEAN"), ("boolean", "INTEGER"),
        ("timestamp", "BIGINT"), ("number", "STRUCT(a INTEGER)"),
    ],
)  # fmt: skip
def test_parquet_types_that_lose_something_are_refused(kind: str, delivered: str) -> None:
    column = Delivered("x", RawColumn.model_validate({"type": kind}), "x", delivered)
    with pytest.raises(BatchRejected, match="SCHEMA"):
        type_column(column, make_source(), "shop/a")


def test_columns_are_found_by_name_in_any_order() -> None:
    source = make_source()
    positions, notes = match_columns(
        ["amount", "extra<script>", "order", "time", "quantity", "customer"], source, "shop/a"
    )
    assert positions == {"customer": 5, "order": 2, "time": 3, "quantity": 4, "amount": 0}
    assert notes == ("dropped columns that are not declared: 'extra<script>'",)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (["customer", "order", "time", "quantity"], "missing: 'amount'"),
        (["Customer", "order", "time", "quantity", "amount"], "is it 'Customer'"),
        (["customer", "order", "time", "quantty", "amount"], "is it 'quantty'"),
        (["customer", "order", "time", "quantity", "amount", "amount"], "'amount' stands 2 times"),
        (["customer", "order", "time", "quantity", "amount", "", ""], "'' stands 2 times"),
    ],
)
def test_wrong_headers_are_named(header: list[str], message: str) -> None:
    with pytest.raises(BatchRejected, match=message) as rejection:
        match_columns(header, make_source(), "shop/a")
    assert rejection.value.code == "SCHEMA"
    assert rejection.value.lines == (1,)


def test_a_rejection_crosses_processes() -> None:
    import copy

    error = BatchRejected("TYPE", "shop/a", "bad", lines=(3, 4), count=9, column="x", found="why")
    other = copy.copy(error)
    assert isinstance(other, BatchRejected)
    assert (other.code, other.lines, other.count, str(other)) == ("TYPE", (3, 4), 9, str(error))
    assert "lines 3, 4 and 7 more; why" in str(error)


def test_every_canonical_table_can_be_mapped() -> None:
    """The types of all contracts are ones that a cast can name."""
    with scratch() as connection:
        for contract in CONTRACTS.values():
            for column in contract.columns:
                connection.scalar(f"select try_cast(null as {column.type})")
