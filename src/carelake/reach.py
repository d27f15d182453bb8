"""What reaches a column of a SELECT, and how: the words of lineage.py. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Protocol

VALUE, COMPARED, FILTERED, JOINED, ORDERED = "value", "compared", "filtered", "joined", "ordered"
FLAG, COUNTED, RANKED, PRESENT, DURATION, YEAR = "flag", "counted", "ranked", "present", "duration", "year"
HARMLESS = {FLAG, COUNTED, RANKED, PRESENT, DURATION, YEAR}  # ways in which no kind reaches a column
OF_NOBODY, DATED = "not_personal", "event_date"


class Untraceable(Exception):
    """What a column is made of cannot be told. `column` is the one that comes out; empty if it is all of them."""

    column = ""


@dataclass(frozen=True)
class Reach:
    """One column that reaches another: which, of which kind, how, and over which columns."""

    leaf: str
    kind: str
    how: str
    test: str = ""  # of a flag, the comparison that made it
    path: tuple[str, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        return " -> ".join((self.leaf, *self.path))


Flows = frozenset[Reach]
Relation = Mapping[str, Flows]  # column -> what reaches it
Columns = Sequence[tuple[str, Flows]]  # the same in their order, whether or not they have names


class Kinds(Protocol):
    """What the privacy page says of kinds."""

    def covers(self, kind: str, other: str) -> bool:
        """Whether a kind hides at least what another one hides."""

    def is_single(self, kind: str) -> bool:
        """Whether its values tell persons or events apart."""


NOTHING: Flows = frozenset()


def leaves(table: str, kinds: Mapping[str, str]) -> dict[str, Flows]:
    """A stored table as a relation: each column reaches itself."""
    return {name: frozenset({Reach(f"{table}.{name}", kind, VALUE)}) for name, kind in kinds.items()}


def filtered(flows: Flows) -> Flows:
    """What rows are let through by; a flag by which they are tells as much as a comparison would there."""
    stays = HARMLESS - {FLAG}
    return frozenset(one if one.how in stays else replace(one, how=FILTERED, test="") for one in flows)


def through(how: str, flows: Flows, but: Collection[str] = ()) -> Flows:
    """The same reaching in another way; what is harmless stays so, and so does what reaches in the ways `but`."""
    stays = {*HARMLESS, *but} - ({FLAG} if how == COUNTED else set())  # flags of many rows are added up
    return frozenset(one if one.how in stays else replace(one, how=how, test="") for one in flows)


def of_dates(how: str, flows: Flows) -> Flows:
    """The same, of which dates that were read by value reach in another way."""
    return frozenset(replace(one, how=how) if (one.how, one.kind) == (VALUE, DATED) else one for one in flows)


def union(flows: Iterable[Flows]) -> Flows:
    return reduce(frozenset.union, flows, NOTHING)
