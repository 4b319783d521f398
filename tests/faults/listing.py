"""Which test meets which row of the list of faults.

    python -m tests.faults.listing

A test says so by `@pytest.mark.faults(36, 41)`, a row of the corpus by its number.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.faults.corpus import FAULTS

TESTS = Path(__file__).parents[1]
# Sections A, C, D and B of the list; E is about exposure.
ROWS = (*range(1, 76), 81, 82)


def list_rows() -> Mapping[int, list[str]]:
    """Row of the list -> the tests that meet it, as `file::test`."""
    found: dict[int, list[str]] = defaultdict(list)
    corpus = "faults/test_corpus.py::test_a_fault_is_met_as_the_list_says"
    for fault in FAULTS:
        found[fault.number].append(f"{corpus} [{fault.title}]")
    for path in sorted(TESTS.rglob("test_*.py")):
        for name, rows in _marked(ast.parse(path.read_text(encoding="utf-8"))):
            for row in rows:
                found[row].append(f"{path.relative_to(TESTS)}::{name}")
    return found


def _marked(tree: ast.Module) -> Iterator[tuple[str, list[int]]]:
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith(
                "mark.faults"
            ):
                yield (
                    node.name,
                    [int(ast.literal_eval(argument)) for argument in decorator.args],
                )


def main() -> int:
    found = list_rows()
    for row in ROWS:
        tests = found.get(row, [])
        print(f"{row:>3}  {tests[0] if tests else 'NOBODY'}")
        for test in tests[1:]:
            print(f"     {test}")
    return int(any(row not in found for row in ROWS))


if __name__ == "__main__":
    sys.exit(main())
