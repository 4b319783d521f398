"""Learners on disk and in the ledger: the newest few stay, the one in force always, whole or told.

             night 1   night 2   night 3 ...   (as_of)
mailing      a         b         c             the learner that the night's study kept
voucher      -         -         z
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from flows import cli
from tasks.archive import insert_findings
from tasks.evidence import KeptLearner, Ranking, UpliftFindings, UpliftStudy
from tasks.finding import Words
from tasks.keeping import combine_hashes, hash_texts, write_texts
from tasks.settings import Settings
from tasks.uplift.kept import find_in_force, prune_learners, verify_learners
from tasks.uplift.publishing import publish_uplift
from tasks.uplift.serving import find_directory, learners_directory
from tasks.warehouse import Lake

WORDS = Words(en="made up", ko="임의")
FIRST = datetime(2024, 5, 1, tzinfo=UTC)
LONG_AGO = time.time() - 7 * 86_400


def keep(lake: Lake, name: str) -> KeptLearner:
    """A learner by name, kept a week ago."""
    files = {"learner.json": json.dumps({"name": name}), "contacted.lgb.txt": name}
    hashes = hash_texts(files)
    kept = KeptLearner(
        learner="t_learner",
        files=hashes,
        model_hash=combine_hashes(hashes),
        rows=1000,
        mean=0.0,
        centre=0.0,
        slope=1.0,
        low=-0.1,
        high=0.1,
    )
    directory = find_directory(lake.settings.home, lake.deployment, kept.model_hash)
    write_texts(directory, files, "uplift.learner_written")
    os.utime(directory, (LONG_AGO, LONG_AGO))
    return kept


def tell(lake: Lake, night: int, kept: Mapping[str, KeptLearner | None]) -> UpliftFindings:
    """A night's findings: a study an action, unlocked where it has a learner."""
    as_of = FIRST + timedelta(days=night)
    return UpliftFindings(
        deployment=lake.deployment,
        as_of=as_of,
        known_by=as_of,
        snapshot_id=1,
        currency=None,
        horizon_days=30,
        metric="lapse_share",
        confidence=0.95,
        ranking=Ranking(
            source="none",
            as_of=None,
            customers=None,
            auc=None,
            low=None,
            high=None,
            confirmed=False,
            words=WORDS,
        ),
        cells=(),
        studies=tuple(
            UpliftStudy(
                listed_for="retention",
                action=action,
                measure="lapse_share",
                customers=600,
                controls=600,
                lots=2,
                served="t_learner",
                unlocked=learner is not None,
                reason=WORDS,
                strategies=(),
                curve=(),
                confidence=0.95,
                kept=learner,
            )
            for action, learner in kept.items()
        ),
        undeclared=(),
    )


def record(lake: Lake, night: int, kept: Mapping[str, KeptLearner | None]) -> None:
    found = tell(lake, night, kept)
    with lake.writer_lock("test"), lake.publish("test", "evidence"):
        insert_findings(lake, f"run {time.monotonic_ns()}", found)


def prune(lake: Lake, keep: int) -> None:
    with lake.writer_lock("test"):
        prune_learners(lake, keep)


def are_there(lake: Lake, learners: Mapping[str, KeptLearner]) -> set[str]:
    return {name for name, one in learners.items() if directory_of(lake, one).is_dir()}


def directory_of(lake: Lake, kept: KeptLearner) -> Path:
    return find_directory(lake.settings.home, lake.deployment, kept.model_hash)


def demand_in_force(lake: Lake) -> None:
    """What tonight's list was told by is there, whatever was pruned."""
    found = find_in_force(lake)
    assert found is not None
    for study in found.studies:
        assert study.kept is None or directory_of(lake, study.kept).is_dir()


@pytest.mark.sql
def test_of_each_action_the_newest_few_stay(lake: Lake) -> None:
    prune(lake, 2)
    learners = {name: keep(lake, name) for name in "abcdez"}
    record(lake, 1, {"voucher": learners["z"]})
    for night, name in enumerate("abcd", 1):
        record(lake, night, {"mailing": learners[name], "voucher": None})
    prune(lake, 2)
    # Locked since, an action's last learner is still its newest; no study refers to `e`.
    assert are_there(lake, learners) == {"c", "d", "z"}
    # The one that a night of before was told by once more is not the newest of all for it.
    record(lake, 2, {"mailing": learners["b"]})
    prune(lake, 2)
    assert are_there(lake, learners) == {"c", "d", "z"}


@pytest.mark.sql
def test_the_one_in_force_is_never_pruned(lake: Lake) -> None:
    """Nights again, nights of before, learners of before: whatever the order they come in."""
    history = ["3a", "3b", "3a", "1c", "2d", "1e", "3c", "4c", "4a", "2b", "3e", "4a"]
    for told in history:
        night, kept = int(told[0]), keep(lake, told[1])
        record(lake, night, {"mailing": kept})
        prune(lake, 1)
        demand_in_force(lake)
        assert len(list(learners_directory(lake.settings.home, lake.deployment).iterdir())) == 1
    found = find_in_force(lake)
    assert found is not None
    assert found.studies[0].kept == keep(lake, "a")


@pytest.mark.sql
def test_what_another_run_has_just_kept_stays(lake: Lake) -> None:
    old, fresh, half = keep(lake, "old"), keep(lake, "fresh"), keep(lake, "half")
    os.utime(directory_of(lake, fresh))
    # What a killed run has left half-written is named aside.
    left = directory_of(lake, half).with_name(".half.1234")
    directory_of(lake, half).rename(left)
    prune(lake, 5)
    assert are_there(lake, {"old": old, "fresh": fresh}) == {"fresh"}
    assert not left.exists()


@pytest.mark.sql
def test_publishing_prunes(lake: Lake) -> None:
    learners: dict[str, KeptLearner] = {}
    for night, name in enumerate("abcdefg"):
        learners[name] = keep(lake, name)
        assert publish_uplift(lake, name, tell(lake, night, {"mailing": learners[name]}))
        demand_in_force(lake)
    assert are_there(lake, learners) == set("cdefg")


@pytest.mark.faults
def test_verify_ends_with_74_where_a_learner_is_not_what_it_was(
    lake: Lake,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / f"{settings.deployment}.yaml"
    path.write_text(yaml.safe_dump({"deployment": settings.deployment}), encoding="utf-8")
    monkeypatch.setenv("HOLDFAST_HOME", str(settings.home))
    assert verify_learners(lake) == []
    old, one, other = keep(lake, "old"), keep(lake, "one"), keep(lake, "other")
    record(lake, 1, {"mailing": old})
    record(lake, 2, {"mailing": one, "voucher": other, "letter": None})
    # What is no more in force may be gone.
    shutil.rmtree(directory_of(lake, old))
    assert [told.is_right for told in verify_learners(lake)] == [True, True]
    assert cli.run(["-d", str(path), "registry", "verify"]) == 0
    assert "uplift of mailing (retention) (t_learner, serves): files right" in (
        capsys.readouterr().out
    )
    (directory_of(lake, one) / "contacted.lgb.txt").write_text("?", encoding="utf-8")
    shutil.rmtree(directory_of(lake, other))
    assert cli.run(["-d", str(path), "registry", "verify", "--json"]) == 74
    printed = capsys.readouterr()
    told = {row["name"]: row for row in json.loads(printed.out)}
    assert {name: row["files"] for name, row in told.items()} == {
        "uplift of mailing (retention)": "changed",
        "uplift of voucher (retention)": "missing",
    }
    assert "2 of 2 kept models are not what the ledger says" in printed.err
    assert "changed: contacted.lgb.txt" in printed.err
    assert "uplift makes a learner anew" in " ".join(printed.err.split())
    assert "rollback" not in printed.err
    (directory_of(lake, one) / "contacted.lgb.txt").unlink()
    assert [row.files for row in verify_learners(lake)] == ["changed", "missing"]
