"""Sends a message through one channel: a webhook, Slack, Teams, e-mail, or a block of Prefect.

A try is over in seconds, follows no redirect, and fails with a few words that hold no address,
since an address of this kind lets whoever has it post.
"""

from __future__ import annotations

import json
import os
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote, urlsplit

from tasks.channels import ChannelSettings
from tasks.oncall.messages import Message, as_plain, as_slack, as_teams

TRY_SECONDS = 3.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

Environment = Mapping[str, str]
NotifyBlock = Callable[[str, str, str], None]


class NotSent(Exception):
    """A try failed. The text says how, without an address. `again` tells if at once makes sense."""

    def __init__(self, why: str, *, again: bool = True) -> None:
        self.again = again
        super().__init__(why)


def send(
    channel: ChannelSettings,
    message: Message,
    *,
    notify_block: NotifyBlock,
    environment: Environment | None = None,
    timeout_seconds: float = TRY_SECONDS,
) -> None:
    """One try. Raises NotSent. `notify_block(block, subject, body)` is Prefect's."""
    variables = os.environ if environment is None else environment
    try:
        if channel.kind == "prefect":
            notify_block(channel.block or "", message.title, as_plain(message))
        elif channel.kind == "email":
            _send_mail(channel, message, variables, timeout_seconds)
        else:
            shapes: dict[str, Callable[[Message], dict[str, Any]]] = {
                "slack": as_slack,
                "teams": as_teams,
            }
            body = shapes.get(channel.kind, Message.as_dictionary)(message)
            _post(_read(variables, channel.url_variable), body, message.key, timeout_seconds)
    except NotSent:
        raise
    except Exception as error:  # noqa: BLE001  (a channel's fault stops no night)
        # Whatever a library raises may name the address; its kind says enough.
        raise NotSent(type(error).__name__) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


def _post(url: str, body: Mapping[str, Any], key: str, timeout_seconds: float) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname):
        raise NotSent("its address is no http(s) address", again=False)
    request = urllib.request.Request(  # noqa: S310  (the scheme was looked at)
        url,
        method="POST",
        data=json.dumps(body, ensure_ascii=False).encode(),
        headers={
            "Content-Type": "application/json; charset=utf-8",
            "Idempotency-Key": key,
            "User-Agent": "holdfast",
        },
    )
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(request, timeout=timeout_seconds) as answer:
            answer.read(1024)
    except urllib.error.HTTPError as error:
        error.close()
        again = error.code >= 500 or error.code in (408, 429)
        raise NotSent(f"it answers {error.code}", again=again) from None
    except TimeoutError:
        raise NotSent("it does not answer in time") from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise NotSent(f"it cannot be reached ({type(reason).__name__})") from None


def _send_mail(
    channel: ChannelSettings, message: Message, variables: Environment, timeout_seconds: float
) -> None:
    server = urlsplit(_read(variables, channel.url_variable))
    if server.scheme not in ("smtp", "smtps") or not server.hostname:
        raise NotSent("its address is no smtp(s) address", again=False)
    mail = EmailMessage()
    mail["Subject"] = message.title
    mail["From"] = _read(variables, channel.sender_variable)
    mail["To"] = _read(variables, channel.recipients_variable)
    mail["Date"] = formatdate(usegmt=True)
    # The same for every try, so that a mailbox can tell what came twice.
    mail["Message-ID"] = f"<{message.key}@holdfast>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    context = ssl.create_default_context()
    try:
        if server.scheme == "smtps":
            client: smtplib.SMTP = smtplib.SMTP_SSL(
                server.hostname, server.port or 465, timeout=timeout_seconds, context=context
            )
        else:
            client = smtplib.SMTP(server.hostname, server.port or 587, timeout=timeout_seconds)
        with client:
            client.ehlo()
            if server.scheme == "smtp" and client.has_extn("starttls"):
                client.starttls(context=context)
                client.ehlo()
            elif server.scheme == "smtp" and server.hostname not in _LOOPBACK:
                raise NotSent("its mail server offers no encryption", again=False)
            if server.username:
                client.login(unquote(server.username), unquote(server.password or ""))
            client.send_message(mail)
    except smtplib.SMTPResponseException as error:
        again = 400 <= error.smtp_code < 500
        raise NotSent(f"its mail server answers {error.smtp_code}", again=again) from None
    except smtplib.SMTPRecipientsRefused:
        raise NotSent("its mail server refuses the recipients", again=False) from None
    except TimeoutError:
        raise NotSent("its mail server does not answer in time") from None
    except OSError as error:
        raise NotSent(f"its mail server cannot be reached ({type(error).__name__})") from None


def _read(variables: Environment, name: str | None) -> str:
    value = variables.get(name or "", "").strip()
    if not value:
        raise NotSent(f"the variable {name} is not set", again=False)
    return value
