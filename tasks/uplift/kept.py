"""The learners that are kept: which the ledger refers to, whether they are whole, which may go.

What a study is unlocked by is fitted anew by each night's lots, and each is kept under its hash.
One that is gone is made anew from the same lots where its run is asked for again, so that only the
newest few are kept.
"""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

from tasks.archive import find_findings
from tasks.audits import Verified
from tasks.errors import HoldfastError
from tasks.evidence import UpliftFindings
from tasks.keeping import describe_damage, verify_model
from tasks.uplift.serving import find_directory, learners_directory
from tasks.uplift.subjects import SQL

if TYPE_CHECKING:
    from tasks.warehouse import Lake

# Another run may have kept one of late that it has not published yet.
_UNPUBLISHED_SECONDS = 86_400


def find_in_force(lake: Lake) -> UpliftFindings | None:
    """The newest run of the newest night, which that night's list reads; None before the first."""
    as_of = lake.scalar("select max(as_of) from lake.ledger.findings where kind = 'uplift'")
    return None if as_of is None else find_findings(lake, UpliftFindings, as_of=as_of)


def verify_learners(lake: Lake) -> list[Verified]:
    """Of every learner in force: are its files those that the ledger names? Parses nothing."""
    found = find_in_force(lake)
    told = []
    for study in () if found is None else found.studies:
        if study.kept is None:
            continue
        directory = find_directory(lake.settings.home, lake.deployment, study.kept.model_hash)
        one = Verified(
            name=f"uplift of {study.action} ({study.listed_for})",
            version=None,
            candidate=study.kept.learner,
            serves=True,
            files="right",
            predictions="not asked",
            store="not asked",
        )
        try:
            verify_model(directory, study.kept.files)
        except HoldfastError as error:
            one = one.spoil(*describe_damage(error))
        told.append(one)
    return told


def prune_learners(lake: Lake, keep: int = 5) -> None:
    """Remove what no study refers to any more: of each action the newest few learners stay.

    The one in force is the newest. Hold the writer lock, so that nobody publishes meanwhile.
    """
    rows = lake.rows(lake.text(SQL / "kept_learners.sql"), {"keep": keep})
    home, deployment = lake.settings.home, lake.deployment
    named = {find_directory(home, deployment, str(row["model_hash"])).name for row in rows}
    root = learners_directory(home, deployment)
    newest = time.time() - _UNPUBLISHED_SECONDS
    for path in root.iterdir() if root.is_dir() else ():
        if path.name not in named and path.stat().st_mtime < newest:
            shutil.rmtree(path, ignore_errors=True)
