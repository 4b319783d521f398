"""Looking again and again without fooling oneself: group-sequential bounds by alpha spending.

Lan and DeMets (Biometrika 1983): whatever the looks' times, at each of them as much of alpha may be
spent as the spending function says for the information that is there; here the one that is like
O'Brien and Fleming's, `2 - 2 Phi(z(alpha/2) / sqrt(share))` a side, which spends hardly anything
early. The bounds follow by recursive integration of the score process, a Brownian motion read at
the looks (Armitage, McPherson and Rowe 1969; Jennison and Turnbull 2000, chapter 19).

The density of having come so far is kept at drift 0 alone: at a drift d it is that times
exp(d s - d^2 v / 2), s the score and v its variance, so that intervals need no second recursion.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Points of the integration, and where a bound of an all but empty spending is cut off.
_POINTS = 128
_FARTHEST = 10.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """At one look: stop above `upper` or below `lower` (None: never), `alpha_spent` in all."""

    upper: float
    lower: float | None
    alpha_spent: float


@dataclass(frozen=True, slots=True)
class _Step:
    """Up to one look: its variance, its bounds, and the density of going on, in nodes of score."""

    variance: float
    bounds: Bounds
    nodes: Floats
    mass: Floats


def spent_alpha(side_alpha: float, information_share: float) -> float:
    """Of one side's alpha, what may be spent by a share of the information (0 to 1)."""
    from scipy.special import ndtr, ndtri

    if information_share <= 0:
        return 0.0
    if information_share >= 1:
        return side_alpha
    return float(2 * ndtr(ndtri(side_alpha / 2) / math.sqrt(information_share)))


def find_bounds(
    shares: Sequence[float], variances: Sequence[float], side_alpha: float, sides: Literal[1, 2]
) -> tuple[Bounds, ...]:
    """The bounds of all looks so far.

    `shares` of the planned information set what may be spent, `variances` of the score how the
    looks hang together; both must not fall. Raises ValueError if they do.
    """
    if len(shares) != len(variances):
        raise ValueError("each look has a share and a variance")
    grows = all(a <= b for a, b in pairwise(shares)) and all(a < b for a, b in pairwise(variances))
    if not grows or (variances and variances[0] <= 0):
        raise ValueError("information must grow from look to look")
    return tuple(step.bounds for step in _walk(shares, variances, side_alpha, sides))


def _walk(
    shares: Sequence[float], variances: Sequence[float], side_alpha: float, sides: Literal[1, 2]
) -> list[_Step]:
    steps: list[_Step] = []
    for count in range(1, len(shares) + 1):
        steps.append(_step(tuple(shares[:count]), tuple(variances[:count]), side_alpha, sides))
    return steps


@lru_cache(maxsize=512)
def _step(
    shares: tuple[float, ...], variances: tuple[float, ...], side_alpha: float, sides: Literal[1, 2]
) -> _Step:
    """The last look's; those before come from the cache."""
    before = _step(shares[:-1], variances[:-1], side_alpha, sides) if len(shares) > 1 else None
    allowed = spent_alpha(side_alpha, shares[-1])
    already = before.bounds.alpha_spent if before else 0.0
    variance = variances[-1]
    upper = _find_upper(before, variance, allowed - already)
    bounds = Bounds(upper=upper, lower=-upper if sides == 2 else None, alpha_spent=allowed)
    root = math.sqrt(variance)
    low = max(bounds.lower if bounds.lower is not None else -_FARTHEST, -_FARTHEST) * root
    points, weights = _nodes()
    half = (upper * root - low) / 2
    nodes = low + half * (points + 1)
    if before is None:
        density = np.exp(-(nodes**2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)
    else:
        step = variance - before.variance
        gaps = nodes[:, None] - before.nodes[None, :]
        kernel = np.exp(gaps * gaps * (-0.5 / step))
        density = kernel @ before.mass / math.sqrt(2 * math.pi * step)
    return _Step(variance=variance, bounds=bounds, nodes=nodes, mass=density * weights * half)


@lru_cache(maxsize=1)
def _nodes() -> tuple[Floats, Floats]:
    points, weights = np.polynomial.legendre.leggauss(_POINTS)
    return points, weights


def _find_upper(before: _Step | None, variance: float, alpha: float) -> float:
    """The bound that is crossed for the first time with the given probability at drift 0."""
    from scipy.optimize import brentq
    from scipy.special import ndtri

    if before is None:
        return min(float(-ndtri(alpha)), _FARTHEST) if alpha > 0 else _FARTHEST
    if alpha <= _beyond(before, variance, _FARTHEST, 0.0):
        return _FARTHEST
    root: float = brentq(
        lambda z: _beyond(before, variance, z, 0.0) - alpha, -1.0, _FARTHEST, xtol=1e-9
    )
    return root


def _beyond(before: _Step | None, variance: float, z: float, drift: float) -> float:
    """The probability of coming so far without a stop, and then beyond z, at a drift."""
    from scipy.special import ndtr

    edge = z * math.sqrt(variance)
    if before is None:
        return float(ndtr((drift * variance - edge) / math.sqrt(variance)))
    step = variance - before.variance
    passed = ndtr((before.nodes + drift * step - edge) / math.sqrt(step))
    return float(_tilted(before, drift) @ passed)


def _short_of(before: _Step | None, variance: float, z: float, drift: float) -> float:
    """As `_beyond`, on the other side of z."""
    from scipy.special import ndtr

    edge = z * math.sqrt(variance)
    if before is None:
        return float(ndtr((edge - drift * variance) / math.sqrt(variance)))
    step = variance - before.variance
    passed = ndtr((edge - before.nodes - drift * step) / math.sqrt(step))
    return float(_tilted(before, drift) @ passed)


def _tilted(step: _Step, drift: float) -> Floats:
    if drift == 0:
        return step.mass
    tilted: Floats = step.mass * np.exp(drift * step.nodes - drift * drift * step.variance / 2)
    return tilted


def crossing_probabilities(
    shares: Sequence[float],
    variances: Sequence[float],
    side_alpha: float,
    sides: Literal[1, 2],
    drift: float = 0.0,
) -> list[tuple[float, float]]:
    """Look by look, the probability to stop there above and below; `drift` is z's over sqrt(v)."""
    found: list[tuple[float, float]] = []
    before: _Step | None = None
    for step in _walk(shares, variances, side_alpha, sides):
        lower = step.bounds.lower
        found.append(
            (
                _beyond(before, step.variance, step.bounds.upper, drift),
                0.0 if lower is None else _short_of(before, step.variance, lower, drift),
            )
        )
        before = step
    return found


@dataclass(frozen=True, slots=True)
class Adjusted:
    """An effect and its interval, in units of the effect."""

    effect: float
    low: float
    high: float


def adjust_stagewise(
    shares: Sequence[float],
    variances: Sequence[float],
    side_alpha: float,
    sides: Literal[1, 2],
    *,
    effect: float,
    standard_error: float,
    confidence: float,
) -> Adjusted:
    """The median-unbiased estimate and the interval of who stopped at the last of the looks.

    Stage-wise ordering (Tsiatis, Rosner and Mehta 1984): an earlier stop above counts for more
    than a later one, an earlier stop below for less; at one look the greater z for more.
    """
    steps = _walk(shares, variances, side_alpha, sides)
    *earlier, last = steps
    z = effect / standard_error
    before = earlier[-1] if earlier else None

    def at_least(drift: float) -> float:
        """P(as good an outcome as seen, or better)."""
        total = 0.0
        former: _Step | None = None
        for step in earlier:
            total += _beyond(former, step.variance, step.bounds.upper, drift)
            former = step
        return total + _beyond(before, last.variance, z, drift)

    scale = math.sqrt(last.variance) * standard_error  # from a drift to an effect
    tail = (1 - confidence) / 2
    start = z / math.sqrt(last.variance)
    width = 1 / math.sqrt(last.variance)
    low, middle, high = (
        _solve(at_least, share, start, width) * scale for share in (tail, 0.5, 1 - tail)
    )
    return Adjusted(effect=middle, low=low, high=high)


def _solve(rising: Callable[[float], float], value: float, start: float, width: float) -> float:
    """Where a rising function takes a value, looked for around `start`."""
    from scipy.optimize import brentq

    low, high = start - 3 * width, start + 3 * width
    for _ in range(60):
        if rising(low) > value:
            low -= 2 * width
        elif rising(high) < value:
            high += 2 * width
        else:
            root: float = brentq(lambda drift: rising(drift) - value, low, high, xtol=1e-6 * width)
            return root
    raise ValueError("no drift fits what was seen")
