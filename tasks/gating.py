"""The section `registry`: when a challenger is let in, criterion by criterion.

There is no setting that leaves a criterion out. A deployment may move a limit within its bounds;
what cannot be computed blocks whatever the limit is.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.sections import Section


class CalibrationLimits(Section):
    """How far probabilities may be from what then happened."""

    error_maximum: float = Field(
        0.10,
        gt=0,
        le=0.25,
        description=(
            "Expected calibration error over ten groups of equal size (the mean gap between the"
            " probability and the share that left), beyond what true probabilities would have."
        ),
    )
    gap_maximum: float = Field(
        0.08,
        gt=0,
        le=0.25,
        description=(
            "Calibration in the large: what the mean probability and the share that left may"
            " differ by, beyond its 90 % interval."
        ),
    )
    worsening_maximum: float = Field(
        0.02,
        ge=0,
        le=0.10,
        description=(
            "By how much the error may clearly (in 95 % of resamples) exceed the champion's."
        ),
    )


class SliceLimits(Section):
    """How much worse a part of the customers may fare than under who serves now."""

    harm_tolerance: float = Field(
        0.01,
        ge=0,
        le=0.05,
        description="By how much the mean squared error of the probability may rise in a slice.",
    )
    family_error: float = Field(
        0.05,
        gt=0,
        le=0.20,
        description="Chance of finding harm in any slice where there is none (Holm 1979).",
    )
    minimum_customers: int = Field(
        100, ge=30, le=1_000_000, description="Slices of fewer customers are not judged."
    )


class StabilityLimits(Section):
    """How much scores may move."""

    refit_rank_minimum: float = Field(
        0.80,
        ge=0.5,
        le=1,
        description=(
            "Spearman's rank correlation with the same model learnt with another seed and without"
            " a tenth of the customers."
        ),
    )
    refit_list_kept_minimum: float = Field(
        0.50,
        ge=0.3,
        le=1,
        description="Share of the contact list that such a refit would contact too.",
    )
    champion_rank_minimum: float = Field(
        0.20,
        ge=-0.5,
        le=1,
        description="Spearman's rank correlation with the champion's scores of the same customers.",
    )
    champion_shift_maximum: float = Field(
        4.0,
        gt=0,
        le=10,
        description=(
            "Population stability index of the challenger's probabilities against the champion's,"
            " over ten groups of equal size by the champion."
        ),
    )


class ServingLimits(Section):
    """What scoring may cost, measured in a process of its own on the machine that trained."""

    milliseconds_maximum: float = Field(
        1000.0, ge=5, le=60_000, description="Milliseconds for 1,000 customers."
    )
    size_maximum_bytes: int = Field(
        50_000_000, ge=10_000, le=2_000_000_000, description="Bytes of the model's files."
    )


class LeakLimits(Section):
    """What one feature may know of the outcome."""

    feature_auc_maximum: float = Field(
        0.90,
        gt=0.5,
        le=0.99,
        description=(
            "How well the best single feature may order the customers; those of"
            " `features.allowed_leaks` are left out of it."
        ),
    )
    model_auc_maximum: float = Field(
        0.98, gt=0.5, le=0.999, description="Beyond it the model is too good to be true."
    )


class AgreementLimits(Section):
    """How far two predictions of the same rows by the same files may differ."""

    golden_difference_maximum: float = Field(
        1e-9,
        ge=0,
        le=1e-6,
        description="Between the copy that would serve and the training, on the golden rows.",
    )
    registered_difference_maximum: float = Field(
        1e-9,
        ge=0,
        le=1e-6,
        description=(
            "Between batch scores and the artifact fetched back from the registry, on the final"
            " customers."
        ),
    )


class SheetLimits(Section):
    """What the answers of the model information sheet may be at most."""

    identical_share_maximum: float = Field(
        0.05,
        ge=0,
        le=0.5,
        description=(
            "Share of final customers whose features are all the same as in a training row: of"
            " theirs (stale features) or, without time, of anybody's (duplicates)."
        ),
    )
    frozen_features_maximum: int = Field(
        0,
        ge=0,
        le=1000,
        description=(
            "Features that stood still between the last two cut-offs for everybody, though they"
            " moved for most customers before."
        ),
    )
    excluded_share_maximum: float = Field(
        0.05,
        ge=0,
        le=0.5,
        description="Share of customers at the final cut-off whose outcome is not known.",
    )


class Criteria(Section):
    """Each criterion of the gate and its limits."""

    calibration: CalibrationLimits = CalibrationLimits()
    slices: SliceLimits = SliceLimits()
    stability: StabilityLimits = StabilityLimits()
    serving: ServingLimits = ServingLimits()
    leaks: LeakLimits = LeakLimits()
    agreement: AgreementLimits = AgreementLimits()
    sheet: SheetLimits = SheetLimits()


class RegistrySettings(Section):
    """When a challenger is let in."""

    minimum_final_customers: int = Field(
        200, ge=30, le=10_000_000, description="Fewer customers in the final test block."
    )
    minimum_final_churners: int = Field(
        20, ge=5, le=10_000_000, description="Fewer churners in the final test block."
    )
    bootstrap_replicates: int = Field(
        2000, ge=200, le=20_000, description="Resamples of customers behind each comparison."
    )
    bootstrap_seed: int = Field(20_111_209, ge=0, description="So that a decision can be redone.")
    rule_confidence: float = Field(
        0.90,
        gt=0.5,
        lt=1,
        description="Share of resamples in which the challenger must earn more than the best rule.",
    )
    champion_confidence: float = Field(
        0.90,
        gt=0.5,
        lt=1,
        description=(
            "Share of resamples in which the challenger must not fall behind the champion by more"
            " than `champion_tolerance_share`; its estimate must also be strictly higher."
        ),
    )
    champion_tolerance_share: float = Field(
        0.05,
        ge=0,
        le=0.5,
        description="What the challenger may fall behind, as a share of the champion's profit.",
    )
    criteria: Criteria = Criteria()
    load_timeout_seconds: float = Field(
        60.0,
        ge=5,
        le=600,
        description="What the first load of a model, in its own process, may take.",
    )
    promotion: Literal["gate", "rollout"] = Field(
        "gate",
        description=(
            "'gate': whom the gate lets in serves at once, and new segments too; 'rollout': they"
            " become candidates that take over by a rollout. The first champion never waits."
        ),
    )
    require_signature: bool = Field(
        True,
        description=(
            "Whether a champion must bear this deployment's signature. False lets one serve that"
            " was promoted before models were signed."
        ),
    )
