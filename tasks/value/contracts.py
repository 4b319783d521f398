"""Value of customers with contracts: margin times the days they are expected to stay and pay.

Reconciled with churn by their hazard: each contract's is multiplied so that the chance of leaving
within the churn horizon is what the churn model says. So churn 1 means value 0, a higher churn
never means a higher value, and nobody pays for more than the horizon.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.errors import ConfigurationError, DataRejected, suggest
from tasks.findings import Contradiction, ValueFindings
from tasks.handles import FeatureTable
from tasks.value import wording
from tasks.value.bands import find_total_factors
from tasks.value.horizons import find_horizon_days
from tasks.value.judging import figures, judge
from tasks.value.measures import Predictions, find_deciles
from tasks.value.publishing import (
    Valuation,
    Values,
    add_amounts,
    publish,
    round_amounts,
    to_amount,
)
from tasks.value.rules import discount_factor
from tasks.value.tenure import (
    Spells,
    Tenure,
    expect_days,
    find_quantile_days,
    find_strength,
    fit_tenure,
    flat_tenure,
)
from tasks.visibility import supersessions, visible
from tasks.warehouse import quote

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.settings import Settings
    from tasks.warehouse import Lake

Floats = NDArray[np.float64]

_SQL = Path(__file__).with_name("sql")
SURVIVAL, FLAT, ALL_STAY = "tenure_survival", "flat_hazard", "everybody_stays"
CODES = ("leaving_but_valuable", "leaving_but_lasting", "staying_but_ending")


@dataclass(frozen=True, slots=True)
class _Past:
    """What was observed and what each method said of it; arrays of shape (customers,)."""

    observed: Floats
    predictions: tuple[Predictions, ...]
    coverage: float | None


def value_contracts(
    lake: Lake,
    run_id: str,
    serving: FeatureTable,
    past: FeatureTable,
    judged: datetime | None,
    scoring_id: str | None,
) -> Valuation:
    """Value every customer of the newest cut-off of `serving` by their contracts, and publish.

    `past` has the features of the cut-off `judged`, a horizon ago; for a labelled set, which has
    one day only, `judged` is None and `past` holds everybody with the outcome. Raises
    DataRejected (65) where no contract has ended or too few customers are there,
    ConfigurationError (78) where a labelled set names no tenure.
    """
    settings = lake.settings
    if judged is None:
        spells, parts = _read_labelled(lake, past, settings)
        tenure = fit_tenure(spells)
        seen = _judge_labelled(lake, past, spells, parts, settings)
        age = quote(_tenure_feature(past, settings))
        age = f"({age} * {settings.value.contracts.tenure_unit_days!r})"
    else:
        now = (serving.as_of[-1], serving.known_by[-1])
        tenure = fit_tenure(_read_spells(lake, past.snapshot_id, now, settings))
        seen = _judge_contracts(lake, past, judged, serving.known_by[-1], settings)
        age = "contract_age_days"
    value = settings.value
    judgement = judge(
        seen.observed,
        seen.predictions,
        maximum_bias_share=value.maximum_bias_share,
        resamples=value.resamples,
        confidence=value.confidence,
        seed=value.seed,
    )
    served_curve = {
        SURVIVAL: tenure,
        FLAT: flat_tenure(tenure),
        ALL_STAY: Tenure(np.zeros(1), np.zeros(1), 0.0, tenure.contracts, tenure.ended),
    }[judgement.served]
    rows = _read_served(lake, serving, scoring_id, age)
    values, before = _make_values(rows, served_curve, tenure, settings)
    prediction = next(one.spend for one in seen.predictions if one.name == judgement.served)
    down, up = find_total_factors(
        seen.observed, prediction, value.resamples, value.confidence, value.seed
    )
    total = add_amounts(values.value)
    horizon_days = find_horizon_days(settings)
    factor = discount_factor(horizon_days, value.yearly_discount_share)
    notes = [
        wording.say_discount(horizon_days, factor, settings.economics.margin_share),
        wording.say_survival(tenure.contracts, tenure.ended),
    ]
    if judged is None:
        notes.append(wording.say_cross_fitted(value.contracts.folds))
    if seen.coverage is not None:
        notes.append(wording.say_coverage(value.confidence, seen.coverage))
    unscored = int(np.isnan(values.churn).sum())
    if unscored:
        notes.append(wording.say_no_churn(unscored, len(values.churn)))
    found = ValueFindings(
        deployment=settings.deployment,
        as_of=serving.as_of[-1],
        known_by=serving.known_by[-1],
        snapshot_id=serving.snapshot_id,
        currency=settings.economics.currency,
        notes=tuple(notes),
        horizon_days=horizon_days,
        customers=len(values.value),
        total_amount=total,
        low_amount=to_amount(float(total) * down),
        high_amount=to_amount(float(total) * up),
        unreconciled_amount=add_amounts(before),
        confidence=value.confidence,
        coverage_share=seen.coverage,
        contest=judgement.contest,
        contenders=judgement.contenders,
        deciles=find_deciles(seen.observed, prediction),
        parameters={
            "daily_hazard": tenure.daily_hazard,
            "contracts": float(tenure.contracts),
            "ended_contracts": float(tenure.ended),
        },
        contradictions=_count_contradictions(values, before),
    )
    made = Valuation(run_id, found, True, dict(figures(judgement.contenders)))
    return publish(lake, made, values)


def _tell(tenure: Tenure, age: Floats, amount: Floats, settings: Settings) -> Mapping[str, Floats]:
    """What each method says is paid in the horizon."""
    horizon_days = find_horizon_days(settings)
    periods = 1 / settings.value.contracts.period_days
    return {
        SURVIVAL: amount * periods * expect_days(tenure, age, horizon_days),
        FLAT: amount * periods * expect_days(flat_tenure(tenure), age, horizon_days),
        ALL_STAY: amount * periods * horizon_days,
    }


def _judge_contracts(
    lake: Lake, past: FeatureTable, judged: datetime, known_by: datetime, settings: Settings
) -> _Past:
    """Contracts open a horizon ago: the curve as known then, what was paid as known now."""
    tenure = fit_tenure(_read_spells(lake, past.snapshot_id, (judged, past.known_by[-1]), settings))
    found = lake.arrow(
        lake.text(
            _SQL / "contract_judged.sql",
            names={
                "subscriptions": _subscriptions(lake, past.snapshot_id),
                "features": f"lake.main.{quote(past.table)}",
            },
        ),
        {
            "known_by": known_by,
            "as_of": judged,
            "as_of_day": _day(judged),
            "horizon_days": find_horizon_days(settings),
            "period_days": settings.value.contracts.period_days,
            "maximum_rows": settings.value.maximum_judged_customers,
        },
    )
    _require_customers(found.num_rows, settings)
    age, amount, observed = (_column(found, n) for n in ("age_days", "period_amount", "spend"))
    told = _tell(tenure, age, amount, settings)
    tail = (1 - settings.value.confidence) / 2
    periods = amount / settings.value.contracts.period_days
    low, high = (
        periods * find_quantile_days(tenure, age, find_horizon_days(settings), share)
        for share in (tail, 1 - tail)
    )
    # Contracts end at any hour, curves at midnight.
    inside = (observed >= low - periods) & (observed <= high + periods)
    return _Past(observed, _as_predictions(told), float(inside.mean()))


def _judge_labelled(
    lake: Lake, past: FeatureTable, spells: Spells, parts: Floats, settings: Settings
) -> _Past:
    """One period's payment at the end of the churn horizon, by curves of the other parts."""
    contracts = settings.value.contracts
    found = lake.arrow(
        lake.text(_SQL / "labelled_judged.sql", names=_labelled_names(past, settings)),
        {
            **_labelled_values(past, settings),
            "maximum_rows": settings.value.maximum_judged_customers,
        },
    )
    _require_customers(found.num_rows, settings)
    age, days, amount, stayed, part = (
        _column(found, name)
        for name in ("age_days", "seen_days", "period_amount", "stayed", "part")
    )
    told = {name: np.zeros(len(age)) for name in (SURVIVAL, FLAT, ALL_STAY)}
    for number in range(contracts.folds):
        here, others = part == number, parts != number
        tenure = fit_tenure(
            Spells(
                spells.entry[others],
                spells.exit[others],
                spells.ended[others],
                spells.customers[others],
            )
        )
        told[SURVIVAL][here] = amount[here] * tenure.stays(age[here], days[here])
        told[FLAT][here] = amount[here] * flat_tenure(tenure).stays(age[here], days[here])
        told[ALL_STAY][here] = amount[here]
    return _Past(amount * stayed, _as_predictions(told), None)


def _make_values(
    rows: Mapping[str, Any], served: Tenure, tenure: Tenure, settings: Settings
) -> tuple[Values, Floats]:
    """The reconciled rows, and each customer's value before.

    Where the served rule has no hazard to multiply, that of the curve is.
    """
    import pyarrow as pa

    value, churn_days = settings.value, settings.features.horizon_days
    horizon_days = find_horizon_days(settings)
    age, amount, churn = rows["age_days"], rows["period_amount"], rows["churn"]
    each_day = amount / value.contracts.period_days
    share = settings.economics.margin_share * discount_factor(
        horizon_days, value.yearly_discount_share
    )
    known = ~np.isnan(churn)
    curve = served if served.daily_hazard > 0 else tenure
    strength = find_strength(curve, age, churn_days, churn)
    plain = each_day * expect_days(served, age, horizon_days)
    spend = np.where(known, each_day * expect_days(curve, age, horizon_days, strength), plain)
    tail = (1 - value.confidence) / 2
    low, high = (
        each_day * find_quantile_days(curve, age, horizon_days, one, strength)
        for one in (tail, 1 - tail)
    )
    limits = value.contradictions
    leaving, staying = churn >= limits.high_churn_probability, churn <= limits.low_churn_probability
    lasts = tenure.stays(age, churn_days)
    valuable = (plain > 0) & (plain >= np.quantile(plain, 1 - limits.valuable_share))
    codes = np.full(len(age), None, dtype=object)
    codes[staying & (lasts <= limits.low_alive_probability)] = CODES[2]
    codes[leaving & (lasts >= limits.high_churn_probability)] = CODES[1]
    codes[leaving & valuable] = CODES[0]
    values = Values(
        customer_ids=rows["customer_id"],
        orders=np.full(len(age), np.nan),
        spend=round_amounts(spend),
        value=round_amounts(spend * share),
        low=round_amounts(np.minimum(low, spend) * share),
        high=round_amounts(np.maximum(high, spend) * share),
        alive=np.full(len(age), np.nan),
        churn=churn,
        contradiction=pa.array(codes, pa.string()),
    )
    return values, round_amounts(plain * share)


def _count_contradictions(values: Values, before: Floats) -> tuple[Contradiction, ...]:
    codes = np.asarray(values.contradiction.to_pylist(), dtype=object)
    return tuple(
        Contradiction(
            code=code,
            words=wording.CONTRADICTIONS[code],
            customers=int((codes == code).sum()),
            before_amount=add_amounts(before[codes == code]),
            after_amount=add_amounts(values.value[codes == code]),
        )
        for code in CODES
    )


def _read_spells(
    lake: Lake, snapshot_id: int, moment: tuple[datetime, datetime], settings: Settings
) -> Spells:
    as_of, known_by = moment
    found = lake.arrow(
        lake.text(
            _SQL / "contract_spells.sql",
            names={"subscriptions": _subscriptions(lake, snapshot_id)},
        ),
        {
            "known_by": known_by,
            "as_of": as_of,
            "as_of_day": _day(as_of),
            "window_days": settings.value.contracts.window_days,
        },
    )
    return _spells(found)


def _read_labelled(lake: Lake, past: FeatureTable, settings: Settings) -> tuple[Spells, Floats]:
    """The spells and, a row each, the part that they belong to."""
    found = lake.arrow(
        lake.text(_SQL / "labelled_spells.sql", names=_labelled_names(past, settings)),
        _labelled_values(past, settings),
    )
    return _spells(found), _column(found, "part")


def _read_served(
    lake: Lake, serving: FeatureTable, scoring_id: str | None, age: str
) -> dict[str, Any]:
    scores = "select null::varchar as customer_id, null::double as probability where false"
    if scoring_id is not None:
        scores = (
            "select customer_id, probability from lake.main.scores where scoring_id = $scoring_id"
        )
    found: pa.Table = lake.arrow(
        lake.text(
            _SQL / "contract_served.sql",
            names={
                "age": age,
                "features": f"lake.main.{quote(serving.table)}",
                "scores": scores,
            },
        ),
        {"as_of": serving.as_of[-1], "scoring_id": scoring_id},
    )
    return {
        "customer_id": found["customer_id"].combine_chunks(),
        **{name: _column(found, name) for name in ("age_days", "period_amount", "churn")},
    }


def _tenure_feature(past: FeatureTable, settings: Settings) -> str:
    name = settings.value.contracts.tenure_feature
    if name is None or name not in past.feature_names:
        raise ConfigurationError(
            "A labelled set is valued by how long its customers have been there, which"
            " value.contracts.tenure_feature names.",
            found=f"it is '{name}', no feature. {suggest(name, past.feature_names)}".rstrip()
            if name
            else "it is not set",
            available=past.feature_names,
            next_step="set it to one of them, with value.contracts.tenure_unit_days",
        )
    return name


def _labelled_names(past: FeatureTable, settings: Settings) -> dict[str, str]:
    return {
        "tenure": quote(_tenure_feature(past, settings)),
        "features": f"lake.main.{quote(past.table)}",
    }


def _labelled_values(past: FeatureTable, settings: Settings) -> dict[str, Any]:
    contracts = settings.value.contracts
    return {
        "as_of": past.as_of[-1],
        "unit_days": contracts.tenure_unit_days,
        "churn_days": settings.features.horizon_days,
        "folds": contracts.folds,
    }


def _subscriptions(lake: Lake, snapshot_id: int) -> str:
    superseded = supersessions(lake, snapshot_id, "subscriptions")
    return visible("subscriptions", snapshot_id, superseded)


def _require_customers(customers: int, settings: Settings) -> None:
    if customers < settings.value.minimum_customers:
        raise DataRejected(
            f"Value cannot be judged on {customers:,} customers.",
            found=f"value.minimum_customers is {settings.value.minimum_customers:,}",
            next_step="ingest more customers, with their contracts",
        )


def _as_predictions(told: Mapping[str, Floats]) -> tuple[Predictions, ...]:
    return tuple(
        Predictions(name, "model" if name == SURVIVAL else "rule", spend)
        for name, spend in told.items()
    )


def _spells(found: Any) -> Spells:
    return Spells(
        _column(found, "entry_days"),
        _column(found, "exit_days"),
        np.asarray(found["ended"].to_numpy()).astype(bool),
        _column(found, "customers"),
    )


def _column(found: Any, name: str) -> Floats:
    return np.asarray(found[name].to_numpy(), dtype=np.float64)


def _day(moment: datetime) -> int:
    return int(moment.timestamp()) // 86_400
