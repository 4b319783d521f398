"""What monitoring has found out about a model: figures and names, never a row."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from tasks.finding import Finding, Night

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
