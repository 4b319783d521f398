"""Text that a stranger wrote, made harmless for where it is shown.

Names of columns, categories and files come from deliveries. They are shown as they are, never
followed: neither by Markdown, nor by a terminal.
"""

from __future__ import annotations

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
