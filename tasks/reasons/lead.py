"""How long before the lapse a warning could have come, from models that had not seen the future."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.findings import LeadTime
from tasks.reasons.reading import LabelledRows
from tasks.reasons.refits import Recipe, fit
from tasks.reasons.survival import Stay

Floats = NDArray[np.float64]
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True)
class Watch:
    """Which cut-offs teach the model of the lead time, and which are watched with it."""

    teaching_days: NDArray[np.int64]
    watched_days: NDArray[np.int64]


def plan_watch(rows: LabelledRows, horizon_days: int) -> Watch | None:
    """Watch the later half of the cut-offs, and more if nothing teaches that early.

    What teaches lies a whole horizon before the first that is watched, so its outcomes were known.
    None where the history is too short for that.
    """
    days = np.unique(rows.cutoff_days)
    for first in range(len(days) // 2, len(days)):
        teaching = days[days + horizon_days <= days[first]]
        known = np.isin(rows.cutoff_days, teaching) & rows.matured
        if len(np.unique(rows.churned[known])) == 2:
            return Watch(teaching, days[first:])
    return None


def measure_lead(
    rows: LabelledRows,
    stay: Stay,
    watch: Watch,
    recipe: Recipe,
    *,
    flag_share: float,
    seed: int,
) -> LeadTime | None:
    """Days from the first flag that stayed up until the lapse; None where nobody lapsed.

    `stay` follows who was there at the first watched cut-off or came later. At each watched
    cut-off the riskiest `flag_share` of who is still there are flagged: what a list of that length
    would have held.
    """
    teaching = np.isin(rows.cutoff_days, watch.teaching_days) & rows.matured
    booster = fit(rows, teaching, recipe, seed=seed, resample=False)
    watched = np.flatnonzero(np.isin(rows.cutoff_days, watch.watched_days) & rows.present)
    if not len(watched) or not len(stay.days):
        return None
    scores = np.asarray(booster.predict(rows.features[watched]), dtype=np.float64)
    flagged = np.zeros(len(watched), dtype=bool)
    limits = []
    for day in watch.watched_days:
        there = rows.cutoff_days[watched] == day
        if there.any():
            limits.append(float(np.quantile(scores[there], 1 - flag_share)))
            flagged |= there & (scores > limits[-1])
    leads, lapsed, stayers = find_leads(rows, watched, flagged, stay)
    if not lapsed:
        return None
    quantiles = np.quantile(leads, QUANTILES).tolist() if len(leads) else []
    return LeadTime(
        flag_probability=float(np.median(limits)),
        lapsed_customers=lapsed,
        flagged_customers=len(leads),
        quantile_days={
            f"{share:g}": float(value) for share, value in zip(QUANTILES, quantiles, strict=False)
        },
        stayers_flagged_share=stayers,
    )


def find_leads(
    rows: LabelledRows, watched: NDArray[np.int64], flagged: NDArray[np.bool_], stay: Stay
) -> tuple[Floats, int, float | None]:
    """Lead times of who was flagged at the lapse, how many lapsed, and the stayers' flagged share.

    `watched` are rows of `rows` in order of time, `flagged` (watched,). A flag counts from the
    first cut-off after which the customer stayed flagged until the lapse: a false alarm of long
    ago, taken back since, is no warning.
    """
    if not len(stay.days):
        return np.zeros(0), 0, None
    place = {customer: n for n, customer in enumerate(stay.customer_ids)}
    known = np.array([place.get(one, -1) for one in rows.customer_ids], dtype=np.int64)
    whose = known[rows.customers[watched]]
    days = rows.cutoff_days[watched]
    followed = whose >= 0
    first = np.full(len(stay.days), np.nan)
    seen = np.zeros(len(stay.days), dtype=bool)
    before = followed & (days < np.where(followed, stay.end_day[np.maximum(whose, 0)], -1))
    for row in np.flatnonzero(before):
        customer = whose[row]
        seen[customer] = True
        if not flagged[row]:
            first[customer] = np.nan
        elif np.isnan(first[customer]):
            first[customer] = days[row]
    lapsed = stay.lapsed & seen
    warned = lapsed & ~np.isnan(first)
    staying = followed & ~stay.lapsed[np.maximum(whose, 0)]
    share = float(flagged[staying].mean()) if staying.any() else None
    return stay.end_day[warned] - first[warned], int(lapsed.sum()), share
