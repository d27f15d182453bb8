"""The page of extracts -> the mistakes in it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .check_words import misnamed, unknown
from .errors import Mistake
from .page import Page, listed, part, told


def mistakes_in_extracts(page: Page, tables: Mapping[str, Page], kinds: Mapping[str, Any]) -> Iterator[Mistake]:
    """What may leave are columns of tables; persons are a table's, with its key in it, and classes have a size."""
    yield from misnamed(page, page.stem, page.says, "extracts")
    allowed = page.part("tables")
    for name in allowed:
        yield from unknown(page, name, "table", tables)
        if name in tables:
            for word in listed(allowed, name):
                yield from unknown(page, word, "column", _columns(tables[name]))
    persons = told(page.says, "persons")
    yield from unknown(page, persons, "table of the extract", allowed)
    if persons in allowed:
        mine = listed(allowed, persons)
        yield from unknown(page, f"{persons}_key", "column that may leave", mine)
        for word in listed(page.says, "quasi_identifiers"):
            yield from unknown(page, word, "column that may leave", mine)
    every = {word for name in allowed for word in listed(allowed, name)}
    for word in listed(page.says, "known_events"):
        yield from unknown(page, word, "column that may leave", every)
    for letter, says in page.part("identifiers").items():
        yield from misnamed(page, letter, says, "identifier")
        for kind in listed(says, "kinds") if isinstance(says, Mapping) else ():
            yield from unknown(page, kind, "kind", kinds)


def _columns(table: Page) -> list[str]:
    columns = table.part("columns")
    refers = {told(part(columns, name), "refers_to") for name in columns}
    return [*columns, f"{table.stem}_key", *(f"{name}_key" for name in refers if name)]
