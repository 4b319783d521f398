"""Frozen values that travel between steps.

They hold names, counts, paths and hashes, never rows: a step reads the rows it needs from the
lake or from the file that a handle names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tasks.arms import ArmListing as ArmListing
from tasks.arms import ArmScoring as ArmScoring
from tasks.arms import PolicyInForce as PolicyInForce
from tasks.standings import Staleness

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


KnownBasis = Literal["observed", "declared"]
Severity = Literal["warn", "quarantine", "stop"]
WaiverEffect = Literal["leave_out", "let_in"]
# 'stop': a batch was refused; 'held': rows of a published batch stand aside; 'gap': a delivery
# that should have come did not; 'fault': something else that a person must look at.
IncidentLevel = Literal["stop", "held", "gap", "fault"]
# 'waiting': a release that a second person must approve.
IncidentState = Literal["open", "waiting", "resolved"]
BatchState = Literal[
    "received", "staged", "accepted", "quarantined", "superseded", "replayed", "waived", "discarded"
]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of the lake. `AT (VERSION => snapshot_id)` reads it again."""

    snapshot_id: int
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class Delivery:
    """Something a source offers: a name and how to fetch its bytes.

    `batch_name` is `<source>/<part>`, for example `orders/2011-10`; `location` is a file, or
    for a database table a description of it.
    """

    batch_name: str
    source: str
    table: str
    location: str


@dataclass(frozen=True, slots=True)
class RawBatch:
    """The bytes of a delivery, copied unchanged into our keeping."""

    delivery: Delivery
    content_hash: str
    raw_path: Path
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StagedBatch:
    """A batch read and typed by its canonical contract, not yet judged.

    `staged_path` is a Parquet file: the table's contract columns, `row_number BIGINT` (line in
    the raw file, header = line 1; for Parquet and tables the row's number from 1),
    `raw_line VARCHAR` and `received_at TIMESTAMPTZ` (NULL where it is the publishing time).
    `staged_hash` is the sha256 of the file: what is published must be what was judged.
    """

    raw: RawBatch
    staged_path: Path
    received_rows: int
    known_basis: KnownBasis
    declared_lag_days: float | None
    notes: tuple[str, ...] = ()
    staged_hash: str = ""

    @property
    def batch_name(self) -> str:
        return self.raw.delivery.batch_name

    @property
    def table(self) -> str:
        return self.raw.delivery.table


@dataclass(frozen=True, slots=True)
class RuleResult:
    """One rule's outcome on one batch or table."""

    rule: str
    column: str
    severity: Severity
    checked_rows: int
    failed_rows: int
    limit: str
    observed: str
    passed: bool
    reason: str = ""
    # The figure as a number and the limits that stop a batch, for trends; None where there is none.
    figure: float | None = None
    lower_limit: float | None = None
    upper_limit: float | None = None

    @property
    def key(self) -> str:
        """`shift:net_amount`, or the rule alone where it is about no column."""
        return f"{self.rule}:{self.column}" if self.column else self.rule


@dataclass(frozen=True, slots=True)
class Waiver:
    """Leave, given by a person and for a time, that a rule need not be kept.

    `rules` are names, or `name:column` for one column of a rule about batches. `batch_name` and
    `content_hash` limit it to one delivery, `row_numbers` to rows of that one; without them it
    holds for the whole source. 'leave_out' lifts the stop and keeps the rows that break a rule
    aside; 'let_in' publishes those too. It holds from `granted_at` until `ends_at`, exclusive.
    """

    waiver_id: str
    source: str
    rules: tuple[str, ...]
    effect: WaiverEffect
    reason: str
    author: str
    granted_at: datetime
    ends_at: datetime
    batch_name: str | None = None
    content_hash: str | None = None
    row_numbers: tuple[int, ...] = ()
    approved_by: str | None = None

    def covers(self, rule: str, column: str) -> bool:
        return rule in self.rules or f"{rule}:{column}" in self.rules

    def describe(self) -> str:
        """`waived by ann until 2026-12-01: reason`, one line for reports."""
        second = f", approved by {self.approved_by}" if self.approved_by else ""
        return f"waived by {self.author}{second} until {self.ends_at:%Y-%m-%d}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something stands aside. Equal `key`: one and the same item of work.

    `code` is a name from the fault list (UNIT_SHIFT), `headline` says it in one line without a
    value of any row.
    """

    key: str
    code: str
    level: IncidentLevel
    source: str
    column: str
    headline: str


@dataclass(frozen=True, slots=True)
class Incident:
    """An item of the work queue at its latest state.

    `recorded_at`, `actor` and `reason` are of that state; `opened_at` of the first. `resolution`
    says how it ended, `ends` how often it has, since it may be taken up again. `batches` are the
    numbers of the batches that share the cause.
    """

    incident_number: int
    cause: Cause
    table: str
    state: IncidentState
    resolution: str | None
    opened_at: datetime
    recorded_at: datetime
    actor: str
    reason: str
    batches: tuple[int, ...] = ()
    report: Mapping[str, Any] = field(default_factory=dict)
    ends: int = 0

    @property
    def name(self) -> str:
        return f"item-{self.incident_number}"

    @property
    def found(self) -> str:
        """What the check that refused found, in one line; empty where none did."""
        found = self.report.get("found")
        return " ".join(found.split()) if isinstance(found, str) else ""


@dataclass(frozen=True, slots=True)
class Statistic:
    """A figure of an accepted batch that later batches are compared with."""

    column: str
    statistic: str
    value: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What validation says of a staged batch.

    `rejects_path` is a Parquet file (row_number BIGINT, rule, reason, raw_line): the rows that a
    quarantine rule refused; a row that broke several rules stands there once a rule, but counts
    once in `quarantined_rows`. A stopped batch quarantines every row. `waived` says that it would
    have been stopped but for a waiver.
    """

    outcome: Literal["accepted", "stopped"]
    received_rows: int
    accepted_rows: int
    quarantined_rows: int
    rejects_path: Path | None
    results: tuple[RuleResult, ...]
    statistics: tuple[Statistic, ...] = ()
    notes: tuple[str, ...] = ()
    waived: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as the ledger knows it: the row of its latest state."""

    batch_number: int
    batch_name: str
    source: str
    table: str
    content_hash: str
    state: BatchState
    received_rows: int
    accepted_rows: int
    quarantined_rows: int
    recorded_at: datetime
    published_at: datetime | None = None
    report: Mapping[str, Any] = field(default_factory=dict)
    already_known: bool = False


@dataclass(frozen=True, slots=True)
class Intake:
    """What taking in has brought: every batch as it ended, and those of them that stand aside."""

    batches: tuple[Batch, ...]
    refused: tuple[Batch, ...] = ()


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """Features of the eligible customers at one or more cut-offs, stored in the lake.

    `table` is its name in the lake; the same (as_of, known_by, snapshot) gives the same
    `fingerprint` (sha256 over the ordered rows) at any later time.
    """

    table: str
    as_of: tuple[datetime, ...]
    known_by: tuple[datetime, ...]
    snapshot_id: int
    fingerprint: str
    rows: int
    feature_names: tuple[str, ...]
    labelled: bool


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trained model (or rule) with the evidence for it, as files in `directory`.

    `model_hash` is the sha256 over the model's files in name order; `metrics` maps a metric's
    name to (estimate, low, high) on the final test cut-off. `golden` are its probabilities for
    the golden rows on the day it was trained.
    """

    kind: Literal["model", "rule"]
    name: str
    directory: Path
    model_hash: str
    metrics: Mapping[str, tuple[float, float, float]]
    feature_names: tuple[str, ...]
    features_fingerprint: str
    snapshot_id: int
    run_id: str | None = None
    version: int | None = None
    golden: tuple[float, ...] = ()


# (estimate, low, high)
Interval = tuple[float, float, float]


class Predictor(Protocol):
    """A model directory, verified and opened: rows of features in, probabilities and reasons out.

    A model directory is self-contained: its `model_code.py` (also the model-from-code of MLflow's
    pyfunc) has `open_model(directory) -> Predictor` and imports nothing of ours, so a champion
    keeps scoring whatever becomes of the code that trained it. Columns are taken by name; a
    missing one raises.
    """

    feature_names: tuple[str, ...]

    def predict(self, features: pa.Table) -> np.ndarray:
        """Calibrated probability of churn, float64, shape (rows,)."""
        ...

    def reasons(self, features: pa.Table) -> list[tuple[str, ...]]:
        """One to three drivers of each row's probability in plain words, strongest first."""
        ...


@dataclass(frozen=True, slots=True)
class Trial:
    """One tried setting of the tuning; `value` is the objective, None where it has none."""

    number: int
    state: Literal["complete", "pruned", "failed"]
    value: float | None
    params: Mapping[str, float | int | str]
    seconds: float


@dataclass(frozen=True, slots=True)
class Curves:
    """What the plots of a training are drawn from; every series has one value a point.

    `calibration`: (mean predicted, share churned, customers) a bin; `gain`: (share contacted,
    share of churners reached), ascending; `precision_recall`: (recall, precision);
    `profit`: (share contacted, profit amount). Each by name of the model or baseline.
    """

    calibration: Mapping[str, tuple[tuple[float, float, float], ...]]
    gain: Mapping[str, tuple[tuple[float, float], ...]]
    precision_recall: Mapping[str, tuple[tuple[float, float], ...]]
    profit: Mapping[str, tuple[tuple[float, float], ...]]


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """What a training tells the tracking store: plain values, never a customer's row.

    `model` and `rule` (the best simple rule) are both ready to be registered. `baselines` maps
    a baseline to its metrics on the same final customers as the model's. `drivers` maps a
    business driver to its mean absolute SHAP value. `slices` are rows of a table: one a slice,
    with its size and metrics. `config` is the whole configuration as plain values. `leakage`
    holds figures by type of leakage, named as Kapoor and Narayanan (2023) do.
    """

    deployment: str
    model: Candidate
    rule: Candidate
    params: Mapping[str, float | int | str]
    baselines: Mapping[str, Mapping[str, Interval]]
    objective: str
    trials: tuple[Trial, ...]
    curves: Curves
    drivers: Mapping[str, float]
    slices: tuple[Mapping[str, Any], ...]
    dataset_name: str
    dataset_fingerprint: str
    dataset_rows: int
    snapshot_id: int
    as_of: datetime
    known_by: datetime
    config: Mapping[str, Any]
    git_commit: str
    lock_hash: str
    currency: str
    contact_budget_share: float | None = None
    objective_direction: Literal["maximize", "minimize"] = "maximize"
    leakage: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FinalCustomers:
    """The customers of the final test, row by row and without an id; arrays have shape (n,).

    `features` holds every column that a model may ask for. `*_return_amount` is what contacting
    was expected to bring, `contact_gain_amount` what it would have brought; `expected_returns`
    makes the former from any model's probabilities for these customers. `fingerprint` names the
    customers and their order. `refit_probability` is of the same model learnt with another seed
    and without a tenth of the customers; `slices` are labels, by what they are sliced by.
    """

    features: pa.Table
    fingerprint: str
    churned: np.ndarray
    contact_gain_amount: np.ndarray
    model_probability: np.ndarray
    model_return_amount: np.ndarray
    rule_return_amount: np.ndarray
    expected_returns: Callable[[np.ndarray], np.ndarray]
    budget_contacts: int
    rule_probability: np.ndarray | None = None
    refit_probability: np.ndarray | None = None
    slices: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """A row of `ledger.decisions`."""

    decision_id: str
    decided_at: datetime
    kind: str
    subject: str
    outcome: str
    reason: str
    evidence: Mapping[str, Any]
    model_name: str | None = None
    model_version: int | None = None
    model_hash: str | None = None
    snapshot_id: int | None = None
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Champion:
    """The model that serves, as the ledger says: which files, their checksums, and since when.

    `directory` is our own copy; `files` maps each of its files to its sha256 and `model_hash` is
    the combined one. `decision_id` names the promotion. `signature` is this deployment's, in hex.
    """

    name: str
    version: int
    kind: Literal["model", "rule"]
    candidate: str
    directory: Path
    model_hash: str
    files: Mapping[str, str]
    feature_names: tuple[str, ...]
    metrics: Mapping[str, Interval]
    golden: tuple[float, ...]
    decision_id: str
    promoted_at: datetime
    features_fingerprint: str
    snapshot_id: int
    run_id: str | None
    signature: str = ""


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """A published scoring run and its exports."""

    scoring_id: str
    as_of: datetime
    known_by: datetime
    rows: int
    model_name: str
    model_version: int
    model_hash: str
    snapshot_id: int
    csv_path: Path | None = None
    parquet_path: Path | None = None
    staleness: Staleness = field(default_factory=Staleness)


@dataclass(frozen=True, slots=True)
class Simulation:
    """A written population with known truth. `fingerprint` is a hash over all files' hashes."""

    directory: Path
    customers: int
    months: int
    seed: int
    start_on: date
    end_on: date
    format: str
    dirty_share: float
    rows: Mapping[str, int]
    planted_faults: Mapping[str, int]
    fingerprint: str
