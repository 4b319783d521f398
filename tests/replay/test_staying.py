"""Simulated outcomes: who would have lapsed may stay, by a draw that is the same every time."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.replay.slicing import Slice, cut_history
from tasks.replay.staying import (
    Stays,
    draw,
    join_stays,
    open_orders,
    read_chances,
    say_assumption,
    without_stays,
    write_stays,
)
from tasks.replay.weeks import plan_weeks
from tasks.settings import Settings
from tests.conftest import MakeSettings

from ..flows.street import ORDERS

pytestmark = pytest.mark.sql

WEEKS = plan_weeks(date(2023, 1, 16), date(2023, 2, 13), 7, timedelta(hours=24))
AS_OF = WEEKS[1].as_of
HORIZON_DAYS = 14
# `back` orders again within the horizon, `late` after it, `gone` never, `often` every week.
LINES = (
    *(f"often,w{day},2023-01-{day:02} 09:00:00,5.00" for day in (16, 23, 30)),
    "back,o1,2023-01-10 08:00:00,10.00",
    "back,o2,2023-01-25 08:00:00,20.00",
    "late,o3,2023-01-11 08:00:00,30.00",
    "late,o4,2023-02-07 08:00:00,40.00",
    "gone,o5,2023-01-02 08:00:00,50.00",
    "gone,o6,2023-01-12 08:00:00,60.00",
)


@pytest.fixture
def shop(make_settings: MakeSettings, tmp_path: Path) -> Settings:
    folder = tmp_path / "orders"
    folder.mkdir()
    header = "customer_id,order_id,ordered_at,net_amount"
    (folder / "part-0.csv").write_text("\n".join([header, *LINES]) + "\n", encoding="utf-8")
    source = {
        "kind": "files", "folder": str(folder), "pattern": "*.csv", "time_zone": "UTC",
        "known": {"basis": "declared", "lag_days": 1}, **ORDERS,
    }  # fmt: skip
    return make_settings(
        intake={"sources": {"orders": source}},
        features={"horizon_days": HORIZON_DAYS},
        replay={"outcomes": "simulated"},
    )


@pytest.fixture
def slices(shop: Settings, tmp_path: Path) -> list[Slice]:
    return cut_history(shop, WEEKS, 7, tmp_path / "slices")


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_who_would_have_lapsed(shop: Settings, slices: list[Slice]) -> None:
    with open_orders(shop, slices) as orders:
        found = orders.find_lapsing(AS_OF, ["back", "late", "gone", "unheard of"], HORIZON_DAYS)
    assert sorted(found) == ["gone", "late"]
    assert found["gone"].row["order_id"] == "o6"
    assert found["gone"].ordered_at == datetime(2023, 1, 12, 8, tzinfo=UTC)


def test_who_stays_orders_once_more_within_the_horizon(
    shop: Settings, slices: list[Slice], tmp_path: Path
) -> None:
    folder, joined = tmp_path / "stays", tmp_path / "joined"
    listed = ["back", "gone", "late"]
    chances = {"back": 1.0, "gone": 1.0}
    said = write_stays(shop, slices, AS_OF, listed, chances, folder)
    assert said == Stays(listed=3, lapsing=2, stayed=1)
    # Again it is the same, and nothing twice.
    before = {path: path.read_bytes() for path in folder.rglob("*.csv")}
    assert write_stays(shop, slices, AS_OF, listed, chances, folder) == said
    assert {path: path.read_bytes() for path in folder.rglob("*.csv")} == before
    (path,) = before
    (row,) = read(path)
    moment = datetime.fromisoformat(row["ordered_at"]).replace(tzinfo=UTC)
    assert AS_OF + timedelta(days=3) < moment < AS_OF + timedelta(days=HORIZON_DAYS)
    assert (row["customer_id"], row["net_amount"]) == ("gone", "60.00")
    assert row["order_id"] == "stayed-20230123-gone"

    # It comes with the first delivery after it was known, and with no other.
    found = join_stays(slices, WEEKS[-1].as_of, folder, joined)
    changed = [one for one, old in zip(found, slices, strict=True) if one.path != old.path]
    (one,) = changed
    assert one.delivered_at - timedelta(days=7) < moment + timedelta(days=1) <= one.delivered_at
    assert row in read(one.path)
    # History itself is as it was.
    assert all("stayed" not in old.path.read_text(encoding="utf-8") for old in slices)
    assert join_stays(slices, WEEKS[-1].as_of, folder, joined) == found


def test_money_is_judged_without_them(shop: Settings, slices: list[Slice]) -> None:
    outcomes = pa.table(
        {
            "as_of": pa.array([AS_OF] * 3, pa.timestamp("us", tz="UTC")),
            "customer_id": ["back", "gone", "late"],
            # The lake has seen the order of who stayed.
            "churned": [False, False, True],
        }
    )
    found = without_stays(shop, slices, outcomes)
    assert found["churned"].to_pylist() == [False, True, True]


def test_the_report_says_what_is_simulated(shop: Settings) -> None:
    said = say_assumption(shop, knows_truth=True, lapsing=120, stayed=31)
    assert "120 would have lapsed and 31 stayed, by the simulator's truth" in said
    assert "`economics.accept_share`" in say_assumption(
        shop, knows_truth=False, lapsing=2, stayed=1
    )


def test_chances_are_shares_of_who_would_lapse() -> None:
    truth = pa.table(
        {
            "customer_id": ["a", "b", "c"],
            "lapse_probability": [0.4, 0.0, 0.5],
            "contact_effect_on_lapse": [-0.1, 0.0, 0.1],
        }
    )
    assert read_chances(truth) == {"a": pytest.approx(0.25), "b": 0.0, "c": 0.0}


@given(st.text(max_size=20), st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1)))
def test_draws_are_numbers_below_one_and_stay(customer: str, at: datetime) -> None:
    moment = at.replace(tzinfo=UTC)
    assert 0 <= draw(customer, moment) < 1
    assert draw(customer, moment) == draw(customer, moment)
    assert draw(customer, moment) != draw(customer, moment, "when")
