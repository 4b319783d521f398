"""The schema of `intake`: which sources a deployment has and how each becomes a canonical table.

    intake:
      sources:
        orders:                          # the first part of every batch's name: orders/2011-10
          kind: files                    # files | package | postgres
          table: orders                  # the canonical table
          folder: ${HOLDFAST_DATA}/shop
          pattern: "*.csv"               # each file is a batch, its bytes kept unchanged
          time_zone: Europe/London       # what a time without an offset means
          known: {basis: declared, lag_days: 1}
          columns: {Invoice: text, Quantity: number, InvoiceDate: timestamp}
          map: {order_id: Invoice, quantity: Quantity, ordered_at: InvoiceDate}

`columns` says what the delivered columns are; `map` gives each canonical column as an SQL
expression over them. Instead of `pattern`, `files` names some files and `query` joins them into
one table, which `split` cuts by day or month.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import Field, field_validator, model_validator

from tasks.contracts import CONTRACTS
from tasks.errors import suggest
from tasks.sections import Section
from tasks.standings import WhenRefused

NAME_PATTERN = r"^[A-Za-z0-9._-]{1,100}$"
_RELATION_PATTERN = r"^[a-z][a-z0-9_]{0,39}$"
# Columns that reading adds to the delivered ones; `map` may use the first.
RESERVED_COLUMNS = ("row_number", "raw_line")

RawType = Literal["text", "integer", "number", "boolean", "timestamp"]
NumberFormat = Literal["1234.56", "1234,56", "1,234.56", "1.234,56"]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Relation = Annotated[str, Field(pattern=_RELATION_PATTERN)]
Expression = Annotated[str, Field(min_length=1, max_length=10_000)]


class RawColumn(Section):
    """One delivered column, with the form that its text has."""

    type: RawType = Field(description="What the column holds; text is kept as it stands.")
    format: str | None = Field(
        default=None,
        min_length=2,
        max_length=60,
        description=(
            "Form of a timestamp, as in '%d/%m/%Y %H:%M'; null: ISO 8601 and nothing else, since"
            " 03/04/2025 is two dates."
        ),
    )

    @model_validator(mode="after")
    def _only_times_have_a_format(self) -> Self:
        if self.format is not None and self.type != "timestamp":
            raise ValueError("only a timestamp has a format; for numbers see `number_format`")
        return self


class TextSettings(Section):
    """How a delimited text file is written. Nothing of it is guessed."""

    delimiter: str | None = Field(
        default=None,
        min_length=1,
        max_length=1,
        description="Between fields; null: a tab where the name ends in .tsv, else a comma.",
    )
    encoding: Literal["utf-8", "utf-16", "cp1252", "latin-1", "cp949", "shift_jis"] = Field(
        default="utf-8",
        description="How bytes become characters. A byte order mark of UTF-8 is accepted.",
    )
    newlines_in_values: bool = Field(
        default=False,
        description=(
            "Whether a quoted value may hold an end of line. Where it may, a forgotten quote can"
            " swallow lines unseen."
        ),
    )
    final_newline: Literal["optional", "required"] = Field(
        default="optional",
        description="'required' refuses a file whose last line does not end: it may be cut off.",
    )
    missing: tuple[str, ...] = Field(
        default=("",), max_length=20, description="Texts that mean 'no value'."
    )
    number_format: NumberFormat | None = Field(
        default=None,
        description=(
            "How numbers are written; null: 1234.56, unless each could be read in two ways, as"
            " 1.000 can: then the batch is refused until this says which."
        ),
    )


class Split(Section):
    """Cuts the rows of a query into batches named by their period: `orders/2017-01`."""

    by: Literal["month", "day"] = Field(description="The period of a batch.")
    time: Expression = Field(description="SQL over the query's columns: the time that decides.")
    settle_days: int = Field(
        default=0,
        ge=0,
        le=400,
        description="A period is offered this many days after its end, by our clock (UTC).",
    )


class Known(Section):
    """Since when a row was known: observed at its publication, or declared for history."""

    basis: Literal["observed", "declared"] = Field(
        default="observed",
        description="'declared' is for a backfill; the ledger tells the two apart.",
    )
    lag_days: float | None = Field(
        default=None,
        ge=0,
        le=3_660,
        description="Each row was known this long after its event time.",
    )
    at: date | Literal["period_end"] | None = Field(
        default=None,
        description=(
            "The batch was known on this day (midnight UTC), or when the period in its name"
            " (2011-10 or 2011-10-03) ended; `lag_days` is added to the latter."
        ),
    )

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if self.basis == "observed" and (self.lag_days is not None or self.at is not None):
            raise ValueError("`lag_days` and `at` belong to `basis: declared`")
        if self.basis == "declared" and self.lag_days is None and self.at is None:
            raise ValueError("`basis: declared` needs `lag_days` or `at`")
        if isinstance(self.at, date) and self.lag_days is not None:
            raise ValueError("a date in `at` stands alone; `lag_days` does not go with it")
        return self


class Due(Section):
    """When a source's next delivery has to be there."""

    every: Literal["day", "month"] = Field(description="How often the source delivers.")
    grace_hours: float = Field(
        default=24.0,
        ge=0,
        le=24 * 366,
        description=(
            "How long after the end of its period (UTC) a part named by day or month may come in;"
            " where the names say no period, how long after a day or month without a delivery."
        ),
    )


class SourceSettings(Section):
    """What every kind of source says."""

    table: str = Field(description="The canonical table that the rows go to.")
    columns: dict[str, RawType | RawColumn] = Field(
        min_length=1, max_length=1_000, description="The delivered columns that are read."
    )
    map: dict[str, Expression] = Field(
        description="Each canonical column as an SQL expression over `columns`."
    )
    time_zone: str | None = Field(
        default=None,
        description="What a time without an offset means; null: such times are refused.",
    )
    ambiguous_times: Literal["reject", "earlier", "later"] = Field(
        default="reject", description="The hour that a clock put back goes through twice."
    )
    skipped_times: Literal["reject", "shift"] = Field(
        default="reject", description="The hour that a clock put forward leaves out."
    )
    extra_columns: Literal["drop", "reject"] = Field(
        default="drop",
        description="What happens to a delivered column that `columns` does not name.",
    )
    known: Known = Field(default_factory=Known, description="Since when the rows were known.")
    text: TextSettings = Field(
        default_factory=TextSettings, description="How text files are written."
    )
    when_refused: WhenRefused = Field(
        default="stop",
        description=(
            "What a night does when a batch is refused or missing: 'stop' ends it, 'degrade' scores"
            " with the last good data and stamps every output stale."
        ),
    )
    optional: bool = Field(
        default=False,
        description="While it is behind, features go on without its table and scores say so.",
    )
    due: Due | None = Field(
        default=None,
        description="When deliveries must come; null: only holes between them are looked for.",
    )
    gaps: Literal["refuse", "allow"] = Field(
        default="refuse",
        description="Whether a training refuses while a part is missing, overdue or refused.",
    )

    @field_validator("time_zone")
    @classmethod
    def _zone_exists(cls, zone: str | None) -> str | None:
        if zone is None:
            return None
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            hint = suggest(zone, available_timezones())
            raise ValueError(f"there is no time zone '{zone}'. {hint}".rstrip()) from None
        return zone

    @model_validator(mode="after")
    def _fits_the_table(self) -> Self:
        contract = CONTRACTS.get(self.table)
        if contract is None:
            raise ValueError(f"`table` is one of {', '.join(CONTRACTS)}; found '{self.table}'")
        unknown = [name for name in self.map if name not in contract.names]
        if unknown:
            hint = suggest(unknown[0], contract.names)
            raise ValueError(f"`map`: {self.table} has no column '{unknown[0]}'. {hint}".rstrip())
        # A nullable column may stay unmapped; a required one would be missing in every row.
        missing = [c.name for c in contract.columns if not c.nullable and c.name not in self.map]
        if missing:
            raise ValueError(f"`map` lacks what {self.table} requires: {', '.join(missing)}")
        lowered = [name.lower() for name in self.columns]
        if len(set(lowered)) < len(lowered):
            raise ValueError("`columns` has two names that differ only in upper and lower case")
        reserved = [name for name in self.columns if name.lower() in RESERVED_COLUMNS]
        if reserved:
            raise ValueError(f"`columns`: the name '{reserved[0]}' is kept for the line of the row")
        return self

    def column(self, name: str) -> RawColumn:
        """The declaration of a delivered column in its long form."""
        declared = self.columns[name]
        return declared if isinstance(declared, RawColumn) else RawColumn(type=declared)


class TableSource(SourceSettings):
    """A source that can join named files by a query and cut the rows into periods."""

    files: dict[Relation, str] = Field(
        default_factory=dict,
        max_length=20,
        description="Relations of `query`, each a Parquet or CSV file below the folder.",
    )
    query: str | None = Field(
        default=None,
        max_length=20_000,
        description="SQL over `files`; null: all rows of the only file.",
    )
    split: Split | None = Field(default=None, description="How the rows are cut; null: one batch.")
    part: Name = Field(
        default="all", description="The second part of the batch's name without `split`."
    )

    @field_validator("files")
    @classmethod
    def _stays_below(cls, files: dict[str, str]) -> dict[str, str]:
        for path in files.values():
            parts = PurePosixPath(path)
            if parts.is_absolute() or ".." in parts.parts or any(c in path for c in "*?[\n\0"):
                raise ValueError(f"'{path}' is not a plain path below the folder")
        return files

    @model_validator(mode="after")
    def _has_a_query(self) -> Self:
        if len(self.files) > 1 and self.query is None:
            raise ValueError("several `files` need a `query` that joins them")
        return self


class FilesSource(TableSource):
    """Files of a folder: each a batch (`pattern`), or joined and cut (`files`)."""

    kind: Literal["files"]
    folder: Path = Field(description="Where the files are delivered.")
    pattern: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._*?\[\]!-]{1,100}$",
        description="Names of the files that are batches; no folders.",
    )
    settle_seconds: float = Field(
        default=0.0,
        ge=0,
        le=86_400,
        description="A file changed more recently is still being written: exit 75, try later.",
    )
    checksum_file: bool = Field(
        default=False,
        description="Whether `<file>.sha256` stands beside a file once it is complete.",
    )

    @model_validator(mode="after")
    def _one_way_of_reading(self) -> Self:
        if (self.pattern is None) == (not self.files):
            raise ValueError("a source of kind files has either `pattern` or `files`")
        if self.pattern is not None and (self.query or self.split):
            raise ValueError("`query` and `split` go with `files`; `pattern` keeps files whole")
        return self


class PackageSource(TableSource):
    """Data files that an installed Python package carries."""

    kind: Literal["package"]
    package: str = Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$", description="The package's import name."
    )

    @model_validator(mode="after")
    def _names_files(self) -> Self:
        if not self.files:
            raise ValueError("a source of kind package names its `files`")
        return self


class PostgresSource(SourceSettings):
    """Rows of a PostgreSQL database, read in one transaction that writes nothing."""

    kind: Literal["postgres"]
    url_variable: str = Field(
        pattern=r"^[A-Z][A-Z0-9_]{0,99}$",
        description="The environment variable that holds the connection URL.",
    )
    query: str = Field(
        min_length=1, max_length=20_000, description="A SELECT, or `table orders` for a whole one."
    )
    split: Split | None = Field(default=None, description="How the rows are cut; null: one batch.")
    part: Name = Field(
        default="all", description="The second part of the batch's name without `split`."
    )
    timeout_seconds: int = Field(
        default=600,
        ge=1,
        le=86_400,
        description="How long the database may take over one statement.",
    )


Source = Annotated[FilesSource | PackageSource | PostgresSource, Field(discriminator="kind")]


class IntakeLimits(Section):
    """What a delivery may measure. Checked before and while it is read, never after."""

    maximum_file_mb: float = Field(
        default=4_000, gt=0, le=10_000_000, description="Bytes of one file as delivered."
    )
    maximum_unpacked_mb: float = Field(
        default=16_000, gt=0, le=100_000_000, description="Bytes of one file once unpacked."
    )
    maximum_unpack_ratio: float = Field(
        default=200, ge=2, le=100_000, description="Unpacked over packed bytes, from 10 MB on."
    )
    maximum_rows: int = Field(
        default=200_000_000, ge=1, le=100_000_000_000, description="Rows of one batch."
    )
    maximum_columns: int = Field(
        default=1_000, ge=1, le=100_000, description="Columns of one batch."
    )
    maximum_cell_kb: float = Field(
        default=256, gt=0, le=100_000, description="Characters of one value, in thousands."
    )
    inspection_memory_mb: int = Field(
        default=6_000,
        ge=2_000,
        le=1_000_000,
        description="Address space of the process that first opens a delivered Parquet file.",
    )
    inspection_seconds: int = Field(
        default=300, ge=5, le=86_400, description="CPU time of that process."
    )


class IntakeSettings(Section):
    """Where data come from."""

    sources: dict[Name, Source] = Field(
        default_factory=dict, max_length=200, description="The sources, in the order of reading."
    )
    limits: IntakeLimits = Field(
        default_factory=IntakeLimits, description="What a delivery may measure."
    )
