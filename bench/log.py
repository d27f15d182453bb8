"""One event of the access log on its way to the disk, against a line of the same length in a file that is synced."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from carelake.journal import Journal, spelled

EVENT = {"action": "query", "who": "ann", "purpose": "denials", "tables": ["silver.claim"], "rows": 100} | {
    "columns_read": [f"silver.claim.column_{n}" for n in range(20)]
}


def measure(events: int) -> list[str]:
    """Each of them by itself, in turn with one of the other."""
    line = spelled(EVENT).encode() + b"\n"
    with tempfile.TemporaryDirectory(prefix="lake-bench-", dir="/tmp") as name:
        journal, file = Journal(Path(name, "journal.db")), os.open(Path(name, "lines"), os.O_CREAT | os.O_WRONLY)
        pairs = [(_took(lambda: journal.append(EVENT)), _took(lambda: _synced(file, line))) for _ in range(events)]
        journal.close()
        os.close(file)
    ours, others = ([pair[n] * 1000 for pair in pairs] for n in (0, 1))
    ratio = statistics.median(ours) / statistics.median(others)
    return [
        f"## {events:,} events of the access log, each on the disk before a row leaves",
        "",
        "| | median ms | 99 of 100 within, ms |",
        "| --- | --- | --- |",
        *(
            f"| {name} | {statistics.median(took):.2f} | {statistics.quantiles(took, n=100)[98]:.2f} |"
            for name, took in (("carelake: chain and append", ours), ("write and fsync of such a line", others))
        ),
        "",
        f"An event takes {ratio:.2f} times as long (promised: under 2 ms at the median).",
    ]


def _took(does: Callable[[], object]) -> float:
    began = time.perf_counter()
    does()
    return time.perf_counter() - began


def _synced(file: int, line: bytes) -> None:
    os.write(file, line)
    os.fsync(file)
