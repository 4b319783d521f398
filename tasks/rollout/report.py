"""A rollout as it is told: plain values for JSON, and a page for whoever asks how it went."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from tasks.rollout.recording import Rollout, read_history, verdict_of

if TYPE_CHECKING:
    from tasks.warehouse import Lake

_STYLE = Markup(
    "<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
    "padding:0 1rem;color:#1b1b1b;background:#fff}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0}"
    "th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #ccc;vertical-align:top}"
    "</style>"
)


def describe(lake: Lake, rollout: Rollout) -> dict[str, Any]:
    """A rollout as plain values: plan, state, both arms, the verdict, and every row."""
    history = read_history(lake, rollout.rollout_id)
    verdict = verdict_of(rollout)
    judged = rollout if verdict is not None else _last_judged(history)
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
        "agreement": rollout.evidence.get("agreement"),
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


def sum_up_agreement(finished: Iterable[Rollout]) -> dict[str, Any]:
    """How often the gate's difference and the rollout's had the same sign, and each pair."""
    pairs = [
        {"rollout_id": one.rollout_id, "state": one.state, **one.evidence["agreement"]}
        for one in finished
        if one.evidence.get("agreement")
    ]
    known = [pair for pair in pairs if pair["agree"] is not None]
    return {
        "rollouts": len(pairs),
        "compared": len(known),
        "agreeing": sum(bool(pair["agree"]) for pair in known),
        "pairs": pairs,
    }


def say_agreement(found: Mapping[str, Any]) -> str:
    """One line of `sum_up_agreement`."""
    if not found["compared"]:
        return "No finished rollout has both an offline and an online difference yet."
    return (
        f"Offline and online agree on the sign in {found['agreeing']} of {found['compared']}"
        " finished rollouts."
    )


def draw_page(told: Mapping[str, Any], agreement: Mapping[str, Any]) -> str:
    """The page of a rollout: HTML that loads nothing, every text escaped."""
    plan = told["plan"]
    parts = [
        Markup("<!doctype html><html lang=en><meta charset=utf-8>"),
        Markup("<meta name=viewport content='width=device-width'><title>{}</title>").format(
            f"Rollout {told['rollout_id']}"
        ),
        _STYLE,
        Markup("<h1>Rollout {}</h1><p><b>{}</b>: {}</p>").format(
            told["rollout_id"], told["state"].replace("_", " "), told["reason"]
        ),
        _table(
            "What was planned, before it began",
            ("", ""),
            [
                ("subject", told["subject"]),
                ("champion", f"{plan['champion']['name']} version {plan['champion']['version']}"),
                (
                    "challenger",
                    f"{plan['challenger']['name']} version {plan['challenger']['version']}",
                ),
                ("metric", f"{plan['metric']} over {plan['horizon_days']} days"),
                ("least effect worth finding", f"{plan['minimum_effect']:g}"),
                ("alpha, power", f"{plan['alpha']:g} ({plan['sides']}-sided), {plan['power']:g}"),
                ("stages", ", ".join(f"{share:.2%}" for share in plan["stages"])),
                ("guardrails", ", ".join(one["name"] for one in plan["guardrails"]) or "none"),
                ("plan's hash", told["plan_hash"]),
            ],
        ),
    ]
    if told["arms"]:
        keys = ("assigned", "exposed", "matured", "events")
        parts.append(
            _table(
                "Both arms",
                ("arm", *keys),
                [
                    (arm, *(f"{figures[key]:,.0f}" for key in keys))
                    for arm, figures in told["arms"].items()
                ],
            )
        )
    parts.append(
        _table(
            "What happened",
            ("night", "what", "stage", "by", "why"),
            [
                (
                    (one["as_of"] or one["decided_at"])[:10],
                    one["what"].replace("_", " "),
                    one["stage"] + 1,
                    one["actor"],
                    one["reason"],
                )
                for one in told["history"]
            ],
        )
    )
    parts.append(Markup("<h2>Offline and online</h2><p>{}</p>").format(say_agreement(agreement)))
    if agreement["pairs"]:
        parts.append(
            _table(
                "",
                ("rollout", "outcome", "offline", "online", "same sign"),
                [
                    (
                        pair["rollout_id"],
                        pair["state"].replace("_", " "),
                        _say(pair["offline"]["difference_amount"]),
                        _say((pair["online"] or {}).get("effect")),
                        {True: "yes", False: "no", None: ""}[pair["agree"]],
                    )
                    for pair in agreement["pairs"]
                ],
            )
        )
    return str(Markup("").join(parts))


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


def _last_judged(history: Sequence[Rollout]) -> Rollout | None:
    return next((one for one in reversed(history) if verdict_of(one) is not None), None)


def _table(title: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    head = Markup("").join(Markup("<th>{}</th>").format(one) for one in header)
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(Markup("<td>{}</td>").format(escape(cell)) for cell in row)
        )
        for row in rows
    )
    heading = Markup("<h2>{}</h2>").format(title) if title else Markup("")
    return heading + Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(
        head, body
    )


def _say(value: float | None) -> str:
    return "not known" if value is None else f"{value:+,.4g}"
