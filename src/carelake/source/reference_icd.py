"""ICD-10-CM from the NLM's clinical tables, for codes newer than the table that is shipped.

Source: https://clinicaltables.nlm.nih.gov/apidoc/icd10cm/v3/doc.html. An answer is `[total, codes, extra, display]`;
a page holds 500 at most, and offset and page together reach no further than 7,500.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from .reference_answer import Answer, Row, one_by_one
from .reference_service import Misshapen, Service

PAGE, REACH = 500, 7500
FIELDS = {"sf": "code,name", "df": "code,name", "maxList": str(PAGE)}
COLUMNS = ("code", "name")


def search(service: Service, query: Mapping[str, str]) -> Answer:
    """The codes that `query` finds, by the start of a code or of words of its name. Says so when there are more.

    Raises `ReferenceUnavailable`.
    """
    total, codes = service.ask({"terms": "", **FIELDS, **query}, _codes)
    while len(codes) < min(total, REACH):
        page = {"count": str(PAGE), "offset": str(len(codes))}
        total, more = service.ask({"terms": "", **FIELDS, **query, **page}, _codes)
        if more.keys() <= codes.keys():
            break
        codes |= more
    rows = [{"code": code, "name": name} for code, name in codes.items()]
    if len(codes) >= total:
        return Answer(COLUMNS, rows)
    told = f"{service.name} has {total:,} codes of this query and gives out {len(codes):,}, so it is incomplete"
    return Answer(COLUMNS, rows, [f"{told}: ask for less, or use the shipped table."])


def look_up(service: Service, wanted: Sequence[str]) -> Answer:
    """These codes, as far as they are codes of ICD-10-CM, one request each.

    Raises `ReferenceUnavailable` if the service fails again and again, or not one request was answered.
    """
    return one_by_one(service, wanted, partial(_find, service), COLUMNS, "are no codes of ICD-10-CM")


def _find(service: Service, code: str) -> Row | None:
    _, found = service.ask({"terms": code, **FIELDS, "sf": "code"}, _codes)
    return {"code": code, "name": found[code]} if code in found else None


def _codes(answer: Any) -> tuple[int, dict[str, str]]:
    """How many there are in all, and the names of those on this page, by code. Raises `Misshapen`."""
    if not _has_shape(answer):
        raise Misshapen("answered in another shape than [total, codes, extra, display]")
    total, codes, _, display, *_ = answer
    return total, dict(zip(codes, (name for _, name in display), strict=True))


def _has_shape(answer: Any) -> bool:
    if not isinstance(answer, list) or len(answer) < 4 or isinstance(answer[0], bool) or not isinstance(answer[0], int):
        return False
    codes, display = answer[1], answer[3]
    if not isinstance(codes, list) or not isinstance(display, list) or len(codes) != len(display):
        return False
    pairs = all(isinstance(pair, list) and len(pair) == 2 and all(isinstance(w, str) for w in pair) for pair in display)
    return pairs and all(isinstance(code, str) for code in codes)
