"""What a person sees of what is held back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..quarantine import Row, Waits
from ..repair import Act, Done
from .show import console, draw

DID = {"repair": "repaired", "accept": "accepted", "replay": "to be judged anew"}


def waits(found: Sequence[Waits], allowed: int, now: datetime) -> None:
    """How much is held back, and whether it waits for too long."""
    if not found:
        console().print("Nothing is held back.")
        return
    names = ("table", "rule", "source", "rows", "mended since", "oldest, in days", "overdue")
    told = [
        (o.table, o.rule, o.source, f"{o.rows:,}", f"{o.mended:,}", f"{(now - o.since).days:,}", f"{o.overdue:,}")
        for o in sorted(found, key=lambda one: (-one.rows, one.table, one.rule))
    ]
    draw(names, told)
    if overdue := sum(one.overdue for one in found):
        console().print(f"{overdue:,} wait for more than {allowed} days, which is what the project allows.")


def rows(listed: Sequence[Mapping[str, Any]]) -> None:
    """Each row by its id."""
    if listed:
        draw(list(listed[0]), [[_told(value) for value in one.values()] for one in listed])


def row(one: Row) -> None:
    """One row: why it is held back, how silver would show it, and what can be corrected."""
    out = console()
    out.print(f"{one.id}: {one.table}, of {one.source}.{one.feed}, held back since {one.since:%Y-%m-%d}.")
    if one.mended:
        out.print("A later version of its key is there, and trusted.")
    draw(["rule", "because"], list(one.reasons.items()))
    draw(["column", "as silver would show it"], [(name, _told(value)) for name, value in one.shows.items()])
    out.print(f"To be corrected with --set: {', '.join(one.corrects)}.")


def done(told: Done, act: Act) -> None:
    """What became of what was asked."""
    out = console()
    if act.dry_run:
        out.print(f"{told.rows:,} rows would be {DID[act.how]}. Nothing was changed: this was a dry run.")
    elif told.rows:
        loads = ", ".join(told.loads)
        out.print(f"{told.rows:,} rows are {DID[act.how]} ({loads}). The next `carelake run` takes them in.")
    if told.already:
        out.print(f"{told.already:,} are so already, or wait for the next run as they are.")
    if not told.rows and not told.already:
        out.print("There is nothing to do.")


def _told(value: Any) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}"
    return "" if value is None else str(value)
