"""On-call's page: the process of `holdfast up` that serves it, and what it calls.

`python -m flows.reviewing`; not for hands. It listens on loopback alone and ends on SIGTERM. Once
a minute it also looks for deliveries that are overdue, and sends messages that wait.
"""

from __future__ import annotations

import argparse
import logging
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.decide import Choice, decide
from flows.preview import preview
from flows.telling import gather_report, tell_oncall
from tasks.errors import HoldfastError, UsageError
from tasks.intake import steps as intake
from tasks.moments import read_clock
from tasks.oncall import steps as oncall
from tasks.oncall.actions import Asked
from tasks.orchestration import start_flow
from tasks.services.environment import find_secret, prepare_process
from tasks.settings import Settings, find_home, list_deployments, load_settings
from tasks.warehouse import open_lake

_LOG = logging.getLogger("holdfast.oncall")
_LOOK_EVERY_SECONDS = 60.0
# A change of `conf/` is seen after so long.
_REREAD_SECONDS = 10.0


class Desk:
    """What the page asks for, answered by the same functions that commands call."""

    can_preview = True

    def __init__(self, home: Path, names: Sequence[str]) -> None:
        self._home = home
        self._names = tuple(names)
        self._guard = threading.Lock()
        self._read: dict[str, Settings] = {}
        self._read_at = -_REREAD_SECONDS

    def deployments(self) -> list[str]:
        """Those of the command line that have a lake: looking must not make one."""
        return sorted(self._found())

    def people(self, deployment: str) -> Collection[str]:
        return self._settings(deployment).oncall.people

    def queue(self, deployment: str, *, resolved: bool) -> list[oncall.QueueEntry]:
        with open_lake(self._settings(deployment)) as lake:
            return oncall.list_entries(
                deployment, intake.describe_queue(lake, everything=resolved), read_clock()
            )

    def report(
        self, deployment: str, item: str, preview: Mapping[str, Any] | None
    ) -> oncall.IncidentReport:
        with open_lake(self._settings(deployment)) as lake:
            return gather_report(lake, item, preview)

    def preview(self, deployment: str, item: str) -> Mapping[str, Any]:
        """Of the newest batch of the item, as if what stops it were waived."""
        settings = self._settings(deployment)
        with open_lake(settings) as lake:
            batches = intake.find_case(lake, item).batches
        if not batches:
            raise UsageError(f"Nothing of {item} stands aside.")
        found = preview(
            settings,
            max(batch.batch_number for batch in batches),
            lift_stops=True,
            score_change=settings.oncall.preview_score_change,
        )
        return found.as_dictionary()

    def decide(self, deployment: str, item: str, asked: Asked) -> Sequence[str]:
        choice = Choice(
            item=item,
            kind=asked.choice,
            author=asked.author,
            reason=asked.reason,
            until=asked.until,
            rules=asked.rules,
            row_numbers=asked.rows,
            let_in=asked.let_in,
            for_source=asked.for_source,
            file=asked.file,
            corrected=asked.corrected,
            seen=asked.seen,
        )
        outcome = start_flow(decide, self._settings(deployment).called, choice)
        return (outcome.done,)

    def look_after(self) -> None:
        """Look for deliveries that are overdue and send what is still to be sent.

        Of every deployment; a fault of one stops no other.
        """
        for name in self.deployments():
            try:
                settings = self._settings(name)
                is_due = any(source.due for source in settings.intake.sources.values())
                if not (is_due or settings.oncall.channels):
                    continue
                with open_lake(settings) as lake:
                    if is_due:
                        intake.watch_deliveries(lake, settings)
                    tell_oncall(lake, hurry=False)
            except HoldfastError as error:
                _LOG.warning("Messages of %s wait: %s", name, error.what)

    def _found(self) -> dict[str, Settings]:
        """Settings by deployment, read again after a while: that takes a tenth of a second each."""
        with self._guard:
            if time.monotonic() - self._read_at > _REREAD_SECONDS:
                self._read, self._read_at = self._read_settings(), time.monotonic()
            return self._read

    def _read_settings(self) -> dict[str, Settings]:
        found = {}
        for name in self._names:
            try:
                settings = load_settings(name, home=self._home)
            except HoldfastError as error:
                _LOG.warning("%s is left out: %s", name, error.what)
                continue
            if (self._home / "lake" / settings.deployment).is_dir():
                found[settings.deployment] = settings
        return found

    def _settings(self, deployment: str) -> Settings:
        found = self._found()
        if deployment not in found:
            raise UsageError(f"There is no deployment '{deployment}'.", available=sorted(found))
        return found[deployment]


def _look_for_ever(desk: Desk, stopped: threading.Event) -> None:
    while not stopped.wait(_LOOK_EVERY_SECONDS):
        try:
            desk.look_after()
        except Exception:  # noqa: BLE001  (the next minute tries again)
            _LOG.exception("looking after the queue failed")


def main() -> None:
    """Read the command line of the supervisor and serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m flows.reviewing")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--deployment", default=None)
    options = parser.parse_args()
    home = find_home()
    prepare_process(home)
    names = list_deployments()
    if options.deployment and options.deployment not in names:
        names.append(options.deployment)
    desk = Desk(home, names)
    served = load_settings(options.deployment or names[0], home=home).oncall
    people = set(served.people)
    for name in names:
        try:
            people.update(load_settings(name, home=home).oncall.people)
        except HoldfastError as error:
            _LOG.warning("%s is left out: %s", name, error.what)
    passwords = {person: find_secret(home, oncall.secret_name(person)) for person in sorted(people)}
    stopped = threading.Event()
    threading.Thread(target=_look_for_ever, args=(desk, stopped), daemon=True).start()
    try:
        app = oncall.make_app(
            desk,
            passwords,
            port=options.port,
            uploads=home / "uploads",
            page_url=served.page_url,
            maximum_upload_bytes=served.maximum_upload_mb * 1024**2,
        )
        oncall.serve(app, options.port)
    finally:
        stopped.set()


if __name__ == "__main__":
    main()
