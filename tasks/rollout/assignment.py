"""Who is in which arm, and from which stage on they count: by hash alone, the same in SQL.

A customer's bucket is the first 8 bytes of sha256(salt + NUL + customer_id), big-endian, mod
10,000. The challenger has the buckets below its share, so a growing share only adds customers and
nobody moves back. The salt is the rollout's id, so that rollouts are independent of each other.

A ramp must not compare the customers who moved with those who never did. So each customer has an
*enrolment stage*, fixed by hash: a challenger-to-be the stage whose share first covers their
bucket; of those who stay with the champion to the end, a second hash spreads them over the stages
in the same proportions. Before their stage a customer is not counted; from it on they are, with
their arm. Thus both arms of every stage are a random split of the same customers at the same time,
with the challenger's final share in each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.rollout.plan import BUCKETS, Plan

_CONTROL = ":control"
_NUL = "\0"


@dataclass(frozen=True, slots=True)
class Assignment:
    """Of many customers, in their order: bucket, whether the challenger's, enrolment stage."""

    bucket: NDArray[np.int64]
    is_challenger: NDArray[np.bool_]
    stage: NDArray[np.int64]


def bucket_of(salt: str, customer_id: str) -> int:
    """0 to 9,999."""
    digest = hashlib.sha256(f"{salt}{_NUL}{customer_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % BUCKETS


def buckets_of(salt: str, customer_ids: Iterable[str]) -> NDArray[np.int64]:
    """The buckets of many customers."""
    start = hashlib.sha256(f"{salt}{_NUL}".encode())
    heads = bytearray()
    for customer_id in customer_ids:
        digest = start.copy()
        digest.update(customer_id.encode())
        heads += digest.digest()[:8]
    return (np.frombuffer(bytes(heads), dtype=">u8") % BUCKETS).astype(np.int64)


def assign(plan: Plan, customer_ids: Sequence[str]) -> Assignment:
    """Arm and enrolment stage of each customer; of who is held out of rollouts, do not ask."""
    return assign_by(plan.rollout_id, plan.stages, customer_ids)


def assign_by(salt: str, stages: Sequence[float], customer_ids: Sequence[str]) -> Assignment:
    """As `assign`, by a salt and the stages' shares."""
    return place(buckets_of(salt, customer_ids), buckets_of(salt + _CONTROL, customer_ids), stages)


def place(
    bucket: NDArray[np.int64], control: NDArray[np.int64], stages: Sequence[float]
) -> Assignment:
    """Arms and stages by the buckets of both hashes, where they are known already."""
    challengers, controls = stage_edges(stages)
    is_challenger = bucket < challengers[-1]
    stage = np.where(
        is_challenger,
        np.searchsorted(challengers, bucket, side="right"),
        np.searchsorted(controls, control, side="right"),
    )
    return Assignment(bucket=bucket, is_challenger=is_challenger, stage=stage.astype(np.int64))


def stage_edges(stages: Sequence[float]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first bucket beyond each stage: of the challengers, and of the controls' second hash."""
    edges = [round(share * BUCKETS) for share in stages]
    controls = [round(edge / edges[-1] * BUCKETS) for edge in edges]
    return np.array(edges, dtype=np.int64), np.array(controls, dtype=np.int64)


def bucket_sql(salt: str, customer_id: str) -> str:
    """A DuckDB expression of a bucket; both arguments are SQL expressions of texts, not values."""
    text = f"({salt}) || chr(0) || ({customer_id})"
    return f"(('0x' || sha256({text})[1:16])::ubigint % {BUCKETS})::integer"


def is_challenger_sql(salt: str, customer_id: str, stages: Sequence[float]) -> str:
    """A DuckDB expression, true for the challenger's customers of the last stage."""
    challengers, _ = stage_edges(stages)
    return f"({bucket_sql(salt, customer_id)} < {challengers[-1]})"


def stage_sql(salt: str, customer_id: str, stages: Sequence[float]) -> str:
    """A DuckDB expression of the enrolment stage, from 0 on."""
    challengers, controls = stage_edges(stages)
    own = _steps(bucket_sql(salt, customer_id), challengers)
    other = _steps(bucket_sql(f"({salt}) || '{_CONTROL}'", customer_id), controls)
    return f"(case when {is_challenger_sql(salt, customer_id, stages)} then {own} else {other} end)"


def _steps(bucket: str, edges: NDArray[np.int64]) -> str:
    """How many of the edges lie at or below the bucket."""
    listed = ", ".join(str(edge) for edge in edges)
    return f"len(list_filter([{listed}], lambda edge: edge <= {bucket}))"
