"""Where there is no Spark, what is missing is named, and what to do; what `make services` brings is what users get."""

from __future__ import annotations

from pathlib import Path

import pytest

from carelake.engine import spark_session
from carelake.engine.spark_session import DELTA, SparkMissing, started
from carelake.serve import door
from carelake.serve.asker import Asker

ROOT = Path(__file__).parents[1]


def test_a_machine_without_java_is_told_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(spark_session, "find_spec", lambda name: name)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(SparkMissing, match=r"PATH has no java(.|\n)*openjdk-17"):
        started(tmp_path / "scratch", {})
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SparkMissing, match="JAVA_HOME, which is set"):
        started(tmp_path / "scratch", {})
    assert not (tmp_path / "scratch").exists()


def test_a_machine_without_pyspark_is_told_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(spark_session, "find_spec", lambda name: None)
    with pytest.raises(SparkMissing, match=r"carelake\[spark\]"):
        started(tmp_path / "scratch", {})


def test_a_question_to_spark_where_it_is_not_is_told_what_to_install(small, monkeypatch):
    monkeypatch.setattr(spark_session, "find_spec", lambda name: None)
    with (
        pytest.raises(SparkMissing, match=r"carelake\[spark\]"),
        door.ask(
            small.project,
            "SELECT 1 FROM silver.patient",
            asker=Asker.here(small.project, environment=small.environment),
            engine="spark",
        ),
    ):
        pass


def test_the_jars_of_the_tests_are_those_that_users_get():
    lines = (ROOT / "tools/jars.lock").read_text().splitlines()
    pinned = {coordinates: digest for digest, coordinates in (line.split() for line in lines)}
    assert DELTA in pinned
    assert all(len(digest) == 64 and coordinates.endswith(":4.4.0") for coordinates, digest in pinned.items())


def test_what_only_looks_at_a_lake_of_spark_needs_none(small, monkeypatch):
    monkeypatch.setattr(spark_session, "find_spec", lambda name: None)
    small.say("lake.yml", "engine: duck", "engine: spark")
    looks = ("status", "plan", "check", "quality", "reconcile", "kpi", "alerts list", "releases", "hold list", "verify")
    for words in (*map(str.split, looks), ["report"], ["migrate", "--dry-run"]):
        told = small.invoke(*words)
        assert (words, told.exit_code, told.exception) == (words, 0, None)
    with pytest.raises(SparkMissing, match=r"carelake\[spark\]"):
        small.run(1)


def test_options_of_java_do_not_take_the_place_of_those_that_keep_it_silent(tmp_path: Path) -> None:
    silent = ["-Dlog4j2.configurationFile=there-is-none", "-Dlog4j2.level=OFF"]
    for name, mine in (
        ("spark.driver.extraJavaOptions", [f"-Djava.io.tmpdir={tmp_path}", *silent]),
        ("spark.executor.extraJavaOptions", silent),
    ):
        assert spark_session._configured(tmp_path, {})[name].split() == mine
        theirs = {name: "-Xss8m -Dlog4j2.configurationFile=x"}
        assert spark_session._configured(tmp_path, theirs)[name].split()[2:] == mine
