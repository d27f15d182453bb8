"""A stretch of a table, read wherever there is a machine that has the secrets: it carries none itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pyarrow as pa

from ..errors import SourceFailed
from .sql_connect import connected
from .sql_database import in_our_words
from .sql_extraction import Extraction, queries
from .sql_query import Range
from .sql_stream import over_the_wire
from .sql_types import Reading


@dataclass(frozen=True)
class Stretch:
    """What one query answers, in the moment that the extraction is of, where the database can lend it."""

    who: str
    connection: Callable[[], str]  # gives the URL where it is called
    session: tuple[str, ...]
    query: str = field(repr=False)  # it can name keys
    readings: tuple[Reading, ...]

    def __call__(self) -> Iterator[pa.RecordBatch]:
        """The batches. Raises a kind of `SourceFailed`, also if values are lost: nobody would count them."""
        readings = [replace(one) for one in self.readings]
        schema = pa.schema([pa.field(one.name, one.type) for one in readings])
        with connected(self.who, self.connection()) as database:
            database.session = self.session
            yield from over_the_wire(database, iter([self.query]), 1, readings, schema)
        if any(one.lost for one in readings):
            raise SourceFailed(f"{self.who}: values do not fit their types.", "They are read where that is told.")


def stretches(extraction: Extraction, connection: Callable[[], str], keys: Range | None) -> list[Stretch]:
    """The stretches that are together what is to be read. Raises a kind of `SourceFailed`."""
    session, readings = extraction.database.session, extraction.readings
    with in_our_words(extraction.who):
        return [Stretch(extraction.who, connection, session, query, readings) for query in queries(extraction, keys)]
