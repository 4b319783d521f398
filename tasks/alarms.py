"""The schema of `monitoring`: when a model counts as worse, and what then follows."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import Field

from tasks.sections import Section


class MonitoringSettings(Section):
    """How quality and inputs are watched, when that is an alert, and when it is learnt anew."""

    weeks: int = Field(
        12, ge=1, le=260, description="Newest weeks of scoring whose matured outcomes are reported."
    )
    minimum_customers: int = Field(
        200,
        ge=30,
        le=10_000_000,
        description="Of a week, or of those held out in it, to be judged.",
    )
    minimum_churners: int = Field(
        20, ge=5, le=10_000_000, description="Among them; with fewer their figures say too little."
    )
    alpha: float = Field(
        0.001,
        gt=0,
        lt=0.2,
        description="A night's chance of any alert of a kind though nothing is wrong (Holm).",
    )
    confidence: float = Field(0.90, gt=0.5, lt=1, description="Of every interval that is shown.")
    auc_tolerance: float = Field(
        0.03, ge=0, le=0.5, description="How far the AUC may fall below what the champion promised."
    )
    calibration_tolerance_share: float = Field(
        0.05, ge=0, le=0.5, description="How far the share that left may be off the predicted one."
    )
    minimum_shift: float = Field(
        0.05,
        ge=0,
        le=0.5,
        description="Mean rank among the training's values by which an input must move to matter.",
    )
    minimum_loss_share: float = Field(
        0.02,
        ge=0,
        le=1,
        description="Share of the list's expected profit that an input must cost to be an alert.",
    )
    maximum_customers: int = Field(
        20_000,
        ge=500,
        le=10_000_000,
        description="Customers whose inputs are looked at in a night; more are drawn from.",
    )
    seed: int = Field(2011, ge=0, le=10**9, description="Of draws, so that a night can be redone.")
    simulations: int = Field(
        500, ge=100, le=100_000, description="Drawn outcomes behind an estimate without labels."
    )
    evidence_batches: int = Field(
        24, ge=4, le=1000, description="Newest batches of a table that are asked for a sudden jump."
    )
    step_ratio: float = Field(
        1.5, gt=1, le=100, description="A median that jumps by this factor in one batch is a step."
    )
    null_jump_share: float = Field(
        0.2, gt=0, le=1, description="Share of missing values that appears in one batch at once."
    )
    quiet_days: int = Field(
        28, ge=0, le=3650, description="How long a closed alert's cause is not raised again."
    )
    retrain_every_days: int | Literal["auto"] = Field(
        0,
        description=(
            "A night trains when the last training is so old; 0: every night; 'auto': as"
            " `holdfast monitor decay` has recommended, every night before it has."
        ),
    )
    cooldown_days: int = Field(
        3, ge=0, le=3650, description="Days after a training in which an alert starts no other."
    )
    retraining_cost_amount: Decimal = Field(
        Decimal(20), ge=0, le=1_000_000_000, description="What one training costs, people included."
    )
    list_every_days: int = Field(
        7, ge=1, le=365, description="How often a list is acted on: so often a stale model costs."
    )
    decay_origins: int = Field(
        4, ge=2, le=60, description="Past trainings that the decay is measured on, at most."
    )
