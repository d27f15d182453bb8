"""A whole project of two hospitals with a handful of rows each, made once and copied for every test that spoils it."""

from __future__ import annotations

import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import Result
from typer.testing import CliRunner

from carelake import declare, pipeline, project
from carelake.lake import opened
from carelake.serve import cli, door
from carelake.serve.asker import Asker
from carelake.step import Run, Step

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
KEY = "42" * 32

# Hospital A: 3 patients, 2 departments, 2 providers, 3 encounters, 4 transactions, 2 claims, 2 procedure codes.
PATIENTS = """
PatientID FirstName LastName MiddleName SSN         PhoneNumber Gender DOB        Address                     ModifiedDate
P1        Ada       Byron    K          111-11-1111 555-0101    F      1980-12-10 '1 Elm, Springfield, IL 62701' 2024-01-01
P2        Max       Planck   L          222-22-2222 555-0102    M      1958-04-23 '2 Oak, Austin, TX 73301'      2024-01-02
P3        Lise      Meitner  H          333-33-3333 555-0103    F      1978-11-07 '3 Fir, Boston, MA 02101'      2024-01-03
"""  # noqa: E501
DEPARTMENTS = """
DeptID Name
D1     Cardiology
D2     Oncology
"""
PROVIDERS = """
ProviderID FirstName LastName Specialization DeptID NPI
H1-V1      Rosa      Sand     Cardiology     D1     1234567893
H1-V2      Otto      Hahn     Oncology       D2     1245319599
"""
ENCOUNTERS = """
EncounterID PatientID EncounterDate EncounterType ProviderID DepartmentID ProcedureCode InsertedDate ModifiedDate
E1          P1        2024-10-01    Inpatient     V1         D1           97099         2024-10-01   2024-10-02
E2          P2        2024-10-05    Outpatient    V2         D2           34830         2024-10-05   2024-10-06
E3          P3        2024-10-09    Inpatient     V1         D1           97099         2024-10-09   2024-10-10
"""
TRANSACTIONS = """
TransactionID EncounterID PatientID ProviderID DeptID VisitDate  ServiceDate PaidDate   VisitType Amount AmountType PaidAmount ClaimID PayorID ProcedureCode ICDCode LineOfBusiness MedicaidID MedicareID InsertDate ModifiedDate
T1            E1          P1        V1         D1     2024-10-01 2024-10-01  2024-10-20 Routine   100.10 Co-pay     60.00      C1      Y1      97099         I10     Commercial     M1         R1         2024-10-01 2024-10-02
T2            E1          P1        V1         D1     2024-10-01 2024-10-02  2024-10-20 Routine   20.005 Co-pay     0          C2      Y1      97099         I10     Commercial     M1         R1         2024-10-02 2024-10-03
T3            E2          P2        V2         D2     2024-10-05 2024-10-05  2024-11-01 Emergency 300.00 Medicare   150.50     C3      Y2      34830         E11.9   Medicare       M2         R2         2024-10-05 2024-10-06
T4            E3          P3        V1         D1     2024-10-09 2024-10-09  2024-11-01 Routine   50.00  Co-pay     50.00      C4      Y1      97099         I10     Commercial     M3         R3         2024-10-09 2024-10-10
"""  # noqa: E501
CLAIMS = """ClaimID,TransactionID,PatientID,EncounterID,ProviderID,DeptID,ServiceDate,ClaimDate,PayorID,ClaimAmount,\
PaidAmount,ClaimStatus,PayorType,Deductible,Coinsurance,Copay,InsertDate,ModifiedDate
C1,T1,P1,E1,V1,D1,2024-10-01,2024-10-03,Y1,100.10,60.00,Paid,Commercial,10.00,5.00,1.00,2024-10-03,2024-10-20
C3,T3,P2,E2,V2,D2,2024-10-05,2024-10-07,Y2,300.00,150.50,Paid,Government,20.00,5.00,1.00,2024-10-07,2024-11-01
"""
CODES = """Procedure Code Category,CPT Codes,Procedure Code Descriptions,Code Status
AAA,97099,Therapy,No Change
BBB,34830,Graft,No Change
"""
ICD = "code,description,is_billable,release_year\nI10,Essential hypertension,true,2026\nE11.9,Diabetes,true,2026\n"
TABLES = {"patients": PATIENTS, "departments": DEPARTMENTS, "providers": PROVIDERS, "encounters": ENCOUNTERS,
          "transactions": TRANSACTIONS}  # fmt: skip
NUMBERS = {"Amount", "PaidAmount"}
HOS_B = """about: Hospital B, of which only the departments are connected.
connection: ${HOS_B_URL}
feeds:
  departments:
    table: departments
    fills: department
    columns: {department_id: DeptID, department_name: Name, updated_at: 'NULL'}
"""
ICD_SOURCE = """about: Two codes are enough here.
landing: ${LANDING}
feeds:
  codes:
    files: icd/*
    load: full
    key: [code]
    fills: icd_code
    columns:
      icd_code: code
      description: description
      is_billable: is_billable
      release_year: release_year
      updated_at: 'NULL'
"""


@dataclass(frozen=True)
class Small:
    """A project with its databases and landing folder, all below `folder`."""

    folder: Path
    changed: dict[str, str] = field(default_factory=dict)  # in its environment; what is empty is not set

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def landing(self) -> Path:
        return self.folder / "landing"

    @property
    def environment(self) -> dict[str, str]:
        urls = {f"HOS_{h.upper()}_URL": f"sqlite:///{self.folder / f'hos-{h}.db'}" for h in "ab"}
        return {**urls, "LANDING": str(self.landing), "CARELAKE_VAULT_KEY": KEY, **self.changed}

    def run(self, day: int = 1, **how: Any) -> Run:
        """A run on the `day`-th day after the first."""
        return pipeline.run(self.project, self.environment, NOW + timedelta(days=day), **how)

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        asker = Asker.here(self.project, environment=self.environment)
        with door.ask(self.project, question, asker=asker) as batches:
            return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]

    def one(self, question: str) -> Any:
        ((value,),) = self.ask(question)
        return value

    def sql(self, *statements: str, hospital: str = "a") -> None:
        with closing(sqlite3.connect(self.folder / f"hos-{hospital}.db")) as db:
            for statement in statements:
                db.execute(statement)
            db.commit()

    def put(self, name: str, content: str | bytes) -> Path:
        """A file in the landing folder that nobody is writing any more."""
        path = self.landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        os.utime(path, (NOW.timestamp() - 60, NOW.timestamp() - 60))
        return path

    def say(self, name: str, old: str, new: str) -> None:
        """Change what the project declares; a shipped file becomes the project's own first."""
        path = self.project / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(declare.shipped() / name, path)
        text = path.read_text()
        assert old in text, f"{name} no longer says '{old}'"
        path.write_text(text.replace(old, new, 1))

    def command(self, *words: str, limit: str = "", **more: str) -> subprocess.CompletedProcess[bytes]:
        """`carelake -p PROJECT <words>` as a process of its own, with everything it writes."""
        return subprocess.run(
            ["bash", "-c", f"{limit} exec \"$@\"", "bash", *self.words(*words)],
            capture_output=True, env=self.around(more), timeout=120, check=False,
        )  # fmt: skip

    def invoke(self, *words: str) -> Result:
        """The same within this process, which is quicker: what it prints, and what it raises."""
        return CliRunner().invoke(cli.app, ["-p", str(self.project), *words], env=self.around())

    def words(self, *words: str) -> list[str]:
        code = "from carelake.serve.cli import main; main()"
        return [sys.executable, "-c", code, "-p", str(self.project), *words]

    def around(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a command."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        source = Path(pipeline.__file__).parents[1]
        return {**kept, **self.environment, "PYTHONPATH": str(source), **(more or {})}


def made(folder: Path) -> Small:
    """A new project, before its first run."""
    lake = Small(folder)
    project.make(lake.project, "rcm")
    (lake.project / "sources/hos-b.yml").write_text(HOS_B)
    (lake.project / "sources/icd.yml").write_text(ICD_SOURCE)
    for name, text in TABLES.items():
        lake.sql(*_filled(name, text))
    lake.sql(
        *_filled("departments", DEPARTMENTS), "ALTER TABLE departments ADD COLUMN Beds INTEGER DEFAULT 12", hospital="b"
    )
    lake.put("claims/hospital1_claims.csv", CLAIMS)
    lake.put("cptcodes/codes.csv", CODES)
    lake.put("icd/icd.csv", ICD)
    return lake


def copied(origin: Small, folder: Path) -> Small:
    """A lake of its own, that was run as `origin` was; what was asked of that one since is not in its log."""
    shutil.copytree(origin.folder, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("journal"))
    return Small(folder)


@lru_cache
def cells(text: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table as it stands above."""
    header, *rows = (shlex.split(line) for line in text.strip().splitlines())
    assert all(len(row) == len(header) for row in rows)
    return header, rows


def _filled(name: str, text: str) -> list[str]:
    header, rows = cells(text)
    types = ", ".join(f"{column} {'REAL' if column in NUMBERS else 'TEXT'}" for column in header)
    quoted = ("(" + ", ".join(f"'{cell}'" for cell in row) + ")" for row in rows)
    return [f"CREATE TABLE {name} ({types})", f"INSERT INTO {name} VALUES {', '.join(quoted)}"]


def step(did: Run, name: str, of: str = "extract") -> Step:
    """What a run says of one step."""
    return next(one for one in did.steps if (one.step, one.name) == (of, name))


def failed(did: Run) -> dict[str, str]:
    """Step and name of all that failed -> its code."""
    return {f"{one.step} {one.name}": one.code for one in did.steps if one.outcome == "failed"}


def contents(lake: Small) -> dict[str, list[tuple[Any, ...]]]:
    """What was made of each feed, in an order of its own, without the moments at which it was written."""
    silver = ("patient_history", "department_history", "claim_all", "transaction_all", "encounter_all")
    shown = {f"silver.{name}": "* EXCLUDE (inserted_date, modified_date)" for name in silver}
    shown |= {f"gold.{name}": "*" for name in ("fact_transaction", "fact_claim", "ar_aging", "claim_status")}
    each = (f"SELECT '{name}' AS of_relation, {columns} FROM {name}" for name, columns in shown.items())
    found: dict[str, list[tuple[Any, ...]]] = {name: [] for name in shown}
    for name, *row in lake.ask(f"SELECT * FROM ({' UNION ALL BY NAME '.join(each)}) AS every ORDER BY ALL"):
        found[name].append(tuple(row))  # one question, since opening the lake takes longer than answering
    return found


def spoil(lake: Small, table: str, select: str) -> pa.Table:
    """Put other rows into a table, and change nothing else of it. The rows that it had."""
    with opened(lake.project, lake.environment, writing=True) as held:
        before = held.engine.ask(f"SELECT * FROM {table}")
        held.engine.replace(table, select, note=held.engine.note(table))
        return before


def put_back(lake: Small, table: str, rows: pa.Table) -> None:
    with opened(lake.project, lake.environment, writing=True) as held:
        held.engine.lend("before", rows)
        held.engine.replace(table, "SELECT * FROM before", note=held.engine.note(table))


def everything_said(lake: Small, did: Run | None = None) -> str:
    """All that a run tells a person, and all that the audit tables keep."""
    kept = [lake.ask(f"SELECT * FROM audit.{name}") for name in ("run_steps", "load_logs", "rule_results", "releases")]
    return repr((did, kept))


@pytest.fixture(scope="session")
def small_origin(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """The lake after its first run, which found nothing amiss. Nobody may change it."""
    lake = made(tmp_path_factory.mktemp("small"))
    assert failed(lake.run(0)) == {}
    return lake


@pytest.fixture
def small(small_origin: Small, tmp_path: Path) -> Small:
    """A copy of it, to spoil."""
    return copied(small_origin, tmp_path)
