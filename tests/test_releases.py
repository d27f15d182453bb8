"""What readers see: releases, rollbacks that hold, and what is held back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_lake import Small, contents, failed, step

DEPARTMENTS = "SELECT department_name FROM silver.department WHERE source_system = 'hos-a' ORDER BY ALL"


def told(lake: Small, *words: str) -> Any:
    answer = lake.command(*words, "--json")
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


@pytest.fixture
def moved(small: Small) -> Small:
    """A lake with a second release, in which hospital A has renamed a department."""
    small.sql("UPDATE departments SET Name = 'Heart' WHERE DeptID = 'D1'")
    assert small.run(1).released == 2
    return small


def test_a_rollback_shows_the_very_rows_of_then_and_holds_until_it_is_resumed(small: Small) -> None:
    before = contents(small)
    bronze = small.ask("SELECT * FROM bronze.hos_a_departments ORDER BY ALL")
    small.sql("UPDATE departments SET Name = 'Heart' WHERE DeptID = 'D1'")
    assert small.run(1).released == 2
    after = contents(small)
    assert after != before
    assert told(small, "release", "rollback", "--because", "too early", "--dry-run")["id"] == 1
    assert contents(small) == after
    back = told(small, "release", "rollback", "--because", "too early")
    assert (back["id"], back["kind"], back["why"]) == (3, "rollback", "too early")
    assert contents(small) == before
    assert small.ask("SELECT * FROM bronze.hos_a_departments ORDER BY ALL") == bronze
    small.sql("UPDATE departments SET Name = 'Lungs' WHERE DeptID = 'D2'")
    did = small.run(2)
    assert (failed(did), did.released, did.exit_code(strict=False), did.exit_code(strict=True)) == ({}, None, 0, 80)
    assert "carelake release resume" in step(did, "release", "release").found
    assert contents(small) == before
    assert told(small, "release", "resume")["kind"] == "resume"
    assert contents(small) == before
    assert small.run(3).released == 5
    assert small.ask(DEPARTMENTS) == [("Heart",), ("Lungs",)]


def test_releases_are_listed_with_what_they_are(moved: Small) -> None:
    told(moved, "release", "rollback", "--to", "1", "--because", "for a test")
    listed = told(moved, "releases")
    assert [(one["id"], one["kind"], one["why"]) for one in listed] == [
        (3, "rollback", "for a test"), (2, "run", ""), (1, "run", ""),
    ]  # fmt: skip
    assert listed[0]["tables"] == listed[2]["tables"] != listed[1]["tables"]
    assert b"rollback" in moved.command("releases").stdout


@pytest.mark.parametrize("number", ["0", "7"])
def test_a_release_that_there_is_not_is_refused(number: str, moved: Small) -> None:
    answer = moved.command("release", "rollback", "--to", number, "--because", "of it")
    assert answer.returncode == 30
    assert answer.stderr.startswith(f"LAKE-303 there is no release {number}.".encode())
    assert len(told(moved, "releases")) == 2


def test_there_is_nothing_to_go_back_to_from_the_first_release(small: Small) -> None:
    answer = small.command("release", "rollback", "--because", "of it")
    assert answer.stderr.startswith(b"LAKE-303 there is no earlier release.")


def test_nothing_is_resumed_that_was_not_rolled_back(small: Small) -> None:
    answer = small.command("release", "resume")
    assert (answer.returncode, answer.stderr[:8]) == (30, b"LAKE-304")


def test_a_release_whose_files_are_gone_is_not_gone_back_to(moved: Small) -> None:
    then = told(moved, "releases")[1]["tables"]["silver.department_versions"]
    log = moved.project / f"lake/silver/department_versions/_delta_log/{then:020}.json"
    added = [json.loads(line)["add"]["path"] for line in log.read_text().splitlines() if '"add"' in line]
    for name in added:
        (log.parents[1] / name).unlink()
    answer = moved.command("release", "rollback", "--to", "1", "--because", "of it")
    assert answer.returncode in {30, 50}
    assert answer.stderr[:8] in {b"LAKE-303", b"LAKE-503"}


def test_a_mart_that_fails_holds_back_what_it_is_made_of_and_names_those_that_read_it(small: Small) -> None:
    shelf = small.project / "gold/own"
    shelf.mkdir(parents=True)
    for name, select in {
        "first": "SELECT department_key + department_name AS n FROM silver.department",
        "second": "SELECT n FROM gold.first",
    }.items():
        page = "---\nabout: It.\ncolumns:\n  n: {kind: not_personal, about: It., type: integer}\n---\n"
        (shelf / f"{name}.md").write_text(page)
        (shelf / f"{name}.sql").write_text(select)
    small.sql("UPDATE departments SET Name = 'Heart' WHERE DeptID = 'D1'")
    did = small.run(1)
    assert failed(did) == {"build first": "LAKE-402", "build second": "LAKE-404", "release release": ""}
    assert step(did, "dim_department", "build").outcome == "done"
    assert small.ask(DEPARTMENTS) == [("Cardiology",), ("Oncology",)]


READER = """
import sys
from pathlib import Path
from small_lake import Small
lake = Small(Path(sys.argv[1]))
both = (
    "SELECT (SELECT SUM(amount) FROM silver.transaction), (SELECT SUM(amount) FROM gold.fact_transaction),"
    " (SELECT COUNT(*) FROM silver.transaction), (SELECT COUNT(*) FROM bronze.hos_a_transactions)"
)
print("ready", flush=True)
while not (lake.folder / "enough").exists():
    for row in lake.ask(both):
        print(*row, flush=True)
"""


def test_a_reader_in_another_process_sees_one_state_after_the_other_and_nothing_in_between(small: Small) -> None:
    tests = Path(__file__).parent
    words = [sys.executable, "-c", READER, str(small.folder)]
    around = small.around({"PYTHONPATH": f"{tests}:{small.around()['PYTHONPATH']}"})
    with subprocess.Popen(words, env=around, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as reader:
        assert reader.stdout
        assert reader.stdout.readline() == "ready\n"
        small.sql("UPDATE transactions SET Amount = 60, ModifiedDate = '2024-11-01' WHERE TransactionID = 'T4'")
        assert small.run(1).released == 2
        shelf = small.project / "gold/own"
        shelf.mkdir(parents=True)
        (shelf / "bad.md").write_text("---\nabout: It.\ncolumns:\n  n: {kind: not_personal, about: It.}\n---\n")
        (shelf / "bad.sql").write_text("SELECT amount AS n FROM silver.transaction")
        small.sql("UPDATE transactions SET Amount = 70, ModifiedDate = '2024-11-02' WHERE TransactionID = 'T4'")
        assert small.run(2).released is None
        (shelf / "bad.md").unlink()
        (shelf / "bad.sql").unlink()
        assert small.run(3).released == 3
        (small.folder / "enough").touch()
        told, error = reader.communicate(timeout=120)
    # 100.10 + 20.01 + 300.00 + 50.00, then 10 more each time; a version of T4 more lands in bronze each time
    states = ["470.11 470.11 4 4", "480.11 480.11 4 5", "490.11 490.11 4 6"]
    seen = list(dict.fromkeys(told.splitlines()))
    assert error == ""
    assert seen == [state for state in states if state in seen]
    assert seen
