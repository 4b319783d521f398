"""What is done elsewhere, on the same customers: to show why it is not done here."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.rollout.worlds import HORIZON_DAYS, World
from tasks.warehouse import Connection


def pooled_z(connection: Connection, file: Path, world: World, day: int) -> list[tuple[int, float]]:
    """By rollout, z of two pooled proportions on a day, everybody counted since the first day."""
    table = connection.arrow(
        connection.text(file, names={"drawn": "drawn"}),
        {"effect": world.effect, "horizon_days": HORIZON_DAYS, "day": day},
    )
    columns = {name: np.asarray(table[name].to_numpy(), dtype=float) for name in table.column_names}
    z = two_proportions_z(
        columns["champion"],
        columns["champion_events"],
        columns["challenger"],
        columns["challenger_events"],
    )
    return list(zip(table["rollout_id"].to_pylist(), z.tolist(), strict=True))


def requests_z(counts: np.ndarray) -> list[float]:
    """By rollout, z over requests as if each were a customer; (rollouts, 4)."""
    z = two_proportions_z(*counts.T.astype(float))
    found: list[float] = z.tolist()
    return found


def two_proportions_z(
    first: np.ndarray, first_events: np.ndarray, second: np.ndarray, second_events: np.ndarray
) -> np.ndarray:
    """Above 0: the second has a smaller share; 0 where there is nothing to compare."""
    total = first + second
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (first_events + second_events) / total
        error = np.sqrt(share * (1 - share) * (1 / first + 1 / second))
        z = (first_events / first - second_events / second) / error
    return np.where(np.isfinite(z), z, 0.0)
