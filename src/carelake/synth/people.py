"""Patients. Nobody real: SSNs from areas that are never issued, telephones from 555, invented streets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .columns import days, digits, joined, numbered, words
from .draw import Flags, Ints, below, chance, draw, pick
from .recipe import Hospital
from .words import (
    CITIES,
    FEMALE,
    LAST,
    LETTERS,
    MALE,
    MILITARY,
    SELF_PAY,
    SPARSE_ZIP3,
    STATES,
    STREETS,
    words_of,
)

COLUMNS = {
    "hos-a": words_of("PatientID FirstName LastName MiddleName SSN PhoneNumber Gender DOB Address ModifiedDate"),
    "hos-b": words_of("ID F_Name L_Name M_Name SSN PhoneNumber Gender DOB Address Updated_Date"),
}
GENDERS = ("Female", "Male", "Unknown")
AGES = ((160, 0, 18), (280, 18, 45), (280, 45, 65), (230, 65, 85), (50, 85, 103))  # of a thousand, from, up to
NOBODY = 9_000_000  # patients from here on are in no table


def patients(hospital: Hospital, ids: Ints, day: int) -> Any:
    """The patients as their hospital shows them at the end of that day."""
    seed = hospital.seed
    moves, modified = _moves(hospital, ids, day)
    sex = gender(hospital, ids)
    columns = [
        patient_id(ids),
        first_name(hospital, ids, sex),
        words(LAST, below(draw(seed, "last name", ids), len(LAST))),
        words(LETTERS, below(draw(seed, "middle name", ids), len(LETTERS))),
        _ssn(hospital, ids),
        _phone(seed, ids),
        words(GENDERS, sex),
        days(born(hospital, ids)),
        _address(seed, ids + (moves << 40)),
        days(modified),
    ]
    return pa.Table.from_arrays(columns, names=COLUMNS[hospital.name])


def patient_id(ids: Ints) -> Any:
    """Both hospitals number their patients alike, for different people."""
    return numbered("HOSP1-", ids + 1)


def gender(hospital: Hospital, ids: Ints) -> Ints:
    """As a place in GENDERS."""
    return pick(draw(hospital.seed, "gender", ids), (505, 490, 5))


def born(hospital: Hospital, ids: Ints) -> Ints:
    """The day of birth, since 1970."""
    day: Ints = hospital.patients_appear(ids) - age_in_days(hospital, ids)
    return day


def nameless(hospital: Hospital, ids: Ints) -> Flags:
    """Who has the text `NULL` for a first name: some of hospital B's."""
    return chance(draw(hospital.seed, "nameless", ids), 3 * hospital.recipe.defects * (hospital.name == "hos-b"))


def first_name(hospital: Hospital, ids: Ints, gender: Ints) -> Any:
    """A name that fits the gender, if there is one."""
    known = ("NULL", *FEMALE, *MALE)
    female = 1 + below(draw(hospital.seed, "first name", ids), len(FEMALE))
    male = 1 + len(FEMALE) + below(draw(hospital.seed, "first name", ids), len(MALE))
    return words(known, np.where(nameless(hospital, ids), 0, np.where(gender == 1, male, female)))


def age_in_days(hospital: Hospital, ids: Ints) -> Ints:
    """How old each patient was when registered."""
    group = pick(draw(hospital.seed, "age group", ids), tuple(weight for weight, _, _ in AGES))
    low, high = (np.array([ages[place] for ages in AGES], dtype=np.int64)[group] * 365 for place in (1, 2))
    return low + below(draw(hospital.seed, "age", ids), high - low)


def payer(hospital: Hospital, ids: Ints) -> Ints:
    """Who pays for each patient, as a place in `PAYERS`: Medicare for most from 65 on, insurers for most before."""
    bits = draw(hospital.seed, "payer", ids)
    old = pick(bits, (880, 20, 30, 20, 15, 15, 20))
    young = pick(bits, (30, 240, 230, 170, 120, 100, 110))
    return np.where(age_in_days(hospital, ids) >= 65 * 365, old, young)


def _moves(hospital: Hospital, ids: Ints, day: int) -> tuple[Ints, Ints]:
    """How often each has moved on following days, and the day the row bears."""
    appeared = hospital.patients_appear(ids)
    new = appeared > hospital.today(1)
    later = below(draw(hospital.seed, "patient updated", ids), np.maximum(hospital.today(1) - appeared, 0) + 1)
    later = np.where(chance(draw(hospital.seed, "patient was updated", ids), 300), later, 0)
    modified = np.where(new, appeared, appeared + later)
    moves = np.zeros(len(ids), dtype=np.int64)
    for following in range(2, day + 1):
        place = hospital.touched_among("patients", following, ids)
        moves[place] += 1
        modified[place] = hospital.today(following)
    return moves, modified


def _ssn(hospital: Hospital, ids: Ints) -> Any:
    """900-999 is never issued. The step has no factor in common with 10**8, so that no number comes twice."""
    number = (ids * 48_271 + 13 * hospital.number) % 10**8
    parts = (900 + number // 10**6, 3), (number // 10**4 % 100, 2), (number % 10**4, 4)
    area, group, serial = (digits(part, width) for part, width in parts)
    return pc.binary_join_element_wise(area, group, serial, "-")


def _phone(seed: str, ids: Ints) -> Any:
    """555-0100 to 555-0199 are kept for fiction; written in three ways, as people do."""
    area = words(tuple(state[4] for state in STATES), below(draw(seed, "area code", ids), len(STATES)))
    line = digits(100 + below(draw(seed, "telephone", ids), 100), 4)
    written = pick(draw(seed, "telephone written", ids), (50, 35, 15))
    way = [joined("(", area, ") 555-", line), joined(area, "-555-", line), joined(area, ".555.", line, "x204")]
    return pc.choose(pa.array(written), *way)


def _address(seed: str, ids: Ints) -> Any:
    """Street, city, state and ZIP; 0.7 % are military, 1 % in the sparse ZIP codes that releases must blank."""
    house = digits(1 + below(draw(seed, "house", ids), 9_900))
    street = words(STREETS, below(draw(seed, "street", ids), len(STREETS)))
    flat = digits(1 + below(draw(seed, "flat", ids), 40))
    has_flat = pa.array(chance(draw(seed, "has flat", ids), 250))
    where = joined(house, " ", street, pc.if_else(has_flat, joined(", Apt ", flat), ""))
    city = words(CITIES, below(draw(seed, "city", ids), len(CITIES)))
    plus4 = pa.array(chance(draw(seed, "has zip+4", ids), 100))
    last = digits(below(draw(seed, "zip", ids), 100), 2)
    extended = pc.if_else(plus4, joined("-", digits(1 + below(draw(seed, "zip+4", ids), 9_999), 4)), "")
    home = joined(where, ", ", city, ", ", _state_and_zip3(seed, ids), last, extended)
    post = words(MILITARY, below(draw(seed, "military post", ids), len(MILITARY)))
    military = joined("Unit ", digits(100 + below(draw(seed, "unit", ids), 9_000)), " Box ", house, ", ", post, last)
    return pc.if_else(pa.array(chance(draw(seed, "military", ids), 7)), military, home)


def _state_and_zip3(seed: str, ids: Ints) -> Any:
    """`CA 913`: the state, then the ZIP code's first three digits."""
    state = pick(draw(seed, "state", ids), tuple(row[1] for row in STATES))
    low, high = (np.array([row[place] for row in STATES], dtype=np.int64)[state] for place in (2, 3))
    zip3 = digits(low + below(draw(seed, "zip3", ids), high - low + 1), 3)
    usual = joined(words(tuple(row[0] for row in STATES), state), " ", zip3)
    known = tuple(f"{code[:2]} {code[2:]}" for code in SPARSE_ZIP3)
    sparse = joined(words(known, below(draw(seed, "sparse", ids), len(known))))
    return pc.if_else(pa.array(chance(draw(seed, "is sparse", ids), 10)), sparse, usual)


def is_self_pay(payers: Ints) -> Flags:
    """Who has no insurer, and so no claims."""
    return np.equal(payers, SELF_PAY)
