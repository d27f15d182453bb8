"""Readers: one file a kind of source. A reader turns a feed into deliveries; each delivery becomes one load.

A reader knows no lake, no ledger and no engine. It is told what the ledger knows of the feed (`Progress`) and yields
deliveries whose batches are pulled once, in order. Nothing of a row may reach a log, an error or a name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Protocol

import pyarrow as pa

from ..model import Feed


@dataclass(frozen=True)
class Unfinished:
    """A first extraction, cut into key ranges, of which some are loads already: go on behind `until`."""

    part_of: str
    ranges: int  # how many are loads
    until: str | None  # the last key of the last of them; kept beside bronze, never in the ledger
    watermark_to: str | None  # the upper bound that all its ranges share


@dataclass(frozen=True)
class Progress:
    """What the ledger knows of a feed: where the next extraction begins."""

    sequence: int = 0  # of the last load; 0 before the first
    watermark: str | None = None  # upper bound of the last whole extraction, as the source would write it
    schema: Mapping[str, str] | None = None  # column -> Arrow type of the last load
    contents: frozenset[str] = frozenset()  # SHA-256 of every file ever loaded
    unfinished: Unfinished | None = None
    agrees: bool = True  # whether what was landed since the last whole extraction is what the source counted


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Sum:
    """What a column came to at the source."""

    told: Decimal
    each: str  # portable SQL of what one landed value adds, with the column at {0}


Batches = Callable[[], Iterator[pa.RecordBatch]]


@dataclass
class Delivery:
    """What becomes one load. `batches` is pulled once; `rejects`, and what was counted, are right only after that."""

    name: str  # a table's or a file's name
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    whole: bool  # it holds all the feed has now: a key that is not in it has vanished
    watermark_from: str | None = None
    watermark_to: str | None = None
    expected: int | None = None  # rows the source says there are; None if it cannot say
    sums: Mapping[str, Sum] = field(default_factory=dict)  # column -> what it came to, where the source can say
    content: str | None = None  # SHA-256 of a file's bytes, decompressed
    part_of: str | None = None  # an extraction cut into ranges: its id
    range: int = 0  # which range, from 0
    until: str | None = None  # its last key, so that a restart goes on behind it
    is_last: bool = True  # whether the extraction is whole with this delivery, so that the watermark moves
    rejects: list[tuple[int, str, str]] = field(default_factory=list)  # line number, reason code, the line itself
    warnings: list[str] = field(default_factory=list)  # for the operator; no value of a row
    committed: Callable[[], None] = _nothing  # called when the load exists: moves a file to the archive
    elsewhere: Callable[[], Sequence[Batches]] | None = None  # cuts it into what other machines can read at once
    arrived: Callable[[], None] = _nothing  # called when they have: the source may have moved on, and is asked anew


class Reader(Protocol):
    def __call__(
        self, feed: Feed, connection: str, progress: Progress, now: datetime, *, whole: bool
    ) -> Iterator[Delivery]:
        """The deliveries of `feed`. `whole` asks for everything (reconciliation) of a feed that loads by watermark.

        Raises `SourceFailed` (or one of its kind) before or between batches; what was yielded before is void then.
        """
