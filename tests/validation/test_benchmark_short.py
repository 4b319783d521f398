"""The benchmark's batch, made small: both sides count what was planted, at a bounded cost."""

from __future__ import annotations

import time
from dataclasses import dataclass
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
from tasks.handles import Verdict
from tasks.validation.engine import build_suite
from tasks.validation.judging import validate
from tests.validation.drawing import rejected

pytestmark = pytest.mark.sql

LINES = 200_000
# Of so few lines, what a validation costs at any size is most of it. The bound is against work that
# begins to grow with the rows; the benchmark itself is for the ratio.
MOST_TIMES_PLAIN, MOST_SECONDS = 3.0, 5.0


@dataclass(frozen=True, slots=True)
class Judged:
    file: Path
    verdict: Verdict
    cpu_seconds: float


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    folder = tmp_path_factory.mktemp("planted")
    file = folder / "lines.parquet"
    write_lines(file, LINES)
    settings, history = benchmark_settings(folder), past(file)
    build_suite("orders", {})  # the first imports Great Expectations
    started = time.process_time()
    verdict = validate(staged_batch(file, LINES), history, settings, now=NOW)
    return Judged(file, verdict, time.process_time() - started)


def test_both_sides_count_what_was_planted(judged: Judged, tmp_path: Path) -> None:
    planted = planted_rows(LINES)
    found = {r.rule: r.failed_rows for r in judged.verdict.results if r.rule in planted}
    assert found == planted
    assert judged.verdict.outcome == "accepted"
    plain = plain_by_hash(judged.file, tmp_path, LINES)
    assert plain["counts"] == planted
    assert judged.cpu_seconds < MOST_TIMES_PLAIN * plain["cpu_seconds"] + MOST_SECONDS


def test_each_planted_line_is_set_aside_by_its_rule(judged: Judged) -> None:
    by_rule: dict[str, list[int]] = {}
    for row_number, rules in rejected(judged.verdict).items():
        assert len(rules) == 1
        by_rule.setdefault(rules[0], []).append(row_number)
    counts = planted_rows(LINES)
    del counts["price_not_zero"]  # it warns: gifts are real
    assert {rule: len(numbers) for rule, numbers in by_rule.items()} == counts
    # The line at place 40 repeats the one at place 25; row numbers begin at 2, and the first stays.
    assert all((number - 2) % 2000 == 40 for number in by_rule["row_repeated"])
