"""A function is allowed when this page shows its value, and every engine agrees."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from math import floor

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from carelake import sql

AS_OF = date(2026, 2, 28)
STAY = """(
    SELECT 'a' AS k, CAST('2026-01-05' AS DATE) AS d, 2 AS n, CAST(NULL AS TEXT) AS x
    UNION ALL SELECT 'a', CAST('2026-02-04' AS DATE), 3, ' 036 '
) AS stay"""
BY_DAY = "OVER (PARTITION BY k ORDER BY d)"
AT_NINE = "CAST('2026-02-04 09:00:00' AS TIMESTAMP)"
RATIO = (
    "CAST(FLOOR(CAST({a} * 1000000 AS DOUBLE) / CAST(NULLIF({b}, 0) * 100 AS DOUBLE) + 0.5) AS DECIMAL(18, 0)) * 0.0001"
)

VALUES = [
    ("CAST", "MAX(CAST('1.005' AS DECIMAL(18, 2)))", Decimal("1.01")),
    ("CAST", "MAX(CAST('-1.005' AS DECIMAL(18, 2)))", Decimal("-1.01")),
    ("CAST", "MAX(CAST('988.3699951171875' AS DECIMAL(18, 2)))", Decimal("988.37")),
    ("CAST", "MAX(CAST(CAST('-2.5' AS DECIMAL(18, 0)) AS BIGINT))", -3),
    ("CAST", "MAX(CAST(CAST('1.50' AS DECIMAL(18, 2)) AS TEXT))", "1.50"),
    ("CAST", "MAX(CAST(n AS TEXT))", "3"),
    ("CAST", "MAX(CAST(d AS TEXT))", "2026-02-04"),
    ("CAST", "MAX(CAST('2026-02-04' AS DATE))", date(2026, 2, 4)),
    ("CAST", f"MAX(CAST({AT_NINE} AS DATE))", date(2026, 2, 4)),
    ("CAST", f"MAX({AT_NINE})", datetime(2026, 2, 4, 9)),
    ("CAST", "MAX(CAST('2026-02-04 09:00:00+02' AS TIMESTAMPTZ))", datetime(2026, 2, 4, 7)),
    ("CAST", "MAX(CASE WHEN CAST('true' AS BOOLEAN) THEN 1 END)", 1),
    ("COALESCE", "MIN(COALESCE(x, 'none'))", " 036 "),
    ("COUNT", "COUNT(x)", 1),
    ("COUNT", "COUNT(*)", 2),
    ("COUNT", "COUNT(DISTINCT k)", 1),
    ("DATEDIFF", "MAX(DATE_DIFF('day', d, $as_of))", 54),
    ("DATEDIFF", f"MAX(DATE_DIFF('day', {AT_NINE}, CAST('2026-02-05 01:00:00' AS TIMESTAMP)))", 1),
    ("DAY", "MAX(DAY(d))", 5),
    ("FLOOR", f"MAX({RATIO.format(a='n', b='1.5')})", Decimal("2.0000")),
    ("FLOOR", f"MAX({RATIO.format(a='1', b='800')})", Decimal("0.0013")),  # 0.00125 is a tie
    ("FLOOR", f"MAX({RATIO.format(a='-1', b='3')})", Decimal("-0.3333")),
    ("FLOOR", f"MAX({RATIO.format(a='n', b='0')})", None),
    ("GREATEST", "MAX(GREATEST(x, '1'))", "1"),
    ("GREATEST", "MIN(GREATEST(n, 1, NULL))", 2),
    ("LEAST", "MAX(LEAST(n, NULL, 9))", 3),
    ("LEFT", "MAX(LEFT(TRIM(x), 2))", "03"),
    ("LEFT", "MAX(LEFT('é日😀x', 3))", "é日😀"),
    ("LEFT", "MAX(LEFT(CAST(d AS TEXT), 7))", "2026-02"),
    ("LENGTH", "MAX(LENGTH(x))", 5),
    ("LENGTH", "MAX(LENGTH('é日😀'))", 3),
    ("MAX", "MAX(d)", date(2026, 2, 4)),
    ("MAX", "MAX(CASE WHEN n = 2 THEN 'Zoe' ELSE 'adam' END)", "adam"),
    ("MIN", "MIN(d)", date(2026, 1, 5)),
    ("MONTH", "MAX(MONTH(d))", 2),
    ("NULLIF", "MAX(NULLIF(n, 3))", 2),
    ("REGEXP_EXTRACT", "MAX(REGEXP_EXTRACT('Elk, AK 99809', '([A-Z]{2}) ([0-9]{5})', 2))", "99809"),
    ("REGEXP_EXTRACT", "MAX(REGEXP_EXTRACT('a.b.c', '\\.(\\w)$', 1))", "c"),
    ("REGEXP_EXTRACT", "MAX(REGEXP_EXTRACT('AK', '([0-9]{5})', 1))", ""),
    ("REGEXP_EXTRACT", "MAX(REGEXP_EXTRACT('99809', '([0-9]{5})(-[0-9]{4})?$', 2))", ""),
    ("REGEXP_LIKE", "MAX(CASE WHEN REGEXP_MATCHES(x, '[0-9]{3}') THEN 'yes' END)", "yes"),
    ("REGEXP_LIKE", "MAX(CASE WHEN REGEXP_MATCHES('99809\n', '^[0-9]{5}$') THEN 'yes' ELSE 'no' END)", "no"),
    ("REGEXP_LIKE", "MAX(CASE WHEN REGEXP_MATCHES('5$', '^[$0-9]+\\$$') THEN 'yes' ELSE 'no' END)", "yes"),
    ("REPLACE", "MAX(REPLACE(x, '0', 'o'))", " o36 "),
    ("RIGHT", "MAX(RIGHT(TRIM(x), 2))", "36"),
    ("RIGHT", "MAX(RIGHT('é日😀x', 2))", "😀x"),
    ("ROUND", "MAX(ROUND(CAST('2.345' AS DECIMAL(18, 3)), 2))", Decimal("2.35")),
    ("ROUND", "MAX(ROUND(CAST('-2.345' AS DECIMAL(18, 3)), 2))", Decimal("-2.35")),
    ("STR_TO_TIME", "MAX(STRPTIME('2/4/2026', '%m/%d/%Y'))", datetime(2026, 2, 4)),
    ("STR_TO_TIME", "MAX(STRPTIME(' 2026-02-04 ', '%Y-%m-%d'))", datetime(2026, 2, 4)),
    ("SUM", "SUM(n)", 5),
    ("SUM", "SUM(CAST('0.10' AS DECIMAL(18, 2)))", Decimal("0.20")),
    ("TRIM", "MAX(TRIM(x))", "036"),
    ("TRIM", "MAX(TRIM('\t036 '))", "\t036"),
    ("TRY_CAST", "MAX(TRY_CAST(' 12.505 ' AS DECIMAL(18, 2)))", Decimal("12.51")),
    ("TRY_CAST", "MAX(TRY_CAST('1e3' AS DECIMAL(18, 2)))", Decimal("1000.00")),
    ("TRY_CAST", "MAX(TRY_CAST('1,000' AS DECIMAL(18, 2)))", None),
    ("TRY_CAST", "MAX(TRY_CAST('NaN' AS DECIMAL(18, 2)))", None),
    ("TRY_CAST", "MAX(TRY_CAST('99999999999999999' AS DECIMAL(18, 2)))", None),
    ("TRY_CAST", "MAX(TRY_CAST(TRY_CAST('1.5' AS DECIMAL(18, 0)) AS BIGINT))", 2),
    ("TRY_CAST", "MAX(CASE WHEN TRY_CAST('Y' AS BOOLEAN) THEN 1 END)", 1),
    ("TRY_CAST", "COUNT(TRY_CAST('nein' AS BOOLEAN))", 0),
    ("YEAR", "MIN(YEAR(d))", 2026),
]
DATES = [  # a text, the format it is read in, what it is
    ("2026-02-04", "%Y-%m-%d", datetime(2026, 2, 4)),
    ("2026-2-4", "%Y-%m-%d", datetime(2026, 2, 4)),
    ("2026-02", "%Y-%m-%d", None),
    ("2026-02-30", "%Y-%m-%d", None),
    ("2026-02-04x", "%Y-%m-%d", None),
    ("", "%Y-%m-%d", None),
    ("20260204", "%Y%m%d", datetime(2026, 2, 4)),
    ("2026/02/04", "%Y/%m/%d", datetime(2026, 2, 4)),
    ("2/4/2026", "%m/%d/%Y", datetime(2026, 2, 4)),
    ("4.2.2026", "%d.%m.%Y", datetime(2026, 2, 4)),
    ("2026-02-04 09:05:00", "%Y-%m-%d %H:%M:%S", datetime(2026, 2, 4, 9, 5)),
    ("2026-02-04 24:00:00", "%Y-%m-%d %H:%M:%S", None),
    ("2026-02-04T09:05:00", "%Y-%m-%dT%H:%M:%S", datetime(2026, 2, 4, 9, 5)),
    ("2/4/2026 9:05:00", "%m/%d/%Y %H:%M:%S", datetime(2026, 2, 4, 9, 5)),
]
OPERATORS = [
    ("d + 30", [date(2026, 2, 4), date(2026, 3, 6)]),
    ("d - 5", [date(2025, 12, 31), date(2026, 1, 30)]),
    ("d + (n * 10)", [date(2026, 1, 25), date(2026, 3, 6)]),
    ("n % 2", [0, 1]),
    ("-n", [-2, -3]),
    ("n * 0.5", [Decimal("1.0"), Decimal("1.5")]),
    ("CAST('0.10' AS DECIMAL(18, 2)) * n", [Decimal("0.20"), Decimal("0.30")]),
    ("k || '-' || x", [None, "a- 036 "]),
    ("CASE WHEN x IN ('a', NULL) THEN 'in' ELSE 'out' END", ["out", "out"]),
    ("CASE WHEN NOT x IS NULL THEN TRUE ELSE FALSE END", [False, True]),
    ("CASE WHEN d BETWEEN '2026-01-06' AND $as_of THEN 'yes' END", [None, "yes"]),
    ("CASE WHEN k = 'A' OR k = 'a ' THEN 1 END", [None, None]),
]
WINDOWS = [
    ("LAG", f"LAG(n) {BY_DAY}", [None, 2]),
    ("LEAD", f"LEAD(n) {BY_DAY}", [3, None]),
    ("RANK", "RANK() OVER (ORDER BY k)", [1, 1]),
    ("ROW_NUMBER", f"ROW_NUMBER() {BY_DAY}", [1, 2]),
    ("ROW_NUMBER", "ROW_NUMBER() OVER (ORDER BY x)", [2, 1]),  # NULLs come last
    ("ROW_NUMBER", "ROW_NUMBER() OVER (ORDER BY x DESC)", [2, 1]),
    ("SUM", f"SUM(n) {BY_DAY}", [2, 5]),
    ("SUM", "SUM(n) OVER (PARTITION BY k ORDER BY k)", [5, 5]),  # those of one place are summed together
]


@pytest.mark.parametrize(("function", "expression", "value"), VALUES)
def test_a_function_has_one_value_on_every_engine(sql_engine, function, expression, value):
    assert not sql.refused_in_select(f"SELECT {expression} AS answer FROM stay")
    (row,) = sql_engine.ask(f"SELECT {expression} AS answer FROM {STAY}", AS_OF)
    assert naive(row["answer"]) == value


@pytest.mark.parametrize(("text", "form", "value"), DATES)
def test_a_date_in_a_text_is_read_alike_or_is_none(sql_engine, text, form, value):
    expression = f"TRY_STRPTIME('{text}', '{form}')"
    assert not sql.refused_in_expression(expression)
    (row,) = sql_engine.ask(f"SELECT {expression} AS answer")
    assert naive(row["answer"]) == value


@pytest.mark.parametrize(("expression", "values"), OPERATORS)
def test_an_operator_has_one_value_on_every_engine(sql_engine, expression, values):
    assert not sql.refused_in_expression(expression)
    rows = sql_engine.ask(f"SELECT n AS place, {expression} AS answer FROM {STAY} ORDER BY place", AS_OF)
    assert [row["answer"] for row in rows] == values


@pytest.mark.parametrize(("function", "expression", "values"), WINDOWS)
def test_a_window_has_one_value_on_every_engine(sql_engine, function, expression, values):
    assert not sql.refused_in_select(f"SELECT {expression} AS answer FROM stay")
    rows = sql_engine.ask(f"SELECT n AS place, {expression} AS answer FROM {STAY} ORDER BY place")
    assert [row["answer"] for row in rows] == values


def test_no_function_is_allowed_without_its_value():
    assert {name for name, *_ in VALUES + WINDOWS} == {function.sql_name() for function in sql.FUNCTIONS}
    assert {form for _, form, _ in DATES} == set(sql.FORMATS)


CENTS = st.integers(-99_999_999_999, 99_999_999_999)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=st.lists(st.tuples(CENTS, CENTS | st.integers(1, 20_000)), min_size=20, max_size=50))
@example(pairs=[(1, 80_000), (-1, 80_000), (3, 80_000), (1, 16), (1, 32), (7, 0), (99_999_999_999, 1)])
def test_a_ratio_is_exact_to_four_places_half_up_on_every_engine(sql_engine, pairs):
    ratio = RATIO.format(a="CAST(a AS DECIMAL(38, 2))", b="CAST(b AS DECIMAL(38, 2))")
    told = [
        f"SELECT {n} AS place, '{Decimal(a) / 100}' AS a, '{Decimal(b) / 100}' AS b" for n, (a, b) in enumerate(pairs)
    ]
    rows = sql_engine.ask(f"SELECT {ratio} AS answer FROM ({' UNION ALL '.join(told)}) AS pairs ORDER BY place")
    exact = [floor(Fraction(a * 10000, b) + Fraction(1, 2)) if b else None for a, b in pairs]
    assert [row["answer"] for row in rows] == [None if whole is None else Decimal(whole) / 10000 for whole in exact]


@pytest.mark.parametrize(
    ("select", "found", "instead"),
    [
        ("SELECT CURRENT_DATE AS today", "CURRENT_DATE", "$as_of"),
        ("SELECT now() AS today", "NOW", "$as_of"),
        ("SELECT $today AS today", "PLACEHOLDER", "$as_of"),
        ("SELECT DATE_DIFF('year', a, b) AS age FROM t", "DATEDIFF", "DATE_DIFF('day', from, to)"),
        ("SELECT b - a AS days FROM t", "SUB", "DATE_DIFF('day', from, to)"),
        ("SELECT a + INTERVAL 30 DAY AS due FROM t", "INTERVAL", "d + 30"),
        ("SELECT CAST(1.5 AS INT) AS two", "CAST", "CAST(x AS DATE)"),
        ("SELECT CAST(a AS BIGINT) AS two FROM t", "CAST", "CAST(CAST(x AS DECIMAL(18, 0)) AS BIGINT)"),
        ("SELECT CAST(a AS DOUBLE) AS two FROM t", "CAST", "DECIMAL"),
        ("SELECT TRY_CAST(a AS DATE) AS day FROM t", "TRY_CAST", "CAST(TRY_STRPTIME(x, '%Y-%m-%d') AS DATE)"),
        ("SELECT TRY_CAST(a AS BIGINT) AS two FROM t", "TRY_CAST", "TRY_CAST(x AS DECIMAL(18, 2))"),
        ("SELECT STRPTIME(a, '%c') AS day FROM t", "STR_TO_TIME", "%m/%d/%Y"),
        ("SELECT TRY_STRPTIME(a, b) AS day FROM t", "TRY_STRPTIME", "%m/%d/%Y"),
        ("SELECT a / b AS share FROM t", "DIV", "CAST(NULLIF(b, 0) * 100 AS DOUBLE)"),
        ("SELECT a // b AS share FROM t", "INTDIV", "CAST(NULLIF(b, 0) * 100 AS DOUBLE)"),
        ("SELECT FLOOR(a) AS whole FROM t", "FLOOR", "CAST(NULLIF(b, 0) * 100 AS DOUBLE)"),
        ("SELECT ROUND(a, 2) AS whole FROM t", "ROUND", "ROUND(CAST(x AS DECIMAL(18, 4)), 2)"),
        ("SELECT AVG(a) AS middle FROM t", "AVG", "CAST(NULLIF(b, 0) * 100 AS DOUBLE)"),
        ("SELECT MEDIAN(a) AS middle FROM t", "MEDIAN", "MIN(x)"),
        ("SELECT MAX(a, 3) AS most FROM t", "MAX", "MAX(x)"),
        ("SELECT LIST(a ORDER BY b) AS all_of_them FROM t", "ARRAY_AGG", "MIN(x)"),
        ("SELECT UPPER(a) AS loud FROM t", "UPPER", "spellings"),
        ("SELECT LEFT(a, LENGTH(a) - 3) AS start FROM t", "LEFT", "LEFT(x, 3)"),
        ("SELECT RIGHT(a, -1) AS rest FROM t", "RIGHT", "RIGHT(x, 4)"),
        ("SELECT SUBSTRING(a, 0, 2) AS start FROM t", "SUBSTRING", "LEFT(x, 3)"),
        ("SELECT TRIM(a, 'x') AS bare FROM t", "TRIM", "TRIM(x)"),
        ("SELECT REGEXP_MATCHES(a, b) AS same FROM t", "REGEXP_LIKE", "REGEXP_MATCHES(x, pattern)"),
        ("SELECT a LIKE 'b%' AS same FROM t", "LIKE", "REGEXP_MATCHES(x, pattern)"),
        ("SELECT * FROM t", "STAR", "the columns, by name"),
        ("FROM t", "STAR", "the columns, by name"),
        ("SELECT a FROM t LIMIT 3", "LIMIT", "MIN(x)"),
        ("SELECT a FROM t GROUP BY ALL", "GROUP", "MIN(x)"),
        ("SELECT a FROM t FULL JOIN u ON a = b", "JOIN", "LEFT JOIN"),
        ("SELECT a FROM t SEMI JOIN u ON a = b", "JOIN", "LEFT JOIN"),
        ("SELECT a FROM t ASOF JOIN u ON a >= b", "JOIN", "LEFT JOIN"),
        ("SELECT a FROM t UNION ALL BY NAME SELECT a FROM u", "UNION", "MIN(x)"),
        ("SELECT a FROM (SELECT a FROM t) AS u", "SUBQUERY", "a CTE"),
        ("SELECT a FROM t WHERE a IN (SELECT a FROM u)", "SUBQUERY", "a CTE"),
        ("WITH RECURSIVE u AS (SELECT a FROM t) SELECT a FROM u", "WITH", "MIN(x)"),
        ("SELECT a FROM read_parquet('x')", "READ_PARQUET", "MIN(x)"),
        ("SELECT a FROM 'x.parquet'", "TABLE", "MIN(x)"),
        ("SELECT a FROM range(3)", "GENERATE_SERIES", "MIN(x)"),
        ("SELECT SUM(a) OVER (ROWS 2 PRECEDING) AS few FROM t", "WINDOWSPEC", "MIN(x)"),
        ("SELECT a FROM t; SELECT b FROM t", "what is not one SELECT", "one that DuckDB understands"),
        ("SELECT FROM WHERE", "what is not one SELECT", "one that DuckDB understands"),
        ("a + b", "ADD", "MIN(x)"),
        ("DELETE FROM t", "DELETE", "MIN(x)"),
    ],
)
def test_what_is_not_allowed_is_named_with_what_to_use(select, found, instead):
    refused = sql.refused_in_select(select)
    assert any(name.startswith(found) and instead in use for name, use in refused), refused


@pytest.mark.parametrize(
    "select",
    [
        "WITH stay AS (SELECT a, b FROM t) SELECT DISTINCT a FROM stay LEFT JOIN u ON stay.a = u.a WHERE b > $as_of",
        "SELECT a, COUNT(*) AS n FROM t CROSS JOIN u GROUP BY a HAVING COUNT(*) > 1 UNION ALL SELECT b, 1 FROM v",
        "SELECT CAST(-1 AS BIGINT) AS k, CAST(NULL AS BIGINT) AS n, CAST(NULL AS DATE) AS d",
        "SELECT CAST(YEAR(d) * 10000 + MONTH(d) * 100 + DAY(d) AS BIGINT) AS k FROM t",
        "SELECT CAST(SUM(CASE WHEN a = b THEN 1 ELSE 0 END) AS BIGINT) AS n FROM t",
        "SELECT CAST(a AS DECIMAL(18, 2)) - SUM(b) AS rest FROM t GROUP BY a",
    ],
)
def test_what_marts_need_is_allowed(select):
    assert not sql.refused_in_select(select)


@pytest.mark.parametrize(
    "expression",
    [
        "EXISTS (SELECT 1 FROM vault.token)",
        "(SELECT 1 FROM vault.token)",
        "1 FROM vault.token) --",
        "a) + (b",
        "a AS b",
        "a, b",
        "a -- and no more",
        "*",
        "SUM(a) > 3",
        "LAG(a) OVER (ORDER BY b) = a",
    ],
)
def test_a_rule_is_one_value_of_one_row(expression):
    assert sql.refused_in_expression(expression)
    assert not sql.refused_in_expression("discharged_on >= admitted_on AND visit_date <= $as_of")


def test_the_columns_and_relations_of_a_select_are_known_by_name():
    select = """
        WITH stay AS (SELECT a FROM silver.encounter), claim AS (SELECT b FROM silver.claim AS c)
        SELECT stay.a, SUM(b) AS total FROM stay LEFT JOIN claim ON a = b CROSS JOIN "gold"."dim_date" GROUP BY stay.a
        UNION ALL SELECT a, 0 FROM stay"""
    assert sql.columns_of(select) == ["a", "total"]
    assert sql.tables_of(select) == ["gold.dim_date", "silver.claim", "silver.encounter"]


def naive(value: object) -> object:
    """Engines differ on whether a timestamp carries a zone; its wall clock is the same."""
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value
