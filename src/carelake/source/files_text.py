"""A file as bytes: what it is packed in, its encoding, and its blocks of whole lines. Nothing is written to disk.

A file is read twice, first to look at it and then to land it, both times as a stream: unpacked and decoded copies of
patients' data would have to be hidden and swept.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO

from ..errors import FileEmpty, FileEncodingUnknown, FileLineTooLong, FileNotATable, FileTruncated, SourceUnreachable

BLOCK = 4 << 20
GZIP = b"\x1f\x8b"
FOREIGN = {  # how files begin that are no text -> what they are
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF",
    b"PAR1": "a Parquet file",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"SQLite format": "a SQLite database",
}
MARKS = {  # byte order marks; the longer first, since one begins like another
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
# Bytes of one letter each: lines, delimiters and quotes stand where they stand in UTF-8.
# Latin-1 is read as its superset: the control characters that tell them apart are in no text.
SINGLE = "cp1252"


@dataclass(frozen=True)
class Form:
    """How a file is written, as far as its beginning tells."""

    encoding: str  # "ascii or one byte a letter" is `utf-8` until all of it was seen
    mark: int  # bytes of its byte order mark
    old_mac: bool  # its lines end with a carriage return alone

    @property
    def wide(self) -> bool:
        return self.encoding.startswith(("utf-16", "utf-32"))


def form(path: Path, name: str) -> Form:
    """How `path` is written.

    Raises `FileEmpty`, `FileNotATable` or `FileTruncated`.
    """
    with unpacked(path, name) as file:
        head = file.read(BLOCK)
    for begin, what in FOREIGN.items():
        if head.startswith(begin):
            raise FileNotATable(f"{name} is {what}.", "Have it delivered as CSV, gzipped or not.")
    encoding, mark = _encoding(head)
    text = head[mark:].decode(encoding, "replace") if encoding != "utf-8" else head[mark:].decode("latin-1")
    if not text.strip():
        raise FileEmpty(
            f"{name} has {'no bytes' if not head else 'nothing but blanks'}.", "Ask for it to be sent again."
        )
    return Form(encoding, mark, "\r" in text and "\n" not in text)


def _encoding(head: bytes) -> tuple[str, int]:
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return encoding, len(mark)
    even, odd = head[0:4096:2].count(0), head[1:4096:2].count(0)
    half = max(len(head[:4096]) // 2, 1)
    if odd > half * 0.3 and even < half * 0.05:  # ASCII written in two bytes
        return "utf-16-le", 0
    if even > half * 0.3 and odd < half * 0.05:
        return "utf-16-be", 0
    return "utf-8", 0


@contextmanager
def unpacked(path: Path, name: str) -> Iterator[IO[bytes]]:
    """The file's bytes; unpacked, if it is a gzip by its first bytes, whatever its name.

    Raises `FileTruncated`: Python's gzip checks the length and the checksum, DuckDB's does not.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == GZIP
            file.seek(0)
            if packed:
                with gzip.open(file) as inside:
                    yield inside  # type: ignore[misc]
            else:
                yield file
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise FileTruncated(
            f"{name} is a gzip that breaks off or is damaged.", "Ask for it to be sent again."
        ) from None
    except OSError as error:
        found = f"{name} could not be read: {error.strerror or 'the disk failed'}."
        raise SourceUnreachable(found, "Let the user that CareLake runs as read it.") from None


class Digest:
    """SHA-256 of what passed through."""

    def __init__(self) -> None:
        self._sha = sha256()

    def of(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            self._sha.update(block)
            yield block

    @property
    def hex(self) -> str:
        return self._sha.hexdigest()


def raw(file: IO[bytes]) -> Iterator[bytes]:
    """All bytes of an open file, block by block."""
    while block := file.read(BLOCK):
        yield block


def lines(blocks: Iterator[bytes], how: Form, name: str, limit: int) -> Iterator[bytes]:
    """Blocks of whole lines, each ending with a newline; UTF-8, or one byte a letter.

    Raises `FileLineTooLong` before more than `limit` bytes of a line are held, and `FileEncodingUnknown`.
    """
    carry = b""
    for block in _narrow(blocks, how, name):
        whole = carry + (block.replace(b"\r", b"\n") if how.old_mac else block)
        end = whole.rfind(b"\n") + 1
        if len(whole) - end > limit:
            raise too_long(name, limit)
        carry = whole[end:]
        if end:
            yield whole[:end]
    if carry:
        yield carry + b"\n"


def too_long(name: str, limit: int) -> FileLineTooLong:
    return FileLineTooLong(f"{name} has a line of more than {limit:,} bytes.", "Ask for it to be sent again.")


def _narrow(blocks: Iterator[bytes], how: Form, name: str) -> Iterator[bytes]:
    """The blocks without their mark; two and four bytes a letter become UTF-8."""
    yield from _decoded(_unmarked(blocks, how), how, name) if how.wide else _unmarked(blocks, how)


def _unmarked(blocks: Iterator[bytes], how: Form) -> Iterator[bytes]:
    yield next(blocks, b"")[how.mark :]
    yield from blocks


def _decoded(blocks: Iterator[bytes], how: Form, name: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(how.encoding)()
    try:
        for block in blocks:
            yield decoder.decode(block).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError:
        found = f"{name} begins as {how.encoding.upper()} and does not go on so."
        raise FileEncodingUnknown(found, "Have it delivered as UTF-8.") from None
