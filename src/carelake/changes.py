"""Versions -> what changed from each to the next: the SELECTs behind `audit.changes` and `carelake history`. Pure.

Nothing of it is stored. What arrives late, goes, comes again or is repaired changes the versions, and so what is told.
"""

from __future__ import annotations

from . import privacy
from .model import Policy, Table
from .plan import LOAD, SOURCE_TIME, TOMBSTONE, select
from .timeline import in_order, standing

COLUMNS = {
    "table_name": "TEXT", "key": "BIGINT", "source_system": "TEXT", "version": "BIGINT", "column_name": "TEXT",
    "old": "TEXT", "new": "TEXT", "changed_at": "TIMESTAMPTZ", "operation": "TEXT", "reason": "TEXT", "load_id": "TEXT",
    "run_id": "TEXT", "known_at": "TIMESTAMPTZ",
}  # fmt: skip


def is_told(table: Table) -> bool:
    """Whether a table keeps the versions that changes are told of."""
    return table.history == "scd2"


def compared(table: Table, policy: Policy) -> list[str]:
    """The columns whose changes are told: what silver shows of the source's own, but whose row it is and since when."""
    rest = {"source_system", table.sequence_by}
    return [c.name for c in table.columns if privacy.in_silver(c, policy) and c.name not in rest]


def steps(table: Table, policy: Policy, stored: str, held: str, loads: str) -> str:
    """Each version of `table` and, as `old_<column>`, what the one before it said, in the columns' own types. What is
    deleted says nothing. `place` counts the versions of a key in their order.

    `stored`, `held` and `loads` are the relations of its versions, of its quarantine and of the loads.
    """
    key, names = table.own_key, compared(table, policy)
    told = [f"CASE WHEN NOT is_deleted THEN {name} END AS {name}" for name in names]
    by_load = f"OVER (PARTITION BY {key} ORDER BY {LOAD}, {SOURCE_TIME} ROWS UNBOUNDED PRECEDING)"
    life = f"SUM(CASE WHEN {TOMBSTONE} THEN 1 ELSE 0 END) {by_load} AS life"
    lived = select([key, *_KEPT, TOMBSTONE, *told, life], f"(\n{standing(table, policy, stored)}\n) AS version")
    line = f"PARTITION BY {key} {in_order()}"
    seen = {
        **{f"old_{name}": f"LAG({name}) OVER ({line})" for name in (*names, "is_deleted")},
        "_lives": f"SUM(CASE WHEN is_deleted THEN 0 ELSE 1 END) OVER ({line} ROWS UNBOUNDED PRECEDING)",
        "_next_load": f"MIN({LOAD}) OVER ({line} ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)",
        "place": f"ROW_NUMBER() OVER ({line})",
    }
    placed = select(
        [key, *_KEPT, *names, *(f"{how} AS {name}" for name, how in seen.items())], f"(\n{lived}\n) AS lived"
    )
    return _named(table, [key, *_KEPT, *names, *(f"old_{name}" for name in names), "place"], placed, held, loads)


_KEPT = ("source_system", "valid_from", "valid_to", "is_current", "is_deleted", "is_change", "inserted_date", LOAD,
         SOURCE_TIME)  # fmt: skip


def _named(table: Table, names: list[str], placed: str, held: str, loads: str) -> str:
    """`placed`, each with what happened and why, and with the load and the run that brought it."""
    operation = (
        "CASE WHEN placed.is_deleted AND COALESCE(placed.old_is_deleted, TRUE) THEN NULL"
        " WHEN placed.is_deleted THEN 'deleted' WHEN NOT placed.old_is_deleted THEN 'updated'"
        " WHEN placed._lives > 1 THEN 'reinserted' ELSE 'inserted' END"
    )
    late = f"placed._next_load < placed.{LOAD}"
    reason = f"CASE WHEN NOT mended.{LOAD} IS NULL THEN 'repaired' WHEN {late} THEN 'late' ELSE {operation} END"
    place = (table.own_key, LOAD, SOURCE_TIME)
    same = " AND ".join(f"mended.{name} = placed.{name}" for name in place)
    by = {"_operation": operation, "_reason": reason, "_load": "load.load_id", "_run": "load.run_id"}
    return select(
        [*(f"placed.{name}" for name in names), *(f"{how} AS {name}" for name, how in by.items())],
        f"(\n{placed}\n) AS placed",
        f"LEFT JOIN (SELECT DISTINCT {', '.join(place)} FROM {held} AS held) AS mended ON {same}",
        f"LEFT JOIN {loads} AS load ON load.id = placed.{LOAD}",
    )


def changes(table: Table, policy: Policy, stored: str, held: str, loads: str) -> str:
    """The rows of `audit.changes` that are of `table`: one for each column that a version says otherwise."""
    types = {column.name: column.type for column in table.columns}
    names = compared(table, policy)
    columns = " UNION ALL ".join(f"SELECT {n} AS n, '{name}' AS column_name" for n, name in enumerate(names))
    shown = {
        "table_name": f"'{table.name}'",
        "key": f"step.{table.own_key}",
        "source_system": "step.source_system",
        "version": "step.place",
        "column_name": "told.column_name",
        "old": _chosen([_text(f"step.old_{name}", types[name]) for name in names]),
        "new": _chosen([_text(f"step.{name}", types[name]) for name in names]),
        "changed_at": "step.valid_from",
        "operation": "step._operation",
        "reason": "step._reason",
        "load_id": "step._load",
        "run_id": "step._run",
        "known_at": "step.inserted_date",
    }
    said = select(
        [f"{how} AS {name}" for name, how in shown.items()],
        f"(\n{steps(table, policy, stored, held, loads)}\n) AS step",
        f"CROSS JOIN ({columns}) AS told",
    )
    return f"{select(list(COLUMNS), f'({said}) AS said')}\nWHERE old IS DISTINCT FROM new"


def _chosen(texts: list[str]) -> str:
    return f"CASE told.n {' '.join(f'WHEN {n} THEN {text}' for n, text in enumerate(texts))} END"


def _text(value: str, kind: str) -> str:
    """A value as text, on every engine alike: with a zone, times would not be. They are UTC."""
    return f"CAST(CAST({value} AS TIMESTAMP) AS TEXT)" if kind == "timestamp" else f"CAST({value} AS TEXT)"
