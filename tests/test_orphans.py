"""What a killed run has started is ended before the next one reads; what others have started is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from carelake.engine import orphans


def started(scratch: Path) -> subprocess.Popen[bytes]:
    """A process whose command line names a folder, and that does nothing."""
    scratch.mkdir(parents=True)
    code = "import time; print('here', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code, f"-Dtmp={scratch}"], stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"here\n"  # before, it has no command line yet
    orphans.note(scratch, process.pid)
    return process


@pytest.fixture
def dead() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_a_run_that_is_no_more_has_started_is_killed(tmp_path, dead):
    with started(tmp_path / f"spark-{dead}") as process:
        orphans.end(tmp_path)
        assert process.wait(5) == -9


def test_what_a_run_that_lives_has_started_is_left(tmp_path):
    with started(tmp_path / f"spark-{os.getpid()}") as process:
        orphans.end(tmp_path)
        assert process.poll() is None
        process.kill()


@pytest.mark.parametrize("told", ["mine", "", "none", "-1", "999999999"])
def test_a_process_that_has_nothing_to_do_with_the_folder_is_left(tmp_path, dead, told):
    told = str(os.getpid()) if told == "mine" else told
    (tmp_path / f"spark-{dead}").mkdir()
    (tmp_path / f"spark-{dead}" / orphans.NOTED).write_text(told)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / orphans.NOTED).write_text(told)
    orphans.end(tmp_path)  # and this one lives on
    assert (tmp_path / "elsewhere" / orphans.NOTED).read_text() == told
