"""A day of changes against the full load of the same hospitals, as whole runs of the command line."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from carelake import project, synth

from .process import Spent, spent


def measure(transactions: int) -> list[str]:
    """The full load, a day of 0.5 % changes of which nine tenths are recent, and a day of changes at random keys."""
    with tempfile.TemporaryDirectory(prefix="lake-bench-", dir="/tmp") as name:
        folder = Path(name)
        project.make(folder / "lake", "rcm")
        truth = synth.make(folder / "made", patients=transactions // 4, transactions=transactions)
        full = _run(folder, truth.as_of.isoformat())
        truth = synth.make(folder / "made", day=2)
        recent = _run(folder, truth.as_of.isoformat())
        truth = synth.make(folder / "made", day=3, scattered=True)
        scattered = _run(folder, truth.as_of.isoformat())
    rows = {"full load": full, "a day, nine tenths recent": recent, "a day, random keys": scattered}
    return [
        f"## A day at {transactions:,} transactions, from SQLite",
        "",
        "| `carelake run` | seconds | of the full load | peak MB |",
        "| --- | --- | --- | --- |",
        *(f"| {n} | {s.seconds:.1f} | {s.seconds / full.seconds:.1%} | {s.megabytes:.0f} |" for n, s in rows.items()),
        "",
        "Promised: a day under 10 % of the full load, under 2 GB; the full load under 4 GB.",
    ]


def _run(folder: Path, as_of: str) -> Spent:
    command = [sys.executable, "-m", "carelake", "-p", str(folder / "lake"), "run", "--json", "--as-of", as_of]
    return spent(command, synth.connections(folder / "made"))
