"""Whatever ends a run is told of at once, and a run that somebody ended is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows import watching
from tasks.errors import DiskFailure
from tasks.incidents.queue import list_incidents
from tasks.settings import HOME_VARIABLE, Settings
from tasks.warehouse import Lake

pytestmark = pytest.mark.faults


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (DiskFailure("No room."), ["DISK"]),
        (ZeroDivisionError(), ["BUG"]),
        (MemoryError(), ["OOM"]),
        (KeyboardInterrupt(), []),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_people_are_told_of_what_ended_a_run(
    lake: Lake,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    told: list[str],
) -> None:
    path = tmp_path / f"{settings.deployment}.yaml"
    path.write_text(f"deployment: {settings.deployment}", encoding="utf-8")
    monkeypatch.setenv(HOME_VARIABLE, str(settings.home))
    heard: list[str] = []

    def tell(opened: Lake) -> None:
        heard.extend(one.cause.code for one in list_incidents(opened))

    monkeypatch.setattr(watching, "tell_oncall", tell)

    @watching.watched("nightly")
    def night(_: Path) -> None:
        raise error

    with pytest.raises(type(error)):
        night(path)
    assert heard == told
