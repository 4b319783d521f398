"""What is known of the actions by lot, as the list reads it: `action_effects`, `customer_uplifts`.

Levels: 0 the model predicts, 1 its ranking is confirmed, 2 the action works overall, 3 it is known
what it does in this segment or for this reason. Only then, or where harm is known, is the measured
increment taken instead of the policy's guess. Where uplift targeting of an action is unlocked, the
customer's own uplift is taken instead of either.
"""

from __future__ import annotations

import json
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
    """Make `policy_effect` and `own_uplift` of a list; empty where the night has no evidence."""
    for name in ("policy_effect", "own_uplift"):
        lake.run(_SQL / f"{name}.sql", {**values, "listed_for": listed_for})


def read_evidence(lake: Lake, as_of: datetime, uplift_id: str | None) -> list[list[str]]:
    """All that the list takes of the evidence, in a fixed order, to name a run by."""
    values = {"uplift_id": uplift_id, "as_of": as_of}
    rows = lake.rows(
        "select listed_for, action, segment_id, driver, level, metric, is_measured,"
        " incremental_share, incremental_amount from lake.main.action_effects"
        " where run_id = $uplift_id and as_of = $as_of order by all",
        values,
    )
    rows += lake.rows(lake.text(_SQL / "own_fingerprint.sql"), values)
    return [[str(value) for value in row.values()] for row in rows]


def note_evidence(lake: Lake, as_of: datetime, uplift_id: str | None) -> list[Words]:
    """What the expected returns of the list rest on, where not all of it was measured."""
    if uplift_id is None:
        return [
            Words(
                en="No evidence as of then: level 0, every expected return rests on the policy's"
                " guess of what an offer keeps.",
                ko="근거 분석이 없어 0단계입니다. 예상 수익은 모두 정책의 추정치입니다.",
            )
        ]
    return [*_note_targeting(lake, as_of, uplift_id), *_note_guesses(lake)]


def _note_targeting(lake: Lake, as_of: datetime, uplift_id: str) -> list[Words]:
    """Of each action that was studied: whose own uplift is taken, or why nobody's."""
    content = lake.scalar(
        "select content from lake.ledger.findings where finding_id = $id and kind = 'uplift'"
        " order by recorded_at desc limit 1",
        {"id": uplift_id},
    )
    told = {
        (row["listed_for"], row["action"]): int(row["customers"])
        for row in lake.rows(
            "select listed_for, action, count(*) as customers from action_row"
            " where evidence_basis = 'own_uplift' and not held_out group by listed_for, action"
        )
    }
    known = {
        (row["listed_for"], row["action"])
        for row in lake.rows(
            "select distinct listed_for, action from lake.main.customer_uplifts"
            " where run_id = $uplift_id and as_of = $as_of",
            {"uplift_id": uplift_id, "as_of": as_of},
        )
    }
    notes = []
    for study in json.loads(str(content)).get("studies", []):
        place = (study["listed_for"], study["action"])
        if not study["unlocked"]:
            notes.append(
                Words(
                    en=f"Uplift targeting of '{place[1]}' is not used. {study['reason']['en']}",
                    ko=f"'{place[1]}'에는 업리프트 타기팅을 쓰지 않습니다. {study['reason']['ko']}",
                )
            )
        elif place not in known:
            notes.append(
                Words(
                    en=f"Uplift targeting of '{place[1]}' is unlocked, but nobody's own uplift was"
                    " told for tonight: the list rests on what is known without it.",
                    ko=f"'{place[1]}'의 업리프트 타기팅은 허용되었지만 오늘 밤의 고객별 값이"
                    " 없어 쓰지 않습니다.",
                )
            )
        else:
            notes.append(
                Words(
                    en=f"Uplift targeting of '{place[1]}' is unlocked: {told.get(place, 0):,} of"
                    " the customers listed for it were chosen by their own predicted uplift.",
                    ko=f"'{place[1]}'의 업리프트 타기팅이 허용되어 목록의 고객"
                    f" {told.get(place, 0):,}명을 고객별 업리프트로 선택했습니다.",
                )
            )
    return notes


def _note_guesses(lake: Lake) -> list[Words]:
    guessed = lake.scalar("select count(*) filter (evidence_basis = 'guess') from action_row")
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
