"""A village shop with two models for a rollout: facts in the lake, the night's date in a file.

Nobody delivers anything: all orders are there from the first, and a night sees what lies before
it. Everybody orders each week until the rollout begins, but for a tenth who stopped a month before;
then some stop, by their arm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from tasks.handles import Champion, Decision
from tasks.registry.candidates import admit_candidate, find_candidate
from tasks.registry.champion import find_champion, keep_model, promote
from tasks.rollout.assignment import assign_by
from tasks.settings import Settings, load_settings
from tasks.tracking.tracker import Registered
from tasks.warehouse import Lake, open_lake
from tests.registry.models import make_rule
from tests.registry.promotions import say

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
FEATURES = ("recency_days", "order_days_90")
NAME = "churn-village"
STAGES = (0.5,)


@dataclass
class Village:
    """A deployment file whose `clock.as_of` is moved from night to night."""

    path: Path
    home: Path
    customers: int
    sections: dict[str, Any]

    @property
    def settings(self) -> Settings:
        return load_settings(self.path, home=self.home)

    def go_to(self, day: int) -> datetime:
        """The night `day` days after the rollout's first."""
        as_of = BEGIN + timedelta(days=day)
        values = {"deployment": self.path.stem, **self.sections, "clock": {"as_of": as_of.date()}}
        self.path.write_text(yaml.safe_dump(values), encoding="utf-8")
        return as_of

    def ids(self) -> list[str]:
        return [f"c{number:04}" for number in range(self.customers)]

    def arms(self, stages: tuple[float, ...] = STAGES) -> dict[str, str]:
        """Each customer's arm in the end, held out or not."""
        assigned = assign_by(NAME, stages, self.ids())
        return {
            one: "challenger" if is_challenger else "champion"
            for one, is_challenger in zip(self.ids(), assigned.is_challenger, strict=True)
        }


def write_village(path: Path, home: Path, customers: int = 600, **rollout: Any) -> Village:
    """The deployment's file; nothing is in the lake yet."""
    village = Village(
        path,
        home,
        customers,
        {
            "intake": {"sources": {}},
            "features": {"horizon_days": 14, "activity_window_days": 60},
            "registry": {"promotion": "rollout"},
            "rollout": {
                "stages": list(STAGES),
                "minimum_effect": 0.08,
                "maximum_days": 60,
                "early_days": 10,
                "guardrails": {"errors": 1.0, "early_signs": 1.0},
                **rollout,
            },
        },
    )
    village.go_to(0)
    return village


def fill(lake: Lake, village: Village, leaves: Callable[[str, str], bool], until: int = 60) -> None:
    """Orders once a week, on a day of the week by customer; `leaves(customer, arm)` after BEGIN."""
    arms = village.arms()
    rows = []
    for number, customer in enumerate(village.ids()):
        for week in range(-8, until // 7):
            moment = BEGIN + timedelta(days=7 * week + number % 7, hours=9 + number % 8)
            if moment >= BEGIN and leaves(customer, arms[customer]):
                break
            if number % 10 == 9 and week >= -4:
                break
            rows.append((customer, f"o{number}-{week}", moment))
    insert_orders(lake, rows)


def insert_orders(lake: Lake, rows: list[tuple[str, str, datetime]], late_days: float = 0) -> None:
    """Orders of 10 EUR, received an hour after they were made, or `late_days` later."""
    lag = timedelta(hours=1) + timedelta(days=late_days)
    kind = pa.timestamp("us", tz="UTC")
    table = pa.table(
        {
            "customer_id": [row[0] for row in rows],
            "order_id": [row[1] for row in rows],
            "ordered_at": pa.array([row[2] for row in rows], kind),
            "received_at": pa.array([row[2] + lag for row in rows], kind),
        }
    )
    lake.load_arrow("made_orders", table)
    with lake.writer_lock("test"), lake.publish("test", "orders", {}):
        lake.execute(
            "insert into lake.main.orders by name"
            " select customer_id, order_id, ordered_at, 1 as quantity, 10.0 as net_amount,"
            " 'EUR' as currency, false as is_return, 1 as batch_number,"
            " row_number() over () as row_number, received_at from made_orders"
        )
    lake.drop_arrow("made_orders")


def crown(lake: Lake, folder: Path) -> None:
    """Version 1 serves, version 2 is a candidate; both are rules of their own."""
    first = make_rule(folder / "first", centre_days=20.0, names=FEATURES)
    name = f"{lake.deployment}.churn"
    kept = keep_model(lake.settings, first, Registered(name, 1, ""))
    promote(lake, kept, say("promote"), None)
    admit(lake, folder / "second", 2)


def admit(lake: Lake, directory: Path, version: int, centre_days: float = 9.0) -> Champion:
    """A further candidate; the files in `directory` may have been made by the test."""
    candidate = make_rule(directory, centre_days=centre_days, names=FEATURES)
    registered = Registered(f"{lake.deployment}.churn", version, "")
    decision = Decision(
        **{
            **{key: getattr(say("promote"), key) for key in Decision.__dataclass_fields__},
            "evidence": {
                "criteria": [],
                "against_champion": {
                    "difference_amount": 12.5,
                    "low_amount": 1.0,
                    "high_amount": 24.0,
                },
            },
        }
    )
    kept = keep_model(lake.settings, candidate, registered)
    admit_candidate(lake, kept, decision, find_champion(lake))
    return find_candidate(lake, version)


def open_village(village: Village) -> Any:
    return open_lake(village.settings)
