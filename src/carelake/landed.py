"""What was landed, counted where it lies, beside what its source counted; and what a feed holds of it now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from .engine import Engine
from .model import Feed
from .plan import DELETED, SEQUENCE
from .source import Delivery
from .sql import quoted

TOTAL = "DECIMAL(28, 4)"
CENTS = Decimal("0.0001")  # how exactly totals are kept


@dataclass(frozen=True)
class Counted:
    """What a source says it has, and what arrived of it. What it cannot say is None."""

    rows_told: int | None = None
    rows_read: int = 0
    summed: tuple[str, ...] = ()  # the columns of the sums
    sum_told: Decimal | None = None
    sum_read: Decimal | None = None

    @property
    def agrees(self) -> bool:
        return self.rows_told in (None, self.rows_read) and self.sum_told == self.sum_read


def counted(engine: Engine, delivery: Delivery, rows: int, files: Sequence[Path]) -> Counted:
    """What a delivery, which lies in `files`, should be and is."""
    if not delivery.sums:
        return Counted(delivery.expected, rows)
    told = sum((one.told for one in delivery.sums.values()), Decimal(0)).quantize(CENTS)
    engine.show("arriving", files)
    each = (f"COALESCE(SUM({one.each.format(quoted(name))}), 0)" for name, one in delivery.sums.items())
    total = engine.ask(f"SELECT CAST({' + '.join(each)} AS {TOTAL}) AS total FROM arriving").to_pylist()[0]["total"]
    engine.let_go("arriving")
    return Counted(delivery.expected, rows, tuple(delivery.sums), told, total)


def standing(feed: Feed, landed: str) -> str:
    """The rows that a feed holds now, of the relation that shows all it ever landed; all of them, without a key."""
    if not feed.key:
        return f"SELECT * FROM {landed}"
    key = ", ".join(map(quoted, feed.key))
    last = f"SELECT *, RANK() OVER (PARTITION BY {key} ORDER BY {SEQUENCE} DESC) AS _lake_place FROM {landed}"
    return f"SELECT * FROM ({last}) AS told WHERE _lake_place = 1 AND NOT {DELETED}"


def since_whole(loads: Sequence[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """The loads of a feed, in order, from its last whole extraction on: what came before is replaced by that."""
    whole = [place for place, load in enumerate(loads) if load["load_type"] == "full"]
    if not whole:
        return list(loads)
    last = loads[whole[-1]]["part_of"]
    begin = next((p for p, load in enumerate(loads) if last is not None and load["part_of"] == last), whole[-1])
    return list(loads[begin:])
