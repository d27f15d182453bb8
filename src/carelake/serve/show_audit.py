"""What a person sees of the access log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from ..access import Found
from ..upkeep.log_purge import LogPurged
from .show import console

NO_ANCHOR = (
    "No anchor is set: who can write the lake could sign anew what was changed. Let `access_log: {anchor: FOLDER}`"
    " in lake.yml name a folder that the lake's user can add to, and cannot change."
)


def found(told: Found, anchor: Path | None) -> None:
    """Whether the log is as it was written, and up to where that is sure."""
    out = console()
    for flaw in told.flaws:
        out.print(f"[red]{escape(flaw)}[/]")
    said = f"{told.events:,} events under {told.heads:,} heads"
    out.print(f"{said}: {f'{len(told.flaws):,} flaws.' if told.flaws else 'as they were written.'}")
    where = "anchored" if anchor else "signed"
    if told.retired:
        out.print(f"{told.retired:,} more were kept for long enough, and are gone: see `carelake audit purge`.")
    out.print(f"{told.not_anchored:,} of them are not {where} yet: a change of those need not show.")
    if anchor is None:
        out.print(f"[dim]{NO_ANCHOR}[/]")


def purged(done: LogPurged, *, dry_run: bool) -> None:
    """What went of the log, or would."""
    if done.holds:
        console().print(f"Nothing goes while holds stand: {', '.join(map(str, done.holds))}. See `carelake hold list`.")
        return
    would = "would be" if dry_run else "were"
    of = f", the newest of {done.before:%Y-%m-%d}" if done.before else ""
    console().print(f"The log is kept for {done.policy}: {done.events:,} events{of} {would} taken out.", soft_wrap=True)
    if done.events and not dry_run:
        console().print("A signed head says so. Their files go with `carelake vacuum`; backups are not reached.")


def events(told: Sequence[dict[str, Any]]) -> None:
    """What was asked for, a line each."""
    table = Table("when (UTC)", "who", "what", "of", "purpose", "rows", "patients")
    for one in told:
        shown = (
            f"{one['logged_at']:%Y-%m-%d %H:%M:%S}", one["who"], _what(one), ", ".join(one["tables_read"]),
            one["purpose"],
        )  # fmt: skip
        table.add_row(*map(escape, shown), f"{one['rows_shown']:,}", f"{one['patients']:,}")
    console().print(table if told else "Nothing.")


def _what(one: dict[str, Any]) -> str:
    """What was done; of what went to somebody outside, as what, under which agreement, to whom and where."""
    given = one.get("given", {})
    under = f" under {given['agreement']}" if given.get("agreement") else ""
    to = f" to {one['recipient']}" if one["recipient"] else ""
    where = f", {given['address']}" if given.get("address") else ""
    return " ".join(filter(None, (one["action"], given.get("profile")))) + under + to + where


def unnamed(many: int) -> None:
    if many:
        said = "did not say whose: figures, or rows without the patient's key. `carelake audit user` lists them."
        console().print(f"{many:,} more questions showed rows of tables about patients and {said}", soft_wrap=True)


def other_keys(many: int) -> None:
    if many:
        said = (
            f"{many:,} questions named patients under another key of the log, and none of them is found with this one."
        )
        console().print(f"[red]{said}[/] Set CARELAKE_LOG_KEY to that key, and ask again.", soft_wrap=True)
