"""A release names the version of every table and the day it is seen from. Readers see the latest one only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Literal

import pyarrow as pa

from .engine import Engine
from .errors import ReleaseNotHeld, ReleaseUnknown
from .plan import instant

TABLE = "audit.releases"
LEDGER = "audit.load_logs"
KEPT = ("vault", "restricted", "quarantine")  # layers that are only added to; silver and gold are made of what is below
COLUMNS = {
    "id": "BIGINT", "run_id": "TEXT", "as_of": "DATE", "released_at": "TIMESTAMPTZ", "tables": "TEXT",
    "loads": "BIGINT", "kind": "TEXT", "why": "TEXT", "who": "TEXT", "held": "TEXT", "held_loads": "TEXT",
}  # fmt: skip
Kind = Literal["run", "rollback", "resume"]


@dataclass(frozen=True)
class Release:
    id: int
    as_of: date
    released_at: datetime
    tables: Mapping[str, int]  # layer.table -> version
    loads: int  # the id of the last load that readers of bronze see
    kind: Kind = "run"  # a rollback holds: no run releases anything until it is resumed
    why: str = ""  # of a rollback
    who: str = ""
    held: Mapping[str, str] = field(default_factory=dict)  # table or mart that was kept back -> why
    held_loads: Mapping[str, int] = field(default_factory=dict)  # source.feed -> the last sequence that readers see
    run_id: str = ""


def create(engine: Engine) -> None:
    """Make `audit.releases` if it is not there."""
    engine.create(TABLE, COLUMNS)


def every(engine: Engine) -> list[Release]:
    """All releases, the latest first."""
    there = engine.columns(TABLE)
    told = [f"COALESCE({name}, '') AS {name}" if kind == "TEXT" else name for name, kind in COLUMNS.items()]
    names = [column for name, column in zip(COLUMNS, told, strict=True) if name in there]
    return [_release(row) for row in engine.ask(f"SELECT {', '.join(names)} FROM {TABLE} ORDER BY id DESC").to_pylist()]


def _release(row: Mapping[str, Any]) -> Release:
    told = {name: json.loads(row.get(name) or "{}") for name in ("tables", "held", "held_loads")}
    return Release(**{**row, **told, "kind": row.get("kind") or "run"})


def latest(engine: Engine) -> Release | None:
    """What readers see; None before the first release."""
    return next(iter(every(engine)), None)


def lost(engine: Engine) -> list[str]:
    """Tables that the latest release knew, and that are gone or older now: those that no run could bring back."""
    last = latest(engine) if engine.version(TABLE) is not None else None
    tables = last.tables if last else {}
    kept = {name: known for name, known in tables.items() if name.partition(".")[0] in KEPT}
    gone = [name for name, known in kept.items() if (engine.version(name) or 0) < known]
    minted = engine.version("vault.key_map") or 0  # keys are minted of loads, so that there were some
    return [*gone, LEDGER] if _loads(engine) < (last.loads if last else min(minted, 1)) else gone


def _loads(engine: Engine) -> int:
    if engine.version(LEDGER) is None:
        return 0
    return int(engine.ask(f"SELECT COALESCE(MAX(id), 0) AS id FROM {LEDGER}").to_pylist()[0]["id"])


def unseen(engine: Engine, of: Release | None, until: datetime | None = None) -> list[dict[str, Any]]:
    """Id, feed and rows of the loads, landed by now or `until` then, that readers of a release do not see: they are
    held, or wait for the next one.
    """
    if engine.version(LEDGER) is None:
        return []
    seen, held = (of.loads, of.held_loads) if of else (0, {})
    then = f" AND extracted_at <= {instant(until)}" if until else ""
    told = "load_id, data_source || '.' || feed AS feed, sequence, id, numberofrowscopied AS rows"
    behind = f"id > {0 if held else seen}{then}"  # what is held of a feed can be older than what is seen of others
    rows = engine.ask(f"SELECT {told} FROM {LEDGER} WHERE {behind} ORDER BY id").to_pylist()
    hidden = [row for row in rows if row["id"] > seen or row["sequence"] > held.get(row["feed"], row["sequence"])]
    return [{name: row[name] for name in ("load_id", "feed", "rows")} for row in hidden]


@dataclass(frozen=True)
class Held:
    """What is kept back: tables and marts, each with the cause; their stored tables; and the feeds that fill them."""

    causes: Mapping[str, str] = field(default_factory=dict)
    tables: frozenset[str] = frozenset()
    feeds: frozenset[str] = frozenset()  # source.feed


def publish(
    engine: Engine, names: Iterable[str], as_of: date, run_id: str, now: datetime, held: Held = Held()
) -> Release | None:
    """Release the tables as they stand now, and what is held as it was released last. None if that is what the latest
    release says, if that was rolled back and holds, or if beside what is held nothing has moved, or the day has.
    """
    last = latest(engine)
    if last and last.kind == "rollback":
        return None
    if held.causes and (last is None or last.as_of != as_of):  # figures of two days would stand beside one another
        return None
    before = last.tables if last else {}
    now_at = {name: engine.version(name) for name in names if name not in held.tables}
    kept = {name: version for name, version in before.items() if name in held.tables}
    tables = {name: version for name, version in sorted({**now_at, **kept}.items()) if version is not None}
    if held.causes and not _moved(before, tables):
        return None
    release = Release(
        id=(last.id if last else 0) + 1,
        as_of=as_of,
        released_at=now,
        tables=tables,
        loads=_loads(engine),
        held=held.causes,
        held_loads={feed: _last_seen(engine, last, feed) for feed in sorted(held.feeds)},
        run_id=run_id,
    )
    if last and replace(last, id=0, released_at=now, run_id="", kind="run", why="", who="") == replace(
        release, id=0, run_id=""
    ):
        return None
    return _commit(engine, release)


def _moved(before: Mapping[str, int], tables: Mapping[str, int]) -> bool:
    """Whether anything differs that people look at."""
    return any(before.get(name) != version for name, version in tables.items() if name.startswith(("silver.", "gold.")))


def _last_seen(engine: Engine, last: Release | None, feed: str) -> int:
    """The last load of a feed that readers of the latest release see."""
    if last is None:
        return 0
    known = (
        f"SELECT MAX(sequence) AS n FROM {LEDGER} WHERE data_source || '.' || feed = '{feed}' AND id <= {last.loads}"
    )
    return min(int(engine.ask(known).to_pylist()[0]["n"] or 0), last.held_loads.get(feed, 2**62))


def _commit(engine: Engine, release: Release) -> Release:
    row = {
        "id": release.id,
        "run_id": release.run_id,
        "as_of": release.as_of,
        "released_at": pa.scalar(release.released_at, pa.timestamp("us", "UTC")),
        "tables": json.dumps(dict(release.tables)),
        "loads": release.loads,
        "kind": release.kind,
        "why": release.why,
        "who": release.who,
        "held": json.dumps(dict(release.held)),
        "held_loads": json.dumps(dict(release.held_loads)),
    }
    engine.lend("release", pa.table({name: pa.array([value]) for name, value in row.items()}))
    engine.append(TABLE, "SELECT * FROM release")
    engine.let_go("release")
    return release


def target(engine: Engine, number: int | None) -> Release:
    """The release that a rollback goes back to: the one of that number, or the last one that said something else.

    Raises `ReleaseUnknown` if there is none, or if a version that it names can no longer be read.
    """
    known = every(engine)
    if number is None:
        others = [one for one in known[1:] if one.tables != known[0].tables]
        found = next(iter(others), None)
    else:
        found = next((one for one in known if one.id == number), None)
    if found is None:
        told = f"There are releases 1 to {known[0].id}: see `carelake releases`." if known else "Run `carelake run`."
        what = f"there is no release {number}." if number is not None else "there is no earlier release."
        raise ReleaseUnknown(what, told)
    if gone := [name for name, version in found.tables.items() if not _is_there(engine, name, version)]:
        what = f"release {found.id} can no longer be read: {', '.join(gone)} was cleaned up since."
        raise ReleaseUnknown(what, "Go back to a later one: see `carelake releases`.")
    return found


def _is_there(engine: Engine, name: str, version: int) -> bool:
    there = engine.version(name) is not None and engine.recall("recalled", name, version)
    engine.let_go("recalled")
    return there


def rollback(engine: Engine, to: Release, why: str, who: str, now: datetime) -> Release:
    """A new release that says what `to` said. It holds: runs go on, and release nothing until it is resumed."""
    last = latest(engine)
    return _commit(
        engine,
        replace(to, id=(last.id if last else 0) + 1, released_at=now, kind="rollback", why=why, who=who, run_id=""),
    )


def resume(engine: Engine, who: str, now: datetime) -> Release:
    """Let runs release again. Raises `ReleaseNotHeld` if nothing holds them."""
    last = latest(engine)
    if last is None or last.kind != "rollback":
        raise ReleaseNotHeld("no release was rolled back.", "Nothing is to be resumed: `carelake run` releases.")
    return _commit(engine, replace(last, id=last.id + 1, released_at=now, kind="resume", why="", who=who, run_id=""))
