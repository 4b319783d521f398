"""A village for each test that asks for one, and its commands run in this process."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows import cli
from tasks import orchestration
from tasks.registry import integrity
from tasks.settings import HOME_VARIABLE
from tests.rollout.village import NAME, Village, crown, fill, open_village, write_village

_numbers = itertools.count(1)
Settle = Callable[..., Village]
Hamlet = Callable[..., Village]


class Lenient:
    """Stands for validation where a rollout is asked about something else."""

    @staticmethod
    def validate_features(*_arguments: object) -> None:
        return

    @staticmethod
    def validate_scores(_path: object, settings: object) -> None:
        return


@pytest.fixture
def settle(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Settle:
    """Make a village: `settle(leaves, start=True, **rollout settings)`."""
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    monkeypatch.setattr(orchestration, "prefect_answers", lambda: False)
    monkeypatch.setattr(import_module("flows.score"), "validation", Lenient)
    # That a model loads in a process of its own is asked by the registry's tests.
    monkeypatch.setattr(integrity, "predict_apart", lambda *_arguments: (0.5,) * 24)
    # MLflow is told in tests of their own.
    registry = import_module("flows.contenders").registry
    monkeypatch.setattr(registry, "mirror_registry", lambda _lake: "right")

    def make(leaves: Callable[[str, str], bool], *, start: bool = True, **rollout: Any) -> Village:
        number = next(_numbers)
        folder = tmp_path / str(number)
        folder.mkdir()
        village = write_village(folder / f"village_{number}.yaml", home, **rollout)
        with open_village(village) as lake:
            fill(lake, village, leaves)
            crown(lake, folder)
        if start:
            assert run(village, "plan", "--name", NAME) == 0
            assert run(village, "start") == 0
            assert cli.run(["-d", str(village.path), "score"]) == 0
        return village

    return make


def run(village: Village, *words: str) -> int:
    """`holdfast rollout ...` in this process; its exit code."""
    return cli.run(["-d", str(village.path), "rollout", *words])


@pytest.fixture
def hamlet(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Hamlet:
    """Make villages without models, for policies and segments.

    Of the champion's customers six in ten leave, of the challenger's one, or the shares given.
    """
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    monkeypatch.setattr(orchestration, "prefect_answers", lambda: False)
    # MLflow is told in tests of their own.
    monkeypatch.setattr(
        import_module("tasks.actions.steps"), "_log_lists", lambda *_arguments: None
    )

    def make(challenger: float = 0.1, champion: float = 0.6) -> Village:
        def leaves(customer: str, arm: str) -> bool:
            share = challenger if arm == "challenger" else champion
            return (int(customer[1:]) * 37) % 100 < 100 * share

        village = write_village(tmp_path / f"hamlet_{next(_numbers)}.yaml", home)
        village.sections["economics"] = {"budget_amount": "300"}
        village.go_to(0)
        with open_village(village) as lake:
            fill(lake, village, leaves)
        return village

    return make


@pytest.fixture
def ask() -> SimpleNamespace:
    return SimpleNamespace(run=run)
