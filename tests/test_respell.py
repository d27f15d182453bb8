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


HELD = "SELECT CAST(1 AS INT) AS k UNION ALL SELECT 2 UNION ALL SELECT NULL"
SETS = {  # what is looked in -> of 1, 2 and NULL, whether each is there
    "nothing": ("SELECT k FROM ({held}) AS held WHERE k > 5", [False, False, False]),
    "one": ("SELECT k FROM ({held}) AS held WHERE k = 1", [True, False, None]),
    "one and NULL": ("SELECT k FROM ({held}) AS held WHERE k IS NULL OR k = 1", [True, None, None]),
    "NULL": ("SELECT k FROM ({held}) AS held WHERE k IS NULL", [None, None, None]),
}


@pytest.mark.parametrize("of", SETS)
def test_what_is_in_a_select_is_true_false_or_null_alike_wherever_that_is_asked(of, sql_engine):
    select, there = SETS[of]
    inner = select.format(held=HELD)
    asked = f"""WITH held AS ({HELD})
SELECT k, k IN ({inner}) AS there, NOT k IN ({inner}) AS absent, CASE WHEN k IN ({inner}) THEN 1 ELSE 0 END AS one,
    (SELECT COUNT(*) FROM held WHERE NOT k IN ({inner})) AS away,
    (SELECT COUNT(*) FROM held WHERE k IN ({inner})) AS here
FROM held ORDER BY COALESCE(k, 9)"""
    rows = sql_engine.ask(asked)
    assert [row["there"] for row in rows] == there
    assert [row["absent"] for row in rows] == [None if one is None else not one for one in there]
    assert [row["one"] for row in rows] == [int(one is True) for one in there]
    assert {(row["away"], row["here"]) for row in rows} == {(there.count(False), there.count(True))}
    (counted,) = sql_engine.ask(f"SELECT COUNT(*) FILTER (WHERE NOT k IN ({inner})) AS n FROM ({HELD}) AS held")
    assert counted["n"] == there.count(False)


def test_a_column_named_x_is_the_one_of_its_own_select(sql_engine):
    asked = f"SELECT k, k IN (SELECT k + 1 AS x FROM ({HELD}) AS v WHERE k = 1) AS there FROM ({HELD}) AS held"
    named = asked.replace("SELECT k + 1 AS x FROM", "SELECT x FROM (SELECT k + 1 AS x, k FROM").replace(
        ") AS v WHERE k = 1)", ") AS v) AS w WHERE k = 1)"
    )
    for select in (asked, named):
        assert {row["k"]: row["there"] for row in sql_engine.ask(select)} == {1: False, 2: True, None: None}


def test_a_cte_within_is_the_one_of_its_own_select(sql_engine):
    inner = f"WITH c AS (SELECT k AS b FROM ({HELD}) AS v WHERE k > 5) SELECT b FROM c"
    asked = f"WITH c AS (SELECT 1 AS b) SELECT k IN ({inner}) AS none, k IN (SELECT b FROM c) AS one FROM ({HELD}) AS h"
    rows = sql_engine.ask(f"{asked} WHERE k = 1")
    assert rows == [{"none": False, "one": True}]


@pytest.mark.parametrize(
    "asked",
    [
        "SELECT id FROM {many} AS m WHERE NOT id IN (SELECT id FROM {many} AS other)",
        "SELECT COUNT(*) FILTER (WHERE NOT (id > 5 AND id IN (SELECT id FROM {many} AS other))) AS n FROM {many} AS m",
        "SELECT id, id IN (SELECT id FROM {many} AS other) OR id = 3 AS known FROM {many} AS m",
    ],
)
def test_spark_compares_no_row_with_each_other_row_to_see_what_is_in_a_select(asked, spark_session):
    many = "(SELECT CAST(id % 7 AS BIGINT) AS id FROM range(0, 1000))"
    spark = render(asked.format(many="many"), "spark").replace("many", many)
    plan_of = spark_session.sql(spark)._jdf.queryExecution().executedPlan().toString()
    assert "NestedLoop" not in plan_of
    assert "ExistenceJoin" in plan_of
