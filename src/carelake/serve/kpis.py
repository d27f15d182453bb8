"""The KPIs of the latest release: marts whose page says that they are one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import declare
from ..errors import QuestionRefused, choose
from . import door


@dataclass(frozen=True)
class Kpi:
    name: str
    unit: str
    about: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def plain(self) -> dict[str, Any]:
        """The KPI as JSON takes it: amounts as text, so that no float touches money."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"kpi": self.name, "unit": self.unit, "about": self.about, "rows": rows}


def read(project: Path, name: str = "") -> Iterator[Kpi]:
    """The KPI `name`, or all of them. Raises `QuestionRefused` if there is none of that name."""
    marts = {mart.name: mart for mart in declare.read(project).marts.values() if mart.kpi}
    if name and name not in marts:
        raise QuestionRefused(f"there is no KPI '{name}'.", choose(name, marts))
    for mart in [marts[name]] if name else marts.values():
        listed = ", ".join(f'"{column.name}"' for column in mart.columns)
        with door.ask(project, f"SELECT {listed} FROM gold.{mart.name} ORDER BY ALL") as batches:
            rows = [tuple(row.values()) for batch in batches for row in batch.to_pylist()]
        yield Kpi(mart.name, mart.unit, mart.about, tuple(column.name for column in mart.columns), tuple(rows))
