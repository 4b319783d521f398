"""What was wrong with two real years of a gift shop, rule by rule, reconciled to the row.

    HOLDFAST_DATA=... python -m benchmarks.dirt            all 25 months of online_retail
    HOLDFAST_DATA=... python -m benchmarks.dirt --here     of the lake that was filled before

Prints the README's table. Each figure stands beside the same question asked of the file itself, in
SQL that shares nothing with validation; ends with 1 where one differs.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from flows.ingest import ingest
from tasks.settings import HOME_VARIABLE, load_settings
from tasks.validation.rules import active_rows
from tasks.warehouse import Connection, Lake, open_lake, scratch

NAME = "online_retail"
SQL = Path(__file__).with_suffix(".sql")
# What a rule found, in the words of the shop.
_MEANINGS: Mapping[str, str] = {
    "customer_id_present": "a guest's line",
    "row_repeated": "equal to an earlier line of its month, the nine days delivered twice included",
    "price_not_negative": "a bad debt's adjustment",
    "return_sign": "a return with a positive amount",
    "price_not_zero": "a gift, a sample or a write-off",
}
_NOTES: Mapping[str, str] = {"in quarantine": ", a line that broke two rules counted once"}
_HAPPENS = {"quarantine": "set aside", "warn": "kept, warned of"}
TOTALS = ("in quarantine", "accepted", "received")


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule, or one of `TOTALS`: its severity, lines by the ledger, lines by the file itself.

    `expected` is None for a rule that looks at nothing this source delivers.
    """

    rule: str
    severity: str
    lines: int
    expected: int | None

    @property
    def reconciled(self) -> bool:
        return self.lines == (self.expected or 0)


def find_dirt(lake: Lake, path: Path) -> list[Finding]:
    """Every rule about rows of the published months, most lines first, and then the totals."""
    expected = count_in_file(path)
    rows = lake.rows(
        "select rule, sum(failed_rows) as lines from lake.ledger.rule_results"
        " join (select batch_number, arg_max(state, recorded_at) as state"
        " from lake.ledger.batches group by batch_number) using (batch_number)"
        " where state = 'accepted' group by rule"
    )
    found = {row["rule"]: int(row["lines"]) for row in rows}
    rules = active_rows("orders", lake.settings.validation.tables["orders"])
    findings = [
        Finding(rule.name, own.severity, found.get(rule.name, 0), expected.get(rule.name))
        for rule, own in rules
    ]
    findings.sort(key=lambda finding: -finding.lines)
    return findings + _count_totals(lake, expected)


def count_in_file(path: Path) -> dict[str, int]:
    """Lines of the file that break each rule, by SQL of its own."""
    with scratch() as connection:
        rows = connection.rows(Connection.text(SQL), {"path": str(path)})
    return {row["rule"]: int(row["lines"]) for row in rows}


def _count_totals(lake: Lake, expected: Mapping[str, int]) -> list[Finding]:
    counted = {
        # A line that broke two rules stands in quarantine twice, and is one line.
        "in quarantine": "select count(*) from"
        " (select distinct batch_number, row_number from lake.ledger.quarantine)",
        "accepted": "select count(*) from lake.main.orders",
        "received": "select sum(received_rows) from lake.ledger.batches where state = 'accepted'",
    }
    return [Finding(name, "", int(lake.scalar(counted[name])), expected[name]) for name in TOTALS]


def show(findings: list[Finding]) -> str:
    """The table of the README, in Markdown; rules that found nothing in one line."""
    lines = ["| rule | lines | in the file | what happens |", "|---|---|---|---|"]
    for finding in findings:
        if not finding.lines and finding.reconciled:
            continue
        meaning = _MEANINGS.get(finding.rule)
        name = finding.rule if finding.rule in TOTALS else f"`{finding.rule}`"
        happens = f"{_HAPPENS[finding.severity]} " if finding.severity else ""
        lines.append(
            f"| {name}{': ' + meaning if meaning else _NOTES.get(name, '')} | {finding.lines:,}"
            f" | {finding.expected or 0:,} | {happens}|"
        )
    clean = sum(not f.lines and f.reconciled for f in findings)
    return "\n".join([*lines, f"| the other {clean} rules about rows | 0 | 0 | |"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--here", action="store_true", help="use the lake that is there")
    asked = parser.parse_args()
    with ExitStack() as stack:
        if not asked.here:
            directory = tempfile.TemporaryDirectory(prefix="holdfast-dirt-")
            os.environ[HOME_VARIABLE] = stack.enter_context(directory)
            ingest.fn(NAME, "benchmark")
        with open_lake(load_settings(NAME)) as lake:
            source = lake.settings.intake.sources["orders"]
            folder, name = source.folder, source.files["lines"]  # type: ignore[union-attr]
            findings = find_dirt(lake, folder / name)
    print(show(findings))
    return 0 if all(finding.reconciled for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
