"""How many rows of the course data set break each shipped rule: counted in its files, by formulas of our own."""

from __future__ import annotations

from functools import cache

import duckdb
from rcm import DATA

from carelake import declare

AS_OF = "DATE '2024-11-30'"  # the day of the template
LUHN = (  # doubled from the right, digits of a product added, over 80840 and the NPI
    "list_sum(list_transform(range(1, 16), lambda i: CASE WHEN i % 2 = 1 THEN digit(i)"
    " ELSE (digit(i) * 2) // 10 + (digit(i) * 2) % 10 END)) % 10 <> 0"
).replace("digit(i)", "CAST(substr(reverse('80840' || NPI), i, 1) AS INT)")
PROCEDURE = "NOT regexp_full_match(ProcedureCode, '[0-9]{5}|[0-9]{4}[AFMTU]|[A-V][0-9]{4}')"
HERE = "other.source_system = one.source_system"
HELD_BACK = "other.FirstName = 'NULL'"  # patients of hospital B
ICD = f"read_csv('{declare.shipped() / 'reference' / 'icd10cm_2026.csv.gz'}', all_varchar = true)"
WOMEN, MEN = (
    "O|N7[0-7]|N8[0-9]|N9[0-8]|C5[1-8]|D2[5-8]|D06|Z3[3479A]|Q5[0-2]|R87",
    "N4|N5[0-3]|C6[0-3]|D29|D40|Q5[345]|R86",
)


def missing(table: str, theirs: str, ours: str, unless: str = "FALSE") -> str:
    """That what a row refers to is not there."""
    there = f"SELECT 1 FROM {table} AS other WHERE {HERE} AND other.{theirs} = {ours} AND NOT {unless}"
    return f"NOT {ours} IS NULL AND NOT EXISTS ({there})"


def still(table: str, column: str, days: int) -> str:
    """That a hospital has told nothing for so many days."""
    return f"(SELECT max({column}::DATE) FROM {table} AS other WHERE {HERE}) < {AS_OF} - {days}"


def moved(table: str, day: str, counts: str, among: str) -> str:
    """That a share of the last 30 days is five points off that of the year before, of 400 rows each at least."""
    now, was = (
        f"other.{day}::DATE BETWEEN {AS_OF} - 29 AND {AS_OF}",
        f"other.{day}::DATE BETWEEN {AS_OF} - 394 AND {AS_OF} - 30",
    )
    enough = f"CASE WHEN count(*) >= 400 THEN avg(({counts})::INT) END"
    share = f"(SELECT {enough} FROM {table} AS other WHERE {HERE} AND {among} AND {{}})"
    return f"{day}::DATE > {AS_OF} - 30 AND abs({share.format(now)} - {share.format(was)}) > 0.05"


PROVIDER = "CASE one.source_system WHEN 'hos-a' THEN 'H1-' ELSE 'H2-' END || one.ProviderID"
NOTHING = "FALSE"  # of what the data set does not have
BROKEN = {  # table of silver -> rule -> what is true of a row of the files that breaks it
    "patient": {
        "birth_is_past": f"DOB::DATE > {AS_OF}",
        "birth_within_a_life": f"date_diff('day', DOB::DATE, {AS_OF}) > 124 * 365.25",
        "patient_id_trimmed": "trim(PatientID) <> PatientID",
        "ssn_form": "length(regexp_replace(SSN, '[^0-9]', '', 'g')) <> 9",
        "zip_form": NOTHING,  # what is no ZIP code is not read as one
        "first_name_present": "FirstName = 'NULL'",
        "gender_listed": "FirstName <> 'NULL' AND Gender NOT IN ('Male', 'Female')",
        "one_person_one_token": NOTHING,  # each has a token of its own, by construction
    },
    "provider": {
        "npi_form": "NOT (length(NPI) = 10 AND left(NPI, 1) IN ('1', '2') AND try_cast(NPI AS BIGINT) IS NOT NULL)",
        "npi_check_digit": f"length(NPI) = 10 AND left(NPI, 1) IN ('1', '2') AND {LUHN}",
        "npi_is_one_provider": f"EXISTS (SELECT 1 FROM provider AS other WHERE {HERE} AND other.NPI = one.NPI"
        " AND other.ProviderID < one.ProviderID)",
        "department_id_met": missing("department", "DeptID", "one.DeptID"),
    },
    "encounter": {
        "encounter_date_present": "EncounterDate IS NULL",
        "encounter_is_past": f"EncounterDate::DATE > {AS_OF}",
        "discharge_after_admission": NOTHING,
        "discharge_is_past": NOTHING,
        "discharge_status_form": NOTHING,
        "procedure_code_form": PROCEDURE,
        "encounters_fresh": still("encounter", "ModifiedDate", 31),
        "patient_id_met": missing("patient", "PatientID", "one.PatientID", HELD_BACK),
        "provider_id_met": missing("provider", "ProviderID", PROVIDER),
        "department_id_met": missing("department", "DeptID", "one.DepartmentID"),
    },
    "transaction": {
        "amount_present": "Amount IS NULL",
        "amount_in_range": "NOT (cents(Amount) BETWEEN 0.01 AND 999999.99)",
        "paid_within_amount": "cents(PaidAmount) > cents(Amount)",
        "paid_after_service": "PaidDate::DATE < ServiceDate::DATE",
        "paid_amount_not_negative": "cents(PaidAmount) < 0",
        "payment_has_a_date": "cents(PaidAmount) > 0 AND PaidDate IS NULL",
        "service_is_past": f"ServiceDate::DATE > {AS_OF}",
        "payment_is_past": f"PaidDate::DATE > {AS_OF}",
        "procedure_code_form": PROCEDURE,
        "icd_code_form": "NOT regexp_full_match(ICDCode, '[A-Z][0-9][0-9AB]|[A-Z][0-9][0-9AB][.][0-9A-Z]{1,4}')",
        "ndc_form": NOTHING,
        "diagnosis_fits_age": NOTHING,  # no charge tells the birth
        "icd_code_known": f"ICDCode NOT IN (SELECT code FROM {ICD})",
        "icd_code_billable": f"ICDCode IN (SELECT code FROM {ICD} WHERE is_billable = 'false'"
        " AND release_year::INT = year(one.ServiceDate::DATE + INTERVAL 3 MONTH))",
        "diagnosis_fits_sex": f"EXISTS (SELECT 1 FROM patient AS other WHERE {HERE} AND NOT {HELD_BACK}"
        " AND other.PatientID = one.PatientID AND (other.Gender = 'Male'"
        f" AND regexp_matches(one.ICDCode, '^({WOMEN})') OR other.Gender = 'Female'"
        f" AND regexp_matches(one.ICDCode, '^({MEN})')))",
        "service_within_encounter": f"EXISTS (SELECT 1 FROM encounter AS other WHERE {HERE}"
        " AND other.EncounterID = one.EncounterID AND other.EncounterDate > one.ServiceDate)",
        "transactions_fresh": still("transaction", "ModifiedDate", 31),
        "charge_level_steady": moved("transaction", "ServiceDate", "cents(Amount) > 1000", "TRUE"),
        "patient_id_met": missing("patient", "PatientID", "one.PatientID", HELD_BACK),
        "encounter_id_met": missing("encounter", "EncounterID", "one.EncounterID"),
        "provider_id_met": missing("provider", "ProviderID", PROVIDER),
        "department_id_met": missing("department", "DeptID", "one.DeptID"),
    },
    "claim": {
        "claim_amount_present": "ClaimAmount IS NULL",
        "claim_amount_in_range": "NOT (cents(ClaimAmount) BETWEEN 0.01 AND 999999.99)",
        "paid_within_claim": "cents(PaidAmount) > cents(ClaimAmount)",
        "denied_is_unpaid": "ClaimStatus IN ('Denied', 'Rejected') AND cents(PaidAmount) > 0",
        "paid_amount_not_negative": "cents(PaidAmount) < 0",
        "paid_within_allowed": NOTHING,
        "allowed_within_claim": NOTHING,
        "patient_share_within_claim": "cents(Deductible) + cents(Coinsurance) + cents(Copay) > cents(ClaimAmount)",
        "service_is_past": f"ServiceDate::DATE > {AS_OF}",
        "claim_after_service": "ClaimDate::DATE < ServiceDate::DATE",
        "claim_is_past": f"ClaimDate::DATE > {AS_OF}",
        "claim_is_recent": f"ClaimDate::DATE < {AS_OF} - 731",
        "bill_type_form": NOTHING,
        "drg_code_form": NOTHING,
        "filed_in_time": "date_diff('day', ServiceDate::DATE, ClaimDate::DATE)"
        " > CASE PayorType WHEN 'Government' THEN 366 WHEN 'Private' THEN 180 END",
        "claim_status_listed": "ClaimStatus NOT IN ('Paid', 'Approved', 'Denied', 'Rejected', 'Pending')",
        "total_is_sum_of_lines": f"EXISTS (SELECT 1 FROM transaction AS other WHERE {HERE}"
        " AND other.ClaimID = one.ClaimID HAVING count(*) > 0 AND sum(cents(Amount)) <> cents(one.ClaimAmount))",
        "not_a_duplicate": f"EXISTS (SELECT 1 FROM claim AS other WHERE {HERE} AND other.PatientID = one.PatientID"
        " AND other.TransactionID = one.TransactionID AND other.ProviderID = one.ProviderID"
        " AND other.PayorID = one.PayorID AND other.ServiceDate = one.ServiceDate"
        " AND cents(other.ClaimAmount) = cents(one.ClaimAmount)"
        " AND (other.ModifiedDate, other.ClaimID) < (one.ModifiedDate, one.ClaimID))",
        "claims_fresh": still("claim", "ModifiedDate", 45),
        "denied_share_steady": moved(
            "claim",
            "ModifiedDate",
            "ClaimStatus <> 'Paid'",
            "ClaimStatus IN ('Paid', 'Denied', 'Rejected')",
        ),
        "patient_id_met": missing("patient", "PatientID", "one.PatientID", HELD_BACK),
        "encounter_id_met": missing("encounter", "EncounterID", "one.EncounterID"),
        "transaction_id_met": missing("transaction", "TransactionID", "one.TransactionID"),
        "provider_id_met": missing("provider", "ProviderID", PROVIDER),
        "department_id_met": missing("department", "DeptID", "one.DeptID"),
    },
}
FILES = {
    "patient": "EMR/hospital-{}/patients.csv",
    "provider": "EMR/hospital-{}/providers.csv",
    "department": "EMR/hospital-{}/departments.csv",
    "encounter": "EMR/hospital-{}/encounters.csv",
    "transaction": "EMR/hospital-{}/transactions.csv",
    "claim": "claims/hospital{}_claim_data.csv",
}
PATIENTS_B = {"ID": "PatientID", "F_Name": "FirstName"}  # hospital B calls them otherwise


@cache
def counted() -> dict[str, int]:
    """`table.rule` -> rows that break it, of both hospitals together."""
    with duckdb.connect() as files:
        files.execute("CREATE MACRO cents(amount) AS CAST(CAST(amount AS DECIMAL(30, 15)) AS DECIMAL(18, 2))")
        for table, name in FILES.items():
            for number, hospital in enumerate("ab", 1):
                path = DATA / name.format(number if table == "claim" else hospital)
                read = f"SELECT *, 'hos-{hospital}' AS source_system FROM read_csv('{path}', all_varchar = true)"
                files.execute(f"CREATE TABLE {table}_{hospital} AS {read}")
            for theirs, ours in PATIENTS_B.items() if table == "patient" else ():
                files.execute(f"ALTER TABLE {table}_b RENAME COLUMN {theirs} TO {ours}")
            files.execute(f"CREATE VIEW {table} AS FROM {table}_a UNION ALL BY NAME FROM {table}_b")
        return {
            f"{table}.{rule}": files.execute(f"SELECT count(*) FROM {table} AS one WHERE {broken}").fetchall()[0][0]
            for table, rules in BROKEN.items()
            for rule, broken in rules.items()
        }
