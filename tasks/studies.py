"""What a study beside churn's (segments, value, reasons) tells the tracking store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class TriedSetting:
    """A trial of a search with several objectives: its parameters and what each came to."""

    number: int
    state: Literal["complete", "pruned", "failed"]
    params: Mapping[str, float | int | str]
    measures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """What a study other than churn's tells the tracking store: plain values, never a row.

    `subject` names the experiment `<deployment>.<subject>`. `files` is a directory whose content
    (plots, tables, model files for people) becomes the run's artifacts. `trials` become a table
    and the best `child_trials`, by number, child runs.
    """

    subject: str
    run_name: str
    command: str
    tags: Mapping[str, str]
    params: Mapping[str, float | int | str]
    metrics: Mapping[str, float]
    dataset_name: str
    dataset_fingerprint: str
    dataset_rows: int
    files: Path | None = None
    trials: tuple[TriedSetting, ...] = ()
    child_trials: tuple[int, ...] = ()
