"""Big tables that executors read for themselves: each row once, of one moment, with secrets of their own."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from lake_engines import made_by
from servers import PASSWORD, Source, fresh_source
from sql_feeds import NOW, a_feed

from carelake import bronze, delivered
from carelake.engine import Engine, spark_read
from carelake.engine.spark import Spark
from carelake.ledger import Ledger, Load
from carelake.model import Feed
from carelake.secret import Secrets
from carelake.source import Delivery, Progress, readers, sql, sql_extraction

FEED = a_feed(key=("id",), sums=("amount",))
MANY = 500


@pytest.fixture(params=["postgres", pytest.param("mariadb", marks=pytest.mark.prove)])
def far(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """A table of a server that is big, as far as its reader knows."""
    for module in (sql_extraction, sql):
        monkeypatch.setattr(module, "PAYS_TO_CUT", 100)
    monkeypatch.setattr(sql_extraction, "QUERY_ROWS", 90)
    monkeypatch.setattr(sql_extraction, "QUERY_PAGES", 1)
    source = fresh_source(request, request.param, tmp_path)
    source.run("CREATE TABLE visits (id varchar(20) PRIMARY KEY, amount numeric(18, 2), seen timestamp NULL)")
    rows = ", ".join(f"('MRN-{n:04}', {n}.25, '2026-03-01 08:00:{n % 60:02}')" for n in range(1, MANY + 1))
    source.run(f"INSERT INTO visits VALUES {rows}")
    return source


def a_landing(folder: Path, name: str) -> bronze.Landing:
    for part in ("bronze", "staging"):
        (folder / name / part).mkdir(parents=True)
    engine: Engine = made_by(name)({"audit": folder / name}, folder / name / "staging")
    ledger = Ledger(engine, folder / name / "bronze")
    ledger.create()
    return bronze.Landing(engine, ledger, folder / name / "bronze", "1", date(2026, 3, 10), NOW)


def deliveries(to: bronze.Landing, source: Source, secrets: Secrets, feed: Feed = FEED) -> Any:
    there = partial(secrets.filled, feed.connection)
    return readers.read(feed, source.url, to.ledger.progress(feed), NOW, there=there)


def lies(to: bronze.Landing, load: Load) -> list[tuple[str, Decimal]]:
    tables = [pq.read_table(path) for path in bronze.files(to.root, [load])]
    rows = [row for table in tables for row in table.to_pylist()]
    return sorted((row["id"], Decimal(row["amount"])) for row in rows)


EVERY = [(f"MRN-{n:04}", Decimal(f"{n}.25")) for n in range(1, MANY + 1)]


@pytest.fixture
def secrets(tmp_path: Path, far: Source) -> Secrets:
    """Those of a project, which executors find too."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "HOS_A_URL").write_text(far.url)
    return Secrets(tmp_path, {})


def land_one(to: bronze.Landing, delivery: Delivery) -> Load:
    load = bronze.land(to, FEED, delivery, to.ledger.progress(FEED))
    assert load is not None
    return load


def not_here(delivery: Delivery) -> Delivery:
    """The same, that the driver must not read."""

    def never() -> Any:
        raise AssertionError("the driver read it")
        yield

    delivery.batches = never()
    return delivery


def test_executors_read_what_the_driver_would(
    far: Source, secrets: Secrets, tmp_path: Path, spark_session: Any
) -> None:
    to = a_landing(tmp_path, "spark")
    reading = deliveries(to, far, secrets)
    delivery = next(reading)
    load = land_one(to, not_here(delivery))
    assert lies(to, load) == EVERY
    assert (load.rows, delivery.expected, delivery.warnings) == (MANY, MANY, [])
    assert len(load.parts) > 3
    told = to.engine.ask("SELECT rows_told, rows_read, sum_told, sum_read FROM audit.load_logs").to_pylist()[0]
    assert told["rows_told"] == told["rows_read"] == MANY
    assert told["sum_told"] == told["sum_read"] == sum(amount for _, amount in EVERY)
    embedded = a_landing(tmp_path, "duck")
    reading = deliveries(embedded, far, secrets)
    delivery = next(reading)
    assert lies(embedded, land_one(embedded, delivery)) == EVERY


def test_what_is_written_meanwhile_is_of_another_moment_or_is_no_loss(
    far: Source, secrets: Secrets, tmp_path: Path, spark_session: Any
) -> None:
    to = a_landing(tmp_path, "spark")
    reading = deliveries(to, far, secrets)
    delivery = next(reading)
    far.run("INSERT INTO visits VALUES ('MRN-0000', 1, NULL)", "DELETE FROM visits WHERE id = 'MRN-0007'")
    far.run("INSERT INTO visits VALUES ('MRN-9999', 1, NULL)")
    found = lies(to, land_one(to, not_here(delivery)))
    if far.name == "postgres":
        assert found == EVERY
    else:
        assert [key for key, _ in found] == sorted({"MRN-0000", "MRN-9999", *dict(EVERY)} - {"MRN-0007"})
        assert delivery.expected is None


def test_what_executors_cannot_read_is_read_by_the_driver_which_says_so(
    far: Source, tmp_path: Path, spark_session: Any
) -> None:
    to = a_landing(tmp_path, "spark")
    reading = deliveries(to, far, Secrets(tmp_path, {"HOS_A_URL": far.url}))
    delivery = next(reading)
    assert lies(to, land_one(to, delivery)) == EVERY
    assert delivery.warnings == ["visits could not be read by the executors, and was read by the driver."]


def test_no_password_and_no_key_of_a_row_is_in_the_plan(
    far: Source, secrets: Secrets, tmp_path: Path, spark_session: Any
) -> None:
    to = a_landing(tmp_path, "spark")
    reading = deliveries(to, far, secrets)
    delivery = next(reading)
    assert delivery.elsewhere is not None
    pieces = list(delivery.elsewhere())
    assert len(pieces) > 3
    parts = [delivered.Part(one, delivery.schema, 1, tmp_path / f"{n}.parquet") for n, one in enumerate(pieces)]
    rows = spark_read.tried(vars(to.engine)["session"], parts, 16)
    plan = rows._jdf.queryExecution().toString()
    assert "MapInArrow" in plan
    for word in (PASSWORD, "MRN-", "visits"):
        assert word not in plan
        assert word not in repr(parts) or word == "visits"
    assert to.engine.elsewhere(parts) == [True] * len(parts)
    assert sum(pq.read_metadata(part.file).num_rows for part in parts) == MANY


def noted(folder: Path, place: int) -> None:
    from pyspark import TaskContext  # where it runs

    (folder / f"{place}").write_text(str(TaskContext().partitionId()))


@pytest.mark.parametrize(("readers", "tasks"), [(1, 1), (4, 4), (9, 6), (None, 6)])
def test_no_more_tasks_read_than_lake_yml_lets(
    spark_session: Any, tmp_path: Path, readers: int | None, tasks: int
) -> None:
    engine = Spark({"silver": tmp_path / "lake"}, tmp_path / "staging", readers=readers)
    assert engine.elsewhere([partial(noted, tmp_path, place) for place in range(6)]) == [True] * 6
    assert len({(tmp_path / f"{place}").read_text() for place in range(6)}) == tasks


def test_small_tables_are_read_by_the_driver(source: Source) -> None:
    source.run("CREATE TABLE visits (id int PRIMARY KEY)", "INSERT INTO visits VALUES (1), (2)")
    reading = readers.read(a_feed(), source.url, Progress(), NOW, there=lambda: source.url)
    assert next(reading).elsewhere is None
