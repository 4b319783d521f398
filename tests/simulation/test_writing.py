"""Files of a simulated population: the same bytes for ever, whole or not there, faults counted."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import CONTRACTS
from tasks.errors import StoredDataCorrupt, UsageError
from tasks.settings import PROJECT, Settings
from tasks.simulation.process import LINE_FAULTS
from tasks.simulation.writing import load_simulation, read_plan, simulate
from tasks.warehouse import scratch
from tests.conftest import MakeSettings

CUSTOMERS = 700
SMALL = {"chunk_customers": 250, "months": 4}

pytestmark = pytest.mark.sql


def write(
    make_settings: MakeSettings,
    directory: Path,
    *,
    customers: int = CUSTOMERS,
    threads: int = 2,
    chunk_customers: int = 250,
    **options: Any,
) -> Path:
    settings = make_settings(
        simulation={**SMALL, "chunk_customers": chunk_customers}, warehouse={"threads": threads}
    )
    simulate(settings, customers=customers, directory=directory, **options)
    return directory


def hashes(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }


def query(sql: str, **values: Any) -> list[dict[str, Any]]:
    with scratch() as connection:
        return connection.rows(sql, values)


@pytest.mark.parametrize("format", ["parquet", "csv", "monthly_parquet"])
def test_threads_change_no_byte(make_settings: MakeSettings, tmp_path: Path, format: str) -> None:
    one = write(make_settings, tmp_path / "one", threads=1, format=format, dirty_share=0.05)
    two = write(make_settings, tmp_path / "two", threads=2, format=format, dirty_share=0.05)
    assert hashes(one) == hashes(two)
    assert (one / "manifest.json").read_bytes() == (two / "manifest.json").read_bytes()


@pytest.mark.parametrize("format", ["csv", "monthly_parquet"])
def test_chunks_change_no_byte_of_a_monthly_file(
    make_settings: MakeSettings, tmp_path: Path, format: str
) -> None:
    small = write(make_settings, tmp_path / "small", chunk_customers=100, format=format)
    large = write(make_settings, tmp_path / "large", chunk_customers=1000, format=format)

    def months(directory: Path) -> dict[str, str]:
        return {k: v for k, v in hashes(directory).items() if not k.startswith("truth")}

    assert months(small) == months(large)
    assert len(months(small)) == 5 * 4


def test_chunks_change_no_row_of_a_parquet_population(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    small = write(make_settings, tmp_path / "small", chunk_customers=100, format="parquet")
    large = write(make_settings, tmp_path / "large", chunk_customers=1000, format="parquet")
    for table in ("orders", "events", "tickets", "contacts", "customers", "truth/customers"):
        both = [
            query(f"from read_parquet('{directory}/{table}/*.parquet')")
            for directory in (small, large)
        ]
        assert both[0] == both[1], table
        assert both[0]


def test_the_first_customers_of_a_larger_run_are_the_smaller_run(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    smaller = write(make_settings, tmp_path / "s", customers=300, format="parquet")
    larger = write(make_settings, tmp_path / "l", customers=700, format="parquet")
    for table in ("orders", "events", "tickets", "contacts", "customers", "truth/customers"):
        difference = query(
            f"""
            with smaller as (from read_parquet('{smaller}/{table}/*.parquet')),
            larger as (
                from read_parquet('{larger}/{table}/*.parquet') where customer_id < 'C000000300'
            )
            (from smaller except all from larger) union all (from larger except all from smaller)
            """
        )
        assert difference == []


def test_another_seed_is_another_population(make_settings: MakeSettings, tmp_path: Path) -> None:
    one = write(make_settings, tmp_path / "one", seed=1)
    two = write(make_settings, tmp_path / "two", seed=2)
    assert not set(hashes(one).values()) & set(hashes(two).values())
    assert load_simulation(one).fingerprint != load_simulation(two).fingerprint


def test_a_population_is_sorted_and_fits_the_contracts(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    directory = write(make_settings, tmp_path / "p", format="parquet")
    for table in ("orders", "events", "tickets", "contacts"):
        contract = CONTRACTS[table]
        described = query(f"describe from read_parquet('{directory}/{table}/*.parquet')")
        types = {row["column_name"]: row["column_type"] for row in described}
        assert tuple(types) == contract.names
        wanted = {
            c.name: c.type.replace("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE")
            for c in contract.columns
        }
        assert types == wanted
        rows = query(
            f"select customer_id, {contract.event_time} as at"
            f" from read_parquet('{directory}/{table}/*.parquet')"
        )
        keys = [(row["customer_id"], row["at"]) for row in rows]
        assert keys == sorted(keys)
    ids = query(
        f"select count(*) as rows, count(distinct (order_id, line_id)) as ids,"
        f" min(ordered_at)::date::varchar as first, max(ordered_at)::date::varchar as last,"
        f" min(net_amount) filter (not is_return) as least,"
        f" max(net_amount) filter (is_return) as most, min(discount_amount) as discount"
        f" from read_parquet('{directory}/orders/*.parquet')"
    )[0]
    assert ids["rows"] == ids["ids"]
    assert ids["first"] >= "2022-01-01"
    assert ids["last"] <= "2022-04-30"
    assert ids["least"] > 0
    assert ids["most"] < 0
    assert ids["discount"] == 0


def test_monthly_files_hold_their_month(make_settings: MakeSettings, tmp_path: Path) -> None:
    directory = write(make_settings, tmp_path / "m")
    for month in ("2022-01", "2022-04"):
        with gzip.open(directory / "orders" / f"{month}.csv.gz", "rt") as file:
            header = next(file).strip().split(",")
            assert tuple(header) == CONTRACTS["orders"].names
            stamps = [line.split(",")[3] for line in file]
        assert stamps
        assert all(stamp.startswith(month) and stamp.endswith("Z") for stamp in stamps)


def test_the_manifest_tells_every_file_and_the_plan(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    directory = write(make_settings, tmp_path / "m")
    manifest = json.loads((directory / "manifest.json").read_text())
    assert {path: file["sha256"] for path, file in manifest["files"].items()} == hashes(directory)
    simulation = load_simulation(directory)
    assert simulation.customers == CUSTOMERS
    assert simulation.rows["customers"] == CUSTOMERS
    assert simulation.rows["orders"] == sum(
        file["rows"] for path, file in manifest["files"].items() if path.startswith("orders/")
    )
    assert read_plan(directory).population.chunk_customers == 250


def test_planted_faults_are_counted(make_settings: MakeSettings, tmp_path: Path) -> None:
    clean = write(make_settings, tmp_path / "clean", format="monthly_parquet")
    dirty = write(make_settings, tmp_path / "dirty", format="monthly_parquet", dirty_share=0.1)
    planted = load_simulation(dirty).planted_faults
    lines = load_simulation(clean).rows["orders"]
    assert set(planted) == {*LINE_FAULTS, "unit_hundredfold"}
    assert sum(planted[fault] for fault in LINE_FAULTS) == pytest.approx(0.1 * lines, rel=0.1)
    assert load_simulation(dirty).rows["orders"] == lines + planted["delivered_twice"]
    found = query(
        f"""
        with rows as (
            select *, filename[-15:-9] as month, strftime(ordered_at, '%Y-%m') as ordered_month
            from read_parquet('{dirty}/orders/*.parquet', filename = true)
        )
        select
            count(*) filter (customer_id is null) as customer_missing,
            count(*) - count(distinct (order_id, line_id)) as delivered_twice,
            count(*) filter (currency <> 'EUR') as wrong_currency,
            count(*) filter (ordered_at > '2023-01-01') as future_stamp,
            count(*) filter (ordered_at < '2023-01-01' and month > ordered_month) as arrived_late
        from rows
        """
    )[0]
    assert found == {fault: planted[fault] for fault in LINE_FAULTS}
    ratio = query(
        f"""
        select
            count(*) filter (dirty.net_amount = 100 * clean.net_amount) as hundredfold,
            count(*) filter (dirty.net_amount <> clean.net_amount) as different
        from read_parquet('{dirty}/orders/*.parquet') as dirty
        join read_parquet('{clean}/orders/*.parquet') as clean using (order_id, line_id)
        """
    )[0]
    assert ratio["hundredfold"] == ratio["different"] == planted["unit_hundredfold"]
    listed = query(
        f"select fault, count(*) as n from read_parquet('{dirty}/truth/faults/*.parquet')"
        " group by fault"
    )
    assert {row["fault"]: row["n"] for row in listed} == planted


def test_a_directory_in_use_is_refused(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(UsageError, match="is in use"):
        simulate(settings, customers=10, directory=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_unknown_format_is_refused(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no format 'xlsx'"):
        simulate(settings, customers=10, directory=tmp_path / "x", format="xlsx")  # type: ignore[arg-type]


def test_a_folder_that_is_no_population_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no simulated population"):
        load_simulation(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(StoredDataCorrupt, match="damaged"):
        load_simulation(tmp_path)


@pytest.mark.faults
def test_a_killed_run_leaves_no_half_of_a_population(tmp_path: Path) -> None:
    deployment = tmp_path / "killed.yaml"
    deployment.write_text("deployment: killed\nsimulation: {months: 2}\n")
    code = (
        "import sys; from pathlib import Path; from tasks.settings import load_settings;"
        "from tasks.simulation.writing import simulate;"
        "simulate(load_settings(sys.argv[1], home=Path(sys.argv[2])), customers=100,"
        " directory=Path(sys.argv[3]))"
    )
    target = tmp_path / "out"
    command = [sys.executable, "-c", code, str(deployment), str(tmp_path / "home"), str(target)]
    environment = {**os.environ, "HOLDFAST_CRASH_AT": "simulation.before_rename"}
    killed = subprocess.run(command, env=environment, cwd=PROJECT, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert not target.exists()
    [left] = tmp_path.glob(".out.aside-*")
    os.utime(left, (0, 0))
    environment.pop("HOLDFAST_CRASH_AT")
    subprocess.run(command, env=environment, cwd=PROJECT, timeout=120, check=True)
    assert load_simulation(target).customers == 100
    assert not left.exists()
