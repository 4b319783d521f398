"""Which method carries a series on, judged from past moments, and how far it may be off.

From each of some past periods (the origins) every method tells what came after, fitted to what lay
before alone; errors are scaled by those of the naive method within the part before the first origin
(Hyndman and Koehler 2006), so that 1 is no better than "as it was". The better model is served only
if it is better than the better rule (seasonal naive, or naive where there is not a whole year) by a
margin: where nothing can be told, one of several models is a little better by chance in four cases
of five, by 5 % in one of seven (`benchmarks/forecasts`).

The interval is made of the errors at those origins, whichever method they are of, so that a rule
has one as well and no distribution is assumed. Errors are divided by their usual size so many
periods ahead, pooled, and the quantile taken that a further origin would keep to (split
conformal). Neighbouring origins resemble each other, so it is then tried: each origin's interval
is made of the others' errors, and as long as too few values lie inside, all are widened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

import numpy as np

from tasks.findings import Contest
from tasks.forecasts.methods import (
    LEAST_VALUES,
    Method,
    fit_arima,
    fit_smoothing,
    naive,
    seasonal_naive,
)

# Parameters hardly move from one period to the next.
_REFIT_EVERY = 4
_WIDENINGS = (1.0, 1.1, 1.25, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0)
_MODELS: dict[str, Callable[..., Method | None]] = {
    "exponential_smoothing": fit_smoothing,
    "arima": fit_arima,
}
_MEASURE = "mean absolute scaled error"


@dataclass(frozen=True, slots=True)
class Forecast:
    """What comes next and how sure that is; arrays of shape (ahead,).

    `coverage_share` is the part of past values inside intervals that were made without them, after
    widening by `widened`; `checked_values` is how many those were.
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    errors: dict[str, float]
    contest: Contest
    coverage_share: float
    widened: float
    checked_values: int


def forecast(
    values: np.ndarray,
    ahead: int,
    season: int,
    *,
    origins: int,
    confidence: float,
    minimum_gain_share: float,
) -> Forecast:
    """Carry on `values`, float64 of shape (periods,), at least 12 of them.

    `season` is the number of periods of a year, `origins` how many past moments judge at most,
    `minimum_gain_share` by how much of the rule's error a model's must be smaller.
    """
    size = float(np.mean(np.abs(values))) or 1.0
    scaled = values / size
    places = _choose_origins(len(values), ahead, origins)
    told, fitted = _tell_the_past(scaled, places, ahead, season)
    scale = _find_scale(scaled[: places[0]], scaled)
    missed = {
        name: [_truth(scaled, place, ahead) - one for place, one in zip(places, past, strict=True)]
        for name, past in told.items()
    }
    errors = {name: _mean_error(one, scale) for name, one in missed.items()}
    contest = _hold_contest(errors, len(places), minimum_gain_share)
    carried = _carry_on(contest.served, scaled, ahead, season, fitted)
    spread, coverage, widened = _find_spread(missed[contest.served], ahead, confidence)
    return Forecast(
        mean=carried * size,
        low=(carried - spread) * size,
        high=(carried + spread) * size,
        errors=errors,
        contest=contest,
        coverage_share=coverage,
        widened=widened,
        checked_values=sum(len(one) for one in missed[contest.served]),
    )


def _choose_origins(periods: int, ahead: int, most: int) -> list[int]:
    """How many values each origin sees; the whole way ahead behind it where history allows."""
    last = periods - ahead
    if last - LEAST_VALUES < 1:
        # A short history: what lies behind the later origins is less than the whole way.
        last = periods - 1
    return list(range(max(LEAST_VALUES, last - most + 1), last + 1))


def _truth(values: np.ndarray, place: int, ahead: int) -> np.ndarray:
    return values[place : place + ahead]


def _tell_the_past(
    values: np.ndarray, places: list[int], ahead: int, season: int
) -> tuple[dict[str, list[np.ndarray]], dict[str, Method | None]]:
    """What each method would have told at each origin, and the models as fitted last.

    Of models only those that can be fitted.
    """
    told: dict[str, list[np.ndarray]] = {"naive": []}
    if season <= places[0]:
        told["seasonal_naive"] = []
    fitted = {name: fit(values[: places[0]], season) for name, fit in _MODELS.items()}
    told |= {name: [] for name, method in fitted.items() if method is not None}
    for number, place in enumerate(places):
        past = values[:place]
        steps = len(_truth(values, place, ahead))
        for name in told:
            method = _method(name, past, season, fitted, refit=number % _REFIT_EVERY == 0)
            told[name].append(method.carry(past, steps))
    return told, fitted


def _method(
    name: str, past: np.ndarray, season: int, fitted: dict[str, Method | None], *, refit: bool
) -> Method:
    """The method for an origin; a model refitted in its form, or as before where that fails."""
    if name == "naive":
        return naive()
    if name == "seasonal_naive":
        return seasonal_naive(season)
    before = fitted[name]
    assert before is not None
    if refit:
        # The form stays the one that the part before the first origin has chosen.
        before = fitted[name] = _MODELS[name](past, season, before.form) or before
    return before


def _find_scale(training: np.ndarray, values: np.ndarray) -> float:
    """Mean absolute change a period; of the whole where the first part has none."""
    scale = float(np.mean(np.abs(np.diff(training))))
    return scale or float(np.mean(np.abs(np.diff(values)))) or 1.0


def _mean_error(missed: list[np.ndarray], scale: float) -> float:
    return float(np.mean(np.abs(np.concatenate(missed)))) / scale


def _hold_contest(errors: dict[str, float], origins: int, margin: float) -> Contest:
    """The better model against the better rule; what is not clearly better is the rule's."""
    rules = [name for name in ("seasonal_naive", "naive") if name in errors]
    models = [name for name in _MODELS if name in errors]
    rule = min(rules, key=lambda name: errors[name])
    if not models:
        return _say(rule, "rule", rule, errors, "no model could be fitted to this series")
    model = min(models, key=lambda name: errors[name])
    judged = f"from {origins} past moments"
    if errors[model] < (1 - margin) * errors[rule]:
        return _say(model, "model", rule, errors, f"{judged} it told better than the best rule")
    return _say(rule, "rule", model, errors, f"{judged} no model told better by {margin:.0%}")


def _say(served: str, kind: str, rival: str, errors: dict[str, float], reason: str) -> Contest:
    return Contest(
        served=served,
        served_kind="model" if kind == "model" else "rule",
        rival=rival,
        measure=_MEASURE,
        higher_is_better=False,
        served_figure=errors[served],
        rival_figure=errors[rival],
        difference=errors[served] - errors[rival],
        reason=reason,
    )


def _carry_on(
    name: str, values: np.ndarray, ahead: int, season: int, fitted: dict[str, Method | None]
) -> np.ndarray:
    """The served method, in the form that was judged, fitted anew to everything."""
    return _method(name, values, season, fitted, refit=True).carry(values, ahead)


def _find_spread(
    missed: list[np.ndarray], ahead: int, confidence: float
) -> tuple[np.ndarray, float, float]:
    """Half the interval's width each period ahead, the coverage found, and the widening."""
    usual = _usual_size(missed, ahead)
    inside: list[np.ndarray] = []
    for place in range(len(missed)):
        others = missed[:place] + missed[place + 1 :]
        size = _usual_size(others, ahead)
        reach = _quantile(others, size, confidence)
        own = np.abs(missed[place])
        # How much wider each interval would have had to be.
        inside.append(_divide(own, reach * size[: len(own)]))
    needed = np.concatenate(inside)
    shares = {factor: float(np.mean(needed <= factor)) for factor in _WIDENINGS}
    widened = next((f for f, share in shares.items() if share >= confidence), _WIDENINGS[-1])
    return usual * _quantile(missed, usual, confidence) * widened, shares[widened], widened


def _usual_size(missed: list[np.ndarray], ahead: int) -> np.ndarray:
    """Mean absolute error each period ahead, never falling; beyond what was seen by the root."""
    seen = max(len(one) for one in missed)
    means = [
        float(np.mean([abs(one[step]) for one in missed if len(one) > step]))
        for step in range(seen)
    ]
    rising = np.maximum.accumulate(means)
    further = np.sqrt(np.arange(seen + 1, ahead + 1) / seen) * rising[-1]
    return np.concatenate([rising, further])[:ahead]


def _quantile(missed: list[np.ndarray], size: np.ndarray, confidence: float) -> float:
    """The error in usual sizes that a further value keeps to with `confidence`."""
    pooled = np.sort(np.concatenate([_divide(np.abs(one), size[: len(one)]) for one in missed]))
    place = ceil(confidence * (len(pooled) + 1)) - 1
    return float(pooled[min(place, len(pooled) - 1)])


def _divide(error: np.ndarray, size: np.ndarray) -> np.ndarray:
    """error / size; 0 where there is no error, infinite where there is and none was usual."""
    ratio = np.where(error > 0, np.inf, 0.0)
    np.divide(error, size, out=ratio, where=size > 0)
    return ratio
