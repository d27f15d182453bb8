"""What silver, the restricted zone and quarantine hold of the rows that two hospitals sent."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from in_memory import InMemory, declared, hours
from lake_engines import MakeEngine

from carelake import bronze
from carelake.ledger import Load

PERSON = """
about: One row per person.
key: [source_system, person_id]
sequence_by: updated_at
history: scd2

columns:
  source_system: {type: text, kind: not_personal}
  person_id:     {type: text, kind: record_number, refers_to: person}
  full_name:     {type: text, kind: name}
  first_name:    {type: text, kind: name_part}
  born_on:       {type: date, kind: birth_date}
  address:       {type: text, kind: address}
  owes:          {type: money, kind: not_personal}
  visits:        {type: integer, kind: not_personal}
  is_member:     {type: boolean, kind: not_personal}
  updated_at:    {type: timestamp, kind: event_date}

rules:
  born_before:
    must: born_on <= $as_of
    because: nobody is registered before birth
    otherwise: quarantine
  owes_something:
    must: owes > 0
    because: a test wants a rule that only warns
    otherwise: warn
"""
SOURCE = """
about: A hospital of the tests.
connection: none
time_zone: {zone}

feeds:
  people:
    table: people
    load: watermark
    watermark: changed
    fills: person
    columns:
      person_id:  id
      full_name:  first || ' ' || last
      first_name: first
      born_on:    born
      address:    lives
      owes:       owes
      visits:     visits
      is_member:  member
      updated_at: changed
"""
COLUMNS = ["id", "first", "last", "born", "lives", "owes", "visits", "member", "changed"]
ANN = {
    "id": "7", "first": "Ann", "last": "Lee", "born": "1936-02-28", "lives": "1 Elm St, Barre, VT 05641-1234",
    "owes": "10.005", "visits": "3", "member": "true", "changed": "2026-03-08 01:30:00",
}  # fmt: skip

SEEN = hours(24 * 212)  # 2026-08-01


@pytest.fixture
def lake(tmp_path: Path, make_any_engine: MakeEngine) -> InMemory:
    return lake_of(tmp_path, make_any_engine)


@pytest.fixture
def on_each(tmp_path: Path, make_engine: MakeEngine) -> InMemory:
    """The same, on Spark in CI, too."""
    return lake_of(tmp_path, make_engine)


def lake_of(tmp_path: Path, make: MakeEngine) -> InMemory:
    pages = {"silver/person.yml": PERSON}
    pages |= {
        "sources/hos-a.yml": SOURCE.format(zone="America/New_York"),
        "sources/hos-b.yml": SOURCE.format(zone="UTC"),
    }
    return InMemory(tmp_path, declared(tmp_path, pages), make)


def land(lake: InMemory, *rows: dict[str, Any], feed: str = "hos-a.people") -> Load:
    load = lake.land(feed, rows, columns=COLUMNS, seen=SEEN)
    assert load
    return load


def refined(lake: InMemory, *rows: dict[str, Any], feed: str = "hos-a.people") -> list[dict[str, Any]]:
    land(lake, *rows, feed=feed)
    lake.refine(now=SEEN)
    return lake.ask("SELECT * FROM silver.person_all ORDER BY person_key")


def test_silver_holds_tokens_states_and_exact_types_and_no_more(on_each):
    (row,) = refined(on_each, ANN)
    assert row["person_key"] == 1
    assert row["person_id"].startswith("RECORD-")
    assert row["full_name"].startswith("PATIENT-")
    assert (row["address"], row["owes"], row["visits"], row["is_member"]) == ("VT", Decimal("10.01"), 3, True)
    assert not {"first_name", "born_on", "_row_hash"} & row.keys()


def test_birth_dates_are_in_the_restricted_zone_by_key_and_version(lake):
    refined(lake, ANN)
    (row,) = lake.ask("SELECT person_key, born_on FROM restricted.person_history")
    assert row == {"person_key": 1, "born_on": date(1936, 2, 28)}


TIMES = [
    ("hos-a.people", "2026-01-15 12:00:00", datetime(2026, 1, 15, 17, tzinfo=UTC)),  # New York in winter: UTC-5
    ("hos-a.people", "2026-07-15 12:00:00", datetime(2026, 7, 15, 16, tzinfo=UTC)),  # in summer: UTC-4
    ("hos-b.people", "2026-07-15 12:00:00", datetime(2026, 7, 15, 12, tzinfo=UTC)),
    ("hos-b.people", "2026-07-15 12:00:00+02:00", datetime(2026, 7, 15, 10, tzinfo=UTC)),
    ("hos-b.people", "2026-07-15", datetime(2026, 7, 15, tzinfo=UTC)),
]


def test_times_are_utc_and_a_source_says_its_zone_once(on_each):
    for feed in ("hos-a.people", "hos-b.people"):
        told = [(n, told) for n, (of, told, _) in enumerate(TIMES) if of == feed]
        land(on_each, *({**ANN, "id": f"{n}", "visits": f"{n}", "changed": at} for n, at in told), feed=feed)
    on_each.refine(now=SEEN)
    rows = on_each.ask("SELECT visits, updated_at, valid_from FROM silver.person_all ORDER BY visits")
    assert [tuple(row.values()) for row in rows] == [(n, utc, utc) for n, (_, _, utc) in enumerate(TIMES)]


UNREADABLE = [
    ("born", "1936-02-30", "born_on_readable"),
    ("born", "yesterday", "born_on_readable"),
    ("owes", "ten dollars", "owes_readable"),
    ("owes", "12345678901234567890", "owes_readable"),
    ("owes", "NaN", "owes_readable"),
    ("visits", "many", "visits_readable"),
    ("member", "perhaps", "is_member_readable"),
    ("changed", "0000-00-00", "updated_at_readable"),
    ("changed", "2026-08-02 00:00:01Z", "updated_at_not_in_future"),  # extracted a day and a second before
    ("born", "2026-07-01", "born_before"),  # the load is seen from 2026-06-30
    ("id", None, "person_id_present"),
    ("id", "", "person_id_present"),
]


def test_a_row_that_cannot_be_read_or_breaks_a_rule_is_held_back_with_its_reason(on_each):
    rows = [{**ANN, "id": f"{n}", column: value} for n, (column, value, _) in enumerate(UNREADABLE)]
    load = land(on_each, *rows)
    on_each.refine(now=SEEN)
    assert on_each.ask("SELECT COUNT(*) AS n FROM silver.person") == [{"n": 0}]
    on_each.engine.show("landed", bronze.files(on_each.bronze, [load]), "row")
    of_row = {row["row"]: tuple(row[name] for name in COLUMNS) for row in on_each.ask("SELECT * FROM landed")}
    held = on_each.ask("SELECT _load_row, quarantine_reasons FROM quarantine.person")
    found = Counter((of_row[row["_load_row"]], row["quarantine_reasons"]) for row in held)
    told = (tuple(row[name] for name in COLUMNS) for row in rows)
    assert found == Counter(zip(told, (reason for *_, reason in UNREADABLE), strict=True))


def test_a_blank_is_nothing_and_breaks_no_rule(lake):
    blanks = (("born", ""), ("born", None), ("owes", "  "), ("visits", None))
    rows = refined(lake, *({**ANN, "id": f"{n}", column: value} for n, (column, value) in enumerate(blanks)))
    assert [(row["is_quarantined"], row["flags"]) for row in rows] == [(False, None)] * 4
    assert Counter((row["owes"], row["visits"]) for row in rows) == {
        (Decimal("10.01"), 3): 2,
        (None, 3): 1,
        (Decimal("10.01"), None): 1,
    }
    born = lake.ask("SELECT born_on FROM restricted.person_history")
    assert Counter(row["born_on"] for row in born) == {None: 2, date(1936, 2, 28): 2}


def test_a_warning_is_a_flag_and_is_counted_with_what_was_seen(lake):
    (row,) = refined(lake, {**ANN, "owes": "-1"})
    assert (row["is_quarantined"], row["flags"], row["owes"]) == (False, "owes_something", Decimal("-1.00"))
    told = lake.ask("SELECT rule, otherwise, violating, rows_seen FROM audit.rule_results ORDER BY rule")
    assert {"rule": "owes_something", "otherwise": "warn", "violating": 1, "rows_seen": 1} in told
    assert {"rule": "born_before", "otherwise": "quarantine", "violating": 0, "rows_seen": 1} in told


def test_several_reasons_stand_together(lake):
    (row,) = refined(lake, {**ANN, "born": "2027-01-01", "visits": "many"})
    assert row["quarantine_reasons"] == "visits_readable;born_before"


def test_equal_numbers_of_two_hospitals_are_two_people(lake):
    refined(lake, ANN)
    rows = refined(lake, ANN, feed="hos-b.people")
    assert [(row["source_system"], row["person_key"]) for row in rows] == [("hos-a", 1), ("hos-b", 2)]
    assert rows[0]["person_id"] != rows[1]["person_id"]
    assert rows[0]["full_name"] != rows[1]["full_name"]


def test_what_is_held_back_shows_in_all_until_a_good_version_takes_its_place(lake):
    refined(lake, {**ANN, "born": "2027-01-01"})
    lake.land("hos-a.people", [{**ANN, "changed": "2026-03-09"}], columns=COLUMNS, seen=SEEN)
    lake.refine(now=SEEN)
    (row,) = lake.ask("SELECT is_quarantined, is_current FROM silver.person_all")
    assert row == {"is_quarantined": False, "is_current": True}
    lake.land("hos-a.people", [{**ANN, "changed": "2026-03-10", "visits": "many"}], columns=COLUMNS, seen=SEEN)
    lake.refine(now=SEEN)
    (row,) = lake.ask("SELECT is_quarantined, visits FROM silver.person_all")
    assert row == {"is_quarantined": False, "visits": 3}  # the last good version stays


def test_no_value_of_a_person_is_in_any_file_of_silver_or_quarantine(lake, tmp_path):
    refined(lake, {**ANN, "first": "Zebra"}, {**ANN, "id": "walrus8", "first": "Zebra", "born": "2027-01-01"})
    files = [p for layer in ("silver", "quarantine", "audit") for p in (tmp_path / layer).rglob("*") if p.is_file()]
    held = b"".join(path.read_bytes() for path in files)
    assert len(files) > 10
    for secret in (b"Zebra", b"walrus8", b"Elm St", b"05641"):
        assert secret not in held


def test_an_optional_column_that_a_feed_leaves_out_is_empty(tmp_path, make_any_engine):
    table = PERSON.replace("rules:\n", "  ward: {type: text, kind: not_personal, optional: true}\n"
                           "  beds: {type: integer, kind: not_personal, optional: true}\nrules:\n")  # fmt: skip
    pages = {"silver/person.yml": table, "sources/one.yml": SOURCE.format(zone="UTC")}
    assert table != PERSON
    lake = InMemory(tmp_path / "lake", declared(tmp_path / "p", pages), make_any_engine)
    names = ("id", "first", "last", "born", "lives", "owes", "visits", "member", "changed")
    lake.land(
        "one.people", [dict.fromkeys(names, "1") | {"born": "2000-01-01", "changed": "2026-01-01"}], columns=names
    )
    assert lake.refine()["person"].quarantined == 0
    (person,) = lake.ask("SELECT visits, ward, beds FROM silver.person")
    assert person == {"visits": 1, "ward": None, "beds": None}


def test_what_is_held_back_knows_its_row_of_bronze(lake):
    lake.land("hos-a.people", [ANN], columns=COLUMNS, seen=SEEN)
    bad = [{**ANN, "id": f"{n}", "born": "2027-01-01" if n % 3 else ANN["born"]} for n in range(100, 160)]
    load = lake.land("hos-a.people", bad, columns=COLUMNS, seen=SEEN)
    lake.refine(now=SEEN)
    lake.engine.show("landed", bronze.files(lake.bronze, [load]), "row")
    there = {row["row"] for row in lake.ask("SELECT row FROM landed WHERE born = '2027-01-01'")}
    held = lake.ask("SELECT _load_id, _load_row FROM quarantine.person")
    assert {(row["_load_id"], row["_load_row"]) for row in held} == {(load.id, row) for row in there}
    assert len(held) == 40
