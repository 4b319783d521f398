"""The served page asked over HTTP: who gets in, what is refused, what a form becomes."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tasks.errors import UsageError
from tasks.oncall.access import IDLE_SECONDS, LONGEST_SECONDS, Door, Sessions
from tasks.oncall.actions import parse_decision
from tasks.oncall.server import COOKIE, make_app

from .made_up import FakeDesk

HERE = "http://127.0.0.1:4300"
OURS = {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}
PEOPLE = {"ann": "ann's secret", "bob": "bob's secret", "cid": "cid's secret"}
ITEM = "/d/shop/item-7"


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Browser:
    """Asks the application within this process; keeps cookies, follows nothing."""

    def __init__(self, app: Any) -> None:
        self._runner = asyncio.Runner()
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HERE)
        self.cookies = self._client.cookies

    def request(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self._runner.run(self._client.request(method, path, **more))

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.request("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.request("POST", path, **more)

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()


@pytest.fixture
def desk() -> FakeDesk:
    return FakeDesk()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    return tmp_path / "uploads"


@pytest.fixture
def client(desk: FakeDesk, uploads: Path, clock: Clock) -> Iterator[Browser]:
    app = make_app(
        desk, PEOPLE, port=4300, uploads=uploads, maximum_upload_bytes=200_000, clock=clock
    )
    found = Browser(app)
    yield found
    found.close()


def post(client: Browser, path: str, fields: dict[str, Any], **more: Any) -> Any:
    """A form as a browser sends it: multipart, from our own page."""
    parts = [
        (name, (None, one.encode()))
        for name, value in fields.items()
        for one in (value if isinstance(value, list) else [value])
    ]
    parts += more.pop("files", [])
    return client.post(path, files=parts, headers={**OURS, **more.pop("headers", {})}, **more)


def log_in(client: Browser, person: str = "ann") -> str:
    """Log in; the token that forms of the session carry."""
    answer = post(client, "/login", {"person": person, "password": PEOPLE[person], "next": "/"})
    assert answer.status_code == 303, answer.text
    found = re.search(r'name="token" value="([^"]+)"', client.get("/").text)
    assert found is not None
    return found[1]


def wait(client: Browser, path: str) -> str:
    """The page of a job when it is over."""
    for _ in range(100):
        text = client.get(path).text
        if "is being carried out" not in text:
            return str(text)
        time.sleep(0.05)
    raise AssertionError("the job does not end")


def decision(token: str, **changes: Any) -> dict[str, Any]:
    return {
        "token": token, "seen": "stamp-1", "decision": "discard", "reason": "a test file", **changes
    }  # fmt: skip


# --- the wall -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/d/shop/", ITEM, "/login", "/health", "/no-such"])
def test_every_answer_is_guarded(client: Browser, path: str) -> None:
    headers = client.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:4301", "127.0.0.1:4300.evil.example", ""]
)
def test_a_foreign_host_gets_nothing(client: Browser, host: str) -> None:
    answer = client.get("/login", headers={"Host": host})
    assert answer.status_code == 403
    assert "Log in" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:5000", "Sec-Fetch-Site": "same-site"},
        {"Origin": "null"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {},
    ],
)
def test_a_change_from_elsewhere_is_refused(
    client: Browser, desk: FakeDesk, headers: dict[str, str]
) -> None:
    token = log_in(client)
    parts = [(k, (None, v.encode())) for k, v in decision(token).items()]
    answer = client.post(f"{ITEM}/decide", files=parts, headers=headers)
    assert answer.status_code == 403
    assert desk.asked == []


def test_a_form_of_our_page_that_hides_its_origin_is_taken(client: Browser) -> None:
    fields = {"person": "ann", "password": PEOPLE["ann"], "next": "/"}
    hidden = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}
    assert post(client, "/login", fields, headers=hidden).status_code == 303


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(client: Browser, method: str) -> None:
    assert client.request(method, "/").status_code == 405


# --- who is there ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/d/shop/", ITEM])
def test_without_login_there_is_only_the_login(client: Browser, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/login?next=")
    for change in ("preview", "decide"):
        assert post(client, f"{ITEM}/{change}", decision("x")).status_code == 403


def test_the_cookie_is_for_the_browser_alone(client: Browser) -> None:
    answer = post(client, "/login", {"person": "ann", "password": PEOPLE["ann"], "next": ITEM})
    assert answer.headers["location"] == ITEM
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert PEOPLE["ann"] not in cookie


@pytest.mark.parametrize(
    "target", ["//evil.example/", "http://evil.example", "/\\evil", "javascript:x"]
)
def test_a_login_sends_nobody_elsewhere(client: Browser, target: str) -> None:
    answer = post(client, "/login", {"person": "ann", "password": PEOPLE["ann"], "next": target})
    assert answer.headers["location"] == "/"


def test_guessing_gets_slower_for_that_name_alone(client: Browser, clock: Clock) -> None:
    def guess(person: str, password: str) -> int:
        fields = {"person": person, "password": password, "next": "/"}
        return int(post(client, "/login", fields).status_code)

    assert [guess("ann", "wrong") for _ in range(6)] == [401, 401, 401, 401, 429, 429]
    assert guess("ann", PEOPLE["ann"]) == 429
    assert guess("bob", PEOPLE["bob"]) == 303
    clock.now += 2.1
    assert guess("ann", PEOPLE["ann"]) == 303
    assert [guess(f"nobody{n}", "x") for n in range(5)] == [401, 401, 401, 401, 429]


def test_a_session_ends_when_it_is_idle_and_after_a_shift(clock: Clock) -> None:
    sessions = Sessions(clock)
    cookie = sessions.open("ann")
    for _ in range(int(LONGEST_SECONDS / (IDLE_SECONDS - 1))):
        clock.now += IDLE_SECONDS - 1
        assert sessions.find(cookie) is not None
    clock.now += IDLE_SECONDS - 1
    assert sessions.find(cookie) is None
    idle = sessions.open("ann")
    clock.now += IDLE_SECONDS + 1
    assert sessions.find(idle) is None
    assert sessions.find(None) is None
    assert sessions.find("made up") is None


def test_an_empty_password_of_nobody_is_no_way_in() -> None:
    door = Door({"ann": "secret"})
    assert not door.admit("", "")
    assert not door.admit("nobody", "")
    assert door.admit("ann", "secret")


def test_logging_out_ends_the_session(client: Browser) -> None:
    token = log_in(client)
    kept = client.cookies[COOKIE]
    assert post(client, "/logout", {"token": "wrong"}).status_code == 403
    assert post(client, "/logout", {"token": token}).status_code == 303
    client.cookies.set(COOKIE, kept)
    assert client.get("/").status_code == 303


def test_a_link_in_a_chat_goes_once_around(client: Browser) -> None:
    log_in(client)
    client.cookies.clear()  # a strict cookie stays away from a click on somebody else's page
    answer = client.get(ITEM, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert f'content="0; url={ITEM}"' in answer.text


def test_people_see_their_own_deployments(client: Browser) -> None:
    log_in(client, "cid")
    assert client.get("/d/shop/").status_code == 404
    assert client.get(ITEM).status_code == 404
    assert client.get("/d/foreign/").status_code == 200


# --- pages and decisions --------------------------------------------------------------------------


def test_the_queue_leads_to_the_item(client: Browser) -> None:
    log_in(client)
    assert f'href="{ITEM}"' in client.get("/").text
    page = client.get(ITEM)
    assert page.status_code == 200
    assert "Decide as ann" in page.text
    assert client.get("/d/shop/item-8").status_code == 404
    assert client.get("/d/shop/..%2f..%2fetc").status_code == 404


def test_a_decision_is_carried_out_under_the_logins_name(client: Browser, desk: FakeDesk) -> None:
    token = log_in(client)
    desk.hold.clear()
    answer = post(client, f"{ITEM}/decide", decision(token, author="bob"))
    assert answer.status_code == 303
    meanwhile = client.get(answer.headers["location"]).text
    assert "The discard is being carried out." in meanwhile
    assert '<meta http-equiv="refresh" content="2">' in meanwhile
    desk.hold.set()
    page = wait(client, answer.headers["location"])
    assert "item-7 is discarded by ann" in page
    assert 'http-equiv="refresh"' not in page
    assert [(one.choice, one.author, one.reason) for one in desk.asked] == [
        ("discard", "ann", "a test file")
    ]


def test_a_waiver_comes_whole(client: Browser, desk: FakeDesk) -> None:
    until = datetime.now(UTC).date() + timedelta(days=9)
    fields = decision(
        log_in(client), decision="waive", rule=["shift:net_amount", "volume"], rows="18, 12",
        effect="let_in", reach="source", until=until.isoformat(),
    )  # fmt: skip
    wait(client, post(client, f"{ITEM}/decide", fields).headers["location"])
    (asked,) = desk.asked
    assert asked.rules == ("shift:net_amount", "volume")
    assert (asked.rows, asked.let_in, asked.for_source) == ((12, 18), True, True)
    assert asked.until == until


def test_a_file_arrives_byte_by_byte_and_is_gone_afterwards(
    client: Browser, desk: FakeDesk, uploads: Path
) -> None:
    content = b"a,b\r\n1,\xff\x00\r\n--x\r\n\n" * 500
    fields = decision(log_in(client), decision="replay")
    files = [("file", ("../../etc/Orders.csv.GZ", content))]
    answer = post(client, f"{ITEM}/decide", fields, files=files)
    wait(client, answer.headers["location"])
    assert desk.files == [content]
    (asked,) = desk.asked
    assert asked.file is not None
    assert asked.file.name == "corrected.csv.gz"
    assert uploads in asked.file.parents
    assert list(uploads.iterdir()) == []


def test_a_stale_page_is_refused_in_place(client: Browser, desk: FakeDesk) -> None:
    token = log_in(client)
    desk.stamp = "stamp-2"
    answer = post(client, f"{ITEM}/decide", decision(token))
    page = wait(client, answer.headers["location"])
    assert "The discard was refused." in page
    assert "has changed since you looked" in page
    assert desk.asked == []


@pytest.mark.parametrize("token", ["", "wrong"])
def test_a_form_without_the_sessions_token_is_refused(
    client: Browser, desk: FakeDesk, token: str, uploads: Path
) -> None:
    log_in(client)
    files = [("file", ("x.csv", b"1"))]
    assert post(client, f"{ITEM}/decide", decision(token), files=files).status_code == 403
    assert post(client, f"{ITEM}/preview", {"token": token}).status_code == 403
    assert desk.asked == []
    assert not uploads.exists() or list(uploads.iterdir()) == []


def test_what_is_missing_is_said_in_place(client: Browser, desk: FakeDesk) -> None:
    answer = post(client, f"{ITEM}/decide", decision(log_in(client), reason=" "))
    assert answer.status_code == 400
    assert "A decision needs a reason" in answer.text
    assert "Decide as ann" in answer.text
    assert desk.asked == []


def test_a_preview_is_shown_until_the_item_changes(client: Browser) -> None:
    token = log_in(client)
    answer = post(client, f"{ITEM}/preview", {"token": token})
    assert "+18,234.50 GBP" in wait(client, answer.headers["location"])
    assert "+18,234.50 GBP" in client.get(ITEM).text
    answer = post(client, f"{ITEM}/decide", decision(token))
    assert "+18,234.50 GBP" not in wait(client, answer.headers["location"])


def test_a_preview_of_an_item_that_was_changed_elsewhere_is_shown_no_more(
    client: Browser, desk: FakeDesk
) -> None:
    done = post(client, f"{ITEM}/preview", {"token": log_in(client)}).headers["location"]
    assert "+18,234.50 GBP" in wait(client, done)
    desk.stamp = "stamp-9"  # another batch has joined it
    for path in (ITEM, done):
        assert "+18,234.50 GBP" not in client.get(path).text


def test_an_upload_that_a_killed_process_has_left_is_removed(
    client: Browser, uploads: Path
) -> None:
    left = uploads / "upload-left"
    left.mkdir(parents=True)
    (left / "corrected.csv").write_bytes(b"personal")
    os.utime(left, (0, 0))
    fields = decision(log_in(client), decision="replay")
    answer = post(client, f"{ITEM}/decide", fields, files=[("file", ("x.csv", b"x"))])
    wait(client, answer.headers["location"])
    assert list(uploads.iterdir()) == []


def test_bodies_have_limits(client: Browser, uploads: Path) -> None:
    fields = decision(log_in(client), decision="replay")
    big = [("file", ("x.csv", b"x" * 300_000))]
    assert post(client, f"{ITEM}/decide", fields, files=big).status_code == 413
    assert post(client, f"{ITEM}/decide", {**fields, "reason": "x" * 70_000}).status_code == 413
    long_password = {"person": "ann", "password": "x" * 80_000, "next": "/"}
    assert post(client, "/login", long_password).status_code == 413

    async def stream() -> AsyncIterator[bytes]:  # without a length, as who means harm
        for _ in range(50):
            yield b"x" * 10_000

    headers = {**OURS, "Content-Type": "multipart/form-data; boundary=x"}
    answer = client.post(f"{ITEM}/decide", content=stream(), headers=headers)
    assert answer.status_code in (400, 413)
    assert not uploads.exists() or list(uploads.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/x-www-form-urlencoded", b"person=ann", 415),
        ("multipart/form-data", b"", 415),
        ("multipart/form-data; boundary=x", b"no form", 400),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n", 400),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="person"\r\n\r\n\xff\r\n--x--\r\n',
            400,
        ),
    ],
)
def test_what_is_no_form_is_refused(client: Browser, kind: str, body: bytes, status: int) -> None:
    answer = client.post("/login", content=body, headers={**OURS, "Content-Type": kind})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"decision": ["drop table"]}, "no such decision"),
        ({"decision": ["waive"]}, "choose a day"),
        ({"decision": ["waive"], "until": ["tomorrow"]}, "The day is not one"),
        ({"decision": ["waive"], "until": ["2020-01-01"]}, "must lie in the future"),
        ({"decision": ["waive"], "until": ["2999-01-01"], "rows": ["1;2"]}, "Line numbers"),
        ({"seen": [""]}, "incomplete"),
        ({"reason": ["x" * 501]}, "needs a reason"),
    ],
)
def test_a_wrong_form_says_what_is_wrong(changes: dict[str, list[str]], said: str) -> None:
    fields = {"decision": ["discard"], "reason": ["r"], "seen": ["s"], **changes}
    with pytest.raises(UsageError, match=said):
        parse_decision(fields, "ann", None, datetime(2026, 11, 1, tzinfo=UTC))


def test_only_a_replay_takes_a_file() -> None:
    fields = {"decision": ["replay"], "reason": ["r"], "seen": ["s"], "form": ["rows"]}
    now, file = datetime(2026, 11, 1, tzinfo=UTC), Path("/x/corrected.csv")
    asked = parse_decision(fields, "ann", file, now)
    assert (asked.file, asked.corrected) == (None, file)
    asked = parse_decision({**fields, "decision": ["discard"]}, "ann", file, now)
    assert (asked.file, asked.corrected) == (None, None)
    held = {**fields, "decision": ["discard"], "until": ["2026-12-01"]}
    assert parse_decision(held, "ann", None, now).until == date(2026, 12, 1)


@pytest.mark.parametrize("chunk_bytes", [1_000, 65_536, 500_000])
def test_a_file_larger_than_all_fields_comes_whole_whatever_the_chunks_are(
    tmp_path: Path, chunk_bytes: int
) -> None:
    from starlette.requests import Request

    from tasks.oncall.forms import read_form

    # A packed file has few ends of line, so the reader sees no place to cut it.
    content = bytes(number % 251 for number in range(400_000)).replace(b"\n", b"x")
    body = (
        b'--b\r\nContent-Disposition: form-data; name="reason"\r\n\r\nin pence\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="m.csv.gz"\r\n'
        b"Content-Type: application/gzip\r\n\r\n" + content + b"\r\n--b--\r\n"
    )
    chunks = [body[at : at + chunk_bytes] for at in range(0, len(body), chunk_bytes)]

    async def receive() -> dict[str, Any]:
        chunk = chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

    headers = [(b"content-type", b"multipart/form-data; boundary=b")]
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    form = asyncio.run(read_form(request, uploads=tmp_path, file_bytes=1_000_000))
    assert form.one("reason") == "in pence"
    assert form.file is not None
    assert form.file.read_bytes() == content
    form.discard()
