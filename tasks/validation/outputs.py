"""Judges what we make ourselves: the feature table before a model sees it, the scores before use.

As with batches, Great Expectations and our own SQL count separately and must agree. There is
nothing to set aside here: a broken rule stops the run.
"""

from __future__ import annotations

import fnmatch
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.errors import DataRejected, InternalError
from tasks.handles import RuleResult
from tasks.sections import FeatureRulesSettings, ScoreRulesSettings
from tasks.settings import Settings
from tasks.validation.engine import build_suite, judge
from tasks.warehouse import Connection, quote, scratch

if TYPE_CHECKING:
    import pyarrow as pa

SCORE_COLUMNS = ("customer_id", "probability", "percentile", "rank", "reason_1")
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE", "DECIMAL")


@dataclass(frozen=True, slots=True)
class _Rule:
    """One rule: `figure` is SQL over the table; it fails outside [minimum, maximum].

    `counts` says that the figure is the number of rows breaking the rule.
    """

    key: str
    figure: str
    minimum: float | None = None
    maximum: float | None = None
    counts: bool = False
    bound: Mapping[str, Any] = field(default_factory=dict)


def check_features(
    features: pa.Table | Path, feature_names: Sequence[str], settings: Settings
) -> tuple[RuleResult, ...]:
    """Judge a feature table: columns customer_id, as_of and the features, one row a customer and
    cut-off, as an Arrow table or a Parquet file. Raises InternalError (70) for a broken check."""
    chosen = settings.validation.features
    with _as_parquet(features, settings) as path:
        wanted = ("customer_id", "as_of", *feature_names)
        return _check("features", path, wanted, settings, _feature_rules(chosen, feature_names))


def check_scores(scores: pa.Table | Path, settings: Settings) -> tuple[RuleResult, ...]:
    """Judge scores: columns customer_id, probability [0, 1], percentile [0, 100], rank (from 1,
    each once) and reason_1, one row a customer; further columns are not looked at."""
    chosen = settings.validation.scores
    with _as_parquet(scores, settings) as path:
        return _check("scores", path, SCORE_COLUMNS, settings, _score_rules(chosen, _rows(path)))


def demand_kept(what: str, results: Sequence[RuleResult]) -> None:
    """Raise DataRejected (65) naming the rules that `what` breaks."""
    failed = [result for result in results if not result.passed]
    if not failed:
        return
    shown = [f"{r.rule} {r.column}: {r.observed} (limit {r.limit})" for r in failed[:20]]
    more = [f"and {len(failed) - 20} more"] if len(failed) > 20 else []
    raise DataRejected(
        f"{what} refused: {len(failed)} of {len(results)} rules failed.",
        found="\n  ".join([*shown, *more]),
        next_step="nothing was scored or trained with it; the champion still serves",
    )


def _feature_rules(
    chosen: FeatureRulesSettings, names: Sequence[str]
) -> Iterator[tuple[_Rule, str]]:
    """(rule, column that must have a numeric type, or '')."""
    yield from _shared_rules(chosen.minimum_rows)
    yield _missing("as_of"), ""
    yield _repeated("customer_repeated", ("customer_id", "as_of")), ""
    for name in names:
        yield _finite(name), name
        low, high = _find_range(chosen.ranges, name)
        if low is not None or high is not None:
            yield _range(name, low, high), name
        ceiling = chosen.null_shares.get(name, chosen.maximum_null_share)
        if ceiling < 1:
            yield _null_share(name, ceiling), ""


def _score_rules(chosen: ScoreRulesSettings, rows: int) -> Iterator[tuple[_Rule, str]]:
    yield from _shared_rules(chosen.minimum_rows)
    for name in ("probability", "percentile", "rank"):
        yield _missing(name), ""
    yield _repeated("customer_repeated", ("customer_id",)), ""
    yield _repeated("rank_repeated", ("rank",)), ""
    yield _finite("probability"), "probability"
    yield _range("probability", 0.0, 1.0), "probability"
    yield _range("percentile", 0.0, 100.0), "percentile"
    # Different and none beyond the number of rows: then each rank is given once.
    yield _range("rank", 1, rows), "rank"
    yield (
        _Rule(
            "distinct_values:probability",
            "count(distinct probability)",
            minimum=chosen.minimum_distinct_scores,
            bound={"minimum": chosen.minimum_distinct_scores},
        ),
        "",
    )
    yield _null_share("reason_1", chosen.maximum_missing_reason_share), ""


def _shared_rules(minimum_rows: int) -> Iterator[tuple[_Rule, str]]:
    yield _Rule("rows", "count(*)", minimum=minimum_rows, bound={"minimum": minimum_rows}), ""
    blank = "customer_id is null or trim(customer_id) = ''"
    yield (
        _Rule(
            "customer_id_present",
            f"count(*) filter (where {blank})",
            maximum=0,
            counts=True,
            bound={"refused": ()},
        ),
        "",
    )


def _missing(name: str) -> _Rule:
    figure = f"count(*) - count({quote(name)})"
    return _Rule(f"{name}_present", figure, maximum=0, counts=True)


def _repeated(key: str, columns: Sequence[str]) -> _Rule:
    listed = ", ".join(quote(name) for name in columns)
    return _Rule(key, f"count(*) - count(distinct row({listed}))", maximum=0, counts=True)


def _finite(name: str) -> _Rule:
    value = f"{quote(name)}::double"
    return _Rule(
        f"finite:{name}",
        f"count(*) filter (where isnan({value}) or isinf({value}))",
        maximum=0,
        counts=True,
    )


def _range(name: str, low: float | None, high: float | None) -> _Rule:
    value = quote(name)
    outside = [
        f"{value} {sign} {limit!r}"
        for sign, limit in (("<", low), (">", high))
        if limit is not None
    ]
    return _Rule(
        f"range:{name}",
        f"count(*) filter (where {' or '.join(outside)})",
        maximum=0,
        counts=True,
        bound={"minimum": low, "maximum": high},
    )


def _null_share(name: str, ceiling: float) -> _Rule:
    return _Rule(
        f"null_share:{name}",
        f"count(*) - count({quote(name)})",
        counts=True,
        bound={"maximum": ceiling},
    )


def _find_range(
    ranges: Mapping[str, tuple[float | None, float | None]], name: str
) -> tuple[float | None, float | None]:
    """The range of the name itself, else of the first pattern that fits it."""
    if name in ranges:
        return ranges[name]
    fitting = [found for pattern, found in ranges.items() if fnmatch.fnmatchcase(name, pattern)]
    return fitting[0] if fitting else (None, None)


def _check(
    table: str,
    path: Path,
    wanted: Sequence[str],
    settings: Settings,
    rules: Iterator[tuple[_Rule, str]],
) -> tuple[RuleResult, ...]:
    memory_limit_mb, threads = settings.warehouse.memory_limit_mb, settings.warehouse.threads
    with scratch(
        memory_limit_mb=memory_limit_mb, threads=threads, allowed_directories=[path.parent]
    ) as connection:
        types = _types(connection, path)
        missing = [name for name in wanted if name not in types]
        if missing:
            raise InternalError(f"The {table} lack columns: {', '.join(missing)}.")
        kept = [rule for rule, number in rules if not number or types[number].startswith(_NUMBERS)]
        if not connection.rows("select 1 from read_parquet($path) limit 1", {"path": str(path)}):
            # Without rows every other rule is kept, which must not look like a pass.
            kept = [rule for rule in kept if rule.key == "rows"]
        terms = ", ".join(f"{rule.figure} as {quote(rule.key)}" for rule in kept)
        figures = connection.one(
            f"select count(*) as row_count, {terms} from read_parquet($path)", {"path": str(path)}
        )
    bounds = {rule.key: dict(rule.bound) for rule in kept}
    judgements = judge(
        build_suite(table, bounds), path, bounds, memory_limit_mb=memory_limit_mb, threads=threads
    )
    rows = int(figures["row_count"])
    results = []
    for rule in kept:
        figure, judged = int(figures[rule.key]), judgements[rule.key]
        passed = _passes(rule, figure, rows)
        theirs = judged.unexpected_rows if rule.counts else judged.success
        ours = figure if rule.counts else passed
        if theirs != ours:
            raise InternalError(
                f"Two counts of the {table} differ, so neither is believed: rule '{rule.key}'.",
                found=f"Great Expectations says {theirs}, our own SQL says {ours}.",
            )
        results.append(_result(rule, figure, rows, passed))
    return tuple(results)


def _passes(rule: _Rule, figure: int, rows: int) -> bool:
    if rule.key.startswith("null_share:"):
        return rows == 0 or figure <= rule.bound["maximum"] * rows
    return (rule.minimum is None or figure >= rule.minimum) and (
        rule.maximum is None or figure <= rule.maximum
    )


def _result(rule: _Rule, figure: int, rows: int, passed: bool) -> RuleResult:
    name, _, column = rule.key.partition(":")
    if rule.counts:
        share = f" ({figure / rows:.1%})" if rows else ""
        observed, limit = f"{figure:,} of {rows:,} rows{share}", "0"
        if name == "null_share":
            limit = f"{rule.bound['maximum']:.1%}"
    else:
        observed, limit = f"{figure:,}", f"at least {rule.minimum:,}"
    failed = figure if rule.counts else 0
    return RuleResult(name, column, "stop", rows, failed, limit, observed, passed)


def _rows(path: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def _types(connection: Connection, path: Path) -> dict[str, str]:
    rows = connection.rows("describe select * from read_parquet($path)", {"path": str(path)})
    return {row["column_name"]: row["column_type"] for row in rows}


@contextmanager
def _as_parquet(table: pa.Table | Path, settings: Settings) -> Iterator[Path]:
    """The table as a Parquet file; ours is written where only we read, and removed."""
    if isinstance(table, Path):
        yield table
        return
    import pyarrow.parquet as pq

    spill = settings.home / "spill"
    spill.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=spill, prefix="check-") as directory:
        path = Path(directory) / "table.parquet"
        # Statistics leave NaN out, and DuckDB would believe them.
        pq.write_table(table, path, write_statistics=False)
        yield path
