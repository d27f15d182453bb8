"""Versions and landing in cases small enough to check by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest
from in_memory import InMemory, declared, hours
from lake_engines import MakeEngine
from version_stories import COLUMNS, EARLY, LATE, MIDDLE, PAGES, SOURCE, TABLE, declarations, row

from carelake import bronze
from carelake.errors import LakeDamaged, RuleBroken, SourceUnreachable
from carelake.ledger import Load
from carelake.source import Delivery

THING = TABLE.format(history="scd2", more="")
VISIT = """
about: Visits of things.
key: [source_system, visit_id]
sequence_by: seen_at
history: scd2
columns:
  source_system: {type: text, kind: not_personal}
  visit_id:      {type: text, kind: event_number, refers_to: visit}
  thing_id:      {type: text, kind: event_number, refers_to: thing}
  seen_at:       {type: timestamp, kind: event_date}
"""
VISITS = """
about: A source of visits.
connection: nowhere
feeds:
  roll: {table: roll, fills: visit, columns: {visit_id: id, thing_id: thing, seen_at: seen}}
"""


@pytest.fixture
def lake(tmp_path: Path, make_any_engine: MakeEngine) -> InMemory:
    return InMemory(tmp_path / "lake", declarations(tmp_path / "project"), make_any_engine)


def roll(lake: InMemory, day: int, *rows: dict[str, str | None], feed: str = "one.roll", whole: bool = True) -> Load:
    """The load that a delivery became on that day."""
    load = lake.land(feed, rows, columns=COLUMNS, whole=whole, seen=hours(24 * day))
    assert load
    return load


def thing(
    key: str | None, name: str | None = "A", told_at: str | None = EARLY, **more: str | None
) -> dict[str, str | None]:
    return {"id": key, **row(name, told_at, **more)}


def names(lake: InMemory, view: str = "thing") -> list[tuple[str, str]]:
    return [(r["thing_id"], r["name"]) for r in lake.ask(f"SELECT * FROM silver.{view} ORDER BY thing_id, valid_from")]


# --- bronze ----------------------------------------------------------------------------------------------------------


def test_a_row_is_landed_only_when_it_differs_from_the_latest_landed_one_of_its_key(lake):
    assert roll(lake, 1, thing("1", "A"), thing("2", "A")).rows == 2
    assert roll(lake, 2, thing("1", "B"), thing("2", "A")).rows == 1
    assert roll(lake, 3, thing("1", "A"), thing("2", "A")).rows == 1
    assert lake.land("one.roll", [thing("1"), thing("2")], columns=COLUMNS, whole=True, seen=hours(96)) is None
    lake.refine()
    history = lake.ask("SELECT name, is_change FROM silver.thing_history WHERE thing_id = '1' ORDER BY valid_to")
    assert [r["name"] for r in history] == ["A", "B", "A"]


def test_a_key_that_vanished_gets_one_tombstone_not_one_a_day(lake):
    roll(lake, 1, thing("1"), thing("2"))
    gone = roll(lake, 2, thing("1"))
    assert (gone.rows, gone.rows_deleted) == (1, 1)
    assert lake.land("one.roll", [thing("1")], columns=COLUMNS, whole=True, seen=hours(72)) is None
    back = roll(lake, 4, thing("1"), thing("2"))
    assert (back.rows, back.rows_deleted) == (1, 0)
    lake.refine()
    assert names(lake) == [("1", "A"), ("2", "A")]


def test_a_whole_delivery_of_no_rows_says_that_all_keys_are_gone(lake):
    roll(lake, 1, thing("1"), thing("2"))
    assert roll(lake, 2).rows_deleted == 2
    lake.refine()
    assert names(lake) == []


def test_of_three_rows_of_one_key_a_change_of_any_is_landed(lake):
    """The order of their hashes is not known, so each of the three is changed."""
    rows = [thing("1", name, at) for name, at in (("A", EARLY), ("B", MIDDLE), ("C", LATE))]
    roll(lake, 1, *rows, whole=False)
    for changed in range(3):
        rows[changed] = rows[changed] | {"phone": f"55{changed}"}
        assert roll(lake, 2 + changed, *rows, whole=False).rows == 3
    assert lake.land("one.roll", rows, columns=COLUMNS, seen=hours(200)) is None


def test_a_delivery_that_breaks_off_leaves_nothing_behind_and_another_feed_goes_on(lake):
    def broken() -> Iterator[pa.RecordBatch]:
        yield pa.RecordBatch.from_pylist([thing("1")], schema)
        raise SourceUnreachable("the connection was lost.", "Run again.")

    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    feed = lake.feed("one.roll")
    to = bronze.Landing(lake.engine, lake.ledger, lake.bronze, "r", hours(24).date(), hours(24))
    with pytest.raises(SourceUnreachable):
        bronze.land(to, feed, Delivery("roll", schema, broken(), True), lake.ledger.progress(feed))
    assert not [path for path in lake.bronze.rglob("*") if path.is_file()]
    roll(lake, 1, thing("2"), feed="one.news", whole=False)
    lake.refine()
    roll(lake, 2, thing("1"), thing("2"))
    lake.refine()
    assert names(lake) == [("1", "A"), ("2", "A")]


# --- silver ----------------------------------------------------------------------------------------------------------


def test_a_row_without_its_key_is_held_back_and_so_is_a_deletion_without_one(lake):
    roll(lake, 1, thing(None), thing(""), thing("1"), thing(None, gone="yes"))
    refined = lake.refine()["thing"]
    assert refined.quarantined == 3
    assert names(lake) == [("1", "A")]
    held = lake.ask("SELECT DISTINCT quarantine_reasons FROM quarantine.thing")
    assert [r["quarantine_reasons"] for r in held] == ["thing_id_present"]


def test_a_row_that_is_held_back_does_not_end_the_last_good_one(lake):
    roll(lake, 1, thing("1", "A", EARLY))
    roll(lake, 2, thing("1", "B", MIDDLE, amount="-1"))
    lake.refine()
    assert names(lake) == [("1", "A")]
    assert names(lake, "thing_all") == [("1", "A")]


def test_a_row_that_is_held_back_is_seen_among_all_once_nothing_good_is_left_of_its_key(lake):
    roll(lake, 1, thing("1", "A", EARLY))
    roll(lake, 2)
    lake.refine()
    assert names(lake, "thing_all") == []
    roll(lake, 3, thing("1", "B", MIDDLE, amount="-1"))
    lake.refine()
    assert names(lake, "thing_all") == [("1", "B")]


def test_of_a_row_that_is_gone_nothing_is_demanded(tmp_path):
    stop = THING.replace("otherwise: quarantine", "otherwise: stop").replace("amount >= 0", "NOT amount IS NULL")
    lake = InMemory(tmp_path / "lake", declared(tmp_path / "p", {**PAGES, "silver/thing.yml": stop}))
    roll(lake, 1, thing("1"), thing("2"))
    roll(lake, 2, thing("1"))
    assert lake.refine()["thing"].flagged == {}
    roll(lake, 3, thing("1"), thing("3", amount=None))
    with pytest.raises(RuleBroken):
        lake.refine()
    assert names(lake) == [("1", "A")]


def test_what_was_mended_at_its_source_stops_nothing_any_more_and_is_held_back(tmp_path):
    stop = THING.replace("otherwise: quarantine", "otherwise: stop")  # amount >= 0
    lake = InMemory(tmp_path / "lake", declared(tmp_path / "p", {**PAGES, "silver/thing.yml": stop}))
    roll(lake, 1, thing("1", "bad", EARLY, amount="-1"), thing("2", "bad", EARLY, amount="-1"))
    with pytest.raises(RuleBroken, match="2 of 2 rows"):
        lake.refine()
    roll(lake, 2, thing("1", "good", EARLY), thing("2", "bad", EARLY, amount="-1"))
    with pytest.raises(RuleBroken, match="1 of 2 rows"):
        lake.refine()
    roll(lake, 3, thing("1", "good", EARLY))  # the other one is gone
    assert lake.refine()["thing"].rows == 4
    assert names(lake) == names(lake, "thing_all") == [("1", "good")]
    reason = "amount_not_negative"
    held = lake.ask("SELECT thing_id, name, quarantine_reasons FROM quarantine.thing ORDER BY thing_id")
    assert [tuple(row.values()) for row in held] == [("1", "bad", reason), ("2", "bad", reason)]


def test_a_deletion_that_is_told_has_its_own_time_whenever_it_arrives(lake):
    roll(lake, 1, thing("1", "A", LATE), thing("2", "A", EARLY))
    roll(lake, 2, thing("1", "A", MIDDLE, gone="yes"), thing("2", "A", MIDDLE, gone="yes"))
    lake.refine()
    assert names(lake) == [("1", "A")]


def test_a_key_that_is_only_spelled_otherwise_has_not_vanished(tmp_path):
    source = SOURCE.replace("thing_id: id", "thing_id: TRIM(id)")
    lake = InMemory(tmp_path / "lake", declared(tmp_path / "p", {"sources/one.yml": source, "silver/thing.yml": THING}))
    roll(lake, 1, thing("1 "), thing("2", None))
    lake.refine()
    roll(lake, 2, thing("1"), thing("2", None))
    lake.refine()
    assert names(lake) == [("1", "A"), ("2", None)]


def test_a_key_minted_by_a_reference_is_the_one_its_row_gets_when_it_arrives(tmp_path):
    pages = {**PAGES, "sources/three.yml": VISITS.replace("thing: ", "one: "), "silver/visit.yml": VISIT}
    pages["sources/one.yml"] = SOURCE + VISITS.partition("feeds:\n")[2].replace("roll:", "visits:")
    lake = InMemory(tmp_path / "lake", declared(tmp_path / "p", {**pages, "silver/thing.yml": THING}))
    seen = {"id": "v1", "thing": "9", "seen": EARLY}
    lake.land("one.visits", [seen], columns=("id", "thing", "seen"), whole=True, seen=hours(1))
    lake.refine()
    (visit,) = lake.ask("SELECT thing_key FROM silver.visit")
    roll(lake, 1, thing("1"), thing("9"))
    lake.refine()
    (found,) = lake.ask("SELECT thing_key FROM silver.thing WHERE thing_id = '9'")
    assert visit["thing_key"] == found["thing_key"]
    keys = [r["key"] for r in lake.ask("SELECT key FROM vault.key_map WHERE entity = 'thing'")]
    assert sorted(keys) == [1, 2]


def test_what_a_killed_run_left_in_bronze_is_swept_and_what_a_lost_ledger_knew_is_not(lake):
    load = roll(lake, 1, thing("1"))
    day = (lake.bronze / load.folder).parent
    for name in (".unfinished-000002", "000002"):
        (day / name).mkdir()
    assert bronze.sweep(lake.bronze, lake.ledger) == 2
    assert [path.name for path in day.iterdir()] == ["000001"]
    roll(lake, 2, thing("1", "B"))
    for path in (lake.bronze.parent / "audit/audit/load_logs").rglob("*"):
        path.unlink() if path.is_file() else None
    again = InMemory(lake.bronze.parent, lake.declared)
    with pytest.raises(LakeDamaged):
        bronze.sweep(again.bronze, again.ledger)
    assert (lake.bronze / load.folder).is_dir()


def test_a_time_that_says_its_zone_keeps_it_and_one_that_does_not_is_the_sources_own(tmp_path):
    source = SOURCE.replace("connection: nowhere", "connection: nowhere\ntime_zone: America/New_York")
    pages = {"sources/one.yml": source, "silver/thing.yml": THING}
    lake = InMemory(tmp_path / "lake", declared(tmp_path / "p", pages))
    times = ["2026-01-01 12:00:00", "2026-01-01 12:00:00+00", "2026-01-01T12:00:00.5Z", "2026-01-01 12:00:00-08:00"]
    rows = [thing(str(n), "A", told_at) for n, told_at in enumerate([*times, None])]
    upper = datetime(2026, 1, 2, 9)  # as the watermark of such a source says it: New York's clock
    lake.land("one.roll", rows, columns=COLUMNS, whole=True, seen=hours(48), upper=upper)
    lake.refine()
    found = lake.ask("SELECT CAST(valid_from AS TEXT) AS at FROM silver.thing ORDER BY thing_id")
    assert [row["at"] for row in found] == [
        "2026-01-01 17:00:00+00",
        "2026-01-01 12:00:00+00",
        "2026-01-01 12:00:00.5+00",
        "2026-01-01 20:00:00+00",
        "2026-01-02 14:00:00+00",
    ]


@pytest.mark.parametrize(("watermark", "at"), [("20260501", 24), ("7", 24), (None, 24), ("2026-01-01 05:00:00", 5)])
def test_a_row_without_a_time_has_that_of_its_extraction_unless_the_watermark_is_a_time(watermark, at, lake):
    load = replace(roll(lake, 1, thing("1", "A", None)), watermark_to=watermark)
    assert load.upper == hours(at)
