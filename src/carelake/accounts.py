"""What became of what was landed: figures that the ledger, the tables and their marks tell independently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from . import silver
from .engine import Engine
from .ledger import TABLE
from .plan import LOAD, REVISION

Figures = list[tuple[str, Decimal, Decimal]]  # item, what is expected, what is found


def loads(engine: Engine) -> list[Mapping[str, Any]]:
    """Every load of the lake, as far as figures are told of it."""
    names = "id, data_source, feed, sequence, numberofrowscopied"
    return list(engine.ask(f"SELECT {names} FROM {TABLE} ORDER BY id").to_pylist())


def refined(engine: Engine, table: str, fed: Sequence[tuple[str, str]], landed: Sequence[Mapping[str, Any]]) -> Figures:
    """Rows that were landed and taken in, by the ledger; and where they are, counted in the tables themselves. `fed`
    are the (source, feed) that fill the table now.
    """
    stored = f"silver.{table}_versions"
    marked = {
        (source, feed): engine.marked(stored, silver.mark(table, source, feed))
        for source, feed in dict.fromkeys((load["data_source"], load["feed"]) for load in landed)
    }
    mine = [load for load in landed if marked[load["data_source"], load["feed"]] or _of(load) in fed]
    taken = [load for load in mine if load["sequence"] <= marked[_of(load)]]
    waiting = [load["id"] for load in mine if load["sequence"] > marked[_of(load)]]
    expected = sum(load["numberofrowscopied"] for load in taken)
    return [(f"rows of {table}", Decimal(expected), Decimal(_placed(engine, table, waiting)))]


def _of(load: Mapping[str, Any]) -> tuple[str, str]:
    return load["data_source"], load["feed"]


def _placed(engine: Engine, table: str, waiting: Sequence[int]) -> int:
    """Rows that are a version, held back, or were refused for a reason that was counted when it was found."""
    stored = f"silver.{table}_versions"
    seen = f"{LOAD} NOT IN ({', '.join(map(str, waiting))})" if waiting else "TRUE"  # of a killed run, some are held
    counts = (
        f"SELECT COUNT(*) AS n FROM {stored} WHERE {REVISION} = 0",
        f"SELECT COUNT(*) AS n FROM quarantine.{table} WHERE {seen}",
    )
    physical = sum(int(engine.ask(count).to_pylist()[0]["n"]) for count in counts)
    tallies = (silver.tally_of(table, tally) for tally in (silver.REFUSED, silver.SETTLED))
    return physical + sum(engine.marked(stored, tally) for tally in tallies)
