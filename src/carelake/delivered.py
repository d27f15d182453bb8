"""What was delivered, as files: read by other machines, each a part of it, or else by this one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from .engine import Engine
from .errors import EngineFailed
from .source import Delivery

_NUMBERS = count(1)  # of deliveries: several may be on their way at once


def staged(engine: Engine, delivery: Delivery, columns: Sequence[str], work: Path) -> list[Path]:
    """The files in `work` that `columns` of what was delivered are in, SQL each. Several threads may call it at once.

    Raises what the reader raises, `EngineFailed` and `LakeFull`.
    """
    name = f"delivered_{next(_NUMBERS)}"
    select = f"SELECT {', '.join(columns)} FROM {name}"
    if parts := _read_elsewhere(engine, delivery, name, select, work):
        return parts
    failed = _Watched(delivery)
    try:
        engine.lend(name, failed.reader)  # which may be where it is read, and may fail half-way
        return engine.write_files(select, work)
    except Exception:
        if failed.error:  # the reader's own error says more than the engine's
            raise failed.error from None
        raise
    finally:
        engine.let_go(name)


def _read_elsewhere(engine: Engine, delivery: Delivery, name: str, select: str, work: Path) -> list[Path]:
    """What other machines have staged. Nothing if there are none, or if they could not: then it is read here, and what
    is wrong has its own words.
    """
    if not delivery.elsewhere or not engine.gather(name, delivery.elsewhere, delivery.schema):
        return []
    try:
        parts = engine.write_files(select, work)
        delivery.arrived()
        if delivery.expected in (None, rows_of(parts)):
            return parts
    except EngineFailed:
        pass
    finally:
        engine.let_go(name)
    shutil.rmtree(work, ignore_errors=True)
    delivery.warnings.append(f"{delivery.name} could not be read by the executors, and was read by the driver.")
    return []


class _Watched:
    """A delivery's batches as a reader, and the error that stopped them: engines put their own in its place."""

    def __init__(self, delivery: Delivery) -> None:
        self.error: BaseException | None = None
        self.reader = pa.RecordBatchReader.from_batches(delivery.schema, self._batches(delivery))

    def _batches(self, delivery: Delivery) -> Iterator[pa.RecordBatch]:
        try:
            yield from delivery.batches
        except BaseException as error:
            self.error = error
            raise


def rows_of(paths: Sequence[Path]) -> int:
    """How many rows Parquet files have."""
    return sum(pq.read_metadata(path).num_rows for path in paths)
