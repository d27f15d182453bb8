"""Which columns of marts show more than their kind says. Pure: read from the SELECTs, and proven of each column.

A column states its kind in the page of its mart, and the privacy page says what each audience sees of that kind. So its
kind has to hide at least as much as the kind of every column that reaches it (lineage.py says what does). A line under
`lowered` in privacy.yml lets one column pass, for a reason that is signed with the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain

from . import privacy
from .lineage import trace
from .model import VIEWS, Column, Declarations, Mart, Policy, Table
from .reach import COMPARED, FLAG, HARMLESS, Flows, Reach, Relation, Untraceable, leaves

PLAIN = ("flags", "is_current", "is_deleted", "is_change", "inserted_date", "modified_date")  # of nobody
HELD = ("is_quarantined", "quarantine_reasons")
FLAGS = 3  # of one column that a mart may show: more would tell its value bit by bit
TIMES = ("valid_from", "valid_to")  # of whatever kind the source's time is


@dataclass(frozen=True)
class Page:
    """The privacy page, as lineage asks it."""

    policy: Policy

    def covers(self, kind: str, other: str) -> bool:
        return privacy.hides_as_much(self.policy, kind, other)

    def is_single(self, kind: str) -> bool:
        return privacy.tells_apart(self.policy, kind)


@dataclass(frozen=True)
class Leak:
    """A column that shows more than it says: what reaches it. Or a mart of which that cannot be told, and why."""

    mart: str
    column: str
    kind: str
    reach: Reach | None
    untraceable: str = ""


def kinds(declared: Declarations) -> dict[str, dict[str, str]]:
    """Relation that a mart may read -> its columns, each with its kind."""
    found = {
        f"silver.{name}{view}": of_silver(table, declared.policy)
        for name, table in declared.tables.items()
        for view in VIEWS
    }
    found |= {f"gold.{mart.name}": {c.name: c.kind for c in mart.columns} for mart in declared.marts.values()}
    tables = declared.references.values()
    found |= {f"reference.{one.name}": dict.fromkeys(one.columns, "not_personal") for one in tables}
    return {**found, "reference.setting": dict.fromkeys(("name", "value"), "not_personal")}


def of_silver(table: Table, policy: Policy) -> dict[str, str]:
    """Column of a table's views -> its kind. A key is of the kind of what it stands for."""
    declared = {column.name: column.kind for column in table.columns}
    keys = {table.own_key: declared[table.key[-1]], **{key: declared[name] for key, name in table.refers.items()}}
    stored = {c.name: c.kind for c in table.columns if privacy.in_silver(c, policy)}
    times = dict.fromkeys(TIMES, declared[table.sequence_by])
    return {**keys, **stored, **times, **dict.fromkeys((*PLAIN, *HELD), "not_personal")}


def flows(declared: Declarations, mart: Mart) -> dict[str, Flows]:
    """Column of a mart -> the columns that reach it. Raises `Untraceable`."""
    return trace(mart.select, relations(declared), Page(declared.policy))


def relations(declared: Declarations) -> dict[str, Relation]:
    """Everything that a mart may read, as lineage begins with it."""
    return {name: leaves(name, held) for name, held in kinds(declared).items()}


def leaks(declared: Declarations) -> Iterator[Leak]:
    """Every column of every mart that shows more than its kind says and was not lowered, once for each kind."""
    known, page = relations(declared), Page(declared.policy)
    for mart in declared.marts.values():
        try:
            found = trace(mart.select, known, page)
        except Untraceable as error:
            yield Leak(mart.name, error.column, "", None, str(error))
        else:
            told = _told_by_flags(mart, found, declared.policy)
            for column in mart.columns:
                if f"gold.{mart.name}.{column.name}" not in declared.policy.lowered:
                    for reach in (*shown_by(found[column.name], column.kind, declared.policy), *told[column.name]):
                        yield Leak(mart.name, column.name, column.kind, reach)


def _told_by_flags(mart: Mart, found: Mapping[str, Flows], policy: Policy) -> dict[str, list[Reach]]:
    """Column -> the columns of which it shows a flag, and of which so many flags are shown that they tell the value."""
    flags = {
        column.name: [
            one
            for one in found[column.name]
            if one.how == FLAG and not privacy.hides_as_much(policy, column.kind, one.kind)
        ]
        for column in mart.columns
    }
    tests: dict[str, set[str]] = {}
    for one in chain.from_iterable(flags.values()):
        tests.setdefault(one.leaf, set()).add(one.test)
    return {
        name: sorted({replace(one, how=COMPARED, test="") for one in mine if len(tests[one.leaf]) > FLAGS}, key=str)
        for name, mine in flags.items()
    }


def shown_by(reaching: Flows, kind: str, policy: Policy) -> list[Reach]:
    """What shows in a column of a kind and should not: of each kind that reaches it the shortest way."""
    more = [one for one in reaching if one.how not in HARMLESS and not privacy.hides_as_much(policy, kind, one.kind)]
    shortest = {one.kind: one for one in sorted(more, key=lambda one: (-len(one.path), str(one)))}
    return [shortest[kind] for kind in sorted(shortest)]


def needless(declared: Declarations, lowered: Iterable[str]) -> Iterator[str]:
    """Those of `lowered` that let nothing pass: of what is no column of a mart, or shows no more than it says."""
    shown = {
        f"gold.{mart.name}.{column.name}": (mart, column) for mart in declared.marts.values() for column in mart.columns
    }
    for name in lowered:
        if name not in shown or not _shows_more(declared, *shown[name]):
            yield name


def _shows_more(declared: Declarations, mart: Mart, column: Column) -> bool:
    return bool(shown_by(flows(declared, mart)[column.name], column.kind, declared.policy))
