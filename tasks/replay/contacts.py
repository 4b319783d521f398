"""Whom each policy would have contacted in a step, kept until it is known what then happened.

A policy is a way of choosing the model: the champion that served, the first champion for ever,
the latest challenger whatever the gate said, the best simple rule. Each has the same budget a
step, and contacts nobody a second time within a horizon, so that every outcome counts once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tasks.crash import crash_point
from tasks.economics import Economics
from tasks.warehouse import Lake, quote

if TYPE_CHECKING:
    import numpy as np

    from tasks.handles import Predictor

SERVED, FIRST, ALWAYS, RULE = "served", "never retrained", "always promoted", "best rule"
POLICIES = (SERVED, FIRST, ALWAYS, RULE)
_TABLE = "replay_contacts"
_COLUMNS = (
    "as_of TIMESTAMPTZ, policy VARCHAR, customer_id VARCHAR, value_amount DOUBLE,"
    " probability DOUBLE"
)


def find_features(lake: Lake, as_of: datetime) -> str | None:
    """The table of features that the step's scores were made of."""
    rows = lake.rows(
        "select table_name from lake.ledger.feature_tables where not labelled"
        " and as_of = [$as_of::timestamptz] order by built_at desc limit 1",
        {"as_of": as_of},
    )
    return str(rows[0]["table_name"]) if rows else None


def find_scoring(lake: Lake, as_of: datetime) -> tuple[str | None, int]:
    """The newest published scores of a cut-off, and how many customers they are of."""
    if "scores" not in lake.tables():
        return None, 0
    rows = lake.rows(
        "select scoring_id, count(*) as customers, (select max(exported_at)"
        " from lake.ledger.exports where export_id = scoring_id) as exported_at"
        " from lake.main.scores where as_of = $as_of"
        " group by scoring_id order by exported_at desc limit 1",
        {"as_of": as_of},
    )
    return (str(rows[0]["scoring_id"]), int(rows[0]["customers"])) if rows else (None, 0)


def choose_contacts(
    lake: Lake,
    as_of: datetime,
    scoring_id: str,
    policies: Mapping[str, Predictor],
    money: Economics,
    horizon_days: int,
) -> dict[str, int]:
    """Choose and keep each policy's list of a step; how many customers are on each.

    `policies` maps a policy to its model; that of the champion is read from the published scores
    of `scoring_id`, which people would have used. Doing it again replaces the step's lists.
    """
    import numpy as np
    import pyarrow as pa

    table = find_features(lake, as_of)
    if table is None:
        return {}
    rows = lake.arrow(
        f"select one.*, score.probability as holdfast_served from lake.main.{quote(table)} one"
        " left join (select customer_id, probability from lake.main.scores"
        " where scoring_id = $scoring_id) score using (customer_id)"
        " where one.as_of = $as_of order by one.customer_id",
        {"as_of": as_of, "scoring_id": scoring_id},
    )
    value = _numbers(rows["value_amount"])
    ids = np.asarray(rows["customer_id"].to_pylist(), dtype=object)
    lately = _contacted(lake, as_of, horizon_days)
    lists: list[dict[str, Any]] = []
    counts: dict[str, int] = {}
    for policy in POLICIES:
        if policy != SERVED and policy not in policies:
            continue
        probability = (
            _numbers(rows["holdfast_served"])
            if policy == SERVED
            else np.asarray(policies[policy].predict(rows), dtype=np.float64)
        )
        gone = lately.get(policy, frozenset())
        free = np.flatnonzero(
            np.isfinite(probability) & np.asarray([who not in gone for who in ids], dtype=bool)
        )
        chosen = free[money.choose(probability[free], value[free])]
        counts[policy] = len(chosen)
        lists += [
            {
                "as_of": as_of,
                "policy": policy,
                "customer_id": ids[place],
                "value_amount": float(value[place]),
                "probability": float(probability[place]),
            }
            for place in chosen
        ]
    schema = pa.schema(
        [
            ("as_of", pa.timestamp("us", tz="UTC")),
            ("policy", pa.string()),
            ("customer_id", pa.string()),
            ("value_amount", pa.float64()),
            ("probability", pa.float64()),
        ]
    )
    _keep(lake, as_of, pa.Table.from_pylist(lists, schema=schema))
    return counts


def _keep(lake: Lake, as_of: datetime, lists: Any) -> None:
    with lake.writer_lock("replay contacts"):
        crash_point("replay.before_contacts")
        with lake.publish("replay", f"lists of {as_of:%Y-%m-%d}", {}):
            lake.execute(f"create table if not exists lake.main.{_TABLE} ({_COLUMNS})")
            lake.execute(f"delete from lake.main.{_TABLE} where as_of = $as_of", {"as_of": as_of})
            lake.load_arrow("replay_lists", lists)
            try:
                lake.execute(f"insert into lake.main.{_TABLE} by name select * from replay_lists")
            finally:
                lake.drop_arrow("replay_lists")


def _contacted(lake: Lake, as_of: datetime, horizon_days: int) -> dict[str, frozenset[str]]:
    if _TABLE not in lake.tables():
        return {}
    rows = lake.rows(
        f"select policy, list(distinct customer_id) as customers from lake.main.{_TABLE}"
        " where as_of < $as_of and as_of > $since group by policy",
        {"as_of": as_of, "since": as_of - timedelta(days=horizon_days)},
    )
    return {row["policy"]: frozenset(row["customers"]) for row in rows}


def read_outcomes(lake: Lake, labelled: str) -> Any:
    """Every contact whose outcome has matured: an Arrow table with `churned` beside it.

    `labelled` is a table of features of all steps with their outcomes.
    """
    return lake.arrow(
        f"select one.*, outcome.churned from lake.main.{_TABLE} one"
        f" inner join lake.main.{quote(labelled)} outcome using (as_of, customer_id)"
        " where outcome.churned is not null order by as_of, policy, customer_id"
    )


def keep_cutoffs(outcomes: Any, cutoffs: Sequence[datetime]) -> Any:
    """Of `read_outcomes`, the rows of some cut-offs."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(list(cutoffs), outcomes.schema.field("as_of").type)
    return outcomes.filter(pc.is_in(outcomes["as_of"], wanted))


def list_cutoffs(lake: Lake) -> tuple[datetime, ...]:
    """The cut-offs for which there are lists."""
    if _TABLE not in lake.tables():
        return ()
    rows = lake.rows(f"select distinct as_of from lake.main.{_TABLE} order by as_of")
    return tuple(row["as_of"] for row in rows)


def _numbers(column: Any) -> np.ndarray:
    import numpy as np

    values = column.cast("float64").to_numpy(zero_copy_only=False)
    return np.asarray(values, dtype=np.float64)
