"""What stands in synthetic hospitals, read back by Python's own modules and counted row by row."""

from __future__ import annotations

import csv
import gzip
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

Row = dict[str, Any]
TABLES = ("patients", "providers", "departments", "encounters", "transactions")
ICD_10_CM = Path(__file__).parents[1] / "declarations" / "reference" / "icd10cm_2026.csv.gz"


@dataclass(frozen=True)
class Read:
    """A folder of hospitals at one moment."""

    tables: dict[tuple[str, str], list[Row]]  # by hospital and table
    claims: dict[tuple[str, str], list[Row]]  # by hospital and file name

    def rows(self, hospital: str, table: str) -> list[Row]:
        return self.tables[hospital, table]

    def by_key(self, hospital: str, table: str) -> dict[str, Row]:
        rows = self.rows(hospital, table)
        keyed = {next(iter(row.values())): row for row in rows}
        assert len(keyed) == len(rows)
        return keyed

    def latest_claims(self, hospital: str) -> dict[str, Row]:
        """The last line about each claim, file after file."""
        files = sorted(name for owner, name in self.claims if owner == hospital)
        return {row["ClaimID"]: row for name in files for row in self.claims[hospital, name]}


def read(folder: Path) -> Read:
    tables = {(name, table): _table(folder / f"{name}.db", table) for name in ("hos-a", "hos-b") for table in TABLES}
    files = sorted((folder / "landing" / "claims").glob("*.csv"))
    claims = {(f"hos-{'ab'[int(path.name[8]) - 1]}", path.name): list(_lines(path)) for path in files}
    return Read(tables, claims)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file under the folder but the databases, whose pages may differ while their rows do not."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".db")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def _table(path: Path, table: str) -> list[Row]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as client:
        client.row_factory = sqlite3.Row
        return [dict(row) for row in client.execute(f'SELECT * FROM "{table}"')]


def _lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def figures(read: Read, hospitals: tuple[str, ...], as_of: date) -> dict[str, Any]:
    """Charges, payments and what is owed, by the definitions, in Decimals and without the code under test."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for row in (row for hospital in hospitals for row in read.rows(hospital, "transactions")):
        age = (as_of - date.fromisoformat(row["ServiceDate"])).days
        if age < 0:
            continue
        paid = row["PaidDate"] is not None and date.fromisoformat(row["PaidDate"]) <= as_of
        amount, payment = dollars(row["Amount"]), dollars(row["PaidAmount"]) if paid else Decimal(0)
        sums["charges"] += amount
        sums["payments"] += payment
        sums["charges_of_90_days"] += amount if age <= 89 else 0
        sums["credits" if payment > amount else bucket(age)] += amount - payment
    return sums


def bucket(age: int) -> str:
    names = {30: "0-30", 60: "31-60", 90: "61-90", 120: "91-120"}
    return next((name for last, name in names.items() if age <= last), "over 120")


def dollars(value: float | int) -> Decimal:
    """SQLite keeps amounts as numbers of its own: two decimals are exact in their text."""
    return Decimal(str(value))


def by_status(read: Read, hospitals: tuple[str, ...]) -> dict[str, tuple[int, Decimal, Decimal]]:
    lines = [row for hospital in hospitals for row in read.latest_claims(hospital).values()]
    count = Counter(row["ClaimStatus"] for row in lines)
    sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for row in lines:
        for column in ("ClaimAmount", "PaidAmount"):
            sums[row["ClaimStatus"], column] += Decimal(row[column])
    return {status: (count[status], sums[status, "ClaimAmount"], sums[status, "PaidAmount"]) for status in count}


def icd_codes() -> set[str]:
    with gzip.open(ICD_10_CM, "rt", encoding="utf-8") as lines:
        return {row["code"] for row in csv.DictReader(lines)}


def passes_luhn(npi: str) -> bool:
    """The sum of the digits of 80840 and the number, every second one from the right doubled, ends in 0."""
    total = 0
    for place, digit in enumerate(reversed("80840" + npi)):
        doubled = int(digit) * (2 if place % 2 else 1)
        total += doubled if doubled < 10 else doubled - 9
    return total % 10 == 0
