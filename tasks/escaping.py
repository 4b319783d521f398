"""Text that a stranger wrote, made harmless for where it is shown.

Names of columns, categories and files come from deliveries. They are shown as they are, never
followed: neither by Markdown, nor by a terminal or a page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from jinja2 import Environment

_LONGEST_TEXT = 300
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ,.;%/-")


def escape_markdown(text: str) -> str:
    """Text that Markdown and HTML show as it is: every other character becomes an entity."""
    shortened = text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"
    return "".join(
        character
        if character in _PLAIN or (character.isprintable() and ord(character) > 0x7F)
        else f"&#{ord(character)};"
        if character.isprintable()
        else " "
        for character in shortened
    )


def show_controls(text: str) -> str:
    """The text with what could hide or turn it around (controls, bidirectional marks) visible."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def escape_text(text: str) -> str:
    """Text for a terminal: one line, without control characters."""
    shortened = text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"
    return "".join(c if c.isprintable() else " " for c in shortened)


def open_templates(*directories: Path) -> Environment:
    """The templates of a page: every text is escaped, its control characters are made visible.

    A template is taken from the first directory that has it. An unknown name in one is an error.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(directories),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_show,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _show(value: Any) -> Any:
    """Text with its control characters made visible; markup of ours as it is."""
    from markupsafe import Markup

    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return show_controls(value)
