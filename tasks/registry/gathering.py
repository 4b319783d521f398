"""The evidence of a gate decision: the champion's scores, the registered artifact, the sheet."""

from __future__ import annotations

import logging
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks.errors import HoldfastError, ServiceDown, Tampered
from tasks.handles import Champion, FinalCustomers, TrainingRecord
from tasks.keeping import hash_files
from tasks.registry.champion import KeptModel, open_champion
from tasks.registry.evidence import Agreement, GateEvidence
from tasks.registry.history import rolled_back_hashes
from tasks.registry.integrity import load_predictor, try_apart
from tasks.registry.sheet import fill_sheet

if TYPE_CHECKING:
    from tasks.audits import LeakAudit
    from tasks.tracking.tracker import Tracker
    from tasks.warehouse import Lake

_LOG = logging.getLogger("holdfast.registry")
# Final customers whose scores by the registered artifact are compared; evenly over all of them.
_COMPARED_CUSTOMERS = 1000


def gather_evidence(
    lake: Lake,
    tracker: Tracker,
    record: TrainingRecord,
    final: FinalCustomers,
    champion: Champion | None,
    *,
    audit: LeakAudit | None,
    kept: KeptModel | None,
    load_failure: str = "",
) -> GateEvidence:
    """Let the champion score the final customers, and put all that was found side by side.

    A champion that cannot score them (damaged, or a feature is gone) leaves its column empty,
    which blocks: the gate says so, and on-call hears of it. `kept` is None where the challenger
    did not load, for the reason in `load_failure`.
    """
    probability: np.ndarray | None = None
    if champion is not None:
        try:
            probability = open_champion(lake, champion, tracker).predict(final.features)
        except (HoldfastError, ValueError) as error:
            _LOG.error("The champion cannot score: %s", _one_line(error))
    agreement = None
    if kept is not None:
        try:
            agreement = compare_registered(lake, tracker, final, kept)
        except ServiceDown:
            raise
        except (HoldfastError, ValueError) as error:
            load_failure = _one_line(error)
            _LOG.error("The registered artifact cannot be compared: %s", load_failure)
    return GateEvidence(
        churned=np.asarray(final.churned, dtype=np.float64),
        contact_gain_amount=final.contact_gain_amount,
        challenger_probability=final.model_probability,
        challenger_return_amount=final.model_return_amount,
        rule_return_amount=final.rule_return_amount,
        champion_return_amount=_weigh(final, probability),
        challenger_customers=final.fingerprint,
        champion_customers=None if probability is None else final.fingerprint,
        rule_name=record.rule.name,
        budget_contacts=final.budget_contacts,
        currency=record.currency,
        rolled_back_hashes=rolled_back_hashes(lake),
        rule_probability=final.rule_probability,
        champion_probability=probability,
        refit_probability=final.refit_probability,
        refit_return_amount=_weigh(final, final.refit_probability),
        slices=final.slices,
        leak_audit=audit,
        trial=kept.trial if kept else None,
        load_failure=load_failure,
        agreement=agreement,
        sheet=fill_sheet(record, audit, lake.settings.registry),
    )


def compare_registered(
    lake: Lake, tracker: Tracker, final: FinalCustomers, kept: KeptModel
) -> Agreement:
    """Fetch the version back from the registry of models and let it score in its own process.

    Raises StoredDataCorrupt (74) where the store has lost it, Refused (77) where it does not load.
    """
    customers = len(final.model_probability)
    batch = load_predictor(kept.directory, kept.files).predict(final.features)
    places = np.unique(np.linspace(0, customers - 1, min(customers, _COMPARED_CUSTOMERS)).round())
    chosen = places.astype(np.int64)
    names = kept.candidate.feature_names
    table = final.features.select(list(names)).take(chosen)
    rows = list(zip(*(table[name].to_pylist() for name in names), strict=True))
    with tempfile.TemporaryDirectory() as temporary:
        fetched = tracker.fetch_model(kept.registered.version, Path(temporary))
        same = hash_files(fetched) == dict(kept.files)
        if not same:
            raise Tampered(
                "The registry of models holds other files than the copy that would serve.",
                found=f"version {kept.registered.version} of {kept.registered.name}",
            )
        timeout = lake.settings.registry.load_timeout_seconds
        asked = try_apart(fetched, names, timeout, rows).asked
    return Agreement(
        same_files=same,
        compared_customers=len(chosen),
        registered_difference=_largest(np.asarray(asked) - batch[chosen]),
        batch_difference=_largest(batch - final.model_probability),
    )


def _weigh(final: FinalCustomers, probability: np.ndarray | None) -> np.ndarray | None:
    """Expected returns; None, which blocks, without probabilities or for other customers."""
    if probability is None:
        return None
    try:
        return final.expected_returns(probability)
    except ValueError as error:
        _LOG.error("The scores are not of the final customers: %s", _one_line(error))
        return None


def _largest(differences: np.ndarray) -> float:
    """Infinite where one is no number, so that it agrees with nothing."""
    if not len(differences) or not np.isfinite(differences).all():
        return math.inf
    return float(np.abs(differences).max())


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
