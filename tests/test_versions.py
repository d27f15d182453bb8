"""Versions: the lake has what the reference has, whatever its sources tell in whatever order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cases import some
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from in_memory import InMemory, hours
from lake_engines import MakeEngine, made_by
from version_stories import (
    CELLS,
    PLAIN,
    Cell,
    Step,
    Stories,
    arrivals,
    declarations,
    differences,
    exact,
    held_back,
    quarantined,
    restricted,
    told,
)
from versions_reference import NO_RULES, Arrived, Rules, Told, Version, latest, timeline

from carelake import silver
from carelake.accounts import loads, refined
from carelake.engine.duck import Duck
from carelake.timeline import standing as joined_by_key

# --- the reference keeps its own promises ----------------------------------------------------------------------------

MOMENTS = st.integers(0, 12).map(hours)
ROWS = st.builds(Told, st.just("k"), MOMENTS, st.sampled_from([("A",), ("B",), ("C",), (None,)]))


def loads_of(rows: Sequence[Sequence[Told]], *tombstones: int) -> list[Arrived]:
    """One load a row, or rows, that was seen an hour after the other; the ones at `tombstones` bring the key's end."""
    return [
        Arrived(n, hours(20 + n), hours(20 + n), () if n in tombstones else tuple(brought), n in tombstones)
        for n, brought in enumerate(rows)
    ]


def story(versions: Sequence[Version]) -> list[tuple[object, ...]]:
    """What a history tells, without which load it came in."""
    return [(v.time, v.values, v.deleted, v.valid_from, v.valid_to, v.current, v.change) for v in versions]


@given(st.lists(ROWS, min_size=1, max_size=8, unique_by=lambda row: row.time), st.randoms(use_true_random=False))
def test_the_order_in_which_distinct_source_times_arrive_does_not_matter(rows, chance):
    shuffled = chance.sample(rows, len(rows))
    assert story(timeline(loads_of([[row] for row in rows]))) == story(timeline(loads_of([[row] for row in shuffled])))


@given(st.lists(ROWS, min_size=1, max_size=8, unique_by=lambda row: row.time), st.integers(1, 7))
def test_into_how_many_loads_rows_are_split_does_not_matter(rows, cut):
    parts = [part for part in (rows[:cut], rows[cut:]) if part]
    assert story(timeline(loads_of([rows]))) == story(timeline(loads_of(parts)))


@given(st.lists(ROWS, min_size=1, max_size=6, unique_by=lambda row: row.time))
def test_a_load_that_is_repeated_changes_nothing(rows):
    once = [[row] for row in rows]
    assert story(timeline(loads_of([*once, rows]))) == story(timeline(loads_of(once)))


@given(st.lists(st.lists(ROWS, min_size=1, max_size=3), min_size=1, max_size=8), st.sets(st.integers(0, 7)))
def test_versions_follow_each_other_without_a_gap_and_at_most_the_last_one_is_current(rows, tombstones):
    versions = timeline(loads_of(rows, *tombstones))
    for one, following in pairwise(versions):
        assert one.valid_from <= one.valid_to == following.valid_from
        assert not one.current
    assert all(one.valid_to is None and one.current != one.deleted for one in versions[-1:])


def test_a_then_b_then_a_are_three_changes():
    rows = [Told("k", hours(n), (name,)) for n, name in enumerate("ABA")]
    assert [v.change for v in timeline(loads_of([[row] for row in rows]))] == [True, True, True]


def test_what_is_inserted_again_with_an_old_time_is_there_again():
    row = Told("k", hours(1), ("A",))
    versions = timeline(loads_of([[row], [], [row]], 1))
    assert latest(versions) == ("A",)
    assert [(v.deleted, v.valid_from, v.valid_to) for v in versions] == [
        (False, hours(1), hours(21)),
        (True, hours(21), hours(21)),
        (False, hours(21), None),
    ]


# --- the lake has what the reference has -----------------------------------------------------------------------------

WHOLE, NEWS = Step(), Step("one.news", whole=False)
PLANS = {
    "three whole deliveries": (WHOLE, WHOLE, WHOLE),
    "three whole deliveries, refined at once": (replace(WHOLE, refined=False),) * 3,
    "two feeds of one source": (WHOLE, replace(NEWS, upper=12, refined=False), WHOLE),
    "news, and a whole delivery in between": (NEWS, replace(WHOLE, upper=3), replace(NEWS, upper=30)),
}
TABLES = {
    "scd2": ({}, NO_RULES),
    "scd1": ({"history": "scd1"}, Rules(only_last=True)),
    "tie-breaker": ({"more": "tie_breaker: rank"}, Rules(tie_breaker=True)),
    "track": ({"more": "track: [name, rank]"}, Rules(tracked=(0, 5))),
}


def check(folder: Path, steps: Sequence[Step], stories: Stories, table: str = "scd2", make: MakeEngine = Duck) -> None:
    """Tell the stories to a new lake, and compare it with the reference. No row that was landed is lost on the way."""
    spelled, rules = TABLES[table]
    lake = InMemory(folder / "lake", declarations(folder / "project", **spelled), make)
    came = arrivals(steps, stories, told(lake, steps, stories))
    assert not (found := differences(came, lake, rules)), found
    assert standing(lake, "silver.thing_standing") == standing(lake, joined(lake))
    assert quarantined(lake) == held_back(came, rules)
    assert restricted(lake) == exact(came, rules)
    assert [landed == placed for _, landed, placed in refined(lake.engine, "thing", [], loads(lake.engine))] == [True]


def joined(lake: InMemory) -> str:
    """The versions that stand, as who reads a release finds them."""
    table = lake.declared.tables["thing"]
    return f"({joined_by_key(table, lake.declared.policy, 'silver.thing_versions')})"


def standing(lake: InMemory, relation: str) -> list[str]:
    return sorted(str(sorted(row.items())) for row in lake.ask(f"SELECT * FROM {relation} AS told"))


def every_story(cells: Sequence[Cell], steps: int) -> Stories:
    """All that can be told of a key, each of a key of its own, and some of what has no key."""
    stories: dict[str | None, Sequence[Cell]] = {f"k{n}": cell for n, cell in enumerate(product(cells, repeat=steps))}
    return {**stories, None: [cells[-1]] * steps}


@pytest.mark.parametrize("name", PLANS)
def test_every_short_story_ends_as_the_reference_says(name, make_any_engine, tmp_path):
    check(tmp_path, PLANS[name], every_story(PLAIN, 3), make=make_any_engine)


def test_a_row_without_a_key_that_vanishes_is_accounted_for(make_any_engine, tmp_path):
    check(
        tmp_path, [WHOLE, WHOLE, WHOLE], {None: [CELLS[-1], (), CELLS[-1]], "k": [CELLS[-1]] * 3}, make=make_any_engine
    )


@pytest.mark.parametrize("table", list(TABLES)[1:])
def test_every_short_story_ends_as_the_reference_says_in_a_table_of(table, make_any_engine, tmp_path):
    check(tmp_path, PLANS["two feeds of one source"], every_story(CELLS[::3], 3), table, make_any_engine)


@pytest.mark.prove
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("name", PLANS)
def test_every_odd_story_ends_as_the_reference_says(name, table, tmp_path):
    check(tmp_path, PLANS[name], every_story(CELLS, 3), table)


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(["one.roll", "one.roll", "one.news", "two.roll"]),
        st.booleans(),
        st.sampled_from([None, None, 4, 12, 30]),
        st.booleans(),
    ),
    min_size=2,
    max_size=6,
)


def generated(
    steps: Sequence[Step], seed: int, many: int, table: str, pieces: tuple[int, float], make: MakeEngine = Duck
) -> None:
    """Random stories of `many` keys. `pieces`: rows a pass, and the share of revisions from which all is rewritten."""
    chance = random.Random(seed)
    stories: dict[str | None, Sequence[Cell]] = {f"k{n}": chance.choices(CELLS, k=len(steps)) for n in range(many)}
    stories |= {f"p{n}": chance.choices(PLAIN, k=len(steps)) for n in range(many)}
    stories[None] = chance.choices(CELLS, k=len(steps))
    with TemporaryDirectory(prefix="lake-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(silver, "ROWS_A_PASS", pieces[0])
        patch.setattr(silver, "REVISED_SHARE", pieces[1])
        patch.setattr(silver, "REVISED_ROWS", 0)
        check(Path(folder), steps, stories, table, make)


SEEDS, PIECES = st.integers(0, 2**32), st.sampled_from([(1, 0), (1, 0.9), (300, 0), (2_000_000, 0.9)])
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=6, deadline=None, derandomize=True, suppress_health_check=SLOW)
@given(STEPS, SEEDS, st.sampled_from(list(TABLES)), PIECES)
def test_generated_stories_end_as_the_reference_says(steps, seed, table, pieces):
    generated(steps, seed, 100, table, pieces)


@pytest.mark.prove
@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
@given(STEPS, SEEDS, st.sampled_from(list(TABLES)), PIECES)
def test_many_generated_stories_end_as_the_reference_says(steps, seed, table, pieces):
    generated(steps, seed, 400, table, pieces)


def on_spark(seed: int, make: MakeEngine) -> None:
    """A story of hundreds of keys side by side: what takes Spark long is each statement, not each row."""
    chance = random.Random(seed)
    feeds = ["one.roll", "one.roll", "one.news", "two.roll"]
    steps = [
        Step(chance.choice(feeds), chance.random() < 0.5, chance.choice([None, None, 4, 12, 30]), chance.random() < 0.5)
        for _ in range(chance.randint(2, 3))
    ]
    pieces = chance.choice([(1, 0), (1, 0.9), (300, 0), (2_000_000, 0.9)])
    generated(steps, seed, 200, list(TABLES)[seed % len(TABLES)], pieces, make)


QUICK = (4, 10)  # of two steps each, and of few passes


@pytest.mark.parametrize("seed", some(2, [*QUICK, *(seed for seed in range(50) if seed not in QUICK)]))
def test_generated_stories_end_on_spark_as_the_reference_says(seed, spark_session):
    on_spark(seed, made_by("spark"))
