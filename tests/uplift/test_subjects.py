"""Who counts as drawn by lot: the hold-out's first listings and declared campaigns, checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from tasks import offers
from tasks.settings import Settings
from tasks.uplift.subjects import Staged, read_subjects, stage_subjects
from tasks.warehouse import Lake, open_lake
from tests.actions.made_up import AS_OF, KNOWN_BY
from tests.conftest import MakeSettings
from tests.features.shop import put
from tests.uplift.made_up import put_group, put_list

pytestmark = pytest.mark.sql

NIGHT = AS_OF - timedelta(days=120)


def is_held_out(customer: str, salt: str = "holdfast", share: float = 0.1) -> bool:
    return offers.is_held_out(customer, salt, share)


def ordered(customer: str, days_after: float, start: Any = NIGHT, **more: Any) -> dict[str, Any]:
    return {
        "customer_id": customer,
        "order_id": f"{customer}-{days_after}",
        "ordered_at": start + timedelta(days=days_after),
        "quantity": 1,
        "net_amount": 100,
        "currency": "USD",
        "is_return": False,
        **more,
    }


def stage(lake: Lake, settings: Settings) -> Staged:
    return stage_subjects(lake, AS_OF, KNOWN_BY, lake.snapshot(), settings)


def subjects(lake: Lake) -> dict[str, dict[str, Any]]:
    return {row["customer_id"]: row for row in lake.rows("from trial")}


def test_a_listing_is_a_lot_with_its_outcome(lake: Lake, settings: Settings) -> None:
    people = [f"c{number:03d}" for number in range(60)]
    put_list(lake, NIGHT, people, is_held_out)
    put(
        lake,
        "orders",
        [
            ordered(people[0], -1),
            ordered(people[0], 0),
            ordered(people[1], 89.9),
            ordered(people[2], 90),
            # Only sent back: that is no order, and it costs.
            ordered(people[3], 5, is_return=True, net_amount=-40),
        ],
    )
    staged = stage(lake, settings)
    found = subjects(lake)
    assert set(found) == set(people)
    assert {who for who, row in found.items() if not row["treated"]} == {
        who for who in people if is_held_out(who)
    }
    assert {who for who, row in found.items() if not row["lapsed"]} == {people[0], people[1]}
    assert [found[who]["margin_amount"] for who in people[:4]] == [30, 30, 0, -12]
    assert staged.actions == (("retention", "voucher"),)
    assert staged.newest_lots == (NIGHT,)
    read = read_subjects(lake, "retention", "voucher")
    assert read is not None
    assert (read.sources, len(set(read.trial.lots.tolist())), len(read.trial)) == (
        ("action list",),
        1,
        60,
    )
    assert (read.first_at, read.last_at) == (NIGHT, NIGHT)
    assert read_subjects(lake, "winback", "voucher") is None
    # The same once more is the same; another outcome is another.
    assert stage(lake, settings).fingerprint == staged.fingerprint
    put(lake, "orders", [ordered(people[5], 3)])
    assert stage(lake, settings).fingerprint != staged.fingerprint


def test_only_first_listings_count_and_only_matured_ones(lake: Lake, settings: Settings) -> None:
    """Who was contacted is not listed again for a while, who is held out is: not alike any more."""
    people = [f"c{number:03d}" for number in range(40)]
    put_list(lake, NIGHT, people[:30], is_held_out)
    put_list(lake, NIGHT + timedelta(days=10), [w for w in people if is_held_out(w)], is_held_out)
    put_list(lake, NIGHT + timedelta(days=11), people, is_held_out)
    put_list(lake, AS_OF - timedelta(days=20), ["late1", "late2"], is_held_out)
    staged = stage(lake, settings)
    assert not staged.notes
    found = subjects(lake)
    assert set(found) == set(people)
    assert all(found[who]["decided_at"] == NIGHT for who in people[:30])


def test_a_night_of_another_salt_is_not_what_is_declared(lake: Lake, settings: Settings) -> None:
    people = [f"c{number:03d}" for number in range(80)]
    put_list(lake, NIGHT, people, lambda who: is_held_out(who, salt="another"))
    assert stage(lake, settings).fingerprint[0] == 0


def test_a_list_made_again_counts_as_it_went_out(lake: Lake, settings: Settings) -> None:
    put_list(lake, NIGHT, ["a1", "a2", "a3"], is_held_out, run_id="first")
    put_list(lake, NIGHT, ["a2", "a4"], is_held_out, run_id="second")
    staged = stage(lake, settings)
    assert not staged.notes
    assert set(subjects(lake)) == {"a2", "a4"}


CAMPAIGN = {
    "campaign_ids": ["spring_*"],
    "declared_by": "the plan of spring",
    "lot_share": 0.5,
    "hold_out_attribute": "circle",
    "hold_out_values": ["quiet"],
    "action": "voucher",
}


@contextmanager
def lake_with(make_settings: MakeSettings, **campaign: Any) -> Iterator[Lake]:
    settings = make_settings(uplift={"campaigns": {"spring": {**CAMPAIGN, **campaign}}})
    with open_lake(settings) as lake:
        yield lake


def contact(customer: str, campaign: str, days: float = 0.4, **more: Any) -> dict[str, Any]:
    return {
        "customer_id": customer,
        "contact_id": f"{customer}-{campaign}",
        "contacted_at": NIGHT + timedelta(days=days),
        "campaign_id": campaign,
        **more,
    }


def put_spring(lake: Lake, people: Sequence[str], contacted: Sequence[str]) -> None:
    put(lake, "orders", [ordered(who, -10) for who in people])
    put(lake, "contacts", [contact(who, "spring_1") for who in contacted])


def test_who_could_have_been_drawn_by_a_campaign(make_settings: MakeSettings) -> None:
    with lake_with(make_settings) as lake:
        people = [f"p{number:02d}" for number in range(40)]
        put_spring(lake, people, people[:20])
        put(
            lake,
            "orders",
            [
                ordered("asleep", -400),
                ordered("newcomer", 1),
                ordered("returned", -5, is_return=True),
            ],
        )
        put(
            lake,
            "contacts",
            [
                # Opted out by an earlier contact; and by this one, which is no reason to leave out.
                contact(people[38], "winter", -60, opted_out_at=NIGHT - timedelta(days=59)),
                contact(people[0], "spring_1", opted_out_at=NIGHT + timedelta(days=1)),
            ],
        )
        put(
            lake,
            "customers",
            [
                {
                    "customer_id": who,
                    "recorded_at": NIGHT + timedelta(days=days),
                    "attributes": {"circle": circle},
                }
                for who, days, circle in (
                    (people[39], -50, "quiet"),
                    (people[37], 50, "quiet"),
                    (people[36], -50, "loud"),
                )
            ],
        )
        put_group(lake, NIGHT - timedelta(days=5), {people[1]: "g1"}, "before")
        put_group(lake, NIGHT + timedelta(days=5), {people[1]: "g2", people[2]: "g2"}, "after")
        staged = stage(lake, lake.settings)
        found = subjects(lake)
        assert set(found) == set(people) - {people[38], people[39]}
        assert {who for who, row in found.items() if row["treated"]} == set(people[:20])
        assert {row["decided_at"] for row in found.values()} == {NIGHT}
        assert {row["action"] for row in found.values()} == {"voucher"}
        # A group that was found out after the lot may come of it.
        assert {who: row["segment_id"] for who, row in found.items() if row["segment_id"]} == {
            people[1]: "g1"
        }
        assert [one.campaign_id for one in staged.undeclared] == ["winter"]


def test_shares_that_were_not_drawn_so_are_left_out(make_settings: MakeSettings) -> None:
    with lake_with(make_settings, lot_share=0.3) as lake:
        people = [f"p{number:03d}" for number in range(200)]
        put_spring(lake, people, people[:100])
        staged = stage(lake, lake.settings)
        assert not subjects(lake)
        assert staged.actions == ()
        assert "50.0% were contacted where 30.0% are declared" in staged.notes[0].en


def test_a_campaign_over_weeks_has_no_moment(make_settings: MakeSettings) -> None:
    with lake_with(make_settings) as lake:
        people = [f"p{number:02d}" for number in range(20)]
        put_spring(lake, people, people[:10])
        put(lake, "contacts", [contact(people[11], "spring_1", 9)])
        staged = stage(lake, lake.settings)
        assert not subjects(lake)
        assert "over 9 days" in staged.notes[0].en


def test_nobody_declares_so_nobody_is_a_subject(lake: Lake, settings: Settings) -> None:
    people = [f"p{number:02d}" for number in range(40)]
    put_spring(lake, people, people[:20])
    staged = stage(lake, settings)
    assert not subjects(lake)
    assert [(one.campaign_id, one.customers) for one in staged.undeclared] == [("spring_1", 20)]
