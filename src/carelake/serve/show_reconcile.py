"""What a person sees of reconciliations."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from rich.markup import escape

from ..reconcile import plain
from .reconciliations import Told
from .show import console, draw, grid

COLOUR = {"failed": "red", "warned": "yellow"}


def reconciled(told: Sequence[Told], name: str) -> None:
    """A line for each reconciliation, or one for each item of those of a `name`; then what is wrong, once per cause."""
    out = console()
    shown = [one for one in told if one.verdict != "idle"]
    if shown:
        columns = ["name", "item", "expected", "found", "difference", "verdict"]
        draw(columns, [row for one in shown for row in (_items(one) if name else [_worst(one)])])
    for one in told:
        if one.verdict in COLOUR:
            colour = COLOUR[one.verdict]
            out.print(f"\n[{colour}]{one.verdict}[/]: {escape(one.name)}\n{escape(one.found)}")
    idle = [one.name for one in told if one.verdict == "idle"]
    if idle:
        why = f" ({escape(told[0].found)})" if name and len(told) == 1 else ""
        out.print(f"[dim]Idle{why}: {', '.join(idle)}.[/]")


def behind(told: Told, batches: pa.RecordBatchReader) -> None:
    """The keys of the rows, or the loads, that make the difference."""
    console().print(f"\nBehind {escape(told.name)}:")
    grid(batches, "`--json` writes them all")


def _items(told: Told) -> list[list[str]]:
    return [
        [
            told.name,
            row["item"],
            f"{plain(row['left_figure'])} ({row['left_name']})",
            f"{plain(row['right_figure'])} ({row['right_name']})",
            plain(row["difference"]),
            row["verdict"],
        ]
        for row in told.rows
    ]


def _worst(told: Told) -> list[str]:
    """The item that decided the verdict."""
    of_it = [row for row in told.rows if row["verdict"] == told.verdict]
    worst = max(of_it, key=lambda row: abs(row["difference"] or 0))
    more = f" and {len(told.rows) - 1:,} more" if len(told.rows) > 1 else ""
    figures = [plain(worst[name]) for name in ("left_figure", "right_figure", "difference")]
    return [told.name, f"{worst['item']}{more}", *figures, told.verdict]
