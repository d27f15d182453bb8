"""The commands of the guides, run one after the other as they stand there."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import typer
from small_lake import CLAIMS, Small, failed

from carelake.serve import cli

COMMAND = re.compile(r"carelake(?: -p \S+)?((?: [a-z]+)+)(.*)")
DOCS = Path(__file__).parents[1] / "docs"
UPKEEP, QUALITY = DOCS / "operations.md", DOCS / "data-quality.md"
ID = "12-345"  # of a row in quarantine, in the guide


def shell(page: Path, words: str = "[^\n]*") -> list[str]:
    """The blocks of a page that are for a shell, also those of a numbered step."""
    return [dedent(block) for block in re.findall(rf"^ *```sh{words}\n(.*?)^ *```$", page.read_text(), re.M | re.S)]


@pytest.mark.parametrize("page", [UPKEEP, QUALITY], ids=lambda page: page.stem)
def test_the_page_names_no_command_or_option_that_does_not_exist(page: Path) -> None:
    lines = [COMMAND.fullmatch(line) for block in shell(page) for line in block.splitlines()]
    assert len(lines) > 10
    for line in lines:
        assert line
        command: Any = typer.main.get_command(cli.app)
        for word in line[1].split():
            command = getattr(command, "commands", {word: command})[word]  # the others are arguments
        known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
        assert set(re.findall(r" (--[a-z-]+)", line[2])) <= known


@pytest.mark.prove
def test_the_page_runs_as_it_stands(small: Small) -> None:
    small.sql("UPDATE departments SET Name = 'Heart' WHERE DeptID = 'D1'")
    assert failed(small.run(1)) == {}
    blocks = shell(UPKEEP, " run")
    assert len(blocks) == 9
    around = small.around({"PROJECT": str(small.project), "BACKUPS": str(small.folder / "backups")})
    path = f"{Path(sys.executable).parent}:{around['PATH']}"
    told = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)],
        capture_output=True, text=True, cwd=small.folder, env={**around, "PATH": path}, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout[-3000:] + told.stderr[-3000:]
    assert told.stdout.count("The lake is whole.") == 3
    assert "0 rows landed, nothing new to release" in told.stdout.replace("\n", " ")


def said(lake: Small, line: str) -> str:
    """What a command says that is typed in the folder of the project."""
    around = lake.around()
    path = f"{Path(sys.executable).parent}:{around['PATH']}"
    told = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        capture_output=True, text=True, cwd=lake.project, env={**around, "PATH": path, "COLUMNS": "200"}, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout[-3000:] + told.stderr[-3000:]
    return told.stdout


def test_somebody_new_repairs_a_quarantined_batch_by_the_guide(small: Small) -> None:
    """Two claims whose amounts cannot be read: one is corrected by command, the other in the file that is exported."""
    header, first, _ = CLAIMS.splitlines()
    wrong = [first.replace("C1,", f"C{n},").replace("100.10", "a lot") for n in (7, 8)]
    small.put("claims/hospital1_wrong.csv", "\n".join([header, *wrong, ""]))
    assert failed(small.run(1)) == {}

    look, look_at_one, look_again = shell(QUALITY)[-3:]
    guide = QUALITY.read_text().partition("### Repair a quarantined batch")[2]
    by_command, export, by_file = (
        next(line for line in re.findall(r"`(carelake quarantine [^`]+)`", guide) if word in line)
        for word in ("repair 12-345", "export", "--from")
    )
    listed = said(small, look)
    one, other = sorted(re.findall(r"(?<![-0-9])[0-9]{1,3}-[0-9]+(?![-0-9])", listed))
    assert "ClaimAmount" in said(small, look_at_one.replace(ID, one))
    assert "1" in said(small, by_command.replace(ID, one))
    said(small, export)
    sheet = small.project / "claims.csv"
    with sheet.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["ClaimAmount"] = "80.00" if other in row.values() else row["ClaimAmount"]
    with sheet.open("w", newline="") as file:
        lines = csv.DictWriter(file, list(rows[0]))
        lines.writeheader()
        lines.writerows(row for row in rows if other in row.values())
    said(small, by_file)
    assert one not in said(small, look_again)
    repaired = "SELECT claim_id, claim_amount FROM silver.claim WHERE claim_id IN ('C7', 'C8') ORDER BY claim_amount"
    assert [amount for _, amount in small.ask(repaired)] == [Decimal("80.00"), Decimal("125.00")]
    assert small.one("SELECT COUNT(*) FROM quarantine.claim") == 0
