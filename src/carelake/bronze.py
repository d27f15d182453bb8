"""Deliveries -> immutable loads: Parquet under `<source>/<feed>/<yyyy>/<mm>/<dd>/<load>`, then one row in the ledger.

A row equal to the latest landed version of its key is not landed again; a delivery that holds all the feed has lands a
tombstone for each key that vanished. So A -> B -> A and what is inserted again survive.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from . import delivered, purges
from .delivered import Wanted, rows_of
from .engine import Engine
from .errors import EngineFailed, LakeDamaged, SourceColumnMissing, SourceNameTaken
from .foreign import in_our_words
from .landed import Counted, counted
from .ledger import RANGE, TABLE, Ledger, Load
from .model import Feed
from .plan import DELETED, NUMBER, SEQUENCE, fingerprint
from .source import Delivery, Progress
from .sql import quoted

REJECTED = "rejected.parquet"
OWN = "_lake_"  # how the names of columns begin that are not the source's
LAST = f"{OWN}last"  # of a key: the load that landed it last
HASH = "_lake_hash"  # of rows that are compared; not stored
UNFINISHED = ".unfinished-"  # a folder of that name belongs to a run that was killed


@dataclass(frozen=True)
class Landing:
    """What every load of a run shares."""

    engine: Engine
    ledger: Ledger
    root: Path  # of bronze
    run_id: str
    as_of: date
    now: datetime


def ahead(to: Landing, several: Sequence[tuple[Feed, Delivery, Progress]]) -> list[list[Path]]:
    """What of each delivery other machines have read, all at once: for `land`, which has to be called for each."""
    wanted = [_wanted(to, *one) for one in several]
    for one in wanted:
        shutil.rmtree(one.work, ignore_errors=True)
    return delivered.ahead(to.engine, wanted)


def land(
    to: Landing, feed: Feed, delivery: Delivery, progress: Progress, came: list[Path] | None = None
) -> Load | None:
    """The load that `delivery` became, the files of which `came` ahead; None if it brought nothing that was not known.

    Raises what the reader raises, `SourceColumnMissing` if the key's columns are not in it, and `LakeFull`.
    """
    wanted = _wanted(to, feed, delivery, progress)
    folder, work = _folder(to, feed, wanted.sequence), wanted.work
    if came is None:
        shutil.rmtree(work, ignore_errors=True)
    try:
        counts = _write(to, feed, wanted, came)
        if not counts.landed and not counts.rejected and not _moves(delivery, progress, counts.told):
            delivery.committed()
            return None
        load = _load(to, feed, delivery, wanted.sequence, folder, work, counts)
        with in_our_words("land"):
            shutil.rmtree(to.root / folder, ignore_errors=True)  # of a run killed between here and the commit
            os.replace(work, to.root / folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    committed = to.ledger.commit(load)
    delivery.committed()
    return committed


def _folder(to: Landing, feed: Feed, sequence: int) -> Path:
    return Path(feed.source, feed.name, f"{to.now:%Y/%m/%d}", f"{sequence:06d}")


def _wanted(to: Landing, feed: Feed, delivery: Delivery, progress: Progress) -> Wanted:
    folder = _folder(to, feed, progress.sequence + 1)
    work = to.root / folder.with_name(f"{UNFINISHED}{folder.name}")
    return Wanted(delivery, feed.connection, progress.sequence + 1, work)


def files(root: Path, loads: Sequence[Load]) -> list[Path]:
    """The Parquet files of `loads`. Raises `LakeDamaged` if one is gone, or is not as long as it was when it landed."""
    for load in loads:
        if _bytes(root, load) != load.bytes:
            raise _damaged(load, "are not there, or broke off")
    return [root / load.folder / name for load in loads for name in load.parts]


def proven(root: Path, loads: Sequence[Load]) -> list[Path]:
    """The same, byte by byte what was landed: for those who read it once, and build upon it."""
    paths = files(root, loads)
    for load in loads:
        if any(digest(root / load.folder / name) != told for name, told in load.parts.items()):
            raise _damaged(load, "are not what was landed")
    return paths


def _bytes(root: Path, load: Load) -> int:
    paths = (root / load.folder / name for name in load.parts)
    return sum(path.stat().st_size for path in paths if path.is_file())


def _damaged(load: Load, what: str) -> LakeDamaged:
    fix = f"Bring originals/bronze/{load.folder} back from the backup; nothing was changed."
    return LakeDamaged(f"files of the load {load.load_id} {what}.", fix)


def sweep(root: Path, ledger: Ledger) -> int:
    """Delete what killed or failed runs and purges left behind: how many folders. That is what was unfinished, and of
    each feed at most the load that would have come next. Raises `LakeDamaged`, and deletes nothing, if loads of the
    ledger are gone, or if the ledger lacks more than that: then it is the ledger that is wrong, on a disk not mounted
    or restored from a backup.
    """
    known = [Path(folder) for folder in ledger.folders()]
    if gone := sorted(str(folder) for folder in known if not (root / folder).is_dir()):
        told = f"{len(gone):,} loads are gone from bronze, the first of them {gone[0]}."
        raise LakeDamaged(told, "Bring originals/bronze back from the backup; nothing was changed.")
    left = nobodys(root, known)
    for folder in left:
        shutil.rmtree(root / folder)
    for part in purges.strays(root, ledger.landed()):
        part.unlink()
    return len(left)


def nobodys(root: Path, known: Sequence[Path]) -> set[Path]:
    """The folders that killed or failed runs left behind, below `root`; `known` are those of loads. Raises
    `LakeDamaged` if there are more than those could have left.
    """
    last = {folder.parts[:2]: 0 for folder in known}
    for folder in known:
        last[folder.parts[:2]] = max(last[folder.parts[:2]], int(folder.name))
    found = {path.relative_to(root) for path in root.glob("*/*/*/*/*/*") if path.is_dir()} - set(known)
    loads = {folder for folder in found if folder.name.isdigit()}
    if any(int(folder.name) != last.get(folder.parts[:2], 0) + 1 for folder in loads):
        told = f"{len(loads):,} loads lie in bronze that {TABLE} does not know."
        raise LakeDamaged(told, f"Restore {TABLE} to the version that knew them; nothing was deleted.")
    return loads | {folder for folder in found if folder.name.startswith(UNFINISHED)}


@dataclass(frozen=True)
class _Counts:
    told: Counted
    read: int
    landed: int
    deleted: int
    rejected: int


def _write(to: Landing, feed: Feed, wanted: Wanted, came: list[Path] | None) -> _Counts:
    """Stage what was delivered, and keep of it what is new."""
    delivery, work = wanted.delivery, wanted.work
    key = _key(feed, delivery.schema)
    staged = delivered.staged(to.engine, wanted, came)
    loads = to.ledger.loads(feed)
    prior = files(to.root, loads)
    read, deleted = rows_of(staged), 0
    told = counted(to.engine, delivery, read, staged)
    if prior and (read or delivery.whole):
        try:
            staged = _kept(to.engine, staged, prior, key, delivery, wanted.sequence, work)
        except EngineFailed:
            proven(to.root, loads)  # most often it is a disk that does not give back what was written
            raise
    if prior and delivery.whole:
        deleted = _tombstones(staged)
    if delivery.rejects:
        _keep_rejects(delivery, work)
    return _Counts(told, read, rows_of(staged), deleted, len(delivery.rejects))


def _kept(
    engine: Engine,
    staged: list[Path],
    prior: list[Path],
    key: Sequence[str],
    delivery: Delivery,
    sequence: int,
    work: Path,
) -> list[Path]:
    """Of the staged rows those that differ from the latest landed version of their key, and a tombstone for each key
    that is not among them, if the delivery holds all there is.
    """
    engine.show("staged", staged)
    engine.show("landed", prior)
    try:
        engine.hold("prior", _prior(engine, key, only_staged=not delivery.whole))
        if not engine.hold("latest", _latest(key)):
            return staged
        engine.let_go("prior")
        engine.hold("now", f"SELECT {_listed(dict.fromkeys([*key, HASH]))} FROM {_digested(engine, 'staged')}")
        engine.hold("altered", _altered(key))
        names = [quoted(name) for name in delivery.schema.names]
        fresh = _fresh(engine, key, names)
        if delivery.whole and key != [HASH]:  # without a key nobody can say which row vanished
            fresh = f"{fresh}\nUNION ALL\n{_vanished(key, names, sequence)}"
        written = engine.write_files(fresh, work / "fresh")
    finally:
        engine.let_go("altered", "now", "latest", "prior", "landed", "staged")
    for path in staged:
        path.unlink()
    moved = [path.rename(work / path.name) for path in written]
    (work / "fresh").rmdir()
    return moved


def _digested(engine: Engine, relation: str, which: str = "") -> str:
    """The rows of `staged` or `landed`, each with a digest of what it tells: equal for equal rows only. A column that
    one of them has not is NULL in it.

    Made when rows are compared, and not when they land: in a first load nobody asks, and it took as long as writing.
    """
    has = {name.lower(): quoted(name) for name in engine.columns(relation)}
    every = sorted({name.lower() for other in ("staged", "landed") for name in engine.columns(other)})
    told = fingerprint(has.get(name, "NULL") for name in every if name not in {SEQUENCE, DELETED, NUMBER})
    digest = f"CASE WHEN {DELETED} THEN '' ELSE MD5({told}) END AS {HASH}"
    return f"(SELECT *, {digest} FROM {relation}{which}) AS {relation}"


def _prior(engine: Engine, key: Sequence[str], *, only_staged: bool) -> str:
    """Key, digest and sequence of what was landed before, of the staged keys or of all."""
    some = only_staged and key != [HASH]
    which = f" WHERE EXISTS (SELECT 1 FROM staged WHERE {_same('landed', 'staged', key)})" if some else ""
    return f"SELECT {_listed(dict.fromkeys([*key, HASH]))}, {SEQUENCE} FROM {_digested(engine, 'landed', which)}"


def _latest(key: Sequence[str]) -> str:
    """The digests of the last load that landed each key."""
    last = f"SELECT {_listed(key)}, MAX({SEQUENCE}) AS {LAST} FROM prior GROUP BY {_listed(key)}"
    return f"""WITH last AS ({last})
SELECT {_listed(f"prior.{name}" for name in dict.fromkeys([*key, HASH]))}
FROM prior INNER JOIN last ON prior.{SEQUENCE} = last.{LAST} AND {_same("prior", "last", key)}"""


def _altered(key: Sequence[str]) -> str:
    """The keys that have a row now which the last load did not land, or had one there which they have not now."""
    same, keys = _same("now", "latest", list(dict.fromkeys([*key, HASH]))), _listed(key)
    return f"""SELECT {keys} FROM now WHERE NOT EXISTS (SELECT 1 FROM latest WHERE {same})
UNION
SELECT {keys} FROM latest WHERE NOT EXISTS (SELECT 1 FROM now WHERE {same})"""


def _fresh(engine: Engine, key: Sequence[str], names: Sequence[str]) -> str:
    """The staged rows of the keys whose rows are not just those that were landed last."""
    staged = _digested(engine, "staged") if HASH in key else "staged"
    return f"""SELECT {_listed([*names, SEQUENCE, DELETED])} FROM {staged}
WHERE EXISTS (SELECT 1 FROM altered WHERE {_same("staged", "altered", key)})"""


def _vanished(key: Sequence[str], names: Sequence[str], sequence: int) -> str:
    """A tombstone for each key that was landed last with rows, and is not among the staged ones."""
    columns = [f"latest.{name} AS {name}" if name in key else f"NULL AS {name}" for name in names]
    columns += [f"CAST({sequence} AS BIGINT) AS {SEQUENCE}", f"TRUE AS {DELETED}"]
    staged = f"SELECT 1 FROM now WHERE {_same('latest', 'now', key)}"
    return f"SELECT DISTINCT {_listed(columns)} FROM latest WHERE {HASH} <> '' AND NOT EXISTS ({staged})"


def _same(one: str, other: str, key: Sequence[str]) -> str:
    return " AND ".join(f"{one}.{name} IS NOT DISTINCT FROM {other}.{name}" for name in key)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _key(feed: Feed, schema: pa.Schema) -> list[str]:
    """The feed's own columns that tell its rows apart, quoted; all of a row, if none are declared."""
    spelled = {name.lower(): name for name in schema.names}
    if own := [name for name in schema.names if name.lower().startswith(OWN)]:
        found = f"{feed.source}.{feed.name} has a column {', '.join(own)}, whose name is CareLake's own."
        raise SourceNameTaken(found, "Read it through a view that names it otherwise.")
    if unknown := [name for name in feed.key if name.lower() not in spelled]:
        found = f"{feed.source}.{feed.name} has no column {', '.join(unknown)}, which is its key."
        raise SourceColumnMissing(found, f"It has: {', '.join(schema.names)}.")
    return [quoted(spelled[name.lower()]) for name in feed.key] or [HASH]


def _moves(delivery: Delivery, progress: Progress, told: Counted) -> bool:
    """Whether the ledger has something to remember of a delivery that brought no rows."""
    if told.agrees != progress.agrees and (delivery.whole or not told.agrees):
        return True
    news = delivery.content is not None and delivery.content not in progress.contents
    return news or delivery.part_of is not None or delivery.watermark_to != progress.watermark


def _load(
    to: Landing, feed: Feed, delivery: Delivery, sequence: int, folder: Path, work: Path, counts: _Counts
) -> Load:
    parts = sorted(work.glob("part-*.parquet"))
    if not counts.landed:
        for path in parts:
            path.unlink()
        parts = []
    with in_our_words("land"):
        work.joinpath(RANGE).write_text(json.dumps({"until": delivery.until}), encoding="utf-8")
        for path in work.iterdir():
            durable(path)
    return Load(
        feed=feed,
        run_id=to.run_id,
        sequence=sequence,
        load_type="full" if delivery.whole else feed.load,
        rows=counts.landed,
        rows_read=counts.read,
        rows_deleted=counts.deleted,
        rows_rejected=counts.rejected,
        told=counts.told,
        bytes=sum(path.stat().st_size for path in parts),
        watermark_from=delivery.watermark_from,
        watermark_to=delivery.watermark_to,
        as_of=to.as_of,
        extracted_at=to.now,
        delivery=delivery.name,
        folder=str(folder),
        parts={path.name: digest(path) for path in parts},
        schema={field.name: str(field.type) for field in delivery.schema},
        content=delivery.content,
        part_of=delivery.part_of,
        range=delivery.range,
        is_last=delivery.is_last,
    )


def _keep_rejects(delivery: Delivery, work: Path) -> None:
    """Bad lines stay in the originals zone, each with its number and reason."""
    numbers, reasons, lines = zip(*delivery.rejects, strict=True)
    with in_our_words("land"):
        pq.write_table(pa.table({"line_number": numbers, "reason": reasons, "line": lines}), work / REJECTED)


def _tombstones(paths: Sequence[Path]) -> int:
    return sum(pc.sum(pq.read_table(path, columns=[DELETED])[DELETED]).as_py() or 0 for path in paths)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def durable(path: Path) -> None:
    """Have a file on the disk, and not only on its way."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
