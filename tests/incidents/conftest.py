"""Shops whose deliveries go wrong."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.incidents.shop import QueueShop

_numbers = itertools.count(1)
MakeShop = Callable[..., QueueShop]


@pytest.fixture
def make_shop(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> MakeShop:
    """A new shop; sections of its deployment by name."""
    monkeypatch.setenv("HOLDFAST_HOME", str(home))

    def make(**sections: Any) -> QueueShop:
        name = f"queue_shop_{next(_numbers)}"
        return QueueShop(tmp_path / name, home, name, **sections)

    return make


@pytest.fixture
def shop(make_shop: MakeShop) -> QueueShop:
    """A shop after six good days."""
    made = make_shop()
    made.deliver_good()
    assert made.ingest() == 0, made.said
    return made
