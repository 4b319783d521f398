"""The deployment that a replay runs in: history's settings, with a lake and a clock of its own.

Everything that is written by name (lake, models, exports, studies, MLflow's experiment) is written
under the stand-in's, so the deployment itself is untouched. What differs from its settings stands
in the file that is written here: where deliveries are found, what time it is, how many trials.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tasks.durability import write_page
from tasks.settings import load_settings

if TYPE_CHECKING:
    from tasks.settings import Settings

_DAILY = {1, 7}
if TYPE_CHECKING:
    _SafeDumper = yaml.SafeDumper
else:
    # Written in C where PyYAML has it: a tenth of the time, once a step.
    _SafeDumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@dataclass(frozen=True, slots=True)
class StandIn:
    """Where one replay keeps what is its own; `name` is its deployment's."""

    name: str
    folder: Path

    @property
    def path(self) -> Path:
        """The deployment file, for `-d`."""
        return self.folder / f"{self.name}.yaml"

    @property
    def slices(self) -> Path:
        return self.folder / "slices"

    @property
    def delivered(self) -> Path:
        return self.folder / "delivered"

    @property
    def stays(self) -> Path:
        """The orders of those who are simulated to have stayed, by source, cut-off, delivery."""
        return self.folder / "stays"

    @property
    def joined(self) -> Path:
        """Slices with such orders in them, as they are delivered."""
        return self.folder / "joined"

    @property
    def policies(self) -> Path:
        """Models and rules of each training, by the cut-off of its night."""
        return self.folder / "policies"

    @property
    def page(self) -> Path:
        return self.folder / "replay.html"


def make_stand_in(settings: Settings, span: str, told: Collection[str]) -> StandIn:
    """The stand-in of a replay of `settings` over `span` with the faults `told`.

    Other settings or faults make another one, so that a replay goes on only with what it began.
    """
    plain = settings.model_dump(mode="json", exclude={"home", "called"})
    said = json.dumps([plain, span, sorted(told)], sort_keys=True)
    digest = hashlib.sha256(said.encode()).hexdigest()[:8]
    name = f"{settings.deployment[:26]}_replay_{digest}"
    return StandIn(name, settings.home / "replays" / f"{settings.deployment}-{span}-{digest}")


def write_deployment(
    stand_in: StandIn,
    settings: Settings,
    as_of: datetime,
    every_days: int,
    regular: Collection[str],
) -> Settings:
    """Write the deployment file for the night of `as_of`, and read it back.

    `regular` names the sources of which every step brings something: what of them does not come
    is missed at once.
    """
    plain: dict[str, Any] = settings.model_dump(mode="json", exclude={"home", "called"})
    replay = settings.replay
    plain["deployment"] = stand_in.name
    plain["clock"] |= {"as_of": f"{as_of:%Y-%m-%d}"}
    plain["churn"] |= {
        "trials": replay.trials,
        "round_trials": min(replay.trials, settings.churn.round_trials),
        "startup_trials": min(replay.trials, settings.churn.startup_trials),
        "forest_trees": replay.forest_trees,
        "resamples": replay.resamples,
    }
    # A hundred trainings that nobody opens one by one: their figures are in the ledger.
    plain["tracking"] |= {"figures": False, "child_runs": 0}
    plain["validation"] |= {"data_docs": False}
    plain["oncall"] |= {"channels": [], "preview_refused": False}
    for name, source in plain["intake"]["sources"].items():
        folder = stand_in.delivered / name
        folder.mkdir(parents=True, exist_ok=True)
        source |= {
            "kind": "files",
            "folder": str(folder),
            "pattern": "*.csv",
            "files": {},
            "query": None,
            "split": None,
            "settle_seconds": 0.0,
            "checksum_file": False,
        }
        source.pop("package", None)
        source["text"] |= {"delimiter": None, "encoding": "utf-8", "final_newline": "optional"}
        watched = name in regular and every_days in _DAILY
        source["due"] = {"every": "day", "grace_hours": 0.0} if watched else None
        if not watched:
            source["gaps"] = "allow"
    text = yaml.dump(plain, Dumper=_SafeDumper, sort_keys=False, allow_unicode=True)
    if not stand_in.path.is_file() or stand_in.path.read_text(encoding="utf-8") != text:
        write_page(stand_in.path, text)
    return load_settings(stand_in.path, home=settings.home)


def keep_policies(stand_in: StandIn, settings: Settings, week: str) -> None:
    """Keep the model and the rule of the newest training beside the week; again changes nothing."""
    target = stand_in.policies / week
    if target.is_dir():
        return
    root = settings.home / "training" / stand_in.name
    marks = sorted(root.glob("*/rule/signature.json"), key=lambda path: path.stat().st_mtime_ns)
    if not marks:
        return
    aside = stand_in.policies / f".{week}.aside"
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(marks[-1].parent.parent, aside)
    aside.replace(target)


def find_policy(stand_in: StandIn, kind: str, week: str) -> Path | None:
    """The directory of the newest training's `model` or `rule` up to a week, if there is one."""
    # One that was spoilt on purpose has a name after its week's, and no rule of its own.
    kept = [
        path
        for path in sorted(stand_in.policies.glob(f"[0-9]*/{kind}"))
        if path.parent.name[:10] <= week
    ]
    return kept[-1] if kept else None
