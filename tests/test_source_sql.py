"""What the SQL reader delivers, on real SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from servers import Source, fresh_source
from sql_feeds import NOW, a_feed, after, read

from carelake.errors import SourceShrank
from carelake.source import Progress, sql, sql_extraction

BY_TIME = a_feed(load="watermark", watermark="changed", lookback="1 hour")


def visits(source: Source, *rows: tuple[int, str | None]) -> None:
    """A table of visits: their ids, and when each was last changed."""
    time = {"postgres": "timestamp", "mariadb": "datetime", "sqlite": "text"}[source.name]
    source.run(f"CREATE TABLE visits (id int PRIMARY KEY, changed {time})")
    add(source, *rows)


def add(source: Source, *rows: tuple[int, str | None]) -> None:
    for number, changed in rows:
        when = f"'{changed}'" if changed else "NULL"
        source.run(f"INSERT INTO visits VALUES ({number}, {when})")


def test_all_databases_give_the_same_values(source: Source) -> None:
    source.run(
        "CREATE TABLE visits (id int PRIMARY KEY, who varchar(20), paid numeric(18, 2), born date, note text)",
        "INSERT INTO visits VALUES (1, 'Zoë', 1234567.25, '1961-02-28', 'it''s; \"so\"')",
        "INSERT INTO visits VALUES (2, 'N. N.', -0.01, '2024-02-29', '')",
        "INSERT INTO visits VALUES (3, NULL, NULL, NULL, NULL)",
    )
    (pulled,) = read(a_feed(types={"paid": "text", "born": "text"}), source.url)
    assert sorted(pulled.rows, key=lambda row: row["id"]) == [
        {"id": 1, "who": "Zoë", "paid": "1234567.25", "born": "1961-02-28", "note": 'it\'s; "so"'},
        {"id": 2, "who": "N. N.", "paid": "-0.01", "born": "2024-02-29", "note": ""},
        {"id": 3, "who": None, "paid": None, "born": None, "note": None},
    ]
    assert (pulled.delivery.whole, pulled.delivery.expected, pulled.delivery.is_last) == (True, 3, True)
    assert (pulled.delivery.name, pulled.delivery.watermark_to, pulled.delivery.warnings) == ("visits", None, [])


def test_money_is_decimal_where_the_database_has_decimals(source: Source) -> None:
    source.run("CREATE TABLE visits (id int PRIMARY KEY, paid numeric(18, 2))", "INSERT INTO visits VALUES (1, 0.1)")
    (pulled,) = read(a_feed(), source.url)
    exact = {"sqlite": "0.1"}.get(source.name, Decimal("0.10"))
    assert pulled.rows == [{"id": 1, "paid": exact}]


def test_the_first_load_takes_all_and_the_next_begins_a_lookback_before_the_last(source: Source) -> None:
    visits(source, (1, "2026-03-01 08:00:00"), (2, "2026-03-02 09:30:00"), (3, "2026-03-02 10:00:00"))
    (first,) = read(BY_TIME, source.url)
    assert first.ids() == [1, 2, 3]
    assert (first.delivery.watermark_from, first.delivery.watermark_to) == (None, "2026-03-02 10:00:00")
    add(source, (4, "2026-03-05 00:00:00"))
    (second,) = read(BY_TIME, source.url, after(first))
    assert second.ids() == [2, 3, 4], "9:30 and 10:00 lie within the hour before the last watermark"
    assert second.delivery.watermark_to == "2026-03-05 00:00:00"
    assert not second.delivery.whole


def test_a_late_commit_within_the_lookback_is_found_and_one_before_it_only_by_reading_all(source: Source) -> None:
    visits(source, (1, "2026-03-02 10:00:00"))
    (first,) = read(BY_TIME, source.url)
    add(source, (2, "2026-03-02 09:00:00"), (3, "2026-03-02 08:59:00"))
    (second,) = read(BY_TIME, source.url, after(first))
    assert second.ids() == [1, 2]
    (all_of_it,) = read(BY_TIME, source.url, after(second), whole=True)
    assert (all_of_it.ids(), all_of_it.delivery.whole) == ([1, 2, 3], True)
    assert all_of_it.delivery.watermark_to == "2026-03-02 10:00:00"


def test_rows_without_a_watermark_are_read_each_time(source: Source) -> None:
    visits(source, (1, "2026-03-01 08:00:00"), (2, None), (3, "2026-03-05 08:00:00"))
    (first,) = read(BY_TIME, source.url)
    (second,) = read(BY_TIME, source.url, after(first))
    assert (first.ids(), second.ids()) == ([1, 2, 3], [2, 3])


def test_a_date_in_the_future_does_not_move_the_watermark_and_is_read_each_time(source: Source) -> None:
    visits(source, (1, "2026-03-01 08:00:00"), (2, "2099-01-01 00:00:00"), (3, "0044-03-15 00:00:00"))
    (first,) = read(BY_TIME, source.url)
    assert first.ids() == [1, 2, 3]
    assert first.delivery.watermark_to == "2026-03-01 08:00:00"
    add(source, (4, "2026-03-10 07:00:00"))
    (second,) = read(BY_TIME, source.url, after(first))
    assert second.ids() == [1, 2, 3, 4]
    (warning,) = second.delivery.warnings
    assert "2 rows" in warning
    assert "2099" not in warning


def test_a_watermark_that_is_null_everywhere_stays_unset(source: Source) -> None:
    visits(source, (1, None), (2, None))
    (first,) = read(BY_TIME, source.url)
    (second,) = read(BY_TIME, source.url, after(first))
    assert (first.ids(), second.ids(), second.delivery.watermark_to) == ([1, 2], [1, 2], None)


def test_an_empty_table_is_a_load_of_no_rows_with_its_types(source: Source) -> None:
    visits(source)
    (pulled,) = read(BY_TIME, source.url)
    assert (pulled.rows, pulled.delivery.expected, pulled.delivery.watermark_to) == ([], 0, None)
    assert pulled.delivery.schema.names == ["id", "changed"]


def test_the_watermark_never_moves_back(source: Source) -> None:
    visits(source, (1, "2026-03-01 08:00:00"), (2, "2026-03-05 08:00:00"))
    (first,) = read(BY_TIME, source.url)
    source.run("DELETE FROM visits WHERE id = 2")
    (second,) = read(BY_TIME, source.url, after(first))
    assert (second.rows, second.delivery.watermark_to) == ([], "2026-03-05 08:00:00")


def test_numbers_are_watermarks_too(source: Source) -> None:
    visits(source, (7, None), (9, None), (10, None))
    feed = a_feed(load="watermark", watermark="id", lookback="2")
    (first,) = read(feed, source.url)
    add(source, (11, None), (8, None))
    (second,) = read(feed, source.url, after(first))
    assert (first.delivery.watermark_to, second.delivery.watermark_from) == ("10", "8")
    assert second.ids() == [8, 9, 10, 11]


def test_dates_are_watermarks_too(source: Source) -> None:
    source.run("CREATE TABLE visits (id int PRIMARY KEY, seen date)")
    source.run("INSERT INTO visits VALUES (1, '2026-03-01'), (2, '2026-03-02'), (3, '2026-03-03')")
    feed = a_feed(load="watermark", watermark="seen")
    (first,) = read(feed, source.url)
    (second,) = read(feed, source.url, after(first))
    assert (first.delivery.watermark_to, second.ids()) == ("2026-03-03", [2, 3])


@pytest.mark.parametrize("name", ["postgres", "mariadb"])
def test_a_moment_is_a_watermark_that_says_its_zone(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    source = fresh_source(request, name, tmp_path)
    kind, zone = {
        "postgres": ("timestamptz", "TIME ZONE 'UTC'"),
        "mariadb": ("timestamp NULL", "time_zone = '+00:00'"),
    }[name]
    source.run(f"CREATE TABLE visits (id int PRIMARY KEY, changed {kind})")
    source.run(
        f"SET {zone}", "INSERT INTO visits VALUES (1, '2026-03-01 08:00:00'), (2, '2026-03-01 09:30:00'), (3, NULL)"
    )
    (first,) = read(replace(BY_TIME, time_zone="America/New_York"), source.url)
    assert datetime.fromisoformat(first.delivery.watermark_to or "") == datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    source.run(f"SET {zone}", "INSERT INTO visits VALUES (4, '2026-03-01 08:30:00'), (5, '2026-03-01 08:29:59')")
    (second,) = read(replace(BY_TIME, time_zone="America/New_York"), source.url, after(first))
    assert second.ids() == [2, 3, 4]


def test_names_are_found_in_any_case_and_whatever_they_hold(source: Source) -> None:
    table, key, said = "select; DROP TABLE x", "or\"der's {0} `by`", "Größe, %s :a"
    named = [source.quoted(name) for name in (table, key, said)]
    source.run(f"CREATE TABLE {named[0]} ({named[1]} varchar(9) PRIMARY KEY, {named[2]} int)")
    source.run(f"INSERT INTO {named[0]} VALUES ('b', 2), ('a', 1)")
    feed = a_feed(table.upper(), key=(key.upper(),), load="watermark", watermark=said)
    pulled = read(feed, source.url, range_rows=1)
    assert [one.rows for one in pulled] == [[{key: "a", said: 1}], [{key: "b", said: 2}], []]


def test_a_schema_that_the_database_does_not_have_is_passed_over(source: Source) -> None:
    visits(source, (1, None))
    (pulled,) = read(a_feed("dbo.Visits"), source.url)
    assert pulled.ids() == [1]


def test_a_big_first_load_is_cut_into_ranges_and_goes_on_where_it_was_stopped(source: Source) -> None:
    visits(source, *((number, "2026-03-01 08:00:00") for number in range(1, 11)))
    first, second, third = read(BY_TIME, source.url, range_rows=4)
    assert [one.ids() for one in (first, second, third)] == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]
    assert [one.delivery.until for one in (first, second, third)] == ["4", "8", None]
    assert [one.delivery.is_last for one in (first, second, third)] == [False, False, True]
    assert [one.delivery.whole for one in (first, second, third)] == [False, False, False]
    add(source, (11, "2026-03-09 08:00:00"))
    again = read(BY_TIME, source.url, after(first), range_rows=4)
    assert [one.ids() for one in again] == [[5, 6, 7, 8], [9, 10]], "what came later waits for the next extraction"
    assert {one.delivery.watermark_to for one in again} == {"2026-03-01 08:00:00"}
    assert [one.delivery.range for one in again] == [1, 2]
    (later,) = read(BY_TIME, source.url, after(*again, sequence=3), range_rows=4)
    assert later.ids() == list(range(1, 12)), "the first ten lie within the lookback"


def test_sqlite_keys_of_any_sort_are_cut_without_losing_one(sqlite_source: Source) -> None:
    sqlite_source.run("CREATE TABLE visits (id BLOB, room int)")
    sqlite_source.run(
        "INSERT INTO visits VALUES (5, 1), (10, 2), ('10', 3), (2.5, 4), (x'01', 5), (x'02', 6), (NULL, 7)"
    )
    pulled = read(a_feed(key=("id",)), sqlite_source.url, range_rows=2)
    assert [one.ids("room") for one in pulled] == [[1, 4, 7], [2, 3], [5, 6]]
    again = read(a_feed(key=("id",)), sqlite_source.url, after(*pulled[:2]), range_rows=2)
    assert [one.ids("room") for one in again] == [[5, 6]]


def test_keys_of_text_are_cut_in_the_order_of_the_database(source: Source) -> None:
    source.run("CREATE TABLE visits (id varchar(9) PRIMARY KEY)")
    source.run("INSERT INTO visits VALUES ('a''1'), ('B\"2'), ('c;3'), ('D 4'), ('é-5')")
    pulled = read(a_feed(), source.url, range_rows=2)
    assert [len(one.rows) for one in pulled] == [2, 2, 1]
    assert sorted(row["id"] for one in pulled for row in one.rows) == sorted(["a'1", 'B"2', "c;3", "D 4", "é-5"])


def test_a_big_table_is_read_by_many_queries_and_each_row_once(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_extraction, "PAYS_TO_CUT", 100)
    monkeypatch.setattr(sql_extraction, "QUERY_ROWS", 90)
    monkeypatch.setattr(sql_extraction, "QUERY_PAGES", 1)
    source.run("CREATE TABLE visits (id int, room int)")  # without a primary key
    numbers = ", ".join(f"({number if number % 10 else 'NULL'}, {number})" for number in range(1, 1001))
    source.run(f"INSERT INTO visits VALUES {numbers}")
    for feed in (a_feed(), a_feed(key=("id",)), a_feed(key=("id",), load="watermark", watermark="room")):
        (pulled,) = read(feed, source.url)
        assert pulled.ids("room") == list(range(1, 1001))


def test_writers_that_are_active_are_no_loss(source: Source) -> None:
    if source.name == "sqlite":
        source.run("PRAGMA journal_mode = WAL")
    visits(source, (1, "2026-03-01 08:00:00"), (2, "2026-03-01 09:00:00"))
    deliveries = sql.read(BY_TIME, source.url, Progress(), NOW, whole=False)
    batches = next(deliveries).batches
    add(source, (3, "2026-03-01 08:30:00"))
    rows = [row["id"] for batch in batches for row in batch.to_pylist()]
    assert sorted(rows) == ([1, 2, 3] if source.name == "mariadb" else [1, 2]), "the others read one moment"


def test_rows_lost_on_the_way_are_noticed(mariadb_source: Source) -> None:
    visits(mariadb_source, (1, None), (2, None), (3, None))
    deliveries = sql.read(a_feed(), mariadb_source.url, Progress(), NOW, whole=False)
    batches = next(deliveries).batches
    mariadb_source.run("DELETE FROM visits WHERE id = 2")  # as if its row had been lost on the way
    next(batches)
    add(mariadb_source, (2, None))
    with pytest.raises(SourceShrank, match="2 rows arrived, and the source counts 3"):
        list(batches)


def test_another_thread_may_pull_the_rows(source: Source) -> None:
    visits(source, (1, None), (2, None))
    deliveries = sql.read(a_feed(), source.url, Progress(), NOW, whole=False)
    delivery = next(deliveries)
    rows: list[int] = []
    thread = threading.Thread(target=lambda: rows.extend(batch.num_rows for batch in delivery.batches))
    thread.start()
    thread.join()
    assert sum(rows) == 2


def test_duckdb_reads_the_batches_as_they_come(source: Source) -> None:
    visits(source, (1, "2026-03-01 08:00:00"), (2, None))
    deliveries = sql.read(BY_TIME, source.url, Progress(), NOW, whole=False)
    delivery = next(deliveries)
    with duckdb.connect() as engine:
        engine.register("visits", pa.RecordBatchReader.from_batches(delivery.schema, delivery.batches))
        assert engine.sql("SELECT COUNT(*), COUNT(changed) FROM visits").fetchall() == [(2, 1)]


def test_a_sqlite_file_with_a_write_ahead_log_is_read_as_it_is(sqlite_source: Source) -> None:
    sqlite_source.run("PRAGMA journal_mode = WAL")
    visits(sqlite_source, (1, None), (2, None))
    (pulled,) = read(a_feed(), sqlite_source.url)
    assert pulled.ids() == [1, 2]


def test_a_sqlite_file_with_such_a_log_is_read_where_nobody_may_write() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, closing(sqlite3.connect(f"{folder}/a.db")) as client:
        client.executescript("PRAGMA journal_mode = WAL; CREATE TABLE visits (id int); INSERT INTO visits VALUES (1)")
        client.close()
        Path(folder).chmod(0o555)
        with _as_nobody():
            (pulled,) = read(a_feed(), f"sqlite://{folder}/a.db")
        Path(folder).chmod(0o755)
    assert pulled.ids() == [1]


@contextmanager
def _as_nobody() -> Iterator[None]:
    """Root may write everywhere."""
    before = os.geteuid()
    os.seteuid(before or 65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_view_is_read_like_a_table(source: Source) -> None:
    visits(source, (1, "2026-03-01 08:00:00"), (2, "2026-03-02 08:00:00"))
    source.run("CREATE VIEW seen AS SELECT id, changed FROM visits WHERE id > 1")
    (pulled,) = read(a_feed("seen", load="watermark", watermark="changed"), source.url)
    assert pulled.ids() == [2]
