"""What is asked for to be planted: read strictly, and placed in the first step that can hold it."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from tasks.errors import UsageError
from tasks.replay.planting import KINDS, WORDS, read_plants
from tasks.replay.weeks import plan_weeks


def test_plants_are_read_in_order() -> None:
    found = read_plants(["unit_change@2023-02-01", "late_file@2023-01-01"])
    assert [plant.told for plant in found] == ["late_file@2023-01-01", "unit_change@2023-02-01"]


@pytest.mark.parametrize("text", ["unit_chang@2023-02-01", "unit_change@soon", "unit_change", ""])
def test_what_cannot_be_planted(text: str) -> None:
    with pytest.raises(UsageError):
        read_plants([text])


def test_each_kind_has_its_words() -> None:
    assert set(WORDS) == set(KINDS)


def test_the_step_of_a_plant() -> None:
    weeks = plan_weeks(date(2023, 1, 2), date(2023, 1, 16), 7, timedelta(hours=24))
    (plant,) = read_plants(["late_file@2023-01-04"])
    assert plant.week(weeks) == weeks[1]
    (after,) = read_plants(["late_file@2023-02-04"])
    assert after.week(weeks) is None
