"""Value of customers who order when they like: judged on the past, told for the night."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from tasks.errors import ConfigurationError, DataRejected
from tasks.findings import Contradiction, ValueFindings, Words
from tasks.handles import FeatureTable
from tasks.value import wording
from tasks.value.bands import find_bands, find_total_factors, measure_coverage
from tasks.value.challengers import NAMES, Challenger, Lessons, divide, refit, tune_challenger
from tasks.value.contenders import Alive, Contenders, fit_models
from tasks.value.horizons import Horizons, find_horizon_days
from tasks.value.judging import Judgement, figures, judge
from tasks.value.measures import Predictions, find_deciles
from tasks.value.publishing import (
    Valuation,
    Values,
    add_amounts,
    publish,
    round_amounts,
    to_amount,
)
from tasks.value.reading import (
    Judged,
    Served,
    Sight,
    read_judged,
    read_served,
    see_orders,
)
from tasks.value.reconciling import (
    CODES,
    correct,
    correct_alive,
    find_contradictions,
    find_curve,
)
from tasks.value.rules import discount_factor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tasks.settings import Settings
    from tasks.warehouse import Lake

    Floats = NDArray[np.float64]


def require_horizon(settings: Settings) -> None:
    """Raise ConfigurationError (78) for a value horizon that ends before churn's."""
    days, churn_days = find_horizon_days(settings), settings.features.horizon_days
    if days < churn_days:
        raise ConfigurationError(
            f"value.horizon_days is {days}, less than features.horizon_days, {churn_days}.",
            found="value is made to agree with churn, which looks further",
            next_step=f"set it to {churn_days} or more, or to null for the same",
        )


def value_orders(
    lake: Lake,
    run_id: str,
    serving: FeatureTable,
    past: FeatureTable,
    horizons: Horizons,
    scoring_id: str | None,
) -> Valuation:
    """Value every customer of the newest cut-off of `serving` and publish.

    `past` holds the features of `horizons.cutoffs`. Raises DataRejected (65) for too few customers
    or orders to learn from.
    """
    settings = lake.settings
    require_horizon(settings)
    as_of, known_by = serving.as_of[-1], serving.known_by[-1]
    now = see_orders(lake, past.snapshot_id, known_by)
    judged = _read(lake, past, horizons.judged, now, settings, horizons.horizon_days)
    _require_customers(judged, horizons, settings)
    lessons = _gather_lessons(lake, past, horizons, settings)
    then = see_orders(lake, past.snapshot_id, past.known_by[-1])
    contenders = Contenders(
        fit_models(lake, then, horizons.judged), _tune(lessons, settings) if lessons else {}
    )
    churn_days = settings.features.horizon_days
    told, _ = contenders.tell(
        judged.basics, judged.features, settings.value, horizons.horizon_days, churn_days
    )
    judgement = judge(
        judged.spend,
        [Predictions(one.name, one.kind, one.spend) for one in told.values()],
        maximum_bias_share=settings.value.maximum_bias_share,
        resamples=settings.value.resamples,
        confidence=settings.value.confidence,
        seed=settings.value.seed,
    )
    ours = told[judgement.served]
    curve = find_curve(ours.score, judged.ordered_soon)
    final = _refit(lake, now, as_of, contenders, judgement, judged, lessons, settings)
    served = read_served(
        lake, serving, scoring_id, with_features=judgement.served in final.challengers
    )
    night, alive = final.tell(
        served.basics, served.features, settings.value, horizons.horizon_days, churn_days
    )
    before = night[judgement.served]
    order = curve.at(before.score)
    values, unreconciled = _make_values(
        served, before.spend, order, alive, ours.spend, judged.spend, horizons, settings
    )
    found = _describe(
        serving, horizons, settings, judgement, judged, ours.spend, values, unreconciled,
        final.models.parameters, has_challengers=bool(contenders.challengers),
    )  # fmt: skip
    trials = tuple(
        replace(trial, number=place)
        for place, trial in enumerate(
            trial for one in contenders.challengers.values() for trial in one.trials
        )
    )
    return publish(
        lake, Valuation(run_id, found, True, dict(figures(judgement.contenders)), trials), values
    )


def _read(
    lake: Lake,
    past: FeatureTable,
    as_of: datetime,
    sight: Sight,
    settings: Settings,
    horizon_days: int,
    maximum_rows: int | None = None,
) -> Judged:
    return read_judged(
        lake,
        past,
        as_of,
        sight,
        horizon_days=horizon_days,
        churn_days=settings.features.horizon_days,
        maximum_rows=maximum_rows or settings.value.maximum_judged_customers,
    )


def _require_customers(judged: Judged, horizons: Horizons, settings: Settings) -> None:
    customers = len(judged.spend)
    if customers < settings.value.minimum_customers:
        raise DataRejected(
            f"Value cannot be judged on {customers:,} customers.",
            found=(
                f"so many were active on {horizons.judged:%Y-%m-%d};"
                f" value.minimum_customers is {settings.value.minimum_customers:,}"
            ),
            next_step="ingest more customers' orders, or set a shorter value.horizon_days",
        )


def _gather_lessons(
    lake: Lake, past: FeatureTable, horizons: Horizons, settings: Settings
) -> Lessons | None:
    """Rows of the teaching cut-offs as known by the judged one; None where there are too few."""
    if not horizons.teaching:
        return None
    then = see_orders(lake, past.snapshot_id, past.known_by[-1])
    each = max(1, settings.value.maximum_training_rows // len(horizons.teaching))
    parts = [
        _read(lake, past, cutoff, then, settings, horizons.horizon_days, each)
        for cutoff in horizons.teaching
    ]
    newest = horizons.teaching[-1]
    apart = {
        number: cutoff + timedelta(days=horizons.horizon_days) <= newest
        for number, cutoff in enumerate(horizons.teaching)
    }
    lessons = divide(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.spend for part in parts]),
        np.concatenate([np.full(len(part.spend), number) for number, part in enumerate(parts)]),
        np.concatenate([part.lot for part in parts]),
        apart,
    )
    return lessons if lessons.enough else None


def _tune(lessons: Lessons, settings: Settings) -> dict[str, Challenger]:
    return {name: tune_challenger(name, lessons, settings.value) for name in NAMES}


def _refit(
    lake: Lake,
    now: Sight,
    as_of: datetime,
    contenders: Contenders,
    judgement: Judgement,
    judged: Judged,
    lessons: Lessons | None,
    settings: Settings,
) -> Contenders:
    """The models as the night knows it: learnt from the judged horizon, too.

    Of the learnt ones only what is served, and its first stage.
    """
    models = fit_models(lake, now, as_of)
    if lessons is None or judgement.served not in contenders.challengers:
        return Contenders(models)
    number = int(lessons.cutoff.max()) + 1
    longer = replace(
        lessons,
        features=np.concatenate([lessons.features, judged.features]),
        spend=np.concatenate([lessons.spend, judged.spend]),
        cutoff=np.concatenate([lessons.cutoff, np.full(len(judged.spend), number)]),
    )
    wanted = {"two_stage", judgement.served}
    return Contenders(
        models,
        {
            name: refit(one, longer, settings.value.seed)
            for name, one in contenders.challengers.items()
            if name in wanted
        },
    )


def _make_values(
    served: Served,
    spend: Floats,
    order: Floats,
    alive: Alive,
    judged_prediction: Floats,
    judged_spend: Floats,
    horizons: Horizons,
    settings: Settings,
) -> tuple[Values, Floats]:
    """The reconciled rows, and each customer's value before."""
    import pyarrow as pa

    value = settings.value
    share = settings.economics.margin_share * discount_factor(
        horizons.horizon_days, value.yearly_discount_share
    )
    reconciled = correct(spend, order, served.churn)
    bands = find_bands(judged_spend, judged_prediction, value.bands, value.confidence)
    low, high = bands.interval(reconciled)
    code = find_contradictions(
        frequency=served.basics.frequency,
        certain_alive=alive.certain,
        alive=alive.alive,
        order_probability=order,
        spend=spend,
        churn_probability=served.churn,
        limits=value.contradictions,
    )
    names = np.array([*CODES, None], dtype=object)
    values = Values(
        customer_ids=served.customer_ids,
        orders=correct(alive.orders, alive.order, served.churn),
        spend=round_amounts(reconciled),
        value=round_amounts(reconciled * share),
        low=round_amounts(low * share),
        high=round_amounts(high * share),
        alive=correct_alive(alive.alive, alive.order_if_alive, served.churn),
        churn=served.churn,
        contradiction=pa.array(names[code], pa.string()),
    )
    return values, round_amounts(spend * share)


def _describe(
    serving: FeatureTable,
    horizons: Horizons,
    settings: Settings,
    judgement: Judgement,
    judged: Judged,
    prediction: Floats,
    values: Values,
    unreconciled: Floats,
    parameters: dict[str, float],
    *,
    has_challengers: bool,
) -> ValueFindings:
    value, economics = settings.value, settings.economics
    coverage = measure_coverage(judged.spend, prediction, value.bands, value.confidence, value.seed)
    down, up = find_total_factors(
        judged.spend, prediction, value.resamples, value.confidence, value.seed
    )
    total = add_amounts(values.value)
    before = add_amounts(unreconciled)
    customers = len(values.value)
    factor = discount_factor(horizons.horizon_days, value.yearly_discount_share)
    notes = [wording.say_discount(horizons.horizon_days, factor, economics.margin_share)]
    notes.append(wording.say_coverage(value.confidence, coverage))
    unscored = int(np.isnan(values.churn).sum())
    if unscored:
        notes.append(wording.say_no_churn(unscored, customers))
    if unscored < customers:
        notes.append(
            wording.say_reconciled(
                f"{before:,.0f} {economics.currency}", f"{total:,.0f} {economics.currency}"
            )
        )
    if not has_challengers:
        notes.append(wording.say_no_challengers())
    return ValueFindings(
        deployment=settings.deployment,
        as_of=serving.as_of[-1],
        known_by=serving.known_by[-1],
        snapshot_id=serving.snapshot_id,
        currency=economics.currency,
        notes=tuple(notes),
        horizon_days=horizons.horizon_days,
        customers=customers,
        total_amount=total,
        low_amount=to_amount(float(total) * down),
        high_amount=to_amount(float(total) * up),
        unreconciled_amount=before,
        confidence=value.confidence,
        coverage_share=coverage,
        contest=judgement.contest,
        contenders=judgement.contenders,
        deciles=find_deciles(judged.spend, prediction),
        parameters=parameters,
        contradictions=_count_contradictions(values, unreconciled),
    )


def _count_contradictions(values: Values, before: Floats) -> tuple[Contradiction, ...]:
    codes = np.asarray(values.contradiction.to_pylist(), dtype=object)
    found = []
    for code in CODES:
        there = codes == code
        words: Words = wording.CONTRADICTIONS[code]
        found.append(
            Contradiction(
                code=code,
                words=words,
                customers=int(there.sum()),
                before_amount=add_amounts(before[there]),
                after_amount=add_amounts(values.value[there]),
            )
        )
    return tuple(found)
