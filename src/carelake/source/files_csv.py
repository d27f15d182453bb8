"""The good lines of a file as Arrow batches, every column text. An empty field is NULL, quoted or not."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import pyarrow as pa
import pyarrow.csv as pacsv

from ..errors import SourceFailed
from .files_look import Sheet
from .files_scan import Bad
from .files_text import Digest, lines, raw, unpacked

WORKERS = min(os.cpu_count() or 1, 4)


def schema(names: Sequence[str]) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in names])


def batches(sheet: Sheet, names: Sequence[str], only: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
    """Its good rows, the columns called `names`; of them the ones in `only`, if any.

    Raises `SourceFailed` if it is no longer the file that was looked at.
    """
    rows, digest = 0, Digest()
    with unpacked(sheet.path, sheet.name) as file:
        blocks = lines(digest.of(raw(file)), sheet.form, sheet.name, sheet.limits.line)
        parse = partial(_parsed, sheet=sheet, names=names, only=only)
        for batch in _ahead(_pages(blocks, sheet), parse) if sheet.rows else ():
            rows += batch.num_rows
            yield batch
    if sheet.rows and (rows, digest.hex) != (sheet.rows, sheet.content):
        raise _changed(sheet.name)


def _changed(name: str) -> SourceFailed:
    return SourceFailed(
        f"{name} changed while it was read.", "Let a file be moved into the landing folder only when it is complete."
    )


def _ahead(pages: Iterator[bytes], parse: Callable[[bytes], list[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
    """Every page parsed, in their order, a few at a time.

    By threads of ours and not by Arrow's streaming reader: that lets go of a Python file in a thread of its own, and a
    process that ends just then is aborted (seen in 2 of 9 runs over 2 GB).
    """
    with ThreadPoolExecutor(WORKERS) as pool:
        under_way = deque[Future[list[pa.RecordBatch]]]()
        for page in pages:
            under_way.append(pool.submit(parse, page))
            if len(under_way) > WORKERS:
                yield from under_way.popleft().result()
        for parsed in under_way:
            yield from parsed.result()


def _parsed(page: bytes, sheet: Sheet, names: Sequence[str], only: Sequence[str]) -> list[pa.RecordBatch]:
    text = page if sheet.encoding == "utf-8" else page.decode(sheet.encoding).encode()
    read = pacsv.ReadOptions(column_names=list(names), block_size=max(len(text), 1), use_threads=False)
    parse = pacsv.ParseOptions(delimiter=sheet.dialect.delimiter.decode(), newlines_in_values=True)
    convert = pacsv.ConvertOptions(
        column_types=schema(names), null_values=[""], strings_can_be_null=True, include_columns=list(only)
    )
    try:
        rows: list[pa.RecordBatch] = pacsv.read_csv(pa.BufferReader(text), read, parse, convert).to_batches()
    except pa.ArrowInvalid:  # its words quote the line
        raise _changed(sheet.name) from None
    return rows


def _pages(blocks: Iterator[bytes], sheet: Sheet) -> Iterator[bytes]:
    """The stream of lines, cut where a record begins, without its header and its bad lines."""
    begin, held, done = 0, b"", 0
    cuts = iter(sheet.cuts)
    cut = next(cuts, None)
    for block in blocks:
        held += block
        while cut is not None and cut <= begin + len(held):
            page, held = held[: cut - begin], held[cut - begin :]
            upto = bisect_left(sheet.bad, cut, lo=done, key=_start)
            if begin >= sheet.dialect.start and (rows := _without(page, begin, sheet.bad[done:upto])).strip(b"\r\n"):
                yield rows
            begin, done, cut = cut, upto, next(cuts, None)


def _start(bad: Bad) -> int:
    return bad.start


def _without(page: bytes, begin: int, bad: Sequence[Bad]) -> bytes:
    if not bad:
        return page
    starts, ends = [begin, *(one.end for one in bad)], [*(one.start for one in bad), begin + len(page)]
    return b"".join(page[start - begin : end - begin] for start, end in zip(starts, ends, strict=True))
