"""Files of codes: invented procedures, and what NPPES would say of the synthetic providers."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from .columns import words
from .draw import below, draw
from .recipe import HISTORY, Hospital
from .staff import bad_npi, department_of, listed_providers, npis
from .words import DEPARTMENTS, FEMALE, LAST, MALE, PROCEDURES, PROCEDURES_EACH, STATES, words_of

NUCC = words_of(  # NUCC taxonomy codes in the order of DEPARTMENTS
    "207P00000X 207R00000X 207RC0000X 207RP1001X 207RE0101X 207RG0100X 207RN0300X 2084N0400X 207X00000X 207RX0202X "
    "208000000X 207V00000X 2084P0800X 207N00000X 208800000X 207W00000X 207Y00000X 2085R0202X 207QS1201X "
    "2083P0500X"
)

ENDED = "NPI Deactivation Date"
TAXONOMY, PRIMARY = "Healthcare Provider Taxonomy Code_", "Healthcare Provider Primary Taxonomy Switch_"
NPPES = (  # of its 330 columns those that say something of a person who gives care
    "NPI", "Entity Type Code", "Replacement NPI", "Provider Organization Name (Legal Business Name)",
    "Provider Last Name (Legal Name)", "Provider First Name", "Provider Business Practice Location Address State Name",
    "Provider Enumeration Date", "Last Update Date", ENDED, "NPI Reactivation Date",
    *(f"{name}{number}" for number in range(1, 16) for name in (TAXONOMY, PRIMARY)),
)  # fmt: skip


def procedures() -> Any:
    """The hospitals' own list of procedure codes. Numbers and words are invented: CPT is the AMA's."""
    places = np.arange(len(PROCEDURES))
    department, level = places // PROCEDURES_EACH, places % PROCEDURES_EACH
    known = [DEPARTMENTS[number] for number in department.tolist()]
    columns = {
        "Procedure Code Category": [name[:4].upper().strip() for name in known],
        "CPT Codes": list(PROCEDURES),
        "Procedure Code Descriptions": [
            f"{name} service, level {step + 1}" for name, step in zip(known, level.tolist(), strict=True)
        ],
        "Code Status": ["Added" if step == PROCEDURES_EACH - 1 else "No Change" for step in level.tolist()],
    }
    return pa.table(columns)


def nppes(hospitals: tuple[Hospital, ...]) -> Any:
    """The providers with sound NPIs, under headings of the monthly NPPES file."""
    rows = [row for hospital in hospitals for row in _listed(hospital)]
    return pa.table({name: [row.get(name, "") for row in rows] for name in NPPES})


def _listed(hospital: Hospital) -> list[dict[str, str]]:
    """What NPPES knows of a hospital's providers. Of the last, deactivated, it keeps the number and the date alone."""
    ids = listed_providers(hospital, 1)
    ids = ids[~bad_npi(hospital, ids)]
    both, seed = (*FEMALE, *MALE), hospital.seed
    since = hospital.today(1) - HISTORY - below(draw(seed, "enumerated", ids), 5_000)
    states = tuple(row[0] for row in STATES)
    columns = {
        "NPI": npis(hospital, ids),
        "Entity Type Code": ["1"] * len(ids),
        "Provider Last Name (Legal Name)": words(LAST, below(draw(seed, "provider last name", ids), len(LAST))),
        "Provider First Name": words(both, below(draw(seed, "provider first name", ids), len(both))),
        "Provider Business Practice Location Address State Name": words(
            states, below(draw(seed, "provider state", ids), len(states))
        ),
        "Provider Enumeration Date": [_slashed(day) for day in since.tolist()],
        "Last Update Date": [_slashed(day) for day in since.tolist()],
        f"{TAXONOMY}1": words(NUCC, department_of(hospital, ids)),
        f"{PRIMARY}1": ["Y"] * len(ids),
    }
    rows: list[dict[str, str]] = pa.table(columns).to_pylist()
    return [*rows[:-1], {"NPI": rows[-1]["NPI"], ENDED: _slashed(hospital.today(1) - 30)}]


def _slashed(day: int) -> str:
    return date.fromordinal(date(1970, 1, 1).toordinal() + day).strftime("%m/%d/%Y")
