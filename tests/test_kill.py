"""Killed at any instant, a run leaves a lake that the next run makes whole: row by row that of a run never killed."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from killed_runs import (
    DAYS,
    DIES,
    Held,
    Hospital,
    Stretch,
    differences,
    held,
    killed_at,
    killed_in,
    next_day,
    opened_on_day_one,
    run,
    strays,
    stretches,
)

from carelake.engine.duck import Duck

LATER = timedelta(hours=1)


@dataclass(frozen=True)
class Never:
    """Two days of a hospital whose runs were never killed."""

    before: dict[int, Hospital]  # day -> the hospital as it is before that day's run
    after: dict[int, Held]
    moments: dict[int, int]  # how many there are to die at
    folder: Path

    def stretches(self) -> dict[int, list[Stretch]]:
        """The parts of each day's run."""
        return {day: stretches(self.before[day].copied(self.folder / f"day {day}"), DAYS[day]) for day in DAYS}


@pytest.fixture(scope="module")
def never(tmp_path_factory: pytest.TempPathFactory) -> Never:
    folder = tmp_path_factory.mktemp("never")
    (folder / "hospital").mkdir()
    hospital = opened_on_day_one(folder / "hospital")
    told = Never({}, {}, {}, folder)
    for day in DAYS:
        if day > 1:
            next_day(hospital)
        told.before[day] = hospital.copied(folder / f"before day {day}")
        said = run(hospital, DAYS[day], DIES.format(moment=0))
        told.moments[day] = int(said.split("moments")[-1])
        told.after[day] = held(hospital)
    return told


def made_whole(hospital: Hospital, day: int, never: Never) -> None:
    """Run once more, undisturbed, and compare."""
    run(hospital, DAYS[day] + 5 * LATER)
    assert not differences(never.after[day], held(hospital))
    assert not strays(hospital)


CHOSEN = {  # half of the tables made, then all but a table itself; landed and unknown, then built and unseen
    1: ["after making silver.patient_versions", "before silver.claim_versions"],
    2: ["before audit.load_logs", "before audit.releases"],
}


def test_runs_that_die_at_chosen_moments_lose_and_double_nothing(never, tmp_path):
    hospital = never.before[1].copied(tmp_path / "hospital")
    for day in DAYS:
        if day > 1:
            next_day(hospital)
        for hour, moment in enumerate(CHOSEN[day]):
            assert killed_at(hospital, DAYS[day] + hour * LATER, moment)
        made_whole(hospital, day, never)


def test_what_is_there_already_is_there_once(never):
    """The measure itself: the lake of day 1 is not that of day 2, and holds what was planted."""
    first, second = never.after[1], never.after[2]
    assert len(differences(first, second)) > 20
    assert sum(first["silver.transaction"].values()) == 150
    assert sum(second["silver.provider"].values()) == 8  # one left, one came
    assert sum(second["silver.provider_history"].values()) == 10
    assert sum(first["quarantine.claim"].values()) == 2
    assert sum(second["vault.key_map"].values()) == len(set(second["vault.key_map"]))


STEPS = ("extract", "land", "refine", "build", "release")


def instants(never: Never) -> Iterator[tuple[int, Stretch, float]]:
    """Fifty: a day and how far into which stretch of its run, ten in each step; a longer stretch has more of them."""
    chance, parts = random.Random(20260601), never.stretches()
    for _ in range(10):
        for step in STEPS:
            day = chance.choice(list(DAYS))
            there = [one for one in parts[day] if one.step == step]
            (stretch,) = chance.choices(there, [one.seconds for one in there])
            yield day, stretch, chance.random() * stretch.seconds


@pytest.mark.prove
def test_a_run_that_is_killed_at_any_of_fifty_random_instants_is_made_whole(never, tmp_path):
    died: Counter[str] = Counter()
    wrong: list[str] = []
    for day, stretch, seconds in instants(never):
        hospital = never.before[day].copied(tmp_path / "hospital")
        died[killed_in(hospital, DAYS[day], stretch.place, seconds)] += 1
        run(hospital, DAYS[day] + 5 * LATER)
        wrong += differences(never.after[day], held(hospital)) + strays(hospital)
        shutil.rmtree(hospital.folder)
    print(dict(died))
    assert wrong == []
    assert sum(died.values()) - died["nowhere"] >= 45
    assert min(died[step] for step in STEPS) >= 5


@pytest.mark.prove
def test_runs_that_each_die_after_four_commits_get_there_in_the_end(never, tmp_path):
    hospital = never.before[1].copied(tmp_path / "hospital")
    for day in DAYS:
        if day > 1:
            next_day(hospital)
        runs = 1
        while killed_at(hospital, DAYS[day] + runs * timedelta(minutes=1), 8):
            runs += 1
            assert runs < never.moments[day]
        assert runs > never.moments[day] / 20
        made_whole(hospital, day, never)


# One run takes in the loads of both days: these columns are of the run, and keys are minted in another order.
OF_THE_RUN = ("_key", "inserted_date", "modified_date", "quarantined_at", "_revision")


def told(lake: Held) -> Held:
    """What the lake tells of the hospital, whichever run took it in."""
    found: dict[str, Counter[tuple[tuple[str, Any], ...]]] = {}
    for name, rows in lake.items():
        if name.startswith(("silver.", "restricted.", "quarantine.", "gold.fact_")):
            found[name] = Counter()
            for row, count in rows.items():
                found[name][tuple(one for one in row if not one[0].endswith(OF_THE_RUN))] += count
    return found


def judged(lake: Held) -> Counter[tuple[str, str, str]]:
    """How many rows were seen and how many broke each rule of each table, whichever run judged them."""
    sums: Counter[tuple[str, str, str]] = Counter()
    for row, count in lake["audit.rule_results"].items():
        says = dict(row)
        for figure in ("rows_seen", "violating"):
            sums[says["table_name"], says["rule"], figure] += says[figure] * count
    return sums


WHILE_REFINING = [
    "before audit.rule_results",
    "after vault.key_map",
    "after restricted.claim_history",
    "after quarantine.claim",
    "after silver.claim_versions",
    "after vault.token",
    "before silver.patient_versions",
    "after restricted.transaction_history",
]


@pytest.mark.prove
@pytest.mark.parametrize("moment", WHILE_REFINING)
def test_loads_of_a_killed_run_and_of_the_day_after_are_taken_in_together(moment, never, tmp_path):
    """What belongs to the tables was written for the first loads only: the next run takes in more than those."""
    hospital = never.before[1].copied(tmp_path / "hospital of day 1")
    assert killed_at(hospital, DAYS[1], moment)
    next_day(hospital)
    run(hospital, DAYS[2])
    lake = held(hospital)
    assert not differences(told(never.after[2]), told(lake))
    assert judged(never.after[2]) == judged(lake)
    assert not strays(hospital)


def test_a_table_that_was_about_to_be_made_is_made_by_the_next_run(tmp_path):
    """Its log's folder is there, and nothing in it."""
    (tmp_path / "silver/t/_delta_log").mkdir(parents=True)
    (tmp_path / "gold/g/_delta_log").mkdir(parents=True)
    duck = Duck({"silver": tmp_path, "gold": tmp_path}, tmp_path / "staging")
    assert duck.version("silver.t") is None
    duck.create("silver.t", {"k": "BIGINT"})
    duck.replace("gold.g", "SELECT 1 AS k")
    assert (duck.version("silver.t"), duck.version("gold.g")) == (0, 0)
