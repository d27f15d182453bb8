"""SQL in declarations -> what in it is not portable, and where. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import sqlglot
from sqlglot.errors import ParseError, SqlglotError

from . import sql
from .errors import Mistake
from .page import Page, Text

# A process reads declarations more than once: each question does.
refused_in_select = lru_cache(maxsize=None)(sql.refused_in_select)
refused_in_expression = lru_cache(maxsize=None)(sql.refused_in_expression)
refused_in_rule = lru_cache(maxsize=None)(sql.refused_in_rule)


def not_portable(page: Page, text: object, refused: Callable[[str], list[tuple[str, str]]]) -> Iterator[Mistake]:
    """What engines would not answer alike, each with what to write instead."""
    why = "Engines answer it differently, or nobody has shown that they do not."
    if not isinstance(text, str):
        yield page.mistake("LAKE-120", text, "a list where SQL is wanted is not allowed", why, "Write one expression.")
        return
    for found, instead in refused(text):
        if found == sql.UNREADABLE:
            found, why = (
                f"this is not one SELECT or expression{_unread(text)}",
                "Nothing can be computed from it.",
            )
            yield page.mistake("LAKE-120", text, found, why, f"Write {instead}.")
        else:
            yield page.mistake("LAKE-120", at(text, found), f"{found} is not allowed", why, f"Use {instead}.")


def _unread(text: str) -> str:
    """Where reading stopped, as far as that is told."""
    try:
        sqlglot.parse(text, dialect=sql.HOME)
    except ParseError as error:
        place = error.errors[0] if error.errors else {}
        return f", from line {place['line']}, letter {place['col']} of it on" if place.get("line") else ""
    except SqlglotError:
        return ""
    return ""


def at(text: str, word: str) -> Text:
    """`word`, and the line on which it first stands in `text`."""
    before = text[: max(text.upper().find(word.upper()), 0)]
    return Text(word, getattr(text, "line", 1) + before.count("\n"))
