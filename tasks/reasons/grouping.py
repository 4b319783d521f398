"""Which driver a feature belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from tasks.drivers import DriverSettings
from tasks.findings import Words

Floats = NDArray[np.float64]
# Where a feature goes that neither the settings nor the deployment names.
REST = "profile"


@dataclass(frozen=True)
class Grouping:
    """Drivers that have at least one feature, in the order of the settings.

    `driver_of` holds a driver's place for each feature, shape (features,). What `left_out` names is
    the same for everybody tonight (the day of the year): it moves all alike and is no reason of
    one customer's, so it is not added up.
    """

    feature_names: tuple[str, ...]
    drivers: tuple[str, ...]
    words: Mapping[str, Words]
    driver_of: NDArray[np.int64]
    left_out: tuple[str, ...] = ()

    def add_up(self, by_feature: Floats) -> Floats:
        """Contributions by feature (rows, features) added up by driver: (rows, drivers)."""
        member = np.zeros((len(self.feature_names), len(self.drivers)))
        member[np.arange(len(self.feature_names)), self.driver_of] = 1.0
        member[[self.feature_names.index(name) for name in self.left_out]] = 0.0
        grouped: Floats = by_feature @ member
        return grouped

    def features_of(self, driver: int) -> NDArray[np.int64]:
        """Places of the features of one driver."""
        return np.flatnonzero(self.driver_of == driver)


def find_driver(
    feature: str,
    drivers: Mapping[str, DriverSettings],
    named: Mapping[str, str],
    born: Mapping[str, str],
) -> str:
    """The driver of a feature.

    A deployment's own word (`named`, by column) goes first, then an exact name of the settings,
    then a pattern, the longest first, then what the feature was declared with (`born`).
    """
    if named.get(feature) in drivers:
        return named[feature]
    exact = [name for name, one in drivers.items() if feature in one.features]
    if exact:
        return exact[0]
    fitting = [
        (len(pattern), name)
        for name, one in drivers.items()
        for pattern in one.features
        if fnmatchcase(feature, pattern)
    ]
    if fitting:
        return max(fitting, key=lambda one: one[0])[1]
    return born[feature] if born.get(feature) in drivers else REST


def group_features(
    feature_names: Sequence[str],
    drivers: Mapping[str, DriverSettings],
    *,
    named: Mapping[str, str],
    born: Mapping[str, str],
    left_out: Sequence[str] = (),
) -> Grouping:
    """Put every feature to its driver."""
    found = [find_driver(feature, drivers, named, born) for feature in feature_names]
    used = tuple(name for name in drivers if name in found)
    return Grouping(
        feature_names=tuple(feature_names),
        drivers=used,
        words={name: Words(en=drivers[name].words.en, ko=drivers[name].words.ko) for name in used},
        driver_of=np.array([used.index(name) for name in found], dtype=np.int64),
        left_out=tuple(left_out),
    )
