"""Every way that Holdfast can stop, each with the exit code a script can act on.

    HoldfastError
    ├── UsageError          64  the command line asks for something that cannot be
    ├── DataRejected        65  the data break a rule; nothing of them was published
    ├── ServiceDown         69  a needed service does not answer; try again
    │   └── TrackingDown    69  MLflow does not
    ├── InternalError       70  two of our own figures disagree: a bug, not the data
    ├── DiskFailure         73  no room, no permission or a failed write
    ├── StoredDataCorrupt   74  a stored file is not what the ledger says it is
    ├── LockHeld            75  somebody else is at it; try later
    ├── Refused             77  not allowed: security or permission
    │   └── Tampered        77  a stored model is not the one that was let in
    └── ConfigurationError  78  a file in `conf/` or an environment variable is wrong

The codes are those of sysexits.h. A message says what was asked, what was found, what is
available and what to do next; it holds no personal data, since messages travel to logs.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class HoldfastError(Exception):
    """A stop with a reason. `str(error)` is the whole message, ready to be shown."""

    exit_code = 70
    # How the work queue calls what ended a run so; empty: an item of its own, or none, tells it.
    fault_code = ""

    def __init__(
        self,
        what: str,
        *,
        found: str = "",
        available: Iterable[str] = (),
        next_step: str = "",
    ) -> None:
        self.what = what
        self.found = found
        self.available = tuple(available)
        self.next_step = next_step
        super().__init__(what)

    def __str__(self) -> str:
        lines = [self.what]
        if self.found:
            lines.append(f"  {self.found}")
        if self.available:
            lines.append(f"  Available: {', '.join(self.available)}")
        if self.next_step:
            lines.append(f"  Next: {self.next_step}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders (tuning workers); keyword-only arguments need help there.
        return (
            _rebuild,
            (type(self), self.what, self.found, self.available, self.next_step),
        )


def _rebuild(
    kind: type[HoldfastError], what: str, found: str, available: tuple[str, ...], next_step: str
) -> HoldfastError:
    return kind(what, found=found, available=available, next_step=next_step)


class UsageError(HoldfastError):
    """The command line asks for something that cannot be."""

    exit_code = 64


class DataRejected(HoldfastError):
    """The data break a rule; nothing of them was published."""

    exit_code = 65


class ServiceDown(HoldfastError):
    """A needed service does not answer."""

    exit_code = 69
    fault_code = "SERVICE"


class TrackingDown(ServiceDown):
    """MLflow does not answer."""

    fault_code = "MLFLOW"


class InternalError(HoldfastError):
    """Two of our own figures disagree."""

    exit_code = 70
    fault_code = "BUG"


class DiskFailure(HoldfastError):
    """No room, no permission or a failed write."""

    exit_code = 73
    fault_code = "DISK"


class StoredDataCorrupt(HoldfastError):
    """A stored file is not what the ledger says it is."""

    exit_code = 74
    fault_code = "CORRUPT"


class LockHeld(HoldfastError):
    """Somebody else holds the lock."""

    exit_code = 75


class Refused(HoldfastError):
    """Not allowed."""

    exit_code = 77


class Tampered(Refused):
    """A stored model is not the one that was let in."""

    fault_code = "INTEGRITY"


class ConfigurationError(HoldfastError):
    """A file in `conf/` or an environment variable is wrong."""

    exit_code = 78


def suggest(asked: str, known: Iterable[str]) -> str:
    """`Did you mean 'x'?` for the nearest of the known names, or an empty text."""
    near = get_close_matches(asked, list(known), n=1, cutoff=0.6)
    return f"Did you mean '{near[0]}'?" if near else ""
