"""The faults of input and of on-call, each as a delivery or an injection and what must come of it.

`number` is the row of the list of faults; a row stands here once a way in which it happens. What
holds for all of them is asserted in `test_corpus.py`.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.decide import Choice
from tasks.errors import LockHeld
from tasks.handles import Batch, Delivery, IncidentLevel, IncidentState, RawBatch
from tasks.incidents.queue import list_incidents, read_history
from tasks.intake.disk import demand_space
from tasks.intake.publication import publish
from tasks.intake.raw import keep_raw
from tasks.intake.replay import find_case
from tasks.scoring.exports import write_files
from tasks.settings import Settings
from tasks.warehouse import Lake
from tests.faults.fed_shop import (
    CANARY,
    HEADER,
    HISTORY,
    LATE,
    TODAY,
    FedShop,
    Outcome,
    Row,
    as_csv,
    outcome_rows,
    usual_row,
    usual_rows,
)

Deliver = Callable[[FedShop], None]
Check = Callable[[FedShop, Outcome], None]
Injection = Callable[[FedShop], AbstractContextManager[None]]
Command = Callable[[FedShop, "Fault"], Outcome]

# The list says a thousand: HOLDFAST_STORM=1000
STORM_FILES = int(os.environ.get("HOLDFAST_STORM", "20"))
UNTIL = (datetime.now(UTC) + timedelta(days=9)).date()
TWO_PEOPLE = {"oncall": {"second_person": True}}

# What somebody may write where a name or a text belongs.
SQL = [
    'x"; drop table orders; --',
    "x' or '1'='1",
    "'); copy (select 1) to 'owned.csv'; --",
    "read_text('/etc/hostname')",
]
TEMPLATES = ["{{7*7}}", "${7*7}", "!!python/object/apply:os.system ['id']", "%s%n", "{0.__class__}"]
FORMULAS = ["=1+1", "+1", "-1", "@sum(a1)", "\t=1", "\r=1", "a\n=1"]
MARKUP = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "javascript:alert(1)"]
LOG_LINES = ["a\x1b[31mred", "a\x07b\x9b2Jc", "a\u2028ERROR b", "\u202egnp.exe"]


def take_in(shop: FedShop, fault: Fault) -> Outcome:
    """What most faults are met with: `holdfast ingest`."""
    return shop.ingest(fault.settings, supersede=fault.supersede)


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a row of the list happens.

    `prepare` puts in place what must be there before, `deliver` the fault where it is found, and
    `inject` makes it happen while the command runs. `exit_code` is the command's,
    `again_exit_code` that of the same command run again (None: the same). `code` names the only
    item that it leaves for on-call ('' for none), at `level`, in `state`, shared by `batches`;
    `column` is the column that it names. `publishes` says whether rows are published (None: one
    or the other), `heals` whether the second run publishes them. `says` must be in what on-call
    reads, `lines` are among the lines that it names. `command` is what is run, mostly taking in.
    `check` asserts what is the row's own.
    """

    number: int
    title: str
    deliver: Deliver
    exit_code: int = 65
    code: str = ""
    level: IncidentLevel = "stop"
    state: IncidentState = "open"
    column: str = ""
    publishes: bool | None = False
    heals: bool = False
    again_exit_code: int | None = None
    says: str = ""
    lines: tuple[int, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    supersede: bool = False
    prepare: Deliver = lambda _: None
    inject: Injection = lambda _: nullcontext()
    batches: int = 1
    command: Command = take_in
    check: Check | None = None


# --- how deliveries are made ----------------------------------------------------------------


def spoil(at: Sequence[int], **changes: str) -> list[Row]:
    """A usual day whose rows `at` (from 0; line = row + 2) are bad, and one person's."""
    rows = usual_rows(prefix="new")
    for number in at:
        rows[number] |= {"customer": CANARY, **changes}
    return rows


def every(**changes: Callable[[Row], str]) -> list[Row]:
    """A usual day all of whose rows are bad."""
    return [
        row | {"customer": CANARY, **{name: change(row) for name, change in changes.items()}}
        for row in usual_rows(prefix="new")
    ]


def text_of(rows: Sequence[Mapping[str, str]] | None = None) -> str:
    return as_csv(rows if rows is not None else spoil([4])).decode()


def line_of(content: str, number: int, change: Callable[[str], str]) -> str:
    """The text with one line changed (header = 1)."""
    lines = content.split("\n")
    lines[number - 1] = change(lines[number - 1])
    return "\n".join(lines)


def file(content: str | bytes | list[Row], name: str = "", source: str = "orders") -> Deliver:
    """A delivery of one file with this content, under a name of its own unless one is given."""
    if isinstance(content, list):
        data = as_csv(content)
    else:
        data = content.encode() if isinstance(content, str) else content
    return lambda shop: _deliver(shop, name, data, source)


def _deliver(shop: FedShop, name: str, data: bytes, source: str) -> None:
    # Orders have numbers of their own each time: the same ones again would be another fault.
    number = next(shop.numbers)
    fresh = data.replace(b"new-", f"new{number}-".encode())
    shop.deliver(name or f"fault-{number}.csv", fresh, source)


def orders(**changes: Any) -> dict[str, Any]:
    """Settings of the source `orders` that a fault needs otherwise than the shop has them."""
    return {"intake": {"sources": {"orders": changes}}}


def _parquet(shop: FedShop, table: pa.Table, cut: Callable[[bytes], bytes] = bytes) -> None:
    path = shop.folder / "aside.parquet"
    pq.write_table(table, path, compression="zstd")
    shop.deliver(f"fault-{next(shop.numbers)}.parquet", cut(path.read_bytes()))
    path.unlink()


def _table(rows: int) -> pa.Table:
    return pa.table(
        {
            "customer": [CANARY] * rows,
            "number": [f"n{n}" for n in range(rows)],
            "stamp": pa.array([1_709_856_000_000_000] * rows, pa.timestamp("us", "UTC")),
            "quantity": [1] * rows,
            "paid": [9.5] * rows,
            "money": ["EUR"] * rows,
            "kind": ["tea"] * rows,
        }
    )


def _bomb(shop: FedShop) -> None:
    """A few kilobytes in which one value of 200 kB stands in every one of 50,000 rows."""
    rows = 50_000
    index = pa.array([0] * rows, pa.int32())
    swollen = pa.DictionaryArray.from_arrays(index, ["x" * 200_000])
    _parquet(shop, _table(rows).set_column(1, "number", swollen))


def _cut_footer(data: bytes) -> bytes:
    return data[:-8] + struct.pack("<I", 1 << 30) + b"PAR1"


# --- what happens while the command runs ----------------------------------------------------


@contextmanager
def _clock_set_back(_: FedShop) -> Iterator[None]:
    """The host's clock stands a day behind."""
    import tasks.intake.ledger as ledger

    class Behind(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Behind:
            moment = datetime.now(tz) - timedelta(days=1)
            return cls.fromtimestamp(moment.timestamp(), tz)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "datetime", Behind)
        yield


@contextmanager
def _swapped_at_the_source(shop: FedShop) -> Iterator[None]:
    """Somebody puts another file in the place of the delivered one, once we have our copy."""
    path = shop.delivered
    delivered = path.read_bytes()

    def then_swap(delivery: Delivery, settings: Settings) -> RawBatch:
        raw = keep_raw(delivery, settings)
        if delivery.location == str(path):
            path.write_bytes(delivered.replace(b"EUR", b"JPY"))
        return raw

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.intake.steps.keep_raw", then_swap)
        yield
    path.write_bytes(delivered)


@contextmanager
def _swapped_after_judging(_: FedShop) -> Iterator[None]:
    """Somebody changes the staged file between judging and publishing."""

    def swap_then(lake: Lake, staged: Any, *arguments: Any, **options: Any) -> Any:
        staged.staged_path.write_bytes(staged.staged_path.read_bytes() + b"\0")
        return publish(lake, staged, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.intake.steps.publish", swap_then)
        yield


@contextmanager
def _written_meanwhile(shop: FedShop) -> Iterator[None]:
    """The file grows while it is copied."""
    path = shop.delivered
    delivered = path.read_bytes()

    def grow_then(*arguments: Any) -> None:
        with path.open("ab") as file:
            file.write(b"more")
        demand_space(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.intake.raw.demand_space", grow_then)
        yield
    path.write_bytes(delivered)


# --- what is found beyond a single file -----------------------------------------------------


def then_train(shop: FedShop, fault: Fault) -> Outcome:
    """Take in what there is, which is sound by itself, and train."""
    taken = shop.ingest(fault.settings)
    assert taken.exit_code == 0, taken.message
    return shop.train(fault.settings)


def source(name: str, table: str, columns: Mapping[str, str], **mapped: str) -> dict[str, Any]:
    """Settings of a further source, whose parts must come without a gap."""
    declared = {"kind": "files", "table": table, "pattern": "*", "columns": dict(columns)}
    return {"intake": {"sources": {name: {**declared, "map": mapped}}}}


VISITS = source(
    "visits",
    "events",
    {"customer": "text", "at": "timestamp"},
    customer_id="customer",
    occurred_at='"at"',
    kind="'visit'",
)
PEOPLE = source(
    "people",
    "customers",
    {"customer": "text", "since": "timestamp", "told": "timestamp"},
    customer_id="customer",
    registered_at="since",
    recorded_at="told",
)
STATIC = {
    "intake": {"sources": {"outcomes": {"known": {"basis": "declared", "lag_days": 1}}}},
    "features": {
        "outcome": "given",
        "minimum_customers": 20,
        "minimum_churners": 5,
        "minimum_stayers": 5,
    },
}


def _skip_a_month(shop: FedShop) -> None:
    """Visits of January and March."""
    for month in ("2024-01", "2024-03"):
        lines = [f"c{n}@shop.test,{month}-{1 + n % 28:02}T10:00:00Z" for n in range(39)]
        lines.append(f"{CANARY},{month}-05T10:00:00Z")
        shop.deliver(f"{month}.csv", "\n".join(["customer,at", *lines, ""]).encode(), "visits")


def _people(since: str) -> bytes:
    names = [*(f"c{n}@shop.test" for n in range(19)), CANARY]
    lines = [f"{name},{since}T00:00:00Z,{since}T12:00:00Z" for name in names]
    return "\n".join(["customer,since,told", *lines, ""]).encode()


def _register(shop: FedShop) -> None:
    """Twenty people; most of them have ordered since, up to March 2024."""
    shop.deliver("2023.csv", _people("2023-02-01"), "people")
    taken = shop.ingest(PEOPLE)
    assert taken.exit_code == 0, taken.message


def _leak(shop: FedShop) -> None:
    """Outcomes with a column that was filled from them: everybody who left has nine calls."""
    lines = outcome_rows("2024-02", churned=200, rows=800).decode().splitlines()
    told = [line.rpartition(",")[0] + (",9" if ",true," in line else ",1") for line in lines[1:]]
    told[3] = told[3].replace("2024-02-3@shop.test", CANARY)
    shop.deliver("leak.csv", "\n".join([lines[0], *told, ""]).encode(), "outcomes")


# --- what people decide ---------------------------------------------------------------------


def _set_aside(shop: FedShop) -> None:
    """A day in cents, refused: the item that people then decide about."""
    file(every(paid=lambda row: f"{float(row['paid']) * 100:.2f}"))(shop)
    assert shop.ingest().exit_code == 65


def _item(shop: FedShop) -> str:
    """The item that was opened last."""
    return list_incidents(shop.lake, unresolved=False)[-1].name


def _answer(shop: FedShop, choices: Sequence[Choice], settings: Mapping[str, Any]) -> Outcome:
    """The decisions in turn; the last one's answer, those before must be carried out."""
    *before, last = choices
    for choice in before:
        assert shop.decide(choice, settings).exit_code == 0
    return shop.decide(last, settings)


def deciding(*choices: Choice) -> Command:
    """Decisions about the newest item, one after the other."""

    def command(shop: FedShop, fault: Fault) -> Outcome:
        named = [replace(choice, item=choice.item or _item(shop)) for choice in choices]
        return _answer(shop, named, fault.settings)

    return command


def _replace_twice(shop: FedShop, fault: Fault) -> Outcome:
    """The same corrected file is put in the batch's place twice."""
    path = shop.folder / "corrected.csv"
    [batch] = find_case(shop.lake, _item(shop)).batches or [None]
    if batch is not None:
        path.write_bytes(as_csv(usual_rows(prefix=f"right{batch.batch_number}")))
    choice = Choice(_item(shop), "replay", "ann", file=path)
    return _answer(shop, [choice, choice], fault.settings)


def _decide_at_once(shop: FedShop, fault: Fault) -> Outcome:
    """Two people decide differently at one moment: one is heard, the other hears who was."""
    item = _item(shop)
    choices = (
        Choice(item, "discard", "ann", reason="not ours"),
        Choice(item, "waive", "bob", reason="ours", until=UNTIL),
    )
    start = threading.Barrier(len(choices))

    def decide(choice: Choice) -> Outcome:
        start.wait(30)
        outcome = shop.decide(choice, fault.settings)
        while outcome.exit_code == LockHeld.exit_code:  # somebody is at it: as told, again later
            time.sleep(0.05)
            outcome = shop.decide(choice, fault.settings)
        return outcome

    shop.configure(fault.settings)
    with ThreadPoolExecutor(len(choices)) as pool:
        heard, refused = sorted(pool.map(decide, choices), key=lambda one: one.exit_code)
    assert heard.exit_code == 0, heard.message
    return refused


def _decided_by(*authors: str) -> Check:
    """Who has decided what stands in the item's history, once each."""

    def check(shop: FedShop, _: Outcome) -> None:
        number = list_incidents(shop.lake, unresolved=False)[-1].incident_number
        history = read_history(shop.lake, number)
        decisions = [row["actor"] for row in history if row["what"].startswith("decision")]
        assert decisions == list(authors)

    return check


def _deliver_storm(shop: FedShop) -> None:
    """Many files with one and the same fault."""
    for number in range(STORM_FILES):
        rows = usual_rows(prefix=f"storm{number}", rows=2)
        rows[1] |= {"customer": CANARY}
        shop.deliver(f"storm-{number}.csv", as_csv(rows)[:-12])


# --- what is the row's own ------------------------------------------------------------------


def _texts(shop: FedShop, column: str) -> list[str]:
    """The texts of a column of the newest batch, in order of its lines."""
    rows = shop.lake.rows(
        f"select {column} as text from lake.main.orders"
        " where batch_number = (select max(batch_number) from lake.main.orders)"
        " order by row_number"
    )
    return [str(row["text"]) for row in rows]


def newest(outcome: Outcome) -> Batch:
    """The batch that the command has published."""
    return max(outcome.batches, key=lambda batch: batch.batch_number)


def _kept_as_text(column: str, expected: Sequence[str]) -> Check:
    def check(shop: FedShop, _: Outcome) -> None:
        assert _texts(shop, column)[: len(expected)] == list(expected)

    return check


def _noted(text: str) -> Check:
    def check(shop: FedShop, outcome: Outcome) -> None:
        report = newest(outcome).report
        assert text in " ".join([*report["notes"], *report])

    return check


def _known(_: FedShop, outcome: Outcome) -> None:
    assert all(batch.already_known for batch in outcome.batches)


def _same_as_usual(shop: FedShop, _: Outcome) -> None:
    """Columns in another order give the rows that the usual order gives."""
    found = shop.lake.rows(
        "select customer_id, net_amount::varchar as amount, category"
        " from lake.main.orders"
        " where batch_number = (select max(batch_number) from lake.main.orders)"
        " order by row_number"
    )
    assert [tuple(row.values()) for row in found] == [
        (row["customer"], f"{row['paid']}00", row["kind"]) for row in spoil([4])
    ]


def _ordered_by_number(shop: FedShop, outcome: Outcome) -> None:
    """Times of the ledger never run backwards; the lag is reported."""
    _noted("clock_behind_seconds")(shop, outcome)
    times = [
        row["recorded_at"]
        for row in shop.lake.rows(
            "select batch_number, min(recorded_at) as recorded_at from lake.ledger.batches"
            " group by batch_number order by batch_number"
        )
    ]
    assert times == sorted(times)


def _only_its_day(shop: FedShop, outcome: Outcome) -> None:
    """A late day adds its own lines: what was known before it came is known as it was."""
    batch = newest(outcome)
    assert batch.published_at is not None
    rows = shop.lake.rows(
        "select distinct ordered_at::date::varchar as day from lake.main.orders"
        " where received_at >= $published_at",
        {"published_at": batch.published_at},
    )
    assert [row["day"] for row in rows] == [LATE]


def _escaped_in_exports(shop: FedShop, outcome: Outcome) -> None:
    _kept_as_text("order_id", FORMULAS)(shop, outcome)
    schema = pa.schema([("order_id", pa.string()), ("amount", pa.float64())])
    batch = pa.RecordBatch.from_arrays(
        [pa.array(_texts(shop, "order_id")[: len(FORMULAS)]), pa.array([-1.5] * len(FORMULAS))],
        schema=schema,
    )
    made, _ = write_files([batch], schema, shop.folder / "exports", "list", byte_order_mark=True)
    with made.aside.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))[1:]
    assert len(rows) == len(FORMULAS)
    for cell, amount in rows:
        assert cell[0] not in "=+-@\t\r"
        assert not any(f"\n{sign}" in cell for sign in "=+-@")
        assert float(amount) == -1.5


def _nothing_owned(_: FedShop, __: Outcome) -> None:
    assert not Path("owned.csv").exists()


def _nothing_live(shop: FedShop, outcome: Outcome) -> None:
    assert "<" not in outcome.message


def _one_line_an_event(_: FedShop, outcome: Outcome) -> None:
    for line in (outcome.message + outcome.log).split("\n"):
        assert line.isprintable(), ascii(line)


def _republish(shop: FedShop) -> None:
    """A published day comes again under its name, with one byte changed."""
    rows = usual_rows(HISTORY[-1])
    rows[4] |= {"customer": CANARY}
    shop.deliver(f"{HISTORY[-1]}.csv", as_csv(rows))


def _renamed(old: str, new: str) -> str:
    return line_of(text_of(), 1, lambda line: line.replace(old, new))


def _extended(name: str, value: str = "x") -> str:
    """A further column at the end."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*HEADER, name])
    writer.writerows([*(row[column] for column in HEADER), value] for row in spoil([4]))
    return text.getvalue()


def _without(column: str) -> bytes:
    return as_csv(spoil([4]), [name for name in HEADER if name != column])


_GOOD_LINE = ",".join(usual_row(0, TODAY, "long").values())
_BAD_LINE = ",".join((usual_row(1, TODAY, "long") | {"customer": CANARY}).values())


FAULTS: tuple[Fault, ...] = (
    # 1: malformed
    Fault(
        1,
        "a field too few",
        file(line_of(text_of(), 6, lambda s: s.rpartition(",")[0])),
        code="MALFORMED",
        lines=(6,),
    ),
    Fault(
        1,
        "a quote left open",
        file(line_of(text_of(), 6, lambda s: '"' + s)),
        code="MALFORMED",
        lines=(6,),
    ),
    Fault(
        1, "cut off in a line", file(text_of(spoil([58, 59]))[:-20]), code="MALFORMED", lines=(61,)
    ),
    Fault(
        1,
        "another delimiter, never a table of one column",
        file(text_of().replace(",", ";")),
        code="SCHEMA",
        column="customer",
    ),
    # 2: empty
    Fault(2, "no bytes", file(b""), code="EMPTY"),
    Fault(2, "a header alone", file(as_csv([])), code="EMPTY"),
    # 3: encoding
    Fault(
        3,
        "latin-1",
        file(text_of(spoil([4], kind="th\xe9")).encode("latin-1")),
        code="ENCODING",
        says="byte",
        lines=(6,),
    ),
    Fault(3, "UTF-16", file(text_of().encode("utf-16")), code="ENCODING", says="byte"),
    Fault(3, "NUL", file(text_of(spoil([4], kind="t\0a"))), code="ENCODING", says="byte"),
    Fault(
        3,
        "a byte order mark is no fault",
        file(b"\xef\xbb\xbf" + as_csv(spoil([4]))),
        exit_code=0,
        publishes=True,
        check=_kept_as_text("category", ["tea", "cup"]),
    ),
    # 4: a column is missing
    *(
        Fault(
            4,
            f"without {column}",
            file(_without(column)),
            code="SCHEMA",
            column=column,
            says=f"'{column}'",
        )
        for column in ("customer", "paid")
    ),
    Fault(
        4,
        "without the header",
        file(text_of().partition("\n")[2].replace("c0@shop.test", CANARY)),
        code="SCHEMA",
        column="customer",
    ),
    # 5: other columns
    Fault(
        5,
        "a renamed column, met with the nearest name",
        file(_renamed("quantity", "quantiti")),
        code="SCHEMA",
        column="quantity",
        says="is it 'quantiti'",
    ),
    Fault(5, "a doubled column", file(_extended("paid", "1.00")), code="SCHEMA", column="paid"),
    Fault(
        5,
        "an extra column is dropped with a note",
        file(_extended("comment")),
        exit_code=0,
        publishes=True,
        check=_noted("not declared: 'comment'"),
    ),
    Fault(
        5,
        "columns in another order",
        file(as_csv(spoil([4]), HEADER[::-1])),
        exit_code=0,
        publishes=True,
        check=_same_as_usual,
    ),
    # 6: another type, late in the file
    Fault(
        6,
        "a word among numbers at row 50,001",
        file(
            ",".join(HEADER)
            + "\n"
            + (_GOOD_LINE + "\n") * 50_000
            + _BAD_LINE.replace(",2,", ",two,")
            + "\n"
        ),
        code="TYPE",
        column="quantity",
        lines=(50_002,),
    ),
    Fault(
        6,
        "a line whose fields have slipped",
        file(
            line_of(
                text_of(), 6, lambda s: ",".join(["new-4", "x", TODAY, CANARY, *s.split(",")[4:]])
            )
        ),
        code="TYPE",
        column="quantity",
        lines=(6,),
    ),
    # 7: another notation
    Fault(7, "1,50", file(spoil([4], paid="1,50")), code="FORMAT", column="paid", lines=(6,)),
    Fault(
        7, "1.000,50", file(spoil([4], paid="1.000,50")), code="FORMAT", column="paid", lines=(6,)
    ),
    Fault(
        7,
        "1.000 that may be one or a thousand",
        file(every(paid=lambda row: "1.000")),
        code="FORMAT",
        column="paid",
        says="two readings",
    ),
    Fault(
        7,
        "day and month",
        file(spoil([4], stamp="03/04/2024 10:00")),
        code="FORMAT",
        column="stamp",
        lines=(6,),
    ),
    Fault(
        7,
        "days read as months, each a date",
        file(every(stamp=lambda row: f"2024-{1 + int(row['number'][4:]) % 12:02}-03T10:00:00Z")),
        code="FUTURE|TIME_SPAN",
    ),
    # 8: identifiers
    Fault(
        8,
        "leading zeros and more than a float holds",
        file(
            [
                row | {"number": number}
                for row, number in zip(
                    spoil([4]),
                    [
                        "007",
                        "9007199254740993",
                        "1e5",
                        "-0",
                        "NaN",
                        *(f"0{n}" for n in range(5, 60)),
                    ],
                    strict=True,
                )
            ]
        ),
        exit_code=0,
        publishes=True,
        check=_kept_as_text("order_id", ["007", "9007199254740993", "1e5", "-0", "NaN", "05"]),
    ),
    # 9: missing values
    Fault(
        9,
        "a column all of whose values are gone",
        file(every(kind=lambda row: "")),
        code="NULLS",
        column="category",
    ),
    Fault(
        9,
        "a required column all of whose values are gone",
        file(every(money=lambda row: "")),
        code="NULLS",
        column="currency",
    ),
    Fault(
        9,
        "a third of the orders without a number",
        file(spoil(range(0, 60, 3), number="")),
        code="NULLS",
        column="order_id",
    ),
    # 10: not finite
    *(
        Fault(10, value, file(spoil([4], paid=value)), code="NONFINITE", column="paid", lines=(6,))
        for value in ("NaN", "1e400")
    ),
    # 11: another unit
    Fault(
        11,
        "cents",
        file(every(paid=lambda row: f"{float(row['paid']) * 100:.2f}")),
        code="UNIT_SHIFT",
        column="net_amount",
        says="ratio 100",
    ),
    Fault(
        11,
        "thousandths",
        file(every(paid=lambda row: f"{float(row['paid']) * 1000:.2f}")),
        code="UNIT_SHIFT",
        column="net_amount",
        says="ratio 1e\\+03|ratio 1000",
    ),
    Fault(
        11,
        "a rise of a fifth is none",
        file(
            every(
                customer=lambda row: row["customer"],
                paid=lambda row: f"{float(row['paid']) * 1.2:.2f}",
            )
        ),
        exit_code=0,
        publishes=True,
    ),
    # 12: another currency
    Fault(12, "yen", file(every(money=lambda row: "JPY")), code="CURRENCY", column="currency"),
    Fault(
        12,
        "two currencies",
        file(spoil(range(0, 60, 2), money="JPY")),
        code="CURRENCY",
        column="currency",
    ),
    Fault(
        12,
        "an address where the currency stood",
        file(spoil([4], money=CANARY)),
        code="CURRENCY",
        column="currency",
    ),
    # 13: time zones
    Fault(
        13,
        "a time without a zone",
        file(spoil([4], stamp="2024-03-08 10:00:00")),
        code="TZ",
        column="stamp",
        lines=(6,),
    ),
    Fault(
        13,
        "an hour that the clock has twice",
        file(spoil(range(60), stamp="2023-10-29 01:30:00")),
        code="TZ",
        column="stamp",
        settings=orders(time_zone="Europe/London"),
    ),
    Fault(
        13,
        "an hour that the clock has never",
        file(spoil(range(60), stamp="2024-03-31 01:30:00")),
        code="TZ",
        column="stamp",
        settings=orders(time_zone="Europe/London"),
    ),
    # 14: times that cannot be
    *(
        Fault(
            14,
            stamp,
            file(spoil(range(0, 60, 6), stamp=f"{stamp}T00:00:00Z")),
            code="FUTURE",
            column="ordered_at",
        )
        for stamp in ("1970-01-01", "9999-12-31")
    ),
    # 15: the clock
    Fault(
        15,
        "the host's clock is set back by a day",
        file(spoil([4])),
        exit_code=0,
        publishes=True,
        inject=_clock_set_back,
        check=_ordered_by_number,
    ),
    # 16: delivered twice
    Fault(
        16,
        "the same file under its name",
        file(as_csv(usual_rows(HISTORY[-1])), f"{HISTORY[-1]}.csv"),
        exit_code=0,
        check=_known,
    ),
    Fault(
        16,
        "the same file under another name",
        file(as_csv(usual_rows(HISTORY[-1])), "again.csv"),
        exit_code=0,
        check=_known,
    ),
    Fault(
        16,
        "its rows among others",
        file(
            [row | {"customer": row["customer"]} for row in usual_rows(HISTORY[-1])[:30]]
            + usual_rows(prefix="new")[30:]
        ),
        code="DUPLICATE",
    ),
    # 17: another content under a name
    Fault(17, "a byte of a published file is changed", _republish, code="CONFLICT"),
    # 18: old content
    Fault(
        18,
        "an old day again, after the newer ones",
        file(as_csv(usual_rows(HISTORY[0])), f"{HISTORY[0]}.csv"),
        exit_code=0,
        check=_known,
    ),
    Fault(
        18,
        "an old day again, with a line more",
        file(usual_rows(HISTORY[0]) + spoil([4])[4:5], "2024-03-01b.csv"),
        code="DUPLICATE",
    ),
    # 19: late
    Fault(
        19,
        "a day that comes after later ones",
        file(as_csv(usual_rows(LATE)), f"{LATE}.csv"),
        exit_code=0,
        publishes=True,
        check=_only_its_day,
    ),
    # 20: a delivery that did not come
    Fault(
        20,
        "a month is missing between two",
        _skip_a_month,
        exit_code=75,
        code="GAP",
        level="gap",
        publishes=True,
        settings=VISITS,
        command=then_train,
    ),
    # 21: twice in the batch
    Fault(
        21,
        "every line twice",
        file([row for row in every()[:30] for _ in range(2)]),
        code="DUP_KEY",
    ),
    # 22: an id given to somebody else
    Fault(
        22,
        "registered anew, long after the last order",
        file(_people("2025-06-01"), "2025.csv", "people"),
        code="ID_REUSE",
        column="customer_id",
        prepare=_register,
        settings=PEOPLE,
    ),
    # 23: a feature that knows the outcome
    Fault(
        23,
        "a column that was filled after the customer had left",
        _leak,
        code="LEAK",
        level="fault",
        publishes=True,
        settings=STATIC,
        command=then_train,
    ),
    # 24: the outcome
    Fault(
        24,
        "turned round",
        file(
            outcome_rows("2024-02", churned=70).replace(b"2024-02-3@shop.test", CANARY.encode()),
            "2024-02.csv",
            "outcomes",
        ),
        code="LABEL",
        column="churned",
    ),
    Fault(
        24,
        "nobody has left, since the window is not over",
        file(
            outcome_rows("2024-02", churned=0).replace(b"2024-02-3@shop.test", CANARY.encode()),
            "2024-02.csv",
            "outcomes",
        ),
        code="LABEL",
        column="churned",
    ),
    # 25: drift
    Fault(
        25,
        "all goods are new",
        file(every(kind=lambda row: "car")),
        code="DRIFT",
        column="category",
    ),
    Fault(
        25,
        "a twentieth of the goods is new: a warning",
        file(spoil([1, 2, 3], kind="mug")),
        exit_code=0,
        publishes=True,
    ),
    Fault(
        25,
        "eleven times the lines",
        file([row | {"customer": CANARY} for row in usual_rows(prefix="many", rows=660)]),
        code="VOLUME",
    ),
    # 26: limits
    Fault(26, "a file too large", file(b"x" * 7_000_000), code="LIMIT"),
    Fault(26, "a value of 3 MB", file(spoil([4], kind="k" * 3_000_000)), code="LIMIT", lines=(6,)),
    Fault(
        26, "10,000 columns", file(",".join(f"c{n}" for n in range(10_000)) + "\n1\n"), code="LIMIT"
    ),
    Fault(
        26,
        "more rows than allowed",
        file(",".join(HEADER) + "\n" + (_BAD_LINE + "\n") * 56_000),
        code="LIMIT",
    ),
    # 27: bombs
    Fault(
        27,
        "a gzip of good lines without end",
        file(
            gzip.compress(
                (",".join(HEADER) + "\n" + (_BAD_LINE + "k" * 300 + "\n") * 50_000).encode()
            )
        ),
        code="BOMB",
    ),
    Fault(27, "a Parquet file that unpacks to 10 GB", _bomb, code="BOMB"),
    Fault(
        27,
        "a Parquet file with a damaged footer",
        lambda shop: _parquet(shop, _table(60), _cut_footer),
        code="MALFORMED",
    ),
    # 28: still being written
    Fault(
        28,
        "it was changed a moment ago",
        file(spoil([4])),
        exit_code=75,
        settings=orders(settle_seconds=3_600.0),
    ),
    Fault(
        28,
        "its checksum is not there yet",
        file(spoil([4])),
        exit_code=75,
        settings=orders(checksum_file=True),
    ),
    Fault(
        28,
        "it grows while it is copied",
        file(spoil([4])),
        exit_code=75,
        inject=_written_meanwhile,
        heals=True,
        again_exit_code=0,
    ),
    # 29: changed meanwhile
    Fault(
        29,
        "swapped at the source: we work from our copy",
        file(spoil([4])),
        exit_code=0,
        publishes=True,
        inject=_swapped_at_the_source,
        check=_kept_as_text("currency", ["EUR"]),
    ),
    Fault(
        29,
        "the judged file is swapped before it is published",
        file(spoil([4])),
        code="CHANGED",
        inject=_swapped_after_judging,
        heals=True,
        again_exit_code=0,
    ),
    # 30: names
    *(
        Fault(30, ascii(name), file(spoil([4]), name), exit_code=77, code="NAME", level="fault")
        for name in ("b*.csv", "a\nb.csv", "x" * 101 + ".csv", "$(id).csv")
    ),
    Fault(
        30,
        "a symbolic link",
        lambda shop: (shop.source_folder / "orders" / "a.csv").symlink_to("/etc/hostname"),
        exit_code=77,
        code="NAME",
        level="fault",
    ),
    # 31: SQL
    *(
        Fault(
            31,
            f"a column named {payload}",
            file(_renamed("kind", f'"{payload}"'.replace('x"', 'x""'))),
            code="SCHEMA",
            column="kind",
            check=_nothing_owned,
        )
        for payload in SQL[::2]
    ),
    Fault(
        31,
        "in values",
        file(
            [
                row | {"number": number}
                for row, number in zip(
                    spoil([4]), SQL + [f"n{n}" for n in range(4, 60)], strict=True
                )
            ]
        ),
        exit_code=0,
        publishes=True,
        check=_kept_as_text("order_id", SQL),
    ),
    # 32: formulas
    Fault(
        32,
        "formulas in texts",
        file(
            [
                row | {"number": number}
                for row, number in zip(
                    spoil([4]), FORMULAS + [f"f{n}" for n in range(len(FORMULAS), 60)], strict=True
                )
            ]
        ),
        exit_code=0,
        publishes=True,
        check=_escaped_in_exports,
        settings=orders(text={"newlines_in_values": True}),
    ),
    # 33: markup
    Fault(
        33,
        "in values",
        file(
            [
                row | {"number": number}
                for row, number in zip(
                    spoil([4]), MARKUP + [f"m{n}" for n in range(len(MARKUP), 60)], strict=True
                )
            ]
        ),
        exit_code=0,
        publishes=True,
        check=_nothing_live,
    ),
    Fault(
        33,
        "in a bad value",
        file(spoil(range(0, 60, 2), money=MARKUP[0], kind=MARKUP[1])),
        code="CURRENCY",
        column="currency",
        check=_nothing_live,
    ),
    # 34: lines for the log
    Fault(
        34,
        "in values",
        file(
            [
                row | {"number": number}
                for row, number in zip(
                    spoil([4]),
                    LOG_LINES + [f"l{n}" for n in range(len(LOG_LINES), 60)],
                    strict=True,
                )
            ]
        ),
        exit_code=0,
        publishes=True,
        check=_one_line_an_event,
    ),
    Fault(
        34,
        "in a column's name",
        file(_renamed("kind", '"' + "".join(LOG_LINES) + '"')),
        code="SCHEMA",
        column="kind",
        check=_one_line_an_event,
    ),
    # 35: templates
    *(
        Fault(35, payload, file(spoil([4], paid=payload)), code="TYPE", column="paid", lines=(6,))
        for payload in TEMPLATES[:1]
    ),
    *(
        Fault(
            35,
            f"a column named {payload}",
            file(_renamed("kind", payload)),
            code="SCHEMA",
            column="kind",
        )
        for payload in TEMPLATES[2:4]
    ),
    # 81: decided twice, wrongly, by one where two are needed, or at once
    Fault(
        81,
        "discarded, and then waived by another",
        _set_aside,
        exit_code=64,
        command=deciding(
            Choice("", "discard", "ann", reason="not ours"),
            Choice("", "waive", "bob", reason="ours", until=UNTIL),
        ),
        check=_decided_by("ann"),
    ),
    Fault(
        81,
        "discarded twice",
        _set_aside,
        exit_code=0,
        command=deciding(*[Choice("", "discard", "ann", reason="not ours")] * 2),
        check=_decided_by("ann"),
    ),
    Fault(
        81,
        "another item than there is",
        file(spoil([4])[:0]),
        exit_code=64,
        command=deciding(Choice("item-99999", "discard", "ann", reason="not ours")),
    ),
    Fault(
        81,
        "released twice",
        _set_aside,
        exit_code=0,
        publishes=True,
        command=_replace_twice,
        check=_decided_by("ann"),
    ),
    Fault(
        81,
        "released by one where two are needed",
        _set_aside,
        exit_code=77,
        code="UNIT_SHIFT",
        state="waiting",
        settings=TWO_PEOPLE,
        command=deciding(
            Choice("", "waive", "ann", reason="new prices", until=UNTIL),
            Choice("", "approve", "ann"),
        ),
        check=_decided_by("ann"),
    ),
    Fault(
        81,
        "released by two",
        _set_aside,
        exit_code=0,
        publishes=True,
        settings=TWO_PEOPLE,
        command=deciding(
            Choice("", "waive", "ann", reason="new prices", until=UNTIL),
            Choice("", "approve", "bob"),
        ),
    ),
    Fault(
        81,
        "decided differently by two at once",
        _set_aside,
        exit_code=64,
        publishes=None,
        command=_decide_at_once,
    ),
    # 82: a storm
    Fault(
        82,
        "many bad files with one cause",
        _deliver_storm,
        code="MALFORMED",
        batches=STORM_FILES,
    ),
)
