"""One screen about a new item for whoever is woken: what broke, how much, what it costs, where.

No value of any row is in it. Names that come from deliveries are cut to one line and written so
that a channel shows them and follows nothing in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.escaping import escape_text
from tasks.handles import Incident, RuleResult
from tasks.oncall.impact import cost_line

_MOST_RULES = 5
_LONGEST_LINE = 240


@dataclass(frozen=True, slots=True)
class Message:
    """What every channel says in its own form. `key` is the same whenever it is sent again."""

    key: str
    deployment: str
    item: str
    code: str
    level: str
    source: str
    headline: str
    lines: tuple[str, ...]
    url: str
    command: str

    @property
    def title(self) -> str:
        return _one_line(f"{self.deployment} {self.item}: {self.code} in {self.source}")

    @property
    def text(self) -> str:
        """Plain text, for a mail."""
        return "\n".join(
            [self.title, "", self.headline, *self.lines, "", f"Page: {self.url}", self.command, ""]
        )

    def as_dictionary(self) -> dict[str, Any]:
        """For a plain webhook; keys are stable."""
        return {
            "key": self.key,
            "deployment": self.deployment,
            "item": self.item,
            "code": self.code,
            "level": self.level,
            "source": self.source,
            "title": self.title,
            "headline": self.headline,
            "lines": list(self.lines),
            "url": self.url,
            "next": self.command,
        }


def write_message(
    incident: Incident,
    failed: Sequence[RuleResult],
    *,
    deployment: str,
    url: str,
    command: str,
    rows_aside: int,
    rows_received: int,
    champion: str | None,
    preview: Mapping[str, Any] | None = None,
) -> Message:
    """The message about an item; `failed` are the rules that its newest batch breaks."""
    stopping = [rule for rule in failed if rule.severity == "stop"] or list(failed)
    # The headline is of the most telling rule, and says its figure already.
    unsaid = [r for r in stopping if not r.observed or r.observed not in incident.cause.headline]
    lines = [_say_rule(rule) for rule in unsaid[:_MOST_RULES]]
    if len(unsaid) > _MOST_RULES:
        lines.append(f"and {len(unsaid) - _MOST_RULES} rules more")
    if incident.found:
        lines.append(incident.found)
    if incident.batches:
        lines.append(
            f"{len(incident.batches):,} batch{'es' if len(incident.batches) != 1 else ''},"
            f" {rows_aside:,} of {rows_received:,} rows aside,"
            f" since {incident.opened_at:%Y-%m-%d %H:%M} UTC"
        )
    else:
        lines.append(f"since {incident.opened_at:%Y-%m-%d %H:%M} UTC")
    cost = cost_line(preview)
    if cost:
        lines.append(f"Waiving it: {cost}")
    lines.append(
        f"The champion {champion} goes on serving." if champion else "There is no champion yet."
    )
    return Message(
        key=f"holdfast-{deployment}-{incident.name}",
        deployment=deployment,
        item=incident.name,
        code=incident.cause.code,
        level=incident.cause.level,
        source=_one_line(incident.cause.source),
        headline=_one_line(incident.cause.headline),
        lines=tuple(_one_line(line) for line in lines),
        url=url,
        command=f"Next: {command}",
    )


def as_slack(message: Message) -> dict[str, Any]:
    """Blocks of plain text, in which Slack reads no markup; mentions and links need a `<`."""

    def plain(text: str, longest: int = 2900) -> dict[str, Any]:
        return {"type": "plain_text", "text": _escape_slack(text[:longest]), "emoji": False}

    body = "\n".join([message.headline, *message.lines, message.command])
    return {
        "text": _escape_slack(message.title),
        "blocks": [
            {"type": "header", "text": plain(message.title, 150)},
            {"type": "section", "text": plain(body)},
            {
                "type": "actions",
                "elements": [
                    {"type": "button", "text": plain("Open and decide"), "url": message.url}
                ],
            },
        ],
    }


def as_teams(message: Message) -> dict[str, Any]:
    """An adaptive card of rich text runs, in which Teams reads no Markdown."""

    def block(text: str, **style: Any) -> dict[str, Any]:
        return {
            "type": "RichTextBlock",
            "inlines": [{"type": "TextRun", "text": text, **style}],
        }

    return {
        "type": "message",
        "attachments": [
            {
                "contentType": "application/vnd.microsoft.card.adaptive",
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "body": [
                        block(message.title, weight="Bolder", size="Medium"),
                        block(message.headline),
                        *(block(line) for line in message.lines),
                        block(message.command, fontType="Monospace"),
                    ],
                    "actions": [
                        {"type": "Action.OpenUrl", "title": "Open and decide", "url": message.url}
                    ],
                },
            }
        ],
    }


def as_plain(message: Message) -> str:
    """For Prefect's blocks, which may read Markdown or HTML: what could be either is replaced."""
    return message.text.translate(_LOOKALIKES)


_LOOKALIKES = str.maketrans({"<": "‹", ">": "›", "[": "(", "]": ")", "`": "'", "*": "·"})


def _escape_slack(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _say_rule(rule: RuleResult) -> str:
    share = f" ({rule.failed_rows / rule.checked_rows:.1%})" if rule.checked_rows else ""
    found = rule.observed or f"{rule.failed_rows:,} of {rule.checked_rows:,} rows{share}"
    limit = f", limit {rule.limit}" if rule.limit else ""
    return f"{rule.key}: {found}{limit}"


def _one_line(text: str) -> str:
    plain = escape_text(text).strip()
    return plain if len(plain) <= _LONGEST_LINE else plain[: _LONGEST_LINE - 1] + "…"
