"""Text as SQL: a name as an identifier, a value as a literal, whatever stands in it."""

from __future__ import annotations


def quote(identifier: str) -> str:
    """An SQL identifier, whatever characters it has: `a"b` becomes `"a""b"`."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """An SQL string literal, for the few places that take no bound value."""
    return "'" + text.replace("'", "''") + "'"
