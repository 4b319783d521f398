"""The sections of `conf/`: each setting with its type, its bounds and what it means.

A section is one file of `conf/base`; `tasks.settings` puts them together and reads them.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """Strict, frozen, closed: no guessing of types, no change, no unknown key."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class ClockSettings(Section):
    """What time it is for this deployment."""

    as_of: Literal["data", "now"] | date = Field(
        "data",
        description=(
            "'data': midnight UTC at the start of the last day that has orders, the last boundary"
            " up to which history is complete; 'now': today's midnight UTC; or a date."
        ),
    )
    known_lag_hours: float = Field(
        24.0,
        ge=0,
        le=24 * 60,
        description=(
            "How long after `as_of` rows may still arrive and count for that night; the same lag"
            " holds for the cut-offs of the past that a model learns from."
        ),
    )


class WarehouseSettings(Section):
    """Limits of the database that does the work."""

    memory_limit_mb: int = Field(
        2048, ge=256, le=1_048_576, description="What DuckDB may hold before it spills to disk."
    )
    threads: int = Field(2, ge=1, le=256, description="Threads of DuckDB.")
    lock_wait_seconds: float = Field(
        120.0, ge=0, le=86_400, description="How long a writer waits for another before exit 75."
    )
    compact_after_files: int = Field(
        12,
        ge=2,
        le=10_000,
        description=(
            "A table with more data files than this is merged after publishing: the files become"
            " one, sorted by customer and event time."
        ),
    )
    keep_merged_hours: float = Field(
        24.0,
        ge=0,
        le=8760,
        description=(
            "How long files that a merge has replaced stay on disk, for readers that began before"
            " it; also the age at which files of a killed publishing are removed."
        ),
    )


class RowRuleSettings(Section):
    """What one rule about single rows allows, and what follows where a row breaks it."""

    severity: Literal["off", "warn", "quarantine", "stop"] = Field(
        "quarantine",
        description=(
            "'warn' counts the rows and keeps them, 'quarantine' sets them aside, 'stop' refuses"
            " the batch at the first of them, 'off' does not look."
        ),
    )
    stop_above_share: float = Field(
        1.0, ge=0, le=1, description="The share of rows breaking the rule that stops the batch."
    )
    minimum: float | None = Field(None, description="The least value allowed; null: no limit.")
    maximum: float | None = Field(None, description="The greatest value allowed; null: no limit.")
    allowed: tuple[str, ...] | None = Field(
        None, description="The only texts allowed; null: any that has the right form."
    )
    refused: tuple[str, ...] = Field(
        (), description="Texts that stand for 'missing' in the source, compared in lower case."
    )
    pattern: str | None = Field(
        None,
        max_length=500,
        description="A regular expression for texts that break the rule; null: none does.",
    )


class Limits(Section):
    """Where a figure of a batch begins to warn and to stop; null: it never does."""

    warn_below: float | None = Field(None, description="A figure below it is reported.")
    stop_below: float | None = Field(None, description="A figure below it stops the batch.")
    warn_above: float | None = Field(None, description="A figure above it is reported.")
    stop_above: float | None = Field(None, description="A figure above it stops the batch.")


class BatchRuleSettings(Limits):
    """What one rule about a whole batch allows. Its figure and unit stand beside it in `conf/`."""

    enabled: bool = Field(True, description="Whether the rule is looked at.")
    compare: Literal["calendar", "trailing"] = Field(
        "calendar", description="Of `volume`: weekday and last year's season, or the last batches."
    )
    columns: dict[str, Limits] = Field(
        default_factory=dict,
        description="Limits of single columns; a null there is taken from the rule's own.",
    )


class TableRulesSettings(Section):
    """The rules of one canonical table, by name."""

    rows: dict[str, RowRuleSettings] = Field(description="Rules that a single row keeps or breaks.")
    batch: dict[str, BatchRuleSettings] = Field(description="Rules about the batch as a whole.")


class FeatureRulesSettings(Section):
    """What a feature table must keep before a model sees it. Names may be patterns (`*_share`)."""

    minimum_rows: int = Field(ge=1, description="Fewer customers stop the run.")
    maximum_null_share: float = Field(
        ge=0, le=1, description="Share of missing values above which a feature stops the run."
    )
    null_shares: dict[str, float] = Field(
        description="Ceilings of single features, in place of `maximum_null_share`."
    )
    ranges: dict[str, tuple[float | None, float | None]] = Field(
        description="Least and greatest value of the features whose name fits; null: no limit."
    )


class ScoreRulesSettings(Section):
    """What a score table must keep before anybody acts on it."""

    minimum_rows: int = Field(ge=1, description="Fewer scores stop the run.")
    minimum_distinct_scores: int = Field(
        ge=1, description="Fewer different probabilities stop the run: a constant ranks nobody."
    )
    maximum_missing_reason_share: float = Field(
        ge=0, le=1, description="Share of customers without a first reason that stops the run."
    )


class ValidationSettings(Section):
    """What is refused, and how much of it stops a batch."""

    trailing_batches: int = Field(
        ge=1, le=400, description="Accepted batches of a source that a new one is compared with."
    )
    minimum_batches: int = Field(
        ge=1, le=100, description="With fewer of them a comparison says 'not enough history'."
    )
    minimum_values: int = Field(
        ge=2,
        description="A distribution of fewer values, or a batch of fewer rows, is not compared.",
    )
    maximum_categories: int = Field(
        ge=1, le=5000, description="Categories of a column that are remembered, the largest first."
    )
    earliest_at: date = Field(
        description="Events before it are refused: 1970 and 1900 are missing dates in disguise."
    )
    skew_allowance_hours: float = Field(
        ge=0, le=240, description="How far ahead of our clock a source's clock may be."
    )
    maximum_gap_days: float = Field(
        ge=0,
        le=3660,
        description=(
            "Where the deployment's clock is 'data', an event is refused that lies more than this,"
            " and more than three interquartile ranges, after three quarters of its batch."
        ),
    )
    data_docs: bool = Field(
        True,
        description=(
            "Whether a batch that breaks a rule gets a page of Great Expectations' Data Docs too,"
            " without values and scripts, in the state directory."
        ),
    )
    tables: dict[str, TableRulesSettings] = Field(description="The rules of each canonical table.")
    features: FeatureRulesSettings
    scores: ScoreRulesSettings


class FeaturesSettings(Section):
    """What is known of a customer at a time, who counts as one, and what leaving means."""

    outcome: Literal["lapse", "cancellation", "given"] = Field(
        "lapse",
        description=(
            "'lapse': no order in the horizon, of who was active; 'cancellation': every open"
            " contract ends in it; 'given': as the labelled table says."
        ),
    )
    activity_window_days: int = Field(
        180, ge=1, le=3650, description="Who has ordered this lately is active (for 'lapse')."
    )
    horizon_days: int = Field(90, ge=1, le=365, description="How far ahead leaving is looked for.")
    cutoffs: int = Field(
        16, ge=1, le=120, description="Cut-offs of a training at most, the final test's included."
    )
    cutoff_step_days: int = Field(
        30,
        ge=1,
        le=365,
        description="Days between them. If it divides the horizon, the embargo wastes no cut-off.",
    )
    minimum_history_days: int = Field(
        180, ge=0, le=3650, description="History before the first cut-off, lest all look new."
    )
    minimum_customers: int = Field(
        200, ge=20, le=10_000_000, description="Eligible customers at the final test's cut-off."
    )
    minimum_churners: int = Field(
        100, ge=5, le=10_000_000, description="Of whom so many leave, at the final test's cut-off."
    )
    minimum_stayers: int = Field(
        100, ge=5, le=10_000_000, description="Of whom so many stay, at the final test's cut-off."
    )
    leak_auc_limit: float = Field(
        0.90,
        gt=0.5,
        le=1,
        description=(
            "A feature that alone separates leavers from stayers of a later time better than this"
            " has seen the outcome. Honest recency reaches 0.84 on groceries."
        ),
    )
    churn_share_limits: tuple[float, float] = Field(
        (0.002, 0.98), description="A share of leavers at a cut-off outside them is no outcome."
    )
    allowed_leaks: tuple[str, ...] = Field(
        (), description="Features beyond the limit that somebody has looked at and found honest."
    )
    leak_sample_customers: int = Field(
        500,
        ge=0,
        le=100_000,
        description="For whom features are computed again without the later rows; 0 skips it.",
    )
    drivers: dict[str, str] = Field(
        default_factory=dict,
        description="The driver of a labelled set's columns, by their names; else 'profile'.",
    )
    chunk_lines: int = Field(
        4_000_000,
        ge=1,
        le=1_000_000_000,
        description="Order lines taken at a time; bounds the memory.",
    )


class SearchRange(Section):
    """Between what a parameter is searched, evenly in its logarithm unless said otherwise."""

    minimum: float = Field(gt=0, description="The least value tried.")
    maximum: float = Field(gt=0, description="The greatest value tried; equal: not searched.")


class SearchSpaceSettings(Section):
    """Where the tuning looks. Few leaves and many rows a leaf: customers are noisy."""

    learning_rate: SearchRange = Field(
        SearchRange(minimum=0.015, maximum=0.1), description="Step of each tree."
    )
    num_leaves: SearchRange = Field(
        SearchRange(minimum=4, maximum=32), description="Leaves of a tree."
    )
    min_data_in_leaf: SearchRange = Field(
        SearchRange(minimum=30, maximum=800),
        description="Rows a leaf must hold; the maximum shrinks to a tenth of few rows.",
    )
    feature_fraction: SearchRange = Field(
        SearchRange(minimum=0.15, maximum=0.9), description="Features a tree sees; searched evenly."
    )
    bagging_fraction: SearchRange = Field(
        SearchRange(minimum=0.4, maximum=0.95), description="Rows a tree sees; searched evenly."
    )
    lambda_l2: SearchRange = Field(
        SearchRange(minimum=0.1, maximum=100.0), description="Shrinkage of the leaves' values."
    )


class RuleSettings(Section):
    """A simple rule the model must beat: order by one feature, or by the ratio of two."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", description="How reports call it.")
    reason: str = Field(max_length=100, description="The reason it gives, in plain words.")
    feature: str = Field(description="The feature that orders the customers.")
    divided_by: str | None = Field(None, description="A feature that it is divided by, if any.")
    higher_means_leaving: bool = Field(True, description="Whether a higher value is worse.")


class ChurnSettings(Section):
    """How it is learnt who leaves."""

    seed: int = Field(
        2011, ge=0, le=10**9, description="Same data, lock and seed: same model, byte by byte."
    )
    folds: int = Field(3, ge=1, le=12, description="Validation cut-offs that choose the model.")
    calibration_folds: int = Field(
        8,
        ge=1,
        le=60,
        description="Validation cut-offs that probabilities are calibrated on, the folds included.",
    )
    objective: Literal["average_precision", "auc", "log_loss"] = Field(
        "average_precision",
        description=(
            "What tuning improves, on later cut-offs. Log loss is misled where the share of"
            " leavers moves with the season; calibration mends levels, not order."
        ),
    )
    trials: int = Field(48, ge=1, le=10_000, description="Settings tried.")
    round_trials: int = Field(
        8,
        ge=1,
        le=256,
        description="Trials asked for together; the model depends on it, not on `workers`.",
    )
    workers: int = Field(2, ge=1, le=256, description="Processes that try, one thread each.")
    startup_trials: int = Field(
        12, ge=1, le=1000, description="Trials drawn at random before the sampler learns from them."
    )
    prune_after_trials: int = Field(
        8, ge=1, le=1000, description="Finished trials before hopeless ones are cut short."
    )
    maximum_trees: int = Field(800, ge=10, le=10_000, description="Trees of the longest trial.")
    maximum_bins: int = Field(127, ge=3, le=255, description="Bins of a feature.")
    space: SearchSpaceSettings = Field(
        default_factory=lambda: SearchSpaceSettings.model_validate({}),
        description="Where the tuning looks.",
    )
    rules: tuple[RuleSettings, ...] = Field(
        (),
        description=(
            "Rules that the model must beat; those whose features are not there are left out. With"
            " none left, the best single feature is the rule."
        ),
    )
    forest_trees: int = Field(200, ge=10, le=5000, description="Trees of the random forest.")
    maximum_baseline_rows: int = Field(
        200_000,
        ge=1000,
        le=100_000_000,
        description="Rows that logistic regression and forest learn from; more are drawn from.",
    )
    resamples: int = Field(
        1000, ge=50, le=100_000, description="Bootstrap resamples of customers behind an interval."
    )
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Of every interval.")
    minimum_slice_customers: int = Field(
        100, ge=10, le=1_000_000, description="A slice of fewer is named with its size alone."
    )


class EconomicsSettings(Section):
    """What a contact costs and brings, a customer, in one currency."""

    currency: str = Field("USD", pattern=r"^[A-Z]{3}$", description="Of every amount here (ISO).")
    contact_cost_amount: Decimal = Field(
        Decimal("0.50"), gt=0, le=1_000_000, description="Reaching one customer."
    )
    offer_cost_amount: Decimal = Field(
        Decimal("5.00"), ge=0, le=1_000_000, description="The offer, paid when it is taken."
    )
    margin_share: float = Field(
        0.30, gt=0, le=1, description="Of a customer's value, what remains after costs of goods."
    )
    accept_share: float = Field(
        0.30,
        gt=0,
        lt=1,
        description="Of those about to leave, how many the offer keeps; a guess until measured.",
    )
    accept_certainty: float = Field(
        20.0,
        gt=1,
        le=10_000,
        description="How sure that share is: the sum of its Beta distribution's parameters.",
    )
    budget_amount: Decimal = Field(
        Decimal("1000"),
        gt=0,
        le=1_000_000_000,
        description="What one round may cost if every contacted customer takes the offer.",
    )

    @property
    def affordable_contacts(self) -> int:
        """What the budget pays for even if every contacted customer takes the offer."""
        return int(self.budget_amount // (self.contact_cost_amount + self.offer_cost_amount))


class ScoringSettings(Section):
    """What is written for each customer."""

    batch_rows: int = Field(
        50_000, ge=100, le=1_000_000, description="Customers scored at a time; bounds the memory."
    )
    maximum_reasons: int = Field(3, ge=1, le=3, description="Reasons given a customer.")
    csv_byte_order_mark: bool = Field(
        True, description="Start the CSV with a UTF-8 mark, without which Excel garbles Korean."
    )
