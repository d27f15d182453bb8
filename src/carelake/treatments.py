"""What an audience sees of a value, as portable SQL. Pure. Tokens and pseudonyms are joined: no key is in any SQL."""

from __future__ import annotations

from collections.abc import Collection

OLDEST = 89  # years; above it only "90 or older" may be told: 45 CFR 164.514(b)(2)(i)(C)
NOWHERE = "000"  # of a ZIP in an area of few people, and of what is no ZIP
MILITARY = tuple(f"{n:03}" for n in (*range(90, 99), 340, *range(962, 967)))  # posts, of which no census counts people

REGIONS = {  # Census Regions and Divisions of the United States, U.S. Census Bureau
    "Northeast": "CT ME MA NH RI VT NJ NY PA",
    "Midwest": "IL IN MI OH WI IA KS MN MO NE ND SD",
    "South": "DE DC FL GA MD NC SC VA WV AL KY MS TN AR LA OK TX",
    "West": "AZ CO ID MT NV NM UT WY AK CA HI OR WA",
}


def keep(value: str) -> str:
    """The value as it is stored."""
    return value


def year(value: str) -> str:
    """The year of a date."""
    return f"CAST(YEAR({value}) AS BIGINT)"


def age(born: str) -> str:
    """Whole years of life on `$as_of`, as text: '90+' above 89; NULL of who is not born yet. Who was born on a 29
    February is a year older from 1 March on, where there is no such day.
    """
    birthday_to_come = f"MONTH($as_of) * 100 + DAY($as_of) < MONTH({born}) * 100 + DAY({born})"
    years = f"YEAR($as_of) - YEAR({born}) - CASE WHEN {birthday_to_come} THEN 1 ELSE 0 END"
    told = f"WHEN {years} > {OLDEST} THEN '{OLDEST + 1}+' ELSE CAST({years} AS TEXT)"
    return f"CASE WHEN {born} IS NULL OR {born} > $as_of THEN NULL {told} END"


def zip3(value: str, sparse: Collection[str], peopled: Collection[str] = ()) -> str:
    """The first three digits of a ZIP; 000 of `sparse` ones, of military posts, and of what is no ZIP. If it is known
    which areas have people, 000 of all others, too.
    """
    digits, hidden = f"LEFT({value}, 3)", _listed({*sparse, *MILITARY})
    known = f" AND {digits} IN ({_listed(peopled)})" if peopled else ""
    is_shown = f"REGEXP_MATCHES({value}, '^[0-9]{{5}}(-?[0-9]{{4}})?$') AND NOT {digits} IN ({hidden}){known}"
    return f"CASE WHEN {is_shown} THEN {digits} ELSE '{NOWHERE}' END"


def region(state: str) -> str:
    """The region of a state, as the Census Bureau draws them; NULL of what lies in none, as territories and posts."""
    told = " ".join(f"WHEN {state} IN ({_listed(states.split())}) THEN '{name}'" for name, states in REGIONS.items())
    return f"CASE {told} END"


def shift(day: str, days: str) -> str:
    """A date as many days away as its person's are."""
    return f"{day} + {days}"


def _listed(words: Collection[str]) -> str:
    return ", ".join(f"'{word}'" for word in sorted(words))
