"""Repairs and tables made anew, killed in between: the next run ends as if nobody had been killed."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import pytest
from killed_runs import DAYS, Hospital, differences, held, killed_at, next_day, opened_on_day_one, run

REPROCESS = ("reprocess", "patient", "--because", "a drill")


@pytest.fixture(scope="module")
def day_one(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    """After its first run, some patients are held back; then the hospital has its next day."""
    hospital = opened_on_day_one(tmp_path_factory.mktemp("repaired") / "hospital")
    run(hospital, DAYS[1])
    next_day(hospital)
    return hospital


def repair(hospital: Hospital) -> tuple[str, ...]:
    """The command that gives the first patient who is held back a name."""
    listed = json.loads(run(hospital, DAYS[2], words=("quarantine", "list", "patient", "--rows", "--json")))
    return ("quarantine", "repair", listed["rows"][0]["id"], "--set", "name=Ann R")


@pytest.fixture(scope="module")
def repaired(day_one: Hospital, tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    """One repair waits for the next run."""
    hospital = day_one.copied(tmp_path_factory.mktemp("repaired") / "hospital")
    run(hospital, DAYS[2], words=repair(hospital))
    return hospital


@pytest.fixture(scope="module")
def undisturbed(repaired: Hospital, tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    """What all of them should come to."""
    hospital = repaired.copied(tmp_path_factory.mktemp("undisturbed") / "hospital")
    run(hospital, DAYS[2])
    return hospital


@pytest.mark.prove
@pytest.mark.parametrize("moment", ["after quarantine.patient"])
def test_a_run_that_is_killed_while_it_takes_in_repairs_is_made_good_by_the_next(
    repaired, undisturbed, tmp_path, moment
):
    hospital = repaired.copied(tmp_path / "hospital")
    assert killed_at(hospital, DAYS[2], moment)
    run(hospital, DAYS[2])
    assert differences(held(hospital), held(undisturbed)) == []


@pytest.mark.prove
def test_a_repair_that_is_killed_is_given_again_and_made_once(day_one, undisturbed, tmp_path):
    hospital = day_one.copied(tmp_path / "hospital")
    words = repair(hospital)
    assert killed_at(hospital, DAYS[2], "after replace", words)
    for _ in range(2):
        run(hospital, DAYS[2], words=words)
    run(hospital, DAYS[2])
    assert differences(held(hospital), held(undisturbed)) == []


@pytest.mark.prove
@pytest.mark.parametrize("moment", ["after silver.patient_versions"])
def test_a_table_that_is_begun_anew_while_somebody_is_killed_ends_as_it_was(day_one, tmp_path, moment):
    hospital, whole = day_one.copied(tmp_path / "hospital"), day_one.copied(tmp_path / "whole")
    assert killed_at(hospital, DAYS[2], moment, REPROCESS)
    run(whole, DAYS[2], words=REPROCESS)
    for one in (hospital, whole):
        run(one, DAYS[2])
    assert differences(held(hospital), held(whole)) == []


@pytest.mark.prove
def test_a_run_that_is_killed_at_any_moment_after_a_repair_and_a_table_begun_anew_is_made_good(
    repaired: Hospital, tmp_path: Path
) -> None:
    begun = repaired.copied(tmp_path / "begun")
    run(begun, DAYS[2], words=REPROCESS)
    whole = begun.copied(tmp_path / "whole")
    run(whole, DAYS[2])
    for moment in count(1):
        hospital = begun.copied(tmp_path / f"{moment}")
        if not killed_at(hospital, DAYS[2], moment):
            break
        run(hospital, DAYS[2])
        assert differences(held(hospital), held(whole)) == [], f"killed at moment {moment}"
