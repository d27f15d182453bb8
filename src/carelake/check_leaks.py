"""Marts -> the columns that show more than their kind says, each where its page states it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from . import leaks
from .errors import Mistake
from .leaks import Leak
from .model import Declarations
from .page import Page
from .reach import COMPARED, FILTERED, JOINED, ORDERED, VALUE

HOW = {  # how a column reaches another one -> what that tells
    VALUE: "its value comes out",
    COMPARED: "it is compared so often that its value comes out",
    FILTERED: "the rows are those that have one value of it",
    JOINED: "what comes out is looked up by it",
    ORDERED: "the rows are put in its order",
}


def mistakes_in_marts(declared: Declarations, marts: Sequence[tuple[Page, Page]], policy: Page) -> Iterator[Mistake]:
    """A mart shows of nobody more than the kinds of its columns say; what `policy` lets pass would not pass."""
    pages = {page.stem: (page, select) for page, select in marts}
    for leak in leaks.leaks(declared):
        yield _mistake(*pages[leak.mart], leak)
    for name in leaks.needless(declared, policy.part("lowered")):
        why = "A line that lets nothing pass would let pass what somebody writes there later."
        yield policy.mistake("LAKE-150", name, f"'{name}' shows no more than its kind says", why, "Take the line out.")


def _mistake(page: Page, select: Page, leak: Leak) -> Mistake:
    if leak.reach is None:
        which = f"column '{leak.column}' of gold.{leak.mart}" if leak.column else f"columns of gold.{leak.mart}"
        found = f"what {which} shows cannot be told: {leak.untraceable}"
        why = "Nobody could say whom it shows."
        return select.mistake("LAKE-149", "", found, why, "Name each column with its table, and read tables only.")
    found = f"gold.{leak.mart}.{leak.column} is '{leak.kind}', and shows a '{leak.reach.kind}': {leak.reach}"
    word = next((name for name in page.part("columns") if name == leak.column), "")
    why = f"Of {leak.reach.leaf} {HOW[leak.reach.how]}, to audiences who may not see it."
    fix = f"Write `kind: {leak.reach.kind}`, count or add up instead, or leave the column out."
    return page.mistake("LAKE-148", word, found, why, fix)
