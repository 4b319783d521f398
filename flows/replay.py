"""History once more, week by week, by the nights themselves: what would have been decided, and won.

A step delivers what would have come by then, stands the clock at the night's moment and runs
`nightly`. A step that is done is a row of the stand-in's ledger: a replay that was killed goes on
with the step that it was in. It is no flow of Prefect's: a hundred nights at once are no night.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

from flows.decide import Choice, decide
from flows.ingest import ingest
from flows.nightly import nightly
from flows.train import learn
from tasks.churn.model_code import open_model
from tasks.economics import Economics
from tasks.errors import DataRejected, HoldfastError, LockHeld
from tasks.features import steps as features
from tasks.handles import Incident, Predictor
from tasks.incidents import steps as incidents
from tasks.intake import steps as intake
from tasks.moments import read_clock, standing_at
from tasks.orchestration import run_flow
from tasks.progress import track
from tasks.registry import steps as registry
from tasks.registry.champion import open_champion
from tasks.replay import steps as replaying
from tasks.replay.catching import Caught
from tasks.replay.money import Account
from tasks.replay.planting import Delivery, Plant, copy_file
from tasks.replay.recording import Told
from tasks.replay.slicing import Slice
from tasks.replay.standin import StandIn
from tasks.replay.staying import Stays
from tasks.replay.truth import Check
from tasks.replay.weeks import Week
from tasks.settings import Settings, load_settings
from tasks.simulation.truth import reveal
from tasks.simulation.writing import read_plan
from tasks.warehouse import Lake, open_lake

ACTOR = "replay"
# A night that is stopped is answered and run again, as on-call would; not for ever.
_MOST_ANSWERS = 4
# A night ends on the day of its cut-off, so that asking who served on that day finds it.
_NIGHT = timedelta(hours=1)
_WAIVED_FOR = timedelta(days=14)
Watch = Callable[[Told, float], None]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay has found. `seconds` is what each step took in this run (0: done before)."""

    stand_in: StandIn
    settings: Settings
    weeks: tuple[Told, ...]
    seconds: tuple[float, ...]
    account: Account | None
    caught: tuple[Caught, ...] = ()
    checks: tuple[Check, ...] = ()
    page: Path | None = None
    assumption: str = ""


@dataclass(slots=True)
class _Course:
    """What all steps of one replay share."""

    history: Settings
    stand_in: StandIn
    weeks: tuple[Week, ...]
    every: timedelta
    slices: list[Slice]
    plants: tuple[Plant, ...]
    regular: frozenset[str]
    predictors: dict[str, Predictor] = field(default_factory=dict)


def replay(
    deployment: str | Path,
    since: date,
    until: date,
    every: str = "1w",
    plants: Sequence[str] = (),
    watch: Watch | None = None,
) -> Replayed:
    """Run the nights of `since` to `until` over history, and settle the money.

    `watch` is told of each step when it is done, and of those that were. Raises UsageError (64)
    for a span, distance or plant that cannot be; a night that stops is part of the story.
    """
    history = load_settings(deployment)
    every_days = replaying.read_every(every)
    lag = max(timedelta(hours=history.clock.known_lag_hours) - _NIGHT, timedelta(0))
    planted = replaying.read_plants(plants)
    span = f"{since:%Y%m%d}-{until:%Y%m%d}-{every}"
    stand_in = replaying.make_stand_in(history, span, [plant.told for plant in planted])
    weeks = replaying.plan_weeks(since, until, every_days, lag)
    slices = replaying.cut_history(history, weeks, every_days, stand_in.slices)
    course = _Course(
        history,
        stand_in,
        weeks,
        timedelta(days=every_days),
        slices,
        planted,
        _find_regular(slices, weeks),
    )
    settings = _enter(course, weeks[0])
    with open_lake(settings) as lake, replaying.alone(lake):
        done = replaying.read_told(lake)
        return _go_through(course, settings, done, watch)


def _go_through(
    course: _Course, settings: Settings, done: dict[str, Told], watch: Watch | None
) -> Replayed:
    weeks, history = course.weeks, course.history
    seconds = []
    for week in track(weeks, "replay", lambda one: one.name):
        started = time.perf_counter()
        known = done.get(week.name)
        told = known or _run_week(course, week)
        done[week.name] = told
        seconds.append(0.0 if known else time.perf_counter() - started)
        if watch is not None:
            watch(told, seconds[-1])
    ordered = tuple(done[week.name] for week in weeks)
    account, checks = _settle(course)
    with open_lake(settings) as lake:
        caught = tuple(replaying.find_caught(lake, history, course.plants, weeks, done))
    assumption = replaying.say_assumption(
        history,
        knows_truth=_find_population(history) is not None,
        lapsing=sum(one.lapsing for one in ordered),
        stayed=sum(one.stayed for one in ordered),
    )
    found = Replayed(course.stand_in, settings, ordered, tuple(seconds), account, caught, checks)
    page = replaying.publish_page(
        course.stand_in,
        history.deployment,
        ordered,
        account,
        caught,
        checks,
        course.every.days,
        assumption,
    )
    return replace(found, page=page, assumption=assumption)


def _find_regular(slices: Sequence[Slice], weeks: Sequence[Week]) -> frozenset[str]:
    """The sources of which nearly every step brings something."""
    counts: dict[str, int] = {}
    for one in slices:
        counts[one.source] = counts.get(one.source, 0) + (one.as_of >= weeks[0].as_of)
    return frozenset(name for name, count in counts.items() if count >= 0.9 * len(weeks))


def _enter(course: _Course, week: Week) -> Settings:
    every_days = course.every.days
    return replaying.write_deployment(
        course.stand_in, course.history, week.as_of, every_days, course.regular
    )


def _run_week(course: _Course, week: Week) -> Told:
    """One step: deliveries, the night, on-call's answers, the lists; recorded when it is done."""
    settings = _enter(course, week)
    changed = replaying.deliver(
        course.history,
        _join_stays(course, week),
        course.weeks,
        week.number,
        course.plants,
        course.stand_in.delivered,
    )
    with open_lake(settings) as lake:
        moment = replaying.resume_moment(lake, week)
        with standing_at(moment, running=True):
            due = _is_training_due(course, lake, week)
            ended = _run_night(course, week, changed, due)
            if _has_learnt(course, lake, week):
                replaying.keep_policies(course.stand_in, settings, week.name)
            _offer_harmful(course, lake, week)
            champion = registry.find_champion(lake)
            contacts: dict[str, int] = {}
            # A night that a gap has ended has scored before.
            scoring_id, customers = replaying.find_scoring(lake, week.as_of)
            if scoring_id is not None:
                contacts = replaying.choose_contacts(
                    lake,
                    week.as_of,
                    scoring_id,
                    _open_policies(course, lake, week),
                    Economics.of(settings.economics),
                    settings.features.horizon_days,
                )
            stays = _simulate_stays(course, lake, week) if contacts else Stays()
            told = Told(
                **replaying.gather(lake, week, course.every),
                ended=ended,
                champion=champion.version if champion else None,
                champion_kind=champion.kind if champion else "",
                customers=customers,
                contacts=contacts,
                lapsing=stays.lapsing,
                stayed=stays.stayed,
                planted=tuple(
                    plant.kind for plant in course.plants if plant.week(course.weeks) == week
                ),
            )
            replaying.record_week(lake, told)
    return told


def _join_stays(course: _Course, week: Week) -> list[Slice]:
    """The slices as they are delivered: with the orders of those who have stayed so far."""
    if course.history.replay.outcomes == "recorded":
        return course.slices
    stand_in = course.stand_in
    return replaying.join_stays(course.slices, week.as_of, stand_in.stays, stand_in.joined)


def _simulate_stays(course: _Course, lake: Lake, week: Week) -> Stays:
    """Who of the served list stays for it; nobody where the horizon ends after the last step."""
    history = course.history
    days = history.features.horizon_days
    if history.replay.outcomes == "recorded":
        return Stays()
    if week.as_of + timedelta(days=days) > course.weeks[-1].as_of:
        return Stays()
    listed = replaying.read_listed(lake, week.as_of)
    chances = dict.fromkeys(listed, history.economics.accept_share)
    population = _find_population(history)
    if population is not None:
        truth = reveal(read_plan(population), week.as_of.date(), days)
        chances = replaying.read_chances(truth)
    return replaying.write_stays(
        history, course.slices, week.as_of, listed, chances, course.stand_in.stays
    )


def _run_night(course: _Course, week: Week, changed: Sequence[Delivery], learns: bool) -> str:
    """The night, and again after each answer of on-call's; why it ended early, if it did."""
    path = course.stand_in.path
    rhythm = course.history.replay.understand_every_weeks
    understands = bool(rhythm) and week.number % rhythm == 0
    ended = ""
    for _ in range(_MOST_ANSWERS):
        try:
            run_flow(nightly, path, ACTOR, learns, understands)
        except LockHeld as stopped:
            if not stopped.what.startswith("GAP"):
                raise  # somebody else is at it, which is no part of history
            return stopped.what
        except DataRejected as stopped:
            ended = stopped.what
            if not _answer(course, changed):
                break
        else:
            _answer(course, changed)
            return ""
    return ended


def _answer(course: _Course, changed: Sequence[Delivery]) -> int:
    """Do about open items what on-call would, through their decisions' own code; how many."""
    path = course.stand_in.path
    settings = load_settings(path)
    until = read_clock().date() + _WAIVED_FOR
    by_name = {f"{one.source}/{one.path.stem}": one for one in changed}
    parts = {f"{one.source}/{one.part}" for one in course.slices}
    done = 0
    with open_lake(settings) as lake:
        for item in incidents.list_incidents(lake):
            for choice in _choose(lake, item, by_name, parts, until):
                try:
                    outcome = run_flow(decide, path, choice)
                except HoldfastError:
                    continue
                done += not outcome.already
                break
            if item.cause.code == "LEAK":
                done += _take_back(course, changed)
    return done


def _choose(
    lake: Lake, item: Incident, by_name: dict[str, Delivery], parts: set[str], until: date
) -> list[Choice]:
    """The answers to try, the best first."""
    if item.cause.level == "gap":
        missing = [*item.report.get("missing", ()), *item.report.get("overdue", ())]
        if any(f"{item.cause.source}/{part}" in parts for part in missing):
            return []  # it will come
        return [Choice(item.name, "discard", ACTOR, "there was nothing to deliver")]
    if item.cause.level != "stop":
        return []
    names = [batch.batch_name for batch in intake.find_case(lake, item.name).batches]
    planted = [by_name[name] for name in names if name in by_name]
    discard = Choice(item.name, "discard", ACTOR, "nothing better is known of it")
    if planted and planted[0].is_twin:
        return [discard]
    if planted and planted[0].is_leak:
        # Its rows are as they should be but older than usual, which a source has a reason for.
        said = "the source has filled in events that it had kept back"
        return [Choice(item.name, "waive", ACTOR, said, until=until), discard]
    if planted:
        return [
            Choice(item.name, "replay", ACTOR, "the corrected file", file=planted[0].clean),
            discard,
        ]
    return [Choice(item.name, "waive", ACTOR, "history has it so", until=until), discard]


def _take_back(course: _Course, changed: Sequence[Delivery]) -> bool:
    """The source delivers the events of a leak once more, without it."""
    leaks = [
        one for one in changed if one.is_leak and one.path.read_bytes() != one.clean.read_bytes()
    ]
    for one in leaks:
        copy_file(one.clean, one.path)
    if leaks:
        run_flow(ingest, course.stand_in.path, ACTOR, True)
    return bool(leaks)


def _has_learnt(course: _Course, lake: Lake, week: Week) -> bool:
    return bool(replaying.gate_decisions(lake, week.moment, week.moment + course.every))


def _is_training_due(course: _Course, lake: Lake, week: Week) -> bool:
    """Nobody serves yet, so many steps have passed since the last training, or one is planted."""
    if _has_learnt(course, lake, week):
        return False
    steps = course.history.replay.retrain_every_weeks - 1
    lately = replaying.gate_decisions(lake, week.moment - steps * course.every, week.moment)
    planted = any(
        plant.kind in ("harmful_challenger", "leaking_feature") and plant.week(course.weeks) == week
        for plant in course.plants
    )
    return not lately or planted or _is_asked_for(course, lake, week, steps)


def _is_asked_for(course: _Course, lake: Lake, week: Week, steps: int) -> bool:
    """Whether monitoring has raised, since the last training, what a new model may mend."""
    since = week.moment - steps * course.every
    trained = replaying.gate_decisions(lake, since, week.moment)
    if not trained:
        return False
    alerts = replaying.read_alerts(lake, trained[-1]["decided_at"], week.moment)
    return any(one["kind"] != "data_fault" and one["state"] != "closed" for one in alerts)


def _offer_harmful(course: _Course, lake: Lake, week: Week) -> None:
    """Put a challenger that would do harm to the gate, if one is planted here."""
    kinds = [p.kind for p in course.plants if p.week(course.weeks) == week]
    if "harmful_challenger" not in kinds:
        return
    if len(replaying.gate_decisions(lake, week.moment, week.moment + course.every)) > 1:
        return
    settings = lake.settings
    record, final, audited = learn(lake, settings, intake.judge_sources(lake, settings))
    directory = course.stand_in.policies / f"{week.name}-harmful" / "model"
    record, final = replaying.spoil(record, final, directory, open_model)
    registry.admit_training(lake, record, final, audited)


def _open_policies(course: _Course, lake: Lake, week: Week) -> dict[str, Predictor]:
    """The models of the other policies; each is opened once."""
    found: dict[str, Predictor] = {}
    reigns = registry.list_reigns(lake)
    if reigns:
        first = reigns[-1].champion
        if replaying.FIRST not in course.predictors:
            course.predictors[replaying.FIRST] = open_champion(lake, first)
        found[replaying.FIRST] = course.predictors[replaying.FIRST]
    for policy, kind in ((replaying.ALWAYS, "model"), (replaying.RULE, "rule")):
        directory = replaying.find_policy(course.stand_in, kind, week.name)
        if directory is None:
            continue
        if str(directory) not in course.predictors:
            course.predictors[str(directory)] = open_model(directory)
        found[policy] = course.predictors[str(directory)]
    return found


def _settle(course: _Course) -> tuple[Account | None, tuple[Check, ...]]:
    """The money of every list whose outcome has matured by the last step, and the truth of it."""
    last = course.weeks[-1]
    settings = _enter(course, last)
    horizon = timedelta(days=settings.features.horizon_days)
    with open_lake(settings) as lake, standing_at(last.moment, running=True):
        cutoffs = [at for at in replaying.list_cutoffs(lake) if at + horizon <= last.as_of]
        if not cutoffs:
            return None, ()
        lag = last.moment - last.as_of
        table = features.build(
            lake,
            cutoffs,
            tuple(at + lag for at in cutoffs),
            lake.snapshot(),
            settings.features,
            labels_as_of=last.as_of,
            labels_known_by=last.moment,
        )
        outcomes = replaying.read_outcomes(lake, table.table)
    if course.history.replay.outcomes == "simulated":
        # What our formula assumes of a contact is not counted twice.
        outcomes = replaying.without_stays(course.history, course.slices, outcomes)
    money = Economics.of(settings.economics)
    account = replaying.settle(outcomes, money, settings.replay)
    directory = _find_population(course.history)
    if directory is None:
        return account, ()
    # What was planted into the customers themselves is not in the truth: it ends there.
    drifts = [week.as_of for p in course.plants if p.kind == "concept_drift"
              for week in [p.week(course.weeks)] if week is not None]  # fmt: skip
    cutoffs = [at for at in cutoffs if all(at + horizon <= drift for drift in drifts)]
    if not cutoffs:
        return account, ()
    outcomes = replaying.keep_cutoffs(outcomes, cutoffs)
    told = replaying.settle(outcomes, money, settings.replay)
    plan = read_plan(directory)
    truths = {
        f"{at:%Y-%m-%d}": reveal(plan, at.date(), settings.features.horizon_days)
        for at in track(cutoffs, "truth", lambda one: f"{one:%Y-%m-%d}")
    }
    return account, tuple(replaying.compare_truth(outcomes, truths, money, told))


def _find_population(history: Settings) -> Path | None:
    """The simulated population that the sources are of; None where customers are real."""
    folders = [one.folder for one in history.intake.sources.values() if one.kind == "files"]
    found = [one.parent for one in folders if (one.parent / "manifest.json").is_file()]
    return found[0] if found else None
