"""Providers and departments: whole small tables, which following days take from and add to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from .columns import numbered, words
from .draw import Flags, Ints, below, draw
from .recipe import RETIRING, Hospital
from .words import CLOSING, DEPARTMENTS, FEMALE, LAST, MALE

UNLISTED = 9_000  # providers from here on are in no table


def listed_providers(hospital: Hospital, day: int) -> Ints:
    """Providers in the hospital's table at the end of that day: one leaves and one comes each following day."""
    gone = min(day - 1, RETIRING)
    stay = np.arange(hospital.providers - gone, dtype=np.int64)
    return np.concatenate([stay, hospital.providers + np.arange(day - 1, dtype=np.int64)])


def department_of(hospital: Hospital, providers: Ints) -> Ints:
    """The department of each provider. Those who retire work in the departments that close."""
    retiring = (providers >= hospital.providers - RETIRING) & (providers < hospital.providers)
    usual = providers % (len(DEPARTMENTS) - CLOSING)
    return np.where(retiring, len(DEPARTMENTS) - CLOSING + providers % CLOSING, usual)


def open_departments(day: int) -> Ints:
    """Departments in the table: the last closes on day 2, the one before on day 4."""
    closed = min(CLOSING, day // 2)
    return np.arange(len(DEPARTMENTS) - closed, dtype=np.int64)


def providers(hospital: Hospital, day: int) -> Any:
    """The hospital's table of providers. It prefixes their numbers, and its other tables do not."""
    ids = listed_providers(hospital, day)
    department = department_of(hospital, ids)
    both = (*FEMALE, *MALE)
    columns = {
        "ProviderID": numbered(f"H{hospital.number}-PROV", ids + 1, 4),
        "FirstName": words(both, below(draw(hospital.seed, "provider first name", ids), len(both))),
        "LastName": words(LAST, below(draw(hospital.seed, "provider last name", ids), len(LAST))),
        "Specialization": words(DEPARTMENTS, department),
        "DeptID": numbered("DEPT", department + 1, 3),
        "NPI": pa.array(npis(hospital, ids)),
    }
    return pa.table(columns)


def departments(day: int) -> Any:
    """The table of departments."""
    ids = open_departments(day)
    return pa.table({"DeptID": numbered("DEPT", ids + 1, 3), "Name": words(DEPARTMENTS, ids)})


def npis(hospital: Hospital, ids: Ints) -> list[str]:
    """An NPI a provider, sound but for one in twelve, whose check digit is wrong. NPPES has not come to 1999."""
    wrong = bad_npi(hospital, ids)
    bases = [f"1999{hospital.number}{number:04}" for number in ids.tolist()]
    return [f"{base}{(check_digit(base) + off) % 10}" for base, off in zip(bases, wrong.tolist(), strict=True)]


def bad_npi(hospital: Hospital, ids: Ints) -> Flags:
    """Whose NPI fails its check digit."""
    return np.equal(ids % 12, 5) & hospital.recipe.defects


def check_digit(base: str) -> int:
    """The Luhn digit over 80840 and the nine digits (45 CFR 162.406, ISO/IEC 7812).

    >>> check_digit("123456789")
    3
    """
    turned = [int(digit) for digit in reversed(f"80840{base}")]
    total = sum(turned[1::2]) + sum(sum(divmod(2 * digit, 10)) for digit in turned[::2])
    return -total % 10
