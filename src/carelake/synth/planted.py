"""How many of each defect stand in the hospitals, and how many rows a day touched in which way."""

from __future__ import annotations

from collections import Counter

import numpy as np

from . import people, staff, visits
from .accounts import Accounts
from .draw import Flags, Ints
from .recipe import Hospital
from .words import ICD_CODES


def in_accounts(hospital: Hospital, state: Accounts, day: int) -> Counter[str]:
    """Of these transactions, at the end of that day: orphans, codes that do not exist, days to come, credits."""
    seen, today = state.visits, hospital.today(day)
    flags = {
        "transactions_without_provider": visits.in_no_table(seen.provider, staff.listed_providers(hospital, day)),
        "transactions_without_patient": seen.patient >= people.NOBODY,
        "transactions_with_unknown_icd_code": state.icd >= len(ICD_CODES),
        "services_after_as_of": seen.service > today,
        "payments_after_as_of": state.paid_on > today,
        "accounts_in_credit": state.paid > state.amount,
    }
    return _counted(flags)


def in_people(hospital: Hospital, day: int, chunk: int) -> Counter[str]:
    """Patients without a first name, and providers whose NPI fails its check digit."""
    bad = staff.bad_npi(hospital, staff.listed_providers(hospital, day))
    found = _counted({"npis_failing_check_digit": bad, "patients_without_first_name": bad[:0]})
    for ids in chunks(hospital.count("patients", day), chunk):
        found.update(_counted({"patients_without_first_name": people.nameless(hospital, ids)}))
    return found


def in_changes(hospital: Hospital, before: Accounts, after: Accounts, day: int) -> Counter[str]:
    """Of the transactions that a day touched or added: what happened to them, and which bear the day before.

    `after` begins with the rows of `before`; those behind them are new.
    """
    old = len(before.amount)
    corrected = (before.amount != after.amount[:old]) | (before.icd != after.icd[:old])
    flags = {
        "corrections": corrected,
        "payments": before.paid != after.paid[:old],
        "refusals": ~before.billed_to_patient & after.billed_to_patient[:old],
        "late_rows": after.modified < hospital.today(day),
    }
    return _counted(flags)


def chunks(count: int, size: int) -> list[Ints]:
    """The row numbers from 0 up to `count`, in pieces."""
    return [np.arange(low, min(low + size, count), dtype=np.int64) for low in range(0, count, size)]


def _counted(flags: dict[str, Flags]) -> Counter[str]:
    """Every word is in it, also with 0."""
    counter = Counter[str]()
    counter.update({name: int(flag.sum()) for name, flag in flags.items()})
    return counter
