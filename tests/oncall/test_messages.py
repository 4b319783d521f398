"""What a message says, how each channel gets it, and that none is lost, doubled or waited for."""

from __future__ import annotations

import json
import smtplib
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from tasks.channels import ChannelSettings
from tasks.incidents.causes import cause_of_stop, causes_of_held
from tasks.incidents.queue import find_incident, settle_incidents
from tasks.oncall import outbox
from tasks.oncall.channels import NotSent, send
from tasks.oncall.messages import Message, as_plain, as_slack, as_teams, write_message
from tasks.oncall.outbox import Delivered, Waiting, deliver, list_waiting
from tasks.settings import Settings
from tasks.warehouse import Lake

from ..conftest import MakeSettings
from .made_up import PREVIEW, START, add_batch, filling, make_queue, present, shift

WILD = "<script>alert(1)</script> <!channel> [x](http://evil.example) *b*\r\nBcc: evil@x.example"


class Hook(ThreadingHTTPServer):
    """A webhook that answers as it is told and remembers what came."""

    daemon_threads = True

    def __init__(self, answers: list[int], pause_seconds: float = 0.0) -> None:
        self.answers = list(answers)
        self.pause_seconds = pause_seconds
        self.came: list[tuple[dict[str, str], dict[str, Any]]] = []
        super().__init__(("127.0.0.1", 0), _HookHandler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/secret-path"


class _HookHandler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.came.append((dict(self.headers.items()), json.loads(body)))
        time.sleep(self.server.pause_seconds)
        answers = self.server.answers
        code = answers.pop(0) if len(answers) > 1 else answers[0]
        try:
            self.send_response(code)
            if code == 302:
                self.send_header("Location", "http://127.0.0.1:9/")
            self.end_headers()
        except OSError:
            return  # who asked has lost patience

    def log_message(self, *_args: object) -> None:
        return


class _MailHandler(socketserver.StreamRequestHandler):
    mails: ClassVar[list[str]] = []

    def handle(self) -> None:
        def say(text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        say("220 test")
        while line := self.rfile.readline().decode().strip():
            word = line.split(" ")[0].upper()
            if word == "DATA":
                say("354 go")
                lines = []
                while (text := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                    lines.append(text)
                self.mails.append("\n".join(lines))
                say("250 kept")
            elif word == "QUIT":
                say("221 bye")
                return
            elif word == "RCPT" and "nobody" in line:
                say("550 unknown")
            else:
                say("250 fine")


@pytest.fixture
def hook() -> Iterator[Callable[..., Hook]]:
    running: list[Hook] = []

    def start(*answers: int, pause_seconds: float = 0.0) -> Hook:
        server = Hook(list(answers), pause_seconds)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture
def mail_port() -> Iterator[int]:
    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    _MailHandler.mails.clear()
    with Server(("127.0.0.1", 0), _MailHandler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def dead_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def message(**changes: Any) -> Message:
    values: dict[str, Any] = {
        "key": "holdfast-shop-item-7",
        "deployment": "shop",
        "item": "item-7",
        "code": "UNIT_SHIFT",
        "level": "stop",
        "source": "orders",
        "headline": "it broke",
        "lines": ("one", "two"),
        "url": "http://127.0.0.1:4300/d/shop/item-7",
        "command": "Next: holdfast -d shop quarantine show item-7",
    }
    return Message(**{**values, **changes})


def no_block(_block: str, _subject: str, _body: str) -> None:
    raise AssertionError("no block was asked for")


def channel(kind: str = "webhook", **more: str) -> ChannelSettings:
    own = {"url_variable": "URL"} if kind != "prefect" else {}
    return ChannelSettings.model_validate_json(
        json.dumps({"name": "team", "kind": kind, **own, **more})
    )


def try_send(which: ChannelSettings, url: str, what: Message | None = None, **more: str) -> None:
    send(
        which,
        what or message(),
        notify_block=no_block,
        environment={"URL": url, **more},
        timeout_seconds=0.5,
    )


# --- what it says ---------------------------------------------------------------------------------


@pytest.mark.sql
def test_it_says_what_broke_how_much_what_it_costs_and_what_to_do(lake: Lake) -> None:
    make_queue(lake)
    incident = find_incident(lake, 1)
    assert incident is not None
    told = write_message(
        incident,
        [shift(98.7, passed=False), present(61)],
        deployment="shop",
        url="http://127.0.0.1:4300/d/shop/item-1",
        command="holdfast -d shop quarantine show item-1",
        rows_aside=9811,
        rows_received=9811,
        champion="shop.churn version 3",
        preview=PREVIEW,
    )
    assert told.text.splitlines() == [
        "shop item-1: UNIT_SHIFT in orders",
        "",
        "net_amount shift: trailing ratio 98.7, limit at most 5 (stop)",
        "1 batch, 9,811 of 9,811 rows aside, since 2026-11-14 02:00 UTC",
        "Waiving it: money at risk changes by +18,234.50 GBP, expected return of the action list"
        " by -512.25 GBP",
        "The champion shop.churn version 3 goes on serving.",
        "",
        "Page: http://127.0.0.1:4300/d/shop/item-1",
        "Next: holdfast -d shop quarantine show item-1",
    ]


def test_no_channel_follows_what_a_stranger_wrote() -> None:
    wild = message(headline=WILD.replace("\r\n", " "), lines=(WILD.replace("\r\n", " "),))
    slack = json.dumps(as_slack(wild))
    assert "<script" not in slack
    assert "<!channel" not in slack
    kinds = [block["text"]["type"] for block in as_slack(wild)["blocks"] if "text" in block]
    assert set(kinds) == {"plain_text"}
    card = as_teams(wild)["attachments"][0]["content"]
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert not set("<>[]*`") & set(as_plain(wild))


# --- one try --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["webhook", "slack", "teams"])
def test_a_webhook_gets_its_own_shape_and_the_same_key(
    hook: Callable[..., Hook], kind: str
) -> None:
    server = hook(200)
    for _ in range(2):
        try_send(channel(kind), server.url)
    keys = [headers["Idempotency-Key"] for headers, _ in server.came]
    assert keys == ["holdfast-shop-item-7"] * 2
    _, body = server.came[0]
    assert {"webhook": "item", "slack": "blocks", "teams": "attachments"}[kind] in body


@pytest.mark.parametrize(
    ("answers", "said", "again"),
    [
        ([500], "it answers 500", True),
        ([429], "it answers 429", True),
        ([404], "it answers 404", False),
        ([302], "it answers 302", False),
    ],
)
def test_a_bad_answer_is_no_message(
    hook: Callable[..., Hook], answers: list[int], said: str, again: bool
) -> None:
    server = hook(*answers)
    with pytest.raises(NotSent, match=said) as caught:
        try_send(channel(), server.url)
    assert caught.value.again is again
    assert len(server.came) == 1  # a redirect was not followed


def test_who_is_dead_or_slow_is_told_without_the_address(hook: Callable[..., Hook]) -> None:
    slow = hook(200, pause_seconds=1.0)
    for url in (f"http://127.0.0.1:{dead_port()}/secret-path", slow.url):
        with pytest.raises(NotSent) as caught:
            try_send(channel(), url)
        assert "secret" not in str(caught.value)
        assert "127.0.0.1" not in str(caught.value)
    for url in ("", "file:///etc/passwd", "ftp://x/y", "nonsense"):
        with pytest.raises(NotSent) as caught:
            try_send(channel(), url)
        assert not caught.value.again


def mail_channel() -> ChannelSettings:
    return channel("email", sender_variable="FROM", recipients_variable="TO")


def test_a_mail_arrives_and_no_line_of_it_becomes_a_header(mail_port: int) -> None:
    told = message(headline=WILD, source="orders")
    addresses = {"FROM": "holdfast@x.example", "TO": "ann@x.example, bob@x.example"}
    try_send(mail_channel(), f"smtp://127.0.0.1:{mail_port}", told, **addresses)
    (mail,) = _MailHandler.mails
    head, _, body = mail.partition("\n\n")
    assert "Message-ID: <holdfast-shop-item-7@holdfast>" in head
    assert "Subject: shop item-7: UNIT_SHIFT in orders" in head
    assert "Bcc" not in head
    assert "text/plain" in head
    assert "it broke" in body or "script" in body
    to_nobody = {**addresses, "TO": "nobody@x.example"}
    with pytest.raises(NotSent, match="refuses the recipients"):
        try_send(mail_channel(), f"smtp://127.0.0.1:{mail_port}", **to_nobody)
    with pytest.raises(NotSent, match="cannot be reached"):
        try_send(mail_channel(), f"smtp://127.0.0.1:{dead_port()}", **addresses)


def test_a_mail_leaves_the_host_encrypted_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    class Plain(smtplib.SMTP):
        def __init__(self, *_args: object, **_options: object) -> None:
            super().__init__()

        def ehlo(self, name: str = "") -> tuple[int, bytes]:
            return 250, b"plain"

    monkeypatch.setattr(smtplib, "SMTP", Plain)
    with pytest.raises(NotSent, match="no encryption"):
        try_send(mail_channel(), "smtp://mail.example", FROM="a@x.example", TO="b@x.example")


def test_a_block_of_prefect_gets_plain_text() -> None:
    got: list[tuple[str, str, str]] = []
    which = channel("prefect", block="slack-webhook/oncall")
    send(which, message(headline="<b>"), notify_block=lambda *told: got.append(told))
    assert got[0][0] == "slack-webhook/oncall"
    assert "‹b›" in got[0][2]


# --- the outbox -----------------------------------------------------------------------------------


@pytest.fixture
def told_settings(make_settings: MakeSettings) -> Settings:
    return make_settings(
        oncall={"channels": [
            {"name": "team", "kind": "webhook", "url_variable": "URL_1"},
            {"name": "boss", "kind": "webhook", "url_variable": "URL_2"},
        ]}
    )  # fmt: skip


@pytest.fixture
def told_lake(told_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    from tasks.warehouse import open_lake

    monkeypatch.setattr(outbox, "_PAUSE_SECONDS", 0.01)
    with open_lake(told_settings) as lake:
        yield lake


class Channels:
    """Two channels that do as they are told: 'works', 'fails', 'hangs' or 'refuses'."""

    def __init__(self, team: str = "works", boss: str = "works") -> None:
        self.does = {"team": team, "boss": boss}
        self.sent: list[tuple[str, str]] = []
        self.tries: list[str] = []
        self.hanging = 0
        self.release = threading.Event()

    def __call__(self, which: ChannelSettings, what: Message) -> None:
        does = self.does[which.name]
        self.tries.append(which.name)
        if does == "hangs":
            self.hanging += 1
            self.release.wait(60)
            self.hanging -= 1
        if does in ("fails", "refuses"):
            raise NotSent("it answers 500", again=does == "fails")
        self.sent.append((which.name, what.key))


def run(
    lake: Lake, channels: Channels, *, hurry: bool = True, patience_seconds: float = 60.0
) -> Delivered:
    # Nobody who answers makes it wait: it is over when the last channel has ended.
    return deliver(
        lake,
        channels,
        hurry=hurry,
        previews={},
        champion="c version 1",
        patience_seconds=patience_seconds,
    )


def make_storm(lake: Lake, batches: int) -> None:
    results = (shift(98.7, passed=False),)
    cause = cause_of_stop("orders", results)
    with filling(lake):
        for number in range(1, batches + 1):
            add_batch(lake, number, results, state="quarantined", aside=9811, join=cause)


@pytest.mark.sql
def test_a_storm_of_one_cause_is_one_message_a_channel(told_lake: Lake) -> None:
    make_storm(told_lake, 25)
    with filling(told_lake):  # rows held back wake nobody
        add_batch(
            told_lake, 30, (present(3),), aside=3, join=causes_of_held("orders", (present(3),))[0]
        )
    channels = Channels()
    done = run(told_lake, channels)
    key = f"holdfast-{told_lake.deployment}-item-1"
    assert sorted(channels.sent) == [("boss", key), ("team", key)]
    assert sorted(done.sent) == [(1, "boss"), (1, "team")]
    assert done.waiting == ()
    assert run(told_lake, channels) == Delivered()
    assert len(channels.sent) == 2


@pytest.mark.sql
@pytest.mark.faults
def test_a_dead_channel_loses_nothing_and_delays_nobody(told_lake: Lake) -> None:
    make_storm(told_lake, 1)
    channels = Channels(team="fails", boss="hangs")
    done = run(told_lake, channels, patience_seconds=2.0)
    assert channels.hanging  # it was left behind, not waited for
    channels.release.set()
    assert done.sent == ()
    assert channels.tries.count("team") == 3
    notices = told_lake.rows("select channel, state, attempts, detail from lake.ledger.notices")
    assert notices == [
        {"channel": "team", "state": "failed", "attempts": 3, "detail": "it answers 500"}
    ]
    # The page's server looks once a minute; what failed just now is not due yet.
    channels.does = {"team": "works", "boss": "works"}
    assert run(told_lake, channels, hurry=False).sent == ((1, "boss"),)
    assert run(told_lake, channels).sent == ((1, "team"),)
    assert list_waiting(told_lake, ["team", "boss"]) == []


@pytest.mark.sql
@pytest.mark.faults
def test_what_could_not_be_written_down_is_sent_again_with_the_same_key(
    told_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_storm(told_lake, 1)
    channels = Channels()
    with monkeypatch.context() as broken:
        broken.setattr(outbox, "_LOCK_SECONDS", 0.1)
        with told_lake.cursor().writer_lock("somebody else"):
            run(told_lake, channels)  # no error: the night goes on
    run(told_lake, channels)
    assert sorted(name for name, _ in channels.sent) == ["boss", "boss", "team", "team"]
    assert len({key for _, key in channels.sent}) == 1


@pytest.mark.sql
def test_what_is_decided_needs_no_message(told_lake: Lake) -> None:
    make_storm(told_lake, 1)
    told_lake.execute("update lake.ledger.batches set state = 'discarded' where batch_number = 1")
    with filling(told_lake):
        settle_incidents(told_lake, recorded_at=START + timedelta(days=40), actor="ann")
    channels = Channels()
    assert run(told_lake, channels) == Delivered()
    assert channels.tries == []


def test_failed_tries_come_less_and_less_often() -> None:
    now = datetime(2026, 11, 1, tzinfo=UTC)

    def minutes(attempts: int) -> float:
        waiting = Waiting(1, "team", attempts, now)
        return next(m for m in range(200) if waiting.is_due(now + timedelta(minutes=m)))

    assert [minutes(3 * n) for n in range(1, 10)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert Waiting(1, "team", 0, None).is_due(now)
