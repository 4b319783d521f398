"""Everybody who tells the spend of a horizon: two rules, two purchase models, two learnt ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from tasks.value.amounts import AmountModel, expect_amount, fit_amounts
from tasks.value.btyd import (
    PurchaseModel,
    expect_orders,
    find_alive,
    find_order_if_alive,
    fit_purchases,
)
from tasks.value.challengers import Challenger
from tasks.value.reading import Basics, Sight, read_amounts, read_counts
from tasks.value.rules import last_years_spend, simple_formula

if TYPE_CHECKING:
    from tasks.warehouse import Lake
    from tasks.worth import ValueSettings

Floats = NDArray[np.float64]
_DAYS_A_WEEK = 7.0


@dataclass(frozen=True, slots=True)
class PurchaseModels:
    """The purchase models of one cut-off and what an order is worth."""

    bg: PurchaseModel
    mbg: PurchaseModel
    amounts: AmountModel
    customers: int
    distinct_rows: int

    @property
    def parameters(self) -> dict[str, float]:
        """All parameters by name (`bg_nbd_r`), times in weeks, with the log likelihoods."""
        named: dict[str, PurchaseModel | AmountModel] = {
            "bg_nbd": self.bg,
            "mbg_nbd": self.mbg,
            "gamma_gamma": self.amounts,
        }
        return {
            f"{name}_{key}": value
            for name, model in named.items()
            for key, value in {**model.parameters, "log_likelihood": model.log_likelihood}.items()
        }


@dataclass(frozen=True, slots=True)
class Told:
    """What one contender tells of each customer; arrays of shape (customers,).

    `score` ascends with the probability of an order within the churn horizon, as this contender
    has it: reconciling makes it a probability.
    """

    name: str
    kind: Literal["model", "rule"]
    spend: Floats
    score: Floats


@dataclass(frozen=True, slots=True)
class Alive:
    """What the purchase models tell of being a customer; arrays of shape (customers,).

    `orders` are expected over the value horizon; `order_if_alive` and `order` are probabilities of
    an order within the churn horizon. All by mbg_nbd but `certain`, P(alive) by bg_nbd.
    """

    alive: Floats
    certain: Floats
    orders: Floats
    order_if_alive: Floats
    order: Floats


@dataclass(frozen=True, slots=True)
class Contenders:
    """Fitted models of one cut-off, ready to tell."""

    models: PurchaseModels
    challengers: Mapping[str, Challenger] = field(default_factory=dict)

    def tell(
        self,
        basics: Basics,
        features: NDArray[np.float32],
        settings: ValueSettings,
        horizon_days: int,
        churn_days: int,
    ) -> tuple[dict[str, Told], Alive]:
        """Every contender's word on these customers, by name, and what is told of being alive."""
        alive = tell_alive(self.models, basics, horizon_days, churn_days)
        amount = expect_amount(self.models.amounts, basics.order_days, basics.mean_amount)
        x, t_x, age = basics.frequency, basics.recency_weeks, basics.age_weeks
        bg_orders = expect_orders(self.models.bg, x, t_x, age, horizon_days / _DAYS_A_WEEK)
        bg_score = alive.certain * find_order_if_alive(
            self.models.bg, x, age, churn_days / _DAYS_A_WEEK
        )
        told = [
            Told(
                "last_years_spend",
                "rule",
                last_years_spend(basics.amount_365, basics.tenure_days, horizon_days),
                alive.order,
            ),
            Told(
                "simple_formula",
                "rule",
                simple_formula(
                    basics.amount_total,
                    basics.order_days,
                    basics.tenure_days,
                    basics.recency_days,
                    horizon_days,
                    settings.half_life_days,
                ),
                alive.order,
            ),
            Told("bg_nbd", "model", bg_orders * amount, bg_score),
            Told("mbg_nbd", "model", alive.orders * amount, alive.order),
        ]
        first_stage = self.challengers.get("two_stage")
        if first_stage is not None:
            orders = first_stage.orders(features)
            told += [
                Told(name, "model", one.spend(features), orders)
                for name, one in self.challengers.items()
            ]
        return {one.name: one for one in told}, alive


def fit_models(lake: Lake, sight: Sight, as_of: datetime) -> PurchaseModels:
    """Purchase models and amounts from everybody's orders before a cut-off.

    Raises DataRejected (65) where too few have ordered twice, or no order has an amount.
    """
    counts = read_counts(lake, sight, as_of)
    amounts = fit_amounts(*read_amounts(lake, sight, as_of))
    return PurchaseModels(
        fit_purchases(counts, "bg_nbd"),
        fit_purchases(counts, "mbg_nbd"),
        amounts,
        int(counts.customers.sum()),
        len(counts),
    )


def tell_alive(models: PurchaseModels, basics: Basics, horizon_days: int, churn_days: int) -> Alive:
    """P(alive), expected orders and the chance of one, as the purchase models have it."""
    x, t_x, age = basics.frequency, basics.recency_weeks, basics.age_weeks
    alive = find_alive(models.mbg, x, t_x, age)
    order_if_alive = find_order_if_alive(models.mbg, x, age, churn_days / _DAYS_A_WEEK)
    return Alive(
        alive=alive,
        certain=find_alive(models.bg, x, t_x, age),
        orders=expect_orders(models.mbg, x, t_x, age, horizon_days / _DAYS_A_WEEK),
        order_if_alive=order_if_alive,
        order=alive * order_if_alive,
    )
