"""A step's line: made of the ledger alone, so that it can be told again."""

from __future__ import annotations

from flows.replaying import tell_week
from tasks.replay.recording import Told

from .made_up import told


def test_a_line_says_what_has_happened() -> None:
    assert tell_week(told()) == (
        "2023-01-02    1,200      12     400    40  v1      gate: v1 promote"
    )
    line = tell_week(
        told(
            3,
            planted=("unit_change",),
            opened=("UNIT_SHIFT:orders", "UNIT_SHIFT:orders"),
            settled=("replayed UNIT_SHIFT",),
            alerts=("performance:auc",),
        )
    )
    assert line.endswith(
        "planted unit_change; opened UNIT_SHIFT:orders; settled: replayed UNIT_SHIFT;"
        " performance:auc"
    )


def test_a_quiet_step_ends_without_blanks() -> None:
    assert tell_week(told(1)) == tell_week(told(1)).rstrip()


def test_a_line_survives_the_ledger() -> None:
    one = told(2, settled=("waived NULLS",), reasons=("a", "b"), learnt=("v2", "v3"),
               decisions=("keep", "promote"))  # fmt: skip
    assert tell_week(Told.model_validate_json(one.model_dump_json())) == tell_week(one)
