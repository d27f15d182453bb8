"""What can go wrong around a lake: a source that dies, no space, a clock that is set back, upkeep that is killed."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from small_lake import NOW, Small, contents, copied, failed, step
from worn_lake import Rows, day

from carelake.upkeep.backup_store import Store
from carelake.upkeep.restoration import check
from carelake.upkeep.verification import verify

# --- a source that dies while it is read ---


def test_a_database_that_breaks_in_the_middle_lands_nothing_and_the_next_run_lands_it_all(small: Small) -> None:
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)"
    small.sql(f"INSERT INTO departments {many} SELECT 'X' || i, 'Department ' || i FROM n")
    path = small.folder / "hos-a.db"
    good = path.read_bytes()
    middle = len(good) // 2
    path.write_bytes(good[:middle] + b"\xff" * 40_000 + good[middle + 40_000 :])
    before = contents(small)
    did = small.run(1)
    assert failed(did)["extract hos-a.departments"][:6] == "LAKE-2"
    assert contents(small) == before
    assert not list(small.project.glob("originals/bronze/hos-a/departments/*/*/*/000002"))
    path.write_bytes(good)
    assert step(small.run(2), "hos-a.departments").rows == 60_000
    assert small.one("SELECT COUNT(*) FROM silver.department WHERE source_system = 'hos-a'") == 60_002


# --- a clock that is set back ---


def test_a_clock_that_was_set_back_is_told_and_nothing_is_lost_or_out_of_order(small: Small) -> None:
    small.sql("UPDATE departments SET Name = 'Heart' WHERE DeptID = 'D1'")
    did = small.run(-400)
    assert failed(did) == {}
    warned = step(did, "clock", "clock")
    assert (warned.outcome, "2025-10-17 06:00" in warned.found, "2026-11-21 06:00" in warned.found) == (
        "warned",
        True,
        True,
    )
    assert did.exit_code(strict=True) == 80
    assert small.ask("SELECT id FROM audit.releases ORDER BY id") == [(1,), (2,)]
    small.sql("UPDATE departments SET Name = 'Hearts' WHERE DeptID = 'D1'")
    assert not [one for one in small.run(1).steps if one.step == "clock"]
    asked = "FROM silver.department WHERE source_system = 'hos-a' AND department_id = 'D1'"
    assert small.ask(f"SELECT department_name {asked}") == [("Hearts",)]
    assert verify(small.project, small.environment, NOW).findings == ()


# --- upkeep that is killed, or finds no space ---


# Dies at the n-th moment before or after something is written, named or deleted. Without one, says how many there are.
DEADLY = """
import atexit, itertools, os, pathlib, signal, sys
from datetime import timedelta
from carelake.engine import duck
from carelake.serve import cli, cli_upkeep, options
from carelake.upkeep import backup_store, restoration
count, wanted = itertools.count(1), int(sys.argv[1])
now = options.now() + timedelta(days=90)
cli_upkeep.now = lambda: now
def pass_by():
    if next(count) == wanted:
        os.kill(os.getpid(), signal.SIGKILL)
def deadly(owner, name):
    does = getattr(owner, name)
    def moments(*given, **more):
        pass_by()
        done = does(*given, **more)
        pass_by()
        return done
    setattr(owner, name, moments)
for owner, name in ((duck, "compact"), (duck, "write_deltalake"), (os, "replace"), (pathlib.Path, "unlink"),
                    (backup_store, "copied"), (restoration, "copied")):
    deadly(owner, name)
atexit.register(lambda: print("moments", next(count) - 1))
sys.argv = ["carelake", *sys.argv[2:]]
cli.main()
"""


def started(lake: Small, moment: int, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", DEADLY, str(moment), "-p", str(lake.project), *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=lake.around())


def killed(lake: Small, moment: int, *words: str) -> bool:
    """Whether a command died at that moment; else it had ended well before."""
    process = started(lake, moment, *words)
    said, wrong = process.communicate()
    assert process.returncode in (0, -9), f"{said}\n{wrong}"
    return process.returncode == -9


def moments(lake: Small, *words: str) -> int:
    """How many moments there are to die at; the command has then done its work."""
    process = started(lake, 0, *words)
    said, wrong = process.communicate()
    assert process.returncode == 0, f"{said}\n{wrong}"
    return int(said.split("moments")[-1])


def made_whole(lake: Small, on_day_three: Rows) -> None:
    """Look after it once more, undisturbed; then the next day comes, and all is as it would have been."""
    for words in (("optimize",), ("vacuum",)):
        moments(lake, *words)
    assert verify(lake.project, lake.environment, NOW + timedelta(days=91)).findings == ()
    day(lake, 3)
    assert contents(lake) == on_day_three


@pytest.mark.prove
def test_optimize_and_vacuum_that_are_killed_lose_nothing(
    worn_origin: Small, on_day_three: Rows, tmp_path: Path
) -> None:
    lake = copied(worn_origin, tmp_path)
    before = contents(lake)
    for moment, words in ((11, ("optimize",)), (9, ("vacuum",))):
        assert killed(lake, moment, *words)
        assert contents(lake) == before
        assert verify(lake.project, lake.environment, NOW).is_whole
    made_whole(lake, on_day_three)


def test_a_backup_and_a_restoration_that_are_killed_go_on_where_they_were(worn_origin: Small, tmp_path: Path) -> None:
    lake = copied(worn_origin, tmp_path)
    backups, there = lake.folder / "backups", Small(lake.folder / "clean", dict(lake.environment))
    assert killed(lake, 200, "backup", "make", str(backups))
    assert Store(backups).ids() == []
    assert killed(lake, 0, "backup", "make", str(backups)) is False
    assert check(backups)[1] == []
    assert killed(lake, 200, "backup", "restore", str(backups), "--to", str(there.project))
    assert not (there.project / "lake.yml").exists()
    assert killed(lake, 0, "backup", "restore", str(backups), "--to", str(there.project)) is False
    assert contents(there) == contents(lake)
    assert verify(there.project, there.environment, NOW).findings == ()
    assert not list(there.project.rglob("*.undone"))


SLOW = pytest.param(("backup", "make", "BACKUPS"), marks=pytest.mark.prove)


@pytest.mark.parametrize("words", [("optimize",), SLOW])
def test_upkeep_that_finds_no_space_says_so_and_leaves_the_lake_as_it_was(
    words: tuple[str, ...], worn_origin: Small, tmp_path: Path
) -> None:
    lake = copied(worn_origin, tmp_path)
    words = tuple(word.replace("BACKUPS", str(lake.folder / "backups")) for word in words)
    before = contents(lake)
    told = lake.command(*words, limit="ulimit -f 2;", PYTHONDONTWRITEBYTECODE="1")
    assert (told.returncode, b"LAKE-501" in told.stderr) == (50, True)
    assert contents(lake) == before
    assert verify(lake.project, lake.environment, NOW).is_whole
    assert lake.command(*words).returncode == 0
    assert contents(lake) == before


COMMANDS = [
    ("optimize",),
    ("vacuum",),
    ("backup", "make", "BACKUPS"),
    ("backup", "restore", "BACKUPS", "--to", "CLEAN"),
]


def ready(lake: Small, words: tuple[str, ...]) -> tuple[str, ...]:
    """What has to be there before a command can be killed in it."""
    if words == ("vacuum",):
        moments(lake, "optimize")
    if "restore" in words:
        moments(lake, "backup", "make", str(lake.folder / "backups"))
    places = {"BACKUPS": str(lake.folder / "backups"), "CLEAN": str(lake.folder / "clean/project")}
    return tuple(places.get(word, word) for word in words)


def chances(most: int) -> Iterator[int]:
    yield from random.Random(20261121).sample(range(1, most + 1), min(6, most))


@pytest.mark.prove
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:2]))
def test_each_command_of_upkeep_may_be_killed_at_any_moment(
    words: tuple[str, ...], worn_origin: Small, on_day_three: Rows, tmp_path: Path
) -> None:
    origin = copied(worn_origin, tmp_path / "origin")
    last = ready(origin, words)
    most = moments(
        copied(origin, tmp_path / "undisturbed"), *(word.replace("/origin/", "/undisturbed/") for word in last)
    )
    assert most > 4
    for moment in chances(most):
        lake = copied(origin, tmp_path / f"at {moment}")
        again = [word.replace("/origin/", f"/at {moment}/") for word in last]
        assert killed(lake, moment, *again)
        assert moments(lake, *again) >= 0
        made_whole(lake, on_day_three)
        if "backup" in words:
            assert check(lake.folder / "backups")[1] == []
        if "restore" in words:
            there = Small(lake.folder / "clean", dict(lake.environment))
            assert verify(there.project, there.environment, NOW).findings == ()
        shutil.rmtree(lake.folder)
