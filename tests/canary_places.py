"""Where identifiers are searched for: files and what is packed in them, what is said, and what lies about meanwhile."""

from __future__ import annotations

import gzip
import io
import logging
import os
import sqlite3
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from canaries import SHORT, WORD, Place

SHIPPED = ("src/carelake", "declarations", "docs")
OURS = ("synth",)  # the words that the synthetic hospitals are made of do not make them ordinary


@cache
def shipped_words() -> frozenset[bytes]:
    """Every word that CareLake itself writes, as it writes it: in its code, its declarations and its pages."""
    root = Path(__file__).parents[1]
    paths = (path for name in SHIPPED for path in (root / name).rglob("*") if path.is_file())
    texts = (path.read_bytes() for path in paths if path.suffix != ".pyc" and not {*path.parts} & {*OURS})
    return frozenset(word for text in texts for word in WORD.findall(text) if len(word) >= SHORT)


# --- files -----------------------------------------------------------------------------------------------------------


def files(folder: Path, but: Iterable[str] = ()) -> Iterator[Place]:
    """Every file below a folder: its name, its bytes, and what is packed in it. `but` are folders to leave out."""
    left_out = [folder / name for name in but]
    for path in sorted(folder.rglob("*")):
        if any(path.is_relative_to(one) for one in left_out):
            continue
        name = path.relative_to(folder).as_posix()
        yield Place(f"{name}: name", name.encode())
        if path.is_file():
            yield from file(path, name)


def file(path: Path, name: str) -> Iterator[Place]:
    raw = path.read_bytes()
    yield Place(name, raw, _is_text(raw))
    if raw[:4] == b"PAR1" == raw[-4:]:
        yield from parquet(path, name)
    elif raw[:2] == b"\x1f\x8b":
        yield Place(f"{name}: unpacked", gzip.decompress(raw))
    elif raw[:15] == b"SQLite format 3":
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            tables = [table for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            rows = (row for table in tables for row in db.execute(f'SELECT * FROM "{table}"'))
            yield Place(f"{name}: rows", _text(cell for row in rows for cell in row))


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in raw


def parquet(path: Path, name: str) -> Iterator[Place]:
    """What is packed in a Parquet file: its values, the entries of its dictionaries, used or not, and its metadata."""
    told = pq.read_metadata(path)
    yield Place(f"{name}: statistics", _text(_flat(told.to_dict())))
    yield Place(f"{name}: key-value metadata", _text(_flat(told.metadata or {})))
    schema = pq.read_schema(path)
    texts = [one.name for one in schema if pa.types.is_string(one.type) or pa.types.is_binary(one.type)]
    table = pq.read_table(path, read_dictionary=texts, partitioning=None)
    for column, values in zip(table.column_names, table.columns, strict=True):
        yield Place(f"{name}: {column}", _text(_cells(values)))


def _cells(values: pa.ChunkedArray) -> Iterator[Any]:
    """Each value once; of a dictionary all entries, also those that no row has."""
    if pa.types.is_dictionary(values.type):
        return (value for chunk in values.chunks for value in chunk.dictionary.to_pylist())
    if pa.types.is_nested(values.type):
        return _flat(values.to_pylist())
    return iter(values.unique().to_pylist())


def _flat(held: Any) -> Iterator[Any]:
    """What stands in lists, maps and structs."""
    if isinstance(held, dict):
        for pair in held.items():
            yield from _flat(pair)
    elif isinstance(held, list | tuple):
        for one in held:
            yield from _flat(one)
    else:
        yield held


def _text(cells: Iterable[Any]) -> bytes:
    """One cell a line. A number is marked as one: as a count or a key it may be any ZIP code."""
    return b"\n".join(_written(cell) for cell in cells if cell is not None)


def _written(cell: Any) -> bytes:
    if isinstance(cell, int | float | Decimal):
        return f"#{cell}".encode()
    return cell if isinstance(cell, bytes) else str(cell).encode()


# --- what is said ----------------------------------------------------------------------------------------------------


def said(where: str, *words: object) -> list[Place]:
    """What was printed, or anything else that can be written: a plan, a report, the rows of an answer."""
    return [Place(where, _text(words))]


def raised(where: str, error: BaseException) -> list[Place]:
    """An error as a person sees it, and every error that it was raised from."""
    told = ["".join(traceback.format_exception(error))]
    cause = error.__cause__
    while cause:
        told.append(repr(cause))
        cause = cause.__cause__
    return said(where, *told)


@contextmanager
def logged() -> Iterator[Callable[[], list[Place]]]:
    """Whatever is logged meanwhile, by whatever library, from DEBUG on, and every warning; told at any time."""
    text, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(text), root.level
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(pathname)s %(message)s %(args)s"))
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    with warnings.catch_warnings():
        logging.captureWarnings(True)
        try:
            yield lambda: said("logs at DEBUG", text.getvalue())
        finally:
            logging.captureWarnings(False)
            root.removeHandler(handler)
            root.setLevel(level)


# --- what lies about -------------------------------------------------------------------------------------------------


class Passing:
    """The files of a folder as they come and go while something runs: each is read when it is seen to have changed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seen = folder, dict[tuple[str, int, int], bytes]()
        self.over = threading.Event()
        self.watcher = threading.Thread(target=self._watch)

    def __enter__(self) -> Passing:
        self.watcher.start()
        return self

    def __exit__(self, *told: object) -> None:
        self.over.set()
        self.watcher.join()

    def places(self) -> list[Place]:
        told = {(name, raw) for (name, _, _), raw in self.seen.items()}
        return [Place(f"temporary {name}", name.encode() + b"\n" + raw, _is_text(raw)) for name, raw in sorted(told)]

    def _watch(self) -> None:
        while not self.over.wait(0.02):
            self._look()
        self._look()

    def _look(self) -> None:
        for folder, _, names in os.walk(self.folder):
            for path in (Path(folder, name) for name in names):
                try:
                    state = path.stat()
                    key = (str(path.relative_to(self.folder)), state.st_size, state.st_mtime_ns)
                    if key not in self.seen:
                        self.seen[key] = path.read_bytes()
                except OSError:
                    continue  # gone again


@contextmanager
def temporary(folder: Path) -> Iterator[Passing]:
    """What is made below the system's folder for temporary files meanwhile, which `folder` is for now."""
    before = tempfile.tempdir, os.environ.get("TMPDIR")
    folder.mkdir()
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    try:
        with Passing(folder) as passing:
            yield passing
    finally:
        tempfile.tempdir = before[0]
        if before[1] is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before[1]
