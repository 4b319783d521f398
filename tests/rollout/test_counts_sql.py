"""Tables drawn as text through the SQL that counts."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from tasks.rollout.evidence import DayCounts, GuardrailCounts
from tasks.settings import PROJECT
from tasks.warehouse import scratch

pytestmark = pytest.mark.sql
_ENROLLED = (
    "rollout_id int, arm text, day date, exposed bool, logged bool, due bool, matured bool,"
    " lapsed bool, amount decimal(9, 2), covariate double"
)
_SQL = PROJECT / "tasks" / "rollout" / "sql"


def _rows(file: str, tables: dict[str, str], names: dict[str, str]) -> list[dict[str, Any]]:
    """The query over tables given as lines of values, the first line being columns with types."""
    with scratch() as connection:
        for name, text in tables.items():
            head, *lines = [line.strip() for line in text.strip().splitlines()]
            connection.execute(f"create table {name} ({head})")
            for line in lines:
                connection.execute(f"insert into {name} values ({line})")
        sql = connection.text(_SQL / file, names=names)
        return connection.rows(sql, {"as_of": date(2026, 1, 20)})


def test_each_step_counts_those_of_the_step_before() -> None:
    found = _rows(
        "day_counts.sql",
        {
            "enrolled": f"""
            {_ENROLLED}
            1, 'champion', '2026-01-05', true, true, true, true, true, 2.0, 3.0
            1, 'champion', '2026-01-05', true, true, true, true, false, 4.0, 1.0
            1, 'champion', '2026-01-05', true, false, true, false, null, 9.0, 9.0
            1, 'champion', '2026-01-05', false, true, true, true, true, 9.0, 9.0
            1, 'challenger', '2026-01-05', true, true, false, false, null, null, null
            2, 'challenger', '2026-01-05', true, true, true, true, true, null, null
            """
        },
        {"enrolled": "enrolled"},
    )
    counts = {(row.pop("rollout_id"), row["arm"]): DayCounts(**row) for row in found}
    day = date(2026, 1, 5)
    assert counts[1, "champion"] == DayCounts(
        day, "champion", 4, 3, 2, 3, 2, 1, 6.0, 20.0, 4.0, 10.0, 10.0, 72.0, 28.0, 28.0, 22.0
    )
    assert counts[1, "challenger"] == DayCounts(day, "challenger", 1, 1, 1, 0, 0, 0)
    assert counts[2, "challenger"] == DayCounts(day, "challenger", 1, 1, 1, 1, 1, 1)


def test_a_customer_counts_once_and_only_after_entering() -> None:
    found = _rows(
        "guardrail_counts.sql",
        {
            "entered": """
            rollout_id int, customer_id text, arm text, day date
            1, 'a', 'champion', '2026-01-05'
            1, 'b', 'champion', '2026-01-05'
            1, 'c', 'challenger', '2026-01-05'
            1, 'd', 'challenger', '2026-01-08'
            2, 'a', 'challenger', '2026-01-05'
            """,
            "happened": """
            rollout_id int, customer_id text, guardrail text, day date
            1, 'c', 'complaints', '2026-01-06'
            1, 'c', 'complaints', '2026-01-07'
            1, 'd', 'complaints', '2026-01-07'
            1, 'a', 'complaints', '2026-01-09'
            1, 'd', 'complaints', '2026-01-09'
            1, 'b', 'complaints', '2026-01-21'
            1, 'a', 'errors', '2026-01-05'
            2, 'a', 'complaints', '2026-01-06'
            """,
        },
        {"entered": "entered", "happened": "happened"},
    )
    by_rollout: dict[int, list[GuardrailCounts]] = {}
    for row in found:
        by_rollout.setdefault(row.pop("rollout_id"), []).append(GuardrailCounts(**row))
    assert by_rollout[1] == [
        # The second complaint of c and that of d before entering do not count; b's is of tomorrow.
        GuardrailCounts("complaints", date(2026, 1, 6), 2, 1, 0, 1),
        GuardrailCounts("complaints", date(2026, 1, 9), 2, 1, 1, 1),
        GuardrailCounts("errors", date(2026, 1, 5), 2, 1, 1, 0),
    ]
    assert by_rollout[2] == [GuardrailCounts("complaints", date(2026, 1, 6), 0, 1, 0, 1)]
