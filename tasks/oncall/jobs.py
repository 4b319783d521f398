"""Work that a click has asked for, carried out in a thread while the page waits beside it.

Nothing here is the truth: a restart forgets jobs, and the ledger says what they have done.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

from tasks.errors import HoldfastError

_LOG = logging.getLogger("holdfast.oncall")
_MOST_KEPT = 200
_WORKERS = 2


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work about one item. `lines` say what became of it, or why it was refused."""

    key: str
    deployment: str
    item: str
    doing: str
    state: Literal["working", "done", "refused"] = "working"
    lines: tuple[str, ...] = ()


class Jobs:
    """A few threads and what they have done lately."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="oncall")
        self._guard = threading.Lock()
        self._found: dict[str, Job] = {}

    def start(
        self,
        deployment: str,
        item: str,
        doing: str,
        work: Callable[[], Sequence[str]],
        finally_do: Callable[[], None] = lambda: None,
    ) -> Job:
        """Begin `work`: it gives the lines to be shown."""
        job = Job(secrets.token_urlsafe(12), deployment, item, doing)
        with self._guard:
            self._found[job.key] = job
            for key in [k for k, j in self._found.items() if j.state != "working"][:-_MOST_KEPT]:
                del self._found[key]
        future = self._pool.submit(self._run, job, work, finally_do)
        future.add_done_callback(_complain)
        return job

    def find(self, key: str, deployment: str, item: str) -> Job | None:
        """The job of that key, if it is about that item."""
        with self._guard:
            job = self._found.get(key)
        return job if job is not None and (job.deployment, job.item) == (deployment, item) else None

    def find_working(self, deployment: str, item: str, doing: str) -> Job | None:
        """A job that does the same for the item at this moment."""
        with self._guard:
            return next(
                (
                    job
                    for job in self._found.values()
                    if (job.deployment, job.item, job.doing) == (deployment, item, doing)
                    and job.state == "working"
                ),
                None,
            )

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _run(
        self,
        job: Job,
        work: Callable[[], Sequence[str]],
        finally_do: Callable[[], None],
    ) -> None:
        try:
            ended = replace(job, state="done", lines=tuple(work()))
        except HoldfastError as error:
            ended = replace(job, state="refused", lines=tuple(str(error).splitlines()))
        except Exception as error:  # noqa: BLE001  (a bug must reach the page)
            # A bug: its text may hold anything, so the page names its kind alone.
            _LOG.exception("%s of %s failed", job.doing, job.item)
            said = f"A bug ({type(error).__name__}); what happened is in the server's log."
            ended = replace(job, state="refused", lines=(said,))
        finally:
            finally_do()
        with self._guard:
            self._found[job.key] = ended


def _complain(future: Future[None]) -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        _LOG.error("a job ended badly: %s", type(error).__name__)
