"""Killed at any instant, a run leaves a lake that the next run makes whole: row by row that of a run never killed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest
from killed_runs import (
    DAYS,
    DIES,
    Held,
    Hospital,
    differences,
    held,
    killed_after,
    killed_at,
    next_day,
    opened_on_day_one,
    run,
    strays,
)

from carelake.engine.duck import Duck

LATER = timedelta(hours=1)


@dataclass(frozen=True)
class Never:
    """Two days of a hospital whose runs were never killed."""

    before: dict[int, Hospital]  # day -> the hospital as it is before that day's run
    after: dict[int, Held]
    moments: dict[int, int]  # how many there are to die at
    seconds: dict[int, float]


@pytest.fixture(scope="module")
def never(tmp_path_factory: pytest.TempPathFactory) -> Never:
    folder = tmp_path_factory.mktemp("never")
    (folder / "hospital").mkdir()
    hospital = opened_on_day_one(folder / "hospital")
    told = Never({}, {}, {}, {})
    for day in DAYS:
        if day > 1:
            next_day(hospital)
        told.before[day] = hospital.copied(folder / f"before day {day}")
        began = monotonic()
        said = run(hospital, DAYS[day], DIES.format(moment=0))
        told.seconds[day] = monotonic() - began
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


def instants() -> Iterator[tuple[int, float, bool, int]]:
    """Day, which part of the run is over, whether by the clock or by moments that matter, and how often in a row."""
    chance = random.Random(20260601)
    for _ in range(50):
        yield chance.choice([1, 2, 2]), chance.random(), chance.random() < 0.5, chance.choice([1, 1, 1, 3])


@pytest.mark.prove
@pytest.mark.parametrize(("day", "part", "by_clock", "times"), list(instants()))
def test_a_run_that_is_killed_at_any_instant_is_made_whole(day, part, by_clock, times, never, tmp_path):
    hospital = never.before[day].copied(tmp_path / "hospital")
    for hour in range(times):
        now = DAYS[day] + hour * LATER
        if by_clock:
            killed_after(hospital, now, part * never.seconds[day])
        else:
            killed_at(hospital, now, 1 + int(part * never.moments[day]))
    made_whole(hospital, day, never)


@pytest.mark.prove
def test_runs_that_each_die_after_two_commits_get_there_in_the_end(never, tmp_path):
    hospital = never.before[1].copied(tmp_path / "hospital")
    for day in DAYS:
        if day > 1:
            next_day(hospital)
        runs = 1
        while killed_at(hospital, DAYS[day] + runs * timedelta(minutes=1), 4):
            runs += 1
            assert runs < never.moments[day]
        assert runs > never.moments[day] / 10
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
