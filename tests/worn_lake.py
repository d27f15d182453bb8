"""A small lake of three days, in many small files, for those who look after it; and what a fourth day makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_lake import CLAIMS, Small, contents, copied, failed

Rows = dict[str, list[tuple[Any, ...]]]


def day(lake: Small, number: int) -> None:
    """What happens in the hospital on a day, and the run that takes it in."""
    lake.sql(
        f"UPDATE patients SET Gender = 'X', ModifiedDate = '2024-11-{number:02}' WHERE PatientID = 'P{number}'",
        f"UPDATE transactions SET Amount = {number}, ModifiedDate = '2024-11-{number:02}'"
        f" WHERE TransactionID = 'T{number}'",
        f"INSERT INTO departments VALUES ('D{number + 5}', 'New')",
    )
    lake.put(f"claims/hospital1_{number}.csv", CLAIMS.replace("C1,", f"C{number + 5},"))
    assert failed(lake.run(number)) == {}


@pytest.fixture(scope="session")
def worn_origin(small_origin: Small, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """The lake after day 2. Nobody may change it."""
    lake = copied(small_origin, tmp_path_factory.mktemp("worn"))
    day(lake, 1)
    day(lake, 2)
    return lake


@pytest.fixture(scope="session")
def on_day_three(worn_origin: Small, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """What it holds after another day, if nobody looked after it."""
    lake = copied(worn_origin, tmp_path_factory.mktemp("third"))
    day(lake, 3)
    return contents(lake)


@pytest.fixture
def worn(worn_origin: Small, tmp_path: Path) -> Small:
    """A copy of it, to look after or to spoil."""
    return copied(worn_origin, tmp_path)
