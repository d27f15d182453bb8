"""The keys of a project in a file of their own, sealed with a passphrase: a lake without its keys is of no use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..errors import BackupUnfit
from ..secret import Secrets
from . import sealing


def write(project: Path, environment: Mapping[str, str], file: Path) -> list[str]:
    """Seal the keys into a new file, for its owner only; their names.

    Raises `SettingMissing` and `SettingUnfit` for keys and passphrase, `BackupUnfit` if the file cannot be made.
    """
    sealed = sealing.sealed_keys(Secrets(project, environment))
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as made:
            made.write(sealed.content)
            made.flush()
            os.fsync(made.fileno())
    except OSError:
        raise BackupUnfit("the file cannot be made, or is there already.", "Name a new one.") from None
    return list(sealed.names)


def read(project: Path, environment: Mapping[str, str], file: Path) -> list[str]:
    """Bring the keys of a file into `secrets/`; the names of those that were not there.

    Raises `BackupUnfit` if the file is none, or of another passphrase, and `SettingUnfit` if others are there.
    """
    secrets = Secrets(project, environment)
    try:
        content = file.read_bytes()
    except OSError:
        raise BackupUnfit("the file cannot be read.", "Name one that `carelake keys backup` made.") from None
    return secrets.bring(sealing.opened(secrets, content))
