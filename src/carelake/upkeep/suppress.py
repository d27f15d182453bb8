"""Suppressing a person: nobody is shown them any more, and what shows that it was done. It can be undone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from .. import gold, plan, suppressions, timeline
from ..errors import LakeError
from ..lake import Lake, opened, still
from ..suppressions import COLUMNS, LIFT, SUPPRESS, TABLE

LONGEST = 18  # digits of a key: what has more is none
NOT_REACHED = (
    "bronze and the vault, which hold what sources sent: see `carelake purge`",
    "who mends rows by their id: `carelake quarantine repair` and `accept`",
    "backups: one that is brought back has the list of its own day",
    "extracts, reports and messages that were made before",
    "figures of earlier releases, if one is rolled back to: rows of the person are hidden there too, sums are not",
)


class SuppressionUnfit(LakeError):
    code = "LAKE-605"
    exit_code = 60
    why = "Whoever is suppressed is seen by nobody, so that it has to be certain who that is, and why."


@dataclass(frozen=True)
class Suppression:
    """What was done, or would be, for one person; rows are those that are hidden, or shown again, by table."""

    act: str  # suppress, lift; empty: nothing has been
    person_key: int
    who: str
    why: str
    happened_at: str
    rows: Mapping[str, int]
    marts: tuple[str, ...]  # that still count otherwise: the next run builds them anew

    def plain(self) -> dict[str, Any]:
        """As a certificate: no value in it is of a row."""
        return {**asdict(self), "not_reached": list(NOT_REACHED) if self.act != LIFT else []}


def suppress(
    project: Path,
    environment: Mapping[str, str],
    person: str,
    who: str,
    why: str,
    now: datetime,
    *,
    lift: bool = False,
    dry_run: bool = False,
) -> Suppression:
    """Show nobody a person any more, named by a key or a token; or, with `lift`, show them again.

    Raises `SuppressionUnfit`, `LakeBusy` while a run writes, `LakeMissing`.
    """
    with still(project, environment) as lake:
        key = _key(lake, person)
        if (key in suppressions.hidden(lake.engine)) != lift:
            raise SuppressionUnfit(
                f"the person {'is not' if lift else 'is already'} suppressed.", "See `carelake suppressions`."
            )
        if not why.strip():
            raise SuppressionUnfit("it does not say why.", 'Say it: `--why "..."`. It is kept.')
        act = LIFT if lift else SUPPRESS
        if not dry_run:
            _add(lake, act, key, who, why, now)
        return _told(lake, act, key, who, why, now)


def certificate(project: Path, environment: Mapping[str, str], person: str, now: datetime) -> Suppression:
    """What was done last for a person, and what it hides by now. Raises `SuppressionUnfit` if nothing was."""
    with opened(project, environment, writing=False) as lake:
        key = _key(lake, person)
        last = [act for act in _acts(lake) if act["person_key"] == key][-1:]
        if not last:
            raise SuppressionUnfit("nobody has suppressed that person.", "See `carelake suppressions`.")
        (act,) = last
        return _told(lake, act["act"], key, act["who"], act["why"], act["happened_at"], now)


def every(project: Path, environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """All that was done, in its order: `act`, `person_key`, `who`, `why` and when."""
    with opened(project, environment, writing=False) as lake:
        return _acts(lake)


def _acts(lake: Lake) -> list[dict[str, Any]]:
    if lake.engine.version(TABLE) is None:
        return []
    acts: list[dict[str, Any]] = lake.engine.ask(f"SELECT * FROM {TABLE} ORDER BY id").to_pylist()
    return acts


def _told(
    lake: Lake, act: str, key: int, who: str, why: str, happened_at: datetime, now: datetime | None = None
) -> Suppression:
    stale = [mart.name for mart, _ in gold.stale(lake.engine, lake.declared, lake.as_of(None, now or happened_at))]
    return Suppression(act, key, who, why, f"{happened_at:%Y-%m-%dT%H:%M:%SZ}", _rows(lake, key), tuple(stale))


def _rows(lake: Lake, key: int) -> dict[str, int]:
    """Versions, and rows held back, of a person in each table that says whose its rows are."""
    person, policy = lake.declared.person_key, lake.declared.policy
    relations = {
        f"silver.{table.name}": timeline.stands(table)
        for table in lake.declared.tables.values()
        if person in plan.stored_columns(table, policy) and lake.engine.version(f"silver.{table.name}_versions")
    }
    held = {f"quarantine.{name.removeprefix('silver.')}" for name in relations}
    every = {**relations, **{name: name for name in sorted(held)}}
    count = "SELECT COUNT(*) AS n FROM {} AS every WHERE {} = {}"
    return {
        name: int(lake.engine.ask(count.format(relation, person, key)).to_pylist()[0]["n"])
        for name, relation in every.items()
    }


def _key(lake: Lake, person: str) -> int:
    """The key of the one person who is meant. Raises `SuppressionUnfit`."""
    table = lake.declared.tables[lake.declared.extracts.persons]
    if lake.engine.version("vault.key_map") is None:
        raise SuppressionUnfit("nobody is in the lake yet.", "Run `carelake run` first.")
    if person.isdecimal() and person.isascii() and len(person) <= LONGEST:
        asked = pa.table({"key": pa.array([int(person)], pa.int64())})
        select = f"SELECT key FROM vault.key_map WHERE entity = '{table.name}' AND key IN (SELECT key FROM asked)"
    else:
        asked = pa.table({"token": pa.array([person], pa.string())})
        named = [column.name for column in table.columns if lake.declared.policy.stored[column.kind] == "token"]
        where = " OR ".join(f"{name} IN (SELECT token FROM asked)" for name in named) or "FALSE"
        select = f"SELECT DISTINCT {table.own_key} AS key FROM {timeline.stands(table)} AS known WHERE {where}"
    lake.engine.lend("asked", asked)
    keys = lake.engine.ask(select)["key"].to_pylist()
    lake.engine.let_go("asked")
    if len(keys) != 1:
        found = f"{len(keys):,} persons have that token." if keys else "nobody has that key or token."
        raise SuppressionUnfit(found, f"Name the person's {table.own_key}, as a query shows it.")
    return int(keys[0])


def _add(lake: Lake, act: str, key: int, who: str, why: str, now: datetime) -> None:
    lake.engine.create(TABLE, COLUMNS, plain=["id"])
    row = {"id": len(_acts(lake)) + 1, "act": act, "person_key": key, "who": who, "why": why, "happened_at": now}
    types = {"BIGINT": pa.int64(), "TEXT": pa.string(), "TIMESTAMPTZ": pa.timestamp("us", "UTC")}
    lake.engine.lend("act", pa.Table.from_pylist([row], pa.schema({n: types[kind] for n, kind in COLUMNS.items()})))
    lake.engine.append(TABLE, "SELECT * FROM act")
    lake.engine.let_go("act")
