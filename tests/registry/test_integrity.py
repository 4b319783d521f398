"""A model that is not the one let in is refused before any of its files is parsed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tasks.errors import Refused, StoredDataCorrupt
from tasks.handles import Candidate
from tasks.keeping import combine_hashes, hash_files, keep_copy, verify_model
from tasks.registry import integrity
from tasks.registry.integrity import check_golden, golden_rows, load_predictor, predict_apart
from tests.registry.models import FEATURES, make_model, make_rule


@pytest.fixture(scope="module")
def candidate(tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    return make_model(tmp_path_factory.mktemp("model") / "m")


@pytest.fixture
def kept(candidate: Candidate, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    files = hash_files(candidate.directory)
    return keep_copy(candidate.directory, tmp_path / "models" / "shop.churn" / "1", files), files


def test_untouched_model_opens_and_predicts(kept: tuple[Path, dict[str, str]]) -> None:
    directory, files = kept
    predictor = load_predictor(directory, files)
    table = pa.table({name: [1.0, 90.0] for name in FEATURES})
    assert predictor.predict(table).shape == (2,)
    assert 1 <= len(predictor.reasons(table)[1]) <= 3
    # Opening leaves nothing behind, bytecode neither: the next verification would refuse it.
    verify_model(directory, files)


@pytest.mark.faults(56)
def test_bit_flips_are_refused_before_load(
    kept: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, files = kept

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a file was parsed before it was verified")

    monkeypatch.setattr("importlib.util.spec_from_file_location", never)
    random = np.random.default_rng(7)
    for name in files:
        path = directory / name
        clean = path.read_bytes()
        for _ in range(60):
            place, bit = random.integers(len(clean)), random.integers(8)
            damaged = bytearray(clean)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            with pytest.raises(Refused) as refused:
                load_predictor(directory, files)
            assert refused.value.exit_code == 77
            assert name in str(refused.value)
        path.write_bytes(clean)
    verify_model(directory, files)


@pytest.mark.faults(56)
def test_truncations_are_refused(kept: tuple[Path, dict[str, str]]) -> None:
    directory, files = kept
    path = directory / "model.lgb.txt"
    clean = path.read_bytes()
    for length in np.linspace(0, len(clean) - 1, 40).astype(int):
        path.write_bytes(clean[:length])
        with pytest.raises(Refused, match=r"model\.lgb\.txt"):
            verify_model(directory, files)


@pytest.mark.faults
@pytest.mark.parametrize(
    "change",
    ["missing file", "added file", "added directory", "planted bytecode", "link", "no checksums"],
)
def test_other_changes_are_refused(kept: tuple[Path, dict[str, str]], change: str) -> None:
    directory, files = kept
    code = directory / "model_code.py"
    if change == "missing file":
        code.unlink()
    elif change == "added file":
        (directory / "sitecustomize.py").write_text("import os")
    elif change == "added directory":
        (directory / "more").mkdir()
    elif change == "planted bytecode":
        (directory / "__pycache__").mkdir()
        (directory / "__pycache__" / "model_code.cpython-311.pyc").write_bytes(b"x")
    elif change == "link":
        shutil.copy(code, directory.parent / "elsewhere.py")
        code.unlink()
        code.symlink_to(directory.parent / "elsewhere.py")
    else:
        files = {}
    with pytest.raises(Refused) as refused:
        load_predictor(directory, files)
    assert refused.value.exit_code == 77


def test_lost_directory_is_stored_data_corrupt(tmp_path: Path) -> None:
    with pytest.raises(StoredDataCorrupt) as corrupt:
        verify_model(tmp_path / "gone", {"a": "b"})
    assert corrupt.value.exit_code == 74


def test_combined_hash_depends_on_names_and_contents() -> None:
    whole = combine_hashes({"a": "1", "b": "2"})
    assert whole == combine_hashes({"b": "2", "a": "1"})
    assert whole != combine_hashes({"a": "2", "b": "1"})
    assert whole != combine_hashes({"a": "1"})


def test_golden_predictions_are_stable_and_checked(
    kept: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, files = kept
    first = predict_apart(directory, FEATURES, 60)
    rows = golden_rows(FEATURES)
    table = pa.table(
        {
            name: pa.array([row[place] for row in rows], pa.float64())
            for place, name in enumerate(FEATURES)
        }
    )
    assert first == tuple(load_predictor(directory, files).predict(table))
    assert len(set(first)) > 5
    check_golden(directory, FEATURES, first, 60)
    monkeypatch.setattr(integrity, "predict_apart", lambda *_: first)
    with pytest.raises(Refused, match="other numbers"):
        check_golden(directory, FEATURES, [first[0] + 1e-6, *first[1:]], 60)
    with pytest.raises(Refused, match="other numbers"):
        check_golden(directory, FEATURES, first[:-1], 60)


@pytest.mark.faults(61)
@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import os; os.abort()", "exit -6"),
        ("raise RuntimeError('broken')", "broken"),
        ("import time; time.sleep(60)", "no answer within"),
        (
            "def open_model(d): return M()\nclass M:\n def predict(self, t): return [7.0] * 24",
            "other",
        ),
        ("print('hello')\ndef open_model(d): raise SystemExit(0)", "no list of numbers"),
    ],
)
def test_a_model_that_misbehaves_hurts_no_one(tmp_path: Path, code: str, found: str) -> None:
    (tmp_path / "model_code.py").write_text(code)
    with pytest.raises(Refused, match=found):
        predict_apart(tmp_path, FEATURES, 3)


@pytest.mark.faults(58)
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("leaf_value=", "leaf_value=9 9 9 9 9 9 9\nleaf_value="),
        ("[seed: 1]", "[seed: 1]\n[odd: 1]"),
    ],
)
def test_a_model_text_that_lightgbm_would_not_write_is_not_let_in(
    candidate: Candidate, tmp_path: Path, old: str, new: str
) -> None:
    directory = tmp_path / "odd"
    shutil.copytree(candidate.directory, directory)
    path = directory / "model.lgb.txt"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(Refused):
        predict_apart(directory, FEATURES, 60)


def test_keeping_twice_is_one_copy_and_another_model_gets_its_own(
    kept: tuple[Path, dict[str, str]], candidate: Candidate, tmp_path: Path
) -> None:
    directory, files = kept
    assert keep_copy(candidate.directory, directory, files) == directory
    rule = make_rule(tmp_path / "r")
    other = keep_copy(rule.directory, directory, hash_files(rule.directory))
    assert other != directory
    assert other.name.startswith("1-")
    verify_model(directory, files)
    assert sorted(p.name for p in directory.parent.iterdir()) == sorted({"1", other.name})


@pytest.mark.faults(57)
def test_no_pickle_anywhere(candidate: Candidate) -> None:
    for path in candidate.directory.iterdir():
        assert not path.read_bytes().startswith(b"\x80"), path.name
    assert "pickle" not in Path(integrity.__file__).read_text()
