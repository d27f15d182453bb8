"""Every defect that can be planted, as `defects.csv` has them: what it is, and what is meant to find it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

AGED = (
    "PatientID IN (SELECT PatientID FROM patients WHERE Gender IN ({}) AND"
    " DOB BETWEEN date(:as_of, '-{} year') AND date(:as_of, '-{} year'))"
)
VISIT_ONLY = "EncounterID IN (SELECT EncounterID FROM encounters WHERE AdmissionDate IS NULL)"
NO_CHARGE = "EncounterID NOT IN (SELECT EncounterID FROM transactions)"
WORDS = {  # what `change` and `where` say in braces
    "pending": "ClaimStatus = 'Pending' AND ClaimAmount + 0 > 50",
    "paid": "ClaimStatus = 'Paid' AND ClaimAmount + 0 > 50",
    "denied": "ClaimStatus = 'Denied' AND ClaimAmount + 0 > 50",
    "unpaid": "PaidAmount = '0.00', Deductible = '0.00', Coinsurance = '0.00', Copay = '0.00', AllowedAmount = ''",
    "self_paid": f"ClaimID IS NULL AND {VISIT_ONLY}",
    "has_paid": f"PaidAmount > 0 AND ClaimID IS NULL AND {VISIT_ONLY}",
    "no_charge": NO_CHARGE,
    "stay": f"NOT DischargeDate IS NULL AND {NO_CHARGE}",
    "no_visit": "PatientID NOT IN (SELECT PatientID FROM encounters)",
    "private": "ServiceDate < date(:as_of, '-200 day') AND PayorType = 'Private'",
    "government": "ServiceDate < date(:as_of, '-400 day') AND PayorType = 'Government'",
    "man": AGED.format("'Male'", 50, 20),
    "woman": AGED.format("'Female'", 90, 20),
    "grown": AGED.format("'Female', 'Male'", 90, 40),
    "old_woman": AGED.format("'Female'", 100, 70),
    "child": AGED.format("'Female', 'Male'", 12, 2),
}


@dataclass(frozen=True)
class Defect:
    name: str
    table: str  # of the hospital; `claims` is its file
    copies: bool  # a copy of the row is added and changed, and the row stays
    change: str  # what is set in a row, in SQLite's SQL over the hospital's own columns
    where: str  # the rows that it can be planted in
    found_by: str  # `<table>.<rule>`, `<table>.<reason for holding back>` or `reconciliation.<name>`
    rows: int  # that are found, for each that is planted
    implied: tuple[str, ...]  # what the same row breaks besides; nothing else may find it


@cache
def listed() -> tuple[Defect, ...]:
    """Every defect, in the order of the table."""
    with Path(__file__).with_name("defects.csv").open(encoding="utf-8", newline="") as lines:
        return tuple(_defect(row) for row in csv.DictReader(lines))


def _defect(row: dict[str, str]) -> Defect:
    change, where = (row[name].format(table=row["table"], **WORDS) for name in ("change", "where"))
    return Defect(
        name=row["name"],
        table=row["table"],
        copies=row["how"] == "copy",
        change=change,
        where=where or "TRUE",
        found_by=row["found_by"],
        rows=int(row["rows"]),
        implied=tuple(row["implied"].split()),
    )
