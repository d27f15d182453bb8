"""The course data set beside the project: two hospitals' tables as CSV files, put into databases that the tests own."""

from __future__ import annotations

import csv
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pg8000.native
import pymysql
import pytest
from servers import Server

DATA = Path(__file__).parents[2] / "shared" / "data" / "rcm"
TABLES = ("patients", "departments", "providers", "encounters", "transactions")
AMOUNTS = {"Amount", "PaidAmount"}
DATES = {"DOB", "EncounterDate", "VisitDate", "ServiceDate", "PaidDate", "InsertedDate", "InsertDate", "ModifiedDate"}
DATES |= {"Updated_Date"}
Rows = list[list[str]]


def needs_rcm() -> None:
    """The data set has no licence to be copied, so it lies beside the project: not everybody has it."""
    if not DATA.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail("the course data set is not beside the project")
        pytest.skip("the course data set is not beside the project")


def table(hospital: str, name: str) -> tuple[list[str], Rows]:
    """Header and rows of one hospital's table, as the file has them."""
    with (DATA / "EMR" / f"hospital-{hospital}" / f"{name}.csv").open(encoding="utf-8", newline="") as lines:
        header, *rows = csv.reader(lines)
    return header, rows


def claims(number: int) -> list[dict[str, str]]:
    with (DATA / "claims" / f"hospital{number}_claim_data.csv").open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


def landing(folder: Path) -> Path:
    """A landing folder with the claim and code files, which a run moves to its archive."""
    for name in ("claims", "cptcodes"):
        shutil.copytree(DATA / name, folder / name)
    return folder


def column(name: str, number: str, text: str) -> str:
    if name in AMOUNTS:
        return number
    return "DATE" if name in DATES else text


def into_sqlite(folder: Path, hospital: str) -> str:
    path = folder / f"hos-{hospital}.db"
    with closing(sqlite3.connect(path)) as db:
        for name in TABLES:
            header, rows = table(hospital, name)
            types = ", ".join(f"{c} {column(c, 'REAL', 'TEXT')}" for c in header)
            db.execute(f"CREATE TABLE {name} ({types})")
            db.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(header))})", rows)
        db.commit()
    return f"sqlite:///{path}"


def into_postgres(server: Server, hospital: str) -> str:
    name = f"rcm_{hospital}"
    server.run(f"CREATE DATABASE {name}", database="postgres")
    with closing(pg8000.native.Connection("reader", "127.0.0.1", name, server.port, "s3cret-Pa55word")) as client:
        for one in TABLES:
            header, rows = table(hospital, one)
            types = ", ".join(f"{c} {column(c, 'DOUBLE PRECISION', 'VARCHAR(200)')}" for c in header)
            client.run(f"CREATE TABLE {one} ({types})")
            client.run(f"COPY {one} FROM STDIN WITH (FORMAT csv)", stream=_as_csv(rows))
    return server.url(name)


def _as_csv(rows: Rows) -> Iterator[bytes]:
    for row in rows:
        yield (",".join('"' + value.replace('"', '""') + '"' for value in row) + "\n").encode()


def into_mariadb(server: Server, hospital: str) -> str:
    name = f"rcm_{hospital}"
    server.run(f"CREATE DATABASE {name}")
    login = {"host": "127.0.0.1", "port": server.port, "user": "reader", "password": "s3cret-Pa55word"}
    with pymysql.connect(**login, database=name) as client, client.cursor() as cursor:  # type: ignore[call-overload]
        for one in TABLES:
            header, rows = table(hospital, one)
            types = ", ".join(f"{c} {column(c, 'DOUBLE', 'VARCHAR(200)')}" for c in header)
            cursor.execute(f"CREATE TABLE {one} ({types})")
            cursor.executemany(f"INSERT INTO {one} VALUES ({', '.join(['%s'] * len(header))})", rows)
        client.commit()
    return server.url(name)
