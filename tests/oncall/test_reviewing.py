"""The page over a real lake: a refused file is seen, previewed, replaced by a right one."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows import reviewing
from flows.ingest import ingest
from tasks.errors import DataRejected, UsageError
from tasks.oncall.actions import Asked
from tasks.warehouse import open_lake

from ..intake.shop import GOOD, HEADER, Shop

pytestmark = pytest.mark.sql

BAD = f"{HEADER}\n" + "".join(f"ann{n},,2011-10-03T12:00:00Z,1,9.50\n" for n in range(9))


@pytest.fixture(scope="module")
def shop(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shop = Shop(tmp_path_factory.mktemp("reviewed"), home=home)
    shop.deliver(BAD, "d1.csv")
    with pytest.raises(DataRejected):
        ingest.fn(shop.settings.called)
    return shop


def asked(choice: str, seen: str, **more: object) -> Asked:
    return Asked(choice, "ann", "the till left it out", seen, **more)  # type: ignore[arg-type]


def test_a_refused_file_is_seen_and_replaced(shop: Shop, tmp_path: Path) -> None:
    desk = reviewing.Desk(shop.settings.home, [shop.settings.called])
    name = shop.settings.deployment
    assert desk.deployments() == [name]
    assert list(desk.people(name)) == ["oncall"]
    (entry,) = desk.queue(name, resolved=False)
    assert (entry.name, entry.level, entry.code) == ("item-1", "stop", "MISSING")

    report = desk.report(name, "item-1", None)
    assert report.rows_total == 9
    assert report.rows[0].line is not None
    assert "ann" not in report.rows[0].line  # masked
    assert report.serving is None

    with pytest.raises(UsageError, match="has changed since you looked"):
        desk.decide(name, "item-1", asked("discard", "too old"))
    right = tmp_path / "corrected.csv"
    right.write_text(GOOD, encoding="utf-8")
    (said,) = desk.decide(name, "item-1", asked("replay", report.stamp, file=right))
    assert said == "item-1 is replayed"
    assert desk.queue(name, resolved=False) == []
    with open_lake(shop.settings) as lake:
        assert lake.scalar("select count(*) from lake.main.orders") == 3
    after = desk.report(name, "item-1", None)
    assert after.state == "resolved"
    assert {entry.actor for entry in after.history} >= {"ann"}


def test_what_is_not_there_is_no_way_in(shop: Shop) -> None:
    desk = reviewing.Desk(shop.settings.home, [shop.settings.called])
    for name in ("nobody", "../etc", ""):
        with pytest.raises(UsageError):
            desk.report(name, "item-1", None)
    assert not desk.can_preview


def test_reports_are_published_for_every_open_item(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_TRACKING_URI", "http://127.0.0.1:9")
    report, published = reviewing.report_item(shop.settings, "item-1")
    assert published.path.is_file()
    assert published.url.endswith(f"/d/{shop.settings.deployment}/{report.name}")
    assert reviewing.report_queue(shop.settings) == []
    assert (published.path.parent / "index.html").is_file()
