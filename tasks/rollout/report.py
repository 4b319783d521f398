"""A rollout as it is told: plain values for JSON, its looks, and its nights in few lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from tasks.rollout.recording import Rollout, read_history, verdict_of
from tasks.rollout.verdict import Estimate, Look

if TYPE_CHECKING:
    from tasks.warehouse import Lake

# What the signs of both worlds say of each other.
Signs = Literal["same", "opposite", "not_shown", "not_known"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A look and what could be said after it; an estimate is adjusted for the looks before."""

    look: Look
    estimate: Estimate | None

    @property
    def effect(self) -> float:
        return self.look.effect if self.estimate is None else self.estimate.effect


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows of a rollout told as one: a decision, or nights one after another without any."""

    rows: tuple[Rollout, ...]
    is_quiet: bool

    @property
    def last(self) -> Rollout:
        return self.rows[-1]

    @property
    def since(self) -> date:
        return night_of(self.rows[0])

    @property
    def until(self) -> date:
        return night_of(self.last)


def describe(lake: Lake, rollout: Rollout) -> dict[str, Any]:
    """A rollout with all rows that the ledger has of it, as `tell`."""
    return tell(rollout, read_history(lake, rollout.rollout_id))


def tell(rollout: Rollout, history: Sequence[Rollout]) -> dict[str, Any]:
    """A rollout as plain values: plan, state, both arms, the verdict, every look, and every row.

    A look's effect and interval are in the metric's unit, a share's 0 to 1.
    """
    judged = rollout if verdict_of(rollout) is not None else last_judged(history)
    return {
        "rollout_id": rollout.rollout_id,
        "subject": rollout.plan.subject,
        "state": rollout.state,
        "stage": rollout.stage,
        "share": rollout.share,
        "since": rollout.stages_since[0].isoformat() if rollout.stages_since else None,
        "stage_since": rollout.stages_since[-1].isoformat() if rollout.stages_since else None,
        "as_of": rollout.as_of.isoformat() if rollout.as_of else None,
        "decided_at": rollout.decided_at.isoformat(),
        "reason": rollout.reason,
        "actor": rollout.actor,
        "plan": rollout.plan.model_dump(mode="json"),
        "plan_hash": rollout.terms_hash,
        "terms": rollout.terms.model_dump(mode="json"),
        "arms": judged.evidence.get("arms") if judged else None,
        "verdict": judged.evidence.get("verdict") if judged else None,
        "crossed": judged.evidence.get("crossed", 0) if judged else 0,
        "agreement": _read_agreement(rollout),
        "looks": [_tell_look(seen) for seen in list_looks(history)],
        "history": [
            {
                "row": one.row_number,
                "what": one.row_kind,
                "state": one.state,
                "stage": one.stage,
                "as_of": one.as_of.isoformat() if one.as_of else None,
                "decided_at": one.decided_at.isoformat(),
                "actor": one.actor,
                "reason": one.reason,
            }
            for one in history
        ],
    }


def night_of(row: Rollout) -> date:
    """The night that a row is of; that of its writing where nothing was looked at (UTC)."""
    return (row.as_of or row.decided_at).date()


def list_looks(history: Sequence[Rollout]) -> list[Seen]:
    """The looks at the metric, in order, each with the estimate of its row."""
    verdicts = [verdict_of(row) for row in history]
    return [Seen(one.look, one.estimate) for one in verdicts if one is not None and one.look]


def newest_estimate(history: Sequence[Rollout]) -> tuple[date, Estimate] | None:
    """The last night whose verdict has an effect with its interval, and that."""
    for row in reversed(history):
        verdict = verdict_of(row)
        if verdict is not None and verdict.estimate is not None:
            return night_of(row), verdict.estimate
    return None


def last_judged(history: Sequence[Rollout]) -> Rollout | None:
    """The newest row that a verdict was written with."""
    return next((one for one in reversed(history) if verdict_of(one) is not None), None)


def fold_history(history: Sequence[Rollout]) -> list[Stretch]:
    """The rows in order; nights in which nothing was decided, and nights held, are each one."""
    return [
        Stretch(tuple(rows), kind == "quiet") for (kind, _), rows in groupby(history, _fold_key)
    ]


def _fold_key(row: Rollout) -> tuple[str, int]:
    if row.row_kind == "hold":
        return "hold", 0
    verdict = verdict_of(row)
    if row.row_kind == "continue" and (verdict is None or verdict.look is None):
        return "quiet", 0
    return "row", row.row_number


def read_signs(found: Mapping[str, Any]) -> Signs:
    """What the signs of a row's `agreement` say of each other.

    An effect whose interval holds 0 may be of either sign: what it was found to be is no evidence.
    """
    offline, online = found["offline"], found["online"]
    difference = offline["difference_amount"]
    if difference is None or online is None:
        return "not_known"
    if not _leaves_zero_out(online["low"], online["high"]):
        return "not_shown"
    if not _leaves_zero_out(offline["low_amount"], offline["high_amount"]):
        return "not_shown"
    return "same" if (difference > 0) == (online["effect"] > 0) else "opposite"


def sum_up_agreement(finished: Iterable[Rollout]) -> dict[str, Any]:
    """How often the gate's difference and the rollout's had the same sign, and each pair.

    Compared are rollouts in which both intervals leave 0 out. It is read from the intervals that
    the ledger has, whatever was written there of their signs.
    """
    pairs = [
        pair
        for pair in (
            {"rollout_id": one.rollout_id, "state": one.state, **(_read_agreement(one) or {})}
            for one in finished
        )
        if "signs" in pair
    ]
    count = {signs: sum(pair["signs"] == signs for pair in pairs) for signs in _AGREE}
    return {
        "rollouts": len(pairs),
        "compared": count["same"] + count["opposite"],
        "agreeing": count["same"],
        "not_shown": count["not_shown"],
        "pairs": pairs,
    }


def say_agreement(found: Mapping[str, Any]) -> str:
    """`sum_up_agreement` in words."""
    said = []
    if found["compared"]:
        said.append(
            f"Offline and online agree on the sign in {found['agreeing']} of {found['compared']}"
            " finished rollouts in which both are shown."
        )
    if found["not_shown"]:
        which = "rollouts" if found["not_shown"] > 1 else "rollout"
        said.append(
            f"In {found['not_shown']} {'more ' if said else ''}finished {which} the difference is"
            " not shown either way: an interval holds 0, so that its sign is no evidence."
        )
    return " ".join(said) or "No finished rollout has both an offline and an online difference yet."


def say_markdown(told: Mapping[str, Any]) -> str:
    """The latest state for an artifact of the flow run."""
    lines = [f"**{told['state'].replace('_', ' ')}** at {told['share']:.2%}: {told['reason']}"]
    if told["arms"]:
        lines += ["", "| arm | assigned | matured | events |", "|---|---:|---:|---:|"]
        lines += [
            f"| {arm} | {figures['assigned']:,.0f} | {figures['matured']:,.0f} |"
            f" {figures['events']:,.0f} |"
            for arm, figures in told["arms"].items()
        ]
    return "\n".join(lines)


_AGREE: Mapping[Signs, bool | None] = {
    "same": True,
    "opposite": False,
    "not_shown": None,
    "not_known": None,
}


def _read_agreement(rollout: Rollout) -> dict[str, Any] | None:
    """Both worlds as the ledger has them, and what their signs say; None where it has none."""
    written = rollout.evidence.get("agreement")
    if not written:
        return None
    signs = read_signs(written)
    return {**written, "signs": signs, "agree": _AGREE[signs]}


def _leaves_zero_out(low: float | None, high: float | None) -> bool:
    """Whether an interval is on one side of 0; where there is none nothing speaks against it."""
    return low is None or high is None or low > 0 or high < 0


def _tell_look(seen: Seen) -> dict[str, Any]:
    look, estimate = seen.look, seen.estimate
    return {
        "number": look.number,
        "date": look.on.isoformat(),
        "information_share": look.information_share,
        "z": look.z,
        "upper": look.upper,
        "lower": look.lower,
        "effect": seen.effect,
        "interval": None if estimate is None else [estimate.low, estimate.high],
        "confidence": None if estimate is None else estimate.confidence,
        "method": None if estimate is None else estimate.method,
        "is_last": look.is_last,
    }
