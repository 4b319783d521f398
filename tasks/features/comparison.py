"""Two feature tables at one cut-off: whose values differ, in which features, and by how much."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import InternalError
from tasks.impact import FeatureMove, FeatureMoves
from tasks.warehouse import quote

if TYPE_CHECKING:
    from tasks.handles import FeatureTable
    from tasks.warehouse import Lake

_SQL = Path(__file__).with_name("sql")
SHOWN_FEATURES = 10


def compare_features(
    lake: Lake, before: FeatureTable, after: FeatureTable, *, shown: int = SHOWN_FEATURES
) -> FeatureMoves:
    """How the features of the newest cut-off move from one table to the other.

    A feature that only one table has is left out. `moves` are the features that move for most
    customers, at most `shown`, ties by the larger median and then by name. Raises InternalError
    (70) if the tables end at different cut-offs.
    """
    if before.as_of[-1] != after.as_of[-1]:
        raise InternalError("Feature tables of different cut-offs are not compared.")
    names = [name for name in after.feature_names if name in before.feature_names]
    # Medians hold every value in memory, so they are asked for the few features that are shown.
    counted = _ask(lake, before, after, names, [])
    moved = sorted(
        (name for name in names if counted[f"moved_{names.index(name)}"]),
        key=lambda name: (-int(counted[f"moved_{names.index(name)}"] or 0), name),
    )
    listed = moved[:shown]
    medians = _ask(lake, before, after, listed, listed) if listed else {}
    moves = [
        FeatureMove(
            feature=name,
            customers=int(medians[f"moved_{place}"] or 0),
            median_change=medians[f"median_{place}"],
            largest_change=medians[f"largest_{place}"],
        )
        for place, name in enumerate(listed)
    ]
    moves.sort(key=lambda move: (-move.customers, -(move.median_change or 0.0), move.feature))
    return FeatureMoves(
        customers_before=int(counted["customers_before"] or 0),
        customers_after=int(counted["customers_after"] or 0),
        customers_both=int(counted["customers_both"] or 0),
        customers_moved=int(counted["customers_moved"] or 0),
        features=len(names),
        features_moved=len(moved),
        moves=tuple(moves),
    )


def _ask(
    lake: Lake,
    before: FeatureTable,
    after: FeatureTable,
    names: list[str],
    with_median: list[str],
) -> dict[str, float | None]:
    """One row: the counts, and for the feature at place n `moved_n`, `largest_n`, `median_n`."""
    figures, differing = [], []
    for place, name in enumerate(names):
        old, new = f"before.{quote(name)}", f"after.{quote(name)}"
        differs = f"is_before and is_after and {old} is distinct from {new}"
        change = f"abs({new} - {old}) / nullif(abs({old}), 0)"
        differing.append(f"{old} is distinct from {new}")
        figures.append(f"count(*) filter ({differs}) as moved_{place}")
        figures.append(f"max({change}) filter ({differs}) as largest_{place}")
        if name in with_median:
            figures.append(f"median({change}) filter ({differs}) as median_{place}")
    return lake.one(
        lake.text(
            _SQL / "compare.sql",
            names={
                "before": f"lake.main.{quote(before.table)}",
                "after": f"lake.main.{quote(after.table)}",
                "differing": " or ".join(differing) or "false",
                "figures": "".join(f",\n    {figure}" for figure in figures),
            },
        ),
        {"as_of": after.as_of[-1]},
    )
