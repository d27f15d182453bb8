"""What leaves under a name -> whether it may have that name: custom extracts, and the audience of Safe Harbor. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from . import check_policy
from .check_words import misnamed, unknown
from .errors import Mistake
from .page import Page, listed, part, told
from .privacy import read_cell

SAFE_HARBOR = "safe_harbor"
ALWAYS = ("drop", "pseudonym")
CLAIMS = re.compile(r"de-?\s?identif|anonym|safe.?harbou?r", re.IGNORECASE)  # what an extract may call itself if proven
DERIVED = "It is derived from the identifier, and so is one itself: 45 CFR 164.514(c)(1)."
WHY = {
    "keep": "It is one of the 18 identifiers of 45 CFR 164.514(b)(2)(i).",
    "token": DERIVED,
    "last4": DERIVED,
    "year": "The year of a birth tells who is over 89: 45 CFR 164.514(b)(2)(i)(C).",
}


def mistakes_in_custom(page: Page, kinds: Mapping[str, Any]) -> Iterator[Mistake]:
    """A custom extract says what it is, and of which kinds something is seen; and is called de-identified only if an
    expert has determined that it is.
    """
    if "custom" not in page.says:
        return
    says = page.says["custom"]
    yield from misnamed(page, "custom", says, "custom extract")
    for kind, words in part(says, "seen").items() if isinstance(says, Mapping) else ():
        yield from unknown(page, kind, "kind", kinds)
        row = kinds.get(kind)
        if isinstance(row, list) and row and isinstance(words, str):
            yield from check_policy.in_cell(page, words, f"custom sees '{words}' of '{kind}'", row[0], only_custom=())
    yield from _determined(page, says)


def _determined(page: Page, says: object) -> Iterator[Mistake]:
    name, found = told(says, "is"), says.get("determination") if isinstance(says, Mapping) else None
    if found is None and CLAIMS.search(name):
        why = "It is, if an expert has determined it, or as Safe Harbor: 45 CFR 164.514(b). This extract is neither."
        fix = "Record the `determination: {by: ..., on: ..., method: ..., until: ...}`, or call it something else."
        yield page.mistake("LAKE-154", name, "a custom extract calls itself de-identified", why, fix)
    if found is None:
        return
    yield from misnamed(page, "determination", found, "determination")
    for word in ("on", "until"):
        if (day := told(found, word)) and not _is_day(day):
            why = "Nobody could tell whether it still holds."
            yield page.mistake("LAKE-154", day, f"'{word}' is no day", why, "Write it as YYYY-MM-DD.")


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def mistakes_in_safe_harbor(page: Page, merged: Page, extracts: Page) -> Iterator[Mistake]:
    """Of the kinds that are identifiers, the audience of Safe Harbor sees what it may, whoever signed. `page` is the
    project's, where it says so, `merged` the one that counts.
    """
    columns, rows = [*map(str, listed(merged.says, "columns"))], merged.part("kinds")
    if SAFE_HARBOR not in columns:
        return
    place = columns.index(SAFE_HARBOR)
    for letter, says in extracts.part("identifiers").items():
        for kind in listed(says, "kinds") if isinstance(says, Mapping) else ():
            row = rows.get(kind)
            words = row[place] if isinstance(row, list) and len(row) == len(columns) else ""
            may = [*ALWAYS, *listed(part(says, "may_be"), kind)]
            if isinstance(words, str) and words and read_cell(words).treatment not in may:
                treatment = read_cell(words).treatment
                why = WHY.get(treatment, f"Identifier {letter} of 45 CFR 164.514(b)(2)(i) may not be told so.")
                found = f"{SAFE_HARBOR} sees '{words}' of '{kind}'"
                yield page.mistake("LAKE-155", words, found, why, f"Write one of: {', '.join(may)}.")
