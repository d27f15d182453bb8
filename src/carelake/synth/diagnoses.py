"""Diagnoses that fit whom they are given to: nobody gives birth at eighty, and no man has a child."""

from __future__ import annotations

import numpy as np

from . import people
from .draw import Flags, Ints
from .recipe import Hospital
from .words import DEPARTMENTS, ICD_CODES, ICD_EACH

FEMALE, MALE = people.GENDERS.index("Female"), people.GENDERS.index("Male")
# Whole years are bounded by days, so that no birthday is on the wrong side.
ADULT, CHILD, BEARING = (15 * 366, 10**6), (0, 18 * 365), (9 * 366, 65 * 365)
OBSTETRICS, OTHER = (ICD_EACH * DEPARTMENTS.index(name) for name in ("Obstetrics", "Otolaryngology"))
ONLY = {  # code -> who has it: sex, days of age; and what the others have in its place, never the code before or after
    "N40.1": (MALE, ADULT, "N39.0"),
    "C61": (MALE, ADULT, "C34.90"),
    "C50.911": (FEMALE, ADULT, "C18.9"),
    "Z00.129": (None, CHILD, "J02.9"),
    "Z00.00": (None, ADULT, "I10"),
    **{ICD_CODES[OBSTETRICS + at]: (FEMALE, BEARING, ICD_CODES[OTHER + at]) for at in range(ICD_EACH)},
}


def fitting(hospital: Hospital, patients: Ints, service: Ints, icd: Ints) -> Ints:
    """The codes, as places in ICD_CODES, each for whom it is possible, and another one for whom it is not."""
    sex, days = people.gender(hospital, patients), service - people.born(hospital, patients)
    fits = icd.copy()
    for code, (whose, (youngest, oldest), instead) in ONLY.items():
        misfit: Flags = (icd == ICD_CODES.index(code)) & ((days < youngest) | (days >= oldest))
        if whose is not None:
            misfit |= (icd == ICD_CODES.index(code)) & (sex != whose)
        fits[misfit] = ICD_CODES.index(instead)
    return np.asarray(fits)
