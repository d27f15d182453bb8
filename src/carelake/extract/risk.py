"""How easily persons of an extract could be told apart, as SELECTs over its tables; and who is suppressed. Pure.

A class is all persons who are alike in what somebody may know of them: the quasi-identifiers, as they leave. Of classes
that are smaller than wanted they are not told; if even those persons together are too few, their rows do not leave.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

SMALL, GONE = "suppressed", "left_out"  # relations of this run: persons whose quasi-identifiers are not told; who stay


def classes(persons: str, key: str, quasi: Sequence[str]) -> str:
    """Each person, and how many there are alike."""
    by = ", ".join(quasi) or key
    return f"SELECT {key}, COUNT(*) OVER (PARTITION BY {by}) AS alike FROM {persons}"


def indicators(persons: str, quasi: Sequence[str]) -> str:
    """One row: persons, the size of the smallest class, and how many persons are alone in theirs."""
    by = ", ".join(quasi)
    grouped = (
        f"SELECT COUNT(*) AS alike FROM {persons} GROUP BY {by}"
        if quasi
        else f"SELECT COUNT(*) AS alike FROM {persons}"
    )
    alone = "COALESCE(SUM(CASE WHEN alike = 1 THEN 1 ELSE 0 END), 0)"
    told = f"COALESCE(SUM(alike), 0) AS persons, COALESCE(MIN(alike), 0) AS smallest, {alone} AS alone"
    return f"SELECT {told} FROM ({grouped}) AS class"


def told(columns: Sequence[str], quasi: Sequence[str], relation: str, key: str) -> str:
    """The rows of a table of an extract, without the quasi-identifiers of suppressed persons, and without who is left
    out.
    """
    hidden = (
        f"CASE WHEN {SMALL}.{key} IS NULL THEN told.{name} END AS {name}" if name in quasi else f"told.{name}"
        for name in columns
    )
    joins = f"LEFT JOIN {SMALL} ON {SMALL}.{key} = told.{key} LEFT JOIN {GONE} ON {GONE}.{key} = told.{key}"
    return f"SELECT {', '.join(hidden)} FROM {relation} AS told {joins} WHERE {GONE}.{key} IS NULL"


def by_events(tables: Mapping[str, Sequence[str]], key: str) -> str | None:
    """One row: how many persons some two of their events tell from everybody else. `tables`: relation -> the columns
    of an event that somebody may know; None without any.
    """
    known = "\nUNION\n".join(_events(tables, key))
    if not known:
        return None
    pairs = (
        f"SELECT one.{key}, one.event AS first_one, other.event AS other_one FROM known AS one"
        f" INNER JOIN known AS other ON one.{key} = other.{key} AND one.event < other.event"
    )
    single = f"SELECT MIN({key}) AS {key} FROM pairs GROUP BY first_one, other_one HAVING COUNT(*) = 1"
    steps = f"WITH known AS ({known}), pairs AS ({pairs}), single AS ({single})"
    return f"{steps} SELECT COUNT(DISTINCT {key}) AS alone FROM single"


def _events(tables: Mapping[str, Sequence[str]], key: str) -> Iterator[str]:
    for relation, columns in tables.items():
        said = " || '|' || ".join(f"COALESCE(CAST({name} AS TEXT), '')" for name in columns)
        yield f"SELECT {key}, '{relation}|' || {said} AS event FROM {relation} WHERE NOT {key} IS NULL"
