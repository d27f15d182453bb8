"""Questions that the embedded engine answers: a fresh connection, which can open the files of what is shown only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from sqlglot import exp

from ..engine.duck import SESSION
from ..engine.duck_view import parquet, view_of
from ..engine.duck_write import refuse_upgraded
from ..engine.stored import files_of
from .answering import AT_ONCE, not_there, stopped, undamaged

NOT_THERE = (duckdb.BinderException, duckdb.CatalogException)


class Embedded:
    """See `Answering`. What needs more than `memory` spills, encrypted, to a folder of its own."""

    def __init__(self, memory: str) -> None:
        self.memory = memory
        self.files: list[str] = []  # all that a question may open

    def version(self, delta: DeltaTable, name: str) -> str:
        refuse_upgraded(delta, name)  # rows that others have marked as deleted stand in its files
        self.files += files_of(delta)
        return view_of(delta)

    def landed(self, files: Sequence[str]) -> str:
        self.files += files
        return f"SELECT * FROM {parquet(files)}"

    def rows(self, select: str) -> list[dict[str, Any]]:
        with duckdb.connect() as db, undamaged("audit", duckdb.Error):
            rows: list[dict[str, Any]] = db.sql(select).to_arrow_table().to_pylist()
            return rows

    @contextmanager
    def opened(self, views: Mapping[str, str]) -> Iterator[Connection]:
        with TemporaryDirectory(prefix="carelake-") as spill, duckdb.connect() as db:
            columns = {}
            for name, select in views.items():
                layer, table = name.split(".")
                db.execute(f'CREATE SCHEMA IF NOT EXISTS "{layer}"')
                with undamaged(name, duckdb.Error):
                    db.execute(f'CREATE VIEW "{layer}"."{table}" AS {select}')
                    columns[name] = [column for column, *_ in db.execute(f"DESCRIBE {name}").fetchall()]
            _lock(db, self.files, spill, self.memory)
            yield Connection(db, columns)


@dataclass(frozen=True)
class Connection:
    """See `Opened`."""

    db: duckdb.DuckDBPyConnection
    columns: Mapping[str, Sequence[str]]

    def refuse(self, question: str) -> None:
        """Nothing: what is not there `ask` finds out before it answers."""

    def ask(self, select: str) -> pa.RecordBatchReader:
        try:
            answer = self.db.sql(select).to_arrow_reader(AT_ONCE)
        except NOT_THERE:
            raise not_there(self.columns) from None
        except duckdb.Error as error:
            raise stopped(error, is_damaged=isinstance(error, duckdb.IOException)) from None
        return pa.RecordBatchReader.from_batches(answer.schema, _batches(answer))


def _lock(db: duckdb.DuckDBPyConnection, files: list[str], spill: str, memory: str) -> None:
    for name, value in (SESSION | {"temp_directory": spill, "memory_limit": memory}).items():
        db.execute(f"SET {name} = {exp.Literal.string(value).sql('duckdb')}")
    db.execute("SET force_mbedtls_unsafe = 'true'")  # see engine/duck.py
    db.execute("SET temp_file_encryption = true")
    listed = ", ".join(exp.Literal.string(file).sql("duckdb") for file in files)
    db.execute(f"SET allowed_paths = [{listed}]")
    db.execute("SET enable_external_access = false")
    db.execute("SET lock_configuration = true")


def _batches(answer: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """What the engine stumbles over late comes as an OSError, with the value in its words."""
    try:
        yield from answer
    except OSError as error:
        raise stopped(error, is_damaged=str(error).startswith("IO Error")) from None
