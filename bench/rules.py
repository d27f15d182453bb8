"""What all rules together cost, as a share of the silver step: with them and without, interleaved pairs, medians."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median

from carelake import project, synth

from .process import spent

LARGE = 1_000_000  # transactions: from there on one pair has to do, of a quarter of an hour, and nothing warms up
LAND = """
import os, sys
from datetime import UTC, date, datetime
from pathlib import Path
from carelake import bronze
from carelake.lake import opened
from carelake.source import readers
with opened(Path(sys.argv[1]), os.environ, writing=True) as lake:
    now = datetime.now(UTC)
    to = bronze.Landing(lake.engine, lake.ledger, lake.bronze, "bench", date.fromisoformat(sys.argv[2]), now)
    there = (feed for feed in lake.declared.feeds if not lake.secrets.missing(feed.connection))
    for feed in (feed for feed in there if feed.reader != "reference"):
        for delivery in readers.read(feed, lake.connection(feed), lake.ledger.progress(feed), now):
            bronze.land(to, feed, delivery, lake.ledger.progress(feed))
"""
REFINE = """
import os, sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from carelake import gold, silver, standing
from carelake.lake import opened, vault_of
with opened(Path(sys.argv[1]), os.environ, writing=True) as lake:
    now, bare = datetime.now(UTC), sys.argv[3] == "bare"
    tables = {n: replace(t, rules=(), set_rules=()) if bare else t for n, t in lake.declared.tables.items()}
    vault = vault_of(lake)
    at = silver.Refinery(lake.engine, lake.ledger, vault, lake.bronze, lake.declared.policy, "bench", now)
    for table in tables.values():
        silver.refine(at, table, lake.declared.feeds)
    if not bare:
        gold.lay_out_references(lake.engine, lake.declared)
        list(standing.count(lake.engine, lake.declared, date.fromisoformat(sys.argv[2]), "bench", now))
"""


def measure(transactions: int) -> list[str]:
    """The silver step of `transactions` and what belongs to them, twice: with every rule judged, and with none."""
    with tempfile.TemporaryDirectory(prefix="lake-bench-", dir="/tmp") as name:
        folder = Path(name)
        made = {"patients": transactions // 4, "transactions": transactions, "defects": False, "detailed": True}
        as_of = synth.make(folder / "made", **made).as_of.isoformat()  # type: ignore[arg-type]
        project.make(folder / "landed", "detailed")
        environment = synth.connections(folder / "made")
        spent([sys.executable, "-c", LAND, str(folder / "landed"), as_of], environment)
        many = 1 if transactions >= LARGE else 3
        pairs = [_pair(folder, as_of, environment) for _ in range(many + (many > 1))][-many:]  # one of several warms up
    share = median((judged - bare) / judged for judged, bare in pairs)
    return [
        f"## All rules, at {transactions:,} transactions and what belongs to them",
        "",
        "| silver step | median seconds |",
        "| --- | --- |",
        f"| every row rule and set rule judged | {median(judged for judged, _ in pairs):.1f} |",
        f"| none | {median(bare for _, bare in pairs):.1f} |",
        "",
        f"The rules are {share:.0%} of the step, median of interleaved pairs, {many} of them (promised: under 40 %).",
    ]


def _pair(folder: Path, as_of: str, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds with every rule, and with none, each on a lake that nothing has been refined in."""
    return _refined(folder, as_of, environment, "judged"), _refined(folder, as_of, environment, "bare")


def _refined(folder: Path, as_of: str, environment: dict[str, str], how: str) -> float:
    lake = folder / how
    shutil.copytree(folder / "landed", lake, copy_function=os.link)  # what is landed is never written again
    try:
        return spent([sys.executable, "-c", REFINE, str(lake), as_of, how], environment).seconds
    finally:
        shutil.rmtree(lake)
