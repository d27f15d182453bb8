"""Safe Harbor, case by case: ages, leap days, ZIPs of every kind and years, alike on every engine."""

from __future__ import annotations

from datetime import date

import pytest
from sql_engines import SqlEngine

from carelake import declare, privacy, treatments

DAY = date(2026, 2, 28)  # the day of the extract: of a year without a 29 February

AGES = [  # born, and what may be told on that day
    ("2026-02-28", "0"), ("2026-02-27", "0"), ("2025-03-01", "0"), ("2025-02-28", "1"), ("2024-02-29", "1"),
    ("2024-02-28", "2"), ("2026-03-01", None), ("2030-01-01", None), (None, None), ("1986-02-28", "40"),
    ("1938-03-01", "87"), ("1938-02-28", "88"), ("1937-12-31", "88"), ("1937-03-01", "88"), ("1937-02-28", "89"),
    ("1936-12-31", "89"), ("1936-03-01", "89"), ("1936-02-29", "89"), ("1936-02-28", "90+"), ("1936-02-27", "90+"),
    ("1936-01-01", "90+"), ("1935-12-31", "90+"), ("1935-02-28", "90+"), ("1926-02-28", "90+"), ("1899-12-31", "90+"),
    ("1900-01-01", "90+"), ("1908-02-29", "90+"),
]  # fmt: skip
LEAP = [  # born on a 29 February, the day of the extract, and the age
    ("1936-02-29", date(2026, 2, 28), "89"), ("1936-02-29", date(2026, 3, 1), "90+"),
    ("1936-02-29", date(2024, 2, 28), "87"), ("1936-02-29", date(2024, 2, 29), "88"),
    ("2000-02-29", date(2001, 2, 28), "0"), ("2000-02-29", date(2001, 3, 1), "1"),
]  # fmt: skip
ZIPS = [
    ("02139", "021"), ("02139-4307", "021"), ("021394307", "021"), ("10001", "100"), ("99950", "999"),
    ("03601", "000"), ("05901", "000"), ("06390", "000"), ("10201", "000"), ("20301", "000"), ("55601", "000"),
    ("69201", "000"), ("79001", "000"), ("82101", "000"), ("82301", "000"), ("83001", "000"), ("83101", "000"),
    ("87801", "000"), ("87901", "000"), ("88401", "000"), ("89001", "000"), ("89301", "000"),  # the list of 2000
    ("20501", "000"), ("36901", "000"),  # of 2010
    ("09001", "000"), ("09899", "000"), ("34001", "000"), ("96201", "000"), ("96699", "000"),  # military posts
    ("2139", "000"), ("021390", "000"), ("0213a", "000"), (" 02139", "000"), ("02139 ", "000"), ("02139-43", "000"),
    ("", "000"), (None, "000"), ("K1A 0B1", "000"), ("00000-0000", "000"),
]  # fmt: skip


def values(rows: list[tuple[int, str | None]]) -> str:
    """The rows as a SELECT of `n` and `v`."""
    told = (f"SELECT {n} AS n, {'NULL' if v is None else chr(39) + v + chr(39)} AS v" for n, v in rows)
    return " UNION ALL ".join(told)


def asked(engine: SqlEngine, expression: str, given: list[str | None], kind: str, day: date) -> list[object]:
    rows = values(list(enumerate(given)))
    cast = f"SELECT n, CAST(v AS {kind}) AS v FROM ({rows}) AS told"
    found = engine.ask(f"SELECT n, {expression} AS shown FROM ({cast}) AS typed ORDER BY n", day)
    return [row["shown"] for row in found]


def test_there_are_more_than_sixty_cases() -> None:
    assert len(AGES) + len(LEAP) + len(ZIPS) >= 60


def test_an_age_above_89_is_90_or_older_and_89_stays_89(sql_engine: SqlEngine) -> None:
    told = asked(sql_engine, treatments.age("v"), [born for born, _ in AGES], "DATE", DAY)
    assert dict(zip(AGES, told, strict=True)) == {case: case[1] for case in AGES}


@pytest.mark.parametrize(("born", "day", "age"), LEAP)
def test_who_was_born_on_a_leap_day_is_older_from_the_first_of_march(sql_engine, born, day, age) -> None:
    assert asked(sql_engine, treatments.age("v"), [born], "DATE", day) == [age]


def test_a_zip_is_three_digits_or_three_noughts(sql_engine: SqlEngine, tmp_path) -> None:
    sparse = declare.read_page(declare.shipped() / "privacy.yml").plain().says["sparse_zip3"]
    told = asked(sql_engine, treatments.zip3("v", sparse), [zip_ for zip_, _ in ZIPS], "TEXT", DAY)
    assert dict(zip(ZIPS, told, strict=True)) == {case: case[1] for case in ZIPS}


def test_where_it_is_known_which_areas_have_people_all_others_are_three_noughts(sql_engine: SqlEngine) -> None:
    expression = treatments.zip3("v", ["036"], ["021", "036"])
    assert asked(sql_engine, expression, ["02139", "10001", "03601"], "TEXT", DAY) == ["021", "000", "000"]


def test_of_a_date_the_year_is_left(sql_engine: SqlEngine) -> None:
    days = ["2024-12-31", "2025-01-01", None, "1936-02-29"]
    assert asked(sql_engine, treatments.year("v"), days, "DATE", DAY) == [2024, 2025, None, 1936]


def test_each_state_lies_in_one_region_and_territories_in_none(sql_engine: SqlEngine) -> None:
    told = ["IL", "TX", "MA", "CA", "DC", "PR", "AE", "", None]
    regions = ["Midwest", "South", "Northeast", "West", "South", None, None, None, None]
    assert asked(sql_engine, treatments.region("v"), told, "TEXT", DAY) == regions
    assert sorted(" ".join(treatments.REGIONS.values()).split()) == sorted(
        set(privacy.USPS.split("|")) - {"AS", "GU", "MP", "PR", "VI", "FM", "MH", "PW", "AA", "AE", "AP"}
    )


def test_a_shifted_date_is_so_many_days_away(sql_engine: SqlEngine) -> None:
    days = {"2024-02-28": date(2024, 3, 9), "2023-12-31": date(2024, 1, 10), None: None}
    for n, moved in ((10, days), (-60, {"2024-03-01": date(2024, 1, 1), "2024-02-29": date(2023, 12, 31)})):
        shown = asked(sql_engine, treatments.shift("v", f"CAST({n} AS INTEGER)"), list(moved), "DATE", DAY)
        assert shown == list(moved.values())
