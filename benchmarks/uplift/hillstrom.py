"""MineThatData's e-mail test of 2008 as trials: a visit is a stay, spend is margin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.uplift.effects import Trial
from tasks.warehouse import scratch

ARMS = ("Mens E-Mail", "Womens E-Mail")
_NUMBERS = ("recency", "history", "mens", "womens", "newbie")


def read_arm(path: Path, arm: str) -> tuple[Trial, NDArray[np.float64], tuple[str, ...]]:
    """One e-mail against none: the trial, the features of shape (customers, 9), their names."""
    with scratch() as connection:
        rows = connection.arrow(
            f"select row_number() over () as customer, segment = $arm as treated, visit, spend,"
            f" {', '.join(_NUMBERS)},"
            " zip_code = 'Rural' as rural, zip_code = 'Urban' as urban,"
            " channel = 'Web' as web, channel = 'Phone' as phone"
            f" from read_parquet('{path}') where segment in ($arm, 'No E-Mail') order by customer",
            {"arm": arm},
        )
    names = (*_NUMBERS, "rural", "urban", "web", "phone")

    def column(name: str) -> NDArray[np.float64]:
        return rows[name].to_numpy(zero_copy_only=False).astype(np.float64)

    return (
        Trial(
            treated=column("treated").astype(bool),
            lots=np.zeros(rows.num_rows, dtype=np.int64),
            customers=np.arange(rows.num_rows),
            lapsed=1 - column("visit"),
            margin=column("spend"),
        ),
        np.column_stack([column(name) for name in names]),
        names,
    )
