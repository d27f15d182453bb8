"""A backup -> a lake in an empty place, as on a clean machine. Its lake.yml comes last: before, no command uses it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import declare
from ..bronze import digest
from ..errors import BackupUnfit
from ..foreign import in_our_words
from ..model import Place
from ..project import GITIGNORE
from ..secret import VAULT_KEY, Secrets
from . import sealing
from .backup_store import Manifest, Store, copied

Watch = Callable[[str, int, int], None]
LAKE_YML = "project/lake.yml"
UNDER_WAY = ".restoring"  # in the project's folder: the id of the backup that is being restored


@dataclass(frozen=True)
class Restored:
    """What was brought back, and what has to be set before the next run."""

    id: str
    files: int
    bytes: int
    release: int | None
    secrets: tuple[str, ...]


def check(folder: Path, which: str = "", watch: Watch = lambda *told: None) -> tuple[Manifest, list[str]]:
    """A backup, and the names of its files that are not as they were copied. Raises `BackupUnfit`."""
    store = Store(folder)
    manifest, wrong = store.manifest(which), []
    for number, (name, kept) in enumerate(manifest.files.items()):
        watch("files", number, len(manifest.files))
        if not store.has(kept) or digest(store.object(kept.sha256)) != kept.sha256:
            wrong.append(name)
    return manifest, wrong


def restore(
    folder: Path,
    project: Path,
    environment: Mapping[str, str],
    which: str = "",
    *,
    lake_yml: Path | None = None,
    secrets: bool = False,
    watch: Watch = lambda *told: None,
) -> Restored:
    """A backup of `folder`, the latest if none is named, as the lake of a new `project`. `lake_yml` takes the place of
    the one in the backup, for roots elsewhere. One that was cut short goes on where it was.

    Raises `BackupUnfit` if a place is not empty or a file is not what was copied, `LakeFull`, and `SettingMissing` for
    secrets without their passphrase.
    """
    store = Store(folder)
    manifest = store.manifest(which)
    if secrets and not manifest.secrets:
        raise BackupUnfit("the backup has no secrets in it.", f"Restore without --secrets, and set {VAULT_KEY}.")
    page = lake_yml or store.object(manifest.files[LAKE_YML].sha256)
    if not page.is_file() or (not lake_yml and digest(page) != manifest.files[LAKE_YML].sha256):
        raise BackupUnfit("there is no lake.yml as it was copied.", "Give one with --lake-yml, or take another backup.")
    places = _places(project, declare.place(page))
    told = _opened(store, manifest, project, environment) if secrets else {}
    with in_our_words("restore"):
        _begin(manifest, project, places)
        for number, (name, target) in enumerate(_targets(manifest, project, places)):
            watch("files", number, len(manifest.files))
            _bring(store, manifest, name, target)
        for name, value in told.items():
            _keep(project / "secrets" / name, value)
        for empty in (places["originals"] / "bronze", places["originals"] / "staging", *places.values()):
            empty.mkdir(parents=True, exist_ok=True, mode=0o700)
        copied(page, project / "lake.yml.undone")
        os.replace(project / "lake.yml.undone", project / "lake.yml")
        (project / UNDER_WAY).unlink()
    size = sum(kept.size for kept in manifest.files.values())
    return Restored(manifest.id, len(manifest.files), size, manifest.release, tuple(sorted(told)))


def _places(project: Path, place: Place) -> dict[str, Path]:
    return {name: (project / folder).resolve() for name, folder in place.roots.items()}


def _opened(store: Store, manifest: Manifest, project: Path, environment: Mapping[str, str]) -> dict[str, str]:
    content = store.object(manifest.files[sealing.NAME].sha256).read_bytes()
    return sealing.opened(Secrets(project, environment), content)


def _begin(manifest: Manifest, project: Path, places: Mapping[str, Path]) -> None:
    """Raises `BackupUnfit` if something else is where the lake shall be: it might be a lake."""
    mark = project / UNDER_WAY
    if mark.is_file() and mark.read_text(encoding="utf-8") == manifest.id:
        return
    for folder in (project, *places.values()):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            fix = "Choose an empty folder; `--lake-yml FILE` gives a lake.yml with other roots."
            raise BackupUnfit(f"{folder} is not empty.", fix)
    for folder in (project, *places.values()):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (project / ".gitignore").exists():
        (project / ".gitignore").write_text(GITIGNORE, encoding="utf-8")
    mark.write_text(manifest.id, encoding="utf-8")


def _targets(manifest: Manifest, project: Path, places: Mapping[str, Path]) -> Iterator[tuple[str, Path]]:
    """Name in the backup -> where it belongs. Raises `BackupUnfit` if that is nowhere of the lake's."""
    every = {**places, "project": project}
    for name in manifest.files:
        if name in (LAKE_YML, sealing.NAME):
            continue
        zone, _, rest = name.partition("/")
        if zone not in every or ".." in Path(rest).parts or Path(rest).is_absolute():
            raise BackupUnfit("a name in the manifest leads out of the lake.", "Take another backup.")
        yield name, every[zone] / rest


def _bring(store: Store, manifest: Manifest, name: str, target: Path) -> None:
    kept = manifest.files[name]
    if target.is_file() and target.stat().st_size == kept.size and digest(target) == kept.sha256:
        return  # of a restoration that was cut short
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    work = target.with_name(f"{target.name}.undone")
    if not store.has(kept) or copied(store.object(kept.sha256), work) != kept.sha256:
        work.unlink(missing_ok=True)
        raise BackupUnfit(
            f"{name} is not in the backup as it was copied.", "Take another backup: `carelake backup list`."
        )
    os.utime(work, ns=(kept.mtime_ns, kept.mtime_ns))
    os.replace(work, target)


def _keep(path: Path, value: str) -> None:
    path.parent.mkdir(exist_ok=True, mode=0o700)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(value + "\n")
