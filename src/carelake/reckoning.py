"""What reconciliations are made over: for each of them what it compares, from which state, and how to get the figures.

Those that SELECTs give the figures of are in comparison.py; those that the ledger and the tables' marks tell, in
accounts.py.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from . import accounts, bronze, comparison, gold, landed, release
from .comparison import Comparison
from .ledger import TABLE as LEDGER
from .model import Feed, Reconciliation

if TYPE_CHECKING:
    from .lake import Lake  # which makes the table of their results

Loads = Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]  # (source, feed) -> its loads, in order
APART = tuple(f"{layer}." for layer in comparison.APART)


@dataclass(frozen=True)
class Unit:
    """One reconciliation over one thing, to be judged."""

    of: Reconciliation
    part: str
    left_name: str
    right_name: str
    reads: tuple[str, ...]
    inputs: str
    figures: Callable[[], accounts.Figures]
    idle: str = ""  # why there is nothing to compare
    behind: str | None = None  # SELECT of the rows, or the loads, that make the difference


def units(lake: Lake, as_of: date, now: datetime) -> Iterator[Unit]:
    """All that is to be judged on the day of the figures, `as_of`, at the moment `now`."""
    loads: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for load in accounts.loads(lake.engine):
        loads[load["data_source"], load["feed"]].append(load)
    last = release.latest(lake.engine)
    for one in lake.declared.reconciliations.values():
        if one.compares == "source_and_bronze":
            yield from (_arrived(feed, one, loads) for feed in lake.declared.feeds)
        elif one.compares == "landed_and_usual":
            yield from (_usual(feed, one, loads, now) for feed in lake.declared.feeds if _is_daily(feed))
        elif one.compares == "bronze_and_silver":
            yield from (_refined(lake, table, one, loads) for table in lake.declared.tables)
    for compared in comparison.comparisons(lake.declared):
        yield _compared(lake, compared, as_of, loads, last.tables if last else {})


def _arrived(feed: Feed, one: Reconciliation, loads: Loads) -> Unit:
    """What the source counted is what was landed."""
    name, mine = f"{feed.source}.{feed.name}", loads.get((feed.source, feed.name), [])
    figures = partial(accounts.arrived, name, mine)
    inputs = _digest(str(len(mine)), *(f"{load['rows_told']} {load['sum_told']}" for load in landed.since_whole(mine)))
    idle = "" if figures() else "nothing to compare yet: no load tells what its source counted"
    return Unit(one, name, "the source", "bronze", _fills(feed), inputs, figures, idle, _loads_of(feed))


def _usual(feed: Feed, one: Reconciliation, loads: Loads, now: datetime) -> Unit:
    """What was landed today is about what is usual for the weekday."""
    name, mine = f"{feed.source}.{feed.name}", loads.get((feed.source, feed.name), [])
    figures = partial(accounts.usual, name, mine, now)
    idle = "" if figures() else f"nothing to compare yet: it takes {accounts.ENOUGH} weeks to know what is usual"
    inputs = _digest(*(f"{item} {left} {right}" for item, left, right in figures()))
    return Unit(one, name, "usual", "landed today", _fills(feed), inputs, figures, idle, _loads_of(feed))


def _is_daily(feed: Feed) -> bool:
    """Whether each day brings rows of its own: a table that loads whole lands nothing on a day without changes."""
    return feed.active and feed.reader != "reference" and feed.load != "full"


def _fills(feed: Feed) -> tuple[str, ...]:
    return (f"silver.{feed.fills}",) if feed.fills else ()


def _loads_of(feed: Feed) -> str:
    counts = "rows_told, rows_read, summed, sum_told, sum_read, numberofrowscopied"
    where = f"data_source = '{feed.source}' AND feed = '{feed.name}'"
    return f"SELECT load_id, {counts} FROM {LEDGER} WHERE {where} ORDER BY id"


def _refined(lake: Lake, table: str, one: Reconciliation, loads: Loads) -> Unit:
    """What its feeds landed is in a table, held back, or was refused for a reason."""
    fed = [(feed.source, feed.name) for feed in lake.declared.feeds if feed.fills == table]
    every = [load for mine in loads.values() for load in mine]
    last = max((load["id"] for load in every), default=0)
    inputs = _digest(gold.state(lake.engine, f"silver.{table}"), str(last))
    figures = partial(accounts.refined, lake.engine, table, fed, every)
    listed = " OR ".join(f"(data_source = '{source}' AND feed = '{feed}')" for source, feed in fed) or "FALSE"
    behind = f"SELECT load_id, numberofrowscopied FROM {LEDGER} WHERE {listed} ORDER BY id"
    return Unit(one, table, "bronze", "silver and quarantine", (f"silver.{table}",), inputs, figures, "", behind)


def _compared(lake: Lake, one: Comparison, as_of: date, loads: Loads, released: Mapping[str, int]) -> Unit:
    """What SELECTs give the figures of."""
    states = {name: _state(lake, name, loads, released) for name in one.reads}
    absent = sorted(name for name, state in states.items() if not state.strip())
    idle = f"nothing to compare yet: there is no {', no '.join(absent)}" if absent else ""
    day = as_of.isoformat() if "$as_of" in one.left + one.right else ""
    inputs = _digest(one.left, one.right, day, *(f"{name} {state}" for name, state in sorted(states.items())))
    figures = partial(_ask, lake, one, as_of, released)
    return Unit(one.of, one.part, one.left_name, one.right_name, one.reads, inputs, figures, idle, one.behind)


def _state(lake: Lake, name: str, loads: Loads, released: Mapping[str, int]) -> str:
    """What tells one state of a relation from another; empty if it is not there."""
    layer, _, table = name.partition(".")
    if layer == "released":
        return str(released.get(f"gold.{table}", ""))
    if layer == "bronze":
        feed = _feed(lake, name)
        mine = loads.get((feed.source, feed.name))
        return str(mine[-1]["id"]) if mine else ""
    return gold.state(lake.engine, name)


def _feed(lake: Lake, relation: str) -> Feed:
    return next(feed for feed in lake.declared.feeds if feed.relation == relation)


def _ask(lake: Lake, one: Comparison, as_of: date, released: Mapping[str, int]) -> accounts.Figures:
    shown = [_shown(lake, name, released) for name in one.reads if name.startswith(APART)]
    try:
        rows = lake.engine.ask(comparison.side_by_side(one.left, one.right), as_of).to_pylist()
    finally:
        lake.engine.let_go(*(name for names in shown for name in names))
    return [(row["item"], row["left_figure"], row["right_figure"]) for row in rows]


def _shown(lake: Lake, name: str, released: Mapping[str, int]) -> tuple[str, ...]:
    """Let SELECTs read what is no table of the lake: a mart as it was released, or what a feed holds in bronze."""
    layer, _, table = name.partition(".")
    relation = f"{comparison.APART[layer]}{table}"
    if layer == "released":
        lake.engine.recall(relation, f"gold.{table}", released[f"gold.{table}"])
        return (relation,)
    feed, raw = _feed(lake, name), f"{relation}_landed"
    lake.engine.show(raw, bronze.files(lake.bronze, lake.ledger.loads(feed)))
    lake.engine.hold(relation, landed.standing(feed, raw))
    return (relation, raw)


def _digest(*told: str) -> str:
    return hashlib.sha256("\n".join(told).encode()).hexdigest()
