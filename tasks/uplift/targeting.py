"""Whether uplift targeting is unlocked, and what it brings against the other ways to choose.

It is unlocked where the lower bound of the Qini of a learner, on customers that it had not learnt
from, lies above zero. Two learners are tried, so each is asked for twice the certainty. It is asked
again whenever a lot has matured, so the bound that unlocks is the ladder's, a normal mixture's that
holds at every look; the intervals that are shown are for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.evidence import Measure, Strategy
from tasks.uplift.effects import Trial, valid_quantile
from tasks.uplift.learners import LEARNERS, cross_fit
from tasks.uplift.qini import STEPS, Curve, draw_curves

if TYPE_CHECKING:
    from tasks.incrementality import UpliftSettings

Floats = NDArray[np.float64]

_THOUSAND = 1000
# The Qini of an effect and its opposite, each in one half of the customers, who are told apart.
_QINI_OF_EFFECT = 0.25


@dataclass(frozen=True, slots=True)
class Contest:
    """The strategies, who of the learners is served, and whether it is unlocked.

    `scores` are the served learner's, cross-fitted, shape (subjects,): what a contact adds to what
    is good. `low` is the bound of its Qini that decides, `over_risk` its Qini less that of the
    ranking by risk, with the paired interval.
    """

    strategies: tuple[Strategy, ...]
    served: str
    unlocked: bool
    curve: tuple[tuple[float, float, float, float], ...]
    scores: Floats
    low: float
    over_risk: tuple[float, float, float]


def compare_strategies(
    trial: Trial,
    features: Floats,
    measure: Measure,
    settings: UpliftSettings,
    *,
    cost_amount: float = 0.0,
    risk: Literal["without_contact", "with_contact"] = "without_contact",
) -> Contest:
    """Cross-fit both learners on a trial and hold them against everyone, risk and chance.

    `risk` is whose expected outcome ranks: who does worst without a contact (a churn model), or who
    does best with one (a response model). `cost_amount` is a contact's, taken off the money.
    """
    benefit = 1 - trial.lapsed if measure == "lapse_share" else trial.margin
    found = cross_fit(
        features,
        benefit,
        trial.treated,
        trial.customers,
        settings.learner,
        folds=settings.folds,
        seed=settings.seed,
        binary=measure == "lapse_share",
    )
    chance = np.random.default_rng(settings.seed + 1).random(len(trial))
    rankings = {
        **{name: found[name] for name in LEARNERS},
        "risk": -found["without_contact"] if risk == "without_contact" else found["with_contact"],
        "random": chance,
    }
    drawn = (trial.treated, trial.lots, trial.customers)
    resamples, seed = settings.resamples, settings.seed
    curves = draw_curves(rankings, benefit, *drawn, resamples=resamples, seed=seed)
    money = (
        curves
        if measure == "margin_amount"
        else draw_curves(rankings, trial.margin, *drawn, resamples=resamples, seed=seed)
    )
    alpha = 1 - settings.confidence
    bounds = {name: _bounds(curves[name].qinis, alpha / len(LEARNERS)) for name in LEARNERS}
    scale = settings.effect_scale * float(benefit.std()) * _QINI_OF_EFFECT
    floors = {name: _find_floor(curves[name], scale, alpha / len(LEARNERS)) for name in LEARNERS}
    served = max(LEARNERS, key=lambda name: floors[name])
    strategies = [
        _judge(name, curves[name], money[name], settings, cost_amount, bounds.get(name))
        for name in rankings
    ]
    strategies.append(_judge("everyone", curves["random"], money["random"], settings, cost_amount))
    return Contest(
        tuple(strategies),
        served,
        floors[served] > 0,
        _points(curves[served], alpha),
        found[served],
        floors[served],
        (
            curves[served].qini - curves["risk"].qini,
            *_bounds(curves[served].qinis - curves["risk"].qinis, alpha),
        ),
    )


def _find_floor(curve: Curve, scale: float, alpha: float) -> float:
    """What the Qini is at least, whenever one looks; `scale` is the Qini that is looked for."""
    error = float(curve.qinis.std())
    if not error > 0 or not scale > 0:
        return -np.inf
    return curve.qini - error * valid_quantile(scale / error, alpha)


def _judge(
    name: str,
    curve: Curve,
    money: Curve,
    settings: UpliftSettings,
    cost_amount: float,
    qini_bounds: tuple[float, float] | None = None,
) -> Strategy:
    kinds: Mapping[str, Literal["risk", "everyone", "random"]] = {
        "risk": "risk",
        "everyone": "everyone",
        "random": "random",
    }
    alpha = 1 - settings.confidence
    share = 1.0 if name == "everyone" else settings.budget_share
    if name == "random":
        # Chance has no order: its expected gain is the whole's, in proportion.
        gain, gains = (curve.gains[-1] * share, curve.resampled[:, -1] * share)
        amount, amounts = (money.gains[-1] * share, money.resampled[:, -1] * share)
    else:
        gain, gains = curve.at(share)
        amount, amounts = money.at(share)
    low, high = _bounds(gains, alpha)
    low_amount, high_amount = _bounds(amounts, alpha)
    ranked = name in (*LEARNERS, "risk")
    qini_low, qini_high = qini_bounds or (_bounds(curve.qinis, alpha) if ranked else (0.0, 0.0))
    cost = cost_amount * share
    return Strategy(
        name=name,
        kind=kinds.get(name, "uplift"),
        contacted_share=share,
        qini=curve.qini if ranked else None,
        qini_low=qini_low if ranked else None,
        qini_high=qini_high if ranked else None,
        at_budget=float(gain) * _THOUSAND,
        at_budget_low=low * _THOUSAND,
        at_budget_high=high * _THOUSAND,
        money_amount=(float(amount) - cost) * _THOUSAND,
        money_low=(low_amount - cost) * _THOUSAND,
        money_high=(high_amount - cost) * _THOUSAND,
    )


def _bounds(values: Floats, alpha: float) -> tuple[float, float]:
    low, high = np.quantile(values, [alpha / 2, 1 - alpha / 2])
    return float(low), float(high)


def _points(curve: Curve, alpha: float) -> tuple[tuple[float, float, float, float], ...]:
    low, high = np.quantile(curve.resampled, [alpha / 2, 1 - alpha / 2], axis=0)
    return tuple(
        (step / STEPS, float(curve.gains[step]), float(low[step]), float(high[step]))
        for step in range(STEPS + 1)
    )
