"""What a database says of its tables: the one a feed means, its columns with their types, and its primary key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from ..errors import SourceTableMissing, choose
from .sql_database import Database
from .sql_query import Relation, quoted, text
from .sql_types import Dialect, Stored


@dataclass(frozen=True)
class Name:
    schema: str | None
    name: str
    is_default: bool  # found without its schema

    def __str__(self) -> str:
        return self.name if self.is_default or not self.schema else f"{self.schema}.{self.name}"


def relation(database: Database, who: str, at: str) -> Relation:
    """The table or view that `at` means, in any case of its letters, with or without its schema.

    Raises `SourceTableMissing`, which names what is like it.
    """
    names = [Name(schema, name, bool(default)) for schema, name, default in database.ask(_NAMES[database.dialect])]
    found = _chosen(names, at)
    if len(found) != 1:
        raise _not_one(who, at, names, found)
    return _described(database, found[0])


def _chosen(names: Sequence[Name], at: str) -> list[Name]:
    """Those that `at` can mean. A schema that is not there at all is passed over: `dbo.` of a copy in SQLite."""
    schema, _, bare = at.rpartition(".")
    there = [name for name in names if schema and (name.schema or "").lower() == schema.lower()]
    whole, part = ([name for name in names if name.name.lower() == word.lower()] for word in (at, bare))
    found = whole or ([name for name in part if name in there] if there else part)
    found = [name for name in found if name.is_default] or found
    return [name for name in found if name.name in (at, bare)] or found


def _not_one(who: str, at: str, names: Sequence[Name], found: Sequence[Name]) -> SourceTableMissing:
    if found:
        several = ", ".join(f"{name.schema}.{name.name}" for name in found)
        return SourceTableMissing(f"{who}: '{at}' can mean several tables: {several}.", "Write its schema before it.")
    known = [str(name) for name in names]
    near = get_close_matches(at, known, n=10, cutoff=0.5) or sorted(known)[:20]
    return SourceTableMissing(f"{who}: there is no table '{at}' that this user may read.", choose(at, near))


def _described(database: Database, name: Name) -> Relation:
    dialect, schema = database.dialect, name.schema
    place = {"schema": text(dialect, schema or ""), "name": text(dialect, name.name)}
    place["whole"] = text(dialect, ".".join(quoted(dialect, part) for part in (schema, name.name) if part))
    told = database.ask(_COLUMNS[dialect].format(**place))
    columns = [Stored(column, _declared(dialect, *rest)) for column, *rest in told]
    key = tuple(column for (column,) in database.ask(_KEY[dialect].format(**place)))
    pages = database.ask(_PAGES.format(**place)) if dialect == "postgres" else []
    return Relation(dialect, schema, name.name, tuple(columns), key, pages[0][0] if pages else None)


def _declared(dialect: Dialect, base: str, *digits: int) -> str:
    """A type as it would be declared; SQL Server tells its numbers of digits apart from it."""
    return f"{base}({digits[0]},{digits[1]})" if dialect == "tsql" and base in {"decimal", "numeric"} else base


_NAMES: dict[Dialect, str] = {
    "postgres": """
        SELECT n.nspname, c.relname, pg_table_is_visible(c.oid)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
            AND n.nspname NOT LIKE 'pg\\_toast%' AND has_any_column_privilege(c.oid, 'SELECT')
            AND has_schema_privilege(n.oid, 'USAGE')""",
    "mysql": """
        SELECT table_schema, table_name, COALESCE(table_schema = DATABASE(), FALSE) FROM information_schema.tables
        WHERE table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')""",
    "tsql": """
        SELECT s.name, o.name, CASE WHEN s.name = SCHEMA_NAME() THEN 1 ELSE 0 END
        FROM sys.objects o JOIN sys.schemas s ON s.schema_id = o.schema_id WHERE o.type IN ('U', 'V')""",
    "sqlite": """
        SELECT NULL, name, 1 FROM sqlite_master
        WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'""",
}

_COLUMNS: dict[Dialect, str] = {
    "postgres": """
        SELECT a.attname, FORMAT_TYPE(COALESCE(NULLIF(t.typbasetype, 0), a.atttypid),
            CASE WHEN t.typbasetype <> 0 THEN t.typtypmod ELSE a.atttypmod END)
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = {whole}::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum""",
    "mysql": """
        SELECT column_name, column_type FROM information_schema.columns
        WHERE table_schema = {schema} AND table_name = {name} ORDER BY ordinal_position""",
    "tsql": """
        SELECT c.name, TYPE_NAME(c.system_type_id), c.precision, c.scale
        FROM sys.columns c WHERE c.object_id = OBJECT_ID({whole}) ORDER BY c.column_id""",
    "sqlite": "SELECT name, type FROM pragma_table_xinfo({name}) WHERE hidden <> 1 ORDER BY cid",
}

_KEY: dict[Dialect, str] = {
    "postgres": """
        SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
        WHERE i.indrelid = {whole}::regclass AND i.indisprimary ORDER BY ARRAY_POSITION(i.indkey::int2[], a.attnum)""",
    "mysql": """
        SELECT column_name FROM information_schema.statistics
        WHERE table_schema = {schema} AND table_name = {name} AND index_name = 'PRIMARY' ORDER BY seq_in_index""",
    "tsql": """
        SELECT c.name FROM sys.indexes i
        JOIN sys.index_columns x ON x.object_id = i.object_id AND x.index_id = i.index_id
        JOIN sys.columns c ON c.object_id = x.object_id AND c.column_id = x.column_id
        WHERE i.object_id = OBJECT_ID({whole}) AND i.is_primary_key = 1 ORDER BY x.key_ordinal""",
    "sqlite": "SELECT name FROM pragma_table_info({name}) WHERE pk > 0 ORDER BY pk",
}

_PAGES = """
    SELECT PG_RELATION_SIZE(oid) / CURRENT_SETTING('block_size')::bigint
    FROM pg_class WHERE oid = {whole}::regclass AND relkind IN ('r', 'm')"""
