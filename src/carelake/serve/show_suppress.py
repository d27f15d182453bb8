"""What a person sees of suppressions: keys, counts and reasons, no value of a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from ..suppressions import LIFT
from ..upkeep.suppress import NOT_REACHED, Suppression
from .show import console


def done(told: Suppression, *, dry_run: bool) -> None:
    """What is hidden or shown again by table, which figures follow with the next run, and what is not reached."""
    out = console()
    verb = "shown again" if told.act == LIFT else "hidden"
    out.print(f"Person {told.person_key}: {'would be' if dry_run else 'is'} {verb}. {escape(told.why)}")
    out.print(f"[dim]{escape(told.who)}, {told.happened_at}[/]")
    for table, rows in told.rows.items():
        if rows:
            out.print(f"  {table}: {rows:,} rows")
    if told.marts and not dry_run:
        out.print(f"{len(told.marts):,} marts count otherwise until the next `carelake run`: {', '.join(told.marts)}.")
    if told.act != LIFT:
        out.print("Not reached:")
        for one in NOT_REACHED:
            out.print(f"  - {escape(one)}")
    if dry_run:
        out.print("Nothing was changed.")


def listed(acts: Sequence[Mapping[str, Any]]) -> None:
    """Every act, in its order."""
    if not acts:
        console().print("Nobody was ever suppressed.")
        return
    grid = Table("person", "act", "who", "when", "why")
    for act in acts:
        when = f"{act['happened_at']:%Y-%m-%d %H:%M}"
        grid.add_row(str(act["person_key"]), act["act"], escape(act["who"]), when, escape(act["why"]))
    console().print(grid)
