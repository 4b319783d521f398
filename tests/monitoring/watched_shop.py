"""A small shop whose champion has scored a few nights: there is something to look back at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from tasks.features.building import build_features
from tasks.handles import FeatureTable
from tasks.moments import standing_at
from tasks.registry.champion import find_champion, open_champion, promote
from tasks.scoring.scoring import score
from tasks.settings import Settings, load_settings
from tasks.warehouse import Lake, open_lake
from tests.features.shop import at, put_random_shop
from tests.registry.models import make_rule
from tests.registry.promotions import keep_unregistered, say

NAMES = ("recency_days", "order_days_90", "amount_90", "gap_now_to_median")
LEARNT = tuple(at(day) for day in range(150, 301, 30))
SCORED = tuple(at(day) for day in (310, 312, 317))
LAST_DAY = 420
CONF: dict[str, Any] = {
    "features": {
        "horizon_days": 30,
        "activity_window_days": 90,
        "cutoffs": 6,
        "minimum_history_days": 60,
        "minimum_customers": 20,
        "minimum_churners": 5,
        "minimum_stayers": 5,
        "leak_sample_customers": 0,
    },
    "monitoring": {"minimum_customers": 30, "minimum_churners": 5, "simulations": 100},
    # Nobody listens there: what MLflow would show is a mirror.
    "tracking": {"uri": "http://127.0.0.1:9"},
}
# What the rule promises is about what it then has, so that nothing is wrong on a usual night.
PROMISED = {"auc": (0.75, 0.70, 0.80), "calibration_error": (0.02, 0.0, 0.04)}


@dataclass(frozen=True)
class Watched:
    """A deployment's file and state directory."""

    path: Path
    home: Path
    conf: dict[str, Any]

    @property
    def settings(self) -> Settings:
        return load_settings(self.path, home=self.home)

    @contextmanager
    def night(self, day: int) -> Iterator[Path]:
        """The deployment on the night of a day, on the wall clock's that follows it."""
        conf = {**self.conf, "clock": {"as_of": at(day).date()}}
        self.path.write_text(yaml.safe_dump(conf), encoding="utf-8")
        with standing_at(at(day) + timedelta(days=1, hours=2)):
            yield self.path


def make_watched(
    folder: Path, home: Path, name: str, *, customers: int = 260, promised: float = 0.75
) -> Watched:
    """The shop with a rule for a champion, which has scored the nights of `SCORED`."""
    conf = {"deployment": name, **CONF}
    watched = Watched(folder / f"{name}.yaml", home, conf)
    watched.path.write_text(yaml.safe_dump(conf), encoding="utf-8")
    with open_lake(watched.settings) as lake:
        put_random_shop(lake, customers, LAST_DAY, gap_days=12)
        with standing_at(at(301) + timedelta(hours=1)):
            learnt = build(lake, LEARNT, labels_as_of=at(330))
            rule = make_rule(folder / f"{name}_rule", 40.0, names=NAMES)
            candidate = replace(
                rule,
                features_fingerprint=learnt.fingerprint,
                metrics={
                    **rule.metrics,
                    **PROMISED,
                    "auc": (promised, promised - 0.02, promised + 0.02),
                },
            )
            decision = replace(say("serve_rule"), decided_at=at(301))
            promote(lake, keep_unregistered(lake, candidate, 1), decision, None)
        for moment in SCORED:
            with standing_at(moment + timedelta(days=1)):
                score_night(lake, moment)
    return watched


def build(
    lake: Lake, moments: tuple[datetime, ...], labels_as_of: datetime | None = None
) -> FeatureTable:
    """Features as a night would have known them."""
    known = tuple(moment + timedelta(days=1) for moment in moments)
    return build_features(
        lake,
        moments,
        known,
        lake.snapshot(),
        lake.settings.features,
        labels_as_of=labels_as_of,
        labels_known_by=labels_as_of,
    )


def score_night(lake: Lake, moment: datetime) -> None:
    """One night's scores by the champion."""
    champion = find_champion(lake)
    assert champion is not None
    score(lake, champion, open_champion(lake, champion), build(lake, (moment,)), lake.settings)
