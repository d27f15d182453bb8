"""The same hospitals on both engines of one machine, as whole runs of the command line: where the crossing lies."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from carelake import project, synth

from .process import ROOT, Spent


def measure(transactions: int) -> list[str]:
    """A full load and a day of changes on each engine, from the same databases."""
    sizes = sorted({transactions // 25, transactions // 5, transactions})
    measured = {(size, engine): _measured(size, engine) for size in sizes for engine in ("duck", "spark")}
    return [
        f"## Two engines on one machine, up to {transactions:,} transactions from SQLite",
        "",
        "| transactions | at the sources, MB | run | duck, seconds | duck, peak MB | spark, seconds | spark, peak MB |"
        " spark takes |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(_line(size, run, measured[size, "duck"], measured[size, "spark"]) for size in sizes for run in RUNS),
    ]


RUNS = ("full load", "a day")


@dataclass(frozen=True)
class Measured:
    """What the runs took, and how large what they read was at first."""

    megabytes: float
    spent: Mapping[str, Spent]


def _line(size: int, run: str, on_duck: Measured, on_spark: Measured) -> str:
    duck, spark = on_duck.spent[run], on_spark.spent[run]
    figures = f"{duck.seconds:.1f} | {duck.megabytes:.0f} | {spark.seconds:.1f} | {spark.megabytes:.0f}"
    takes = f"{spark.seconds / duck.seconds:.1f} times as long"
    return f"| {size:,} | {on_duck.megabytes:,.0f} | {run} | {figures} | {takes} |"


def _measured(transactions: int, engine: str) -> Measured:
    with tempfile.TemporaryDirectory(prefix="lake-bench-", dir="/tmp") as name:
        folder = Path(name)
        project.make(folder / "lake", "rcm")
        truth = synth.make(folder / "made", patients=transactions // 4, transactions=transactions)
        megabytes = sum(path.stat().st_size for path in (folder / "made").rglob("*") if path.is_file()) / 2**20
        full = _run(folder, engine, truth.as_of.isoformat())
        truth = synth.make(folder / "made", day=2)
        return Measured(megabytes, dict(zip(RUNS, (full, _run(folder, engine, truth.as_of.isoformat())), strict=True)))


def _run(folder: Path, engine: str, as_of: str) -> Spent:
    """What a run took, with all the processes that it started: Spark's Java is one of them."""
    said = ["-p", str(folder / "lake"), "run", "--json", "--as-of", as_of, "--engine", engine]
    around = {**os.environ, **synth.connections(folder / "made")}
    began, peak = time.monotonic(), [0]
    child = subprocess.Popen([sys.executable, "-m", "carelake", *said], stdout=subprocess.DEVNULL, env=around, cwd=ROOT)
    watch = threading.Thread(target=_watch, args=(child, peak))
    watch.start()
    status = child.wait()
    watch.join()
    if status:
        raise SystemExit(f"the run on {engine} ended with {status}")
    return Spent(time.monotonic() - began, peak[0] / 1024)


def _watch(child: subprocess.Popen[bytes], peak: list[int]) -> None:
    while child.poll() is None:
        peak[0] = max(peak[0], sum(map(_kilobytes, _family(child.pid))))
        time.sleep(0.2)


def _family(pid: int) -> list[int]:
    """A process and all that it has started."""
    try:
        told = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    return [pid, *(one for text in told for child in text.split() for one in _family(int(child)))]


def _kilobytes(pid: int) -> int:
    """The memory of its own that a process holds: what several share is counted once for each in other figures."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("Pss:")))
