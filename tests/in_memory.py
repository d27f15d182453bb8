"""A small lake in a test. Its sources are lists of rows, or what a true reader reads; the rest is the true code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from lake_engines import MakeEngine

from carelake import bronze, declare, epochs, refinery, repaired, silver
from carelake.engine.duck import Duck
from carelake.lake import ZONES
from carelake.ledger import Ledger, Load
from carelake.model import Declarations, Feed, Table
from carelake.source import Delivery, readers
from carelake.vault import Vault

DAY_0 = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = bytes(range(32))


def hours(n: float) -> datetime:
    """The moment `n` hours into the story that a test tells."""
    return DAY_0 + timedelta(hours=n)


def declared(folder: Path, pages: Mapping[str, str]) -> Declarations:
    """What `pages` (name below the project -> its text) declare, and nothing that is shipped but privacy."""
    for name, text in {"lake.yml": "about: A lake in a test.", **pages}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    everything = declare.read(folder)
    own = {Path(name).stem for name in pages}
    return replace(
        everything,
        tables={name: table for name, table in everything.tables.items() if name in own},
        feeds=tuple(feed for feed in everything.feeds if feed.source in own),
        marts={},
        references={},
    )


class InMemory:
    """A lake in `folder`. A second one in the same folder is a second run."""

    def __init__(self, folder: Path, says: Declarations, make: MakeEngine = Duck) -> None:
        self.declared = says
        self.bronze = folder / "bronze"
        staging = folder / "staging"
        for path in (self.bronze, staging):
            path.mkdir(parents=True, exist_ok=True)
        self.engine = make({layer: folder / layer for layer in ZONES}, staging)
        self.ledger = Ledger(self.engine, self.bronze)
        self.ledger.create()
        repaired.create(self.engine)
        silver.create(self.engine, says)
        silver.define(self.engine, says)
        self.vault = Vault(self.engine, lambda: [SECRET])

    def feed(self, name: str) -> Feed:
        """The feed `source.name`."""
        return next(feed for feed in self.declared.feeds if f"{feed.source}.{feed.name}" == name)

    def land(
        self,
        name: str,
        rows: Sequence[Mapping[str, str | None]],
        *,
        columns: Sequence[str],
        whole: bool = False,
        seen: datetime = DAY_0,
        upper: datetime | None = None,
    ) -> Load | None:
        """The load that `rows` became, all of whose columns are text."""
        table = pa.table({column: pa.array([row.get(column) for row in rows], pa.string()) for column in columns})
        delivery = Delivery(name, table.schema, iter(table.to_batches()), whole, watermark_to=_written(upper))
        feed = self.feed(name)
        to = bronze.Landing(self.engine, self.ledger, self.bronze, f"{seen:%d%H%M}", date(2026, 6, 30), seen)
        return bronze.land(to, feed, delivery, self.ledger.progress(feed))

    def extract(self, name: str, connection: str, *, whole: bool = False, seen: datetime = DAY_0) -> int:
        """Read what is new of a feed through its true reader; how many rows that landed."""
        feed, rows = self.feed(name), 0
        to = bronze.Landing(self.engine, self.ledger, self.bronze, f"{seen:%d%H%M}", date(2026, 6, 30), seen)
        progress = self.ledger.progress(feed)
        for delivery in readers.read(feed, connection, progress, seen, whole=whole):
            load = bronze.land(to, feed, delivery, progress)
            rows, progress = rows + (load.rows if load else 0), self.ledger.progress(feed)
        return rows

    def refine(self, *tables: str, now: datetime = DAY_0) -> dict[str, silver.Refined]:
        """What each table, or each one of `tables`, took in."""
        at = refinery.Refinery(
            self.engine, self.ledger, self.vault, self.bronze, self.declared.policy, f"{now:%d%H%M}", now,
            epochs.current(self.engine),
        )  # fmt: skip
        named: Sequence[Table] = [t for t in self.declared.tables.values() if not tables or t.name in tables]
        refined = {table.name: silver.refine(at, table, self.declared.feeds) for table in named}
        for table in named:
            repaired.renew(at, table, self.declared.feeds)
        return refined

    def ask(self, select: str) -> list[dict[str, Any]]:
        """The rows of a SELECT."""
        return list(self.engine.ask(select).to_pylist())


def _written(upper: datetime | None) -> str | None:
    """As a source writes it: on its own clock, without a zone."""
    return upper.replace(tzinfo=None).isoformat(" ") if upper else None
