"""What a person sees of keys: names and ids, never one of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape

from ..upkeep.rotation import Rotated
from .show import console


def rotated(done: Rotated, dry_run: bool) -> None:
    """What was sealed anew, and what is left for the person to do."""
    out = console()
    if dry_run:
        out.print(f"{done.originals:,} originals would be sealed anew, and key {done.before} be replaced by a new one.")
        out.print("Tokens, surrogate keys and row hashes would stay. Nothing was changed.")
        return
    out.print(f"{done.originals:,} originals were sealed anew. The vault opens with key {done.after}.")
    for one in done.to_do:
        out.print(f"  - {escape(one)}")


def backed_up(names: Sequence[str], file: Path) -> None:
    """What is in the file, and what it takes to open it."""
    console().print(
        f"{', '.join(names)}: sealed in {escape(str(file))}. It opens with CARELAKE_BACKUP_PASSPHRASE only."
    )


def restored(names: Sequence[str]) -> None:
    """What was brought back."""
    told = f"{', '.join(names)}: now in secrets/." if names else "Every key was there already."
    console().print(told)
