"""Two feature tables held against each other: counts and changes as counted by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from statistics import median

import numpy as np
import pyarrow as pa
import pytest

from tasks.errors import InternalError
from tasks.features.comparison import compare_features
from tasks.handles import FeatureTable
from tasks.impact import FeatureMove
from tasks.warehouse import Lake

pytestmark = pytest.mark.sql

EARLIER, AS_OF = datetime(2011, 8, 10, tzinfo=UTC), datetime(2011, 9, 10, tzinfo=UTC)
Rows = dict[str, tuple[float | None, ...]]


def make_table(
    lake: Lake, table: str, names: tuple[str, ...], rows: Rows, as_of: datetime = AS_OF
) -> FeatureTable:
    """A feature table of the lake; an earlier cut-off of it has other values, to be left out."""
    everybody = [(who, as_of, values) for who, values in rows.items()]
    everybody += [(who, EARLIER, (9.9,) * len(names)) for who in rows]
    columns = {
        "customer_id": pa.array([who for who, _, _ in everybody], pa.string()),
        "as_of": pa.array([moment for _, moment, _ in everybody], pa.timestamp("us", tz="UTC")),
    }
    for place, name in enumerate(names):
        columns[name] = pa.array([values[place] for _, _, values in everybody], pa.float64())
    lake.load_arrow("made", pa.table(columns))
    with lake.writer_lock("test"), lake.publish("test", "features"):
        lake.execute(f'create or replace table lake.main."{table}" as select * from made')
    lake.drop_arrow("made")
    return FeatureTable(
        table, (EARLIER, as_of), (EARLIER, as_of), 1, table, len(rows), names, labelled=False
    )


def test_moves_are_counted_over_customers_of_both(lake: Lake) -> None:
    before = make_table(
        lake,
        "before",
        ("orders", 'am"ount', "still", "gone"),
        {
            "ann": (2.0, 10.0, 1.0, 1.0),
            "bob": (4.0, 0.0, None, 1.0),
            "cid": (None, 5.0, 1.0, 1.0),
            "dan": (1.0, -4.0, 1.0, 1.0),
            "old": (1.0, 1.0, 1.0, 1.0),
        },
    )
    after = make_table(
        lake,
        "after",
        ("orders", 'am"ount', "still", "come"),
        {
            "ann": (3.0, 1000.0, 1.0, 1.0),  # +50 %, +9,900 %
            "bob": (4.0, 7.0, None, 1.0),  # from 0: no relative change
            "cid": (8.0, 5.0, 1.0, 1.0),  # from nothing: none either
            "dan": (1.0, -6.0, 1.0, 1.0),  # 50 % more of a negative one
            "new": (7.0, 7.0, 7.0, 7.0),
        },
    )
    found = compare_features(lake, before, after)
    assert (found.customers_before, found.customers_after, found.customers_both) == (5, 5, 4)
    assert found.customers_moved == 4
    assert (found.features, found.features_moved) == (3, 2)
    assert found.moves == (
        FeatureMove('am"ount', 3, median([99.0, 0.5]), 99.0),
        FeatureMove("orders", 2, 0.5, 0.5),
    )
    assert compare_features(lake, before, before).moves == ()
    with pytest.raises(InternalError):
        compare_features(lake, before, replace(after, as_of=(EARLIER,)))


@pytest.mark.parametrize("shown", [1, 3, 10])
def test_the_most_moved_are_shown_as_numpy_counts_them(lake: Lake, shown: int) -> None:
    random = np.random.default_rng(shown)
    names = tuple(f"f{place}" for place in range(6))
    old = random.normal(size=(300, 6))
    moves = random.random((300, 6)) < np.linspace(0.0, 0.6, 6)
    new = np.where(moves, old * random.uniform(0.5, 3, size=(300, 6)), old)
    tables = [
        make_table(lake, name, names, {f"c{i}": tuple(row) for i, row in enumerate(v.tolist())})
        for name, v in (("before", old), ("after", new))
    ]
    found = compare_features(lake, tables[0], tables[1], shown=shown)
    change = np.abs((new - old) / old)
    assert found.features_moved == 5  # the first never moves
    assert found.customers_moved == int((new != old).any(axis=1).sum())
    assert len(found.moves) == min(shown, 5)
    for move in found.moves:
        place = names.index(move.feature)
        differs = new[:, place] != old[:, place]
        assert move.customers == differs.sum()
        assert move.median_change == pytest.approx(np.median(change[differs, place]))
        assert move.largest_change == pytest.approx(change[differs, place].max())
    counts = [move.customers for move in found.moves]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == max((new != old).sum(axis=0))
