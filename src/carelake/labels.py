"""Rows that not everybody may see who may see the table: by the codes in them, their source or their provider. Pure.

A label is of an event. An event that points to another one, or that another one points to, is part of the same care and
is hidden with it; and a row whose code was another once is as telling as before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from .model import Declarations, Label, Table


@dataclass(frozen=True)
class Hiding:
    """What an audience is not shown, as conditions over tables. `stored` says the relation that stores a table."""

    declared: Declarations
    labels: tuple[Label, ...]
    stored: Callable[[Table], str]

    def without(self, table: Table, relation: str) -> str:
        """`relation`, whose rows are of `table`, without those that are hidden."""
        events = [one for one in self._events() if table.own_key == one.own_key]
        own = _own(table, self.labels)
        where = [*([f"NOT COALESCE({own}, FALSE)"] if own else []), *(self._unlisted(one.own_key) for one in events)]
        return f"(SELECT * FROM {relation} AS labelled WHERE {' AND '.join(where)})" if any(where) else relation

    def without_keys(self, relation: str, columns: Collection[str]) -> str:
        """`relation` without the rows that name a hidden event by its key, or a person of a hidden source."""
        where = [self._unlisted(one.own_key) for one in self._events() if one.own_key in columns]
        hidden = [source for label in self.labels for source in label.sources]
        if hidden and {"source_system", self.declared.person_key} <= {*columns}:
            where.append(f"NOT COALESCE(source_system IN ({_listed(hidden)}), FALSE)")
        return f"(SELECT * FROM {relation} AS labelled WHERE {' AND '.join(where)})" if any(where) else relation

    def _events(self) -> list[Table]:
        """The tables of what happened to a person, if a row of them can be hidden."""
        mine = self.declared.person_key
        events = [table for table in self.declared.tables.values() if mine in table.refers]
        return events if any(_own(table, self.labels) for table in events) else []

    def _unlisted(self, key: str) -> str:
        return f"({key} IS NULL OR NOT {key} IN ({' UNION ALL '.join(self._keys(key))}))"

    def _keys(self, key: str) -> Iterator[str]:
        """The hidden keys of one table: its own, those that hidden events point to, those that point to hidden ones."""
        (table,) = (one for one in self._events() if one.own_key == key)
        for other in self._events():
            own = _own(other, self.labels)
            if not own:
                continue
            if other.own_key == key or key in other.refers:
                yield f"SELECT {key} FROM {self.stored(other)} AS own WHERE {own} AND NOT {key} IS NULL"
            if other.own_key in table.refers:
                hidden = f"SELECT {other.own_key} FROM {self.stored(other)} AS own WHERE {own}"
                yield (
                    f"SELECT {key} FROM {self.stored(table)} AS pointing"
                    f" WHERE {other.own_key} IN ({hidden}) AND NOT {key} IS NULL"
                )


def denied(declared: Declarations, audience: str) -> tuple[Label, ...]:
    """The labels that an audience is not named in, and of which a row can be."""
    every = declared.policy.labels.values()
    return tuple(one for one in every if audience not in one.seen_by and (one.codes or one.sources or one.providers))


def _own(table: Table, labels: Collection[Label]) -> str:
    """The condition that a row of a table tells one of the labels itself; empty if none can."""
    return " OR ".join(condition for label in labels for condition in _conditions(table, label))


def _conditions(table: Table, label: Label) -> Iterator[str]:
    columns = {column.name for column in table.columns}
    for column, codes in label.codes.items():
        if column in columns:
            begins = "|".join(code.replace(".", "[.]?") for code in codes)
            yield f"REGEXP_MATCHES({column}, '^({begins})')"
    if label.sources:
        yield f"source_system IN ({_listed(label.sources)})"
    provider = next((column.name for column in table.columns if column.refers_to == "provider"), None)
    for source, ids in label.providers.items() if provider else ():
        yield f"(source_system = {_listed([source])} AND {provider} IN ({_listed(ids)}))"


def _listed(words: Collection[str]) -> str:
    return ", ".join("'" + word.replace("'", "''") + "'" for word in words)
