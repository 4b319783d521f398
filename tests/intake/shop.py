"""A shop that delivers files: what the tests of reading write, keep and stage."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import yaml

from tasks.contracts import CONTRACTS
from tasks.handles import RawBatch, StagedBatch
from tasks.intake.deliveries import discover
from tasks.intake.raw import keep_raw
from tasks.intake.reading import stage
from tasks.settings import Settings, load_settings
from tasks.warehouse import scratch

COLUMNS: dict[str, Any] = {
    "customer": "text",
    "order": "text",
    "time": "timestamp",
    "quantity": "integer",
    "amount": "number",
}
MAP = {
    "customer_id": "customer",
    "order_id": '"order"',
    "ordered_at": "time",
    "quantity": "quantity",
    "net_amount": "amount",
    "currency": "'EUR'",
    "is_return": "quantity < 0",
}
HEADER = "customer,order,time,quantity,amount"
GOOD = (
    f"{HEADER}\n"
    "ann,o1,2011-10-03T12:00:00Z,1,9.50\n"
    "bob,o2,2011-10-03T13:00:00Z,2,19.25\n"
    "cid,o3,2011-10-04T09:30:00Z,-1,-9.50\n"
)


class Shop:
    """A deployment with one source `shop` of kind files, in a directory of its own."""

    def __init__(self, directory: Path, **source: Any) -> None:
        self.folder = directory / "in"
        self.folder.mkdir()
        self.home = directory / "home"
        limits = source.pop("limits", {})
        declared: dict[str, Any] = {
            "kind": "files",
            "table": "orders",
            "folder": str(self.folder),
            "pattern": "*",
            "columns": COLUMNS,
            "map": MAP,
        }
        declared.update(source)
        path = directory / "shop.yaml"
        path.write_text(
            yaml.safe_dump({"intake": {"sources": {"shop": declared}, "limits": limits}})
        )
        self.settings: Settings = load_settings(path, home=self.home)
        self._numbers = itertools.count(1)

    @property
    def source(self) -> Any:
        return self.settings.intake.sources["shop"]

    def deliver(self, content: str | bytes, name: str = "") -> Path:
        """A file in the folder; texts as UTF-8."""
        path = self.folder / (name or f"d{next(self._numbers)}.csv")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def keep(self, content: str | bytes, name: str = "") -> RawBatch:
        """Deliver a file and keep its bytes."""
        path = self.deliver(content, name)
        [delivery] = [d for d in discover(self.settings) if d.location == str(path)]
        return keep_raw(delivery, self.settings)

    def stage(self, content: str | bytes, name: str = "") -> StagedBatch:
        """Deliver a file, keep its bytes and read them."""
        raw = self.keep(content, name)
        return stage(raw, self.source, CONTRACTS[self.source.table], self.settings)

    def read(self, content: str | bytes, name: str = "") -> list[dict[str, Any]]:
        """Deliver a file and give its staged rows in order."""
        return rows_of(self.stage(content, name))

    def staged_files(self) -> list[Path]:
        """Whatever lies in the staging and aside folders."""
        return [
            path
            for folder in ("staging", "raw")
            for path in (self.home / folder).rglob("*")
            if path.is_file() and (folder == "staging" or path.name.startswith("."))
        ]


def rows_of(staged: StagedBatch) -> list[dict[str, Any]]:
    """The rows of a staged batch in order."""
    with scratch() as connection:
        return connection.rows(
            "select * from read_parquet($path) order by row_number",
            {"path": str(staged.staged_path)},
        )
