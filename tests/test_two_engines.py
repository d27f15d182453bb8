"""One lake, two engines: each makes of the same sources the same tables, and carries on what the other has begun."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from small_lake import KEY, Small, failed, made

from carelake.lake import examined
from carelake.secret import VAULT_KEY

# What a table may hold otherwise, and why: all else is equal, to the last version number.
CLOCKS = {"seconds"}  # how long it took
WRITERS = {"bytes", "parts"}  # of files, which each engine writes in its own way
PLACES = {"_load_row"}  # which row of its load it is: rows of a file have no order
RANDOM = {"sealed", "wrapped", "key_id"}  # sealed with a nonce
STATES = {"inputs", "state"}  # of tables, whose ids are random
ASIDE = CLOCKS | WRITERS | PLACES | RANDOM | STATES
DAY_2 = (
    "UPDATE patients SET LastName = 'Lovelace' WHERE PatientID = 'P1'",
    "UPDATE patients SET ModifiedDate = '2026-11-21' WHERE PatientID = 'P1'",
    "UPDATE transactions SET PaidAmount = 12.5 WHERE rowid = 1",
    "DELETE FROM departments WHERE DeptID = 'D2'",
)


def begun(folder: Path) -> Small:
    """A lake before its first run, whose key those find too who work elsewhere and know only its project."""
    lake = made(folder)
    (lake.project / "secrets" / VAULT_KEY).write_text(KEY)
    return Small(folder, {VAULT_KEY: ""})


def run(lake: Small, engine: str, day: int) -> None:
    page = lake.project / "lake.yml"
    page.write_text(page.read_text().replace("engine: duck", "engine: ?").replace("engine: spark", "engine: ?"))
    page.write_text(page.read_text().replace("engine: ?", f"engine: {engine}"))
    if day == 2:
        lake.sql(*DAY_2)
    assert failed(lake.run(day)) == {}


def tables(lake: Small) -> dict[str, list[str]]:
    """Every stored table, as the embedded engine reads it: its rows, in an order of their own."""
    page = lake.project / "lake.yml"
    page.write_text(page.read_text().replace("engine: spark", "engine: duck"))
    with examined(lake.project, lake.environment, []) as held:
        return {name: rows(held.engine.ask(f"SELECT * FROM {name}")) for name in held.engine.tables()}


def rows(table: Any) -> list[str]:
    told = ({name: value for name, value in row.items() if name not in ASIDE} for row in table.to_pylist())
    return sorted(json.dumps(row, default=str, sort_keys=True) for row in told)


def assert_equal(ours: Mapping[str, list[str]], theirs: Mapping[str, list[str]]) -> None:
    assert theirs.keys() == ours.keys()
    differing = {name: set(ours[name]) ^ set(theirs[name]) for name in ours if ours[name] != theirs[name]}
    assert "\n".join(f"{name}: {sorted(some)[:4]}" for name, some in differing.items()) == ""


@pytest.fixture
def lakes(tmp_path, spark_session) -> Callable[[str], Small]:
    return lambda name: begun(tmp_path / name)


@pytest.mark.prove
@pytest.mark.parametrize("engines", [("spark", "spark"), ("duck", "spark"), ("spark", "duck")])
def test_two_days_make_the_same_lake_whichever_engine_runs_them(engines, lakes):
    embedded, other = lakes("embedded"), lakes("other")
    for day, engine in enumerate(engines, 1):
        run(embedded, "duck", day)
        run(other, engine, day)
        assert_equal(tables(embedded), tables(other))
    assert len(tables(embedded)["silver.patient_versions"]) > 3
