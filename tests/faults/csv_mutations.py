"""Ways in which a good CSV file goes wrong, each with what must become of it.

`caught`: refused as a whole, or the rows that it touched are set aside. `harmless`: read to the
very rows of the good file, for the reason given. `unseen`: a plausible file of other content, which
nothing in the file itself can tell; it is caught where the source sends a checksum along.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

Fate = Literal["caught", "harmless", "unseen"]

CUSTOMERS = (
    "ann@shop.test",
    'O"Hara, Sue',
    "\u00dcnal",
    "\uae40\ubbfc\uc218",
    "007",
    "c 12",
    "=sum",
)
HEADER = ("customer", "order", "time", "quantity", "amount")
CUSTOMER, ORDER, TIME, QUANTITY, AMOUNT = range(5)
_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class Text:
    """A CSV file before it is written: its lines as fields, and how they are written."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    delimiter: str = ","
    ending: str = "\n"
    quoting: Literal[0, 1] = csv.QUOTE_MINIMAL

    def write(self) -> bytes:
        text = io.StringIO()
        writer = csv.writer(
            text, delimiter=self.delimiter, lineterminator=self.ending, quoting=self.quoting
        )
        writer.writerow(self.header)
        writer.writerows(self.rows)
        return text.getvalue().encode()


def good_file(dice: Random) -> Text:
    """Three to eight order lines of some days of October 2011, a return among them."""
    rows = []
    for number in range(dice.randint(3, 8)):
        sign = -1 if number == 2 else 1
        rows.append(
            (
                dice.choice(CUSTOMERS),
                f"o{number}-{dice.randint(0, 999)}",
                f"2011-10-{dice.randint(1, 9):02}T{dice.randint(0, 23):02}:30:00Z",
                str(sign * dice.randint(1, 9)),
                f"{sign * dice.randint(2, 99)}.{dice.randint(1, 9)}5",
            )
        )
    return Text(HEADER, tuple(rows))


@dataclass(frozen=True, slots=True)
class Mutation:
    """`of_text` works on the fields, `of_bytes` on what was written; one of them is given."""

    name: str
    fate: Fate
    of_text: Callable[[Text, Random], Text] | None = None
    of_bytes: Callable[[bytes, Random], bytes] | None = None
    reason: str = ""


def mutate(text: Text, mutations: list[Mutation], dice: Random) -> bytes:
    """The file with the mutations applied in turn, those of its fields first."""
    for mutation in mutations:
        if mutation.of_text is not None:
            text = mutation.of_text(text, dice)
    content = text.write()
    for mutation in mutations:
        if mutation.of_bytes is not None:
            content = mutation.of_bytes(content, dice)
    return content


# --- on fields ------------------------------------------------------------------------------


def _in_row(change: Callable[[list[str], Random], list[str]]) -> Callable[[Text, Random], Text]:
    """Change one row of the file."""

    def apply(text: Text, dice: Random) -> Text:
        place = dice.randrange(len(text.rows))
        changed = tuple(change(list(text.rows[place]), dice))
        return replace(text, rows=(*text.rows[:place], changed, *text.rows[place + 1 :]))

    return apply


def _field(column: int, change: Callable[[str], str]) -> Callable[[Text, Random], Text]:
    """Change one value of a column, wherever that column stands now."""

    def apply(text: Text, dice: Random) -> Text:
        if HEADER[column] not in text.header:
            return text
        place = text.header.index(HEADER[column])

        def of_row(row: list[str], _: Random) -> list[str]:
            return [change(v) if n == place else v for n, v in enumerate(row)]

        return _in_row(of_row)(text, dice)

    return apply


def _swap(one: int, other: int) -> Callable[[Text, Random], Text]:
    def of_row(row: list[str], _: Random) -> list[str]:
        row[one], row[other] = row[other], row[one]
        return row

    return _in_row(of_row)


def _drop_field(row: list[str], dice: Random) -> list[str]:
    place = dice.randrange(len(row))
    return row[:place] + row[place + 1 :]


def _double_field(row: list[str], dice: Random) -> list[str]:
    place = dice.randrange(len(row))
    return [*row[: place + 1], *row[place:]]


def _double_line(text: Text, dice: Random) -> Text:
    place = dice.randrange(len(text.rows))
    return replace(text, rows=(*text.rows[: place + 1], *text.rows[place:]))


def _drop_line(text: Text, dice: Random) -> Text:
    place = dice.randrange(len(text.rows))
    return replace(text, rows=text.rows[:place] + text.rows[place + 1 :])


def _rename(text: Text, dice: Random) -> Text:
    place = dice.randrange(len(text.header))
    changed = dice.choice((str.upper, str.title, lambda s: s + " ", lambda s: s[:-1]))
    header = [changed(v) if n == place else v for n, v in enumerate(text.header)]
    return replace(text, header=tuple(header))


def _drop_column(text: Text, dice: Random) -> Text:
    place = dice.randrange(len(HEADER))
    return replace(
        text,
        header=text.header[:place] + text.header[place + 1 :],
        rows=tuple(row[:place] + row[place + 1 :] for row in text.rows),
    )


def _double_column(text: Text, dice: Random) -> Text:
    place = dice.randrange(len(HEADER))
    return replace(
        text,
        header=(*text.header, text.header[place]),
        rows=tuple((*row, row[place]) for row in text.rows),
    )


def _extra_column(text: Text, dice: Random) -> Text:
    return replace(
        text,
        header=(*text.header, "note"),
        rows=tuple((*row, str(dice.randint(0, 9))) for row in text.rows),
    )


def _reorder(text: Text, dice: Random) -> Text:
    order = list(range(len(text.header)))
    dice.shuffle(order)
    return replace(
        text,
        header=tuple(text.header[n] for n in order),
        rows=tuple(tuple(row[n] for n in order if n < len(row)) for row in text.rows),
    )


def _day_first(text: str) -> str:
    return f"{text[8:10]}/{text[5:7]}/{text[:4]} {text[11:16]}"


# --- on bytes -------------------------------------------------------------------------------


def _in_line(change: Callable[[bytes, Random], bytes]) -> Callable[[bytes, Random], bytes]:
    """Change one line but the header."""

    def apply(content: bytes, dice: Random) -> bytes:
        lines = content.split(b"\n")
        place = dice.randrange(1, max(2, len(lines) - 1))
        lines[place] = change(lines[place], dice)
        return b"\n".join(lines)

    return apply


def _insert(piece: bytes) -> Callable[[bytes, Random], bytes]:
    """Put bytes into the number of a line's order, which is never quoted."""
    return _in_line(lambda line, _: line.replace(b"o", b"o" + piece, 1) if b"o" in line else line)


def _cut_in_line(content: bytes, dice: Random) -> bytes:
    """Cut off in the last line, before its last field."""
    whole, _, last = content.rstrip(b"\n").rpartition(b"\n")
    return whole + b"\n" + last[: dice.randrange(1, max(2, last.rindex(b",")))]


def _cut_in_last_field(content: bytes, _: Random) -> bytes:
    return content.rstrip(b"\n")[:-1]


def _cut_at_line(content: bytes, _: Random) -> bytes:
    return content.rstrip(b"\n").rpartition(b"\n")[0] + b"\n"


MUTATIONS: tuple[Mutation, ...] = (
    # caught: the shape
    Mutation("drop a field", "caught", _in_row(_drop_field)),
    Mutation("double a field", "caught", _in_row(_double_field)),
    Mutation("swap time and amount", "caught", _swap(TIME, AMOUNT)),
    Mutation("swap quantity and amount", "caught", _swap(QUANTITY, AMOUNT)),
    Mutation("swap order and time", "caught", _swap(ORDER, TIME)),
    Mutation("rename a column", "caught", _rename),
    Mutation("drop a column", "caught", _drop_column),
    Mutation("double a column", "caught", _double_column),
    Mutation("another delimiter", "caught", lambda text, _: replace(text, delimiter=";")),
    Mutation("drop the header", "caught", of_bytes=lambda content, _: content.partition(b"\n")[2]),
    Mutation("a line twice", "caught", _double_line),
    Mutation("a blank line", "caught", of_bytes=_in_line(lambda line, _: b"\n" + line)),
    Mutation("a delimiter in a text", "caught", of_bytes=_insert(b",")),
    Mutation("a quote in a text", "caught", of_bytes=_insert(b'"')),
    Mutation("a quote left open", "caught", of_bytes=_in_line(lambda line, _: b'"' + line)),
    Mutation("an end of line in a text", "caught", of_bytes=_insert(b"\n")),
    Mutation("a carriage return in a text", "caught", of_bytes=_insert(b"\r")),
    Mutation("only carriage returns", "caught",
             of_bytes=lambda content, _: content.replace(b"\n", b"\r")),
    Mutation("cut off in a line", "caught", of_bytes=_cut_in_line),
    # caught: the bytes
    Mutation("NUL", "caught", of_bytes=_insert(b"\0")),
    Mutation("a byte that is no UTF-8", "caught", of_bytes=_insert(b"\xff")),
    Mutation("UTF-16", "caught", of_bytes=lambda content, _: content.decode().encode("utf-16")),
    Mutation("half a gzip", "caught",
             of_bytes=lambda content, _: gzip.compress(content, mtime=0)[:-9]),
    # caught: the values
    Mutation("a decimal comma", "caught", _field(AMOUNT, lambda v: v.replace(".", ","))),
    Mutation("points between thousands", "caught", _field(AMOUNT, lambda _: "1.234,56")),
    Mutation("a word for a number", "caught", _field(QUANTITY, lambda _: "two")),
    Mutation("a fraction of a piece", "caught", _field(QUANTITY, lambda v: v + ".5")),
    Mutation("not a number", "caught", _field(AMOUNT, lambda _: "NaN")),
    Mutation("infinity", "caught", _field(AMOUNT, lambda _: "-inf")),
    Mutation("beyond a float", "caught", _field(AMOUNT, lambda _: "1e400")),
    Mutation("beyond the column", "caught", _field(AMOUNT, lambda _: "1e30")),
    Mutation("a huge amount", "caught", _field(AMOUNT, lambda v: v.replace(".", "00000000."))),
    Mutation("a huge quantity", "caught", _field(QUANTITY, lambda v: v + "0000000")),
    Mutation("a currency sign", "caught", _field(AMOUNT, lambda v: "\u20ac" + v)),
    Mutation("the sign of an amount", "caught", _field(
        AMOUNT, lambda v: v[1:] if v.startswith("-") else "-" + v)),
    Mutation("the sign of a quantity", "caught", _field(
        QUANTITY, lambda v: v[1:] if v.startswith("-") else "-" + v)),
    Mutation("the day first", "caught", _field(TIME, _day_first)),
    Mutation("a date without dashes", "caught", _field(TIME, lambda v: v[:10].replace("-", ""))),
    Mutation("a time without a zone", "caught", _field(TIME, lambda v: v[:-1])),
    Mutation("a day that is none", "caught", _field(TIME, lambda v: v.replace("2011-10", "2011-02")
             [:8] + "30T00:00:00Z")),
    Mutation("1970", "caught", _field(TIME, lambda v: "1970-01-01" + v[10:])),
    Mutation("9999", "caught", _field(TIME, lambda v: "9999-12-31" + v[10:])),
    *(Mutation(f"no {HEADER[column]}", "caught", _field(column, lambda _: ""))
      for column in range(5)),
    Mutation("a blank for a customer", "caught", _field(CUSTOMER, lambda _: "  ")),
    Mutation("null for a customer", "caught", _field(CUSTOMER, lambda _: "NULL")),
    # harmless
    Mutation("CRLF", "harmless", lambda text, _: replace(text, ending="\r\n"),
             reason="an end of line, as Windows writes it"),
    Mutation("a byte order mark", "harmless",
             of_bytes=lambda content, _: _MARK.encode() + content.removeprefix(_MARK.encode()),
             reason="says that it is UTF-8, which it is"),
    Mutation("no end of the last line", "harmless",
             of_bytes=lambda content, _: content.removesuffix(b"\n").removesuffix(b"\r"),
             reason="the last value is whole"),
    Mutation("every field in quotes", "harmless",
             lambda text, _: replace(text, quoting=csv.QUOTE_ALL), reason="the same values"),
    Mutation("columns in another order", "harmless", _reorder, reason="they are taken by name"),
    Mutation("a column that nobody declared", "harmless", _extra_column,
             reason="it is dropped with a note"),
    Mutation("gzip", "harmless", of_bytes=lambda content, _: gzip.compress(content, mtime=0),
             reason="it is unpacked within limits"),
    Mutation("a zero more after the point", "harmless", _field(AMOUNT, lambda v: v + "0"),
             reason="the same number"),
    Mutation("a time in another zone", "harmless",
             _field(TIME, lambda v: v.replace("Z", "+00:00")), reason="the same moment"),
    Mutation("a blank for the T of a time", "harmless",
             _field(TIME, lambda v: v.replace("T", " ")), reason="the same moment"),
    Mutation("parts of a second", "harmless",
             _field(TIME, lambda v: v.replace("Z", ".000Z")), reason="the same moment"),
    # unseen without a checksum
    Mutation("cut off in the last field", "unseen", of_bytes=_cut_in_last_field,
             reason="a shorter number is a number"),
    Mutation("cut off at an end of line", "unseen", of_bytes=_cut_at_line,
             reason="fewer lines are a file; half of them would break `volume`"),
    Mutation("drop a line", "unseen", _drop_line,
             reason="fewer lines are a file; half of them would break `volume`"),
    Mutation("swap two texts", "unseen", _swap(CUSTOMER, ORDER),
             reason="a name is a name; many unknown ones would break `customers_known`"),
    Mutation("a blank around a text", "unseen", _field(CUSTOMER, lambda v: v + " "),
             reason="an identifier is kept to the letter"),
    Mutation("a digit more", "unseen", _field(AMOUNT, lambda v: v.replace(".", "0.")),
             reason="one plausible amount; in all lines it would break `shift`"),
)  # fmt: skip
