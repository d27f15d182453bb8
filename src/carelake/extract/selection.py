"""Declarations and a profile -> the SELECT of each table of an extract, and what becomes of each column. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .. import labels, leaks, plan, treatments
from ..model import Cell, Declarations, Table

CUSTOM = "custom"
PROFILES = ("safe_harbor", "limited_data_set", CUSTOM)
NOT_SEEN = Cell("drop")
PSEUDONYM, SHIFT = "pseudonym", "shift"


@dataclass(frozen=True)
class Shown:
    """One column of an extract: what it is called there, the column it is of, and what is seen of that."""

    name: str
    column: str
    kind: str
    treatment: str  # of the privacy page


@dataclass(frozen=True)
class Selected:
    """One table of an extract."""

    table: str
    select: str
    shown: tuple[Shown, ...]
    dropped: Mapping[str, str] = field(default_factory=dict)  # column that was asked for, and is not seen -> its kind


def selected(declared: Declarations, profile: str) -> list[Selected]:
    """Every table of an extract for a profile. Its pseudonyms are joined from the relation `pseudonym_of`."""
    named = declared.extracts.tables.items()
    every = (_selected(declared, declared.tables[name], columns, profile) for name, columns in named)
    return [one for one in every if one.shown]


def _selected(declared: Declarations, table: Table, columns: Sequence[str], profile: str) -> Selected:
    kinds, cells = _kinds(table, declared), _cells(declared, profile)
    every = [_shown(name, kinds[name], cells.get(kinds[name], NOT_SEEN).treatment) for name in columns]
    seen = [one for one in every if one.treatment != NOT_SEEN.treatment and _has_whose(table, declared, one)]
    exact = [one.column for one in seen if cells[one.kind].zone == "restricted"]
    joins = [_exactly(table, view, exact) for view, held in table.exact.items() if set(held) & set(exact)]
    told = [f"{_told(one, _value(table, one.column, exact), declared)} AS {one.name}" for one in seen]
    joins += [_pseudonyms(table, one.column) for one in seen if one.treatment == PSEUDONYM]
    joins += [_shifts(declared.person_key)] if any(one.treatment == SHIFT for one in seen) else []
    hiding = labels.Hiding(declared, labels.denied(declared, profile), frozenset(), _history)
    rows = hiding.without(table, f"silver.{table.name}")
    select = plan.select(told, f"{rows} AS told", *joins)
    return Selected(table.name, select, tuple(seen), {one.column: one.kind for one in every if one not in seen})


def _history(table: Table) -> str:
    """Every version of a table; whoever is suppressed is in none."""
    return f"silver.{table.name}_history"


def _cells(declared: Declarations, profile: str) -> Mapping[str, Cell]:
    """Kind -> what is seen of it; what is not named is not seen."""
    custom = declared.policy.custom
    return (custom.seen if custom else {}) if profile == CUSTOM else declared.policy.seen[profile]


def _has_whose(table: Table, declared: Declarations, one: Shown) -> bool:
    """Whether a value can be treated there: dates are shifted by person, and a row that is nobody's has none."""
    return one.treatment != SHIFT or declared.person_key in {table.own_key, *table.refers}


def _shown(column: str, kind: str, treatment: str) -> Shown:
    """A column is called by what is seen of it: nobody shall take an age for a date."""
    names = {
        "age": "age",
        "zip3": "zip3",
        "state": "state",
        "region": "region",
        "year": f"{column.removesuffix('_date')}_year",
    }
    return Shown(names.get(treatment, column), column, kind, treatment)


def _kinds(table: Table, declared: Declarations) -> dict[str, str]:
    """Column -> kind, of those in silver and of those in the restricted zone."""
    return {**{column.name: column.kind for column in table.columns}, **leaks.of_silver(table, declared.policy)}


def _value(table: Table, name: str, exact: Sequence[str]) -> str:
    if name not in exact:
        return f"told.{name}"
    return next(f"{view}.{name}" for view, held in table.exact.items() if name in held)


def _exactly(table: Table, view: str, exact: Sequence[str]) -> str:
    key = table.own_key
    return f"LEFT JOIN restricted.{view} AS {view} ON {view}.{key} = told.{key}"


def _told(one: Shown, value: str, declared: Declarations) -> str:
    """The SQL of what is seen of a value."""
    if one.treatment == PSEUDONYM:
        return f"of_{one.column}.pseudonym"
    policy = declared.policy
    make: Mapping[str, Callable[[str], str]] = {
        "year": treatments.year,
        "age": treatments.age,
        "zip3": lambda zip_: treatments.zip3(zip_, policy.sparse_zip3, policy.peopled_zip3),
        "region": treatments.region,
        SHIFT: lambda day: treatments.shift(day, "shifted.days"),
    }
    return make.get(one.treatment, treatments.keep)(value)


def _pseudonyms(table: Table, name: str) -> str:
    alias = f"of_{name}"
    return (
        f"LEFT JOIN pseudonym_of AS {alias} ON {alias}.namespace = '{namespace(table, name)}'"
        f" AND {alias}.source_system = told.source_system AND {alias}.stored = CAST(told.{name} AS TEXT)"
    )


def _shifts(person: str) -> str:
    same = f"shifted.stored = CAST(told.{person} AS TEXT) AND shifted.source_system = told.source_system"
    days = "SELECT source_system, stored, CAST(pseudonym AS INTEGER) AS days FROM pseudonym_of"
    return f"LEFT JOIN ({days} WHERE namespace = '{SHIFT}') AS shifted ON {same}"


def namespace(table: Table, name: str) -> str:
    """What tells the pseudonyms of a column from others: equal in all columns that hold one key."""
    if name in {table.own_key, *table.refers}:
        return name
    refers = next((column.refers_to for column in table.columns if column.name == name), None)
    return f"{refers}_id" if refers else name


def to_mint(declared: Declarations, made: Sequence[Selected]) -> str | None:
    """The SELECT of every (namespace, source_system, stored) that wants a pseudonym; None if nothing does."""
    return "\nUNION\n".join(_to_mint(declared, made)) or None


def _to_mint(declared: Declarations, made: Sequence[Selected]) -> Iterator[str]:
    for one in made:
        table = declared.tables[one.table]
        for column in one.shown:
            if column.treatment == PSEUDONYM:
                stored = f"CAST(told.{column.column} AS TEXT)"
                yield (
                    f"SELECT '{namespace(table, column.column)}' AS namespace, told.source_system, {stored} AS stored"
                    f" FROM silver.{table.name} AS told WHERE NOT {stored} IS NULL"
                )
        if any(column.treatment == SHIFT for column in one.shown):
            stored = f"CAST(told.{declared.person_key} AS TEXT)"
            yield (
                f"SELECT '{SHIFT}' AS namespace, told.source_system, {stored} AS stored"
                f" FROM silver.{table.name} AS told WHERE NOT {stored} IS NULL"
            )
