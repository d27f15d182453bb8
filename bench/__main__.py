"""`python -m bench [NAME] [--rows N]`: the figures go to the terminal and to bench/results.md."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import deltalake
import duckdb

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # the servers are started as the tests start them

from . import bronze, day, log, rules, spark, treatments

BENCHES = {
    "rules": (rules.measure, 10_000_000),
    "bronze": (bronze.measure, 2_000_000),
    "day": (day.measure, 10_000_000),
    "treatments": (treatments.measure, 2_000_000),
    "log": (log.measure, 2_000),
    "spark": (spark.measure, 5_000_000),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", nargs="?", choices=sorted(BENCHES))
    parser.add_argument("--rows", type=int, help="rows, or transactions; the default is what is promised")
    asked = parser.parse_args()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = f"{os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}"
    lines = [
        f"# Measured on {datetime.now(UTC):%Y-%m-%d}",
        f"{machine}, DuckDB {duckdb.__version__}, delta-rs {deltalake.__version__}.",
    ]
    for name in [asked.name] if asked.name else BENCHES:
        measure, rows = BENCHES[name]
        lines += ["", *measure(asked.rows or rows)]
    text = "\n".join(lines) + "\n"
    print(text)
    (Path(__file__).parent / "results.md").write_text(text)


main()
