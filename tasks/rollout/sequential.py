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
_POINTS = 96
_FARTHEST = 10.0
_ROOT_2PI = math.sqrt(2 * math.pi)


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
    return _go_on(before, variance, bounds)


def _go_on(before: _Step | None, variance: float, bounds: Bounds) -> _Step:
    """A look with its bounds: the density of passing between them, at drift 0."""
    root = math.sqrt(variance)
    low = max(bounds.lower if bounds.lower is not None else -_FARTHEST, -_FARTHEST) * root
    points, weights = _nodes()
    half = (min(bounds.upper, _FARTHEST) * root - low) / 2
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
    """The bound that is crossed for the first time with the given probability at drift 0.

    Newton's method on the logarithm, which is concave: from the second step on it comes from above.
    """
    from scipy.special import ndtr, ndtri

    if alpha <= 0:
        return _FARTHEST
    bound = -float(ndtri(alpha))
    if before is None:
        return min(bound, _FARTHEST)
    step = math.sqrt(variance - before.variance)
    root = math.sqrt(variance)
    for _ in range(100):
        bound = min(bound, _FARTHEST)
        gaps = (before.nodes - bound * root) / step
        beyond = float(before.mass @ ndtr(gaps))
        falling = float(before.mass @ np.exp(-gaps * gaps / 2)) * root / (step * _ROOT_2PI)
        if beyond <= 0 or falling <= 0:
            return _FARTHEST
        change = beyond * math.log(beyond / alpha) / falling
        bound += change
        if abs(change) < 1e-10 or bound > _FARTHEST + 1:
            break
    return min(bound, _FARTHEST)


def _beyond(before: _Step | None, variance: float, z: Floats, drift: Floats) -> Floats:
    """The probability of coming so far without a stop, and then beyond z; one for each drift.

    `z` is one for all or one for each drift.
    """
    from scipy.special import ndtr

    edge = z * math.sqrt(variance)
    if before is None:
        first: Floats = ndtr((drift * variance - edge) / math.sqrt(variance))
        return first
    step = variance - before.variance
    drifts = drift[:, None]
    edges = np.broadcast_to(edge, drift.shape)[:, None]
    passed = ndtr((before.nodes + drifts * step - edges) / math.sqrt(step))
    tilt = np.exp(drifts * before.nodes - drifts * drifts * before.variance / 2)
    found: Floats = (tilt * passed) @ before.mass
    return found


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
        # Below at a drift is above at the opposite one: the bounds are symmetric where both are.
        drifts = np.array([drift, -drift])
        above, below = _beyond(before, step.variance, np.array(step.bounds.upper), drifts).tolist()
        found.append((above, 0.0 if step.bounds.lower is None else below))
        before = step
    return found


@dataclass(frozen=True, slots=True)
class Adjusted:
    """An effect and its interval, in units of the effect."""

    effect: float
    low: float
    high: float


def adjust_stagewise(
    variances: Sequence[float],
    stops: Sequence[tuple[float, float | None]],
    pivot: Callable[[Floats], Floats],
    *,
    effect: float,
    standard_error: float,
    confidence: float,
) -> Adjusted:
    """The median-unbiased estimate and the interval of who stopped at the last of the looks.

    Stage-wise ordering (Tsiatis, Rosner and Mehta 1984): an earlier stop above counts for more
    than a later one, an earlier stop below for less; at one look the greater effect for more.

    `variances` are the score's at each look, `stops` the effects beyond which each look but the
    last would have stopped (above, below), `pivot` what is standard normal at the last look if its
    argument is the true effect, falling in it. `standard_error` is the effect's at the last look.
    """
    root = math.sqrt(variances[-1])
    step: _Step | None = None
    steps: list[_Step] = []
    for variance, (above, below) in zip(variances[:-1], stops, strict=True):
        error = standard_error * root / math.sqrt(variance)
        lower = None if below is None else max(below / error, -_FARTHEST)
        step = _go_on(step, variance, Bounds(min(above / error, _FARTHEST), lower, 0.0))
        steps.append(step)

    def at_least(true: Floats) -> Floats:
        """P(as good an outcome as seen, or better), of each true effect."""
        drift = true / (standard_error * root)
        total = np.zeros_like(drift)
        former: _Step | None = None
        for step in steps:
            total += _beyond(former, step.variance, np.array(step.bounds.upper), drift)
            former = step
        return total + _beyond(former, variances[-1], pivot(true) + drift * root, drift)

    tail = (1 - confidence) / 2
    low, middle, high = _solve(
        at_least, np.array([tail, 0.5, 1 - tail]), effect, standard_error
    ).tolist()
    return Adjusted(effect=middle, low=low, high=high)


def _solve(
    rising: Callable[[Floats], Floats], shares: Floats, start: float, width: float
) -> Floats:
    """Where a rising function takes each of the shares: secants in normal quantiles, all at once.

    In quantiles the function is all but a straight line of slope 1 / width; where it is not, the
    interval is halved until it is found.
    """
    from scipy.special import ndtri

    wanted = ndtri(shares)

    def miss(point: Floats) -> Floats:
        quantiles: Floats = ndtri(np.clip(rising(point), 1e-300, 1 - 1e-16)) - wanted
        return quantiles

    former = start + wanted * width
    former_miss = miss(former)
    point = former - np.clip(former_miss, -5, 5) * width
    for _ in range(60):
        now = miss(point)
        if np.max(np.abs(now)) < 1e-6:
            found: Floats = point
            return found
        gap = now - former_miss
        slope = np.where(np.abs(gap) > 1e-12, (point - former) / np.where(gap == 0, 1, gap), width)
        # A secant that is far from the line's slope is not trusted, nor a step of many widths.
        slope = np.clip(slope, width / 4, width * 4)
        change = np.clip(now * slope, -4 * width, 4 * width)
        former, former_miss, point = point, now, point - change
    low, high = np.full_like(wanted, start - 40 * width), np.full_like(wanted, start + 40 * width)
    for _ in range(80):
        middle = (low + high) / 2
        is_below = miss(middle) < 0
        low, high = np.where(is_below, middle, low), np.where(is_below, high, middle)
    halved: Floats = (low + high) / 2
    return halved
