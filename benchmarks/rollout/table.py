"""The table: what was promised, and what came."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from benchmarks.rollout.trials import Summary
from benchmarks.rollout.worlds import World


def print_table(studies: Sequence[tuple[World, Sequence[Summary]]]) -> None:
    """Three tables: worlds without an effect, with one, and with something broken."""
    kinds = [
        ("A/A", _without_effect),
        ("effect", _with_effect),
        ("harm", _harm),
        ("ratio", _ratio),
    ]
    for kind, print_kind in kinds:
        chosen = [(world, list(found)) for world, found in studies if world.name.startswith(kind)]
        if chosen:
            print()
            print_kind(chosen)


def _without_effect(studies: list[tuple[World, list[Summary]]]) -> None:
    print(
        "| no difference at all | rollouts | promoted (2.5 % at most) | decided by the metric (5 %)"
        " | stopped for harm (5 %) | split alarm (0.1 %) | interval holds 0 (95 %)"
        " | pooled z at every look | z per request |\n|---|" + "---:|" * 8
    )
    for world, found in studies:
        held = [s.low <= 0 <= s.high for s in found if s.low is not None and s.high is not None]
        pooled = [s.pooled_z > 1.96 for s in found if s.pooled_z is not None]
        requests = [s.requests_z > 1.96 for s in found if s.requests_z is not None]
        print(
            f"| {world.name.removeprefix('A/A ')} | {len(found):,} | {_share(found, 'promote')}"
            f" | {_share(found, 'promote', 'loss')} | {_share(found, 'harm')}"
            f" | {_share(found, 'ratio')} | {_percent(held)} | {_percent(pooled)}"
            f" | {_percent(requests)} |"
        )


def _with_effect(studies: list[tuple[World, list[Summary]]]) -> None:
    print(
        "| the effect that was planned for | rollouts | promoted | fixed test finds | of the fixed"
        " test's | interval holds truth (95 %) | estimates above truth (50 %) | bias, of the effect"
        " | crude bias of those promoted early | days to the end |\n|---|" + "---:|" * 9
    )
    for world, found in studies:
        promoted = [s.outcome == "promote" for s in found]
        fixed = [s.fixed_z is not None and s.fixed_z > 1.96 for s in found]
        ended = [s for s in found if s.low is not None]
        held = [
            s.low <= world.effect <= s.high
            for s in ended
            if s.low is not None and s.high is not None
        ]
        estimates = np.array([s.effect for s in ended], dtype=float)
        last = max(s.ended_on or 0 for s in found)
        early = [s.crude for s in ended if s.outcome == "promote" and (s.ended_on or 0) < last]
        days = [s.ended_on for s in found if s.ended_on is not None]
        print(
            f"| {world.name.removeprefix('effect ')} | {len(found):,} | {_percent(promoted)}"
            f" | {_percent(fixed)} | {100 * np.mean(promoted) / np.mean(fixed):.1f} %"
            f" | {_percent(held)} | {100 * np.mean(estimates > world.effect):.1f} %"
            f" | {100 * (np.mean(estimates) / world.effect - 1):+.1f} %"
            f" | {100 * (np.mean(np.array(early, dtype=float)) / world.effect - 1):+.1f} %"
            f" | {np.mean(days):.0f} |"
        )


def _harm(studies: list[tuple[World, list[Summary]]]) -> None:
    print(
        "| complaints of the challenger's customers | rollouts | stopped for harm | days to the"
        " stop: half | nine in ten |\n|---|" + "---:|" * 4
    )
    for world, found in studies:
        days = [
            s.ended_on if s.outcome == "harm" and s.ended_on is not None else math.inf
            for s in found
        ]
        half, most = (
            float(np.quantile(days, share, method="inverted_cdf")) for share in (0.5, 0.9)
        )
        print(
            f"| {world.harm_ratio:g} times {100 * world.complaint_share:g} % | {len(found):,}"
            f" | {_share(found, 'harm')} | {_days(half)} | {_days(most)} |"
        )


def _ratio(studies: list[tuple[World, list[Summary]]]) -> None:
    print("| customers of the challenger lost | rollouts | alarmed | on day |\n|---|" + "---:|" * 3)
    for world, found in studies:
        days = [s.ended_on for s in found if s.outcome == "ratio" and s.ended_on is not None]
        print(
            f"| {100 * world.lost_share:g} % of {world.customers // 2:,} | {len(found):,}"
            f" | {_share(found, 'ratio')} | {_days(float(np.mean(days)) if days else math.inf)} |"
        )


def _share(found: Sequence[Summary], *outcomes: str) -> str:
    return _percent([summary.outcome in outcomes for summary in found])


def _percent(values: Sequence[bool]) -> str:
    return f"{100 * float(np.mean(values)):.2f} %" if values else "-"


def _days(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.0f}"
