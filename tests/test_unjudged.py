"""Rules that cannot be judged of a source: nothing is there to break them, and the reason is said."""

from __future__ import annotations

import pytest
import sqlglot
from small_lake import Small, failed

from carelake import assessment, declare, project
from carelake.unjudged import is_null, unjudged

EMPTY = ("gone", "lost")  # here stays


@pytest.mark.parametrize(
    ("must", "is_certain"),
    [
        ("gone <= here", True),
        ("REGEXP_MATCHES(gone, '^a')", True),
        ("NOT gone IS NULL", False),  # a rule of completeness is broken by it
        ("gone IS NULL OR here > 1", False),
        ("gone > 0 AND lost < 9", True),
        ("gone > 0 AND here < 9", False),  # FALSE where here is 9
        ("COALESCE(gone, here) > 1", False),
        ("COALESCE(gone, lost) > 1", True),
        ("CASE WHEN here > 1 THEN gone END > 2", True),
        ("CASE WHEN here > 1 THEN gone ELSE 0 END > 2", False),
        ("gone IN ('a', 'b')", True),
        ("here IN ('a', 'b')", False),
        ("ROW_NUMBER() OVER (PARTITION BY gone ORDER BY here) = 1", False),
        ("DATE_DIFF('day', gone, here) BETWEEN 0 AND 9", True),
    ],
)
def test_what_is_null_whatever_the_row_says(must, is_certain):
    assert is_null(sqlglot.parse_one(must, dialect="duckdb"), EMPTY) == is_certain


def test_a_source_without_a_column_or_a_table_is_named_with_what_it_lacks(tmp_path):
    project.make(tmp_path / "project", "rcm")
    told = {(one.table, one.rule, one.source): one.why for one in unjudged(declare.read(tmp_path / "project"))}
    assert told["claim", "paid_within_allowed", "hos-a"] == "hos-a does not have allowed_amount"
    assert told["claim", "payer_id_met", "hos-b"] == "hos-b has no payer"
    assert told["transaction", "diagnosis_fits_age", "hos-a"] == "hos-a does not have patient_birth_date"
    assert ("claim", "paid_within_claim", "hos-a") not in told
    assert ("claim", "not_a_duplicate", "hos-a") not in told  # it only looks at frequency codes where there are some


def test_what_cannot_be_judged_is_not_counted_and_said(small: Small):
    assert failed(small.run(1)) == {}
    found = assessment.assess(small.project)
    counted = {(one.table, one.rule, one.source) for one in found.counts}
    named = {(one.table, one.rule, one.source) for one in found.unjudged}
    assert ("claim", "payer_id_met", "hos-a") in named - counted
    assert ("claim", "patient_id_met", "hos-a") in counted - named
    assert not named & counted
    told = small.command("quality").stdout.decode()
    assert "cannot be judged" in told
    assert "hos-a has no payer" in " ".join(told.split())


def test_a_rule_is_judged_as_soon_as_the_source_has_what_it_looks_at(small: Small):
    small.run(1)
    copay = "      copay:          Copay\n"
    small.say("sources/hos-a.yml", copay, f"{copay}      drg_code:       ClaimID\n")
    small.put("claims/hospital1_more.csv", CLAIM)
    assert failed(small.run(2)) == {}
    (count,) = [one for one in assessment.assess(small.project).counts if one.rule == "drg_code_form"]
    assert (count.source, count.violating, count.rows_seen) == ("hos-a", 1, 3)  # those before it had none


CLAIM = """ClaimID,TransactionID,PatientID,EncounterID,ProviderID,DeptID,ServiceDate,ClaimDate,PayorID,ClaimAmount,\
PaidAmount,ClaimStatus,PayorType,Deductible,Coinsurance,Copay,InsertDate,ModifiedDate
C4,T4,P3,E3,V1,D1,2024-10-09,2024-10-11,Y1,50.00,50.00,Paid,Commercial,0.00,0.00,0.00,2024-10-11,2024-11-02
"""
