"""Counts -> scores and verdicts. Pure.

A dimension's score is the share of checks that passed: over its rules, rows that keep them among rows that were judged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from . import sql
from .model import DIMENSIONS, Count, Declarations
from .quality import HELD_BACK

GRADES = {"A": Decimal("0.99"), "B": Decimal("0.95"), "C": Decimal("0.90"), "D": Decimal("0.80")}  # from there on
FAILED = "F"
Verdict = Literal["may be used", "with care", "not"]


@dataclass(frozen=True)
class Score:
    """How good the rows of one source in one table are. Shares, to four places."""

    table: str
    source: str
    rows: int
    dimensions: Mapping[str, Decimal]  # only those that some rule measures
    overall: Decimal  # the mean of those
    grade: str  # A to F
    trusted: Decimal  # the share of rows that are not held back
    sla: Decimal  # what that share should be at least
    trend: Decimal | None = None  # how much better than at the count before; None at the first

    @property
    def meets_sla(self) -> bool:
        """Whether enough rows are trusted."""
        return self.trusted >= self.sla


@dataclass(frozen=True)
class Judged:
    """Whether a mart may be used, and what decided it."""

    mart: str
    verdict: Verdict
    because: tuple[str, ...]


def scores(declared: Declarations, counts: Iterable[Count], before: Iterable[Count] = ()) -> list[Score]:
    """One score per table and source that has rows. `before` are the counts of the check before."""
    last = {(table, source): _overall(_dimensions(mine)) for (table, source), mine in _by_source(before).items()}
    return [
        _score(declared, table, source, mine, last.get((table, source)))
        for (table, source), mine in sorted(_by_source(counts).items())
    ]


def _by_source(counts: Iterable[Count]) -> dict[tuple[str, str], list[Count]]:
    grouped: dict[tuple[str, str], list[Count]] = defaultdict(list)
    for count in counts:
        grouped[count.table, count.source].append(count)
    return grouped


def _score(declared: Declarations, table: str, source: str, counts: Sequence[Count], last: Decimal | None) -> Score:
    held = sum(count.violating for count in counts if count.rule == HELD_BACK)
    rows = max(count.rows_seen for count in counts)
    dimensions = _dimensions(counts)
    overall = _overall(dimensions)
    return Score(
        table=table,
        source=source,
        rows=rows,
        dimensions=dimensions,
        overall=overall,
        grade=next((grade for grade, least in GRADES.items() if overall >= least), FAILED),
        trusted=_share(rows - held, rows),
        sla=declared.tables[table].sla,
        trend=overall - last if last is not None else None,
    )


def _dimensions(counts: Iterable[Count]) -> dict[str, Decimal]:
    rules = [count for count in counts if count.rule != HELD_BACK]
    measured = {name: [count for count in rules if count.dimension == name] for name in DIMENSIONS}
    return {
        name: _share(sum(c.rows_seen - c.violating for c in mine), sum(c.rows_seen for c in mine))
        for name, mine in measured.items()
        if mine
    }


def _overall(dimensions: Mapping[str, Decimal]) -> Decimal:
    return _share(sum(dimensions.values(), Decimal(0)), len(dimensions)) if dimensions else Decimal(1)


def _share(part: Decimal | int, whole: int) -> Decimal:
    return (Decimal(part) / max(whole, 1)).quantize(Decimal("0.0001"), ROUND_HALF_UP)


def verdicts(declared: Declarations, counts: Iterable[Count], held: Mapping[str, str]) -> list[Judged]:
    """Whether each mart may be used, by the rules of every table that it is made of. What the release `held` back may
    not.
    """
    broken: dict[str, list[str]] = defaultdict(list)
    for count in counts:
        if count.is_beyond:
            broken[count.table].append(f"{count.table}.{_said(count)}")
    return [_judged(declared, mart, broken, held) for mart in declared.marts]


def _said(count: Count) -> str:
    return f"{count.rule}: {count.violating:,} of {count.rows_seen:,} rows of {count.source}"


def _judged(declared: Declarations, mart: str, broken: Mapping[str, Sequence[str]], held: Mapping[str, str]) -> Judged:
    if why := held.get(f"gold.{mart}"):
        return Judged(mart, "not", (f"held back: {why}",))
    because = tuple(line for table in sorted(made_of(declared, mart)) for line in broken.get(table, ()))
    return Judged(mart, "with care" if because else "may be used", because)


def made_of(declared: Declarations, mart: str) -> set[str]:
    """The silver tables that a mart is made of, also through other marts."""
    found, waiting = set[str](), [f"gold.{mart}"]
    while waiting:
        layer, _, name = waiting.pop().partition(".")
        if layer == "silver":
            found.add(name.removesuffix("_history").removesuffix("_all"))
        elif layer == "gold":
            waiting += sql.tables_of(declared.marts[name].select)
    return found
