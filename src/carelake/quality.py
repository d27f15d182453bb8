"""Rules -> SQL. Pure: nothing here opens a table. These are row rules: they look at one row, and at its load's day."""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from .model import Rule, Table

DAY = "_lake_as_of"  # the day of the load that brought the row stands beside it, so that a rerun judges alike
TOMORROW = "_lake_tomorrow"  # a day after its load was extracted: no clock and no time zone is that far ahead


def rules_of(table: Table) -> tuple[Rule, ...]:
    """Every rule a table must keep: those its key, its source time and its columns imply, then those it declares."""
    implied = [*rules_of_gone(table)]
    for column in table.columns:
        if column.required:
            must = f"NOT {column.name} IS NULL"
            implied.append(Rule(f"{column.name}_present", must, "it is required", "quarantine"))
        if column.one_of:
            allowed = ", ".join(exp.Literal.string(value).sql("duckdb") for value in column.one_of)
            implied.append(
                Rule(f"{column.name}_known", f"{column.name} IN ({allowed})", "the list is closed", "quarantine")
            )
    return (*implied, *table.rules)


def rules_of_gone(table: Table) -> tuple[Rule, ...]:
    """What is demanded even of a row that says it is gone: that its place among the versions can be told."""
    keys = [Rule(f"{key}_present", f"NOT {key} IS NULL", "it is part of the key", "quarantine") for key in table.key]
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
    """SQL, one a rule of that `otherwise`: its name where a row breaks it, else NULL. A NULL verdict passes."""
    asked = (rule for rule in rules if rule.otherwise in otherwise)
    return [f"CASE WHEN NOT ({must_of(rule)}) THEN '{rule.name}' END" for rule in asked]


def tally(table: Table, rows: str, per: str) -> str:
    """One pass over `rows`, mapped ones: for each value of `per`, how many there are and break each rule."""
    counts = [f"COUNT(CASE WHEN NOT ({must_of(rule)}) THEN 1 END) AS {rule.name}" for rule in counted(table)]
    return f"SELECT {', '.join([per, 'COUNT(*) AS rows_seen', *counts])} FROM {rows} AS judged GROUP BY {per}"


def must_of(rule: Rule) -> str:
    """What the rule demands, with `$as_of` read from the row."""
    return rule.must.replace("$as_of", DAY)
