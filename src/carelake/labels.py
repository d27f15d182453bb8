"""Rows that not everybody may see who may see the table: of suppressed persons, and of events that carry a label. Pure.

An event carries one by its codes, its source or its provider. An event that points to another one, or that another
one points to, is part of the same care and is hidden with it; and a row whose code was another once tells as much.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property

from .model import Declarations, Label, Table


@dataclass(frozen=True)
class Hiding:
    """What an audience is not shown, as conditions over tables. `people` are the keys of who is suppressed; `stored`
    says the relation that stores a table.
    """

    declared: Declarations
    labels: tuple[Label, ...]
    people: frozenset[int]
    stored: Callable[[Table], str]

    def without(self, table: Table, relation: str) -> str:
        """`relation`, whose rows are of `table`, without those that are hidden."""
        own = self._own(table)
        where = [*([f"NOT COALESCE({own}, FALSE)"] if own else []), *self._unlisted([table.own_key])]
        return _where(relation, where)

    def without_keys(self, relation: str, columns: Collection[str]) -> str:
        """`relation` without the rows that name a hidden event or person by its key, or a person of a hidden source."""
        where = [*self._unlisted(columns)]
        if self.declared.person_key in columns:
            where += [f"NOT COALESCE({condition}, FALSE)" for condition in self._of_persons("source_system" in columns)]
        return _where(relation, where)

    @cached_property
    def _events(self) -> list[Table]:
        """The tables of what happened to a person, if a row of them can be hidden."""
        events = [one for one in self.declared.tables.values() if self.declared.person_key in one.refers]
        return events if any(self._own(table) for table in events) else []

    def _own(self, table: Table) -> str:
        """The condition that a row of a table is hidden for itself; empty if none can be."""
        person = self.declared.person_key
        persons = [*self._of_persons(of_sources=False)] if person in {table.own_key, *table.refers} else []
        return " OR ".join([*persons, *(told for label in self.labels for told in _conditions(table, label))])

    def _of_persons(self, of_sources: bool) -> Iterator[str]:
        if self.people:
            yield f"{self.declared.person_key} IN ({', '.join(map(str, sorted(self.people)))})"
        if of_sources and (hidden := [source for label in self.labels for source in label.sources]):
            yield f"source_system IN ({_listed(hidden)})"

    def _unlisted(self, columns: Collection[str]) -> Iterator[str]:
        """That no column with the key of an event names a hidden one. `original_claim_key` is a `claim_key`, too."""
        for event in self._events:
            for column in columns:
                if column == event.own_key or column.endswith(f"_{event.own_key}"):
                    yield f"({column} IS NULL OR NOT {column} IN ({' UNION ALL '.join(self._keys(event))}))"

    def _keys(self, table: Table) -> Iterator[str]:
        """The hidden keys of one table: its own, those that hidden events point to, those that point to hidden ones."""
        key = table.own_key
        for other in self._events:
            own = self._own(other)
            if not own:
                continue
            if other is table or key in other.refers:
                yield f"SELECT {key} FROM {self.stored(other)} AS own WHERE ({own}) AND NOT {key} IS NULL"
            if other.own_key in table.refers:
                hidden = f"SELECT {other.own_key} FROM {self.stored(other)} AS own WHERE {own}"
                yield (
                    f"SELECT {key} FROM {self.stored(table)} AS pointing"
                    f" WHERE {other.own_key} IN ({hidden}) AND NOT {key} IS NULL"
                )


def _where(relation: str, conditions: Collection[str]) -> str:
    return f"(SELECT * FROM {relation} AS every WHERE {' AND '.join(conditions)})" if conditions else relation


def denied(declared: Declarations, audience: str) -> tuple[Label, ...]:
    """The labels that an audience is not named in, and of which a row can be."""
    every = declared.policy.labels.values()
    return tuple(one for one in every if audience not in one.seen_by and (one.codes or one.sources or one.providers))


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
