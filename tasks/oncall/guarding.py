"""The outer wall of the page: which hosts, origins and methods come in, and which headers go out.

A page on loopback can be reached by any other page in the browser and, by a name that resolves to
127.0.0.1, be taken for somebody else's. So the Host must be one of ours, and a change must come
from a page of ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tasks.oncall.page import build_policy, render_message

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_METHODS = ("GET", "HEAD", "POST")


class Guard:
    """An ASGI middleware. `hosts` are `name:port`; `origins` are `scheme://name:port`."""

    def __init__(
        self, app: ASGIApp, *, hosts: Iterable[str], origins: Iterable[str], maximum_bytes: int
    ) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origin.lower() for origin in origins)
        self._maximum_bytes = maximum_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # a websocket: nobody here speaks it

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message.get("headers", ()) if pair[0] not in _OURS]
                message = {**message, "headers": [*kept, *_OURS.items()]}
            await send(message)

        refusal = self._find_refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send_guarded)
            return
        from starlette.responses import HTMLResponse

        status, why = refusal
        page = HTMLResponse(render_message("Refused", [why]), status)
        await page(scope, receive, send_guarded)

    def _find_refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        hosts = headers.get("host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return 403, "This is not the address at which the page is served."
        if scope["method"] not in _METHODS:
            return 405, "There is no such method here."
        if scope["method"] != "POST":
            return None
        if not self._comes_from_us(headers):
            return 403, "A change must come from a page of ours."
        length = headers.get("content-length", ["0"])[0]
        if not length.isdigit():
            return 400, "The length of the request is no number."
        if int(length) > self._maximum_bytes:
            return 413, "The request is larger than the page takes."
        return None

    def _comes_from_us(self, headers: dict[str, list[str]]) -> bool:
        """By Sec-Fetch-Site where the browser sends it, and by Origin.

        Since our pages tell nobody where they are (no-referrer), browsers send `Origin: null` with
        their forms; then Sec-Fetch-Site, which no page can forge, must say that it was ours.
        """
        sites, origins = headers.get("sec-fetch-site", []), headers.get("origin", [])
        if len(origins) > 1 or any(site != "same-origin" for site in sites):
            return False
        if origins and origins[0].lower() != "null":
            return origins[0].lower() in self._origins
        return bool(sites)


_OURS: dict[bytes, bytes] = {
    b"content-security-policy": build_policy().encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
}
