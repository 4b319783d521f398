"""A month of a real shop comes in pence: stopped, shown with its cost, replayed, as if right."""

from __future__ import annotations

import csv
import gzip
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from flows.decide import Choice, decide
from flows.ingest import ingest
from flows.preview import preview
from tasks.errors import DataRejected
from tasks.incidents.queue import list_incidents
from tasks.intake.ledger import show_quarantine
from tasks.intake.tables import write_part
from tasks.registry.champion import promote
from tasks.settings import CONF, HOME_VARIABLE, Settings, load_settings
from tasks.sources import TableSource
from tasks.visibility import table_fingerprint
from tasks.warehouse import open_lake
from tests.registry.models import make_rule
from tests.registry.promotions import keep_unregistered, say

pytestmark = [pytest.mark.flow, pytest.mark.timeout(900)]

# Enough months for the comparison with the past, then the one that goes wrong, then one more.
MONTHS = ("2010-02", "2010-03", "2010-04", "2010-05", "2010-06")
BAD = "2010-05"


@dataclass(frozen=True, slots=True)
class Shop:
    """A deployment of the real shop that takes monthly files from a folder."""

    path: Path
    folder: Path
    home: Path

    @property
    def settings(self) -> Settings:
        return load_settings(self.path, home=self.home)

    def fingerprint(self) -> str:
        with open_lake(self.settings) as lake:
            return table_fingerprint(lake, "orders", lake.snapshot())


@pytest.fixture(scope="module")
def months(shared_data: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (shared_data / "online_retail_II" / "online_retail_II.parquet").is_file():
        pytest.skip("no online_retail_II: set HOLDFAST_DATA")  # its licence keeps it out of here
    folder = tmp_path_factory.mktemp("months")
    settings = load_settings("online_retail", home=home)
    source = settings.intake.sources["orders"]
    assert isinstance(source, TableSource)
    for month in MONTHS:
        plain = folder / f"{month}.csv"
        write_part("orders", source, month, plain, settings, f"orders/{month}")
        with plain.open("rb") as rows, gzip.open(f"{plain}.gz", "wb", compresslevel=1) as packed:
            shutil.copyfileobj(rows, packed)
        plain.unlink()
    return folder


@pytest.fixture
def patched_home(home: Path) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOME_VARIABLE, str(home))
        yield home


def write_shop(name: str, folder: Path, directory: Path, home: Path) -> Shop:
    conf = yaml.safe_load((CONF / "online_retail.yaml").read_text(encoding="utf-8"))
    source = conf["intake"]["sources"]["orders"]
    for key in ("files", "query", "split"):
        del source[key]
    source |= {"folder": str(folder), "pattern": "*.csv.gz"}
    path = directory / f"{name}.yaml"
    path.write_text(yaml.safe_dump(conf), encoding="utf-8")
    return Shop(path, folder, home)


def write_in_pence(good: Path, bad: Path) -> None:
    """The month's file with its prices in pence, and nothing else changed."""
    with (
        gzip.open(good, "rt", newline="") as file,
        gzip.open(bad, "wt", compresslevel=1, newline="") as out,
    ):
        reader = csv.DictReader(file)
        writer = csv.DictWriter(out, reader.fieldnames or (), lineterminator="\n")
        writer.writeheader()
        for row in reader:
            row["Price"] = f"{float(row['Price']) * 100:.2f}"
            writer.writerow(row)


def test_a_month_in_pence_is_stopped_shown_with_its_cost_and_replayed_as_if_right(
    months: Path, patched_home: Path, tmp_path: Path
) -> None:
    delivered = tmp_path / "delivered"
    delivered.mkdir()
    for path in months.iterdir():
        (delivered / path.name).write_bytes(path.read_bytes())
    write_in_pence(months / f"{BAD}.csv.gz", delivered / f"{BAD}.csv.gz")
    shop = write_shop("pence_shop", delivered, tmp_path, patched_home)

    with pytest.raises(DataRejected, match=f"orders/{BAD} quarantined") as stopped:
        ingest.fn(shop.path, "test")
    assert stopped.value.exit_code == 65

    with open_lake(shop.settings) as lake:
        [item] = [one for one in list_incidents(lake) if one.cause.level == "stop"]
        shown = show_quarantine(lake, f"orders/{BAD}")
    assert (item.cause.code, len(item.batches)) == ("UNIT_SHIFT", 1)
    assert "looks like cents" in item.cause.headline
    assert shown["quarantined_rows"] == shown["received_rows"] > 30_000

    # What it would cost to let it in, by whoever serves, tried on a branch.
    with open_lake(shop.settings) as lake:
        rule = make_rule(tmp_path / "rule", names=("recency_days",))
        promote(lake, keep_unregistered(lake, rule, 1), say("serve_rule"), None)
    before = shop.fingerprint()
    cost = preview(shop.settings, f"orders/{BAD}", lift_stops=True)
    assert cost.possible
    assert cost.scores is not None
    assert cost.scores.at_risk_after_amount > 5 * cost.scores.at_risk_before_amount
    assert cost.accepted_rows + cost.quarantined_rows == shown["received_rows"]
    assert shop.fingerprint() == before

    outcome = decide.fn(
        shop.path, Choice(item.name, "replay", "ann", file=months / f"{BAD}.csv.gz")
    )
    assert outcome.incident.resolution == "replayed"
    ingest.fn(shop.path, "test")

    right = write_shop("right_shop", months, tmp_path, patched_home)
    ingest.fn(right.path, "test")
    assert shop.fingerprint() == right.fingerprint()
    # The bad file still lies there; it is known, and the next night finds nothing to do.
    assert all(batch.already_known for batch in ingest.fn(shop.path, "test").batches)
    assert shop.fingerprint() == right.fingerprint()
