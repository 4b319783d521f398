"""A good CSV file, broken in one way or two: caught, or read to the very same rows.

Nothing is ever accepted with rows that the good file does not have.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tasks.errors import LockHeld
from tasks.handles import StagedBatch
from tasks.intake.rejection import BatchRejected
from tasks.validation.binding import bind_values
from tasks.validation.rules import active_rows, table_rules
from tasks.validation.splitting import split_rows, write_rejects
from tasks.validation.statistics import measure
from tasks.warehouse import scratch
from tests.faults.csv_mutations import MUTATIONS, Mutation, Text, good_file, mutate
from tests.intake.shop import Shop, rows_of

pytestmark = pytest.mark.faults

# A longer search: HOLDFAST_MUTATIONS=5000
EXAMPLES = int(os.environ.get("HOLDFAST_MUTATIONS", "60"))
NOW = datetime(2011, 10, 10, tzinfo=UTC)
SEEN = [mutation for mutation in MUTATIONS if mutation.fate != "unseen"]

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of a file: the rows that go on, and how many lines stand aside."""

    rows: Counter[Row]
    aside: int


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("mutations"))


@pytest.fixture(scope="module")
def careful_shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop whose source sends a checksum with each file."""
    return Shop(tmp_path_factory.mktemp("checksums"), checksum_file=True)


def read(shop: Shop, content: bytes) -> Reading | None:
    """The file through reading and the rules about rows; None where it is refused whole."""
    for path in shop.folder.iterdir():
        path.unlink()
    try:
        staged = shop.stage(content, "m.csv")
    except BatchRejected:
        return None
    aside = refused_lines(shop, staged)
    rows = rows_of(staged)
    assert aside <= {row["row_number"] for row in rows}
    essence = [
        tuple(v for k, v in row.items() if k not in ("row_number", "raw_line", "received_at"))
        for row in rows
        if row["row_number"] not in aside
    ]
    return Reading(Counter(essence), len(aside))


def refused_lines(shop: Shop, staged: StagedBatch) -> set[int]:
    """The lines that our own split sets aside; that Great Expectations agrees is tested apart."""
    rules = active_rows("orders", shop.settings.validation.tables["orders"])
    path = str(staged.staged_path)
    with scratch(threads=1) as connection:
        figures = measure(connection, path, table_rules("orders"))
        values = bind_values(table_rules("orders"), rules, figures, shop.settings, NOW)
        split_rows(connection, path, rules, values)
        rejects = write_rejects(
            connection, path, rules, staged.staged_path.with_suffix(".rejects.parquet")
        )
        found = connection.rows(
            "select distinct row_number from read_parquet($path)", {"path": str(rejects)}
        )
    return {int(row["row_number"]) for row in found}


def judge(shop: Shop, text: Text, mutations: Sequence[Mutation], dice: Random) -> None:
    """The claim: caught, or harmless and the same rows; never other rows without a word."""
    good = read(shop, text.write())
    assert good is not None
    assert (good.aside, good.rows.total()) == (0, len(text.rows))
    found = read(shop, mutate(text, list(mutations), dice))
    if found is None:
        assert any(mutation.fate == "caught" for mutation in mutations)
        return
    assert found.rows <= good.rows, "rows are published that the good file does not have"
    if all(mutation.fate == "harmless" for mutation in mutations):
        assert found == good
    elif len(mutations) == 1:
        assert found.aside > 0, "nothing was set aside"
    else:
        # One mutation may undo another; then the rows are all there again.
        assert found.aside > 0 or found.rows == good.rows


@pytest.mark.parametrize("mutation", SEEN, ids=lambda mutation: mutation.name)
def test_each_mutation_alone(shop: Shop, mutation: Mutation) -> None:
    dice = Random(mutation.name)
    judge(shop, good_file(dice), [mutation], dice)
    assert bool(mutation.reason) == (mutation.fate == "harmless")


@hypothesis_settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    mutations=st.lists(st.sampled_from(SEEN), min_size=1, max_size=2),
    seed=st.integers(0, 10_000),
)
def test_mutations_together(shop: Shop, mutations: list[Mutation], seed: int) -> None:
    dice = Random(seed)
    judge(shop, good_file(dice), mutations, dice)


@pytest.mark.parametrize(
    "mutation", [m for m in MUTATIONS if m.fate == "unseen"], ids=lambda mutation: mutation.name
)
def test_what_no_file_can_tell_a_checksum_tells(careful_shop: Shop, mutation: Mutation) -> None:
    dice = Random(mutation.name)
    text = good_file(dice)
    content = mutate(text, [mutation], dice)
    assert content != text.write()
    assert mutation.reason
    path: Path = careful_shop.folder / "m.csv"
    beside = path.with_name("m.csv.sha256")
    beside.write_text(hashlib.sha256(text.write()).hexdigest())
    with pytest.raises(LockHeld, match="another sha256"):
        careful_shop.keep(content, "m.csv")
    careful_shop.keep(text.write(), "m.csv")
