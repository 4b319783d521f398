"""Lakes to value: a shop of random customers, subscribers, and a labelled set."""

from __future__ import annotations

import hashlib
from datetime import datetime

from tasks.exports import find_scoring
from tasks.features.building import build_features
from tasks.findings import ValueFindings
from tasks.handles import FeatureTable
from tasks.settings import Settings
from tasks.value.contracts import value_contracts
from tasks.value.horizons import Horizons, find_horizon_days, plan_horizons
from tasks.value.publishing import Valuation, find_run, name_run
from tasks.value.reading import find_first_order, name_orders, see_orders
from tasks.value.valuing import require_horizon, value_orders
from tasks.warehouse import Lake
from tests.features.shop import at

DAYS = 400
AS_OF = at(DAYS)
SMALL: dict[str, dict[str, object]] = {
    "features": {
        "horizon_days": 30, "activity_window_days": 90, "minimum_history_days": 60,
        "cutoff_step_days": 30,
    },
    "value": {
        "horizon_days": 60, "trials": 2, "maximum_trees": 20, "resamples": 50,
        "training_cutoffs": 3,
    },
    "economics": {"currency": "GBP"},
}  # fmt: skip
# The same with a history too short to teach learnt models, which is quicker.
UNTAUGHT = {**SMALL, "features": {**SMALL["features"], "minimum_history_days": 300}}


def build(
    lake: Lake, cutoffs: tuple[datetime, ...], labels: datetime | None = None
) -> FeatureTable:
    return build_features(
        lake,
        cutoffs,
        cutoffs,
        lake.snapshot(),
        lake.settings.features,
        labels_as_of=labels,
        labels_known_by=labels,
    )


def plan(lake: Lake) -> Horizons:
    require_horizon(lake.settings)
    sight = see_orders(lake, lake.snapshot().snapshot_id, AS_OF)
    return plan_horizons(AS_OF, find_first_order(lake, sight), lake.settings)


def value_shop(lake: Lake) -> Valuation:
    """As the flow does it, without Prefect and MLflow."""
    horizons = plan(lake)
    serving, past = build(lake, (AS_OF,)), build(lake, horizons.cutoffs)
    scoring_id = find_scoring(lake, AS_OF)
    sight = see_orders(lake, serving.snapshot_id, AS_OF)
    run_id = name_run(lake.settings, serving, scoring_id, name_orders(lake, sight, AS_OF))
    return find_run(lake, run_id) or value_orders(lake, run_id, serving, past, horizons, scoring_id)


def value_subscribers(lake: Lake) -> ValueFindings:
    given = lake.settings.features.outcome == "given"
    judged = None if given else _back(lake.settings)
    serving = build(lake, (AS_OF,))
    past = build(lake, (AS_OF,), AS_OF) if judged is None else build(lake, (judged,))
    run_id = name_run(lake.settings, serving, find_scoring(lake, AS_OF), past.fingerprint)
    return value_contracts(lake, run_id, serving, past, judged, find_scoring(lake, AS_OF)).found


def _back(settings: Settings) -> datetime:
    return at(DAYS - find_horizon_days(settings))


def put_scores(lake: Lake, probability: str, scoring_id: str = "night") -> None:
    """Scores of the newest cut-off: `probability` is SQL of a customer of the features."""
    table = build(lake, (AS_OF,)).table
    with lake.writer_lock("test"), lake.publish("test", "scores", {}):
        lake.execute(
            "create table if not exists lake.main.scores"
            " (customer_id varchar, probability double, as_of timestamptz, scoring_id varchar)"
        )
        lake.execute(
            "insert into lake.main.scores by name select customer_id,"
            f" ({probability})::double as probability, as_of, $scoring_id as scoring_id"
            f" from lake.main.{table}",
            {"scoring_id": scoring_id},
        )
        lake.execute(
            "insert into lake.ledger.exports values"
            " ($scoring_id, 'scores.parquet', 'x', 'x', 1, now())",
            {"scoring_id": scoring_id},
        )


def put_subscribers(lake: Lake, customers: int) -> None:
    """Contracts of 10 to 40 a period; half end at some time, the young ones sooner."""
    lake.execute(
        "insert into lake.main.subscriptions by name"
        " with person as (select 'c' || lpad(i::varchar, 5, '0') as customer_id,"
        "   $start + to_days((hash(i) % 380)::integer) as started_at,"
        "   (hash(i, 1) % 1000) / 1000.0 as u, hash(i, 2) % 31 as price"
        "   from range($customers) r(i)),"
        " life as (select *, started_at + to_days((-200 * ln(1 - u))::integer + 1) as until"
        "   from person)"
        " select customer_id, 's' || customer_id as subscription_id, started_at,"
        "   case when until < $as_of then until end as ended_at,"
        "   (10 + price)::decimal(18, 4) as period_amount, 'GBP' as currency,"
        "   1 as batch_number, 1 as row_number, started_at as received_at from life",
        {"customers": customers, "start": at(0), "as_of": AS_OF},
    )


def put_labelled(lake: Lake, customers: int) -> None:
    """A set of one day: the longer the tenure, the fewer have left."""
    lake.execute(
        "insert into lake.main.labelled by name"
        " select 'c' || lpad(i::varchar, 5, '0') as customer_id,"
        "   $observed::timestamptz as observed_at,"
        "   (hash(i, 1) % 1000) / 1000.0 < 0.6 / (1 + (hash(i) % 60) / 6) as churned,"
        "   (20 + hash(i, 2) % 50)::decimal(18, 4) as period_amount, 'GBP' as currency,"
        "   map {'Tenure': (1 + hash(i) % 60)::double} as numbers,"
        "   map {'Plan': 'a'} as categories, 1 as batch_number, i as row_number,"
        "   $observed::timestamptz as received_at from range($customers) r(i)",
        {"customers": customers, "observed": at(DAYS - 1)},
    )


def fingerprint(lake: Lake) -> str:
    """Of all values and findings, without the times at which they were written."""
    rows = lake.rows("from lake.main.customer_values order by all")
    found = lake.rows("select finding_id, kind from lake.ledger.findings order by all")
    return hashlib.sha256(repr((rows, found)).encode()).hexdigest()
