"""The canonical tables: what a source is mapped onto, and what everything else reads.

A contract says for each column its type, whether it may be missing, and whether it is personal
(then it is masked in every report). The event time is the first of the two clocks; the second,
`received_at`, is added to every row when its batch is published.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a canonical table; `type` is DuckDB's."""

    name: str
    type: str
    nullable: bool = False
    personal: bool = False


@dataclass(frozen=True, slots=True)
class Contract:
    """One canonical table. `event_time` is the column of the first clock.

    `key` identifies a row where the source gives one; an empty key means that only a row equal
    in every column counts as delivered twice. `later_times` are columns of the row that become
    known after its event: they count only when they lie before the cut-off. Where `rows_shown` is
    false nearly every column says something of a person: reports name row numbers alone.
    """

    table: str
    grain: str
    columns: tuple[Column, ...]
    event_time: str
    key: tuple[str, ...] = ()
    later_times: tuple[str, ...] = ()
    rows_shown: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)


# Columns that publishing adds to every canonical table.
SYSTEM_COLUMNS: tuple[Column, ...] = (
    Column("batch_number", "INTEGER"),
    Column("row_number", "BIGINT"),
    Column("received_at", "TIMESTAMPTZ"),
)

_AMOUNT = "DECIMAL(18,4)"

CONTRACTS: dict[str, Contract] = {
    contract.table: contract
    for contract in (
        Contract(
            "orders",
            "one line of an order or of a return",
            (
                Column("customer_id", "VARCHAR", personal=True),
                Column("order_id", "VARCHAR"),
                Column("line_id", "VARCHAR", nullable=True),
                Column("ordered_at", "TIMESTAMPTZ"),
                Column("product_id", "VARCHAR", nullable=True),
                Column("category", "VARCHAR", nullable=True),
                Column("channel", "VARCHAR", nullable=True),
                Column("quantity", _AMOUNT),
                Column("net_amount", _AMOUNT),
                Column("discount_amount", _AMOUNT, nullable=True),
                Column("currency", "VARCHAR"),
                Column("is_return", "BOOLEAN"),
            ),
            event_time="ordered_at",
        ),
        Contract(
            "events",
            "one thing a customer did on the web or in the app",
            (
                Column("customer_id", "VARCHAR", personal=True),
                Column("event_id", "VARCHAR", nullable=True),
                Column("occurred_at", "TIMESTAMPTZ"),
                Column("kind", "VARCHAR"),
                Column("session_id", "VARCHAR", nullable=True),
                Column("channel", "VARCHAR", nullable=True),
                Column("value", "DOUBLE", nullable=True),
            ),
            event_time="occurred_at",
        ),
        Contract(
            "tickets",
            "one question or complaint to the service desk",
            (
                Column("customer_id", "VARCHAR", personal=True),
                Column("ticket_id", "VARCHAR"),
                Column("opened_at", "TIMESTAMPTZ"),
                Column("closed_at", "TIMESTAMPTZ", nullable=True),
                Column("topic", "VARCHAR", nullable=True),
                Column("is_complaint", "BOOLEAN", nullable=True),
                Column("satisfaction_score", "DOUBLE", nullable=True),
            ),
            event_time="opened_at",
            key=("ticket_id",),
            later_times=("closed_at",),
        ),
        Contract(
            "contacts",
            "one message or offer sent to one customer",
            (
                Column("customer_id", "VARCHAR", personal=True),
                Column("contact_id", "VARCHAR"),
                Column("contacted_at", "TIMESTAMPTZ"),
                Column("campaign_id", "VARCHAR", nullable=True),
                Column("channel", "VARCHAR", nullable=True),
                Column("opened_at", "TIMESTAMPTZ", nullable=True),
                Column("clicked_at", "TIMESTAMPTZ", nullable=True),
                Column("responded_at", "TIMESTAMPTZ", nullable=True),
                Column("opted_out_at", "TIMESTAMPTZ", nullable=True),
            ),
            event_time="contacted_at",
            key=("contact_id",),
            later_times=("opened_at", "clicked_at", "responded_at", "opted_out_at"),
        ),
        Contract(
            "subscriptions",
            "one contract of one customer",
            (
                Column("customer_id", "VARCHAR", personal=True),
                Column("subscription_id", "VARCHAR"),
                Column("started_at", "TIMESTAMPTZ"),
                Column("ended_at", "TIMESTAMPTZ", nullable=True),
                Column("plan", "VARCHAR", nullable=True),
                Column("period_amount", _AMOUNT, nullable=True),
                Column("currency", "VARCHAR", nullable=True),
            ),
            event_time="started_at",
            key=("subscription_id",),
            later_times=("ended_at",),
        ),
        Contract(
            "customers",
            "what was known of one customer at one time",
            (
                Column("customer_id", "VARCHAR", personal=True),
                Column("registered_at", "TIMESTAMPTZ", nullable=True),
                Column("recorded_at", "TIMESTAMPTZ"),
                Column("attributes", "MAP(VARCHAR, VARCHAR)", nullable=True, personal=True),
            ),
            event_time="recorded_at",
            key=("customer_id",),
            later_times=("registered_at",),
            rows_shown=False,
        ),
        Contract(
            "labelled",
            "one customer of a static set, with the outcome given",
            (
                Column("customer_id", "VARCHAR", personal=True),
                Column("observed_at", "TIMESTAMPTZ"),
                Column("churned", "BOOLEAN"),
                Column("period_amount", _AMOUNT, nullable=True),
                Column("currency", "VARCHAR", nullable=True),
                Column("numbers", "MAP(VARCHAR, DOUBLE)"),
                Column("categories", "MAP(VARCHAR, VARCHAR)"),
            ),
            event_time="observed_at",
            key=("customer_id",),
            rows_shown=False,
        ),
    )
}

Outcome = Literal["lapse", "cancellation", "given"]
# The table that says who is a customer, by what leaving means.
POPULATION: dict[Outcome, str] = {
    "lapse": "orders",
    "cancellation": "subscriptions",
    "given": "labelled",
}

# `lake.main.scores` and, in this order, the exported files. One row a customer of a scoring run.
SCORES: tuple[Column, ...] = (
    Column("customer_id", "VARCHAR", personal=True),
    Column("rank", "BIGINT"),  # 1 first, by what a contact is expected to bring
    Column("probability", "DOUBLE"),
    Column("percentile", "DOUBLE"),  # share of customers with no higher probability, in percent
    Column("value_amount", _AMOUNT, nullable=True),
    Column("expected_return_amount", _AMOUNT),
    Column("money_at_risk_amount", _AMOUNT),  # probability x value
    Column("currency", "VARCHAR"),
    Column("reason_1", "VARCHAR", nullable=True),
    Column("reason_2", "VARCHAR", nullable=True),
    Column("reason_3", "VARCHAR", nullable=True),
    Column("as_of", "TIMESTAMPTZ"),
    Column("known_by", "TIMESTAMPTZ"),
    Column("model_name", "VARCHAR"),
    Column("model_version", "INTEGER"),
    Column("model_hash", "VARCHAR"),
    Column("scoring_id", "VARCHAR"),
    # How much older the stalest source's newest row was than it should be; 0 on a fresh night.
    Column("stale_days", "DOUBLE"),
    # The sources that were behind, and those that were left out; missing on a fresh night.
    Column("stale_sources", "VARCHAR", nullable=True),
)

REASON_COLUMNS = ("reason_1", "reason_2", "reason_3")
# Said of a customer whom no driver pushes towards leaving, so that every row has a reason.
NO_REASON = "nothing points to leaving"

# What later steps know of a customer, one row a customer of a run, appended; the newest run of a
# cut-off counts. `run_id` is the finding_id in `ledger.findings`.
CUSTOMER_TABLES: dict[str, tuple[Column, ...]] = {
    # Lifetime value over `horizon_days`. `spend_amount` is what they are expected to spend,
    # `value_amount` the discounted margin of it, with an interval for one customer.
    # `alive_probability` and `churn_probability` are the reconciled pair.
    "customer_values": (
        Column("customer_id", "VARCHAR", personal=True),
        Column("as_of", "TIMESTAMPTZ"),
        Column("known_by", "TIMESTAMPTZ"),
        Column("run_id", "VARCHAR"),
        Column("method", "VARCHAR"),
        Column("horizon_days", "INTEGER"),
        Column("expected_orders", "DOUBLE", nullable=True),
        Column("spend_amount", _AMOUNT),
        Column("value_amount", _AMOUNT),
        Column("low_amount", _AMOUNT),
        Column("high_amount", _AMOUNT),
        Column("alive_probability", "DOUBLE", nullable=True),
        Column("churn_probability", "DOUBLE", nullable=True),
        Column("contradiction", "VARCHAR", nullable=True),
        Column("currency", "VARCHAR"),
    ),
    # `segment_id` keeps its meaning from one segmentation to the next.
    "customer_segments": (
        Column("customer_id", "VARCHAR", personal=True),
        Column("as_of", "TIMESTAMPTZ"),
        Column("known_by", "TIMESTAMPTZ"),
        Column("run_id", "VARCHAR"),
        Column("segmentation_id", "VARCHAR"),
        Column("segment_id", "VARCHAR"),
        Column("segment_name", "VARCHAR"),
    ),
    # The leading driver that held across refits; NULL: no stable reason. `push` is in log-odds.
    "customer_reasons": (
        Column("customer_id", "VARCHAR", personal=True),
        Column("as_of", "TIMESTAMPTZ"),
        Column("known_by", "TIMESTAMPTZ"),
        Column("run_id", "VARCHAR"),
        Column("driver", "VARCHAR", nullable=True),
        Column("push", "DOUBLE", nullable=True),
        Column("agreement_share", "DOUBLE"),
    ),
    # The action list and, in this order, the exported files (docs/action-list.md says what each
    # column is). `listed_for` is 'retention' or 'winback'; who is `held_out` is not contacted.
    "customer_actions": (
        Column("customer_id", "VARCHAR", personal=True),
        Column("listed_for", "VARCHAR"),
        Column("rank", "BIGINT"),
        Column("held_out", "BOOLEAN"),
        Column("action", "VARCHAR"),
        Column("action_name", "VARCHAR"),
        Column("action_name_ko", "VARCHAR"),
        Column("channel", "VARCHAR"),
        Column("segment_id", "VARCHAR", nullable=True),
        Column("segment_name", "VARCHAR", nullable=True),
        Column("risk_band", "VARCHAR", nullable=True),
        Column("value_band", "VARCHAR"),
        Column("driver", "VARCHAR", nullable=True),
        Column("probability", "DOUBLE"),
        Column("silent_days", "INTEGER", nullable=True),
        Column("value_amount", _AMOUNT),
        Column("contact_cost_amount", _AMOUNT),
        Column("offer_cost_amount", _AMOUNT),
        Column("planned_cost_amount", _AMOUNT),
        Column("expected_return_amount", _AMOUNT),
        Column("currency", "VARCHAR"),
        Column("as_of", "TIMESTAMPTZ"),
        Column("known_by", "TIMESTAMPTZ"),
        Column("run_id", "VARCHAR"),
        Column("scoring_id", "VARCHAR", nullable=True),
        Column("stale_days", "DOUBLE"),
        Column("stale_sources", "VARCHAR", nullable=True),
        # What the expected return rests on; NULL in lists made before there was a ladder.
        Column("evidence_level", "INTEGER", nullable=True),
        # 'guess', 'measured' (of a segment or reason) or 'own_uplift'; NULL in older lists.
        Column("evidence_basis", "VARCHAR", nullable=True),
    ),
}

# The ledger: append-only, the latest row is the state; with `rollout_tables` its whole schema.
LEDGER: dict[str, tuple[Column, ...]] = {
    "batches": (
        Column("batch_number", "INTEGER"),
        Column("batch_name", "VARCHAR"),
        Column("source", "VARCHAR"),
        Column("table_name", "VARCHAR"),
        Column("content_hash", "VARCHAR"),
        Column("state", "VARCHAR"),
        Column("received_rows", "BIGINT"),
        Column("accepted_rows", "BIGINT"),
        Column("quarantined_rows", "BIGINT"),
        Column("known_basis", "VARCHAR"),
        Column("declared_lag_days", "DOUBLE", nullable=True),
        Column("published_at", "TIMESTAMPTZ", nullable=True),
        Column("recorded_at", "TIMESTAMPTZ"),
        Column("actor", "VARCHAR"),
        Column("supersedes_batch_number", "INTEGER", nullable=True),
        Column("report", "JSON"),
    ),
    "quarantine": (
        Column("batch_number", "INTEGER"),
        Column("row_number", "BIGINT"),
        Column("rule", "VARCHAR"),
        Column("reason", "VARCHAR"),
        Column("raw_line", "VARCHAR", nullable=True, personal=True),
        Column("recorded_at", "TIMESTAMPTZ"),
    ),
    "rule_results": (
        Column("batch_number", "INTEGER"),
        Column("rule", "VARCHAR"),
        Column("column_name", "VARCHAR"),
        Column("severity", "VARCHAR"),
        Column("checked_rows", "BIGINT"),
        Column("failed_rows", "BIGINT"),
        Column("limit_text", "VARCHAR"),
        Column("observed_text", "VARCHAR"),
        Column("passed", "BOOLEAN"),
        Column("reason", "VARCHAR"),
        Column("recorded_at", "TIMESTAMPTZ"),
        Column("figure", "DOUBLE", nullable=True),
        Column("lower_limit", "DOUBLE", nullable=True),
        Column("upper_limit", "DOUBLE", nullable=True),
    ),
    # The work queue: a state of an item is a row, the latest row is the state.
    "incidents": (
        Column("incident_number", "INTEGER"),
        Column("cause_key", "VARCHAR"),
        Column("code", "VARCHAR"),
        Column("level", "VARCHAR"),
        Column("source", "VARCHAR"),
        Column("table_name", "VARCHAR"),
        Column("column_name", "VARCHAR"),
        Column("headline", "VARCHAR"),
        Column("state", "VARCHAR"),
        Column("resolution", "VARCHAR", nullable=True),
        Column("recorded_at", "TIMESTAMPTZ"),
        Column("actor", "VARCHAR"),
        Column("reason", "VARCHAR"),
        Column("report", "JSON"),
    ),
    "incident_batches": (
        Column("incident_number", "INTEGER"),
        Column("batch_number", "INTEGER"),
        Column("recorded_at", "TIMESTAMPTZ"),
    ),
    # Granted for a time; what has ended stays here, since reports of then speak of it.
    "waivers": (
        Column("waiver_id", "VARCHAR"),
        Column("incident_number", "INTEGER", nullable=True),
        Column("source", "VARCHAR"),
        Column("rules", "VARCHAR[]"),
        Column("effect", "VARCHAR"),
        Column("batch_name", "VARCHAR", nullable=True),
        Column("content_hash", "VARCHAR", nullable=True),
        Column("row_numbers", "BIGINT[]"),
        Column("reason", "VARCHAR"),
        Column("author", "VARCHAR"),
        Column("approved_by", "VARCHAR", nullable=True),
        Column("granted_at", "TIMESTAMPTZ"),
        Column("ends_at", "TIMESTAMPTZ"),
    ),
    # A state of a run is a row; one whose last state is 'begun' is at work or was killed.
    # `memory_kills`: how many processes the kernel had ended for want of memory by then.
    "runs": (
        Column("run_id", "VARCHAR"),
        Column("command", "VARCHAR"),
        Column("state", "VARCHAR"),
        Column("process", "VARCHAR"),
        Column("memory_kills", "BIGINT", nullable=True),
        Column("recorded_at", "TIMESTAMPTZ"),
    ),
    # What was sent about an item through which channel; the queue is the truth, this its echo.
    "notices": (
        Column("incident_number", "INTEGER"),
        Column("channel", "VARCHAR"),
        Column("state", "VARCHAR"),
        Column("attempts", "INTEGER"),
        Column("detail", "VARCHAR"),
        Column("recorded_at", "TIMESTAMPTZ"),
    ),
    "batch_statistics": (
        Column("batch_number", "INTEGER"),
        Column("table_name", "VARCHAR"),
        Column("column_name", "VARCHAR"),
        Column("statistic", "VARCHAR"),
        Column("value", "DOUBLE"),
    ),
    "decisions": (
        Column("decision_id", "VARCHAR"),
        Column("decided_at", "TIMESTAMPTZ"),
        Column("kind", "VARCHAR"),
        Column("subject", "VARCHAR"),
        Column("outcome", "VARCHAR"),
        Column("reason", "VARCHAR"),
        Column("evidence", "JSON"),
        Column("snapshot_id", "BIGINT", nullable=True),
        Column("model_name", "VARCHAR", nullable=True),
        Column("model_version", "INTEGER", nullable=True),
        Column("model_hash", "VARCHAR", nullable=True),
        Column("run_id", "VARCHAR", nullable=True),
        Column("actor", "VARCHAR"),
    ),
    "reads": (
        Column("purpose", "VARCHAR"),
        Column("snapshot_id", "BIGINT"),
        Column("as_of", "TIMESTAMPTZ", nullable=True),
        Column("known_by", "TIMESTAMPTZ", nullable=True),
        Column("run_id", "VARCHAR", nullable=True),
        Column("read_at", "TIMESTAMPTZ"),
    ),
    # The code of a category of a labelled set is kept for ever, so that models stay readable.
    "category_codes": (
        Column("column_name", "VARCHAR"),
        Column("category", "VARCHAR"),
        Column("code", "INTEGER"),
        Column("recorded_at", "TIMESTAMPTZ"),
    ),
    "feature_tables": (
        Column("table_name", "VARCHAR"),
        Column("as_of", "TIMESTAMPTZ[]"),
        Column("known_by", "TIMESTAMPTZ[]"),
        Column("snapshot_id", "BIGINT"),
        Column("feature_set_hash", "VARCHAR"),
        Column("fingerprint", "VARCHAR"),
        Column("rows", "BIGINT"),
        Column("feature_names", "VARCHAR[]"),
        Column("labelled", "BOOLEAN"),
        Column("built_at", "TIMESTAMPTZ"),
    ),
    "exports": (
        Column("export_id", "VARCHAR"),
        Column("kind", "VARCHAR"),
        Column("path", "VARCHAR"),
        Column("sha256", "VARCHAR"),
        Column("rows", "BIGINT"),
        Column("exported_at", "TIMESTAMPTZ"),
    ),
    "findings": (
        Column("finding_id", "VARCHAR"),
        Column("kind", "VARCHAR"),
        Column("as_of", "TIMESTAMPTZ"),
        Column("known_by", "TIMESTAMPTZ"),
        Column("snapshot_id", "BIGINT"),
        Column("recorded_at", "TIMESTAMPTZ"),
        Column("content", "JSON"),
    ),
    # What monitoring has raised: a state of an alert is a row, the latest row is the state.
    "alerts": (
        Column("alert_id", "VARCHAR"),
        Column("kind", "VARCHAR"),
        Column("subject", "VARCHAR"),
        Column("raised_at", "TIMESTAMPTZ"),
        Column("as_of", "TIMESTAMPTZ"),
        Column("state", "VARCHAR"),
        Column("verdict", "VARCHAR", nullable=True),
        Column("recorded_at", "TIMESTAMPTZ"),
        Column("actor", "VARCHAR"),
        Column("reason", "VARCHAR"),
        Column("report", "JSON"),
    ),
    # A step of a replay of history that is done, with what came of it.
    "replay_weeks": (
        Column("as_of", "TIMESTAMPTZ"),
        Column("recorded_at", "TIMESTAMPTZ"),
        Column("content", "JSON"),
    ),
    "erasures": (
        Column("erasure_id", "VARCHAR"),
        Column("customer_pseudonym", "VARCHAR"),
        Column("requested_at", "TIMESTAMPTZ"),
        Column("completed_at", "TIMESTAMPTZ", nullable=True),
        Column("receipt", "JSON"),
    ),
}
