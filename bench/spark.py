"""The same hospitals on both engines of one machine, as whole runs of the command line: where the crossing lies."""

from __future__ import annotations

import json
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

from .process import ROOT


def measure(transactions: int) -> list[str]:
    """A full load and a day of changes on each engine, from the same databases."""
    sizes = sorted({transactions // 25, transactions // 5, transactions})
    measured = {(size, engine): _measured(size, engine) for size in sizes for engine in ("duck", "spark")}
    return [
        f"## Two engines on one machine, up to {transactions:,} transactions from SQLite",
        "",
        "| transactions | at the sources, MB | run | duck, seconds | of which it extracts | duck, peak MB |"
        " spark, seconds | of which it extracts | spark, peak MB | spark takes |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *(_line(size, run, measured[size, "duck"], measured[size, "spark"]) for size in sizes for run in RUNS),
    ]


RUNS = ("full load", "a day")


@dataclass(frozen=True)
class Spent:
    """What a run took, and its steps of extraction."""

    seconds: float
    extracting: float
    megabytes: float

    def __str__(self) -> str:
        return f"{self.seconds:.1f} | {self.extracting:.1f} | {self.megabytes:.0f}"


@dataclass(frozen=True)
class Measured:
    """What the runs took, and how large what they read was at first."""

    megabytes: float
    spent: Mapping[str, Spent]


def _line(size: int, run: str, on_duck: Measured, on_spark: Measured) -> str:
    duck, spark = on_duck.spent[run], on_spark.spent[run]
    takes = f"{spark.seconds / duck.seconds:.1f} times as long"
    return f"| {size:,} | {on_duck.megabytes:,.0f} | {run} | {duck} | {spark} | {takes} |"


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
    child = subprocess.Popen([sys.executable, "-m", "carelake", *said], stdout=subprocess.PIPE, env=around, cwd=ROOT)
    watch = threading.Thread(target=_watch, args=(child, peak))
    watch.start()
    told, _ = child.communicate()
    seconds = time.monotonic() - began
    watch.join()
    if child.returncode:
        raise SystemExit(f"the run on {engine} ended with {child.returncode}")
    extracting = sum(step["seconds"] for step in json.loads(told)["steps"] if step["step"] == "extract")
    spent = Spent(seconds, extracting, peak[0] / 1024)
    print(f"{engine} | {spent}", file=sys.stderr, flush=True)  # an hour is long
    return spent


def _watch(child: subprocess.Popen[bytes], peak: list[int]) -> None:
    while child.poll() is None:
        peak[0] = max(peak[0], sum(map(_kilobytes, _family(child.pid))))
        time.sleep(1)  # to look takes milliseconds where there are gigabytes


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
