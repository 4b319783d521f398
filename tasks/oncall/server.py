"""The page as a server: who is logged in sees the queue and the items, and decides in the form.

A decision goes the same way as on the command line, through what is injected as `Actions`, in a
thread; the page says that it is being carried out and looks again every two seconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from tasks.errors import HoldfastError, UsageError
from tasks.oncall.access import Door, Session, Sessions, is_same
from tasks.oncall.actions import Actions, parse_decision
from tasks.oncall.forms import FIELDS_BYTES, BadForm, Form, clear_uploads, read_form
from tasks.oncall.guarding import Guard
from tasks.oncall.jobs import Job, Jobs
from tasks.oncall.page import (
    Notice,
    QueueEntry,
    Viewer,
    render_item,
    render_login,
    render_message,
    render_queue,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

COOKIE = "holdfast_oncall"
REFRESH_SECONDS = 2
_ITEM = re.compile(r"item-[0-9]{1,9}")
_PREVIEW = "preview"


def make_app(
    actions: Actions,
    people: Mapping[str, str],
    *,
    port: int,
    uploads: Path,
    page_url: str | None = None,
    maximum_upload_bytes: int = 512 * 1024**2,
    clock: Callable[[], float] | None = None,
) -> ASGIApp:
    """The ASGI application. `people` maps names to passwords; `uploads` is a private folder.

    It answers under 127.0.0.1 and localhost at `port`, and under the host of `page_url`.
    """
    from starlette.applications import Starlette
    from starlette.routing import Route

    pages = _Pages(actions, people, uploads, page_url, maximum_upload_bytes, clock)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        clear_uploads(uploads)
        yield
        pages.jobs.close()

    app = Starlette(
        routes=[
            Route("/health", pages.health),
            Route("/login", pages.show_login, methods=["GET"]),
            Route("/login", pages.log_in, methods=["POST"]),
            Route("/logout", pages.log_out, methods=["POST"]),
            Route("/", pages.show_all, methods=["GET"]),
            Route("/d/{deployment}/", pages.show_queue, methods=["GET"]),
            Route("/d/{deployment}/{item}", pages.show_item, methods=["GET"]),
            Route("/d/{deployment}/{item}/preview", pages.start_preview, methods=["POST"]),
            Route("/d/{deployment}/{item}/decide", pages.start_decision, methods=["POST"]),
        ],
        lifespan=lifespan,
        exception_handlers={404: _not_found, 405: _not_found},
    )
    hosts = [f"127.0.0.1:{port}", f"localhost:{port}"]
    origins = [f"http://{host}" for host in hosts]
    if page_url:
        hosts.append(urlsplit(page_url).netloc)
        origins.append(page_url)
    return Guard(
        app, hosts=hosts, origins=origins, maximum_bytes=maximum_upload_bytes + FIELDS_BYTES
    )


def serve(app: ASGIApp, port: int) -> None:
    """Listen on loopback until SIGTERM."""
    import uvicorn

    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=64,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=2,
        ws="none",
    )


def secret_name(person: str) -> str:
    """How the password of a person is called among the secrets."""
    return f"oncall-{person}"


def _not_found(_request: Request, _error: Exception) -> Response:
    return _page(render_message("There is no such page", []), 404)


class _Pages:
    """The handlers, with what they share: sessions, the door, jobs."""

    def __init__(
        self,
        actions: Actions,
        people: Mapping[str, str],
        uploads: Path,
        page_url: str | None,
        maximum_upload_bytes: int,
        clock: Callable[[], float] | None,
    ) -> None:
        clocks = () if clock is None else (clock,)
        self._actions = actions
        self._door = Door(people, *clocks)
        self._sessions = Sessions(*clocks)
        self._uploads = uploads
        self._maximum_upload_bytes = maximum_upload_bytes
        self._is_https = bool(page_url and page_url.startswith("https:"))
        # The last preview of an item, and the stamp of the item it was computed for.
        self._previews: dict[tuple[str, str], tuple[str, Mapping[str, Any]]] = {}
        self.jobs = Jobs()

    async def health(self, _request: Request) -> Response:
        from starlette.responses import PlainTextResponse

        return PlainTextResponse("ok\n")

    # --- who is there ---------------------------------------------------------------------------

    async def show_login(self, request: Request) -> Response:
        return _page(render_login(_safe_path(request.query_params.get("next", "/"))))

    async def log_in(self, request: Request) -> Response:
        try:
            form = await read_form(request)
        except BadForm as error:
            return _refuse(error.status, str(error))
        person, next_path = form.one("person").strip(), _safe_path(form.one("next"))
        wait = self._door.wait_seconds(person)
        if wait > 0:
            seconds = math.ceil(wait)
            page = _page(
                render_login(
                    next_path,
                    Notice("refused", f"Too many wrong passwords: wait {seconds} s, then again."),
                ),
                429,
            )
            page.headers["Retry-After"] = str(seconds)
            return page
        if not self._door.admit(person, form.one("password")):
            return _page(
                render_login(next_path, Notice("refused", "Name or password is wrong.")), 401
            )
        response = _redirect(next_path)
        response.set_cookie(
            COOKIE,
            self._sessions.open(person),
            httponly=True,
            samesite="strict",
            secure=self._is_https,
            path="/",
        )
        return response

    async def log_out(self, request: Request) -> Response:
        session = self._sessions.find(request.cookies.get(COOKIE))
        if session is not None:
            try:
                form = await read_form(request)
            except BadForm as error:
                return _refuse(error.status, str(error))
            if not is_same(form.one("token"), session.token):
                return _refuse(403, "The form is not of this session.")
            self._sessions.close(request.cookies.get(COOKIE))
        response = _redirect("/login")
        response.delete_cookie(COOKIE, path="/")
        return response

    # --- pages ----------------------------------------------------------------------------------

    async def show_all(self, request: Request) -> Response:
        return await self._answer(request, self._render_queue, None)

    async def show_queue(self, request: Request) -> Response:
        return await self._answer(request, self._render_queue, request.path_params["deployment"])

    async def show_item(self, request: Request) -> Response:
        return await self._answer(request, self._render_item, request.path_params["deployment"])

    def _render_queue(self, request: Request, session: Session, deployment: str | None) -> Response:
        mine = self._deployments_of(session.person)
        resolved = request.query_params.get("resolved") == "1"
        entries: list[QueueEntry] = []
        faults: list[str] = []
        for name in [deployment] if deployment else mine:
            try:
                entries += self._actions.queue(name, resolved=resolved)
            except HoldfastError as error:
                faults.append(f"{name}: {error}")
        return _page(
            render_queue(
                entries,
                mine,
                deployment=deployment,
                resolved=resolved,
                viewer=Viewer(session.person, session.token),
                notice=Notice("refused", "Not all could be read.", tuple(faults))
                if faults
                else None,
            )
        )

    def _render_item(self, request: Request, session: Session, deployment: str | None) -> Response:
        item = str(request.path_params["item"])
        job = self.jobs.find(request.query_params.get("job", ""), deployment or "", item)
        return self._show(session, str(deployment), item, job=job)

    def _show(
        self,
        session: Session,
        deployment: str,
        item: str,
        *,
        job: Job | None = None,
        notice: Notice | None = None,
        status: int = 200,
    ) -> Response:
        if not _ITEM.fullmatch(item):
            raise UsageError(f"There is no item '{item[:40]}'.")
        stamp, preview = self._previews.get((deployment, item), ("", None))
        report = self._actions.report(deployment, item, preview)
        if preview is not None and report.stamp != stamp:
            # What was computed for the item as it was does not hold for what it has become.
            self._previews.pop((deployment, item), None)
            report = replace(report, preview=None)
        if job is not None:
            notice = _describe_job(job)
        working = job is not None and job.state == "working"
        return _page(
            render_item(
                report,
                viewer=Viewer(session.person, session.token),
                notice=notice,
                refresh_seconds=REFRESH_SECONDS if working else None,
                can_preview=self._actions.can_preview,
            ),
            status,
        )

    # --- changes --------------------------------------------------------------------------------

    async def start_preview(self, request: Request) -> Response:
        def start(form: Form, session: Session, deployment: str, item: str) -> Job:
            form.discard()
            working = self.jobs.find_working(deployment, item, _PREVIEW)
            return working or self.jobs.start(
                deployment, item, _PREVIEW, lambda: self._try_out(deployment, item)
            )

        return await self._change(request, start)

    def _try_out(self, deployment: str, item: str) -> tuple[str, ...]:
        stamp = self._actions.report(deployment, item, None).stamp
        self._previews[deployment, item] = (stamp, self._actions.preview(deployment, item))
        return ()

    async def start_decision(self, request: Request) -> Response:
        def start(form: Form, session: Session, deployment: str, item: str) -> Job:
            asked = parse_decision(form.fields, session.person, form.file, datetime.now(UTC))
            return self.jobs.start(
                deployment,
                item,
                asked.choice,
                lambda: self._actions.decide(deployment, item, asked),
                form.discard,
            )

        return await self._change(request, start, takes_file=True)

    async def _change(
        self,
        request: Request,
        start: Callable[[Form, Session, str, str], Job],
        *,
        takes_file: bool = False,
    ) -> Response:
        from starlette.concurrency import run_in_threadpool

        session = self._sessions.find(request.cookies.get(COOKIE))
        if session is None:
            return _refuse(403, "You are not logged in any more. Nothing was changed.")
        deployment, item = str(request.path_params["deployment"]), str(request.path_params["item"])
        try:
            form = await read_form(
                request,
                uploads=self._uploads if takes_file else None,
                file_bytes=self._maximum_upload_bytes,
            )
        except BadForm as error:
            return _refuse(error.status, str(error))
        job = None
        try:
            if not is_same(form.one("token"), session.token):
                return _refuse(403, "The form is not of this session. Nothing was changed.")
            if deployment not in await run_in_threadpool(self._deployments_of, session.person):
                return _refuse(404, "There is no such deployment.")
            if not _ITEM.fullmatch(item):
                return _refuse(404, "There is no such item.")
            job = start(form, session, deployment, item)
        except UsageError as error:
            notice = Notice("refused", "Nothing was changed.", tuple(str(error).splitlines()))
            return await self._guarded(
                lambda: self._show(session, deployment, item, notice=notice, status=400)
            )
        finally:
            if job is None:
                form.discard()
        return _redirect(f"/d/{quote(deployment)}/{item}?job={quote(job.key)}")

    # --- what they share ------------------------------------------------------------------------

    async def _answer(
        self,
        request: Request,
        render: Callable[[Request, Session, str | None], Response],
        deployment: str | None,
    ) -> Response:
        """A page for who is logged in, made in a thread, since it reads the lake."""
        session = self._sessions.find(request.cookies.get(COOKIE))
        if session is None:
            return _ask_login(request)

        def make() -> Response:
            if deployment is not None and deployment not in self._deployments_of(session.person):
                return _refuse(404, "There is no such deployment.")
            return render(request, session, deployment)

        return await self._guarded(make)

    async def _guarded(self, make: Callable[[], Response]) -> Response:
        from starlette.concurrency import run_in_threadpool

        wait: Awaitable[Response] = run_in_threadpool(make)
        try:
            return await wait
        except UsageError as error:
            return _page(render_message("There is no such page", str(error).splitlines()), 404)
        except HoldfastError as error:
            return _page(render_message("It cannot be shown now", str(error).splitlines()), 503)

    def _deployments_of(self, person: str) -> list[str]:
        return [
            name for name in self._actions.deployments() if person in self._actions.people(name)
        ]


def _ask_login(request: Request) -> Response:
    """To the login, or once around where a link of somebody else's page kept our cookie back.

    A strict cookie does not come with a click in a mail or a chat; it does when our own page asks.
    """
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.headers.get("sec-fetch-site") == "cross-site":
        return _page(render_message("One moment", [], refresh_to=_safe_path(path)))
    return _redirect(f"/login?next={quote(_safe_path(path), safe='')}")


def _safe_path(path: str) -> str:
    """A path of ours, or the front page: a login must not send anybody elsewhere."""
    fine = re.fullmatch(r"/(?:d/[A-Za-z0-9_%.-]+/(?:item-[0-9]{1,9})?)?(?:\?[a-z0-9=_&-]*)?", path)
    return path if fine else "/"


def _describe_job(job: Job) -> Notice:
    if job.state == "working":
        return Notice(
            "working",
            f"The {job.doing} is being carried out.",
            ("This page looks again by itself.",),
        )
    if job.state == "done":
        return Notice("done", f"The {job.doing} is done.", job.lines)
    return Notice("refused", f"The {job.doing} was refused.", job.lines)


def _page(html: str, status: int = 200) -> Response:
    from starlette.responses import HTMLResponse

    return HTMLResponse(html, status)


def _refuse(status: int, why: str) -> Response:
    return _page(render_message("Refused", [why]), status)


def _redirect(path: str) -> Response:
    from starlette.responses import RedirectResponse

    return RedirectResponse(path, 303)
