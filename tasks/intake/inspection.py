"""A delivered Parquet file is opened first by a process that may die of it.

The footer's own figures are compared with the limits before a page is read; then the declared
columns are read once within bounds of memory and time. Called as
`python -m tasks.intake.inspection`, it answers in one line of JSON.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from tasks.errors import HoldfastError
from tasks.intake.rejection import BatchRejected, Code
from tasks.settings import PROJECT
from tasks.sources import IntakeLimits

_MAGIC = b"PAR1"
_MAXIMUM_FOOTER_BYTES = 64_000_000
_RATIO_FROM_BYTES = 10_000_000
# The least that a decoded value takes in memory.
_VALUE_BYTES = 8
_SCAN_MEMORY_MB = 1_024


@dataclass(frozen=True, slots=True)
class ParquetShape:
    """Rows of a file, and its columns in order with their DuckDB types."""

    rows: int
    columns: tuple[tuple[str, str], ...]


def inspect_parquet(
    path: Path, batch_name: str, declared: Iterable[str], limits: IntakeLimits
) -> ParquetShape:
    """Say the shape of a Parquet file that can be read whole within the limits.

    Raises BatchRejected: MALFORMED, EMPTY, LIMIT, BOMB or SCHEMA (a doubled column).
    """
    question = json.dumps(
        {"path": str(path), "declared": list(declared), "limits": limits.model_dump()}
    )
    try:
        answer = subprocess.run(
            [sys.executable, "-m", "tasks.intake.inspection"],
            input=question,
            capture_output=True,
            text=True,
            timeout=limits.inspection_seconds * 2,
            cwd=PROJECT,
            env={key: os.environ[key] for key in ("PATH", "LANG", "TMPDIR") if key in os.environ},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _bomb(batch_name, "reading it took too long") from None
    if answer.returncode in (-signal.SIGKILL, -signal.SIGXCPU):
        raise _bomb(batch_name, "reading it took more time than allowed")
    try:
        reply = json.loads(answer.stdout)
    except json.JSONDecodeError:
        reply = {"code": "MALFORMED", "problem": f"reading it ended with {answer.returncode}"}
    if "code" in reply:
        code: Code = reply["code"] if reply["code"] in get_args(Code) else "MALFORMED"
        raise BatchRejected(code, batch_name, str(reply["problem"]))
    return ParquetShape(
        int(reply["rows"]), tuple((str(name), str(kind)) for name, kind in reply["columns"])
    )


def _bomb(batch_name: str, problem: str) -> BatchRejected:
    return BatchRejected("BOMB", batch_name, problem)


class _Refusal(Exception):
    """What the child process found wrong."""

    def __init__(self, code: Code, problem: str) -> None:
        super().__init__(problem)
        self.code = code
        self.problem = problem


def _inspect(question: dict[str, Any]) -> dict[str, Any]:
    path = Path(question["path"])
    limits = IntakeLimits.model_validate(question["limits"])
    _check_frame(path)
    rows, names = _check_footer(path, limits)
    columns = _scan(path, names, set(question["declared"]), rows, limits)
    return {"rows": rows, "columns": columns}


def _check_frame(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 8))
        tail = file.read()
    if size < 12 or tail[-4:] != _MAGIC:
        raise _Refusal("MALFORMED", "the Parquet file has no footer: it is cut off or damaged")
    footer = int.from_bytes(tail[:4], "little")
    if footer > min(size - 12, _MAXIMUM_FOOTER_BYTES) or footer == 0:
        raise _Refusal("MALFORMED", f"the Parquet file says its footer has {footer:,} bytes")


def _check_footer(path: Path, limits: IntakeLimits) -> tuple[int, list[str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path, memory_map=False)
        names = list(metadata.schema.to_arrow_schema().names)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _Refusal("MALFORMED", "the footer of the Parquet file is damaged") from error
    if metadata.num_rows == 0:
        raise _Refusal("EMPTY", "the Parquet file has no rows")
    if metadata.num_columns > limits.maximum_columns:
        raise _Refusal(
            "LIMIT",
            f"{metadata.num_columns:,} columns, allowed are {limits.maximum_columns:,}",
        )
    if metadata.num_rows > limits.maximum_rows:
        raise _Refusal("LIMIT", f"{metadata.num_rows:,} rows, allowed are {limits.maximum_rows:,}")
    unpacked = sum(
        metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups)
    )
    _check_unpacked(unpacked, path, limits)
    _check_unpacked(
        metadata.num_rows * metadata.num_columns * _VALUE_BYTES, path, limits, ratio=False
    )
    return metadata.num_rows, names


def _check_unpacked(unpacked: int, path: Path, limits: IntakeLimits, *, ratio: bool = True) -> None:
    size = path.stat().st_size
    if unpacked < 0 or unpacked > limits.maximum_unpacked_mb * 1e6:
        raise _Refusal(
            "BOMB",
            f"{size:,} bytes that unpack to {unpacked / 1e6:,.0f} MB,"
            f" allowed are {limits.maximum_unpacked_mb:,.0f} MB",
        )
    if ratio and unpacked > max(_RATIO_FROM_BYTES, size * limits.maximum_unpack_ratio):
        raise _Refusal(
            "BOMB",
            f"{size:,} bytes that unpack to {unpacked / 1e6:,.0f} MB, more than"
            f" {limits.maximum_unpack_ratio:g} times its size",
        )


def _scan(
    path: Path, names: list[str], declared: set[str], rows: int, limits: IntakeLimits
) -> list[list[str]]:
    """Read every page of the declared columns once; gives the columns with DuckDB's types."""
    from tasks.warehouse import literal, quote, scratch

    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        # DuckDB would rename the second without a word.
        return [[name, "VARCHAR"] for name in names]
    relation = f"read_parquet({literal(str(path))})"
    with scratch(
        memory_limit_mb=_SCAN_MEMORY_MB, threads=1, allowed_directories=[path.parent]
    ) as connection:
        described = connection.rows(f"describe select * from {relation}")
        columns = [[str(row["column_name"]), str(row["column_type"])] for row in described]
        parts = ["count(*) as records"]
        texts = []
        for number, (name, kind) in enumerate(columns):
            if name not in declared:
                continue
            if kind == "VARCHAR":
                texts.append(number)
                parts.append(f"sum(strlen({quote(name)}))::double as {quote(f'bytes {number}')}")
                parts.append(f"max(strlen({quote(name)})) as {quote(f'longest {number}')}")
            else:
                parts.append(f"count({quote(name)}) as {quote(f'values {number}')}")
        found = connection.one(f"select {', '.join(parts)} from {relation}")
    if found["records"] != rows:
        raise _Refusal("MALFORMED", "the Parquet file holds other rows than its footer says")
    _check_unpacked(
        int(sum(found[f"bytes {number}"] or 0 for number in texts)), path, limits, ratio=False
    )
    longest = max((found[f"longest {number}"] or 0 for number in texts), default=0)
    if longest > limits.maximum_cell_kb * 1000:
        raise _Refusal(
            "LIMIT",
            f"a value of {longest:,} bytes, allowed are {limits.maximum_cell_kb * 1000:,.0f}",
        )
    return columns


def main() -> int:
    """Answer the question on standard input."""
    question = json.load(sys.stdin)
    limits = question["limits"]
    bytes_allowed = int(limits["inspection_memory_mb"]) * 1_000_000
    resource.setrlimit(resource.RLIMIT_AS, (bytes_allowed, bytes_allowed))
    seconds = int(limits["inspection_seconds"])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        reply = _inspect(question)
    except _Refusal as error:
        reply = {"code": error.code, "problem": error.problem}
    except MemoryError:
        reply = {"code": "BOMB", "problem": "reading it took more memory than allowed"}
    except HoldfastError as error:
        kind = type(error.__cause__).__name__
        reply = (
            {"code": "BOMB", "problem": "reading it took more memory than allowed"}
            if kind == "OutOfMemoryException"
            else {"code": "MALFORMED", "problem": f"the Parquet file cannot be read ({kind})"}
        )
    sys.stdout.write(json.dumps(reply))
    return 0


if __name__ == "__main__":
    sys.exit(main())
