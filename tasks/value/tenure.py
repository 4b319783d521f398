"""How long contracts last: Kaplan-Meier over the age of contracts, with delayed entry.

A contract that is seen for a year and was three years old before is at risk between three and four
years only. So a set of today's customers, among whom those who left long ago are missing, gives the
hazard of today and not a flattering one. Times in days.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.errors import DataRejected

Floats = NDArray[np.float64]

# With fewer contracts at risk a step of the curve is noise; the mean hazard takes over.
_LEAST_AT_RISK = 20
_STEPS = 32
_CHUNK = 50_000
_GONE = 50.0  # a cumulative hazard from which nobody comes back


@dataclass(frozen=True, slots=True)
class Spells:
    """Contracts under observation, collapsed: from age `entry` to age `exit`, arrays (rows,)."""

    entry: Floats
    exit: Floats
    ended: NDArray[np.bool_]
    customers: Floats


@dataclass(frozen=True, slots=True)
class Tenure:
    """Cumulative hazard by age: straight between `ages`, then at the mean hazard a day."""

    ages: Floats
    hazard: Floats
    daily_hazard: float
    contracts: int
    ended: int

    def cumulative(self, age: Floats) -> Floats:
        beyond = np.maximum(age - self.ages[-1], 0.0) * self.daily_hazard
        return np.asarray(np.interp(age, self.ages, self.hazard) + beyond)

    def stays(self, age: Floats, days: Floats | float) -> Floats:
        """Probability that a contract of this age is open `days` later."""
        return np.asarray(np.exp(self.cumulative(age) - self.cumulative(age + days)))


def fit_tenure(spells: Spells) -> Tenure:
    """The curve. Raises DataRejected (65) where nothing has ended, or nothing was observed."""
    from statsmodels.duration.survfunc import SurvfuncRight

    seen = (spells.exit > spells.entry) & (spells.customers > 0)
    entry, exit_, weights = spells.entry[seen], spells.exit[seen], spells.customers[seen]
    ended = spells.ended[seen].astype(np.float64)
    exposure = float((exit_ - entry) @ weights)
    deaths = float(ended @ weights)
    if deaths < 1:
        raise DataRejected(
            "How long customers stay cannot be learnt: no contract has ended.",
            found=f"{weights.sum():,.0f} contracts under observation",
            next_step="ingest contracts that have ended, with their end",
        )
    curve = SurvfuncRight(exit_, ended, entry=entry, freq_weights=weights)
    at_risk = np.asarray(curve.n_risk, dtype=np.float64)
    enough = at_risk >= min(_LEAST_AT_RISK, at_risk.max())
    last = int(np.flatnonzero(enough).max())
    first = int(np.flatnonzero(enough).min())
    left = np.asarray(curve.n_events, dtype=np.float64)[first : last + 1]
    stay = np.maximum(1 - left / at_risk[first : last + 1], np.exp(-_GONE))
    ages = np.asarray(curve.surv_times, dtype=np.float64)[first : last + 1]
    hazard = np.cumsum(-np.log(stay))
    return Tenure(
        np.concatenate(([0.0], ages)),
        np.concatenate(([0.0], hazard)),
        deaths / exposure,
        int(weights.sum()),
        int(deaths),
    )


def flat_tenure(tenure: Tenure) -> Tenure:
    """The rule beside it: everybody leaves at the mean hazard, whatever their age."""
    return Tenure(np.zeros(1), np.zeros(1), tenure.daily_hazard, tenure.contracts, tenure.ended)


def expect_days(
    tenure: Tenure, age: Floats, horizon_days: float, strength: Floats | None = None
) -> Floats:
    """Expected days that a contract of this age stays open within the horizon, shape (rows,).

    `strength` multiplies each contract's hazard (infinite: it is gone at once); without it 1.
    """
    factor = np.ones(len(age)) if strength is None else strength
    days = np.empty(len(age))
    middles = (np.arange(_STEPS) + 0.5) * (horizon_days / _STEPS)
    for start in range(0, len(age), _CHUNK):
        part = slice(start, start + _CHUNK)
        here = age[part, None]
        hazard = tenure.cumulative(here + middles) - tenure.cumulative(here)
        strong = np.minimum(factor[part], 1e12)[:, None]
        days[part] = np.exp(-np.minimum(hazard * strong, 700.0)).sum(axis=1)
    days *= horizon_days / _STEPS
    days[np.isinf(factor)] = 0.0
    return days


def find_quantile_days(
    tenure: Tenure, age: Floats, horizon_days: float, share: float, strength: Floats | None = None
) -> Floats:
    """Days, at most the horizon, by which `share` of such contracts have ended."""
    factor = np.ones(len(age)) if strength is None else strength
    target = np.full(len(age), -np.log1p(-share))
    target = np.divide(target, factor, out=np.full_like(target, np.inf), where=factor > 0)
    reached = tenure.cumulative(age) + target
    inside = np.interp(reached, tenure.hazard, tenure.ages)
    if tenure.daily_hazard > 0:
        beyond = tenure.ages[-1] + (reached - tenure.hazard[-1]) / tenure.daily_hazard
        inside = np.where(reached > tenure.hazard[-1], beyond, inside)
    return np.asarray(np.clip(inside - age, 0.0, horizon_days))


def find_strength(
    tenure: Tenure, age: Floats, churn_days: float, churn_probability: Floats
) -> Floats:
    """What to multiply each hazard by so that the chance of leaving within `churn_days` is churn's.

    1 where churn is NaN; infinite where it is 1; 0 where it is 0.
    """
    stays = tenure.cumulative(age + churn_days) - tenure.cumulative(age)
    with np.errstate(divide="ignore"):
        wanted = -np.log1p(-np.clip(churn_probability, 0.0, 1.0))
    return np.where(np.isnan(churn_probability), 1.0, wanted / np.maximum(stays, 1e-9))
