"""Each way to stop: its code, its words, its journey to another process."""

from __future__ import annotations

import copy
import inspect

import pytest

from tasks import errors
from tasks.errors import HoldfastError, UsageError, suggest

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, HoldfastError) and kind is not HoldfastError
]


def test_exit_codes_are_those_of_sysexits() -> None:
    assert {kind.__name__: kind.exit_code for kind in KINDS} == {
        "UsageError": 64,
        "DataRejected": 65,
        "ServiceDown": 69,
        "TrackingDown": 69,
        "InternalError": 70,
        "DiskFailure": 73,
        "StoredDataCorrupt": 74,
        "LockHeld": 75,
        "Refused": 77,
        "Tampered": 77,
        "ConfigurationError": 78,
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_drawn_tree_is_the_tree(kind: type[HoldfastError]) -> None:
    assert errors.__doc__ is not None
    drawn = [
        line.partition("── ")[2].split() for line in errors.__doc__.splitlines() if "── " in line
    ]
    assert [kind.__name__, str(kind.exit_code)] in [line[:2] for line in drawn]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (HoldfastError("It stopped."), "It stopped."),
        (HoldfastError("It stopped.", found="3 rows"), "It stopped.\n  3 rows"),
        (
            HoldfastError("No 'x'.", available=["a", "b"], next_step="name one"),
            "No 'x'.\n  Available: a, b\n  Next: name one",
        ),
        (
            HoldfastError("W.", found="F", available=("a",), next_step="N"),
            "W.\n  F\n  Available: a\n  Next: N",
        ),
    ],
)
def test_message_reads_top_down(error: HoldfastError, text: str) -> None:
    assert str(error) == text


@pytest.mark.parametrize("kind", KINDS)
def test_error_survives_the_way_to_another_process(kind: type[HoldfastError]) -> None:
    # A copy goes by `__reduce__`, as the way between processes does.
    error = kind("What.", found="found", available=("a", "b"), next_step="next")
    twin = copy.copy(error)
    assert type(twin) is kind
    assert str(twin) == str(error)
    assert twin.exit_code == error.exit_code
    assert twin.available == ("a", "b")


@pytest.mark.parametrize(
    ("asked", "known", "said"),
    [
        ("minimum_row", ["minimum_rows", "maximum_null_share"], "Did you mean 'minimum_rows'?"),
        ("zzz", ["minimum_rows"], ""),
        ("x", [], ""),
    ],
)
def test_suggestion(asked: str, known: list[str], said: str) -> None:
    assert suggest(asked, known) == said


def test_kinds_can_be_told_apart_in_except() -> None:
    with pytest.raises(HoldfastError) as caught:
        raise UsageError("no")
    assert caught.value.exit_code == 64
