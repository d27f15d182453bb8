"""The privacy page -> the mistakes in it. Pure, and it never stops at the first."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from . import privacy
from .check_words import MAY_HAVE, unfit, unknown
from .errors import Mistake, choose
from .page import Page, Text, listed, part

SIGNS = "The privacy officer signs what shows more."
# What others do and call enough, and why it is not.
NOT_ENOUGH = {
    "shift": "A date moved by some days tells intervals and weekdays, and one known visit gives the rest away.",
    "hash": "A hash of all numbers that there are is made in minutes, and it is derived from the number.",
}
NOT_ENOUGH |= dict.fromkeys(("date_shift", "shift_date"), NOT_ENOUGH["shift"])
NOT_ENOUGH |= dict.fromkeys(("sha256", "md5", "mask", "encrypt"), NOT_ENOUGH["hash"])
LET_SIGN = "let the privacy officer sign the page: `carelake privacy sign`"
PART = privacy.reveals("year")  # how much shows whoever shows a part: two such parts cannot be compared


def mistakes_in_policy(page: Page) -> Iterator[Mistake]:
    """Every cell of the privacy page names a treatment that can be computed."""
    if page.unreadable:
        return
    columns = listed(page.says, "columns")
    if columns[:1] != ["stored"]:
        why = "Without it nobody knows what the cells of a row are."
        fix = "Name the audiences after `stored`."
        yield page.mistake("LAKE-110", "", "it has no `columns: [stored, ...]`", why, fix)
        return
    yield from _in_rows(page, page.part("kinds"), columns)
    yield from _unreasoned(page)


def _unreasoned(page: Page) -> Iterator[Mistake]:
    """A column of a mart may show more than its kind says for a reason only."""
    for name, because in page.part("lowered").items():
        if not isinstance(because, str) or not because.strip():
            why = "Whoever signs the page has to know why it may."
            yield page.mistake("LAKE-110", name, f"'{name}' has no reason", why, "Write one: `gold.mart.column: why`.")


def _in_rows(page: Page, kinds: Mapping[str, Any], columns: Sequence[str]) -> Iterator[Mistake]:
    for kind, row in kinds.items():
        if not isinstance(row, list) or len(row) != len(columns) or not all(isinstance(cell, str) for cell in row):
            why = "An audience without a treatment would see what nobody decided."
            fix = f"One for each of: {', '.join(columns)}."
            yield page.mistake("LAKE-110", kind, f"'{kind}' has too few or too many cells", why, fix)
        elif row[0] not in privacy.STORED:
            why = "An age is wrong a year later, and what is coarsened cannot be made whole."
            found = f"'{kind}' is stored as '{row[0]}'"
            yield page.mistake("LAKE-111", row[0], found, why, choose(row[0], privacy.STORED))
        else:
            for audience, words in zip(columns[1:], row[1:], strict=True):
                yield from in_cell(page, words, f"{audience} sees '{words}' of '{kind}'", row[0])


def in_cell(
    page: Page, words: str, found: str, held: str, only_custom: Collection[str] = ("shift",)
) -> Iterator[Mistake]:
    """What is wrong with a cell. `only_custom` are treatments of custom extracts, which nobody else sees."""
    cell, known = privacy.read_cell(words), privacy.COMPUTABLE_FROM.keys() - set(only_custom)
    if cell.treatment not in known:
        why = NOT_ENOUGH.get(cell.treatment, "There is no such treatment.")
        yield page.mistake("LAKE-112", words, found, why, choose(cell.treatment, known))
    elif cell.zone and cell.zone not in privacy.ZONES:
        yield page.mistake("LAKE-112", words, found, "There is no such zone.", choose(cell.zone, privacy.ZONES))
    elif not privacy.is_computable(cell, held):
        why = f"It cannot be computed there: silver stores '{held}' of it."
        yield page.mistake("LAKE-113", words, found, why, "Name the zone that holds it, or show less: token or drop.")


def mistakes_in_merged(project: Page, shipped: Page) -> Iterator[Mistake]:
    """A project's page says words that it may say, in the shape of the shipped one. See `showing_more`, too."""
    for word in project.says:
        yield from unknown(project, word, "word", MAY_HAVE["privacy page"])
    columns = listed(shipped.says, "columns")
    if project.says.get("columns", columns) != columns:
        why = "Cells would stand under the wrong audience."
        yield project.mistake("LAKE-110", "", "its columns are not those of the shipped page", why, "Keep their order.")
        return
    lines = {"kinds": "kind: [stored, ...]", "lowered": "gold.mart.column: why", "labels": "label: {about: ...}"}
    for word, line in lines.items():
        if not isinstance(project.says.get(word, {}), Mapping):
            why, fix = "Nothing of it would hold.", f"Write one `{line}` a line below it, indented."
            yield project.mistake("LAKE-110", word, f"'{word}' is not a list of `{line}`", why, fix)
    kinds = project.part("kinds")
    yield from unfit(project, kinds)
    yield from _in_rows(project, kinds, columns)
    yield from _unreasoned(project)
    yield from _unknown_areas(project)


def showing_more(project: Page, shipped: Page) -> Iterator[Mistake]:
    """What of a project's page shows more than the shipped one, and takes a signature."""
    for kind, row in project.part("kinds").items():
        before = shipped.part("kinds").get(kind, row)
        if isinstance(row, list) and len(row) == len(before) and all(isinstance(cell, str) for cell in row):
            yield from _loosened(project, kind, zip(listed(shipped.says, "columns"), row, before, strict=False))
    for name in project.part("lowered"):
        if name not in shipped.part("lowered"):
            found, fix = f"'{name}' would show more than its kind says", "Give the column the kind of what reaches it"
            yield project.mistake("LAKE-114", name, found, SIGNS, f"{fix}, or {LET_SIGN}.")
    if "custom" in project.says and project.says["custom"] != shipped.says.get("custom"):
        seen = part(project.says["custom"], "seen") if isinstance(project.says["custom"], Mapping) else {}
        listed_kinds = ", ".join(f"{kind} as '{words}'" for kind, words in seen.items())
        found = f"'custom' lets something leave that no audience of the shipped page sees: {listed_kinds}"
        yield project.mistake("LAKE-114", "custom", found, SIGNS, f"Leave it out, or {LET_SIGN}.")
    yield from _seen_by_more(project, shipped)
    areas = listed(project.says, "sparse_zip3")
    if areas and (missing := [area for area in listed(shipped.says, "sparse_zip3") if area not in areas]):
        found = f"'sparse_zip3' leaves out {', '.join(missing)}, which the shipped page hides"
        yield project.mistake("LAKE-114", areas[0], found, SIGNS, f"Keep them, and add your own, or {LET_SIGN}.")


def _seen_by_more(project: Page, shipped: Page) -> Iterator[Mistake]:
    for name, says in project.part("labels").items():
        if name in shipped.part("labels") and isinstance(says, Mapping):
            before = listed(shipped.part("labels")[name], "seen_by")
            for audience in (one for one in listed(says, "seen_by") if one not in before):
                found = f"'{audience}' would see rows with the label '{name}'"
                yield project.mistake("LAKE-114", audience, found, SIGNS, f"Take it out, or {LET_SIGN}.")


def _loosened(page: Page, kind: str, cells: Iterable[tuple[str, str, str]]) -> Iterator[Mistake]:
    for column, words, was in cells:
        more = privacy.reveals(words) - privacy.reveals(was)
        another = privacy.read_cell(words).treatment != privacy.read_cell(was).treatment
        if more > 0 or (more == 0 and another and privacy.reveals(was) == PART):
            found = f"'{words}' in '{column}' shows more of '{kind}' than '{was}', as the shipped page says"
            yield page.mistake("LAKE-114", words, found, SIGNS, f"Write '{was}', or less, or {LET_SIGN}.")


def _unknown_areas(project: Page) -> Iterator[Mistake]:
    areas = listed(project.says, "sparse_zip3")
    if "sparse_zip3" not in project.says:
        return
    if odd := [area for area in areas if not re.fullmatch(r"\d{3}", area)] or ([] if areas else [Text("sparse_zip3")]):
        why, fix = "An area that is not recognised is shown.", "Write `sparse_zip3: [036, 059, ...]`."
        yield project.mistake("LAKE-110", odd[0], "'sparse_zip3' is not a list of three digits each", why, fix)
