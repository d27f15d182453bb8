"""Questions that Spark answers: a session of its own, which knows what is shown and no other table.

What a question may say is bound by DuckDB first, on tables without rows: a function that it does not know, such as
those with which Spark calls into Java, is refused before Spark sees it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from py4j.protocol import Py4JError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql.pandas.types import to_arrow_schema
from sqlglot.errors import SqlglotError

from .. import sql
from ..engine.revision import latest, quoted, revised_by
from ..engine.spark_read import Relations, streamed, united
from ..engine.spark_session import started
from ..engine.spark_write import stored
from ..errors import LakeDamaged, LakeError, QuestionFailed, QuestionRefused
from .answering import not_there, stopped, undamaged

FAILED = (PySparkException, Py4JError)
GONE = ("FAILED_READ_FILE", "FileNotFoundException", "DELTA_FILE_NOT_FOUND", "PATH_NOT_FOUND")  # in Spark's words
OTHERWISE = "Say it with what both engines know (docs/deployment.md), or leave out `--engine spark`."


def on_spark(settings: Mapping[str, str]) -> OnSpark:
    """Spark, as it answers. Raises `SparkMissing`."""
    return OnSpark(started(Path(_scratch().name), settings))


@cache
def _scratch() -> TemporaryDirectory[str]:
    """Where Spark keeps, encrypted, what it spills; gone when the process ends."""
    return TemporaryDirectory(prefix="carelake-", ignore_cleanup_errors=True)


class OnSpark:
    """See `Answering`."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.relations = Relations(session, _refuse)

    def version(self, delta: DeltaTable, name: str) -> str:
        with undamaged(name, *FAILED):
            rows = stored(self.session, Path(delta.table_uri), delta.version())
        names, place = rows.columns, self.relations.aside(rows)
        if revision := revised_by(names):
            return latest(names, place, revision)
        return f"SELECT {', '.join(map(quoted, names))} FROM {place}"

    def landed(self, files: Sequence[str]) -> str:
        rows = united(self.session, [Path(file) for file in files], "")
        return f"SELECT {', '.join(map(quoted, rows.columns))} FROM {self.relations.aside(rows)}"

    def rows(self, select: str) -> list[dict[str, Any]]:
        with undamaged("audit", *FAILED):
            told: list[dict[str, Any]] = self.session.sql(self.relations.spelled(select)).toArrow().to_pylist()
            return told

    @contextmanager
    def opened(self, views: Mapping[str, str]) -> Iterator[Session]:
        types = {}
        for name, select in views.items():
            self.relations.define(name, select)
            with undamaged(name, *FAILED):
                rows = self.session.sql(self.relations.spelled(f"SELECT * FROM {name}"))
                types[name] = to_arrow_schema(rows.schema, timezone="UTC")
        yield Session(self.session, self.relations, types)


@dataclass(frozen=True)
class Session:
    """See `Opened`."""

    session: Any
    relations: Relations
    types: Mapping[str, pa.Schema]

    @property
    def columns(self) -> Mapping[str, Sequence[str]]:
        return {name: schema.names for name, schema in self.types.items()}

    def refuse(self, question: str) -> None:
        for said, instead in sql.refused_in_question(question):
            raise QuestionFailed(
                f"Spark may answer it otherwise: {said} is not allowed.", f"Use {instead}. {OTHERWISE}"
            )

    def ask(self, select: str) -> pa.RecordBatchReader:
        bound = self._bound(select)
        try:
            answer = streamed(self.session.sql(self._spelled(select)))
        except AnalysisException:
            raise QuestionFailed("Spark does not understand what the embedded engine does.", OTHERWISE) from None
        except FAILED as error:
            raise _stopped(error) from None
        if [*map(_family, bound.types)] != [*map(_family, answer.schema.types)]:
            raise QuestionFailed("Spark would answer it with values of another type.", OTHERWISE)
        named = pa.schema([field.with_name(name) for field, name in zip(answer.schema, bound.names, strict=True)])
        return pa.RecordBatchReader.from_batches(named, _batches(answer, named))

    def _bound(self, select: str) -> pa.Schema:
        """What the embedded engine would answer with. Raises `QuestionFailed` for a column or function that is not
        there.
        """
        with duckdb.connect() as db:
            for number, (name, schema) in enumerate(self.types.items()):
                db.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(name.partition('.')[0])}")
                db.register(f"empty_{number}", schema.empty_table())
                db.execute(f"CREATE TABLE {quoted(name)} AS SELECT * FROM empty_{number}")
                db.unregister(f"empty_{number}")
            db.execute("SET enable_external_access = false")
            db.execute("SET TimeZone = 'UTC'")
            try:
                return db.sql(select).to_arrow_reader().schema
            except (duckdb.BinderException, duckdb.CatalogException):
                raise not_there(self.columns) from None
            except duckdb.Error as error:
                raise stopped(error, is_damaged=False) from None

    def _spelled(self, select: str) -> str:
        """Two parsers have read the question: what the second one finds in it, the first one has."""
        try:
            if not set(map(str.lower, sql.tables_of(select))) <= self.types.keys():
                raise QuestionRefused("the question cannot be told to Spark.", OTHERWISE)
            return self.relations.spelled(select)
        except (SqlglotError, ValueError):
            raise QuestionFailed("the question cannot be told to Spark.", OTHERWISE) from None


def _refuse(name: str) -> Any:
    """No table is known but by a view."""
    raise LakeDamaged(f"{name} is not shown.", OTHERWISE)


def _family(kind: pa.DataType) -> str:
    """Types whose values are written alike: a whole number is one, however large it may be."""
    if pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0):
        return "whole"
    return f"decimal of {kind.scale}" if pa.types.is_decimal(kind) else str(kind)


def _batches(answer: pa.RecordBatchReader, named: pa.Schema) -> Iterator[pa.RecordBatch]:
    try:
        for batch in answer:
            yield pa.RecordBatch.from_arrays(batch.columns, schema=named)
    except FAILED as error:
        raise _stopped(error) from None


def _stopped(error: Exception) -> LakeError:
    return stopped(error, is_damaged=any(sign in str(error) for sign in GONE))
