"""Which worlds are run how often, cut into parts that one process runs at a time."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.rollout.trials import Summary, run
from benchmarks.rollout.worlds import JUDGED_ON, LAST_DAY, World

_CHUNK_CUSTOMERS = 600_000
_PEER_EVERY = 10
_DAILY = tuple(range(1, LAST_DAY + 1))


@dataclass(frozen=True, slots=True)
class Study:
    """A world, how many rollouts of it for each 20,000, and on which days they are judged."""

    world: World
    part: float = 1.0
    judged_on: tuple[int, ...] = JUDGED_ON


def list_studies() -> list[Study]:
    even = World("A/A 50:50", 1000)
    ramp = World("A/A ramp, drift, weekdays", 1500, (0.05, 0.2, 0.5), 0.1, drift=1.0, weekly=True)
    money = World("A/A margin, 95:5, skewed", 2000, (0.05,), metric="margin_amount")
    studies = [
        Study(even),
        Study(World("A/A 95:5", 2000, (0.05,), 0.2)),
        Study(World("A/A 99:1", 4000, (0.01,), 0.3)),
        Study(World("A/A rare events", 3000, base_share=0.015)),
        Study(ramp),
        Study(World("A/A clustered requests", 1000, frailty=3.0)),
        Study(money),
    ]
    for world, name in (
        (even, "effect 50:50"),
        (World("", 2000, (0.05,), 0.2), "effect 95:5"),
        (ramp, "effect ramp, drift, weekdays"),
        (World("", 2000, metric="margin_amount"), "effect margin, 50:50, skewed"),
    ):
        studies.append(Study(_with(world, name, effect=world.detectable), part=0.2))
    for ratio in (1.0, 2.0, 3.0, 5.0):
        world = World(f"harm complaints x {ratio:g}", 4000, complaint_share=0.02, harm_ratio=ratio)
        studies.append(Study(world, part=0.015, judged_on=_DAILY))
    for share in (0.02, 0.05, 0.1):
        world = World(f"ratio {100 * share:g} % lost", 20_000, lost_share=share)
        studies.append(Study(world, part=0.01))
    return studies


def _with(world: World, name: str, *, effect: float) -> World:
    values = {**asdict(world), "name": name, "effect": effect}
    return World(**values)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rollouts of a study that one process runs at a time, and where they are kept."""

    study: Study
    number: int
    rollouts: int
    seed: int
    file: Path | None


def cut(studies: list[Study], rollouts: int, keep: Path | None) -> list[Chunk]:
    """The parts of all studies, so that all go on alike whenever one stops.

    A study's seeds are its own: they do not hang on which others are run.
    """
    names = [study.world.name for study in list_studies()]
    parts: list[tuple[float, Chunk]] = []
    for study in studies:
        wanted = max(round(rollouts * study.part), 20)
        size = max(_CHUNK_CUSTOMERS // study.world.customers, 10)
        for number, start in enumerate(range(0, wanted, size)):
            count = min(size, wanted - start)
            seed = 1_000_000 * (names.index(study.world.name) + 1) + number
            file = keep / f"{seed}-{count}.json" if keep else None
            parts.append((start / wanted, Chunk(study, number, count, seed, file)))
    return [chunk for _, chunk in sorted(parts, key=lambda part: part[0])]


def run_chunk(chunk: Chunk) -> list[Summary]:
    """Run it, and keep it if it has a file."""
    trials = run(
        chunk.study.world,
        chunk.rollouts,
        chunk.seed,
        judged_on=chunk.study.judged_on,
        with_peers=chunk.number % _PEER_EVERY == 0,
    )
    found = [trial.summary() for trial in trials]
    if chunk.file is not None:
        chunk.file.parent.mkdir(parents=True, exist_ok=True)
        partial = chunk.file.with_suffix(".partial")
        partial.write_text(json.dumps([asdict(summary) for summary in found]), encoding="utf-8")
        partial.rename(chunk.file)
    return found


def read_chunk(file: Path) -> list[Summary]:
    """What `run_chunk` has kept."""
    return [Summary(**values) for values in json.loads(file.read_text(encoding="utf-8"))]
