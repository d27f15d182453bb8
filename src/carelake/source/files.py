"""Files of a landing folder, each a delivery: read, and once its load exists, moved to `archive/`.

One bad file does not stop the others: it is left where it is, and its error is raised when the others were delivered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from ..errors import FileHeaderDrifted, SourceFailed
from ..model import Feed
from . import Delivery, Progress
from .files_contract import drift, expected, needed, spelled
from .files_control import beside, compare
from .files_csv import batches, schema
from .files_folder import archived, find, quarantined, refuse_outside
from .files_look import Sheet, look
from .files_names import shown
from .files_scan import Limits
from .files_text import SINGLE

PAUSE = partial(time.sleep, 0.25)
LIMITS = Limits()


@dataclass
class _Visit:
    """One visit to a landing folder, and what it met so far."""

    feed: Feed
    landing: Path
    progress: Progress
    limits: Limits
    seen: set[str]
    waiting: list[str] = field(default_factory=list)
    failed: list[tuple[str, SourceFailed]] = field(default_factory=list)


def read(
    feed: Feed,
    connection: str,
    progress: Progress,
    now: datetime,
    *,
    whole: bool = False,
    limits: Limits = LIMITS,
    pause: Callable[[], None] = PAUSE,
) -> Iterator[Delivery]:
    """A delivery for each new file of `feed` in the folder `connection`, by name. `whole` changes nothing for files.

    What was loaded before is a delivery of no rows, that only brings its warning and is archived like the others.
    Raises, at the end, the first error of a file; it names the others.
    """
    at = _Visit(feed, Path(connection), progress, limits, set(progress.contents))
    found = find(feed, at.landing, now, pause)
    at.waiting += [
        f"{shown(path, at.landing, at.feed)} is still being written: it waits for the next run."
        for path in found.waiting
    ]
    for path in found.ready:
        control = beside(path, feed)
        if delivery := _delivery(at, path, control):
            delivery.committed = partial(_archive, delivery, at, [path, control], now)
            yield delivery
    if at.waiting:
        yield _only_words(at)
    if at.failed:
        raise _first(at.failed)


def _delivery(at: _Visit, path: Path, control: Path | None) -> Delivery | None:
    """The file as a delivery; None if there is nothing to do but to remember why."""
    name = shown(path, at.landing, at.feed)
    if at.feed.control and not control:
        at.waiting.append(f"{name} waits for its control file, '*{at.feed.control['suffix']}'.")
        return None
    try:
        refuse_outside(path, at.landing, name)
        sheet = look(path, name, expected(at.feed, at.progress.schema), at.limits)
        if sheet.content in at.seen:
            return _known(sheet) if at.feed.archive else None  # else it stays there, by declaration
        delivery = _new(at.feed, sheet, control, at.progress)
    except SourceFailed as error:
        at.failed.append((name, _set_aside(error, at, path)))
        return None
    at.seen.add(sheet.content)
    return delivery


def _new(feed: Feed, sheet: Sheet, control: Path | None, progress: Progress) -> Delivery:
    """The file as a delivery. Raises what its contract or its control totals refuse."""
    warnings = drift(feed, sheet.name, sheet.dialect.names, progress.schema)
    sums = compare(sheet, control, feed) if control else {}
    names = spelled(sheet.dialect.names, progress.schema)
    return Delivery(
        name=sheet.name,
        schema=schema(names),
        batches=batches(sheet, names),
        # A key that stands on a bad line, or in a file that broke off behind its header, has not vanished.
        whole=feed.load == "full" and sheet.rows > 0 and not sheet.bad,
        expected=sheet.rows,
        sums=sums,
        content=sheet.content,
        rejects=sheet.rejects,
        warnings=warnings + list(_odd(feed, sheet)),
    )


def _odd(feed: Feed, sheet: Sheet) -> Iterator[str]:
    """What an operator should know of a file that is loaded all the same."""
    kept = " Nothing was taken as deleted." if feed.load == "full" else ""
    if sheet.bad:
        first = min(bad.line for bad in sheet.bad)
        yield f"{sheet.name} has {len(sheet.bad):,} lines that are no rows, the first of them line {first:,}.{kept}"
    elif not sheet.rows:
        yield f"{sheet.name} has a header and no rows.{kept}"
    if sheet.doubtful:
        texts = (
            f"{len(sheet.doubtful):,} quoted texts that hold lines like rows, the first from line {sheet.doubtful[0]:,}"
        )
        yield f"{sheet.name} has {texts}: if a quote was left open there, rows were taken for text."
    if sheet.encoding == SINGLE:
        yield f"{sheet.name} is not UTF-8: it was read as Windows-1252, of which Latin-1 is a part."


def _known(sheet: Sheet) -> Delivery:
    told = f"{sheet.name} was loaded before, maybe under another name, and was not loaded again."
    columns = schema(sheet.dialect.names)
    return Delivery(sheet.name, columns, iter(()), whole=False, content=sheet.content, warnings=[told])


def _only_words(at: _Visit) -> Delivery:
    columns = schema(tuple(at.progress.schema or needed(at.feed)))
    return Delivery(at.feed.at, columns, iter(()), whole=False, warnings=at.waiting)


def _archive(delivery: Delivery, at: _Visit, paths: list[Path | None], now: datetime) -> None:
    """Called when the load exists. A file that cannot be moved is a warning: its content is known from now on."""
    for path in filter(None, paths if at.feed.archive else []):
        try:
            archived(path, at.landing, now, delivery.content or "")
        except OSError:
            found = f"{shown(path, at.landing, at.feed)} could not be moved to archive/; it will not be loaded again."
            delivery.warnings.append(found)


def _set_aside(error: SourceFailed, at: _Visit, path: Path) -> SourceFailed:
    """The error of a file, which goes to `quarantine/` if its feed wants that of a changed header."""
    if isinstance(error, FileHeaderDrifted) and at.feed.contract == "quarantine":
        try:
            quarantined(path, at.landing)
        except OSError:
            return FileHeaderDrifted(error.found, "It could not be moved to quarantine/: let CareLake write there.")
    return error


def _first(failed: list[tuple[str, SourceFailed]]) -> SourceFailed:
    """The first error, with the names of the other files that could not be read."""
    (_, error), *others = failed
    if not others:
        return error
    named = ", ".join(f"{name} ({other.code})" for name, other in others)
    return type(error)(f"{error.found} {len(others) + 1} files could not be read; the others are {named}.", error.fix)
