"""PostgreSQL to Bronze, against `COPY … TO STDOUT` read by DuckDB into Parquet: interleaved pairs, medians."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from statistics import median

from carelake import project, synth

from .process import Spent, spent

PAIRS = 5
ALTERNATIVE = """
import duckdb, sys
duckdb.connect().execute("COPY (FROM read_csv('/dev/stdin', header = false, all_varchar = true))"
    " TO '" + sys.argv[1] + "' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)")
"""
OURS = """
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from carelake import bronze
from carelake.lake import opened
from carelake.source import readers
folder, url = Path(sys.argv[1]), sys.argv[2]
with opened(folder, {}, writing=True) as lake:
    (feed,) = (feed for feed in lake.declared.feeds if (feed.source, feed.name) == ("hos-a", "transactions"))
    now = datetime.now(UTC)
    to = bronze.Landing(lake.engine, lake.ledger, lake.bronze, "bench", date(2026, 7, 1), now)
    for delivery in readers.read(feed, url, lake.ledger.progress(feed), now):
        bronze.land(to, feed, delivery, lake.ledger.progress(feed))
"""


def measure(rows: int) -> list[str]:
    """The table of `rows` transactions: both, pair by pair."""
    from servers import started_postgres  # tests/

    with tempfile.TemporaryDirectory(prefix="lake-bench-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "server").mkdir()
        with started_postgres(folder / "server") as server:
            for hospital in ("hos_a", "hos_b"):
                server.run(f"CREATE DATABASE {hospital}", database="postgres")
            urls = {"hos-a": server.url("hos_a"), "hos-b": server.url("hos_b")}
            synth.make(folder / "made", patients=rows // 2, transactions=2 * rows, urls=urls, claims=False)
            pairs = [_pair(folder, urls["hos-a"], number) for number in range(PAIRS + 1)][1:]  # the first one warms up
    ratio = median(other.seconds / ours.seconds for ours, other in pairs)
    ours, peak = median(o.seconds for o, _ in pairs), max(o.megabytes for o, _ in pairs)
    other = median(o.seconds for _, o in pairs)
    return [
        f"## {rows:,} PostgreSQL rows to Bronze",
        "",
        "| | median seconds | peak MB |",
        "| --- | --- | --- |",
        f"| carelake: read, land, hash, commit | {ours:.2f} | {peak:.0f} |",
        f"| psql COPY TO STDOUT, DuckDB to Parquet | {other:.2f} | |",
        "",
        f"Speed against the alternative, median of {PAIRS} interleaved pairs: {ratio:.2f} (promised: at least 0.95).",
    ]


def _pair(folder: Path, url: str, number: int) -> tuple[Spent, Spent]:
    lake = folder / f"lake-{number}"
    project.make(lake, "rcm")
    ours = spent([sys.executable, "-c", OURS, str(lake), url])
    copy = f"psql '{url}' -qc 'COPY transactions TO STDOUT (FORMAT csv)'"
    copy += f" | '{sys.executable}' -c \"$1\" {folder}/{number}.parquet"
    other = spent(["bash", "-o", "pipefail", "-c", copy, "copy", ALTERNATIVE])
    return ours, other
