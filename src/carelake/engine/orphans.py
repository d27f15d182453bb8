"""Processes that outlive the killed run that started them: until they have ended, one of them may still commit."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

NOTED = "process"  # in the folder of a run's scratch, `<engine>-<its process>`: the process that it has started
PATIENCE = 30  # seconds that a killed process may take to be gone


def note(scratch: Path, process: int) -> None:
    """Say that a run has started `process`, whose command line names its scratch folder."""
    (scratch / NOTED).write_text(str(process), encoding="utf-8")


def end(staging: Path) -> None:
    """Kill what runs below `staging` have started that are no more, and wait until it is gone."""
    for scratch, process in _left(staging):
        os.kill(process, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE
        while _names(process, scratch) and time.monotonic() < deadline:
            time.sleep(0.01)


def _left(staging: Path) -> Iterator[tuple[Path, int]]:
    for file in staging.glob(f"*/{NOTED}"):
        told, owner = file.read_text(encoding="utf-8"), file.parent.name.rpartition("-")[2]
        is_left = told.isdecimal() and owner.isdecimal() and not Path("/proc", owner).exists()
        if is_left and _names(int(told), file.parent):  # else its number is another program's by now
            yield file.parent, int(told)


def _names(process: int, scratch: Path) -> bool:
    """Whether a process is there that was started with the name of that folder. Told on Linux only."""
    try:
        return os.fsencode(scratch) in Path("/proc", str(process), "cmdline").read_bytes()
    except OSError:
        return False
