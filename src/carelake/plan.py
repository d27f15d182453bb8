"""Declarations -> the SELECTs that refine bronze into silver. Pure: nothing here opens a table.

The relations of one pass, each made of the one before:
`arrived` (mapped and typed, untreated) -> `treated` (judged, tokens for identifiers) -> `keyed` (surrogate keys; held)
-> what to append to `silver.<table>_versions`: see timeline.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from . import privacy, quality
from .model import TYPES, Column, Feed, Policy, Table

# Columns of bronze that are CareLake's own.
SEQUENCE, DELETED = "_lake_sequence", "_lake_deleted"
NUMBER = "_lake_row"  # which row of its load it is: counted when it is read, and stored once others were purged
OF_ROW, REPAIR, ACCEPTED = "_lake_of_row", "_lake_repair", "_lake_accepted"  # of repaired rows only: see amend.py
# Hidden columns of a history: what the order of its versions is computed from.
SOURCE_TIME, ROW_HASH, LOAD, TOMBSTONE = "_source_time", "_row_hash", "_load_id", "_is_tombstone"
ROW = "_load_row"  # with its load, the address of a row of bronze: only quarantine keeps it
ALLOWED = "_accepted"  # the rules that it may break; kept by nothing
TRACKED = "_tracked_hash"  # of the columns whose change counts, in a table that names some
# Rows are only ever appended. A version whose interval changes is written again with a higher revision, which stands
# for the lower ones: closing 50,000 of 10 million rows by a MERGE rewrites nearly every file.
REVISION, GONE = "_revision", "_is_gone"
TIMELINE = {
    "flags": "TEXT",
    "valid_from": "TIMESTAMPTZ",
    "valid_to": "TIMESTAMPTZ",
    "is_current": "BOOLEAN",
    "is_deleted": "BOOLEAN",
    "is_change": "BOOLEAN",
    "inserted_date": "TIMESTAMPTZ",
    "modified_date": "TIMESTAMPTZ",
    SOURCE_TIME: "TIMESTAMPTZ",
    LOAD: "BIGINT",
    ROW_HASH: "TEXT",
    TOMBSTONE: "BOOLEAN",
    REVISION: "BIGINT",
    GONE: "BOOLEAN",
}
PLACE = (SOURCE_TIME, LOAD, ROW, ALLOWED)  # what of a row that arrived is about it, and not in it
NOTHING: Mapping[str, str] = MappingProxyType({})
SHOWN = ("flags", "valid_from", "valid_to", "is_current", "inserted_date", "modified_date")
HIDDEN = (SOURCE_TIME, LOAD, ROW_HASH, TRACKED, TOMBSTONE, REVISION, GONE)


def instant(now: datetime) -> str:
    """A moment, as SQL says it."""
    return f"CAST('{now.isoformat()}' AS TIMESTAMPTZ)"


def fingerprint(columns: Iterable[str]) -> str:
    """SQL of a text that is equal for equal values only: with lengths, so that NULL, '' and shifted values differ."""
    return (
        "CONCAT("
        + ", ".join(f"CAST(LENGTH(CAST({c} AS TEXT)) AS TEXT), ':', CAST({c} AS TEXT), ';'" for c in columns)
        + ")"
    )


def stored_columns(table: Table, policy: Policy) -> dict[str, str]:
    """Name -> SQL type of the columns of `silver.<table>_versions`, which all views of silver read, in order."""
    keys = dict.fromkeys((table.own_key, *table.refers), "BIGINT")
    held = {c.name: _type_stored(c, policy) for c in table.columns if privacy.in_silver(c, policy)}
    return {**keys, **held, **TIMELINE, **({TRACKED: "TEXT"} if table.track else {})}


def restricted_columns(table: Table, policy: Policy) -> dict[str, str]:
    """Name -> SQL type of `restricted.<table>_history`; only its key and version if nothing else is."""
    exact = {c.name: TYPES[c.type] for c in table.columns if privacy.is_restricted(c, policy)}
    return {table.own_key: "BIGINT", "source_system": "TEXT", LOAD: "BIGINT", SOURCE_TIME: "TIMESTAMPTZ", **exact}


def quarantine_columns(table: Table, policy: Policy) -> dict[str, str]:
    """Name -> SQL type of `quarantine.<table>`: the row as silver would show it, and why it is held back."""
    kept = {n: t for n, t in stored_columns(table, policy).items() if n == "flags" or n not in {*TIMELINE, TRACKED}}
    held = {"quarantine_reasons": "TEXT", "quarantined_at": "TIMESTAMPTZ", SOURCE_TIME: "TIMESTAMPTZ"}
    return {**kept, **held, LOAD: "BIGINT", ROW: "BIGINT"}


def made_as(table: Table, policy: Policy) -> dict[str, str]:
    """Column -> how its values are made. Made otherwise, a row would get another key, token or place than it had, or
    what was stored of it before would be more than the privacy page allows now.
    """
    keys = {table.own_key: ", ".join(table.key), **table.refers}
    tracked = f", tracking {', '.join(table.track)}" if table.track else ""
    return {
        **{key: f"key by {columns}" for key, columns in keys.items()},
        "valid_from": f"{table.history} by {table.sequence_by}{tracked}",
        **{column.name: privacy.made_as(column, policy) for column in table.columns},
    }


def widened(relation: str, holds: Collection[str], wanted: Mapping[str, str]) -> str:
    """`relation` with every column of `wanted`, name -> type: one that was declared after it was stored is NULL."""
    new = [f"CAST(NULL AS {kind}) AS {name}" for name, kind in wanted.items() if name not in holds]
    if not holds:  # it is not there at all
        return f"(SELECT {', '.join(new)} WHERE FALSE)"
    return f"(SELECT {', '.join(['*', *new])} FROM {relation})" if new else relation


def _type_stored(column: Column, policy: Policy) -> str:
    return TYPES[column.type] if policy.stored[column.kind] == "keep" else "TEXT"


# --- arrived ---------------------------------------------------------------------------------------------------------


def arrived(table: Table, feeds: Sequence[Feed], repaired: Mapping[str, str] = NOTHING) -> str:
    """Every row of the pending loads of `feeds`, in the shape of `table` and untreated. A value that cannot be read as
    its column's type is NULL, and named in `_unreadable`. `repaired` says what to read in the place of a pending
    relation that shows repairs too.
    """
    return "\nUNION ALL\n".join(_mapped(feed, table, repaired.get(pending(feed), "")) for feed in feeds)


def told_key(table: Table, feed: Feed) -> list[str]:
    """SQL over a feed's own columns of what tells the rows of `table` apart, within a source."""
    mine = (column for column in table.columns if column.name in table.key and column.name != "source_system")
    return [_typed(feed.columns.get(column.name, "NULL"), column.type, feed.time_zone) for column in mine]


def pending(feed: Feed) -> str:
    """The relation that shows the bronze rows of the pending loads of `feed`."""
    return f"pending_{feed.source}_{feed.name}".replace("-", "_")


def _mapped(feed: Feed, table: Table, repaired: str) -> str:
    left_out = {column.name: "NULL" for column in table.columns if column.optional}
    says = {**left_out, **feed.columns, "source_system": f"'{feed.source}'"}
    gone = f"{DELETED} OR COALESCE({feed.delete_when}, FALSE)" if feed.delete_when else DELETED
    time = _typed(says[table.sequence_by], "timestamp", feed.time_zone)
    columns = [f"{_typed(says[c.name], c.type, feed.time_zone)} AS {c.name}" for c in table.columns]
    unreadable = [_unreadable(c, says[c.name]) for c in table.columns if c.type != "text"] or ["''"]
    return select(
        [
            *columns,
            f"NULLIF(CONCAT_WS(';', {', '.join(unreadable)}), '') AS _unreadable",
            f"{gone} AS is_deleted",
            f"{DELETED} AS {TOMBSTONE}",
            f"CASE WHEN {DELETED} THEN _lake_seen_at ELSE COALESCE({time}, _lake_upper) END AS {SOURCE_TIME}",
            quality.DAY,
            quality.TOMORROW,
            f"_lake_load_id AS {LOAD}",
            f"COALESCE({OF_ROW}, {NUMBER}) AS {ROW}" if repaired else f"{NUMBER} AS {ROW}",
            f"{ACCEPTED} AS {ALLOWED}" if repaired else f"CAST(NULL AS TEXT) AS {ALLOWED}",
        ],
        f"{repaired} AS told" if repaired else pending(feed),
        f"INNER JOIN pending_load ON _lake_feed = '{feed.source}/{feed.name}' AND _lake_load_sequence = {SEQUENCE}",
    )


def there(rows: str) -> str:
    """Those of `rows`, arrived ones, that do not say they are gone: of one that does, nothing is demanded."""
    return f"(SELECT * FROM ({rows}) AS arrived WHERE NOT is_deleted)"


def told_last(table: Table, rows: str) -> str:
    """Of each key, what the last of the pending loads that brought it told last. `rows` are arrived ones."""
    place = f"RANK() OVER (PARTITION BY {', '.join(table.key)} ORDER BY {LOAD} DESC, {SOURCE_TIME} DESC)"
    return f"SELECT * FROM (SELECT *, {place} AS place FROM ({rows}) AS told) AS ranked WHERE place = 1"


def apart(table: Table, feeds: Sequence[Feed]) -> Iterator[tuple[str, str]]:
    """What declarations say of `table`: where it stands, and a SELECT of `told` by itself, to find one that fails."""
    for feed in feeds:
        place = f"of feed '{feed.name}' in sources/{feed.source}.yml"
        for column in (column for column in table.columns if column.name in feed.columns):
            told = _typed(feed.columns[column.name], column.type, feed.time_zone)
            yield f"'{column.name}' {place}", f"SELECT {told} AS told FROM {pending(feed)}"
        if feed.delete_when:
            yield f"'delete_when' {place}", f"SELECT {feed.delete_when} AS told FROM {pending(feed)}"
    rows = f"({arrived(table, feeds)}) AS mapped"
    for rule in table.rules:
        yield f"rule '{rule.name}' of table '{table.name}'", f"SELECT {quality.must_of(rule)} AS told FROM {rows}"


ZONED = ":[0-9]{2}([.][0-9]+)? ?(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"  # how a time ends that says its zone


def _typed(expression: str, kind: str, zone: str) -> str:
    """A blank is nothing. A time that does not say its zone is of the source's own, and becomes UTC."""
    if kind == "text":
        return f"NULLIF(CAST({expression} AS TEXT), '')"
    if kind == "timestamp" and zone != "UTC":
        says_zone = f"REGEXP_MATCHES(CAST({expression} AS TEXT), '{ZONED}')"
        local = f"{_read(expression, 'TIMESTAMP')} AT TIME ZONE '{zone}'"
        return f"CASE WHEN {says_zone} THEN {_read(expression, 'TIMESTAMPTZ')} ELSE {local} END"
    return _read(expression, TYPES[kind])


def _read(expression: str, kind: str) -> str:
    """The value, or NULL. Engines read words as dates too ('infinity', 'epoch') and years that programs cannot (0, or
    beyond 9999), and round 1.5 to a whole number.
    """
    text = f"TRIM(CAST({expression} AS TEXT))"
    if kind in {"DATE", "TIMESTAMP", "TIMESTAMPTZ"}:
        year = f"{text} BETWEEN '0001' AND '9999~' AND NOT SUBSTRING({text}, 5, 1) BETWEEN '0' AND '9'"
        return f"CASE WHEN {year} THEN TRY_CAST({expression} AS {kind}) END"
    if kind == "BIGINT":
        return f"CASE WHEN REGEXP_MATCHES({text}, '^[+-]?[0-9]+([.]0*)?$') THEN TRY_CAST({expression} AS {kind}) END"
    return f"TRY_CAST({expression} AS {kind})"


def _unreadable(column: Column, expression: str) -> str:
    given = f"NULLIF(TRIM(CAST({expression} AS TEXT)), '')"
    read = _read(expression, TYPES[column.type])
    return f"CASE WHEN NOT {given} IS NULL AND {read} IS NULL THEN '{column.name}_readable' END"


# --- treated ---------------------------------------------------------------------------------------------------------


def identifiers(table: Table, policy: Policy, rows: str) -> str | None:
    """Every (source_system, kind, stands_for) of `rows`, a SELECT, that needs a token; None if there is none."""
    named = [c for c in table.columns if privacy.is_token(c, policy)]
    each = [
        f"SELECT DISTINCT source_system, '{c.kind}' AS kind, {c.name} AS stands_for FROM ({rows}) AS arrived"
        f" WHERE NOT {c.name} IS NULL AND NOT source_system IS NULL"
        for c in named
    ]
    return "\nUNION\n".join(each) or None


def treated(table: Table, policy: Policy, rows: str) -> str:
    """`rows`, a SELECT of arrived ones, judged by the row rules, as silver and the restricted zone store them."""
    held = [c for c in table.columns if privacy.in_silver(c, policy)]
    exact = [c for c in table.columns if privacy.is_restricted(c, policy)]
    tokens = [c for c in held if privacy.is_token(c, policy)]
    return select(
        [
            *(f"{_stored(c, policy)} AS {c.name}" for c in held),
            *(f"arrived.{c.name}" for c in exact),
            "arrived.flags",
            "arrived.quarantine_reasons",
            *(f"arrived.{name}" for name in ("is_deleted", TOMBSTONE, *PLACE)),
            *(f"arrived.{name}" for name in _hashes(table)),
        ],
        f"(\n{_judged(table, rows)}\n) AS arrived",
        *(_token_of(c) for c in tokens),
    )


def _judged(table: Table, rows: str) -> str:
    """Each row of `rows`, with the rules it breaks and a digest of what it tells."""
    rules = quality.rules_of(table)
    reasons = ["_unreadable", *quality.broken(rules, "quarantine", "stop")]
    flags = quality.broken(rules, "warn") or ["''"]
    known = quality.broken(quality.rules_of_gone(table), "quarantine")
    return select(
        [
            *(c.name for c in table.columns),
            f"NULLIF(CONCAT_WS(';', {', '.join(flags)}), '') AS flags",
            f"NULLIF(CASE WHEN {TOMBSTONE} THEN '' WHEN is_deleted THEN CONCAT_WS(';', {', '.join(known)})"
            f" ELSE CONCAT_WS(';', {', '.join(reasons)}) END, '') AS quarantine_reasons",
            *(f"CASE WHEN is_deleted THEN 'deleted' ELSE {of} END AS {name}" for name, of in _hashes(table).items()),
            *("is_deleted", TOMBSTONE, *PLACE),
        ],
        f"({rows}) AS mapped CROSS JOIN hash_key",
    )


def _hashes(table: Table) -> dict[str, str]:
    """Hidden column -> SQL of a digest of what a row tells: all but its time, and what of it counts as a change. Keyed,
    so that nobody can try names and birth dates until one fits; cut, so that nobody can add to what was told.
    """
    every = (column.name for column in table.columns if column.name != table.sequence_by)
    told = {ROW_HASH: every, **({TRACKED: table.track} if table.track else {})}
    keyed = "LEFT(SHA256(CONCAT(hash_key.secret, {})), 32)"
    return {name: keyed.format(fingerprint(columns)) for name, columns in told.items()}


def _stored(column: Column, policy: Policy) -> str:
    if privacy.is_token(column, policy):
        return f"{column.name}_code.token"
    value = privacy.stored(column, policy, f"arrived.{column.name}")
    return value if policy.stored[column.kind] == "keep" else f"NULLIF({value}, '')"


def _token_of(column: Column) -> str:
    """Each source system and kind is a namespace of its own: two systems give out the same numbers."""
    code = f"{column.name}_code"
    return (
        f"LEFT JOIN token_of AS {code} ON {code}.source_system = arrived.source_system"
        f" AND {code}.kind = '{column.kind}' AND {code}.stands_for = arrived.{column.name}"
    )


# --- keyed -----------------------------------------------------------------------------------------------------------


def entities(table: Table) -> dict[str, tuple[str, ...]]:
    """Entity -> the columns of `treated` that name one of it: its own key, and what its columns refer to."""
    own = tuple(name for name in table.key if name != "source_system")
    others = {key.removesuffix("_key"): (column,) for key, column in table.refers.items()}
    return {**others, table.name: own}


def named(table: Table, policy: Policy, rows: str) -> str:
    """Every (entity, source_system, source_id) that `rows`, a SELECT of arrived ones, name: ids as silver has them."""
    return "\nUNION\n".join(_named(table, policy, entity, rows) for entity in entities(table))


def _named(table: Table, policy: Policy, entity: str, rows: str) -> str:
    columns = [c for c in table.columns if c.name in entities(table)[entity]]
    ids = [_stored(c, policy) for c in columns]
    tokens = (_token_of(c) for c in columns if privacy.is_token(c, policy))
    what = [f"DISTINCT '{entity}' AS entity", "arrived.source_system", f"{_source_id(ids)} AS source_id"]
    return select(what, f"({rows}) AS arrived", *tokens)


def _source_id(named: Sequence[str]) -> str:
    """SQL of the one text that names a row of a source: the column itself, or several made one."""
    present = " AND ".join(f"NOT {name} IS NULL" for name in named)
    return f"CAST({named[0]} AS TEXT)" if len(named) == 1 else f"CASE WHEN {present} THEN {fingerprint(named)} END"


def keyed(table: Table, policy: Policy, rows: str) -> str:
    """`rows`, a SELECT of arrived ones, treated and with their surrogate keys, which have been minted as `key_of`."""
    names = {entity: f"{entity}_map" for entity in entities(table)}
    joins = [
        f"LEFT JOIN key_of AS {names[entity]} ON {names[entity]}.entity = '{entity}'"
        f" AND {names[entity]}.source_system = treated.source_system"
        f" AND {names[entity]}.source_id = {_source_id([f'treated.{column}' for column in columns])}"
        for entity, columns in entities(table).items()
    ]
    keys = [f"{names[key.removesuffix('_key')]}.key AS {key}" for key in (table.own_key, *table.refers)]
    rest = [c.name for c in table.columns if privacy.in_silver(c, policy) or privacy.is_restricted(c, policy)]
    rest += ["flags", "quarantine_reasons", "is_deleted", TOMBSTONE, *PLACE, *_hashes(table)]
    treatment = f"(\n{treated(table, policy, rows)}\n) AS treated"
    return select([*keys, *(f"treated.{name}" for name in rest)], treatment, *joins)


def crowded(table: Table) -> str:
    """Keys that have more than one row of one time in one load: repetitions, or versions nobody can order."""
    place = f"{table.own_key}, {SOURCE_TIME}, {LOAD}"
    trusted = f"quarantine_reasons IS NULL AND NOT {table.own_key} IS NULL"
    return f"SELECT {place} FROM keyed WHERE {trusted} GROUP BY {place} HAVING COUNT(*) > 1"


def uncrowded(table: Table, columns: Sequence[str]) -> str:
    """`keyed` with one row for equal ones; of differing ones the greatest tie-breaker, or all of them as ambiguous."""
    over = f"OVER (PARTITION BY {table.own_key}, {SOURCE_TIME}, {LOAD})"
    reasons = (
        f"CASE WHEN is_crowded AND MIN({ROW_HASH}) {over} <> MAX({ROW_HASH}) {over} THEN 'ambiguous_version'"
        " ELSE quarantine_reasons END AS quarantine_reasons"
    )
    ranked = _ranked(table, columns)
    kept = select([reasons if name == "quarantine_reasons" else name for name in columns], f"({ranked}) AS ranked")
    return f"{kept}\nWHERE NOT is_crowded OR (tie = 1 AND twin = 1)"


def repeated(table: Table) -> str:
    """How many rows of `keyed` are repetitions of another one, or lose against its tie-breaker."""
    return f"SELECT COUNT(*) AS n FROM ({_ranked(table, [])}) AS ranked WHERE is_crowded AND (tie > 1 OR twin > 1)"


def _ranked(table: Table, columns: Sequence[str]) -> str:
    """`keyed`, with the place of each row among those of its key, time and load."""
    place = ", ".join(f"keyed.{name}" for name in (table.own_key, SOURCE_TIME, LOAD))
    same = " AND ".join(f"keyed.{name} = crowded.{name}" for name in (table.own_key, SOURCE_TIME, LOAD))
    tied = f"RANK() OVER (PARTITION BY {place} ORDER BY keyed.{table.tie_breaker} DESC)" if table.tie_breaker else "1"
    twin = f"ROW_NUMBER() OVER (PARTITION BY {place}, keyed.{ROW_HASH} ORDER BY keyed.{ROW})"
    return select(
        [
            *(f"keyed.{name}" for name in columns),
            f"NOT crowded.{LOAD} IS NULL AS is_crowded",
            f"{tied} AS tie",
            f"{twin} AS twin",
        ],
        f"keyed LEFT JOIN crowded ON {same} AND keyed.quarantine_reasons IS NULL",
    )


def vanished(table: Table) -> str:
    """`keyed` without tombstones that end no life: of keys that the same load brings rows of, since there a key is only
    spelled otherwise, and of rows that had no key.
    """
    return f"SELECT * FROM keyed WHERE NOT ({_ends_no_life(table)})"


def unvanished(table: Table) -> str:
    """How many tombstones `vanished` leaves out."""
    return f"SELECT COUNT(*) AS n FROM keyed WHERE {_ends_no_life(table)}"


def _ends_no_life(table: Table) -> str:
    brought = f"SELECT {table.own_key}, {LOAD} FROM keyed WHERE NOT {TOMBSTONE} AND NOT {table.own_key} IS NULL"
    same = f"brought.{table.own_key} = keyed.{table.own_key} AND brought.{LOAD} = keyed.{LOAD}"
    return f"{TOMBSTONE} AND ({table.own_key} IS NULL OR EXISTS (SELECT 1 FROM ({brought}) AS brought WHERE {same}))"


def select(columns: Sequence[str], source: str, *joins: str) -> str:
    """A SELECT, a column a line."""
    return "\n".join(["SELECT", "    " + ",\n    ".join(columns), f"FROM {source}", *joins])
