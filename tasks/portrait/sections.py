"""What each section of the page shows, worked out from the findings: plain values for templates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tasks.findings import Kind, Night, ReasonCell, Segment, Trait
from tasks.portrait.figures import tell_measure
from tasks.portrait.gathering import Portrait
from tasks.portrait.grid import worth_of
from tasks.portrait.marks import Mark, Marks
from tasks.portrait.verdicts import Verdict, tell_contest
from tasks.portrait.wording import NOTHING, Speech

# Below this, rules do not describe a group well enough.
ASKED_SHARE = 0.9
_TOP_REASONS, _MOST_TRAITS = 3, 6
# A deviation of this many robust deviations fills a trait's bar.
_FULL_BAR = 3.0
# Sums of money at risk that differ by less, as a share of the larger, are the same money.
_SAME_MONEY = 0.05


@dataclass(frozen=True, slots=True)
class TraitBar:
    """A trait with the bar's half: `width` in percent, to the right where `is_higher`."""

    words: str
    text: str
    width: int
    is_higher: bool


@dataclass(frozen=True, slots=True)
class Card:
    """One group as its card shows it; amounts and shares are texts already."""

    segment: Segment
    mark: Mark
    worth: str
    spent: str
    badges: tuple[tuple[str, str], ...]
    traits: tuple[TraitBar, ...]
    reasons: tuple[tuple[str, str, bool], ...]
    fit: str
    unfit: str


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """A group's row of the reasons table: a cell a reason, None where nobody has it."""

    mark: Mark
    cells: tuple[dict[str, Any] | None, ...]


def file_name(path: str) -> str:
    """The last part of a path of any system: where it lay is nobody's matter."""
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2]


def list_tiles(portrait: Portrait, speech: Speech) -> list[tuple[str, str, str]]:
    """(label, figure, remark) of the headline."""
    unknown = (NOTHING, speech.say("head.unknown"))
    segments, value = portrait.segments, portrait.value
    customers, at_risk, leavers = unknown, unknown, unknown
    if segments is not None and segments.segments:
        groups = segments.segments
        number = sum(one.customers for one in groups)
        customers = (speech.count(number), speech.say("head.segments", n=len(groups)))
        if any(one.risk_share is not None for one in groups):
            risked = float(sum(one.at_risk_amount for one in groups))
            total = float(sum(one.spent_365_amount for one in groups))
            remark = (
                speech.say("head.at_risk_of", share=speech.share(risked / total, 0))
                if total > 0 and risked <= total
                else speech.say("head.at_risk_plain")
            )
            at_risk = (speech.money_short(risked), remark)
            expected = sum(one.customers * (one.risk_share or 0.0) for one in groups)
            share = speech.share(expected / number if number else 0.0)
            leavers = (speech.count(expected), speech.say("head.leavers_of", share=share))
    elif value is not None:
        customers = (speech.count(value.customers), "")
    days = speech.days(value.horizon_days) if value else ""
    worth = unknown
    label = speech.say("value.title")
    if value is not None:
        label = speech.say("head.value", days=days)
        worth = (
            speech.money_short(value.total_amount),
            speech.say(
                "head.value_range",
                low=speech.money_short(value.low_amount),
                high=speech.money_short(value.high_amount),
            ),
        )
    return [
        (speech.say("head.customers"), *customers),
        (speech.say("head.leavers"), *leavers),
        (speech.say("head.at_risk"), *at_risk),
        (label, *worth),
    ]


def list_cards(portrait: Portrait, marks: Marks, speech: Speech) -> list[Card]:
    """Every group, the one with the most money at risk first."""
    found = portrait.segments
    if found is None:
        return []
    alarmed = {one.segment_id for one in found.alarms}
    cards = []
    for segment in sorted(found.segments, key=lambda one: (-one.at_risk_amount, one.segment_id)):
        badges: list[tuple[str, str]] = [
            (one.event, speech.say(f"groups.event.{one.event}"))
            for one in found.events
            # In the first grouping every group is new, which says nothing.
            if one.segment_id == segment.segment_id
            and one.event not in ("kept", "died")
            and found.moved_from is not None
        ]
        if segment.segment_id in alarmed:
            badges.append(("alarm", speech.say("groups.alarm")))
        fit, unfit = _tell_fit(segment, speech)
        per_customer = float(segment.spent_365_amount) / max(1, segment.customers)
        cards.append(
            Card(
                segment=segment,
                mark=marks.of(segment.segment_id),
                worth=speech.money(worth_of(segment)),
                spent=speech.money(per_customer),
                badges=tuple(badges),
                traits=tuple(_tell_trait(one, speech) for one in segment.traits[:_MOST_TRAITS]),
                reasons=tuple(_top_reasons(portrait, segment.segment_id, speech)),
                fit=fit,
                unfit=unfit,
            )
        )
    return cards


def _tell_trait(trait: Trait, speech: Speech) -> TraitBar:
    deviation = trait.deviation if abs(trait.deviation) < 1e9 else 0.0
    median, overall = (
        speech.plain_figure(one, trait.feature) for one in (trait.median, trait.overall_median)
    )
    return TraitBar(
        words=speech.words(trait.words),
        text=speech.say("groups.trait", median=median, overall=overall),
        width=max(2, min(50, round(abs(deviation) / _FULL_BAR * 50))),
        is_higher=deviation > 0,
    )


def _tell_fit(segment: Segment, speech: Speech) -> tuple[str, str]:
    """The sentence for rules that fit, or the one that says by how much they do not."""
    if not segment.conditions:
        return "", ""
    recall, precision = segment.recall_share, segment.precision_share
    worse = min(recall, precision)
    if worse >= ASKED_SHARE:
        return (
            speech.say(
                "groups.fits", recall=speech.share(recall, 0), precision=speech.share(precision, 0)
            ),
            "",
        )
    kind = "recall" if recall <= precision else "precision"
    return "", speech.say(
        "groups.unfit",
        figure=speech.say(f"groups.{kind}", share=speech.share(worse)),
        short=speech.points(ASKED_SHARE - worse),
        asked=speech.share(ASKED_SHARE, 0),
    )


def _top_reasons(
    portrait: Portrait, segment_id: str, speech: Speech
) -> list[tuple[str, str, bool]]:
    """(reason, customers and money, stands out) of the reasons with the most money at risk."""
    if portrait.reasons is None:
        return []
    words = {one.driver: speech.words(one.words) for one in portrait.reasons.drivers}
    own = [
        one
        for one in portrait.reasons.cells
        if one.segment_id == segment_id and one.driver is not None and one.customers > 0
    ]
    own.sort(key=lambda one: (-one.at_risk_amount, str(one.driver)))
    return [
        (
            words.get(one.driver or "", one.driver or ""),
            speech.say(
                "groups.why_line",
                customers=speech.say("unit.customers", n=speech.count(one.customers)),
                amount=speech.money(one.at_risk_amount),
            ),
            one.stands_out,
        )
        for one in own[:_TOP_REASONS]
    ]


def list_matrix(
    portrait: Portrait, marks: Marks, speech: Speech
) -> tuple[list[str], list[MatrixRow]]:
    """The reasons table: names of the columns, and a row a group. The last is 'no stable reason'.

    A cell's `heat` (0-9) is its money as a part of the largest.
    """
    found = portrait.reasons
    if found is None or not found.cells:
        return [], []
    words = {one.driver: speech.words(one.words) for one in found.drivers}
    totals: dict[str | None, float] = {}
    for cell in found.cells:
        totals[cell.driver] = totals.get(cell.driver, 0.0) + float(cell.at_risk_amount)
    drivers = sorted((one for one in totals if one), key=lambda one: (-totals[one], one))
    columns: list[str | None] = [*drivers, *([None] if None in totals else [])]
    most = max((float(one.at_risk_amount) for one in found.cells if one.driver), default=0.0)
    cells = {(one.segment_id, one.driver): one for one in found.cells}
    segments = sorted({one.segment_id for one in found.cells}, key=lambda o: marks.of(o).letter)
    names = [
        words.get(one, one) if one is not None else speech.say("reasons.none") for one in columns
    ]
    rows = [
        MatrixRow(
            marks.of(segment),
            tuple(_tell_cell(cells.get((segment, one)), most, speech) for one in columns),
        )
        for segment in segments
    ]
    return names, rows


def _tell_cell(cell: ReasonCell | None, most: float, speech: Speech) -> dict[str, Any] | None:
    if cell is None or cell.customers == 0:
        return None
    part = float(cell.at_risk_amount) / most if most > 0 and cell.driver is not None else 0.0
    return {
        "customers": speech.say("unit.customers", n=speech.count(cell.customers)),
        "amount": speech.money(cell.at_risk_amount),
        "shares": speech.say(
            "reasons.rest",
            share=speech.share(cell.customers_share, 0),
            rest=speech.share(cell.rest_share, 0),
        ),
        "stands_out": cell.stands_out,
        "heat": max(0, min(9, int(part * 9.99))),
    }


def tell_other_money(portrait: Portrait, speech: Speech) -> str:
    """Said where reasons and groups count money at risk so that the sums lie apart, else empty."""
    if portrait.reasons is None or portrait.segments is None:
        return ""
    by_reason = float(sum(one.at_risk_amount for one in portrait.reasons.cells))
    by_group = float(sum(one.at_risk_amount for one in portrait.segments.segments))
    if abs(by_reason - by_group) <= _SAME_MONEY * max(by_reason, by_group):
        return ""
    return speech.say(
        "reasons.other_money",
        here=speech.money_short(by_reason),
        above=speech.money_short(by_group),
    )


def tell_events(portrait: Portrait, marks: Marks, speech: Speech) -> list[str]:
    """What became of the groups, in sentences; those that stayed are not named."""
    found = portrait.segments
    if found is None or found.moved_from is None:
        return []
    sentences = []
    for one in found.events:
        if one.event == "kept":
            continue
        others = ", ".join(marks.of(other).name for other in one.related_ids)
        key = "died_alone" if one.event == "died" and not others else one.event
        text = speech.say(f"moves.{key}", name=marks.of(one.segment_id).name, others=others)
        if one.overlap_share is not None:
            text += " " + speech.say("moves.overlap", share=speech.share(one.overlap_share, 0))
        sentences.append(text)
    return sentences


def tell_alarms(portrait: Portrait, marks: Marks, speech: Speech) -> list[str]:
    """Groups whose size left its usual range."""
    found = portrait.segments
    return [
        speech.say(
            "moves.alarm",
            name=marks.of(one.segment_id).name,
            share=speech.share(one.share),
            low=speech.share(one.low_share),
            high=speech.share(one.high_share),
        )
        for one in (found.alarms if found else ())
    ]


def stayed_share(portrait: Portrait) -> float | None:
    """The part of last time's customers, those who have gone included, who are where they were."""
    if portrait.segments is None:
        return None
    before = [one for one in portrait.segments.movements if one.from_id != "new"]
    total = sum(one.customers for one in before)
    return (
        sum(one.customers for one in before if one.from_id == one.to_id) / total if total else None
    )


def list_next(
    portrait: Portrait, marks: Marks, speech: Speech
) -> list[tuple[Mark, str, str, str, str, Verdict]]:
    """(group, measure, period, expected, interval, verdict) of every series' first forecast."""
    found = portrait.forecasts
    rows = []
    for series in found.series if found else ():
        if not series.forecast:
            continue
        start, mean, low, high = series.forecast[0]
        between = speech.say(
            "served.range",
            low=tell_measure(series, low, speech),
            high=tell_measure(series, high, speech),
        ).strip("()")
        verdict = tell_contest(series.contest, "", speech)
        rows.append(
            (
                marks.of(series.segment_id),
                speech.term(series.measure),
                speech.period(start, series.period),
                tell_measure(series, mean, speech),
                between,
                verdict,
            )
        )
    return rows


def list_runs(portrait: Portrait, speech: Speech) -> list[tuple[str, str, str, str, str]]:
    """(part, cut-off, lake version, model, run) of everything on the page."""
    rows = []
    champion = portrait.champion
    if champion is not None:
        model = f"{champion.name}, {speech.say('foot.version', version=champion.version)}"
        promoted = speech.say("foot.since", date=speech.date(champion.promoted_at))
        rows.append(
            (
                speech.say("part.churn"),
                promoted,
                str(champion.snapshot_id),
                model,
                champion.run_id or NOTHING,
            )
        )
    ids = portrait.finding_ids or {}
    for kind, found in portrait.parts.items():
        if found is None:
            continue
        model = NOTHING
        if kind == "segments" and portrait.segments is not None:
            one = portrait.segments
            version = (
                f", {speech.say('foot.version', version=one.model_version)}"
                if one.model_version is not None
                else ""
            )
            model = f"{one.model_name}{version}"
        rows.append(
            (
                speech.say(f"part.{kind}"),
                speech.date(found.as_of),
                str(found.snapshot_id),
                model,
                ids.get(kind, NOTHING),
            )
        )
    return rows


def find_stale(portrait: Portrait, speech: Speech) -> dict[Kind, str]:
    """Parts of an earlier cut-off than the page's, each with a sentence that says so."""
    return {
        kind: speech.say(
            "page.stale", old=speech.date(found.as_of), new=speech.date(portrait.as_of)
        )
        for kind, found in portrait.parts.items()
        if found is not None and found.as_of < portrait.as_of
    }


def list_notes(portrait: Portrait, speech: Speech) -> list[tuple[str, Sequence[str]]]:
    """(part, notes) where there are any."""
    parts: list[tuple[str, Night]] = [(k, f) for k, f in portrait.parts.items() if f is not None]
    return [
        (speech.say(f"part.{kind}"), [speech.words(one) for one in found.notes])
        for kind, found in parts
        if found.notes
    ]
