"""What answers a question: an engine that is opened for it alone, and shows what the door lets it show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import pyarrow as pa
from deltalake import DeltaTable

from ..errors import LakeDamaged, LakeError, LakeFull, QuestionFailed
from ..foreign import failed, is_no_space

MEND = "Run `carelake run`, which makes anew what can be made of bronze; bring the rest back from the backup."
AT_ONCE = 10_000  # rows of an answer that are handed out together


class Opened(Protocol):
    """It can be asked for the views that it was opened with, and for nothing else."""

    @property
    def columns(self) -> Mapping[str, Sequence[str]]:
        """View -> its columns."""

    def refuse(self, question: str) -> None:
        """Raises `QuestionFailed` for what it might answer otherwise than the embedded engine."""

    def ask(self, select: str) -> pa.RecordBatchReader:
        """The answer, some rows at a time. Raises `QuestionFailed`, also later, and `LakeFull` and `LakeDamaged`."""


class Answering(Protocol):
    """An engine, as the door needs it. None of its own words comes out: they quote values of rows."""

    def version(self, delta: DeltaTable, name: str) -> str:
        """The SELECT of a stored table `name` at the version of `delta`. Raises `TableUpgraded` if it cannot read it,
        `LakeDamaged` if it is not there.
        """

    def landed(self, files: Sequence[str]) -> str:
        """The SELECT of the rows of Parquet files, their columns united by name."""

    def rows(self, select: str) -> list[dict[str, Any]]:
        """A few rows, of a SELECT over those. Raises `LakeDamaged`."""

    def opened(self, views: Mapping[str, str]) -> AbstractContextManager[Opened]:
        """It shows `views`, name -> SELECT over those. Raises `LakeDamaged` if one cannot be read."""


@contextmanager
def undamaged(name: str, *raised: type[Exception]) -> Iterator[None]:
    """Raises `LakeDamaged` if a table is not there as it was written, which is told by an error of those kinds."""
    try:
        yield
    except raised:
        raise LakeDamaged(f"{name} is not there as the latest release knows it.", MEND) from None


def not_there(columns: Mapping[str, Sequence[str]]) -> LakeError:
    """What to say of a question that names what no view has."""
    listed = "; ".join(f"{name}({', '.join(names)})" for name, names in columns.items())
    return QuestionFailed("a column or function of the question does not exist.", f"There are: {listed}.")


def stopped(error: Exception, *, is_damaged: bool) -> LakeError:
    """What to say of an engine that stopped between the first row and the last."""
    if is_no_space(error):
        return LakeFull("there was no space left for what the question spills.", "Free some, or ask for less.")
    if is_damaged:
        return LakeDamaged("a file that the question reads is gone, or is not what was written.", MEND)
    if (why := failed("ask", error)).lacks_memory:
        return why
    return QuestionFailed("the engine stopped before the end.", "Most often a value cannot be cast: use TRY_CAST.")
