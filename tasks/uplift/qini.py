"""Qini curves by lot (Radcliffe 2007): what contacting the first x of a ranking changes.

The gain at x is x times (mean of those contacted less mean of those not, among the first x), each
subject weighted by the inverse of its arm's share in its lot, and so per customer of all. The Qini
coefficient is the area between the curve and chance's straight line. Intervals come from resampling
customers with the ranking as it is (a Poisson bootstrap, whole customers at a time); all rankings
see the same resamples, so differences between them are paired.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]

STEPS = 50


@dataclass(frozen=True, slots=True)
class Curve:
    """One ranking: the gain at each of `STEPS` equal shares from 0, and what resampling made of it.

    `gains` has shape (STEPS + 1,), `resampled` (resamples, STEPS + 1); so `qinis` (resamples,).
    """

    gains: Floats
    resampled: Floats

    @property
    def qini(self) -> float:
        return float(area_over_chance(self.gains[None, :])[0])

    @property
    def qinis(self) -> Floats:
        return area_over_chance(self.resampled)

    def at(self, share: float) -> tuple[float, Floats]:
        """The gain at a share contacted, and its resamples; straight between two steps."""
        place = min(max(share, 0.0), 1.0) * STEPS
        low = min(int(place), STEPS - 1)
        part = place - low
        both = np.vstack([self.gains[None, :], self.resampled])
        gains = both[:, low] * (1 - part) + both[:, low + 1] * part
        return float(gains[0]), gains[1:]


def area_over_chance(gains: Floats) -> Floats:
    """Of curves of shape (n, STEPS + 1): the area between each and the line to its end."""
    shares = np.linspace(0, 1, gains.shape[1])
    over = gains - gains[:, -1:] * shares
    return np.asarray((over[:, 1:] + over[:, :-1]).sum(axis=1) / 2 / (gains.shape[1] - 1))


def draw_curves(
    rankings: Mapping[str, Floats],
    benefit: Floats,
    treated: Flags,
    lots: Codes,
    customers: Codes,
    *,
    resamples: int,
    seed: int,
) -> dict[str, Curve]:
    """The curve of each ranking (contact the highest first), all over the same resamples.

    `benefit` is what is good: staying, margin. Equal scores are in an order drawn from the seed.
    """
    generator = np.random.default_rng(seed)
    tie = generator.permutation(len(benefit))
    weights = weigh_arms(treated, lots)
    parts = {name: _place(scores, tie) for name, scores in rankings.items()}
    _, people = np.unique(customers, return_inverse=True)
    columns = np.stack(
        [
            weights * treated,
            weights * treated * benefit,
            weights * ~treated,
            weights * ~treated * benefit,
        ],
        axis=1,
    )
    sums = {name: np.empty((resamples + 1, STEPS, 4)) for name in rankings}
    for number in range(resamples + 1):
        drawn = (
            np.ones(len(benefit))
            if number == 0
            else generator.poisson(1.0, int(people.max()) + 1)[people].astype(np.float64)
        )
        for name, part in parts.items():
            for place in range(4):
                sums[name][number, :, place] = np.bincount(
                    part, weights=drawn * columns[:, place], minlength=STEPS
                )
    return {name: _to_curve(one) for name, one in sums.items()}


def weigh_arms(treated: Flags, lots: Codes) -> Floats:
    """One over the share of the subject's arm in its lot; nothing for a lot with one arm alone."""
    count = int(lots.max()) + 1
    sizes = np.maximum(np.bincount(lots, minlength=count), 1)
    share = np.bincount(lots, weights=treated, minlength=count) / sizes
    own = np.where(treated, share[lots], 1 - share[lots])
    both = (share > 0) & (share < 1)
    return np.where(both[lots], 1 / np.maximum(own, 1e-12), 0.0)


def _place(scores: Floats, tie: Codes) -> Codes:
    """In which of the equal steps each subject stands, the highest score first."""
    order = np.lexsort((tie, -scores))
    places = np.empty(len(scores), dtype=np.int64)
    places[order] = np.arange(len(scores)) * STEPS // max(len(scores), 1)
    return places


def _to_curve(sums: Floats) -> Curve:
    upto = np.cumsum(sums, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = upto[:, :, 1] / upto[:, :, 0] - upto[:, :, 3] / upto[:, :, 2]
    # A first step without one of the arms tells nothing yet.
    difference = np.where(np.isfinite(difference), difference, 0.0)
    reached = (upto[:, :, 0] + upto[:, :, 2]) / np.maximum(
        (upto[:, -1:, 0] + upto[:, -1:, 2]), 1e-12
    )
    gains = np.concatenate([np.zeros((len(sums), 1)), difference * reached], axis=1)
    return Curve(gains[0], gains[1:])
