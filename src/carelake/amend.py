"""Repaired rows -> the SELECTs that put them in the places of the rows they stand for. Pure.

A load of repairs lies in bronze like any other. Each of its rows is a row of an earlier load as it should have been.
It says of which load and which row (`_lake_sequence`, `_lake_of_row`), in which repair (`_lake_repair`; of several the
last one counts), and which rules it may break (`_lake_accepted`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlglot import exp

from .model import Feed, Table
from .plan import ALLOWED, LOAD, NUMBER, OF_ROW, REPAIR, ROW, SEQUENCE, SOURCE_TIME, select

AMBIGUOUS = "ambiguous_version"


def standing(relation: str) -> str:
    """Of `relation`, which shows loads and the repairs of them, each row once: as it was repaired last."""
    last = (
        f"SELECT {SEQUENCE} AS of_load, {OF_ROW} AS of_row, MAX({REPAIR}) AS repair FROM {relation} AS repaired"
        f" WHERE NOT {OF_ROW} IS NULL GROUP BY {SEQUENCE}, {OF_ROW}"
    )
    place = f"last.of_load = told.{SEQUENCE} AND last.of_row = COALESCE(told.{OF_ROW}, told.{NUMBER})"
    latest = f"last.repair IS NOT DISTINCT FROM told.{REPAIR}"
    return f"(SELECT told.* FROM {relation} AS told LEFT JOIN ({last}) AS last ON {place} WHERE {latest})"


def addressed(feed: Feed, relation: str, consumed: int) -> str:
    """The address of every row that repairs behind number `consumed` stand for, and the number of the last of them."""
    loads = f"pending_load ON _lake_feed = '{feed.source}/{feed.name}' AND _lake_load_sequence = {SEQUENCE}"
    return (
        f"SELECT _lake_load_id AS {LOAD}, {OF_ROW} AS {ROW}, '{feed.repairs.name}' AS feed, MAX({REPAIR}) AS repair"
        f" FROM {relation} AS repaired INNER JOIN {loads}"
        f" WHERE {REPAIR} > {consumed} GROUP BY _lake_load_id, {OF_ROW}"
    )


def among(names: str, name: str) -> str:
    """SQL of whether a name is one of `names`, an expression, with ; between."""
    literal = exp.Literal.string(f";{name};").sql("duckdb")
    return f"STRPOS(CONCAT(';', COALESCE({names}, ''), ';'), {literal}) > 0"


def touched(table: Table, rows: str) -> str:
    """The keys of `rows`, arrived ones, that are `addressed`; of a row without one, the load it came in."""
    whole = _whole(table)
    keys = [f"CASE WHEN {whole} THEN told.{key} END AS {key}" for key in table.key]
    return select(
        [*(f"DISTINCT {keys[0]}" if not n else key for n, key in enumerate(keys)),
         f"CASE WHEN NOT ({whole}) THEN told.{LOAD} END AS {LOAD}"],
        f"({rows}) AS told",
        f"INNER JOIN addressed ON addressed.{LOAD} = told.{LOAD} AND addressed.{ROW} = told.{ROW}",
    )  # fmt: skip


def reached(table: Table, rows: str) -> str:
    """All of `rows`, arrived ones, whose keys are `touched`: what is there of a key is judged and placed together."""
    same = " AND ".join(f"touched.{key} = told.{key}" for key in table.key)
    keyless = f"NOT ({_whole(table)}) AND told.{LOAD} IN (SELECT {LOAD} FROM touched WHERE NOT {LOAD} IS NULL)"
    return (
        f"SELECT told.* FROM ({rows}) AS told"
        f" WHERE EXISTS (SELECT 1 FROM touched WHERE touched.{LOAD} IS NULL AND {same}) OR ({keyless})"
    )


def _whole(table: Table) -> str:
    return " AND ".join(f"NOT told.{key} IS NULL" for key in table.key)


def excused(columns: Sequence[str], rules: Iterable[str]) -> str:
    """`keyed` without the reasons that were accepted; what was accepted is a flag instead. `rules` are all of them."""
    reasons, flags = "CONCAT(';', quarantine_reasons, ';')", ["flags"]
    for rule in rules:
        accepted = among(ALLOWED, rule)
        flags.append(f"CASE WHEN {accepted} AND {among('quarantine_reasons', rule)} THEN '{rule}' END")
        reasons = f"REPLACE({reasons}, CASE WHEN {accepted} THEN ';{rule};' ELSE ';;' END, ';')"
    told = {
        "quarantine_reasons": f"NULLIF(TRIM({reasons}, ';'), '') AS quarantine_reasons",
        "flags": f"NULLIF(CONCAT_WS(';', {', '.join(flags)}), '') AS flags",
    }
    return select([told.get(name, name) for name in columns], "keyed")


def preferred(table: Table) -> str:
    """`keyed` without the rows that contradict one which was accepted, and has their key, time and load."""
    place = (table.own_key, SOURCE_TIME, LOAD)
    same = " AND ".join(f"accepted.{name} = keyed.{name}" for name in place)
    accepted = among(ALLOWED, AMBIGUOUS)
    chosen = f"SELECT {', '.join(place)} FROM keyed WHERE quarantine_reasons IS NULL AND {accepted}"
    loses = f"keyed.quarantine_reasons IS NULL AND NOT {accepted}"
    return f"SELECT * FROM keyed WHERE NOT ({loses} AND EXISTS (SELECT 1 FROM ({chosen}) AS accepted WHERE {same}))"


def made_anew(table: Table, side: str) -> str:
    """Whether a row of `side` is one of those that are made anew: of their keys, and of the loads that are read."""
    keyless = f"SELECT {LOAD} FROM touched WHERE NOT {LOAD} IS NULL"
    return (
        f"{side}.{LOAD} IN (SELECT id FROM renewed_load) AND ({side}.{table.own_key} IN (SELECT {table.own_key}"
        f" FROM several) OR ({side}.{table.own_key} IS NULL AND {side}.{LOAD} IN ({keyless})))"
    )


def purged(table: Table, columns: Sequence[str], side: str) -> str:
    """What of them stays, since a purge took from bronze what it could be made anew of: of loads that have lost rows,
    what is neither told by `keyed` nor was held back.
    """
    name = ", ".join(f"held.{column}" for column in columns)
    same = " AND ".join(f"{{0}}.{one} IS NOT DISTINCT FROM held.{one}" for one in (table.own_key, LOAD, SOURCE_TIME))
    return (
        f"SELECT {name} FROM {side} AS held WHERE {made_anew(table, 'held')}"
        f" AND held.{LOAD} IN (SELECT id FROM renewed_load WHERE is_purged)"
        f" AND NOT EXISTS (SELECT 1 FROM keyed WHERE {same.format('keyed')})"
        f" AND NOT EXISTS (SELECT 1 FROM quarantine.{table.name} AS waited WHERE {same.format('waited')})"
    )


def untouched(table: Table, columns: Sequence[str], side: str) -> str:
    """What a side table holds besides those."""
    return f"SELECT {', '.join(columns)} FROM {side} AS held WHERE NOT COALESCE({made_anew(table, 'held')}, FALSE)"
