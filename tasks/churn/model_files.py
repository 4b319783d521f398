"""A candidate as files: everything that scoring and MLflow need, and nothing of a customer."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from tasks.churn import model_code
from tasks.churn.reasons import MAXIMUM_REASONS, MINIMUM_REASON_SHARE, word_drivers
from tasks.crash import crash_point


def write_model(
    directory: Path,
    *,
    feature_names: tuple[str, ...],
    drivers: tuple[str, ...],
    words: Mapping[str, str],
    calibration: Mapping[str, Any],
    booster_text: str | None = None,
    rule: Mapping[str, Any] | None = None,
) -> str:
    """Write a model or a rule to `directory`, all or nothing; returns its hash.

    The hash is the sha256 over `<file name> <sha256>` lines in name order.
    """
    assert (booster_text is None) != (rule is None)
    signature = {
        "format": model_code.FORMAT,
        "kind": "rule" if rule is not None else "model",
        "feature_names": list(feature_names),
        "drivers": list(drivers),
        "words": word_drivers(drivers, words),
        "reason_maximum": MAXIMUM_REASONS,
        "reason_minimum_share": MINIMUM_REASON_SHARE,
    }
    files = {
        "signature.json": _json(signature),
        "calibration.json": _json(calibration),
        "model_code.py": Path(model_code.__file__).read_text(encoding="utf-8"),
    }
    if rule is not None:
        files["rule.json"] = _json(rule)
    else:
        files["model.lgb.txt"] = str(booster_text)
    aside = directory.with_name(f".{directory.name}.{uuid4().hex[:8]}")
    aside.mkdir(parents=True)
    for name, text in files.items():
        with (aside / name).open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    crash_point("churn.model.written")
    shutil.rmtree(directory, ignore_errors=True)
    aside.rename(directory)
    crash_point("churn.model.renamed")
    return hash_model(directory)


def hash_model(directory: Path) -> str:
    """One sha256 for a model's files."""
    lines = "".join(
        f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n"
        for path in sorted(directory.iterdir())
    )
    return hashlib.sha256(lines.encode()).hexdigest()


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"
