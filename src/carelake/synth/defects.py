"""Defects planted into sound hospitals: each a known number of times, in rows of patients of their own.

What can be planted stands in `defects.csv`. A claim file is changed as the tables are, in SQL: it is read into a
table, and written again.
"""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path

import pyarrow as pa

from ..errors import DefectUnknown, choose
from .defect_table import Defect, listed
from .files import csv_file
from .stores import quoted

FILE = "defects.json"
EACH = 2  # rows a defect
KEYS = {"patients": "PatientID", "providers": "ProviderID", "encounters": "EncounterID",
        "transactions": "TransactionID", "claims": "ClaimID"}  # fmt: skip


def known(names: Sequence[str]) -> list[Defect]:
    """The defects of these names, in the order of the table. Raises `DefectUnknown`."""
    every = {defect.name: defect for defect in listed()}
    for name in names:
        if name not in every:
            raise DefectUnknown(f"there is no defect '{name}' to plant.", choose(name, every))
    return [defect for defect in listed() if defect.name in names]


def plant(
    database: Path, claim_file: Path, as_of: date, defects: Sequence[Defect], each: int = EACH
) -> dict[str, list[str]]:
    """Plant them into one hospital, as it stands. Name -> the keys of the rows that have the defect now."""
    with closing(sqlite3.connect(database)) as client, _with_claims(client, claim_file):
        taken = set[str]()
        planted = {}
        for defect in defects:
            rows = _chosen(client, defect, taken, as_of, each)
            taken.update(patient for _, patient in rows)
            planted[defect.name] = [_changed(client, defect, key, as_of) for key, _ in rows]
        client.commit()
    return planted


def write(folder: Path, planted: Mapping[str, Sequence[str]]) -> None:
    """Put beside the hospitals what was planted where."""
    (folder / FILE).write_text(json.dumps(planted, indent=2) + "\n", encoding="utf-8")


@contextmanager
def _with_claims(client: sqlite3.Connection, path: Path) -> Iterator[None]:
    """The claim file as a table of its own, and written again at the end."""
    with path.open(encoding="utf-8", newline="") as lines:
        header, *rows = csv.reader(lines)
    columns = ", ".join(f"{quoted(name)} TEXT" for name in header)
    client.execute(f"CREATE TEMP TABLE claims ({columns})")
    client.executemany(f"INSERT INTO claims VALUES ({', '.join('?' * len(header))})", rows)
    yield
    changed = client.execute("SELECT * FROM claims ORDER BY rowid").fetchall()
    with csv_file(path, header) as put:
        put(pa.table([pa.array(column, pa.string()) for column in zip(*changed, strict=True)], names=header))


def _chosen(
    client: sqlite3.Connection, defect: Defect, taken: set[str], as_of: date, each: int
) -> list[tuple[str, str]]:
    """The first rows that it can be planted in, of patients whom no other defect has: (key, patient)."""
    person = "ProviderID" if defect.table == "providers" else "PatientID"
    found = client.execute(
        f"SELECT {KEYS[defect.table]}, {person} FROM {defect.table} WHERE {defect.where} ORDER BY rowid DESC",
        {"as_of": as_of.isoformat()},
    )
    first: dict[str, str] = {}
    for key, patient in found:
        if patient not in taken and patient not in first:
            first[patient] = key
        if len(first) == each:
            return [(key, patient) for patient, key in first.items()]
    raise DefectUnknown(f"there are too few rows to plant '{defect.name}' in.", "Make more: `--patients 3000`.")


def _changed(client: sqlite3.Connection, defect: Defect, key: str, as_of: date) -> str:
    """Change the row, or a copy of it; its key then."""
    table, own = defect.table, KEYS[defect.table]
    (row,) = client.execute(f"SELECT MAX(rowid) FROM {table} WHERE {own} = ?", [key]).fetchone()
    if defect.copies:
        every = ", ".join(quoted(column[1]) for column in client.execute(f"PRAGMA table_info({table})"))
        row = client.execute(f"INSERT INTO {table} SELECT {every} FROM {table} WHERE rowid = ?", [row]).lastrowid
    client.execute(f"UPDATE {table} SET {defect.change} WHERE rowid = :row", {"as_of": as_of.isoformat(), "row": row})
    return str(client.execute(f"SELECT {own} FROM {table} WHERE rowid = ?", [row]).fetchone()[0])
