"""Tables some of whose rows stand for earlier ones, as SQL: written by either engine, read by both."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from sqlglot import exp

# A table some of whose rows stand for earlier ones has these two columns, which nobody sees.
REVISION, GONE = "_revision_of_", "_is_gone"  # the first with the name of the key behind it
SUPERSEDED = 0.125  # of the rows of a table: beyond that, readers feel it, and it pays to write all of it anew


def revised_by(names: Sequence[str]) -> str | None:
    """The column that says which of several rows of a key was written last, if some were superseded."""
    return next((name for name in names if name.startswith(REVISION)), None)


def latest(names: Sequence[str], rows: str, revision: str) -> str:
    """The SELECT of the rows of each key that were written last, if any were: of most keys there is one revision only.
    `names` are the columns that `rows`, a relation, has.
    """
    key, last = quoted(revision.removeprefix(REVISION)), quoted(revision)
    told = ", ".join(f"known.{quoted(name)}" for name in names if name not in {revision, GONE})
    revised = f"SELECT {key} AS key, MAX({last}) AS latest FROM {rows} WHERE NOT {last} IS NULL GROUP BY {key}"
    return (
        f"SELECT {told} FROM {rows} AS known LEFT JOIN ({revised}) AS revised ON revised.key = known.{key}"
        f" WHERE revised.latest IS NULL OR (revised.latest = known.{last} AND NOT known.{quoted(GONE)})"
    )


def superseding(key: str, names: Sequence[str], version: int) -> str:
    """The SELECT of what to append once `superseding` holds the new rows, with the columns `names`, of the keys in
    `touched`: those, and a row for each key that has none any more. `version` is the one that the table gets by them.
    """
    told, only_key = (", ".join(each) for each in zip(*((quoted(n), _if_key(n, key)) for n in names), strict=True))
    stamp = f"CAST({version} AS BIGINT) AS {quoted(REVISION + key)}"
    gone = f"SELECT {quoted(key)} FROM touched EXCEPT SELECT {quoted(key)} FROM superseding"
    return f"""SELECT {told}, {stamp}, FALSE AS {GONE} FROM superseding
UNION ALL
SELECT {only_key}, {stamp}, TRUE AS {GONE} FROM ({gone}) AS gone"""


def _if_key(name: str, key: str) -> str:
    return quoted(name) if name == key else f"NULL AS {quoted(name)}"


@cache
def quoted(name: str) -> str:
    """A name as SQL quotes it; `layer.table` in two parts."""
    return ".".join(exp.to_identifier(part, quoted=True).sql("duckdb") for part in name.split("."))
