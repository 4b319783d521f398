"""A street shop that delivers a file a month: small enough for whole nights within the process."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import yaml

from tasks.registry.champion import promote
from tasks.settings import Settings, load_settings
from tasks.warehouse import open_lake
from tests.registry.models import make_model
from tests.registry.promotions import keep_unregistered, say

# Two of what the champion asks for come from orders, one from events, one from tickets.
ASKED = ("recency_days", "order_days_90", "events_30", "tickets_90")
CUSTOMERS = 40
_numbers = itertools.count(1)

ORDERS = {
    "table": "orders",
    "columns": {
        "customer_id": "text",
        "order_id": "text",
        "ordered_at": "timestamp",
        "net_amount": "number",
    },
    "map": {
        "customer_id": "customer_id",
        "order_id": "order_id",
        "ordered_at": "ordered_at",
        "quantity": "1",
        "net_amount": "net_amount",
        "currency": "'EUR'",
        "is_return": "false",
    },
}
EVENTS = {
    "table": "events",
    "columns": {"customer_id": "text", "occurred_at": "timestamp", "kind": "text"},
    "map": {"customer_id": "customer_id", "occurred_at": "occurred_at", "kind": "kind"},
}
TICKETS = {
    "table": "tickets",
    "columns": {"customer_id": "text", "ticket_id": "text", "opened_at": "timestamp"},
    "map": {"customer_id": "customer_id", "ticket_id": "ticket_id", "opened_at": "opened_at"},
}


class Street:
    """A deployment with the sources orders, events and tickets below `directory`."""

    def __init__(self, directory: Path, home: Path, **sources: dict[str, Any]) -> None:
        self.directory, self.home = directory, home
        declared = {}
        for name, entry in (("orders", ORDERS), ("events", EVENTS), ("tickets", TICKETS)):
            if name not in sources:
                continue
            if not sources[name].get("optional"):
                (directory / name).mkdir(exist_ok=True)
            declared[name] = {
                "kind": "files",
                "folder": str(directory / name),
                "pattern": "*.csv",
                "known": {"basis": "declared", "lag_days": 0.1},
                **entry,
                **sources[name],
            }
        self.path = directory / f"street_{next(_numbers)}.yaml"
        self.path.write_text(
            yaml.safe_dump({"intake": {"sources": declared}}, sort_keys=False), encoding="utf-8"
        )

    @property
    def settings(self) -> Settings:
        return load_settings(self.path, home=self.home)

    def deliver(self, *names: str) -> None:
        """Good files: `orders/2011-01` and the like."""
        for name in names:
            source, _, month = name.partition("/")
            first = date.fromisoformat(f"{month}-01")
            lines = [",".join(_columns(source))]
            for number in range(CUSTOMERS):
                day = first + timedelta(days=(number * 7) % 27)
                lines.append(_line(source, number, f"{day}T{9 + number % 8:02}:00:00Z", month))
            self._write(source, month, "\n".join(lines) + "\n")

    def deliver_empty(self, *names: str) -> None:
        """Files with a header and nothing else, which are refused."""
        for name in names:
            source, _, month = name.partition("/")
            self._write(source, month, ",".join(_columns(source)) + "\n")

    def _write(self, source: str, month: str, text: str) -> None:
        folder = self.directory / source
        folder.mkdir(exist_ok=True)
        (folder / f"{month}.csv").write_text(text, encoding="utf-8")

    def promote(self) -> None:
        """A champion that has learnt from all three tables, let in without a training."""
        with open_lake(self.settings) as lake:
            candidate = make_model(self.directory / "champion", names=ASKED)
            promote(lake, keep_unregistered(lake, candidate, 1), say("promote"), None)


def _columns(source: str) -> list[str]:
    columns: dict[str, str] = {"orders": ORDERS, "events": EVENTS, "tickets": TICKETS}[source][
        "columns"
    ]  # type: ignore[assignment]
    return list(columns)


def _line(source: str, number: int, moment: str, month: str) -> str:
    customer = f"c{number:03}"
    if source == "orders":
        return f"{customer},o{month}{number},{moment},{5 + number}.50"
    if source == "events":
        return f"{customer},{moment},visit"
    return f"{customer},t{month}{number},{moment}"
