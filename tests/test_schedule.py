"""What `carelake schedule` prints runs as it stands, whatever the folder is called."""

from __future__ import annotations

import re
import shlex
import subprocess
from datetime import time
from pathlib import Path

import pytest
from small_lake import KEY, Small, copied

from carelake.upkeep.schedule import Plan, cron, systemd

ODD = 'it\'s 100% "my" $HOME lake'


@pytest.fixture
def odd(small_origin: Small, tmp_path: Path) -> Small:
    """A lake in a folder whose name has every sign that a shell, cron or systemd could stumble over."""
    return copied(small_origin, tmp_path / ODD)


def written(lake: Small, *words: str) -> str:
    told = lake.command("schedule", *words)
    assert told.returncode == 0, told.stderr
    return told.stdout.decode()


def test_the_line_of_a_day_runs_from_anywhere_with_the_environment_file_alone(odd: Small, tmp_path: Path) -> None:
    names = ("HOS_A_URL", "HOS_B_URL", "LANDING", "CARELAKE_VAULT_KEY")
    around = "".join(f"{name}={shlex.quote(odd.environment[name])}\n" for name in names)
    (odd.project / "carelake.env").write_text(around + f"PYTHONPATH={shlex.quote(odd.around()['PYTHONPATH'])}\n")
    lines = written(odd, "--at", "03:30", "--backup", str(tmp_path / "backups")).splitlines()
    (daily,) = (line.removeprefix("30 3 * * 1-6 ") for line in lines if line.startswith("30 3 * * 1-6 "))
    shell = re.sub(r"\\%", "%", daily)  # as cron hands it on
    did = subprocess.run(["/bin/sh", "-c", shell], capture_output=True, cwd="/", env={"HOME": "/"}, check=False)
    assert did.returncode == 0, did.stderr
    assert b"nothing new to release" in did.stdout
    assert (tmp_path / "backups/backups").is_dir()


def test_sundays_look_after_the_lake_too(odd: Small) -> None:
    (weekly,) = (line for line in written(odd).splitlines() if line.startswith("0 2 * * 0 "))
    assert re.findall(r"-m carelake -p .*? (run --reconcile|optimize|vacuum|verify);", weekly) == [
        "run --reconcile", "optimize", "vacuum", "verify",
    ]  # fmt: skip


def test_units_of_systemd_say_every_path_in_its_quotes() -> None:
    plan = Plan(("/usr/bin/python3", "-m", "carelake"), Path("/srv") / ODD, Path("/etc/100%.env"), "lake", time(2))
    told = systemd(plan)
    place = r'"/srv/it' + r"""'s 100%% \"my\" $$HOME lake" """.strip()
    assert f'ExecStart="/usr/bin/python3" "-m" "carelake" "-p" {place} "run"\n' in told
    assert f'ExecStart=-"/usr/bin/python3" "-m" "carelake" "-p" {place} "run" "--reconcile"\n' in told
    assert told.count("ExecStart=") == 5
    assert "EnvironmentFile=/etc/100%%.env\n" in told
    assert re.findall(r"OnCalendar=(.*)", told) == ["Mon..Sat *-*-* 02:00:00", "Sun *-*-* 02:00:00"]


def test_nothing_secret_is_printed(small_origin: Small) -> None:
    for form in ("--cron", "--systemd"):
        said = written(small_origin, form)
        assert [secret for secret in (KEY, small_origin.environment["HOS_A_URL"]) if secret in said] == []


def test_a_time_that_is_none_is_told(small_origin: Small) -> None:
    told = small_origin.command("schedule", "--at", "25:00")
    assert (told.returncode, b"HH:MM" in told.stderr) == (2, True)


def test_a_percent_sign_is_no_new_line_for_cron() -> None:
    plan = Plan(("carelake",), Path("/srv/100%"), Path("/srv/100%/carelake.env"), "lake", time(2))
    assert cron(plan).count(r"100\%") == cron(plan).count("100") == 10
