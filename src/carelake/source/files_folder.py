"""The landing folder: which files are there to be read, and where they go afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..errors import FileOutside, SourceUnreachable
from ..model import Feed
from .files_control import is_control

ARCHIVE, QUARANTINE = "archive", "quarantine"
UNFINISHED = (".part", ".tmp", ".filepart", ".crdownload")  # names that transfers use until a file is complete
FRESH = 5.0  # seconds since the last change, in which a file may still be written


@dataclass(frozen=True)
class Found:
    """What matches a feed's pattern: ready to be read, or still being written."""

    ready: tuple[Path, ...]
    waiting: tuple[Path, ...]


def find(feed: Feed, landing: Path, now: datetime, pause: Callable[[], None]) -> Found:
    """The files of `feed`, by name. A file that was just written is looked at twice, with a `pause` between.

    Raises `SourceUnreachable` if there is no such folder, and `FileOutside` if the pattern leads out of it.
    """
    if _leads_out(feed):
        fix = (
            f"Write `files:` of feed '{feed.name}' in sources/{feed.source}.yml as a pattern below the landing folder."
        )
        raise FileOutside(f"the files of '{feed.source}.{feed.name}' lie outside its landing folder.", fix)
    if not landing.is_dir():
        fix = f"Make the folder, or mend the setting that names it: {feed.connection}."
        raise SourceUnreachable(f"the landing folder of '{feed.source}' is not there.", fix)
    files = [path for path in sorted(landing.glob(feed.at)) if _is_data(path, landing, feed)]
    waiting = {path for path in files if path.name.lower().endswith(UNFINISHED)}
    waiting |= _growing([path for path in files if path not in waiting], now, pause)
    return Found(tuple(path for path in files if path not in waiting), tuple(sorted(waiting)))


def _is_data(path: Path, landing: Path, feed: Feed) -> bool:
    inside = path.relative_to(landing).parts
    hidden = any(part.startswith(".") for part in inside)
    return inside[0] not in (ARCHIVE, QUARANTINE) and not hidden and path.is_file() and not is_control(path, feed)


def unclaimed(feeds: Sequence[Feed], landing: Path) -> list[tuple[Path, Feed]]:
    """The files that none of `feeds` takes, where one of them looks, or at the top; each with a feed of that folder."""
    looking = [feed for feed in feeds if not _leads_out(feed)]
    top = () if (landing / "lake.yml").exists() else ("*", "*/*")  # else it is a project, where other files belong
    places = [(feed, at) for feed in reversed(looking) for at in (*top, str(Path(feed.at).with_name("*")))]
    found = {path: feed for feed, at in places for path in landing.glob(at)}
    taken = {path for feed in looking for path in landing.glob(feed.at)}
    return [
        (path, feed)
        for path, feed in sorted(found.items(), key=lambda one: one[0])
        if path not in taken and all(_is_data(path, landing, one) and not _is_ignored(path, one) for one in looking)
    ]


def _leads_out(feed: Feed) -> bool:
    return Path(feed.at).is_absolute() or ".." in Path(feed.at).parts


def _is_ignored(path: Path, feed: Feed) -> bool:
    return bool(feed.ignore) and path.match(feed.ignore)


def _growing(files: list[Path], now: datetime, pause: Callable[[], None]) -> set[Path]:
    fresh = {path: state for path in files if (state := _state(path))[1] > (now.timestamp() - FRESH) * 1e9}
    if fresh:
        pause()
    return {path for path, state in fresh.items() if _state(path) != state}


def _state(path: Path) -> tuple[int, int]:
    """Its size and when it was changed, in nanoseconds; zeros if it is gone."""
    try:
        seen = path.stat()
    except OSError:
        return 0, 0
    return seen.st_size, seen.st_mtime_ns


def refuse_outside(path: Path, landing: Path, name: str) -> None:
    """Raises `FileOutside` for a link that leads out of the landing folder."""
    if not path.resolve().is_relative_to(landing.resolve()):
        raise FileOutside(f"{name} is a link that leads out of the landing folder.", "Put the file itself there.")


def archived(path: Path, landing: Path, now: datetime, content: str) -> Path:
    """Where it is now: `archive/<yyyy>/<mm>/<dd>/`, under its own name. Never writes over another file."""
    folder = landing / ARCHIVE / f"{now:%Y}" / f"{now:%m}" / f"{now:%d}"
    return _moved(path, folder / path.relative_to(landing), content)


def quarantined(path: Path, landing: Path) -> Path:
    """Where it is now: `quarantine/`, under its own name. Never writes over another file."""
    return _moved(path, landing / QUARANTINE / path.relative_to(landing), "again")


def _moved(path: Path, goal: Path, content: str) -> Path:
    goal.parent.mkdir(parents=True, exist_ok=True)
    for place in _names(goal, content[:8]):
        try:
            place.touch(exist_ok=False)  # ours now, so that the move writes over nobody else's
        except FileExistsError:
            continue
        try:
            os.replace(path, place)
        except OSError:
            place.unlink()
            raise
        return place
    raise AssertionError("names do not run out")


def _names(goal: Path, content: str) -> Iterator[Path]:
    """The name itself, then with its content's hash, then counted."""
    stem, dot, rest = goal.name.partition(".")
    yield goal
    yield goal.with_name(f"{stem}-{content}{dot}{rest}")
    yield from (goal.with_name(f"{stem}-{content}-{count}{dot}{rest}") for count in range(2, 1_000_000))
