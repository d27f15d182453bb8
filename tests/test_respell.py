"""What Spark would read otherwise, it reads as the embedded engine does: spellings of values, and of SELECTs."""

from __future__ import annotations

import pytest

from carelake import plan
from carelake.sql import render

SPELLINGS = [
    "2026-01-05", "2026-1-5", "2026-02", "2026", "20260105", "2026/01/05", "2026/1/5", "2026 01 05",
    "2026-01-05 10:11:12", "2026-01-05T10:11:12", "2026-01-05 10:11", "2026-01-05 10:11:12.5",
    "2026-01-05 10:11:12.123456", "2026-01-05 10:11:12.123456789", "2026-01-05T10:11:12Z", "2026-01-05T10:11:12+02:00",
    "2026-01-05 10:11:12+02", "2026-01-05 10:11:12 +02:00", "2026-01-05 10:11:12 UTC",
    "2026-01-05 10:11:12 America/New_York", " 2026-01-05 ", "01/05/2026", "5.1.2026", "2026-13-01", "2026-02-30",
    "0001-01-01", "9999-12-31", "infinity", "epoch", "today", "now", "2026-01-05x", "2026-01-05 24:00:00",
    "2026-01-05 1:2:3", "2026-01-05 10", "-2026-01-05", "12026-01-05", "12:30:00", "2026-W01", "2026-001",
    "1", "0", "1.5", "1.0", "1.", "-1", ".5", "1e3", "1E3", "1,000", "1_000", " 1 ", "\t1", "+1", "--1", "NaN", "inf",
    "true", "t", "T", "yes", "y", "on", "TRUE", "false", "no", "0.005", "1.005", "2.675", "99999999999999999.99",
    "999999999999999999.99", "1.23456789012345678901", "", "  ", "9223372036854775807", "9223372036854775808", "0x10",
    "1e-3", "1e400", "٣",
]  # fmt: skip
KINDS = ["DATE", "TIMESTAMPTZ", "TIMESTAMP", "BIGINT", "DECIMAL(18, 2)", "BOOLEAN"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_spelling_of_a_value_is_read_alike_by_both_engines(kind, duck_sql, spark_sql):
    listed = " UNION ALL ".join(
        "SELECT '" + text.replace("'", "''") + f"' AS told, {number} AS n" for number, text in enumerate(SPELLINGS)
    )
    asked = f"SELECT n, CAST({plan._read('told', kind)} AS TEXT) AS value FROM ({listed}) AS spelled ORDER BY n"
    ours, theirs = ({SPELLINGS[row["n"]]: row["value"] for row in sql.ask(asked)} for sql in (duck_sql, spark_sql))
    assert theirs == ours
    assert any(ours.values())
    assert not all(ours.values())


VALUES = {
    "a time with a zone": ("CAST('2026-01-05T10:11:12.5+02:00' AS TIMESTAMPTZ)", "2026-01-05 08:11:12.5+00"),
    "a time without one": ("CAST('2026-01-05 10:11:12' AS TIMESTAMP)", "2026-01-05 10:11:12"),
    "a day": ("CAST('2026-01-05' AS DATE)", "2026-01-05"),
    "an amount": ("CAST('1234567.50' AS DECIMAL(18, 2))", "1234567.50"),
    "a truth": ("1 = 1", "true"),
    "a large number": ("CAST('12345678.5' AS DOUBLE)", "12345678.5"),
    "a large whole number": ("CAST('20260105' AS DOUBLE)", "20260105.0"),
}


@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_written_alike_by_both_engines(value, sql_engine):
    told, text = VALUES[value]
    (row,) = sql_engine.ask(f"SELECT CAST(value AS TEXT) AS told FROM (SELECT {told} AS value) AS one")
    assert row["told"] == text


def test_ctes_of_one_name_in_two_places_stay_two(sql_engine):
    inner = "WITH total AS (SELECT {} AS n) SELECT n FROM total"
    select = f"SELECT a.n AS a, b.n AS b FROM ({inner.format(1)}) AS a CROSS JOIN ({inner.format(2)}) AS b"
    assert sql_engine.ask(select) == [{"a": 1, "b": 2}]


def test_a_table_of_two_words_can_be_called_otherwise():
    told = render("SELECT t.a, silver.t.b FROM silver.t", "spark", lambda name: name.replace(".", "__"))
    assert told == "SELECT t.a, t.b FROM silver__t AS t"
