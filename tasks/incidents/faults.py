"""Items for refusals that are about no delivery: opened by a check, ended when it passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tasks.errors import DataRejected
from tasks.handles import Cause
from tasks.incidents.queue import raise_incident, resolve_raised
from tasks.warehouse import Lake

TRAINING = "training"


@contextmanager
def reporting_fault(
    lake: Lake, code: str, *, subject: str = TRAINING, actor: str = "holdfast"
) -> Iterator[None]:
    """Around a check that raises DataRejected: one item of `code` a `subject` while it refuses.

    The refusal goes on as it is; its first line is the item's headline, so it names the feature
    and the figure. When the same check passes later, the item ends by itself ('recovered').
    """
    key = f"{subject}|fault|{code}"
    try:
        yield
    except DataRejected as refused:
        cause = Cause(key, code, "fault", subject, "", refused.what)
        report = {"found": refused.found, "next": refused.next_step}
        raise_incident(lake, cause, actor=actor, report=report)
        raise
    resolve_raised(lake, key, actor=actor, reason="a later check has passed")
