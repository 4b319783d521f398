"""Replay, waive and discard: once, by somebody, and with the lake as if it had been right."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flows.decide import Choice, decide
from tasks.errors import DataRejected, DiskFailure, LockHeld, Refused, UsageError
from tasks.incidents.decisions import deciding, grant_waivers, read_request
from tasks.incidents.queue import read_incident
from tasks.warehouse import open_lake
from tests.incidents.conftest import MakeShop
from tests.incidents.shop import QueueShop, lines, text

pytestmark = pytest.mark.faults

TOMORROW = (datetime.now(UTC) + timedelta(days=1)).date()
LATER = (datetime.now(UTC) + timedelta(days=30)).date()


def test_a_unit_change_is_one_item_and_the_corrected_file_leaves_the_lake_as_if_right_at_once(
    shop: QueueShop, make_shop: MakeShop, tmp_path: Path
) -> None:
    shop.deliver(7, unit=100)
    assert shop.ingest() == 65
    [incident] = shop.incidents()
    assert (incident.cause.code, incident.cause.level) == ("UNIT_SHIFT", "stop")
    assert "looks like cents" in incident.cause.headline
    corrected = tmp_path / "corrected.csv"
    corrected.write_text(text(lines(7)))

    outcome = shop.decide(incident.name, "replay", file=corrected)

    assert outcome.incident.resolution == "replayed"
    assert shop.states()["orders/2011-10-07"] == ["replayed", "accepted"]
    right = make_shop()
    right.deliver_good()
    right.deliver(7)
    assert right.ingest() == 0
    assert shop.fingerprint() == right.fingerprint()
    # The delivery still lies in the folder as it was: it is known, and nothing comes in twice.
    before = shop.count("select count(*) from lake.ledger.batches")
    assert shop.ingest() == 0
    assert shop.count("select count(*) from lake.ledger.batches") == before
    again = shop.decide(incident.name, "replay", file=corrected)
    assert again.already
    assert shop.fingerprint() == right.fingerprint()
    assert shop.decide("orders/2011-10-07", "replay").already


def test_a_file_that_was_published_under_another_name_is_refused(shop: QueueShop) -> None:
    shop.deliver(7, unit=100)
    assert shop.ingest() == 65
    before = shop.fingerprint()
    with pytest.raises(DataRejected, match="orders/2011-10-01 has this content already"):
        shop.decide("item-1", "replay", file=shop.folder / "2011-10-01.csv")
    assert [one.state for one in shop.incidents()] == ["open"]
    assert shop.fingerprint() == before


def test_a_replay_that_is_refused_again_keeps_the_item_open(shop: QueueShop) -> None:
    shop.deliver(7, unit=100)
    assert shop.ingest() == 65
    before = shop.fingerprint()
    with pytest.raises(DataRejected, match="quarantined") as refused:
        shop.decide("item-1", "replay")
    assert "the item stays open" in str(refused.value)
    [incident] = shop.incidents()
    assert incident.batches == (5,)
    assert shop.fingerprint() == before


def test_a_waiver_publishes_says_who_and_ends_by_itself(shop: QueueShop) -> None:
    shop.deliver(7, unit=100)
    assert shop.ingest() == 65
    with pytest.raises(UsageError, match="needs a reason"):
        shop.decide("item-1", "waive", until=LATER)
    with pytest.raises(UsageError, match="a day on which it ends"):
        shop.decide("item-1", "waive", reason="a new price list")
    with pytest.raises(UsageError, match="cannot end on"):
        shop.decide("item-1", "waive", reason="x", until=datetime(2020, 1, 1, tzinfo=UTC).date())

    outcome = shop.decide(
        "item-1", "waive", reason="a new price list", until=LATER, for_source=True
    )

    assert outcome.incident.resolution == "waived"
    assert shop.states()["orders/2011-10-07"] == ["waived", "accepted"]
    [waiver] = shop.rows("select * from lake.ledger.waivers")
    assert (waiver["author"], waiver["reason"]) == ("ann", "a new price list")
    # While it lasts, every later report of the source names it, also of a batch without fault.
    shop.deliver(8)
    assert shop.ingest() == 0
    [batch] = [b for b in shop.batches() if b.batch_name == "orders/2011-10-08"]
    assert any("waived by ann" in note for note in batch.report["notes"])
    assert shop.decide("item-1", "waive", reason="again", until=LATER).already
    with open_lake(shop.settings) as lake:
        from tasks.incidents.waivers import active_waivers

        end = waiver["ends_at"]
        assert active_waivers(lake, "orders", end - timedelta(seconds=1))
        assert not active_waivers(lake, "orders", end)


def test_a_discarded_batch_stays_out_and_can_be_taken_up_again(shop: QueueShop) -> None:
    shop.deliver(7, unit=100)
    assert shop.ingest() == 65
    before = shop.fingerprint()
    outcome = shop.decide("orders/2011-10-07", "discard", reason="a test file")
    assert outcome.incident.resolution == "discarded"
    assert outcome.incident.reason in ("", "a test file")
    assert shop.ingest() == 0
    assert shop.fingerprint() == before
    assert shop.decide("item-1", "discard", reason="a test file").already
    with pytest.raises(UsageError, match="decided already: discarded, by ann"):
        shop.decide("item-1", "waive", "bob", reason="no", until=LATER)

    outcome = shop.decide(
        "item-1", "replay", "bob", file=shop.deliver(9), reason="it was the ninth after all"
    )

    assert outcome.incident.resolution == "replayed"
    history = shop.rows(
        "select outcome, actor from lake.ledger.decisions where kind = 'oncall' order by decided_at"
    )
    assert history == [
        {"outcome": "discarded", "actor": "ann"},
        {"outcome": "replayed", "actor": "bob"},
    ]


def test_rows_come_out_as_csv_and_back_corrected(shop: QueueShop, tmp_path: Path) -> None:
    import csv

    shop.deliver(7, nameless=2)
    assert shop.ingest() == 0
    [incident] = shop.incidents()
    assert (incident.cause.code, incident.cause.level) == ("MISSING", "held")
    from tasks.intake.corrections import export_rows

    out = tmp_path / "rows.csv"
    with open_lake(shop.settings) as lake:
        batch = shop.batches()[-1]
        # Who takes rows out is written down before they are out.
        with pytest.raises(DiskFailure):
            export_rows(lake, batch, shop.path / "rows.csv", author="ann")
        exported = "select count(*) from lake.ledger.decisions where outcome = 'rows exported'"
        assert lake.scalar(exported) == 1
        count = export_rows(lake, batch, out, author="ann")
    assert count == 2
    assert out.stat().st_mode & 0o777 == 0o600
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["row_number"] for row in rows] == ["2", "3"]
    assert rows[0]["rules"] == "customer_id_present"
    rows[0]["customer"] = "zoe"
    back = tmp_path / "corrected.csv"
    with back.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    head, *rest = back.read_text().splitlines()
    for spoiled, said in (
        ([head, f"{rest[0]},more", *rest[1:]], "line 2: it has more values than columns"),
        ([f"{head},row_number", *(f"{line},3" for line in rest)], "'row_number' stands twice"),
    ):
        wrong = tmp_path / "wrong.csv"
        wrong.write_text("\n".join(spoiled))
        with pytest.raises(UsageError, match=said):
            shop.decide(incident.name, "replay", corrected=wrong)

    outcome = shop.decide(incident.name, "replay", corrected=back)

    assert [b.quarantined_rows for b in outcome.batches] == [1]
    assert shop.states()["orders/2011-10-07"] == ["superseded", "accepted"]
    # The batch that came in its place has one row aside for the same cause: the item goes on.
    [incident] = shop.incidents()
    assert incident.batches == (5, 6)
    found = shop.rows("select row_number from lake.main.orders where customer_id = 'zoe'")
    assert found == [{"row_number": 2}]


def test_held_rows_are_let_in_only_where_the_table_can_hold_them(shop: QueueShop) -> None:
    doubled = lines(7)
    shop.deliver(7, text([*doubled, doubled[0]]))
    assert shop.ingest() == 0
    [incident] = shop.incidents()
    assert incident.cause.code == "DUP_KEY"
    with pytest.raises(UsageError, match="stand aside already"):
        shop.decide(incident.name, "waive", reason="two equal sales", until=LATER)
    outcome = shop.decide(
        incident.name, "waive", reason="two equal sales", until=LATER, let_in=True
    )
    assert outcome.incident.resolution == "waived"
    assert outcome.incident.reason == "two equal sales"
    [batch] = outcome.batches
    assert (batch.accepted_rows, batch.quarantined_rows) == (61, 0)
    again = shop.decide(incident.name, "waive", reason="two equal sales", until=LATER, let_in=True)
    assert again.already
    shop.deliver(8, nameless=1)
    assert shop.ingest() == 0
    [incident] = shop.incidents()
    with pytest.raises(UsageError, match="cannot be let in"):
        shop.decide(incident.name, "waive", reason="guests", until=LATER, let_in=True)


def test_a_release_waits_for_a_second_person(make_shop: MakeShop) -> None:
    shop = make_shop(oncall={"second_person": True})
    shop.deliver_good()
    shop.deliver(7, unit=100)
    assert shop.ingest() == 65
    outcome = shop.decide("item-1", "waive", reason="a new price list", until=LATER)
    assert outcome.incident.state == "waiting"
    assert "second person" in outcome.done
    assert shop.states()["orders/2011-10-07"] == ["quarantined"]
    assert shop.decide("item-1", "waive", "bob", reason="the same", until=LATER).already
    with pytest.raises(UsageError, match="ann has asked for another release"):
        shop.decide("item-1", "waive", "bob", reason="more", until=LATER, for_source=True)
    for same in ("Ann", " aNN ", "ａｎｎ", "ann.", "an n", "anń"):
        with pytest.raises(Refused, match="needs a second person"):
            shop.decide("item-1", "approve", same)
    with pytest.raises(UsageError, match="letters of several scripts"):
        shop.decide("item-1", "approve", "аnn")
    # The process of the second person ends between the leave and the publishing.
    with open_lake(shop.settings) as lake:
        waiting = read_incident(lake, "item-1")
        waivers, reason = read_request(waiting, "bob", "queue")
        grant_waivers(lake, waiting, waivers, "bob", reason)
    with pytest.raises(UsageError, match="Nothing of item-1 waits"):
        shop.decide("item-1", "approve", "cid")
    outcome = shop.decide("item-1", "approve", "bob")
    assert outcome.incident.resolution == "waived"
    [waiver] = shop.rows("select author, approved_by from lake.ledger.waivers")
    assert waiver == {"author": "ann", "approved_by": "bob"}
    assert shop.decide("item-1", "approve", "bob").already
    with pytest.raises(UsageError, match="decided already"):
        shop.decide("item-1", "discard", "cid", reason="late")


def test_two_people_at_once_get_one_decision_and_one_clear_refusal(shop: QueueShop) -> None:
    shop.deliver(7, unit=100)
    assert shop.ingest() == 65
    with (
        open_lake(shop.settings) as lake,
        deciding(lake, "item-1", "ann"),
        pytest.raises(LockHeld, match="Somebody else is deciding item-1"),
    ):
        shop.decide("item-1", "discard", "bob", reason="mine")
    results: list[object] = []
    start = threading.Barrier(2)

    def run(author: str, kind: str) -> None:
        start.wait()
        try:
            choice = Choice("item-1", kind, author, reason=kind, until=LATER)  # type: ignore[arg-type]
            results.append(decide.fn(shop.path, choice))
        except (UsageError, LockHeld) as error:
            results.append(error)

    threads = [
        threading.Thread(target=run, args=one) for one in (("ann", "discard"), ("bob", "waive"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    refusals = [r for r in results if isinstance(r, (UsageError, LockHeld))]
    assert len(results) == 2
    assert len(refusals) == 1
    assert not shop.incidents()


def test_many_bad_files_of_one_cause_are_one_item_and_one_decision(shop: QueueShop) -> None:
    for day in range(7, 12):
        shop.deliver(day, "customer,order\nann,1\n")
        assert shop.ingest() == 65
    [incident] = shop.incidents()
    assert incident.cause.code == "SCHEMA"
    with pytest.raises(UsageError, match="No rule of item-1 can be waived"):
        shop.decide("item-1", "waive", reason="x", until=LATER)
    shop.decide("item-1", "discard", reason="a broken export")
    assert not shop.incidents()
    assert shop.ingest() == 0


def test_a_stale_page_is_refused(shop: QueueShop) -> None:
    shop.deliver(7, unit=100)
    assert shop.ingest() == 65
    with pytest.raises(UsageError, match="has changed since you looked"):
        shop.decide("item-1", "discard", reason="x", seen="0" * 16)


def test_bounds_that_changed_let_a_batch_in_on_replay(shop: QueueShop) -> None:
    import yaml

    shop.deliver(7, unit=100)
    assert shop.ingest() == 65
    conf = yaml.safe_load(shop.path.read_text())
    conf["validation"]["tables"] = {
        "orders": {"batch": {"shift": {"warn_above": 200, "stop_above": 1000}}}
    }
    shop.path.write_text(yaml.safe_dump(conf))
    outcome = shop.decide("item-1", "replay")
    assert outcome.incident.resolution == "replayed"
    assert shop.states()["orders/2011-10-07"] == ["replayed", "accepted"]


def test_no_value_of_a_row_is_in_the_headline_that_is_sent_out(shop: QueueShop) -> None:
    # A column too many in the middle: a name stands where amounts are expected.
    shop.deliver(7, text([*lines(7), "c01,o7-x,2011-10-07T01:00:00Z,1,Ann Example"]))
    assert shop.ingest() == 65
    [incident] = shop.incidents()
    assert incident.cause.code == "TYPE"
    assert "'amount' (number) is not of the declared type" in incident.cause.headline
    assert "Example" not in incident.cause.headline
    reports = shop.rows("select report from lake.ledger.incidents")
    assert "Example" not in str(reports)


def test_a_batch_that_was_discarded_by_name_stays_out_when_its_item_is_decided(
    shop: QueueShop,
) -> None:
    for day in (7, 8, 9):
        shop.deliver(day, unit=100)
    assert shop.ingest() == 65
    [incident] = shop.incidents()
    assert len(incident.batches) == 3
    shop.decide("orders/2011-10-07", "discard", "bob", reason="a test export")
    outcome = shop.decide(incident.name, "waive", reason="new prices", until=LATER)
    assert outcome.incident.resolution == "waived"
    states = shop.states()
    assert states["orders/2011-10-07"] == ["discarded"]
    assert [states[f"orders/2011-10-0{day}"][-1] for day in (8, 9)] == ["accepted", "accepted"]
    assert shop.decide(incident.name, "waive", reason="new prices", until=LATER).already
