"""Explain every customer of a cut-off: pushes of the served model, held against its refits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.errors import DataRejected
from tasks.exports import find_scoring
from tasks.handles import Champion, FeatureTable, Predictor
from tasks.progress import show_progress
from tasks.reasons.grouping import Grouping, group_features
from tasks.reasons.membership import EVERYBODY
from tasks.reasons.reading import (
    LabelledRows,
    as_table,
    find_constant,
    find_segmentation,
    read_labelled,
    read_newest,
)
from tasks.reasons.refits import Recipe, check_enough, fit_again, open_booster, read_recipe
from tasks.reasons.stability import NONE, find_leading, push_of
from tasks.warehouse import Lake

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]
# Customers kept with their features, for medians, the ablation and the segments of the past.
_SAMPLE = 20_000


@dataclass(frozen=True)
class Asked:
    """What a run is about: the served model, the tables, and the newest rows of other families.

    `born` is the driver of each feature as it was declared. `labelled` holds the past cut-offs.
    """

    champion: Champion
    predictor: Predictor
    newest: FeatureTable
    labelled: FeatureTable
    born: Mapping[str, str]
    scoring_id: str | None
    segments_run: str | None


@dataclass(frozen=True)
class Models:
    """The served booster (None: a rule is served) and its refits, over the same features."""

    grouping: Grouping
    served: Any | None
    refits: tuple[Any, ...]
    recipe: Recipe
    predict: Callable[[Floats], Floats]


@dataclass
class Explained:
    """All customers of the cut-off. `table` has customer_id, driver, push, agreement_share.

    `top` (customers,) is the place of the leading driver, whether it holds or not, or NONE.
    `weights`, `agreement` and `leads` are (drivers,): summed absolute pushes, mean agreement where
    the driver leads, and for how many it does. The sample's arrays have one row a sampled customer:
    `driver` is the place of a reason that holds, or NONE; `segment` a place in `segment_ids`.
    """

    table: pa.Table
    top: NDArray[np.int64]
    weights: Floats
    agreement: Floats
    leads: NDArray[np.int64]
    holding: int
    features: Floats
    driver: NDArray[np.int64]
    segment: NDArray[np.int64]
    segment_ids: tuple[str, ...]

    @property
    def customers(self) -> int:
        return int(self.table.num_rows)


@dataclass
class _Gathered:
    ids: list[Any] = field(default_factory=list)
    driver: list[NDArray[np.int64]] = field(default_factory=list)
    holds: list[NDArray[np.bool_]] = field(default_factory=list)
    push: list[Floats] = field(default_factory=list)
    agreement: list[Floats] = field(default_factory=list)
    at_risk: list[Floats] = field(default_factory=list)
    features: list[Floats] = field(default_factory=list)
    segments: list[str] = field(default_factory=list)
    chosen: list[NDArray[np.int64]] = field(default_factory=list)


def prepare(
    lake: Lake,
    champion: Champion,
    predictor: Predictor,
    newest: FeatureTable,
    labelled: FeatureTable,
    born: Mapping[str, str],
) -> Asked:
    """What this run reads besides features: the newest scoring and segments of the cut-off."""
    as_of = newest.as_of[-1]
    return Asked(
        champion=champion,
        predictor=predictor,
        newest=newest,
        labelled=labelled,
        born=born,
        scoring_id=find_scoring(lake, as_of),
        segments_run=find_segmentation(lake, as_of),
    )


def name_drivers(lake: Lake, asked: Asked, names: tuple[str, ...]) -> Grouping:
    """Features by driver. In a labelled set the deployment's own word on a column goes first."""
    settings = lake.settings
    given = settings.features.outcome == "given"
    named = {name: one for name, one in asked.born.items() if given and one != "profile"}
    return group_features(
        names,
        settings.reasons.drivers,
        named=named,
        born=asked.born,
        left_out=find_constant(lake, asked.newest, names),
    )


def read_past(lake: Lake, asked: Asked) -> LabelledRows:
    """The labelled rows with the features that are explained: the model's, or all for a rule.

    Raises DataRejected (65) where they cannot teach.
    """
    settings = lake.settings.reasons
    rule = asked.champion.kind == "rule"
    names = asked.labelled.feature_names if rule else asked.champion.feature_names
    rows = read_labelled(
        lake,
        asked.labelled,
        names,
        maximum_rows=settings.maximum_training_rows,
        seed=settings.seed,
    )
    check_enough(rows, settings)
    return rows


def fit_models(lake: Lake, asked: Asked, rows: LabelledRows, extra: int = 0) -> Models:
    """Open the served model and fit it again `refits` (and `extra`) times on customers redrawn."""
    settings = lake.settings.reasons
    served = open_booster(asked.champion.directory) if asked.champion.kind == "model" else None
    recipe = read_recipe(served, settings.booster)
    refits = fit_again(
        rows,
        recipe,
        count=settings.refits + extra,
        seed=settings.seed + 1,
        workers=lake.settings.warehouse.threads,
    )
    names = rows.feature_names

    def predict(features: Floats) -> Floats:
        if served is not None:
            return np.asarray(asked.predictor.predict(as_table(features, names)), dtype=np.float64)
        scores: Floats = np.mean([one.predict(features) for one in refits], axis=0)
        return scores

    return Models(name_drivers(lake, asked, names), served, refits, recipe, predict)


def explain_newest(lake: Lake, asked: Asked, models: Models) -> Explained:
    """Pushes and leading driver of every customer of the newest cut-off, batch by batch.

    Raises DataRejected (65) where there is no customer.
    """
    settings = lake.settings.reasons
    grouping = models.grouping
    count = len(grouping.drivers)
    weights, agreement = np.zeros(count), np.zeros(count)
    leads = np.zeros(count, dtype=np.int64)
    got = _Gathered()
    done = 0
    draws = np.random.default_rng(settings.seed).random(max(1, asked.newest.rows))
    limit = np.partition(draws, _SAMPLE)[_SAMPLE] if len(draws) > _SAMPLE else 2.0
    with show_progress("explaining customers") as report:
        for batch in read_newest(
            lake, asked.newest, grouping.feature_names, settings.batch_rows, asked.segments_run
        ):
            refits = [push_of(one, batch.features, grouping) for one in models.refits]
            served = (
                push_of(models.served, batch.features, grouping)
                if models.served is not None
                else np.mean(refits, axis=0)
            )
            found = find_leading(served, refits, settings.agreement_share)
            weights += np.abs(served).sum(axis=0)
            led = found.driver != NONE
            leads += np.bincount(found.driver[led], minlength=count)
            agreement += np.bincount(
                found.driver[led], weights=found.agreement[led], minlength=count
            )
            chosen = np.flatnonzero(draws[done : done + len(batch.ids)] < limit)
            got.ids.extend(batch.ids)
            got.driver.append(found.driver)
            got.holds.append(found.holds)
            got.push.append(found.push)
            got.agreement.append(found.agreement)
            got.at_risk.append(
                np.full(len(batch.ids), np.nan)
                if asked.scoring_id
                else models.predict(batch.features) * np.maximum(np.nan_to_num(batch.value), 0.0)
            )
            got.features.append(batch.features[chosen])
            got.segments.extend(batch.segments[place] or EVERYBODY for place in chosen)
            got.chosen.append(chosen + done)
            done += len(batch.ids)
            if report is not None:
                report(done, asked.newest.rows, None)
    if not done:
        raise DataRejected(
            "No customer of the newest cut-off is there to explain.",
            found=f"cut-off {asked.newest.as_of[-1]:%Y-%m-%d}",
            next_step="take deliveries in, or widen `features.activity_window_days`",
        )
    return _put_together(got, grouping, weights, agreement, leads)


def _put_together(
    got: _Gathered,
    grouping: Grouping,
    weights: Floats,
    agreement: Floats,
    leads: NDArray[np.int64],
) -> Explained:
    import pyarrow as pa

    driver, holds = np.concatenate(got.driver), np.concatenate(got.holds)
    reasons = np.where(holds, driver, NONE)
    names = np.array([*grouping.drivers, None], dtype=object)  # NONE is -1: the last
    table = pa.table(
        {
            "customer_id": pa.array(got.ids, pa.string()),
            "driver": pa.array(names[reasons], pa.string()),
            "push": pa.array(np.where(holds, np.concatenate(got.push), np.nan), from_pandas=True),
            "agreement_share": pa.array(np.concatenate(got.agreement)),
            "own_at_risk": pa.array(np.concatenate(got.at_risk), from_pandas=True),
        }
    )
    segment_ids = tuple(sorted(set(got.segments)))
    place = {name: n for n, name in enumerate(segment_ids)}
    return Explained(
        table=table,
        top=driver,
        weights=weights,
        agreement=np.divide(agreement, leads, out=np.zeros_like(agreement), where=leads > 0),
        leads=leads,
        holding=int(holds.sum()),
        features=np.concatenate(got.features),
        driver=reasons[np.concatenate(got.chosen)],
        segment=np.array([place[name] for name in got.segments], dtype=np.int64),
        segment_ids=segment_ids,
    )
