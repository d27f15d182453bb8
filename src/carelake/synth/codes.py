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
    """The providers with sound NPIs, under the headings of the monthly NPPES file; one of them is deactivated."""
    return pa.concat_tables([_nppes(hospital).cast(NPPES) for hospital in hospitals])


def _nppes(hospital: Hospital) -> Any:
    ids = listed_providers(hospital, 1)
    ids = ids[~bad_npi(hospital, ids)]
    both, seed = (*FEMALE, *MALE), hospital.seed
    state = below(draw(seed, "provider state", ids), len(STATES))
    today = hospital.today(1)
    since = [_slashed(today - HISTORY - days) for days in below(draw(seed, "enumerated", ids), 5_000).tolist()]
    ended = ["" for _ in since[1:]] + [_slashed(today - 30)]
    columns = {
        "NPI": pa.array(npis(hospital, ids)),
        "Entity Type Code": ["1"] * len(ids),
        "Replacement NPI": [""] * len(ids),
        "Provider Organization Name (Legal Business Name)": [""] * len(ids),
        "Provider Last Name (Legal Name)": words(LAST, below(draw(seed, "provider last name", ids), len(LAST))),
        "Provider First Name": words(both, below(draw(seed, "provider first name", ids), len(both))),
        "Provider Business Practice Location Address State Name": words(tuple(row[0] for row in STATES), state),
        "Provider Enumeration Date": since,
        "Last Update Date": since,
        "NPI Deactivation Date": ended,
        "NPI Reactivation Date": [""] * len(ids),
        "Healthcare Provider Taxonomy Code_1": words(NUCC, department_of(hospital, ids)),
        "Healthcare Provider Primary Taxonomy Switch_1": ["Y"] * len(ids),
    }
    return pa.table(columns)


NPPES = pa.schema(
    [
        (name, pa.string())
        for name in (
            "NPI", "Entity Type Code", "Replacement NPI", "Provider Organization Name (Legal Business Name)",
            "Provider Last Name (Legal Name)", "Provider First Name",
            "Provider Business Practice Location Address State Name", "Provider Enumeration Date", "Last Update Date",
            "NPI Deactivation Date", "NPI Reactivation Date", "Healthcare Provider Taxonomy Code_1",
            "Healthcare Provider Primary Taxonomy Switch_1",
        )
    ]
)  # fmt: skip


def _slashed(day: int) -> str:
    return date.fromordinal(date(1970, 1, 1).toordinal() + day).strftime("%m/%d/%Y")
