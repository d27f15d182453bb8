"""What the commands share: the project they work on, and the options that several have."""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class EngineName(StrEnum):
    duck = "duck"
    spark = "spark"


class State:
    """What was said before the command's name."""

    project = Path()


def now() -> datetime:
    """The moment a command began."""
    return datetime.now(UTC)


Json = Annotated[bool, typer.Option("--json", help="Answer as JSON, for programs.")]


def _day(told: str | date) -> date:
    """A day as it is written on the command line."""
    try:
        return told if isinstance(told, date) else datetime.strptime(told, "%Y-%m-%d").date()
    except ValueError:
        raise typer.BadParameter("write the day as YYYY-MM-DD, for example 2024-11-30.") from None


DAY: dict[str, Any] = {"parser": _day, "metavar": "YYYY-MM-DD"}
AsOf = Annotated[date | None, typer.Option(help="The day that figures are seen from. Default: lake.yml's.", **DAY)]
On = Annotated[EngineName | None, typer.Option("--engine", help="What runs it. Default: lake.yml's.")]
ANSWERS = "What answers. Default: the embedded engine; lake.yml's, if only Spark can read the lake."
Answers = Annotated[EngineName | None, typer.Option("--engine", help=ANSWERS)]
