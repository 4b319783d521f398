"""The benchmark's batch, made small: both sides count what was planted, at a bounded cost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.validation.__main__ import plain_by_hash
from benchmarks.validation.planted import (
    NOW,
    benchmark_settings,
    past,
    planted_rows,
    staged_batch,
    write_lines,
)
from tasks.validation.judging import validate
from tests.validation.drawing import rejected

pytestmark = pytest.mark.sql

LINES = 200_000
# The ratio is below 4 for ten million lines; of so few, what a validation costs at any size is most
# of it, and the bound is against work that grows with the rows.
MOST_SECONDS_OVER_PLAIN = 4.0


@contextmanager
def cpu_seconds(into: list[float]) -> Iterator[None]:
    started = time.process_time()
    yield
    into.append(time.process_time() - started)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("planted") / "lines.parquet"
    write_lines(file, LINES)
    return file


def test_both_sides_count_what_was_planted(lines: Path, tmp_path: Path) -> None:
    staged, settings, history = (
        staged_batch(lines, LINES),
        benchmark_settings(tmp_path),
        past(lines),
    )
    validate(staged, history, settings, now=NOW)  # the first imports Great Expectations
    ours: list[float] = []
    with cpu_seconds(ours):
        verdict = validate(staged, history, settings, now=NOW)
    found = {r.rule: r.failed_rows for r in verdict.results if r.rule in planted_rows(LINES)}
    assert found == planted_rows(LINES)
    assert verdict.outcome == "accepted"
    assert len(verdict.results) > 20
    plain = plain_by_hash(lines, tmp_path, LINES)
    assert plain["counts"] == found
    assert ours[0] < 3 * plain["cpu_seconds"] + MOST_SECONDS_OVER_PLAIN


def test_each_planted_line_is_set_aside_by_its_rule(lines: Path, tmp_path: Path) -> None:
    verdict = validate(
        staged_batch(lines, LINES), past(lines), benchmark_settings(tmp_path), now=NOW
    )
    by_rule: dict[str, list[int]] = {}
    for row_number, rules in rejected(verdict).items():
        assert len(rules) == 1
        by_rule.setdefault(rules[0], []).append(row_number)
    counts = planted_rows(LINES)
    del counts["price_not_zero"]  # it warns: gifts are real
    assert {rule: len(numbers) for rule, numbers in by_rule.items()} == counts
    # The line at place 40 repeats the one at place 25; row numbers begin at 2, and the first stays.
    assert all((number - 2) % 2000 == 40 for number in by_rule["row_repeated"])
