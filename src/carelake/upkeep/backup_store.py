"""A folder of backups: every file once, under the SHA-256 of what is in it, and one manifest a backup.

What is in it is as sensitive as the lake: nothing but the sealed secrets is encrypted.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import BackupUnfit
from ..foreign import in_our_words

FORMAT = 1
AT_ONCE = 1 << 20  # bytes
UNDONE = ".undone"  # how names of what was cut short end
BEGUN = f"begun.jsonl{UNDONE}"  # what a backup that was cut short has copied already


@dataclass(frozen=True)
class Kept:
    """A file as a backup has it."""

    sha256: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Manifest:
    """What one backup holds. Names of files begin with their root: `lake/`, `originals/`, `restricted/`, `project/`."""

    id: str
    made_at: str
    lake: str  # which lake it is of
    release: int | None  # the latest
    files: Mapping[str, Kept]
    secrets: tuple[str, ...] = ()  # names of those that are in it, sealed
    format: int = field(default=FORMAT)


class Store:
    """The folder of backups, made if need be by the first that is added."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def object(self, sha256: str) -> Path:
        """Where a file of that content lies."""
        return self.folder / "objects" / sha256[:2] / sha256

    def has(self, kept: Kept) -> bool:
        """Whether such a file is there, as long as it should be."""
        path = self.object(kept.sha256)
        return path.is_file() and path.stat().st_size == kept.size

    def ids(self) -> list[str]:
        """Every backup that was finished, in order."""
        return sorted(path.stem for path in (self.folder / "backups").glob("*.json"))

    def manifest(self, which: str = "") -> Manifest:
        """One backup, the latest if none is named. Raises `BackupUnfit` if it is not there or not whole."""
        ids = self.ids()
        if not ids or (which and which not in ids):
            found = f"there is no backup '{which}' in that folder." if which else "there is no backup in that folder."
            raise BackupUnfit(
                found, f"There are: {', '.join(ids)}." if ids else "Name the one that backups were made in."
            )
        try:
            told = json.loads((self.folder / "backups" / f"{which or ids[-1]}.json").read_text(encoding="utf-8"))
            says, digest = told["says"], told["sha256"]
        except (OSError, ValueError, KeyError, TypeError):
            says, digest = {}, ""
        if digest != _digest_of(says) or says.get("format") != FORMAT:
            raise BackupUnfit(
                f"the manifest of backup {which or ids[-1]} is not what was written.", "Take another one."
            )
        files = {name: Kept(**kept) for name, kept in says["files"].items()}
        return Manifest(**{**says, "files": files, "secrets": tuple(says["secrets"])})

    def begin(self) -> dict[str, Kept]:
        """Make the folder ready; what is known to be in it already, by name."""
        with in_our_words("backup"):
            for name in ("objects", "backups"):
                (self.folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
            for path in self.folder.glob(f"objects/*{UNDONE}"):
                path.unlink()
            known = dict(self.manifest().files) if self.ids() else {}
            return known | self._begun()

    def _begun(self) -> dict[str, Kept]:
        try:
            lines = [json.loads(line) for line in (self.folder / BEGUN).read_text(encoding="utf-8").splitlines()]
        except (OSError, ValueError):  # none was begun, or it broke off in the middle of a line
            return {}
        return {name: Kept(**kept) for name, kept in lines}

    def add(self, name: str, path: Path, known: Mapping[str, Kept]) -> tuple[Kept, bool]:
        """The file as it is kept now, and whether it had to be copied. One of the same name, length and time as
        before is the same: what a lake writes it never changes.
        """
        stat, before = path.stat(), known.get(name)
        if before and (before.size, before.mtime_ns) == (stat.st_size, stat.st_mtime_ns) and self.has(before):
            return before, False
        with in_our_words("backup"):
            work = self.folder / "objects" / f"{os.getpid()}{UNDONE}"
            sha256 = copied(path, work)
            kept = Kept(sha256, stat.st_size, stat.st_mtime_ns)
            self._name(work, kept)
            with (self.folder / BEGUN).open("a", encoding="utf-8") as begun:
                begun.write(json.dumps([name, asdict(kept)]) + "\n")
        return kept, True

    def add_text(self, content: bytes) -> Kept:
        """Keep what is no file of the lake."""
        kept = Kept(hashlib.sha256(content).hexdigest(), len(content), 0)
        with in_our_words("backup"):
            work = self.folder / "objects" / f"{os.getpid()}{UNDONE}"
            work.write_bytes(content)
            work.chmod(0o600)
            self._name(work, kept)
        return kept

    def _name(self, work: Path, kept: Kept) -> None:
        place = self.object(kept.sha256)
        place.parent.mkdir(exist_ok=True, mode=0o700)
        os.replace(work, place)

    def finish(self, manifest: Manifest) -> None:
        """Let the backup exist."""
        says: dict[str, Any] = asdict(manifest)
        with in_our_words("backup"):
            work = self.folder / "backups" / f"{manifest.id}{UNDONE}"
            work.write_text(json.dumps({"says": says, "sha256": _digest_of(says)}), encoding="utf-8")
            work.chmod(0o600)
            os.replace(work, work.with_suffix(".json"))
            (self.folder / BEGUN).unlink(missing_ok=True)


def _digest_of(says: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(says, sort_keys=True).encode()).hexdigest()


def copied(path: Path, to: Path) -> str:
    """The SHA-256 of a file, of which `to` is a copy now, on the disk and for its owner only."""
    digest = hashlib.sha256()
    with path.open("rb") as read, to.open("wb") as write:
        to.chmod(0o600)
        while block := read.read(AT_ONCE):
            digest.update(block)
            write.write(block)
        write.flush()
        os.fsync(write.fileno())
    return digest.hexdigest()
