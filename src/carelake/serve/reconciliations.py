"""Reconciliations as the last run left them, and the rows behind those that do not hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlglot
from sqlglot import exp

from .. import comparison, reckoning, reconcile
from ..errors import QuestionRefused, choose
from ..lake import opened
from ..model import Reconciliation
from ..sql import HOME
from . import door


@dataclass(frozen=True)
class Told:
    """One reconciliation, over everything or over one part: its items, and how to find the rows behind them."""

    of: Reconciliation
    part: str
    rows: tuple[Mapping[str, Any], ...]
    behind: str | None

    @property
    def name(self) -> str:
        return f"{self.of.name} {self.part}".strip()

    @property
    def verdict(self) -> str:
        return comparison.worst(row["verdict"] for row in self.rows)

    @property
    def found(self) -> str:
        return next((row["found"] for row in self.rows if row["found"]), "")

    def plain(self) -> dict[str, Any]:
        """As programs want it."""
        shared = ("right_is", "tolerated", "otherwise", "run_id", "as_of", "judged_at")
        items = [{name: row[name] for name in ITEM} for row in self.rows if row["left_figure"] is not None]
        told = {"name": self.of.name, "part": self.part, "about": self.of.about, "verdict": self.verdict}
        return {**told, "found": self.found, **{name: self.rows[0][name] for name in shared}, "items": items}


ITEM = ("item", "left_name", "left_figure", "right_name", "right_figure", "difference", "verdict")


def read(project: Path, name: str = "") -> list[Told]:
    """Every reconciliation that is declared, or the one of that `name`, as it was judged last.

    Raises `QuestionRefused` for a name that there is not, and before the first run.
    """
    with opened(project, {}, writing=False) as lake:
        known = lake.declared.reconciliations
        if name and name not in known:
            raise QuestionRefused(f"there is no reconciliation '{name}'.", choose(name, known))
        stored = reconcile.latest(lake.engine)
        if not stored:
            raise QuestionRefused("nothing was reconciled yet.", "Run `carelake run`, and ask again.")
        day = max(row["as_of"] for rows in stored.values() for row in rows)
        return [
            Told(unit.of, unit.part, tuple(stored[unit.of.name, unit.part]), _on(unit.behind, day))
            for unit in reckoning.units(lake, day, datetime.now(UTC))
            if name in ("", unit.of.name) and (unit.of.name, unit.part) in stored
        ]


@contextmanager
def behind(project: Path, told: Told) -> Iterator[pa.RecordBatchReader]:
    """The rows, or the loads, that make the difference: keys only, of the tables as they stand now."""
    with door.ask(project, told.behind or "", as_it_stands=True) as batches:
        yield batches


def exit_code(told: list[Told]) -> int:
    """0 unless one that stops does not hold."""
    return reconcile.EXIT_CODE if any(one.verdict == "failed" for one in told) else 0


def _on(select: str | None, day: date) -> str | None:
    """`select`, with the day of the figures in place of `$as_of`."""
    if select is None:
        return None
    tree = sqlglot.parse_one(select, dialect=HOME)
    for place in list(tree.find_all(exp.Placeholder)):
        place.replace(exp.cast(exp.Literal.string(day.isoformat()), "DATE"))
    return tree.sql(HOME)
