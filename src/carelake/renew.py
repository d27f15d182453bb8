"""A fact after a change of what it is made of: the rows that the change reaches are computed anew, and no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from . import recompute
from .engine import Engine
from .model import Mart
from .recompute import Fact, Lookup


@dataclass(frozen=True)
class Before:
    """What a mart was made of when it was built last."""

    changed: Mapping[str, int]  # inputs that are others now -> the version of what stores them
    as_of: date | None  # the other day that it was seen from


@dataclass(frozen=True)
class LookedUp:
    """What facts look up, compared once for all of them with what it was when they were built."""

    engine: Engine
    found: dict[tuple[Lookup, int], tuple[str, int | None]] = field(default_factory=dict)

    def of(self, one: Lookup, since: int) -> tuple[str, int | None]:
        """The relation that holds the values of its column whose rows are others now, and how many they are; None if
        that cannot be told.
        """
        asked = replace(one, by=""), since  # whoever asks, and by whatever of its own rows
        if asked not in self.found:
            name = f"changed_{len(self.found)}"
            self.found[asked] = name, _hold(self.engine, name, one, since)
        return self.found[asked]

    def let_go(self) -> None:
        self.engine.let_go(*(name for name, _ in self.found.values()))


def renew(engine: Engine, looked_up: LookedUp, mart: Mart, before: Before, as_of: date, note: str) -> int | None:
    """Of `mart`, compute the rows anew that `before` reaches: how many keys that were. None, and nothing is done, if it
    has to be built whole.
    """
    key = mart.recompute_by
    fact = recompute.proven(mart.select, key) if key else None
    if not key or fact is None:
        return None
    wanted = [one for one in (Lookup(fact.driver, key, (key,), key), *fact.lookups) if one.table in before.changed]
    if {one.table for one in wanted} != before.changed.keys():
        return None
    try:
        found = {one: looked_up.of(one, before.changed[one.table]) for one in wanted}
        if any(count is None for _, count in found.values()):
            return None
        changed = {one: name for one, (name, count) in found.items() if count}
        touched = engine.hold("touched", _touched(fact, key, changed, (before.as_of, as_of) if before.as_of else None))
        select = recompute.over(f"SELECT * FROM {fact.driver} WHERE {key} IN (SELECT {key} FROM touched)", mart.select)
        return None if engine.supersede(f"gold.{mart.name}", key, select, as_of, note) is None else touched
    finally:
        engine.let_go("touched", "earlier")


def _hold(engine: Engine, name: str, one: Lookup, since: int) -> int | None:
    """Hold the values of its column whose rows are others now: how many; None if that cannot be told."""
    layer, _, table = one.table.partition(".")
    if layer == "silver":  # a view: of its key, if it is looked up by that, what changes is appended to its versions
        known = one.column == f"{table}_key" and engine.added("earlier", f"{one.table}_versions", since)
        return engine.hold(name, f"SELECT DISTINCT {one.column} FROM earlier") if known else None
    if not engine.recall("earlier", one.table, since):
        return None
    used = ", ".join(one.used)
    both = f"SELECT {used}, 1 AS n FROM {one.table} UNION ALL SELECT {used}, -1 AS n FROM earlier"
    differs = f"SELECT {used} FROM ({both}) AS compared GROUP BY {used} HAVING SUM(n) <> 0"
    return engine.hold(name, f"SELECT DISTINCT {one.column} FROM ({differs}) AS differs")


def _touched(fact: Fact, key: str, changed: Mapping[Lookup, str], between: tuple[date, date] | None) -> str:
    """The keys whose rows may be others now: of the driver's own changes, gone ones among them, and those reached."""
    own = [f"SELECT {key} FROM {name}" for one, name in changed.items() if one.table == fact.driver and one.by == key]
    others = [(one.by, name) for one, name in changed.items() if (one.table, one.by) != (fact.driver, key)]
    return " UNION ".join([*own, recompute.reached(fact, key, others, between)])
