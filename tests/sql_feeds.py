"""Feeds of a SQL database, and what a reading of one delivered, for the tests of the reader."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from carelake.model import Feed
from carelake.source import Delivery, Progress, Unfinished, sql

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def a_feed(at: str = "visits", **says: Any) -> Feed:
    usual = {"source": "hos-a", "name": at, "reader": "sql", "connection": "${HOS_A_URL}", "at": at, "load": "full"}
    return Feed(**{**usual, "fills": None, "columns": {}, **says})


@dataclass(frozen=True)
class Pulled:
    delivery: Delivery
    rows: list[dict[str, Any]]

    def ids(self, name: str = "id") -> list[Any]:
        return sorted(row[name] for row in self.rows)


def read(feed: Feed, url: str, progress: Progress | None = None, *, whole: bool = False, **says: Any) -> list[Pulled]:
    """Each delivery with its rows, pulled one after the other as a run does."""
    deliveries = sql.read(feed, url, progress or Progress(), NOW, whole=whole, **says)
    return [Pulled(one, [row for batch in one.batches for row in batch.to_pylist()]) for one in deliveries]


def after(*pulled: Pulled, sequence: int = 1) -> Progress:
    """What the ledger would know once these are loads."""
    last = pulled[-1].delivery
    schema = {column.name: str(column.type) for column in last.schema}
    if last.is_last:
        return Progress(sequence=sequence, watermark=last.watermark_to, schema=schema)
    part = Unfinished(last.part_of or "", last.range + 1, last.until, last.watermark_to)
    return Progress(sequence=sequence, schema=schema, unfinished=part)
