"""A model that this deployment's gate did not let in is not loaded, whatever its checksums say."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.errors import Refused, StoredDataCorrupt
from tasks.registry.champion import find_champion, open_champion, promote
from tasks.registry.signing import KEY_FILE, sign_model, verify_signature
from tasks.settings import Settings
from tasks.warehouse import Lake
from tests.registry.models import make_rule
from tests.registry.promotions import keep_unregistered, say

FILES = {"model.json": "a" * 64}


@pytest.fixture
def apart(settings: Settings, tmp_path: Path) -> Settings:
    """The same settings with a state directory of their own, so with a key of their own."""
    return settings.model_copy(update={"home": tmp_path / "home"})


def test_a_signature_holds_for_one_model_alone(apart: Settings) -> None:
    signature = sign_model(apart, "shop.churn", 3, FILES)
    verify_signature(apart, "shop.churn", 3, FILES, signature)
    for name, version, files in (
        ("other.churn", 3, FILES),
        ("shop.churn", 4, FILES),
        ("shop.churn", 3, {"model.json": "b" * 64}),
        ("shop.churn", 3, {**FILES, "more.json": "a" * 64}),
    ):
        with pytest.raises(Refused) as refused:
            verify_signature(apart, name, version, files, signature)
        assert refused.value.exit_code == 77
    for wrong in ("0" * 128, "no hex", signature[:-2]):
        with pytest.raises(Refused, match="not signed by this deployment"):
            verify_signature(apart, "shop.churn", 3, FILES, wrong)


def test_the_key_is_for_its_owner_alone_and_made_once(apart: Settings) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: sign_model(apart, "shop.churn", 1, FILES), range(16)))
    assert len(found) == 1  # Ed25519 is deterministic: one key, one signature
    key = apart.home / "secrets" / KEY_FILE
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert [path.name for path in key.parent.iterdir()] == [KEY_FILE]


def test_a_lost_or_broken_key_is_told(apart: Settings) -> None:
    signature = sign_model(apart, "shop.churn", 1, FILES)
    key = apart.home / "secrets" / KEY_FILE
    key.write_text("no key", encoding="utf-8")
    with pytest.raises(StoredDataCorrupt, match="cannot be read"):
        verify_signature(apart, "shop.churn", 1, FILES, signature)
    key.unlink()
    with pytest.raises(StoredDataCorrupt, match="is gone"):
        verify_signature(apart, "shop.churn", 1, FILES, signature)
    # A key made anew does not vouch for what the old one has signed.
    sign_model(apart, "shop.churn", 2, FILES)
    with pytest.raises(Refused):
        verify_signature(apart, "shop.churn", 1, FILES, signature)


def rewrite(lake: Lake, **changes: object) -> None:
    evidence = json.loads(
        lake.scalar("select evidence from lake.ledger.decisions where kind = 'promotion'")
    )
    with lake.writer_lock("test"), lake.publish("test", "a promotion written by hand"):
        lake.execute(
            "update lake.ledger.decisions set evidence = $evidence where kind = 'promotion'",
            {"evidence": json.dumps({**evidence, **changes})},
        )


@pytest.mark.faults(56)
def test_a_promotion_written_by_hand_serves_nobody(lake: Lake, tmp_path: Path) -> None:
    kept = keep_unregistered(lake, make_rule(tmp_path / "rule"), 1)
    champion = promote(lake, kept, say("promote"), None)
    assert len(champion.signature) == 128
    open_champion(lake, champion)
    # Whoever can write files and ledger makes both agree on another model, and cannot sign it.
    forged = champion.directory / "added.txt"
    forged.write_text("", encoding="utf-8")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    rewrite(lake, files={**champion.files, forged.name: empty})
    found = find_champion(lake)
    assert found is not None
    with pytest.raises(Refused, match="not signed by this deployment"):
        open_champion(lake, found)


def test_an_unsigned_promotion_serves_only_where_it_is_allowed(lake: Lake, tmp_path: Path) -> None:
    kept = keep_unregistered(lake, make_rule(tmp_path / "rule"), 1)
    promote(lake, kept, say("promote"), None)
    rewrite(lake, signature="")
    found = find_champion(lake)
    assert found is not None
    with pytest.raises(Refused) as refused:
        open_champion(lake, found)
    assert "registry.require_signature" in str(refused.value)
    registry = lake.settings.registry.model_copy(update={"require_signature": False})
    allowed = lake.settings.model_copy(update={"registry": registry})
    verify_signature(allowed, found.name, found.version, found.files, found.signature)
