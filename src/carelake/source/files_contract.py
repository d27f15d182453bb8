"""The columns a file has against those its feed needs and had before. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import sqlglot
from sqlglot import exp

from ..errors import FileHeaderDrifted, SourceColumnMissing
from ..model import Feed


def needed(feed: Feed) -> tuple[str, ...]:
    """The file's columns without which the feed cannot fill its table, as the declarations spell them."""
    said = [*feed.columns.values(), *filter(None, [feed.delete_when])]
    read = [name for expression in said for name in _columns(expression)]
    named = [*feed.key, *filter(None, [feed.watermark, feed.control.get("sum")])]
    return tuple({name.lower(): name for name in [*named, *read]}.values())


def _columns(expression: str) -> Iterator[str]:
    """The columns in an SQL expression, in the order they stand."""
    return (column.name for column in sqlglot.parse_one(expression, read="duckdb").find_all(exp.Column, bfs=False))


def _filled(feed: Feed, name: str) -> str:
    """What a column is read for: the columns of silver that are made of it."""
    made = [column for column, expression in feed.columns.items() if name in _columns(expression)]
    return f"for {', '.join(made)}" if made else ""


def expected(feed: Feed, landed: Mapping[str, str] | None) -> frozenset[str]:
    """Every column that the feed has a word of, in lower case: what a header is known by."""
    return frozenset(name.lower() for name in (*needed(feed), *(landed or ())))


def spelled(names: Sequence[str], landed: Mapping[str, str] | None) -> tuple[str, ...]:
    """The names as they were first landed: `claimid` is no other column than `ClaimID`."""
    known = {name.lower(): name for name in landed or ()}
    return tuple(known.get(name.lower(), name) for name in names)


def drift(feed: Feed, name: str, names: Sequence[str], landed: Mapping[str, str] | None) -> list[str]:
    """What changed and may, in words. Order and upper or lower case are no change.

    Raises `SourceColumnMissing`, and `FileHeaderDrifted` where the contract is `freeze` or `quarantine`.
    """
    has, had = {n.lower(): n for n in names}, {n.lower(): n for n in landed or ()}
    added = [has[n] for n in has if had and n not in had]
    gone = [had[n] for n in had if n not in has]
    missing = [n for n in needed(feed) if n.lower() not in has]
    if feed.contract != "evolve" and (added or gone):
        raise FileHeaderDrifted(f"{name} {_told(added, gone)}.", _mend(feed))
    if missing:
        wanted = ", ".join(f"'{n}' ({what})" if (what := _filled(feed, n)) else f"'{n}'" for n in missing)
        fix = f"Ask for it to be sent again, or mend the columns of feed '{feed.name}' in sources/{feed.source}.yml."
        raise SourceColumnMissing(f"{name} has no column {wanted}.", f"It has: {', '.join(names)}. {fix}")
    return [f"{name} {_told(added, gone)}."] if added or gone else []


def _told(added: Sequence[str], gone: Sequence[str]) -> str:
    told = [("has a new column", added), ("no longer has", gone)]
    return " and ".join(f"{words} {', '.join(columns)}" for words, columns in told if columns)


def _mend(feed: Feed) -> str:
    where = "It was moved to quarantine/." if feed.contract == "quarantine" else "It was left where it is."
    return (
        f"{where} If the change is meant, set `contract: evolve` for feed '{feed.name}' in sources/{feed.source}.yml."
    )
