"""Features go to the drivers they were declared with, and a deployment has the last word."""

from __future__ import annotations

from fnmatch import fnmatchcase

import numpy as np
import pytest

from tasks.features.declaration import DRIVERS, FEATURES
from tasks.reasons.grouping import find_driver, group_features
from tasks.settings import Settings, load_settings


def test_every_feature_goes_where_it_was_declared(settings: Settings) -> None:
    """A list of scores and the page of reasons must say the same of a feature."""
    drivers = settings.reasons.drivers
    found = {one.name: find_driver(one.name, drivers, {}, {}) for one in FEATURES}
    assert found == {one.name: one.driver for one in FEATURES}


def test_drivers_are_those_of_the_features_in_both_languages(settings: Settings) -> None:
    drivers = settings.reasons.drivers
    assert set(drivers) == set(DRIVERS)
    for name, one in drivers.items():
        assert one.words.en == DRIVERS[name]  # type: ignore[index]
        assert any("\uac00" <= letter <= "\ud7a3" for letter in one.words.ko)


def test_every_pattern_names_a_feature(settings: Settings) -> None:
    names = [one.name for one in FEATURES]
    for driver in settings.reasons.drivers.values():
        for pattern in driver.features:
            assert any(fnmatchcase(name, pattern) for name in names), pattern


def test_a_labelled_set_falls_back_to_its_deployment() -> None:
    settings = load_settings("telco")
    drivers = settings.reasons.drivers
    named = {"monthly_charges": "price", "tenure_months": "tenure", "contract": "tenure"}
    assert find_driver("monthly_charges", drivers, named, {}) == "price"
    assert find_driver("senior_citizen", drivers, named, {"senior_citizen": "profile"}) == "profile"
    assert find_driver("unheard_of", drivers, {}, {}) == "profile"
    # The deployment's own word beats a pattern, an exact name beats one too.
    assert find_driver("event_pass", drivers, {"event_pass": "price"}, {}) == "price"
    assert find_driver("event_pass", drivers, {}, {}) == "engagement"
    assert find_driver("order_days_year_ago", drivers, {}, {}) == "season"
    # A driver that no settings know is as good as none.
    assert find_driver("odd", drivers, {"odd": "weather"}, {"odd": "weather"}) == "profile"


def test_contributions_add_up_by_driver(settings: Settings) -> None:
    grouping = group_features(
        ("recency_days", "gap_mean_days", "tickets_90", "year_sine"),
        settings.reasons.drivers,
        named={},
        born={},
        left_out=("year_sine",),
    )
    assert grouping.drivers == ("cadence", "service", "season")
    added = grouping.add_up(np.array([[1.0, 2.0, -4.0, 8.0]]))
    assert added.tolist() == [[3.0, -4.0, 0.0]]
    assert grouping.features_of(0).tolist() == [0, 1]


@pytest.mark.parametrize("missing", ["profile"])
def test_there_must_be_somewhere_to_go(settings: Settings, missing: str) -> None:
    drivers = {name: one for name, one in settings.reasons.drivers.items() if name != missing}
    with pytest.raises(ValueError, match="profile"):
        type(settings.reasons).model_validate({**settings.reasons.model_dump(), "drivers": drivers})
