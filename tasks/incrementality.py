"""The schema of `uplift`: which contacts went by lot, and what is asked before an effect counts.

A lot is never assumed. The hold-out of the action list is drawn by this product; of a campaign that
was drawn elsewhere, somebody says here how, and the data must agree.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from tasks.sections import Section

Metric = Literal["lapse_share", "margin_amount"]


class CampaignSettings(Section):
    """A campaign whose recipients were drawn by lot, each `campaign_id` a lot of its own.

    Eligible is who had ordered in `features.activity_window_days` before it, had not opted out, and
    is not of the hold-out.
    """

    campaign_ids: tuple[str, ...] = Field(
        min_length=1, max_length=100, description="Ids, or patterns as `spring_*`."
    )
    declared_by: str = Field(
        min_length=3,
        max_length=200,
        description="Who says that it went by lot, and where; told beside what rests on it.",
    )
    lot_share: float = Field(
        gt=0, lt=1, description="Of the eligible, the share that was drawn to be contacted."
    )
    hold_out_attribute: str | None = Field(
        None, min_length=1, max_length=100, description="The attribute that names who is held out."
    )
    hold_out_values: tuple[str, ...] = Field(
        (), max_length=100, description="Its values that mean held out, of every such campaign."
    )
    action: str | None = Field(
        None,
        pattern=r"^[a-z][a-z0-9_]{0,39}$",
        description="The policy's action that it was; null: it is told under its own name.",
    )
    listed_for: Literal["retention", "winback"] = Field(
        "retention", description="To whom it went: who was active, or who was gone."
    )

    @model_validator(mode="after")
    def _names_its_hold_out(self) -> Self:
        if (self.hold_out_attribute is None) != (not self.hold_out_values):
            raise ValueError("`hold_out_attribute` and `hold_out_values` are set together")
        return self


class LearnerSettings(Section):
    """LightGBM's parameters of every part of an uplift learner; small, for effects are small."""

    trees: int = Field(60, ge=10, le=2000, description="Trees of a part.")
    learning_rate: float = Field(0.05, gt=0, le=1, description="Step of each tree.")
    num_leaves: int = Field(6, ge=2, le=255, description="Leaves of a tree.")
    min_data_in_leaf: int = Field(100, ge=1, le=1_000_000, description="Rows a leaf must hold.")
    lambda_l2: float = Field(10.0, ge=0, le=100_000, description="Shrinkage of the leaves.")


class UpliftSettings(Section):
    """What a contact brings that would not have come without: the evidence ladder and targeting."""

    metric: Metric = Field(
        "lapse_share", description="What decides: fewer who lapse, or more margin in the horizon."
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Of every interval and level.")
    effect_scale: float = Field(
        0.1,
        gt=0,
        le=1,
        description=(
            "Effects looked for, in standard deviations of the outcome: where the test that is"
            " valid at every look is sharpest."
        ),
    )
    minimum_customers: int = Field(
        200, ge=20, le=10_000_000, description="In each arm, below which nothing is said."
    )
    minimum_events: int = Field(
        20, ge=5, le=1_000_000, description="Lapses, and stays, below which nothing is said."
    )
    lot_alarm: float = Field(
        0.001,
        gt=0,
        lt=0.1,
        description="A lot whose shares are less likely than this was none: it is left out.",
    )
    balance_limit: float = Field(
        0.1,
        gt=0,
        le=1,
        description="Standardised mean difference of a feature from which arms are not alike.",
    )
    maximum_cutoffs: int = Field(
        6, ge=1, le=60, description="Lots that an uplift model learns from: the newest large ones."
    )
    maximum_rows: int = Field(
        200_000, ge=1000, le=10_000_000, description="Rows it learns from; more are drawn from."
    )
    minimum_model_customers: int = Field(
        500, ge=100, le=10_000_000, description="In each arm, below which no model is tried."
    )
    maximum_age_days: int = Field(
        365,
        ge=1,
        le=3650,
        description="Older than this, the newest lot lets no list choose by own uplift any more.",
    )
    budget_share: float = Field(
        0.3, gt=0, lt=1, description="Share of customers who can be contacted, to compare at."
    )
    folds: int = Field(5, ge=2, le=20, description="Of customers, for cross-fitting.")
    resamples: int = Field(500, ge=100, le=100_000, description="Bootstrap of customers.")
    seed: int = Field(20_191, ge=0, le=10**9, description="Same data and seed: the same model.")
    learner: LearnerSettings = Field(
        default_factory=lambda: LearnerSettings.model_validate({}), description="Its parameters."
    )
    campaigns: dict[str, CampaignSettings] = Field(
        default_factory=dict, description="Campaigns that went by lot, by name; none is assumed."
    )
