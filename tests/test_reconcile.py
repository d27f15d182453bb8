"""Figures that must agree: each is broken on purpose, holds the release or warns, and lets it go once it is mended."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from cases import some
from small_lake import CLAIMS, Small, failed, put_back, spoil, step

from carelake import accounts, comparison, declare
from carelake.errors import DeclarationsRefused
from carelake.model import Reconciliation
from carelake.source import Delivery, readers
from carelake.step import Run

RELEASES = "SELECT COUNT(*) FROM audit.releases"


def bad(did: Run) -> dict[str, str]:
    """The reconciliations that a run says something of -> its message."""
    named = (one for one in did.steps if one.step == "reconcile" and one.outcome in {"failed", "warned"})
    return {one.name: one.found for one in named}


def is_held(lake: Small, did: Run) -> None:
    """Nothing was released, and the run says that figures do not agree."""
    assert did.released is None
    assert step(did, "release", "release").outcome == "failed"
    assert did.exit_code(strict=False) == 31
    assert {one.code for one in did.steps if one.step == "reconcile" and one.outcome == "failed"} == {"LAKE-311"}


def test_what_is_shipped_holds_on_sound_data_or_says_what_it_waits_for(small: Small) -> None:
    rows = small.ask("SELECT name, part, verdict, found FROM audit.reconciliations")
    assert {name for name, *_ in rows} == set(declare.read(small.project).reconciliations)
    assert {verdict for *_, verdict, _ in rows} == {"holds", "idle"}
    idle = {(name, part): found for name, part, verdict, found in rows if verdict == "idle"}
    assert idle["billing_file", ""] == "nothing to compare yet: there is no bronze.billing_weekly_files"
    assert all(found.startswith("nothing to compare yet: ") for found in idle.values())
    told = small.ask(
        "SELECT item, left_figure, right_figure FROM audit.reconciliations WHERE part = 'hos-a.transactions'"
    )
    assert ("Amount, PaidAmount of hos-a.transactions", Decimal("730.61"), Decimal("730.61")) in told


# --- silver and gold --------------------------------------------------------------------------------------------------


def test_a_fact_that_lost_a_row_holds_the_release_until_it_is_built_anew(small: Small) -> None:
    spoil(small, "gold.fact_claim", "SELECT * FROM gold.fact_claim WHERE claim_id <> 'C3'")
    spoil(small, "gold.fact_transaction", "SELECT * FROM gold.fact_transaction WHERE transaction_id <> 'T3'")
    did = small.run(1)
    is_held(small, did)
    found = bad(did)
    assert set(found) == {"carried fact_claim", "carried fact_transaction", "claims_by_status",
                          "claim_dollars_by_status", "receivables"}  # fmt: skip
    numbers = "fact_claim.claim_amount of hos-a: silver.claim says 400.10, gold.fact_claim 100.10: -300 apart."
    assert numbers in found["carried fact_claim"]
    assert "Move the mart's folder away" in found["carried fact_claim"]
    assert "silver says 2, gold.claim_status 1: -1 apart." in found["claims_by_status"]
    assert "silver says 400.10, gold.claim_status 100.10" in found["claim_dollars_by_status"]
    assert "silver says 209.61, gold 60.11: -149.50 apart." in found["receivables"]
    assert all("`carelake reconcile " in message for message in found.values())
    assert small.one(RELEASES) == 1
    assert small.one("SELECT COUNT(*) FROM gold.fact_claim") == 2  # readers see what they saw before

    answer = small.command("reconcile", "carried", "--json")
    assert answer.returncode == 31, answer.stderr
    behind = {told["part"]: told.get("behind") for told in json.loads(answer.stdout)}
    assert behind["fact_claim"] == [{"source_system": "hos-a", "claim_key": 2}]
    assert b"claim_key" in small.command("reconcile", "claims_by_status").stdout

    again = small.run(2)
    is_held(small, again)  # nothing has changed, and nothing is forgotten
    for mart in ("fact_claim", "fact_transaction"):
        shutil.rmtree(small.project / "lake/gold" / mart)
    mended = small.run(3)
    assert (failed(mended), bad(mended)) == ({}, {})
    assert mended.released == 2
    assert small.command("reconcile").returncode == 0


def test_a_row_that_silver_lost_or_has_twice_holds_the_release(small: Small) -> None:
    before = spoil(small, "silver.claim_versions", "SELECT * FROM silver.claim_versions WHERE claim_id <> 'C3'")
    did = small.run(1)
    is_held(small, did)
    message = bad(did)["refined claim"]
    assert "rows of claim: bronze says 2, silver and quarantine 1: -1 apart." in message
    assert "Run `carelake reprocess` for the table" in message
    assert b"hos-a.claims.000001" in small.command("reconcile", "refined").stdout
    put_back(small, "silver.claim_versions", pa.concat_tables([before, before.slice(0, 1)]))
    assert "bronze says 2, silver and quarantine 3" in bad(small.run(2))["refined claim"]
    answer = small.command("reprocess", "claim", "--because", "a row was there twice")
    assert answer.returncode == 0, answer.stderr
    mended = small.run(3)
    assert (failed(mended), bad(mended), mended.released) == ({}, {}, 2)
    assert small.one("SELECT COUNT(*) FROM silver.claim") == 2


def test_a_row_that_the_quarantine_lost_holds_the_release(small: Small) -> None:
    small.sql("UPDATE patients SET FirstName = NULL, ModifiedDate = '2024-11-02' WHERE PatientID = 'P3'")
    assert small.run(1).released == 2
    assert small.ask("SELECT COUNT(*) FROM quarantine.patient") == [(1,)]
    before = spoil(small, "quarantine.patient", "SELECT * FROM quarantine.patient WHERE FALSE")
    did = small.run(2)
    is_held(small, did)
    assert "rows of patient: bronze says 4, silver and quarantine 3: -1 apart." in bad(did)["refined patient"]
    put_back(small, "quarantine.patient", before)
    assert small.run(3).released == 3


# --- the source and bronze --------------------------------------------------------------------------------------------

Batches = Iterator[pa.RecordBatch]


def without_last(batches: Batches) -> Batches:
    for batch in batches:
        yield batch.slice(0, batch.num_rows - 1)


def with_a_cent_more(batches: Batches) -> Batches:
    for batch in batches:
        amounts = batch["Amount"].to_pylist()
        amounts[-1] = str(Decimal(amounts[-1]) + Decimal("0.01"))
        place = batch.schema.get_field_index("Amount")
        yield batch.set_column(place, "Amount", pa.array(amounts, pa.string()))


def on_the_way(patch: pytest.MonkeyPatch, of: str, change: Callable[[Batches], Batches]) -> None:
    """Let something happen to the rows of a feed behind its reader's back."""
    read = readers.read

    def changed(feed: Any, *given: Any, **how: Any) -> Iterator[Delivery]:
        for delivery in read(feed, *given, **how):
            if feed.name == of:
                delivery.batches = change(delivery.batches)
            yield delivery

    patch.setattr(readers, "read", changed)


T5 = """INSERT INTO transactions SELECT 'T5', EncounterID, PatientID, ProviderID, DeptID, VisitDate, ServiceDate,
PaidDate, VisitType, 40.5, AmountType, 0, ClaimID, PayorID, ProcedureCode, ICDCode, LineOfBusiness, MedicaidID,
MedicareID, InsertDate, '2024-11-20' FROM transactions WHERE TransactionID = 'T4'"""


# First the four charges came to 470.105 and 260.50 paid, in cents 730.61; then T4 came again, with T5 behind it.
@pytest.mark.parametrize(
    ("change", "numbers"),
    some(
        1,
        [
            (without_last, "the source says 871.11, bronze 830.61: -40.50 apart. 2 of 2 items disagree"),
            (with_a_cent_more, "the source says 871.11, bronze 871.12: 0.01 apart. 1 of 2 items disagree"),
        ],
    ),
)
def test_what_is_lost_or_altered_on_the_way_holds_the_release_until_all_is_read_again(
    change: Callable[[Batches], Batches], numbers: str, small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.sql(T5)
    with monkeypatch.context() as patch:
        on_the_way(patch, "transactions", change)
        did = small.run(1)
    is_held(small, did)
    message = bad(did)["landed hos-a.transactions"]
    assert f"Amount, PaidAmount of hos-a.transactions: {numbers}" in message
    assert "carelake run --reconcile" in message
    assert small.one("SELECT COUNT(*) FROM silver.transaction") == 4
    is_held(small, small.run(2))  # what is lost is not read again by itself, and not forgotten
    mended = small.run(3, reconcile=True)
    assert (failed(mended), bad(mended), mended.released) == ({}, {}, 2)
    assert small.ask("SELECT amount FROM silver.transaction WHERE transaction_id = 'T5'") == [(Decimal("40.50"),)]


def test_a_number_that_no_sum_could_hold_stops_no_feed(small: Small) -> None:
    """SQLite fails where 64 bits do not hold a sum; what is no amount of money is added up on neither side."""
    huge = T5.replace("'T5'", "'T6'").replace("40.5", "1e17"), T5.replace("'T5'", "'T7'").replace("40.5", "-5e16")
    small.sql(T5, *huge, huge[1].replace("'T7'", "'T8'"))
    did = small.run(1)
    assert (failed(did), bad(did)) == ({}, {})
    assert did.released == 2


# --- the billing system -----------------------------------------------------------------------------------------------


def billed(lake: Small, **weeks: str) -> None:
    """What the billing system's database says, week by week."""
    with closing(sqlite3.connect(lake.folder / "billing.db")) as db:
        db.execute(
            "CREATE TABLE IF NOT EXISTS weekly_totals (source_system TEXT, week_of TEXT, charges DECIMAL(18, 2))"
        )
        db.execute("DELETE FROM weekly_totals")
        rows = [("hos-a", f"2024-{week[1:3]}-{week[3:]}", charges) for week, charges in weeks.items()]
        db.executemany("INSERT INTO weekly_totals VALUES (?, ?, ?)", rows)
        db.commit()


def test_charges_are_within_one_percent_of_the_weekly_totals_of_the_billing_system(small: Small) -> None:
    small.changed["BILLING_URL"] = f"sqlite:///{small.folder / 'billing.db'}"
    billed(small, w0930="420.11", w1007="60.00")  # T1, T2 and T3 are of the first week, T4 of the second
    head = "source_system,week_of,charges\n"
    small.put("billing/1_weekly_totals.csv", f"{head}hos-a,2024-09-30,430.00\nhos-a,2024-10-07,50.00\n")
    did = small.run(1)
    is_held(small, did)
    assert "the billing system says 60, silver 50: -10 apart. 1 of 2 items disagree" in bad(did)["billing_database"]
    assert "the billing system says 430, silver 420.11: -9.89 apart." in bad(did)["billing_file"]
    billed(small, w0930="420.11", w1007="50.20")
    small.put("billing/2_weekly_totals.csv", f"{head}hos-a,2024-09-30,421.00\n")
    mended = small.run(2)
    assert (failed(mended), bad(mended)) == ({}, {})
    assert mended.released is not None


# --- what is only said ------------------------------------------------------------------------------------------------

MORE = """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
INSERT INTO patients SELECT 'Q' || i, 'A', 'B', 'C', NULL, NULL, CASE WHEN i % 2 THEN 'F' ELSE 'M' END, '1980-01-01',
CASE WHEN i % 2 THEN '1 Elm, Springfield, IL 62701' ELSE '2 Oak, Austin, TX 73301' END, '2024-11-01' FROM n"""
LARGE = (
    "C5,T1,P1,E1,V1,D1,2024-10-01,2024-11-03,Y1,60000.00,60.00,Paid,Commercial,10.00,5.00,1.00,2024-10-03,2024-11-03\n"
)


def test_large_claims_dollars_that_differ_and_other_patients_are_said_and_released(small: Small) -> None:
    small.sql(MORE)
    assert failed(small.run(1)) == {}
    small.sql("UPDATE patients SET Gender = 'F', Address = '1 Elm, Springfield, IL 62701', ModifiedDate = '2024-11-02'"
              " WHERE PatientID LIKE 'Q%' AND Gender = 'M'")  # fmt: skip
    small.put("claims/hospital1_large.csv", CLAIMS.splitlines()[0] + "\n" + LARGE)
    did = small.run(2)
    found = bad(did)
    assert set(found) == {"large_claims", "claims_and_charges", "patients_by_sex", "patients_by_state"}
    assert {one.outcome for one in did.steps if one.step == "reconcile" and one.name in found} == {"warned"}
    assert "hos-a: claims that need no look says 0, large claims 1: 1 apart." in found["large_claims"]
    assert "hos-a: charges says 500.20, claims 60,400.10: 59,899.90 apart." in found["claims_and_charges"]
    assert (did.released, did.exit_code(strict=False), did.exit_code(strict=True)) == (3, 0, 80)
    assert "Springfield" not in repr(found)
    rows = small.ask("SELECT right_figure FROM audit.reconciliations WHERE item = 'hos-a M' ORDER BY judgement")
    assert rows[-1] == (Decimal("1"),)
    assert bad(small.run(3)) == {}  # said once


def test_a_changed_severity_counts_at_once_and_without_other_figures(small: Small) -> None:
    small.sql("UPDATE transactions SET Amount = 101, ModifiedDate = '2024-11-20' WHERE TransactionID = 'T1'")
    assert bad(small.run(1)) == {}  # 401.00 charged and 400.10 claimed are within 1 %
    judged = "SELECT COUNT(*) FROM audit.reconciliations WHERE name = 'claims_and_charges'"
    before = small.one(judged)
    (small.project / "reconciliations.yml").write_text("claims_and_charges: {otherwise: stop, tolerated: 0.001}\n")
    small.sql("UPDATE departments SET Name = 'Heart' WHERE DeptID = 'D1'")
    did = small.run(2)
    is_held(small, did)
    assert "charges says 401, claims 400.10: -0.90 apart." in bad(did)["claims_and_charges"]
    assert small.one(judged) == before + 1
    (small.project / "reconciliations.yml").write_text("claims_and_charges: {tolerated: 0.003}\n")
    assert small.run(3).released == 3


# --- what is usual ----------------------------------------------------------------------------------------------------

MORNING = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)  # a Monday


def load(day: datetime, rows: int) -> Mapping[str, Any]:
    return {"extracted_at": day, "numberofrowscopied": rows}


def volume() -> Reconciliation:
    shipped = declare.read_pages(declare.shipped() / "templates/rcm").reconciliations.plain().says["volume"]
    return Reconciliation("volume", "", shipped["otherwise"], compares=shipped["compares"],
                          right_is=shipped["right_is"], tolerated=Decimal(shipped["tolerated"]),
                          beyond_chance=shipped["beyond_chance"] == "true")  # fmt: skip


def judged(loads: list[Mapping[str, Any]], now: datetime) -> str:
    """What is said of the volume of a feed."""
    return comparison.worst(comparison.verdict(volume(), *figures) for _, *figures in accounts.usual("a.b", loads, now))


def test_what_is_usual_is_the_mean_of_the_weekday_by_that_time_of_the_day() -> None:
    mondays = [load(MORNING - timedelta(weeks=week), 1000 + week) for week in range(1, 9)]
    sundays = [load(MORNING - timedelta(weeks=week, days=1), 10) for week in range(1, 10)]
    evenings = [load(MORNING - timedelta(weeks=week, hours=-12), 500) for week in range(1, 9)]
    before = [*sundays, *mondays, *evenings]
    assert accounts.usual("a.b", [*before, load(MORNING, 7)], MORNING) == [
        ("rows of a.b", Decimal("1004.50"), Decimal(7))
    ]
    assert judged([*before, load(MORNING, 905)], MORNING) == "holds"
    assert (
        judged([*before, load(MORNING, 903)], MORNING) == "warned"
    )  # 903 is below 90 %, and 101.5 is beyond 3 times 31.7
    assert judged(before, MORNING) == "warned"
    assert judged(before, MORNING - timedelta(hours=1)) == "holds"  # by then, none had ever come
    assert judged([*sundays, *mondays[:3]], MORNING) == "warned"  # five Mondays without rows are Mondays too
    assert (
        judged([load(MORNING - timedelta(days=20), 1000)], MORNING) == "idle"
    )  # of two weeks nobody knows what is usual


def clean(chance: random.Random, usual: float, days: int) -> list[Mapping[str, Any]]:
    """Days of a feed of which nothing is amiss: the week has its rhythm, and each day its chance."""
    week = (1.0, 1.1, 1.05, 1.0, 0.95, 0.4, 0.3)
    began = [MORNING + timedelta(days=day, seconds=chance.uniform(-60, 60)) for day in range(days)]
    rows = (max(0, round(chance.gauss(mu, mu**0.5))) for mu in (usual * week[day % 7] for day in range(days)))
    return [load(begin, many) for begin, many in zip(began, rows, strict=True)]


@pytest.mark.parametrize("usual", some(1, [20, 3, 20000, 100, 1000]))
def test_on_two_hundred_clean_days_at_most_one_in_twenty_is_a_false_alarm(usual: float) -> None:
    chance = random.Random(f"clean {usual}")
    loads = clean(chance, usual, 60 + 200)
    said = [judged(loads[: day + 1], loads[day]["extracted_at"]) for day in range(60, 260)]
    assert said.count("warned") <= 10
    assert said.count("idle") == 0


def test_a_day_that_brings_half_of_what_is_usual_is_found_where_there_is_enough_to_tell() -> None:
    loads = clean(random.Random("half"), 1000, 60)
    half = [judged([*loads[:day], load(loads[day]["extracted_at"], loads[day]["numberofrowscopied"] // 2)],
                   loads[day]["extracted_at"]) for day in range(40, 60)]  # fmt: skip
    assert half == ["warned"] * 20


def test_a_feed_that_brings_nothing_on_a_weekday_that_brings_rows_is_named(small: Small, monkeypatch) -> None:
    stored = accounts.loads
    now = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
    known = dict.fromkeys(("part_of", "rows_told", "summed", "sum_told", "sum_read"))
    known |= {"data_source": "npi", "feed": "monthly", "load_type": "append", "sequence": 99}
    past = [{**known, "id": -week, **load(now - timedelta(weeks=week), 1000)} for week in range(1, 10)]
    monkeypatch.setattr(accounts, "loads", lambda engine: [*past, *stored(engine)])
    did = small.run(1)
    message = bad(did)["volume npi.monthly"]
    assert "rows of npi.monthly: usual says 1,000, landed today 0: -1,000 apart." in message
    assert failed(did) == {}


# --- what is declared -------------------------------------------------------------------------------------------------

SLIPS = """
nothing: {about: Says nothing., otherwise: warn}
half:
  about: One side.
  left: {name: a, select: "SELECT source_system AS item, 1 AS figure FROM silver.claim"}
  otherwise: warn
misnamed:
  about: Other columns.
  left: {name: a, select: "SELECT source_system, 1 AS figure FROM silver.claim"}
  right: {name: b, select: "SELECT source_system AS item, AVG(claim_amount) AS figure FROM silver.claim"}
  tolerated: 1 %
  right_is: more
  otherwise: quarantine
telling:
  about: Shows what is no key, and reads what is not there.
  left: {name: a, select: "SELECT source_system AS item, 1 AS figure FROM silver.claims"}
  right: {name: b, select: "SELECT source_system AS item, 1 AS figure FROM bronze.hos_a_claims"}
  otherwise: warn
  behind: SELECT source_system, claim_status FROM silver.claim
claims_and_charges: {tolerated: much}
"""


def test_every_mistake_in_a_reconciliation_is_found_at_once_with_its_line(small: Small) -> None:
    (small.project / "reconciliations.yml").write_text(SLIPS)
    with pytest.raises(DeclarationsRefused) as refused:
        declare.read(small.project)
    found = [(one.code, int(one.where.rpartition(":")[2])) for one in refused.value.mistakes]
    assert found == [
        ("LAKE-132", 2), ("LAKE-132", 3),
        ("LAKE-102", 12), ("LAKE-132", 9), ("LAKE-120", 10), ("LAKE-102", 11), ("LAKE-102", 13),
        ("LAKE-102", 16), ("LAKE-102", 17), ("LAKE-133", 19),
        ("LAKE-102", 20),
    ]  # fmt: skip


def test_a_select_that_cannot_be_computed_holds_the_release_and_is_named(small: Small) -> None:
    page = """wrong:
  about: A text is no number.
  left: {name: a, select: "SELECT source_system AS item, CAST(claim_id AS DECIMAL(18, 2)) AS figure FROM silver.claim"}
  right: {name: b, select: "SELECT source_system AS item, 1 AS figure FROM silver.claim"}
  otherwise: warn
"""
    (small.project / "reconciliations.yml").write_text(page)
    small.sql("UPDATE departments SET Name = 'Heart' WHERE DeptID = 'D1'")
    did = small.run(1)
    assert failed(did)["reconcile reconciliations"] == "LAKE-402"
    assert did.released is None
    assert "'wrong'" in step(did, "reconciliations", "reconcile").found
    assert "C1" not in repr(did)
