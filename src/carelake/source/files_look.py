"""A file looked at whole, before a row of it is landed: its encoding, its dialect, its rows and what is not one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import FileEncodingUnknown, FileNotATable
from .files_scan import Bad, Limits, Scan, scan
from .files_table import Dialect, dialect
from .files_text import SINGLE, Digest, Form, form, lines, raw, unpacked


@dataclass(frozen=True)
class Sheet:
    """A file that was looked at whole: what is known of it before a row is landed."""

    path: Path
    name: str
    form: Form
    dialect: Dialect
    encoding: str  # of its rows
    rows: int
    bad: tuple[Bad, ...]
    doubtful: tuple[int, ...]  # lines on which a quoted text begins that holds what look like rows
    cuts: tuple[int, ...]  # places in the stream of lines where a record begins: the first row, then block by block
    content: str  # SHA-256 of its bytes, unpacked
    limits: Limits

    @property
    def rejects(self) -> list[tuple[int, str, str]]:
        r"""Line number, reason and text of every line that is not a row. A byte of no letter stands there as `\xff`."""
        return [(bad.line, bad.reason, bad.text.decode(self.encoding, "backslashreplace")) for bad in self.bad]


def look(path: Path, name: str, expected: frozenset[str], limits: Limits) -> Sheet:
    """`path`, read once to its end. `expected` are columns it should have, in lower case.

    Raises one of the errors of files (LAKE-211 to 218), or `SourceUnreachable`.
    """
    how, digest = form(path, name), Digest()
    with unpacked(path, name) as file:
        blocks = lines(digest.of(raw(file)), how, name, limits.line)
        first = next(blocks)
        found = dialect(first, name, expected)
        rest = _chained(first[found.start :], blocks)
        told = scan(rest, found.delimiter, len(found.names), name, limits, found.line, found.start)
    encoding, rows, bad = _decided(told, how, name)
    if bad and not rows:
        wrong = f"none of the {len(bad):,} lines of {name} is a row of its header's {len(found.names)} columns"
        raise FileNotATable(f"{wrong} (line {bad[0].line}: {bad[0].reason}).", "Ask how it is written.")
    doubtful, cuts = tuple(told.doubtful), (found.start, *told.cuts)
    return Sheet(path, name, how, found, encoding, rows, bad, doubtful, cuts, digest.hex, limits)


def _chained(first: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from blocks


def _decided(told: Scan, how: Form, name: str) -> tuple[str, int, tuple[Bad, ...]]:
    """The encoding, the number of good rows, and what is bad in that encoding.

    A file is UTF-8 if its mark says so, or if most rows that could tell agree; it has one byte a letter if none does.
    """
    if not told.foreign_rows:
        return "utf-8", told.good, tuple(told.bad)
    few = len(told.foreign) == told.foreign_rows
    if few and (how.mark or told.accented_rows >= told.foreign_rows):
        bad = sorted([*told.bad, *told.foreign])
        return "utf-8", told.good - told.foreign_rows, tuple(bad)
    if how.mark or told.undefined or told.accented_rows > told.foreign_rows * 0.01:
        found = f"{name} is neither UTF-8 ({told.foreign_rows:,} rows are not) nor Latin-1."
        raise FileEncodingUnknown(found, "Have it delivered as UTF-8.")
    return SINGLE, told.good, tuple(told.bad)
