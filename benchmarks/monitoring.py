"""What monitoring catches, after how long, and how often it cries wolf.

    python -m benchmarks.monitoring                           simulated shops, planted and clean
    python -m benchmarks.monitoring --sets completejourney online_retail
    python -m benchmarks.monitoring --decay completejourney online_retail

A shop is trained once; then every week (`--every` days) it scores and looks, with no training in
between, as if its nights came one by one. Simulated shops: clean ones, one whose month comes in
cents with validation's own rule for that switched off, and one whose customers order less from a
day on (a share of all orders from then is taken out at random). Real sets have no planted fault:
what is raised on them is held against the outcomes that matured. All lakes are made in a state
directory of their own, that goes.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

# Before NumPy is loaded: threads of small matrices only wait for one another.
os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from tasks.moments import standing_at
from tasks.progress import track
from tasks.settings import CONF, load_settings

LEARNING = {
    "trials": 6,
    "round_trials": 2,
    "startup_trials": 3,
    "maximum_trees": 200,
    "resamples": 200,
    "forest_trees": 20,
}
# Here it is the model that is watched, however little it is better than the rule.
ADMISSION = {
    "minimum_final_customers": 100,
    "minimum_final_churners": 5,
    "rule_confidence": 0.51,
    "bootstrap_replicates": 200,
}
RATE_TAKEN_SHARE = 0.5
FOLLOWED = ("data_fault", "real_change", "estimated", "performance")


@dataclass(frozen=True)
class Watched:
    """A deployment's file without its clock, the first night, and how many nights follow."""

    name: str
    conf: dict[str, Any]
    first: datetime
    nights: int
    planted_at: datetime | None = None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="*", default=[])
    parser.add_argument("--decay", nargs="*", default=[])
    parser.add_argument("--shops", type=int, default=4, help="Clean simulated shops.")
    parser.add_argument("--customers", type=int, default=2_500)
    parser.add_argument("--nights", type=int, default=16)
    parser.add_argument("--every", type=int, default=7, help="Days from one night to the next.")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="holdfast-monitoring-") as directory:
        home = Path(directory)
        home.chmod(0o711)
        os.environ["HOLDFAST_HOME"] = str(home / "state")
        if arguments.sets:
            watch_sets(arguments.sets, home, arguments.every)
        if arguments.decay:
            show_decay(arguments.decay, home)
        if not arguments.sets and not arguments.decay:
            watch_simulated(arguments, home)


def watch_simulated(arguments: argparse.Namespace, home: Path) -> None:
    """Clean shops for false alarms, then the planted ones."""
    print(
        f"simulated, {arguments.customers:,} customers, {arguments.nights} nights, every"
        f" {arguments.every} days\nshop            planted     first alert           after"
        "  alerts by kind                            s/night"
    )
    nights = false = 0
    for number in range(arguments.shops):
        shop = write_shop(f"clean_{number + 1}", home, arguments, seed=number + 1)
        found, seconds = watch(shop, home, arguments.every)
        show(shop, found, seconds)
        nights, false = nights + shop.nights, false + len(found)
    plants: tuple[tuple[str, Callable[[Path, str, datetime], None]], ...] = (
        ("cents", put_in_cents),
        ("rate", take_orders_out),
    )
    for name, plant in plants:
        shop = write_shop(f"{name}_1", home, arguments, seed=11, plant=plant)
        found, seconds = watch(shop, home, arguments.every)
        show(shop, found, seconds)
    print(f"false alerts on clean shops: {false} in {nights} nights")


def write_shop(
    name: str,
    home: Path,
    arguments: argparse.Namespace,
    *,
    seed: int,
    plant: Callable[[Path, str, datetime], None] | None = None,
) -> Watched:
    """A simulated shop in monthly files; `plant` changes those of the month in its name's place."""
    from tasks.simulation.writing import simulate

    settings = load_settings("simulated")
    folder = home / name
    months = 15 + -(-arguments.nights * arguments.every // 30) + 1
    simulate(
        settings,
        customers=arguments.customers,
        directory=folder,
        format="monthly_parquet",
        months=months,
        seed=seed,
    )
    first = datetime(2023, 3, 27, tzinfo=UTC)
    planted = datetime(2023, 5, 1, tzinfo=UTC)
    if plant is not None:
        plant(folder / "orders", "2023-05", planted)
    conf = yaml.safe_load((CONF / "simulated.yaml").read_text(encoding="utf-8"))
    sources = conf["intake"]["sources"]
    for table in ("orders", "events", "tickets"):
        sources[table] |= {"folder": str(folder / table), "pattern": "*.parquet"}
    conf["intake"]["sources"] = {t: sources[t] for t in ("orders", "events", "tickets")}
    conf["validation"] = {
        "tables": {"orders": {"batch": {n: {"enabled": False} for n in ("shift", "volume")}}}
    }
    conf |= {
        "deployment": name,
        "features": {"horizon_days": 60, "activity_window_days": 120, "cutoffs": 10},
        "churn": LEARNING,
        "registry": ADMISSION,
    }
    return Watched(name, conf, first, arguments.nights, planted if plant is not None else None)


def put_in_cents(orders: Path, month: str, _at: datetime) -> None:
    """One month's amounts times 100."""
    (path,) = orders.glob(f"*{month}*")
    table = pq.read_table(path)
    for name in ("net_amount", "discount_amount"):
        scaled = pc.multiply(pc.cast(table[name], pa.float64()), 100.0)
        table = table.set_column(table.column_names.index(name), name, scaled)
    pq.write_table(table, path)


def take_orders_out(orders: Path, _month: str, at: datetime) -> None:
    """From a day on every second order never happens: rates halve, for everybody."""
    for path in sorted(orders.glob("*")):
        table = pq.read_table(path)
        when = pc.cast(table["ordered_at"], pa.timestamp("us", tz="UTC"))
        drawn = [
            int.from_bytes(str(one).encode()[-4:], "little") * 2654435761 % 2**32 / 2**32
            for one in table["order_id"].to_pylist()
        ]
        taken = pc.and_(
            pc.greater_equal(when, pa.scalar(at, pa.timestamp("us", tz="UTC"))),
            pc.less(pa.array(drawn), RATE_TAKEN_SHARE),
        )
        pq.write_table(table.filter(pc.invert(taken)), path)


def watch_sets(names: list[str], home: Path, every: int) -> None:
    """Real sets: what was raised, and how the estimates stood against what matured."""
    starts = {
        "completejourney": (datetime(2017, 8, 28, tzinfo=UTC), 17),
        "online_retail": (datetime(2011, 3, 28, tzinfo=UTC), 36),
    }
    print("set              planted     first alert           after  alerts by kind   s/night")
    for name in names:
        first, nights = starts[name]
        conf = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
        conf |= {"deployment": name, "churn": LEARNING, "registry": ADMISSION}
        watched = Watched(name, conf, first, nights * 7 // every)
        found, seconds = watch(watched, home, every)
        show(watched, found, seconds)
        show_quality(watched, home)


def watch(watched: Watched, home: Path, every: int) -> tuple[list[Any], float]:
    """Train on the first night, then score and look; the alerts, and seconds a look."""
    from flows.ingest import ingest
    from flows.monitor import monitor
    from flows.score import score
    from flows.train import train
    from tasks.monitoring.alerts import list_alerts
    from tasks.warehouse import open_lake

    with night(watched, home, watched.first) as path:
        pass
    ingest.fn(path)  # all of it now; what a night knew then is told by the second clock
    with night(watched, home, watched.first) as path:
        train.fn(path)
    spent = 0.0
    moments = [watched.first + timedelta(days=every * n) for n in range(1, watched.nights + 1)]
    for moment in track(moments, watched.name, lambda one: f"{one:%Y-%m-%d}"):
        with night(watched, home, moment) as path:
            score.fn(path)
            started = time.process_time()
            monitor.fn(path)
            spent += time.process_time() - started
    with open_lake(load_settings(path)) as lake:
        return list_alerts(lake), spent / max(1, watched.nights)


@contextmanager
def night(watched: Watched, home: Path, moment: datetime) -> Iterator[Path]:
    """The deployment's file for one night; the wall clock stands at that night too."""
    path = home / f"{watched.name}.yaml"
    conf = {**watched.conf, "clock": {"as_of": moment.date()}}
    path.write_text(yaml.safe_dump(conf, sort_keys=False), encoding="utf-8")
    with standing_at(moment + timedelta(days=1, hours=2)):
        yield path


def show(watched: Watched, found: list[Any], seconds: float) -> None:
    """A line a shop, then a line an alert."""
    kinds = {kind: sum(one.kind == kind for one in found) for kind in FOLLOWED}
    planted = watched.planted_at
    late = [one for one in found if planted is None or one.as_of > planted]
    first = min((one.as_of for one in late), default=None)
    after = f"{(first - planted).days} d" if first is not None and planted is not None else "-"
    print(
        f"{watched.name:<16}{f'{planted:%Y-%m-%d}' if planted else '-':<12}"
        f"{f'{first:%Y-%m-%d}' if first else 'none':<22}{after:<7}"
        f"{', '.join(f'{n} {kind}' for kind, n in kinds.items() if n) or '-':<42}{seconds:>7.2f}",
        flush=True,
    )
    for one in found:
        print(f"    {one.as_of:%Y-%m-%d} {one.kind} {one.subject}: {one.headline}")
        for line in one.report.get("evidence", [])[:2]:
            print(f"        {line}")
        print(f"        {one.state}, {one.verdict or 'not marked'}: {one.reason[:160]}", flush=True)


def show_quality(watched: Watched, home: Path) -> None:
    """What was expected of each night's scores, and what then came."""
    from tasks.quality import MonitoringFindings
    from tasks.warehouse import open_lake

    with open_lake(load_settings(home / f"{watched.name}.yaml")) as lake:
        rows = lake.rows(
            "select content from lake.ledger.findings where kind = 'monitoring' order by as_of"
        )
    nights = [MonitoringFindings.model_validate_json(str(row["content"])) for row in rows]
    expected = {one.as_of: one.estimate for one in nights}
    inside = total = 0
    error = 0.0
    for week in {one.as_of: one for n in nights for one in n.weeks}.values():
        estimate = expected.get(week.as_of)
        if estimate is None or week.auc is None or week.population != "all":
            continue
        total += 1
        error += abs(estimate.auc[0] - week.auc[0])
        inside += estimate.auc[1] <= week.auc[0] <= estimate.auc[2]
        print(
            f"    {week.as_of:%Y-%m-%d} AUC expected {estimate.auc[0]:.3f}"
            f" ({estimate.auc[1]:.3f} to {estimate.auc[2]:.3f}), came {week.auc[0]:.3f}; left"
            f" {week.gap[0]:+.1%} against predicted"
        )
    if total:
        print(
            f"    mean error {error / total:.3f}, in the interval {inside} of {total}", flush=True
        )


def show_decay(names: list[str], home: Path) -> None:
    """How models of real sets age."""
    from flows.decay import decay
    from flows.ingest import ingest

    for name in names:
        conf = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
        conf |= {"deployment": name}
        path = home / f"{name}.yaml"
        path.write_text(yaml.safe_dump(conf, sort_keys=False), encoding="utf-8")
        ingest.fn(path)
        started = time.process_time()
        found = decay.fn(path)
        print(f"{name}: {time.process_time() - started:.0f} s of CPU")
        for one in found.ages:
            print(
                f"  {one.age_days:>4} days, {one.pairs} pairs: AUC"
                f" {one.auc_loss[0]:+.4f} ({one.auc_loss[1]:+.4f} to {one.auc_loss[2]:+.4f}),"
                f" profit a list {one.profit_loss[0]:+,.0f} ({one.profit_loss[1]:+,.0f} to"
                f" {one.profit_loss[2]:+,.0f})"
            )
        print(f"  {found.reason}", flush=True)


if __name__ == "__main__":
    main()
