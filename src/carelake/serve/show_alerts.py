"""Open alerts, as a person sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from ..errors import LakeError
from ..tell.digesting import Prepared
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


Sent = Mapping[str, LakeError | None]  # channel -> what kept it from being told


def plain_digest(ready: Prepared, sent: Sent) -> dict[str, Any]:
    """A digest, and what became of it, as JSON takes it."""
    failed = {name: error.code for name, error in sent.items() if error}
    told = {"due": [one.name for one in ready.due], "told": [name for name in sent if name not in failed]}
    span = {"period": ready.span.period, "of": ready.span.of}
    return span | {"subject": ready.message.subject, "text": ready.message.text} | told | {"failed": failed}


def digest(ready: Prepared, sent: Sent, *, dry_run: bool) -> None:
    """Who got a digest; with `dry_run`, the digest itself."""
    out = console()
    if dry_run:
        out.print(f"[bold]{escape(ready.message.subject)}[/]\n\n{escape(ready.message.text)}\n")
        out.print(f"Would be told: {', '.join(one.name for one in ready.due) or 'nobody'}. Nothing was sent.")
    elif not sent:
        out.print(f"Nobody is to be told: no channel wants the {ready.span.period} digest, or all of them had it.")
    for name, error in sent.items():
        out.print(f"Told: {name}." if error is None else f"[red]failed[/]: {name}\n{escape(str(error))}")
