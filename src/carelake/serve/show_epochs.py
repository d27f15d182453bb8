"""What a person sees of tables that are begun anew."""

from __future__ import annotations

from collections.abc import Sequence

from ..epochs import Begun
from .show import console, draw


def begun(told: Sequence[Begun], *, dry_run: bool) -> None:
    """Which tables begin anew, and how much the next run takes in of each."""
    draw(["table", "epoch", "loads", "rows"], [(o.table, f"{o.epoch}", f"{o.loads:,}", f"{o.rows:,}") for o in told])
    if dry_run:
        console().print("Nothing was changed: this was a dry run.")
    else:
        console().print(
            "The next `carelake run` takes in what is listed. Readers stay where they are until its release."
        )
