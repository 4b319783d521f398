"""A night in two arms: the challenger's customers in its groups, all others in the champion's.

Groups keep their ids from one segmentation to the next, so a group that both know is one group,
called as the champion calls it; what only the challenger knows has an id that nobody else ever had.
A challenger whose files are not those let in, that lacks a feature or throws costs nobody their
group: they keep the champion's of the same night, and count against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.errors import DataRejected, Refused, StoredDataCorrupt
from tasks.findings import SegmentArm, Words
from tasks.segments import assigning
from tasks.segments.data import taught_at

if TYPE_CHECKING:
    from tasks.arms import ArmGrouping
    from tasks.handles import FeatureTable
    from tasks.segments.champion import Segmented
    from tasks.segments.model_files import Assigner
    from tasks.warehouse import Lake

_SQL = Path(__file__).with_name("sql")


@dataclass(frozen=True, slots=True)
class Trial:
    """A rollout's share of a night and the segmentation that it tries."""

    arm: ArmGrouping
    challenger: Segmented


@dataclass(frozen=True, slots=True)
class ArmGroups:
    """What came of it; `names` are of all its groups, none where it could not be opened.

    The grouped customers stand in the temporary table `arm_segments`.
    """

    trial: Trial
    names: Mapping[str, Words]
    failures: tuple[str, ...]
    seconds: float

    def record(self, lake: Lake, run_id: str) -> None:
        """What the rollout must know, in the transaction that publishes the rows."""
        self.trial.arm.record(lake, run_id, "arm_segments", self.failures, self.seconds)


def group_arm(lake: Lake, table: FeatureTable, trial: Trial) -> ArmGroups:
    """Put its customers of `current_customers` into the challenger's groups, if it answers."""
    trial.arm.divide(lake, "current_customers")
    started = monotonic()
    lake.execute(
        "create or replace temporary table challenged (customer_id varchar, as_of timestamptz,"
        " segment_id varchar, value_amount double, churned double)"
    )
    names: Mapping[str, Words] = {}
    failures: list[str] = []
    try:
        assigner = _open(trial.challenger)
        names = {key: Words(**name) for key, name in assigner.names.items()}
        failures += _ask(lake, table, assigner)
    except (DataRejected, Refused, StoredDataCorrupt) as error:
        failures.append(error.what)
    lake.run(_SQL / "arms.sql", {"as_of": table.as_of[-1], "taught": taught_at(table)})
    return ArmGroups(trial, names, tuple(dict.fromkeys(failures)), monotonic() - started)


def describe_arms(lake: Lake, groups: ArmGroups, champion: Segmented) -> tuple[SegmentArm, ...]:
    """Both arms as the findings have them, the champion's first."""
    sizes = lake.one(lake.text(_SQL / "arm_sizes.sql"))
    rollout_id, challenger = groups.trial.arm.rollout_id, groups.trial.challenger
    return (
        SegmentArm(
            arm="champion",
            rollout_id=rollout_id,
            segmentation_id=champion.segmentation_id,
            version=champion.label,
            customers=int(sizes["champions"]),
            fell_back_customers=0,
        ),
        SegmentArm(
            arm="challenger",
            rollout_id=rollout_id,
            segmentation_id=challenger.segmentation_id,
            version=challenger.label,
            customers=int(sizes["challengers"]),
            fell_back_customers=int(sizes["fell_back"]),
        ),
    )


def join_names(champion: Mapping[str, Words], challenger: Mapping[str, Words]) -> dict[str, Words]:
    """One name for each group of both: the champion's where it knows the group.

    A group that only the challenger knows gets a number behind its name where another one has it.
    """
    joined = dict(champion)
    for key in sorted(challenger.keys() - champion.keys()):
        name, number = challenger[key], 2
        while any(
            name.en.casefold() == other.en.casefold() or name.ko.casefold() == other.ko.casefold()
            for other in joined.values()
        ):
            name = Words(en=f"{challenger[key].en} {number}", ko=f"{challenger[key].ko} {number}")
            number += 1
        joined[key] = name
    return joined


def replace_ids(
    lake: Lake, customers: NDArray[Any], ids: NDArray[np.object_]
) -> NDArray[np.object_]:
    """The groups of a sample as they are tonight, from those that the champion gives."""
    import pyarrow as pa

    lake.load_arrow("sampled", pa.table({"customer_id": pa.array(customers.tolist(), pa.string())}))
    try:
        rows = lake.arrow(
            "select customer_id, segment_id from arm_segments semi join sampled using (customer_id)"
        )
    finally:
        lake.drop_arrow("sampled")
    own = dict(zip(rows["customer_id"].to_pylist(), rows["segment_id"].to_pylist(), strict=True))
    return np.array(
        [own.get(one, before) for one, before in zip(customers, ids, strict=True)], dtype=object
    )


def _open(challenger: Segmented) -> Assigner:
    try:
        return challenger.open()
    except (Refused, StoredDataCorrupt):
        raise
    except Exception as error:
        raise StoredDataCorrupt(f"its files cannot be read: {type(error).__name__}") from error


def _ask(lake: Lake, table: FeatureTable, assigner: Assigner) -> list[str]:
    """Fill `challenged` with what it answers; what it could not, in words without a value."""
    import pyarrow as pa

    failures = []
    for batch in assigning.read_batches(lake, table, assigner):
        try:
            found = assigning.assign_batch(batch, assigner)
        except Exception as error:  # noqa: BLE001 - whatever a challenger throws is counted
            failures.append(f"it threw {type(error).__name__}")
            continue
        is_group = [one in assigner.names for one in found["segment_id"].to_pylist()]
        if not all(is_group):
            failures.append("some of its answers are no group")
        lake.load_arrow("challenged_batch", found.filter(pa.array(is_group, pa.bool_())))
        try:
            lake.execute("insert into challenged by name from challenged_batch")
        finally:
            lake.drop_arrow("challenged_batch")
    return failures
