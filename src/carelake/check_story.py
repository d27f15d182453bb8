"""Stories of tables -> the mistakes in them. Pure, and it never stops at the first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from . import quality
from .check_sql import not_portable, refused_in_expression
from .check_words import misnamed, unfit, unknown
from .errors import Mistake
from .page import Page, Text, listed, part, told

UNSEEN = {"drop", "restrict"}  # what is stored of a kind that silver does not show


def mistakes_in_story(page: Page, kinds: Mapping[str, Any]) -> Iterator[Mistake]:
    """A story tells of columns that silver shows, and of the version before under `old_<column>`."""
    says = page.says.get("story")
    if says is None:
        return
    yield from misnamed(page, "story", says, "story")
    shown = set(_shown(page, kinds))
    before = shown | {f"old_{name}" for name in shown}
    if follows := told(says, "follows"):
        yield from unknown(page, follows, "column that a story can follow", shown)
        yield from _unnamed(page, follows)
    events = part(page.part("story"), "events")
    yield from unfit(page, events)
    for name, event in events.items():
        yield from misnamed(page, name, event, "event")
        for column in listed(event, "show") if isinstance(event, Mapping) else []:
            yield from unknown(page, column, "column that a story can show", shown)
        yield from _in_condition(page, told(event, "when") or Text("TRUE"), before)


def _in_condition(page: Page, when: Text, known: Iterable[str]) -> Iterator[Mistake]:
    refused = list(not_portable(page, when, refused_in_expression))
    yield from refused
    for column in [] if refused else quality.columns_of(when):
        yield from unknown(page, Text(column, when.line), "column that a story can tell of", known)


def _unnamed(page: Page, follows: Text) -> Iterator[Mistake]:
    """Rows are followed by the one column that names them."""
    if len(listed(page.says, "key")) > 2:
        why = "Which row it follows could not be told."
        found = f"'{follows}' cannot name a row of '{page.stem}', whose key has several columns"
        yield page.mistake("LAKE-141", follows, found, why, "Leave `follows` out.")


def _shown(page: Page, kinds: Mapping[str, Any]) -> Iterator[str]:
    """The columns that `changes.compared` compares, before anything is made of the page."""
    for name, column in page.part("columns").items():
        stored = (kinds.get(told(column, "kind")) or ["drop"])[0]
        if stored not in UNSEEN and name not in ("source_system", told(page.says, "sequence_by")):
            yield name
