"""The engines that lakes are kept by, in a test. All of Spark is one process, which takes seconds to start."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from carelake.engine import Engine
from carelake.engine.duck import Duck

MakeEngine = Callable[[Mapping[str, Path], Path], Engine]
SMALL_SPARK = {  # other tests run beside it, and what takes long with a few rows is to compile
    "spark.master": "local[1]",
    "spark.driver.memory": "2g",
    "spark.driver.defaultJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}


def can_run_spark() -> bool:
    """pyspark with its jars, and a JVM: the client-only package has no jars."""
    spec = importlib.util.find_spec("pyspark")
    return bool(spec and spec.origin and Path(spec.origin).with_name("jars").is_dir() and shutil.which("java"))


def need_spark() -> None:
    """Skip a test on a machine without Spark, and fail it there with `CI=true`."""
    if not can_run_spark():
        missing = "no pyspark with a JVM on this machine"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)


@pytest.fixture(scope="session")
def spark_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The one Spark of all tests."""
    need_spark()
    from carelake.engine.spark_session import started

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))  # functions of tests are sent by name
        session = started(tmp_path_factory.mktemp("it's a spark"), SMALL_SPARK)
    yield session
    session.stop()


@pytest.fixture(params=["duck", "spark"])
def make_engine(request: pytest.FixtureRequest) -> MakeEngine:
    """Each test that asks for it, or for what is made of it, runs once on every engine."""
    if request.param == "spark":
        request.getfixturevalue("spark_session")
    return made_by(request.param)


@pytest.fixture(params=["duck", pytest.param("spark", marks=pytest.mark.prove)])
def make_any_engine(request: pytest.FixtureRequest) -> MakeEngine:
    """The same; but on Spark, where each of them takes many seconds, in `make prove` only."""
    if request.param == "spark":
        request.getfixturevalue("spark_session")
    return made_by(request.param)


def made_by(name: str) -> MakeEngine:
    if name == "duck":
        return Duck
    from carelake.engine.spark import Spark

    return Spark


@pytest.fixture
def engine(make_engine: MakeEngine, tmp_path: Path) -> Engine:
    """An engine whose tables lie in the test's own folder."""
    (tmp_path / "staging").mkdir(exist_ok=True)
    return make_engine({"silver": tmp_path, "gold": tmp_path}, tmp_path / "staging")


@pytest.fixture
def spark_engine(spark_session: Any, tmp_path: Path) -> Engine:
    """Spark's, in the same folder: for what only it can do, and for what it does in turn with another."""
    from carelake.engine.spark import Spark

    (tmp_path / "staging").mkdir(exist_ok=True)
    return Spark({"silver": tmp_path, "gold": tmp_path}, tmp_path / "staging")
