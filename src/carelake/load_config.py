"""A `load_config.csv` as users have it -> feeds. It says which tables load, how, and by which watermark; the mapping of
their columns stays in sources/*.yml.

Its columns are `database, datasource, tablename, loadtype, watermark, is_active, targetpath`. `database` and
`targetpath` are not used: the connection is the source's, and bronze has one layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from .errors import Mistake, choose
from .model import Feed

NAME = "load_config.csv"
COLUMNS = {"datasource", "tablename", "loadtype", "watermark", "is_active"}
LOADS: Mapping[str, Literal["full", "watermark"]] = {"full": "full", "incremental": "watermark"}


def applied(feeds: Iterable[Feed], rows: Sequence[Mapping[str, str]] | None) -> tuple[Feed, ...]:
    """`feeds` as the file wants them. Of a source it names, a table it does not list is inactive; without a file, all
    stay as they are; a listed table that no feed describes lands in bronze and goes no further.
    """
    feeds = tuple(feeds)
    if rows is None:
        return feeds
    listed = {(row["datasource"], _bare(row["tablename"])): row for row in rows}
    named = {row["datasource"] for row in rows}
    known = {(feed.source, _bare(feed.at)) for feed in feeds if feed.reader == "sql"}
    twin = {feed.source: feed for feed in feeds if feed.reader == "sql"}
    bare = [_bronze_only(twin[place[0]], row) for place, row in listed.items() if place not in known]
    return tuple(_as_listed(feed, listed, named) for feed in (*feeds, *bare))


def _as_listed(feed: Feed, listed: Mapping[tuple[str, str], Mapping[str, str]], named: Iterable[str]) -> Feed:
    row = listed.get((feed.source, _bare(feed.at)))
    if feed.reader != "sql" or feed.source not in named:
        return feed
    if row is None:
        return replace(feed, active=False)
    watermark = row["watermark"] or None
    return replace(feed, load=LOADS[row["loadtype"].lower()], watermark=watermark, active=row["is_active"] == "1")


def _bronze_only(twin: Feed, row: Mapping[str, str]) -> Feed:
    return Feed(
        source=twin.source,
        name=_bare(row["tablename"]),
        reader="sql",
        connection=twin.connection,
        at=row["tablename"],
        load="full",
        fills=None,
        columns={},
        time_zone=twin.time_zone,
        optional=twin.optional,
    )


def mistakes_in(rows: Sequence[Mapping[str, str]] | None, sources: Iterable[str]) -> Iterator[Mistake]:
    """Rows that name no source, no known load type, or no watermark where one is needed."""
    if rows and (missing := COLUMNS - rows[0].keys()):
        why = "Without them it does not say what to load."
        found = f"it has no column {', '.join(sorted(missing))}"
        yield Mistake(
            "LAKE-115", f"{NAME}:1", found, why, f"Its header is: database,{','.join(sorted(COLUMNS))},targetpath."
        )
        return
    for line, row in enumerate(rows or [], 2):
        for found, fix in _found_in(row, sources):
            yield Mistake("LAKE-115", f"{NAME}:{line}", found, "The table would not load as you expect.", fix)


def _found_in(row: Mapping[str, str], sources: Iterable[str]) -> Iterator[tuple[str, str]]:
    if row["datasource"] not in sources:
        yield f"there is no source '{row['datasource']}'", choose(row["datasource"], sources)
    if row["loadtype"].lower() not in LOADS:
        yield f"there is no loadtype '{row['loadtype']}'", choose(row["loadtype"], ["Full", "Incremental"])
    elif LOADS[row["loadtype"].lower()] == "watermark" and not row["watermark"]:
        yield "it is Incremental and names no watermark", "Name the column that grows with every change, or say Full."
    if row["is_active"] not in {"0", "1"}:
        yield f"is_active is '{row['is_active']}'", "Write 1 to load the table, 0 to leave it out."


def _bare(table: str) -> str:
    """`dbo.Encounters` -> `encounters`."""
    return table.rsplit(".", 1)[-1].strip('"[]`').lower()
