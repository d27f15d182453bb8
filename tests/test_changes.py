"""What changed, when, and why: `audit.changes` is made of the versions, and comes out as they do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from in_memory import InMemory, declared
from small_lake import CLAIMS, Small
from test_versions import PLANS, every_story
from version_stories import CELLS, PAGES, PLAIN, SAID, SHOWN, TABLE, Key, arrivals, declarations, told
from versions_reference import Version, timeline
from worked import read_grid, selected, shown

from carelake import ledger, plan
from carelake.changes import COLUMNS, changes
from carelake.model import Declarations
from carelake.serve import door
from carelake.sql import render

# --- as the reference of versions says -------------------------------------------------------------------------------

Change = tuple[Any, ...]  # source, id, version, column, old, new, changed_at, operation


def expected(versions: Sequence[Version]) -> list[Change]:
    """What each version says otherwise than the one before it, of the columns that are shown."""
    told, before, lived = list[Change](), dict[str, str | None](), False
    for n, version in enumerate(versions, 1):
        says = {} if version.deleted else {k: v for k, v in zip(SAID, version.values, strict=True) if k in SHOWN}
        known = bool(before)
        operation = "updated" if says and known else ("reinserted" if lived else "inserted") if says else "deleted"
        both = {name: (before.get(name), says.get(name)) for name in SHOWN}
        told += [(n, name, *two, version.valid_from, operation) for name, two in both.items() if two[0] != two[1]]
        before, lived = says, lived or bool(says)
    return told


def told_of(lake: InMemory) -> Counter[Change]:
    table = lake.declared.tables["thing"]
    select = changes(table, lake.declared.policy, "silver.thing_versions", "quarantine.thing", ledger.TABLE)
    ids = {
        row["thing_key"]: row["thing_id"] for row in lake.ask("SELECT thing_key, thing_id FROM silver.thing_versions")
    }
    asked = "key, source_system, version, column_name, old, new, changed_at, operation"
    rows = lake.ask(f"SELECT {asked} FROM ({select}) AS changes WHERE column_name IN {SHOWN}")
    return Counter((row["source_system"], ids[row["key"]], *list(row.values())[2:]) for row in rows)


@pytest.mark.parametrize("name", PLANS)
def test_every_short_story_changes_as_the_reference_says(name, tmp_path):
    lake = InMemory(tmp_path / "lake", declarations(tmp_path / "project"))
    stories = every_story([*PLAIN[:4], *CELLS[9:11], *CELLS[28:30]], 3)
    came = arrivals(PLANS[name], stories, told(lake, PLANS[name], stories))
    should: dict[Key, list[Change]] = {key: expected(timeline(loads)) for key, loads in came.items() if key[1]}
    assert told_of(lake) == Counter((*key, *change) for key, changes in should.items() for change in changes)


# --- worked by hand, on every engine ---------------------------------------------------------------------------------

LOADS = """
| id | load_id | run_id |
|----|---------|--------|
| 1  | a.1     | r1     |
| 2  | a.2     | r2     |
| 3  | a.3     | r3     |
| 4  | a.4     | r4     |
"""
# Thing 1 is told as A, then as B, then late as C between the two; thing 2 goes and comes again, from the same moment
# on; thing 3 was held back at first. Revision 1 of a version stands for revision 0.
VERSIONS = """
| thing_key | thing_id | name | amount | alias    | _load_id | _source_time     | valid_from       | is_deleted | _is_tombstone | _revision |
|-----------|----------|------|--------|----------|----------|------------------|------------------|------------|---------------|-----------|
| 1         | t1       | A    | 1.00   | TOKEN-AA | 1        | 2026-01-01 10:00 | 2026-01-01 10:00 | false      | false         | 0         |
| 1         | t1       | B    | 1.00   | TOKEN-AA | 2        | 2026-01-03 10:00 | 2026-01-03 10:00 | false      | false         | 0         |
| 1         | t1       | C    | 1.50   | TOKEN-BB | 3        | 2026-01-02 10:00 | 2026-01-02 10:00 | false      | false         | 0         |
| 1         | t1       | A    | 1.00   | TOKEN-AA | 1        | 2026-01-01 10:00 | 2026-01-01 10:00 | false      | false         | 1         |
| 2         | t2       | X    |        |          | 1        | 2026-01-01 10:00 | 2026-01-01 10:00 | false      | false         | 0         |
| 2         |          |      |        |          | 2        | 2026-01-05 10:00 | 2026-01-05 10:00 | true       | true          | 0         |
| 2         | t2       | Y    |        |          | 3        | 2026-01-01 10:00 | 2026-01-05 10:00 | false      | false         | 0         |
| 2         | t2       | gone | 9.00   |          | 4        | 2026-01-06 10:00 | 2026-01-06 10:00 | true       | false         | 0         |
| 3         | t3       | M    | 2.00   |          | 1        | 2026-01-01 10:00 | 2026-01-01 10:00 | false      | false         | 0         |
"""  # noqa: E501
HELD = """
| thing_key | _load_id | _source_time     | quarantine_reasons  |
|-----------|----------|------------------|---------------------|
| 3         | 1        | 2026-01-01 10:00 | amount_not_negative |
| 1         | 9        | 2026-01-09 10:00 | amount_not_negative |
"""
CHANGES = """
| key | version | column_name | old      | new      | day        | operation  | reason     | load_id | run_id |
|-----|---------|-------------|----------|----------|------------|------------|------------|---------|--------|
| 1   | 1       | thing_id    |          | t1       | 2026-01-01 | inserted   | inserted   | a.1     | r1     |
| 1   | 1       | name        |          | A        | 2026-01-01 | inserted   | inserted   | a.1     | r1     |
| 1   | 1       | amount      |          | 1.00     | 2026-01-01 | inserted   | inserted   | a.1     | r1     |
| 1   | 1       | alias       |          | TOKEN-AA | 2026-01-01 | inserted   | inserted   | a.1     | r1     |
| 1   | 2       | name        | A        | C        | 2026-01-02 | updated    | late       | a.3     | r3     |
| 1   | 2       | amount      | 1.00     | 1.50     | 2026-01-02 | updated    | late       | a.3     | r3     |
| 1   | 2       | alias       | TOKEN-AA | TOKEN-BB | 2026-01-02 | updated    | late       | a.3     | r3     |
| 1   | 3       | name        | C        | B        | 2026-01-03 | updated    | updated    | a.2     | r2     |
| 1   | 3       | amount      | 1.50     | 1.00     | 2026-01-03 | updated    | updated    | a.2     | r2     |
| 1   | 3       | alias       | TOKEN-BB | TOKEN-AA | 2026-01-03 | updated    | updated    | a.2     | r2     |
| 2   | 1       | thing_id    |          | t2       | 2026-01-01 | inserted   | inserted   | a.1     | r1     |
| 2   | 1       | name        |          | X        | 2026-01-01 | inserted   | inserted   | a.1     | r1     |
| 2   | 2       | thing_id    | t2       |          | 2026-01-05 | deleted    | deleted    | a.2     | r2     |
| 2   | 2       | name        | X        |          | 2026-01-05 | deleted    | deleted    | a.2     | r2     |
| 2   | 3       | thing_id    |          | t2       | 2026-01-05 | reinserted | reinserted | a.3     | r3     |
| 2   | 3       | name        |          | Y        | 2026-01-05 | reinserted | reinserted | a.3     | r3     |
| 2   | 4       | thing_id    | t2       |          | 2026-01-06 | deleted    | deleted    | a.4     | r4     |
| 2   | 4       | name        | Y        |          | 2026-01-06 | deleted    | deleted    | a.4     | r4     |
| 3   | 1       | thing_id    |          | t3       | 2026-01-01 | inserted   | repaired   | a.1     | r1     |
| 3   | 1       | name        |          | M        | 2026-01-01 | inserted   | repaired   | a.1     | r1     |
| 3   | 1       | amount      |          | 2.00     | 2026-01-01 | inserted   | repaired   | a.1     | r1     |
"""


def things(folder) -> Declarations:
    seen = "  seen_at: {type: timestamp, kind: event_date, optional: true}\n"
    text = TABLE.format(history="scd2", more="").replace("  updated_at:    {type", f"{seen}  updated_at:    {{type")
    return declared(folder, {**PAGES, "silver/thing.yml": text})


def lay_out(engine, says: Declarations, versions: str = VERSIONS) -> str:
    """The SELECT of the changes, over tables that the engine was given."""
    table, policy = says.tables["thing"], says.policy
    stored, held = plan.stored_columns(table, policy), plan.quarantine_columns(table, policy)
    rows = [{"source_system": "one", "_is_gone": "false", **row} for row in read_grid(versions.strip())]
    engine.define("silver.thing_versions", selected(rows, stored))
    engine.define("quarantine.thing", selected(read_grid(HELD.strip()), held))
    engine.define(
        "audit.load_logs", selected(read_grid(LOADS.strip()), {"id": "BIGINT", "load_id": "TEXT", "run_id": "TEXT"})
    )
    return changes(table, policy, "silver.thing_versions", "quarantine.thing", "audit.load_logs")


def test_changes_are_those_worked_by_hand_on_every_engine(sql_engine, tmp_path):
    select = lay_out(sql_engine, things(tmp_path))
    engine_told = (
        "key, version, column_name, old, new, CAST(changed_at AS DATE) AS day, operation, reason, load_id, run_id"
    )
    rows = sql_engine.ask(f"SELECT {engine_told} FROM ({select}) AS changes")
    found = sorted(tuple(shown(value) for value in row.values()) for row in rows)
    assert found == sorted(tuple(row.values()) for row in read_grid(CHANGES.strip()))


def test_a_time_is_the_same_text_on_every_engine(sql_engine, tmp_path):
    named = "| thing_key | thing_id | seen_at | _load_id | _source_time | valid_from | is_deleted | _is_tombstone |"
    line = f"{named} _revision |\n|-|\n"
    row = "| 1 | t1 | 2026-01-01 09:08:07.5 | 1 | 2026-01-01 | 2026-01-01 | false | false | 0 |"
    select = lay_out(sql_engine, things(tmp_path), line + row)
    rows = sql_engine.ask(f"SELECT new FROM ({select}) AS changes WHERE column_name = 'seen_at'")
    assert [row["new"] for row in rows] == ["2026-01-01 09:08:07.5"]


def test_the_sql_of_changes_can_be_spelled_for_other_engines(tmp_path):
    says = things(tmp_path)
    select = changes(says.tables["thing"], says.policy, "a.b", "c.d", "e.f")
    assert "TIMESTAMPTZ" not in render(select, "spark")


def test_who_asks_for_one_table_reads_no_other(duck_sql, tmp_path):
    says = things(tmp_path)
    of_things = lay_out(duck_sql, says)
    duck_sql.define("silver.other_versions", "SELECT * FROM silver.thing_versions")
    of_others = of_things.replace("silver.thing_versions", "silver.other_versions").replace("'thing' AS", "'other' AS")
    both = f"SELECT * FROM ({of_things}\nUNION ALL\n{of_others}) AS changes"
    for table in ("thing", "other"):
        (plan_of,) = duck_sql.ask(f"EXPLAIN {both} WHERE table_name = '{table}' AND key = 1")
        read = [name for name in ("thing_versions", "other_versions") if name in plan_of["explain_value"]]
        assert read == [f"{table}_versions"]


# --- through the door ------------------------------------------------------------------------------------------------

ASKED = "SELECT old, new, operation, reason, load_id, run_id FROM audit.changes"
PAID = CLAIMS.replace("60.00,Paid", "100.10,Paid").replace("2024-10-20\n", "2024-10-25\n")


def test_a_change_is_told_with_the_load_and_the_run_that_brought_it(small):
    assert small.one("SELECT COUNT(*) FROM audit.changes WHERE operation <> 'inserted'") == 0
    small.put("claims/hospital1_claims_2.csv", PAID)
    did = small.run(1)
    (key,) = {row[0] for row in small.ask("SELECT claim_key FROM silver.claim WHERE claim_id = 'C1'")}
    rows = small.ask(f"{ASKED} WHERE table_name = 'claim' AND key = {key} AND operation = 'updated'")
    assert rows == [("60.00", "100.10", "updated", "updated", "hos-a.claims.000002", did.run_id)]


def test_an_insert_tells_every_column_that_silver_shows_and_no_other(small):
    told = small.ask("SELECT DISTINCT column_name FROM audit.changes WHERE table_name = 'patient'")
    with door.ask(small.project, "SELECT * FROM silver.patient") as batches:
        assert {name for (name,) in told} <= set(batches.schema.names)
    hidden = {"ssn", "phone", "birth_date", "zip", "first_name", "middle_name", "last_name", "_row_hash"}
    assert {name for (name,) in told} & hidden == set()
    everything = repr(small.ask("SELECT * FROM audit.changes"))
    assert not [
        word for word in ("Byron", "111-11", "555-0101", "1980-12-10", "Springfield", "62701") if word in everything
    ]


def test_what_was_deleted_and_sent_again_is_told_so(small):
    small.sql("DELETE FROM departments WHERE DeptID = 'D2'")
    small.run(1)
    small.sql("INSERT INTO departments VALUES ('D2', 'Radiology')")
    small.run(2)
    rows = small.ask(
        "SELECT operation, old, new FROM audit.changes WHERE table_name = 'department' AND source_system = 'hos-a'"
        " AND column_name = 'department_name' AND 'D2' = (SELECT MAX(department_id) FROM silver.department AS now"
        " WHERE now.department_key = key) ORDER BY version"
    )
    expected = [("inserted", None, "Oncology"), ("deleted", "Oncology", None), ("reinserted", None, "Radiology")]
    assert rows == expected


def test_readers_see_the_changes_of_their_release_only(small):
    before = small.one("SELECT COUNT(*) FROM audit.changes")
    (small.project / "gold/own").mkdir(parents=True)
    (small.project / "gold/own/bad.md").write_text(
        "---\nabout: It.\ncolumns:\n  n: {kind: not_personal, about: It.}\n---\n"
    )
    (small.project / "gold/own/bad.sql").write_text("SELECT 1 AS n FROM silver.claim")
    small.put("claims/hospital1_claims_2.csv", PAID)
    assert small.run(1).released is None
    assert small.one("SELECT COUNT(*) FROM audit.changes") == before


def test_the_columns_of_changes_are_those_described(small_origin: Small):
    with door.ask(small_origin.project, "SELECT * FROM audit.changes") as batches:
        told = {field.name: str(field.type) for field in batches.schema}
    spelled = {"TEXT": "string", "TIMESTAMPTZ": "timestamp[us, tz=UTC]", "BIGINT": "int64"}
    assert told == {name: spelled[kind] for name, kind in COLUMNS.items()}
