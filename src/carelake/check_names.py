"""Names that two things would share, and reference tables that are none -> mistakes. It never stops at the first."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from .check_words import unfit
from .errors import Mistake
from .model import REPAIR
from .page import Page


def mistakes_in_names(sources: Iterable[Page], marts: Iterable[Page]) -> Iterator[Mistake]:
    """Shelves are no part of a mart's name, and a hyphen none of a feed's: no two may come out alike."""
    places = defaultdict(list)
    for page in marts:
        places[f"gold.{page.stem}"].append(page.path.parent.name)
    for page in sources:
        if page.path.stem == REPAIR:
            found, why = f"a source is named '{REPAIR}'", "That is the source of what is repaired by hand."
            yield page.mistake("LAKE-135", "", found, why, "Rename its file.")
        for feed in page.part("feeds"):
            places[f"bronze.{page.stem}_{feed}".replace("-", "_")].append(f"{page.stem}.{feed}")
    for name, where in places.items():
        if len(where) > 1:
            found = f"there are {len(where)} of the name {name}"
            yield Mistake("LAKE-108", ", ".join(where), found, "Each would hide the other.", "Rename one.")


def mistakes_in_reference(path: Path) -> Iterator[Mistake]:
    """A reference table is a CSV with a header of names, and as many fields on every line."""
    page = Page(path, {})
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            header, *rows = [*csv.reader(lines)] or [[]]
    except (UnicodeDecodeError, csv.Error):
        yield _no_table(page, "it is not a CSV in UTF-8")
        return
    if not header:
        yield _no_table(page, "it is empty")
    yield from unfit(page, [path.stem, *header])
    if uneven := [line for line, row in enumerate(rows, 2) if len(row) != len(header)]:
        yield _no_table(page, f"its line {uneven[0]} has not as many fields as its header")


def _no_table(page: Page, found: str) -> Mistake:
    why = "Marts would join what is not there, and call it unknown."
    return page.mistake("LAKE-118", "", found, why, "Write a header, and below it one row a line, as CSV in UTF-8.")
