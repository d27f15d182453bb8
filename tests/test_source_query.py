"""The SQL that the reader writes, and the arithmetic of its windows. SQL Server, not at hand, is only here."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlsplit

import pyarrow as pa
import pytest

from carelake.source import sql_query, sql_watermark
from carelake.source.sql_connect import odbc, with_tls
from carelake.source.sql_query import Range, Relation
from carelake.source.sql_types import Dialect, Stored, reading
from carelake.source.sql_watermark import Kind, Unreadable, Window

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
CHANGED = Stored("changed", "datetime")
VISITS = Relation("tsql", "dbo", "visits", (Stored("id", "int"), Stored("paid", "decimal(18,2)"), CHANGED), ("id",))


def readings(relation: Relation) -> list[sql_query.Reading]:
    return [reading(relation.dialect, column) for column in relation.columns]


def test_sql_server_gives_a_window_with_exact_values() -> None:
    window = Window("changed", "datetime", "2026-03-11 12:00:00", "2026-03-01 07:45:00", "2026-03-01 08:00:00.0033333")
    assert sql_query.rows(VISITS, readings(VISITS), sql_query.within("tsql", window)) == (
        "SELECT [id] AS c0, CONVERT(NVARCHAR(MAX), [paid]) AS c1, CONVERT(VARCHAR(40), [changed], 121) AS c2 "
        "FROM [dbo].[visits] WHERE ("
        "[changed] >= CAST(N'2026-03-01 07:45:00' AS DATETIME2(7)) AND "
        "[changed] <= CAST(N'2026-03-01 08:00:00.0033333' AS DATETIME2(7)) OR [changed] IS NULL OR "
        "[changed] < CAST(N'1000-01-01' AS DATETIME2(7)) OR "
        "[changed] >= CAST(N'2026-03-11 12:00:00' AS DATETIME2(7)))"
    )


def test_sql_server_bounds_a_datetime_by_what_it_compares_as() -> None:
    sql = sql_query.upper(VISITS, Window("changed", "datetime", "2026-03-11 12:00:00"))
    assert sql.startswith("SELECT CONVERT(VARCHAR(33), CAST(MAX([changed]) AS DATETIME2(7)), 121) FROM [dbo].[visits]")


def test_a_rowversion_ends_before_the_first_transaction_that_is_still_open() -> None:
    window = Window("version", "rowversion", None, "0x0000000000000010", "0x00000000000007CF")
    assert "MIN_ACTIVE_ROWVERSION()) - 1" in sql_query.upper(VISITS, window)
    assert sql_query.within("tsql", window) == (
        "[version] >= 0x0000000000000010 AND [version] <= 0x00000000000007CF OR [version] IS NULL"
    )


def test_sql_server_walks_the_key_by_its_own_words() -> None:
    assert sql_query.boundary(VISITS, Range(VISITS.columns[0], "7"), 50) == (
        "SELECT CONVERT(NVARCHAR(MAX), [id]) FROM (SELECT [id] FROM [dbo].[visits] "
        "WHERE ([id] IS NOT NULL) AND ([id] > 7) ORDER BY [id] OFFSET 49 ROWS FETCH NEXT 1 ROWS ONLY) AS found"
    )


def test_sql_server_is_encrypted_unless_the_url_says_otherwise() -> None:
    parts = urlsplit("mssql://reader:p%7Dw@db.example:1444/ward")
    assert with_tls(parts).endswith("?encrypt=true&trust_server_certificate=false")
    assert odbc(parts) == (
        "SERVER={db.example,1444};DATABASE={ward};UID={reader};PWD={p}}w};Encrypt={yes};TrustServerCertificate={no};"
    )
    trusting = urlsplit("mssql://reader:pw@db/ward?trust_server_certificate=true")
    assert "encrypt=true&trust_server_certificate=true" in with_tls(trusting)
    assert "Encrypt={yes};TrustServerCertificate={yes};" in odbc(trusting)


@pytest.mark.parametrize(
    ("dialect", "quoted"),
    [
        ("postgres", "\"x\"\"; DROP\" > 'a''\\b'"),
        ("mysql", "`x\"; DROP` > 'a''\\\\b'"),
        ("tsql", "[x\"; DROP] > N'a''\\b'"),
    ],
)
def test_names_and_texts_cannot_end_their_quotes(dialect: Dialect, quoted: str) -> None:
    assert sql_query.inside(dialect, Range(Stored('x"; DROP', "varchar(9)"), "a'\\b")) == quoted


def test_sqlite_is_given_each_key_as_what_it_is() -> None:
    given = ["7", "'7'", "2.5", "'a''b'"]
    keys = [sql_query.inside("sqlite", Range(Stored("id", ""), one)) for one in given]
    assert keys == ['"id" > 7', "\"id\" > '7'", '"id" > 2.5', "\"id\" > 'a''b'"]


def test_a_number_that_is_none_is_refused_without_being_said() -> None:
    with pytest.raises(ValueError, match="not a number"):
        sql_query.inside("postgres", Range(Stored("id", "integer"), "7; DROP TABLE visits"))


def test_the_first_range_takes_the_rows_without_a_key_along_and_the_last_has_no_end() -> None:
    key = Stored("id", "integer")
    ranges = [Range(key, None, "4"), Range(key, "4", "8"), Range(key, "8"), Range(key)]
    assert [sql_query.inside("postgres", one) for one in ranges] == [
        '"id" <= 4 OR "id" IS NULL',
        '"id" > 4 AND "id" <= 8',
        '"id" > 8',
        None,
    ]


def test_a_heap_is_cut_into_stretches_that_leave_no_page_out() -> None:
    heap = Relation("postgres", "public", "visits", (), pages=10)
    assert sql_query.by_place(heap, 3) == [
        "ctid < '(3,0)'::tid",
        "ctid >= '(3,0)'::tid AND ctid < '(6,0)'::tid",
        "ctid >= '(6,0)'::tid",
    ]


@pytest.mark.parametrize(
    ("kind", "last", "lookback", "low"),
    [
        ("date", "2026-03-01", None, "2026-02-28"),
        ("date", "2026-03-01", "3", "2026-02-26"),
        ("date", "2026-03-01", "2 hours", "2026-02-28"),
        ("datetime", "2026-03-01 00:10:00.75", None, "2026-02-28 23:55:00"),
        ("instant", "2026-03-01 00:10:00.75+00", "1 week", "2026-02-22 00:10:00+00:00"),
        ("text", "2026-03-01", None, "2026-02-28"),
        ("text", "2026-03-01T00:10:30Z", "15 minutes", "2026-02-28T23:55"),
        ("text", "2026-03-01 00:10", "15 minutes", "2026-02-28 23:55"),
        ("integer", "1000", None, "1000"),
        ("integer", "1000.5", "10", "990.5"),
        ("rowversion", "0x00000000000007D0", None, "0x00000000000007D0"),
        ("rowversion", "0x00000000000007D0", "16", "0x00000000000007C0"),
    ],
)
def test_the_window_begins_a_lookback_before_the_last_watermark(
    kind: Kind, last: str, lookback: str | None, low: str
) -> None:
    assert sql_watermark.low(kind, last, lookback) == low


def test_a_bound_or_lookback_of_another_kind_is_refused() -> None:
    for kind, last, lookback in (("integer", "7", "1 day"), ("datetime", "2026-03-01", "7"), ("date", "7", None)):
        with pytest.raises(Unreadable):
            sql_watermark.low(kind, last, lookback)  # type: ignore[arg-type]


def test_the_future_begins_tomorrow_in_the_hospitals_own_time() -> None:
    kinds: list[Kind] = ["date", "datetime", "instant", "text", "integer"]
    assert [sql_watermark.cap(kind, NOW, "America/New_York") for kind in kinds] == [
        "2026-03-12",
        "2026-03-11 08:00:00",
        "2026-03-11 12:00:00+00:00",
        "2026-03-12",
        None,
    ]


def test_of_two_bounds_the_later_in_time_wins_however_it_is_written() -> None:
    assert sql_watermark.latest("integer", "9", "10") == "10"
    assert (
        sql_watermark.latest("instant", "2026-03-01 08:00:00+00", "2026-03-01 09:00:00+02:00")
        == "2026-03-01 08:00:00+00"
    )
    assert sql_watermark.latest("date", None, "2026-03-01") == "2026-03-01"
    assert sql_watermark.latest("date", None, None) is None


@pytest.mark.parametrize(
    ("dialect", "declared", "arrow"),
    [
        ("postgres", "numeric(18,2)", pa.decimal128(18, 2)),
        ("postgres", "numeric(28,10)", pa.decimal128(28, 10)),
        ("postgres", "numeric(29,10)", pa.string()),
        ("postgres", "numeric(18,11)", pa.string()),
        ("postgres", "numeric(3,-2)", pa.string()),
        ("postgres", "numeric(2,3)", pa.string()),
        ("postgres", "numeric", pa.string()),
        ("postgres", "numeric(18,2)[]", pa.string()),
        ("postgres", "timestamp(3) with time zone", pa.timestamp("us", "UTC")),
        ("mysql", "decimal(18,2) unsigned", pa.decimal128(18, 2)),
        ("mysql", "int(10) unsigned zerofill", pa.int64()),
        ("mysql", "enum('a)','int')", pa.string()),
        ("mysql", "datetime(6)", pa.string()),
        ("tsql", "decimal(18,2)", pa.decimal128(18, 2)),
        ("tsql", "money", pa.decimal128(19, 4)),
        ("tsql", "uniqueidentifier", pa.string()),
        ("sqlite", "DECIMAL(18,2)", pa.string()),
        ("sqlite", "BIGINT UNSIGNED", pa.int64()),
        ("sqlite", "", pa.string()),
    ],
)
def test_a_declared_type_has_one_arrow_type(dialect: Dialect, declared: str, arrow: pa.DataType) -> None:
    assert reading(dialect, Stored("x", declared)).type == arrow
    assert reading(dialect, Stored("x", declared), as_text=True).type == pa.string()
