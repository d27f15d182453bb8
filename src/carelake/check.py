"""Pages of tables, sources and marts -> the mistakes in them. Pure, and it never stops at the first."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from typing import Any
from zoneinfo import available_timezones

from sqlglot import exp
from sqlglot.errors import SqlglotError

from . import check_rules, plan, recompute, sql
from .check_sql import at, not_portable, refused_in_expression, refused_in_select
from .check_upkeep import mistakes_in_access_log, mistakes_in_retention, mistakes_in_upkeep
from .check_words import SOURCE, misnamed, unfit, unknown
from .errors import Mistake, choose
from .model import VIEWS
from .page import Page, listed, part, told

READS = {"table": "connection", "files": "landing", "service": "connection"}  # what a feed reads, and where it says so


def mistakes_in_table(
    page: Page, kinds: Mapping[str, Any], tables: Mapping[str, Page], references: Collection[str]
) -> Iterator[Mistake]:
    """A table is keyed by source system first, its columns say their kind, its rules are portable."""
    columns, key = page.part("columns"), listed(page.says, "key")
    yield from misnamed(page, page.stem, page.says, "table")
    yield from unfit(page, [page.stem, *columns, *page.part("rules")])
    yield from _taken(page, columns)
    if key[:1] != ["source_system"]:
        why = "Two systems give out the same numbers, and one would overwrite the other."
        found = "the key does not start with source_system"
        yield page.mistake("LAKE-105", key and key[0], found, why, "Put it first: `key: [source_system, ...]`.")
    named = [told(page.says, word) for word in ("sequence_by", "tie_breaker")]
    for word in [*key, *listed(page.says, "track"), *filter(None, named)]:
        yield from unknown(page, word, "column", columns)
    for word in listed(page.says, "z_order"):
        yield from unknown(page, word, "column", [*columns, f"{page.stem}_key", *_keys(columns)])
    for name, column in columns.items():
        yield from misnamed(page, name, column, "column")
        yield from _unkind(page, name, column, kinds)
        yield from _misreferred(page, name, column, kinds, tables)
    yield from _unstored(page, [*key, *filter(None, named[1:])], kinds)
    yield from _inexact(page, kinds)
    yield from check_rules.mistakes_in_rules(page, page.part("rules"), page, tables, references)
    yield from check_rules.no_share(page, told(page.says, "sla") or "1")


def _inexact(page: Page, kinds: Mapping[str, Any]) -> Iterator[Mistake]:
    """A view of the restricted zone shows columns that are stored there, and are the table's."""
    views, columns = page.part("exact"), page.part("columns")
    yield from unfit(page, views)
    for view in views:
        for word in listed(views, view):
            kind = told(part(columns, word), "kind")
            if word not in columns:
                yield from unknown(page, word, "column", columns)
            elif kind in kinds and kinds[kind][:1] != ["restrict"]:
                found = f"'{word}' of '{view}' is not in the restricted zone"
                why = "The view would have nothing to show of it, or what silver shows already."
                yield page.mistake("LAKE-152", word, found, why, "Name columns that privacy.yml says to `restrict`.")


def _keys(columns: Mapping[str, Any]) -> Iterator[str]:
    """The columns of silver that hold keys of other tables."""
    return (f"{refers}_key" for name in columns if (refers := told(part(columns, name), "refers_to")))


def _misreferred(
    page: Page, name: str, column: object, kinds: Mapping[str, Any], tables: Mapping[str, Page]
) -> Iterator[Mistake]:
    """A column refers to a table by its one key column, whose values silver makes alike."""
    refers = told(column, "refers_to") or page.stem
    yield from unknown(page, refers, "table", tables)
    target = tables.get(refers, page)
    key = [one for one in listed(target.says, "key") if one != "source_system"]
    if refers == page.stem or not key:
        return
    if len(key) > 1:
        found = f"'{name}' refers to '{refers}', whose key has {len(key)} columns"
        why = "Keys are minted from one column."
        yield page.mistake("LAKE-105", name, found, why, "Join by those columns in a mart instead.")
    mine, theirs = (told(says, "kind") for says in (column, part(target.part("columns"), key[0])))
    if mine != theirs and "token" in {(kinds.get(kind) or [""])[0] for kind in (mine, theirs)}:
        found = f"'{name}' is a '{mine}', and '{key[0]}' of '{refers}', which it refers to, a '{theirs}'"
        why = "Each kind has tokens of its own, so that one would never find the other."
        yield page.mistake("LAKE-105", mine or name, found, why, f"Write `kind: {theirs}`.")


def _unstored(page: Page, needed: Iterable[str], kinds: Mapping[str, Any]) -> Iterator[Mistake]:
    """Columns that silver would have to tell versions apart by, and that the privacy page drops."""
    columns = page.part("columns")
    refer = [name for name in columns if told(part(columns, name), "refers_to")]
    for name in dict.fromkeys([*needed, *refer]):
        kind = told(part(columns, name), "kind")
        if (kinds.get(kind) or [""])[0] == "drop":
            found = f"'{name}' tells rows apart, and nothing is stored of a '{kind}'"
            why = "Keys are minted from what silver stores."
            yield page.mistake("LAKE-119", kind, found, why, "Give it a kind that is stored, such as record_number.")


OWN = re.compile(
    r"_.*|.*_key|(is|old|quarantine)_.*|flags|valid_(from|to)|(inserted|modified)_date|life|place|latest|tie|twin"
)
BEHIND = (*VIEWS[1:], "_versions")  # the name of a table: its views, and what they read


def _taken(page: Page, columns: Mapping[str, Any]) -> Iterator[Mistake]:
    """Names that are CareLake's own, and keys that would have one name."""
    if page.stem.endswith(BEHIND):
        why = "Tables of that name are views of another one."
        yield page.mistake("LAKE-116", "", f"'{page.stem}' cannot be the name of a table", why, "Name it otherwise.")
    for name in columns:
        if OWN.fullmatch(name) and not (name.startswith("is_") and name not in plan.TIMELINE):
            why = "Silver has a column of its own by that name, or makes one."
            yield page.mistake("LAKE-116", name, f"'{name}' cannot be the name of a column", why, "Name it otherwise.")
    referred = [(told(says, "refers_to"), name) for name, says in columns.items() if told(says, "refers_to")]
    for table in {table for table, _ in referred if [one for one, _ in referred].count(table) > 1}:
        names = ", ".join(name for one, name in referred if one == table)
        why = f"Both would be minted as '{table}_key', and one would be lost."
        yield page.mistake("LAKE-105", names, f"{names} refer to '{table}'", why, "Let one of them refer to it.")


def mistakes_in_source(page: Page, tables: Mapping[str, Page]) -> Iterator[Mistake]:
    """A feed says what it reads, and fills every column of a table that exists, in portable SQL."""
    yield from misnamed(page, page.stem, page.says, "source")
    yield from unfit(page, [page.stem, *page.part("feeds")], SOURCE)
    for says in (page.says, *page.part("feeds").values()):
        yield from _no_zone(page, says)
    for name, feed in page.part("feeds").items():
        yield from misnamed(page, name, feed, "feed")
        if isinstance(feed, Mapping):
            yield from _unread(page, name, feed)
            yield from _mapped(page, name, feed, tables)
            yield from _uncontrolled(page, feed)
            yield from _unwanted(page, name, feed, tables)


def _no_zone(page: Page, says: object) -> Iterator[Mistake]:
    zone = told(says, "time_zone")
    if zone and zone not in available_timezones():
        fix = choose(zone, available_timezones())
        yield page.mistake("LAKE-102", zone, f"there is no time zone '{zone}'", "Times would shift.", fix)


def _unread(page: Page, name: str, feed: Mapping[str, Any]) -> Iterator[Mistake]:
    reads = [word for word in READS if word in feed]
    if len(reads) != 1:
        found, why = f"'{name}' says {len(reads)} of table, files and service", "A feed reads one thing."
        yield page.mistake("LAKE-109", name, found, why, "Say `table: ...`, `files: ...` or `service: ...`.")
    elif READS[reads[0]] not in page.says:
        found = f"'{name}' reads {reads[0]}, and the source has no '{READS[reads[0]]}'"
        yield page.mistake("LAKE-109", name, found, "Nobody knows where to read.", f"Add `{READS[reads[0]]}: ...`.")
    if feed.get("load") == "watermark" and not told(feed, "watermark"):
        found = f"'{name}' loads by watermark and names none"
        yield page.mistake("LAKE-109", name, found, "What is new could not be told.", "Add `watermark: <column>`.")


def _uncontrolled(page: Page, feed: Mapping[str, Any]) -> Iterator[Mistake]:
    """Control totals and types say words that mean something."""
    if "control" in feed and isinstance(feed["control"], Mapping):
        yield from misnamed(page, "control", feed["control"], "control")
    for kind in part(feed, "types").values():
        yield from unknown(page, kind, "type to read a column as", ["text"])


def _unwanted(page: Page, name: str, feed: Mapping[str, Any], tables: Iterable[str]) -> Iterator[Mistake]:
    """What a service is asked for is one column of a SELECT over silver."""
    wanted = told(feed, "wanted")
    if not wanted:
        return
    refused = list(not_portable(page, wanted, refused_in_select))
    yield from refused
    if not refused:
        known = {f"silver.{table}{view}" for table in tables for view in VIEWS}
        for table in sql.tables_of(wanted):
            yield from unknown(page, at(wanted, table), "table", known)
        if "service" not in feed or len(sql.columns_of(wanted)) != 1:
            found = f"'{name}' wants more than one column, or of no service"
            why = "It is what a service is asked for, one value after the other."
            yield page.mistake("LAKE-109", wanted, found, why, "SELECT one column, in a feed that says `service: ...`.")


def _mapped(page: Page, name: str, feed: Mapping[str, Any], tables: Mapping[str, Page]) -> Iterator[Mistake]:
    fills, columns = told(feed, "fills"), part(feed, "columns")
    if fills in tables:
        yield from _unfilled(page, name, columns, tables[fills])
        yield from _keyless(page, name, feed, tables[fills])
    elif fills:
        yield from unknown(page, fills, "table", tables)
    for expression in [*columns.values(), feed.get("delete_when", "TRUE")]:
        yield from not_portable(page, expression, refused_in_expression)


def _keyless(page: Page, name: str, feed: Mapping[str, Any], table: Page) -> Iterator[Mistake]:
    for column in listed(table.says, "key"):
        if "key" not in feed and column != "source_system" and not bare_column(part(feed, "columns").get(column, "x")):
            found = f"'{name}' computes '{column}', a part of its key"
            why = "Its own columns that tell its rows apart cannot be guessed from an expression."
            yield page.mistake("LAKE-109", name, found, why, "Add `key: [<its own columns>]`.")


def bare_column(expression: object) -> str | None:
    """The column that an expression is, if it is no more than that."""
    try:
        tree = sql.tree_of(str(expression))
    except SqlglotError:
        return None
    return tree.name if isinstance(tree, exp.Column) else None


def _unfilled(page: Page, feed: str, columns: Iterable[str], table: Page) -> Iterator[Mistake]:
    """A feed fills every column but the optional ones; without key and source time no row has a place."""
    there = table.part("columns")
    wanted = there.keys() - {"source_system"}
    placed = {*listed(table.says, "key"), told(table.says, "sequence_by")}
    optional = {name for name in there if told(there[name], "optional") == "true"} - placed
    for column in columns:
        yield from unknown(page, column, "column", wanted)
    for column in sorted(wanted - optional - set(columns)):
        why = "A column that is empty by oversight looks like one that is empty in truth."
        fix = "Map it; to NULL, if this source does not have it."
        yield page.mistake("LAKE-106", feed, f"'{feed}' does not fill '{column}'", why, fix)


def mistakes_in_mart(page: Page, select: Page, kinds: Mapping[str, Any], known: Iterable[str]) -> Iterator[Mistake]:
    """A mart is one portable SELECT over `known` tables, and the page beside it says what its columns reveal."""
    yield from misnamed(page, page.stem, page.says, "mart")
    columns, text = page.part("columns"), select.says["select"]
    yield from unfit(page, [page.stem, *columns])
    refused = list(mistakes_in_select(select, text, known))
    yield from refused
    if not refused and sql.columns_of(text) != list(columns):
        why = "What is not described has no kind, and would be shown to everybody."
        yield page.mistake("LAKE-107", "", "its columns are not those of the SELECT", why, "List both in one order.")
    if not refused:
        yield from _unproven(page, text)
    for name, column in columns.items():
        yield from misnamed(page, name, column, "column of a mart")
        yield from _unkind(page, name, column, kinds)
    for word in listed(page.says, "z_order"):
        yield from unknown(page, word, "column", columns)
    if kpi := page.part("kpi"):
        yield from misnamed(page, "kpi", kpi, "kpi")
        yield from unknown(page, kpi.get("value", ""), "column", columns)


def mistakes_in_select(page: Page, text: str, known: Iterable[str]) -> Iterator[Mistake]:
    """A SELECT is portable, and reads `known` tables only."""
    refused = list(not_portable(page, text, refused_in_select))
    yield from refused
    if not refused:
        for table in sql.tables_of(text):
            yield from unknown(page, at(text, table), "table", known)


def _unproven(page: Page, select: str) -> Iterator[Mistake]:
    key = told(page.says, "recompute_by")
    if key and not recompute.proven(select, key):
        found = f"it is not proven that a row of '{page.stem}' is made of one row by '{key}'"
        why = "Recomputed by that key, it could come out otherwise than built whole."
        fix = "SELECT the key of `FROM silver.<table>`, only LEFT JOIN what it looks up, or leave the word out."
        yield page.mistake("LAKE-124", key, found, why, fix)


def mistakes_in_lake(
    page: Page, tables: Mapping[str, Page], references: Collection[str], sources: Collection[str]
) -> Iterator[Mistake]:
    """lake.yml says words it may say; its rules are of tables that exist, and what it keeps is of sources that do."""
    yield from misnamed(page, page.stem, page.says, "lake")
    yield from misnamed(page, "roots", page.part("roots"), "roots")
    yield from misnamed(page, "encrypted_by", page.part("encrypted_by"), "roots")
    yield from _no_day(page)
    yield from mistakes_in_upkeep(page)
    yield from mistakes_in_access_log(page)
    yield from mistakes_in_retention(page, sources)
    for table, rules in page.part("rules").items():
        yield from unknown(page, table, "table", tables)
        if table in tables and isinstance(rules, Mapping):
            yield from unfit(page, rules)
            yield from check_rules.mistakes_in_rules(page, rules, tables[table], tables, references)
        elif not isinstance(rules, Mapping):
            fix = "Indent one `name: ...` a line below it."
            yield page.mistake("LAKE-101", table, f"'{table}' names no rules", "It means nothing so.", fix)


def _no_day(page: Page) -> Iterator[Mistake]:
    day = told(page.says, "as_of") or "today"
    try:
        _ = day == "today" or date.fromisoformat(day)
    except ValueError:
        why = "Figures are seen from one day, and a guess would shift them all."
        fix = "Write `as_of: today`, or a day as in `as_of: 2024-11-30`."
        yield page.mistake("LAKE-102", day, f"there is no day '{day}'", why, fix)


def _unkind(page: Page, name: str, says: object, kinds: Iterable[str]) -> Iterator[Mistake]:
    kind = told(says, "kind")
    if kind not in kinds:
        found = f"column '{name}' has an unknown kind, '{kind}'" if kind else f"column '{name}' does not say its kind"
        why = "Every column must, so that nothing leaves the lake because someone forgot."
        yield page.mistake("LAKE-104", kind or name, found, why, choose(kind, kinds))
