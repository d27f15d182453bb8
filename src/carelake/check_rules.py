"""Rules -> the mistakes in them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from . import plan, quality, sql
from .check_sql import at, not_portable, refused_in_rule
from .check_words import CHOICES, misnamed, unknown
from .errors import Mistake
from .model import VIEWS
from .page import Page, Text, part, told

SEVERITY = {"otherwise", "tolerated", "sources"}  # all that a project may change of a rule that is there


def mistakes_in_rules(
    page: Page, rules: Mapping[str, Any], table: Page, tables: Mapping[str, Page], references: Collection[str]
) -> Iterator[Mistake]:
    """A rule says what must hold of a row of `table`, and why. Of one that is there already, `page` may be another one
    that gives it another severity.
    """
    known = {*table.part("rules"), *_implied(table)} if page is not table else _implied(table)
    for name, rule in rules.items():
        if isinstance(rule, Mapping) and rule and rule.keys() <= SEVERITY:
            yield from unknown(page, name, "rule", known)
            if "otherwise" in rule:
                yield from unknown(page, told(rule, "otherwise"), "otherwise", CHOICES["otherwise"])
            yield from _unsevere(page, rule)
            continue
        yield from misnamed(page, name, rule, "rule")
        must = told(part(rules, name), "must") or Text("TRUE")
        refused = list(not_portable(page, must, refused_in_rule))
        yield from refused
        if isinstance(rule, Mapping) and not refused:
            yield from _unsevere(page, rule)
            yield from _unseen(page, name, rule, table, tables, references)


def _implied(table: Page) -> set[str]:
    """The names of the rules that columns imply."""
    columns = {name: part(table.part("columns"), name) for name in table.part("columns")}
    present = {f"{name}_present" for name, says in columns.items() if told(says, "required") == "true"}
    closed = {f"{name}_known" for name, says in columns.items() if "one_of" in says}
    met = {f"{n}_met" for n, says in columns.items() if told(says, "refers_to") not in ("", table.stem)}
    return present | closed | met


def _unsevere(page: Page, rule: Mapping[str, Any]) -> Iterator[Mistake]:
    """Shares that are none, and words that are no severity."""
    for name, says in [("", rule), *part(rule, "sources").items()]:
        if name:
            yield from misnamed(page, name, says, "severity")
        yield from no_share(page, told(says, "tolerated") or "0")


def no_share(page: Page, share: str) -> Iterator[Mistake]:
    """A word that stands where a share of rows should."""
    if not _is_share(share):
        found, why = f"'{share}' is not a share of rows", "Nobody could tell how many rows that are."
        yield page.mistake("LAKE-146", share, found, why, "Write one from 0 to 1: 0.005 is one row in 200.")


def _is_share(told: str) -> bool:
    try:
        return 0 <= Decimal(told) <= 1
    except InvalidOperation:
        return False


def _unseen(
    page: Page, name: str, rule: Mapping[str, Any], table: Page, tables: Mapping[str, Page], references: Collection[str]
) -> Iterator[Mistake]:
    """What a rule looks at is there. A set rule sees what silver shows, and holds nothing back."""
    must = told(rule, "must") or Text("TRUE")  # one that is none is told elsewhere
    columns = table.part("columns")
    if not quality.is_of_a_set(must):
        for column in quality.columns_of(must):
            yield from unknown(page, at(must, column), "column", columns)
        return
    severities = [told(says, "otherwise") for says in (rule, *part(rule, "sources").values())]
    if "quarantine" in severities:
        found = f"'{name}' looks at more than its own row, and cannot hold it back"
        why = "Whether a row is good would hang on which others came before it."
        yield page.mistake("LAKE-147", must, found, why, "Write `otherwise: warn`, or `stop`.")
    referred = {told(says, "refers_to") for says in columns.values()} - {"", table.stem}
    for other in quality.beside(must):
        yield from unknown(page, at(must, other), "table that it refers to", referred)
    for other in sql.tables_of(must):
        yield from unknown(page, at(must, other), "table", _readable(tables, references))
    for column in quality.columns_of(must):
        qualifier, _, bare = column.rpartition(".")
        there = tables.get(qualifier, table) if qualifier else table
        yield from unknown(page, at(must, bare), "column", _shown(there))


def _readable(tables: Mapping[str, Page], references: Collection[str]) -> set[str]:
    silver = {f"silver.{name}{view}" for name in tables for view in VIEWS}
    return silver | {f"reference.{name}" for name in references}


def _shown(table: Page) -> set[str]:
    """What silver may show of a row. What the privacy page keeps out of it is found when the rule is run."""
    referred = (told(says, "refers_to") for says in table.part("columns").values())
    keys = {f"{name}_key" for name in (table.stem, *referred) if name}
    return {*table.part("columns"), *keys, *plan.SHOWN}
