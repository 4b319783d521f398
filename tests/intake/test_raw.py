"""The bytes of a delivery: copied whole, unchanged, once, and private."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from tasks.errors import DiskFailure, LockHeld, Refused, StoredDataCorrupt
from tasks.handles import Delivery
from tasks.intake import raw as raw_module
from tasks.intake.deliveries import discover
from tasks.intake.raw import keep_raw, raw_path, verify_raw
from tasks.settings import PROJECT
from tests.intake.shop import GOOD, Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_the_bytes_are_kept_under_their_hash(shop: Shop) -> None:
    content = bytes(range(256)) * 9_000
    raw = shop.keep(content)
    assert raw.content_hash == hashlib.sha256(content).hexdigest()
    assert raw.raw_path == shop.home / "raw" / raw.content_hash[:2] / raw.content_hash
    assert raw.raw_path.read_bytes() == content
    assert raw.size_bytes == len(content)
    assert raw.raw_path.stat().st_mode & 0o777 == 0o600
    assert (shop.home / "raw").stat().st_mode & 0o077 == 0


def test_keeping_again_changes_nothing_and_mends_damage(shop: Shop) -> None:
    raw = shop.keep(GOOD, "a.csv")
    raw.raw_path.write_bytes(b"damaged")
    with pytest.raises(StoredDataCorrupt):
        verify_raw(raw)
    assert shop.keep(GOOD, "a.csv") == raw
    verify_raw(raw)
    assert len([p for p in (shop.home / "raw").rglob("*") if p.is_file()]) == 1


def test_a_lost_copy_is_said(shop: Shop) -> None:
    raw = shop.keep(GOOD)
    raw.raw_path.unlink()
    with pytest.raises(StoredDataCorrupt, match="is gone"):
        verify_raw(raw)


@pytest.mark.parametrize("change", ["append", "replace", "truncate", "touch"])
def test_a_file_that_changes_while_it_is_read_waits(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    path = shop.deliver(GOOD * 3, "a.csv")
    original = raw_module._blocks

    def meddle(file: BinaryIO) -> Iterator[bytes]:
        yield from original(file)
        if change == "append":
            with path.open("ab") as more:
                more.write(b"x")
        elif change == "replace":
            other = path.with_name("other")
            other.write_text(GOOD * 3)
            other.replace(path)
        elif change == "truncate":
            os.truncate(path, 10)
        else:
            os.utime(path, ns=(1, 1))

    monkeypatch.setattr(raw_module, "_blocks", meddle)
    [delivery] = discover(shop.settings)
    with pytest.raises(LockHeld, match="still being written") as error:
        keep_raw(delivery, shop.settings)
    assert error.value.exit_code == 75
    assert [p for p in (shop.home / "raw").rglob("*") if p.is_file()] == []


def test_a_file_that_was_just_changed_may_have_to_settle(tmp_path: Path) -> None:
    shop = Shop(tmp_path, settle_seconds=3600)
    with pytest.raises(LockHeld, match="still being written"):
        shop.keep(GOOD, "a.csv")
    os.utime(shop.folder / "a.csv", (1, 1))
    [delivery] = discover(shop.settings)
    assert keep_raw(delivery, shop.settings).size_bytes == len(GOOD)


def test_a_checksum_beside_the_file_says_that_it_is_complete(tmp_path: Path) -> None:
    shop = Shop(tmp_path, checksum_file=True)
    shop.deliver(GOOD, "a.csv")
    [delivery] = discover(shop.settings)
    beside = shop.folder / "a.csv.sha256"
    with pytest.raises(LockHeld, match="still being written"):
        keep_raw(delivery, shop.settings)
    beside.write_text("0" * 64 + "  a.csv\n")
    with pytest.raises(LockHeld):
        keep_raw(delivery, shop.settings)
    beside.write_text(hashlib.sha256(GOOD.encode()).hexdigest() + "  a.csv\n")
    keep_raw(delivery, shop.settings)


def test_a_file_that_is_gone_waits(shop: Shop) -> None:
    shop.deliver(GOOD, "a.csv")
    [delivery] = discover(shop.settings)
    (shop.folder / "a.csv").unlink()
    with pytest.raises(LockHeld, match="is gone"):
        keep_raw(delivery, shop.settings)


def test_a_file_outside_the_folder_is_refused(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text(GOOD)
    delivery = Delivery("shop/secret", "shop", "orders", str(tmp_path / "secret.csv"))
    with pytest.raises(Refused, match="not in the folder"):
        keep_raw(delivery, shop.settings)
    outside = shop.folder / ".." / "secret.csv"
    with pytest.raises(Refused):
        keep_raw(Delivery("shop/secret", "shop", "orders", str(outside)), shop.settings)


def test_a_link_set_after_discovery_is_refused(shop: Shop, tmp_path: Path) -> None:
    path = shop.deliver(GOOD, "a.csv")
    [delivery] = discover(shop.settings)
    path.rename(tmp_path / "real.csv")
    path.symlink_to(tmp_path / "real.csv")
    with pytest.raises(Refused, match="symbolic link"):
        keep_raw(delivery, shop.settings)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 63, "g" * 64])
def test_only_a_hash_names_a_raw_file(shop: Shop, name: str) -> None:
    with pytest.raises(Refused, match="is no sha256"):
        raw_path(name, shop.settings)


def test_a_full_disk_is_said_before_the_copy(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 100))
    with pytest.raises(DiskFailure, match="too little room") as error:
        shop.keep(GOOD)
    assert error.value.exit_code == 73


_CHILD = """
import sys
from pathlib import Path
from tasks.contracts import CONTRACTS
from tasks.intake.deliveries import discover
from tasks.intake.raw import keep_raw
from tasks.intake.reading import stage
from tasks.settings import load_settings
settings = load_settings(Path(sys.argv[1]), home=Path(sys.argv[2]))
[delivery] = discover(settings)
raw = keep_raw(delivery, settings)
staged = stage(raw, settings.intake.sources["shop"], CONTRACTS["orders"], settings)
print(staged.staged_path)
"""


@pytest.mark.faults
@pytest.mark.parametrize(
    "point",
    [
        "intake.raw.before_write",
        "intake.raw.after_write",
        "intake.raw.after_fsync",
        "intake.raw.after_rename",
        "intake.stage.after_lines",
        "intake.stage.before_write",
        "intake.stage.after_write",
        "intake.stage.after_fsync",
        "intake.stage.after_rename",
        "intake.stage.after_sync",
    ],
)
def test_killed_anywhere_the_next_run_ends_with_the_same_files(tmp_path: Path, point: str) -> None:
    shop = Shop(tmp_path)
    shop.deliver(GOOD, "a.csv")
    command = [sys.executable, "-c", _CHILD, str(tmp_path / "shop.yaml"), str(shop.home)]
    killed = subprocess.run(
        command, env=os.environ | {"HOLDFAST_CRASH_AT": point}, cwd=PROJECT, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    for path in shop.home.rglob("*"):  # whatever has its final name is whole
        if path.is_file() and path.parent.parent.name == "raw":
            assert path.read_bytes() == GOOD.encode()
    # The rest is the same code in this process: a rerun that nobody disturbs.
    staged = shop.stage(GOOD, "a.csv")
    assert staged.received_rows == 3
    assert staged.raw.raw_path.read_bytes() == GOOD.encode()
    assert staged.staged_path.is_file()
