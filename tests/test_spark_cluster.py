"""On a cluster: a master, a worker and its executors are other programs than the driver, and end what it begins."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest
from canaries import Place, Search
from canary_places import shipped_words
from lake_engines import need_spark
from lake_stories import Story, small
from small_lake import NOW
from test_spark_silence import persons
from test_two_engines import assert_equal, told

from carelake.secret import VAULT_KEY

QUOTED = "Byronia"  # by Spark, in what it says of a value that is no number
RUN = f"""
import os, sys
from datetime import datetime
from pathlib import Path
from carelake import pipeline
from carelake.errors import LakeError
from carelake.lake import opened

project = Path(sys.argv[1])
did = pipeline.run(project, os.environ, datetime.fromisoformat(sys.argv[2]))
assert not [step for step in did.steps if step.outcome == "failed"], did
with opened(project, os.environ, writing=False, engine="spark") as lake:
    try:
        lake.engine.ask("SELECT CAST(CONCAT('{QUOTED}', patient_id) AS INTEGER) AS n FROM silver.patient")
    except LakeError as error:
        print(error.code, "{QUOTED}" in str(error), lake.engine.session.sparkContext.master)
"""
SPARK = """
spark:
  spark.master: {master}
  spark.driver.memory: 1g
  spark.executor.memory: 1g
  spark.executor.defaultJavaOptions: -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
  spark.sql.shuffle.partitions: '2'
  spark.sql.adaptive.enabled: 'false'
  spark.sql.codegen.wholeStage: 'false'
"""
LOUD = """
rootLogger.level = info
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %p %c{1}: %m%n%ex
"""


@dataclass(frozen=True)
class Cluster:
    folder: Path
    master: str

    @property
    def work(self) -> Path:
        """What the worker keeps of its executors."""
        return self.folder / "work"

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()


@contextmanager
def running(cluster: Cluster, name: str, says: str, *words: str) -> Iterator[None]:
    """A part of the cluster, from when it `says` something. By a configuration of its own it logs all that it does."""
    spark = Path(str((find_spec("pyspark") or pytest.fail("no pyspark")).origin)).parent
    around = {"PATH": os.environ["PATH"], "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_CONF_DIR": str(cluster.folder / "conf")}
    command = [spark / "bin/spark-class", f"org.apache.spark.deploy.{name.lower()}.{name}", "--host", "127.0.0.1"]
    with (cluster.folder / f"{name}.log").open("wb") as log:
        program = subprocess.Popen([*command, "--webui-port", "0", *words], stdout=log, stderr=log, env=around)
    try:
        until = time.monotonic() + 120
        while says not in cluster.said(name):
            assert program.poll() is None, cluster.said(name)[-2000:]
            assert time.monotonic() < until, cluster.said(name)[-2000:]
            time.sleep(0.2)
        yield
    finally:
        program.terminate()
        program.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    need_spark()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    made = Cluster(tmp_path / "cluster", f"spark://127.0.0.1:{port}")
    (made.folder / "conf").mkdir(parents=True)
    (made.folder / "conf/log4j2.properties").write_text(LOUD)
    worker = ("--cores", "2", "--memory", "2g", "--work-dir", str(made.work), made.master)
    with ExitStack() as stack:
        stack.enter_context(running(made, "Master", "elected leader", "--port", port))
        stack.enter_context(running(made, "Worker", "Successfully registered", *worker))
        yield made


def run(story: Story, day: int) -> str:
    """A day, as a process of its own; what it printed of a question that cannot be answered."""
    story.happens(story.folder, day)
    words = [sys.executable, "-c", RUN, str(story.project), (NOW + timedelta(days=day)).isoformat()]
    around = {**os.environ, **story.sources(story.folder)}
    done = subprocess.run(words, capture_output=True, text=True, env=around, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.mark.prove
def test_two_days_on_a_cluster_make_the_same_lake_and_its_worker_keeps_no_value(
    tmp_path: Path, cluster: Cluster
) -> None:
    embedded, far = small(tmp_path / "embedded"), small(tmp_path / "far")
    page = far.project / "lake.yml"
    for day in (1, 2):
        embedded.run("duck", day)
        page.write_text(page.read_text().replace("engine: duck", "engine: spark"))
        page.write_text(page.read_text().partition("\nspark:\n")[0] + SPARK.format(master=cluster.master))
        assert run(far, day) == f"LAKE-401 False {cluster.master}\n"
        assert_equal(embedded.rows(told), far.rows(told))
    kept = [path for path in cluster.work.rglob("*") if path.is_file()]
    logs = {path: path.read_text() for path in kept if path.name in ("stdout", "stderr")}
    assert len([log for log in logs.values() if "Spark Executor Command" in log]) == 2
    assert "INFO" in cluster.said("Worker")  # its configuration holds
    assert not [path for path, log in logs.items() if re.search(rf"INFO|WARN |{QUOTED}", log)]
    search = Search([*persons()], ordinary=shipped_words())
    places = [Place(str(path), path.read_bytes()) for path in kept]
    assert search.found(places) == set()
    key = (far.project / "secrets" / VAULT_KEY).read_text()
    assert not [path for path in kept if key.encode() in path.read_bytes()]
