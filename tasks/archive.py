"""Findings in the ledger: appended by the family that found them, read back for the page."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from tasks.errors import StoredDataCorrupt
from tasks.findings import FINDINGS, Kind, Night
from tasks.moments import read_clock
from tasks.warehouse import Lake

N = TypeVar("N", bound=Night)


def hash_parts(parts: Mapping[str, Any]) -> str:
    """A run's id: sha256, shortened, over everything that its rows and figures depend on."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def insert_findings(lake: Lake, finding_id: str, found: Night) -> None:
    """Append findings; call inside the transaction that publishes the rows they speak of."""
    lake.execute(
        "insert into lake.ledger.findings values"
        " ($id, $kind, $as_of, $known_by, $snapshot_id, $recorded_at, $content)",
        {
            "id": finding_id,
            "kind": _kind_of(type(found)),
            "as_of": found.as_of,
            "known_by": found.known_by,
            "snapshot_id": found.snapshot_id,
            "recorded_at": read_clock(),
            "content": found.model_dump_json(),
        },
    )


def find_findings(
    lake: Lake, model: type[N], *, finding_id: str | None = None, as_of: datetime | None = None
) -> N | None:
    """The newest findings of a kind: of one run, of one cut-off, or at all. None: there are none.

    Raises StoredDataCorrupt (74) for content that this version cannot read.
    """
    kind = _kind_of(model)
    rows = lake.rows(
        "select content from lake.ledger.findings where kind = $kind"
        " and ($id::varchar is null or finding_id = $id)"
        " and ($as_of::timestamptz is null or as_of = $as_of)"
        " order by recorded_at desc limit 1",
        {"kind": kind, "id": finding_id, "as_of": as_of},
    )
    if not rows:
        return None
    try:
        return model.model_validate_json(str(rows[0]["content"]))
    except ValidationError as error:
        raise StoredDataCorrupt(
            f"The {kind} findings in the ledger are not of the form that is known here.",
            found=str(error.errors()[0]["loc"]),
            next_step="run the night again: it writes them anew",
        ) from error


def recall_findings(lake: Lake, model: type[N], finding_id: str) -> N | None:
    """The findings of a run that is published already, which from now on are the newest again.

    A setting or a champion that is taken back asks for the run before; those who read the newest of
    the cut-off must then not go on with what was taken back. None: there is no such run.
    """
    found = find_findings(lake, model, finding_id=finding_id)
    if found is None or _is_newest(lake, finding_id, found):
        return found
    with lake.writer_lock("recall findings"):
        if not _is_newest(lake, finding_id, found):
            message = f"findings of {found.as_of:%Y-%m-%d} once more"
            with lake.publish("holdfast", message, {"finding_id": finding_id}):
                insert_findings(lake, finding_id, found)
    return found


def _is_newest(lake: Lake, finding_id: str, found: Night) -> bool:
    newest = lake.scalar(
        "select arg_max(finding_id, recorded_at) from lake.ledger.findings"
        " where kind = $kind and as_of = $as_of",
        {"kind": _kind_of(type(found)), "as_of": found.as_of},
    )
    return bool(newest == finding_id)


def _kind_of(model: type[Night]) -> Kind:
    return next(name for name, one in FINDINGS.items() if one is model)
