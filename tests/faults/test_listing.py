"""No row of the list of faults is without a test."""

from __future__ import annotations

import pytest

from tests.faults.listing import ROWS, list_rows


@pytest.mark.docs
def test_every_row_is_met_by_a_test() -> None:
    found = list_rows()
    assert [row for row in ROWS if row not in found] == []
    assert set(found) <= set(ROWS), "a test names a row that the list does not have"
