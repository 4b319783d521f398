"""The tables of rollouts in the ledger: append-only, as those of `contracts.LEDGER`."""

from __future__ import annotations

from tasks.contracts import Column

ROLLOUT_TABLES: dict[str, tuple[Column, ...]] = {
    # A state or a look of a rollout is a row; the row with the highest `row_number` is the state.
    # `row_kind` says what happened: plan, start, continue, advance, hold, promote, roll_back, stop.
    "rollouts": (
        Column("rollout_id", "VARCHAR"),
        Column("row_number", "INTEGER"),
        Column("row_kind", "VARCHAR"),
        Column("subject", "VARCHAR"),
        Column("state", "VARCHAR"),
        Column("stage", "INTEGER"),  # 0 is the first of the plan's stages
        Column("stages_since", "TIMESTAMPTZ[]"),  # the night with which each stage began
        Column("as_of", "TIMESTAMPTZ", nullable=True),
        Column("known_by", "TIMESTAMPTZ", nullable=True),
        Column("decided_at", "TIMESTAMPTZ"),
        Column("reason", "VARCHAR"),
        Column("plan", "JSON"),
        Column("terms", "JSON"),
        Column("plan_hash", "VARCHAR"),
        Column("evidence", "JSON"),
        Column("decision_id", "VARCHAR"),
        Column("actor", "VARCHAR"),
    ),
    # One row a customer of a rollout: from `entered_at` on they are counted, in this arm.
    "enrolments": (
        Column("customer_id", "VARCHAR", personal=True),
        Column("rollout_id", "VARCHAR"),
        Column("arm", "VARCHAR"),
        Column("stage", "INTEGER"),
        Column("bucket", "INTEGER"),
        Column("entered_at", "TIMESTAMPTZ"),
        Column("exposed", "BOOLEAN"),
        Column("fell_back", "BOOLEAN"),
        Column("scoring_id", "VARCHAR", nullable=True),
    ),
    # One row an arm of a night's run in which a rollout served: how many it was to serve, and did.
    "servings": (
        Column("rollout_id", "VARCHAR"),
        Column("scoring_id", "VARCHAR"),
        Column("as_of", "TIMESTAMPTZ"),
        Column("stage", "INTEGER"),
        Column("arm", "VARCHAR"),
        Column("assigned", "BIGINT"),
        Column("fell_back", "BIGINT"),
        Column("failure", "VARCHAR", nullable=True),
        Column("seconds", "DOUBLE"),
        Column("recorded_at", "TIMESTAMPTZ"),
    ),
}
