"""The beginning of a file: whether it is a table, what parts its fields, and what its columns are called."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import FileHeaderMissing, FileNotATable
from .files_text import SINGLE

DELIMITERS = (",", "\t", "|", ";")
SAMPLE = 50  # lines that say which delimiter it is
OTHERS = {  # how texts begin that are no tables -> what they are
    r"<": "HTML or XML",
    r"\{|\[\s*[\[{\"\d]": "JSON",
    r"ISA\*|ISA\|": "an X12 message: it needs a reader of its own",
    r"MSH\|": "an HL7 message: it needs a reader of its own",
    r"%PDF": "a PDF",
    r"(?i)INSERT\s+(INTO\s|\[)|CREATE\s+(TABLE|DATABASE)\s|SET\s+\w+\s+(ON|OFF)\b|USE\s+\[|/\*|--": "SQL statements",
    r"\(\s*(N?'|-?\d|NULL\b)|\([^\n]*\)[,;]?\s*(\n|$)": "rows of an SQL statement",
}
FIX = "Ask for it with one line of column names first."


@dataclass(frozen=True)
class Dialect:
    delimiter: bytes
    names: tuple[str, ...]  # as the header spells them
    line: int  # of the first row, counted from 1
    start: int  # its place in the stream of lines


def dialect(head: bytes, name: str, expected: frozenset[str]) -> Dialect:
    """What the first lines of a file say of the rest. `expected` are columns it should have, in lower case.

    Raises `FileNotATable` or `FileHeaderMissing`. Neither shows what stands there: it may be a row.
    """
    refuse_others(_text(head[:4096]), name)
    before = len(head) - len(head.lstrip(b"\r\n"))
    if before == len(head):
        raise FileHeaderMissing(f"{name} begins with nothing but blank lines.", FIX)
    end = head.index(b"\n", before)
    header = _text(head[before:end]).rstrip("\r")
    delimiter = _delimiter(header, _sample(head[end + 1 :]), expected)
    names = tuple(_names(_cells(header, delimiter)))
    _refuse_data(names, name, expected)
    return Dialect(delimiter.encode(), names, head.count(b"\n", 0, end) + 2, end + 1)


def refuse_others(text: str, name: str) -> None:
    """Raises `FileNotATable` for what is text and no table."""
    for begin, what in OTHERS.items():
        if re.match(begin, text.lstrip()):
            raise FileNotATable(f"{name} looks like {what}.", "Have it delivered as CSV.")
    strange = sum(letter < " " and letter not in "\t\r\n\f\x1a\x1b" for letter in text)
    if strange > len(text) * 0.05:
        raise FileNotATable(f"{name} is not text.", "Have it delivered as CSV, gzipped or not.")


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode(SINGLE, "replace")


def _sample(rows: bytes) -> list[str]:
    return [_text(line) for line in rows[: 1 << 16].split(b"\n")[: SAMPLE + 1][:-1] if line.strip()]


def _delimiter(header: str, rows: Sequence[str], expected: frozenset[str]) -> str:
    """The delimiter that finds most of the expected columns, then rows as wide as the header, then most columns."""

    def worth(delimiter: str) -> tuple[int, float, int]:
        names = _names(_cells(header, delimiter))
        widths = Counter(len(_cells(row, delimiter)) for row in rows)
        as_wide = widths[len(names)] / len(rows) if rows else 0.0
        return len(expected & {name.lower() for name in names}), as_wide if len(names) > 1 else as_wide / 2, len(names)

    return max(DELIMITERS, key=worth)


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:  # a field longer than the module reads
        return [line]


def _names(cells: Sequence[str]) -> list[str]:
    return [cell.strip("\ufeff\u00a0 \t\r\n") for cell in cells]


def _refuse_data(names: Sequence[str], name: str, expected: frozenset[str]) -> None:
    """Raises `FileHeaderMissing` if these are not the names of columns, or not each its own."""
    lower = [column.lower() for column in names]
    if expected and not expected & set(lower):
        found = f"the first line of {name} names none of the {len(expected)} columns that its feed knows."
        raise FileHeaderMissing(found, FIX)
    if not expected and sum(not any(map(str.isalpha, column)) for column in names) * 2 >= len(names):
        raise FileHeaderMissing(f"the first line of {name} looks like a row.", FIX)
    for place, column in enumerate(lower):
        if not column:
            raise FileHeaderMissing(f"column {place + 1} of {name} has no name.", FIX)
        if column in lower[:place]:
            found = f"columns {lower.index(column) + 1} and {place + 1} of {name} have the same name."
            raise FileHeaderMissing(found, "Ask for columns with a name each. Upper and lower case are no difference.")
