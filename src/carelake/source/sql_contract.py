"""What a feed relies on, against what the source has now: columns needed, added, gone, or of another type. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import pyarrow as pa
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from ..errors import FileHeaderDrifted, SourceColumnMissing, SourceNameTaken, SourceTypeChanged, choose
from ..model import Feed
from .sql_query import Relation
from .sql_types import type_changes


def check_columns(feed: Feed, there: Relation) -> None:
    """Raises `SourceColumnMissing` if a column that the feed names is not in the table, and `SourceNameTaken` if two of
    the table's differ in case only.
    """
    for name, alike in Counter(column.name.lower() for column in there.columns).items():
        if alike > 1:
            names = ", ".join(f"'{column.name}'" for column in there.columns if column.name.lower() == name)
            found = f"{feed.source}/{feed.name}: the table '{there.name}' has the columns {names}."
            raise SourceNameTaken(found, "Read it through a view that names them otherwise.")
    missing = {name: what for name, what in _needed(feed) if there.column(name) is None}
    if missing:
        named = ", ".join(f"'{name}' ({what})" for name, what in sorted(missing.items()))
        found = f"{feed.source}/{feed.name}: the table '{there.name}' has no column {named}."
        raise SourceColumnMissing(found, choose(min(missing), [column.name for column in there.columns]))


def _needed(feed: Feed) -> Iterator[tuple[str, str]]:
    """Each column that the feed names, and what for: of several, the last counts."""
    said = {**feed.columns, **({"delete_when": feed.delete_when} if feed.delete_when else {})}
    for what, sql in said.items():
        try:
            mapped = sqlglot.parse_one(sql, dialect="duckdb")
        except SqlglotError:
            continue  # a mistake in the declarations, which are checked elsewhere
        yield from ((column.name, f"for {what}") for column in mapped.find_all(exp.Column))
    yield from ((name, "its type is declared") for name in feed.types)
    yield from ((name, "the key") for name in feed.key)
    if feed.watermark:
        yield feed.watermark, "the watermark"


def check_schema(feed: Feed, schema: pa.Schema, before: Mapping[str, str] | None) -> list[str]:
    """Warnings of columns that are gone. Raises `SourceTypeChanged`; `FileHeaderDrifted` unless it may evolve."""
    if before is None:
        return []
    who = f"{feed.source}/{feed.name}"
    for name, was, now in type_changes(before, schema, feed.types):
        fix = f"Declare `types: {{{name}: text}}` in the feed to accept it as text, or mend the source."
        raise SourceTypeChanged(f"{who}: column '{name}' was {was} and is {now}.", fix)
    old, new = {name.lower(): name for name in before}, {name.lower(): name for name in schema.names}
    added, gone = [new[name] for name in new if name not in old], [old[name] for name in old if name not in new]
    if (added or gone) and feed.contract != "evolve":
        found = "; ".join(f"{what} {', '.join(names)}" for what, names in (("new:", added), ("gone:", gone)) if names)
        fix = "Declare `contract: evolve`, or take the change back in the source."
        raise FileHeaderDrifted(f"{who}: the columns of the source have changed ({found}).", fix)
    return [f"{who}: column '{name}' is gone from the source; it is NULL from here on." for name in gone]
