"""Whether a lake is whole: bronze against its ledger, tables against their logs, releases and marks against both.

Nothing is changed. No lock is taken, so that runs go on: what a run writes meanwhile is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path

from .. import bronze, epochs, purges, refinery, release, vault
from ..errors import EngineFailed, LakeDamaged, SettingMissing, SettingUnfit
from ..lake import Lake, examined, is_written
from ..ledger import TABLE as LEDGER
from ..ledger import Landed
from . import needs
from .finding import LEFT, Finding

Watch = Callable[[str, int, int], None]  # what is looked at, how much of it was, and how much there is
REMADE = ("silver", "gold", "reference")  # layers that a run makes anew of what is below them
SAMPLE = 1_000  # sealed originals that are opened
BUSY = "what is left over, since a run is writing"
BLIND = "bronze, marks and what is left over, since the ledger cannot be read"
BACK = "Bring it back from the backup: `carelake backup restore`."


@dataclass(frozen=True)
class Verified:
    """What was looked at, and what is not as it should be."""

    findings: tuple[Finding, ...]
    loads: int
    bytes: int
    tables: int
    releases: int  # that stay readable
    originals: int  # sealed in the vault and opened, as a sample
    passed_over: str = ""  # what was not looked at, and why

    @property
    def is_whole(self) -> bool:
        return not any(finding.is_damage for finding in self.findings)


def verify(project: Path, environment: Mapping[str, str], now: datetime, watch: Watch = lambda *told: None) -> Verified:
    """Everything that is wrong with the lake of `project`. Raises what reading the declarations raises."""
    damaged: list[str] = []
    with examined(project, environment, damaged) as lake:
        kept = needs.kept(lake.engine, now, lake.declared.place.keep)
        loads, blind, busy = lake.ledger.landed(), LEDGER in damaged, is_written(lake)
        tried, closed = _unsealed(lake)
        found = chain(
            _tables(lake, needs.versions(kept), watch),
            _ledger(loads),
            _bronze(lake, loads, watch),
            () if blind else _marks(lake, loads),
            _releases(lake, kept if not blind else [], loads),
            _twice(lake),
            closed,
            () if busy or blind else _left(lake, loads),
        )
        size, tables = sum(load.bytes for load in loads), len(lake.engine.tables())
        over = BLIND if blind else BUSY if busy else ""
        return Verified(tuple(found), len(loads), size, tables, len(kept), tried, over)


def _tables(lake: Lake, versions: Mapping[str, set[int]], watch: Watch) -> Iterator[Finding]:
    """Each stored table by itself, and those that a release names and that are not there."""
    stored, purged = lake.engine.tables(), _purged(lake)
    for number, table in enumerate(stored):
        watch("tables", number, len(stored))
        for flaw in lake.engine.flaws(table, versions.get(table, set())):
            yield Finding("LAKE-513", table, f"{flaw}.", _mend(table, purged))
    for table in sorted(versions.keys() - set(stored)):
        yield Finding("LAKE-513", table, "a release names it, and it is not there.", _mend(table, purged))


def _mend(table: str, purged: Collection[str]) -> str:
    """What to do about a stored table. One of silver can be made anew of bronze, unless something is gone from that."""
    layer, _, name = table.partition(".")
    if layer not in REMADE or table in purged:
        return BACK
    return (
        f"Move the folder {layer}/{name} away: the next `carelake run` makes it anew. Or bring it back from the backup."
    )


def _purged(lake: Lake) -> set[str]:
    """The stored tables of silver that hold what is no longer in bronze."""
    if not purges.known(lake.engine):
        return set()
    names = lake.engine.ask(f"SELECT DISTINCT table_name FROM {purges.TABLE}")["table_name"].to_pylist()
    return {f"silver.{name}_versions" for name in names}


def _ledger(loads: list[Landed]) -> Iterator[Finding]:
    """Loads are counted without a gap: all of them, and those of each feed. No folder has two."""
    fix = f"Bring {LEDGER} back from the backup, or restore it to the version before."
    if [load.id for load in loads] != list(range(1, len(loads) + 1)):
        yield Finding("LAKE-512", LEDGER, "the ids of its loads are not counted from 1 on without a gap.", fix)
    feeds = sorted({load.feed for load in loads})
    for feed in feeds:
        told = [load.sequence for load in loads if load.feed == feed]
        if sorted(told) != list(range(1, len(told) + 1)):
            found = f"the loads of {feed} are not counted from 1 on without a gap."
            yield Finding("LAKE-512", LEDGER, found, fix)
    if len({load.folder for load in loads}) < len(loads):
        yield Finding("LAKE-512", LEDGER, "two loads lie in one folder.", fix)


def _bronze(lake: Lake, loads: list[Landed], watch: Watch) -> Iterator[Finding]:
    """Every part of every load, byte by byte."""
    done, size = 0, sum(load.bytes for load in loads)
    for load in loads:
        watch("bytes of bronze", done, size)
        for name, told in load.parts.items():
            path = lake.bronze / load.folder / name
            what = "is gone" if not path.is_file() else "is not what was landed" if bronze.digest(path) != told else ""
            if what:
                fix = f"Bring originals/bronze/{load.folder} back from the backup; do not run before."
                yield Finding("LAKE-511", f"bronze/{load.folder}/{name}", f"this part of {load.load_id} {what}.", fix)
        done += load.bytes


def _marks(lake: Lake, loads: list[Landed]) -> Iterator[Finding]:
    """No table has taken in more loads of a feed than were landed."""
    last, began = {load.feed: load.sequence for load in loads}, epochs.current(lake.engine)
    for feed in (feed for feed in lake.declared.feeds if feed.fills):
        table, landed = f"silver.{feed.fills}_versions", last.get(f"{feed.source}.{feed.name}", 0)
        marked = lake.engine.marked(table, refinery.mark(feed.fills or "", feed.source, feed.name, began))
        if marked > landed:
            found = f"it has taken in {marked:,} loads of {feed.source}.{feed.name}, of which {landed:,} were landed."
            fix = "The ledger was brought back from an older day than the table: bring both back from one backup."
            yield Finding("LAKE-515", table, found, fix)


def _releases(lake: Lake, kept: list[needs.Kept], loads: list[Landed]) -> Iterator[Finding]:
    """Releases are counted without a gap, and know no load that the ledger does not."""
    if lake.engine.version(release.TABLE) is None:
        return
    told = lake.engine.ask(f"SELECT id FROM {release.TABLE} ORDER BY id")["id"].to_pylist()
    if told != list(range(1, len(told) + 1)):
        found = "the ids of releases are not counted from 1 on without a gap."
        yield Finding("LAKE-514", release.TABLE, found, BACK)
    for one in kept:
        if one.loads > len(loads):
            found = f"release {one.id} knows {one.loads:,} loads, and the ledger {len(loads):,}."
            yield Finding("LAKE-514", LEDGER, found, BACK)


def _unsealed(lake: Lake) -> tuple[int, list[Finding]]:
    """How many sealed originals were tried, and what is wrong if the key does not open them."""
    if lake.engine.version("vault.token") is None:
        return 0, []
    try:
        tried, unopened = vault.unopened(lake.engine, lake.secrets.masters, SAMPLE)
    except (SettingMissing, SettingUnfit) as error:
        return 0, [Finding("LAKE-516", "vault.token", f"its key is not at hand: {error.found}", error.fix)]
    found = f"the key does not open {unopened:,} of {tried:,} originals that were tried."
    fix = "Set the key that the lake was made with; if it is that one, bring the vault back from the backup."
    return tried, [Finding("LAKE-516", "vault.token", found, fix)] if unopened else []


def _twice(lake: Lake) -> Iterator[Finding]:
    """One token is one person's, one person has one token, and the same of keys."""
    for table, columns in vault.UNIQUE:
        if lake.engine.version(table) is not None and (twice := vault.doubled(lake.engine, table, columns)):
            yield Finding("LAKE-516", table, f"{twice:,} times several rows have the same {columns}.", BACK)


def _left(lake: Lake, loads: list[Landed]) -> Iterator[Finding]:
    """What nobody reads, and what bronze has beyond the ledger."""
    try:
        nobodys = bronze.nobodys(lake.bronze, [Path(load.folder) for load in loads])
    except LakeDamaged as error:
        yield Finding("LAKE-512", LEDGER, error.found, error.fix)
        nobodys = set()
    if nobodys:
        yield Finding(LEFT, "bronze", f"{len(nobodys):,} folders belong to no load.", "The next run takes them away.")
    if parts := purges.strays(lake.bronze, loads):
        found = f"{len(parts):,} files lie beside the parts of loads, as a purge that was killed leaves them."
        yield Finding(LEFT, "bronze", found, "The next run, or `carelake purge`, takes them away.")
    if spilled := list(lake.bronze.with_name("staging").glob("*")):
        yield Finding(LEFT, "staging", f"{len(spilled):,} files spilled.", "The next run takes them away.")
    for table in lake.engine.tables():
        try:
            strays = lake.engine.strays(table)
        except EngineFailed:  # its log cannot be read, which is told already
            continue
        if strays:
            found = f"{len(strays):,} files were never part of it."
            yield Finding(LEFT, table, found, "`carelake vacuum` takes them away.")
