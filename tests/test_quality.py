"""Rules that look further than their row, what they stop, and how good the data is said to be."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from small_lake import Small, failed, put_back, spoil, step

from carelake import assessment, declare, gate, quality
from carelake.errors import DeclarationsRefused

TWICE = """
  transaction:
    not_twice:
      must: ROW_NUMBER() OVER (PARTITION BY patient_key, service_date, amount ORDER BY updated_at, transaction_key) = 1
      because: nobody is charged twice
      otherwise: {otherwise}
      tolerated: {tolerated}
      dimension: uniqueness
"""
T5 = (  # as T4 in all that the rule looks at
    "INSERT INTO transactions SELECT 'T5', EncounterID, PatientID, ProviderID, DeptID, VisitDate, ServiceDate,"
    " PaidDate, VisitType, Amount, AmountType, PaidAmount, ClaimID, PayorID, ProcedureCode, ICDCode, LineOfBusiness,"
    " MedicaidID, MedicareID, InsertDate, '2024-10-11' FROM transactions WHERE TransactionID = 'T4'"
)


def rules(lake: Small, text: str) -> None:
    """Rules of the project's own, instead of those of the template."""
    page = (lake.project / "lake.yml").read_text()
    before, _, behind = page.partition("\nrules:")
    (lake.project / "lake.yml").write_text(f"{before}\nrules:{text}\n{behind[behind.index('settings:') :]}")


def counts(lake: Small, table: str) -> dict[tuple[str, str], tuple[int, int]]:
    found = assessment.assess(lake.project).counts
    return {(c.source, c.rule): (c.violating, c.rows_seen) for c in found if c.table == table}


def keys(lake: Small, name: str) -> list[int]:
    return assessment.breaking(lake.project, name, "operations")[1]


def test_what_a_row_refers_to_is_counted_where_it_is_not_there(small: Small) -> None:
    # V1 and V2 of the encounters are H1-V1 and H1-V2 among the providers; P3 is there, D9 is not.
    small.sql("UPDATE encounters SET DepartmentID = 'D9', ModifiedDate = '2024-10-20' WHERE EncounterID = 'E2'")
    assert failed(small.run(1)) == {}
    found = counts(small, "encounter")
    assert found["hos-a", "department_id_met"] == (1, 3)
    assert found["hos-a", "patient_id_met"] == (0, 3)
    assert keys(small, "encounter.department_id_met") == [small.one("SELECT encounter_key FROM silver.encounter"
        " WHERE encounter_id = 'E2'")]  # fmt: skip


def test_a_row_held_back_is_not_there_for_those_that_refer_to_it(small: Small) -> None:
    small.sql("UPDATE patients SET FirstName = NULL, ModifiedDate = '2024-10-20' WHERE PatientID = 'P3'")
    assert failed(small.run(1)) == {}
    assert counts(small, "patient")["hos-a", quality.HELD_BACK] == (0, 3)  # its last good version stands
    small.sql(
        "INSERT INTO patients SELECT 'P4', NULL, LastName, MiddleName, SSN, PhoneNumber, Gender, DOB, Address,"
        " '2024-10-21' FROM patients WHERE PatientID = 'P1'",
        "UPDATE encounters SET PatientID = 'P4', ModifiedDate = '2024-10-21' WHERE EncounterID = 'E1'",
    )
    assert failed(small.run(2)) == {}
    assert counts(small, "patient")["hos-a", quality.HELD_BACK] == (1, 4)
    assert counts(small, "encounter")["hos-a", "patient_id_met"] == (1, 3)


def test_a_set_rule_that_stops_keeps_readers_at_the_last_release_until_it_is_mended(small: Small) -> None:
    rules(small, TWICE.format(otherwise="stop", tolerated=0))
    assert failed(small.run(1)) == {}  # nothing of the sort is there yet
    before = small.ask("SELECT MAX(id) FROM audit.releases")
    small.sql(T5)
    did = small.run(2)
    assert failed(did) == {"check transaction.not_twice": "LAKE-302", "release release": ""}
    assert (did.released, did.exit_code(strict=False)) == (None, 30)
    told = step(did, "transaction.not_twice", "check").found
    assert "transaction: 1 of 5 rows of hos-a break 'not_twice'" in told
    assert "nobody is charged twice" in told
    assert small.ask("SELECT MAX(id) FROM audit.releases") == before
    assert small.one("SELECT COUNT(*) FROM silver.transaction") == 4
    assert small.one("SELECT COUNT(*) FROM gold.fact_transaction WHERE transaction_key > 0") == 4
    assert failed(small.run(3)) == failed(did)  # also where nothing is counted anew
    small.sql("UPDATE transactions SET Amount = 51, ModifiedDate = '2024-10-12' WHERE TransactionID = 'T5'")
    assert failed(small.run(4)) == {}
    assert small.one("SELECT COUNT(*) FROM silver.transaction") == 5


def test_a_token_that_two_people_share_keeps_readers_at_the_last_release_until_the_vault_is_brought_back(small: Small):
    """No file of a hospital can bring that about: it takes a vault that was put together from two."""
    one = "SELECT * REPLACE ('PATIENT-OF-BOTH' AS patient_id) FROM silver.patient_versions"
    before = spoil(small, "silver.patient_versions", one)
    did = small.run(1)
    assert failed(did) == {"check patient.one_person_one_token": "LAKE-302", "release release": ""}
    told = step(did, "patient.one_person_one_token", "check").found
    assert "patient: 2 of 3 rows of hos-a break 'one_person_one_token'" in told
    assert "a token that stands for two people would merge their histories" in told
    assert "carelake quality" in told
    assert did.released is None
    assert small.one("SELECT COUNT(DISTINCT patient_id) FROM silver.patient") == 3  # readers see the last release
    put_back(small, "silver.patient_versions", before)
    mended = small.run(2)
    assert (failed(mended), mended.released) == ({}, 2)


def test_a_threshold_is_judged_anew_without_counting(small: Small) -> None:
    small.sql(T5)
    rules(small, TWICE.format(otherwise="stop", tolerated=0))
    assert "check transaction.not_twice" in failed(small.run(1))
    counted = small.one("SELECT COUNT(*) FROM audit.rule_results")
    rules(small, TWICE.format(otherwise="stop", tolerated="0.2"))  # one of five
    did = small.run(2)
    assert (failed(did), did.released) == ({}, 2)
    assert small.one("SELECT COUNT(*) FROM audit.rule_results") == counted


def test_the_same_rule_may_be_graver_in_one_source(small: Small) -> None:
    rules(small, TWICE.format(otherwise="warn", tolerated=0).rstrip() + "\n      sources: {hos-a: {otherwise: stop}}\n")
    small.sql(T5)
    assert "check transaction.not_twice" in failed(small.run(1))
    rules(small, TWICE.format(otherwise="stop", tolerated=0).rstrip() + "\n      sources: {hos-a: {otherwise: warn}}\n")
    assert failed(small.run(2)) == {}


def test_a_row_rule_of_another_severity_in_one_source_holds_back_there_only(small: Small) -> None:
    rules(
        small,
        """
  department:
    is_named_otherwise:
      must: NOT department_name = 'Oncology'
      because: it was closed
      otherwise: warn
      sources: {hos-b: {otherwise: quarantine}}
""",
    )
    small.sql("UPDATE departments SET Name = 'Oncology' WHERE DeptID = 'D1'", hospital="a")
    small.sql("UPDATE departments SET Name = 'Oncology' WHERE DeptID = 'D1'", hospital="b")
    assert failed(small.run(1)) == {}
    assert small.ask("SELECT source_system, quarantine_reasons FROM quarantine.department") == [
        ("hos-b", "is_named_otherwise")
    ]
    flagged = "SELECT source_system, COUNT(*) FROM silver.department WHERE flags = 'is_named_otherwise' GROUP BY ALL"
    assert small.ask(flagged) == [("hos-a", 1)]  # D2 was judged before the rule was there


def test_the_score_is_the_share_of_checks_that_passed(small: Small) -> None:
    rules(small, TWICE.format(otherwise="warn", tolerated=0))
    small.sql(T5)
    assert failed(small.run(1)) == {}
    found = assessment.assess(small.project)
    (score,) = (one for one in found.scores if one.table == "transaction")
    assert (score.source, score.rows, score.trusted, score.meets_sla) == ("hos-a", 5, Decimal(1), True)
    assert score.dimensions["uniqueness"] == Decimal("0.8")  # one rule, one of five rows
    mine = [c for c in found.counts if c.table == "transaction" and c.rule != quality.HELD_BACK]
    for name, share in score.dimensions.items():
        judged = [(c.rows_seen, c.violating) for c in mine if c.dimension == name]
        passed = sum(seen - bad for seen, bad in judged)
        assert share == (Decimal(passed) / sum(seen for seen, _ in judged)).quantize(Decimal("0.0001"))


def test_a_mart_is_judged_by_the_tables_that_it_is_made_of(small: Small) -> None:
    rules(small, TWICE.format(otherwise="warn", tolerated=0))
    small.sql(T5)
    small.run(1)
    told = json.loads(small.command("quality", "--json").stdout)
    marts = {one["mart"]: one for one in told["marts"]}
    line = "transaction.not_twice: 1 of 5 rows of hos-a"
    assert marts["ar_over_90"]["verdict"] == "with care"  # through fact_transaction
    assert line in marts["ar_over_90"]["because"]
    assert line not in marts["dim_department"]["because"]
    assert marts["dim_date"] == {"mart": "dim_date", "verdict": "may be used", "because": []}
    assert b"with care" in small.command("quality").stdout
    assert b"not_twice" in small.command("quality", "--rule", "transaction.not_twice").stdout
    assert small.command("quality", "--rule", "transaction.not_there").returncode == 70


REFUSED = {
    "holds rows back": ("COUNT(claim_key) OVER (PARTITION BY patient_key) = 1", "quarantine", "LAKE-147"),
    "an unknown neighbour": ("service_date >= visit.visit_date", "warn", "LAKE-102"),
    "a column that a neighbour has not": ("service_date >= encounter.visit_date", "warn", "LAKE-102"),
    "a table that is not there": ("patient_key IN (SELECT patient_key FROM silver.visit)", "warn", "LAKE-102"),
    "a sum without a window": ("COUNT(claim_key) = 1", "warn", "LAKE-120"),
    "a file": ("claim_id IN (SELECT a FROM read_csv('x'))", "warn", "LAKE-120"),
    "a scalar subquery": ("claim_amount < (SELECT MAX(amount) FROM silver.transaction)", "warn", "LAKE-120"),
}


@pytest.mark.parametrize(("must", "otherwise", "code"), REFUSED.values(), ids=REFUSED)
def test_a_set_rule_that_could_not_be_judged_does_not_load(must: str, otherwise: str, code: str, small: Small) -> None:
    rules(small, f'\n  claim:\n    mine: {{must: "{must}", because: of it, otherwise: {otherwise}}}\n')
    with pytest.raises(DeclarationsRefused) as refused:
        declare.read(small.project)
    assert code in {mistake.code for mistake in refused.value.mistakes}


@pytest.mark.parametrize("share", ["2", "-0.1", "half", "NaN"])
def test_a_share_is_from_nothing_to_all(share: str, small: Small) -> None:
    rules(small, TWICE.format(otherwise="warn", tolerated=share))
    with pytest.raises(DeclarationsRefused) as refused:
        declare.read(small.project)
    assert [mistake.code for mistake in refused.value.mistakes] == ["LAKE-146"]


def test_what_a_row_refers_to_may_stop_a_release(small: Small) -> None:
    rules(small, "\n  encounter:\n    department_id_met: {otherwise: stop}\n")
    small.sql("UPDATE encounters SET DepartmentID = 'D9', ModifiedDate = '2024-10-20' WHERE EncounterID = 'E2'")
    assert "check encounter.department_id_met" in failed(small.run(1))


def test_tables_that_share_keys_are_held_together_and_others_go_on(small: Small) -> None:
    (small.project / "silver").mkdir(exist_ok=True)
    (small.project / "silver/ward.yml").write_text(
        "about: A ward that nothing refers to.\nkey: [source_system, ward_id]\nsequence_by: updated_at\nhistory: scd2\n"
        "columns:\n  source_system: {type: text, kind: not_personal}\n  ward_id: {type: text, kind: not_personal}\n"
        "  updated_at: {type: timestamp, kind: not_personal}\n"
    )
    held = gate.held(declare.read(small.project), {"silver.claim": "check claim.mine"})
    assert {"silver.claim", "silver.patient", "gold.ar_aging"} <= held.keys()
    assert not {"silver.ward", "gold.dim_date"} & held.keys()
    small.say("sources/hos-b.yml", "feeds:\n", "feeds:\n  wards:\n    table: departments\n    key: [DeptID]\n"
              "    fills: ward\n    columns: {ward_id: DeptID, updated_at: 'NULL'}\n")  # fmt: skip
    rules(small, TWICE.format(otherwise="stop", tolerated=0))
    small.sql(T5)
    did = small.run(1)
    assert failed(did).keys() == {"check transaction.not_twice", "release release"}
    assert did.released == 2
    assert (small.one("SELECT COUNT(*) FROM silver.ward"), small.one("SELECT COUNT(*) FROM silver.transaction")) == (
        2,
        4,
    )
    assert small.one("SELECT COUNT(*) FROM bronze.hos_a_transactions") == 4
    assert "dim_patient" in small.one("SELECT held FROM audit.releases WHERE id = 2")
