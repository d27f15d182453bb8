"""The door: the one function through which people and programs read.

A question runs on a fresh connection whose catalogue holds only the tables it names, at the versions of the latest
release. The connection can open those tables' files and nothing else, and its settings are locked. On the command line
the door trusts its operating system user; limits by role hold in the server.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from sqlglot import exp
from sqlglot.errors import SqlglotError

from .. import declare, plan, timeline
from ..engine.duck import SESSION, exists, files_of, view_of
from ..errors import LakeDamaged, QuestionFailed, QuestionRefused, choose
from ..lake import ZONES, root
from ..model import Declarations, Table

MEMORY = "2GB"  # of one question; what needs more spills, encrypted, to a folder of its own
LAYERS = ("bronze", "silver", "gold", "audit", "quarantine", "reference")
SHOWN_AS_STORED = ("gold", "quarantine", "reference")  # of silver, only the views: row hashes are never shown
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # it would repeat the question, which may hold a name


@contextmanager
def ask(project: Path, question: str) -> Iterator[pa.RecordBatchReader]:
    """The answer to `question`, one SELECT, as batches.

    Raises `QuestionRefused` for what is not one SELECT over released tables, `QuestionFailed` if the engine stops.
    """
    declared = declare.read(project)
    named = _tables(question)
    shown = _Shown(project, declared)
    views = {name: shown.select(name) for name in named}
    with TemporaryDirectory(prefix="carelake-") as spill, duckdb.connect() as db:
        for name, select in views.items():
            layer, table = name.split(".")
            db.execute(f'CREATE SCHEMA IF NOT EXISTS "{layer}"')
            db.execute(f'CREATE VIEW "{layer}"."{table}" AS {select}')
        _lock(db, shown.files, spill)
        try:
            yield db.sql(question).to_arrow_reader(10_000)
        except duckdb.Error as error:
            raise QuestionFailed(*_explained(error, db, named)) from None


def tables(project: Path) -> list[str]:
    """Every table a question may name, as far as there is a release."""
    declared = declare.read(project)
    return _Shown(project, declared).names()


def _tables(question: str) -> list[str]:
    """The tables a question names. CTEs shadow none of them: a name without a layer is a CTE's or refused."""
    try:
        parsed = [tree for tree in sqlglot.parse(question, dialect="duckdb") if tree]
        statements = duckdb.extract_statements(question)
    except (SqlglotError, duckdb.Error, RecursionError):
        raise QuestionRefused(
            "this is not SQL that can be understood.", "Check its spelling; quote texts with '."
        ) from None
    if len(parsed) != 1 or len(statements) != 1 or not isinstance(parsed[0], exp.Query):
        raise QuestionRefused("this is not one SELECT.", "Ask one question at a time; nothing can be changed here.")
    ctes = {cte.alias for cte in parsed[0].find_all(exp.CTE)}
    found = [t for t in parsed[0].find_all(exp.Table) if t.db or t.name not in ctes]
    if odd := [t for t in found if t.catalog or t.db.lower() not in LAYERS or not isinstance(t.this, exp.Identifier)]:
        name = odd[0].sql("duckdb")[:60]
        raise QuestionRefused(
            f"'{name}' is not a table that can be read.", f"Name them as layer.table, of {', '.join(LAYERS)}."
        )
    return sorted({f"{t.db}.{t.name}".lower() for t in found})


def _lock(db: duckdb.DuckDBPyConnection, files: list[str], spill: str) -> None:
    for name, value in (SESSION | {"temp_directory": spill, "memory_limit": MEMORY}).items():
        db.execute(f"SET {name} = {exp.Literal.string(value).sql('duckdb')}")
    db.execute("SET force_mbedtls_unsafe = 'true'")  # see engine/duck.py
    db.execute("SET temp_file_encryption = true")
    listed = ", ".join(exp.Literal.string(file).sql("duckdb") for file in files)
    db.execute(f"SET allowed_paths = [{listed}]")
    db.execute("SET enable_external_access = false")
    db.execute("SET lock_configuration = true")


def _explained(error: duckdb.Error, db: duckdb.DuckDBPyConnection, named: list[str]) -> tuple[str, str]:
    """What to say of an engine's error. Its words are not repeated, since they can quote a value."""
    if isinstance(error, (duckdb.BinderException, duckdb.CatalogException)):
        columns = [
            f"{name}({', '.join(row[0] for row in db.execute(f'DESCRIBE {name}').fetchall())})" for name in named
        ]
        return "a column or function of the question does not exist.", f"There are: {'; '.join(columns)}."
    return f"the engine stopped with {type(error).__name__}.", "Most often a value cannot be cast: use TRY_CAST."


@dataclass
class _Shown:
    """The SELECT behind each name, pinned to the latest release, and the files it reads."""

    project: Path
    declared: Declarations
    files: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.views: dict[str, tuple[Table, str]] = {
            f"silver.{name}": (table, name)
            for table in self.declared.tables.values()
            for name in (table.name, f"{table.name}_history", f"{table.name}_all")
        }
        self.bronze = {feed.relation: feed for feed in self.declared.feeds}
        self.released, self.loads = self._released()

    def names(self) -> list[str]:
        stored = [name for name in self.released if name.partition(".")[0] in SHOWN_AS_STORED]
        audit = [f"audit.{p.name}" for p in sorted((self._root("audit") / "audit").glob("*")) if p.is_dir()]
        return sorted([*self.views, *self.bronze, *stored, *audit])

    def select(self, name: str) -> str:
        layer = name.partition(".")[0]
        if name in self.views:
            return self._silver(*self.views[name])
        if name in self.bronze or name.removesuffix("_rejected") in self.bronze:
            return self._bronze(name)
        if layer == "audit" and exists(self._root("audit") / name.replace(".", "/")):
            return self._stored(name, None)
        if name in self.released and layer in SHOWN_AS_STORED:
            return self._stored(name, self.released[name])
        raise QuestionRefused(f"there is no table '{name}'.", choose(name, self.names()))

    def _silver(self, table: Table, view: str) -> str:
        stored, held = f"silver.{table.name}_versions", f"quarantine.{table.name}"
        policy = self.declared.policy
        wanted = {stored: plan.stored_columns(table, policy), held: plan.quarantine_columns(table, policy)}
        relations = [self._widened(name, columns) for name, columns in wanted.items()]
        return timeline.seen(table, policy, *relations)[view]

    def _widened(self, name: str, wanted: Mapping[str, str]) -> str:
        """The table as it was released, with the columns that were declared since."""
        select = self._stored(name, self.released.get(name))
        holds = [field.name for field in self._delta(name, self.released[name]).schema().fields]
        return plan.widened(f"({select})", holds, wanted)

    def _stored(self, name: str, version: int | None) -> str:
        if version is None and not name.startswith("audit."):
            raise QuestionRefused(f"{name} is in no release yet.", "Run `carelake run`, and ask again.")
        delta = self._delta(name, version)
        self.files += files_of(delta)
        return view_of(delta)

    def _delta(self, name: str, version: int | None) -> DeltaTable:
        layer, _, table = name.partition(".")
        try:
            return DeltaTable(str(self._root(layer) / layer / table), version=version)
        except DeltaError:
            fix = (
                "Run `carelake run`, which makes anew what can be made of bronze; bring the rest back from the backup."
            )
            raise LakeDamaged(f"{name} is not there as the latest release knows it.", fix) from None

    def _bronze(self, name: str) -> str:
        feed = self.bronze[name.removesuffix("_rejected")]
        rejected = name.endswith("_rejected") and name not in self.bronze
        where = f"data_source = '{feed.source}' AND feed = '{feed.name}' AND id <= {self.loads}"
        rows = self._query(f"SELECT folder, parts FROM ({self._stored('audit.load_logs', None)}) WHERE {where}")
        base = root(self.project, self.declared, "originals") / "bronze"
        parts = [
            base / r["folder"] / p for r in rows for p in (["rejected.parquet"] if rejected else json.loads(r["parts"]))
        ]
        found = [str(path) for path in parts if path.exists()]
        if not found:
            raise QuestionRefused(
                f"nothing has been landed in {name}.", "Run `carelake run`, or see `carelake status`."
            )
        self.files += found
        listed = ", ".join(exp.Literal.string(path).sql("duckdb") for path in found)
        return f"SELECT * FROM read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"

    def _released(self) -> tuple[Mapping[str, int], int]:
        path = self._root("audit") / "audit" / "releases"
        rows = (
            self._query(f"SELECT tables, loads FROM ({view_of(DeltaTable(str(path)))}) ORDER BY id DESC LIMIT 1")
            if exists(path)
            else []
        )
        return (json.loads(rows[0]["tables"]), rows[0]["loads"]) if rows else ({}, 0)

    def _query(self, select: str) -> list[dict[str, Any]]:
        with duckdb.connect() as db:
            rows: list[dict[str, Any]] = db.sql(select).to_arrow_table().to_pylist()
            return rows

    def _root(self, layer: str) -> Path:
        return root(self.project, self.declared, ZONES[layer])
