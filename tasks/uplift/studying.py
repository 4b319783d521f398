"""Whether uplift targeting of an action is unlocked, and then what is told of each customer."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tasks.crash import crash_point
from tasks.errors import Refused, StoredDataCorrupt
from tasks.evidence import Imbalance, KeptLearner, Measure, UpliftStudy
from tasks.findings import Words
from tasks.keeping import combine_hashes, hash_texts, write_texts
from tasks.uplift.effects import compare_arms
from tasks.uplift.ladder import ListName
from tasks.uplift.serving import (
    Learner,
    calibrate,
    find_directory,
    open_learner,
    render_learner,
)
from tasks.uplift.subjects import Learnable, read_matrix, read_others, read_with_features
from tasks.uplift.targeting import Contest, compare_strategies
from tasks.warehouse import quote

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.handles import FeatureTable
    from tasks.settings import Settings
    from tasks.warehouse import Lake

Floats = NDArray[np.float64]

_LOG = logging.getLogger("holdfast.uplift")
_SHOWN_FEATURES = 5
# A difference within a lot this many standard errors from none is no chance.
_BEYOND_CHANCE = 5.0
_BATCH_ROWS = 100_000


@dataclass(frozen=True, slots=True)
class OwnUplifts:
    """What a contact is expected to add of each of tonight's customers, where it can be told.

    `values` has shape (customers,): stays, or margin, by `measure`; finite and within bounds.
    """

    listed_for: ListName
    action: str
    measure: Measure
    learner_hash: str
    customer_ids: tuple[str, ...]
    values: Floats


@dataclass(frozen=True, slots=True)
class Studied:
    """The study of an action, and, where it is unlocked, tonight's own uplifts."""

    study: UpliftStudy
    own: OwnUplifts | None = None


def study_action(
    lake: Lake, listed_for: ListName, action: str, table: FeatureTable, as_of: datetime
) -> Studied | None:
    """Judge uplift targeting of an action; unlocked, its learner is kept and tells of everybody.

    `table` holds the features at the lots' moments and at `as_of`. None where too few of the
    subjects have features.
    """
    settings = lake.settings
    uplift = settings.uplift
    read = read_with_features(lake, listed_for, action, table, uplift.maximum_rows)
    if read is None:
        return None
    trial, features = read.trial, read.features
    treated = int(trial.treated.sum())
    if min(treated, len(trial) - treated) < uplift.minimum_model_customers // 2:
        return None
    last_at = max(read.decided_at)
    common: dict[str, Any] = {
        "listed_for": listed_for,
        "action": action,
        "measure": uplift.metric,
        "customers": treated,
        "controls": len(trial) - treated,
        "lots": len(np.unique(trial.lots)),
        "confidence": uplift.confidence,
        "first_at": min(read.decided_at),
        "last_at": last_at,
    }
    refused = _find_refusal(read, table.feature_names, as_of, settings)
    if refused is not None:
        return Studied(
            UpliftStudy(
                **common, served="", unlocked=False, reason=refused, strategies=(), curve=()
            )
        )
    contest = compare_strategies(
        trial, features, uplift.metric, uplift, cost_amount=_find_cost(settings, listed_for, action)
    )
    study = UpliftStudy(
        **common,
        served=contest.served,
        unlocked=contest.unlocked,
        reason=_say_verdict(contest),
        strategies=contest.strategies,
        curve=contest.curve,
    )
    return _serve(lake, study, read, contest, table, as_of) if contest.unlocked else Studied(study)


def find_imbalance(
    features: Floats, treated: NDArray[np.bool_], lots: NDArray[np.int64], names: tuple[str, ...]
) -> tuple[Imbalance, ...]:
    """The features that differ most between the arms, the worst first."""
    apart = compare_arms(features, treated, lots)
    order = np.argsort(-np.abs(apart), kind="stable")[:_SHOWN_FEATURES]
    return tuple(Imbalance(feature=names[place], difference=float(apart[place])) for place in order)


def _find_refusal(
    read: Learnable, names: tuple[str, ...], as_of: datetime, settings: Settings
) -> Words | None:
    """Why nothing is learnt: the arms are not alike, or the newest lot is too long ago."""
    trial, uplift = read.trial, settings.uplift
    treated = int(trial.treated.sum())
    worst = find_imbalance(read.features, trial.treated, trial.lots, names)[0]
    error = float(np.sqrt(1 / treated + 1 / (len(trial) - treated)))
    if abs(worst.difference) > max(uplift.balance_limit, _BEYOND_CHANCE * error):
        return Words(
            en=f"Refused: the arms are not alike, {worst.feature} differs by"
            f" {worst.difference:+.2f} standard deviations. It was no lot, or not this one.",
            ko=f"거부: 두 집단이 다릅니다. {worst.feature}의 차이가 표준편차"
            f" {worst.difference:+.2f}입니다.",
        )
    last_at = max(read.decided_at)
    if last_at < as_of - timedelta(days=uplift.maximum_age_days):
        return Words(
            en=f"Locked: the newest lot is of {last_at:%Y-%m-%d}, more than"
            f" {uplift.maximum_age_days:,} days ago. What it showed may not hold any more.",
            ko=f"잠김: 가장 최근 추첨({last_at:%Y-%m-%d})이 {uplift.maximum_age_days:,}일보다"
            " 오래되었습니다.",
        )
    return None


def _say_verdict(contest: Contest) -> Words:
    over, low, high = contest.over_risk
    against = "more" if low > 0 else "less" if high < 0 else "no clear difference"
    beside = f" Against a ranking by risk: {over:+.5f} ({low:+.5f} to {high:+.5f}), {against}."
    beside_ko = f" 위험 순위와의 차이: {over:+.5f} ({low:+.5f}~{high:+.5f})."
    if contest.unlocked:
        return Words(
            en=f"Unlocked: the lower bound of the Qini, {contest.low:.5f} at every look, is above"
            f" zero on customers that it had not learnt from.{beside}",
            ko=f"허용: 학습하지 않은 고객에서 Qini 하한 {contest.low:.5f}이(가) 0보다 큽니다."
            f"{beside_ko}",
        )
    return Words(
        en=f"Locked: the lower bound of the Qini, {contest.low:.5f} at every look, is not above"
        f" zero.{beside}",
        ko=f"잠김: Qini 하한 {contest.low:.5f}이(가) 0보다 크지 않습니다.{beside_ko}",
    )


def _serve(
    lake: Lake,
    study: UpliftStudy,
    read: Learnable,
    contest: Contest,
    table: FeatureTable,
    as_of: datetime,
) -> Studied:
    """Keep the learner, open what was kept, and ask it; locked where any of it cannot be done."""
    uplift = lake.settings.uplift
    calibration = calibrate(read.trial, contest.scores, study.measure, uplift)
    if calibration is None:
        return Studied(
            _lock(
                study,
                "Locked: how large an uplift is cannot be told from the lots, only its order.",
                "잠김: 추첨 결과로 업리프트의 순서만 알 수 있고 크기는 알 수 없습니다.",
            )
        )
    others = read_others(lake, study.listed_for, study.action, table, uplift.maximum_rows)
    files = render_learner(
        contest.served,
        read.trial,
        read.features,
        others,
        table.feature_names,
        study.measure,
        calibration,
        uplift,
    )
    kept = KeptLearner(
        learner=contest.served,
        files=hash_texts(files),
        model_hash=combine_hashes(hash_texts(files)),
        rows=len(read.trial),
        mean=calibration.mean,
        centre=calibration.centre,
        slope=calibration.slope,
        low=calibration.low,
        high=calibration.high,
    )
    directory = find_directory(lake.settings.home, lake.deployment, kept.model_hash)
    write_texts(directory, files, "uplift.learner_written")
    crash_point("uplift.learner_kept")
    try:
        own, unlike = ask_learner(lake, open_learner(directory, kept), study, kept, table, as_of)
    except (Refused, StoredDataCorrupt) as error:
        _LOG.error("INTEGRITY: %s", " ".join(str(error).split()))
        return Studied(
            _lock(
                study,
                f"Locked: the learner cannot be asked. {error.what}",
                "잠김: 학습기를 사용할 수 없습니다.",
            )
        )
    return Studied(
        study.model_copy(
            update={
                "kept": kept,
                "own_customers": len(own.customer_ids),
                "unlike_customers": unlike,
            }
        ),
        own,
    )


def ask_learner(
    lake: Lake,
    learner: Learner,
    study: UpliftStudy,
    kept: KeptLearner,
    table: FeatureTable,
    as_of: datetime,
) -> tuple[OwnUplifts, int]:
    """Tonight's own uplifts by the features at `as_of`, and of how many customers none is told.

    Raises StoredDataCorrupt (74) where the table lacks a feature that the learner asks for.
    """
    import pyarrow as pa

    missing = sorted(set(learner.feature_names) - set(table.feature_names))
    if missing:
        raise StoredDataCorrupt(
            "An uplift learner asks for features that are not there.",
            found=", ".join(missing[:5]),
        )
    listed = ", ".join(quote(name) for name in learner.feature_names)
    customer_ids: list[str] = []
    values: list[Floats] = []
    unlike = 0
    for batch in lake.batches(
        f"select customer_id, {listed} from lake.main.{quote(table.table)}"
        " where as_of = $as_of order by customer_id",
        {"as_of": as_of},
        rows=_BATCH_ROWS,
    ):
        rows = pa.Table.from_batches([batch])
        told = learner.predict(read_matrix(rows, learner.feature_names))
        known = np.isfinite(told)
        unlike += int((~known).sum())
        customer_ids += [one for one, is_known in zip(_ids(rows), known, strict=True) if is_known]
        values.append(told[known])
    own = OwnUplifts(
        study.listed_for,
        study.action,
        study.measure,
        kept.model_hash,
        tuple(customer_ids),
        np.concatenate(values) if values else np.empty(0),
    )
    return own, unlike


def _ids(rows: pa.Table) -> list[str]:
    return [str(one) for one in rows["customer_id"].to_pylist()]


def _lock(study: UpliftStudy, en: str, ko: str) -> UpliftStudy:
    return study.model_copy(
        update={
            "unlocked": False,
            "reason": Words(en=f"{en} {study.reason.en}", ko=f"{ko} {study.reason.ko}"),
        }
    )


def _find_cost(settings: Settings, listed_for: ListName, action: str) -> float:
    """What reaching one customer costs; an offer's cost is in what they spend, net of discounts."""
    offers = (
        settings.actions.offers if listed_for == "retention" else settings.actions.winback.offers
    )
    offer = offers.get(action)
    cost: Decimal = (
        settings.economics.contact_cost_amount if offer is None else offer.contact_cost_amount
    )
    return float(cost)
