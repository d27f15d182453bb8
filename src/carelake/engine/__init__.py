"""What the pipeline asks of an engine. No healthcare, no YAML, no policy."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple, Protocol

import pyarrow as pa


class Layout(NamedTuple):
    """How the newest version of a stored table lies there: its files, those of them that are small, and their bytes."""

    files: int
    small: int
    bytes: int


class Engine(Protocol):
    """Implement these verbs and every table, rule, treatment and mart runs on you.

    Verbs take SELECTs in portable SQL (see sql.py), not rows: on a cluster nothing flows through the driver. Stored
    tables are named `layer.table`, relations of this run by one word. `as_of` is bound to `$as_of`, the one parameter
    a SELECT may have. A verb that writes happens whole or not at all, and returns the version it made. One that fails
    raises `EngineFailed` or `LakeFull`, which do not repeat the engine's message: those quote values of rows.

    `marks` are Delta transaction identifiers (app -> version), committed with the rows: what has a mark was consumed.
    """

    dialect: str
    has_others: bool  # whether there are other machines than this one
    scratch: Path | None  # what it has in `staging` while it lives; all else there was left by a killed run

    def ask(self, select: str, as_of: date | None = None) -> pa.Table:
        """A small result, as Arrow."""

    def tables(self) -> list[str]:
        """Every stored table, layer by layer."""

    def columns(self, relation: str) -> dict[str, str]:
        """Name -> type of a table as stored now, or of a relation of this run; empty if it does not exist."""

    def version(self, table: str) -> int | None:
        """The version of a stored table; None if it does not exist."""

    def state(self, table: str) -> str:
        """`<version>/<id of the table>`: a table that was made anew counts from 0 again. Empty if it is not there. One
        that was only compacted since has the state that it had before.
        """

    def marked(self, table: str, app: str, version: int | None = None) -> int:
        """The version `app` has in the table's marks, now or at an earlier version of it; 0 if it has none."""

    def note(self, table: str) -> str:
        """The note of the table's last commit; empty if it has none."""

    def lend(self, name: str, rows: pa.Table | pa.RecordBatchReader | Callable[[], pa.Table]) -> None:
        """Let SELECTs of this run read `rows` as `name`. A reader is read once. A function is called where the rows
        are needed, and can be sent there: what it gives is in no plan.
        """

    def elsewhere(self, tasks: Sequence[Callable[[], None]]) -> list[bool]:
        """Call functions, each once on another machine that has room; which of them came to their end, none where there
        is no other. Nothing that they carry is in a plan.
        """

    def show(self, name: str, files: Sequence[Path], numbered: str = "") -> None:
        """Let SELECTs of this run read Parquet files as `name`, their columns united by name. A column `numbered` says
        of each row which one of its folder it is, from 0 on: rows of `part-0001` follow those of `part-0000`, as far
        behind them as no file is long. A row that says it itself, in a column of that name, is believed.
        """

    def hold(self, name: str, select: str, as_of: date | None = None) -> int:
        """Keep the rows of `select` for this run as `name`; how many there are."""

    def transform(self, name: str, select: str, by: Callable[[pa.Table], pa.Table], columns: Mapping[str, str]) -> int:
        """Keep what `by` makes of the rows of `select`, some of them at a time, for this run as `name`, with those
        columns; how many there are. `by` can be sent to other machines.
        """

    def define(self, name: str, select: str) -> None:
        """Let SELECTs read `select` as `layer.view`."""

    def stand(self, name: str, table: str, identity: Sequence[str], revision: str, gone: str) -> None:
        """Let SELECTs read as `layer.view` the rows of a stored table that stand, now and after each write: of those
        alike in `identity` that of the highest `revision`, unless it says that it is `gone`.
        """

    def added(self, name: str, table: str, since: int) -> bool:
        """Let SELECTs of this run read as `name` the rows that a stored table was given since a version. False if that
        cannot be told: rows were also taken from it, or the version is no longer there.
        """

    def recall(self, name: str, table: str, version: int) -> bool:
        """Let SELECTs of this run read an earlier version of a stored table as `name`; False if it is not there."""

    def let_go(self, *names: str) -> None:
        """Forget what was lent, shown or held."""

    def write_files(self, select: str, folder: Path) -> list[Path]:
        """Write the rows of `select` to Parquet files in a new `folder`."""

    def create(self, table: str, columns: Mapping[str, str], plain: Collection[str] = ()) -> None:
        """Make an empty table, or add the columns that it lacks. Only `plain` columns may have statistics."""

    def append(self, table: str, select: str, marks: Mapping[str, int] | None = None) -> int:
        """Add the rows of `select`. With no rows it still commits the marks."""

    def replace(
        self,
        table: str,
        select: str,
        as_of: date | None = None,
        note: str = "",
        marks: Mapping[str, int] | None = None,
    ) -> int:
        """Hold the rows of `select`, and nothing else, with its columns. The table is made if need be."""

    def supersede(self, table: str, key: str, select: str, as_of: date | None = None, note: str = "") -> int | None:
        """Of the keys in the relation `touched`, hold the rows of `select`, and nothing else. None, and nothing is
        done, if it pays to `replace` the table instead.
        """

    def flaws(self, table: str, versions: Collection[int]) -> list[str]:
        """What is wrong with a stored table, a sentence each: with its log, or with what its newest version or one of
        `versions` needs.
        """

    def strays(self, table: str) -> list[Path]:
        """Files that no version of a stored table has ever named: what a killed writer left."""

    def layout(self, table: str) -> Layout:
        """How the newest version of a stored table lies there."""

    def compact(self, table: str, order: Sequence[str] = ()) -> bool:
        """Write a stored table's small files anew as few large ones; all of it along a Z-order curve, if an order is
        given. Its rows, marks and note stay. Whether there was something to do.
        """

    def files(self, table: str, versions: Collection[int]) -> list[Path]:
        """Everything that a stored table consists of: its log, and what its newest version and `versions` need."""

    def unneeded(self, table: str, versions: Collection[int], since: datetime) -> list[Path]:
        """The files that neither the newest version nor one of `versions` needs, and that have left the table before
        `since`; and its strays.
        """

    def upgrade(self, table: str, *, dry_run: bool = False) -> bool:
        """Let a stored table have what only this engine can write. That cannot be taken back. Whether there is, or with
        `dry_run` would be, something that it lacks.
        """
