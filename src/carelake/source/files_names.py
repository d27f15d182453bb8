"""What is told of a file's name: senders put names and numbers of people into it, and it is told everywhere.

What the feed itself declares of the name stands, and so do words that files are commonly called by, short numbers and
days. All other letters are an x and digits a 9: whoever looks into the folder sees which file is meant.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from ..model import Feed

# A run of letters; digits, also in groups, as numbers of people have them; or another sign.
PART = re.compile(r"[^\W\d_]+|(?<![^\W\d_])\d+(?:[-._ ]\d+)*|\d+|.", re.DOTALL)
SHORT = 4  # digits: a year, a month, a number among files
DAYS = {6: ("%Y%m", "%y%m%d"), 8: ("%Y%m%d", "%m%d%Y"), 12: ("%Y%m%d%H%M",), 14: ("%Y%m%d%H%M%S",)}  # by their digits
WORDS = {  # none of them is anybody's name
    "adjustment", "batch", "billing", "broken", "charge", "charges", "claim", "claims", "clinic", "code", "codes",
    "controls", "corrected", "cpt", "crdownload", "csv", "ctl", "daily", "data", "delta", "department", "departments",
    "detail", "dialysis", "encounter", "encounters", "export", "extract", "facility", "feed", "file", "filepart",
    "files", "final", "full", "gz", "header", "hospital", "icd", "inpatient", "invoice", "lab", "labs", "line",
    "lines", "list", "load", "member", "members", "monthly", "new", "npi", "old", "out", "outpatient", "part",
    "patient", "patients", "payer", "payment", "payments", "plan", "pharmacy", "procedure", "professional",
    "provider", "providers", "quarterly", "remit", "remittance", "remits", "report", "resent", "result", "results",
    "service", "services", "summary", "test", "tmp", "total", "totals", "transaction", "transactions", "txt",
    "update", "updates", "visit", "visits", "weekly", "yearly", "zip",
}  # fmt: skip


def shown(path: Path, landing: Path, feed: Feed) -> str:
    """Its name below the landing folder, as it may be told."""
    declared = " ".join(filter(None, (feed.at, feed.name, feed.source, feed.fills)))
    known = WORDS | {word.lower() for word in PART.findall(declared)}
    return "".join(_told(part, known) for part in PART.findall(path.relative_to(landing).as_posix()))


def _told(part: str, known: set[str]) -> str:
    if part[0].isdecimal():
        return part if part in known else _number(part)
    if part.isalpha():
        return part if (len(part) == 1 and part.isascii()) or part.lower() in known else "x" * len(part)
    return part if part.isascii() and part.isprintable() else "?"


def _number(part: str) -> str:
    """Groups of digits: the days that they begin with stand, and so does a short number behind them."""
    groups = list(re.finditer(r"\d+", part))
    for group in groups[2::-1]:
        begin, rest = part[: group.end()], part[group.end() :]
        if _is_day(re.sub(r"\D", "", begin)):
            return begin + (rest[0] + _number(rest[1:]) if rest else "")
    return part if sum(len(group[0]) for group in groups) <= SHORT else re.sub(r"\d", "9", part)


def _is_day(digits: str) -> bool:
    for form in DAYS.get(len(digits), ()):
        try:
            day = datetime.strptime(digits, form)
        except ValueError:
            continue
        if 2000 <= day.year < 2100:
            return True
    return False
