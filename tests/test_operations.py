"""The commands of docs/operations.md, run one after the other as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from small_lake import Small, failed

from carelake.serve import cli

COMMAND = re.compile(r"carelake(?: -p \S+)?((?: [a-z]+)+)(.*)")
PAGE = Path(__file__).parents[1] / "docs/operations.md"


def shell(words: str = "[^\n]*") -> list[str]:
    """The blocks of the page that are for a shell."""
    return re.findall(rf"^```sh{words}\n(.*?)^```$", PAGE.read_text(), re.M | re.S)


def test_the_page_names_no_command_or_option_that_does_not_exist() -> None:
    lines = [COMMAND.fullmatch(line) for block in shell() for line in block.splitlines()]
    assert len(lines) > 15
    for line in lines:
        assert line
        command: Any = typer.main.get_command(cli.app)
        for word in line[1].split():
            command = command.commands[word]
        known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
        assert set(re.findall(r" (--[a-z-]+)", line[2])) <= known


@pytest.mark.prove
def test_the_page_runs_as_it_stands(small: Small) -> None:
    small.sql("UPDATE departments SET Name = 'Heart' WHERE DeptID = 'D1'")
    assert failed(small.run(1)) == {}
    blocks = shell(" run")
    assert len(blocks) == 8
    around = small.around({"PROJECT": str(small.project), "BACKUPS": str(small.folder / "backups")})
    path = f"{Path(sys.executable).parent}:{around['PATH']}"
    told = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)],
        capture_output=True, text=True, cwd=small.folder, env={**around, "PATH": path}, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout[-3000:] + told.stderr[-3000:]
    assert told.stdout.count("The lake is whole.") == 3
    assert "0 rows landed, nothing new to release" in told.stdout.replace("\n", " ")
