"""A Spark session as a lake needs it: Delta, UTC, nothing shown or logged, what spills encrypted."""

from __future__ import annotations

import atexit
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from logging import getLogger
from pathlib import Path
from typing import Any

from ..errors import LakeError
from . import orphans

DELTA = "io.delta:delta-spark_4.2_2.13:4.4.0"  # tools/jars.lock pins what it consists of
SMALL = str(100 * 1024 * 1024)  # bytes: what compaction makes files of, and below which it takes them together
# Spark's own words quote values of rows. Without a file of that name, Log4j has no configuration but its own, and that
# is off; also on a worker of a cluster that has a file of its own, and keeps what executors write.
SILENT = "-Dlog4j2.configurationFile=there-is-none -Dlog4j2.level=OFF"
PYTHONS = ("SQLQueryContextLogger", "DataFrameQueryContextLogger", "py4j")  # and so do those of its Python part
LOCAL, JAVA, JAVA_FAR = "local[*]", "spark.driver.extraJavaOptions", "spark.executor.extraJavaOptions"
FIXED: Mapping[str, str] = {  # of the process: no session can change it
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.sql.catalogImplementation": "in-memory",
    "spark.io.encryption.enabled": "true",
    "spark.io.encryption.keySizeBits": "256",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "OFF",
    "spark.ui.retainedJobs": "1",  # of what was run, plans included, nothing is kept for a page that nobody sees
    "spark.ui.retainedStages": "1",
    "spark.ui.retainedTasks": "1",
    "spark.sql.ui.retainedExecutions": "1",
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",  # no .crc file beside each file
    "spark.hadoop.fs.AbstractFileSystem.file.impl": "org.apache.hadoop.fs.local.RawLocalFs",
    "spark.driver.memory": "4g",
}
SESSION: Mapping[str, str] = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "false",
    "spark.sql.timestampType": "TIMESTAMP_LTZ",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",  # the default, INT96, has no zone
    "spark.sql.parquet.compression.codec": "zstd",
    # Of a UNION whose sides are of one relation, Spark 4.2 looks for constraints by attributes that it does not have.
    "spark.sql.constraintPropagation.enabled": "false",
    "parquet.compression.codec.zstd.level": "1",
    "spark.databricks.delta.snapshotPartitions": "1",  # of a log, which is small
    # The embedded engine keeps no checksums, so that Delta would count each table anew, by a job, at every commit.
    "spark.databricks.delta.writeChecksumFile.enabled": "false",
    "spark.databricks.delta.incremental.commit.enabled": "false",
    "spark.databricks.delta.properties.defaults.minReaderVersion": "1",
    "spark.databricks.delta.properties.defaults.minWriterVersion": "2",
    "spark.databricks.delta.optimize.minFileSize": SMALL,
    "spark.databricks.delta.optimize.maxFileSize": SMALL,
    "spark.databricks.delta.optimize.zorder.checkStatsCollection.enabled": "false",
    # CareLake's own vacuum keeps what a release names: see docs/decisions/retention.md.
    "spark.databricks.delta.vacuum.enforceTimeTravelWithinDeletedFileRetentionDuration": "false",
}


class SparkMissing(LakeError):
    code = "LAKE-405"
    exit_code = 40
    why = "Spark is a program of its own, which needs Java; the embedded engine needs neither."


def started(scratch: Path, settings: Mapping[str, str]) -> Any:
    """A session of its own in the one Spark of this process, which is started if need be.

    Raises `SparkMissing` where there is no pyspark or no Java, or where a cluster does not take it.
    """
    refuse_missing()
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        session = _first(scratch, settings).newSession()
        for name, value in SESSION.items():
            session.conf.set(name, value)
    except (PySparkException, Py4JError, RuntimeError, OSError):
        fix = (
            "Try `java -version`: Spark 4.2 needs 17 or 21. Without a network its jars must lie in pyspark/jars. Where"
            " lake.yml names a `spark.master`, look whether it answers, and what it says of its workers."
        )
        raise SparkMissing("Spark did not start, or its cluster let it go at once.", fix) from None
    return session


def refuse_missing() -> None:
    """Raises `SparkMissing` where there is no pyspark or no Java."""
    if find_spec("pyspark") is None:
        fix = 'Install it with `pip install "carelake[spark]"`, or write `engine: duck` into lake.yml.'
        raise SparkMissing("pyspark is not installed.", fix)
    home = os.environ.get("JAVA_HOME")
    if not (Path(home, "bin", "java").is_file() if home else shutil.which("java")):
        where = "JAVA_HOME, which is set, has no bin/java" if home else "PATH has no java, and JAVA_HOME is not set"
        fix = (
            "Install a JDK, 17 or 21 (Debian: `apt install openjdk-17-jre-headless`), or write `engine: duck` into"
            " lake.yml."
        )
        raise SparkMissing(f"no Java was found: {where}.", fix)


def _first(scratch: Path, settings: Mapping[str, str]) -> Any:
    """The session with which the Spark of this process was started, or is."""
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    if SparkContext._active_spark_context:
        return SparkSession.builder.getOrCreate()
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # it would take whichever stands first in PATH
    builder = SparkSession.builder
    for name, value in _configured(scratch, settings).items():
        builder = builder.config(name, value)
    with _unheard():
        session = builder.getOrCreate()
    atexit.register(_end, scratch)
    session.sparkContext.setLogLevel("OFF")
    orphans.note(scratch, int(session.sparkContext._jvm.java.lang.ProcessHandle.current().pid()))
    for name in PYTHONS:
        getLogger(name).disabled = True
    return session


def _end(scratch: Path) -> None:
    """It runs until the process ends, for further lakes and questions; what it has beside tables goes with it."""
    from pyspark import SparkContext

    running = SparkContext._active_spark_context
    if running is not None:
        running.stop()
    shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def _unheard() -> Iterator[None]:
    """What Java writes to the terminal goes nowhere: it inherits what stands there when it is started."""
    kept = [os.dup(1), os.dup(2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for terminal in (1, 2):
            os.dup2(nowhere, terminal)
        yield
    finally:
        for terminal, before in zip((1, 2), kept, strict=True):
            os.dup2(before, terminal)
            os.close(before)
        os.close(nowhere)


def _configured(scratch: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Ours, and what lake.yml says otherwise. Options of Java come together; ours last, which keep it silent."""
    ours = {**_placed(scratch), **FIXED}
    together = {name: f"{settings.get(name, '')} {ours[name]}".strip() for name in (JAVA, JAVA_FAR)}
    return {**ours, **settings, **together}


def _placed(scratch: Path) -> dict[str, str]:
    """Where what Spark writes beside tables lies, and who may reach it: nobody but this machine, unless a master is
    set.
    """
    jars = {} if _has_delta() else {"spark.jars.packages": DELTA}
    return {
        "spark.master": LOCAL,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.local.dir": str(scratch),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        JAVA: f"{shlex.quote(f'-Djava.io.tmpdir={scratch}')} {SILENT}",
        JAVA_FAR: SILENT,
        "spark.sql.shuffle.partitions": str(max(2, os.cpu_count() or 1)),  # of this machine; a cluster needs more
        **jars,
    }


@cache
def _has_delta() -> bool:
    """Whether the jars lie where pyspark finds them by itself."""
    spec = find_spec("pyspark")
    home = os.environ.get("SPARK_HOME") or str(Path(str(spec and spec.origin)).parent)
    return any(Path(home, "jars").glob("delta-spark_*.jar"))
