"""The page of a replay: one file that loads nothing and runs no script."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.durability import write_page
from tasks.pages.sheet import open_sheets
from tasks.replay.drawing import draw_leads, draw_money, draw_strip
from tasks.replay.planting import WORDS

if TYPE_CHECKING:
    from jinja2 import Environment

    from tasks.replay.catching import Caught
    from tasks.replay.money import Account
    from tasks.replay.recording import Told
    from tasks.replay.standin import StandIn
    from tasks.replay.truth import Check

TEMPLATES = Path(__file__).parent / "templates"


def publish_page(
    stand_in: StandIn,
    deployment: str,
    weeks: Sequence[Told],
    account: Account | None,
    caught: Sequence[Caught],
    checks: Sequence[Check],
    every_days: int,
    assumption: str = "",
) -> Path:
    """Write the page beside the replay's deployment. Raises DiskFailure (73)."""
    called = str(stand_in.path)
    text = render_page(deployment, called, weeks, account, caught, checks, every_days, assumption)
    write_page(stand_in.page, text)
    return stand_in.page


def render_page(
    deployment: str,
    called: str,
    weeks: Sequence[Told],
    account: Account | None,
    caught: Sequence[Caught],
    checks: Sequence[Check],
    every_days: int,
    assumption: str = "",
) -> str:
    """The whole page; the same replay gives the same bytes."""
    learnt = sum(len(one.learnt) for one in weeks)
    promoted = sum(one.decisions.count("promote") for one in weeks)
    return (
        _environment()
        .get_template("page.html")
        .render(
            deployment=deployment,
            called=called,
            weeks=weeks,
            account=account,
            caught=caught,
            checks=checks,
            every=timedelta(days=every_days),
            words=WORDS,
            assumption=assumption,
            learnt=learnt,
            promoted=promoted,
            stopped=sum(bool(one.settled) for one in weeks),
            money=draw_money(account) if account is not None else "",
            leads=draw_leads(account) if account is not None else "",
            whys=_say_once(weeks),
            has_rollouts=any(one.rollout for one in weeks),
            strip=draw_strip(weeks),
        )
    )


def _say_once(weeks: Sequence[Told]) -> list[str]:
    """Why each step ended as it did; what the step before had said in those words is not."""
    said = [one.ended or " / ".join(one.reasons) for one in weeks]
    return [
        " · ".join(part for part in (_shorten(said, place), *_add(one)) if part)
        for place, one in enumerate(weeks)
    ]


def _shorten(said: Sequence[str], place: int) -> str:
    is_same = place > 0 and said[place] and said[place] == said[place - 1]
    return "as the step before" if is_same else said[place]


def _add(one: Told) -> tuple[str, ...]:
    """What else a step's line says: its alerts, and whom a simulated contact kept."""
    return (
        f"alert: {', '.join(one.alerts)}" if one.alerts else "",
        f"{one.stayed} of {one.lapsing} stayed (simulated)" if one.stayed else "",
    )


@functools.cache
def _environment() -> Environment:
    return open_sheets(TEMPLATES)
