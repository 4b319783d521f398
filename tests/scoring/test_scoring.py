"""A score for every eligible customer, once, the same each time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from tasks.contracts import NO_REASON, SCORES
from tasks.economics import Economics
from tasks.errors import DataRejected, HoldfastError
from tasks.exports import hash_file
from tasks.handles import Champion, Predictor
from tasks.registry.integrity import load_predictor
from tasks.scoring.scoring import describe_staleness, score
from tasks.settings import PROJECT, Settings
from tasks.standings import Staleness
from tasks.warehouse import Lake, close_lakes, open_lake
from tests.registry.models import make_model, make_rule
from tests.scoring.tables import AS_OF, make_champion, make_features


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Champion:
    return make_champion(make_model(tmp_path_factory.mktemp("champion") / "m").directory)


@pytest.fixture(scope="module")
def predictor(champion: Champion) -> Predictor:
    return load_predictor(champion.directory, champion.files)


def test_every_customer_of_the_newest_cutoff_gets_a_sound_row(
    lake: Lake, settings: Settings, champion: Champion, predictor: Predictor
) -> None:
    features = make_features(lake, 500)
    table = score(lake, champion, predictor, features, settings)
    assert table.rows == 500
    assert table.parquet_path is not None
    rows = pyarrow.parquet.read_table(table.parquet_path)
    assert rows.column_names == [column.name for column in SCORES]
    stored = lake.arrow("select * from lake.main.scores order by rank").select(rows.column_names)
    assert stored.to_pylist() == rows.to_pylist()
    assert rows["rank"].to_pylist() == list(range(1, 501))
    assert set(rows["as_of"].to_pylist()) == {AS_OF}
    assert set(rows["model_version"].to_pylist()) == {1}

    inputs = lake.arrow(
        "select * from lake.main.scoring_features where as_of = $as_of", {"as_of": AS_OF}
    )
    expected = dict(
        zip(inputs["customer_id"].to_pylist(), predictor.predict(inputs).tolist(), strict=True)
    )
    found = dict(zip(rows["customer_id"].to_pylist(), rows["probability"].to_pylist(), strict=True))
    assert found == expected

    # The money is that of the training's own economics, rounded to the table's four places.
    probability = np.array(rows["probability"].to_pylist())
    value = np.array([np.nan if v is None else float(v) for v in rows["value_amount"].to_pylist()])
    money = Economics.of(settings.economics)
    returns = np.array([float(v) for v in rows["expected_return_amount"].to_pylist()])
    assert returns == pytest.approx(money.expected_returns(probability, value), abs=5.1e-5)
    assert (np.diff(returns) <= 0).all()
    at_risk = [float(v) for v in rows["money_at_risk_amount"].to_pylist()]
    assert at_risk == pytest.approx(probability * np.nan_to_num(value), abs=5.1e-5)
    assert set(rows["currency"].to_pylist()) == {settings.economics.currency}

    percentile = np.array(rows["percentile"].to_pylist())
    below = (probability[None, :] <= probability[:, None]).mean(axis=1) * 100
    assert percentile == pytest.approx(below, abs=5.1e-5)
    reasons = rows["reason_1"].to_pylist()
    assert sum(reason != NO_REASON for reason in reasons) > 400
    assert all(isinstance(reason, str) and " " in reason for reason in reasons)


def test_scoring_twice_is_one_run_and_the_same_bytes(
    lake: Lake, settings: Settings, champion: Champion, predictor: Predictor
) -> None:
    features = make_features(lake, 200)
    first = score(lake, champion, predictor, features, settings)
    assert first.csv_path is not None
    assert first.parquet_path is not None
    bytes_before = (first.csv_path.read_bytes(), first.parquet_path.read_bytes())
    assert score(lake, champion, predictor, features, settings) == first
    first.csv_path.write_text("somebody sorted it in a spreadsheet")
    first.parquet_path.unlink()
    again = score(lake, champion, predictor, features, settings)
    assert again == first
    assert (first.csv_path.read_bytes(), first.parquet_path.read_bytes()) == bytes_before
    assert lake.scalar("select count(*) from lake.main.scores") == 200
    exports = lake.rows("select kind, path, sha256, rows from lake.ledger.exports order by kind")
    assert [row["kind"] for row in exports] == ["scores.csv", "scores.parquet"]
    for row in exports:
        assert hash_file(settings.home / row["path"]) == row["sha256"]
        assert row["rows"] == 200


def test_size_of_batches_changes_nothing(
    lake: Lake, settings: Settings, champion: Champion, predictor: Predictor
) -> None:
    features = make_features(lake, 450)
    small = settings.model_copy(
        update={"scoring": settings.scoring.model_copy(update={"batch_rows": 100})}
    )
    one = score(lake, champion, predictor, features, small)
    assert one.csv_path is not None
    before = one.csv_path.read_bytes()
    one.csv_path.unlink()
    other = score(lake, champion, predictor, features, settings)
    assert other.csv_path is not None
    assert other.csv_path.read_bytes() == before


def test_another_model_or_cost_is_another_run(
    lake: Lake, settings: Settings, champion: Champion, predictor: Predictor, tmp_path: Path
) -> None:
    features = make_features(lake, 100)
    first = score(lake, champion, predictor, features, settings)
    rule = make_champion(make_rule(tmp_path / "r").directory, version=2)
    second = score(lake, rule, load_predictor(rule.directory, rule.files), features, settings)
    assert first.scoring_id != second.scoring_id
    assert lake.scalar("select count(*) from lake.main.scores") == 200
    # Rolled back the same day: value, reasons and lists read the newest scores, which are these.
    for _ in range(2):
        assert score(lake, champion, predictor, features, settings) == first
        newest = (
            "select arg_max(export_id, exported_at) from lake.ledger.exports"
            " where kind = 'scores.parquet'"
        )
        assert lake.scalar(newest) == first.scoring_id
        assert lake.scalar("select count(*) from lake.ledger.exports") == 6


class Broken:
    """A predictor that answers as it is told."""

    def __init__(self, real: Predictor, change: Callable[[np.ndarray], np.ndarray]) -> None:
        self.feature_names = real.feature_names
        self._real, self._change = real, change

    def predict(self, features: pa.Table) -> np.ndarray:
        return self._change(self._real.predict(features).copy())

    def reasons(self, features: pa.Table) -> list[tuple[str, ...]]:
        return self._real.reasons(features)


def _put(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(probability: np.ndarray) -> np.ndarray:
        probability[3] = value
        return probability

    return change


@pytest.mark.faults(62)
@pytest.mark.parametrize(
    ("change", "found"),
    [
        (_put(np.nan), "no number"),
        (_put(np.inf), "no number"),
        (_put(1.5), "outside"),
        (_put(-0.1), "outside"),
        (lambda p: np.full(len(p), 0.4), "same probability"),
    ],
)
def test_unsound_scores_are_refused_and_nothing_is_written(
    lake: Lake,
    settings: Settings,
    champion: Champion,
    predictor: Predictor,
    change: Callable[[np.ndarray], np.ndarray],
    found: str,
) -> None:
    features = make_features(lake, 100)
    with pytest.raises(DataRejected, match=found):
        score(lake, champion, Broken(predictor, change), features, settings)
    assert "scores" not in lake.tables()
    assert lake.scalar("select count(*) from lake.ledger.exports") == 0
    assert not (settings.home / "exports" / settings.deployment).exists()


def test_a_failed_check_publishes_nothing(
    lake: Lake, settings: Settings, champion: Champion, predictor: Predictor
) -> None:
    def check(path: Path) -> None:
        assert pyarrow.parquet.read_metadata(path).num_rows == 100
        raise DataRejected("the suite says no")

    with pytest.raises(DataRejected, match="suite says no"):
        score(lake, champion, predictor, make_features(lake, 100), settings, check=check)
    assert "scores" not in lake.tables()
    folder = settings.home / "exports" / settings.deployment
    assert not any(path.is_file() for path in folder.rglob("*"))


@pytest.mark.faults(63)
def test_no_eligible_customer_and_a_missing_column_are_named(
    lake: Lake, settings: Settings, champion: Champion, predictor: Predictor
) -> None:
    features = make_features(lake, 100)
    later = replace(features, as_of=(AS_OF.replace(month=10),))
    with pytest.raises(DataRejected, match="no customer is eligible"):
        score(lake, champion, predictor, later, settings)
    with lake.writer_lock("test"):
        lake.execute("alter table lake.main.scoring_features rename gap_ratio to gap_ratios")
    with pytest.raises(DataRejected, match="gap_ratios"):
        score(lake, champion, predictor, features, settings)


def test_stale_scores_say_so_and_are_a_run_of_their_own(
    lake: Lake, settings: Settings, champion: Champion, predictor: Predictor
) -> None:
    features = make_features(lake, 60)
    fresh = score(lake, champion, predictor, features, settings)
    stale = Staleness(12.5, ("orders", "events"))
    table = score(lake, champion, predictor, features, settings, staleness=stale)
    assert table.scoring_id != fresh.scoring_id
    assert table.staleness == stale
    assert table.parquet_path is not None
    rows = pyarrow.parquet.read_table(table.parquet_path)
    assert rows.column_names[-2:] == ["stale_days", "stale_sources"]
    assert set(rows["stale_days"].to_pylist()) == {12.5}
    assert set(rows["stale_sources"].to_pylist()) == {"orders; events"}
    stored = "select distinct scoring_id, stale_days, stale_sources from lake.main.scores"
    assert {tuple(row.values()) for row in lake.rows(stored)} == {
        (fresh.scoring_id, 0.0, None),
        (table.scoring_id, 12.5, "orders; events"),
    }


def test_what_an_optional_source_lacks_is_unknown_and_named(
    lake: Lake, settings: Settings, champion: Champion, predictor: Predictor
) -> None:
    features = make_features(lake, 60)
    with lake.writer_lock("test"):
        lake.execute("update lake.main.scoring_features set gap_ratio = null")
    null = score(lake, champion, predictor, features, settings)
    with lake.writer_lock("test"):
        lake.execute("alter table lake.main.scoring_features drop gap_ratio")
    features = replace(features, fingerprint="9" * 64)
    with pytest.raises(DataRejected, match="no column 'gap_ratio'"):
        score(lake, champion, predictor, features, settings, may_miss={"orders_90d": "events"})
    may_miss = {"gap_ratio": "tickets", "orders_90d": "events"}
    table = score(lake, champion, predictor, features, settings, may_miss=may_miss)
    assert table.staleness.text == "tickets (left out)"
    assert table.scoring_id != null.scoring_id
    # The model is asked with unknowns, as if the column were there and empty.
    differing = lake.scalar(
        "select count(*) from lake.main.scores a join lake.main.scores b using (customer_id)"
        " where a.scoring_id = $one and b.scoring_id = $other and a.probability = b.probability",
        {"one": null.scoring_id, "other": table.scoring_id},
    )
    assert differing == 60


@pytest.mark.parametrize(
    ("staleness", "text"),
    [
        (Staleness(), ""),
        (Staleness(1.0, ("orders",)), "STALE: orders behind by 1 day"),
        (Staleness(31.5, ("a", "b")), "STALE: a, b behind by 31.5 days"),
        (Staleness(0.0, ("a",)), "STALE: a behind"),
        (
            Staleness(2.0, ("a",), ("tickets",)),
            "STALE: a behind by 2 days; tickets left out, its features unknown",
        ),
        (
            Staleness(left_out=("desk", "chat")),
            "STALE: desk, chat left out, their features unknown",
        ),
    ],
)
def test_staleness_in_words(staleness: Staleness, text: str) -> None:
    assert describe_staleness(staleness) == text


def test_a_lake_of_an_earlier_version_gets_the_new_columns(
    settings: Settings, champion: Champion, predictor: Predictor
) -> None:
    with open_lake(settings) as lake:
        features = make_features(lake, 60)
        score(lake, champion, predictor, features, settings)
        with lake.writer_lock("test"):
            for column in ("stale_days", "stale_sources"):
                lake.execute(f"alter table lake.main.scores drop {column}")
    close_lakes()
    with open_lake(settings) as lake:
        score(lake, champion, predictor, features, settings, staleness=Staleness(3.0, ("a",)))
        stamps = lake.rows("select distinct stale_days from lake.main.scores order by all")
        assert [row["stale_days"] for row in stamps] == [3.0, None]


SCORER = """
import sys
from pathlib import Path
from tasks.registry.integrity import load_predictor
from tasks.contracts import NO_REASON
from tasks.scoring.scoring import score
from tasks.settings import load_settings
from tasks.warehouse import open_lake
from tests.scoring.tables import make_champion, make_features

overlay, home, model = sys.argv[1:]
settings = load_settings(overlay, home=Path(home))
champion = make_champion(Path(model))
with open_lake(settings) as lake:
    features = make_features(lake, 60)
    score(lake, champion, load_predictor(champion.directory, champion.files), features, settings)
"""


def run_scorer(settings: Settings, tmp_path: Path, champion: Champion, crash_at: str) -> int:
    overlay = tmp_path / f"{settings.deployment}.yaml"
    overlay.write_text(f"deployment: {settings.deployment}\n")
    arguments = [str(overlay), str(settings.home), str(champion.directory)]
    done = subprocess.run(
        [sys.executable, "-c", SCORER, *arguments],
        env={**os.environ, "PYTHONPATH": str(PROJECT), "HOLDFAST_CRASH_AT": crash_at},
        timeout=60,
        check=False,
    )
    return done.returncode


@pytest.mark.faults(36)
@pytest.mark.parametrize(
    "point",
    ["scoring.before_publish", "scoring.published", "exports.scores.csv_renamed"],
)
def test_a_killed_scoring_is_mended_by_the_next(
    lake: Lake,
    settings: Settings,
    champion: Champion,
    predictor: Predictor,
    tmp_path: Path,
    point: str,
) -> None:
    assert run_scorer(settings, tmp_path, champion, point) == -signal.SIGKILL
    assert ("scores" in lake.tables()) is (point != "scoring.before_publish")
    features = make_features(lake, 60)
    table = score(lake, champion, predictor, features, settings)
    assert table.csv_path is not None
    assert lake.scalar("select count(*) from lake.main.scores") == 60
    exports = lake.rows("select path, sha256 from lake.ledger.exports")
    assert len(exports) == 2
    for row in exports:
        assert hash_file(settings.home / row["path"]) == row["sha256"]
    assert {path.name for path in table.csv_path.parent.iterdir()} == {
        "scores.csv",
        "scores.parquet",
    }


def test_errors_are_ours(lake: Lake, settings: Settings, champion: Champion) -> None:
    class Reordered:
        feature_names = ("nothing",)

        def predict(self, features: pa.Table) -> np.ndarray:
            raise AssertionError

        def reasons(self, features: pa.Table) -> list[tuple[str, ...]]:
            raise AssertionError

    with pytest.raises(HoldfastError, match="nothing"):
        score(lake, champion, Reordered(), make_features(lake, 10), settings)
