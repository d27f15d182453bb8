"""Pages of tables, sources and marts -> the mistakes in them. Pure, and it never stops at the first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from zoneinfo import available_timezones

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from . import sql
from .errors import Mistake, choose
from .model import TYPES
from .page import Page, Text, part

NEEDS = {
    "table": {"about", "key", "sequence_by", "history", "columns"},
    "column": {"type", "kind"},
    "rule": {"must", "because", "otherwise"},
    "source": {"about", "feeds"},
    "feed": set[str](),
    "mart": {"about", "columns"},
    "column of a mart": {"kind", "about"},
    "lake": {"about"},
    "kpi": {"value", "unit"},
}
MAY_HAVE = {
    "table": {"rules", "track", "tie_breaker"},
    "column": {"required", "one_of", "refers_to", "about"},
    "source": {"connection", "landing", "time_zone", "optional"},
    "feed": {
        "about", "table", "files", "service", "load", "watermark", "lookback", "key", "fills", "columns", "contract",
        "types", "delete_when", "control", "time_zone", "active", "archive",
    },
    "mart": {"kpi", "recompute_by"},
    "column of a mart": {"type"},
    "lake": {"roots", "engine", "as_of", "rules", "settings", "env", "shipped"},
}  # fmt: skip
CHOICES = {
    "history": {"scd1", "scd2"},
    "otherwise": {"warn", "quarantine", "stop"},
    "type": set(TYPES),
    "load": {"full", "watermark", "append"},
    "contract": {"evolve", "freeze", "quarantine"},
    "engine": {"duck", "spark"},
    "active": {"true", "false"},
    "archive": {"true", "false"},
    "optional": {"true", "false"},
    "required": {"true", "false"},
}
MAPPINGS = {"columns", "rules", "feeds", "types", "control", "settings", "roots", "kpi"}
READS = {"table": "connection", "files": "landing", "service": "connection"}  # what a feed reads, and where it says so


NAME = re.compile(r"[a-z][a-z0-9_]*")
SOURCE = re.compile(r"[a-z][a-z0-9_-]*")


def _unfit(page: Page, names: Iterable[str], pattern: re.Pattern[str] = NAME) -> Iterator[Mistake]:
    for name in names:
        if not pattern.fullmatch(name):
            why = "It becomes the name of a folder, a table or a column."
            fix = "Use small letters, digits and underscores, beginning with a letter."
            yield page.mistake("LAKE-116", name, f"'{name}' cannot be a name", why, fix)


def mistakes_in_table(page: Page, kinds: Iterable[str], tables: Iterable[str]) -> Iterator[Mistake]:
    """A table is keyed by source system first, its columns say their kind, its rules are portable."""
    columns, key = page.part("columns"), page.says.get("key", [])
    yield from _misnamed(page, page.stem, page.says, "table")
    yield from _unfit(page, [page.stem, *columns, *page.part("rules")])
    if key[:1] != ["source_system"]:
        why = "Two systems give out the same numbers, and one would overwrite the other."
        found = "the key does not start with source_system"
        yield page.mistake("LAKE-105", key and key[0], found, why, "Put it first.")
    for word in [
        *key,
        *page.says.get("track", []),
        *(page.says[n] for n in ["sequence_by", "tie_breaker"] if n in page.says),
    ]:
        yield from _unknown(page, word, "column", columns)
    for name, column in columns.items():
        yield from _misnamed(page, name, column, "column")
        yield from _unkind(page, name, column, kinds)
        yield from _unknown(page, part(columns, name).get("refers_to", page.stem), "table", tables)
    yield from mistakes_in_rules(page, page.part("rules"))


def mistakes_in_rules(page: Page, rules: Mapping[str, Any], known: Iterable[str] = ()) -> Iterator[Mistake]:
    """A rule says what must hold and why. One of `known` may be given another severity only."""
    for name, rule in rules.items():
        if name in known and isinstance(rule, Mapping) and rule.keys() == {"otherwise"}:
            yield from _unknown(page, rule["otherwise"], "otherwise", CHOICES["otherwise"])
        else:
            yield from _misnamed(page, name, rule, "rule")
            yield from _not_portable(page, part(rules, name).get("must", "TRUE"), sql.refused_in_expression)


def mistakes_in_source(page: Page, tables: Mapping[str, Page]) -> Iterator[Mistake]:
    """A feed says what it reads, and fills every column of a table that exists, in portable SQL."""
    yield from _misnamed(page, page.stem, page.says, "source")
    yield from _unfit(page, [page.stem, *page.part("feeds")], SOURCE)
    if (zone := page.says.get("time_zone", "UTC")) not in available_timezones():
        yield page.mistake(
            "LAKE-102",
            zone,
            f"there is no time zone '{zone}'",
            "Times would shift.",
            choose(zone, available_timezones())[:200],
        )
    for name, feed in page.part("feeds").items():
        yield from _misnamed(page, name, feed, "feed")
        if isinstance(feed, Mapping):
            yield from _unread(page, name, feed)
            yield from _mapped(page, name, feed, tables)


def _unread(page: Page, name: str, feed: Mapping[str, Any]) -> Iterator[Mistake]:
    reads = [word for word in READS if word in feed]
    if len(reads) != 1:
        found = f"'{name}' says {len(reads)} of table, files and service"
        yield page.mistake(
            "LAKE-109", name, found, "A feed reads one thing.", "Say `table: ...`, `files: ...` or `service: ...`."
        )
    elif READS[reads[0]] not in page.says:
        found = f"'{name}' reads {reads[0]}, and the source has no '{READS[reads[0]]}'"
        yield page.mistake("LAKE-109", name, found, "Nobody knows where to read.", f"Add `{READS[reads[0]]}: ...`.")
    if feed.get("load") == "watermark" and "watermark" not in feed:
        found = f"'{name}' loads by watermark and names none"
        yield page.mistake("LAKE-109", name, found, "What is new could not be told.", "Add `watermark: <column>`.")


def _mapped(page: Page, name: str, feed: Mapping[str, Any], tables: Mapping[str, Page]) -> Iterator[Mistake]:
    fills, columns = str(feed.get("fills", "")), part(feed, "columns")
    if fills in tables:
        wanted = tables[fills].part("columns").keys() - {"source_system"}
        yield from _unfilled(page, name, columns, wanted)
        yield from _keyless(page, name, feed, tables[fills])
    elif fills:
        yield from _unknown(page, fills, "table", tables)
    for expression in [*columns.values(), feed.get("delete_when", "TRUE")]:
        yield from _not_portable(page, expression, sql.refused_in_expression)


def _keyless(page: Page, name: str, feed: Mapping[str, Any], table: Page) -> Iterator[Mistake]:
    for column in table.says.get("key", []):
        if "key" not in feed and column != "source_system" and not bare_column(part(feed, "columns").get(column, "x")):
            found = f"'{name}' computes '{column}', a part of its key"
            why = "Its own columns that tell its rows apart cannot be guessed from an expression."
            yield page.mistake("LAKE-109", name, found, why, "Add `key: [<its own columns>]`.")


def bare_column(expression: str) -> str | None:
    """The column that an expression is, if it is no more than that."""
    try:
        tree = sqlglot.parse_one(expression, dialect=sql.HOME)
    except SqlglotError:
        return None
    return tree.name if isinstance(tree, exp.Column) else None


def _unfilled(page: Page, feed: str, columns: Iterable[str], wanted: Iterable[str]) -> Iterator[Mistake]:
    for column in columns:
        yield from _unknown(page, column, "column", wanted)
    for column in sorted(set(wanted) - set(columns)):
        why = "A column that is empty by oversight looks like one that is empty in truth."
        fix = "Map it; to NULL, if this source does not have it."
        yield page.mistake("LAKE-106", feed, f"'{feed}' does not fill '{column}'", why, fix)


def mistakes_in_mart(page: Page, select: Text, kinds: Iterable[str]) -> Iterator[Mistake]:
    """A mart is one portable SELECT, and the page beside it says what each of its columns reveals."""
    yield from _misnamed(page, page.stem, page.says, "mart")
    refused = list(_not_portable(Page(page.path.with_suffix(".sql"), {}), select, sql.refused_in_select))
    yield from refused
    columns = page.part("columns")
    if not refused and sql.columns_of(select) != list(columns):
        why = "What is not described has no kind, and would be shown to everybody."
        yield page.mistake("LAKE-107", "", "its columns are not those of the SELECT", why, "List both in one order.")
    for name, column in columns.items():
        yield from _misnamed(page, name, column, "column of a mart")
        yield from _unkind(page, name, column, kinds)
    if "kpi" in page.says:
        yield from _misnamed(page, "kpi", page.says["kpi"], "kpi")
        yield from _unknown(page, page.part("kpi").get("value", ""), "column", columns)


def mistakes_in_lake(page: Page, tables: Mapping[str, Page]) -> Iterator[Mistake]:
    """lake.yml says words it may say; its rules are of tables that exist."""
    yield from _misnamed(page, page.stem, page.says, "lake")
    for table, rules in page.part("rules").items():
        yield from _unknown(page, table, "table", tables)
        known = tables[table].part("rules") if table in tables else ()
        yield from mistakes_in_rules(page, part(page.part("rules"), table), known) if isinstance(rules, Mapping) else ()


def _misnamed(page: Page, name: str, says: object, noun: str) -> Iterator[Mistake]:
    """Words that a noun lacks, does not know, or gives a value it cannot have."""
    if not isinstance(says, Mapping):
        fix = f"Write {', '.join(sorted(NEEDS[noun])) or 'its words'} below it, indented."
        yield page.mistake("LAKE-101", name, f"{noun} '{name}' says nothing", "It means nothing without.", fix)
        return
    known = NEEDS[noun] | MAY_HAVE.get(noun, set())
    for word in sorted(NEEDS[noun] - says.keys() - {"kind"}):
        found = f"{noun} '{name}' has no '{word}'"
        yield page.mistake("LAKE-101", name, found, "It means nothing without.", f"Add `{word}: ...`.")
    for word, value in says.items():
        yield from _unknown(page, word, "word", known)
        if word in MAPPINGS and word in known and not isinstance(value, Mapping):
            found = f"'{word}' of {noun} '{name}' is not a list of `name: ...`"
            yield page.mistake(
                "LAKE-101", word, found, "It means nothing so.", "Indent one `name: ...` a line below it."
            )
        elif word in CHOICES:
            yield from _unknown(page, value, word, CHOICES[word])


def _unkind(page: Page, name: str, says: object, kinds: Iterable[str]) -> Iterator[Mistake]:
    kind = says.get("kind", "") if isinstance(says, Mapping) else ""
    if kind not in kinds:
        found = f"column '{name}' has an unknown kind, '{kind}'" if kind else f"column '{name}' does not say its kind"
        why = "Every column must, so that nothing leaves the lake because someone forgot."
        yield page.mistake("LAKE-104", kind or name, found, why, choose(kind, kinds))


def _unknown(page: Page, word: object, noun: str, known: Iterable[str]) -> Iterator[Mistake]:
    if not isinstance(word, str) or word not in known:
        shown = word if isinstance(word, str) else "what stands here"
        yield page.mistake(
            "LAKE-102", word, f"there is no {noun} '{shown}'", "A slip would go unseen.", choose(shown, known)
        )


def _not_portable(page: Page, text: object, refused: Callable[[str], list[tuple[str, str]]]) -> Iterator[Mistake]:
    text = text if isinstance(text, str) else "what is not SQL"
    for found, instead in refused(text):
        why = "Engines answer it differently, or nobody has shown that they do not."
        before = text[: max(text.upper().find(found), 0)]
        word = Text(found, getattr(text, "line", 1) + before.count("\n"))
        yield page.mistake("LAKE-120", word, f"{found} is not allowed", why, f"Use {instead}.")
