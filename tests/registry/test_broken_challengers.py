"""Challengers broken on purpose, one of each kind: real models, the real gate, and who stops them.

broken                      stopped by
label leak                  no feature leaks; the information sheet is clean (L2)
shuffled labels             earns more than the best rule
stale features              the information sheet is clean (L1.4)
one frozen feature          the information sheet is clean (L1.4)
a slice learnt wrong        no slice is harmed
corrupt file                it loads and is quick and small
NaN scores                  evidence is complete
slow                        it loads and is quick and small
empty hold-out              evidence is complete
exception in a criterion    no feature leaks
other files registered      the registered artifact scores alike
another model than trained  golden rows are predicted alike
unsteady                    scores are stable
probabilities too high      probabilities come true
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest

from tasks.audits import LeakAudit
from tasks.churn.data import read_training_data
from tasks.churn.record import describe_training, gather_final
from tasks.churn.training import train
from tasks.errors import Refused
from tasks.features.audit import measure_separation
from tasks.handles import Champion, Decision, FeatureTable, FinalCustomers, TrainingRecord
from tasks.keeping import combine_hashes, hash_files
from tasks.registry.champion import KeptModel, find_champion, promote
from tasks.registry.evidence import Agreement
from tasks.registry.gate import gate
from tasks.registry.gathering import gather_evidence
from tasks.sections import RuleSettings
from tasks.settings import Settings
from tasks.tracking.tracker import Tracker
from tasks.warehouse import Lake, open_lake
from tests.churn.made_up import DRIVERS, WORDS, churn_settings, labelled_table
from tests.registry.promotions import keep_unregistered, say

MakeSettings = Callable[..., Settings]
CUSTOMERS = 900
# Simpler than the truth, so that there is something to win.
RULE = RuleSettings(name="recency", feature="recency_days", reason="long without an order")
ECONOMICS = {"contact_cost_amount": "0.10", "offer_cost_amount": "2.00", "budget_amount": "500"}


class Shelf:
    """A registry of models that gives back what was put there; `files` may be another model."""

    def __init__(self, files: Path) -> None:
        self.files = files

    def fetch_model(self, version: int, directory: Path) -> Path:
        return Path(shutil.copytree(self.files, directory / str(version)))


@dataclass(frozen=True)
class Trained:
    """A training from the table to the pages that the gate reads."""

    record: TrainingRecord
    final: FinalCustomers
    audit: LeakAudit


@dataclass
class Shop:
    """A lake with a champion (the best rule), and a challenger that is better in all."""

    lake: Lake
    root: Path
    sound: Trained
    champion: Champion
    versions: Iterator[int]
    kept: dict[Path, tuple[KeptModel | None, str]] = field(default_factory=dict)

    def keep(self, trained: Trained) -> tuple[KeptModel | None, str]:
        try:
            return keep_unregistered(self.lake, trained.record.model, next(self.versions)), ""
        except Refused as error:
            return None, str(error)

    def decide(
        self, trained: Trained, shelf: Path | None = None, settings: Settings | None = None
    ) -> Decision:
        """The gate's decision on a challenger, with all evidence gathered as a night does."""
        directory = trained.record.model.directory
        if directory not in self.kept:
            self.kept[directory] = self.keep(trained)
        kept, failure = self.kept[directory]
        model = replace(
            trained.record.model,
            model_hash=combine_hashes(hash_files(trained.record.model.directory)),
        )
        evidence = gather_evidence(
            self.lake,
            cast(Tracker, Shelf(shelf or model.directory)),
            trained.record,
            trained.final,
            self.champion,
            audit=trained.audit,
            kept=kept,
            load_failure=failure,
        )
        return gate(model, self.champion, evidence, (settings or self.lake.settings).registry)


def learn(lake: Lake, table: pa.Table, directory: Path) -> Trained:
    """Train on a table with outcomes and audit its features."""
    settings = lake.settings
    data = read_training_data(
        table, drivers=DRIVERS, words=WORDS, horizon_days=60.0, value_column="value_amount"
    )
    result = train(
        data,
        churn_settings(trials=2, round_trials=2, startup_trials=2, rules=(RULE,)),
        settings.economics,
        directory=directory / "out",
        study_directory=directory / "study",
    )
    moments = sorted(set(table["as_of"].to_pylist()))
    labelled = FeatureTable(
        table="made",
        as_of=tuple(moments),
        known_by=tuple(moments),
        snapshot_id=1,
        fingerprint=data.fingerprint,
        rows=table.num_rows,
        feature_names=data.feature_names,
        labelled=True,
    )
    known_by = moments[-1] + timedelta(days=61)
    record = describe_training(result, settings, labelled, known_by, at_cutoff=CUSTOMERS)
    lake.load_arrow("audited", table)
    best = measure_separation(lake, labelled, relation="audited")[0]
    audit = LeakAudit(best.feature, best.auc, len(DRIVERS), (), (), 50)
    return Trained(record, gather_final(result, data, settings), audit)


@pytest.fixture(scope="module")
def shop(make_settings: MakeSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    settings = make_settings(economics=ECONOMICS, registry={"bootstrap_replicates": 400})
    root = tmp_path_factory.mktemp("shop")
    with open_lake(settings) as lake:
        sound = learn(lake, make_table(), root / "sound")
        versions = iter(range(1, 100))
        rule = keep_unregistered(lake, sound.record.rule, next(versions))
        champion = promote(lake, rule, say("serve_rule"), None)
        assert champion == find_champion(lake)
        yield Shop(lake, root, sound, champion, versions)


def make_table() -> pa.Table:
    """Customers of about the same worth: a list earns by whom it finds, not by who is rich."""
    table = labelled_table(CUSTOMERS)
    worth = np.random.default_rng(3).lognormal(3.2, 0.2, table.num_rows)
    return set_column(table, "value_amount", worth)


def names_of_no(decision: Decision) -> list[str]:
    return [one["name"] for one in decision.evidence["criteria"] if not one["passed"]]


def detail(decision: Decision, name: str) -> str:
    return next(one["detail"] for one in decision.evidence["criteria"] if one["name"] == name)


def set_column(table: pa.Table, name: str, values: np.ndarray) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, pa.array(values))


def put_in_order(table: pa.Table) -> pa.Table:
    return table.sort_by([("as_of", "ascending"), ("customer_id", "ascending")])


def test_the_sound_challenger_is_let_in(shop: Shop) -> None:
    """So that whatever stops the others is what was broken."""
    decision = shop.decide(shop.sound)
    assert decision.outcome == "promote", decision.reason
    assert names_of_no(decision) == []
    assert len(decision.evidence["criteria"]) == 15
    assert len(decision.evidence["sheet"]) == 12
    assert decision.evidence["champion_decision_id"] == shop.champion.decision_id


def leak_label(table: pa.Table, random: np.random.Generator) -> pa.Table:
    churned = table["churned"].to_numpy(zero_copy_only=False).astype(float)
    return set_column(table, "noise", churned + random.normal(0, 0.2, len(churned)))


def shuffle_labels(table: pa.Table, random: np.random.Generator) -> pa.Table:
    table = put_in_order(table)
    churned = table["churned"].to_numpy(zero_copy_only=False).copy()
    teaching = len(churned) - CUSTOMERS
    churned[:teaching] = random.permutation(churned[:teaching])
    return set_column(table, "churned", churned)


def keep_stale(table: pa.Table, names: list[str]) -> pa.Table:
    """At the last cut-off the values are those of the cut-off before."""
    table = put_in_order(table)
    for name in names:
        values = table[name].cast("float64").to_numpy(zero_copy_only=False).copy()
        values[-CUSTOMERS:] = values[-2 * CUSTOMERS : -CUSTOMERS]
        table = set_column(table, name, values)
    return table


def turn_slice(table: pa.Table, _: np.random.Generator) -> pa.Table:
    """Those long with the shop are taught the wrong way round; the last cut-off is as it was."""
    table = put_in_order(table)
    churned = table["churned"].to_numpy(zero_copy_only=False).copy()
    long = table["tenure_days"].to_numpy() > 600
    long[-CUSTOMERS:] = False
    churned[long] = ~churned[long]
    return set_column(table, "churned", churned)


BROKEN_DATA: dict[str, tuple[Callable[[pa.Table, np.random.Generator], pa.Table], str, str]] = {
    "label leak": (leak_label, "no feature leaks", "blocked"),
    "shuffled labels": (shuffle_labels, "earns more than the best rule", "keep"),
    "stale features": (
        lambda table, _: keep_stale(table, [*DRIVERS, "value_amount"]),
        "the information sheet is clean",
        "blocked",
    ),
    "one frozen feature": (
        lambda table, _: keep_stale(table, ["amount_365"]),
        "the information sheet is clean",
        "blocked",
    ),
    "harmed slice": (turn_slice, "no slice is harmed", "keep"),
}


@pytest.mark.faults(23)
@pytest.mark.parametrize("kind", BROKEN_DATA)
def test_a_challenger_of_broken_data(shop: Shop, kind: str, tmp_path: Path) -> None:
    damage, criterion, outcome = BROKEN_DATA[kind]
    table = damage(make_table(), np.random.default_rng(7))
    decision = shop.decide(learn(shop.lake, table, tmp_path))
    assert criterion in names_of_no(decision)
    assert decision.outcome == outcome, decision.reason
    told = detail(decision, criterion)
    if kind == "label leak":
        assert "noise, AUC 0.99" in told or "noise, AUC 1.0" in told
        assert "L2" in detail(decision, "the information sheet is clean")
    if kind in ("stale features", "one frozen feature"):
        assert told.startswith("L1.4: ")
        assert "amount_365" in told
    if kind == "harmed slice":
        assert "'tenure: highest third'" in told
    assert find_champion(shop.lake) == shop.champion


def make_copy(trained: Trained, directory: Path, **changes: str) -> Trained:
    """The same training, its model's files changed; golden predictions as they were."""
    shutil.copytree(
        trained.record.model.directory, directory, ignore=shutil.ignore_patterns("__pycache__")
    )
    for name, text in changes.items():
        (directory / f"{name}").write_text(text, encoding="utf-8")
    model = replace(trained.record.model, directory=directory)
    return replace(trained, record=replace(trained.record, model=model))


def read(trained: Trained, name: str) -> str:
    return (trained.record.model.directory / name).read_text(encoding="utf-8")


@pytest.mark.faults(56)
def test_a_corrupt_file(shop: Shop, tmp_path: Path) -> None:
    text = read(shop.sound, "model.lgb.txt")
    corrupt = make_copy(shop.sound, tmp_path / "m", **{"model.lgb.txt": text[: len(text) // 2]})
    decision = shop.decide(corrupt)
    assert decision.outcome == "blocked"
    assert names_of_no(decision)[0] == "it loads and is quick and small"
    assert "does not load" in decision.reason


@pytest.mark.faults(60)
def test_a_slow_one(shop: Shop, make_settings: MakeSettings, tmp_path: Path) -> None:
    code = read(shop.sound, "model_code.py")
    head = "    def predict_matrix(self, matrix: np.ndarray) -> np.ndarray:\n"
    assert head in code
    # Slower with every customer, as one that asks something elsewhere for each.
    slow = code.replace(head, head + "        __import__('time').sleep(len(matrix) * 2e-4)\n")
    strict = make_settings(
        registry={
            "bootstrap_replicates": 400,
            "criteria": {"serving": {"milliseconds_maximum": 150.0}},
        }
    )
    decision = shop.decide(
        make_copy(shop.sound, tmp_path / "m", **{"model_code.py": slow}), settings=strict
    )
    assert decision.outcome == "keep"
    assert names_of_no(decision) == ["it loads and is quick and small"]
    found = next(
        one["figures"]
        for one in decision.evidence["criteria"]
        if one["name"] == "it loads and is quick and small"
    )
    assert found["milliseconds"] >= 200


@pytest.mark.faults
def test_another_model_than_was_trained(shop: Shop, tmp_path: Path) -> None:
    """A leaf of the file was changed between training and registration."""
    text = read(shop.sound, "calibration.json")
    other = '{"kind": "platt", "a": 0.5, "b": 0.5, "c": 0.3}\n'
    assert text != other
    decision = shop.decide(make_copy(shop.sound, tmp_path / "m", **{"calibration.json": other}))
    assert decision.outcome == "blocked"
    assert names_of_no(decision) == [
        "golden rows are predicted alike",
        "the registered artifact scores alike",
    ]


@pytest.mark.faults
def test_other_files_in_the_registry(shop: Shop) -> None:
    decision = shop.decide(shop.sound, shelf=shop.sound.record.rule.directory)
    assert decision.outcome == "blocked"
    assert names_of_no(decision) == ["the registered artifact scores alike"]


def spoil(trained: Trained, **changes: Any) -> Trained:
    return replace(trained, final=replace(trained.final, **changes))


def break_nan(trained: Trained) -> Trained:
    probability = trained.final.model_probability.copy()
    probability[5] = np.nan
    return spoil(trained, model_probability=probability)


def break_empty(trained: Trained) -> Trained:
    final, none = trained.final, np.empty(0)
    return spoil(
        trained,
        features=final.features.slice(0, 0),
        churned=none,
        contact_gain_amount=none,
        model_probability=none,
        model_return_amount=none,
        rule_return_amount=none,
        rule_probability=none,
        refit_probability=none,
        slices={},
    )


def break_audit(trained: Trained) -> Trained:
    """A figure that is text: comparing it with the limit raises."""
    return replace(trained, audit=replace(trained.audit, highest_auc=cast(float, "0.7")))


def break_steadiness(trained: Trained) -> Trained:
    """What was learnt anew says the reverse."""
    assert trained.final.refit_probability is not None
    return spoil(trained, refit_probability=1 - trained.final.refit_probability)


def break_level(trained: Trained) -> Trained:
    return spoil(trained, model_probability=trained.final.model_probability**0.3)


def forget_audit(trained: Trained) -> Trained:
    return replace(trained, audit=cast(LeakAudit, None))


def forget_slices(trained: Trained) -> Trained:
    return spoil(trained, slices={})


def forget_refit(trained: Trained) -> Trained:
    return spoil(trained, refit_probability=None)


def forget_question(trained: Trained) -> Trained:
    leakage = {code: figures for code, figures in trained.record.leakage.items() if code != "L3.2"}
    return replace(trained, record=replace(trained.record, leakage=leakage))


def break_question(trained: Trained) -> Trained:
    leakage = {**trained.record.leakage}
    leakage["L3.3"] = {**leakage["L3.3"], "final_churn_share": float("nan")}
    return replace(trained, record=replace(trained.record, leakage=leakage))


BROKEN_EVIDENCE: dict[str, tuple[Callable[[Trained], Trained], str, str]] = {
    "NaN scores": (break_nan, "evidence is complete", "blocked"),
    "empty hold-out": (break_empty, "evidence is complete", "blocked"),
    "exception in a criterion": (break_audit, "no feature leaks", "blocked"),
    "unsteady": (break_steadiness, "scores are stable", "keep"),
    "too high": (break_level, "probabilities come true", "keep"),
    "no audit": (forget_audit, "no feature leaks", "blocked"),
    "no slices": (forget_slices, "no slice is harmed", "blocked"),
    "no refit": (forget_refit, "scores are stable", "blocked"),
    "question without figures": (forget_question, "the information sheet is clean", "blocked"),
    "figure that is no number": (break_question, "the information sheet is clean", "blocked"),
}


@pytest.mark.faults(62)
@pytest.mark.parametrize("kind", BROKEN_EVIDENCE)
def test_a_challenger_of_broken_evidence(
    shop: Shop, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The artifact is sound in all of them, and compared only where the customers are not."""
    damage, criterion, outcome = BROKEN_EVIDENCE[kind]
    if kind != "empty hold-out":
        agreement = Agreement(True, 1000, 0.0, 0.0)
        monkeypatch.setattr("tasks.registry.gathering.compare_registered", lambda *_: agreement)
    decision = shop.decide(damage(shop.sound))
    assert criterion in names_of_no(decision)
    assert decision.outcome == outcome, decision.reason
    assert find_champion(shop.lake) == shop.champion
