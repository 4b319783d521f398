"""A challenger serves its share of a night's customers, and can harm none of them by failing.

It is loaded in a process of its own, with a deadline. What throws, hangs or dies there costs the
customers of that chunk the challenger's score and nothing else: they keep the champion's in the
same run, and they count against the arm. So do scores that are no probability, or all the same.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from tasks.contracts import NO_REASON, REASON_COLUMNS
from tasks.rollout.recording import Rollout
from tasks.rollout.turns import record_turn, stage_turn
from tasks.warehouse import quote

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.experiments import RolloutSettings
    from tasks.handles import Champion, FeatureTable
    from tasks.warehouse import Lake

# An arm is answered in about so many chunks: a chunk is what a crash costs.
_CHUNKS = 50
_LEAST_ROWS, _MOST_ROWS = 10, 20_000


@dataclass(frozen=True, slots=True)
class ArmAnswers:
    """What came of an arm: `scores` by row (probability, reason_1..3), and what failed, if so."""

    scores: Mapping[int, tuple[float, str | None, str | None, str | None]]
    failures: tuple[str, ...]
    seconds: float


@dataclass(slots=True)
class ChallengerArm:
    """The challenger's part in a scoring run (`tasks.handles.ArmScoring`).

    `directory` is None, and `refused` says why, where its files are not those that were let in.
    """

    rollout: Rollout
    challenger: Champion
    directory: Path | None
    refused: str = ""
    failures: tuple[str, ...] = ()
    seconds: float = 0.0
    as_of: Any = None
    parts: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.parts = (
            self.rollout.rollout_id,
            str(self.rollout.stage),
            self.challenger.model_hash,
        )

    def score(self, lake: Lake, features: FeatureTable) -> None:
        """Fill `arm_scores` for the customers whom the challenger serves at this stage."""
        import pyarrow as pa

        self.as_of = features.as_of[-1]
        stage_turn(lake, self.rollout, "scored_customers")
        names = list(self.challenger.feature_names)
        table = f"lake.main.{quote(features.table)}"
        known = {row["column_name"] for row in lake.rows(f"describe {table}")}
        missing = [name for name in names if name not in known]
        listed = ", ".join(f"feature.{quote(name)}::double as {quote(name)}" for name in names)
        if self.directory is None:
            self.failures = (self.refused,)
            return
        if missing:
            self.failures = (f"the features lack {', '.join(missing[:5])}",)
            return
        rows = lake.arrow(
            f"select turn.customer_id as holdfast_customer, {listed}"
            f" from turn inner join {table} as feature"
            " on feature.customer_id = turn.customer_id and feature.as_of = $as_of"
            " where turn.is_served order by turn.customer_id",
            {"as_of": self.as_of},
        )
        settings = lake.settings
        answers = predict_arm(
            self.directory,
            rows.select(names),
            settings.rollout,
            settings.home / "spill",
            settings.scoring.maximum_reasons,
        )
        self.failures, self.seconds = answers.failures, answers.seconds
        customers = rows["holdfast_customer"].to_pylist()
        kept = sorted(answers.scores)
        lake.load_arrow(
            "arm_answer",
            pa.table(
                {
                    "customer_id": pa.array([customers[row] for row in kept], pa.string()),
                    "probability": pa.array([answers.scores[row][0] for row in kept], pa.float64()),
                    **{
                        f"reason_{place}": pa.array(
                            [answers.scores[row][place] for row in kept], pa.string()
                        )
                        for place in (1, 2, 3)
                    },
                }
            ),
        )
        try:
            lake.execute(
                "insert into arm_scores select *, $name, $version, $hash from arm_answer",
                {
                    "name": self.challenger.name,
                    "version": self.challenger.version,
                    "hash": self.challenger.model_hash,
                },
            )
        finally:
            lake.drop_arrow("arm_answer")

    def record(self, lake: Lake, scoring_id: str) -> None:
        """Enrol who counts from tonight, and say how the arm was served; all in one transaction."""
        record_turn(
            lake,
            self.rollout,
            self.as_of,
            answered="arm_scores",
            enrolled_by=scoring_id,
            served_by=scoring_id,
            failures=self.failures,
            seconds=self.seconds,
        )


def predict_arm(
    directory: Path,
    features: pa.Table,
    settings: RolloutSettings,
    spill: Path,
    reasons: int,
) -> ArmAnswers:
    """Ask the challenger for every row of `features`, in its own process and by the deadline.

    Never raises for what the challenger does: whatever it could not answer is not among the
    scores, and the failures say why. They hold no value of any row.
    """
    import pyarrow.feather as feather

    rows = features.num_rows
    if rows == 0:
        return ArmAnswers({}, (), 0.0)
    size = min(max(math.ceil(rows / _CHUNKS), _LEAST_ROWS), _MOST_ROWS)
    chunks = math.ceil(rows / size)
    started = monotonic()
    failures: list[str] = []
    spill.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=spill, prefix="arm-") as temporary:
        place = Path(temporary)
        feather.write_feather(features, place / "features.arrow", compression="uncompressed")
        answers = place / "answers"
        answers.mkdir()
        first, starts = 0, 0
        while first < chunks:
            left = settings.deadline_seconds - (monotonic() - started)
            request = {
                "directory": str(directory),
                "features": str(place / "features.arrow"),
                "answers": str(answers),
                "chunk_rows": size,
                "first_chunk": first,
                "reasons": reasons,
            }
            ending = _run_process(request, left) if left > 0 else "no answer by the deadline"
            starts += 1
            done = [number for number in range(first, chunks) if _is_answered(answers, number)]
            if ending == "":
                break
            failures.append(ending)
            # The chunk on which it died is lost, and those before it are not.
            first = (max(done) if done else first - 1) + 2
            if starts > settings.maximum_restarts or "deadline" in ending:
                break
        scores = _read_answers(answers, size, chunks, failures)
    return ArmAnswers(scores, tuple(dict.fromkeys(failures)), monotonic() - started)


def _run_process(request: Mapping[str, Any], seconds: float) -> str:
    """Run it; an empty text, or how it ended."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-B", str(Path(__file__).with_name("arm_process.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )
    try:
        process.communicate(json.dumps(dict(request)), timeout=seconds)
    except subprocess.TimeoutExpired:
        return f"no answer by the deadline, {seconds:.3g} s"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode < 0:
        return f"its process died of {signal.Signals(-process.returncode).name}"
    return "" if process.returncode == 0 else f"its process ended with {process.returncode}"


def _is_answered(answers: Path, number: int) -> bool:
    return any((answers / f"{number}.{kind}").exists() for kind in ("arrow", "failed"))


def _read_answers(
    answers: Path, size: int, chunks: int, failures: list[str]
) -> dict[int, tuple[float, str | None, str | None, str | None]]:
    """The sound ones by row; adds to `failures` what was not."""
    import pyarrow.feather as feather

    scores: dict[int, tuple[float, str | None, str | None, str | None]] = {}
    unsound = 0
    for number in range(chunks):
        failed = answers / f"{number}.failed"
        if failed.exists():
            failures.append(f"it threw {failed.read_text(encoding='utf-8')[:80]}")
            continue
        path = answers / f"{number}.arrow"
        if not path.exists():
            continue
        table = feather.read_table(path, memory_map=False)
        told = [table[name].to_pylist() for name in REASON_COLUMNS]
        for place, probability in enumerate(table["probability"].to_pylist()):
            if probability is None or not math.isfinite(probability) or not 0 <= probability <= 1:
                unsound += 1
                continue
            first = told[0][place] or NO_REASON
            scores[number * size + place] = (probability, first, told[1][place], told[2][place])
    if unsound:
        failures.append("some of its scores are no probability")
    if len(scores) > _LEAST_ROWS and len({one[0] for one in scores.values()}) == 1:
        failures.append("all its scores are the same")
        return {}
    return scores
