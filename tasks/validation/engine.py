"""Runs a Great Expectations suite by SQL over one Parquet file, and trusts nothing of its silence.

Great Expectations takes about six seconds to import, so it is imported on first use, once a
process. A context shared by threads gives wrong counts: each validation has a context of its own.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from tasks.errors import InternalError

Bounds = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What Great Expectations says of one rule.

    `unexpected_rows` is the number of rows that break it, None for a rule about the whole batch.
    """

    rule: str
    success: bool
    unexpected_rows: int | None
    observed: Any


def build_suite(table: str, bounds: Bounds, **arguments: Any) -> Any:
    """The suite of `expectations/<table>.py` for these bounds."""
    with warnings.catch_warnings():
        # Import-time deprecations of the library's own dependencies; ours to know, not to fix.
        warnings.simplefilter("ignore")
        module = import_module(f"expectations.{table}")
    try:
        return module.suite(bounds, **arguments)
    except (ValueError, TypeError, KeyError) as error:
        raise InternalError(
            f"The suite of {table} cannot be built: the check is broken, not the data.",
            found=f"{type(error).__name__}: {error}",
        ) from error


def judge(
    suite: Any,
    path: Path,
    rules: Collection[str],
    *,
    memory_limit_mb: int = 1024,
    threads: int = 2,
    spill: Path | None = None,
    keep: Callable[[Any], None] | None = None,
) -> dict[str, Judgement]:
    """Run the suite over the Parquet file; one judgement a rule. `keep` gets the whole outcome.

    Raises InternalError (70) where an expectation could not be computed, or where a rule has no
    result: Great Expectations drops an expectation of unknown type with no more than a log line.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcome = _validate(suite, path, memory_limit_mb, threads, spill)
    if keep is not None:
        keep(outcome)
    judgements: dict[str, Judgement] = {}
    for result in outcome.results:
        rule = str((result.expectation_config.meta or {}).get("rule", ""))
        _refuse_broken(rule, result)
        found = result.result
        unexpected = found.get("unexpected_count")
        if unexpected is None and result.expectation_config.type == "expect_rows_to_be_distinct":
            unexpected = found["observed_value"]
        if rule in judgements:
            raise InternalError(f"The rule '{rule}' has two expectations.")
        judgements[rule] = Judgement(
            rule,
            bool(result.success),
            int(unexpected) if unexpected is not None else None,
            found.get("observed_value"),
        )
    missing = sorted(set(rules) - set(judgements))
    unknown = sorted(set(judgements) - set(rules))
    if missing or unknown:
        raise InternalError(
            "Great Expectations did not check what it was asked to: the check is broken.",
            found=f"without a result: {', '.join(missing) or 'none'};"
            f" not asked for: {', '.join(unknown) or 'none'}",
        )
    return judgements


def _validate(
    suite: Any, path: Path, memory_limit_mb: int, threads: int, spill: Path | None
) -> Any:
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    from tasks.validation import dialect

    # It tells at INFO of a temporary folder for every context; a night makes dozens. The module
    # that tells it has set a level of its own.
    for name in ("great_expectations", "great_expectations.data_context.types.base"):
        logging.getLogger(name).setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    tokens = (
        (dialect.allowed_directory, dialect.allowed_directory.set(path.parent)),
        (dialect.spill_directory, dialect.spill_directory.set(spill)),
        (dialect.memory_limit_mb, dialect.memory_limit_mb.set(memory_limit_mb)),
        (dialect.threads, dialect.threads.set(threads)),
    )
    engine = None
    try:
        source = context.data_sources.add_sql(
            "staged", connection_string=dialect.register(), create_temp_table=False
        )
        escaped = str(path.resolve()).replace("'", "''")
        asset = source.add_query_asset("rows", query=f"select * from read_parquet('{escaped}')")
        batch = asset.add_batch_definition_whole_table("all").get_batch()
        engine = batch.data.execution_engine.engine
        # Counts without samples: a sample costs a query and would hold personal data.
        outcome = batch.validate(
            suite, result_format={"result_format": "BASIC", "partial_unexpected_count": 0}
        )
    except Exception as error:
        raise InternalError(
            "Great Expectations could not run the suite: the check is broken, not the data.",
            found=_first_line(error),
        ) from error
    finally:
        if engine is not None:
            engine.dispose()
        for variable, token in tokens:
            variable.reset(token)  # type: ignore[arg-type]
    return outcome


def _refuse_broken(rule: str, result: Any) -> None:
    info = result.exception_info or {}
    if info.get("raised_exception") is False:
        return
    entries = [info] if "exception_message" in info else list(info.values())
    messages = {str(entry.get("exception_message", "")) for entry in entries if entry}
    if not messages:
        return
    raise InternalError(
        f"Great Expectations could not compute the rule '{rule}'"
        f" ({result.expectation_config.type}): the check is broken, not the data.",
        found="; ".join(sorted(message.splitlines()[0] for message in messages if message)),
    )


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0] if text else ''}"
