"""The same data and seed give the same study and model, whatever happens in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tasks.churn import worker
from tasks.churn.splits import split_data
from tasks.churn.tuning import Tuned, _without_interrupts, tune
from tasks.errors import DataRejected, LockHeld
from tasks.settings import PROJECT
from tests.churn.made_up import churn_settings, training_data


def _tune(directory: Path, **changes: object) -> Tuned:
    data = training_data()
    settings = churn_settings(**changes)
    splits = split_data(data, folds=settings.folds, seed=settings.seed)
    return tune(data, splits, settings, directory=directory)


def _gist(tuned: Tuned) -> object:
    return (
        dict(tuned.params),
        tuned.trees,
        tuned.value,
        [(t.number, t.state, t.value, dict(t.params)) for t in tuned.trials],
        [scores.tobytes() for scores in tuned.scores],
    )


def test_one_worker_and_two_give_the_same(tmp_path: Path) -> None:
    alone = _tune(tmp_path / "one")
    assert _gist(alone) == _gist(_tune(tmp_path / "two", workers=2))
    assert len(alone.trials) == 6
    assert alone.value == max(t.value or 0 for t in alone.trials if t.state == "complete")
    assert not list((tmp_path / "one").glob("*.folds")), "fold files are left behind"


def test_another_seed_gives_another_study(tmp_path: Path) -> None:
    first, second = _tune(tmp_path, trials=3), _tune(tmp_path, trials=3, seed=7)
    assert first.study_name != second.study_name
    assert _gist(first) != _gist(second)


def test_a_finished_study_is_taken_as_it_is(tmp_path: Path) -> None:
    first = _tune(tmp_path)
    again = _tune(tmp_path)
    assert _gist(first) == _gist(again)
    assert again.resumed_trials == 6


_CHILD = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from tests.churn.test_tuning import _tune

    if __name__ == "__main__":
        _tune(Path(sys.argv[1]), workers=int(sys.argv[2]))
    """
)


def _run_child(tmp_path: Path, crash_at: str, workers: int) -> int:
    script = tmp_path / "child.py"
    script.write_text(_CHILD)
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "HOLDFAST_CRASH_AT": crash_at}
    return subprocess.run(
        [sys.executable, str(script), str(tmp_path / "killed"), str(workers)],
        env=environment,
        capture_output=True,
        timeout=120,
        check=False,
    ).returncode


@pytest.mark.faults(49)
@pytest.mark.parametrize(
    ("crash_at", "workers"),
    [("churn.tuning.asked", 1), ("churn.tuning.told_1", 2), ("churn.tuning.told_3", 1)],
)
def test_a_killed_study_is_resumed_to_the_same_end(
    tmp_path: Path, crash_at: str, workers: int
) -> None:
    """Fault 49: the process is killed while trials run; Optuna keeps them RUNNING for ever."""
    assert _run_child(tmp_path, crash_at, workers) == -9
    journal = next((tmp_path / "killed").glob("*.journal"))
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,"worker_id":"half a li')
    resumed = _tune(tmp_path / "killed")
    assert _gist(resumed) == _gist(_tune(tmp_path / "whole"))
    states = [line for line in journal.read_text().splitlines() if "half a li" in line]
    assert not states


def test_a_worker_inherits_that_ctrl_c_waits() -> None:
    """One that is still importing is not yet able to leave it to its parent."""
    ask = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
    with _without_interrupts():
        asked = subprocess.run([sys.executable, "-c", ask], capture_output=True, check=True)
    assert asked.stdout == b"True\n"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.faults
def test_ctrl_c_ends_workers_at_once_and_keeps_what_was_told(tmp_path: Path) -> None:
    script = tmp_path / "child.py"
    script.write_text(_CHILD.replace("int(sys.argv[2])", "2, trials=600, maximum_trees=400"))
    child = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "study")],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for(lambda: any(b"outcome" in p.read_bytes() for p in tmp_path.rglob("*.journal")))
        workers = psutil.Process(child.pid).children(recursive=True)
        assert workers
        os.killpg(child.pid, signal.SIGINT)
        assert child.wait(timeout=30) in (-signal.SIGINT, 1, 130)
        _wait_for(lambda: not any(_is_alive(worker) for worker in workers))
    finally:
        if child.poll() is None:
            child.kill()
    assert not list(tmp_path.rglob("*.folds"))


def _is_alive(process: psutil.Process) -> bool:
    # An orphan that ended stays a zombie where the system's first process reaps slowly.
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


@pytest.mark.faults(50)
def test_no_finite_objective_stops_with_65(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault 50."""
    monkeypatch.setattr(worker, "judge", lambda *_: float("nan"))
    with pytest.raises(DataRejected, match="none of 6 trials") as caught:
        _tune(tmp_path)
    assert caught.value.exit_code == 65
    assert "keeps serving" in str(caught.value)


@pytest.mark.faults(50)
def test_single_nan_trials_are_failed_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = worker.judge
    calls = iter(range(10_000))
    monkeypatch.setattr(worker, "judge", lambda *a: float("nan") if next(calls) < 6 else judge(*a))
    tuned = _tune(tmp_path)
    assert tuned.trials[0].state == "failed"
    assert tuned.trials[0].value is None
    assert any(trial.state == "complete" for trial in tuned.trials)


def test_two_tunings_of_the_same_do_not_mix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = worker.judge

    def judge_and_try(*arguments: object) -> float:
        with pytest.raises(LockHeld, match="Another process"):
            _tune(tmp_path, trials=1)
        return judge(*arguments)

    monkeypatch.setattr(worker, "judge", judge_and_try)
    _tune(tmp_path, trials=1)


def test_hopeless_trials_are_cut_short(tmp_path: Path) -> None:
    tuned = _tune(tmp_path, trials=15, folds=3)
    pruned = [trial for trial in tuned.trials if trial.state == "pruned"]
    assert pruned
    assert all(trial.value is not None for trial in pruned)
