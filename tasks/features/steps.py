"""The steps of this family, as the flows call them."""

from __future__ import annotations

from collections.abc import Collection

from tasks.audits import LeakAudit
from tasks.clock import PointInTime
from tasks.contracts import CONTRACTS, POPULATION
from tasks.features.audit import audit_features, check_outcomes, describe_audit
from tasks.features.building import build_features, feature_drivers
from tasks.features.declaration import DRIVERS, FEATURES, declared
from tasks.features.outcomes import join_outcomes
from tasks.features.recalling import recall_newest, recall_training
from tasks.features.sufficiency import check_sufficiency
from tasks.handles import FeatureTable
from tasks.orchestration import step
from tasks.sections import FeaturesSettings
from tasks.warehouse import Lake


def _describe_drivers(
    lake: Lake, table: FeatureTable, settings: FeaturesSettings
) -> tuple[dict[str, str], dict[str, str]]:
    """The driver of each feature, and each driver in plain words."""
    return feature_drivers(lake, table, settings), {str(key): v for key, v in DRIVERS.items()}


def _audit(lake: Lake, table: FeatureTable, settings: FeaturesSettings) -> LeakAudit:
    """Both searches for leaks; what they measured, where neither found one."""
    return describe_audit(lake, table, settings, audit_features(lake, table, settings))


def tables_without(left_out: Collection[str]) -> frozenset[str] | None:
    """The tables that features are built from where some are left out; None: all there are."""
    return frozenset(CONTRACTS) - frozenset(left_out) if left_out else None


def features_of(table: str) -> tuple[str, ...]:
    """Names of the features that are computed from one table."""
    return tuple(feature.name for feature in declared((table,)))


def describe_sources(settings: FeaturesSettings) -> dict[str, str]:
    """The canonical table of each input that is watched, and of what a customer is worth.

    Those of the season move by design and are left out.
    """
    watched = {one.name: one.source for one in FEATURES if one.driver != "season"}
    return {**watched, "value_amount": POPULATION[settings.outcome]}


check_enough = step(check_sufficiency, name="check that there is enough to learn from")
build = step(build_features, name="build features", retries=2)
audit = step(_audit, name="audit features for leaks")
audit_outcomes = step(check_outcomes, name="check the outcomes")
describe_drivers = step(_describe_drivers, name="name the drivers")
join_labels = step(join_outcomes, name="join matured outcomes")
recall = step(recall_newest, name="find tonight's features")
recall_learnt = step(recall_training, name="find the champion's training inputs")


def build_to_learn(lake: Lake, now: PointInTime, left_out: Collection[str]) -> FeatureTable:
    """The features of all past cut-offs with the outcomes known now, where they are enough.

    The tables of the sources `left_out` are not read. Raises DataRejected (65) for too little.
    """
    settings, snapshot = lake.settings.features, lake.snapshot()
    enough = check_enough(lake, now.as_of, now.known_by, snapshot, settings)
    table: FeatureTable = build(
        lake,
        enough.cutoffs,
        now.known_at(enough.cutoffs),
        snapshot,
        settings,
        labels_as_of=now.as_of,
        labels_known_by=now.known_by,
        tables=tables_without(left_out),
    )
    return table
