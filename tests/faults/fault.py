"""What a row of the list of faults is, as the corpus writes it down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from tasks.handles import IncidentLevel, IncidentState
from tests.faults.fed_shop import FedShop, Outcome

Deliver = Callable[[FedShop], None]
Check = Callable[[FedShop, Outcome], None]
Injection = Callable[[FedShop], AbstractContextManager[None]]
Command = Callable[[FedShop, "Fault"], Outcome]


def take_in(shop: FedShop, fault: Fault) -> Outcome:
    """What most faults are met with: `holdfast ingest`."""
    return shop.ingest(fault.settings, supersede=fault.supersede)


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a row of the list happens.

    `prepare` puts in place what must be there before, `deliver` the fault where it is found, and
    `inject` makes it happen while the command runs. `exit_code` is the command's,
    `again_exit_code` that of the same command run again (None: the same). `code` names the only
    item that it leaves for on-call ('' for none), at `level`, in `state`, shared by `batches`;
    `column` is the column that it names. `publishes` says whether rows are published (None: one
    or the other), `heals` whether the second run publishes them. `says` must be in what on-call
    reads, `lines` are among the lines that it names. `command` is what is run, mostly taking in.
    `check` asserts what is the row's own. A `variant` is another way of what stands beside it; it
    is run with HOLDFAST_FAULTS=all.
    """

    number: int
    title: str
    deliver: Deliver
    exit_code: int = 65
    code: str = ""
    level: IncidentLevel = "stop"
    state: IncidentState = "open"
    column: str = ""
    publishes: bool | None = False
    heals: bool = False
    again_exit_code: int | None = None
    says: str = ""
    lines: tuple[int, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    supersede: bool = False
    prepare: Deliver = lambda _: None
    inject: Injection = lambda _: nullcontext()
    batches: int = 1
    command: Command = take_in
    check: Check | None = None
    variant: bool = False
