"""One watched shop for all tests that only read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.warehouse import Lake, open_lake

from .watched_shop import Watched, make_watched


@pytest.fixture(scope="session")
def watched(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    return make_watched(tmp_path_factory.mktemp("watched"), home, "watched_shop")


@pytest.fixture
def watched_lake(watched: Watched) -> Iterator[Lake]:
    with open_lake(watched.settings) as lake:
        yield lake
