"""One lake, two engines: each makes of the same sources the same tables, and carries on what the other has begun."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from lake_stories import Story, course, demo, small

# What a table may hold otherwise, and why: all else is equal, to the last version number.
CLOCKS = {"seconds"}  # how long it took
WRITERS = {"bytes", "parts"}  # of files, which each engine writes in its own way
PLACES = {"_load_row"}  # which row of its load it is: rows of a file have no order
RANDOM = {"sealed", "wrapped", "key_id"}  # sealed with a nonce
STATES = {"inputs", "state"}  # of tables, whose ids are random
ASIDE = CLOCKS | WRITERS | PLACES | RANDOM | STATES


def told(row: Mapping[str, Any]) -> str:
    return json.dumps({name: value for name, value in row.items() if name not in ASIDE}, default=str, sort_keys=True)


def assert_equal(ours: Mapping[str, list[str]], theirs: Mapping[str, list[str]]) -> None:
    assert theirs.keys() == ours.keys()
    differing = {name: len(set(ours[name]) ^ set(theirs[name])) for name in ours if ours[name] != theirs[name]}
    assert differing == {}


@pytest.mark.prove
@pytest.mark.parametrize("story", [small, demo, course])
def test_two_days_make_the_same_lake_whichever_engine_runs_them(
    story: Callable[[Path], Story], tmp_path: Path, spark_session: Any
) -> None:
    embedded, spark = story(tmp_path / "embedded"), story(tmp_path / "spark")
    for lake, engine in ((embedded, "duck"), (spark, "spark")):
        lake.run(engine, 1)
    assert_equal(embedded.rows(told), spark.rows(told))
    carried_on, carried_back = embedded.copied(tmp_path / "on"), spark.copied(tmp_path / "back")
    embedded.run("duck", 2)
    right = embedded.rows(told)
    assert len(right["silver.patient_versions"]) > 3
    for lake, engine in ((spark, "spark"), (carried_on, "spark"), (carried_back, "duck")):
        lake.run(engine, 2)
        assert_equal(right, lake.rows(told))
