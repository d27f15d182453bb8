"""What a person sees of the proof that nothing leaks, and of what a column is made of."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape

from ..ancestry import Step
from ..reach import COMPARED, COUNTED, DURATION, FILTERED, FLAG, JOINED, ORDERED, PRESENT, RANKED, YEAR
from ..signing import Signature
from .proof import Proof
from .show import console

HOW = {
    COMPARED: "by many comparisons",
    FILTERED: "by a filter that holds it to one value",
    JOINED: "looked up by it",
    ORDERED: "by its order",
    FLAG: "as a flag of one comparison",
    COUNTED: "counted, or of what was added up",
    RANKED: "as a place within a group",
    PRESENT: "by whether it is there",
    DURATION: "as days between two dates",
    YEAR: "as its year",
}


def proof(told: Proof) -> None:
    """What holds, and what was let pass for a reason."""
    out = console()
    out.print(f"{told.feeds:,} feeds, {told.tables:,} tables and {told.marts:,} marts: no mistake.")
    out.print(f"{told.columns - len(told.lowered):,} columns of marts show no more than their kind says.")
    if told.lowered:
        out.print(f"{len(told.lowered):,} are let pass by privacy.yml:")
        for column, because in told.lowered.items():
            out.print(f"  {escape(column)}: {escape(because)}", soft_wrap=True)
    if told.unsigned:
        out.print("[yellow]Not signed, and let pass since this is `env: dev`:[/]")
        for one in told.unsigned:
            out.print(f"  {escape(one)}", soft_wrap=True)
    if told.officer:
        out.print(f"Who signs the privacy page has the key {escape(told.officer)}.", soft_wrap=True)
    out.print("Encrypted at rest by:")
    for root, by in told.encrypted_by.items():
        out.print(f"  {escape(root)}: {escape(by)}", soft_wrap=True)


def lineage(steps: Sequence[Step]) -> None:
    """A column, and below each what it is made of, indented."""
    out = console()
    for step in steps:
        kind = f" ({step.kind})" if step.kind else ""
        how = f", {HOW.get(step.how, step.how)}" if step.how not in ("", "value") else ""
        over = f" over {', '.join(step.over)}" if step.over else ""
        out.print(escape(f"{'  ' * step.depth}{step.column}{kind}{how}{over}"), soft_wrap=True, highlight=False)


def signed(more: Sequence[str], made: Signature | None) -> None:
    """What the page shows more, and who signed it."""
    out = console()
    out.print("It shows more than the shipped page:" if more else "It shows no more than the shipped page.")
    for one in more:
        out.print(f"  {escape(one)}", soft_wrap=True)
    if made:
        out.print(f"{escape(made.who)}, {escape(made.role)}, signed it on {made.signed_at[:10]}.", soft_wrap=True)
