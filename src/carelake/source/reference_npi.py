"""The NPI registry (NPPES API, version 2.1), flattened: one row a provider.

Source: https://npiregistry.cms.hhs.gov/api-page. It answers with 200 providers a page at most and skips 1,000 at most;
beyond, it repeats a page and says nothing. It is for single look-ups: whole lists come in the monthly file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from .reference_answer import Answer, Row, one_by_one
from .reference_service import Misshapen, Service

PAGE, LAST_SKIP = 200, 1000
VERSION = {"version": "2.1"}
COLUMNS = (
    "number", "enumeration_type", "organization_name", "last_name", "first_name", "taxonomy_code", "practice_state",
    "enumeration_date", "deactivation_date", "reactivation_date", "last_updated", "status",
)  # fmt: skip


def search(service: Service, query: Mapping[str, str]) -> Answer:
    """The providers that `query` finds, page by page: at most 1,200. Says so when there are more.

    Raises `ReferenceUnavailable`.
    """
    rows: dict[str, Row] = {}
    for skip in range(0, LAST_SKIP + 1, PAGE):
        page = service.ask({**VERSION, **query, "limit": str(PAGE), "skip": str(skip)}, _providers)
        fresh = [row for row in page if row["number"] not in rows]
        rows.update({str(row["number"]): row for row in fresh})
        if len(page) < PAGE:
            return Answer(COLUMNS, list(rows.values()))
        if not fresh:
            break
    told = f"{service.name} gave {len(rows):,} providers of this query and has more, so it is incomplete"
    return Answer(COLUMNS, list(rows.values()), [f"{told}: ask for less, or land the monthly NPPES file."])


def look_up(service: Service, numbers: Sequence[str]) -> Answer:
    """The providers of these NPIs, one request each. What cannot be an NPI is not asked for, and counted.

    Raises `ReferenceUnavailable` if the service fails again and again, or not one request was answered.
    """
    wanted = [number for number in numbers if is_npi(number)]
    others = len(set(numbers) - set(wanted))
    told = [f"{service.name}: {others:,} of the numbers asked for are no NPIs by their check digit."] if others else []
    answer = one_by_one(service, wanted, partial(_find, service), COLUMNS, "are not in it, or were deactivated")
    return Answer(COLUMNS, answer.rows, [*told, *answer.warnings])


def _find(service: Service, number: str) -> Row | None:
    found = service.ask({**VERSION, "number": number}, _providers)
    return next((row for row in found if row["number"] == number), None)


def is_npi(number: str) -> bool:
    """Ten digits, the first 1 or 2, the last one the check digit (Luhn over 80840 and the number).

    >>> is_npi("1234567893"), is_npi("1234567890"), is_npi("0000000000")
    (True, False, False)
    """
    if not re.fullmatch(r"[12][0-9]{9}", number):
        return False
    digits = [int(digit) for digit in reversed(f"80840{number}")]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _providers(answer: Any) -> list[Row]:
    """The providers of an answer. Raises `Misshapen`."""
    if isinstance(answer, dict) and answer.get("Errors"):
        return _refused(answer["Errors"])
    if not isinstance(answer, dict) or not isinstance(answer.get("results"), list):
        raise Misshapen("answered in another shape than version 2.1")
    rows = [_row(provider) for provider in answer["results"] if isinstance(provider, dict)]
    if len(rows) < len(answer["results"]) or any(not re.fullmatch(r"\d{10}", row["number"] or "") for row in rows):
        raise Misshapen("answered with providers in another shape than version 2.1")
    return rows


def _refused(found: Any) -> list[Row]:
    """Nothing, if the number asked for is what is wrong: so it answers for one that was deactivated.

    Raises `Misshapen` with the registry's own numbers of what else is wrong; its words repeat what was asked for.
    """
    errors = [error for error in found if isinstance(error, dict)] if isinstance(found, list) else []
    if errors and all(error.get("field") == "number" for error in errors):
        return []
    numbers = {str(error.get("number")) for error in errors if re.fullmatch(r"\d{1,3}", str(error.get("number")))}
    raise Misshapen(f"refused the query (its errors: {', '.join(sorted(numbers)) or 'without a number'})")


def _row(provider: Mapping[str, Any]) -> Row:
    basic = provider.get("basic") if isinstance(provider.get("basic"), dict) else {}
    taxonomy = _first(provider.get("taxonomies"), "primary", True)
    practice = _first(provider.get("addresses"), "address_purpose", "LOCATION")
    own = {
        "number": provider.get("number"),
        "enumeration_type": provider.get("enumeration_type"),
        "taxonomy_code": taxonomy.get("code"),
        "practice_state": practice.get("state"),
    }
    return {name: _text(own[name] if name in own else (basic or {}).get(name)) for name in COLUMNS}


def _first(listed: Any, word: str, value: object) -> Mapping[str, Any]:
    """The first of a list that says so; the first of all, if none does."""
    known = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return next((one for one in known if one.get(word) == value), known[0] if known else {})


def _text(value: Any) -> str | None:
    text = "" if value is None else str(value).strip()
    return None if text in ("", "--") else text  # the registry writes -- for what is hidden or unknown
