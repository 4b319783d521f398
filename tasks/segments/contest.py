"""A clustering against the rules, on customers that the search has not seen.

Everything competes with the same measures: fitted on one half of the customers, judged on the
other, on resamples of its own. A clustering is served only if it is both more stable and more
useful than the rule, by the margins that are set; else the rule is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from tasks.findings import Contest
from tasks.groups import SegmentsSettings
from tasks.segments.baselines import fit_fifths, fit_rfm, has_rfm
from tasks.segments.candidates import Segmentation, Unusable, assign_rows, common_space
from tasks.segments.data import Evidence
from tasks.segments.measures import Fit, Measured, check_limits, measure, usefulness_interval
from tasks.segments.search import Progress, Search, make_fit, search_settings

CLUSTERING, RFM, FIFTHS = "clustering", "rfm", "value_fifths"
_INTERVAL_RESAMPLES = 200
# So that the contest's resamples are none that the search has seen.
_CONTEST_SEED = 104_729


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is served, fitted on everybody, with the figures of all that competed by name.

    `rule` names the served rule, None for a clustering; `reason` says why this one.
    """

    kind: Literal["model", "rule"]
    rule: str | None
    segmentation: Segmentation
    contest: Contest
    measures: dict[str, dict[str, float]]
    search: Search
    reason: str


def hold_contest(
    evidence: Evidence,
    features: Sequence[str],
    settings: SegmentsSettings,
    progress: Progress | None = None,
) -> Outcome:
    """Search on one half of the evidence, compete on the other, and fit the winner on all.

    The rival is RFM; where its features are missing, the fifths by value. The same evidence and
    settings give the same outcome.
    """
    with one_thread():
        return _hold(evidence, features, settings, progress)


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums come in one order, so that the same data give the same bytes; and where processes share
    few cores, threads that wait for each other cost more than they bring.
    """
    # What is imported later would bring threads of its own that the limit does not reach.
    import sklearn.cluster
    import sklearn.manifold
    import sklearn.mixture  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


def rule_fits(evidence: Evidence, settings: SegmentsSettings) -> dict[str, Fit]:
    """The rules that these features allow; the first is the rival."""
    names = evidence.names
    fits: dict[str, Fit] = {}
    if has_rfm(names, settings):
        fits[RFM] = lambda matrix, _seed: fit_rfm(matrix, names, settings)
    fits[FIFTHS] = lambda matrix, _seed: fit_fifths(matrix, names, settings)
    return fits


def _hold(
    evidence: Evidence,
    features: Sequence[str],
    settings: SegmentsSettings,
    progress: Progress | None,
) -> Outcome:
    train, judged = (half.take(slice(0, settings.judged_rows)) for half in evidence.halves())
    rules = rule_fits(evidence, settings)
    rival = next(iter(rules))
    sample = train.take(slice(0, settings.search_rows))
    space = common_space(sample.matrix, sample.names, settings)
    beaten = measure(
        rules[rival],
        sample,
        sample,
        space,
        settings,
        seed=settings.seed,
        resamples=settings.contest_resamples,
        limited=False,
    )
    search = search_settings(train, features, settings, beaten.values, progress)
    judged_space = common_space(judged.matrix, judged.names, settings)

    def compete(fit: Fit) -> Measured:
        return measure(
            fit,
            train,
            judged,
            judged_space,
            settings,
            seed=settings.seed + _CONTEST_SEED,
            resamples=settings.contest_resamples,
            limited=False,
        )

    found = {name: compete(fit) for name, fit in rules.items()}
    whole = evidence.take(slice(0, settings.fit_rows))
    clustering: Segmentation | None = None
    fault = search.reason
    if search.chosen is not None:
        fit = make_fit(evidence.names, search.chosen.setting, settings)
        try:
            found[CLUSTERING] = compete(fit)
            clustering = fit(whole.matrix, settings.seed)
            check_limits(assign_rows(whole.matrix, whole.names, clustering), settings)
        except Unusable as error:
            clustering, fault = None, f"fitted on everybody it gave {error}"
    measures = {name: dict(one.values) for name, one in found.items()}
    if clustering is None:
        served = rules[rival](whole.matrix, settings.seed)
        contest = _without_clustering(rival, found[rival], fault)
        return Outcome("rule", rival, served, contest, measures, search, contest.reason)
    contest = _judge(found, rival, judged, settings)
    if contest.served_kind == "model":
        return Outcome("model", None, clustering, contest, measures, search, search.reason)
    served = rules[rival](whole.matrix, settings.seed)
    return Outcome("rule", rival, served, contest, measures, search, contest.reason)


def _judge(
    found: Mapping[str, Measured], rival: str, judged: Evidence, settings: SegmentsSettings
) -> Contest:
    model, rule = found[CLUSTERING], found[rival]
    gains = {name: model.values[name] - rule.values[name] for name in ("stability", "usefulness")}
    margins = {
        "stability": settings.stability_margin,
        "usefulness": settings.usefulness_margin,
    }
    wins = {name: gains[name] > margins[name] for name in gains}
    served, other = (CLUSTERING, rival) if all(wins.values()) else (rival, CLUSTERING)
    low, high = usefulness_interval(
        found[served].labels,
        found[other].labels,
        judged,
        settings,
        resamples=_INTERVAL_RESAMPLES,
        seed=settings.seed,
    )
    said = ", ".join(
        f"{'more' if wins[name] else 'not more'} {adjective}"
        f" ({model.values[name]:.3f} against {rule.values[name]:.3f})"
        for name, adjective in (("stability", "stable"), ("usefulness", "useful"))
    )
    rule_of = " and ".join(f"{name} by more than {margin:g}" for name, margin in margins.items())
    return Contest(
        served=served,
        served_kind="model" if served == CLUSTERING else "rule",
        rival=other,
        measure="usefulness",
        higher_is_better=True,
        served_figure=found[served].values["usefulness"],
        rival_figure=found[other].values["usefulness"],
        difference=found[served].values["usefulness"] - found[other].values["usefulness"],
        low=low,
        high=high,
        reason=(
            f"the clustering is {said} than {rival}; it is served where it wins in {rule_of}."
            f" The difference in usefulness lies between {low:+.3f} and {high:+.3f} in 9 of 10"
            " resamples"
        ),
    )


def _without_clustering(rival: str, rule: Measured, fault: str) -> Contest:
    return Contest(
        served=rival,
        served_kind="rule",
        rival=CLUSTERING,
        measure="usefulness",
        higher_is_better=True,
        served_figure=rule.values["usefulness"],
        rival_figure=0.0,
        difference=rule.values["usefulness"],
        reason=f"there is no clustering to compare with: {fault}",
    )
