"""Reconciliations -> the mistakes in them. Pure, and it never stops at the first."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from . import check, sql
from .check_words import CHOICES, misnamed, unfit, unknown
from .errors import Mistake
from .page import Page, part, told

CHANGES = {"otherwise", "tolerated", "beyond_chance"}  # what a project may say anew of one that is shipped
SHOWN = ("silver.", "gold.", "reference.")  # what rows can be shown of
COLUMNS = ["item", "figure"]
SHARE = re.compile(r"0|1|0?[.][0-9]{1,6}|0[.]0+")


def mistakes_in_reconciliations(
    shipped: Page, project: Page, known: Collection[str], keys: Collection[str]
) -> Iterator[Mistake]:
    """Each says what it compares, in portable SELECTs over `known` tables; what shows rows shows their `keys`."""
    for page in (shipped, project):
        for name, says in page.says.items():
            if page is project and name in shipped.says and isinstance(says, Mapping) and says.keys() <= CHANGES:
                yield from _in_figures(page, says)
                yield from (one for word in ("otherwise", "beyond_chance") for one in _unchosen(page, says, word))
            else:
                yield from unfit(page, [name])
                yield from misnamed(page, name, says, "reconciliation")
                if isinstance(says, Mapping):
                    yield from _in_one(page, name, says, known, keys)


def _in_one(
    page: Page, name: str, says: Mapping[str, Any], known: Collection[str], keys: Collection[str]
) -> Iterator[Mistake]:
    sides = [word for word in ("left", "right") if word in says]
    if len(sides) != (0 if "compares" in says else 2):
        found = f"reconciliation '{name}' does not say which two figures it compares"
        fix = "Say `left` and `right`, each with `name` and `select`; or `compares`, and neither of them."
        yield page.mistake("LAKE-132", name, found, "Nothing would be compared.", fix)
    for word in sides:
        yield from misnamed(page, f"{word} of {name}", says[word], "side")
        if select := told(part(says, word), "select"):
            yield from _in_select(page, select, known, name)
    if behind := told(says, "behind"):
        yield from _in_behind(page, behind, [table for table in known if table.startswith(SHOWN)], keys)
    yield from _in_figures(page, says)


def _in_select(page: Page, select: str, known: Collection[str], name: str) -> Iterator[Mistake]:
    refused = list(check.mistakes_in_select(page, select, known))
    yield from refused
    if not refused and sql.columns_of(select) != COLUMNS:
        found = f"a SELECT of '{name}' does not give `item` and `figure`"
        why = "Figures are compared item by item: of a source, a month, a status."
        yield page.mistake("LAKE-132", select, found, why, "SELECT <what it is of> AS item, <number> AS figure.")


def _in_behind(page: Page, select: str, known: Collection[str], keys: Collection[str]) -> Iterator[Mistake]:
    refused = list(check.mistakes_in_select(page, select, known))
    yield from refused
    for column in [] if refused else sql.columns_of(select):
        if column not in keys:
            found = f"`behind` shows '{column}', which is no key"
            why = "It says which rows make the difference, and not what is in them."
            fix = "SELECT keys only, and look the rows up with `carelake query`."
            yield page.mistake("LAKE-133", select, found, why, fix)


def _in_figures(page: Page, says: Mapping[str, Any]) -> Iterator[Mistake]:
    share = told(says, "tolerated")
    if share and not SHARE.fullmatch(share):
        why = "It is the share of the left figure that the two may be apart."
        yield page.mistake("LAKE-102", share, f"'{share}' is no share", why, "Write 0, or a share as 0.01 of 1 %.")
    if told(says, "otherwise") == "quarantine":
        found, why = "a reconciliation cannot quarantine", "It is of sums, and of no row."
        yield page.mistake("LAKE-102", says["otherwise"], found, why, "Write `warn` or `stop`.")


def _unchosen(page: Page, says: Mapping[str, Any], word: str) -> Iterator[Mistake]:
    if word in says:
        yield from unknown(page, says[word], word, CHOICES[word])
