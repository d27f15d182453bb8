"""Whether what lies on a disk is encrypted there, as far as the system says so."""

from __future__ import annotations

import os
from pathlib import Path

UNKNOWN = "not known to the system"


def encryption(folder: Path) -> str:
    """What encrypts the disk that a folder lies on: LUKS, if Linux says that it is a LUKS volume; else not known."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    device = folder.stat().st_dev
    told = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/dm/uuid")
    try:
        return "LUKS" if told.read_text(encoding="ascii").startswith("CRYPT-LUKS") else UNKNOWN
    except (OSError, UnicodeError):
        return UNKNOWN
