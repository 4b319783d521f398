"""The steps of this family, as the flows call them."""

from __future__ import annotations

from tasks.features.audit import audit_features
from tasks.features.building import build_features
from tasks.features.sufficiency import check_sufficiency
from tasks.orchestration import step

check_enough = step(check_sufficiency, name="check that there is enough to learn from")
build = step(build_features, name="build features", retries=2)
audit = step(audit_features, name="audit features for leaks")
