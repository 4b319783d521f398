"""The schema of `value`: what a customer will bring within a horizon, and how that is judged."""

from __future__ import annotations

from pydantic import Field

from tasks.sections import Section


class ContractSettings(Section):
    """Where customers have contracts: how long one has lasted, and what a period is."""

    tenure_feature: str | None = Field(
        None,
        max_length=200,
        description="Of a labelled set: the feature that says how long they have been customers.",
    )
    tenure_unit_days: float = Field(
        30.4375, gt=0, le=366, description="Days of one unit of `tenure_feature`."
    )
    period_days: float = Field(
        30.4375, gt=0, le=366, description="Days that one `period_amount` pays for."
    )
    window_days: int = Field(
        365,
        ge=30,
        le=36500,
        description="Contracts seen in the last days of this number tell how long they last.",
    )
    folds: int = Field(
        5, ge=2, le=20, description="Parts of a labelled set, each judged by a curve of the others."
    )


class ContradictionSettings(Section):
    """From where on two models cannot both be right of a customer."""

    high_churn_probability: float = Field(
        0.8, gt=0.5, lt=1, description="Who is about to leave, says the churn model."
    )
    low_churn_probability: float = Field(
        0.2, gt=0, lt=0.5, description="Who is about to stay, says the churn model."
    )
    low_alive_probability: float = Field(
        0.2, gt=0, lt=0.5, description="Who has left already, says the purchase model."
    )
    valuable_share: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="The customers of highest value, before the two are reconciled.",
    )


class ValueSettings(Section):
    """Lifetime value: discounted margin of what a customer will spend within the horizon."""

    horizon_days: int | None = Field(
        None,
        ge=7,
        le=3650,
        description=(
            "How far ahead value is counted; null: as far as churn looks. As much history again is"
            " needed to judge it, and once more to learn from."
        ),
    )
    yearly_discount_share: float = Field(
        0.10, ge=0, lt=1, description="What money loses of its worth in a year of waiting."
    )
    confidence: float = Field(0.90, gt=0.5, lt=1, description="Of every interval.")
    seed: int = Field(2011, ge=0, le=10**9, description="Same data, lock and seed: same values.")
    trials: int = Field(
        10, ge=1, le=1000, description="Settings tried for each learnt model; more cost time."
    )
    maximum_trees: int = Field(200, ge=10, le=10_000, description="Trees of the longest trial.")
    training_cutoffs: int = Field(
        6, ge=1, le=60, description="Earlier cut-offs that the learnt models see, at most."
    )
    maximum_training_rows: int = Field(
        300_000,
        ge=100,
        le=100_000_000,
        description="Rows they learn from; more are drawn from by a hash of the customer.",
    )
    minimum_customers: int = Field(
        50, ge=20, le=1_000_000, description="Fewer at the judged cut-off are too few to judge by."
    )
    maximum_judged_customers: int = Field(
        200_000,
        ge=1000,
        le=10_000_000,
        description="Customers that the contest is judged on; more are drawn from.",
    )
    maximum_bias_share: float = Field(
        0.5,
        gt=0,
        le=10,
        description="A model whose total was further off than this is not served.",
    )
    resamples: int = Field(
        500, ge=50, le=100_000, description="Bootstrap resamples of customers behind an interval."
    )
    bands: int = Field(
        20, ge=2, le=200, description="Bands of predicted spend, each with its observed spread."
    )
    half_life_days: float = Field(
        90.0,
        gt=0,
        le=3650,
        description="Simple formula: in how many silent days a customer's rate counts half.",
    )
    contradictions: ContradictionSettings = Field(default_factory=ContradictionSettings)
    contracts: ContractSettings = Field(default_factory=ContractSettings)
