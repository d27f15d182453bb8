"""What lake.yml says of upkeep -> the mistakes in it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from . import retention
from .check_words import misnamed, unknown
from .errors import Mistake
from .model import LOG_KEPT
from .page import Page, part, told

MOST_DAYS = 400  # for as long the entries of a table's log are kept


def mistakes_in_upkeep(page: Page) -> Iterator[Mistake]:
    """`release.keep` is a number of days."""
    yield from misnamed(page, "release", page.part("release"), "release")
    days = told(page.part("release"), "keep")
    if days and not (days.isdigit() and 1 <= int(days) <= MOST_DAYS):
        found = f"'{days}' is no number of days from 1 to {MOST_DAYS}"
        why = "For so long a release stays readable after the next one is out, and a guess would delete too much."
        yield page.mistake("LAKE-138", days, found, why, "Write it as in `release: {keep: 35}`.")


def mistakes_in_access_log(page: Page) -> Iterator[Mistake]:
    """It says words it may say, and is kept for as long as the law wants it."""
    says = page.part("access_log")
    yield from misnamed(page, "access_log", says, "access log")
    period = told(says, "keep") or LOG_KEPT
    if not retention.is_period(period):
        yield _no_period(page, "keep", period)
    elif not retention.is_as_long(period, LOG_KEPT):
        found = f"the access log would be kept for {period}"
        why = "What shows who saw what is kept for six years (45 CFR 164.316(b)(2)(i), 164.528(a)(1))."
        yield page.mistake("LAKE-157", "keep", found, why, f"Say `{LOG_KEPT}` or more, or `forever`.")


def mistakes_in_retention(page: Page, sources: Collection[str]) -> Iterator[Mistake]:
    """`retention` says for how long, and of sources that there are."""
    says = page.part("retention")
    others = part(says, "sources")
    yield from misnamed(page, "retention", says, "retention")
    for source in others:
        yield from unknown(page, source, "source", sources)
    for named, word in [*((says, word) for word in says if word == "bronze"), *((others, word) for word in others)]:
        if not retention.is_period(told(named, word)):
            yield _no_period(page, word, told(named, word))


def _no_period(page: Page, word: str, period: str) -> Mistake:
    found = f"'{period}' does not say how long"
    why = "What is purged is gone, and a guess would take too much."
    return page.mistake("LAKE-139", word, found, why, "Write it as in `2 years`, `18 months`, `90 days`, or `forever`.")
