"""What treatments cost: the silver load as the privacy page wants it, against one that keeps every value as it came."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from statistics import median

from carelake import project, synth

from .process import spent
from .rules import LAND

PAIRS = 3
REFINE = """
import os, sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from carelake import silver
from carelake.lake import opened, vault_of
with opened(Path(sys.argv[1]), os.environ, writing=True) as lake:
    declared = lake.declared
    if sys.argv[2] == "untreated":
        policy = replace(declared.policy, stored=dict.fromkeys(declared.policy.stored, "keep"))
        tables = {name: replace(table, exact={}) for name, table in declared.tables.items()}
        declared = replace(declared, policy=policy, tables=tables)
        silver.create(lake.engine, declared)
        silver.define(lake.engine, declared)
    now, vault = datetime.now(UTC), vault_of(lake)
    at = silver.Refinery(lake.engine, lake.ledger, vault, lake.bronze, declared.policy, "bench", now)
    for table in declared.tables.values():
        silver.refine(at, table, declared.feeds)
    print(lake.engine.ask("SELECT COUNT(*) AS n FROM vault.token").to_pylist()[0]["n"])
"""


def measure(transactions: int) -> list[str]:
    """The silver load of `transactions` and what belongs to them, treated and untreated, in interleaved pairs."""
    with tempfile.TemporaryDirectory(prefix="lake-bench-", dir="/tmp") as name:
        folder = Path(name)
        made = {"patients": transactions // 4, "transactions": transactions}
        as_of = synth.make(folder / "made", **made).as_of.isoformat()
        project.make(folder / "landed", "rcm")
        environment = synth.connections(folder / "made")
        spent([sys.executable, "-c", LAND, str(folder / "landed"), as_of], environment)
        pairs = [tuple(_refined(folder, how, environment) for how in ("treated", "untreated")) for _ in range(PAIRS)]
    ratio = median(treated / untreated for treated, untreated in pairs)
    return [
        f"## Treatments, at {transactions:,} transactions and what belongs to them",
        "",
        "| silver load, first one of a lake | median seconds |",
        "| --- | --- |",
        f"| tokens, states, restricted zone: as the privacy page says | {median(pair[0] for pair in pairs):.1f} |",
        f"| every value kept as it came | {median(pair[1] for pair in pairs):.1f} |",
        "",
        f"Treated takes {ratio:.2f} times as long, median of {PAIRS} interleaved pairs (promised: at most 1.6).",
    ]


def _refined(folder: Path, how: str, environment: dict[str, str]) -> float:
    lake = folder / how
    shutil.copytree(folder / "landed", lake, copy_function=os.link)  # what is landed is never written again
    try:
        return spent([sys.executable, "-c", REFINE, str(lake), how], environment).seconds
    finally:
        shutil.rmtree(lake)
