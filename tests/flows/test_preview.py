"""A stopped batch tried out before anybody decides, and the lake left as it was."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

from flows.ingest import ingest
from flows.preview import preview
from tasks.branch import open_branch
from tasks.errors import DataRejected, UsageError
from tasks.handles import Waiver
from tasks.impact import Preview, render_preview
from tasks.postgres import connect
from tasks.registry.champion import promote
from tasks.settings import HOME_VARIABLE, Settings, load_settings
from tasks.visibility import table_fingerprint
from tasks.warehouse import Lake, open_lake
from tests.registry.models import make_rule
from tests.registry.promotions import keep_unregistered, say

from .nights import DEAD_PREFECT, Shop, write_broken, write_deployment

pytestmark = [pytest.mark.flow, pytest.mark.timeout(300)]

FEATURES = ("recency_days", "order_days_365", "amount_365", "gap_median_days")
NAME = "orders/part-00003"


@dataclass(frozen=True, slots=True)
class Stopped:
    """A shop whose newest delivery of orders was stopped: the file, its lines, and the lake."""

    settings: Settings
    path: Path
    file: Path
    lines: int
    nameless: int
    number: int


@dataclass(frozen=True, slots=True)
class Tried:
    """A preview, the facts of the lake around it, and what it left behind."""

    found: Preview
    before: dict[str, Any]
    after: dict[str, Any]
    left: list[str]


@pytest.fixture(scope="module")
def stopped(population: Path, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    folder = tmp_path_factory.mktemp("previewed") / "shop"
    shutil.copytree(population, folder)
    path = write_deployment(folder.parent / "previewed_shop.yaml", folder)
    conf = yaml.safe_load(path.read_text(encoding="utf-8"))
    del conf["intake"]["sources"]["events"]
    path.write_text(yaml.safe_dump(conf, sort_keys=False), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOME_VARIABLE, str(home))
        ingest.fn(path, "test")
        file, lines, nameless = write_broken(folder / "orders")
        with pytest.raises(DataRejected):
            ingest.fn(path, "test")
    settings = load_settings(path, home=home)
    with open_lake(settings) as lake:
        number = int(lake.scalar("select max(batch_number) from lake.ledger.batches"))
    return Stopped(settings, path, file, lines, nameless, number)


@pytest.fixture(scope="module")
def serving(stopped: Stopped, tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    """The same with a champion: a rule."""
    rule = make_rule(tmp_path_factory.mktemp("rule") / "r", names=FEATURES)
    with open_lake(stopped.settings) as lake:
        promote(lake, keep_unregistered(lake, rule, 1), say("serve_rule"), None)
    return stopped


@pytest.fixture(scope="module")
def let_in(serving: Stopped) -> Tried:
    """The stopped batch let in, with what the lake held before and after."""
    before = facts(serving.settings)
    found = preview(serving.settings, NAME, lift_stops=True)
    return Tried(found, before, facts(serving.settings), traces(serving.settings))


def facts(settings: Settings) -> dict[str, Any]:
    """Everything of the lake that a preview could have changed, down to the bytes."""
    folder = settings.home / "lake" / settings.deployment
    with open_lake(settings) as lake:
        return {
            "snapshot": lake.snapshot(),
            "orders": table_fingerprint(lake, "orders", lake.snapshot()),
            "tables": lake.tables(),
            "files": {
                str(path): hashlib.sha256(path.read_bytes()).hexdigest()
                for root in (folder, settings.home / "raw", settings.home / "staging")
                for path in sorted(root.rglob("*"))
                if path.is_file()
            },
        }


def traces(settings: Settings) -> list[str]:
    with open_lake(settings) as lake:
        return [path.name for path in (settings.home / "branches").iterdir()] + schemas(lake)


def schemas(lake: Lake) -> list[str]:
    with closing(connect(lake.database)) as connection, connection.cursor() as cursor:
        cursor.execute("select nspname from pg_namespace where nspname like 'branch\\_%'")
        return [str(row[0]) for row in cursor.fetchall()]


def correct(stopped: Stopped, target: Path) -> Path:
    """The file with its amounts in whole units again; customers are still missing."""
    lines = pq.read_table(stopped.file)
    place = lines.column_names.index("net_amount")
    mended = pc.divide(lines["net_amount"], 100.0)
    pq.write_table(lines.set_column(place, "net_amount", mended), target)
    return target


def test_without_a_champion_rows_and_features_are_compared(stopped: Stopped) -> None:
    found = preview(stopped.settings, stopped.number, lift_stops=True)
    assert found.possible
    assert found.scores is None
    assert any("no champion yet" in note for note in found.notes)
    assert found.features is not None
    assert found.features.features_moved > 0
    assert sum(day.rows_after for day in found.days) == found.accepted_rows


def test_letting_in_moves_rows_features_scores_and_money_but_not_the_lake(
    serving: Stopped, let_in: Tried
) -> None:
    assert let_in.before == let_in.after
    assert let_in.left == []
    settings, found = serving.settings, let_in.found
    assert (found.how, found.possible, found.batch_number) == ("waived", True, serving.number)
    assert (found.received_rows, found.quarantined_rows) == (serving.lines, serving.nameless)
    assert found.accepted_rows == serving.lines - serving.nameless
    assert sum(day.rows_after for day in found.days) == found.accepted_rows
    assert any("net_amount" in line for line in found.overruled)
    features = found.features
    assert features is not None
    amounts = next(move for move in features.moves if move.feature == "amount_total")
    assert amounts.median_change is not None
    assert amounts.median_change > 1  # a hundred times too much of some months
    scores = found.scores
    assert scores is not None
    assert scores.at_risk_change_amount > 0
    assert scores.list_before <= settings.economics.affordable_contacts
    plain = json.loads(json.dumps(found.as_dictionary()))
    assert plain["scores"]["at_risk_change_amount"] == str(scores.at_risk_change_amount)
    shown = render_preview(found)
    assert "Action list:" in shown
    assert "passed over: " in shown


def test_a_corrected_file_moves_less_money(serving: Stopped, let_in: Tried, tmp_path: Path) -> None:
    file = correct(serving, tmp_path / "mended.parquet")
    mended = preview(serving.settings, serving.number, file=file, lift_stops=True)
    assert facts(serving.settings) == let_in.before
    assert (mended.how, mended.accepted_rows) == ("corrected file", let_in.found.accepted_rows)
    # A fifth of its lines has no customer still; that alone is passed over now.
    assert any("customer_id_present" in line for line in mended.overruled)
    assert not any("net_amount" in line for line in mended.overruled)
    assert mended.scores is not None
    assert let_in.found.scores is not None
    assert mended.scores.at_risk_after_amount < let_in.found.scores.at_risk_after_amount
    assert mended.scores.at_risk_before_amount == let_in.found.scores.at_risk_before_amount


def test_what_cannot_be_let_in_is_said_and_is_no_error(serving: Stopped, tmp_path: Path) -> None:
    settings = serving.settings
    empty = tmp_path / "empty.parquet"
    empty.write_bytes(b"PAR1 and nothing that it promises")
    found = preview(settings, serving.number, file=empty, lift_stops=True)
    assert not found.possible
    assert found.features is found.scores is None
    assert "MALFORMED" in render_preview(found)
    nobody = pq.read_table(serving.file)
    customers = pa.nulls(nobody.num_rows, nobody.schema.field("customer_id").type)
    pq.write_table(nobody.set_column(0, "customer_id", customers), tmp_path / "nobody.parquet")
    found = preview(settings, serving.number, file=tmp_path / "nobody.parquet", lift_stops=True)
    assert not found.possible
    assert any("set aside by itself" in line for line in found.refused)
    with pytest.raises(UsageError, match="knows no batch"):
        preview(settings, 4711)
    with pytest.raises(UsageError, match="cannot be read"):
        preview(settings, serving.number, file=tmp_path / "nowhere.parquet")


def test_a_waiver_lifts_what_it_names_alone(serving: Stopped) -> None:
    now = datetime.now(UTC)
    waiver = Waiver(
        waiver_id="w1",
        source="orders",
        rules=("shift:net_amount",),
        effect="leave_out",
        reason="they changed to cents",
        author="ann",
        granted_at=now,
        ends_at=now + timedelta(hours=1),
    )
    found = preview(serving.settings, serving.number, waivers=(waiver,))
    assert (found.how, found.possible) == ("waived", False)
    (stops,) = [line for line in found.refused if line.startswith("customer_id_present")]
    assert "waived" not in stops
    with open_lake(serving.settings) as lake:
        assert lake.scalar("select count(*) from lake.ledger.waivers") == 0


def test_an_accepted_batch_tried_again_changes_nothing(serving: Stopped) -> None:
    found = preview(serving.settings, "orders/part-00002")
    assert found.possible
    assert any("nothing would change" in note for note in found.notes)
    assert found.features is found.scores is None


@pytest.mark.faults
def test_a_killed_preview_leaves_the_lake_and_the_next_clears_up(
    serving: Stopped, let_in: Tried
) -> None:
    settings = serving.settings
    shop = Shop(serving.path, settings.home, serving.file.parent, {"PREFECT_API_URL": DEAD_PREFECT})
    asked = ("quarantine", "preview", NAME, "--waive", "--json")
    done = shop.run(*asked, HOLDFAST_CRASH_AT="publish.before_commit")
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert facts(settings) == let_in.before
    assert len(traces(settings)) == 2
    with open_branch(settings) as branch:
        assert branch.snapshot() == let_in.before["snapshot"]
    assert traces(settings) == []
    assert facts(settings) == let_in.before
