"""Reports that somebody has read and signed: `audit.reviews`, with what exactly was signed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from ..errors import LakeError
from ..lake import Lake
from .facts import plain
from .month import Month

TABLE = "audit.reviews"
COLUMNS = {
    "month": "TEXT", "who": "TEXT", "role": "TEXT", "os_user": "TEXT", "note": "TEXT", "signed_at": "TIMESTAMPTZ",
    "sha256": "TEXT", "report": "TEXT",
}  # fmt: skip
_SCHEMA = pa.schema(
    [(name, pa.timestamp("us", "UTC") if kind == "TIMESTAMPTZ" else pa.string()) for name, kind in COLUMNS.items()]
)


class ReviewRefused(LakeError):
    code = "LAKE-723"
    exit_code = 70
    why = "A signature stands for what is known of a whole month, and for one who answers for it."


@dataclass(frozen=True)
class Signature:
    """Who signs, and as what. `os_user` is whom the system takes that person for."""

    who: str
    role: str
    os_user: str
    note: str
    now: datetime


def sign(lake: Lake, month: Month, facts: Mapping[str, Any], by: Signature) -> str:
    """Keep that a report was reviewed and signed; the JSON that was. Raises `ReviewRefused` while the month runs."""
    if facts["provisional"]:
        found = f"the month {month.name} is not over, and its report is provisional."
        raise ReviewRefused(found, f"Sign it from {month.until:%Y-%m-%d} on.")
    if not by.who.strip() or not by.role.strip():
        raise ReviewRefused("it is not said who signs, or in which role.", "Give --by NAME and --role ROLE.")
    text = plain(facts)
    row: dict[str, Any] = {"month": month.name, "who": by.who, "role": by.role, "os_user": by.os_user, "note": by.note}
    row |= {"signed_at": by.now, "sha256": digest(text), "report": text}
    lake.engine.create(TABLE, COLUMNS)
    lake.engine.lend("review", pa.Table.from_pylist([row], _SCHEMA))
    lake.engine.append(TABLE, "SELECT * FROM review")
    lake.engine.let_go("review")
    return text


def digest(text: str) -> str:
    """SHA-256 of a report's JSON."""
    return hashlib.sha256(text.encode()).hexdigest()


def reviews(lake: Lake, month: Month, facts: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Who signed the month's report, the first one first; and whether what was signed is what is told of it now."""
    if lake.engine.version(TABLE) is None:
        return
    asked = f"SELECT {', '.join(COLUMNS)} FROM {TABLE} WHERE month = '{month.name}' ORDER BY signed_at"
    now = json.loads(plain(facts["recorded"]))
    for row in lake.engine.ask(asked).to_pylist():
        text = row.pop("report")
        is_whole = digest(text) == row["sha256"]
        yield row | {"is_whole": is_whole, "differs": _differing(json.loads(text)["recorded"], now) if is_whole else []}


def _differing(signed: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The parts of what was recorded that are told otherwise now."""
    return sorted(name for name in signed.keys() | now.keys() if signed.get(name) != now.get(name))
