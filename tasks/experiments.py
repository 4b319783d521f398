"""How a challenger takes over: the section `rollout`, the defaults of every plan."""

from __future__ import annotations

import itertools
from typing import Literal, Self

from pydantic import Field, model_validator

from tasks.sections import Section

GuardrailName = Literal["errors", "complaints", "opt_outs", "early_signs"]
_GUARDRAILS: dict[GuardrailName, float] = {
    "errors": 1.0,
    "complaints": 1.0,
    "opt_outs": 1.0,
    "early_signs": 1.0,
}


class RolloutSettings(Section):
    """How a challenger takes over from the champion; a plan freezes these when it is made."""

    metric: Literal["lapse_share", "margin_amount"] = Field(
        "lapse_share",
        description="What decides: the share that leaves, or the margin a customer.",
    )
    minimum_effect: float = Field(
        0.015,
        gt=0,
        le=1_000_000,
        description="What must not be missed: absolute, in shares or in `economics.currency`.",
    )
    alpha: float = Field(
        0.05, gt=0, le=0.2, description="Wrong decisions on the metric at most, of both sides."
    )
    sides: Literal[1, 2] = Field(
        2, description="2: half of `alpha` is a win's; 1: all of it, and no loss is told by it."
    )
    power: float = Field(
        0.80, gt=0.5, lt=1, description="Chance to find a challenger that is so much better."
    )
    stages: tuple[float, ...] = Field(
        (0.01, 0.05, 0.20, 0.50), description="The challenger's share of customers, stage by stage."
    )
    minimum_stage_days: int = Field(
        7, ge=1, le=365, description="How long a stage takes at least; whole weeks are fairest."
    )
    maximum_days: int = Field(
        365,
        ge=15,
        le=1500,
        description="The last look at the latest; a plan sets an earlier one where it may.",
    )
    look_every_days: int = Field(
        7, ge=1, le=400, description="The metric is looked at no oftener; harm is every night."
    )
    exposure: Literal["scored", "contacted"] = Field(
        "scored", description="From when a customer counts: scored (or grouped), or contacted."
    )
    early_days: int = Field(
        14, ge=1, le=180, description="After how many days without an order it is an early sign."
    )
    guardrails: dict[GuardrailName, float] = Field(
        default_factory=lambda: _GUARDRAILS,
        description="What stops it by itself: more than so many times the champion's rate is harm.",
    )
    harm_alpha: float = Field(
        0.05, gt=0, lt=0.5, description="False stops for harm at most, over all guardrails."
    )
    sample_ratio_alpha: float = Field(
        0.001, gt=0, lt=0.5, description="False alarms about the split of customers at most."
    )
    minimum_complete_share: float = Field(
        0.98,
        gt=0,
        le=1,
        description="Of exposures, logs and outcomes of an arm, what must be there.",
    )
    outcome_silence: float = Field(
        16.0,
        ge=5,
        le=1000,
        description=(
            "Customers of an arm who should have ordered by its own rate since its newest order;"
            " from so many on its feed is late, and nothing is decided."
        ),
    )
    crossed_share: float = Field(
        0.01,
        ge=0,
        lt=0.5,
        description="Customers found in both arms are left out; more of them than this holds.",
    )
    starts_at_night: bool = Field(
        True,
        description=(
            "With `registry.promotion: rollout`: the night plans and starts what waits, a model or"
            " segments; false: a person does."
        ),
    )
    deadline_seconds: float = Field(
        120.0, gt=0, le=3600, description="What the challenger's process may take to score its arm."
    )
    maximum_restarts: int = Field(
        2, ge=0, le=20, description="How often a night its process is started again after a crash."
    )
    breaker_share: float = Field(
        0.10,
        gt=0,
        le=1,
        description="Left to the champion in one night: more of its arm rolls the challenger back.",
    )
    breaker_customers: int = Field(
        5, ge=1, le=1_000_000, description="... if that is at least so many customers."
    )
    breaker_nights: int = Field(
        3, ge=1, le=100, description="Nights in a row with a failed process that roll it back."
    )

    @model_validator(mode="after")
    def _has_stages_that_grow(self) -> Self:
        stages = self.stages
        if not stages or not all(0 < share <= 0.95 for share in stages):
            raise ValueError("`stages` must be shares above 0, up to 0.95")
        if any(one >= other for one, other in itertools.pairwise(stages)):
            raise ValueError("`stages` must grow: nobody moves back")
        if any(ratio < 1 for ratio in self.guardrails.values()):
            raise ValueError("`guardrails` must be 1 or more: times the champion's rate")
        if any(abs(share * 10_000 - round(share * 10_000)) > 1e-6 for share in stages):
            raise ValueError("`stages` must be multiples of 0.0001, the share of one bucket")
        return self
