"""What a decision would change, read from the plain values of a preview.

A preview comes as a mapping, ready for JSON; what it does not say is left out here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any


def impact_lines(preview: Mapping[str, Any]) -> list[str]:
    """The preview as short lines: rows, scores, the action list, and the money."""
    if preview.get("possible") is False:
        return ["It would not be taken in:", *(str(line) for line in preview.get("refused", ()))]
    lines = [_rows(preview)]
    scores = _part(preview, "scores")
    if _part(preview, "features"):
        lines.append(_features(preview))
    if scores:
        largest = scores.get("largest_change")
        lines += [
            f"{scores['scores_moved']:,} scores move by more than {scores['threshold']:g}"
            + (f", the largest by {largest:+.3f}" if largest is not None else ""),
            f"action list: {scores['entering']:,} customers enter, {scores['leaving']:,} leave",
            cost_line(preview) or "",
        ]
    lines += [str(note) for note in preview.get("notes", ())]
    return [line for line in lines if line]


def impact_figures(preview: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What matters most of it, as names and figures; empty where it would not be taken in."""
    if preview.get("possible") is False:
        return []
    found = []
    if preview.get("accepted_rows") is not None:
        found.append(("Rows published", f"{preview['accepted_rows']:,}"))
    scores = _part(preview, "scores")
    if scores:
        found += [
            ("Scores that move", f"{scores['scores_moved']:,} of {scores['customers_both']:,}")
            if "customers_both" in scores
            else ("Scores that move", f"{scores['scores_moved']:,}"),
            ("Enter the action list", f"{scores['entering']:,}"),
            ("Leave it", f"{scores['leaving']:,}"),
        ]
        currency = scores.get("currency", "")
        for name, key in (
            ("Money at risk", "at_risk_change_amount"),
            ("Expected return", "list_return_change_amount"),
        ):
            amount = _amount(scores.get(key))
            if amount is not None:
                found.append((name, f"{amount:+,.2f} {currency}"))
    return found


def impact_remarks(preview: Mapping[str, Any]) -> list[str]:
    """What the figures leave unsaid: a refusal, features that move, what was not compared."""
    if not impact_figures(preview):
        return impact_lines(preview)
    moves = [_features(preview)] if _part(preview, "features") else []
    return [*moves, *(str(note) for note in preview.get("notes", ()))]


def cost_line(preview: Mapping[str, Any] | None) -> str | None:
    """`money at risk changes by +1,234.00 GBP, expected return of the list by -12.00 GBP`."""
    scores = _part(preview or {}, "scores")
    if not scores:
        return None
    currency = scores.get("currency", "")
    risk = _amount(scores.get("at_risk_change_amount"))
    gain = _amount(scores.get("list_return_change_amount"))
    if risk is None or gain is None:
        return None
    return (
        f"money at risk changes by {risk:+,.2f} {currency},"
        f" expected return of the action list by {gain:+,.2f} {currency}"
    )


def _rows(preview: Mapping[str, Any]) -> str:
    accepted, aside = preview.get("accepted_rows"), preview.get("quarantined_rows")
    if accepted is None or aside is None:
        return ""
    days = preview.get("days") or ()
    over = f" over {len(days):,} day{'s' if len(days) != 1 else ''}" if days else ""
    return f"{accepted:,} rows would be published{over}, {aside:,} would stay aside"


def _features(preview: Mapping[str, Any]) -> str:
    moves = _part(preview, "features")
    return (
        f"{moves['features_moved']} of {moves['features']} features move, for"
        f" {moves['customers_moved']:,} of {moves['customers_both']:,} customers"
    )


def _part(preview: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = preview.get(name)
    return found if isinstance(found, Mapping) else {}


def _amount(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None
