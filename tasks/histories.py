"""The schema of `replay`: how history is gone through once more."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.sections import Section


class ReplaySettings(Section):
    """What a replay does otherwise than the night, so that years pass in minutes."""

    retrain_every_weeks: int = Field(
        4, ge=1, le=520, description="Steps between trainings; monitoring may ask for one sooner."
    )
    trials: int = Field(
        8, ge=1, le=1_000, description="Settings tried a training, in place of `churn.trials`."
    )
    forest_trees: int = Field(
        50,
        ge=10,
        le=2_000,
        description="Trees of the forest that each training is compared with.",
    )
    resamples: int = Field(
        400,
        ge=100,
        le=100_000,
        description="Resamples behind the intervals of each training.",
    )
    understand_every_weeks: int = Field(
        0,
        ge=0,
        le=520,
        description="Steps between runs of worth, groups, reasons, outlook and actions; 0: none.",
    )
    block_weeks: int = Field(
        4,
        ge=1,
        le=52,
        description="Neighbouring steps that are alike: a group of the interval.",
    )
    outcomes: Literal["recorded", "simulated"] = Field(
        "recorded",
        description=(
            "recorded: what history's customers did, whoever was contacted; simulated: a listed"
            " customer who would have lapsed may stay, by the simulator's truth or, where customers"
            " are real, by `economics.accept_share`."
        ),
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Confidence of the intervals.")
