"""The history of a row, as a person sees it."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from .history import Changed, Held, History, Moment
from .show import CONTROLS, console

NOTHING = "said again, without a change"
UNSEEN = "changed in what silver does not show"


def history(told: History) -> None:
    """What happened to a row, in its order; then what waits in quarantine."""
    several = len(told.keys) > 1
    table = Table("when (UTC)", *(["row"] if several else []), "what", "from what to what", "load", "run")
    for moment in told.story:
        row = [_plain(moment.own_id or str(moment.key))] if several else []
        changed = "\n".join(_changed(one) for one in _told(moment))
        table.add_row(f"{moment.at:%Y-%m-%d %H:%M}", *row, _what(moment), changed, moment.load_id, moment.run_id)
    out = console()
    if told.story:
        out.print(table)
    for held in told.quarantined:
        out.print(_waits(held))
    state = "is current" if told.is_current else "is not current"
    more = f", and {len(told.keys) - 1} more of its story" if several else ""
    out.print(f"{told.table} {told.key} {state}: {len(told.story)} versions{more}.")


def _what(moment: Moment) -> str:
    """What happened in the words of the table; of a version that brings nothing new, that."""
    words = [event.replace("_", " ") for event in moment.events]
    if not words:
        silent = UNSEEN if moment.is_change and moment.operation == "updated" else NOTHING
        words = [str(moment.operation) if moment.changes and moment.operation else silent]
    late = [str(moment.reason)] if moment.reason in ("late", "repaired") else []
    return "\n".join([*words, *(f"[dim]({word})[/]" for word in late)])


def _told(moment: Moment) -> list[Changed]:
    """Of a new row what its events show, or all of it; otherwise what changed. What is gone needs no list."""
    if moment.operation == "deleted":
        return []
    if moment.operation == "updated":
        return list(moment.changes)
    return [one for one in moment.changes if one.column in moment.shows] or list(moment.changes)


def _changed(one: Changed) -> str:
    before = "" if one.old is None else f"{_plain(one.old)} → "
    return f"{one.column}: {before}{'nothing' if one.new is None else _plain(one.new)}"


def _waits(held: Held) -> str:
    since = f"{held.since:%Y-%m-%d %H:%M}"
    return f"[yellow]Held back[/] since {since}, of load {held.load_id}: {escape(', '.join(held.reasons))}"


def _plain(text: str) -> str:
    return escape(text.translate(CONTROLS))
