"""What failed -> what may not be released. Pure. Tables that share keys, and marts with all that they read, advance
together or not at all: a reader who joins two of them would join two different days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from . import quality, sql
from .model import Count, Declarations


def stopped(declared: Declarations, counts: Iterable[Count]) -> list[Count]:
    """The set rules that stop a release. A row rule that stops does so before its table is written, and what breaks it
    and is mended since waits in quarantine.
    """
    sets = {(table.name, rule.name) for table in declared.tables.values() for rule in quality.set_rules_of(table)}
    return [c for c in counts if c.severity.otherwise == "stop" and c.is_beyond and (c.table, c.rule) in sets]


def held(declared: Declarations, causes: Mapping[str, str]) -> dict[str, str]:
    """`silver.<table>` and `gold.<mart>` of every group that a cause keeps back -> that cause."""
    return {
        relation: "; ".join(dict.fromkeys(why))
        for group in groups(declared)
        if (why := [cause for relation, cause in sorted(causes.items()) if relation in group])
        for relation in sorted(group)
    }


def groups(declared: Declarations) -> list[frozenset[str]]:
    """The tables and marts that advance together."""
    joined: list[frozenset[str]] = []
    for edge in _edges(declared):
        apart = [group for group in joined if not group & edge]
        joined = [*apart, edge.union(*(group for group in joined if group & edge))]
    return joined


def _edges(declared: Declarations) -> Iterable[frozenset[str]]:
    for table in declared.tables.values():
        others = (key.removesuffix("_key") for key in table.refers)
        yield frozenset({f"silver.{table.name}", *(f"silver.{name}" for name in others)})
    for mart in declared.marts.values():
        yield frozenset({f"gold.{mart.name}", *(_stored(name, declared) for name in _read_by(mart.select))})


def _read_by(select: str) -> list[str]:
    """References are not among them: they are the same for all."""
    return [name for name in sql.tables_of(select) if name.partition(".")[0] in {"silver", "gold"}]


def relations(declared: Declarations, reads: Iterable[str]) -> set[str]:
    """The tables and marts behind what a check reads; what a feed landed is behind the table that it fills."""
    filled = {feed.relation: f"silver.{feed.fills}" for feed in declared.feeds if feed.fills}
    named = {filled.get(name, _stored(name, declared)) for name in reads}
    return {name for name in named if name.startswith(("silver.", "gold."))}


def _stored(name: str, declared: Declarations) -> str:
    """The table that a view of silver shows."""
    base = name.removeprefix("silver.").removesuffix("_history").removesuffix("_all")
    return f"silver.{base}" if name.startswith("silver.") and base in declared.tables else name


def tables_of(relation: str) -> tuple[str, ...]:
    """The stored tables that a release names for a table or a mart."""
    layer, _, name = relation.partition(".")
    if layer == "gold":
        return (relation,)
    return (f"quarantine.{name}", f"restricted.{name}_history", f"silver.{name}_versions")
