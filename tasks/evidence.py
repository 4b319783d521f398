"""What lots have shown: effects with intervals, the level that each number rests on, uplift.

The ladder: 0 the model predicts; 1 its ranking is confirmed by matured outcomes; 2 the action works
overall, by lot; 3 it is known what it does in this segment or for this reason, by lot and after
Holm's correction. A level is the highest that was shown; the experiments do not need the model.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from tasks.contracts import CUSTOMER_TABLES, Column
from tasks.finding import Finding, Night, Words

# What is known of actions, by lot: appended a run of `uplift`, read by the action list.
# `segment_id` and `driver` NULL: everybody. `is_measured` says that the increment takes
# the place of the policy's guess.
EVIDENCE_TABLES: dict[str, tuple[Column, ...]] = {
    "action_effects": (
        Column("as_of", "TIMESTAMPTZ"),
        Column("known_by", "TIMESTAMPTZ"),
        Column("run_id", "VARCHAR"),
        Column("listed_for", "VARCHAR"),
        Column("action", "VARCHAR"),
        Column("segment_id", "VARCHAR", nullable=True),
        Column("driver", "VARCHAR", nullable=True),
        Column("level", "INTEGER"),
        Column("verdict", "VARCHAR"),
        Column("metric", "VARCHAR"),
        Column("is_measured", "BOOLEAN"),
        Column("incremental_share", "DOUBLE", nullable=True),
        Column("low_share", "DOUBLE", nullable=True),
        Column("high_share", "DOUBLE", nullable=True),
        Column("incremental_amount", "DOUBLE", nullable=True),
        Column("low_amount", "DOUBLE", nullable=True),
        Column("high_amount", "DOUBLE", nullable=True),
        Column("currency", "VARCHAR", nullable=True),
    ),
    # What a contact is expected to add of a customer alone, where uplift targeting of the action is
    # unlocked: stays (`incremental_share`) or margin, appended by the same run.
    "customer_uplifts": (
        Column("customer_id", "VARCHAR", personal=True),
        Column("as_of", "TIMESTAMPTZ"),
        Column("known_by", "TIMESTAMPTZ"),
        Column("run_id", "VARCHAR"),
        Column("listed_for", "VARCHAR"),
        Column("action", "VARCHAR"),
        Column("learner_hash", "VARCHAR"),
        Column("incremental_share", "DOUBLE", nullable=True),
        Column("incremental_amount", "DOUBLE", nullable=True),
    ),
}

# What is made when a lake is opened, and grows by a later version's columns.
PUBLISHED_TABLES = {**CUSTOMER_TABLES, **EVIDENCE_TABLES}

Measure = Literal["lapse_share", "margin_amount"]
# 'none': no lot has matured; 'too_few': nothing can be said; 'open': it may be nothing.
EffectVerdict = Literal["works", "harms", "open", "too_few", "none"]


class Effect(Finding):
    """Contacted less not contacted, by intention to treat, lots as strata, clustered by customer.

    `low` and `high`, and `p_value`, hold at every look (a normal mixture), `fixed_low` and
    `fixed_high` at this one alone. Of `lapse_share` a negative estimate is good. `expected` is the
    estimate shrunk to nothing by the mixture's own weight, since the striking ones are shown first.
    """

    measure: Measure
    estimate: float
    expected: float
    standard_error: float
    low: float
    high: float
    fixed_low: float
    fixed_high: float
    p_value: float
    treated_mean: float
    control_mean: float


class EvidenceCell(Finding):
    """One action, for everybody or in one segment or for one reason: what is known of it.

    `customers` and `controls` are those contacted (as drawn) and not, whose outcomes have matured;
    `first_at` and `last_at` when they were drawn. `adjusted_p_value` is Holm's. `needed_customers`
    in all would show an effect of the scale that is looked for with 80 % power.
    """

    listed_for: Literal["retention", "winback"]
    action: str
    segment_id: str | None
    driver: str | None
    level: int
    verdict: EffectVerdict
    sources: tuple[str, ...]
    lots: int
    customers: int
    controls: int
    first_at: datetime | None
    last_at: datetime | None
    lapse: Effect | None
    margin: Effect | None
    adjusted_p_value: float | None
    needed_customers: int
    needs: Words


class Ranking(Finding):
    """Level 1: whether a ranking held on matured outcomes. `source` says whose it was."""

    source: Literal["scores", "final_test", "none"]
    as_of: datetime | None
    customers: int | None
    auc: float | None
    low: float | None
    high: float | None
    confirmed: bool
    words: Words


class Strategy(Finding):
    """One way to choose whom to contact, judged by lot on customers whom it had not learnt from.

    `qini` is the area between its curve and that of chance, an outcome a customer; `at_budget` what
    contacting `contacted_share` of 1,000 customers changes for the better: stays, or margin.
    """

    name: str
    kind: Literal["uplift", "risk", "everyone", "random"]
    contacted_share: float
    qini: float | None
    qini_low: float | None
    qini_high: float | None
    at_budget: float
    at_budget_low: float
    at_budget_high: float
    money_amount: float
    money_low: float
    money_high: float


class KeptLearner(Finding):
    """The learner that serves an unlocked study: where it is kept, and what its files must be.

    `model_hash` is over `files` (sha256 by name) in name order, and names its directory. It learnt
    from `rows`. A prediction p is told as `mean` + `slope` x (p - `centre`), never below `low` or
    above `high`, as found on customers of the lots whom no model had seen.
    """

    learner: str
    files: dict[str, str]
    model_hash: str
    rows: int
    mean: float
    centre: float
    slope: float
    low: float
    high: float


class UpliftStudy(Finding):
    """Whether uplift targeting is unlocked for an action, against the other ways, in one run.

    `curve` is that of the served learner: (share contacted, gain a customer, low, high); chance is
    the straight line to its end. Where it is unlocked, `kept` is the learner, `own_customers` those
    of tonight who have an own uplift, and `unlike_customers` those whom no lot was like. `first_at`
    and `last_at` are when the lots were drawn.
    """

    listed_for: Literal["retention", "winback"]
    action: str
    measure: Measure
    customers: int
    controls: int
    lots: int
    served: str
    unlocked: bool
    reason: Words
    strategies: tuple[Strategy, ...]
    curve: tuple[tuple[float, float, float, float], ...]
    confidence: float
    first_at: datetime | None = None
    last_at: datetime | None = None
    kept: KeptLearner | None = None
    own_customers: int = 0
    unlike_customers: int = 0


class Imbalance(Finding):
    """A feature's difference of means, contacted less not, in pooled standard deviations."""

    feature: str
    difference: float


class Voucher(Finding):
    """Who vouches that a source of subjects went by lot; None: this product drew it itself.

    `share` are those contacted, of all its matured subjects; `declared_share` was to be.
    """

    source: str
    declared_by: str | None
    lots: int
    customers: int
    share: float
    declared_share: float


class Undeclared(Finding):
    """A campaign of which nobody says that it went by lot: no effect is told of it."""

    campaign_id: str
    contacted_at: datetime
    customers: int
    controls: int
    worst: tuple[Imbalance, ...]
    reason: Words


class UpliftFindings(Night):
    """The evidence ladder, and whether uplift targeting is unlocked."""

    kind: Literal["uplift"] = "uplift"
    horizon_days: int
    metric: Measure
    confidence: float
    ranking: Ranking
    cells: tuple[EvidenceCell, ...]
    studies: tuple[UpliftStudy, ...]
    undeclared: tuple[Undeclared, ...]
    vouchers: tuple[Voucher, ...] = ()
