"""What a night has found out about the customers, as plain values: figures and names, never a row.

Each family writes one of these into `ledger.findings`; the page for marketing is drawn from them
alone, so it can be drawn again at any later time, in either language. Amounts are in `currency`.
Texts for a person come in English and Korean; codes are the same in both.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from pydantic import Field

from tasks.evidence import UpliftFindings
from tasks.finding import Contest as Contest
from tasks.finding import Finding as Finding
from tasks.finding import Night as Night
from tasks.finding import Words as Words
from tasks.quality import DecayFindings, MonitoringFindings, ReferenceFindings

Kind = Literal[
    "value",
    "segments",
    "reasons",
    "forecasts",
    "actions",
    "uplift",
    "reference",
    "monitoring",
    "decay",
]


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


class SegmentArm(Finding):
    """One arm of a rollout of segments: its customers (none held out), and by what it groups them.

    `fell_back_customers` of the challenger's are in the champion's groups, because it failed.
    """

    arm: Literal["champion", "challenger"]
    rollout_id: str
    segmentation_id: str
    version: str
    customers: int
    fell_back_customers: int


class SegmentFindings(Night):
    """The segments, how they were chosen, who moved, and maps that are no evidence.

    While a rollout is running there are `arms`, and `segments` are the groups of both: one that
    both know is one group.

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
    arms: tuple[SegmentArm, ...] = ()


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
    """One action of the policy in this list.

    `evidence_level` (tasks/evidence.py) is that of the least sure of its customers;
    `own_uplift_customers` are those whose return rests on their own predicted uplift.
    """

    action: str
    words: Words
    channel: str
    segment_id: str | None
    customers: int
    cost_amount: Decimal
    expected_return_amount: Decimal
    evidence_level: int = 0
    own_uplift_customers: int = 0


class PolicyUse(Finding):
    """The policy in force: `rollout_id` promoted it, or, without one, the settings file has it."""

    version: str
    since: datetime
    rollout_id: str | None = None


class ListArm(Finding):
    """One arm of a rollout of policies: its customers (none of them held out), and their list."""

    arm: Literal["champion", "challenger"]
    rollout_id: str
    policy_version: str
    customers: int
    listed_customers: int
    budget_amount: Decimal
    planned_cost_amount: Decimal
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
    policy: PolicyUse | None = None
    # Of the list of those who may leave, while a rollout of policies is running; else empty.
    arms: tuple[ListArm, ...] = ()


FINDINGS: dict[Kind, type[Night]] = {
    "value": ValueFindings,
    "segments": SegmentFindings,
    "reasons": ReasonFindings,
    "forecasts": ForecastFindings,
    "actions": ActionFindings,
    "uplift": UpliftFindings,
    "reference": ReferenceFindings,
    "monitoring": MonitoringFindings,
    "decay": DecayFindings,
}
