"""A killed listing is mended by the next."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.actions.listing import list_actions
from tasks.exports import hash_file
from tasks.settings import PROJECT, Settings
from tasks.warehouse import Lake
from tests.actions.made_up import AS_OF, KNOWN_BY, put_scores

LISTER = """
import sys
from pathlib import Path
from tasks.actions.listing import list_actions
from tasks.settings import load_settings
from tasks.warehouse import open_lake
from tests.actions.made_up import AS_OF, KNOWN_BY

overlay, home = sys.argv[1:]
settings = load_settings(overlay, home=Path(home))
with open_lake(settings) as lake:
    list_actions(lake, AS_OF, KNOWN_BY, settings)
"""


@pytest.mark.faults
@pytest.mark.parametrize("point", ["actions.before_publish", "exports.winback.csv_renamed"])
def test_a_killed_listing_is_mended_by_the_next(
    lake: Lake, settings: Settings, tmp_path: Path, point: str
) -> None:
    people = [
        {"customer_id": f"c{n}", "probability": 0.7, "value_amount": 500 + n} for n in range(30)
    ]
    put_scores(lake, people)
    overlay = tmp_path / f"{settings.deployment}.yaml"
    overlay.write_text(f"deployment: {settings.deployment}\n")
    done = subprocess.run(
        [sys.executable, "-c", LISTER, str(overlay), str(settings.home)],
        env={**os.environ, "PYTHONPATH": str(PROJECT), "HOLDFAST_CRASH_AT": point},
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    published = lake.scalar("select count(*) from lake.main.customer_actions") > 0
    assert published is (point != "actions.before_publish")
    found, is_new = list_actions(lake, AS_OF, KNOWN_BY, settings)
    assert is_new is not published
    rows = lake.scalar("select count(*) from lake.main.customer_actions")
    assert rows == found.customers + found.held_out_customers
    exports = lake.rows("select path, sha256 from lake.ledger.exports where export_id <> 's1'")
    assert len(exports) == 6
    for row in exports:
        assert hash_file(settings.home / row["path"]) == row["sha256"]
    folder = (settings.home / found.files[0]).parent
    assert {path.name for path in folder.iterdir()} == {Path(path).name for path in found.files}
