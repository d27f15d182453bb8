"""The files of a Delta table on disk: whether they are as its log says, and which of them nobody needs."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from . import Layout

SMALL = 100 * 1024 * 1024  # bytes: what delta-rs makes files of, and below which it takes them together
ENTRY = re.compile(r"([0-9]{20})\.json")
CHECKPOINT = re.compile(r"([0-9]{20})\.checkpoint\..*parquet")
MARKING = "deletion_vector_*.bin"
WRITTEN = re.compile(r".*\.parquet(#[0-9]+)?")  # with a number behind it: an upload that was cut short


def log_of(table: Path) -> Path:
    """The folder of a table's log."""
    return table / "_delta_log"


def is_begun(log: Path) -> bool:
    """Whether a log has an entry. One that has none is of a table that somebody was about to make, and was killed."""
    return any(ENTRY.fullmatch(path.name) or CHECKPOINT.fullmatch(path.name) for path in log.iterdir())


def flaws(table: Path, versions: Collection[int]) -> Iterator[str]:
    """What is wrong with a table: with its log, or with a file that its newest version or one of `versions` needs."""
    numbers, made = _numbered(table, ENTRY), _numbered(table, CHECKPOINT)
    begin = min((number for number in numbers if number - 1 in made or number in made or number == 0), default=None)
    if begin is None:
        yield "its log has no beginning"
        return
    if gone := sorted(set(range(begin, max(numbers) + 1)) - set(numbers)):
        many = _counted(len(gone), "entry", "entries")
        yield f"{many} of its log are gone, the first of them that of version {gone[0]}"
    if broken := [number for number, path in sorted(numbers.items()) if not _reads(path)]:
        yield f"the entry of its log for version {broken[0]} is not what was written"
    if gone or broken:
        return
    if lost := sorted(version for version in versions if not begin <= version <= max(numbers)):
        yield f"version {lost[0]}, which a release names, is not among the versions {begin} to {max(numbers)} it has"
    yield from _spoilt(table, sorted({*versions, max(numbers)} - set(lost)))


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _numbered(table: Path, pattern: re.Pattern[str]) -> dict[int, Path]:
    matches = ((pattern.fullmatch(path.name), path) for path in log_of(table).iterdir())
    return {int(match[1]): path for match, path in matches if match}


def _reads(entry: Path) -> bool:
    """Whether every line of an entry is what a log says. A power failure leaves it empty, or cut short."""
    try:
        actions = [json.loads(line) for line in entry.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return False
    return bool(actions) and all(isinstance(action, dict) for action in actions)


def _spoilt(table: Path, versions: Collection[int]) -> Iterator[str]:
    """What is wrong with the files of those versions, each looked at once."""
    needed: dict[str, tuple[int, int | None]] = {}
    for version in versions:
        try:
            needed |= _needed(table, version)
        except (DeltaError, OSError):
            yield f"version {version} cannot be read"
    wrong = [(path, told) for path, of in sorted(needed.items()) if (told := _wrong(table / path, *of))]
    if wrong:
        path, told = wrong[0]
        yield f"{_counted(len(wrong), 'file', 'files')} of {len(needed):,} {told}, the first of them {path}"


def layout(delta: DeltaTable) -> Layout:
    """How the newest version of a table lies there."""
    sizes = pa.table(delta.get_add_actions(flatten=True))["size_bytes"].to_pylist()
    return Layout(len(sizes), sum(size < SMALL for size in sizes), sum(sizes))


def _needed(table: Path, version: int | None) -> dict[str, tuple[int, int | None]]:
    """The files of a version, below the table's folder -> their sizes, and their rows as far as the log tells them."""
    actions = pa.table(DeltaTable(str(table), version=version).get_add_actions(flatten=True)).to_pylist()
    return {unquote(action["path"]): (action["size_bytes"], action.get("num_records")) for action in actions}


def _wrong(path: Path, size: int, rows: int | None) -> str:
    """What is wrong with a file; empty if nothing is."""
    if not path.is_file():
        return "are gone"
    if path.stat().st_size != size:
        return "are not as long as they were written"
    try:
        held = pq.read_metadata(path).num_rows
    except (pa.ArrowInvalid, OSError):
        return "cannot be read"
    return "" if rows in (None, held) else "do not hold the rows that were written"


def strays(table: Path) -> list[Path]:
    """Files that no entry of the table's log has ever named: what a killed writer left."""
    named = {name for entry in _numbered(table, ENTRY).values() for name in _named_in(entry)}
    return [path for path in written(table) if str(path.relative_to(table)) not in named]


def written(table: Path) -> list[Path]:
    """Every file of rows that lies in the table's folder."""
    log = log_of(table)
    found = (path for path in table.rglob("*") if path.is_file() and not path.is_relative_to(log))
    return sorted(path for path in found if WRITTEN.fullmatch(path.name))


def files(table: Path, versions: Collection[int]) -> list[Path]:
    """The entries of a table's log, the files that its newest version and `versions` need, and all that marks rows of
    files as deleted: who has upgraded a table may do that.
    """
    log = [*_numbered(table, ENTRY).values(), *_numbered(table, CHECKPOINT).values()]
    return sorted([*log, *(table / path for path in _used(table, versions)), *table.rglob(MARKING)])


def _used(table: Path, versions: Collection[int]) -> set[str]:
    return {path for version in (None, *versions) for path in _needed(table, version)}


def unneeded(table: Path, versions: Collection[int], since: datetime) -> list[Path]:
    """The files that neither the newest version nor one of `versions` needs: those that left the table before `since`,
    those that told then of a change, and those that were never part of it.
    """
    used = _used(table, versions)
    left = {path: when for entry in sorted(_numbered(table, ENTRY).items()) for path, when in _left_by(entry[1])}
    gone = {path for path, when in left.items() if path not in used and when < since.timestamp() * 1000}
    return [*(path for path in written(table) if str(path.relative_to(table)) in gone), *strays(table)]


def _left_by(entry: Path) -> Iterator[tuple[str, int]]:
    """The files that an entry takes out of the table, or that tell of a change, and when that was, in milliseconds."""
    for line in entry.read_text(encoding="utf-8").splitlines():
        action = json.loads(line)
        if removed := action.get("remove"):
            yield unquote(removed["path"]), removed["deletionTimestamp"]
        if changed := action.get("cdc"):
            yield unquote(changed["path"]), int(entry.stat().st_mtime * 1000)


def named_by(table: Path, version: int) -> set[str]:
    """The files that the entry of one version adds or removes."""
    return set(_named_in(_numbered(table, ENTRY)[version]))


def _named_in(entry: Path) -> Iterator[str]:
    """The files that an entry adds or removes, or that tell of its change."""
    for line in entry.read_text(encoding="utf-8").splitlines():
        action = json.loads(line)
        yield from (unquote(action[verb]["path"]) for verb in ("add", "remove", "cdc") if verb in action)
