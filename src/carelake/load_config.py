"""A `load_config.csv` as users have it -> feeds. It says which tables load, how, and by which watermark; the mapping of
their columns stays in sources/*.yml.

Its columns are `database, datasource, tablename, loadtype, watermark, is_active, targetpath`. `database` and
`targetpath` are not used: the connection is the source's, and bronze has one layout.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from .check_words import SOURCE
from .errors import Mistake, choose
from .model import Feed
from .page import Page

NAME = "load_config.csv"
COLUMNS = ("datasource", "tablename", "loadtype", "watermark", "is_active")
HEADER = "database,datasource,tablename,loadtype,watermark,is_active,targetpath"
LOADS: Mapping[str, Literal["full", "watermark"]] = {"full": "full", "incremental": "watermark"}
Row = Mapping[str, str]


def applied(feeds: Iterable[Feed], rows: Sequence[Row] | None) -> tuple[Feed, ...]:
    """`feeds` as the file wants them. Of a source it names, a table it does not list is inactive; without a file, all
    stay as they are; a listed table that no feed describes lands in bronze and goes no further.
    """
    feeds = tuple(feeds)
    if rows is None:
        return feeds
    listed = {(row["datasource"], bare(row["tablename"])): row for row in rows}
    named = {row["datasource"] for row in rows}
    known = {(feed.source, bare(feed.at)) for feed in feeds if feed.reader == "sql"}
    twin = {feed.source: feed for feed in feeds if feed.reader == "sql"}
    alone = [_bronze_only(twin[place[0]], row) for place, row in listed.items() if place not in known]
    return tuple(_as_listed(feed, listed, named) for feed in (*feeds, *alone))


def _as_listed(feed: Feed, listed: Mapping[tuple[str, str], Row], named: Collection[str]) -> Feed:
    row = listed.get((feed.source, bare(feed.at)))
    if feed.reader != "sql" or feed.source not in named:
        return feed
    if row is None:
        return replace(feed, active=False, idle=f"not listed in {NAME}")
    if row["is_active"] != "1":
        return replace(feed, active=False, idle=f"is_active is 0 in {NAME}")
    return replace(feed, load=LOADS[row["loadtype"].lower()], watermark=row["watermark"] or None, active=True)


def _bronze_only(twin: Feed, row: Row) -> Feed:
    return Feed(
        source=twin.source,
        name=bare(row["tablename"]),
        reader="sql",
        connection=twin.connection,
        at=row["tablename"],
        load="full",
        fills=None,
        columns={},
        time_zone=twin.time_zone,
        optional=twin.optional,
    )


def mistakes_in(rows: Sequence[Row] | None, pages: Iterable[Page]) -> Iterator[Mistake]:
    """Rows that name no database, no known load type, no watermark where one is needed, or a table twice."""
    if rows is None:
        return
    if missing := [name for name in COLUMNS if name not in (rows[0] if rows else {})]:
        found = f"it has no row with the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
        yield _mistake(1, found, "Without them it does not say what to load.", f"Its header is: {HEADER}.")
        return
    pages = list(pages)
    databases = [page.stem for page in pages if _tables(page)]
    known = {(page.stem, bare(table)) for page in pages for table in _tables(page)}
    count = Counter((row["datasource"], bare(row["tablename"])) for row in rows)
    for line, row in enumerate(rows, 2):
        place = (row["datasource"], bare(row["tablename"]))
        for found, fix in [*_wrong_in(row, databases), *_wrong_place(place, known, count[place])]:
            yield _mistake(line, found, "The table would not load as you expect.", fix)


def _mistake(line: int, found: str, why: str, fix: str) -> Mistake:
    return Mistake("LAKE-115", f"{NAME}:{line}", found, why, fix)


def _tables(page: Page) -> list[str]:
    feeds = page.part("feeds").values()
    return [feed["table"] for feed in feeds if isinstance(feed, Mapping) and isinstance(feed.get("table"), str)]


def _wrong_in(row: Row, databases: Collection[str]) -> Iterator[tuple[str, str]]:
    if row["datasource"] not in databases:
        yield f"there is no database '{row['datasource']}'", choose(row["datasource"], databases)
    if row["loadtype"].lower() not in LOADS:
        yield f"there is no loadtype '{row['loadtype']}'", choose(row["loadtype"], ["Full", "Incremental"])
    elif LOADS[row["loadtype"].lower()] == "watermark" and not row["watermark"]:
        yield "it is Incremental and names no watermark", "Name the column that grows with every change, or say Full."
    if row["is_active"] not in {"0", "1"}:
        yield f"is_active is '{row['is_active']}'", "Write 1 to load the table, 0 to leave it out."


def _wrong_place(place: tuple[str, str], known: Collection[tuple[str, str]], times: int) -> Iterator[tuple[str, str]]:
    if times > 1:
        yield f"'{place[1]}' is listed {times} times", "Leave one row of it."
    if place not in known and not SOURCE.fullmatch(place[1]):
        fix = "Describe it as a feed in sources/*.yml, under a name of small letters, digits and underscores."
        yield f"'{place[1]}' cannot be the name of a feed", fix


def bare(table: str) -> str:
    """`dbo.Encounters` -> `encounters`."""
    return table.rsplit(".", 1)[-1].strip('"[]`').lower()
