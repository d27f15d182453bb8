"""Labels, and what carries them -> the mistakes in that. Pure, but for the table of codes, which it reads."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .check_words import misnamed, unfit, unknown
from .errors import Mistake
from .page import Page, listed, part, told

CODES, COLUMNS = "sensitive_code", ["code_column", "code", "label"]
CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.]*")
LABELLED = "labelled"  # what the setting of a label says, if it counts


def rows_of(path: Path) -> list[list[str]]:
    """The rows of the table: a column of silver, what a code in it begins with, and the label of such rows."""
    with path.open(encoding="utf-8", newline="") as lines:
        _, *rows = csv.reader(lines)
    return rows


def mistakes_in_labels(page: Page, merged: Page, settings: Mapping[str, Any]) -> Iterator[Mistake]:
    """Labels say who may see them: audiences that there are, or nobody."""
    yield from unfit(page, page.part("labels"))
    for name, says in page.part("labels").items():
        yield from misnamed(page, name, says, "label")
        for audience in listed(says, "seen_by") if isinstance(says, Mapping) else ():
            yield from unknown(page, audience, "audience", [*listed(merged.says, "columns")[1:], "custom"])
        if setting := told(says, "when"):
            yield from unknown(page, setting, "setting", settings)


def mistakes_in_places(lake: Page, merged: Page, sources: Iterable[str]) -> Iterator[Mistake]:
    """What lake.yml says to be labelled are sources, and providers of sources."""
    known = set(sources)
    for name, says in lake.part("labels").items():
        yield from unknown(lake, name, "label", merged.part("labels"))
        yield from misnamed(lake, name, says, "labelled rows")
        if not isinstance(says, Mapping):
            continue
        for source in (*listed(says, "all_of"), *part(says, "providers")):
            yield from unknown(lake, source, "source", known)
        for source, ids in part(says, "providers").items():
            if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
                fix = f"Write `{source}: [first, second]`."
                yield lake.mistake("LAKE-101", source, f"'{source}' is not a list of providers", "It is missed.", fix)


def mistakes_in_codes(path: Path, merged: Page) -> Iterator[Mistake]:
    """The table has its three columns, codes, and labels that there are."""
    page = Page(path, {})
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            header, *rows = csv.reader(lines)
    except (UnicodeDecodeError, csv.Error, ValueError):
        return  # which is told already
    why, fix = "Rows that should be hidden would be shown.", f"Write `{','.join(COLUMNS)}`, and a code on each line."
    if header != COLUMNS:
        yield page.mistake("LAKE-118", "", f"its columns are not {', '.join(COLUMNS)}", why, fix)
        return
    for number, row in enumerate(rows, 2):
        if len(row) == len(COLUMNS) and not CODE.fullmatch(row[1]):
            yield page.mistake("LAKE-118", "", f"what stands in line {number} is no code", why, fix)
        elif len(row) == len(COLUMNS):
            yield from unknown(page, row[2], "label", merged.part("labels"))
