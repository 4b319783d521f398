"""A port in front of a server, through which a test takes the server away or makes it falter."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_REQUEST = b" HTTP/1.1\r\n"


class Gateway:
    """Passes connections on to `target`, a port of this machine or a socket's path.

    The first `refuse_first` are hung up on. From the connection or HTTP request after
    `down_after` on nothing is served any more, and what was open is cut.
    """

    def __init__(
        self, target: int | Path, *, refuse_first: int = 0, down_after: int | None = None
    ) -> None:
        self._target, self._refuse, self._limit = target, refuse_first, down_after
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        self.connections = 0
        self.requests = 0
        self.is_down = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def serve(self) -> None:
        """Accept until the listener is closed."""
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.connections <= self._refuse or self._has_had_enough(self.connections):
                near.close()
                continue
            far = self._reach()
            with self._guard:
                self._open |= {near, far}
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def take_down(self) -> None:
        """Serve nobody from now on and cut what is open."""
        self.is_down = True
        with self._guard:
            cut, self._open = self._open, set()
        for one in cut:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def close(self) -> None:
        self.take_down()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _has_had_enough(self, count: int) -> bool:
        if self._limit is not None and count > self._limit:
            self.take_down()
        return self.is_down

    def _reach(self) -> socket.socket:
        if isinstance(self._target, int):
            return socket.create_connection(("127.0.0.1", self._target))
        far = socket.socket(socket.AF_UNIX)
        far.connect(str(self._target))
        return far

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        while True:
            try:
                data = source.recv(65_536)
                asked = data.count(_REQUEST)
                if asked:
                    self.requests += asked
                    if self._has_had_enough(self.requests):
                        return
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)
            except OSError:
                return


@contextmanager
def standing_before(
    target: int | Path, *, refuse_first: int = 0, down_after: int | None = None
) -> Iterator[Gateway]:
    """A gateway at work, closed at the end."""
    gateway = Gateway(target, refuse_first=refuse_first, down_after=down_after)
    worker = threading.Thread(target=gateway.serve, daemon=True)
    worker.start()
    try:
        yield gateway
    finally:
        gateway.close()
        worker.join(10)
