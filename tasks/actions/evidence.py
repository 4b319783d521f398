"""What is known of the actions by lot, as the list reads it: `lake.main.action_effects`.

Levels: 0 the model predicts, 1 its ranking is confirmed, 2 the action works overall, 3 it is known
what it does in this segment or for this reason. Only then, or where harm is known, is the measured
increment taken instead of the policy's guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.findings import Words

if TYPE_CHECKING:
    from tasks.actions.policy import ListName
    from tasks.warehouse import Lake

_SQL = Path(__file__).with_name("sql")


def load_effects(lake: Lake, values: Mapping[str, Any], listed_for: ListName) -> None:
    """Make the table `policy_effect` of a list; empty where the night has no evidence."""
    lake.run(_SQL / "policy_effect.sql", {**values, "listed_for": listed_for})


def read_evidence(lake: Lake, as_of: datetime, uplift_id: str | None) -> list[list[str]]:
    """All that the list takes of the evidence, in a fixed order, to name a run by."""
    rows = lake.rows(
        "select listed_for, action, segment_id, driver, level, metric, is_measured,"
        " incremental_share, incremental_amount from lake.main.action_effects"
        " where run_id = $uplift_id and as_of = $as_of order by all",
        {"uplift_id": uplift_id, "as_of": as_of},
    )
    return [[str(value) for value in row.values()] for row in rows]


def note_evidence(lake: Lake, uplift_id: str | None) -> list[Words]:
    """What the expected returns of the list rest on, where not all of it was measured."""
    if uplift_id is None:
        return [
            Words(
                en="No evidence as of then: level 0, every expected return rests on the policy's"
                " guess of what an offer keeps.",
                ko="근거 분석이 없어 0단계입니다. 예상 수익은 모두 정책의 추정치입니다.",
            )
        ]
    guessed = lake.scalar("select count(*) filter (evidence_level < 3) from action_row")
    if not guessed:
        return []
    return [
        Words(
            en=f"For {guessed:,} of the customers listed the expected return rests on the policy's"
            " guess of what an offer keeps: no lot has told it for their segment or reason.",
            ko=f"목록의 고객 {guessed:,}명은 예상 수익이 정책의 추정치입니다. 해당 세그먼트나"
            " 이유에 대한 추첨 결과가 없습니다.",
        )
    ]
