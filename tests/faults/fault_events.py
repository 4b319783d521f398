"""What happens while a command runs, and what people do and decide, for the fault corpus."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flows.decide import Choice
from tasks.errors import LockHeld
from tasks.handles import Delivery, RawBatch
from tasks.incidents.queue import list_incidents
from tasks.intake.disk import demand_space
from tasks.intake.publication import publish
from tasks.intake.raw import keep_raw
from tasks.intake.replay import find_case
from tasks.settings import Settings
from tasks.warehouse import Lake
from tests.faults.fault import Command, Fault
from tests.faults.fault_deliveries import every, file
from tests.faults.fed_shop import FedShop, Outcome, as_csv, usual_rows

UNTIL = (datetime.now(UTC) + timedelta(days=9)).date()
DEAD_CHANNEL = "HOLDFAST_TEST_CHANNEL"
TWO_PEOPLE = {"oncall": {"second_person": True}}


@contextmanager
def clock_set_back(_: FedShop) -> Iterator[None]:
    """The host's clock stands a day behind."""
    import tasks.intake.ledger as ledger

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "read_clock", lambda: datetime.now(UTC) - timedelta(days=1))
        yield


@contextmanager
def swapped_at_the_source(shop: FedShop) -> Iterator[None]:
    """Somebody puts another file in the place of the delivered one, once we have our copy."""
    path = shop.delivered
    delivered = path.read_bytes()

    def then_swap(delivery: Delivery, settings: Settings) -> RawBatch:
        raw = keep_raw(delivery, settings)
        if delivery.location == str(path):
            path.write_bytes(delivered.replace(b"EUR", b"JPY"))
        return raw

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.intake.steps.keep_raw", then_swap)
        yield
    path.write_bytes(delivered)


@contextmanager
def swapped_after_judging(_: FedShop) -> Iterator[None]:
    """Somebody changes the staged file between judging and publishing."""

    def swap_then(lake: Lake, staged: Any, *arguments: Any, **options: Any) -> Any:
        staged.staged_path.write_bytes(staged.staged_path.read_bytes() + b"\0")
        return publish(lake, staged, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.intake.steps.publish", swap_then)
        yield


@contextmanager
def written_meanwhile(shop: FedShop) -> Iterator[None]:
    """The file grows while it is copied."""
    path = shop.delivered
    delivered = path.read_bytes()

    def grow_then(*arguments: Any) -> None:
        with path.open("ab") as file:
            file.write(b"more")
        demand_space(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.intake.raw.demand_space", grow_then)
        yield
    path.write_bytes(delivered)


@contextmanager
def dead_channel(_: FedShop) -> Iterator[None]:
    """Nobody listens where messages go."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(DEAD_CHANNEL, "http://127.0.0.1:9/hook")
        yield


def then_train(shop: FedShop, fault: Fault) -> Outcome:
    """Take in what there is, which is sound by itself, and train."""
    taken = shop.ingest(fault.settings)
    assert taken.exit_code == 0, taken.message
    return shop.train(fault.settings)


def set_aside(shop: FedShop) -> None:
    """A day in cents, refused: the item that people then decide about."""
    file(every(paid=lambda row: f"{float(row['paid']) * 100:.2f}"))(shop)
    assert shop.ingest().exit_code == 65


def _item(shop: FedShop) -> str:
    """The item that was opened last."""
    return list_incidents(shop.lake, unresolved=False)[-1].name


def _answer(shop: FedShop, choices: Sequence[Choice], settings: Mapping[str, Any]) -> Outcome:
    """The decisions in turn; the last one's answer, those before must be carried out."""
    *before, last = choices
    for choice in before:
        assert shop.decide(choice, settings).exit_code == 0
    return shop.decide(last, settings)


def deciding(*choices: Choice) -> Command:
    """Decisions about the newest item, one after the other."""

    def command(shop: FedShop, fault: Fault) -> Outcome:
        named = [replace(choice, item=choice.item or _item(shop)) for choice in choices]
        return _answer(shop, named, fault.settings)

    return command


def replace_twice(shop: FedShop, fault: Fault) -> Outcome:
    """The same corrected file is put in the batch's place twice."""
    path = shop.folder / "corrected.csv"
    [batch] = find_case(shop.lake, _item(shop)).batches or [None]
    if batch is not None:
        path.write_bytes(as_csv(usual_rows(prefix=f"right{batch.batch_number}")))
    choice = Choice(_item(shop), "replay", "ann", file=path)
    return _answer(shop, [choice, choice], fault.settings)


def decide_at_once(shop: FedShop, fault: Fault) -> Outcome:
    """Two people decide differently at one moment: one is heard, the other hears who was."""
    item = _item(shop)
    choices = (
        Choice(item, "discard", "ann", reason="not ours"),
        Choice(item, "waive", "bob", reason="ours", until=UNTIL),
    )
    start = threading.Barrier(len(choices))

    def decide(choice: Choice) -> Outcome:
        start.wait(30)
        outcome = shop.decide(choice, fault.settings)
        while outcome.exit_code == LockHeld.exit_code:  # somebody is at it: as told, again later
            time.sleep(0.05)
            outcome = shop.decide(choice, fault.settings)
        return outcome

    shop.configure(fault.settings)
    with ThreadPoolExecutor(len(choices)) as pool:
        heard, refused = sorted(pool.map(decide, choices), key=lambda one: one.exit_code)
    assert heard.exit_code == 0, heard.message
    return refused
