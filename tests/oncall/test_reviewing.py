"""The page over a real lake: a refused file is seen, previewed, replaced by a right one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import reviewing, telling
from tasks.errors import UsageError
from tasks.oncall.actions import Asked
from tasks.warehouse import open_lake

from ..incidents.shop import QueueShop, lines, text

pytestmark = pytest.mark.sql


@pytest.fixture(scope="module")
def shop(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[QueueShop]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOLDFAST_HOME", str(home))
        # A port at which nobody listens: MLflow and Prefect are down.
        patch.setenv("HOLDFAST_TRACKING_URI", "http://127.0.0.1:9")
        patch.delenv("PREFECT_API_URL", raising=False)
        shop = QueueShop(tmp_path_factory.mktemp("reviewed"), home, "reviewed")
        shop.deliver_good()
        shop.deliver(5, unit=100.0, nameless=3)
        assert shop.ingest() == 65
        yield shop


def asked(choice: str, seen: str, **more: object) -> Asked:
    return Asked(choice, "ann", "the till left it out", seen, **more)  # type: ignore[arg-type]


def test_a_refused_file_is_seen_and_replaced(shop: QueueShop, tmp_path: Path) -> None:
    desk = reviewing.Desk(shop.settings.home, [str(shop.path)])
    name = shop.settings.deployment
    assert desk.deployments() == [name]
    assert list(desk.people(name)) == ["oncall"]
    (entry,) = desk.queue(name, resolved=False)
    assert (entry.name, entry.level, entry.code) == ("item-1", "stop", "UNIT_SHIFT")

    report = desk.report(name, "item-1", None)
    assert "unit" in report.likely
    assert report.rules[0].key == "shift:net_amount"
    assert [point.is_accepted for point in report.rules[0].trend.points][-1] is False
    assert report.rows_total > 0
    assert report.rows[0].line is not None
    assert ",o5-" in report.rows[0].line  # the order's number says nothing of a person
    assert report.serving is None

    told = desk.preview(name, "item-1")
    assert told["possible"]
    assert desk.report(name, "item-1", told).preview == told

    with pytest.raises(UsageError, match="has changed since you looked"):
        desk.decide(name, "item-1", asked("discard", "too old"))
    right = tmp_path / "corrected.csv"
    right.write_text(text(lines(5)), encoding="utf-8")
    (said,) = desk.decide(name, "item-1", asked("replay", report.stamp, file=right))
    assert said == "item-1 is replayed"
    assert desk.queue(name, resolved=False) == []
    with open_lake(shop.settings) as lake:
        assert lake.scalar("select count(*) from lake.main.orders") == 300
    after = desk.report(name, "item-1", None)
    assert after.state == "resolved"
    assert {entry.actor for entry in after.history} >= {"ann"}


def test_what_is_not_there_is_no_way_in(shop: QueueShop) -> None:
    desk = reviewing.Desk(shop.settings.home, [str(shop.path)])
    for name in ("nobody", "../etc", ""):
        with pytest.raises(UsageError):
            desk.report(name, "item-1", None)


def test_reports_are_published_for_every_open_item(shop: QueueShop) -> None:
    report, published = telling.report_item(shop.settings, "item-1")
    assert published.path.is_file()
    assert published.url.endswith(f"/d/{shop.settings.deployment}/{report.name}")
    assert telling.report_queue(shop.settings) == []
    assert (published.path.parent / "index.html").is_file()
