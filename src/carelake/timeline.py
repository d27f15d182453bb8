"""Versions -> the SELECTs that place them in time, and those through which people see them. Pure.

All versions of a table are rows of `silver.<table>_versions`, and rows are only ever appended to it. A version whose
interval changes is appended again with a higher revision, which stands for the lower ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from .model import Policy, Table
from .plan import (
    GONE,
    HIDDEN,
    LOAD,
    REVISION,
    ROW_HASH,
    SHOWN,
    SOURCE_TIME,
    TIMELINE,
    TOMBSTONE,
    TRACKED,
    instant,
    quarantine_columns,
    select,
    stored_columns,
)

_OLD = ("valid_from", "valid_to", "is_current", "is_change", "inserted_date", "modified_date")


def identity(table: Table) -> tuple[str, ...]:
    """The columns that tell one version from every other."""
    return (table.own_key, LOAD, SOURCE_TIME)


def stands(table: Table) -> str:
    """The relation of the versions that stand: see `Engine.stand`."""
    return f"silver.{table.name}_standing"


def standing(table: Table, policy: Policy, stored: str) -> str:
    """The versions that stand, of the relation that stores all their revisions."""
    same = " AND ".join(f"revised.{name} = known.{name}" for name in identity(table))
    listed = ", ".join(identity(table))
    return f"""{select([f"known.{name}" for name in stored_columns(table, policy)], f"{stored} AS known")}
LEFT JOIN (
    SELECT {listed}, MAX({REVISION}) AS latest FROM {stored} AS revision WHERE {REVISION} > 0 GROUP BY {listed}
) AS revised ON {same}
WHERE NOT known.{GONE} AND (revised.latest IS NULL OR revised.latest = known.{REVISION})"""


def settled(table: Table, policy: Policy, stored: str) -> str:
    """The versions that stand, each as if it had been written once."""
    columns = [f"CAST(0 AS BIGINT) AS {n}" if n == REVISION else n for n in stored_columns(table, policy)]
    return select(columns, f"(\n{standing(table, policy, stored)}\n) AS standing")


def exact(table: Table, columns: Iterable[str], versions: str, held: str) -> str:
    """What `held`, of the restricted zone, says in `columns` of each current row of `versions`. Of rows that one load
    brought for one key and time, and that differ in it, nobody can say which is right: it is NULL then.
    """
    by = ", ".join(identity(table))
    same = " AND ".join(f"held.{name} = version.{name}" for name in identity(table))
    told = (f"CASE WHEN MIN({name}) = MAX({name}) THEN MIN({name}) END AS {name}" for name in columns)
    one_each = f"(SELECT {', '.join([by, *told])} FROM {held} AS every GROUP BY {by}) AS held"
    shown = [f"version.{table.own_key}", *(f"held.{name}" for name in columns)]
    return select(shown, f"{versions} AS version", f"INNER JOIN {one_each} ON {same}", "WHERE version.is_current")


def passed_over(table: Table, stored: str) -> str:
    """How many versions `settled` leaves out: those of which the last revision says that they are gone."""
    same = " AND ".join(f"last.{name} = known.{name}" for name in identity(table))
    listed = ", ".join(identity(table))
    last = f"SELECT {listed}, MAX({REVISION}) AS latest FROM {stored} AS revision GROUP BY {listed}"
    gone = f"known.{REVISION} = last.latest AND known.{GONE}"
    return f"SELECT COUNT(*) AS n FROM {stored} AS known INNER JOIN ({last}) AS last ON {same} WHERE {gone}"


def several(table: Table) -> str:
    """Keys with more than one version among `keyed` and what is stored: the others need no windows."""
    key = table.own_key
    new = f"SELECT {key} FROM keyed WHERE quarantine_reasons IS NULL AND NOT {key} IS NULL"
    old = f"SELECT known.{key} FROM silver.{table.name}_versions AS known WHERE known.{key} IN ({new})"
    return f"SELECT {key} FROM ({new} UNION ALL {old}) AS version GROUP BY {key} HAVING COUNT(*) > 1"


def first_versions(table: Table, policy: Policy, now: datetime) -> str:
    """What to append for the keys that have one version: those of which nothing was known."""
    at = instant(now)
    computed = {
        "valid_from": SOURCE_TIME,
        "valid_to": "CAST(NULL AS TIMESTAMPTZ)",
        "is_current": "NOT is_deleted",
        "is_change": "TRUE",
        "inserted_date": at,
        "modified_date": at,
        REVISION: "CAST(0 AS BIGINT)",
        GONE: "FALSE",
    }
    columns = [f"{computed[n]} AS {n}" if n in computed else n for n in stored_columns(table, policy)]
    key = table.own_key
    alone = f"NOT {key} IS NULL AND NOT {key} IN (SELECT {key} FROM several)"
    return select(columns, f"keyed\nWHERE quarantine_reasons IS NULL AND {alone}")


def _crowd(table: Table, policy: Policy) -> str:
    """Every version, new and stored, of the keys that have several."""
    crowd = f"{table.own_key} IN (SELECT {table.own_key} FROM several)"
    new = select(_new(table, policy), f"keyed\nWHERE quarantine_reasons IS NULL AND {crowd}")
    return f"{new}\nUNION ALL\n{select(_known(table, policy), f'{stands(table)} AS known')}\nWHERE known.{crowd}"


def _told(table: Table, policy: Policy) -> list[str]:
    """What a version says, without its place among the others."""
    return [name for name in stored_columns(table, policy) if name not in {*_OLD, REVISION, GONE}]


def _new(table: Table, policy: Policy) -> list[str]:
    nothing = [f"CAST(NULL AS {TIMELINE[name]}) AS old_{name}" for name in _OLD]
    return [*_told(table, policy), "TRUE AS is_new", *nothing, "CAST(NULL AS TIMESTAMPTZ) AS known_from"]


def _known(table: Table, policy: Policy, known_from: str = "known.valid_from") -> list[str]:
    """`known_from`: before what a version cannot begin, since that was decided by what is not here to decide anew."""
    old = [f"known.{name} AS old_{name}" for name in _OLD]
    told = (f"known.{name}" for name in _told(table, policy))
    return [*told, "FALSE AS is_new", *old, f"{known_from} AS known_from"]


def recomputed_versions(table: Table, policy: Policy, now: datetime, revision: int) -> str:
    """What becomes of the keys that have several versions: the new ones, and those whose place in the timeline changes.
    New ones that are `_is_gone` were known already, or are older than the one version that is kept: see `fresh`.

    A tombstone is seen, not told: it stands behind all that was landed before it, and ends a life of the key. What is
    landed after it is the next life, and begins no earlier, however old its source times are. Within a life versions
    stand in the order (source time, load).
    """
    return _recomputed(table, policy, now, _crowd(table, policy), (0, revision))


def _recomputed(table: Table, policy: Policy, now: datetime, crowd: str, revisions: tuple[int, int]) -> str:
    """The same, of the versions in `crowd`. `revisions`: of new versions, and of those that stood."""
    kept = ", ".join([*_told(table, policy), "is_new", *(f"old_{name}" for name in _OLD), "known_from"])
    at, (first, again) = instant(now), revisions
    shown = {
        "inserted_date": f"COALESCE(old_inserted_date, {at})",
        "modified_date": at,
        REVISION: f"CASE WHEN is_new THEN CAST({first} AS BIGINT) ELSE CAST({again} AS BIGINT) END",
        GONE: "is_gone",
    }
    moved = ("valid_from", "valid_to", "is_current", "is_change")
    differs = " OR ".join(f"{name} IS DISTINCT FROM old_{name}" for name in moved)
    return f"""WITH crowd AS (
    {crowd}
),
{_placed(table, kept)},
{_followed(table, kept)}
{select([f"{shown[n]} AS {n}" if n in shown else n for n in stored_columns(table, policy)], "timeline")}
WHERE is_new OR is_gone OR {differs}"""


def purged(table: Table) -> str:
    """Versions of the keys in `several` whose rows a purge took out of bronze: of loads that have lost some, those that
    `keyed`, which holds all that is there of those keys, does not tell of. They cannot be told anew, and stay.
    """
    same = f"keyed.{table.own_key} = stored.{table.own_key} AND keyed.{LOAD} = stored.{LOAD}"
    told = f"SELECT 1 FROM keyed WHERE {same} AND (stored.{TOMBSTONE} OR keyed.{SOURCE_TIME} = stored.{SOURCE_TIME})"
    return f"""SELECT DISTINCT {", ".join(f"stored.{name}" for name in identity(table))}
FROM silver.{table.name}_versions AS stored INNER JOIN renewed_load ON renewed_load.id = stored.{LOAD}
WHERE renewed_load.is_purged AND stored.{table.own_key} IN (SELECT {table.own_key} FROM several)
AND NOT EXISTS ({told})"""


def stood(table: Table, policy: Policy) -> str:
    """The versions that stand of the keys in `several`, each with `is_read`: whether its load told of it anew."""
    key, same = table.own_key, " AND ".join(f"purged.{name} = known.{name}" for name in identity(table))
    read = f"known.{LOAD} IN (SELECT id FROM renewed_load) AND purged.{LOAD} IS NULL AS is_read"
    return (
        f"SELECT known.*, {read} FROM {stands(table)} AS known LEFT JOIN purged_version AS purged ON {same}"
        f" WHERE known.{key} IN (SELECT {key} FROM several)"
    )


def renewed_versions(table: Table, policy: Policy, now: datetime, revision: int) -> str:
    """What to append for keys of which `keyed` holds all that was read anew, and `stood` the versions that stand: those
    that are not told any more are gone, and the others are placed anew. A version that was never stored has revision 0.
    """
    told = _told(table, policy)
    same = " AND ".join(f"known.{name} IS NOT DISTINCT FROM keyed.{name}" for name in told)
    trusted = f"keyed.quarantine_reasons IS NULL AND NOT keyed.{table.own_key} IS NULL"
    again = f"EXISTS (SELECT 1 FROM keyed WHERE {trusted} AND {same})"
    listed = ", ".join(told)
    fresh = f"(SELECT {listed} FROM keyed WHERE {trusted} EXCEPT SELECT {listed} FROM stood) AS unknown"
    # What scd1 superseded may never have been stored: then nobody knows what of a key a purge took.
    lost = "COALESCE((SELECT MAX(CASE WHEN is_purged THEN 1 ELSE 0 END) FROM renewed_load), 0) = 1"
    stays = f"NOT known.is_read{f' OR {lost}' if table.history == 'scd1' else ''}"
    decided = f"CASE WHEN {stays} THEN known.valid_from END"
    kept = select(_known(table, policy, decided), f"stood AS known\nWHERE NOT known.is_read OR {again}")
    crowd = f"{select(_new(table, policy), fresh)}\nUNION ALL\n{kept}"
    gone = {REVISION: f"CAST({revision} AS BIGINT)", GONE: "TRUE", "modified_date": instant(now)}
    left = [f"{gone[name]} AS {name}" if name in gone else f"known.{name}" for name in stored_columns(table, policy)]
    placed = f"({_recomputed(table, policy, now, crowd, (revision + 1, revision))}) AS placed"
    there = " AND ".join(f"stored.{name} = placed.{name}" for name in identity(table))
    never = f"NOT EXISTS (SELECT 1 FROM silver.{table.name}_versions AS stored WHERE {there})"
    first = f"CASE WHEN {never} THEN CAST(0 AS BIGINT) ELSE {REVISION} END AS {REVISION}"
    shown = [first if name == REVISION else name for name in stored_columns(table, policy)]
    return f"""{select(shown, placed)}
WHERE NOT ({REVISION} = {revision + 1} AND {GONE})
UNION ALL
{select(left, "stood AS known")}
WHERE known.is_read AND NOT {again}"""


def fresh(relation: str) -> str:
    """Of `recomputed_versions`, held as `relation`, what to append."""
    return f"SELECT * FROM {relation} WHERE NOT ({_is_known(relation)})"


def refused(relation: str) -> str:
    """How many of them are not appended."""
    return f"SELECT COUNT(*) AS n FROM {relation} WHERE {_is_known(relation)}"


def _is_known(relation: str) -> str:
    return f"{relation}.{REVISION} = 0 AND {relation}.{GONE}"


def in_order() -> str:
    """How the versions of a key follow one another, once each knows its life."""
    return f"ORDER BY life, {TOMBSTONE} DESC, {SOURCE_TIME}, {LOAD}"


def _placed(table: Table, kept: str) -> str:
    """CTEs: to which life of its key each version of `crowd` belongs, and from when it is valid."""
    by_load = f"OVER (PARTITION BY {table.own_key} ORDER BY {LOAD}, {SOURCE_TIME} ROWS UNBOUNDED PRECEDING)"
    in_line = f"OVER (PARTITION BY {table.own_key} {in_order()} ROWS UNBOUNDED PRECEDING)"
    in_life = f"OVER (PARTITION BY {table.own_key}, life, {TOMBSTONE} ORDER BY {SOURCE_TIME}, {LOAD})"
    return f"""lived AS (
    SELECT {kept},
        SUM(CASE WHEN {TOMBSTONE} THEN 1 ELSE 0 END) {by_load} AS life,
        MAX(GREATEST({SOURCE_TIME}, known_from)) {by_load} AS latest
    FROM crowd
),
placed AS (
    SELECT {kept}, life,
        GREATEST({SOURCE_TIME}, known_from, MAX(CASE WHEN {TOMBSTONE} THEN latest END) {by_load}) AS place
    FROM lived
),
compared AS (
    SELECT {kept}, life,
        MAX(place) {in_line} AS valid_from,
        COALESCE(LAG({SOURCE_TIME}) {in_life} = {SOURCE_TIME} AND LAG({ROW_HASH}) {in_life} = {ROW_HASH}, FALSE)
            AS is_gone
    FROM placed
)"""


def _followed(table: Table, kept: str) -> str:
    """CTEs: until when each version is valid, and whether it tells anything new."""
    in_line = f"OVER (PARTITION BY {table.own_key}, is_gone {in_order()})"
    changes, only_last = TRACKED if table.track else ROW_HASH, table.history == "scd1"
    return f"""followed AS (
    SELECT {kept}, valid_from, is_gone,
        CASE WHEN NOT is_gone THEN LEAD(valid_from) {in_line} END AS next_from,
        LAG({changes}) {in_line} AS told_before
    FROM compared
),
timeline AS (
    SELECT {kept}, valid_from, next_from AS valid_to,
        next_from IS NULL AND NOT is_deleted AS is_current,
        {"TRUE" if only_last else f"told_before IS DISTINCT FROM {changes}"} AS is_change,
        is_gone{" OR NOT next_from IS NULL" if only_last else ""} AS is_gone
    FROM followed
)"""


def seen(table: Table, policy: Policy, stand: str, held: str) -> dict[str, str]:
    """Name of a view of silver -> its SELECT over the relations of its versions that stand, and of its quarantine."""
    versions = f"{stand} AS version"
    told = [name for name in stored_columns(table, policy) if name not in {*TIMELINE, TRACKED}]
    current = [*told, *SHOWN]
    # A row held back is not shown beside the good one of its key, nor once its key is gone; if it came again, it is.
    last = f"version.{table.own_key} = held.{table.own_key} AND version.valid_to IS NULL"
    known = f"SELECT 1 FROM {versions} WHERE {last} AND (version.is_current OR version.{LOAD} >= held.{LOAD})"
    latest = ", ".join([f"{SOURCE_TIME} DESC", f"{LOAD} DESC", *told])  # of ambiguous ones always the same
    place = f"ROW_NUMBER() OVER (PARTITION BY {table.own_key} ORDER BY {latest})"
    trusted = select([*current, "FALSE AS is_quarantined", "CAST(NULL AS TEXT) AS quarantine_reasons"], versions)
    never = {
        "valid_from": SOURCE_TIME,
        "valid_to": "CAST(NULL AS TIMESTAMPTZ)",
        "is_current": "FALSE",
        "inserted_date": "quarantined_at",
        "modified_date": "quarantined_at",
    }
    shown = [f"{never[name]} AS {name}" if name in never else name for name in current]
    waiting = select(
        [*shown, "TRUE AS is_quarantined", "quarantine_reasons"],
        f"(SELECT {', '.join(quarantine_columns(table, policy))}, {place} AS place FROM {held} AS waiting) AS held",
    )
    return {
        table.name: f"{select(current, versions)}\nWHERE is_current",
        f"{table.name}_history": select([*told, *(name for name in TIMELINE if name not in HIDDEN)], versions),
        f"{table.name}_all": f"{trusted}\nWHERE is_current\nUNION ALL\n{waiting}\n"
        f"WHERE {table.own_key} IS NULL OR (place = 1 AND NOT EXISTS ({known}))",
    }
