"""The tuning's study: one file, written as it goes, taken up again after a kill.

Trials are asked for in rounds, and a round is drawn with a seed of its own from what the rounds
before it found. So nothing depends on which worker was quick, and a study taken up again asks
for the very trials it would have asked for:

    killed while asking   no result of the round is there: the same questions are drawn again
    killed while telling  every question is stored: those without a result are run, as they were

A slot is a trial's place in the order, from 0; a slot that had to be run twice has two trials in
the file, the first marked failed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tasks.churn.worker import Outcome
from tasks.errors import DiskFailure, LockHeld

if TYPE_CHECKING:
    import optuna

_SLOT, _OUTCOME = "slot", "outcome"
# Rounds draw from seeds far apart, so that no two of them share a stream.
_SEED_STRIDE = 1_000_003


@dataclass(frozen=True)
class Told:
    """A finished slot: its parameters and what came of them."""

    params: Mapping[str, float | int]
    outcome: Outcome


class TuningStudy:
    """One Optuna study of the journal file `path`; hold it by `open_study`."""

    def __init__(
        self, study: optuna.Study, space: Mapping[str, Any], seed: int, startup_trials: int
    ) -> None:
        self._study = study
        self._space = dict(space)
        self._seed = seed
        self._startup_trials = startup_trials
        self._live: dict[int, optuna.Trial] = {}

    def told(self) -> dict[int, Told]:
        """Finished slots."""
        finished = {}
        for trial in self._study.get_trials(deepcopy=False):
            if _OUTCOME in trial.user_attrs and trial.state.is_finished():
                outcome = _load(trial.user_attrs[_OUTCOME])
                finished[outcome.slot] = Told(dict(trial.params), outcome)
        return dict(sorted(finished.items()))

    def bury_dead(self) -> int:
        """Mark trials failed whose process is gone; returns how many. The lock says it is."""
        from optuna.trial import TrialState

        dead = [
            trial
            for trial in self._study.get_trials(deepcopy=False)
            if trial.state in (TrialState.RUNNING, TrialState.WAITING)
        ]
        for trial in dead:
            self._study.tell(trial.number, state=TrialState.FAIL)
        return len(dead)

    def ask_round(
        self, number: int, slots: range, first: Mapping[str, float | int]
    ) -> dict[int, dict[str, float | int]]:
        """Parameters of the round's slots that have no result yet.

        Slot 0 is not drawn: it tries `first`, settings known to be sound.
        """
        import optuna

        told = self.told()
        asked = self._asked(slots)
        if first and 0 in slots:
            asked[0] = dict(first)
        if set(asked) == set(slots):
            return {slot: asked[slot] for slot in slots if slot not in told}
        self._study.sampler = optuna.samplers.TPESampler(
            seed=(self._seed + number * _SEED_STRIDE) % 2**32,
            n_startup_trials=self._startup_trials,
        )
        questions: dict[int, dict[str, float | int]] = {}
        for slot in slots:
            if slot == 0 and first:
                questions[slot] = dict(first)
                continue
            trial = self._study.ask(fixed_distributions=self._space)
            trial.set_user_attr(_SLOT, slot)
            self._live[slot] = trial
            questions[slot] = dict(trial.params)
        return questions

    def tell(self, params: Mapping[str, float | int], outcome: Outcome) -> None:
        """Store a slot's outcome. Tell the slots of a round in their order."""
        import math

        import optuna
        from optuna.trial import TrialState

        text = json.dumps(outcome.__dict__)
        finite = math.isfinite(outcome.value)
        state = (
            TrialState.FAIL
            if not finite
            else TrialState.PRUNED
            if outcome.pruned
            else TrialState.COMPLETE
        )
        means = [mean for mean in outcome.means if math.isfinite(mean)]
        trial = self._live.pop(outcome.slot, None)
        if trial is None:
            # Asked for by a process that is gone, or never drawn: stored whole, in one write.
            self._study.add_trial(
                optuna.trial.create_trial(
                    state=state,
                    value=outcome.value if state is TrialState.COMPLETE else None,
                    params=dict(params),
                    distributions=self._space,
                    user_attrs={_SLOT: outcome.slot, _OUTCOME: text},
                    intermediate_values=dict(enumerate(means)),
                )
            )
            return
        for step, mean in enumerate(means):
            trial.report(mean, step)
        trial.set_user_attr(_OUTCOME, text)
        self._study.tell(
            trial, outcome.value if state is TrialState.COMPLETE else None, state=state
        )

    def _asked(self, slots: range) -> dict[int, dict[str, float | int]]:
        asked: dict[int, dict[str, float | int]] = {}
        for trial in self._study.get_trials(deepcopy=False):
            slot = trial.user_attrs.get(_SLOT)
            if slot in slots and len(trial.params) == len(self._space):
                asked[slot] = dict(trial.params)
        return asked if self._any_told(slots) or set(asked) == set(slots) else {}

    def _any_told(self, slots: range) -> bool:
        return any(slot in slots for slot in self.told())


@contextlib.contextmanager
def open_study(
    path: Path, name: str, space: Mapping[str, Any], *, seed: int, startup_trials: int
) -> Iterator[TuningStudy]:
    """Open or begin the study in the journal at `path`, for this process alone.

    Raises LockHeld (75) where another process tunes the very same thing, DiskFailure (73) where
    the file cannot be written.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_suffix(".lock").open("w")
    except OSError as error:
        raise DiskFailure(f"Cannot write the tuning study {path}.", found=str(error)) from None
    with lock:
        _take(lock, path)
        _mend(path)
        storage = JournalStorage(JournalFileBackend(str(path), lock_obj=_Held()))
        study = optuna.create_study(
            storage=storage, study_name=name, direction="maximize", load_if_exists=True
        )
        yield TuningStudy(study, space, seed, startup_trials)


class _Held:
    """The journal's lock. The study's own is held already, and dies with the process.

    Optuna's would be left behind by a kill, and the next process would wait 30 seconds for it.
    """

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return None


def _take(lock: IO[str], path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LockHeld(
            f"Another process is tuning on the same data ({path.name}).",
            next_step="wait for it to end",
        ) from None


def _mend(path: Path) -> None:
    """Cut off a last line that a kill left half-written; Optuna would refuse the whole file."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)


def _load(text: str) -> Outcome:
    stored = json.loads(text)
    return Outcome(**{**stored, "means": tuple(stored["means"])})
