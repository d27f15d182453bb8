"""Loads and watermarks: `audit.load_logs`. A load exists when its row is committed here, and not before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from . import purges
from .engine import Engine
from .errors import LakeDamaged
from .landed import TOTAL, Counted, since_whole
from .model import REPAIR, Feed
from .source import Progress, Unfinished

TABLE = "audit.load_logs"
RANGE = "range.json"
COLUMNS = {
    "id": "BIGINT", "load_id": "TEXT", "run_id": "TEXT", "data_source": "TEXT", "feed": "TEXT", "tablename": "TEXT",
    "sequence": "BIGINT", "load_type": "TEXT", "numberofrowscopied": "BIGINT", "rows_read": "BIGINT",
    "rows_deleted": "BIGINT", "rows_rejected": "BIGINT", "bytes": "BIGINT", "watermarkcolumnname": "TEXT",
    "watermark_from": "TEXT", "watermark_to": "TEXT", "as_of": "DATE", "extracted_at": "TIMESTAMPTZ",
    "loaddate": "TIMESTAMPTZ", "delivery": "TEXT", "content_sha256": "TEXT", "folder": "TEXT", "parts": "TEXT",
    "schema": "TEXT", "schema_hash": "TEXT", "part_of": "TEXT", "range": "BIGINT", "is_last": "BOOLEAN",
    "rows_told": "BIGINT", "summed": "TEXT", "sum_told": TOTAL, "sum_read": TOTAL,
    "who": "TEXT", "why": "TEXT",
}  # fmt: skip


@dataclass(frozen=True)
class Load:
    """One extraction of a feed, immutable. `folder` is below the root of bronze."""

    feed: Feed
    run_id: str
    sequence: int
    load_type: str
    rows: int
    rows_read: int
    rows_deleted: int
    rows_rejected: int
    bytes: int
    watermark_from: str | None
    watermark_to: str | None
    as_of: date
    extracted_at: datetime
    delivery: str
    folder: str
    parts: Mapping[str, str]  # file name -> SHA-256; those that purges have left, as are its bytes
    schema: Mapping[str, str]  # column -> Arrow type
    told: Counted = field(default_factory=Counted)
    content: str | None = None
    part_of: str | None = None
    range: int = 0
    is_last: bool = True
    who: str | None = None  # of a repair
    why: str | None = None
    id: int = 0
    purged: int = 0  # of its rows

    @property
    def left(self) -> int:
        """Rows that are still there."""
        return self.rows - self.purged

    @property
    def load_id(self) -> str:
        return f"{self.feed.source}.{self.feed.name}.{self.sequence:06d}"

    @property
    def upper(self) -> datetime:
        """The time that a row without one of its own gets: the upper bound of the extraction, in the source's clock."""
        if (self.watermark_to or "").isdigit():  # a number; one of eight digits would pass for a day
            return self.extracted_at
        try:
            told = datetime.fromisoformat(self.watermark_to or "")
        except ValueError:
            return self.extracted_at
        return told if told.tzinfo else told.replace(tzinfo=ZoneInfo(self.feed.time_zone))


@dataclass(frozen=True)
class Landed:
    """A load as the ledger has it, whether its feed is still declared or not."""

    id: int
    load_id: str
    feed: str  # source.feed
    sequence: int
    folder: str
    bytes: int
    parts: Mapping[str, str]  # file name -> SHA-256; those that purges have left, as are its bytes


class Ledger:
    """The only writer of `audit.load_logs`."""

    def __init__(self, engine: Engine, bronze: Path) -> None:
        self.engine = engine
        self.bronze = bronze
        self._known: tuple[str, pa.Table] | None = None  # the state of what purges have left, and every load

    def create(self) -> None:
        """Make `audit.load_logs` if it is not there."""
        self.engine.create(TABLE, COLUMNS, plain=["id", "data_source", "feed", "sequence"])

    def progress(self, feed: Feed) -> Progress:
        """Where the next extraction of `feed` begins."""
        rows = self._rows(feed)
        whole = [row for row in rows if row["is_last"]]
        watermarks = [row["watermark_to"] for row in whole if row["watermark_to"] is not None]
        return Progress(
            sequence=rows[-1]["sequence"] if rows else 0,
            watermark=watermarks[-1] if watermarks else None,
            schema=json.loads(rows[-1]["schema"]) if rows else None,
            contents=_contents(feed, rows),
            agrees=_agrees(rows),
            unfinished=self._unfinished(rows[-1]) if rows and not rows[-1]["is_last"] else None,
        )

    def _unfinished(self, last: Mapping[str, Any]) -> Unfinished:
        """How far the ranges went stands in the last one's folder: a key can be a record number."""
        noted = json.loads((self.bronze / last["folder"] / RANGE).read_text(encoding="utf-8"))
        return Unfinished(last["part_of"], last["range"] + 1, noted["until"], last["watermark_to"])

    def commit(self, load: Load) -> Load:
        """Make `load` exist; with its id, which counts all loads of the lake."""
        known = self._every()
        row = pa.Table.from_pylist([_row(load, (pc.max(known["id"]).as_py() or 0) + 1)], _SCHEMA)
        self.engine.lend("load", row)
        self.engine.append(TABLE, "SELECT * FROM load", {f"{load.feed.source}/{load.feed.name}": load.sequence})
        self.engine.let_go("load")
        self._known = self.engine.state(purges.TABLE), pa.concat_tables([known, row])
        return self.loads(load.feed, load.sequence - 1)[-1]

    def loads(self, feed: Feed, after: int = 0) -> list[Load]:
        """The loads of `feed` behind sequence `after`, in order. Raises `LakeDamaged` if one is missing in between."""
        rows = self._rows(feed)
        if [row["sequence"] for row in rows] != list(range(1, len(rows) + 1)):
            found = f"the loads of {feed.source}.{feed.name} are not counted without a gap in {TABLE}."
            raise LakeDamaged(found, "Restore audit.load_logs to an earlier version, or load the feed anew.")
        return [_load(feed, row) for row in rows if row["sequence"] > after]

    def landed(self) -> list[Landed]:
        """Every load of every feed, in the order they were landed."""
        if self.engine.version(TABLE) is None:
            return []
        told = "id, load_id, data_source || '.' || feed AS feed, sequence, folder, bytes, parts"
        rows = self.engine.ask(f"SELECT {told} FROM {self.left()} AS load ORDER BY id").to_pylist()
        return [Landed(**{**row, "parts": json.loads(row["parts"])}) for row in rows]

    def left(self) -> str:
        """The relation of all loads, as purges have left them."""
        return purges.left(TABLE, self.engine.columns(TABLE), purges.known(self.engine))

    def folders(self) -> set[str]:
        """Every folder below bronze that belongs to a load."""
        return {row["folder"] for row in self.engine.ask(f"SELECT folder FROM {TABLE}").to_pylist()}

    def forgotten(self, feeds: Sequence[Feed]) -> dict[str, tuple[int, int]]:
        """`source.feed` of every feed that has loads and is not among `feeds` -> how many loads and rows."""
        if self.engine.version(TABLE) is None:
            return {}
        known = {f"{feed.source}.{feed.name}" for feed in feeds}
        counted = "COUNT(*) AS loads, CAST(SUM(numberofrowscopied) AS BIGINT) AS copied"
        asked = (
            f"SELECT data_source, feed, {counted} FROM {TABLE} WHERE data_source <> '{REPAIR}'"
            " GROUP BY data_source, feed ORDER BY data_source, feed"
        )
        rows = self.engine.ask(asked).to_pylist()
        told = {f"{row['data_source']}.{row['feed']}": (row["loads"], row["copied"]) for row in rows}
        return {name: counts for name, counts in told.items() if name not in known}

    def _rows(self, feed: Feed) -> Sequence[Mapping[str, Any]]:
        mine = (pc.field("data_source") == feed.source) & (pc.field("feed") == feed.name)
        return list(self._every().filter(mine).sort_by("sequence").to_pylist())

    def _every(self) -> pa.Table:
        """Every load as purges have left it. It is read once: it is asked for feed by feed, many times in a run."""
        state = self.engine.state(purges.TABLE)
        if self._known is None or self._known[0] != state:
            held = self.engine.columns(TABLE)  # who only reads an older lake adds no columns
            names = (name if name in held else f"NULL AS {name}" for name in COLUMNS)
            told = self.engine.ask(f"SELECT {', '.join(names)}, purged FROM {self.left()} AS load") if held else None
            self._known = state, told.cast(_SCHEMA) if told else _SCHEMA.empty_table()
        return self._known[1]


_SCHEMA = pa.schema(
    [
        (
            name,
            {
                "BIGINT": pa.int64(),
                "TEXT": pa.string(),
                "DATE": pa.date32(),
                "BOOLEAN": pa.bool_(),
                "TIMESTAMPTZ": pa.timestamp("us", "UTC"),
                TOTAL: pa.decimal128(28, 4),
            }[kind],
        )
        for name, kind in {**COLUMNS, "purged": "BIGINT"}.items()
    ]
)


def _contents(feed: Feed, rows: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Of files that add up, all that were ever loaded. A file that holds all there is may go back to what it was once,
    so of those only the last one is known; unless they stay where they are, and are met again at every run.
    """
    held = [row["content_sha256"] for row in rows if row["content_sha256"]]
    return frozenset(held[-1:] if feed.load == "full" and feed.archive else held)


def _agrees(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether what was landed since the last whole extraction is what the source counted."""
    return all(
        row["rows_told"] in (None, row["rows_read"]) and row["sum_told"] == row["sum_read"] for row in since_whole(rows)
    )


def _row(load: Load, number: int) -> dict[str, Any]:
    schema = json.dumps(dict(load.schema))
    return {
        "id": number,
        "load_id": load.load_id,
        "run_id": load.run_id,
        "data_source": load.feed.source,
        "feed": load.feed.name,
        "tablename": load.feed.at,
        "sequence": load.sequence,
        "load_type": load.load_type,
        "numberofrowscopied": load.rows,
        "rows_read": load.rows_read,
        "rows_deleted": load.rows_deleted,
        "rows_rejected": load.rows_rejected,
        "bytes": load.bytes,
        "watermarkcolumnname": load.feed.watermark,
        "watermark_from": load.watermark_from,
        "watermark_to": load.watermark_to,
        "as_of": load.as_of,
        "extracted_at": load.extracted_at,
        "loaddate": load.extracted_at,
        "delivery": load.delivery,
        "content_sha256": load.content,
        "folder": load.folder,
        "parts": json.dumps(dict(load.parts)),
        "schema": schema,
        "schema_hash": hashlib.sha256(schema.encode()).hexdigest(),
        "part_of": load.part_of,
        "range": load.range,
        "is_last": load.is_last,
        "rows_told": load.told.rows_told,
        "summed": ", ".join(load.told.summed) or None,
        "sum_told": load.told.sum_told,
        "sum_read": load.told.sum_read,
        "who": load.who,
        "why": load.why,
        "purged": load.purged,
    }


def _load(feed: Feed, row: Mapping[str, Any]) -> Load:
    return Load(
        feed=feed,
        run_id=row["run_id"],
        sequence=row["sequence"],
        load_type=row["load_type"],
        rows=row["numberofrowscopied"],
        rows_read=row["rows_read"],
        rows_deleted=row["rows_deleted"],
        rows_rejected=row["rows_rejected"],
        bytes=row["bytes"],
        watermark_from=row["watermark_from"],
        watermark_to=row["watermark_to"],
        as_of=row["as_of"],
        extracted_at=row["extracted_at"],
        delivery=row["delivery"],
        folder=row["folder"],
        parts=json.loads(row["parts"]),
        schema=json.loads(row["schema"]),
        content=row["content_sha256"],
        part_of=row["part_of"],
        range=row["range"],
        is_last=row["is_last"],
        who=row["who"],
        why=row["why"],
        id=row["id"],
        purged=row["purged"],
    )
