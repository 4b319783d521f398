"""A shop with a good history and a champion that serves, fed one fault at a time.

`FedShop.observe` takes down all that a fault could have changed or shown to a person; two
observations are what the invariants of the fault corpus compare.
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from flows.decide import Choice, decide
from flows.ingest import ingest
from tasks.contracts import CONTRACTS
from tasks.errors import HoldfastError
from tasks.handles import Batch, Champion, Incident
from tasks.incidents.decisions import make_decision
from tasks.incidents.queue import list_incidents, resolve_raised
from tasks.intake.ledger import read_batches, show_quarantine
from tasks.intake.raw import hash_file
from tasks.intake.replay import describe_queue, discard_batches
from tasks.keeping import hash_files
from tasks.registry.champion import find_champion, open_champion, promote
from tasks.settings import Settings, load_settings
from tasks.visibility import table_fingerprint
from tasks.warehouse import Lake
from tests.registry.models import make_model
from tests.registry.promotions import keep_unregistered, say

# Stands in every bad row; whatever shows it to a person has let personal data out.
CANARY = "zzcanary-77@example.org"
ACTOR = "scheduler"

HEADER = ("customer", "number", "stamp", "quantity", "paid", "money", "kind")
ROWS = 60
HISTORY = tuple(f"2024-03-{day:02}" for day in range(1, 8))
# Held back from the history, for whoever wants to deliver late.
LATE = "2024-03-04"
TODAY = "2024-03-08"
# All but `notices`: a message that was not heard is sent again.
LEDGER_TABLES = (
    "batches",
    "quarantine",
    "rule_results",
    "batch_statistics",
    "incidents",
    "incident_batches",
    "waivers",
    "decisions",
)
Row = dict[str, str]
COLUMNS = {
    "customer": "text",
    "number": "text",
    "stamp": "timestamp",
    "quantity": "integer",
    "paid": "number",
    "money": "text",
    "kind": "text",
}
MAP = {
    "customer_id": "customer",
    "order_id": "number",
    "ordered_at": "stamp",
    "quantity": "quantity",
    "net_amount": "paid",
    "currency": "money",
    "is_return": "quantity < 0",
    "category": "kind",
}


def usual_row(number: int, day: str, prefix: str = "") -> Row:
    """Line `number` of a usual day, 08:00 to 19:00.

    40 customers, amounts from 10 to 73, three kinds of goods.
    """
    return {
        "customer": f"c{number % 40}@shop.test",
        "number": f"{prefix or day}-{number}",
        "stamp": f"{day}T{8 + number % 11:02}:{number % 60:02}:00Z",
        "quantity": str(1 + number % 3),
        "paid": f"{10 + (number * 37 % 64)}.{number % 10}5",
        "money": "EUR",
        "kind": ("tea", "cup", "pot")[number % 3],
    }


def usual_rows(day: str = TODAY, prefix: str = "", rows: int = ROWS) -> list[Row]:
    return [usual_row(number, day, prefix) for number in range(rows)]


def as_csv(rows: Sequence[Mapping[str, str]], header: Sequence[str] = HEADER) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, header, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def outcome_rows(month: str, *, churned: int = 20, rows: int = 80) -> bytes:
    """A static set of customers of whom the first `churned` have left."""
    lines = ["customer,seen,left,plan,calls"]
    lines += [
        f"{month}-{n}@shop.test,{month}-28T00:00:00Z,{str(n < churned).lower()},"
        f"{('basic', 'plus')[n % 2]},{n % 7}"
        for n in range(rows)
    ]
    return ("\n".join(lines) + "\n").encode()


def sources_of(folder: Path) -> dict[str, Any]:
    """The `intake.sources` of the shop: orders day by day, outcomes month by month."""
    return {
        "orders": {
            "kind": "files",
            "table": "orders",
            "folder": str(folder / "orders"),
            "pattern": "*",
            "gaps": "allow",
            "columns": COLUMNS,
            "map": MAP,
        },
        "outcomes": {
            "kind": "files",
            "table": "labelled",
            "folder": str(folder / "outcomes"),
            "pattern": "*",
            "gaps": "allow",
            "columns": {
                "customer": "text",
                "seen": "timestamp",
                "left": "boolean",
                "plan": "text",
                "calls": "number",
            },
            "map": {
                "customer_id": "customer",
                "observed_at": "seen",
                "churned": '"left"',
                "numbers": "map {'calls': calls}",
                "categories": "map {'plan': plan}",
            },
        },
    }


# Limits that a test can exceed without writing gigabytes.
LIMITS: dict[str, Any] = {
    "maximum_file_mb": 6,
    "maximum_unpacked_mb": 12,
    "maximum_rows": 55_000,
    "maximum_columns": 40,
    "maximum_cell_kb": 100,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended: as the shell sees it, and what it said on the way."""

    exit_code: int
    message: str = ""
    log: str = ""
    next_step: str = ""
    batches: tuple[Batch, ...] = ()


@dataclass(frozen=True, slots=True)
class Observed:
    """The shop at one moment: what is published, recorded and kept, and who serves.

    `published` and `recorded` have a fingerprint or a count a table; `sources`, `kept` and
    `champion_files` the sha256 of each file; `leftovers` what was left half-written.
    """

    published: Mapping[str, str]
    recorded: Mapping[str, int]
    batches: tuple[Batch, ...]
    items: tuple[Incident, ...]
    sources: Mapping[str, str]
    kept: Mapping[str, str]
    champion: Champion | None
    champion_files: Mapping[str, str]
    leftovers: tuple[str, ...]


class FedShop:
    """The deployment, the folders it is fed from, and its lake."""

    def __init__(self, lake: Lake, settings: Settings, folder: Path) -> None:
        self.lake, self.settings, self.folder = lake, settings, folder
        self.source_folder = folder / "in"
        self.numbers = itertools.count(1)
        # The file that was delivered last.
        self.delivered = self.source_folder
        for name in ("orders", "outcomes"):
            (self.source_folder / name).mkdir(parents=True, exist_ok=True)

    @property
    def path(self) -> Path:
        return self.folder / f"{self.settings.deployment}.yaml"

    def deliver(self, name: str, content: bytes, source: str = "orders") -> Path:
        """A complete file in the folder of a source."""
        path = self.source_folder / source / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        self.delivered = path
        return path

    def write_history(self) -> None:
        """Seven days of orders but one, and a month of outcomes."""
        for day in HISTORY:
            if day != LATE:
                self.deliver(f"{day}.csv", as_csv(usual_rows(day)))
        self.deliver("2024-01.csv", outcome_rows("2024-01"), "outcomes")

    def crown(self) -> Champion:
        """A small real model is kept, tried out and promoted."""
        candidate = make_model(self.folder / "candidate")
        return promote(self.lake, keep_unregistered(self.lake, candidate, 1), say("promote"), None)

    def configure(self, overrides: Mapping[str, Any]) -> Path:
        """The deployment's file with settings of one fault merged over the shop's own."""
        sections: dict[str, Any] = {
            "deployment": self.settings.deployment,
            "intake": {"sources": sources_of(self.source_folder), "limits": dict(LIMITS)},
            # What letting it in would cost is tested where previews are; it takes seconds a fault.
            "oncall": {"preview_refused": False},
        }
        _merge(sections, overrides)
        for name, source in sections["intake"]["sources"].items():
            source.setdefault("folder", str(self.source_folder / name))
        text = yaml.safe_dump(sections)
        # Two at once ask for the same settings: a file half written would be none.
        if not self.path.exists() or self.path.read_text(encoding="utf-8") != text:
            self.path.write_text(text, encoding="utf-8")
        return self.path

    def ingest(self, overrides: Mapping[str, Any] | None = None, **options: Any) -> Outcome:
        """What `holdfast -d PATH ingest` does, with its exit code and everything it says."""
        path = self.configure(overrides or {})
        with _listening() as log:
            try:
                taken = ingest.fn(str(path), ACTOR, **options)
            except HoldfastError as error:
                return Outcome(error.exit_code, str(error), log.getvalue(), error.next_step)
        return Outcome(0, "", log.getvalue(), "", taken.batches)

    def train(self, overrides: Mapping[str, Any] | None = None) -> Outcome:
        """What `holdfast -d PATH train` does; what it is to refuse it refuses before it learns."""
        from flows.train import train

        path = self.configure(overrides or {})
        with _listening() as log:
            try:
                train.fn(str(path))
            except HoldfastError as error:
                return Outcome(error.exit_code, str(error), log.getvalue(), error.next_step)
        return Outcome(0, "", log.getvalue())

    def decide(self, choice: Choice, overrides: Mapping[str, Any] | None = None) -> Outcome:
        """What a decision by command or by page does, with its exit code and what it says."""
        path = self.configure(overrides or {})
        with _listening() as log:
            try:
                done = decide.fn(str(path), choice)
            except HoldfastError as error:
                return Outcome(error.exit_code, str(error), log.getvalue(), error.next_step)
        return Outcome(0, done.done, log.getvalue(), "", done.batches)

    def observe(self) -> Observed:
        champion = find_champion(self.lake)
        if champion is not None:
            open_champion(self.lake, champion)
        published, recorded = self.tally()
        return Observed(
            published=published,
            recorded=recorded,
            batches=tuple(read_batches(self.lake)),
            items=tuple(list_incidents(self.lake)),
            sources=_hashes(self.source_folder),
            kept=self.kept(),
            champion=champion,
            champion_files=hash_files(champion.directory) if champion else {},
            leftovers=tuple(
                path.name
                for folder in ("staging", "raw")
                for path in (self.settings.home / folder).rglob(".*")
                if path.is_file()
            ),
        )

    def observe_files(self) -> dict[str, str]:
        """The sha256 of each delivered file."""
        return _hashes(self.source_folder)

    def kept(self) -> dict[str, str]:
        """The sha256 of each file in our keeping."""
        # Beside the kept bytes lies the memory of parts that we cut, under names of its own.
        found = _hashes(self.settings.home / "raw")
        return {name: digest for name, digest in found.items() if "parts" not in Path(name).parts}

    def tally(self) -> tuple[dict[str, str], dict[str, int]]:
        """A fingerprint of each canonical table ('' for an empty one), rows of each ledger's."""
        counts = self._count(
            [f"main.{table}" for table in CONTRACTS]
            + [f"ledger.{table}" for table in LEDGER_TABLES]
        )
        snapshot = self.lake.snapshot()
        published = {
            table: table_fingerprint(self.lake, table, snapshot) if counts[f"main.{table}"] else ""
            for table in CONTRACTS
        }
        return published, {table: counts[f"ledger.{table}"] for table in LEDGER_TABLES}

    def page(self, batch: Batch) -> dict[str, Any]:
        """What `holdfast quarantine show --json` says of a batch."""
        return show_quarantine(self.lake, str(batch.batch_number))

    def everything_shown(self) -> str:
        """All texts of the ledger, the list of what stands aside, and the reports on disk.

        Without the kept raw lines: a page shows those masked.
        """
        shown = {
            "incidents": "t",
            "batches": "t",
            "rule_results": "t",
            "decisions": "t",
            "waivers": "t",
            "notices": "t",
            "quarantine": "{'rule': t.rule, 'reason': t.reason}",
        }
        texts = self.lake.rows(
            " union all ".join(
                f"select to_json({what})::varchar as text from lake.ledger.{table} as t"
                for table, what in shown.items()
            )
        )
        listed = json.dumps(describe_queue(self.lake, everything=True), default=str)
        return "\n".join([listed, *(str(row["text"]) for row in texts), *self.reports().values()])

    def reports(self) -> dict[str, str]:
        """The pages of items as they were written, by the item's name."""
        folder = self.settings.home / "reports" / self.settings.deployment
        return {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.html")}

    def _count(self, tables: Sequence[str]) -> dict[str, int]:
        rows = self.lake.rows(
            " union all ".join(
                f"select '{table}' as name, count(*) as rows from lake.{table}" for table in tables
            )
        )
        return {row["name"]: int(row["rows"]) for row in rows}

    def clear(self, before: Observed) -> None:
        """Take the fault away and discard what it has left open, so that the next one is alone."""
        for name in set(_hashes(self.source_folder)) - set(before.sources):
            (self.source_folder / name).unlink()
        for name, digest in before.sources.items():
            kept = self.settings.home / "raw" / digest[:2] / digest
            (self.source_folder / name).write_bytes(kept.read_bytes())
        known = {item.name for item in before.items}
        for item in list_incidents(self.lake):
            if item.name in known:
                continue
            if item.batches:
                reason = "the test is over"
                discard_batches(
                    self.lake,
                    item.batches,
                    incident_number=item.incident_number,
                    actor="ann",
                    reason=reason,
                    decision=make_decision(item, "discarded", "ann", reason, {}),
                )
            else:
                resolve_raised(self.lake, item.cause.key, actor="ann")


def open_shop(lake: Lake, settings: Settings, folder: Path) -> FedShop:
    """A shop with its history published and its champion serving."""
    shop = FedShop(lake, settings, folder)
    shop.write_history()
    shop.configure({})
    shop.settings = load_settings(shop.path, home=settings.home)
    lake.settings = shop.settings
    done = shop.ingest()
    assert done.exit_code == 0, done.message
    # What was published may leave the folder: that saves each run from asking about it.
    for path in shop.source_folder.glob("*/*"):
        path.unlink()
    shop.crown()
    return shop


@contextmanager
def _listening() -> Iterator[io.StringIO]:
    """Everything that is logged meanwhile."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield text
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


def _hashes(folder: Path, pattern: str = "*/*") -> dict[str, str]:
    return {
        str(path.relative_to(folder)): _digest(path)
        for path in sorted(folder.glob(pattern))
        if path.is_symlink() or path.is_file()
    }


def _digest(path: Path) -> str:
    if path.is_symlink():
        return hashlib.sha256(f"link to {path.readlink()}".encode()).hexdigest()
    return hash_file(path)[0]


def _merge(target: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value
