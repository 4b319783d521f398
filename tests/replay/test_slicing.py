"""History cut into deliveries: every row once, in the first that could have held it."""

from __future__ import annotations

import csv
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from tasks.replay.planting import deliver, read_plants
from tasks.replay.slicing import cut_history
from tasks.replay.weeks import plan_weeks
from tasks.settings import Settings
from tests.conftest import MakeSettings

from ..flows.street import ORDERS

pytestmark = pytest.mark.sql

FIRST, LAST = date(2023, 1, 16), date(2023, 2, 13)
WEEKS = plan_weeks(FIRST, LAST, 7, timedelta(hours=24))
HEADER = "customer_id,order_id,ordered_at,net_amount"


def lines() -> list[str]:
    """An order every seven hours of two months, at times without an offset."""
    start = datetime(2023, 1, 1, 1)
    return [
        f"c{n % 9},o{n},{start + timedelta(hours=7 * n):%Y-%m-%d %H:%M:%S},{n}.50"
        for n in range(200)
    ]


@pytest.fixture
def shop(make_settings: MakeSettings, tmp_path: Path) -> Settings:
    folder = tmp_path / "orders"
    folder.mkdir()
    for number in (0, 1):
        part = "\n".join([HEADER, *lines()[number::2]]) + "\n"
        (folder / f"part-{number}.csv").write_text(part, encoding="utf-8")
    source = {
        "kind": "files", "folder": str(folder), "pattern": "*.csv", "time_zone": "UTC",
        "known": {"basis": "declared", "lag_days": 1}, **ORDERS,
    }  # fmt: skip
    return make_settings(intake={"sources": {"orders": source}})


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_row_is_delivered_once_when_it_was_known(shop: Settings, tmp_path: Path) -> None:
    slices = cut_history(shop, WEEKS, 7, tmp_path / "slices")
    seen: list[str] = []
    for one in slices:
        for row in read(one.path):
            known = datetime.fromisoformat(f"{row['ordered_at']}+00:00") + timedelta(days=1)
            assert one.delivered_at - timedelta(days=7) < known <= one.delivered_at
            seen.append(row["order_id"])
    # What is known only after the last step is no part of the replay.
    end = WEEKS[-1].moment - timedelta(days=1)
    expected = [
        line.split(",")[1]
        for line in lines()
        if datetime.fromisoformat(f"{line.split(',')[2]}+00:00") <= end
    ]
    assert sorted(seen) == sorted(expected)
    # A name is the last day covered; what is older than the first step has slices too.
    assert slices[0].part < f"{FIRST}"
    assert {one.part for one in slices if one.as_of >= WEEKS[0].as_of} == {
        f"{week.as_of - timedelta(days=1):%Y-%m-%d}" for week in WEEKS
    }


def test_cut_again_it_is_not_cut_again(shop: Settings, tmp_path: Path) -> None:
    first = cut_history(shop, WEEKS, 7, tmp_path / "slices")
    times = [one.path.stat().st_mtime_ns for one in first]
    assert cut_history(shop, WEEKS, 7, tmp_path / "slices") == first
    assert [one.path.stat().st_mtime_ns for one in first] == times


def deliver_by(shop: Settings, folder: Path, number: int, *told: str) -> set[str]:
    slices = cut_history(shop, WEEKS, 7, folder / "slices")
    deliver(shop, slices, WEEKS, number, read_plants(told), folder / "delivered")
    return {path.stem for path in (folder / "delivered" / "orders").glob("*.csv")}


def test_nothing_is_there_before_it_could_be(shop: Settings, tmp_path: Path) -> None:
    assert deliver_by(shop, tmp_path, 0) == {"2023-01-01", "2023-01-08", "2023-01-15"}
    assert deliver_by(shop, tmp_path, 1) == {"2023-01-22"}


def test_a_late_file_comes_a_step_later(shop: Settings, tmp_path: Path) -> None:
    assert "2023-01-22" not in deliver_by(shop, tmp_path, 1, "late_file@2023-01-23")
    assert "2023-01-22" in deliver_by(shop, tmp_path, 2, "late_file@2023-01-23")


@pytest.mark.parametrize(
    ("kind", "column", "found"),
    [
        (
            "unit_change",
            "net_amount",
            lambda old, new: float(new) == pytest.approx(100 * float(old)),
        ),
        (
            "time_zone_shift",
            "ordered_at",
            lambda old, new: (
                datetime.fromisoformat(new) - datetime.fromisoformat(old) == timedelta(hours=9)
            ),
        ),
    ],
)
def test_what_a_plant_changes(
    shop: Settings, tmp_path: Path, kind: str, column: str, found: object
) -> None:
    deliver_by(shop, tmp_path, 1, f"{kind}@2023-01-23")
    clean = read(tmp_path / "slices" / "orders" / "2023-01-22.csv")
    changed = read(tmp_path / "delivered" / "orders" / "2023-01-22.csv")
    for old, new in zip(clean, changed, strict=True):
        assert found(old[column], new[column])  # type: ignore[operator]
        assert old | {column: ""} == new | {column: ""}
    # The week after is as it was.
    deliver_by(shop, tmp_path, 2, f"{kind}@2023-01-23")
    assert (tmp_path / "delivered" / "orders" / "2023-01-29.csv").read_bytes() == (
        tmp_path / "slices" / "orders" / "2023-01-29.csv"
    ).read_bytes()


def test_a_column_is_renamed(shop: Settings, tmp_path: Path) -> None:
    deliver_by(shop, tmp_path, 1, "renamed_column@2023-01-23")
    assert "net_amount_total" in read(tmp_path / "delivered" / "orders" / "2023-01-22.csv")[0]


def test_a_file_comes_twice(shop: Settings, tmp_path: Path) -> None:
    found = deliver_by(shop, tmp_path, 2, "duplicate_file@2023-01-30")
    assert found == {"2023-01-29", "2023-01-30"}
    delivered = tmp_path / "delivered" / "orders"
    assert (delivered / "2023-01-29.csv").read_bytes() == (
        delivered / "2023-01-30.csv"
    ).read_bytes()


def test_drift_takes_the_same_customers_from_then_on(shop: Settings, tmp_path: Path) -> None:
    seen = []
    for number in (1, 2, 3):
        (part,) = deliver_by(shop, tmp_path, number, "concept_drift@2023-01-23")
        rows = read(tmp_path / "delivered" / "orders" / f"{part}.csv")
        seen.append({row["customer_id"] for row in rows})
    assert seen[1] == seen[2] < seen[0]
