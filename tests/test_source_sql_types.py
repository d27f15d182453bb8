"""Values at the edges of their types: none is changed without a word, and a column's type is the same at every load."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest
from servers import Source
from sql_feeds import a_feed, after, read

from carelake.errors import FileHeaderDrifted, SourceFailed, SourceTypeChanged


def test_postgresql_numbers_of_any_size_keep_every_digit(postgres_source: Source) -> None:
    postgres_source.run(
        "CREATE TABLE visits (id int, money numeric(18, 2), huge numeric(38, 2), long numeric(28, 0), tiny numeric)",
        "INSERT INTO visits VALUES (1, 9999999999999999.99, 1e20, 9999999999999999999999999999, 0.00000000001)",
        "INSERT INTO visits VALUES (2, -0.01, -7900000000000000001, 7900000000000000001, 'NaN')",
    )
    (pulled,) = read(a_feed(), postgres_source.url)
    assert pulled.rows == [
        {
            "id": 1,
            "money": Decimal("9999999999999999.99"),
            "huge": "100000000000000000000.00",
            "long": Decimal("9999999999999999999999999999"),
            "tiny": "0.00000000001",
        },
        {
            "id": 2,
            "money": Decimal("-0.01"),
            "huge": "-7900000000000000001.00",
            "long": Decimal("7900000000000000001"),
            "tiny": "NaN",
        },
    ]


def test_what_no_type_can_hold_is_null_and_counted_and_kept_as_text_on_request(postgres_source: Source) -> None:
    postgres_source.run(
        "CREATE TABLE visits (paid numeric(18, 2), owed numeric(28, 0), seen date, changed timestamp, "
        "sent timestamptz)",
        "INSERT INTO visits VALUES ('NaN', 'NaN', 'infinity', '-infinity', '20000-01-01')",
        "INSERT INTO visits VALUES (1, 2, '9999-12-31', '0001-01-01', '9999-12-31 23:59:59.999999+00')",
        "INSERT INTO visits VALUES (NULL, NULL, '0044-03-15 BC', NULL, '2026-01-01')",
    )
    (pulled,) = read(a_feed(), postgres_source.url)
    utc = datetime.UTC
    assert pulled.rows == [
        {"paid": None, "owed": None, "seen": None, "changed": None, "sent": None},
        {
            "paid": Decimal("1.00"),
            "owed": Decimal(2),
            "seen": datetime.date(9999, 12, 31),
            "changed": datetime.datetime(1, 1, 1),
            "sent": datetime.datetime(9999, 12, 31, 23, 59, 59, 999999, utc),
        },
        {"paid": None, "owed": None, "seen": None, "changed": None, "sent": datetime.datetime(2026, 1, 1, tzinfo=utc)},
    ]
    counted = [(1, "paid"), (1, "owed"), (2, "seen"), (1, "changed"), (1, "sent")]
    assert len(pulled.delivery.warnings) == len(counted)
    for warning, (many, column) in zip(pulled.delivery.warnings, counted, strict=True):
        assert f"{many} values of '{column}' cannot be written as" in warning
    told = {"paid": "text", "owed": "text", "seen": "text", "changed": "text", "sent": "text"}
    (as_text,) = read(a_feed(types=told), postgres_source.url)
    first = {
        "paid": "NaN",
        "owed": "NaN",
        "seen": "infinity",
        "changed": "-infinity",
        "sent": "20000-01-01 00:00:00+00",
    }
    assert as_text.rows[0] == first
    assert as_text.delivery.warnings == []


def test_postgresql_types_without_an_equal_are_text(postgres_source: Source) -> None:
    postgres_source.run(
        "CREATE TYPE mood AS ENUM ('calm', 'tense')",
        "CREATE DOMAIN amount AS numeric(9, 2)",
        """CREATE TABLE visits (
            at time, zoned timetz, took interval, paid money, half real, full_ double precision, tags text[],
            told jsonb, who uuid, felt mood, due amount, image bytea, code char(5),
            xml_ xml, sure boolean, sent timestamptz)""",
        """INSERT INTO visits VALUES (
            '24:00:00', '24:00:00+02', '1 day 02:03', 1234.5, 0.1, 988.3699951171875, '{a,b}', '{"a": 1}',
            'c0ffee00-0000-0000-0000-000000000001', 'calm', 12.5, '\\x01ff', 'ab', '<a>ö</a>', true,
            '2026-03-01 08:00:00.25+02')""",
    )
    (pulled,) = read(a_feed(), postgres_source.url)
    assert pulled.rows == [
        {
            "at": "24:00:00",
            "zoned": "24:00:00+02",
            "took": "1 day 02:03:00",
            "paid": "1234.50",
            "half": "0.1",
            "full_": "988.3699951171875",
            "tags": "{a,b}",
            "told": '{"a": 1}',
            "who": "c0ffee00-0000-0000-0000-000000000001",
            "felt": "calm",
            "due": Decimal("12.50"),
            "image": "01ff",
            "code": "ab",
            "xml_": "<a>ö</a>",
            "sure": True,
            "sent": datetime.datetime(2026, 3, 1, 6, 0, 0, 250000, datetime.UTC),
        }
    ]


def test_mariadb_values_keep_every_digit_and_bit(mariadb_source: Source) -> None:
    mariadb_source.run(
        """CREATE TABLE visits (
            small tinyint, large bigint unsigned, paid decimal(18, 2), huge decimal(38, 2), half float, full_ double,
            flags bit(5), image varbinary(5), took time, sent timestamp(3) NULL, felt enum('calm', 'tense'), told json,
            note varchar(9) COLLATE utf8mb4_bin, code char(3) CHARACTER SET latin1)""",
        """INSERT INTO visits VALUES (
            -1, 18446744073709551615, 9999999999999999.99, 100000000000000000000, 123456.78, 988.3699951171875,
            b'10101', x'01ff', '-838:59:59', '2026-03-01 08:00:00.25', 'calm', '{"a": 1}', 'Zoë', 'é')""",
    )
    (pulled,) = read(a_feed(), mariadb_source.url)
    assert pulled.rows == [
        {
            "small": -1,
            "large": Decimal("18446744073709551615"),
            "paid": Decimal("9999999999999999.99"),
            "huge": "100000000000000000000.00",
            "half": "123456.78",
            "full_": "988.3699951171875",
            "flags": "21",
            "image": "01ff",
            "took": "-838:59:59",
            "sent": "2026-03-01 08:00:00.250+00",
            "felt": "calm",
            "told": '{"a": 1}',
            "note": "Zoë",
            "code": "é",
        }
    ]


def test_mariadb_dates_that_cannot_be_stay_as_they_are_and_nothing_prints_them(
    mariadb_source: Source, capfd: pytest.CaptureFixture[str]
) -> None:
    mariadb_source.run(
        "SET sql_mode = ''",
        "CREATE TABLE visits (id int PRIMARY KEY, seen date, changed datetime)",
        "INSERT INTO visits VALUES (1, '0000-00-00', '0000-00-00 00:00:00'), (2, '2026-03-01', '2026-03-01 08:00:00')",
    )
    feed = a_feed(load="watermark", watermark="changed")
    (first,) = read(feed, mariadb_source.url)
    assert first.rows[0] == {"id": 1, "seen": "0000-00-00", "changed": "0000-00-00 00:00:00"}
    assert first.delivery.watermark_to == "2026-03-01 08:00:00"
    (second,) = read(feed, mariadb_source.url, after(first))
    assert second.ids() == [1, 2], "a row without a place in time is read each time"
    told = capfd.readouterr()
    assert "0000-00-00" not in told.out + told.err


def test_sqlite_gives_amounts_as_text_with_all_their_digits(sqlite_source: Source) -> None:
    sqlite_source.run(
        "CREATE TABLE visits (paid REAL, due NUMERIC(18, 2), image BLOB, count INTEGER, note TEXT, loose)",
        "INSERT INTO visits VALUES (988.3699951171875, 100, x'01ff', 9223372036854775807, '0.10', 2.5)",
        "INSERT INTO visits VALUES (0.1, 0.30000000000000004, NULL, -1, x'ff', NULL)",
        "INSERT INTO visits VALUES (100, 'n/a', '', NULL, NULL, 'free')",
    )
    (pulled,) = read(a_feed(), sqlite_source.url)
    assert pulled.rows == [
        {
            "paid": "988.3699951171875",
            "due": "100",
            "image": "01ff",
            "count": 2**63 - 1,
            "note": "0.10",
            "loose": "2.5",
        },
        {"paid": "0.1", "due": "0.30000000000000004", "image": None, "count": -1, "note": "ff", "loose": None},
        {"paid": "100", "due": "n/a", "image": "", "count": None, "note": None, "loose": "free"},
    ]


def test_a_sqlite_column_of_whole_numbers_that_holds_text_is_text_and_stays_it(sqlite_source: Source) -> None:
    sqlite_source.run(
        "CREATE TABLE visits (id INTEGER PRIMARY KEY, room INTEGER)", "INSERT INTO visits VALUES (1, 'B7')"
    )
    (first,) = read(a_feed(), sqlite_source.url)
    sqlite_source.run("UPDATE visits SET room = 7")
    (second,) = read(a_feed(), sqlite_source.url, after(first))
    assert (first.rows, second.rows) == ([{"id": 1, "room": "B7"}], [{"id": 1, "room": "7"}])
    sqlite_source.run("CREATE TABLE rooms (id INTEGER)", "INSERT INTO rooms VALUES (1)")
    (whole,) = read(a_feed("rooms"), sqlite_source.url)
    sqlite_source.run("INSERT INTO rooms VALUES ('B7')")
    with pytest.raises(SourceTypeChanged, match="column 'id' was int64 and is string"):
        read(a_feed("rooms"), sqlite_source.url, after(whole))


def test_sqlite_text_that_is_not_utf8_is_refused_by_the_name_of_its_column(sqlite_source: Source) -> None:
    sqlite_source.run("CREATE TABLE visits (who TEXT)", "INSERT INTO visits VALUES (CAST(x'5a6feb' AS TEXT))")
    with pytest.raises(SourceFailed, match="column 'who' holds text that is not UTF-8") as refused:
        read(a_feed(), sqlite_source.url)
    assert "Zo" not in str(refused.value)


def test_a_column_of_nothing_keeps_its_type(source: Source) -> None:
    source.run("CREATE TABLE visits (id int PRIMARY KEY, paid numeric(18, 2), seen date, note varchar(9))")
    (empty,) = read(a_feed(), source.url)
    source.run("INSERT INTO visits VALUES (1, NULL, NULL, NULL)")
    (nulls,) = read(a_feed(), source.url, after(empty))
    source.run("INSERT INTO visits VALUES (2, 1.5, '2026-03-01', 'x')")
    (filled,) = read(a_feed(), source.url, after(nulls))
    assert empty.delivery.schema == nulls.delivery.schema == filled.delivery.schema
    assert len(filled.rows) == 2


def test_a_column_that_turned_from_number_to_text_is_refused_until_the_feed_accepts_it(source: Source) -> None:
    source.run("CREATE TABLE visits (id int, room int)")
    (first,) = read(a_feed(), source.url)
    room = source.quoted("Room")
    source.run("DROP TABLE visits", f"CREATE TABLE visits (id int, {room} varchar(9))")
    source.run("INSERT INTO visits VALUES (1, 'B7')")
    with pytest.raises(SourceTypeChanged, match=r"'Room' was int\d\d and is string") as refused:
        read(a_feed(), source.url, after(first))
    assert "types: {Room: text}" in str(refused.value)
    (accepted,) = read(a_feed(types={"room": "text"}), source.url, after(first))
    assert accepted.rows == [{"id": 1, "Room": "B7"}]


def test_a_type_that_grew_is_accepted(postgres_source: Source) -> None:
    postgres_source.run("CREATE TABLE visits (id int, room smallint, paid numeric(9, 2), seen date, due int)")
    (first,) = read(a_feed(), postgres_source.url)
    postgres_source.run(
        "ALTER TABLE visits ALTER room TYPE bigint, ALTER paid TYPE numeric(18, 4), ALTER seen TYPE timestamp, "
        "ALTER due TYPE numeric(9, 2)"
    )
    assert read(a_feed(), postgres_source.url, after(first))
    postgres_source.run("ALTER TABLE visits ALTER seen TYPE date")
    (later,) = read(a_feed(), postgres_source.url)
    postgres_source.run("ALTER TABLE visits ALTER seen TYPE timestamptz")
    with pytest.raises(SourceTypeChanged, match="'seen' was date32"):
        read(a_feed(), postgres_source.url, after(later))


def test_new_and_vanished_columns_pass_where_the_contract_lets_them(source: Source) -> None:
    source.run("CREATE TABLE visits (id int, room int)")
    (first,) = read(a_feed(), source.url)
    source.run("DROP TABLE visits", "CREATE TABLE visits (id int, ward int)", "INSERT INTO visits VALUES (1, 2)")
    (second,) = read(a_feed(), source.url, after(first))
    assert second.rows == [{"id": 1, "ward": 2}]
    assert ["'room' is gone" in warning for warning in second.delivery.warnings] == [True]
    with pytest.raises(FileHeaderDrifted, match="new: ward; gone: room"):
        read(a_feed(contract="freeze"), source.url, after(first))
