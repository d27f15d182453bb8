"""Feeds -> loads, one after the other. Where there are other machines, they read the big tables of several at once."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from . import bronze
from .errors import LoginDenied
from .foreign import as_ours
from .lake import Lake
from .model import Feed
from .source import Delivery, Progress, readers
from .step import Step, failed

AHEAD = 16  # feeds that are begun together: each holds a connection until its turn comes


@dataclass(frozen=True)
class Intake:
    """What the feeds of a run share."""

    lake: Lake
    to: bronze.Landing
    reconcile: bool
    denied: set[str] = field(default_factory=set)  # connections, not tried again: databases lock accounts for it


@dataclass
class _Begun:
    """A feed whose first delivery may have come ahead of its turn, or what stopped it."""

    progress: Progress | None = None
    deliveries: Generator[Delivery] | None = None
    first: Delivery | None = None
    came: list[Path] | None = None
    error: Exception | None = None

    def end(self) -> None:
        """Let go of the source now: an error can keep what it was raised from, and a database would stay locked."""
        if self.deliveries:
            self.deliveries.close()
        for path in self.came or ():
            shutil.rmtree(path.parent, ignore_errors=True)


def extract(intake: Intake, feeds: Sequence[Feed]) -> Iterator[Step]:
    """What came of each feed. One that fails does not stop the others: its step says why."""
    for start in range(0, len(feeds), AHEAD):
        some = [(feed, _Begun()) for feed in feeds[start : start + AHEAD]]
        try:
            if intake.to.engine.has_others:
                _ahead(intake, some)
            for feed, begun in some:
                yield _idle(intake.lake, feed) or _extract(intake, feed, begun)
        finally:  # of those, too, whose turn never came
            for _, begun in some:
                begun.end()


def _idle(lake: Lake, feed: Feed) -> Step | None:
    name = f"{feed.source}.{feed.name}"
    if not feed.active:
        return Step("extract", name, "inactive", found=feed.idle)
    if feed.optional and (missing := lake.secrets.missing(feed.connection)):
        return Step("extract", name, "inactive", found=f"not connected: {', '.join(missing)} is not set")
    return None


def _ahead(intake: Intake, some: Sequence[tuple[Feed, _Begun]]) -> None:
    """Have other machines read what is big in the databases, all at once. What stops a feed is kept for its turn."""
    big: list[tuple[Feed, _Begun, Delivery, Progress]] = []
    for feed, begun in some:
        if feed.reader != "sql" or _idle(intake.lake, feed):
            continue
        try:
            progress, deliveries = _deliveries(intake, feed)
            first = next(deliveries, None)
        except Exception as error:  # noqa: BLE001 - whatever a reader throws, the other feeds go on
            begun.error = error
            continue
        if not first or not first.elsewhere:
            deliveries.close()  # counted now and read later, it would be of two moments
        else:
            begun.progress, begun.deliveries, begun.first = progress, deliveries, first
            big.append((feed, begun, first, progress))
    came = bronze.ahead(intake.to, [(feed, delivery, progress) for feed, _, delivery, progress in big])
    for (_, begun, _, _), files in zip(big, came, strict=True):
        begun.came = files


def _extract(intake: Intake, feed: Feed, begun: _Begun) -> Step:
    """Read what is new of a feed, and land each delivery as a load."""
    name, rows, warnings, progress = f"{feed.source}.{feed.name}", 0, list[str](), begun.progress
    try:
        if begun.error:
            raise begun.error
        delivery, came = begun.first, begun.came
        if progress is None or begun.deliveries is None:
            progress, begun.deliveries = _deliveries(intake, feed)
            delivery = next(begun.deliveries, None)
        while delivery is not None:
            load = bronze.land(intake.to, feed, delivery, progress, came)
            warnings += delivery.warnings
            if load:
                rows += load.rows
                progress = intake.lake.ledger.progress(feed)
            delivery, came = next(begun.deliveries, None), None
    except Exception as error:  # noqa: BLE001 - whatever a reader throws, the other feeds go on
        return failed("extract", name, as_ours(error), rows, progress)
    finally:
        begun.end()
    outcome = "warned" if warnings else "done" if rows else "unchanged"
    return Step("extract", name, outcome, rows, found=" ".join(warnings))


def _deliveries(intake: Intake, feed: Feed) -> tuple[Progress, Generator[Delivery]]:
    if feed.connection in intake.denied:
        raise LoginDenied(f"{feed.source}.{feed.name}")
    progress = intake.lake.ledger.progress(feed)
    return progress, _asked(intake, feed, progress)


def _asked(intake: Intake, feed: Feed, progress: Progress) -> Generator[Delivery]:
    lake, connection, now = intake.lake, intake.lake.connection(feed), intake.to.now
    try:
        if feed.reader == "reference":
            wanted = lake.engine.ask(feed.wanted).columns[0].to_pylist() if feed.wanted else []
            yield from readers.look_up(feed, connection, progress, now, sorted(filter(None, wanted)), lake.cache)
        else:
            there = partial(lake.secrets.filled, feed.connection)
            yield from readers.read(feed, connection, progress, now, whole=intake.reconcile, there=there)
    except LoginDenied:
        intake.denied.add(feed.connection)
        raise
