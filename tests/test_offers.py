"""Who is held out is said once, in Python and in SQL alike, wherever it is asked."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.offers import held_out_sql, is_held_out
from tasks.settings import PROJECT
from tasks.warehouse import Connection, scratch

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)


@pytest.fixture(scope="module")
def connection() -> Connection:
    with scratch() as opened:
        yield opened  # type: ignore[misc]


@pytest.mark.sql
@given(st.lists(texts, min_size=1, max_size=8), texts, st.floats(0, 1))
def test_python_and_sql_agree(
    connection: Connection, ids: list[str], salt: str, share: float
) -> None:
    found = connection.rows(
        f"select {held_out_sql('who')} as held from"
        " (select unnest($ids::varchar[]) as who, unnest(range(len($ids::varchar[]))) as place)"
        " order by place",
        {"ids": ids, "hold_out_salt": salt, "hold_out_share": share},
    )
    assert [row["held"] for row in found] == [is_held_out(one, salt, share) for one in ids]


def test_it_is_what_the_list_describes() -> None:
    """docs/action-list.md: the first 15 hexadecimal digits over 16 to the 15th."""
    digest = hashlib.sha256(b"holdfast/c1").hexdigest()
    place = int(digest[:15], 16) / 16**15
    assert not is_held_out("c1", "holdfast", place)
    assert is_held_out("c1", "holdfast", place + 1e-9)


def test_it_stands_in_one_place() -> None:
    written = [
        path.relative_to(PROJECT).as_posix()
        for folder in ("tasks", "flows")
        for path in sorted((PROJECT / folder).rglob("*"))
        if path.suffix in (".py", ".sql")
        and re.search(r"sha256\(\$hold_out_salt", path.read_text(encoding="utf-8"))
    ]
    assert written == ["tasks/offers.py"]
