"""Faults 20 to 35, 81 and 82 of the list: what is missing, hidden or hostile, and who decides."""

from __future__ import annotations

import gzip

from flows.decide import Choice
from tests.faults.fault import Fault
from tests.faults.fault_checks import (
    decided_by,
    escaped_in_exports,
    kept_as_text,
    nothing_live,
    nothing_owned,
    one_line_an_event,
    still_to_be_told,
)
from tests.faults.fault_deliveries import (
    BAD_LINE,
    FORMULAS,
    LOG_LINES,
    MARKUP,
    PEOPLE,
    SQL,
    STATIC,
    STORM_FILES,
    TEMPLATES,
    VISITS,
    bomb,
    cut_footer,
    deliver_storm,
    every,
    file,
    leak,
    line_of,
    orders,
    parquet,
    people,
    register,
    renamed,
    skip_a_month,
    spoil,
    table,
    text_of,
)
from tests.faults.fault_events import (
    DEAD_CHANNEL,
    TWO_PEOPLE,
    UNTIL,
    dead_channel,
    decide_at_once,
    deciding,
    replace_twice,
    set_aside,
    swapped_after_judging,
    swapped_at_the_source,
    then_train,
    written_meanwhile,
)
from tests.faults.fed_shop import (
    CANARY,
    HEADER,
    outcome_rows,
    usual_rows,
)

DELIVERY: tuple[Fault, ...] = (
    # 20: a delivery that did not come
    Fault(
        20,
        "a month is missing between two",
        skip_a_month,
        exit_code=75,
        code="GAP",
        level="gap",
        publishes=True,
        settings=VISITS,
        command=then_train,
    ),
    # 21: twice in the batch
    Fault(
        21,
        "every line twice",
        file([row for row in every()[:30] for _ in range(2)]),
        code="DUP_KEY",
    ),
    # 22: an id given to somebody else
    Fault(
        22,
        "registered anew, long after the last order",
        file(people("2025-06-01"), "2025.csv", "people"),
        code="ID_REUSE",
        column="customer_id",
        prepare=register,
        settings=PEOPLE,
    ),
    # 23: a feature that knows the outcome
    Fault(
        23,
        "a column that was filled after the customer had left",
        leak,
        code="LEAK",
        level="fault",
        publishes=True,
        settings=STATIC,
        command=then_train,
    ),
    # 24: the outcome
    Fault(
        24,
        "turned round",
        file(
            outcome_rows("2024-02", churned=70).replace(b"2024-02-3@shop.test", CANARY.encode()),
            "2024-02.csv",
            "outcomes",
        ),
        code="LABEL",
        column="churned",
    ),
    Fault(
        24,
        "nobody has left, since the window is not over",
        file(
            outcome_rows("2024-02", churned=0).replace(b"2024-02-3@shop.test", CANARY.encode()),
            "2024-02.csv",
            "outcomes",
        ),
        code="LABEL",
        column="churned",
        variant=True,
    ),
    # 25: drift
    Fault(
        25,
        "all goods are new",
        file(every(kind=lambda row: "car")),
        code="DRIFT",
        column="category",
    ),
    Fault(
        25,
        "a twentieth of the goods is new: a warning",
        file(spoil([1, 2, 3], kind="mug")),
        exit_code=0,
        publishes=True,
    ),
    Fault(
        25,
        "eleven times the lines",
        file([row | {"customer": CANARY} for row in usual_rows(prefix="many", rows=660)]),
        code="VOLUME",
    ),
    # 26: limits
    Fault(26, "a file too large", file(b"x" * 7_000_000), code="LIMIT"),
    Fault(26, "a value of 3 MB", file(spoil([4], kind="k" * 3_000_000)), code="LIMIT", lines=(6,)),
    Fault(
        26, "10,000 columns", file(",".join(f"c{n}" for n in range(10_000)) + "\n1\n"), code="LIMIT"
    ),
    Fault(
        26,
        "more rows than allowed",
        file(",".join(HEADER) + "\n" + (BAD_LINE + "\n") * 56_000),
        code="LIMIT",
        variant=True,
    ),
    # 27: bombs
    Fault(
        27,
        "a gzip of good lines without end",
        file(
            gzip.compress(
                (",".join(HEADER) + "\n" + (BAD_LINE + "k" * 300 + "\n") * 50_000).encode()
            )
        ),
        code="BOMB",
    ),
    Fault(27, "a Parquet file that unpacks to 10 GB", bomb, code="BOMB"),
    Fault(
        27,
        "a Parquet file with a damaged footer",
        lambda shop: parquet(shop, table(60), cut_footer),
        code="MALFORMED",
    ),
    # 28: still being written
    Fault(
        28,
        "it was changed a moment ago",
        file(spoil([4])),
        exit_code=75,
        settings=orders(settle_seconds=3_600.0),
    ),
    Fault(
        28,
        "its checksum is not there yet",
        file(spoil([4])),
        exit_code=75,
        settings=orders(checksum_file=True),
        variant=True,
    ),
    Fault(
        28,
        "it grows while it is copied",
        file(spoil([4])),
        exit_code=75,
        inject=written_meanwhile,
        heals=True,
        again_exit_code=0,
    ),
    # 29: changed meanwhile
    Fault(
        29,
        "swapped at the source: we work from our copy",
        file(spoil([4])),
        exit_code=0,
        publishes=True,
        inject=swapped_at_the_source,
        check=kept_as_text("currency", ["EUR"]),
    ),
    Fault(
        29,
        "the judged file is swapped before it is published",
        file(spoil([4])),
        code="CHANGED",
        inject=swapped_after_judging,
        heals=True,
        again_exit_code=0,
    ),
    # 30: names
    *(
        Fault(
            30,
            ascii(name),
            file(spoil([4]), name),
            exit_code=77,
            code="NAME",
            level="fault",
            variant=len(name) > 9,
        )
        for name in ("b*.csv", "a\nb.csv", "x" * 101 + ".csv", "$(id).csv")
    ),
    Fault(
        30,
        "a symbolic link",
        lambda shop: (shop.source_folder / "orders" / "a.csv").symlink_to("/etc/hostname"),
        exit_code=77,
        code="NAME",
        level="fault",
    ),
    # 31: SQL
    *(
        Fault(
            31,
            f"a column named {payload}",
            file(renamed("kind", f'"{payload}"'.replace('x"', 'x""'))),
            code="SCHEMA",
            column="kind",
            check=nothing_owned,
        )
        for payload in SQL[::2]
    ),
    Fault(
        31,
        "in values",
        file(
            [
                row | {"number": number}
                for row, number in zip(
                    spoil([4]), SQL + [f"n{n}" for n in range(4, 60)], strict=True
                )
            ]
        ),
        exit_code=0,
        publishes=True,
        check=kept_as_text("order_id", SQL),
    ),
    # 32: formulas
    Fault(
        32,
        "formulas in texts",
        file(
            [
                row | {"number": number}
                for row, number in zip(
                    spoil([4]), FORMULAS + [f"f{n}" for n in range(len(FORMULAS), 60)], strict=True
                )
            ]
        ),
        exit_code=0,
        publishes=True,
        check=escaped_in_exports,
        settings=orders(text={"newlines_in_values": True}),
    ),
    # 33: markup
    Fault(
        33,
        "in values",
        file(
            [
                row | {"number": number}
                for row, number in zip(
                    spoil([4]), MARKUP + [f"m{n}" for n in range(len(MARKUP), 60)], strict=True
                )
            ]
        ),
        exit_code=0,
        publishes=True,
        check=nothing_live,
        variant=True,
    ),
    Fault(
        33,
        "in a bad value",
        file(spoil(range(0, 60, 2), money=MARKUP[0], kind=MARKUP[1])),
        code="CURRENCY",
        column="currency",
        check=nothing_live,
    ),
    # 34: lines for the log
    Fault(
        34,
        "in values",
        file(
            [
                row | {"number": number}
                for row, number in zip(
                    spoil([4]),
                    LOG_LINES + [f"l{n}" for n in range(len(LOG_LINES), 60)],
                    strict=True,
                )
            ]
        ),
        exit_code=0,
        publishes=True,
        check=one_line_an_event,
        variant=True,
    ),
    Fault(
        34,
        "in a column's name",
        file(renamed("kind", '"' + "".join(LOG_LINES) + '"')),
        code="SCHEMA",
        column="kind",
        check=one_line_an_event,
    ),
    # 35: templates
    *(
        Fault(35, payload, file(spoil([4], paid=payload)), code="TYPE", column="paid", lines=(6,))
        for payload in TEMPLATES[:1]
    ),
    *(
        Fault(
            35,
            f"a column named {payload}",
            file(renamed("kind", payload)),
            code="SCHEMA",
            column="kind",
        )
        for payload in TEMPLATES[2:4]
    ),
    # 81: decided twice, wrongly, by one where two are needed, or at once
    Fault(
        81,
        "discarded, and then waived by another",
        set_aside,
        exit_code=64,
        command=deciding(
            Choice("", "discard", "ann", reason="not ours"),
            Choice("", "waive", "bob", reason="ours", until=UNTIL),
        ),
        check=decided_by("ann"),
    ),
    Fault(
        81,
        "discarded twice",
        set_aside,
        exit_code=0,
        command=deciding(*[Choice("", "discard", "ann", reason="not ours")] * 2),
        check=decided_by("ann"),
        variant=True,
    ),
    Fault(
        81,
        "another item than there is",
        file(spoil([4])[:0]),
        exit_code=64,
        command=deciding(Choice("item-99999", "discard", "ann", reason="not ours")),
    ),
    Fault(
        81,
        "released twice",
        set_aside,
        exit_code=0,
        publishes=True,
        command=replace_twice,
        check=decided_by("ann"),
    ),
    Fault(
        81,
        "released by one where two are needed",
        set_aside,
        exit_code=77,
        code="UNIT_SHIFT",
        state="waiting",
        settings=TWO_PEOPLE,
        command=deciding(
            Choice("", "waive", "ann", reason="new prices", until=UNTIL),
            Choice("", "approve", "ann"),
        ),
        check=decided_by("ann"),
    ),
    Fault(
        81,
        "released by two",
        set_aside,
        exit_code=0,
        publishes=True,
        settings=TWO_PEOPLE,
        command=deciding(
            Choice("", "waive", "ann", reason="new prices", until=UNTIL),
            Choice("", "approve", "bob"),
        ),
    ),
    Fault(
        81,
        "decided differently by two at once",
        set_aside,
        exit_code=64,
        publishes=None,
        command=decide_at_once,
    ),
    # 82: a storm
    Fault(
        82,
        "many bad files with one cause",
        deliver_storm,
        code="MALFORMED",
        batches=STORM_FILES,
    ),
    Fault(
        82,
        "nobody can be told: the queue is the truth",
        file(line_of(text_of(), 6, lambda s: s.rpartition(",")[0])),
        code="MALFORMED",
        lines=(6,),
        settings={
            "oncall": {
                "channels": [{"name": "ops", "kind": "webhook", "url_variable": DEAD_CHANNEL}]
            }
        },
        inject=dead_channel,
        check=still_to_be_told,
    ),
)
