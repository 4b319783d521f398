"""Who let this model in: an Ed25519 signature over its name, version and checksums.

Checksums in the ledger tell a damaged file from a whole one; a signature also tells a model that
this deployment's gate has let in from one that somebody has put into ledger and directory. The key
is a file of its own in `secrets/` of the state directory, readable by its owner alone, so that
whoever can write the database cannot sign.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from tasks.errors import DiskFailure, StoredDataCorrupt, Tampered

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from tasks.settings import Settings

KEY_FILE = "model_signing_key.pem"


def sign_model(settings: Settings, name: str, version: int, files: Mapping[str, str]) -> str:
    """The signature, in hex, of a model that is let in; the key is made at the first.

    Raises DiskFailure (73) if the key cannot be written.
    """
    return _find_key(settings.home, make=True).sign(_manifest(name, version, files)).hex()


def verify_signature(
    settings: Settings, name: str, version: int, files: Mapping[str, str], signature: str
) -> None:
    """Ask whether this deployment let the model in. Call it before any file is parsed.

    Raises Refused (77) for a signature that is wrong or, with `registry.require_signature`, not
    there; StoredDataCorrupt (74) where the key is gone.
    """
    from cryptography.exceptions import InvalidSignature

    if not signature:
        if not settings.registry.require_signature:
            return
        raise Tampered(
            f"Version {version} of {name} is not signed; it is not loaded.",
            found="its promotion is from before models were signed, or was written by hand",
            next_step=(
                "if you know it, set registry.require_signature: false until the next promotion"
            ),
        )
    public = _find_key(settings.home, make=False).public_key()
    try:
        public.verify(bytes.fromhex(signature), _manifest(name, version, files))
    except (InvalidSignature, ValueError):
        raise Tampered(
            f"Version {version} of {name} was not signed by this deployment; it is not loaded.",
            found=f"the signature in the ledger does not fit {KEY_FILE} and the checksums",
            next_step="find out who wrote that promotion; holdfast rollback serves an earlier one",
        ) from None


def _manifest(name: str, version: int, files: Mapping[str, str]) -> bytes:
    content = {"name": name, "version": version, "files": dict(files)}
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _find_key(home: Path, *, make: bool) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    path = home / "secrets" / KEY_FILE
    if not path.exists():
        if not make:
            raise StoredDataCorrupt(
                "The key that models are signed with is gone.",
                found=f"There is no {path}.",
                next_step="restore it from a backup, or train again with it made anew",
            )
        _make_key(path)
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise StoredDataCorrupt(
            "The key that models are signed with cannot be read.", found=f"{path}: {error}"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise StoredDataCorrupt(
            "The key that models are signed with is of another kind.", found=str(path)
        )
    return key


def _make_key(path: Path) -> None:
    """Made aside and linked, so that of two that start at once one key wins."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    content = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    aside = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(aside)
        except FileExistsError:
            return
    except OSError as error:
        raise DiskFailure(
            "The key that models are signed with could not be kept.",
            found=f"{path}: {error.strerror or error}",
        ) from error
    finally:
        aside.unlink(missing_ok=True)
