"""Encounters, and what a transaction takes over from its encounter: who, where, when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from .columns import NO_DAY, days, numbered, only_where, words
from .draw import Flags, Ints, below, chance, draw, pick
from .people import NOBODY, patient_id, payer
from .recipe import RETIRING, Hospital
from .staff import UNLISTED, department_of
from .words import DEPARTMENTS, ENCOUNTER_TYPES, PROCEDURES, PROCEDURES_EACH

EMERGENCY, INPATIENT = ENCOUNTER_TYPES.index("Emergency"), ENCOUNTER_TYPES.index("Inpatient")
TYPES = (45, 20, 12, 15, 8)  # how often each encounter type comes
PROVIDERS = tuple(f"PROV{number:04}" for number in range(10_000))
DEPARTMENT_IDS = tuple(f"DEPT{number + 1:03}" for number in range(len(DEPARTMENTS)))
UNLISTED_PROVIDERS = 60
STAY = 6  # days
DISCHARGED_TO = ("01", "03", "06", "62", "20")  # home, a nursing facility, care at home, rehabilitation; died


@dataclass(frozen=True)
class Visits:
    """Some transactions, and what they say of their encounter, in row numbers, days since 1970, places in lists."""

    ids: Ints
    appeared: Ints
    encounter: Ints
    patient: Ints
    provider: Ints
    department: Ints
    kind: Ints
    visited: Ints
    service: Ints
    procedure: Ints
    payer: Ints


def visits(hospital: Hospital, ids: Ints) -> Visits:
    """What the transactions `ids` say of their encounters."""
    seed = hospital.seed
    appeared, encounter = hospital.transactions_appear(ids), hospital.encounter_of(ids)
    provider, kind = _provider(hospital, encounter), _kind(hospital, encounter)
    department = department_of(hospital, provider)
    patient, visited = _patient(hospital, encounter), _visited(hospital, encounter, kind)
    stay = np.where(kind == INPATIENT, below(draw(seed, "day of stay", ids), STAY + 1), 0)
    scheduled = chance(draw(seed, "scheduled", ids), 30 * hospital.recipe.defects)
    ahead = appeared + 1 + below(draw(seed, "scheduled ahead", ids), 45)
    return Visits(
        ids=ids,
        appeared=appeared,
        encounter=encounter,
        patient=patient,
        provider=provider,
        department=department,
        kind=kind,
        visited=visited,
        service=np.where(scheduled, ahead, np.minimum(visited + stay, appeared)),
        procedure=_procedure(department, draw(seed, "procedure", ids)),
        payer=payer(hospital, patient),
    )


def encounters(hospital: Hospital, ids: Ints, day: int) -> Any:
    """The encounters as their table shows them at the end of that day."""
    seed, appeared = hospital.seed, hospital.encounters_appear(ids)
    provider, kind = _provider(hospital, ids), _kind(hospital, ids)
    department, patient = department_of(hospital, provider), _patient(hospital, ids)
    clock = np.maximum(appeared, hospital.today(1))
    modified = np.minimum(appeared + below(draw(seed, "encounter closed", ids), 4), clock)
    procedure = _procedure(department, draw(seed, "main procedure", ids))
    for following in range(2, day + 1):
        place = hospital.touched_among("encounters", following, ids)
        modified[place] = hospital.today(following)
        procedure[place] = _next_procedure(procedure[place])
    columns = {
        "EncounterID": numbered("ENC", ids + 1),
        "PatientID": patient_id(patient),
        "EncounterDate": days(_visited(hospital, ids, kind)),
        "EncounterType": words(ENCOUNTER_TYPES, kind),
        "ProviderID": words(PROVIDERS, provider + 1),
        "DepartmentID": words(DEPARTMENT_IDS, department),
        "ProcedureCode": words(PROCEDURES, procedure),
        "InsertedDate": days(appeared),
        "ModifiedDate": days(modified),
    }
    return pa.table({**columns, **_stays(hospital, ids, kind, modified)} if hospital.recipe.detailed else columns)


def _stays(hospital: Hospital, encounters: Ints, kind: Ints, modified: Ints) -> dict[str, Any]:
    """When each stay began and ended, and where to; empty for visits, and for stays that last."""
    began = np.where(kind == INPATIENT, _visited(hospital, encounters, kind), NO_DAY)
    known = (kind == INPATIENT) & (began + STAY <= np.maximum(modified, hospital.today(1)))
    where_to = pick(draw(hospital.seed, "where to", encounters), (70, 12, 10, 5, 3))
    return {
        "AdmissionDate": days(began),
        "DischargeDate": days(np.where(known, began + STAY, NO_DAY)),
        "DischargeStatus": only_where(known, words(DISCHARGED_TO, where_to).dictionary_decode()),
    }


def in_no_table(providers: Ints, listed: Ints) -> Flags:
    """Which providers their hospital does not list, or no longer."""
    known = np.zeros(UNLISTED + UNLISTED_PROVIDERS, dtype=np.bool_)
    known[listed] = True
    return ~known[providers]


def _patient(hospital: Hospital, encounters: Ints) -> Ints:
    """Who came: anyone known by then, and a quarter of the time one of the sixteenth who come often."""
    known, bits = hospital.known_patients(encounters), draw(hospital.seed, "patient", encounters)
    often = chance(draw(hospital.seed, "comes often", encounters), 250) & (known >= 16)
    usual = below(bits, known)
    patient = np.where(often, usual // 16 * 16, usual)
    nobody = chance(draw(hospital.seed, "nobody", encounters), 3 * hospital.recipe.defects)
    return np.where(nobody, NOBODY + usual % 1_000, patient)


def _provider(hospital: Hospital, encounters: Ints) -> Ints:
    """Who treated: the listed ones; with defects also some in no table, and some who will retire."""
    bits, defects = draw(hospital.seed, "provider", encounters), hospital.recipe.defects
    active = hospital.providers - RETIRING
    roll = below(draw(hospital.seed, "who treats", encounters), 1_000)
    unlisted, retiring = (roll < 20) & defects, (roll >= 992) & defects
    provider = np.where(retiring, active + below(bits, RETIRING), below(bits, active))
    return np.where(unlisted, UNLISTED + below(bits, UNLISTED_PROVIDERS), provider)


def _kind(hospital: Hospital, encounters: Ints) -> Ints:
    return pick(draw(hospital.seed, "encounter type", encounters), TYPES)


def _visited(hospital: Hospital, encounters: Ints, kind: Ints) -> Ints:
    """The day of the visit, up to six days before it is entered; on weekends only emergencies and stays begin."""
    visited = hospital.encounters_appear(encounters) - below(draw(hospital.seed, "entry lag", encounters), 4)
    weekday = (visited + 3) % 7  # 1970-01-01 was a Thursday; 5 and 6 are the weekend
    return np.where(kind < EMERGENCY, visited - np.maximum(weekday - 4, 0), visited)


def _procedure(department: Ints, bits: Any) -> Ints:
    """A procedure of the department, as a place in PROCEDURES."""
    return department * PROCEDURES_EACH + below(bits, PROCEDURES_EACH)


def _next_procedure(procedure: Ints) -> Ints:
    """The department's next code: always another one."""
    department = procedure // PROCEDURES_EACH
    return department * PROCEDURES_EACH + (procedure + 1 - department * PROCEDURES_EACH) % PROCEDURES_EACH
