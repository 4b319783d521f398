"""What a night has found out about the customers, as plain values: figures and names, never a row.

Each family writes one of these into `ledger.findings`; the page for marketing is drawn from them
alone, so it can be drawn again at any later time, in either language. Amounts are in `currency`.
Texts for a person come in English and Korean; codes are the same in both.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal[
    "value", "segments", "reasons", "forecasts", "actions", "reference", "monitoring", "decay"
]


class Finding(BaseModel):
    """Strict, frozen, closed: what is read back is what was written."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Words(Finding):
    """A text for a person in both languages."""

    en: str
    ko: str


class Contest(Finding):
    """A model against the best rule on the same customers: who is served, and by how much.

    `difference` is served less rival in `measure`, with its interval where one was computed.
    """

    served: str
    served_kind: Literal["model", "rule"]
    rival: str
    measure: str
    higher_is_better: bool
    served_figure: float
    rival_figure: float
    difference: float
    low: float | None = None
    high: float | None = None
    reason: str


class Night(Finding):
    """What every finding says of itself."""

    deployment: str
    as_of: datetime
    known_by: datetime
    snapshot_id: int
    currency: str | None
    notes: tuple[Words, ...] = ()


# --- lifetime value -------------------------------------------------------------------------


class ValueContender(Finding):
    """One way to tell the value, judged on the customers of the last matured horizon.

    `bias_share` is predicted over observed sum, less 1. `captured_share` maps a top share (0.01,
    0.05, 0.1) as text to its part of all that was spent. `gini_share` is normalised: 1 is perfect.
    """

    name: str
    kind: Literal["model", "rule"]
    gini_share: float
    bias_share: float
    mean_absolute_error_amount: float
    captured_share: dict[str, float]


class Contradiction(Finding):
    """Customers of whom two models say what cannot both be."""

    code: str
    words: Words
    customers: int
    before_amount: Decimal
    after_amount: Decimal


class ValueFindings(Night):
    """Lifetime value over `horizon_days`; totals are discounted margin with their interval.

    `deciles` holds (mean predicted, mean observed) spend a customer, lowest tenth first.
    `unreconciled_amount` is the total before it was made to agree with churn. `coverage_share` is
    the part of the judged customers whose spend lay inside their interval, made for `confidence`.
    """

    kind: Literal["value"] = "value"
    horizon_days: int
    customers: int
    total_amount: Decimal
    low_amount: Decimal
    high_amount: Decimal
    unreconciled_amount: Decimal
    confidence: float
    coverage_share: float | None
    contest: Contest
    contenders: tuple[ValueContender, ...]
    deciles: tuple[tuple[float, float], ...]
    parameters: dict[str, float]
    contradictions: tuple[Contradiction, ...]


# --- segments -------------------------------------------------------------------------------


class Trait(Finding):
    """What sets a segment apart: its median of a feature against everybody's.

    `deviation` is the difference of medians in the feature's robust standard deviations.
    """

    feature: str
    words: Words
    median: float
    overall_median: float
    deviation: float


class Segment(Finding):
    """One named group. `risk_share` is the mean predicted churn, `churn_share` what was observed.

    `at_risk_amount` is that of the scores: probability times what was spent in the last year.

    `conditions` are its rules as text, at most five a path; `sql` selects its members from a table
    of features. `agreement_share` is the part of all customers whom the rules put right (in or
    out), `precision_share` and `recall_share` are about its members.
    """

    segment_id: str
    name: Words
    customers: int
    customers_share: float
    risk_share: float | None
    churn_share: float | None
    value_amount: Decimal
    spent_365_amount: Decimal
    at_risk_amount: Decimal
    traits: tuple[Trait, ...]
    conditions: tuple[str, ...]
    sql: str
    precision_share: float
    recall_share: float


class Movement(Finding):
    """Customers who went from one segment to another; 'new' and 'gone' are the outside."""

    from_id: str
    to_id: str
    customers: int


class SegmentEvent(Finding):
    """What became of a segment: kept, born, split, merged, died, renamed."""

    event: Literal["kept", "born", "split", "merged", "died", "renamed"]
    segment_id: str
    related_ids: tuple[str, ...]
    overlap_share: float | None


class ShareAlarm(Finding):
    """A segment whose share left its usual range."""

    segment_id: str
    share: float
    low_share: float
    high_share: float


class MapPoint(Finding):
    """A customer of a sample on a map: where, and in which segment. Not who."""

    x: float
    y: float
    segment_id: str


class SegmentFindings(Night):
    """The segments, how they were chosen, who moved, and maps that are no evidence.

    `measures` are of what is served and of RFM by name (stability, usefulness, separation).
    `tree` is the linkage of the centroids: (left, right, distance, size) a row, as SciPy's.
    `heat` maps a segment to its deviations by feature, in `heat_features`' order.
    """

    kind: Literal["segments"] = "segments"
    segmentation_id: str
    model_name: str
    model_version: int | None
    method: str
    contest: Contest
    measures: dict[str, dict[str, float]]
    segments: tuple[Segment, ...]
    agreement_share: float
    moved_from: datetime | None
    movements: tuple[Movement, ...]
    events: tuple[SegmentEvent, ...]
    alarms: tuple[ShareAlarm, ...]
    pca_map: tuple[MapPoint, ...]
    tsne_map: tuple[MapPoint, ...]
    heat_features: tuple[Words, ...]
    heat: dict[str, tuple[float, ...]]
    tree: tuple[tuple[float, float, float, float], ...]


# --- reasons --------------------------------------------------------------------------------


class Driver(Finding):
    """A business driver and whether it holds across folds and reseeds.

    `weight_share` is its part of all absolute contributions; `agreement_share` how often sign and
    top place agree among the customers for whom it leads.
    """

    driver: str
    words: Words
    features: int
    weight_share: float
    agreement_share: float
    evidence: Literal["association", "experiment"] = "association"


class ReasonCell(Finding):
    """Segment x reason: how many customers, what money; `rest_share` is that of all others.

    `q_value` is after false-discovery control; `stands_out` where it is below the set rate and
    the reason is more common here than elsewhere.
    """

    segment_id: str
    driver: str | None
    customers: int
    customers_share: float
    rest_share: float
    at_risk_amount: Decimal
    q_value: float | None
    stands_out: bool


class SurvivalCurve(Finding):
    """Kaplan-Meier: (days, share still there, low, high); `median_days` None: more than half stay.

    `segment_id` None is everybody.
    """

    segment_id: str | None
    customers: int
    points: tuple[tuple[float, float, float, float], ...]
    median_days: float | None


class LeadTime(Finding):
    """Days between the first high-risk flag and the lapse, among those who lapsed.

    Only a flag that stayed up until the lapse counts; `flag_probability` is above what probability
    it went up in the middle cut-off. `quantile_days` are of the flagged, by share
    as text ('0.5'); `stayers_flagged_share` is how often who stayed was flagged: the price of it.
    """

    flag_probability: float
    lapsed_customers: int
    flagged_customers: int
    quantile_days: dict[str, float]
    stayers_flagged_share: float | None = None


class JourneyStep(Finding):
    """A step seen before the lapse: the share of leavers and of stayers who took it."""

    words: Words
    leavers_share: float
    stayers_share: float
    lift: float


class ReasonFindings(Night):
    """Why they leave: associations that held. `ablation_change` is the mean change in probability

    when a customer's top reason is set to the median of their segment, with its interval.
    """

    kind: Literal["reasons"] = "reasons"
    drivers: tuple[Driver, ...]
    cells: tuple[ReasonCell, ...]
    explained_customers: int
    unstable_customers: int
    refits: int
    ablation_change: float | None
    ablation_low: float | None
    ablation_high: float | None
    survival: tuple[SurvivalCurve, ...]
    survival_p_value: float | None
    lead_time: LeadTime | None
    journey: tuple[JourneyStep, ...]


# --- forecasts ------------------------------------------------------------------------------


class ForecastSeries(Finding):
    """One series with its forecast and the contest that chose the method.

    `history` is (period start, value), `forecast` (period start, mean, low, high); `errors` maps
    a method to its mean absolute scaled error by rolling origin. `segment_id` None is the total.
    `coverage_share` is the part of `checked_values` past values that lay inside intervals made
    without them, after those were `widened` by a factor.
    """

    measure: Literal["churn_rate", "active_customers", "revenue"]
    segment_id: str | None
    period: Literal["week", "month"]
    history: tuple[tuple[datetime, float], ...]
    forecast: tuple[tuple[datetime, float, float, float], ...]
    confidence: float
    errors: dict[str, float]
    contest: Contest
    coverage_share: float = 0.0
    widened: float = 1.0
    checked_values: int = 0


class ForecastFindings(Night):
    """Churn rate, active base and revenue, total and by segment."""

    kind: Literal["forecasts"] = "forecasts"
    series: tuple[ForecastSeries, ...]


# --- actions --------------------------------------------------------------------------------


class ActionLine(Finding):
    """One action of the policy in this list."""

    action: str
    words: Words
    channel: str
    segment_id: str | None
    customers: int
    cost_amount: Decimal
    expected_return_amount: Decimal


class ActionFindings(Night):
    """What is proposed within the budget, who is held back, and who is left alone and why.

    `planned_cost_amount` (everybody takes the offer) and `expected_return_amount` are of both
    lists, `customers` and `lines` of those who may leave, `winback_*` of those who are gone.
    `left_alone` counts, by code, every scored customer who is not contacted, `winback_left_alone`
    every lapsed one. No list within the budget can bring more than `bound_return_amount`, where one
    customer may be contacted in part and no action is ever full: of that, `gap_share` is missing.
    """

    kind: Literal["actions"] = "actions"
    budget_amount: Decimal
    planned_cost_amount: Decimal
    expected_return_amount: Decimal
    customers: int
    held_out_customers: int
    hold_out_share: float
    lines: tuple[ActionLine, ...]
    winback_lines: tuple[ActionLine, ...]
    winback_customers: int
    left_alone: dict[str, int]
    files: tuple[str, ...]
    scored_customers: int = 0
    lapsed_customers: int = 0
    winback_budget_amount: Decimal = Decimal(0)
    winback_left_alone: dict[str, int] = Field(default_factory=dict)
    bound_return_amount: Decimal | None = None
    gap_share: float | None = None


# --- monitoring -----------------------------------------------------------------------------

Figure = tuple[float, float, float]  # (estimate, low, high)


class InputProfile(Finding):
    """An input as the champion learnt from it.

    `grid` holds evenly spaced quantiles of all its known values, none if all are missing; `ranks`
    the mean rank among them and `missing_shares` the part that is missing, a cut-off each.
    """

    name: str
    grid: tuple[float, ...]
    ranks: tuple[float, ...]
    missing_shares: tuple[float, ...]


class ReferenceFindings(Night):
    """The champion's training inputs, kept small, since its table goes. `cutoffs` ascending."""

    kind: Literal["reference"] = "reference"
    model_hash: str
    cutoffs: tuple[datetime, ...]
    cutoff_customers: tuple[int, ...]
    inputs: tuple[InputProfile, ...]


class WeekQuality(Finding):
    """A week's scoring by one model version, judged by its matured outcomes.

    `population` 'held_out' are those whom nobody contacts; 'all' includes customers whom a contact
    may have kept, whose outcome then says less of the model. `gap` is the share that left less the
    predicted one; `profit` what the list at the budget would have brought.
    """

    model_version: int
    model_hash: str
    week: datetime
    as_of: datetime
    population: Literal["all", "held_out"]
    customers: int
    contacted: int
    churners: int
    auc: Figure | None
    gap: Figure
    calibration_error: float
    profit: Figure
    expected_profit_amount: float


class PerformanceEstimate(Finding):
    """What tonight's scores promise before any outcome is known (calibration-based)."""

    auc: Figure
    profit: Figure
    churn_share: Figure
    promised_auc: Figure | None


class InputDrift(Finding):
    """An input tonight against the champion's training. `lost_amount`: expected profit lost by it.

    `p_value` is adjusted for the number of inputs (Holm).
    """

    name: str
    source: str
    rank: float
    expected_rank: float
    missing_share: float
    expected_missing_share: float
    p_value: float
    lost_amount: float
    is_drift: bool


class DriftCause(Finding):
    """Drifted inputs that have one cause: what it looks like, why, and what it costs together."""

    looks_like: Literal["data_fault", "real_change"]
    subject: str
    inputs: tuple[str, ...]
    lost_amount: float
    rule: str
    evidence: tuple[str, ...]


class MonitoringFindings(Night):
    """Quality by week and version, the estimate ahead of outcomes, and inputs ranked by money."""

    kind: Literal["monitoring"] = "monitoring"
    model_version: int
    model_hash: str
    scoring_id: str | None
    customers: int
    weeks: tuple[WeekQuality, ...]
    estimate: PerformanceEstimate | None
    expected_profit_amount: float
    inputs: tuple[InputDrift, ...]
    causes: tuple[DriftCause, ...]


class AgeLoss(Finding):
    """What a model of an age has lost against one trained for the same cut-off, with intervals."""

    age_days: int
    pairs: int
    auc_loss: Figure
    profit_loss: Figure


class DecayFindings(Night):
    """How a model ages, measured on past cut-offs. `recommended_days` None: no age tried pays."""

    kind: Literal["decay"] = "decay"
    ages: tuple[AgeLoss, ...]
    retraining_cost_amount: Decimal
    list_every_days: int
    recommended_days: int | None
    reason: str


FINDINGS: dict[Kind, type[Night]] = {
    "value": ValueFindings,
    "segments": SegmentFindings,
    "reasons": ReasonFindings,
    "forecasts": ForecastFindings,
    "actions": ActionFindings,
    "reference": ReferenceFindings,
    "monitoring": MonitoringFindings,
    "decay": DecayFindings,
}
