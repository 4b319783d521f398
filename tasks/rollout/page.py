"""The page of a rollout: how it stands, what each look saw, and whether it can be trusted.

One file that loads nothing and runs no script. It is made of the ledger's rows alone.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.pages.sheet import open_sheets
from tasks.rollout.drawing import draw_effects, draw_looks
from tasks.rollout.plan import Contender, Plan
from tasks.rollout.recording import (
    Rollout,
    State,
    Terms,
    list_rollouts,
    read_history,
    verdict_of,
)
from tasks.rollout.report import (
    Signs,
    Stretch,
    fold_history,
    last_judged,
    list_looks,
    newest_estimate,
    night_of,
    say_agreement,
    sum_up_agreement,
)
from tasks.rollout.units import Units, say_share
from tasks.rollout.verdict import HarmFinding, Verdict

if TYPE_CHECKING:
    from jinja2 import Environment

    from tasks.warehouse import Lake

TEMPLATES = Path(__file__).parent / "templates"
# A name, a figure or a value, and what is said below it.
Tile = tuple[str, str, Sequence[str]]
Fact = tuple[str, str, str]

_GUARDED: Mapping[str, str] = {
    "errors": "errors in serving",
    "opt_outs": "opt-outs",
    "early_signs": "early signs of lapse",
}
_SIGNS: Mapping[Signs, tuple[str, str]] = {
    "same": ("yes", "same sign"),
    "opposite": ("no", "opposite signs"),
    "not_shown": ("soft", "not shown either way: an interval holds 0"),
    "not_known": ("soft", "not known of both"),
}


def read_page(lake: Lake, rollout: Rollout) -> str:
    """The page of a rollout as the ledger has it."""
    history = read_history(lake, rollout.rollout_id)
    return draw_page(rollout, history, sum_up_agreement(list_rollouts(lake)))


def draw_page(rollout: Rollout, history: Sequence[Rollout], agreement: Mapping[str, Any]) -> str:
    """The whole page, every text escaped; the same rows give the same bytes.

    `history` are all rows of the rollout, the oldest first; `agreement` is `sum_up_agreement`.
    """
    plan, terms = rollout.plan, rollout.terms
    units = Units(plan.metric, terms.currency)
    judged = last_judged(history)
    verdict = verdict_of(judged) if judged is not None else None
    looks = list_looks(history)
    began = rollout.stages_since[0].date() if rollout.stages_since else night_of(history[0])
    return (
        _environment()
        .get_template("page.html")
        .render(
            rollout=rollout,
            plan=plan,
            terms=terms,
            units=units,
            lead=_say_lead(rollout),
            tiles=_list_tiles(rollout, history, units),
            standing=_say_standing(looks[-1].look.z, looks[-1].look.upper, looks[-1].look.lower)
            if looks
            else "",
            looks=looks,
            looks_figure=draw_looks(looks) if looks else "",
            effects_figure=draw_effects(looks, units, plan.minimum_effect, began) if looks else "",
            judged=judged,
            arms=_list_arms(judged, verdict, units),
            harms=_list_harms(plan, verdict),
            ratios=verdict.ratios if verdict else (),
            completeness=verdict.completeness if verdict else (),
            facts=_list_facts(plan, terms),
            stretches=[(_name_nights(one), _name_kind(one), one) for one in fold_history(history)],
            history=history,
            night_of=night_of,
            agreement=say_agreement(agreement),
            pairs=[_tell_pair(pair) for pair in agreement["pairs"]],
        )
    )


def _say_lead(rollout: Rollout) -> str:
    """The state in one sentence for who has not planned it."""
    challenger, champion = _call(rollout.plan.challenger), _call(rollout.plan.champion)
    share = say_share(rollout.share)
    said: dict[State, str] = {
        "planned": f"Planned, not started: {champion} serves everybody.",
        "running": f"Nothing is decided yet: {challenger} serves {share} of the customers,"
        f" {champion} the others.",
        "held": f"Nothing is concluded until what is missing is there: {challenger} goes on"
        f" serving {share} of the customers.",
        "promoted": f"{challenger} has won against {champion} and took over all customers.",
        "rolled_back": f"{challenger} was taken back: {champion} serves everybody.",
        "inconclusive": f"No difference was shown in time: {champion} serves everybody as before.",
    }
    text = said[rollout.state]
    return text[0].upper() + text[1:]


def _list_tiles(rollout: Rollout, history: Sequence[Rollout], units: Units) -> list[Tile]:
    plan, terms = rollout.plan, rollout.terms
    stages = f"stage {rollout.stage + 1} of {len(plan.stages)}"
    had = f"it had {say_share(plan.stages[rollout.stage])}"
    passed = "–"
    if rollout.stages_since and rollout.as_of is not None:
        passed = f"day {(rollout.as_of - rollout.stages_since[0]).days} of {plan.maximum_days}"
    forecast = f"planned to be judged on day {terms.planned_days}" if terms.planned_days else ""
    share = {
        "planned": ("0 %", (f"begins with {say_share(plan.stages[0])}",)),
        "promoted": ("100 %", (had, stages)),
    }.get(
        rollout.state,
        (say_share(rollout.share), (stages,)) if rollout.is_live else ("0 %", (had, stages)),
    )
    return [
        ("state", rollout.state.replace("_", " "), [f"since {night_of(_since(rollout, history))}"]),
        ("effect", *_tell_effect(plan, history, units)),
        ("time", passed, [forecast, f"the last look on day {plan.maximum_days}"]),
        ("challenger's share", *share),
    ]


def _tell_effect(plan: Plan, history: Sequence[Rollout], units: Units) -> tuple[str, Sequence[str]]:
    """The newest effect that is known, and how well."""
    newest = newest_estimate(history)
    if newest is None:
        return "–", [f"no look yet, the first not before day {plan.earliest_decision_days}"]
    day, found = newest
    interval = f"{units.span(found.low, found.high)} ({say_share(found.confidence)})"
    return (
        f"{units.number(found.effect)} {units.short_name}".rstrip(),
        [interval, f"above 0: {units.better}", f"as of {day}"],
    )


def _since(rollout: Rollout, history: Sequence[Rollout]) -> Rollout:
    """The row with which the rollout came into its state."""
    found = rollout
    for row in reversed(history):
        if row.state != rollout.state:
            break
        found = row
    return found


def _say_standing(z: float, upper: float, lower: float | None) -> str:
    if z >= upper:
        return f"The last look's z of {z:.2f} has crossed the upper bound of {upper:.2f}: a win."
    if lower is not None and z <= lower:
        return f"The last look's z of {z:.2f} has crossed the lower bound of {lower:.2f}: a loss."
    if lower is None:
        return f"The last look's z of {z:.2f} has not reached the bound of {upper:.2f}."
    return (
        f"The last look's z of {z:.2f} lies between the bounds of {lower:.2f} and {upper:.2f}:"
        " neither a win nor a loss."
    )


def _list_arms(
    judged: Rollout | None, verdict: Verdict | None, units: Units
) -> list[dict[str, str]]:
    """Both arms as the last verdict had them, the challenger first."""
    found = judged.evidence.get("arms") if judged is not None else None
    if judged is None or not found:
        return []
    total = sum(figures["assigned"] for figures in found.values())
    split = next((one.planned_share for one in verdict.ratios), None) if verdict else None
    planned = judged.plan.final_share if split is None else split
    rows = []
    for arm, contender, share in (
        ("challenger", judged.plan.challenger, planned),
        ("champion", judged.plan.champion, 1 - planned),
    ):
        figures = found[arm]
        matured = figures["matured"]
        rows.append(
            {
                "arm": arm,
                "contender": _call(contender),
                "assigned": f"{figures['assigned']:,.0f}",
                "share": say_share(round(figures["assigned"] / total, 4)) if total else "–",
                "planned": say_share(share),
                "matured": f"{matured:,.0f}",
                "events": f"{figures['events']:,.0f}",
                "rate": f"{100 * figures['events'] / matured:.1f} %" if matured else "–",
                "amount": "" if units.is_share else f"{figures['amount_sum']:,.0f}",
                "each": ""
                if units.is_share or not matured
                else f"{figures['amount_sum'] / matured:,.2f}",
            }
        )
    return rows


def _list_harms(plan: Plan, verdict: Verdict | None) -> list[dict[str, Any]]:
    """What stands against each guardrail; Holm's first step is what the strongest has to pass."""
    harms = verdict.harms if verdict is not None else ()
    return [
        {
            "name": _GUARDED.get(harm.guardrail, harm.guardrail.replace("_", " ")),
            "champion": f"{harm.champion_events:,}",
            "challenger": f"{harm.challenger_events:,}",
            "tolerated": f"{harm.expected_events:,.1f}",
            "evidence": _say_odds(harm.evidence),
            "needed": _say_odds(1 / (harm.bar or plan.harm_alpha / len(harms))),
            "p": f"{harm.p_value:.2g}",
            "is_harm": harm.is_harm,
            "found": _say_harm(harm),
        }
        for harm in harms
    ]


def _say_harm(harm: HarmFinding) -> str:
    if harm.is_harm:
        return "harm" if harm.since is None else f"harm, since {harm.since}"
    total = harm.champion_events + harm.challenger_events
    return "no harm is shown" if total else "nothing has happened"


def _say_odds(evidence: float) -> str:
    return f"{evidence:,.1f} to 1" if evidence < 10 else f"{evidence:,.0f} to 1"


def _list_facts(plan: Plan, terms: Terms) -> list[Fact]:
    """The plan with its units: a name, a value, and what is to be known of it."""
    units = Units(plan.metric, terms.currency)
    metric = (
        f"customers who lapse within {plan.horizon_days} days"
        if units.is_share
        else f"margin of a customer within {plan.horizon_days} days"
    )
    before = f"{100 * terms.base_rate:.1f} % lapsed before" if terms.base_rate is not None else ""
    least = f"{units.scale(plan.minimum_effect):,.4g} {units.name}"
    sides = "a win or a loss" if plan.sides == 2 else "a win; a loss is not looked for"
    rails = ", ".join(
        _GUARDED.get(one.name, one.name.replace("_", " "))
        + (f" (up to {one.tolerance_ratio:g} times)" if one.tolerance_ratio > 1 else "")
        for one in plan.guardrails
    )
    exposure = "all who are scored" if plan.exposure == "scored" else "those contacted"
    forecast = f"day {terms.planned_days}" if terms.planned_days else "not known"
    return [
        ("what is rolled out", plan.subject, ""),
        ("champion", _name(plan.champion), ""),
        ("challenger", _name(plan.challenger), ""),
        ("compared", metric, before),
        ("horizon", f"{plan.horizon_days} days", "then a customer's outcome is known"),
        ("least effect worth finding", least, f"found with {say_share(plan.power)} probability"),
        ("false decisions at most", say_share(plan.alpha), sides),
        (
            "challenger's stages",
            ", ".join(say_share(share) for share in plan.stages),
            f"of the customers, at least {plan.minimum_stage_days} days each",
        ),
        (
            "looks",
            f"every {plan.look_every_days} days",
            f"from day {plan.earliest_decision_days}, the last on day {plan.maximum_days}",
        ),
        ("forecast to be judged", forecast, "when the customers needed have an outcome"),
        ("who counts", exposure, f"{say_share(terms.hold_out_share)} are held out of both arms"),
        ("guardrails", rails or "none", f"and lapses; false stops {say_share(plan.harm_alpha)}"),
    ]


def _name(contender: Contender) -> str:
    return f"{contender.name}, {_call(contender)}"


def _call(contender: Contender) -> str:
    """A policy's version is a hash, of which some letters tell it from others."""
    version = contender.version
    return f"version {version if version.isdecimal() else version[:12]}"


def _name_nights(stretch: Stretch) -> str:
    if stretch.since == stretch.until:
        return stretch.since.isoformat()
    return f"{stretch.since} to {stretch.until}"


def _name_kind(stretch: Stretch) -> str:
    nights = len(stretch.rows)
    many = f"{nights} nights" if nights > 1 else "1 night"
    if stretch.is_quiet:
        return f"{many}, no look"
    if stretch.last.row_kind == "hold":
        return f"held, {many}"
    verdict = verdict_of(stretch.last)
    if stretch.last.row_kind == "continue" and verdict is not None and verdict.look is not None:
        return f"look {verdict.look.number}"
    return stretch.last.row_kind.replace("_", " ")


def _tell_pair(pair: Mapping[str, Any]) -> dict[str, str]:
    """A finished rollout beside what the gate had found, with units."""
    offline, online = pair["offline"], pair["online"]
    currency = offline["currency"] or ""
    units = Units(pair["metric"], currency)
    gate = "not known"
    if offline["difference_amount"] is not None:
        gate = f"{offline['difference_amount']:+,.0f} {currency}".rstrip()
        if offline["low_amount"] is not None and offline["high_amount"] is not None:
            gate += f" ({offline['low_amount']:+,.0f} to {offline['high_amount']:+,.0f})"
    found = "not known"
    if online is not None:
        found = f"{units.effect(online['effect'])} ({units.span(online['low'], online['high'])})"
    kind, signs = _SIGNS[pair["signs"]]
    return {
        "rollout_id": pair["rollout_id"],
        "state": pair["state"].replace("_", " "),
        "offline": gate,
        "online": found,
        "kind": kind,
        "signs": signs,
    }


@functools.cache
def _environment() -> Environment:
    made = open_sheets(TEMPLATES)
    made.filters["share"] = say_share
    made.filters["figure"] = lambda value: f"{value:.2f}"
    made.filters["words"] = lambda value: str(value).replace("_", " ")
    return made
