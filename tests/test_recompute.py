"""Facts that are recomputed by key: only what is proven, and row by row what building them whole would give."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta

import pytest
from deltalake import DeltaTable
from small_lake import CLAIMS, CODES, Small, failed

from carelake import recompute
from carelake.engine import duck
from carelake.lake import opened
from carelake.serve import door

FACT = """
SELECT visit.visit_key, ward.ward_key, visit.seen_on
FROM silver.visit AS visit
LEFT JOIN gold.dim_ward AS ward ON visit.ward_key = ward.ward_key
"""
BY_DAY = """
WITH told AS (SELECT visit_key, ward_id, CASE WHEN seen_on > $as_of THEN 0 ELSE 1 END AS counts FROM silver.visit)
SELECT told.visit_key, ward.name, told.counts
FROM told LEFT JOIN silver.ward AS ward ON ward.ward_id = UPPER(told.ward_id)
"""


def test_of_a_fact_it_is_known_what_a_change_reaches() -> None:
    fact = recompute.proven(FACT, "visit_key")
    assert fact == recompute.Fact(
        "silver.visit",
        tuple(fact.columns) if fact else (),
        (recompute.Lookup("gold.dim_ward", "ward_key", ("ward_key",), "ward_key"),),
        (),
    )
    assert set(fact.columns) == {"visit_key", "seen_on"}


def test_of_a_fact_that_is_seen_from_a_day_it_is_known_whose_rows_that_changes() -> None:
    fact = recompute.proven(BY_DAY, "visit_key")
    assert fact
    assert (fact.days, fact.columns) == (("seen_on",), ("visit_key",))
    assert fact.lookups == (recompute.Lookup("silver.ward", "ward_id", ("name", "ward_id"), "UPPER(ward_id)"),)
    asked = recompute.reached(fact, "visit_key", [("UPPER(ward_id)", "x")], (date(2024, 2, 1), date(2024, 1, 1)))
    assert asked == (
        "SELECT visit_key FROM silver.visit WHERE UPPER(ward_id) IN (SELECT * FROM x)"
        " OR seen_on BETWEEN CAST('2024-01-01' AS DATE) AND CAST('2024-02-01' AS DATE)"
    )


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("visit.visit_key,", "COUNT(*) AS visit_key,"),
        ("visit.visit_key,", "visit.visit_key + 1 AS visit_key,"),
        ("visit.visit_key,", "visit_key,"),  # whose it is cannot be told
        ("LEFT JOIN", "INNER JOIN"),
        ("LEFT JOIN", "CROSS JOIN gold.dim_bed LEFT JOIN"),
        ("= ward.ward_key", "> ward.ward_key"),
        ("= ward.ward_key", "= ward.ward_key AND ward.beds > 1"),
        ("gold.dim_ward AS ward", "(SELECT * FROM gold.dim_ward) AS ward"),
        ("visit.seen_on\n", "ROW_NUMBER() OVER (ORDER BY visit.visit_key) AS seen_on\n"),
        ("visit.seen_on\n", "(SELECT MAX(b.n) FROM gold.bed AS b) AS seen_on\n"),
        ("visit.seen_on\n", "DATE_DIFF('day', visit.seen_on, $as_of) AS days\n"),
        ("visit.seen_on\n", "ward.opened_on < $as_of AS days\n"),
        ("SELECT", "SELECT DISTINCT"),
        ("FROM silver.visit AS visit", "FROM gold.fact_visit AS visit"),
        ("FROM silver.visit AS visit", "FROM silver.visit_history AS visit"),
    ],
)
def test_what_could_reach_other_rows_is_not_proven(right: str, wrong: str) -> None:
    assert right in FACT
    assert recompute.proven(FACT, "visit_key")
    assert recompute.proven(FACT.replace(right, wrong, 1), "visit_key") is None


def test_a_total_of_the_driver_beside_it_is_not_proven() -> None:
    total = "WITH total AS (SELECT ward_key, COUNT(*) AS n FROM silver.visit GROUP BY ward_key)"
    joined = f"{total}{FACT}LEFT JOIN total ON visit.ward_key = total.ward_key"
    assert recompute.proven(joined, "visit_key") is None
    assert recompute.proven(joined.replace("FROM silver.visit GROUP", "FROM reference.bed GROUP"), "visit_key")


# --- against building it whole ---------------------------------------------------------------------------------------

FACTS = ("fact_claim", "fact_encounter", "fact_transaction")


def changes(chance: random.Random, day: int) -> Iterator[str]:
    """What the hospital's people do on a day."""

    def one(letter: str, most: int = 4) -> str:
        return f"'{letter}{chance.randint(1, most)}'"

    on, named = f"ModifiedDate = '2024-11-{day:02d}'", chance.choice(["NULL", "'Eva'"])
    visit = f"DepartmentID = {one('D', 3)}, ProviderID = {one('V', 3)}"
    when = f"'2024-{chance.randint(8, 12):02d}-{chance.randint(1, 28):02d}'"
    told = [
        f"UPDATE transactions SET Amount = {chance.randint(0, 900)}, {on} WHERE TransactionID = {one('T')}",
        f"UPDATE transactions SET ServiceDate = {when}, {on} WHERE TransactionID = {one('T')}",
        f"UPDATE transactions SET PaidDate = {when}, PatientID = {one('P')}, {on} WHERE TransactionID = {one('T')}",
        f"UPDATE transactions SET EncounterID = {one('E')}, ICDCode = 'J45', {on} WHERE TransactionID = {one('T')}",
        f"UPDATE encounters SET {visit}, {on} WHERE EncounterID = {one('E')}",
        f"DELETE FROM departments WHERE DeptID = {one('D', 3)}",
        f"INSERT INTO departments VALUES ({one('D', 3)}, 'Again')",
        f"DELETE FROM providers WHERE ProviderID = 'H1-V{chance.randint(1, 3)}'",
        f"INSERT INTO patients VALUES ('P{day}', {named}, 'X', NULL, NULL, NULL, 'F', NULL, NULL, '2024-11-{day:02d}')",
        f"UPDATE patients SET FirstName = 'Ida', {on} WHERE PatientID = {one('P', 9)}",
        f"DELETE FROM transactions WHERE TransactionID = {one('T')}",
        f"DELETE FROM encounters WHERE EncounterID = {one('E')}",
    ]
    yield from chance.sample(told, chance.randint(1, 5))


def lives(lake: Small, seed: int, days: int) -> None:
    chance = random.Random(seed)
    as_of = date(2024, 10, 15)
    for day in range(1, days + 1):
        lake.sql(*changes(chance, day))
        if chance.random() < 0.3:
            lake.put(f"claims/hospital1_{day}.csv", CLAIMS.replace("C1,T1", f"K{day},T{chance.randint(1, 4)}"))
        if chance.random() < 0.2:
            lake.put(f"cptcodes/codes{day}.csv", f"{CODES}CCC,{chance.choice(['99213', '97100'])},More,No Change\n")
        as_of += timedelta(days=chance.choice([0, 1, 1, 30, -20]))
        did = lake.run(day, as_of=as_of, reconcile=chance.random() < 0.4)
        assert failed(did) == {}
        same_as_whole(lake, as_of)


def same_as_whole(lake: Small, as_of: date) -> None:
    with opened(lake.project, lake.environment, writing=False) as inside:
        for name in FACTS:
            built = inside.engine.ask(f"SELECT * FROM gold.{name}").to_pylist()
            whole = inside.engine.ask(inside.declared.marts[name].select, as_of).to_pylist()
            assert sorted(map(repr, built)) == sorted(map(repr, whole)), name


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.prove)])
def test_a_fact_recomputed_by_key_is_what_it_would_be_built_whole(
    seed: int, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duck, "SUPERSEDED", 50)  # so that even a small table is never built whole again
    lives(small, seed, 3)
    for name in FACTS:
        stored = DeltaTable(str(small.project / "lake/gold" / name))
        assert any(field.name.startswith("_revision_of_") for field in stored.schema().fields), name
        with door.ask(small.project, f"SELECT * FROM gold.{name}") as shown:
            assert not any(column.startswith("_") for column in shown.schema.names)


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(100, 130))
def test_many_lives_of_a_fact_are_what_it_would_be_built_whole(
    seed: int, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duck, "SUPERSEDED", 50 if seed % 2 else 0.5)
    lives(small, seed, 8)


def test_a_key_that_nobody_can_prove_does_not_load(small: Small) -> None:
    small.say("gold/core/dim_date.md", "columns:", "recompute_by: date_key\ncolumns:")
    told = small.command("plan")
    assert (told.returncode, told.stderr.count(b"LAKE-124")) == (10, 1)
