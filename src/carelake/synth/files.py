"""Tables -> the files of a landing folder. A file appears under its name only when it is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name to write under, which becomes `path` at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def csv_file(
    path: Path, columns: Sequence[str], delimiter: str = ",", quoting: str = "none"
) -> Iterator[Callable[[Any], None]]:
    """A file with these columns; what is yielded writes a table's rows into it."""
    with whole(path) as part, part.open("wb") as file:
        file.write((delimiter.join(columns) + "\n").encode())
        yield lambda table: write_rows(file, table, delimiter, quoting)


def write_rows(file: Any, table: Any, delimiter: str = ",", quoting: str = "needed") -> None:
    """Write the rows of a table as CSV, without a header: texts in quotes, NULL nothing between two delimiters."""
    options = csv.WriteOptions(include_header=False, delimiter=delimiter, quoting_style=quoting)
    csv.write_csv(pa.table([_plain(column) for column in table.columns], names=table.column_names), file, options)


def _plain(column: Any) -> Any:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
