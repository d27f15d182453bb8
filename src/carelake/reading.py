"""Feeds -> loads. Where other machines read, feeds are read side by side; they land as if one came after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from threading import Event, Lock

from . import bronze
from .errors import LoginDenied
from .foreign import as_ours
from .lake import Lake
from .model import Feed
from .source import Delivery, Progress, readers
from .step import Run, Step, failed


def extract(lake: Lake, feeds: Sequence[Feed], did: Run, doors: Doors, *, reconcile: bool) -> Iterator[Step]:
    """What came of each feed, in their order. One that fails does not stop the others: its step says why."""
    turns = Turns(len(feeds))

    def one(place: int, feed: Feed) -> Step:
        began = time.monotonic()
        turn = partial(turns.landing, place)
        to = bronze.Landing(lake.engine, lake.ledger, lake.bronze, did.run_id, did.as_of, did.started, turn)
        try:
            step = _extract(lake, feed, to, turns.asking, doors, reconcile)
        finally:
            turns.over(place)
        return replace(step, seconds=round(time.monotonic() - began, 3))

    if lake.engine.readers == 1:
        yield from map(one, range(len(feeds)), feeds)
        return
    pool = ThreadPoolExecutor(lake.engine.readers, "feed")
    try:
        yield from pool.map(one, range(len(feeds)), feeds)
    finally:
        pool.shutdown(cancel_futures=True)  # who interrupts waits for the feeds that are being read, and for no other


class Turns:
    """Feeds land in the order in which they are declared, however soon they were read: which load came first decides
    between versions of one time, and may not be left to chance.
    """

    def __init__(self, feeds: int) -> None:
        self.asking = Lock()  # the engine, and the ledger in it
        self._over = [Event() for _ in range(feeds)]

    @contextmanager
    def landing(self, place: int) -> Iterator[None]:
        """Wait until the feeds before that one are over; none that come later land meanwhile."""
        for over in self._over[:place]:
            over.wait()
        with self.asking:
            yield

    def over(self, place: int) -> None:
        """That feed lands nothing more."""
        self._over[place].set()


class Doors:
    """Connections: each is tried by one feed first, and never again once it was denied, since databases lock accounts
    that fail too often.
    """

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._turns = {feed.connection: Lock() for feed in feeds}
        self._open = set[str]()
        self._denied = set[str]()

    @contextmanager
    def entering(self, feed: Feed) -> Iterator[None]:
        """Log in within. Raises `LoginDenied` without a try, if another feed was denied."""
        is_first = feed.connection not in self._open
        with self._turns[feed.connection] if is_first else nullcontext():
            if feed.connection in self._denied:
                raise LoginDenied(f"{feed.source}.{feed.name}")
            try:
                yield
            except LoginDenied:
                self._denied.add(feed.connection)
                raise
            self._open.add(feed.connection)


def _extract(lake: Lake, feed: Feed, to: bronze.Landing, asking: Lock, doors: Doors, reconcile: bool) -> Step:
    """Read what is new of a feed, and land each delivery as a load."""
    name = f"{feed.source}.{feed.name}"
    if not feed.active:
        return Step("extract", name, "inactive", found=feed.idle)
    if feed.optional and (missing := lake.secrets.missing(feed.connection)):
        return Step("extract", name, "inactive", found=f"not connected: {', '.join(missing)} is not set")
    rows, warnings = 0, list[str]()
    progress: Progress | None = None
    try:
        progress = _progress(lake, feed, asking)
        deliveries = _deliveries(lake, feed, progress, to, asking, reconcile)
        with doors.entering(feed):
            delivery = next(deliveries, None)
        while delivery is not None:
            load = bronze.land(to, feed, delivery, progress)
            warnings += delivery.warnings
            if load:
                rows += load.rows
                progress = _progress(lake, feed, asking)
            delivery = next(deliveries, None)
    except Exception as error:  # noqa: BLE001 - whatever a reader throws, the other feeds go on
        return failed("extract", name, as_ours(error), rows, progress)
    outcome = "warned" if warnings else "done" if rows else "unchanged"
    return Step("extract", name, outcome, rows, found=" ".join(warnings))


def _progress(lake: Lake, feed: Feed, asking: Lock) -> Progress:
    with asking:
        return lake.ledger.progress(feed)


def _deliveries(
    lake: Lake, feed: Feed, progress: Progress, to: bronze.Landing, asking: Lock, reconcile: bool
) -> Iterator[Delivery]:
    connection = lake.connection(feed)
    if feed.reader == "reference":
        with asking:
            wanted = lake.engine.ask(feed.wanted).columns[0].to_pylist() if feed.wanted else []
        return readers.look_up(feed, connection, progress, to.now, sorted(filter(None, wanted)), lake.cache)
    there = partial(lake.secrets.filled, feed.connection)
    return readers.read(feed, connection, progress, to.now, whole=reconcile, there=there)
