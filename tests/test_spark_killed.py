"""Killed at any instant while Spark runs it, a lake is made whole by the next run."""

from __future__ import annotations

import random
import time
from datetime import timedelta
from pathlib import Path

import pytest
from killed_runs import DAYS, PASSING, Hospital, next_day, opened_on_day_one, run, selects, started, strays
from lake_engines import need_spark

from carelake.lake import opened

OF_PLACE = {"_load_row"}  # which row of its load a row is: those of a file have no order
ON_SPARK = ("run", "--engine", "spark")


def sums(hospital: Hospital) -> dict[str, tuple[int, int]]:
    """Of each table of the lake, how many rows there are and a sum that says which; a run's moments are its day."""
    with opened(hospital.project, hospital.environment, writing=False, engine="duck") as lake:
        told = {}
        for name, select in selects(lake).items():
            lake.engine.define("audit.asked", select)
            typed = lake.engine.ask("SELECT * FROM audit.asked LIMIT 0").schema
            columns = [_told(field.name, str(field.type)) for field in typed if field.name not in PASSING | OF_PLACE]
            (row,) = lake.engine.ask(
                f"SELECT COUNT(*) AS n, CAST(SUM(CAST(HASH({', '.join(sorted(columns))}) AS HUGEINT)) AS TEXT) AS told"
                " FROM audit.asked"
            ).to_pylist()
            told[name] = row["n"], int(row["told"] or 0)
        return told


def _told(name: str, kind: str) -> str:
    if "timestamp" not in kind:
        return f'"{name}"'
    days = (
        f"WHEN \"{name}\" BETWEEN TIMESTAMPTZ '{hour.isoformat()}' AND TIMESTAMPTZ '{hour + timedelta(hours=12)}'"
        f" THEN 'day {day}'"
        for day, hour in DAYS.items()
    )
    return f'CASE {" ".join(days)} ELSE CAST("{name}" AS TEXT) END'


@pytest.mark.prove
@pytest.mark.parametrize(("transactions", "instants"), [(200_000, 20), (5_000_000, 1)])
def test_whenever_a_run_on_spark_is_killed_the_next_one_ends_right(
    transactions: int, instants: int, tmp_path: Path
) -> None:
    need_spark()
    chance = random.Random(transactions)
    mornings, told = {1: opened_on_day_one(tmp_path / "first", transactions=transactions)}, {}
    for day in (1, 2)[:instants]:
        right = mornings[day].copied(tmp_path / f"right {day}")
        run(right, DAYS[day])
        told[day] = sums(right)
        assert told[day]["silver.transaction"][0] == transactions
        if day == 1 < instants:
            mornings[2] = right.copied(tmp_path / "second")
            next_day(mornings[2])
    lasts, died = {}, 0
    for day, morning in mornings.items():
        hospital, begin = morning.copied(tmp_path / f"undisturbed {day}"), time.monotonic()
        run(hospital, DAYS[day], words=ON_SPARK)
        lasts[day] = time.monotonic() - begin
        assert not strays(hospital)
        assert sums(hospital) == told[day]
    for instant in range(instants):
        day = 1 + instant % 2
        hospital = mornings[day].copied(tmp_path / f"killed {instant}")
        with started(hospital, DAYS[day], words=ON_SPARK) as process:
            time.sleep(chance.uniform(0.1, 1) * lasts[day])
            process.kill()
            process.communicate()
        died += process.returncode == -9
        run(hospital, DAYS[day] + timedelta(hours=5), words=ON_SPARK if instant % 7 == 0 else ("run",))
        assert sums(hospital) == told[day], f"killed at instant {instant}"
        assert not strays(hospital)
    print(f"a run took {lasts}, and {died} of {instants} were killed")
    assert died >= instants * 3 / 4
