"""The schema of `reasons`: which drivers there are, and when a reason counts as one that holds."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from tasks.sections import Section


class WordsSettings(Section):
    """A text for a person in both languages."""

    en: str = Field(min_length=1, max_length=120, description="In English.")
    ko: str = Field(min_length=1, max_length=120, description="In Korean.")


class DriverSettings(Section):
    """A business driver and the features that belong to it."""

    words: WordsSettings = Field(description="How a page calls it.")
    features: tuple[str, ...] = Field(
        (), description="Names of features, or patterns (`gap_*`); an exact name goes first."
    )


class BoosterSettings(Section):
    """LightGBM's parameters where the champion is a rule and so has none of its own."""

    trees: int = Field(150, ge=10, le=5000, description="Trees of a refit.")
    learning_rate: float = Field(0.05, gt=0, le=1, description="Step of each tree.")
    num_leaves: int = Field(12, ge=2, le=255, description="Leaves of a tree.")
    min_data_in_leaf: int = Field(80, ge=1, le=100_000, description="Rows a leaf must hold.")
    feature_fraction: float = Field(0.5, gt=0, le=1, description="Features a tree sees.")
    bagging_fraction: float = Field(0.8, gt=0, le=1, description="Rows a tree sees.")
    lambda_l2: float = Field(5.0, ge=0, le=10_000, description="Shrinkage of the leaves' values.")


class ReasonsSettings(Section):
    """Why customers leave: what is asked of a reason before it is shown."""

    seed: int = Field(
        20_111, ge=0, le=10**9, description="Same data, settings and seed: the same reasons."
    )
    drivers: dict[str, DriverSettings] = Field(
        description=(
            "The drivers by name. A feature of a labelled set that `features.drivers` of the"
            " deployment names goes there; one that nothing names goes to 'profile'."
        )
    )
    refits: int = Field(
        5, ge=2, le=50, description="Models fitted again, each on customers drawn anew."
    )
    agreement_share: float = Field(
        0.8,
        gt=0.5,
        le=1,
        description=(
            "Share of the refits that must put the same driver first, pushing towards leaving;"
            " below it the customer has no stable reason."
        ),
    )
    maximum_training_rows: int = Field(
        60_000,
        ge=1000,
        le=10_000_000,
        description="Rows a refit learns from; more are drawn from, whole customers at a time.",
    )
    minimum_customers: int = Field(
        50, ge=20, le=1_000_000, description="Labelled customers below which nothing is said."
    )
    batch_rows: int = Field(
        20_000, ge=100, le=1_000_000, description="Customers at a time; bounds the memory."
    )
    booster: BoosterSettings = Field(
        default_factory=lambda: BoosterSettings.model_validate({}),
        description="Of the refits where the champion is a rule.",
    )
    false_discovery_rate: float = Field(
        0.10,
        gt=0,
        lt=0.5,
        description="Of the differences between segments that are named, how many may be chance.",
    )
    ablation_customers: int = Field(
        2000, ge=50, le=100_000, description="For whom the top reason is taken away, at most."
    )
    resamples: int = Field(
        1000, ge=50, le=100_000, description="Bootstrap resamples of customers behind an interval."
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Of every interval.")
    survival_days: int = Field(
        365, ge=30, le=3660, description="How far back the survival view starts, if history allows."
    )
    survival_customers: int = Field(
        50, ge=10, le=1_000_000, description="A segment of fewer gets no curve of its own."
    )
    flag_share: float = Field(
        0.2,
        gt=0,
        lt=1,
        description=(
            "For the lead time: at each past cut-off the riskiest share of who was still there is"
            " flagged."
        ),
    )
    tenure_feature: str | None = Field(
        None, description="For a labelled set: the feature that says how long they were there."
    )
    tenure_unit_days: float = Field(
        1.0, gt=0, le=3660, description="Days in one unit of that feature."
    )

    @model_validator(mode="after")
    def _has_somewhere_to_go(self) -> Self:
        if "profile" not in self.drivers:
            raise ValueError("`drivers` has no 'profile', where features go that nothing names")
        return self
