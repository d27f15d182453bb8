"""A user's project: made from a template, compared with what is shipped."""

from __future__ import annotations

import difflib
import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import declare
from .errors import ProjectMissing, choose
from .secret import make_keys

NOTED = "shipped.json"  # name of a replaced file -> SHA-256 of the shipped one when the project's was first seen
GITIGNORE = "secrets/\nlake/\noriginals/\nrestricted/\n"


class ProjectExists(ProjectMissing):
    """The folder holds something that would have to be overwritten, or cannot be made."""

    code = "LAKE-122"
    why = "What is there may be somebody's work."


class TemplateMissing(ProjectMissing):
    code = "LAKE-123"
    why = "A project is made of a template: sources, rules and settings that belong together."


def templates() -> list[str]:
    """The templates `init` can start from."""
    return sorted(path.name for path in (declare.shipped() / "templates").iterdir() if path.is_dir())


def make(folder: Path, template: str) -> list[Path]:
    """Make a project of `template` in `folder`; the files made, relative to it.

    Raises `ProjectExists`, and `TemplateMissing`.
    """
    if template not in templates():
        raise TemplateMissing(f"there is no template '{template}'.", choose(template, templates()))
    origin = declare.shipped() / "templates" / template
    files = [path.relative_to(origin) for path in sorted(origin.rglob("*")) if path.is_file()]
    inner = sorted({name.parent for name in files} - {Path()} | {Path("secrets")})
    taken = [str(name) for name in files if (folder / name).exists()]
    if taken := taken or [str(name) for name in inner if (folder / name).exists() and not (folder / name).is_dir()]:
        raise ProjectExists(f"{folder} has {', '.join(taken)} already.", "Choose another folder, or move these away.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        raise ProjectExists(f"{folder} cannot be made a folder.", "Choose another place, or mend its rights.") from None
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(origin / name, folder / name)
    if not (folder / ".gitignore").exists():
        (folder / ".gitignore").write_text(GITIGNORE)
    make_keys(folder)
    return [*files, Path(".gitignore"), Path("secrets")]


@dataclass(frozen=True)
class Difference:
    """A shipped file that the project replaces."""

    name: str
    moved_on: bool  # the shipped one has changed since the project's was first seen
    lines: tuple[str, ...]  # a unified diff, from the shipped to the project's; empty if they are the same


def differences(project: Path) -> Iterator[Difference]:
    """Every shipped file that the project replaces, and how."""
    noted = _noted(project)
    for name, digest in declare.replaced(project).items():
        ours, theirs = (project / name).read_text().splitlines(), (declare.shipped() / name).read_text().splitlines()
        lines = difflib.unified_diff(theirs, ours, f"shipped/{name}", f"project/{name}", lineterm="")
        yield Difference(name, noted.get(name, digest) != digest, tuple(lines))


def note_replaced(project: Path) -> None:
    """Remember what each replaced file was like when it was first seen, so that `diff` can say when it moves on."""
    now = declare.replaced(project)
    noted = _noted(project)
    kept = {name: noted.get(name, digest) for name, digest in now.items()}
    if kept != noted:
        with suppress(OSError):  # a project may be mounted read-only: then `diff` cannot tell, and a run can do without
            (project / NOTED).write_text(json.dumps(kept, indent=2) + "\n")


def accept(project: Path) -> list[str]:
    """Take every shipped file as seen: the project's stays, and `diff` is silent until the next change. The names of
    those that had moved on.
    """
    now, noted = declare.replaced(project), _noted(project)
    (project / NOTED).write_text(json.dumps(now, indent=2) + "\n")
    return [name for name, digest in now.items() if noted.get(name, digest) != digest]


def _noted(project: Path) -> dict[str, str]:
    path = project / NOTED
    return dict(json.loads(path.read_text())) if path.is_file() else {}
