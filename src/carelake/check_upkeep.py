"""What lake.yml says of upkeep -> the mistakes in it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from .check_words import misnamed
from .errors import Mistake
from .page import Page, told

MOST_DAYS = 400  # for as long the entries of a table's log are kept


def mistakes_in_upkeep(page: Page) -> Iterator[Mistake]:
    """`release.keep` is a number of days."""
    yield from misnamed(page, "release", page.part("release"), "release")
    days = told(page.part("release"), "keep")
    if days and not (days.isdigit() and 1 <= int(days) <= MOST_DAYS):
        found = f"'{days}' is no number of days from 1 to {MOST_DAYS}"
        why = "For so long a release stays readable after the next one is out, and a guess would delete too much."
        yield page.mistake("LAKE-138", days, found, why, "Write it as in `release: {keep: 35}`.")
