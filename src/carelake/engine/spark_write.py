"""How Spark writes a Delta table: one commit with any number of marks, and no statistics but of plain columns."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .files import named_by, written
from .revision import REVISION
from .stored import AlreadyMarked

STATISTICS = "parquet.column.statistics.enabled"
TOLD = "spark.databricks.delta.commitInfo.userMetadata"
APPEND, OVERWRITE = "Append", "Overwrite"
HOW = {APPEND: {"mergeSchema": "true"}, OVERWRITE: {"overwriteSchema": "true"}}


class Commit:
    """One transaction on the table in the folder `table`, of which the version `since` is known, or None if it is not
    there yet.

    Delta's options for a write carry one mark (`txnAppId`, `txnVersion`); a transaction carries any number.
    Raises `AlreadyMarked` if there is a later version: whoever wrote that may have written the same marks.
    """

    def __init__(self, session: Any, table: Path, since: int | None) -> None:
        self.session, self.table = session, table
        self.jvm, self.own = session.sparkContext._jvm, session._jsparkSession
        self.nothing = self.jvm.scala.Option.empty()
        activate(session)
        self.log = _module(self.jvm, "org.apache.spark.sql.delta.DeltaLog$").forTable(self.own, str(table))
        snapshot = self.log.update(False, self.nothing, self.nothing)
        self.transaction = self.log.startTransaction(self.nothing, self.jvm.scala.Option.apply(snapshot))
        if since is not None and self.transaction.readVersion() != since:
            raise AlreadyMarked

    def write(
        self, rows: Any, mode: str, marks: Mapping[str, int], told: Mapping[str, str], settings: Mapping[str, str]
    ) -> int:
        """Write `rows`, and commit them with marks and notes: the version that they made. `settings` are those of a
        table that is not there yet. Who commits one of the marks meanwhile makes it fail.
        """
        for app in marks:  # what `txnVersion` does as well; but that looks for all marks that there are, by a job
            self.transaction.readTxn().append(app)
        before = set(written(self.table))
        files = self._write(rows, mode, settings)
        stamps = [self._stamp(app, version) for app, version in marks.items()]
        actions = self.jvm.PythonUtils.toSeq(stamps).concat(files)
        version = int(self.transaction.commit(actions, self._operation(mode, told)))
        self._sweep(version, before)
        return version

    def _write(self, rows: Any, mode: str, settings: Mapping[str, str]) -> Any:
        scala, delta = self.jvm.PythonUtils, self.jvm.org.apache.spark.sql.delta
        how = delta.DeltaOptions(scala.toScalaMap(HOW[mode]), self.own.sessionState().conf())
        write = delta.commands.WriteIntoDelta(
            self.log, self._mode(mode), how, scala.toSeq([]), scala.toScalaMap(dict(settings)), rows._jdf,
            self.nothing, self.nothing, False,
        )  # fmt: skip
        return write.write(self.transaction, self.own, self.nothing, False)

    def _stamp(self, app: str, version: int) -> Any:
        return self.jvm.org.apache.spark.sql.delta.actions.SetTransaction(app, version, self.nothing)

    def _operation(self, mode: str, told: Mapping[str, str]) -> Any:
        some, nothing = self.jvm.scala.Option.apply, self.nothing
        words = some(json.dumps(dict(told))) if told else nothing
        made = getattr(self.jvm.org.apache.spark.sql.delta, "DeltaOperations$Write")
        return made(self._mode(mode), nothing, nothing, words, nothing, nothing, nothing, nothing, nothing)

    def _mode(self, mode: str) -> Any:
        return getattr(self.jvm.org.apache.spark.sql.SaveMode, mode)

    def _sweep(self, version: int, before: Collection[Path]) -> None:
        """Take away what was written and not committed: of no rows Spark makes a file, and Delta does not want it."""
        named = named_by(self.table, version)
        for path in set(written(self.table)) - set(before):
            if str(path.relative_to(self.table)) not in named:
                path.unlink()


def activate(session: Any) -> None:
    """Let Delta, which asks for the session of this thread, find this one: several lakes may be open at once."""
    session.sparkContext._jvm.org.apache.spark.sql.classic.SparkSession.setActiveSession(session._jsparkSession)


def stored(session: Any, table: Path, version: int | None = None) -> Any:
    """The rows of the table in the folder `table`: as they stand whenever they are read, or of one version."""
    activate(session)
    reader = session.read.format("delta")
    return (reader if version is None else reader.option("versionAsOf", version)).load(str(table))


@contextmanager
def statistics_of(session: Any, plain: Collection[str]) -> Iterator[None]:
    """Statistics repeat values in the footers of files, so that only plain columns have them: in every write."""
    shown = [f"{STATISTICS}#{name}" for name in plain]
    session.conf.set(STATISTICS, "false")
    for name in shown:
        session.conf.set(name, "true")
    try:
        yield
    finally:
        for name in shown:
            session.conf.unset(name)


@contextmanager
def noting(session: Any, told: Mapping[str, str]) -> Iterator[None]:
    """Note `told` with every commit that is made within."""
    session.conf.set(TOLD, json.dumps(dict(told)))
    try:
        yield
    finally:
        session.conf.unset(TOLD)


def plain_of(settings: Mapping[str, str | None], names: Collection[str], setting: str) -> list[str]:
    """The columns of a table that may have statistics."""
    plain = (settings.get(setting) or "").split(",")
    return [name for name in names if name in plain or name.startswith(REVISION)]


def _module(jvm: Any, name: str) -> Any:
    return getattr(jvm, name).__getattr__("MODULE$")
