"""Faults 1 to 19 of the list: what a file holds, and when and how often it comes."""

from __future__ import annotations

from tests.faults.fault import Fault
from tests.faults.fault_checks import (
    kept_as_text,
    known,
    noted,
    only_its_day,
    ordered_by_number,
    same_as_usual,
)
from tests.faults.fault_deliveries import (
    BAD_LINE,
    GOOD_LINE,
    every,
    extended,
    file,
    line_of,
    moved,
    orders,
    renamed,
    republish,
    spoil,
    text_of,
    without,
)
from tests.faults.fault_events import (
    clock_set_back,
)
from tests.faults.fed_shop import (
    CANARY,
    HEADER,
    HISTORY,
    LATE,
    TODAY,
    as_csv,
    usual_rows,
)

CONTENT: tuple[Fault, ...] = (
    # 1: malformed
    Fault(
        1,
        "a field too few",
        file(line_of(text_of(), 6, lambda s: s.rpartition(",")[0])),
        code="MALFORMED",
        lines=(6,),
    ),
    Fault(
        1,
        "a quote left open",
        file(line_of(text_of(), 6, lambda s: '"' + s)),
        code="MALFORMED",
        lines=(6,),
    ),
    Fault(
        1,
        "cut off in a line",
        file(text_of(spoil([58, 59]))[:-20]),
        code="MALFORMED",
        lines=(61,),
        variant=True,
    ),
    Fault(
        1,
        "another delimiter, never a table of one column",
        file(text_of().replace(",", ";")),
        code="SCHEMA",
        column="customer",
    ),
    # 2: empty
    Fault(2, "no bytes", file(b""), code="EMPTY"),
    Fault(2, "a header alone", file(as_csv([])), code="EMPTY"),
    # 3: encoding
    Fault(
        3,
        "latin-1",
        file(text_of(spoil([4], kind="th\xe9")).encode("latin-1")),
        code="ENCODING",
        says="byte",
        lines=(6,),
    ),
    Fault(
        3,
        "UTF-16",
        file(text_of().encode("utf-16")),
        code="ENCODING",
        says="byte",
        variant=True,
    ),
    Fault(3, "NUL", file(text_of(spoil([4], kind="t\0a"))), code="ENCODING", says="byte"),
    Fault(
        3,
        "a byte order mark is no fault",
        file(b"\xef\xbb\xbf" + as_csv(spoil([4]))),
        exit_code=0,
        publishes=True,
        check=kept_as_text("category", ["tea", "cup"]),
        variant=True,
    ),
    # 4: a column is missing
    *(
        Fault(
            4,
            f"without {column}",
            file(without(column)),
            code="SCHEMA",
            column=column,
            says=f"'{column}'",
        )
        for column in ("customer", "paid")
    ),
    Fault(
        4,
        "without the header",
        file(text_of().partition("\n")[2].replace("c0@shop.test", CANARY)),
        code="SCHEMA",
        column="customer",
    ),
    # 5: other columns
    Fault(
        5,
        "a renamed column, met with the nearest name",
        file(renamed("quantity", "quantiti")),
        code="SCHEMA",
        column="quantity",
        says="is it 'quantiti'",
    ),
    Fault(5, "a doubled column", file(extended("paid", "1.00")), code="SCHEMA", column="paid"),
    Fault(
        5,
        "an extra column is dropped with a note",
        file(extended("comment")),
        exit_code=0,
        publishes=True,
        check=noted("not declared: 'comment'"),
    ),
    Fault(
        5,
        "columns in another order",
        file(as_csv(spoil([4]), HEADER[::-1])),
        exit_code=0,
        publishes=True,
        check=same_as_usual,
        variant=True,
    ),
    # 6: another type, late in the file
    Fault(
        6,
        "a word among numbers at row 50,001",
        file(
            ",".join(HEADER)
            + "\n"
            + (GOOD_LINE + "\n") * 50_000
            + BAD_LINE.replace(",2,", ",two,")
            + "\n"
        ),
        code="TYPE",
        column="quantity",
        lines=(50_002,),
    ),
    Fault(
        6,
        "a line whose fields have slipped",
        file(
            line_of(
                text_of(), 6, lambda s: ",".join(["new-4", "x", TODAY, CANARY, *s.split(",")[4:]])
            )
        ),
        code="TYPE",
        column="quantity",
        lines=(6,),
    ),
    # 7: another notation
    Fault(7, "1,50", file(spoil([4], paid="1,50")), code="FORMAT", column="paid", lines=(6,)),
    Fault(
        7,
        "1.000,50",
        file(spoil([4], paid="1.000,50")),
        code="FORMAT",
        column="paid",
        lines=(6,),
        variant=True,
    ),
    Fault(
        7,
        "1.000 that may be one or a thousand",
        file(every(paid=lambda row: "1.000")),
        code="FORMAT",
        column="paid",
        says="two readings",
    ),
    Fault(
        7,
        "day and month",
        file(spoil([4], stamp="03/04/2024 10:00")),
        code="FORMAT",
        column="stamp",
        lines=(6,),
    ),
    Fault(
        7,
        "days read as months, each a date",
        file(every(stamp=lambda row: f"2024-{1 + int(row['number'][4:]) % 12:02}-03T10:00:00Z")),
        code="FUTURE|TIME_SPAN",
    ),
    # 8: identifiers
    Fault(
        8,
        "leading zeros and more than a float holds",
        file(
            [
                row | {"number": number}
                for row, number in zip(
                    spoil([4]),
                    [
                        "007",
                        "9007199254740993",
                        "1e5",
                        "-0",
                        "NaN",
                        *(f"0{n}" for n in range(5, 60)),
                    ],
                    strict=True,
                )
            ]
        ),
        exit_code=0,
        publishes=True,
        check=kept_as_text("order_id", ["007", "9007199254740993", "1e5", "-0", "NaN", "05"]),
    ),
    # 9: missing values
    Fault(
        9,
        "a column all of whose values are gone",
        file(every(kind=lambda row: "")),
        code="NULLS",
        column="category",
    ),
    Fault(
        9,
        "a required column all of whose values are gone",
        file(every(money=lambda row: "")),
        code="NULLS",
        column="currency",
        variant=True,
    ),
    Fault(
        9,
        "a third of the orders without a number",
        file(spoil(range(0, 60, 3), number="")),
        code="NULLS",
        column="order_id",
    ),
    # 10: not finite
    *(
        Fault(
            10,
            value,
            file(spoil([4], paid=value)),
            code="NONFINITE",
            column="paid",
            lines=(6,),
            variant=value != "NaN",
        )
        for value in ("NaN", "1e400")
    ),
    # 11: another unit
    Fault(
        11,
        "cents",
        file(every(paid=lambda row: f"{float(row['paid']) * 100:.2f}")),
        code="UNIT_SHIFT",
        column="net_amount",
        says="ratio 100",
    ),
    Fault(
        11,
        "thousandths",
        file(every(paid=lambda row: f"{float(row['paid']) * 1000:.2f}")),
        code="UNIT_SHIFT",
        column="net_amount",
        says="ratio 1e\\+03|ratio 1000",
        variant=True,
    ),
    Fault(
        11,
        "a rise of a fifth is none",
        file(
            every(
                customer=lambda row: row["customer"],
                paid=lambda row: f"{float(row['paid']) * 1.2:.2f}",
            )
        ),
        exit_code=0,
        publishes=True,
    ),
    # 12: another currency
    Fault(12, "yen", file(every(money=lambda row: "JPY")), code="CURRENCY", column="currency"),
    Fault(
        12,
        "two currencies",
        file(spoil(range(0, 60, 2), money="JPY")),
        code="CURRENCY",
        column="currency",
        variant=True,
    ),
    Fault(
        12,
        "an address where the currency stood",
        file(spoil([4], money=CANARY)),
        code="CURRENCY",
        column="currency",
    ),
    # 13: time zones
    Fault(
        13,
        "a time without a zone",
        file(spoil([4], stamp="2024-03-08 10:00:00")),
        code="TZ",
        column="stamp",
        lines=(6,),
    ),
    Fault(
        13,
        "an hour that the clock has twice",
        file(spoil(range(60), stamp="2023-10-29 01:30:00")),
        code="TZ",
        column="stamp",
        settings=orders(time_zone="Europe/London"),
    ),
    Fault(
        13,
        "an hour that the clock has never",
        file(spoil(range(60), stamp="2024-03-31 01:30:00")),
        code="TZ",
        column="stamp",
        settings=orders(time_zone="Europe/London"),
        variant=True,
    ),
    *(
        Fault(
            13,
            f"a whole day whose times were moved by {said} hours",
            file(moved(hours)),
            code="TZ",
            column="ordered_at",
            says=f"order times look moved by \\{said} hours",
            variant=hours < 0,
        )
        for hours, said in ((9, "+9"), (-8, "-8"))
    ),
    Fault(
        13,
        "a day an hour later, as when clocks are changed, is none",
        file(moved(1)),
        exit_code=0,
        publishes=True,
        variant=True,
    ),
    # 14: times that cannot be
    *(
        Fault(
            14,
            stamp,
            file(spoil(range(0, 60, 6), stamp=f"{stamp}T00:00:00Z")),
            code="FUTURE",
            column="ordered_at",
            variant=stamp.startswith("9"),
        )
        for stamp in ("1970-01-01", "9999-12-31")
    ),
    # 15: the clock
    Fault(
        15,
        "the host's clock is set back by a day",
        file(spoil([4])),
        exit_code=0,
        publishes=True,
        inject=clock_set_back,
        check=ordered_by_number,
    ),
    # 16: delivered twice
    Fault(
        16,
        "the same file under its name",
        file(as_csv(usual_rows(HISTORY[-1])), f"{HISTORY[-1]}.csv"),
        exit_code=0,
        check=known,
    ),
    Fault(
        16,
        "the same file under another name",
        file(as_csv(usual_rows(HISTORY[-1])), "again.csv"),
        exit_code=0,
        check=known,
    ),
    Fault(
        16,
        "its rows among others",
        file(
            [row | {"customer": row["customer"]} for row in usual_rows(HISTORY[-1])[:30]]
            + usual_rows(prefix="new")[30:]
        ),
        code="DUPLICATE",
        variant=True,
    ),
    # 17: another content under a name
    Fault(17, "a byte of a published file is changed", republish, code="CONFLICT"),
    # 18: old content
    Fault(
        18,
        "an old day again, after the newer ones",
        file(as_csv(usual_rows(HISTORY[0])), f"{HISTORY[0]}.csv"),
        exit_code=0,
        check=known,
    ),
    Fault(
        18,
        "an old day again, with a line more",
        file(usual_rows(HISTORY[0]) + spoil([4])[4:5], "2024-03-01b.csv"),
        code="DUPLICATE",
        variant=True,
    ),
    # 19: late
    Fault(
        19,
        "a day that comes after later ones",
        file(as_csv(usual_rows(LATE)), f"{LATE}.csv"),
        exit_code=0,
        publishes=True,
        check=only_its_day,
    ),
)
