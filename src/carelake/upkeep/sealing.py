"""Secrets, sealed with a passphrase, so that a backup can hold them: scrypt (RFC 7914), then AES-GCM."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from ..errors import BackupUnfit, SettingUnfit
from ..secret import KEYS, Secrets

PASSPHRASE = "CARELAKE_BACKUP_PASSPHRASE"  # noqa: S105 - the name of one
NAME = "secrets.sealed"
SHORTEST = 16  # letters
SALT, NONCE = 16, 12  # bytes


@dataclass(frozen=True)
class Sealed:
    names: tuple[str, ...]
    content: bytes


def sealed(secrets: Secrets) -> Sealed:
    """The keys and every file of `secrets/`, sealed. Raises `SettingMissing` and `SettingUnfit`."""
    found = sorted(path.name for path in secrets.folder.glob("*") if path.is_file() and path.name != PASSPHRASE)
    return _sealed(secrets, (*KEYS, *found))


def sealed_keys(secrets: Secrets) -> Sealed:
    """The keys alone, sealed. Raises `SettingMissing` without one of the vault, and `SettingUnfit`."""
    secrets.masters()
    return _sealed(secrets, KEYS)


def _sealed(secrets: Secrets, names: Iterable[str]) -> Sealed:
    passphrase = _passphrase(secrets)
    every = {name: secrets.get(name) for name in names}
    told = {name: value for name, value in every.items() if value is not None}
    salt, nonce = os.urandom(SALT), os.urandom(NONCE)
    content = salt + nonce + _cipher(passphrase, salt).encrypt(nonce, json.dumps(told).encode(), None)
    return Sealed(tuple(sorted(told)), content)


def opened(secrets: Secrets, content: bytes) -> dict[str, str]:
    """Name -> secret. Raises `SettingMissing` and `SettingUnfit`, and `BackupUnfit` if it is another passphrase."""
    salt, nonce, rest = content[:SALT], content[SALT : SALT + NONCE], content[SALT + NONCE :]
    try:
        told: dict[str, str] = json.loads(_cipher(_passphrase(secrets), salt).decrypt(nonce, rest, None))
    except (InvalidTag, ValueError):
        fix = f"Set {PASSPHRASE} to the one that they were sealed with; if it is that one, the file is cut or another."
        raise BackupUnfit("the passphrase does not open what is sealed there.", fix) from None
    return told


def _passphrase(secrets: Secrets) -> str:
    told = secrets.need(PASSPHRASE)
    if len(told) < SHORTEST:
        raise SettingUnfit(
            f"{PASSPHRASE} has less than {SHORTEST} letters.", "Choose a longer one, and keep it elsewhere."
        )
    return told


def _cipher(passphrase: str, salt: bytes) -> AESGCM:
    return AESGCM(Scrypt(salt, 32, 2**15, 8, 1).derive(passphrase.encode()))
