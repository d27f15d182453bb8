"""A table that is made anew holds what a first run would have given; one that is set back, what a release knew."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from in_memory import InMemory
from repair_stories import NOTED, ends, note, spoils_of, told
from small_lake import Small, contents, failed
from typer.testing import CliRunner
from version_stories import CELLS, PLAIN, Cell, Step, seen_at

from carelake import accounts, epochs
from carelake.errors import LakeOutdated, RestoreRefused
from carelake.lake import opened
from carelake.serve import cli

STEPS = [Step(), Step("one.news", whole=False), Step("two.roll"), Step(refined=False), Step("one.news", whole=False)]
ASKED = epochs.Asked("tester", "a test wants it", datetime(2026, 3, 1, tzinfo=UTC))


def lived(folder: Path, seed: int, many: int, table: dict[str, str]) -> InMemory:
    """A lake of stories some of whose rows were repaired, some of them held back again."""
    chance = random.Random(seed)
    stories: dict[str | None, Sequence[Cell]] = {f"k{n}": chance.choices(CELLS, k=len(STEPS)) for n in range(many)}
    stories |= {f"p{n}": chance.choices(PLAIN, k=len(STEPS)) for n in range(many)}
    return told(folder, STEPS, stories, spoils_of(stories, chance, 0.3), chance, table)


@pytest.mark.parametrize(("seed", "table"), [(1, {}), pytest.param(2, {"history": "scd1"}, marks=pytest.mark.prove)])
def test_what_is_made_anew_of_bronze_is_what_had_grown_repairs_included(seed, table, tmp_path):
    lake = lived(tmp_path, seed, 25, table)
    expected, keys = ends(lake), lake.ask("SELECT * FROM vault.key_map ORDER BY ALL")
    epochs.declare(lake.engine, lake.declared, list(lake.declared.tables.values()), ASKED)
    epochs.begin(lake.engine, lake.declared)
    assert lake.ask("SELECT COUNT(*) AS n FROM silver.thing_versions") == [{"n": 0}]
    epochs.begin(lake.engine, lake.declared)  # as whoever opens the lake next does: there is nothing left to begin
    lake.refine(now=seen_at(20))
    found = ends(lake)
    assert [name for name in expected if expected[name] != found[name]] == []
    assert lake.ask("SELECT * FROM vault.key_map ORDER BY ALL") == keys
    fed = [(feed.source, feed.name) for feed in lake.declared.feeds]
    ((_, landed, placed),) = accounts.refined(lake.engine, "thing", fed, accounts.loads(lake.engine))
    assert landed == placed > 0


def test_a_table_made_anew_under_another_rule_is_what_a_first_run_under_it_gives(tmp_path):
    chance = random.Random(3)
    stories = {f"k{n}": chance.choices(CELLS, k=len(STEPS)) for n in range(40)}
    lake = told(tmp_path / "grown", STEPS, stories, {}, chance, {})
    looser = replace(lake.declared.tables["thing"], rules=())
    says = replace(lake.declared, tables={"thing": looser})
    first = InMemory(tmp_path / "first/lake", says)
    for n, step in enumerate(STEPS):
        rows = [{"id": key, **one, "note": note(key, one)} for key, cells in stories.items() for one in cells[n]]
        first.land(step.feed, rows, columns=NOTED, whole=step.whole, seen=seen_at(n))
    first.refine(now=seen_at(20))
    lake.declared = says
    epochs.declare(lake.engine, says, [looser], ASKED)
    epochs.begin(lake.engine, says)
    lake.refine(now=seen_at(20))
    expected, found = ends(first), ends(lake)
    assert [name for name in expected if expected[name] != found[name]] == []


# --- by command ------------------------------------------------------------------------------------------------------


def command(lake: Small, *words: str) -> Any:
    """What a command answers."""
    done = CliRunner().invoke(cli.app, ["-p", str(lake.project), *words, "--json"], env=lake.environment)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return json.loads(done.output)


def test_all_tables_made_anew_are_what_they_were_and_readers_stay_where_they_are_meanwhile(small):
    """With a row that was repaired, and with a reference that has changed since they were first made."""
    small.sql(
        "UPDATE patients SET FirstName = 'Adah', ModifiedDate = '2024-02-01' WHERE PatientID = 'P1'",
        "UPDATE patients SET DOB = 'one day', ModifiedDate = '2024-02-02' WHERE PatientID = 'P2'",
    )
    small.run(1)
    (row,) = command(small, "quarantine", "list", "patient", "--rows")["rows"]
    command(small, "quarantine", "repair", row["id"], "--set", "DOB=1958-04-23", "--because", "a slip of the pen")
    small.say("reference/claim_status.csv", "Paid,approved", "Paid,denied")
    assert failed(small.run(2)) == {}
    before = contents(small)
    assert small.ask("SELECT DISTINCT counts_as FROM gold.fact_claim") == [("denied",)]
    begun = command(small, "reprocess", "--all", "--because", "a drill")
    patient = next(one for one in begun["tables"] if one["table"] == "patient")
    assert (patient["epoch"], patient["loads"], patient["rows"]) == (2, 3, 6)  # the repair is a load, of one row
    assert contents(small) == before  # readers are on the last release
    assert failed(small.run(3)) == {}
    assert contents(small) == before
    assert small.one("SELECT COUNT(*) FROM quarantine.patient") == 0
    assert small.one("SELECT COUNT(*) FROM audit.epochs WHERE why = 'a drill' AND how = 'reprocess'") > 5


def test_a_table_set_back_holds_the_very_rows_and_takes_in_anew_what_came_later(small):
    first = small.ask("SELECT * FROM silver.patient_history ORDER BY ALL")
    small.sql("UPDATE patients SET FirstName = 'Adah', ModifiedDate = '2024-02-01' WHERE PatientID = 'P1'")
    small.run(1)
    later = contents(small)
    assert command(small, "restore", "patient", "--release", "1", "--because", "a drill", "--dry-run")["tables"] == [
        {"table": "patient", "epoch": 2, "loads": 1, "rows": 1}
    ]
    assert command(small, "restore", "patient", "--release", "1", "--because", "a drill")["tables"][0]["loads"] == 1
    assert _working(small) == first
    assert failed(small.run(2)) == {}
    assert contents(small) == later


def _working(lake: Small) -> list[tuple[Any, ...]]:
    with opened(lake.project, lake.environment, writing=False) as there:
        rows = there.engine.ask("SELECT * FROM silver.patient_history ORDER BY ALL").to_pylist()
    return [tuple(row.values()) for row in rows]


def test_a_lake_of_other_declarations_is_cured_by_making_the_table_anew(small):
    small.say("silver/department.yml", "history: scd2", "history: scd1")
    with pytest.raises(LakeOutdated, match="carelake reprocess department"):
        small.run(1)
    command(small, "reprocess", "department", "--because", "nobody asks how they were called")
    assert failed(small.run(1)) == {}
    assert small.one("SELECT COUNT(*) FROM silver.department WHERE source_system = 'hos-a'") == 2
    with pytest.raises(RestoreRefused, match="is made otherwise now than release 1 knew it"):
        command(small, "restore", "department", "--release", "1", "--because", "a drill")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("reprocess", "pateint"), "Did you mean 'patient'"),
        (("restore", "patient", "--release", "77"), "there is no release 77"),
    ],
)
def test_what_cannot_be_begun_anew_is_named_and_nothing_is_done(small_origin, words, found):
    with pytest.raises(RestoreRefused, match=found):
        command(small_origin, *words, "--because", "a slip")
