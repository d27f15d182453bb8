"""What a code set answered: rows of text, and what the operator should know of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from ..errors import ReferenceUnavailable
from .reference_service import Service

Row = Mapping[str, str | None]


@dataclass(frozen=True)
class Answer:
    columns: Sequence[str]
    rows: Sequence[Row]
    warnings: Sequence[str] = field(default_factory=tuple)

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(name, pa.string()) for name in self.columns])

    @property
    def batch(self) -> pa.RecordBatch:
        columns = [pa.array([row.get(name) for row in self.rows], pa.string()) for name in self.columns]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def joined(one: Answer, other: Answer) -> Answer:
    """Both, the rows of the second behind those of the first, each row once."""
    rows = {tuple(row.values()): row for row in (*one.rows, *other.rows)}
    return Answer(one.columns, list(rows.values()), [*one.warnings, *other.warnings])


def one_by_one(
    service: Service, wanted: Sequence[str], find: Callable[[str], Row | None], columns: Sequence[str], missing: str
) -> Answer:
    """What `find` finds for each of `wanted`, as many as one run may look up; the others are counted.

    One request that fails does not stop the next. Raises `ReferenceUnavailable` once the service is broken, or if not
    one was answered.
    """
    every = list(dict.fromkeys(wanted))
    asked, found, failed = every[: service.manners.look_ups], list[Row | None](), 0
    for one in asked:
        try:
            found.append(find(one))
        except ReferenceUnavailable:
            failed += 1
            if service.is_broken or failed == len(asked):
                raise
    left = failed + len(every) - len(asked)
    counts = {missing: found.count(None), "were not answered, and wait for the next run": left}
    told = [f"{count:,} of {len(every):,} {what}" for what, count in counts.items() if count]
    rows = [row for row in found if row is not None]
    return Answer(columns, rows, [f"{service.name}: {'; '.join(told)}."] if told else [])
