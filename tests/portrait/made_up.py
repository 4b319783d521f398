"""Pages' worth of findings: everything known, nothing known, and texts that attack."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tasks.findings import Movement, Words
from tasks.portrait.gathering import Champion, Portrait

from .found import (
    AS_OF,
    action_findings,
    contest,
    forecast_findings,
    reason_findings,
    segment_findings,
    value_findings,
)

EVIL = (
    "<script>document.title='owned'</script>"
    "<img src='http://127.0.0.1:9/x.png' onerror=\"document.title='owned'\">"
    "\"'></title></style><b>&lt;%{x}$x^2$"
)


def champion(**changed: Any) -> Champion:
    made = Champion(
        name="lightgbm",
        version=4,
        kind="model",
        run_id="9f2c1c7a4c1b4a0f8d53b7e5a9f0c111",
        snapshot_id=409,
        promoted_at=datetime(2011, 12, 2, 2, 11, tzinfo=UTC),
        contest=contest(
            served="lightgbm",
            rival="gap_ratio",
            measure="profit_amount",
            served_figure=8_214.5,
            rival_figure=6_902.0,
            difference=1_312.5,
            low=404.0,
            high=2_230.0,
            reason="",
        ),
    )
    return replace(made, **changed)


def portrait(**changed: Any) -> Portrait:
    """Everything found out, nothing odd."""
    made = Portrait(
        deployment="corner_shop",
        called="corner_shop",
        as_of=AS_OF,
        champion=champion(),
        value=value_findings(),
        segments=segment_findings(),
        reasons=reason_findings(),
        forecasts=forecast_findings(),
        actions=action_findings(),
        former={"s0": Words(en="Old faithfuls", ko="오랜 단골")},
        finding_ids={kind: f"{kind}-0123456789abcdef" for kind in
                     ("value", "segments", "reasons", "forecasts", "actions")},
    )  # fmt: skip
    return replace(made, **changed)


def empty_portrait() -> Portrait:
    """A deployment of which nothing is known yet."""
    return Portrait(deployment="corner_shop", called="corner_shop", as_of=AS_OF)


def evil_portrait() -> Portrait:
    """Every text that a stranger or a setting could write wants to run."""
    words = Words(en=EVIL, ko=EVIL)
    found = segment_findings()
    segments = tuple(
        one.model_copy(
            update={
                "name": words,
                "conditions": (EVIL,),
                "sql": EVIL,
                "traits": tuple(t.model_copy(update={"words": words}) for t in one.traits),
            }
        )
        for one in found.segments
    )
    reasons = reason_findings()
    actions = action_findings()
    line = actions.lines[0].model_copy(update={"words": words, "channel": EVIL, "segment_id": EVIL})
    return portrait(
        deployment=EVIL,
        called=EVIL,
        champion=champion(name=EVIL, contest=contest(served=EVIL, rival=EVIL, measure=EVIL)),
        segments=found.model_copy(
            update={
                "segments": segments,
                "method": EVIL,
                "model_name": EVIL,
                "heat_features": tuple(words for _ in found.heat_features),
                "notes": (words,),
                "movements": (*found.movements, Movement(from_id=EVIL, to_id="s1", customers=9)),
                "contest": contest(served=EVIL, rival=EVIL, reason=EVIL),
            }
        ),
        reasons=reasons.model_copy(
            update={
                "drivers": tuple(d.model_copy(update={"words": words}) for d in reasons.drivers),
                "journey": tuple(d.model_copy(update={"words": words}) for d in reasons.journey),
                "notes": (words,),
            }
        ),
        value=value_findings(parameters={EVIL: 1.0}, contest=contest(served=EVIL)),
        actions=actions.model_copy(
            update={
                "lines": (line,),
                "winback_lines": (line,),
                "left_alone": {EVIL: 1},
                "files": (EVIL,),
                "notes": (words,),
            }
        ),
    )
