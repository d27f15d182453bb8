"""Open alerts, as a person sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from .show import console


def alerts(found: Sequence[Mapping[str, Any]]) -> None:
    """The alerts that are open, the oldest first."""
    if not found:
        console().print("No alert is open.")
        return
    table = Table("alert", "since (UTC)", "outcome", "what", "found", "told", "looked after by")
    for one in found:
        words = (one["what"], one["found"], ", ".join(one["told"]), one["who"] or "nobody")
        table.add_row(one["alert"], f"{one['since']:%Y-%m-%d %H:%M}", one["outcome"], *map(escape, words))
    console().print(table)
