"""What a person sees of retention: what goes and what stays, certificates, legal holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from ..upkeep.legal_hold import Hold
from ..upkeep.purge import Purged
from .show import console

KEPT = (
    "Nothing is purged: lake.yml does not say for how long bronze is kept, and so all of it is. To change that, write"
    " for example `retention: {bronze: 2 years}`, and look at `carelake purge --dry-run` first."
)


def purged(done: Purged, dry_run: bool) -> None:
    """What went of each feed, or would; and why the rest of what is old enough stays."""
    out = console()
    if done.keeps_all:
        out.print(KEPT)
        return
    for one in done.feeds:
        about = "about " if dry_run else ""
        goes = f"{one.rows:,} rows of {one.loads:,} loads, {about}{one.bytes / 1e6:,.1f} MB" if one.rows else "nothing"
        out.print(f"{escape(one.feed)} (kept {one.policy}): {goes}")
        for why, rows in one.stays.items():
            out.print(f"    [dim]{rows:,} rows stay: {why}[/]")
    if done.holds:
        out.print(f"Holds that stand: {', '.join(map(str, done.holds))}. See `carelake hold list`.")
    would, rows = "would be" if dry_run else "were", sum(one.rows for one in done.feeds)
    out.print(f"{rows:,} rows {would} taken out of bronze.")
    if done.number:
        out.print(f"Its certificate: `carelake purge --certificate {done.number}`. Backups are not reached.")


def certificate(told: Mapping[str, Any]) -> None:
    """What a purge took away."""
    out = console()
    out.print(f"Purge {told['purge']} of {told['purged_at']:%Y-%m-%d %H:%M} UTC, by {escape(told['who'])}:")
    for load in told["loads"]:
        files = "".join(f"\n    {escape(name)} sha256 {digest}" for name, digest in load["removed"].items())
        kept = f"(kept {load['policy']}: landed before {load['cutoff']:%Y-%m-%d %H:%M} UTC)"
        left = f"{load['rows_purged']:,} rows gone, {load['rows_left']:,} left"
        out.print(f"{escape(load['load_id'])}: {left} {kept}; removed:{files}")
    holds = ", ".join(map(str, told["holds_respected"])) or "none"
    out.print(f"{told['rows']:,} rows, {told['bytes'] / 1e6:,.1f} MB. Holds respected: {holds}.\n{told['backups']}")


def holds(found: Sequence[Hold]) -> None:
    """Each hold; of one that was lifted, by whom and why."""
    if not found:
        console().print("Nothing is held.")
        return
    table = Table("hold", "over", "since (UTC)", "who", "why", "lifted")
    for one in found:
        lifted = f"{one.lifted_at:%Y-%m-%d} by {one.lifted_by}: {one.lifted_why}" if one.lifted_at else ""
        words = (one.over, f"{one.placed_at:%Y-%m-%d %H:%M}", one.who, one.why, lifted)
        table.add_row(str(one.id), *map(escape, words))
    console().print(table)
