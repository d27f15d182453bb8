"""The lines of a file, told apart into good and bad before anything is parsed.

A parser that meets an unclosed quote swallows the rows behind it, and one that counts records does not know on which
line a bad one stands. So every line is looked at first: in bulk, by numpy, where it is a row by itself, and one by one
where it is not. What is left is parsed by pyarrow (see `files_csv`), which reads it as it is read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import FileNotATable
from .files_text import too_long

NEWLINE, RETURN, QUOTE = 10, 13, 34
WRONG_COUNT, BROKEN_QUOTE, WRONG_BYTES = "field_count", "broken_quote", "wrong_bytes"
WIDE = 6  # fields: a line inside a text hardly ever has so many by chance. Of fewer, notes with commas have often
Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Limits:
    line: int = 1_000_000  # bytes of a line, and of a record
    span: int = 100  # lines that a quoted field may run over before it is a broken quote
    rejects: int = 100_000  # bad lines of a file before it is no table at all
    held: int = 64_000_000  # bytes of them


class Bad(NamedTuple):
    """A record that is no row: its first line, its place in the stream of lines, why, and itself."""

    line: int
    start: int
    end: int
    reason: str
    text: bytes


@dataclass
class Scan:
    """What a file holds. `foreign` are good rows but for bytes that are not UTF-8: bad only if the file is UTF-8."""

    good: int = 0
    bad: list[Bad] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)  # places in the stream of lines where a record begins, block by block
    doubtful: list[int] = field(default_factory=list)  # lines of good records with lines inside that look like rows
    foreign: list[Bad] = field(default_factory=list)
    foreign_rows: int = 0
    accented_rows: int = 0  # rows with letters beyond ASCII that are valid UTF-8
    undefined: bool = False  # a byte that no letter of cp1252 has
    held: int = 0  # bytes of all that is kept here

    def weigh(self, row: Bad, limits: Limits) -> None:
        """Counts a row with letters beyond ASCII. Past the limit it is only counted: no UTF-8 has so many bad rows."""
        if _is_utf8(row.text):
            self.accented_rows += 1
            return
        self.foreign_rows += 1
        self.undefined = self.undefined or bool(UNDEFINED.search(row.text))
        if len(self.foreign) <= limits.rejects and self.held <= limits.held:
            self.foreign.append(row)
            self.held += len(row.text)


class Pattern:
    """What a row looks like: `of` fields, quoted whole or not at all."""

    def __init__(self, delimiter: bytes, of: int) -> None:
        mark = re.escape(delimiter)
        # Possessive (`++`, `*+`): it never tries twice, however long and broken the line is.
        cell = rb'(?:"(?:[^"\0]++|"")*+"|(?!")[^' + mark + rb"\r\n\0]*+)"
        self.row = re.compile(cell + rb"(?:" + mark + cell + rb"){%d}" % (of - 1))
        self.cells = re.compile(cell + rb"(?:" + mark + cell + rb")*+")
        self.open = re.compile(rb"(?:" + cell + mark + rb')*+"(?:[^"\0]++|"")*+')
        self.delimiter, self.of = delimiter[0], of


def scan(blocks: Iterator[bytes], delimiter: bytes, of: int, name: str, limits: Limits, line: int, start: int) -> Scan:
    """What the lines behind the header are. `line` and `start` say where the first of them stands.

    Raises `FileLineTooLong`, and `FileNotATable` if hardly anything is a row.
    """
    found, pattern, carry = Scan(), Pattern(delimiter, of), b""
    for block, is_last in _with_last(blocks):
        page = Page(carry + block, pattern)
        if page.longest > limits.line:
            raise too_long(name, limits.line)
        done = page.judge(found, limits, line, start, is_last)
        used = int(page.starts[done]) if done < len(page.starts) else len(page.text)
        carry, line, start = page.text[used:], line + done, start + used
        found.cuts.append(start)
        if len(found.bad) > limits.rejects or found.held > limits.held:
            wrong = f"{name} has more than {len(found.bad) - 1:,} lines that are not of its header's {of} columns."
            raise FileNotATable(wrong, "Ask how it is written: delimiter, quotes, header.")
    return found


def _with_last(blocks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    held = next(blocks, None)
    for block in blocks:
        yield held or b"", False
        held = block
    if held is not None:
        yield held, True


class Page:
    """Some whole lines and, of each, whether it is a row by itself."""

    def __init__(self, text: bytes, pattern: Pattern) -> None:
        self.text, self.pattern = text, pattern
        self.bytes = np.frombuffer(text, np.uint8)
        self.ends: Places = np.flatnonzero(self.bytes == NEWLINE)
        self.starts: Places = np.concatenate((np.zeros(1, np.int64), self.ends[:-1] + 1))
        self.longest = int((self.ends - self.starts).max(initial=0))
        self.blank = self._blank()
        self.rows = self._rows() & ~self.blank

    def judge(self, found: Scan, limits: Limits, line: int, start: int, is_last: bool) -> int:
        """Counts the good, keeps the bad; how many lines are done with, since a record may go on in the next block."""
        good = self.rows.copy()
        done, spans = len(self.starts), []
        behind = 0
        for odd in map(int, np.flatnonzero(~self.rows & ~self.blank)):
            if odd < behind:
                continue  # inside the record before
            end, reason = self._record(odd, limits, is_last)
            if end is None:
                done = odd
                break
            good[odd : end + 1] = False
            if reason:
                found.bad.append(self._bad(odd, odd, reason, line, start))
                found.held += len(found.bad[-1].text)
            else:
                good[odd] = True
                found.doubtful += [line + odd] if self._holds_rows(odd, end) else []
                spans.append((odd, end))
            behind = end + 1
        found.good += int(good[:done].sum())
        self._foreign(found, good, spans, done, limits, line, start)
        return done

    def _record(self, first: int, limits: Limits, is_last: bool) -> tuple[int | None, str]:
        """Last line of the record that begins at `first`, and why it is bad; None if it goes on in the next page."""
        end = first
        while True:
            text = self.text[self.starts[first] : self.ends[end]].rstrip(b"\r")
            if self.pattern.row.fullmatch(text):
                return end, ""
            if not self.pattern.open.fullmatch(text):
                return first, self._reason(text) if end == first else BROKEN_QUOTE
            end = self._next_quote(first, end, limits)
            if end == len(self.starts) and not is_last:
                return None, ""
            if end in (-1, len(self.starts)):
                return first, BROKEN_QUOTE

    def _next_quote(self, first: int, end: int, limits: Limits) -> int:
        """The next line with a quote, which may close the field; -1 if what is between was not meant to be inside."""
        for line in range(end + 1, len(self.starts)):
            too_far = line - first >= limits.span or self.ends[line] - self.starts[first] > limits.line
            is_row = self.rows[line] and self.pattern.of >= WIDE
            if too_far or is_row:
                return -1
            if b'"' in self.text[self.starts[line] : self.ends[line]]:
                return line
        return len(self.starts)

    def _holds_rows(self, first: int, end: int) -> bool:
        return self.pattern.of > 2 and bool(self.rows[first + 1 : end].any())

    def _reason(self, text: bytes) -> str:
        if self.pattern.cells.fullmatch(text):
            return WRONG_COUNT
        return WRONG_BYTES if b"\0" in text or b"\r" in text else BROKEN_QUOTE

    def _bad(self, first: int, last: int, reason: str, line: int, start: int) -> Bad:
        begin, end = int(self.starts[first]), int(self.ends[last])
        return Bad(line + first, start + begin, start + end + 1, reason, self.text[begin:end].rstrip(b"\r"))

    def _blank(self) -> Mask:
        length = self.ends - self.starts
        blank: Mask = (length == 0) | ((length == 1) & (self.bytes[self.starts] == RETURN))
        return blank

    def _rows(self) -> Mask:
        """Which lines are rows by themselves, by counting; what is not is looked at one by one."""
        rows = np.ones(len(self.starts), np.bool_)
        if b"\r" in self.text:
            returns = np.flatnonzero(self.bytes == RETURN)
            alone = returns[~np.isin(self.bytes[returns + 1], (NEWLINE, RETURN))]
            rows[np.searchsorted(self.ends, alone)] = False
        if b"\0" in self.text:
            rows[np.searchsorted(self.ends, np.flatnonzero(self.bytes == 0))] = False
        marks = self.bytes == self.pattern.delimiter
        if b'"' in self.text:
            inside, proper = self._quotes()
            rows &= proper
            marks &= ~inside
        rows &= np.add.reduceat(marks.view(np.uint8), self.starts, dtype=np.int32) == self.pattern.of - 1
        return rows

    def _quotes(self) -> tuple[Mask, Mask]:
        """Which bytes are inside quotes, and which lines have each quote where the first or last of a field stands.

        By parity: where every quote is proper, an odd number of them before a byte puts it inside.
        """
        is_quote = self.bytes == QUOTE
        parity = np.cumsum(is_quote, dtype=np.uint8) & 1
        at_start = (parity ^ is_quote)[self.starts]  # of what came before the line
        odd = parity[self.ends] != at_start
        if at_start.any():
            parity ^= np.repeat(at_start, self.ends - self.starts + 1)
        inside: Mask = parity.view(np.bool_)
        strange = (self.bytes != self.pattern.delimiter) & ~is_quote & (self.bytes != NEWLINE) & (self.bytes != RETURN)
        before, behind = np.roll(strange, 1), np.roll(strange, -1)  # before a page stands what ends it, a newline
        wrong = is_quote & ((inside & before) | (~inside & behind))
        proper = ~odd
        proper[np.searchsorted(self.ends, np.flatnonzero(wrong))] = False
        return inside, proper

    def _foreign(self, found: Scan, good: Mask, spans: list[tuple[int, int]], done: int, limits: Limits, line: int,
                 start: int) -> None:  # fmt: skip
        """Which good rows are not UTF-8. Whether that is wrong is known at the end of the file."""
        if self.text.isascii():
            return
        beyond = np.flatnonzero(np.bitwise_or.reduceat(self.bytes, self.starts)[:done] >= 0x80)
        if _is_utf8(self.text):
            found.accented_rows += len(beyond)
            return
        last = dict(spans)
        owner = {inner: first for first, end in spans for inner in range(first, end + 1)}
        for first in dict.fromkeys(owner.get(int(odd), int(odd)) for odd in beyond):
            if good[first]:
                found.weigh(self._bad(first, last.get(first, first), WRONG_BYTES, line, start), limits)


UNDEFINED = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
