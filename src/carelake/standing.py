"""What stands -> how many rows of it break each rule: counted whenever a table or its rules have changed, and kept.

The counts are kept with the number of rows they are of, so that another threshold is judged without counting again.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from . import quality, sql, unjudged
from .engine import Engine
from .gold import state as state_of
from .model import Count, Declarations, Rule, Table
from .plan import instant
from .silver import OF_TABLE

TABLE = "audit.rule_results"
_CHECKS = (
    f"SELECT table_name, judged_at FROM {TABLE} WHERE scope = '{OF_TABLE}'{{until}} GROUP BY table_name, judged_at"
)
_PLACE = "ROW_NUMBER() OVER (PARTITION BY table_name ORDER BY judged_at DESC)"
_OF_CHECK = f"""SELECT result.* FROM {TABLE} AS result
INNER JOIN (SELECT table_name, judged_at, {_PLACE} AS place FROM ({_CHECKS}) AS checks) AS placed
    ON placed.table_name = result.table_name AND placed.judged_at = result.judged_at AND placed.place = {{place}}
WHERE result.scope = '{OF_TABLE}'
ORDER BY result.table_name, result.rule, result.source_system"""
_SCHEMA = pa.schema(
    {
        **dict.fromkeys(("run_id", "table_name", "rule", "otherwise", "source_system", "scope", "state"), pa.string()),
        **dict.fromkeys(("violating", "rows_seen"), pa.int64()),
        "judged_at": pa.timestamp("us", "UTC"),
    }
)


def count(engine: Engine, declared: Declarations, as_of: date, run_id: str, now: datetime) -> list[str]:
    """Count every table anew that has changed since it was counted last, or whose rules have; the names of those.

    Raises `EngineFailed`.
    """
    known = {row["table_name"]: row["state"] for row in engine.ask(_of_check(1)).to_pylist()}
    idle = {(one.table, one.rule, one.source) for one in unjudged.unjudged(declared)}
    anew, counted = list[str](), list[dict[str, Any]]()
    for table in declared.tables.values():
        selects = quality.standing(table)
        mine = {(rule, source) for name, rule, source in idle if name == table.name}
        state = _state(engine, table, selects, as_of, sorted(mine))
        if known.get(table.name) != state:
            stamp = {"run_id": run_id, "judged_at": now, "scope": OF_TABLE, "state": state}
            counted += [row | stamp for row in _results(table, _combinations(engine, selects, as_of), mine)]
            anew.append(table.name)
    if counted:  # one commit for all of them
        engine.lend("result", pa.Table.from_pylist(counted, _SCHEMA))
        engine.append(TABLE, "SELECT * FROM result")
        engine.let_go("result")
    return anew


def _state(engine: Engine, table: Table, selects: Sequence[str], as_of: date, idle: Sequence[tuple[str, str]]) -> str:
    """What tells whether a count would come out as the last one did."""
    inputs = {name: state_of(engine, name) for select in selects for name in sql.tables_of(select)}
    rules = [rule.name for rule in quality.counted(table)]
    is_of_day = any("$as_of" in select for select in selects)
    told = json.dumps([inputs, selects, rules, idle, as_of.isoformat() if is_of_day else ""], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def _combinations(engine: Engine, selects: Sequence[str], as_of: date) -> list[dict[str, Any]]:
    return [row for select in selects for row in engine.ask(select, as_of).to_pylist()]


def _results(
    table: Table, combinations: list[dict[str, Any]], idle: Collection[tuple[str, str]]
) -> Iterator[dict[str, Any]]:
    """A row per source and rule, also where none breaks it, and one of what is held back. Of an `idle` rule, one that
    cannot be judged of the source, no row was seen.
    """
    broken: dict[str, Counter[str]] = {row["source_system"]: Counter() for row in combinations}
    seen = Counter[str]()
    for row in combinations:
        told = ";".join(filter(None, (row["flags"], row["quarantine_reasons"], row["found"])))
        names = {*filter(None, told.split(";")), *([quality.HELD_BACK] if row["quarantine_reasons"] else [])}
        broken[row["source_system"]].update(dict.fromkeys(names, row["n"]))
        seen[row["source_system"]] += row["rows_seen"]
    rules = {rule.name: rule for rule in (*quality.counted(table), *quality.set_rules_of(table))}
    if not broken:  # it is empty, and that is known too
        yield {"table_name": table.name, "rule": quality.HELD_BACK, "otherwise": "", "violating": 0, "rows_seen": 0}
    for source, counts in broken.items():
        for name in (quality.HELD_BACK, *rules, *sorted(counts.keys() - rules.keys() - {quality.HELD_BACK})):
            yield {
                "table_name": table.name,
                "rule": name,
                "otherwise": rules[name].severity(source).otherwise if name in rules else "quarantine",
                "source_system": source,
                "violating": 0 if (name, source) in idle else counts[name],
                "rows_seen": 0 if (name, source) in idle else seen[source],
            }


def latest(engine: Engine, declared: Declarations, until: datetime | None = None) -> list[Count]:
    """What was counted last of each table that is declared, now or `until` then, judged by today's rules."""
    return _told(engine, declared, 1, until)


def before(engine: Engine, declared: Declarations, until: datetime | None = None) -> list[Count]:
    """What was counted the time before, judged by today's rules."""
    return _told(engine, declared, 2, until)


def _told(engine: Engine, declared: Declarations, place: int, until: datetime | None) -> list[Count]:
    is_there = "scope" in engine.columns(TABLE)
    rows = engine.ask(_of_check(place, until)).to_pylist() if is_there else []
    known = (row for row in rows if row["rows_seen"] and row["table_name"] in declared.tables)
    return [counted(declared.tables[row["table_name"]], row) for row in known]


def _of_check(place: int, until: datetime | None = None) -> str:
    return _OF_CHECK.format(place=place, until=f" AND judged_at <= {instant(until)}" if until else "")


def counted(table: Table, row: Mapping[str, Any]) -> Count:
    """One row of `audit.rule_results`, judged by today's rules. One that is declared no more is as grave as it was."""
    rules = {rule.name: rule for rule in (*quality.counted(table), *quality.set_rules_of(table))}
    known = rules.get(row["rule"], Rule(row["rule"], "", "", row["otherwise"]))
    return Count(
        table=table.name,
        rule=row["rule"],
        source=row["source_system"] or "",
        dimension=known.dimension,
        because=known.because,
        severity=known.severity(row["source_system"] or ""),
        violating=row["violating"],
        rows_seen=row["rows_seen"],
    )
