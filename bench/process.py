"""A command as a process of its own: how long it took, and the most memory it held."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Spent:
    seconds: float
    megabytes: float


def spent(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Spent:
    """What `command` took. Raises `SystemExit` if it fails: a figure of something that failed is none."""
    began = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, **(environment or {})}, cwd=ROOT)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{command[0]} ended with {child.returncode}")
    return Spent(time.monotonic() - began, usage.ru_maxrss / 1024)


ROOT = Path(__file__).parents[1]
