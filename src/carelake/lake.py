"""A project's lake, opened: where its zones are, who may write, and with what it is run."""

from __future__ import annotations

import fcntl
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import date, datetime
from itertools import permutations
from pathlib import Path

from . import checkpoint, declare, epochs, migrate, reconcile, release, repaired, silver
from .engine import Engine, orphans
from .engine.stored import exists, is_portable
from .errors import (
    EngineFailed,
    LakeBusy,
    LakeDamaged,
    LakeMissing,
    LakeOutdated,
    LakeUnwritable,
    RootUnfit,
)
from .foreign import in_our_words
from .ledger import Ledger
from .model import Declarations, Feed, Place
from .secret import Secrets
from .tell import alert
from .vault import Vault

ZONES = {  # layer -> the root it is in
    "silver": "lake",
    "gold": "lake",
    "audit": "lake",
    "quarantine": "lake",
    "reference": "lake",
    "vault": "originals",
    "restricted": "restricted",
}
HOLDER, LONGEST = re.compile(r"process \d+ on [\w.-]+"), 300  # who holds a lock, as it says; and in how many letters
MISREAD = re.compile(r"[\x00-\x1f|^\\#?]|%[0-9A-Fa-f]{2}")  # in names of folders: delta-rs takes them for other names
RUNS = {
    "run_id": "TEXT", "as_of": "DATE", "step": "TEXT", "name": "TEXT", "outcome": "TEXT", "code": "TEXT",
    "found": "TEXT", "rows": "BIGINT", "seconds": "DOUBLE", "started_at": "TIMESTAMPTZ",
}  # fmt: skip


First = Callable[["Lake"], None]


@dataclass(frozen=True)
class Lake:
    """Everything a command needs of a project."""

    project: Path
    declared: Declarations
    secrets: Secrets
    engine: Engine
    ledger: Ledger

    @property
    def bronze(self) -> Path:
        """The root of bronze."""
        return self.ledger.bronze

    @property
    def cache(self) -> Path:
        """Where answers of services are kept for a day."""
        return self.bronze.with_name("cache")

    def root(self, layer: str) -> Path:
        """The folder in which a layer lies."""
        return root(self.project, self.declared, ZONES[layer])

    def connection(self, feed: Feed) -> str:
        """Where a feed is read: a URL or a folder. Raises `SettingMissing`.

        `reference` is the folder of what is shipped; any other relative folder is one of the project's.
        """
        told = self.secrets.filled(feed.connection)
        if feed.reader != "files":
            return told
        return str(declare.shipped() / "reference") if told == "reference" else str(self.project / told)

    def as_of(self, asked: date | None, now: datetime) -> date:
        """The day that figures are seen from: as asked, else as lake.yml says."""
        told = self.declared.place.as_of
        return asked or (now.date() if told == "today" else date.fromisoformat(told))


def root(project: Path, declared: Declarations, name: str) -> Path:
    """The folder of a root: `lake`, `originals` or `restricted`. Raises `RootUnfit`."""
    folder = (project / declared.place.roots[name]).resolve()
    if MISREAD.search(str(folder)):
        fix = "Choose one without control characters, without | ^ # ? and \\, and without % before two digits."
        raise RootUnfit(f"the folder of '{name}' has a name that cannot be used.", fix)
    return folder


def _refuse_shared(roots: Mapping[str, Path]) -> None:
    """Raises `RootUnfit` if who may read one zone would find another one in it."""
    for (name, folder), (other, inside) in permutations(roots.items(), 2):
        if inside.is_relative_to(folder):
            found = f"the folder of '{other}' is that of '{name}', or lies in it."
            raise RootUnfit(found, "Give each of the roots in lake.yml a folder of its own, beside the others.")


@contextmanager
def opened(
    project: Path,
    environment: Mapping[str, str],
    *,
    writing: bool,
    first: First = lambda lake: None,
    engine: str = "",
) -> Iterator[Lake]:
    """The lake of `project`. Who writes is alone, with the engine of lake.yml; who reads finds it as it is, makes
    nothing, and has the embedded engine, which starts at once, if that can read it. `first` is what a writer does
    before it is asked whether the lake is of these declarations. `engine` is another one.

    Raises `ProjectMissing`, `DeclarationsRefused`, `SettingMissing`, and for a writer `LakeBusy`, `LakeUnwritable`,
    `LakeDamaged` if tables are gone, `LakeOutdated` if the declarations want what cannot be had by adding columns.
    """
    declared, roots, originals = _placed(project)
    if writing:
        for folder in sorted({*roots.values(), originals / "bronze", originals / "staging"}):
            _make(folder)  # the roots before what lies in them, so that others may enter neither
    with _alone(roots["audit"]) if writing else nullcontext():
        if writing:
            orphans.end(originals / "staging")
        lake = _found(project, environment, engine=engine or (declared.place.engine if writing else ""))
        if writing:
            first(lake)
            _create(lake)
        silver.define(lake.engine, declared)
        yield lake


def is_upgraded(lake: Path) -> bool:
    """Whether only Spark can read the lake whose root that is: all of its tables are upgraded together."""
    place = lake / release.TABLE.replace(".", "/")
    return exists(place) and not is_portable(place)


@contextmanager
def still(project: Path, environment: Mapping[str, str], engine: str = "") -> Iterator[Lake]:
    """The lake as it is, while no run may write to it: for those who copy it, or take away what nobody needs.

    Raises what `opened` raises, and `LakeMissing` if there is none yet.
    """
    declared, roots, originals = _placed(project)
    if not (roots["audit"] / "audit").is_dir():
        raise LakeMissing("nothing is stored where lake.yml says that the lake is.", "Run `carelake run` first.")
    with _alone(roots["audit"]):
        orphans.end(originals / "staging")
        with opened(project, environment, writing=False, engine=engine or declared.place.engine) as lake:
            yield lake


@contextmanager
def examined(project: Path, environment: Mapping[str, str], damaged: list[str]) -> Iterator[Lake]:
    """The lake as it is, be it whole or not: tables that cannot be read are named in `damaged`, and left out."""
    yield _found(project, environment, damaged)


def is_written(lake: Lake) -> bool:
    """Whether a run, or another command that writes, is at work on the lake."""
    folder = root(lake.project, lake.declared, ZONES["audit"])
    try:
        with _alone(folder, writing=False) if folder.is_dir() else nullcontext():
            return False
    except LakeBusy:
        return True


def _placed(project: Path) -> tuple[Declarations, dict[str, Path], Path]:
    """What is declared, the root of each layer, and that of originals."""
    declared = declare.read(project)
    _refuse_shared({zone: root(project, declared, zone) for zone in declared.place.roots})
    roots = {layer: root(project, declared, zone) for layer, zone in ZONES.items()}
    return declared, roots, root(project, declared, "originals")


def _found(project: Path, environment: Mapping[str, str], damaged: list[str] | None = None, engine: str = "") -> Lake:
    declared, roots, originals = _placed(project)
    light = declared.place.engine if is_upgraded(roots["audit"]) else Place.engine
    asked = _engine(engine or light)(declared, roots, originals / "staging", damaged)
    return Lake(project, declared, Secrets(project, environment), asked, Ledger(asked, originals / "bronze"))


def _make(folder: Path) -> None:
    try:
        with in_our_words("open"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except EngineFailed:  # a file is in its way, or the system's own folder
        fix = "Let `roots` in lake.yml name places where folders can be made."
        raise LakeUnwritable(f"{folder} cannot be made a folder.", fix) from None


def _create(lake: Lake) -> None:
    """Make the tables that are not there yet, add the columns that a newer version or project has added, and let those
    begin anew of which that was asked.
    """
    epochs.begin(lake.engine, lake.declared)
    if stuck := [change for change in migrate.changes(lake.engine, lake.declared) if not change.adds]:
        found = "; ".join(f"{change.table}.{change.column}: {change.change}" for change in stuck)
        raise LakeOutdated(f"the lake was made by other declarations ({found}).", stuck[0].fix)
    if lost := release.lost(lake.engine):
        found = f"{', '.join(lost)}: gone, or older than the latest release knew them."
        raise LakeDamaged(found, "Bring their folders back from the backup; nothing was changed.")
    lake.ledger.create()
    release.create(lake.engine)
    lake.engine.create("audit.run_steps", RUNS)
    reconcile.create(lake.engine)
    epochs.create(lake.engine)
    repaired.create(lake.engine)
    checkpoint.create(lake.engine)
    lake.engine.create(alert.TABLE, alert.COLUMNS)
    silver.create(lake.engine, lake.declared)
    epochs.begin(lake.engine, lake.declared)  # also those that were just made


def vault_of(lake: Lake) -> Vault:
    """The vault of the lake. Raises `SettingMissing` without its key."""
    return Vault(lake.engine, lake.secrets.masters)


def _engine(name: str) -> Callable[[Declarations, Mapping[str, Path], Path, list[str] | None], Engine]:
    """An engine is imported when it is asked for, and not before."""
    return {"duck": _duck, "spark": _spark}[name]


def _duck(declared: Declarations, roots: Mapping[str, Path], staging: Path, damaged: list[str] | None) -> Engine:
    from .engine.duck import Duck

    return Duck(roots, staging, declared.place.memory, damaged=damaged)


def _spark(declared: Declarations, roots: Mapping[str, Path], staging: Path, damaged: list[str] | None) -> Engine:
    from .engine.spark import Spark

    return Spark(roots, staging, declared.place.spark, declared.place.readers, damaged)


def _sign(lock: int) -> None:
    with suppress(OSError):  # a full disk: it is only a help
        os.ftruncate(lock, 0)
        os.write(lock, f"process {os.getpid()} on {socket.gethostname()}".encode())


@contextmanager
def _alone(folder: Path, *, writing: bool = True) -> Iterator[None]:
    """A lock that the system lets go of when its process ends, however it ends. Who means to write says in it who holds
    it.
    """
    with in_our_words("open"):
        lock = (folder / "lake.lock").open("a+")
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            held = HOLDER.fullmatch(file.read(LONGEST))
            who = held[0] if held else "another run or command"
            raise LakeBusy(f"{who} is writing to this lake.", "Wait for it to end, and try again.") from None
        if writing:
            _sign(file.fileno())
        yield
