"""Rows of bronze -> what a purge may take of them, and why the others stay: SELECTs. Pure.

A row is history once a later load has landed its key again, or a tombstone for it. The last landed row of a key still
stands at the source: what arrives is compared with it, and a delete is seen by it.
"""

from __future__ import annotations

from collections.abc import Sequence

from .plan import DELETED, LOAD, NUMBER, OF_ROW, ROW, SEQUENCE, select

GOES, STANDS, WAITS, YOUNG = "goes", "stands", "waits", "young"  # what becomes of the rows of a key in a load
VERDICT, ROWS = "_lake_verdict", "_lake_rows"
OF_LOAD, IS_DUE = "_lake_of_load", "_lake_is_due"  # of `of_feed`, which says what is known of each load
_GONE, _LAST, _DUE, _ALL_DUE = "_lake_gone", "_lake_last", "_lake_due", "_lake_all_due"
_PINNED, _ANY_PINNED, _TOLD = "_lake_pinned", "_lake_any_pinned", "_lake_told_"


def waiting(held: str, told: Sequence[str]) -> str:
    """The keys, as silver has them, of the rows of `landed` that wait in `held`, a quarantine. `told` says how a key is
    read of a row, and `of_feed` which loads there are.
    """
    places = (
        f"SELECT of_feed.{OF_LOAD} AS {SEQUENCE}, held.{ROW} AS {NUMBER} FROM {held} AS held"
        f" INNER JOIN of_feed ON of_feed.{LOAD} = held.{LOAD}"
    )
    there = " AND ".join(f"place.{name} = landed.{name}" for name in (SEQUENCE, NUMBER))
    return f"SELECT DISTINCT {_named(told)} FROM landed WHERE EXISTS (SELECT 1 FROM ({places}) AS place WHERE {there})"


def mended(relation: str, told: Sequence[str]) -> str:
    """The keys of repaired rows: what they should have told, in `relation`, or what they had told, in `landed`."""
    if relation != "landed":
        return f"SELECT DISTINCT {_named(told)} FROM {relation}"
    there = f"mended.{SEQUENCE} = landed.{SEQUENCE} AND mended.{OF_ROW} = landed.{NUMBER}"
    return f"SELECT DISTINCT {_named(told)} FROM landed WHERE EXISTS (SELECT 1 FROM mended WHERE {there})"


def nothing(told: Sequence[str]) -> str:
    """No key at all."""
    return f"SELECT {_named(['NULL'] * len(told))} WHERE FALSE"


def _named(told: Sequence[str]) -> str:
    return ", ".join(f"CAST({one} AS TEXT) AS {_TOLD}{n}" for n, one in enumerate(told))


def verdicts(key: Sequence[str], told: Sequence[str]) -> str:
    """Each key and load of `landed`, with the number of its rows and what is to become of them. `of_feed` says of each
    load whether it is old enough. Of a key that silver reads as one of `pinned` all stays; `told` says how it is read.

    A tombstone goes last: when it is what was landed last of its key, and all else of the key goes with it.
    """
    keys, same_told = (
        ", ".join(key),
        [f"pinned.{_TOLD}{n} IS NOT DISTINCT FROM CAST({one} AS TEXT)" for n, one in enumerate(told)],
    )
    stays = f"EXISTS (SELECT 1 FROM pinned WHERE {' AND '.join(same_told)})" if told else "FALSE"
    return f"""WITH each_row AS (
    SELECT {keys}, {SEQUENCE}, {DELETED}, CASE WHEN {stays} THEN 1 ELSE 0 END AS {_PINNED} FROM landed
),
told AS (
    SELECT {keys}, {SEQUENCE}, COUNT(*) AS {ROWS}, MAX({_PINNED}) AS {_PINNED},
        MIN(CASE WHEN {DELETED} THEN 1 ELSE 0 END) AS {_GONE}
    FROM each_row GROUP BY {keys}, {SEQUENCE}
),
placed AS (
    SELECT told.*, CASE WHEN of_feed.{IS_DUE} THEN 1 ELSE 0 END AS {_DUE}
    FROM told INNER JOIN of_feed ON of_feed.{OF_LOAD} = told.{SEQUENCE}
),
known AS (
    SELECT {keys}, {SEQUENCE}, {ROWS}, {_GONE}, {_DUE},
        MAX({SEQUENCE} * 2 + {_GONE}) OVER (PARTITION BY {keys}) AS {_LAST},
        MIN({_DUE}) OVER (PARTITION BY {keys}) AS {_ALL_DUE},
        MAX({_PINNED}) OVER (PARTITION BY {keys}) AS {_ANY_PINNED}
    FROM placed
)
{select([keys, SEQUENCE, ROWS, f"{_verdict()} AS {VERDICT}"], "known")}"""


def _verdict() -> str:
    superseded = f"{_GONE} = 0 AND {SEQUENCE} * 2 + 1 < {_LAST}"
    return (
        f"CASE WHEN {_DUE} = 0 THEN '{YOUNG}' WHEN {_ANY_PINNED} = 1 THEN '{WAITS}' WHEN {superseded} THEN '{GOES}'"
        f" WHEN {_ALL_DUE} = 1 AND MOD({_LAST}, 2) = 1 THEN '{GOES}' ELSE '{STANDS}' END"
    )


def what_stays(key: Sequence[str], sequence: int) -> str:
    """The rows of `of_load`, one load of the feed, that do not go by `verdict`, in the order they had."""
    goes = f"verdict.{SEQUENCE} = {sequence} AND verdict.{VERDICT} = '{GOES}'"
    gone = f"SELECT 1 FROM verdict WHERE {goes} AND {same('verdict', 'of_load', key)}"
    return f"SELECT * FROM of_load WHERE NOT EXISTS ({gone}) ORDER BY {NUMBER}"


def same(one: str, other: str, key: Sequence[str]) -> str:
    """Whether two relations have the same key; nothing is the same as nothing."""
    return " AND ".join(f"{one}.{name} IS NOT DISTINCT FROM {other}.{name}" for name in key)
