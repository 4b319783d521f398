"""Purchase models and rules against what is true of simulated customers."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

import numpy as np

from tasks.settings import load_settings
from tasks.simulation.process import make_plan
from tasks.simulation.truth import reveal
from tasks.simulation.writing import simulate
from tasks.value.amounts import expect_amount, fit_amounts
from tasks.value.btyd import Counts, Floats, expect_orders, find_alive, fit_purchases
from tasks.value.measures import bias_share, normalised_gini
from tasks.value.rules import last_years_spend, simple_formula
from tasks.warehouse import scratch

_HORIZON_DAYS = 180


def compare_with_truth(customers: int) -> list[tuple[str, float, float, float]]:
    """(contender, normalised Gini of true spend, bias, correlation) and of P(alive) its Brier."""
    settings = load_settings("simulated")
    plan = make_plan(settings.simulation, customers=customers)
    as_of = plan.end_on - timedelta(days=_HORIZON_DAYS)
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary) / "population"
        simulate(settings, customers=customers, directory=directory, format="parquet")
        with scratch() as connection:
            table = connection.arrow(
                "with day as (select customer_id, ordered_at::date as day,"
                " sum(net_amount)::double as amount,"
                " sum(net_amount) filter (ordered_at >= $as_of::date - 365)::double as recent"
                f" from '{directory}/orders/*.parquet'"
                " where not is_return and ordered_at < $as_of::date group by all)"
                " select customer_id, (count(*) - 1)::double as frequency,"
                " (max(day) - min(day))::double as recency,"
                " ($as_of::date - min(day))::double as age,"
                " sum(amount) as amount, coalesce(sum(recent), 0) as recent"
                " from day group by customer_id order by customer_id",
                {"as_of": as_of},
            )
    truth = reveal(plan, as_of, _HORIZON_DAYS)
    place = {name: row for row, name in enumerate(truth["customer_id"].to_pylist())}
    rows = np.array([place[name] for name in table["customer_id"].to_pylist()])
    spend = truth["spend_mean"].to_numpy()[rows]
    is_alive = truth["is_alive"].to_numpy(zero_copy_only=False)[rows].astype(float)
    x, t_x, age, amount, recent = (
        table[name].to_numpy() for name in ("frequency", "recency", "age", "amount", "recent")
    )
    counts = Counts(x, t_x / 7, age / 7, np.ones(len(x)))
    money = fit_amounts(x + 1, amount / (x + 1), np.ones(len(x)))
    an_order = expect_amount(money, x + 1, amount / (x + 1))
    told: dict[str, Floats] = {
        "last_years_spend": last_years_spend(recent, age, _HORIZON_DAYS),
        "simple_formula": simple_formula(
            amount, x + 1, age, age - t_x, _HORIZON_DAYS, settings.value.half_life_days
        ),
    }
    found = []
    for kind in ("bg_nbd", "mbg_nbd"):
        model = fit_purchases(counts, kind)  # type: ignore[arg-type]
        orders = expect_orders(
            model, counts.frequency, counts.recency, counts.age, _HORIZON_DAYS / 7
        )
        told[kind] = orders * an_order
        alive = find_alive(model, counts.frequency, counts.recency, counts.age)
        brier = float(((alive - is_alive) ** 2).mean())
        constant = float(is_alive.mean() * (1 - is_alive.mean()))
        found.append(
            (
                f"P(alive) of {kind}",
                1 - brier / constant,
                alive.mean() / is_alive.mean() - 1,
                float(np.corrcoef(alive, is_alive)[0, 1]),
            )
        )
    return [
        (
            name,
            normalised_gini(spend, one),
            bias_share(spend, one),
            float(np.corrcoef(one, spend)[0, 1]),
        )
        for name, one in told.items()
    ] + found
