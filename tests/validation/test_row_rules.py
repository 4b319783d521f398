"""Each rule about single rows: the rows that break it are set aside, their neighbours are not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tasks.settings import Settings
from tasks.validation.history import NoHistory
from tasks.validation.judging import validate
from tests.validation.drawing import draw, failed, fill, rejected, result

pytestmark = pytest.mark.sql

WithRules = Callable[..., Settings]

NOW = datetime(2024, 4, 1, tzinfo=UTC)


def judge(directory: Path, settings: Settings, table: str, text: str) -> dict[int, list[str]]:
    verdict = validate(draw(directory, table, text), NoHistory(), settings, now=NOW)
    assert verdict.outcome == "accepted", failed(verdict)
    assert verdict.accepted_rows + verdict.quarantined_rows == verdict.received_rows
    found = rejected(verdict)
    assert verdict.quarantined_rows == len(found)
    return found


def test_orders_without_a_customer_are_set_aside(tmp_path: Path, lenient: Settings) -> None:
    found = judge(
        tmp_path,
        lenient,
        "orders",
        """
        customer_id | net_amount
        a           | 10
        -           | 10          # NULL
        ''          | 10          # the empty text
        nan         | 10          # what a program writes for a missing number
        Null        | 10          # in any case
        nancy       | 10          # a name that begins like one
        0           | 10          # a number is an id
        """,
    )
    assert found == {row: ["customer_id_present"] for row in (3, 4, 5, 6)}


@pytest.mark.parametrize("blank", [" ", "\t", "\u00a0", " \u200b "])
def test_a_blank_customer_is_no_customer(tmp_path: Path, lenient: Settings, blank: str) -> None:
    staged = fill(
        tmp_path, "orders", 3, customer_id=f"case when n = 1 then '{blank}' else 'c' || n end"
    )
    verdict = validate(staged, NoHistory(), lenient, now=NOW)
    assert rejected(verdict) == {3: ["customer_id_present"]}


def test_required_values_are_there(tmp_path: Path, lenient: Settings) -> None:
    found = judge(
        tmp_path,
        lenient,
        "orders",
        """
        order_id | ordered_at             | quantity | net_amount | currency | is_return
        1        | 2024-03-01 10:00:00+00 | 1        | 10         | GBP      | false
        -        | 2024-03-01 10:00:00+00 | 1        | 10         | GBP      | false
        3        | -                      | 1        | 10         | GBP      | false
        4        | 2024-03-01 10:00:00+00 | -        | 10         | GBP      | false
        5        | 2024-03-01 10:00:00+00 | 1        | -          | GBP      | false
        6        | 2024-03-01 10:00:00+00 | 1        | 10         | -        | false
        7        | 2024-03-01 10:00:00+00 | 1        | 10         | GBP      | -
        8        | -                      | -        | -          | -        | - # all at once
        """,
    )
    assert found == {
        3: ["order_id_present"],
        4: ["ordered_at_present"],
        5: ["quantity_present"],
        6: ["net_amount_present"],
        7: ["currency_present"],
        8: ["is_return_present"],
        9: [
            "currency_present",
            "is_return_present",
            "net_amount_present",
            "ordered_at_present",
            "quantity_present",
        ],
    }


def test_times_that_cannot_be(tmp_path: Path, lenient: Settings) -> None:
    found = judge(
        tmp_path,
        lenient,
        "orders",
        """
        ordered_at
        2024-03-20 10:00:00+00
        2024-03-20 11:00:00+00
        2024-03-20 12:00:00+00
        2024-03-20 13:00:00+00
        2024-03-20 14:00:00+00
        2024-03-31 23:59:00+00
        1970-01-01 00:00:00+00   # a missing date in disguise
        1900-01-01 00:00:00+00   # another
        2024-04-02 01:59:00+00   # ahead, but within the allowance for a wrong zone
        2024-04-02 02:01:00+00   # ahead of every clock
        9999-12-31 00:00:00+00   # "for ever"
        """,
    )
    assert found == {row: ["ordered_at_plausible"] for row in (8, 9, 11, 12)}


def test_the_year_2023_in_a_batch_of_2021_is_no_time_of_it(
    tmp_path: Path, lenient: Settings
) -> None:
    # The deployment's clock is its data: one such row would make every customer look lapsed.
    found = judge(
        tmp_path,
        lenient,
        "orders",
        """
        ordered_at
        2021-03-01 10:00:00+00
        2021-03-05 10:00:00+00
        2021-03-10 10:00:00+00
        2021-03-20 10:00:00+00
        2021-03-25 10:00:00+00
        2021-04-20 10:00:00+00   # late, but not far out
        2023-03-10 10:00:00+00   # a slip of the year
        2020-03-10 10:00:00+00   # early rows are a late delivery, which may be
        """,
    )
    assert found == {8: ["ordered_at_plausible"]}


def test_a_clock_that_runs_takes_what_is_not_in_the_future(
    tmp_path: Path, with_rules: WithRules
) -> None:
    settings = with_rules(clock={"as_of": "now"})
    text = "ordered_at\n2021-03-01 10:00:00+00\n2024-03-20 10:00:00+00"
    verdict = validate(draw(tmp_path, "orders", text), NoHistory(), settings, now=NOW)
    assert rejected(verdict) == {}


def test_amounts_out_of_range(tmp_path: Path, lenient: Settings) -> None:
    found = judge(
        tmp_path,
        lenient,
        "orders",
        """
        quantity | net_amount  | discount_amount | is_return
        1        | 10          | 0               | false
        100000   | 1000000     | 5               | false      # at the limit is within it
        100000.5 | 10          | -               | false
        1        | 1000000.001 | -               | false
        -100001  | -10         | -               | true
        1        | 10          | -0.01           | false      # a surcharge is no discount
        """,
    )
    assert found == {
        4: ["quantity_in_range"],
        5: ["net_amount_in_range"],
        6: ["quantity_in_range"],
        7: ["discount_amount_in_range"],
    }


def test_the_sign_of_sales_and_returns(tmp_path: Path, lenient: Settings) -> None:
    found = judge(
        tmp_path,
        lenient,
        "orders",
        """
        quantity | net_amount | is_return
        1        | 10         | false      # a sale
        -1       | -10        | true       # a return
        -1       | 0          | true       # goods back, no money
        0        | -10        | true       # money back, no goods
        1        | -10        | true       # a return that gives goods
        -1       | 10         | true       # a return that takes money
        -1       | 10         | false      # a sale that takes goods
        1        | -10        | false      # a sale that gives money
        1        | 0          | false      # a gift: reported, kept
        """,
    )
    assert found == {
        6: ["return_sign"],
        7: ["return_sign"],
        8: ["return_sign"],
        9: ["price_not_negative"],
    }


def test_a_warning_keeps_its_rows(tmp_path: Path, lenient: Settings) -> None:
    staged = draw(tmp_path, "orders", "net_amount\n10\n0\n0\n12")
    verdict = validate(staged, NoHistory(), lenient, now=NOW)
    gifts = result(verdict, "price_not_zero")
    assert (gifts.severity, gifts.failed_rows, gifts.passed) == ("warn", 2, False)
    assert verdict.quarantined_rows == 0
    assert verdict.rejects_path is None


def test_currencies(tmp_path: Path, lenient: Settings, with_rules: WithRules) -> None:
    text = """
        currency
        GBP
        gbp        # no code
        £          # no code
        """
    assert judge(tmp_path, lenient, "orders", text) == {
        3: ["currency_allowed"],
        4: ["currency_allowed"],
    }
    only_euro = with_rules(
        {"currency_allowed": {"allowed": ["EUR"], "stop_above_share": 1.0}},
        {"one_currency": {"stop_above": 2}},
    )
    assert judge(tmp_path, only_euro, "orders", "currency\nEUR\nJPY") == {3: ["currency_allowed"]}


def test_rows_that_repeat(tmp_path: Path, lenient: Settings) -> None:
    found = judge(
        tmp_path,
        lenient,
        "orders",
        """
        customer_id | order_id | product_id | ordered_at             | net_amount | category
        a           | 1        | p          | 2024-03-01 10:00:00+00 | 10         | -
        a           | 1        | p          | 2024-03-01 10:00:00+00 | 10         | - # equal
        a           | 1        | p          | 2024-03-01 10:00:00+00 | 10         | - # and again
        a           | 1        | p          | 2024-03-01 10:00:00+00 | 11         | - # amount
        a           | 1        | p          | 2024-03-01 10:00:00+00 | 10         | x # category
        b           | 1        | p          | 2024-03-01 10:00:00+00 | 10         | - # customer
        """,
    )
    assert found == {3: ["row_repeated"], 4: ["row_repeated"]}


def test_keys_that_repeat(tmp_path: Path, lenient: Settings) -> None:
    found = judge(
        tmp_path,
        lenient,
        "tickets",
        """
        customer_id | ticket_id | topic
        a           | 1         | bill
        a           | 2         | bill
        b           | 1         | order    # the same ticket says something else: the first stays
        c           | -         | bill     # without an id, that is what is wrong
        c           | -         | bill
        """,
    )
    assert found[4] == ["ticket_id_repeated"]
    assert found[5] == ["ticket_id_present"]
    assert "ticket_id_repeated" not in found[6]


def test_events_may_lack_an_id_and_be_alike(tmp_path: Path, lenient: Settings) -> None:
    staged = draw(
        tmp_path,
        "events",
        """
        customer_id | event_id | occurred_at            | kind
        a           | -        | 2024-03-01 10:00:00+00 | click
        a           | -        | 2024-03-01 10:00:00+00 | click   # twice in a second: reported
        a           | 7        | 2024-03-01 10:00:00+00 | click
        b           | 7        | 2024-03-01 11:00:00+00 | visit   # an id that was given before
        """,
    )
    verdict = validate(staged, NoHistory(), lenient, now=NOW)
    assert rejected(verdict) == {5: ["event_id_repeated"]}
    assert result(verdict, "row_repeated").failed_rows == 1


def test_event_values_are_finite(tmp_path: Path, lenient: Settings) -> None:
    found = judge(
        tmp_path,
        lenient,
        "events",
        """
        value
        1.5
        -
        nan
        inf      # 1e400 is read as this
        -inf
        1e300    # finite, and no value of an event
        """,
    )
    assert found == {
        4: ["value_finite", "value_in_range"],
        5: ["value_finite", "value_in_range"],
        6: ["value_finite", "value_in_range"],
        7: ["value_in_range"],
    }


def test_what_follows_is_not_before_what_it_follows(tmp_path: Path, lenient: Settings) -> None:
    tickets = judge(
        tmp_path,
        lenient,
        "tickets",
        """
        opened_at              | closed_at
        2024-03-02 10:00:00+00 | 2024-03-02 10:00:00+00   # at once
        2024-03-02 10:00:00+00 | -                        # still open
        2024-03-02 10:00:00+00 | 2024-03-02 09:59:59+00   # closed before it was opened
        2024-03-02 10:00:00+00 | 2025-03-02 09:59:59+00   # closed next year
        """,
    )
    assert tickets == {4: ["closed_at_after_opened_at"], 5: ["closed_at_plausible"]}
    contacts = judge(
        tmp_path,
        lenient,
        "contacts",
        """
        contacted_at  | opened_at     | responded_at  | opted_out_at
        2024-03-02 | 2024-03-03 | 2024-03-03 | -
        2024-03-02 | 2024-03-01 | -             | -
        2024-03-02 | -             | 2024-03-01 | -
        2024-03-02 | -             | -             | 2024-03-01
        """,
    )
    assert contacts == {
        3: ["opened_at_after_contacted_at"],
        4: ["responded_at_after_contacted_at"],
        5: ["opted_out_at_after_contacted_at"],
    }
    subscriptions = judge(
        tmp_path,
        lenient,
        "subscriptions",
        """
        started_at             | ended_at               | period_amount
        2024-03-02 10:00:00+00 | 2026-03-02 10:00:00+00 | 10     # an end may be agreed
        2024-03-02 10:00:00+00 | 2024-03-01 10:00:00+00 | 10
        2024-03-02 10:00:00+00 | -                      | -1
        """,
    )
    assert subscriptions == {3: ["ended_at_after_started_at"], 4: ["period_amount_in_range"]}
    customers = judge(
        tmp_path,
        lenient,
        "customers",
        """
        customer_id | registered_at          | recorded_at
        a           | 2024-01-01 00:00:00+00 | 2024-03-01 00:00:00+00
        a           | 2024-01-01 00:00:00+00 | 2024-03-02 00:00:00+00   # seen again, later
        a           | 2023-01-01 00:00:00+00 | 2024-03-01 00:00:00+00   # twice at one time
        b           | 2024-03-09 00:00:00+00 | 2024-03-01 00:00:00+00   # seen before it existed
        """,
    )
    assert customers == {4: ["customer_id_repeated"], 5: ["recorded_at_after_registered_at"]}


def test_scores_of_satisfaction(tmp_path: Path, lenient: Settings) -> None:
    found = judge(tmp_path, lenient, "tickets", "satisfaction_score\n5\n-\nnan\n101\n-1\n100")
    assert found == {
        4: ["satisfaction_score_finite", "satisfaction_score_in_range"],
        5: ["satisfaction_score_in_range"],
        6: ["satisfaction_score_in_range"],
    }


def test_numbers_of_a_labelled_set_are_finite(tmp_path: Path, lenient: Settings) -> None:
    found = judge(
        tmp_path,
        lenient,
        "labelled",
        """
        customer_id | churned | numbers
        a           | true    | {tenure=1.0, spend=2.0}
        b           | false   | {tenure=1.0, spend=nan}
        c           | false   | {tenure=inf, spend=1.0}
        d           | -       | {tenure=1.0, spend=2.0}   # no label
        a           | false   | {tenure=1.0, spend=2.0}   # one customer, two labels
        e           | false   | {}
        """,
    )
    assert found == {
        3: ["numbers_finite"],
        4: ["numbers_finite"],
        5: ["churned_present"],
        6: ["customer_id_repeated"],
    }


def test_codes_that_are_no_product(tmp_path: Path, with_rules: WithRules) -> None:
    pattern = "POST|BANK CHARGES|O'NEIL:1"
    settings = with_rules({"product_code": {"severity": "quarantine", "pattern": pattern}})
    found = judge(
        tmp_path, settings, "orders", "product_id\n85048\nPOST\nPOSTER\nBANK CHARGES\nO'NEIL:1\n-"
    )
    assert found == {3: ["product_code"], 5: ["product_code"], 6: ["product_code"]}


def test_the_raw_line_goes_with_the_row(tmp_path: Path, lenient: Settings) -> None:
    import pyarrow.parquet as pq

    staged = draw(tmp_path, "orders", "customer_id | net_amount\n-|1\nb|-5\n-|-5")
    verdict = validate(staged, NoHistory(), lenient, now=NOW)
    assert verdict.rejects_path is not None
    rejects = pq.read_table(verdict.rejects_path).to_pylist()
    assert [(r["row_number"], r["rule"], r["raw_line"]) for r in rejects] == [
        (2, "customer_id_present", "line 2"),
        (3, "price_not_negative", "line 3"),
        (4, "customer_id_present", "line 4"),
        (4, "price_not_negative", "line 4"),
    ]
    assert rejects[0]["reason"] == "customer_id is missing"
    # A row that breaks two rules is set aside once.
    assert verdict.quarantined_rows == 3


def test_a_rule_set_to_off_is_not_looked_at(tmp_path: Path, with_rules: WithRules) -> None:
    settings = with_rules({"price_not_negative": {"severity": "off"}})
    staged = draw(tmp_path, "orders", "net_amount\n10\n-5")
    verdict = validate(staged, NoHistory(), settings, now=NOW)
    assert verdict.outcome == "accepted"
    assert "price_not_negative" not in {r.rule for r in verdict.results}


@pytest.mark.parametrize(
    ("severity", "outcome", "aside"),
    [("warn", "accepted", 0), ("quarantine", "accepted", 1), ("stop", "stopped", 4)],
)
def test_one_rule_warns_quarantines_or_stops_as_it_is_told(
    tmp_path: Path, with_rules: WithRules, severity: str, outcome: str, aside: int
) -> None:
    settings = with_rules({"price_not_negative": {"severity": severity, "stop_above_share": 0.5}})
    staged = draw(tmp_path, "orders", "net_amount\n10\n-5\n10\n10")
    verdict = validate(staged, NoHistory(), settings, now=NOW)
    assert (verdict.outcome, verdict.quarantined_rows) == (outcome, aside)
    assert result(verdict, "price_not_negative").severity == severity


def test_the_same_rule_stops_above_its_ceiling(tmp_path: Path, with_rules: WithRules) -> None:
    settings = with_rules({"price_not_negative": {"stop_above_share": 0.5}})
    half = draw(tmp_path, "orders", "net_amount\n10\n-5\n10\n-5")
    assert validate(half, NoHistory(), settings, now=NOW).outcome == "accepted"
    more = draw(tmp_path, "orders", "net_amount\n10\n-5\n-6\n-5")
    verdict = validate(more, NoHistory(), settings, now=NOW)
    assert verdict.outcome == "stopped"
    assert verdict.quarantined_rows == verdict.received_rows == 4
    assert result(verdict, "price_not_negative").limit == "50% (stop)"
