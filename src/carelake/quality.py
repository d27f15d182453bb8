"""Rules -> SQL. Pure: nothing here opens a table.

A *row rule* looks at one row and at its load's day. It is judged when the row arrives, and may hold it back. A *set
rule* looks further: at other rows, or at a row that this one refers to. It is judged on all rows that stand, whenever
they have changed, and holds none of them back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from sqlglot import exp

from .model import Rule, Table
from .sql import HOME, quoted, tree_of

DAY = "_lake_as_of"  # the day of the load that brought the row stands beside it, so that a rerun judges alike
TOMORROW = "_lake_tomorrow"  # a day after its load was extracted: no clock and no time zone is that far ahead


def rules_of(table: Table) -> tuple[Rule, ...]:
    """Every row rule of a table: those its key, its source time and its columns imply, then those it declares. One that
    is implied may be declared with another severity.
    """
    named = {rule.name: rule for rule in (*implied(table), *table.rules)}
    return tuple({**named, **{rule.name: rule for rule in rules_of_gone(table)}}.values())


def implied(table: Table) -> Iterator[Rule]:
    """The row rules that columns imply: what is required is there, and of a closed list."""
    for column in table.columns:
        if column.required:
            must = f"NOT {column.name} IS NULL"
            yield Rule(f"{column.name}_present", must, "it is required", "quarantine", "completeness")
        if column.one_of:
            allowed = ", ".join(exp.Literal.string(value).sql(HOME) for value in column.one_of)
            must = f"{column.name} IN ({allowed})"
            yield Rule(f"{column.name}_known", must, "the list is closed", "quarantine")


def rules_of_gone(table: Table) -> tuple[Rule, ...]:
    """What is demanded even of a row that says it is gone: that its place among the versions can be told."""
    why = "it is part of the key"
    keys = [Rule(f"{key}_present", f"NOT {key} IS NULL", why, "quarantine", "completeness") for key in table.key]
    because = "a version from the future would hide every correction until then"
    time = table.sequence_by
    return (*keys, Rule(f"{time}_not_in_future", f"{time} <= {TOMORROW}", because, "quarantine"))


def counted(table: Table) -> tuple[Rule, ...]:
    """Every rule that is counted: that a value could be read as its column's type, then `rules_of`."""
    typed = (f"{column.name}_readable" for column in table.columns if column.type != "text")
    must = "NOT REGEXP_MATCHES(_unreadable, '(^|;){}(;|$)')"  # it names all that could not, and is most often NULL
    because = "what cannot be read as its column's type would look like nothing"
    return (*(Rule(name, must.format(name), because, "quarantine") for name in typed), *rules_of(table))


def broken(rules: Iterable[Rule], *otherwise: str) -> list[str]:
    """SQL, one a rule that is of that `otherwise` in some source: its name where a row breaks it, else NULL. A NULL
    verdict passes.
    """
    judged = ((rule, _where(rule, otherwise)) for rule in rules)
    return [
        f"CASE WHEN NOT ({must_of(rule)}){where} THEN '{rule.name}' END" for rule, where in judged if where != NEVER
    ]


NEVER = " AND FALSE"


def _where(rule: Rule, otherwise: Iterable[str]) -> str:
    """In which sources a rule is of one of these severities: SQL that continues a condition."""
    usual = rule.otherwise in otherwise
    unusual = [name for name, severity in rule.sources.items() if (severity.otherwise in otherwise) != usual]
    if not unusual:
        return "" if usual else NEVER
    listed = ", ".join(exp.Literal.string(name).sql(HOME) for name in unusual)
    return f" AND {'NOT ' if usual else ''}source_system IN ({listed})"


def tally(table: Table, rows: str, per: str) -> str:
    """One pass over `rows`, mapped ones: for each value of `per`, how many there are and break each rule."""
    counts = [f"COUNT(CASE WHEN NOT ({must_of(rule)}) THEN 1 END) AS {rule.name}" for rule in counted(table)]
    return f"SELECT {', '.join([per, 'COUNT(*) AS rows_seen', *counts])} FROM {rows} AS judged GROUP BY {per}"


def must_of(rule: Rule) -> str:
    """What the rule demands, with `$as_of` read from the row."""
    return rule.must.replace("$as_of", DAY)


# --- set rules -------------------------------------------------------------------------------------------------------

HELD_BACK = "(held back)"  # counted beside the rules: rows in quarantine. No rule can be named so


def set_rules_of(table: Table) -> tuple[Rule, ...]:
    """Every set rule of a table: what it refers to is there, then those it declares."""
    return tuple({rule.name: rule for rule in (*met(table), *table.set_rules)}.values())


def met(table: Table) -> Iterator[Rule]:
    """The set rules that `refers_to` implies. What is not met is kept, and counted for the unknown member."""
    for key, column in table.refers.items():
        must = f"{key} IS NULL OR NOT {key.removesuffix('_key')}.{key} IS NULL"
        yield Rule(f"{column}_met", must, "it refers to a row that should be there", "warn", "consistency")


def is_of_a_set(must: str) -> bool:
    """Whether SQL, which must be readable, looks at more than its own row."""
    tree = tree_of(must)
    return bool(tree.find(exp.Window, exp.Query)) or any(column.table for column in tree.find_all(exp.Column))


def beside(must: str) -> list[str]:
    """The tables whose rows a rule looks at beside its own: those that qualify its columns."""
    return sorted({column.table for column in _outer(tree_of(must)) if column.table})


def columns_of(must: str) -> list[str]:
    """The columns that a rule reads, each as it is written there; not those of its subqueries."""
    return list(dict.fromkeys(".".join(part.name for part in column.parts) for column in _outer(tree_of(must))))


def standing(table: Table) -> list[str]:
    """SELECTs over all that stands, each `source_system, flags, quarantine_reasons, found, n, rows_seen`: how many rows
    of a source are flagged, held back, or break set rules, in each combination that occurs; and how many rows that adds
    to what was seen of the source.

    Row rules have been judged, so that one pass reads their flags. All rules that look at the same other table share a
    pass, and so do those that look at none; a window and an IN (SELECT ...) have one of their own. Each reads the few
    columns it needs: all of them at once held so much in memory that nine million rows took two minutes, and not ten
    seconds.
    """
    passes: dict[str, list[Rule]] = {}
    for rule in set_rules_of(table):
        alone = bool(tree_of(rule.must).find(exp.Window, exp.Query))
        passes.setdefault(rule.name if alone else ".".join(beside(rule.must)), []).append(rule)
    return [_flagged(table), *(_counted(table, rules) for rules in passes.values())]


_NONE = "CAST(NULL AS TEXT)"


def _flagged(table: Table) -> str:
    counts = "COUNT(*) AS n, COUNT(*) AS rows_seen"
    return f"""SELECT source_system, flags, {_NONE} AS quarantine_reasons, {_NONE} AS found, {counts}
FROM silver.{table.name}
GROUP BY source_system, flags
UNION ALL
SELECT source_system, flags, quarantine_reasons, {_NONE} AS found, {counts}
FROM silver.{table.name}_all
WHERE is_quarantined
GROUP BY source_system, flags, quarantine_reasons"""


def _counted(table: Table, rules: Sequence[Rule]) -> str:
    own = quoted(table.name)
    found = [f"CASE WHEN NOT ({_qualified(rule.must, table.name)}) THEN '{rule.name}' END" for rule in rules]
    broken = found[0] if len(found) == 1 else f"NULLIF(CONCAT_WS(';', {', '.join(found)}), '')"
    judged = f"SELECT {own}.source_system, {broken} AS found FROM silver.{table.name} AS {own}\n{_joined(table, rules)}"
    return f"""SELECT source_system, {_NONE} AS flags, {_NONE} AS quarantine_reasons, found, COUNT(*) AS n,
    CAST(0 AS BIGINT) AS rows_seen
FROM (
{judged}
) AS judged
WHERE NOT found IS NULL
GROUP BY source_system, found"""


def breaking(table: Table, rule: Rule) -> str:
    """The surrogate keys of the rows that break a set rule."""
    own = quoted(table.name)
    judged = f"""SELECT {own}.{table.own_key}, NOT ({_qualified(rule.must, table.name)}) AS is_broken
FROM silver.{table.name} AS {own}
{_joined(table, (rule,))}"""
    return f"SELECT {table.own_key} FROM (\n{judged}\n) AS judged WHERE is_broken ORDER BY {table.own_key}"


def flagged(table: Table, rule: Rule) -> str:
    """The surrogate keys of the rows that broke a row rule when they arrived, and still stand or wait."""
    named = f"'(^|;){rule.name}(;|$)'"
    broke = f"REGEXP_MATCHES(flags, {named}) OR REGEXP_MATCHES(quarantine_reasons, {named})"
    return f"SELECT {table.own_key} FROM silver.{table.name}_all WHERE {broke} ORDER BY {table.own_key}"


def _joined(table: Table, rules: Iterable[Rule]) -> str:
    """The tables that rules look at beside `table`, one row each for one of its rows."""
    own = quoted(table.name)
    names = sorted({name for rule in rules for name in beside(rule.must)})
    return "\n".join(
        f"LEFT JOIN silver.{name} AS {quoted(name)} ON {quoted(name)}.{name}_key = {own}.{name}_key" for name in names
    )


@cache
def _qualified(must: str, table: str) -> str:
    """A rule whose columns say of which table they are."""
    tree = tree_of(must).copy()
    for column in _outer(tree):
        column.set("table", exp.to_identifier(column.table or table, quoted=True))
    return tree.sql(HOME)


def _outer(tree: exp.Expr) -> list[exp.Column]:
    """The columns of a rule that are not a subquery's."""
    return [column for column in tree.find_all(exp.Column, bfs=False) if not column.find_ancestor(exp.Query)]
