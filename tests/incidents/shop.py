"""A shop with good history and bad deliveries, taken in and decided about by the real flows."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import yaml

from flows.decide import Choice, Outcome, decide
from flows.ingest import ingest
from tasks.errors import HoldfastError
from tasks.handles import Batch, Incident
from tasks.incidents.queue import list_incidents
from tasks.intake.ledger import read_batches
from tasks.settings import Settings, load_settings
from tasks.visibility import table_fingerprint
from tasks.warehouse import open_lake
from tests.intake.shop import COLUMNS, HEADER, MAP

GOOD_DAYS = 4


def lines(
    day: int, *, rows: int = 60, unit: float = 1.0, seed: int = 7, nameless: int = 0
) -> list[str]:
    """The order lines of a day of October 2011; the first `nameless` lack their customer."""
    dice = random.Random(f"{seed}-{day}")
    made = []
    for number in range(rows):
        customer = "" if number < nameless else f"c{dice.randrange(40):02}"
        amount = round(dice.uniform(5, 50) * unit, 2)
        made.append(
            f"{customer},o{day}-{number},2011-10-{day:02}T{number % 24:02}:{number % 60:02}:00Z,"
            f"{dice.randint(1, 5)},{amount:.2f}"
        )
    return made


def text(rows: list[str]) -> str:
    return "\n".join([HEADER, *rows]) + "\n"


class QueueShop:
    """A deployment with one source of daily CSV files."""

    def __init__(self, directory: Path, home: Path, name: str, **sections: Any) -> None:
        self.folder = directory / "in"
        self.folder.mkdir(parents=True)
        source = {
            "kind": "files",
            "table": "orders",
            "folder": str(self.folder),
            "pattern": "*",
            "columns": COLUMNS,
            "map": MAP,
            "known": {"basis": "declared", "lag_days": 1},
        }
        self.path = directory / f"{name}.yaml"
        conf = {"intake": {"sources": {"orders": source}}, **sections}
        self.path.write_text(yaml.safe_dump(conf), encoding="utf-8")
        self.home = home
        # The comparison with the past needs fewer rows here than in life.
        conf.setdefault("validation", {"minimum_values": 20, "minimum_batches": 3})
        self.path.write_text(yaml.safe_dump(conf), encoding="utf-8")

    @property
    def settings(self) -> Settings:
        return load_settings(self.path, home=self.home)

    def deliver(self, day: int, content: str | bytes | None = None, **changed: Any) -> Path:
        path = self.folder / f"2011-10-{day:02}.csv"
        if content is None:
            content = text(lines(day, **changed))
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def deliver_good(self, days: int = GOOD_DAYS) -> None:
        for day in range(1, days + 1):
            self.deliver(day)

    def ingest(self) -> int:
        """The exit code that the command would give."""
        try:
            ingest.fn(self.path, "test")
        except HoldfastError as error:
            self.said = str(error)
            return error.exit_code
        self.said = ""
        return 0

    def decide(self, item: str, kind: str, author: str = "ann", **values: Any) -> Outcome:
        return decide.fn(self.path, Choice(item, kind, author, **values))  # type: ignore[arg-type]

    def incidents(self, *, unresolved: bool = True) -> list[Incident]:
        with open_lake(self.settings) as lake:
            return list_incidents(lake, unresolved=unresolved)

    def batches(self) -> list[Batch]:
        with open_lake(self.settings) as lake:
            return read_batches(lake)

    def states(self) -> dict[str, list[str]]:
        """The states of each name's batches, in order of their numbers."""
        found: dict[str, list[str]] = {}
        for batch in self.batches():
            found.setdefault(batch.batch_name, []).append(batch.state)
        return found

    def fingerprint(self) -> str:
        with open_lake(self.settings) as lake:
            return table_fingerprint(lake, "orders", lake.snapshot())

    def count(self, sql: str) -> int:
        with open_lake(self.settings) as lake:
            return int(lake.scalar(sql))

    def rows(self, sql: str) -> list[dict[str, Any]]:
        with open_lake(self.settings) as lake:
            return lake.rows(sql)
