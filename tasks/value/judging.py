"""Who is served: every contender against the customers of the last matured horizon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.findings import Contest, ValueContender
from tasks.value import measures
from tasks.value.measures import Predictions

Floats = NDArray[np.float64]
MEASURE = "gini_share"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The served contender by name, the contest with the best of the other kind, all figures."""

    served: str
    contest: Contest
    contenders: tuple[ValueContender, ...]


def judge(
    observed: Floats,
    predictions: Sequence[Predictions],
    *,
    maximum_bias_share: float,
    resamples: int,
    confidence: float,
    seed: int,
) -> Judgement:
    """The best model is served if it orders customers better than the best rule, surely enough.

    Better: the interval of the difference of normalised Ginis lies above 0. A model whose total
    was further off than `maximum_bias_share` does not stand. `observed` is (customers,).
    """
    contenders = tuple(_measure(observed, one) for one in predictions)
    by_name = {one.name: one for one in predictions}
    rules = [one for one in contenders if one.kind == "rule"]
    models = [one for one in contenders if one.kind == "model"]
    standing = [one for one in models if abs(one.bias_share) <= maximum_bias_share]
    rule = _best(rules)
    model = _best(standing or models)
    difference = model.gini_share - rule.gini_share
    low, high = measures.compare_ginis(
        observed,
        by_name[model.name].spend,
        by_name[rule.name].spend,
        resamples=resamples,
        confidence=confidence,
        seed=seed,
    )
    wins = bool(standing) and low > 0
    if wins:
        served, rival = model, rule
        reason = (
            f"{model.name} ranks spend better than the best rule, {rule.name}: {difference:+.3f}"
            f" of normalised Gini, {confidence:.0%} interval {low:+.3f} to {high:+.3f}"
        )
    else:
        served, rival, difference, low, high = rule, model, -difference, -high, -low
        reason = (
            f"no model's total came within {maximum_bias_share:.0%} of what was spent, so the best"
            f" rule, {rule.name}, is served"
            if not standing
            else f"the best model, {model.name}, does not surely rank spend better than the rule"
            f" {rule.name}, which is served: the rule's normalised Gini less the model's is"
            f" {difference:+.3f}, {confidence:.0%} interval {low:+.3f} to {high:+.3f}"
        )
    contest = Contest(
        served=served.name,
        served_kind=served.kind,
        rival=rival.name,
        measure=MEASURE,
        higher_is_better=True,
        served_figure=served.gini_share,
        rival_figure=rival.gini_share,
        difference=difference,
        low=low,
        high=high,
        reason=reason,
    )
    return Judgement(served.name, contest, contenders)


def figures(contenders: Sequence[ValueContender]) -> Mapping[str, float]:
    """Every figure by `<contender>.<measure>`, for the tracking store."""
    found: dict[str, float] = {}
    for one in contenders:
        found[f"{one.name}.gini_share"] = one.gini_share
        found[f"{one.name}.bias_share"] = one.bias_share
        found[f"{one.name}.mean_absolute_error_amount"] = one.mean_absolute_error_amount
        for share, captured in one.captured_share.items():
            found[f"{one.name}.captured_share_{share}"] = captured
    return found


def _measure(observed: Floats, one: Predictions) -> ValueContender:
    return ValueContender(
        name=one.name,
        kind=one.kind,
        gini_share=measures.normalised_gini(observed, one.spend),
        bias_share=measures.bias_share(observed, one.spend),
        mean_absolute_error_amount=measures.mean_error_amount(observed, one.spend),
        captured_share={
            f"{share:g}": measures.captured_share(observed, one.spend, share)
            for share in measures.CAPTURED_SHARES
        },
    )


def _best(contenders: Sequence[ValueContender]) -> ValueContender:
    # Of two that order alike, the one that errs less; then by name, so that nothing is by chance.
    return min(
        contenders, key=lambda one: (-one.gini_share, one.mean_absolute_error_amount, one.name)
    )
