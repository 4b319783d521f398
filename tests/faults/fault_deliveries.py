"""Deliveries with something wrong, for the fault corpus: files, and what needs more than one."""

from __future__ import annotations

import csv
import io
import os
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.faults.fault import Deliver
from tests.faults.fed_shop import (
    CANARY,
    HEADER,
    HISTORY,
    TODAY,
    FedShop,
    Row,
    as_csv,
    outcome_rows,
    usual_row,
    usual_rows,
)

# The list says a thousand: HOLDFAST_STORM=1000
STORM_FILES = int(os.environ.get("HOLDFAST_STORM", "10"))
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


def moved(hours: float) -> list[Row]:
    """A usual day, one person's row in it, all of whose times are so many hours later."""
    rows = spoil([4])
    for row in rows:
        later = datetime.fromisoformat(row["stamp"]) + timedelta(hours=hours)
        row["stamp"] = f"{later:%Y-%m-%dT%H:%M:%SZ}"
    return rows


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


def parquet(shop: FedShop, table: pa.Table, cut: Callable[[bytes], bytes] = bytes) -> None:
    path = shop.folder / "aside.parquet"
    pq.write_table(table, path, compression="zstd")
    shop.deliver(f"fault-{next(shop.numbers)}.parquet", cut(path.read_bytes()))
    path.unlink()


def table(rows: int) -> pa.Table:
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


def bomb(shop: FedShop) -> None:
    """A few kilobytes in which one value of 200 kB stands in every one of 50,000 rows."""
    rows = 50_000
    index = pa.array([0] * rows, pa.int32())
    swollen = pa.DictionaryArray.from_arrays(index, ["x" * 200_000])
    parquet(shop, table(rows).set_column(1, "number", swollen))


def cut_footer(data: bytes) -> bytes:
    return data[:-8] + struct.pack("<I", 1 << 30) + b"PAR1"


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


def skip_a_month(shop: FedShop) -> None:
    """Visits of January and March."""
    for month in ("2024-01", "2024-03"):
        lines = [f"c{n}@shop.test,{month}-{1 + n % 28:02}T10:00:00Z" for n in range(39)]
        lines.append(f"{CANARY},{month}-05T10:00:00Z")
        shop.deliver(f"{month}.csv", "\n".join(["customer,at", *lines, ""]).encode(), "visits")


def people(since: str) -> bytes:
    names = [*(f"c{n}@shop.test" for n in range(19)), CANARY]
    lines = [f"{name},{since}T00:00:00Z,{since}T12:00:00Z" for name in names]
    return "\n".join(["customer,since,told", *lines, ""]).encode()


def register(shop: FedShop) -> None:
    """Twenty people; most of them have ordered since, up to March 2024."""
    shop.deliver("2023.csv", people("2023-02-01"), "people")
    taken = shop.ingest(PEOPLE)
    assert taken.exit_code == 0, taken.message


def leak(shop: FedShop) -> None:
    """Outcomes with a column that was filled from them: everybody who left has nine calls."""
    lines = outcome_rows("2024-02", churned=200, rows=800).decode().splitlines()
    told = [line.rpartition(",")[0] + (",9" if ",true," in line else ",1") for line in lines[1:]]
    told[3] = told[3].replace("2024-02-3@shop.test", CANARY)
    shop.deliver("leak.csv", "\n".join([lines[0], *told, ""]).encode(), "outcomes")


def deliver_storm(shop: FedShop) -> None:
    """Many files with one and the same fault."""
    for number in range(STORM_FILES):
        rows = usual_rows(prefix=f"storm{number}", rows=2)
        rows[1] |= {"customer": CANARY}
        shop.deliver(f"storm-{number}.csv", as_csv(rows)[:-12])


def republish(shop: FedShop) -> None:
    """A published day comes again under its name, with one byte changed."""
    rows = usual_rows(HISTORY[-1])
    rows[4] |= {"customer": CANARY}
    shop.deliver(f"{HISTORY[-1]}.csv", as_csv(rows))


def renamed(old: str, new: str) -> str:
    return line_of(text_of(), 1, lambda line: line.replace(old, new))


def extended(name: str, value: str = "x") -> str:
    """A further column at the end."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*HEADER, name])
    writer.writerows([*(row[column] for column in HEADER), value] for row in spoil([4]))
    return text.getvalue()


def without(column: str) -> bytes:
    return as_csv(spoil([4]), [name for name in HEADER if name != column])


GOOD_LINE = ",".join(usual_row(0, TODAY, "long").values())
BAD_LINE = ",".join((usual_row(1, TODAY, "long") | {"customer": CANARY}).values())
