"""The door: the one function through which people and programs read.

A question runs on a fresh connection whose catalogue holds only the tables it names, at the versions of the latest
release. The connection can open those tables' files and nothing else, and its settings are locked. On the command line
the door trusts its operating system user; limits by role hold in the server.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from sqlglot import exp

from .. import changes, declare, plan, purges, story, suppressions, timeline
from ..engine.duck import SESSION
from ..engine.duck_view import seen, view_of
from ..engine.duck_write import refuse_upgraded
from ..engine.stored import exists, files_of
from ..errors import LakeDamaged, LakeError, LakeFull, QuestionFailed, QuestionRefused, choose
from ..foreign import is_no_space
from ..labels import Hiding, denied
from ..lake import ZONES, root
from ..model import REPAIR, Declarations, Feed, Table
from ..repaired import RESOLVED
from . import question as questions
from .asker import PERSON, Asker, Log, Read

MEMORY = "2GB"  # of one question; what needs more spills, encrypted, to a folder of its own
SHOWN_AS_STORED = ("gold", "quarantine", "reference")  # of silver, only the views: row hashes are never shown
CHANGES = "audit.changes"  # made of the histories when it is asked for, and stored nowhere
MEND = "Run `carelake run`, which makes anew what can be made of bronze; bring the rest back from the backup."


@contextmanager
def ask(
    project: Path, question: str, *, as_it_stands: bool = False, asker: Asker | None = None
) -> Iterator[pa.RecordBatchReader]:
    """The answer to `question`, one SELECT, as batches: of the latest release, or of the tables as they stand now, for
    an operator who looks for what holds a release. Who asked, and what was shown, is in the access log before it is.

    Raises `QuestionRefused` for what is not one SELECT over released tables, `QuestionFailed` if the engine stops, also
    between two batches, `LakeFull`, and `JournalUnwritable`.
    """
    declared = declare.read(project)
    asked = questions.parsed(question)
    named = questions.tables(asked)
    asker = asker or Asker.here(project)
    shown = _Shown(project, declared, as_it_stands, asker.audience)
    views = {name: shown.select(name) for name in named}
    with _opened(views, shown.files) as db:
        columns, literals = tuple(questions.columns(asked, db, named)), questions.literals(question)
        known = {name: [column.lower() for column, *_ in db.execute(f"DESCRIBE {name}").fetchall()] for name in named}
        persons = questions.persons(question, known, PERSON)
        log = Log(root(project, declared, "lake"), asker)
        number = log.asked(Read("query", named, columns, shown.release, literals))
        try:
            answer = db.sql(question).to_arrow_reader(10_000)
        except duckdb.Error as error:
            raise _explained(error, db, named) from None
        yield pa.RecordBatchReader.from_batches(answer.schema, log.shown(number, _batches(answer), persons))


@contextmanager
def telling(
    project: Path, table: Table, named: Sequence[str] = (), asker: Asker | None = None
) -> Iterator[Callable[[str], list[dict[str, Any]]]]:
    """What answers CareLake's own SELECTs over the versions of `table` as they are released: see story.py. The access
    log says that it was asked for the story of the row that is `named`.

    Raises `QuestionRefused` if it is in no release yet, and as `ask` does.
    """
    declared, asker = declare.read(project), asker or Asker.here(project)
    shown = _Shown(project, declared, audience=asker.audience)
    with _opened(shown.told(table), shown.files) as db:
        log = Log(root(project, declared, "lake"), asker)
        about = f"silver.{table.name}_history"
        number = log.asked(Read("history", (about,), (f"{about}.*",), shown.release, tuple(named)))

        def tell(select: str) -> list[dict[str, Any]]:
            try:
                rows: list[dict[str, Any]] = db.sql(select).to_arrow_table().to_pylist()
            except duckdb.Error as error:
                raise _stopped(error) from None
            log.rows(number, rows)
            return rows

        yield tell


@contextmanager
def _opened(views: Mapping[str, str], files: list[str]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that shows `views` and can open `files`, and nothing else."""
    with TemporaryDirectory(prefix="carelake-") as spill, duckdb.connect() as db:
        for name, select in views.items():
            layer, table = name.split(".")
            db.execute(f'CREATE SCHEMA IF NOT EXISTS "{layer}"')
            with _undamaged(name):
                db.execute(f'CREATE VIEW "{layer}"."{table}" AS {select}')
        _lock(db, files, spill)
        yield db


def tables(project: Path) -> list[str]:
    """Every table a question may name, as far as there is a release."""
    declared = declare.read(project)
    return _Shown(project, declared).names()


def _lock(db: duckdb.DuckDBPyConnection, files: list[str], spill: str) -> None:
    for name, value in (SESSION | {"temp_directory": spill, "memory_limit": MEMORY}).items():
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
        raise _stopped(error) from None


@contextmanager
def _undamaged(name: str) -> Iterator[None]:
    """Raises `LakeDamaged` if a table is not there as it was written."""
    try:
        yield
    except (DeltaError, duckdb.Error):
        raise LakeDamaged(f"{name} is not there as the latest release knows it.", MEND) from None


def _explained(error: duckdb.Error, db: duckdb.DuckDBPyConnection, named: list[str]) -> LakeError:
    """What to say of an engine's error. Its words are not repeated, since they can quote a value."""
    if isinstance(error, (duckdb.BinderException, duckdb.CatalogException)):
        columns = [
            f"{name}({', '.join(row[0] for row in db.execute(f'DESCRIBE {name}').fetchall())})" for name in named
        ]
        found = "a column or function of the question does not exist."
        return QuestionFailed(found, f"There are: {'; '.join(columns)}.")
    return _stopped(error)


def _stopped(error: Exception) -> LakeError:
    if is_no_space(error):
        return LakeFull("there was no space left for what the question spills.", "Free some, or ask for less.")
    if isinstance(error, duckdb.IOException) or str(error).startswith("IO Error"):
        return LakeDamaged("a file that the question reads is gone, or is not what was written.", MEND)
    return QuestionFailed("the engine stopped before the end.", "Most often a value cannot be cast: use TRY_CAST.")


@dataclass
class _Shown:
    """The SELECT behind each name, pinned to the latest release, and the files it reads."""

    project: Path
    declared: Declarations
    as_it_stands: bool = False
    audience: str = Asker.audience
    files: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.views: dict[str, tuple[Table, str]] = {
            f"silver.{name}": (table, name)
            for table in self.declared.tables.values()
            for name in (table.name, f"{table.name}_history", f"{table.name}_all")
        }
        latest = self._standing() if self.as_it_stands else self._latest()
        self.released: Mapping[str, int] = json.loads(latest["tables"]) if latest else {}
        self.loads = latest["loads"] if latest else 0
        self.release = latest.get("id") if latest else None
        self.held_loads: Mapping[str, int] = json.loads(latest.get("held_loads") or "{}") if latest else {}
        self.hiding = Hiding(self.declared, denied(self.declared, self.audience), self._suppressed(), self._versions)
        feeds = (*self.declared.feeds, *self._repairs())
        self.bronze = {feed.relation: feed for feed in feeds}

    def names(self) -> list[str]:
        stored = [name for name in self.released if name.partition(".")[0] in SHOWN_AS_STORED]
        audit = [f"audit.{p.name}" for p in sorted((self._root("audit") / "audit").glob("*")) if p.is_dir()]
        return sorted([*self.views, *self.bronze, *stored, *audit, *([CHANGES] if self.released else [])])

    def select(self, name: str) -> str:
        layer = name.partition(".")[0]
        if not self.released and layer != "audit":
            raise QuestionRefused("nothing is released yet.", "Run `carelake run`, and ask again.")
        if name in self.views:
            return self._silver(*self.views[name])
        if name == CHANGES and self.released:
            return self._changes()
        if name in self.bronze or name.removesuffix("_rejected") in self.bronze:
            return self._bronze(name)
        if layer == "audit" and exists(self._root("audit") / name.replace(".", "/")):
            return self._stored(name, None)
        if name in self.released and layer in SHOWN_AS_STORED:
            return f"SELECT * FROM {self._seen(name, layer)}"
        raise QuestionRefused(f"there is no table '{name}'.", choose(name, self.names()))

    def _silver(self, table: Table, view: str) -> str:
        stored, held = self._relations(table)
        standing = f"(\n{timeline.standing(table, self.declared.policy, stored)}\n)"
        return timeline.seen(table, self.declared.policy, standing, held)[view]

    def _relations(self, table: Table) -> tuple[str, str]:
        """What stores a table's versions and its quarantine, as released, without who is suppressed by now."""
        held = plan.quarantine_columns(table, self.declared.policy)
        waiting = self._widened(f"quarantine.{table.name}", held)
        return self.hiding.without(table, self._versions(table)), self.hiding.without(table, waiting)

    def _seen(self, name: str, layer: str) -> str:
        """A stored table, as released, without rows of persons and events that are not to be seen."""
        columns, rows = seen(self._delta(name, self.released[name])), f"({self._stored(name, self.released[name])})"
        table = self.declared.tables.get(name.partition(".")[2]) if layer == "quarantine" else None
        return self.hiding.without(table, rows) if table else self.hiding.without_keys(rows, columns)

    def _versions(self, table: Table) -> str:
        return self._widened(f"silver.{table.name}_versions", plan.stored_columns(table, self.declared.policy))

    def _changes(self) -> str:
        """The changes of every table that keeps its history and is released."""
        kept = (table for table in self.declared.tables.values() if changes.is_told(table))
        released = [table for table in kept if f"silver.{table.name}_versions" in self.released]
        policy, loads = self.declared.policy, f"({self._stored('audit.load_logs', None)})"
        told = []
        for each in released:
            stored, held = self._relations(each)
            told.append(changes.changes(each, policy, stored, self._mended(each, held), loads))
        return "\nUNION ALL\n".join(told)

    def _mended(self, table: Table, held: str) -> str:
        """The places of rows that were held back and stand now: as told, or of `held` in a lake without repairs."""
        if not exists(self._root("audit") / RESOLVED.replace(".", "/")):
            return held
        place, settled = f"{plan.LOAD}, {plan.SOURCE_TIME}", self._stored(RESOLVED, None)
        return f"(SELECT key AS {table.own_key}, {place} FROM ({settled}) WHERE table_name = '{table.name}')"

    def _widened(self, name: str, wanted: Mapping[str, str]) -> str:
        """The table as it was released, with the columns that were declared since."""
        select = self._stored(name, self.released.get(name))
        holds = [field.name for field in self._delta(name, self.released[name]).schema().fields]
        return plan.widened(f"({select})", holds, wanted)

    def told(self, table: Table) -> dict[str, str]:
        """What stories are told of, by name: the versions of `table`, what is held back of it, and the loads."""
        if not self.released:
            raise QuestionRefused("nothing is released yet.", "Run `carelake run`, and ask again.")
        stored, held = self._relations(table)
        loads = f"({self._stored('audit.load_logs', None)})"
        steps = changes.steps(table, self.declared.policy, stored, self._mended(table, held), loads)
        every = f"SELECT * FROM {held} AS held"
        told = {story.STEPS: steps, story.HELD: every, story.LOADS: f"SELECT id, load_id FROM {loads} AS load"}
        whose = ", ".join(dict.fromkeys((table.own_key, PERSON)))
        if PERSON in {table.own_key, *table.refers}:
            told[story.WHOSE] = f"SELECT {whose} FROM {stored} AS stored"
        return told

    def _stored(self, name: str, version: int | None) -> str:
        if version is None and not name.startswith("audit."):
            raise QuestionRefused(f"{name} is in no release yet.", "Run `carelake run`, and ask again.")
        delta = self._delta(name, version)
        self.files += files_of(delta)
        return view_of(delta)

    def _delta(self, name: str, version: int | None) -> DeltaTable:
        layer, _, table = name.partition(".")
        with _undamaged(name):
            delta = DeltaTable(str(self._root(layer) / layer / table), version=version)
        refuse_upgraded(delta, name)  # rows that others have marked as deleted stand in its files
        return delta

    def _bronze(self, name: str) -> str:
        feed = self.bronze[name.removesuffix("_rejected")]
        rejected = name.endswith("_rejected") and name not in self.bronze
        last = self.held_loads.get(f"{feed.source}.{feed.name}", 2**62)
        where = f"data_source = '{feed.source}' AND feed = '{feed.name}' AND id <= {self.loads} AND sequence <= {last}"
        rows = self._query(f"SELECT folder, parts FROM {self._loads_left()} AS load WHERE {where}")
        base = root(self.project, self.declared, "originals") / "bronze"
        parts = [
            base / r["folder"] / p for r in rows for p in (["rejected.parquet"] if rejected else json.loads(r["parts"]))
        ]
        found = [str(path) for path in parts if path.exists()]
        if len(found) < len(parts) and not rejected:  # of rejected lines most loads have no file
            raise LakeDamaged(f"{name} is not there as the latest release knows it.", MEND)
        if not found:
            raise QuestionRefused(
                f"nothing has been landed in {name}.", "Run `carelake run`, or see `carelake status`."
            )
        self.files += found
        listed = ", ".join(exp.Literal.string(path).sql("duckdb") for path in found)
        return f"SELECT * FROM read_parquet([{listed}], union_by_name = true, hive_partitioning = false)"

    def _loads_left(self) -> str:
        """All loads, as purges have left them."""
        there = exists(self._root("audit") / purges.TABLE.replace(".", "/"))
        taken = f"({self._stored(purges.TABLE, None)})" if there else ""
        loads = f"({self._stored('audit.load_logs', None)})"
        return purges.left(loads, ("id", "data_source", "feed", "sequence", "folder", "bytes", "parts"), taken)

    def _latest(self) -> dict[str, Any] | None:
        """The row of the latest release; None before the first."""
        if not exists(self._root("audit") / "audit/releases"):
            return None
        releases = view_of(self._delta("audit.releases", None))
        return next(iter(self._query(f"SELECT * FROM ({releases}) ORDER BY id DESC LIMIT 1")), None)

    def _suppressed(self) -> frozenset[int]:
        """The persons whom nobody is shown: as it is now, whatever is released."""
        if not exists(self._root("vault") / suppressions.TABLE.replace(".", "/")):
            return frozenset()
        acts = f"({view_of(self._delta(suppressions.TABLE, None))})"
        return suppressions.standing(self._query(suppressions.ASKED.format(acts)))

    def _standing(self) -> dict[str, Any]:
        """The same of every table as it stands now, and of all loads."""
        layers = (layer for layer in questions.LAYERS if layer in ZONES)
        folders = (path for layer in layers for path in (self._root(layer) / layer).glob("*"))
        stored = [f"{path.parent.name}.{path.name}" for path in folders if path.is_dir() and exists(path)]
        tables = {name: self._delta(name, None).version() for name in sorted(stored)}
        return {"tables": json.dumps(tables), "loads": sys.maxsize}

    def _repairs(self) -> list[Feed]:
        """The feeds of repairs that there are."""
        if not self.released:
            return []
        asked = f"SELECT DISTINCT feed FROM ({self._stored('audit.load_logs', None)}) WHERE data_source = '{REPAIR}'"
        there = {row["feed"] for row in self._query(asked)}
        return [feed.repairs for feed in self.declared.feeds if feed.repairs.name in there]

    def _query(self, select: str) -> list[dict[str, Any]]:
        with duckdb.connect() as db, _undamaged("audit"):
            rows: list[dict[str, Any]] = db.sql(select).to_arrow_table().to_pylist()
            return rows

    def _root(self, layer: str) -> Path:
        return root(self.project, self.declared, ZONES[layer])
