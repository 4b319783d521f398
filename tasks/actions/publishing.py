"""The lists as rows of the lake and as files, published with their findings or not at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.archive import find_findings, insert_findings
from tasks.contracts import CUSTOMER_TABLES
from tasks.crash import crash_point
from tasks.errors import HoldfastError
from tasks.exports import (
    ExportFile,
    arrow_schema,
    export_directory,
    find_exports,
    insert_exports,
    is_whole,
    put_in_place,
    write_files,
)
from tasks.findings import ActionFindings
from tasks.warehouse import quote

if TYPE_CHECKING:
    from tasks.settings import Settings
    from tasks.warehouse import Lake

_COLUMNS = CUSTOMER_TABLES["customer_actions"]
# One pair of files each: who is contacted to be kept, to be won back, and who is held out of both.
_FILES = {
    "actions": "listed_for = 'retention' and not held_out",
    "winback": "listed_for = 'winback' and not held_out",
    "held_out": "held_out",
}


def publish_lists(
    lake: Lake,
    run_id: str,
    found: ActionFindings,
    settings: Settings,
    record: Callable[[], None] | None = None,
) -> None:
    """Write `action_row` as files, publish rows, findings and checksums at once, name the files.

    `record` writes in the same transaction what a rollout must know of it. A run that another
    process has published meanwhile is left as it is. Raises DiskFailure (73).
    """
    files = _write(lake, run_id, "action_row", found.as_of, settings)
    try:
        with lake.writer_lock("publish actions"):
            if find_findings(lake, ActionFindings, finding_id=run_id) is None:
                crash_point("actions.before_publish")
                message = f"action list of {found.as_of:%Y-%m-%d}"
                with lake.publish("holdfast", message, {"finding_id": run_id}):
                    lake.execute(
                        "insert into lake.main.customer_actions by name from action_row"
                        " order by listed_for, held_out, rank"
                    )
                    insert_findings(lake, run_id, found)
                    insert_exports(lake, run_id, files)
                    if record is not None:
                        record()
        crash_point("actions.published")
    except HoldfastError:
        for file in files:
            file.aside.unlink(missing_ok=True)
        raise
    for file in files:
        put_in_place(file)


def restore_files(lake: Lake, run_id: str, as_of: datetime, settings: Settings) -> None:
    """Write the files of a published run again where they are not what they were."""
    done = find_exports(lake, run_id)
    if done and is_whole(export_directory(settings, as_of), done):
        return
    files = _write(lake, run_id, "lake.main.customer_actions", as_of, settings)
    changed = [file for file in files if done.get(file.path.name, {}).get("sha256") != file.sha256]
    if changed:
        # Another version of the writing library; the ledger must know the file that is there.
        with (
            lake.writer_lock("record an export"),
            lake.publish("holdfast", "action list exported again", {"finding_id": run_id}),
        ):
            insert_exports(lake, run_id, changed)
    for file in files:
        put_in_place(file)


def _write(
    lake: Lake, run_id: str, table: str, as_of: datetime, settings: Settings
) -> list[ExportFile]:
    listed = ", ".join(quote(column.name) for column in _COLUMNS)
    directory: Path = export_directory(settings, as_of)
    files: list[ExportFile] = []
    for stem, condition in _FILES.items():
        sql = (
            f"select {listed} from {table} where run_id = $run_id and {condition}"
            " order by listed_for, rank"
        )
        files += write_files(
            lake.batches(sql, {"run_id": run_id}, rows=settings.scoring.batch_rows),
            arrow_schema(_COLUMNS),
            directory,
            stem,
            byte_order_mark=settings.scoring.csv_byte_order_mark,
        )
    return files
