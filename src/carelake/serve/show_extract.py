"""What a person sees of an extract."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.markup import escape

from .show import console


def extract(told: Mapping[str, Any], out: Path, *, dry_run: bool) -> None:
    """What leaves, and how; and what became of persons who could be told apart."""
    page = console()
    for one in told["tables"]:
        shown = ", ".join(f"{column['name']} ({column['treatment']})" for column in one["columns"])
        rows = "" if dry_run else f" {one['rows']:,} rows:"
        page.print(escape(f"{one['table']}:{rows} {shown}"), soft_wrap=True, highlight=False)
    if not dry_run:
        risk = told["risk"]
        page.print(f"Quasi-identifiers are not told of {risk['persons_suppressed']:,} persons;"
                   f" {risk['persons_left_out']:,} are left out.")  # fmt: skip
        page.print(escape(f"Made {out}. Read and sign evidence.html before it leaves."), soft_wrap=True)
