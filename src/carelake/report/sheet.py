"""The nouns of a page for people: sections of words and tables. Whether it becomes HTML is not its concern. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class Words:
    """A paragraph. A `loud` one is what nobody may pass over."""

    text: str
    loud: bool = False


@dataclass(frozen=True)
class Grid:
    """A table: what it shows, the names of its columns, and a row of cells each. The first cell names its row."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    title: str
    parts: tuple[Words | Grid, ...]


@dataclass(frozen=True)
class Sheet:
    title: str
    about: str
    sections: tuple[Section, ...]


def section(title: str, *parts: Words | Grid | str) -> Section:
    """A section of paragraphs and tables; tables without a row are left out."""
    told = (Words(part) if isinstance(part, str) else part for part in parts)
    return Section(title, tuple(p for p in told if (p.rows if isinstance(p, Grid) else p.text)))


def grid(caption: str, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> Grid:
    """A table of what `rows` say. `columns`: what a row calls it -> what people call it."""
    return Grid(caption, tuple(columns.values()), tuple(tuple(cell(row[name]) for name in columns) for row in rows))


def cell(value: Any) -> str:
    """A value as people write it. Moments are UTC, to the minute."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"
    if isinstance(value, Decimal):
        cents = round(value, 2) + 0  # so that nothing is not minus nothing
        return f"{cents:,.0f}" if cents == cents.to_integral_value() else f"{cents:,.2f}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def percent(share: Decimal | None, sign: str = "") -> str:
    """A share, as people write it: `99.52 %`; with a `sign`, of how much more."""
    return "" if share is None else f"{share * 100:{sign}.2f} %"


def counted(number: int, one: str, many: str = "") -> str:
    """`1 load`, `3 loads`."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def listed(words: Sequence[str], most: int = 8) -> str:
    """The first of them, and how many more there are."""
    more = f", and {len(words) - most:,} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more
