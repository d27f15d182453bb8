"""A declared story -> the SELECT of what happened to a row, in the words of its table. Pure.

It reads `told.steps`, the versions of a table as changes.py tells them, and `told.held`, its quarantine.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from .changes import compared
from .model import Policy, Table
from .plan import LOAD, SOURCE_TIME, select

STEPS, HELD, LOADS, WHOSE = "told.steps", "told.held", "told.loads", "told.whose"
PLACE = {  # column of an answer -> what it is of the version
    "at": "valid_from", "until": "valid_to", "is_current": "is_current", "is_change": "is_change",
    "operation": "_operation", "reason": "_reason", "load_id": "_load", "run_id": "_run", "known_at": "inserted_date",
}  # fmt: skip


def own_id(table: Table) -> str | None:
    """The column that names a row of `table` in its source; None if several do together."""
    names = [name for name in table.key if name != "source_system"]
    return names[0] if len(names) == 1 else None


def of_id(table: Table, source: str, own: str) -> str:
    """The keys of the row that `source` calls `own`, also of one that is only held back."""
    same = f"source_system = {_text(source)} AND CAST({own_id(table)} AS TEXT) = {_text(own)}"
    both = (f"SELECT {table.own_key} AS key FROM {relation} AS told WHERE {same}" for relation in (STEPS, HELD))
    return " UNION ".join(both)


def linked(table: Table, keys: Iterable[int]) -> str:
    """The keys of the rows that follow one of `keys`, or that one of them follows, and `keys` themselves."""
    follows = table.story.follows if table.story else None
    mine = f"SELECT {{}} FROM {STEPS} AS mine WHERE {table.own_key} IN ({_listed(keys)})"
    if not follows or not own_id(table):
        return mine.format(f"DISTINCT {table.own_key} AS key")
    named, names = (f"CONCAT(source_system, CHR(31), CAST({name} AS TEXT))" for name in (own_id(table), follows))
    near = (
        f"{table.own_key} IN ({_listed(keys)}) OR {named} IN ({mine.format(names)} AND NOT {follows} IS NULL)"
        f" OR {names} IN ({mine.format(named)} AND NOT {own_id(table)} IS NULL)"
    )
    return f"SELECT DISTINCT {table.own_key} AS key FROM {STEPS} AS other WHERE {near}"


def happened(table: Table, policy: Policy, keys: Iterable[int]) -> str:
    """What happened to the rows of `keys`, in its order: a row for each version, with what it says and what the one
    before it said as text, and `event_<name>` where an event of the story is true of it.
    """
    names = compared(table, policy)
    told = [f"CAST({column} AS TEXT) AS {column}" for name in names for column in (name, f"old_{name}")]
    events = table.story.events if table.story else ()
    true = [f"COALESCE(({event.when}), FALSE) AS event_{event.name}" for event in events]
    place = [f"{how} AS _{name}" for name, how in PLACE.items()]
    chosen = select(
        [f"{table.own_key} AS _key", "source_system AS _source_system", "place AS _version", *place, *told, *true],
        f"{STEPS} AS step WHERE {table.own_key} IN ({_listed(keys)})",
    )
    return f"{chosen}\nORDER BY valid_from, {table.own_key}, place"


def waiting(table: Table, keys: Iterable[int]) -> str:
    """What is held back of `keys` and has not come right since: neither itself, nor by a later version."""
    key = table.own_key
    later = f"SELECT 1 FROM {STEPS} AS step WHERE step.{key} = held.{key} AND (step.{LOAD} > held.{LOAD}"
    same = f"step.{LOAD} = held.{LOAD} AND step.{SOURCE_TIME} = held.{SOURCE_TIME}"
    return select(
        [f"held.{key} AS key", "held.quarantine_reasons AS reasons", "held.quarantined_at AS since", "load.load_id"],
        f"{HELD} AS held LEFT JOIN {LOADS} AS load ON load.id = held.{LOAD}",
        f"WHERE held.{key} IN ({_listed(keys)}) AND NOT EXISTS ({later} OR ({same})))",
        f"ORDER BY held.{LOAD}",
    )


def whose(table: Table, keys: Iterable[int], person: str) -> str:
    """The persons, by the column that holds their keys, of the rows of a story."""
    return f"SELECT DISTINCT {person} FROM {WHOSE} WHERE {table.own_key} IN ({_listed(keys)}) AND NOT {person} IS NULL"


def _listed(keys: Iterable[int]) -> str:
    return ", ".join(str(int(key)) for key in sorted(keys)) or "NULL"


def _text(word: str) -> str:
    return exp.Literal.string(word).sql("duckdb")
