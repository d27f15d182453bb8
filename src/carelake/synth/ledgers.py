"""Transactions and claims, as the hospital's table and the insurer's file show the state of an account."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from . import people
from .accounts import PAID, Accounts
from .columns import NO_DAY, days, digits, joined, money, numbered, only_where, words
from .diagnoses import fitting
from .draw import Ints, below, chance, draw, pick
from .people import is_self_pay, patient_id
from .recipe import Hospital
from .visits import DEPARTMENT_IDS, EMERGENCY, INPATIENT, PROVIDERS
from .words import (
    AMOUNT_TYPES,
    BAD_ICD_CODES,
    ICD_CODES,
    LINES,
    PAYER_TYPES,
    PAYERS,
    PROCEDURES,
    STATUSES,
    VISIT_TYPES,
    words_of,
)

CLAIM_COLUMNS = words_of(
    "ClaimID TransactionID PatientID EncounterID ProviderID DeptID ServiceDate ClaimDate PayorID ClaimAmount "
    "PaidAmount ClaimStatus PayorType Deductible Coinsurance Copay InsertDate ModifiedDate"
)
TERMS = words_of("AllowedAmount BillType DRG")
MEDICARE, MEDICAID, COMMERCIAL, SELF = range(len(LINES))
BILLED_TO_PATIENT, CO_PAY = AMOUNT_TYPES.index("Self-pay"), AMOUNT_TYPES.index("Co-pay")


def transactions(hospital: Hospital, state: Accounts) -> Any:
    """The hospital's transactions in this state."""
    seen = state.visits
    seed, ids, line = hospital.seed, seen.ids, _line(seen.payer)
    insured = ~is_self_pay(seen.payer)
    visit = np.where(seen.kind == EMERGENCY, 3, pick(draw(seed, "visit type", seen.encounter), (40, 38, 22)))
    member = below(draw(seed, "member", seen.patient), 10**8)
    amount_type = np.where(chance(draw(seed, "co-pay", ids), 50) & insured, CO_PAY, line)
    columns = {
        "TransactionID": numbered("TRANS", ids + 1),
        "EncounterID": numbered("ENC", seen.encounter + 1),
        "PatientID": patient_id(seen.patient),
        "ProviderID": words(PROVIDERS, seen.provider + 1),
        "DeptID": words(DEPARTMENT_IDS, seen.department),
        "VisitDate": days(seen.visited),
        "ServiceDate": days(seen.service),
        "PaidDate": days(state.paid_on),
        "VisitType": words(VISIT_TYPES, visit),
        "Amount": money(state.amount),
        "AmountType": words(AMOUNT_TYPES, np.where(state.billed_to_patient, BILLED_TO_PATIENT, amount_type)),
        "PaidAmount": money(state.paid),
        "ClaimID": only_where(insured, numbered("CLAIM", ids + 1)),
        "PayorID": words(PAYERS, seen.payer),
        "ProcedureCode": words(PROCEDURES, seen.procedure),
        "ICDCode": words((*ICD_CODES, *BAD_ICD_CODES), fitting(hospital, seen.patient, seen.service, state.icd)),
        "LineOfBusiness": words(LINES, line),
        "MedicaidID": only_where(line == MEDICAID, numbered("MEDI", member, 8)),
        "MedicareID": only_where(line == MEDICARE, numbered("MCARE", member, 8)),
        "InsertDate": days(state.inserted),
        "ModifiedDate": days(state.modified),
    }
    return pa.table({**columns, **_details(hospital, state)} if hospital.recipe.detailed else columns)


def _details(hospital: Hospital, state: Accounts) -> dict[str, Any]:
    """The drug, where one was charged, and the birth of a patient who is there. Labeler 99999 of the codes is none."""
    ids, patient = state.visits.ids, state.visits.patient
    drug = chance(draw(hospital.seed, "drug", ids), 200)
    product = below(draw(hospital.seed, "which drug", ids), 900)
    return {
        "NDC": only_where(drug, joined("99999-0", digits(100 + product), "-01")),
        "PatientDOB": days(np.where(patient < people.NOBODY, people.born(hospital, patient), NO_DAY)),
    }


def claims(hospital: Hospital, state: Accounts, place: Ints) -> Any:
    """The insurers' lines about the accounts at `place`."""
    seen, seed = state.visits, hospital.seed
    ids, amount, paid = seen.ids[place], state.amount[place], state.insurer_paid[place]
    left = np.where(state.status[place] == PAID, np.maximum(amount - paid, 0), 0)
    deductible = left * below(draw(seed, "deductible", ids), 101) // 100
    coinsurance = (left - deductible) * 4 // 5
    columns = [
        numbered("CLAIM", ids + 1),
        numbered("TRANS", ids + 1),
        patient_id(seen.patient[place]),
        numbered("ENC", seen.encounter[place] + 1),
        words(PROVIDERS, seen.provider[place] + 1),
        words(DEPARTMENT_IDS, seen.department[place]),
        days(seen.service[place]),
        days(state.claim_date[place]),
        words(PAYERS, seen.payer[place]),
        money(amount),
        money(paid),
        words(STATUSES, state.status[place]),
        words(PAYER_TYPES, np.minimum(_line(seen.payer[place]) // COMMERCIAL, 1)),
        money(deductible),
        money(coinsurance),
        money(left - deductible - coinsurance),
        days(state.claim_date[place]),
        days(state.claim_modified[place]),
    ]
    if hospital.recipe.detailed:
        columns += _terms(hospital, state, place)
    return pa.table(columns, names=claim_columns(hospital))


def claim_columns(hospital: Hospital) -> tuple[str, ...]:
    """The columns of the hospital's claim files."""
    return (*CLAIM_COLUMNS, *TERMS) if hospital.recipe.detailed else CLAIM_COLUMNS


def _terms(hospital: Hospital, state: Accounts, place: Ints) -> list[Any]:
    """What the contract allows: what was paid, or nine tenths; the type of bill; and the group of a stay."""
    seen, amount = state.visits, state.amount[place]
    stays = seen.kind[place] == INPATIENT
    group = 1 + below(draw(hospital.seed, "group", seen.encounter[place]), 998)
    allowed = np.minimum(np.maximum(amount * 9 // 10, state.insurer_paid[place]), amount)
    bill = words(("0131", "0111"), stays.astype(np.int64))
    return [money(allowed), bill, only_where(stays, digits(group, 3))]


def _line(payer: Ints) -> Ints:
    """The line of business, as a place in LINES: Medicare and Medicaid are payers and lines both."""
    return np.where(is_self_pay(payer), SELF, np.minimum(payer, COMMERCIAL))
