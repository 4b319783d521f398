"""Populations that the statistics tests look at, read back from their files into arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.simulation.writing import read_plan, simulate
from tasks.warehouse import scratch
from tests.conftest import MakeSettings

DAY_SECONDS = 86_400.0


@dataclass(frozen=True)
class Population:
    """A written population; times are days since its start."""

    directory: Path

    @property
    def plan(self) -> Any:
        return read_plan(self.directory)

    def read(self, sql: str) -> dict[str, np.ndarray]:
        """Columns of a query in which `{orders}`, `{truth}` ... stand for the files.

        `days(x)` is a moment in days since the start.
        """
        names = {
            name: f"read_parquet('{self.directory}/{folder}/*.parquet')"
            for name, folder in {
                "orders": "orders",
                "events": "events",
                "tickets": "tickets",
                "contacts": "contacts",
                "customers": "customers",
                "truth": "truth/customers",
            }.items()
        }
        for name, text in names.items():
            sql = sql.replace("{" + name + "}", text)
        with scratch() as connection:
            connection.execute(
                "create macro days(x) as"
                f" (epoch(x) - epoch(timestamptz '{self.plan.start_on} 00:00:00+00'))"
                f" / {DAY_SECONDS}"
            )
            table = connection.arrow(sql)
        return {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}

    def customers(self) -> dict[str, np.ndarray]:
        """The truth of all customers, `joined` and `gone` in days."""
        return self.read(
            "select *, days(joined_at) as joined, days(dropped_out_at) as gone from {truth}"
            " order by customer_id"
        )


def make_population(
    make_settings: MakeSettings,
    directory: Path,
    *,
    customers: int,
    months: int = 12,
    **population: object,
) -> Population:
    """Write a population with these settings of `simulation`."""
    settings = make_settings(simulation={"months": months, **population})
    simulate(settings, customers=customers, directory=directory, format="parquet")
    return Population(directory)


def intervals_agree(observed: float, expected: float, standard_error: float) -> bool:
    """Whether the two differ by less than four standard errors (1 in 16,000 by chance)."""
    return bool(abs(observed - expected) < 4 * standard_error)
