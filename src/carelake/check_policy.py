"""The privacy page -> the mistakes in it. Pure, and it never stops at the first."""

from __future__ import annotations

from collections.abc import Iterator

from . import privacy
from .errors import Mistake, choose
from .page import Page


def mistakes_in_policy(page: Page) -> Iterator[Mistake]:
    """Every cell of the privacy page names a treatment that can be computed."""
    columns = page.says.get("columns", [])
    if columns[:1] != ["stored"]:
        why = "Without it nobody knows what the cells of a row are."
        yield page.mistake(
            "LAKE-110", "", "it has no `columns: [stored, ...]`", why, "Name the audiences after `stored`."
        )
        return
    for kind, row in page.part("kinds").items():
        if not isinstance(row, list) or len(row) != len(columns):
            why = "An audience without a treatment would see what nobody decided."
            yield page.mistake("LAKE-110", kind, f"'{kind}' has too few or too many cells", why, "One an audience.")
        elif row[0] not in privacy.STORED:
            why = "An age is wrong a year later, and what is coarsened cannot be made whole."
            found = f"'{kind}' is stored as '{row[0]}'"
            yield page.mistake("LAKE-111", row[0], found, why, choose(row[0], privacy.STORED))
        else:
            for audience, words in zip(columns[1:], row[1:], strict=True):
                yield from _in_cell(page, words, f"{audience} sees '{words}' of '{kind}'", row[0])


def _in_cell(page: Page, words: str, found: str, held: str) -> Iterator[Mistake]:
    cell = privacy.read_cell(words)
    if cell.treatment not in privacy.COMPUTABLE_FROM:
        fix = choose(cell.treatment, privacy.COMPUTABLE_FROM)
        yield page.mistake("LAKE-112", words, found, "There is no such treatment.", fix)
    elif cell.zone and cell.zone not in privacy.ZONES:
        yield page.mistake("LAKE-112", words, found, "There is no such zone.", choose(cell.zone, privacy.ZONES))
    elif not privacy.is_computable(cell, held):
        why = f"It cannot be computed there: silver stores '{held}' of it."
        yield page.mistake("LAKE-113", words, found, why, "Name the zone that holds it, or show less: token or drop.")


def mistakes_in_merged(project: Page, shipped: Page) -> Iterator[Mistake]:
    """A project's page may add kinds and show less of the shipped ones. Showing more needs a signature."""
    if project.says.get("columns", shipped.says["columns"]) != shipped.says["columns"]:
        why = "Cells would stand under the wrong audience."
        yield project.mistake("LAKE-110", "", "its columns are not those of the shipped page", why, "Keep their order.")
        return
    for kind, row in project.part("kinds").items():
        before = shipped.part("kinds").get(kind, row)
        if isinstance(row, list) and len(row) == len(before):
            yield from _loosened(project, kind, row, before)


def _loosened(page: Page, kind: str, row: list[str], before: list[str]) -> Iterator[Mistake]:
    for words, was in zip(row, before, strict=True):
        if privacy.reveals(words) > privacy.reveals(was):
            why = f"The shipped page says '{was}', and the privacy officer signs what shows more."
            yield page.mistake("LAKE-114", words, f"'{words}' shows more of '{kind}'", why, f"Write '{was}', or less.")
