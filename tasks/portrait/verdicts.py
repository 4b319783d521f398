"""Who answers each question, a model or a rule, and by how much it wins."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tasks.findings import Contest
from tasks.portrait.gathering import Portrait
from tasks.portrait.wording import Speech

COMMANDS: Mapping[str, str] = {
    "churn": "train",
    "value": "value",
    "segments": "segments",
    "reasons": "reasons",
    "forecasts": "forecast",
    "actions": "act",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who answers a question, and by how much it wins. `outcome` is wins, ties, loses, unknown."""

    question: str
    kind: str
    served: str
    measure: str
    figure: str
    rival: str
    rival_figure: str
    outcome: str
    by: str
    difference: str
    between: str
    reason: str


def command_for(portrait: Portrait, part: str) -> str:
    """The command that finds a part out."""
    return f"holdfast -d {shlex.quote(portrait.called)} {COMMANDS[part]}"


def tell_contest(contest: Contest, question: str, speech: Speech) -> Verdict:
    """A contest in words; better is better whichever way the measure points."""
    sign = 1 if contest.higher_is_better else -1
    better = sign * contest.difference
    between = ""
    if contest.low is not None and contest.high is not None:
        low, high = sorted((sign * contest.low, sign * contest.high))
        between = speech.say(
            "served.range",
            low=_signed(low, contest.measure, speech, bare=True),
            high=_signed(high, contest.measure, speech),
        )
    by = _difference(abs(better), contest.measure, speech)
    outcome = "wins" if better > 0 else "loses" if better < 0 else "ties"
    return Verdict(
        question=question,
        kind=contest.served_kind,
        served=speech.term(contest.served),
        measure=speech.term(contest.measure),
        figure=speech.figure(contest.served_figure, contest.measure),
        rival=speech.term(contest.rival),
        rival_figure=speech.figure(contest.rival_figure, contest.measure),
        outcome=outcome,
        by=speech.say(f"served.{outcome}", by=by),
        difference=by,
        between=between,
        reason=contest.reason,
    )


def _is_share(measure: str) -> bool:
    return measure.endswith("_share") or measure == "churn_rate"


def _difference(value: float, measure: str, speech: Speech) -> str:
    """How far two figures lie apart, without a sign: shares in points."""
    return speech.points(value) if _is_share(measure) else speech.figure(abs(value), measure)


def _signed(value: float, measure: str, speech: Speech, *, bare: bool = False) -> str:
    """The same with its sign; `bare`: without the unit, which the next figure has."""
    text = f"{abs(value) * 100:.1f}" if bare and _is_share(measure) else ""
    return ("−" if value < 0 else "+") + (text or _difference(value, measure, speech))


def list_verdicts(portrait: Portrait, speech: Speech) -> list[tuple[str, Verdict | None, str]]:
    """(part, verdict, command): the question of each part; None with a command where unknown."""
    rows: list[tuple[str, Verdict | None, str]] = []
    champion = portrait.champion
    churn = speech.say("served.churn")
    if champion is None:
        rows.append((churn, None, command_for(portrait, "churn")))
    elif champion.contest is None:
        rows.append((churn, _unproven(champion.kind, champion.name, churn, speech), ""))
    else:
        rows.append((churn, tell_contest(champion.contest, churn, speech), ""))
    for part, found in (("value", portrait.value), ("segments", portrait.segments)):
        question = speech.say(f"served.{part}")
        if found is None:
            rows.append((question, None, command_for(portrait, part)))
        else:
            told = tell_contest(found.contest, question, speech)
            if part == "segments" and is_alone(portrait):
                told = replace(told, outcome="ties", by=speech.say("served.alone"), rival_figure="")
            rows.append((question, told, ""))
    if portrait.forecasts is None:
        question = speech.say("forecasts.title")
        rows.append((question, None, command_for(portrait, "forecasts")))
    else:
        for series in portrait.forecasts.series:
            if series.segment_id is None:
                question = speech.say("served.forecast", measure=speech.term(series.measure))
                rows.append((question, tell_contest(series.contest, question, speech), ""))
    return rows


def is_alone(portrait: Portrait) -> bool:
    """Whether the grouping had no rival whose figures are known."""
    found = portrait.segments
    return found is not None and bool(found.measures) and found.contest.rival not in found.measures


def _unproven(kind: str, name: str, question: str, speech: Speech) -> Verdict:
    return Verdict(
        question=question,
        kind=kind,
        served=speech.term(name),
        measure="",
        figure="",
        rival="",
        rival_figure="",
        outcome="unknown",
        by=speech.say("served.by_how_much"),
        difference="",
        between="",
        reason="",
    )
