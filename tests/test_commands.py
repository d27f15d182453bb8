"""The command line as a person meets it: what it refuses, and what it says then."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from small_lake import Small, made

from carelake.errors import choose


def carelake(*words: str) -> subprocess.CompletedProcess[str]:
    around = {**os.environ, "COLUMNS": "200"}
    command = [sys.executable, "-m", "carelake", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=around)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- synth and demo ---


@pytest.mark.parametrize("command", ["synth", "demo"])
def test_a_folder_that_holds_something_else_is_left_as_it_is(command, tmp_path):
    (tmp_path / "hos-a.db").write_text("mine")
    told = carelake(command, str(tmp_path), "--patients", "10")
    assert (told.returncode, told.stderr[:8]) == (10, "LAKE-122")
    assert files(tmp_path) == {"hos-a.db": b"mine"}


@pytest.mark.parametrize("command", ["synth", "demo"])
@pytest.mark.parametrize("below", ["", "below"])
def test_a_folder_that_cannot_be_one_is_named(command, below, tmp_path):
    (tmp_path / "file").write_text("mine")
    told = carelake(command, str(tmp_path / "file" / below), "--patients", "10")
    assert (told.returncode, told.stderr[:8]) == (10, "LAKE-122")


def test_hospitals_are_made_anew_where_they_were_made_and_their_paths_can_be_pasted(tmp_path):
    folder = tmp_path / "two hospitals; $HOME"
    for day in ("1", "1", "2"):
        told = carelake("synth", str(folder), "--patients", "10", "--day", day)
        assert told.returncode == 0, told.stderr
    lines = [line for line in told.stdout.splitlines() if line.startswith("export ")]
    shell = "\n".join([*lines, 'printf "%s\\n" "$HOS_A_URL" "$HOS_B_URL" "$LANDING"'])
    pasted = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True).stdout.splitlines()
    assert pasted == [f"sqlite://{folder}/hos-a.db", f"sqlite://{folder}/hos-b.db", f"{folder}/landing"]
    assert [shlex.split(line)[0] for line in lines] == ["export"] * 3


def test_a_following_day_of_nothing_makes_no_folder(tmp_path):
    told = carelake("synth", str(tmp_path / "none"), "--day", "2")
    assert (told.returncode, told.stderr[:8]) == (10, "LAKE-125")
    assert not (tmp_path / "none").exists()


# --- before the first release ---


@pytest.mark.parametrize(
    "words",
    [
        ["kpi"],
        ["kpi", "days_in_ar"],
        ["query", "SELECT * FROM gold.days_in_ar"],
        ["query", "SELECT * FROM silver.patient"],
        ["query", "SELECT * FROM bronze.hos_a_patients"],
    ],
)
def test_before_the_first_release_there_is_nothing_to_ask_and_a_next_step(words, tmp_path):
    told = made(tmp_path).command(*words)
    assert told.returncode == 70
    assert b"nothing is released yet" in told.stderr
    assert b"Run `carelake run`" in told.stderr


# --- slips ---


@pytest.mark.parametrize("words", [["plan"], ["run"], ["synth", "x"]])
@pytest.mark.parametrize("day", ["30.11.2024", "2024-11-31", "today", ""])
def test_a_day_that_is_none_says_how_to_write_one(words, day, tmp_path):
    told = carelake("-p", str(tmp_path), *words, "--as-of", day)
    assert told.returncode == 2
    assert "write the day as YYYY-MM-DD, for example 2024-11-30" in " ".join(told.stderr.split())


def test_few_known_names_are_all_told_and_of_many_the_most_alike():
    eight = [f"a{n}" for n in range(8)]
    assert choose("zzz", eight) == "Known are: a0, a1, a2, a3, a4, a5, a6, a7."
    many = [*(f"table_{n:02}" for n in range(40)), "patient", "patients", "payment"]
    told = choose("patint", many)
    assert told.startswith("Did you mean 'patient'? Known are: patient, patients, payment, ")
    assert told.endswith(", and 35 more.")
    assert told.count(", ") == 8
    assert choose("x", []) == "There is none."


def test_a_table_that_is_not_there_is_told_with_the_nearest(small_origin: Small):
    told = small_origin.command("query", "SELECT * FROM silver.pateint").stderr.decode()
    assert "Did you mean 'silver.patient'?" in told
    assert " more." in told
    assert len(told) < 500


# --- where stderr is no terminal, as in the log of a nightly run ---


def test_a_log_has_a_line_for_each_step_that_did_something(small: Small) -> None:
    small.sql("INSERT INTO departments VALUES ('D9', 'New')")
    told = small.command("run")
    lines = told.stderr.decode().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00 ", line) for line in lines)
    steps = [line.split(" ", 2)[2] for line in lines]
    assert steps[0] == "extract hos-a.departments: done, 1 rows"
    assert steps[-1] == "release: done, 0 rows"
    assert not any("unchanged" in step or "inactive" in step for step in steps)


def test_a_run_goes_on_if_nobody_reads_its_log(small: Small) -> None:
    small.sql("INSERT INTO departments VALUES ('D9', 'New')")
    reads, writes = os.pipe()
    os.close(reads)
    told = subprocess.run(small.words("run"), stdout=subprocess.PIPE, stderr=writes, env=small.around(), check=False)
    os.close(writes)
    assert (told.returncode, b"release 2." in told.stdout) == (0, True)


def test_an_answer_that_takes_long_is_nothing_but_the_answer(small_origin: Small) -> None:
    """DuckDB draws a bar on stdout for what takes longer than two seconds."""
    days = small_origin.one("SELECT COUNT(*) FROM gold.dim_date")
    digits, some = "LENGTH(MD5(CONCAT(a.date_key, b.date_key)))", "(SELECT * FROM gold.dim_date LIMIT 400)"
    select = f"SELECT SUM({digits}) AS n FROM gold.dim_date AS a CROSS JOIN {some} AS b"
    told = small_origin.command("query", "--format", "csv", select)
    assert (told.returncode, told.stdout, told.stderr) == (0, f"n\n{days * 400 * 32}\n".encode(), b"")
