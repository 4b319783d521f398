"""The steps of this family, as the flows call them."""

from __future__ import annotations

from collections.abc import Collection

from tasks.audits import LeakAudit
from tasks.contracts import CONTRACTS
from tasks.features.audit import audit_features, check_outcomes, describe_audit
from tasks.features.building import build_features, feature_drivers
from tasks.features.declaration import DRIVERS, declared
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


check_enough = step(check_sufficiency, name="check that there is enough to learn from")
build = step(build_features, name="build features", retries=2)
audit = step(_audit, name="audit features for leaks")
audit_outcomes = step(check_outcomes, name="check the outcomes")
describe_drivers = step(_describe_drivers, name="name the drivers")
