"""Every row of the list of faults, and what holds whatever the fault.

Raw bytes stay as they came; published tables change only by a whole batch; a cause is one item
with what a person needs and nobody's data; the same command again adds nothing; the champion
goes on serving.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks.contracts import CONTRACTS
from tasks.intake.raw import hash_file
from tasks.settings import HOME_VARIABLE, Settings
from tasks.warehouse import open_lake
from tests.faults.corpus import FAULTS
from tests.faults.fault import Fault
from tests.faults.fed_shop import CANARY, FedShop, Observed, Outcome, open_shop

pytestmark = pytest.mark.faults

# Every row in its plainest way; all the ways of each with HOLDFAST_FAULTS=all.
CHOSEN = [f for f in FAULTS if not f.variant or os.environ.get("HOLDFAST_FAULTS") == "all"]


@pytest.fixture(scope="module")
def fed(
    make_settings: Callable[..., Settings], home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FedShop]:
    settings = make_settings()
    with pytest.MonkeyPatch.context() as patch, open_lake(settings) as lake:
        patch.setenv(HOME_VARIABLE, str(home))
        yield open_shop(lake, settings, tmp_path_factory.mktemp("fed"))


@pytest.mark.parametrize("fault", CHOSEN, ids=lambda f: f"{f.number:02}-{ascii(f.title)[1:-1]}")
def test_a_fault_is_met_as_the_list_says(fed: FedShop, fault: Fault) -> None:
    fault.prepare(fed)
    before = fed.observe()
    fault.deliver(fed)
    delivered = fed.observe_files()
    try:
        with fault.inject(fed):
            outcome = fault.command(fed, fault)
        after = fed.observe()
        assert outcome.exit_code == fault.exit_code, outcome.message
        assert delivered == fed.observe_files(), "a delivered file was changed"
        assert_invariants(fed, before, after, fault, outcome)
        if fault.check is not None:
            fault.check(fed, outcome)
        assert_runs_again(fed, after, fault)
    finally:
        fed.clear(before)


def assert_invariants(
    fed: FedShop, before: Observed, after: Observed, fault: Fault, outcome: Outcome
) -> None:
    """What holds after any fault."""
    assert_bytes_kept(fed, before, after)
    assert_published(fed, before, after, fault)
    assert_one_item(fed, before, after, fault, outcome)
    assert CANARY not in fed.everything_shown()
    assert CANARY not in outcome.message + outcome.log
    assert after.champion == before.champion
    assert after.champion is not None
    assert after.champion_files == before.champion_files == after.champion.files


def assert_bytes_kept(fed: FedShop, before: Observed, after: Observed) -> None:
    """What was kept is kept, and named after what is in it; nothing lies about half-written."""
    assert before.kept.items() <= after.kept.items()
    assert all(Path(name).name == digest for name, digest in after.kept.items())
    for batch in after.batches:
        if batch.batch_number in {known.batch_number for known in before.batches}:
            continue
        path = fed.settings.home / "raw" / batch.content_hash[:2] / batch.content_hash
        is_refused_before = not path.exists() and isinstance(batch.report.get("rejection"), dict)
        assert is_refused_before or hash_file(path)[0] == batch.content_hash
    assert after.leftovers == ()


def assert_published(fed: FedShop, before: Observed, after: Observed, fault: Fault) -> None:
    """Published is a whole batch that adds up, or nothing."""
    new = [batch for batch in after.batches if batch not in before.batches]
    accepted = [batch for batch in new if batch.state == "accepted"]
    for batch in new:
        assert batch.accepted_rows + batch.quarantined_rows == batch.received_rows
    assert fault.publishes in (None, bool(accepted))
    for batch in accepted:
        assert batch.accepted_rows == fed.lake.scalar(
            f"select count(*) from lake.main.{batch.table} where batch_number = $number",
            {"number": batch.batch_number},
        )
    changed = {table for table in CONTRACTS if after.published[table] != before.published[table]}
    assert changed == {batch.table for batch in accepted}


def assert_one_item(
    fed: FedShop, before: Observed, after: Observed, fault: Fault, outcome: Outcome
) -> None:
    """One item for the cause, with all that the person needs who is woken by it."""
    known = {item.name for item in before.items}
    new = [item for item in after.items if item.name not in known]
    if not fault.code:
        assert new == []
        return
    assert len(new) == 1, outcome.message
    [item] = new
    cause = item.cause
    assert re.fullmatch(fault.code, cause.code), cause
    assert (cause.level, item.state) == (fault.level, fault.state)
    assert fault.column in ("", cause.column)
    assert cause.headline
    assert cause.headline.isprintable()
    assert item.actor
    assert outcome.next_step
    if cause.level != "stop":
        return
    assert len(item.batches) == fault.batches
    [batch] = [batch for batch in after.batches if batch.batch_number == item.batches[0]]
    page = fed.page(batch)
    text = json.dumps(page, default=str, ensure_ascii=False)
    assert CANARY not in text
    assert "quarantine show" in page["review"]
    assert page["causes"]
    if batch.received_rows and not isinstance(batch.report.get("rejection"), dict):
        failed = [rule for rule in page["rules"] if not rule["passed"]]
        assert failed
        is_of_rows = any(r["severity"] == "quarantine" and r["failed_rows"] for r in failed)
        assert page["rows_total"] > 0 or not is_of_rows
        assert all(row["row_number"] >= 1 for row in page["rows"])
    assert re.search(fault.says, text + outcome.message)
    for line in fault.lines:
        assert re.search(rf"\b{line:,}\b", " ".join([cause.headline, *page["causes"]]))


def assert_runs_again(fed: FedShop, after: Observed, fault: Fault) -> None:
    """The same command adds nothing, or mends what can be mended."""
    again = fault.command(fed, fault)
    expected = fault.exit_code if fault.again_exit_code is None else fault.again_exit_code
    assert again.exit_code == expected, again.message
    assert CANARY not in again.message + again.log
    if fault.heals:
        assert fed.observe().items == ()
        assert [batch.state for batch in again.batches if not batch.already_known] == ["accepted"]
        return
    assert fed.tally() == (after.published, after.recorded)
    assert fed.kept() == after.kept


def test_every_row_of_the_list_is_here() -> None:
    assert {fault.number for fault in CHOSEN} == {*range(1, 36), 81, 82}
