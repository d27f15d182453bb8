"""What a run checks of a mart before anybody sees it."""

from __future__ import annotations

import pytest
from small_lake import Small, failed, step

from carelake import declare


def own(lake: Small, select: str, said: str) -> None:
    """A mart of one column, `n`, of which the page says `said`."""
    shelf = lake.project / "gold/own"
    shelf.mkdir(parents=True, exist_ok=True)
    page = f"---\nabout: It.\ncolumns:\n  n: {{kind: event_date, about: It{said}}}\n---\n"
    (shelf / "mine.md").write_text(page)
    (shelf / "mine.sql").write_text(f"SELECT {select} AS n FROM silver.transaction -- the end")


@pytest.mark.parametrize(
    ("select", "said", "told"),
    [
        ("COUNT(*)", "", "n is said to be text (TEXT), and comes out as int64"),
        ("SUM(amount)", ", type: money", "n is said to be money (DECIMAL(18, 2)), and comes out as decimal128(38, 2)"),
        ("SUM(CAST(amount AS DECIMAL(18, 4)))", ", type: ratio", "comes out as decimal128(38, 4)"),
        ("MIN(service_date)", ", type: timestamp", "n is said to be timestamp (TIMESTAMPTZ), and comes out as date32"),
        ("COUNT(*) > 0", ", type: integer", "n is said to be integer (BIGINT), and comes out as bool"),
    ],
)
def test_a_mart_that_is_of_another_type_than_its_page_says_is_not_released(small, select, said, told):
    own(small, select, said)
    did = small.run(1)
    assert failed(did)["build mine"] == "LAKE-403"
    found = step(did, "mine", "build").found
    assert "gold.mine: n is said to be" in found
    assert told in found
    assert "gold/own/mine.md" in found
    assert (did.released, did.exit_code(strict=False)) == (None, 40)
    assert failed(small.run(2))["build mine"] == "LAKE-403"  # nothing of it was kept that would look done


@pytest.mark.parametrize(
    ("select", "said", "gives"),
    [
        ("COUNT(*)", ", type: integer", "4"),
        ("CAST(SUM(amount) AS DECIMAL(18, 2))", ", type: money", "470.11"),  # 100.10 + 20.01 + 300 + 50
        ("MIN(source_system)", "", "hos-a"),
        ("MAX(updated_at)", ", type: timestamp", "2024-10-10 00:00:00+00:00"),
        ("COUNT(*) > 3", ", type: boolean", "True"),
    ],
)
def test_a_mart_that_is_what_its_page_says_is_released(small, select, said, gives):
    own(small, select, said)
    did = small.run(1)
    assert (failed(did), did.released) == ({}, 2)
    assert str(small.one("SELECT n FROM gold.mine")) == gives


def test_a_type_that_is_changed_on_a_page_only_is_checked_by_the_next_run(small):
    own(small, "COUNT(*)", ", type: integer")
    assert failed(small.run(1)) == {}
    own(small, "COUNT(*)", ", type: money")
    assert failed(small.run(2))["build mine"] == "LAKE-403"


def test_every_shipped_mart_was_built_as_its_page_says(small_origin):
    marts = declare.read(small_origin.project).marts
    assert small_origin.one("SELECT COUNT(DISTINCT name) FROM audit.run_steps WHERE step = 'build'") == len(marts)
