"""From the labelled table to matrices: missing stays missing, order does not matter."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tasks.churn.data import read_training_data
from tasks.errors import DataRejected
from tests.churn.made_up import DRIVERS, labelled_table, training_data


def test_row_order_changes_nothing() -> None:
    table = labelled_table()
    other = table.take(np.random.default_rng(9).permutation(table.num_rows))
    first = read_training_data(table, drivers=DRIVERS, horizon_days=60)
    second = read_training_data(other, drivers=DRIVERS, horizon_days=60)
    assert first.fingerprint == second.fingerprint
    assert (np.diff(first.as_of.astype("int64")) >= 0).all()


def test_one_changed_cell_changes_the_fingerprint() -> None:
    table = labelled_table()
    noise = table["noise"].to_numpy().copy()
    noise[1234] += 1e-9
    changed = table.set_column(table.column_names.index("noise"), "noise", pa.array(noise))
    first = read_training_data(table, drivers=DRIVERS, horizon_days=60)
    assert read_training_data(changed, drivers=DRIVERS, horizon_days=60).fingerprint != (
        first.fingerprint
    )


def test_missing_stays_missing_and_unknown_outcomes_are_left_out() -> None:
    data = training_data()
    assert 0.1 < np.isnan(data.column("gap_median_days")).mean() < 0.3
    table = labelled_table()
    churned = table["churned"].to_pylist()
    churned[:10] = [None] * 10
    place = table.column_names.index("churned")
    fewer = table.set_column(place, "churned", pa.array(churned, pa.bool_()))
    assert read_training_data(fewer, drivers=DRIVERS, horizon_days=60).rows == data.rows - 10


@pytest.mark.parametrize(
    ("name", "column", "message"),
    [
        ("noise", lambda n: pa.array(["x"] * n), "not a number"),
        ("noise", lambda n: pa.array([float("inf")] * n), "infinite"),
        ("customer_id", lambda n: pa.array(["c"] * n), "twice"),
        ("churned", lambda n: pa.array([None] * n, pa.bool_()), "known outcome"),
    ],
)
def test_what_cannot_teach_is_refused(name: str, column: object, message: str) -> None:
    table = labelled_table()
    made = column(table.num_rows)  # type: ignore[operator]
    broken = table.set_column(table.column_names.index(name), name, made)
    with pytest.raises(DataRejected, match=message):
        read_training_data(broken, drivers=DRIVERS, horizon_days=60)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(DataRejected, match="recency_days"):
        read_training_data(
            labelled_table().drop_columns(["recency_days"]), drivers=DRIVERS, horizon_days=60
        )
