"""What a rollout is going to do and by what it is judged: written before it starts, then frozen.

A plan is kept in the ledger as JSON beside its hash. Whoever judges reads the plan, never the
settings of the day, so that nothing can be moved while the experiment runs.
"""

from __future__ import annotations

import json
from statistics import NormalDist
from typing import Literal, Self

from pydantic import Field, model_validator

from tasks.sections import Section

Arm = Literal["champion", "challenger"]
Subject = Literal["churn", "segments", "actions"]
Metric = Literal["lapse_share", "margin_amount"]

# The customers are hashed into so many buckets; the least share is one of them.
BUCKETS = 10_000
_NAME = r"^[a-z][a-z0-9_]{0,39}$"


def normal_reach(side_alpha: float, power: float) -> float:
    """How many standard errors an effect must be for a fixed test to find it with this power."""
    normal = NormalDist()
    return normal.inv_cdf(1 - side_alpha) + normal.inv_cdf(power)


class Contender(Section):
    """What serves in an arm: a model's version, a segmentation's, or a settings file's policy."""

    name: str = Field(min_length=1, max_length=200, description="How the registry calls it.")
    version: str = Field(min_length=1, max_length=80, description="Which of that name.")
    content_hash: str = Field(min_length=8, max_length=128, description="sha256 of what it is.")


class Guardrail(Section):
    """Something that must not get worse; a customer counts once, by their first event."""

    name: str = Field(pattern=_NAME, description="errors, complaints, opt_outs, early_signs ...")
    tolerance_ratio: float = Field(
        1.0,
        ge=1,
        le=100,
        description="The challenger's rate may be so many times the champion's; more is harm.",
    )


class Plan(Section):
    """A rollout as pre-registered. Shares are 0 to 1, effects absolute, days whole days (UTC)."""

    rollout_id: str = Field(
        pattern=r"^[a-z0-9][a-z0-9._-]{2,79}$",
        description="Also the salt of the assignment: one that was ever used is refused.",
    )
    subject: Subject = Field(description="What is rolled out.")
    champion: Contender
    challenger: Contender
    metric: Metric = Field(
        "lapse_share", description="What a customer's one matured outcome is: 0/1 or an amount."
    )
    minimum_effect: float = Field(
        gt=0, description="The least effect worth finding: 0.015 is 1.5 points of lapse share."
    )
    alpha: float = Field(0.05, gt=0, lt=0.5, description="False decisions on the metric at most.")
    sides: Literal[1, 2] = Field(
        2, description="2: half of `alpha` for a win, half for a loss; 1: all of it for a win."
    )
    power: float = Field(
        0.8, ge=0.5, lt=1, description="Of a fixed test with as much information as is planned."
    )
    horizon_days: int = Field(ge=1, le=400, description="When a customer's outcome is known.")
    stages: tuple[float, ...] = Field(
        (0.01, 0.05, 0.2, 0.5),
        min_length=1,
        max_length=20,
        description="The challenger's share of the customers, stage by stage.",
    )
    minimum_stage_days: int = Field(7, ge=1, le=400, description="No stage is shorter.")
    exposure: Literal["scored", "contacted"] = Field(
        "scored",
        description="On what a customer enters the analysis; `scored` is grouped, for segments.",
    )
    guardrails: tuple[Guardrail, ...] = Field((), max_length=20)
    harm_alpha: float = Field(
        0.05, gt=0, lt=0.5, description="False stops for harm at most, over all guardrails."
    )
    sample_ratio_alpha: float = Field(
        0.001, gt=0, lt=0.5, description="False alarms about the split of the customers at most."
    )
    minimum_complete_share: float = Field(
        0.98, gt=0, le=1, description="Of exposures, logs and outcomes that must be there, by arm."
    )
    earliest_decision_days: int = Field(
        14, ge=14, le=400, description="No win sooner: two whole weeks hold every weekday twice."
    )
    look_every_days: int = Field(
        7, ge=1, le=400, description="The metric is looked at no oftener; harm is on every night."
    )
    maximum_days: int = Field(
        ge=15, le=1500, description="Then the last look is made and the rollout ends."
    )

    @model_validator(mode="after")
    def _can_be_run(self) -> Self:
        if list(self.stages) != sorted(set(self.stages)):
            raise ValueError("the stages' shares must grow")
        if self.stages[0] <= 0 or self.stages[-1] >= 1:
            raise ValueError(
                "the stages' shares must lie between 0 and 1: both arms need customers"
            )
        if any(round(share * BUCKETS) < 1 for share in self.stages):
            raise ValueError("a stage's share must be 0.0001 or more")
        names = [guardrail.name for guardrail in self.guardrails]
        if len(names) != len(set(names)):
            raise ValueError("a guardrail stands there twice")
        if self.metric == "lapse_share" and self.minimum_effect >= 1:
            raise ValueError("an effect on a share is below 1: 0.015 is 1.5 points")
        if self.subject != "churn" and self.exposure != "scored":
            raise ValueError(
                f"a rollout of {self.subject} counts all who are `scored`: the arms contact"
                " different people, so those contacted are no random split any more"
            )
        least = self.earliest_possible_days
        if self.maximum_days < least:
            raise ValueError(f"the last outcomes mature after {least} days: maximum_days is less")
        return self

    @property
    def final_share(self) -> float:
        """The challenger's share of the customers in the end, and in every stratum's split."""
        return self.stages[-1]

    @property
    def side_alpha(self) -> float:
        """False promotions at most: the part of `alpha` that is a win's."""
        return self.alpha / self.sides

    @property
    def information(self) -> float:
        """1 / variance of the effect at which a fixed test has the planned power."""
        return (normal_reach(self.side_alpha, self.power) / self.minimum_effect) ** 2

    @property
    def earliest_possible_days(self) -> int:
        """When those who enter on the last stage's first day have matured."""
        return (len(self.stages) - 1) * self.minimum_stage_days + self.horizon_days

    def to_json(self) -> str:
        """Canonical: the same plan is the same text, keys in order and no spaces."""
        return json.dumps(
            self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` wrote. Raises ValueError for anything else."""
        return cls.model_validate_json(text)
