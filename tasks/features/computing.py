"""Features of many customers at many cut-offs in one pass over the lines.

The lines of a chunk of customers become order days once; all cut-offs are then read from those.
That works because a cut-off sees the beginning of a customer's days and the next one sees more
of them. Customers for whom it is not so (a line came late, a batch was superseded in between)
are few; they are taken again, cut-off by cut-off, by the same SQL.

Amounts are summed as whole ten-thousandths, so results do not depend on the order of the rows,
the number of threads or the size of a chunk, down to the last bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tasks.contracts import CONTRACTS
from tasks.errors import DataRejected
from tasks.features import labelled
from tasks.features import order_history as history
from tasks.features.declaration import SOURCES, Feature, declared
from tasks.features.labels import is_matured
from tasks.features.placeholders import Kinds, fill_places
from tasks.features.request import POPULATION, Outcome, Request, day_of, moment_sql
from tasks.warehouse import Connection, literal, quote

_CHUNK_SAMPLE_ROWS = 20_000
_LARGE_TABLES = (
    "line_day", "order_day", "order_window", "order_gaps", "person", "pair", "outcome",
    "feature_chunk", "first_seen", "late_line", "late_person",
)  # fmt: skip
# Categories and channels are counted by the bits of one number each.
_BITS = 63
# The column that says what a customer is worth in a year or a period, by kind of deployment.
_VALUE: dict[Outcome, str] = {
    "lapse": "orders_features.amount_365",
    "cancellation": "subscriptions_features.period_amount",
    "given": "pair.period_amount",
}


@dataclass(frozen=True, slots=True)
class Computed:
    """What came out. `fingerprint` is the sha256 over the rows in order of customer and cut-off."""

    features: tuple[Feature, ...]
    columns: tuple[str, ...]
    rows: int
    fingerprint: str
    new_category_codes: Mapping[tuple[str, str], int]
    late_customers: int


def compute_features(
    connection: Connection,
    request: Request,
    write: Callable[[str], None] | None = None,
) -> Computed:
    """Compute chunk by chunk; `write` gets the SQL of each chunk's finished rows.

    The rows: `customer_id VARCHAR, as_of TIMESTAMPTZ, [churned BOOLEAN,] value_amount DOUBLE`,
    then one DOUBLE a feature. Raises DataRejected (65) if no cut-off sees the table that says who
    is a customer.
    """
    work = _Work(connection, request)
    digest = hashlib.sha256("\n".join(work.columns).encode())
    rows = 0
    for low, high in work.chunks():
        work.compute_chunk(low, high)
        if write is not None:
            write(f"select {work.listed} from feature_chunk")
        rows += work.add_to(digest)
    work.drop_tables()
    return Computed(
        features=work.features,
        columns=work.columns,
        rows=rows,
        fingerprint=digest.hexdigest(),
        new_category_codes=work.new_codes,
        late_customers=work.late_customers,
    )


class _Work:
    """One computation: the temporary tables of one connection and the texts that fill its SQL."""

    def __init__(self, connection: Connection, request: Request) -> None:
        self.connection = connection
        self.request = request
        self.late_customers = 0
        self.has_season = False
        self.has_rows = False
        self.days: history.OrderDays
        self.new_codes: Mapping[tuple[str, str], int] = {}
        self.values = {
            "horizon_days": request.horizon_days,
            "activity_window_days": request.activity_window_days,
            "only_staying": not request.labelled,
        }
        self._make_cutoffs()
        self.sources = tuple(
            source
            for source in SOURCES
            if source in request.relations
            and connection.scalar(f"select bool_or(sees_{source}) from every_cutoff")
        )
        self._require_population()
        self.features = declared(self.sources)
        self.pivot: labelled.Pivot | None = None
        if request.outcome == "given":
            self.pivot = labelled.find_pivot(
                connection,
                self._relation("labelled"),
                self.request.seen_by("labelled", request.known_by[-1]),
                request.category_codes,
                request.drivers,
                taken={feature.name for feature in self.features},
            )
            self.features += self.pivot.features
            self.new_codes = self.pivot.new_codes
        outcome = ("churned",) if request.labelled else ()
        names = tuple(feature.name for feature in self.features)
        self.columns = ("customer_id", "as_of", *outcome, "value_amount", *names)
        self.listed = ", ".join(quote(name) for name in self.columns)
        self.kinds: Kinds = {"category": [], "channel": []}
        if "orders" in self.sources:
            self.kinds = self._find_kinds()
            self._make_season()

    def chunks(self) -> Iterator[tuple[str | None, str | None]]:
        """Ranges of customers of about `chunk_lines` lines each, in ascending order."""
        table = "orders" if "orders" in self.sources else POPULATION[self.request.outcome]
        relation = self._relation(table)
        lines = int(self.connection.scalar(f"select count(*) from {relation}"))
        count = -(-lines // self.request.chunk_lines)
        bounds: list[str] = []
        if count > 1:
            share = min(100.0, 100.0 * _CHUNK_SAMPLE_ROWS / lines)
            sample = self.connection.rows(
                f"select customer_id from {relation}"
                f" tablesample bernoulli({share:.6f} percent) order by customer_id"
            )
            ids = [row["customer_id"] for row in sample]
            bounds = sorted({ids[len(ids) * part // count] for part in range(1, count)})
        yield from zip([None, *bounds], [*bounds, None], strict=True)

    def compute_chunk(self, low: str | None, high: str | None) -> None:
        """Fill `feature_chunk` with the finished rows of the customers from low to below high."""
        conditions = [] if low is None else [f"customer_id >= {literal(low)}"]
        conditions += [] if high is None else [f"customer_id < {literal(high)}"]
        inside = " and ".join(conditions) or "true"
        every = list(range(len(self.request.as_of)))
        self._take_cutoffs(every)
        names = self._names(inside, every)
        self.has_rows = False
        if "orders" in self.sources:
            self._run("line_day", names)
        self._run("person", {**names, "ids": self._population_ids(inside)})
        late = self._read_order_days(names, inside_late=False)
        self._finish(names, every)
        if late:
            self.late_customers += late
            self._compute_late(inside)

    def _read_order_days(self, names: Mapping[str, str], *, inside_late: bool) -> int:
        """Take in the order days; how many customers must be taken cut-off by cut-off instead.

        Those leave `person` for `late_person`.
        """
        if "orders" not in self.sources:
            return 0
        if self.kinds is None:
            self._run("first_seen", names)
        self._run("order_day", names)
        table = self.connection.arrow("from order_day")
        late = history.find_late_customers(table)
        if inside_late:
            late = late[:0]
        self.days = history.read_order_days(table, late)
        if len(late):
            self._load("late_number", pa.table({"customer_number": late}))
            self.connection.execute(
                "create or replace temporary table late_person as"
                " from person semi join late_number using (customer_number)"
            )
            self.connection.execute(
                "create or replace temporary table person as"
                " from person anti join late_number using (customer_number)"
            )
        return len(late)

    def _load(self, name: str, table: pa.Table) -> None:
        """Make an Arrow table a temporary table; of a mere view the planner knows no size."""
        self.connection.load_arrow("arrived", table)
        self.connection.execute(f"create or replace temporary table {name} as from arrived")
        self.connection.drop_arrow("arrived")

    def _compute_late(self, inside: str) -> None:
        """The customers of `late_person`, cut-off by cut-off."""
        every = list(range(len(self.request.as_of)))
        names = self._names(inside, every)
        self._run("late_line", names)
        self.connection.execute("create or replace temporary table person as from late_person")
        for number in every:
            self._take_cutoffs([number])
            names = self._names(inside, [number])
            as_of, known_by = self.request.as_of[number], self.request.known_by[number]
            seen = (
                f"(ordered_at < {moment_sql(as_of)} and {self.request.seen_by('orders', known_by)})"
            )
            if self.request.labels_known_by is not None:
                after = self.request.seen_by("orders", self.request.labels_known_by)
                seen += f" or (ordered_at >= {moment_sql(as_of)} and {after})"
            names |= {
                "lines": "late_line",
                "wanted": f"({seen})",
                "late": names["late_day"],
                "doubtful": "false",
                "any_doubtful": "false",
            }
            self._run("line_day", names)
            self._read_order_days(names, inside_late=True)
            self._finish(names, [number])

    def _finish(self, names: Mapping[str, str], numbers: Sequence[int]) -> None:
        """From order days to rows of `feature_chunk`, for the customers in `person`."""
        outcome = self.request.outcome
        if "orders" in self.sources:
            cutoff_days = [day_of(self.request.as_of[number]) for number in numbers]
            active_days = self.request.activity_window_days if outcome == "lapse" else None
            horizon_days = self.request.horizon_days
            seen = history.see_windows(self.days, cutoff_days, horizon_days, active_days)
            self._load("order_window", seen)
            self._load("order_gaps", history.list_gaps(self.days))
        # Who ordered has a row of order features; a list of the pairs is for other sources.
        base = "orders_features" if outcome == "lapse" else "pair"
        if base == "pair" or len(self.sources) > 1:
            self._run(f"{POPULATION[outcome]}_population", names)
        for source in self.sources:
            self._run(source, names)
        if self.pivot is not None:
            self.connection.execute(self.pivot.view)
        columns = [f"{base}.customer_number", "person.customer_id", "cutoff.as_of"]
        joins = [
            f"inner join person on person.customer_number = {base}.customer_number",
            f"inner join cutoff on cutoff.cutoff_number = {base}.cutoff_number",
        ]
        sources = dict.fromkeys(feature.source for feature in self.features)
        others = [f"{source}_features" for source in sources if f"{source}_features" != base]
        if self.request.labelled and outcome == "given":
            columns.append("pair.churned")
        elif self.request.labelled:
            self._run(outcome, names)
            # Of who did not come back there is no row.
            columns.append(
                "case when cutoff.matured then coalesce(outcome.churned, true) end as churned"
            )
            others.append("outcome")
        columns.append(f"{_VALUE[outcome]}::double as value_amount")
        for feature in self.features:
            name = quote(feature.name)
            columns.append(f"{feature.source}_features.{name}::double as {name}")
        joins += [
            f"left join {other} on {other}.customer_number = {base}.customer_number"
            f" and {other}.cutoff_number = {base}.cutoff_number"
            for other in others
        ]
        into = "create or replace temporary table feature_chunk as"
        if self.has_rows:
            into = "insert into feature_chunk"
        self.has_rows = True
        self.connection.execute(f"{into} select {', '.join(columns)} from {base} {' '.join(joins)}")

    def add_to(self, digest: Any) -> int:
        """Add the chunk's rows to the fingerprint; how many there are.

        A row enters by DuckDB's 64-bit hash of all its columns: quick, the same on every machine
        for one version of DuckDB (which is pinned), a guard against accidents, not adversaries.
        """
        rows = 0
        batches = self.connection.batches(
            f"select hash({self.listed}) as row_hash from feature_chunk"
            " order by customer_number, as_of"
        )
        for batch in batches:
            column = batch.column(0)
            digest.update(column.to_numpy().tobytes())
            rows += len(column)
        return rows

    def drop_tables(self) -> None:
        """Give back the memory of a chunk; the connection may live long."""
        others = [f"{source}_features" for source in self.sources if source != "orders"]
        for name in (*_LARGE_TABLES, *others):
            self.connection.execute(f"drop table if exists temp.main.{name}")

    def _make_cutoffs(self) -> None:
        request, connection = self.request, self.connection
        matured = [
            request.labels_as_of is not None
            and is_matured(as_of, request.labels_as_of, request.horizon_days)
            for as_of in request.as_of
        ]
        connection.execute(
            "create or replace temporary table every_cutoff as"
            " select unnest(range(len($as_of)))::bigint as cutoff_number,"
            " unnest($as_of)::timestamptz as as_of, unnest($known_by)::timestamptz as known_by,"
            " unnest($days)::integer as as_of_day, unnest($matured)::boolean as matured",
            {
                "as_of": list(request.as_of),
                "known_by": list(request.known_by),
                "days": [day_of(moment) for moment in request.as_of],
                "matured": matured,
            },
        )
        for source in (*SOURCES, "labelled"):
            flags = self._seen_at_cutoffs(source)
            listed = ", ".join(f"({number}, {flag})" for number, flag in enumerate(flags))
            connection.execute(
                "create or replace temporary table every_cutoff as"
                f" select every_cutoff.*, flag.seen as sees_{source} from every_cutoff"
                f" inner join (values {listed}) flag (cutoff_number, seen) using (cutoff_number)"
                " order by cutoff_number"
            )

    def _seen_at_cutoffs(self, source: str) -> list[bool]:
        """Whether each cut-off sees any row of a source; one statement, each part stops early."""
        request = self.request
        if source not in request.relations:
            return [False] * len(request.as_of)
        parts = [
            f"(select true from {request.relations[source]}"
            f" where {CONTRACTS[source].event_time} < {moment_sql(as_of)}"
            f" and {self.request.seen_by(source, known_by)} limit 1) as seen_{number}"
            for number, (as_of, known_by) in enumerate(
                zip(request.as_of, request.known_by, strict=True)
            )
        ]
        return [bool(seen) for seen in self.connection.one(f"select {', '.join(parts)}").values()]

    def _require_population(self) -> None:
        table = POPULATION[self.request.outcome]
        seen = table in self.request.relations and self.connection.scalar(
            f"select bool_or(sees_{table}) from every_cutoff"
        )
        if seen:
            return
        raise DataRejected(
            f"No cut-off sees a row of `{table}`, which says who is a customer.",
            found=f"cut-offs {self.request.as_of[0]:%Y-%m-%d} to {self.request.as_of[-1]:%Y-%m-%d}",
            next_step=(
                "ingest it; for history that was loaded at once, declare in its source when the"
                " rows would have been known"
            ),
        )

    def _make_season(self) -> None:
        every = list(range(len(self.request.as_of)))
        self._take_cutoffs(every)
        names = self._names("true", every)
        # A superseded line counts for the calendar until the last cut-off has lost sight of it.
        names["wanted"] = (
            f"ordered_at < {moment_sql(self.request.as_of[-1])}"
            f" and {self.request.seen_by('orders', self.request.known_by[-1])}"
        )
        if self.request.doubtful_batches():
            self._make_doubtful_season(names)
            return
        self._run("day_total", names)
        self._run("season", names)
        self.connection.execute("create or replace temporary table every_season as from season")
        self.has_season = True

    def _make_doubtful_season(self, names: dict[str, str]) -> None:
        parts: list[str] = []
        for number, (as_of, known_by) in enumerate(
            zip(self.request.as_of, self.request.known_by, strict=True)
        ):
            self._take_cutoffs([number])
            names |= self._names("true", [number])
            seen = self.request.seen_by("orders", known_by)
            names |= {
                "late": names["late_day"],
                "wanted": f"ordered_at < {moment_sql(as_of)} and {seen}",
            }
            self._run("day_total", names)
            self._run("season", names)
            self.connection.execute(
                f"create or replace temporary table season_{number} as"
                f" select * replace ({number}::bigint as cutoff_number) from season"
            )
            parts.append(f"from season_{number}")
        self.connection.execute(
            f"create or replace temporary table every_season as {' union all '.join(parts)}"
        )
        self.has_season = True

    def _take_cutoffs(self, numbers: Sequence[int]) -> None:
        """Make `cutoff` and `season` hold these cut-offs, numbered from 0."""
        first = numbers[0]
        listed = ", ".join(str(number) for number in numbers)
        for name in ("cutoff", "season") if self.has_season else ("cutoff",):
            self.connection.execute(
                f"create or replace temporary table {name} as"
                f" select * replace (cutoff_number - {first} as cutoff_number)"
                f" from every_{name} where cutoff_number in ({listed})"
            )

    def _names(self, inside: str, numbers: Sequence[int]) -> dict[str, str]:
        return fill_places(self.request, self.kinds, inside, numbers)

    def _find_kinds(self) -> dict[str, list[str]] | None:
        """The categories and channels of the orders, or None where bits are too few for them.

        Which bit is whose changes no count, so it does not matter that later rows change it.
        """
        kinds: dict[str, list[str]] = {}
        for column in ("category", "channel"):
            rows = self.connection.rows(
                f"select distinct {column} as kind from {self._relation('orders')}"
                f" where {column} is not null limit {_BITS + 1}"
            )
            if len(rows) > _BITS:
                return None
            kinds[column] = sorted(row["kind"] for row in rows)
        return kinds

    def _population_ids(self, inside: str) -> str:
        if self.request.outcome == "lapse":
            return "line_day"
        table = POPULATION[self.request.outcome]
        return f"(select customer_id from {self._relation(table)} where {inside})"

    def _relation(self, table: str) -> str:
        return self.request.relations[table]

    def _run(self, name: str, names: Mapping[str, str]) -> None:
        self.connection.run(self.request.sql / f"{name}.sql", self.values, names=names)
