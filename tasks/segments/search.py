"""The search for groups: one Optuna study with three objectives, and the choice from its front.

The study is drawn from a seed and held in memory: a search that was killed begins again and asks
the same. Settings whose groups fall outside the limits count as worst at everything, so that the
sampler learns to leave them.

The choice is declared, not looked for. Of the settings that no other beats in all three measures
at once (the front), those that are more stable and more useful than the best rule come first, by
the narrower of their two leads (as a share of the rule's figure: a wide lead in one does not make
up for a chance lead in the other); then the others, by the weighted sum of the measures, each
scaled to 0..1 over the front. The first few are measured again, on more resamples and others than
those that they were picked by, and the same rule chooses among them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.groups import ALL_FEATURES, SegmentsSettings
from tasks.segments.candidates import (
    SCALINGS,
    Matrix,
    Setting,
    Unusable,
    common_space,
    fit_setting,
)
from tasks.segments.data import Evidence
from tasks.segments.measures import Measured, measure
from tasks.studies import TriedSetting

if TYPE_CHECKING:
    import optuna

_OBJECTIVES = ("separation", "stability", "usefulness")
_WORST = (-1.0, 0.0, 0.0)
_DIMENSIONS = (0, 2, 3, 4, 6)
# So that the second look's resamples are none that the first has seen.
_SECOND_SEED = 15_485
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial: its setting and its measures, or why it is unusable."""

    number: int
    setting: Setting
    values: Mapping[str, float]
    fault: str = ""

    @property
    def objectives(self) -> tuple[float, float, float]:
        """Separation, stability, usefulness."""
        return tuple(self.values[name] for name in _OBJECTIVES)  # type: ignore[return-value]

    def record(self) -> TriedSetting:
        """As the tracking store takes it."""
        params = self.setting.params() | ({"unusable": self.fault} if self.fault else {})
        return TriedSetting(
            self.number, "pruned" if self.fault else "complete", params, dict(self.values)
        )


@dataclass(frozen=True, slots=True)
class Search:
    """All trials, the numbers on the front, and the chosen one (None: none was usable).

    The chosen one carries the measures that it was chosen by, those of the second look.
    """

    trials: tuple[Tried, ...]
    front: tuple[int, ...]
    chosen: Tried | None
    reason: str


def search_settings(
    evidence: Evidence,
    features: Sequence[str],
    settings: SegmentsSettings,
    rule: Mapping[str, float],
    progress: Progress | None = None,
) -> Search:
    """Try `settings.trials` settings on a sample of the evidence and choose one.

    `features` are those to group by; `rule` holds the measures of the best rule on the same
    customers. The same evidence and settings give the same trials.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sample = evidence.take(slice(0, settings.search_rows))
    space = common_space(sample.matrix, sample.names, settings)
    sets = feature_sets(features, settings)
    sampler = optuna.samplers.TPESampler(
        seed=settings.seed, n_startup_trials=settings.startup_trials
    )
    study = optuna.create_study(directions=["maximize"] * 3, sampler=sampler)
    for first in _first_settings(sets, settings):
        study.enqueue_trial(first)
    tried: list[Tried] = []
    known: dict[Setting, Tried] = {}
    for number in range(settings.trials):
        trial = study.ask()
        setting = _draw(trial, sets, settings)
        found = known.get(setting)
        one = (
            Tried(number, setting, found.values, found.fault)
            if found is not None
            else _try(
                number,
                setting,
                sample,
                space,
                settings,
                seed=settings.seed,
                resamples=settings.resamples,
            )
        )
        known[setting] = one
        tried.append(one)
        study.tell(trial, _WORST if one.fault else one.objectives)
        if progress is not None:
            progress(number + 1, settings.trials)
    front = find_front(tried)
    finalists = rank_settings(front, settings, rule)[: settings.finalists]
    again = [
        _try(
            one.number,
            one.setting,
            sample,
            space,
            settings,
            seed=settings.seed + _SECOND_SEED,
            resamples=settings.contest_resamples,
        )
        for one in finalists
    ]
    chosen = rank_settings([one for one in again if not one.fault], settings, rule)
    return Search(
        trials=tuple(tried),
        front=tuple(one.number for one in front),
        chosen=chosen[0] if chosen else None,
        reason=_explain(tried, front, chosen, settings, rule),
    )


def feature_sets(features: Sequence[str], settings: SegmentsSettings) -> dict[str, tuple[str, ...]]:
    """Of each set the features that are there; without those of fewer than two, and repeats."""
    sets = {ALL_FEATURES: tuple(features)}
    for name, members in settings.feature_sets.items():
        there = tuple(member for member in members if member in features)
        if len(there) >= 2 and there not in sets.values():
            sets[name] = there
    return sets


def make_fit(
    names: Sequence[str], setting: Setting, settings: SegmentsSettings
) -> Callable[[Matrix, int], dict[str, Any]]:
    """The setting as a function of rows and seed."""
    return lambda matrix, seed: fit_setting(matrix, names, setting, settings, seed)


def find_front(tried: Sequence[Tried]) -> list[Tried]:
    """The usable settings, each once, that no other beats in all three measures at once."""
    first = {one.setting: one for one in reversed(tried)}
    usable = [one for one in tried if not one.fault and first[one.setting] is one]
    return [one for one in usable if not any(_dominates(other, one) for other in usable)]


def rank_settings(
    front: Sequence[Tried], settings: SegmentsSettings, rule: Mapping[str, float]
) -> list[Tried]:
    """By the declared rule, the first being the choice; equal ones in the order of trial."""
    utility = _utilities(front, settings)
    leads = {one.number: _narrower_lead(one, settings, rule) for one in front}
    return sorted(
        front,
        key=lambda one: (-max(leads[one.number], 0.0), -utility[one.number], one.number),
    )


def _narrower_lead(one: Tried, settings: SegmentsSettings, rule: Mapping[str, float]) -> float:
    """By how much it beats the rule where it beats it less, as a share of the rule's figure."""
    asked = {
        "stability": rule["stability"] + settings.stability_margin,
        "usefulness": rule["usefulness"] + settings.usefulness_margin,
    }
    return min(
        (one.values[name] - figure) / max(abs(figure), 1e-9) for name, figure in asked.items()
    )


def _explain(
    tried: Sequence[Tried],
    front: Sequence[Tried],
    chosen: Sequence[Tried],
    settings: SegmentsSettings,
    rule: Mapping[str, float],
) -> str:
    if not chosen:
        faults = sorted({one.fault for one in tried if one.fault})
        return f"no setting gave usable groups: {faults[0] if faults else 'nothing was tried'}"
    weights, one = settings.weights, chosen[0]
    better = sum(_narrower_lead(other, settings, rule) > 0 for other in chosen)
    why = (
        "this one has the widest narrower lead"
        if better
        else f"none beats it, and by the declared weights (separation {weights.separation:g},"
        f" stability {weights.stability:g}, usefulness {weights.usefulness:g}) this one comes first"
    )
    return (
        f"trial {one.number} of {len(tried)}: {one.setting.describe()}. {len(front)} settings are"
        f" each best at something; of the {len(chosen)} looked at again {better} are more stable"
        f" and more useful than the best rule; {why}"
    )


def _utilities(front: Sequence[Tried], settings: SegmentsSettings) -> dict[int, float]:
    weights = settings.weights
    utility = {one.number: 0.0 for one in front}
    for place, weight in enumerate((weights.separation, weights.stability, weights.usefulness)):
        values = [one.objectives[place] for one in front]
        low, high = min(values), max(values)
        for one in front:
            scaled = (one.objectives[place] - low) / (high - low) if high > low else 1.0
            utility[one.number] += weight * scaled
    return utility


def _dominates(one: Tried, other: Tried) -> bool:
    pairs = list(zip(one.objectives, other.objectives, strict=True))
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


def _first_settings(
    sets: Mapping[str, tuple[str, ...]], settings: SegmentsSettings
) -> list[dict[str, Any]]:
    """Each set of features in the plainest way, tried before any setting is drawn."""
    plain = {
        "method": settings.methods[0],
        "scaling": "standard",
        "logarithm": True,
        "dimensions": 0,
        "groups": settings.minimum_groups,
        "diagonal": False,
    }
    return [{**plain, "feature_set": name} for name in sets]


def _draw(
    trial: optuna.Trial, sets: Mapping[str, tuple[str, ...]], settings: SegmentsSettings
) -> Setting:
    """Every parameter is always drawn; those without a meaning here take one value."""
    method = trial.suggest_categorical("method", list(settings.methods))
    name = trial.suggest_categorical("feature_set", list(sets))
    scaling = trial.suggest_categorical("scaling", list(SCALINGS))
    logarithm = trial.suggest_categorical("logarithm", [True, False])
    dimensions = trial.suggest_categorical("dimensions", list(_DIMENSIONS))
    groups = trial.suggest_int("groups", settings.minimum_groups, settings.maximum_groups)
    diagonal = trial.suggest_categorical("diagonal", [False, True])
    return Setting(
        method=method,
        feature_set=name,
        feature_names=sets[name],
        scaling=scaling,
        logarithm=logarithm and scaling != "rank",
        dimensions=dimensions if dimensions < len(sets[name]) else 0,
        groups=groups,
        diagonal=diagonal and method == "mixture",
    )


def _try(
    number: int,
    setting: Setting,
    sample: Evidence,
    space: Matrix,
    settings: SegmentsSettings,
    *,
    seed: int,
    resamples: int,
) -> Tried:
    try:
        measured: Measured = measure(
            make_fit(sample.names, setting, settings),
            sample,
            sample,
            space,
            settings,
            seed=seed,
            resamples=resamples,
            limited=True,
        )
    except Unusable as fault:
        return Tried(number, setting, {}, str(fault))
    return Tried(number, setting, measured.values)
