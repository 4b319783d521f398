"""A simulated shop whose lots and whose true effects are known, straight in a lake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tasks.contracts import CONTRACTS
from tasks.evidence import UpliftFindings
from tasks.features.building import build_features
from tasks.handles import FeatureTable
from tasks.settings import Settings
from tasks.simulation.truth import reveal
from tasks.simulation.writing import read_plan, simulate
from tasks.uplift.finding import Plan, find_uplift, plan_uplift
from tasks.warehouse import Lake, open_lake, quote

HORIZON_DAYS = 40
LOT_SHARE = 0.5

# Two campaigns never overlap: what one of them does is over when the next goes out.
SHOP: dict[str, Any] = {
    "months": 12,
    "arrivals": {"first_share": 0.3, "first_days": 60},
    "purchases": {"yearly_mean": 30.0, "shape": 20.0},
    "dropouts": {"yearly_mean": 3.0, "shape": 20.0},
    "tickets": {"yearly_mean": 0.2, "complaint_share": 0.1},
    "sessions": {"per_order": 0.05},
    "contacts": {
        "every_days": HORIZON_DAYS,
        "share": LOT_SHARE,
        "holdout_share": 0.1,
        "effect_days": HORIZON_DAYS,
        "kinds": {
            "persuadable": {
                "share": 0.5,
                "hazard_ratio": 0.05,
                "open_share": 0.95,
                "click_share": 0.9,
                "response_share": 0.9,
                "opt_out_share": 0.0,
            },
            "indifferent": {
                "share": 0.05,
                "hazard_ratio": 1.0,
                "open_share": 0.4,
                "click_share": 0.3,
                "response_share": 0.3,
                "opt_out_share": 0.0,
            },
            "do_not_disturb": {
                "share": 0.45,
                "hazard_ratio": 6.0,
                "open_share": 0.02,
                "click_share": 0.1,
                "response_share": 0.1,
                "opt_out_share": 0.0,
            },
        },
    },
}
MAILING = {
    "campaign_ids": ["campaign_*"],
    "declared_by": "the process of the simulation",
    "lot_share": LOT_SHARE,
    "hold_out_attribute": "contact_group",
    "hold_out_values": ["holdout"],
}


@dataclass(frozen=True)
class Revealed:
    """A customer's kind, and what one contact tonight truly changes of the chance to lapse."""

    kind: str
    lapse_probability: float
    effect_on_lapse: float


@dataclass(frozen=True)
class Shop:
    """The lake, the files that it was made of, and the moment as of which one asks."""

    lake: Lake
    directory: Path
    as_of: datetime

    @property
    def known_by(self) -> datetime:
        return self.as_of + timedelta(days=1)

    def plan(self) -> Plan:
        return plan_uplift(self.lake, self.as_of, self.known_by, self.lake.snapshot(), None)

    def build(self, plan: Plan) -> FeatureTable | None:
        if not plan.cutoffs:
            return None
        lag = timedelta(days=1)
        return build_features(
            self.lake,
            plan.cutoffs,
            tuple(cutoff + lag for cutoff in plan.cutoffs),
            plan.snapshot,
            self.lake.settings.features,
        )

    def find(self) -> UpliftFindings:
        plan = self.plan()
        return find_uplift(self.lake, plan, self.build(plan)).findings

    def reveal_tonight(self) -> dict[str, Revealed]:
        """What is true of each customer who is still active, in the horizon from tonight."""
        rows = reveal(read_plan(self.directory), self.as_of.date(), HORIZON_DAYS)
        told = zip(
            rows["customer_id"].to_pylist(),
            rows["contact_kind"].to_pylist(),
            rows["lapse_probability"].to_pylist(),
            rows["contact_effect_on_lapse"].to_pylist(),
            strict=True,
        )
        active = {
            row["customer_id"]
            for row in self.lake.rows(
                "select distinct customer_id from lake.main.orders"
                " where not is_return and ordered_at >= $since and ordered_at < $as_of",
                {"since": self.as_of - timedelta(days=HORIZON_DAYS), "as_of": self.as_of},
            )
        }
        return {who: Revealed(*rest) for who, *rest in told if who in active}

    def reveal_effects(self, cutoffs: tuple[datetime, ...]) -> dict[tuple[str, datetime], Any]:
        """What one contact truly changes: (customer, cut-off) to (kind, lapse, spend)."""
        plan = read_plan(self.directory)
        found = {}
        for cutoff in cutoffs:
            rows = reveal(plan, cutoff.date(), HORIZON_DAYS)
            for one, kind, lapse, spend in zip(
                rows["customer_id"].to_pylist(),
                rows["contact_kind"].to_pylist(),
                rows["contact_effect_on_lapse"].to_pylist(),
                rows["contact_effect_on_spend"].to_pylist(),
                strict=True,
            ):
                found[one, cutoff] = (kind, lapse, spend)
        return found


@contextmanager
def open_shop(
    make_settings: Callable[..., Settings],
    directory: Path,
    customers: int,
    *,
    months: int = 12,
    actions: dict[str, Any] | None = None,
    **uplift: Any,
) -> Iterator[Shop]:
    """A new lake with the orders, contacts and customers of a simulation; sections as in YAML."""
    settings = make_settings(
        simulation={**SHOP, "months": months},
        features={"horizon_days": HORIZON_DAYS, "activity_window_days": 40},
        uplift={"campaigns": {"mailing": MAILING}, **uplift},
        **({} if actions is None else {"actions": actions}),
    )
    simulate(settings, customers=customers, directory=directory, format="parquet")
    with open_lake(settings) as lake:
        for table in ("orders", "contacts", "customers"):
            put_files(lake, table, directory)
        plan = read_plan(directory)
        end = datetime(plan.end_on.year, plan.end_on.month, plan.end_on.day, tzinfo=UTC)
        yield Shop(lake, directory, end)


def put_files(lake: Lake, table: str, directory: Path) -> None:
    """A simulated table into the lake, every row known a day later."""
    contract = CONTRACTS[table]
    files = f"read_parquet('{directory}/{table}/*.parquet')"
    given = {row["column_name"] for row in lake.rows(f"describe select * from {files}")}
    columns = ", ".join(quote(name) for name in contract.names if name in given)
    if table == "customers":
        columns += ", map {'contact_group': contact_group} as attributes"
    lake.execute(
        f"insert into lake.main.{quote(table)} by name select {columns}, 1 as batch_number,"
        f" row_number() over () as row_number, {contract.event_time} + interval 1 day"
        f" as received_at from {files}"
    )
