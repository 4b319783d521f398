"""Deliver, deliver again, correct, replay, waive, discard and be killed, in any order.

The lake is held against a model of a few dictionaries after every step: its visible rows are the
model's, each content has one number a try, the open items are the model's, and every row that was
received is published or stands aside. Judging is a fake of three rules, so that what is tested is
what becomes of a batch, not how it is judged; waivers are the real ones.
"""

from __future__ import annotations

import csv
import io
import itertools
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import flows.decide
import flows.ingest
import flows.watching
import tasks.validation.steps
from flows.decide import Choice, Kind, decide
from flows.ingest import ingest
from tasks.errors import HoldfastError
from tasks.handles import RuleResult, StagedBatch, Verdict
from tasks.incidents.queue import list_incidents
from tasks.incidents.waivers import active_waivers
from tasks.intake.ledger import read_batches
from tasks.intake.raw import hash_file
from tasks.settings import Settings
from tasks.validation.waiving import apply_waivers
from tasks.visibility import supersessions, visible
from tasks.warehouse import Lake, close_lakes, open_lake, scratch
from tests.intake.shop import COLUMNS, HEADER, MAP

pytestmark = pytest.mark.faults

# A longer search: HOLDFAST_HISTORIES=500
EXAMPLES = int(os.environ.get("HOLDFAST_HISTORIES", "8"))
STEPS = 8
NAMES = ("a", "b", "c")
KINDS = ("good", "held", "unit", "malformed")
# At which crash point the process dies; most live.
DEATHS = st.none() | st.none() | st.integers(1, 14)
UNTIL = (datetime.now(UTC) + timedelta(days=9)).date()


class Crash(BaseException):
    """The process dies here: nothing may catch it."""


@dataclass(frozen=True, slots=True)
class Content:
    """A file's content: `good`, with a row `held` back, of a wrong `unit`, or `malformed`."""

    kind: str
    serial: int

    @property
    def orders(self) -> tuple[str, ...]:
        return tuple(f"o{self.serial}-{n}" for n in range(3))

    @property
    def text(self) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(HEADER.split(","))
        for place, order in enumerate(self.orders):
            quantity = 0 if self.kind == "held" and place == 1 else 1
            amount = "5000.50" if self.kind == "unit" else "9.50"
            writer.writerow(["ann", order, "2011-10-03T12:00:00Z", quantity, amount])
        return text.getvalue() + ("torn" if self.kind == "malformed" else "")

    @property
    def published(self) -> Counter[str]:
        held = {self.orders[1]} if self.kind == "held" else set()
        return Counter(order for order in self.orders if order not in held)


def judge(lake: Lake, staged: StagedBatch, _: Settings) -> Verdict:
    """Rows without a quantity stand aside; an amount of thousands stops, unless that is waived."""
    path = staged.staged_path.with_suffix(".rejects.parquet")
    source = f"read_parquet('{staged.staged_path}')"
    with scratch(threads=1) as db:
        db.execute(
            "copy (select row_number, 'quantity_in_range' as rule, 'no quantity' as reason,"
            f" raw_line from {source} where quantity = 0) to '{path}' (format parquet)"
        )
        held = int(db.scalar(f"select count(*) from {source} where quantity = 0"))
        shifted = bool(db.scalar(f"select max(net_amount) >= 1000 from {source}"))
    rows = staged.received_rows
    results: tuple[RuleResult, ...] = (
        RuleResult(
            "quantity_in_range", "quantity", "quarantine", rows, held, "", "", not held, "no goods"
        ),
        RuleResult("shift", "net_amount", "stop", rows, 0, "8", "ratio 500", not shifted),
    )
    waivers = active_waivers(lake, staged.raw.delivery.source, datetime.now(UTC))
    results = apply_waivers(results, waivers, staged)
    if any(not result.passed and result.severity == "stop" for result in results):
        return Verdict("stopped", rows, 0, rows, path if held else None, results)
    return Verdict("accepted", rows, rows - held, held, path if held else None, results)


class World:
    """One lake for all histories; each history has a source of its own."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.serials = itertools.count(1)
        self.sources = itertools.count(1)

    def with_source(self, name: str) -> Settings:
        """The deployment with this one source."""
        folder = self.folder / name
        folder.mkdir()
        source = self.settings.intake.sources["shop"].model_copy(update={"folder": folder})
        intake = self.settings.intake.model_copy(update={"sources": {name: source}})
        return self.settings.model_copy(update={"intake": intake})


WORLD: list[World] = []


@contextmanager
def dying_at(number: int | None) -> Iterator[None]:
    """Die at the crash point that comes as the `number`th; None: live."""
    if number is None:
        yield
        return
    passed = itertools.count(1)

    def die(_: str) -> None:
        if next(passed) == number:
            raise Crash

    with pytest.MonkeyPatch.context() as patch:
        for name, module in list(sys.modules.items()):
            if name.startswith("tasks.") and hasattr(module, "crash_point"):
                patch.setattr(module, "crash_point", die)
        yield


class Deliveries(RuleBasedStateMachine):
    """The rules, and the model that they keep.

    `folder`: what lies in the source's folder by name; `accepted`: what is published by name;
    `states`: the state of each content's newest batch; `aside`: what stands aside, by the key of
    its item; `waived`: contents of which the wrong unit is waived.
    """

    @initialize()
    def open(self) -> None:
        self.world = WORLD[0]
        self.source = f"s{next(self.world.sources)}"
        self.settings = self.world.with_source(self.source)
        self.names: dict[Content, str] = {}
        self.folder: dict[str, Content] = {}
        self.accepted: dict[str, Content] = {}
        self.states: dict[Content, str] = {}
        self.aside: dict[str, list[Content]] = {}
        self.waived: set[Content] = set()
        self.patch = pytest.MonkeyPatch()
        for module in (flows.ingest, flows.decide, flows.watching):
            self.patch.setattr(module, "load_settings", lambda _: self.settings)
        self.patch.setattr(tasks.validation.steps, "validate_batch", judge)
        # Whom to tell and how is no matter of the lake's.
        self.patch.setattr(flows.ingest, "announce", lambda *_: None)
        # Something is published and something stands aside from the beginning.
        self._put("a", Content("held", next(self.world.serials)))
        self._put("b", Content("unit", next(self.world.serials)))
        self._take_in(False, None)

    def teardown(self) -> None:
        if hasattr(self, "patch"):
            self.patch.undo()

    # --- what happens ---------------------------------------------------------------------

    @rule(
        name=st.sampled_from(NAMES),
        kind=st.sampled_from(KINDS),
        supersede=st.booleans(),
        dies=DEATHS,
    )
    def deliver(self, name: str, kind: str, supersede: bool, dies: int | None) -> None:
        """A new content under a name, be it the first or a later one."""
        self._put(name, Content(kind, next(self.world.serials)))
        self._take_in(supersede, dies)

    @precondition(lambda self: len(self.names) > len(self.folder))
    @rule(data=st.data(), supersede=st.booleans(), dies=DEATHS)
    def deliver_again(self, data: st.DataObject, supersede: bool, dies: int | None) -> None:
        """An old content comes once more under its name."""
        old = sorted(
            (c for c in self.names if self.folder.get(self.names[c]) != c), key=lambda c: c.serial
        )
        content = data.draw(st.sampled_from(old))
        self._put(self.names[content], content)
        self._take_in(supersede, dies)

    def _take_in(self, supersede: bool, dies: int | None) -> None:
        expected = self._model_ingest(supersede)
        assert self._run(dies, lambda: ingest.fn("shop", "test", supersede)) == expected

    @precondition(lambda self: bool(self.aside))
    @rule(data=st.data(), supersede=st.booleans(), dies=DEATHS)
    def replay(self, data: st.DataObject, supersede: bool, dies: int | None) -> None:
        """Judge what stands aside once more, with its own bytes."""
        key = self._choose(data)
        expected = self._model_replay(key, supersede)
        assert self._decide(dies, key, "replay", supersede=supersede) == expected

    @precondition(lambda self: any(len(found) == 1 for found in self.aside.values()))
    @rule(data=st.data(), dies=DEATHS)
    def replay_corrected(self, data: st.DataObject, dies: int | None) -> None:
        """Put a good file in the place of the only batch of an item, whatever is published."""
        key = self._choose(data, single=True)
        [old] = self.aside[key]
        name = self.names[old]
        content = Content("good", next(self.world.serials))
        self.names[content] = name
        path = self.world.folder / f"{self.source}-corrected.csv"
        path.write_text(content.text)
        self._accept(name, content)
        assert self._decide(dies, key, "replay", file=path, supersede=True) == 0

    @precondition(lambda self: any("UNIT_SHIFT" in key for key in self.aside))
    @rule(dies=DEATHS)
    def waive(self, dies: int | None) -> None:
        """Let the wrong unit pass for what stands aside because of it."""
        [key] = [key for key in self.aside if "UNIT_SHIFT" in key]
        self.waived.update(self.aside[key])
        expected = 0
        for content in sorted(self.aside[key], key=lambda c: c.serial):
            expected = max(expected, self._model_again(content, False))
        found = self._decide(dies, key, "waive", reason="new prices", until=UNTIL)
        assert found == expected

    @precondition(lambda self: bool(self.aside))
    @rule(data=st.data(), dies=DEATHS)
    def discard(self, data: st.DataObject, dies: int | None) -> None:
        key = self._choose(data)
        for content in self.aside.pop(key):
            self.states[content] = "discarded"
        assert self._decide(dies, key, "discard", reason="not wanted") == 0

    # --- what must hold -------------------------------------------------------------------

    @invariant()
    def the_lake_is_the_model(self) -> None:
        with open_lake(self.settings) as lake:
            batches = [b for b in read_batches(lake) if b.source == self.source]
            snapshot = lake.snapshot()
            seen = visible("orders", snapshot, supersessions(lake, snapshot, "orders"))
            rows = lake.rows(
                f"select order_id from {seen} where list_contains($numbers, batch_number)",
                {
                    "known_by": datetime.now(UTC) + timedelta(hours=1),
                    "numbers": [b.batch_number for b in batches],
                },
            )
            open_keys = {
                item.cause.key
                for item in list_incidents(lake)
                if item.cause.source == self.source and item.cause.level == "stop"
            }
        expected: Counter[str] = Counter()
        for content in self.accepted.values():
            expected += content.published
        assert Counter(row["order_id"] for row in rows) == expected
        assert open_keys == set(self.aside)
        newest = {batch.content_hash: batch for batch in batches}
        for content, state in self.states.items():
            assert newest[self._hash(content)].state == state, content
        for batch in batches:
            assert batch.accepted_rows + batch.quarantined_rows == batch.received_rows
            path = self.settings.home / "raw" / batch.content_hash[:2] / batch.content_hash
            assert hash_file(path)[0] == batch.content_hash
        accepted = [b.batch_name for b in batches if b.state == "accepted"]
        assert sorted(accepted) == sorted(f"{self.source}/{name}" for name in self.accepted)

    # --- the model ------------------------------------------------------------------------

    def _model_ingest(self, supersede: bool) -> int:
        """Every file is tried; one that is refused keeps no other out."""
        codes = [0]
        for name in sorted(self.folder):
            content = self.folder[name]
            state = self.states.get(content)
            if state == "superseded" and not supersede:
                continue
            if state not in ("accepted", "replayed", "waived", "discarded"):
                codes.append(self._model_try(name, content, supersede))
        return max(codes)

    def _model_try(self, name: str, content: Content, supersede: bool) -> int:
        """A content on its way to the lake: refused, or published in the place of another."""
        current = self.accepted.get(name)
        if current is not None and current != content and not supersede:
            return self._refuse(content, f"CONFLICT|{self.source}/{name}")
        if content.kind == "malformed":
            return self._refuse(content, "MALFORMED|")
        if content.kind == "unit" and content not in self.waived:
            return self._refuse(content, "UNIT_SHIFT|net_amount")
        self._accept(name, content)
        return 0

    def _model_replay(self, key: str, supersede: bool) -> int:
        found = [
            self._model_again(content, supersede)
            for content in sorted(self.aside[key], key=lambda c: c.serial)
        ]
        return max(found)

    def _model_again(self, content: Content, supersede: bool) -> int:
        if self.states[content] != "quarantined":
            return 0  # closed by another of its name that was published a moment before
        if content.kind == "malformed":
            # Read before it is asked for whom it would take the place of: there is nothing to put.
            return self._refuse(content, "MALFORMED|")
        return self._model_try(self.names[content], content, supersede)

    def _refuse(self, content: Content, cause: str) -> int:
        self._release(content)
        self.aside.setdefault(f"{self.source}|stop|{cause}", []).append(content)
        self.states[content] = "quarantined"
        return 65

    def _accept(self, name: str, content: Content) -> None:
        current = self.accepted.get(name)
        if current is not None and current != content:
            self.states[current] = "superseded"
        for other, state in list(self.states.items()):
            if state == "quarantined" and self.names[other] == name:
                self._release(other)
                self.states[other] = "replayed"
        self.accepted[name] = content
        self.states[content] = "accepted"

    def _release(self, content: Content) -> None:
        self.aside = {
            key: left
            for key, found in self.aside.items()
            if (left := [other for other in found if other != content])
        }

    # --- how it is done -------------------------------------------------------------------

    def _put(self, name: str, content: Content) -> None:
        folder = self.settings.intake.sources[self.source].folder  # type: ignore[union-attr]
        (folder / f"{name}.csv").write_text(content.text)
        self.folder[name] = content
        self.names[content] = name

    def _choose(self, data: st.DataObject, *, single: bool = False) -> str:
        keys = [key for key, found in self.aside.items() if not single or len(found) == 1]
        return data.draw(st.sampled_from(sorted(keys)))

    def _decide(self, dies: int | None, key: str, kind: Kind, **values: Any) -> int:
        with open_lake(self.settings) as lake:
            [item] = [one for one in list_incidents(lake) if one.cause.key == key]
        choice = Choice(item.name, kind, "ann", **values)
        return self._run(dies, lambda: decide.fn("shop", choice))

    def _run(self, dies: int | None, work: Callable[[], object]) -> int:
        """The exit code; of a process that has died, that of the one that is started next."""
        try:
            with dying_at(dies):
                return _exit_code(work)
        except Crash:
            close_lakes()
            return _exit_code(work)

    def _hash(self, content: Content) -> str:
        import hashlib

        return hashlib.sha256(content.text.encode()).hexdigest()


def _exit_code(work: Callable[[], object]) -> int:
    try:
        work()
    except HoldfastError as error:
        return error.exit_code
    return 0


def test_any_order_of_events_leaves_what_the_model_says(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    source = {
        "kind": "files",
        "table": "orders",
        "folder": str(tmp_path),
        "pattern": "*.csv",
        "columns": COLUMNS,
        "map": MAP,
    }
    settings = make_settings(
        intake={"sources": {"shop": source}}, warehouse={"compact_after_files": 10_000}
    )
    WORLD[:] = [World(settings, tmp_path)]
    try:
        run_state_machine_as_test(
            Deliveries,
            settings=hypothesis_settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                derandomize=True,
                database=None,
                deadline=None,
                # Shrinking runs hundreds of histories, each of seconds.
                phases=[Phase.generate] if EXAMPLES <= STEPS else list(Phase),
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        close_lakes()
