"""A lake, copied to where it can be had again: bronze, tables, vault, declarations; sealed secrets if asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from .. import purges, release
from ..errors import BackupUnfit, EngineFailed, LakeDamaged
from ..lake import ZONES, Lake, root, still
from ..ledger import TABLE as LEDGER
from ..ledger import Landed
from ..secret import LOG_KEY, PLACE, VAULT_KEY
from . import needs, sealing
from .backup_store import Kept, Manifest, Store

Watch = Callable[[str, int, int], None]
DECLARED = ("sources", "silver", "gold", "reference", "serve")  # folders of a project
PAGES = re.compile(r".*\.(yml|sql|md|csv|json)")
WHOLE = "Run `carelake verify`, which says what is wrong and what to do; a backup of it would be no better."


@dataclass(frozen=True)
class Made:
    """A backup, and what it cost."""

    id: str
    files: int
    bytes: int
    copied: int  # of the files; the others were there already
    secrets: tuple[str, ...]
    missing: tuple[str, ...]  # secrets that a restored lake would need, and that are not in it


def make(
    project: Path,
    environment: Mapping[str, str],
    folder: Path,
    now: datetime,
    *,
    secrets: bool = False,
    watch: Watch = lambda *told: None,
) -> Made:
    """The lake as it is now, added to the backups in `folder`. No run can write meanwhile; readers read on.

    Raises `LakeBusy`, `LakeMissing`, `LakeDamaged`, `LakeFull`, `BackupUnfit`; `SettingMissing` without a passphrase.
    """
    with still(project, environment) as lake:
        _refuse_inside(lake, folder)
        sealed = sealing.sealed(lake.secrets) if secrets else None  # first: without a passphrase nothing is copied
        store = Store(folder)
        known = store.begin()
        lake_id = lake.engine.state(LEDGER).partition("/")[2]
        if store.ids() and store.manifest().lake != lake_id:
            raise BackupUnfit("the folder has backups of another lake.", "Choose a folder for each lake.")
        files, copied = _copied(lake, store, known, dict(_files(lake, now)), watch)
        if sealed:
            files[sealing.NAME] = store.add_text(sealed.content)
        made_at, names = now.astimezone(UTC), sealed.names if sealed else ()
        number = f"{made_at:%Y%m%dT%H%M%SZ}"
        manifest = Manifest(number, made_at.isoformat(), lake_id, _latest(lake), files, names)
        store.finish(manifest)
        size = sum(kept.size for kept in files.values())
        return Made(manifest.id, len(files), size, copied, names, tuple(sorted(_wanted(lake) - set(names))))


def _latest(lake: Lake) -> int | None:
    latest = release.latest(lake.engine) if lake.engine.version(release.TABLE) is not None else None
    return latest.id if latest else None


def _refuse_inside(lake: Lake, folder: Path) -> None:
    for name in lake.declared.place.roots:
        if folder.resolve().is_relative_to(root(lake.project, lake.declared, name)):
            raise BackupUnfit(
                f"the folder lies in the root '{name}' of the lake itself.", "Choose one on another disk."
            )


def _wanted(lake: Lake) -> set[str]:
    """Names of the secrets that the declarations speak of."""
    spoken = " ".join(feed.connection for feed in lake.declared.feeds if not feed.optional)
    keys = {VAULT_KEY, *([LOG_KEY] if lake.secrets.get(LOG_KEY) else [])}
    return {*keys, *PLACE.findall(spoken)}


def _copied(
    lake: Lake, store: Store, known: Mapping[str, Kept], files: Mapping[str, Path], watch: Watch
) -> tuple[dict[str, Kept], int]:
    """Every file as it is kept now, and how many had to be copied. Raises `LakeDamaged` if one is not what it was."""
    landed = {
        f"originals/bronze/{load.folder}/{name}": digest
        for load in lake.ledger.landed()
        for name, digest in load.parts.items()
    }
    kept, copied = dict[str, Kept](), 0
    for number, (name, path) in enumerate(files.items()):
        watch("files", number, len(files))
        if not path.is_file():
            raise LakeDamaged(f"{name} is gone.", WHOLE)
        kept[name], is_new = store.add(name, path, known)
        copied += is_new
        if kept[name].sha256 != landed.get(name, kept[name].sha256):
            raise LakeDamaged(f"{name} is not what was landed.", WHOLE)
    return kept, copied


def _files(lake: Lake, now: datetime) -> Iterator[tuple[str, Path]]:
    """Everything that a lake consists of: name in the backup, and where it is."""
    roots = {name: root(lake.project, lake.declared, name) for name in lake.declared.place.roots}
    for load in lake.ledger.landed():
        yield from ((f"originals/bronze/{load.folder}/{path.name}", path) for path in _of_load(lake, load))
        gone = [name for name in load.parts if not (lake.bronze / load.folder / name).is_file()]
        yield from ((f"originals/bronze/{load.folder}/{name}", lake.bronze / load.folder / name) for name in gone)
    versions = needs.versions(needs.kept(lake.engine, now, lake.declared.place.keep))
    for table in lake.engine.tables():
        zone = ZONES[table.partition(".")[0]]
        for path in _of_table(lake, table, versions.get(table, set())):
            yield f"{zone}/{path.relative_to(roots[zone])}", path
    for path in _pages(lake.project):
        yield f"project/{path.relative_to(lake.project)}", path


def _of_load(lake: Lake, load: Landed) -> list[Path]:
    """The files of a load, without what a purge that was killed left beside them."""
    folder = lake.bronze / load.folder
    gone = {path for path in folder.glob(purges.PARTS) if path.name not in load.parts}
    return sorted(path for path in folder.glob("*") if path.is_file() and path not in gone)


def _of_table(lake: Lake, table: str, versions: set[int]) -> list[Path]:
    try:
        return lake.engine.files(table, versions)
    except EngineFailed:
        raise LakeDamaged(f"a version of {table} that a release needs cannot be read.", WHOLE) from None


def _pages(project: Path) -> list[Path]:
    """The declarations. What else may lie in the folder of a project is not CareLake's to copy."""
    found = [*project.glob("*"), *(path for name in DECLARED for path in (project / name).rglob("*"))]
    return sorted(path for path in found if path.is_file() and PAGES.fullmatch(path.name))
