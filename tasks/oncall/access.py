"""Who may come in: passwords, sessions kept on the server, and a brake on guessing."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

IDLE_SECONDS = 3600.0
LONGEST_SECONDS = 12 * 3600.0
_MOST_SESSIONS = 500
# Wrong passwords that cost nothing; each further one doubles the wait.
_FREE_TRIES = 3
_LONGEST_WAIT_SECONDS = 60.0
_FORGOTTEN_SECONDS = 900.0

Clock = Callable[[], float]


@dataclass(slots=True)
class Session:
    """Somebody who is logged in. Forms must carry `token`."""

    person: str
    token: str
    opened_at: float
    seen_at: float


class Sessions:
    """Sessions in memory: a restart logs everybody out. Only a hash of a cookie is kept."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._found: dict[str, Session] = {}

    def open(self, person: str) -> str:
        """A new session of the person; the value of its cookie."""
        now = self._clock()
        self._forget_old(now)
        if len(self._found) >= _MOST_SESSIONS:
            del self._found[min(self._found, key=lambda key: self._found[key].seen_at)]
        cookie = secrets.token_urlsafe(32)
        self._found[_digest(cookie)] = Session(person, secrets.token_urlsafe(32), now, now)
        return cookie

    def find(self, cookie: str | None) -> Session | None:
        """The session of a cookie, if it has not ended; looking keeps it from going idle."""
        if not cookie:
            return None
        now = self._clock()
        self._forget_old(now)
        session = self._found.get(_digest(cookie))
        if session is not None:
            session.seen_at = now
        return session

    def close(self, cookie: str | None) -> None:
        self._found.pop(_digest(cookie or ""), None)

    def _forget_old(self, now: float) -> None:
        ended = [
            key
            for key, session in self._found.items()
            if now - session.seen_at > IDLE_SECONDS or now - session.opened_at > LONGEST_SECONDS
        ]
        for key in ended:
            del self._found[key]


class Door:
    """Checks a name and its password. Wrong ones make the next try of that name wait."""

    def __init__(self, people: Mapping[str, str], clock: Clock = time.monotonic) -> None:
        self._people = dict(people)
        self._clock = clock
        self._wrong: dict[str, tuple[int, float]] = {}
        # Compared with where there is no such person, so that both take the same time.
        self._nobody = secrets.token_urlsafe(32)

    def wait_seconds(self, person: str) -> float:
        """How long this name must wait before its next try; names that are nobody's share one."""
        count, at = self._wrong.get(self._bucket(person), (0, 0.0))
        if count <= _FREE_TRIES:
            return 0.0
        pause = min(2.0 ** (count - _FREE_TRIES), _LONGEST_WAIT_SECONDS)
        return max(0.0, at + pause - self._clock())

    def admit(self, person: str, password: str) -> bool:
        """Whether the password is that person's. Ask `wait_seconds` first."""
        known = self._people.get(person)
        same = hmac.compare_digest(
            _digest(password), _digest(self._nobody if known is None else known)
        )
        bucket = self._bucket(person)
        if same and known is not None:
            self._wrong.pop(bucket, None)
            return True
        now = self._clock()
        count, at = self._wrong.get(bucket, (0, now))
        self._wrong[bucket] = (1 if now - at > _FORGOTTEN_SECONDS else count + 1, now)
        return False

    def _bucket(self, person: str) -> str:
        return person if person in self._people else ""


def is_same(token: str, expected: str) -> bool:
    """Whether a form's token is the session's, in constant time."""
    return hmac.compare_digest(_digest(token), _digest(expected))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", errors="replace")).hexdigest()
