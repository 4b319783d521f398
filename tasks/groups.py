"""The schema of `segments`: what groups of customers are made of, and when they count as good.

Groups are searched for by several measures at once; what is served must also beat the classical
RFM groups. What each measure means is said in `tasks/segments/measures.py`.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from tasks.sections import Section

Method = Literal["kmeans", "minibatch", "bisecting", "mixture", "ward", "density"]
METHODS: tuple[Method, ...] = ("kmeans", "minibatch", "bisecting", "mixture", "ward", "density")
# Without a set of its own name, all declared features are one.
ALL_FEATURES = "all"


class SegmentFeature(Section):
    """A feature that customers may be grouped by."""

    fill: Literal["median", "zero", "largest"] = Field(
        "median",
        description=(
            "What stands for a missing value: the median, 0, or the largest (of days since"
            " something that never happened)."
        ),
    )
    skewed: bool = Field(
        False, description="A few have very much of it: the search may take its logarithm."
    )


class SegmentName(Section):
    """A name given by a person, in both languages."""

    en: str = Field(min_length=1, max_length=60, description="In English.")
    ko: str = Field(min_length=1, max_length=60, description="In Korean.")


class RfmSettings(Section):
    """The features of the classical groups."""

    recency: str = Field("recency_days", description="Days since the last order.")
    frequency: str = Field("order_days_365", description="How often they order.")
    money: str = Field("amount_365", description="What they spend.")


class ChoiceWeights(Section):
    """What counts how much where several settings are each best at something."""

    separation: float = Field(0.2, ge=0, le=1, description="Weight of the silhouette.")
    stability: float = Field(0.4, ge=0, le=1, description="Weight of stability.")
    usefulness: float = Field(0.4, ge=0, le=1, description="Weight of usefulness.")

    @model_validator(mode="after")
    def _weigh_something(self) -> Self:
        if self.separation + self.stability + self.usefulness <= 0:
            raise ValueError("one of the weights must be above 0")
        return self


class SegmentsSettings(Section):
    """How groups are found, when they are good enough, and how long they stay."""

    seed: int = Field(2011, ge=0, le=2**31 - 1, description="Same data and seed: same groups.")
    trials: int = Field(48, ge=1, le=2000, description="Settings that the search tries.")
    startup_trials: int = Field(
        14, ge=1, le=1000, description="Of these, how many are drawn before it learns from them."
    )
    methods: tuple[Method, ...] = Field(
        METHODS,
        min_length=1,
        description=(
            "What the search may use: K-means, in mini-batches, by bisecting; a Gaussian mixture;"
            " Ward's hierarchy on micro-groups; density (HDBSCAN) on a sample."
        ),
    )
    features: dict[str, SegmentFeature] = Field(
        default_factory=dict,
        description="What customers may be grouped by; those that are there and not constant.",
    )
    feature_sets: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Named parts of `features` that the search tries beside all of them.",
    )
    minimum_groups: int = Field(5, ge=2, le=20, description="Fewer groups say too little.")
    maximum_groups: int = Field(8, ge=2, le=20, description="More groups nobody remembers.")
    minimum_share: float = Field(
        0.03, ge=0, le=0.2, description="A group with a smaller share of customers is too small."
    )
    minimum_customers: int = Field(
        100, ge=20, le=1_000_000, description="With fewer customers there are no groups to find."
    )
    search_rows: int = Field(
        2400, ge=100, le=100_000, description="Customers that each trial is fitted on at most."
    )
    fit_rows: int = Field(
        50_000, ge=100, le=1_000_000, description="Customers that the chosen one is fitted on."
    )
    judged_rows: int = Field(
        20_000, ge=100, le=1_000_000, description="Customers of the contest with the rules."
    )
    silhouette_rows: int = Field(
        1000, ge=100, le=20_000, description="Customers of whom the silhouette is taken."
    )
    resamples: int = Field(
        4, ge=2, le=100, description="Resamples behind the stability of each trial."
    )
    finalists: int = Field(
        6, ge=1, le=100, description="The best of the search that are looked at more closely."
    )
    contest_resamples: int = Field(
        20, ge=2, le=500, description="Resamples behind that of the finalists and of what competes."
    )
    micro_groups: int = Field(
        150, ge=20, le=2000, description="Micro-groups that Ward's hierarchy is built on."
    )
    density_rows: int = Field(
        1500, ge=100, le=20_000, description="Customers that density is looked at in."
    )
    maximum_noise_share: float = Field(
        0.35, ge=0, le=1, description="More customers in no dense place: there are no such groups."
    )
    churn_weight: float = Field(
        0.5, ge=0, le=1, description="Of usefulness, the part of churn; the rest is of spending."
    )
    weights: ChoiceWeights
    rfm: RfmSettings
    stability_margin: float = Field(
        0.0,
        ge=-0.5,
        le=0.5,
        description=(
            "How much more stable than RFM a clustering must be to be served; below 0, how much"
            " less stable it may be."
        ),
    )
    usefulness_margin: float = Field(
        0.0, ge=-0.5, le=0.5, description="The same of its usefulness."
    )
    refit_after_days: int = Field(
        28,
        ge=1,
        le=3650,
        description="Until then the groups stay as they are and customers are only assigned.",
    )
    described_rows: int = Field(
        20_000, ge=100, le=1_000_000, description="Customers behind traits, rules and maps."
    )
    names: dict[str, SegmentName] = Field(
        default_factory=dict,
        description="Names by a segment's id that replace those it got by itself.",
    )

    @model_validator(mode="after")
    def _hold_together(self) -> Self:
        if self.minimum_groups > self.maximum_groups:
            raise ValueError("`minimum_groups` is more than `maximum_groups`")
        if self.minimum_groups * self.minimum_share > 1:
            raise ValueError("`minimum_groups` of `minimum_share` each are more than everybody")
        if not self.features:
            raise ValueError("`features` names none")
        if ALL_FEATURES in self.feature_sets:
            raise ValueError(f"'{ALL_FEATURES}' is the name of all features together")
        for name, members in self.feature_sets.items():
            if len(members) < 2:
                raise ValueError(f"the feature set '{name}' has fewer than two features")
            for member in members:
                if member not in self.features:
                    raise ValueError(f"the feature set '{name}' names '{member}', not declared")
        return self
