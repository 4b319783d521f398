"""The policy's own rules: what it names it must have, and the schema of the list is documented."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tasks.contracts import CUSTOMER_TABLES
from tasks.errors import ConfigurationError, UsageError
from tasks.settings import PROJECT
from tests.conftest import MakeSettings


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"rules": [{"action": "vouchers"}]}, "'vouchers' is not among"),
        ({"rules": [{"action": "voucher", "risk": ["huge"]}]}, "'huge' is not among"),
        ({"rules": [{"action": "voucher", "value": ["huge"]}]}, "'huge' is not among"),
        ({"winback": {"rules": [{"action": "voucher"}]}}, "'voucher' is not among"),
        ({"winback": {"rules": [{"action": "we_miss_you", "value": ["x"]}]}}, "'x' is not among"),
        ({"risk_bands": {"low": 0.1, "medium": 0.2, "high": 0.5}}, "must begin at 0"),
        ({"value_bands": {"low": 0.0, "middle": 0.5, "high": 0.5}}, "must begin at 0"),
        ({"hold_out_share": 0.0}, "greater than or equal to 0.01"),
        ({"offers": {"voucher": {"accept_share": 1.0}}}, "less than 1"),
        ({"rules": [{"action": "none", "segment": ["x"]}]}, "segment"),
    ],
)
def test_a_wrong_policy_is_refused(
    make_settings: MakeSettings, wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        make_settings(actions=wrong)
    assert said in str(raised.value)


def test_nobody_can_be_left_alone_by_a_name_of_an_offer(make_settings: MakeSettings) -> None:
    offer = {
        "words": {"en": "x", "ko": "x"},
        "channel": "email",
        "contact_cost_amount": "1",
        "offer_cost_amount": "0",
        "accept_share": 0.1,
    }
    with pytest.raises(ConfigurationError, match="cannot be the name of an offer"):
        make_settings(actions={"offers": {"none": offer}})


def test_the_documented_columns_are_those_of_the_files() -> None:
    text = (PROJECT / "docs" / "action-list.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(\w+)` \| ([\w(), ]+) \| (yes|) ?\|", text, flags=re.MULTILINE)
    assert [(name, kind.strip(), bool(may)) for name, kind, may in documented] == [
        (column.name, column.type, column.nullable)
        for column in CUSTOMER_TABLES["customer_actions"]
    ]


@pytest.mark.parametrize(("text", "amount"), [("1000", "1000"), ("1,000.50", "1000.50")])
def test_a_budget_as_a_person_types_it(text: str, amount: str) -> None:
    from flows.acting import read_amount

    assert str(read_amount(text)) == amount


@pytest.mark.parametrize("text", ["", "x", "0", "-5", "nan", "inf", "1e12", "0.00001"])
def test_no_budget(text: str) -> None:
    from flows.acting import read_amount

    with pytest.raises(UsageError):
        read_amount(text)
