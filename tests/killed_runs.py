"""A hospital with two days of change, `carelake run` on it as a process of its own, and what its lake then holds."""

from __future__ import annotations

import csv
import os
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from carelake import bronze, timeline
from carelake.lake import Lake, opened

DAYS = {1: datetime(2026, 6, 1, 6, tzinfo=UTC), 2: datetime(2026, 6, 2, 6, tzinfo=UTC)}
LAKE = "about: A hospital that is killed and gets up again.\nas_of: 2026-06-30\n"
SILENT = "about: Not for this hospital.\nfeeds: {}\n"
SOURCE = """
about: A hospital's database, and a payer's files about its patients.
connection: ${EMR_URL}
landing: ${LANDING}
feeds:
  patients:
    table: patients
    load: watermark
    watermark: changed
    lookback: 1 day
    fills: patient
    columns: {patient_id: id, full_name: name, first_name: name, middle_name: 'NULL', last_name: name, ssn: ssn,
              phone: 'NULL', gender: 'NULL', birth_date: born, address: 'NULL', zip: 'NULL', updated_at: changed}
  providers:
    table: providers
    fills: provider
    columns: {provider_id: id, provider_name: name, specialization: 'NULL', department_id: 'NULL', npi: 'NULL',
              updated_at: 'NULL'}
  transactions:
    table: transactions
    load: watermark
    watermark: changed
    lookback: 1 day
    fills: transaction
    columns: {transaction_id: id, encounter_id: 'NULL', patient_id: patient, provider_id: provider,
              department_id: 'NULL', visit_date: day, service_date: day, paid_date: 'NULL', visit_type: 'NULL',
              amount: amount, amount_type: 'NULL', paid_amount: paid, contractual_adjustment: 'NULL', claim_id: 'NULL',
              payer_id: 'NULL', procedure_code: 'NULL', icd_code: 'NULL', line_of_business: 'NULL',
              medicaid_id: 'NULL', medicare_id: 'NULL', created_at: 'NULL', updated_at: changed}
  claims:
    files: claims_*.csv
    load: append
    fills: claim
    columns: {claim_id: claim, transaction_id: transaction_no, patient_id: 'NULL', encounter_id: 'NULL',
              provider_id: 'NULL', department_id: 'NULL', service_date: 'NULL', claim_date: 'NULL', payer_id: payer,
              claim_amount: amount, paid_amount: 'NULL', claim_status: status, payer_type: 'NULL', deductible: 'NULL',
              coinsurance: 'NULL', copay: 'NULL', created_at: 'NULL', updated_at: told}
"""
PATIENT = """
  patient:
    name_present: {must: NOT full_name IS NULL, because: a bill needs a name, otherwise: quarantine}
"""
TABLES = {
    "patients": "id TEXT, name TEXT, ssn TEXT, born TEXT, changed TEXT",
    "providers": "id TEXT, name TEXT",
    "transactions": "id TEXT, patient TEXT, provider TEXT, day TEXT, amount TEXT, paid TEXT, changed TEXT",
}


@dataclass(frozen=True)
class Hospital:
    """Everything in one folder: `project` with its lake, the database, the landing folder."""

    folder: Path

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def environment(self) -> dict[str, str]:
        url = f"sqlite:///{(self.folder / 'emr.db').resolve()}"
        given = {"EMR_URL": url, "LANDING": str((self.folder / "landing").resolve()), "CARELAKE_VAULT_KEY": "5c" * 32}
        return {**os.environ, **given}

    def copied(self, to: Path) -> Hospital:
        """The same, lake and all, in another folder."""
        shutil.copytree(self.folder, to)
        return Hospital(to)


def opened_on_day_one(folder: Path, transactions: int = 150) -> Hospital:
    """A hospital that nobody has loaded yet."""
    hospital = Hospital(folder)
    pages = {"lake.yml": f"{LAKE}rules:{PATIENT}", "sources/emr.yml": SOURCE}
    pages |= {f"sources/{name}.yml": SILENT for name in ("cpt", "icd", "npi")}
    for name, text in pages.items():
        (hospital.project / name).parent.mkdir(parents=True, exist_ok=True)
        (hospital.project / name).write_text(text)
    (folder / "landing").mkdir()
    with closing(sqlite3.connect(folder / "emr.db")) as db, db:
        for table, columns in TABLES.items():
            db.execute(f"CREATE TABLE {table} ({columns})")
        rows = [(f"p{n}", f"Ann {n}" if n % 19 else None, f"123-45-{n:04}", "1936-02-28") for n in range(60)]
        db.executemany("INSERT INTO patients VALUES (?, ?, ?, ?, '2026-05-01 10:00:00')", rows)
        db.executemany("INSERT INTO providers VALUES (?, ?)", [(f"d{n}", f"Dr {n}") for n in range(8)])
        rows = [(f"t{n}", f"p{n % 70}", f"d{n % 9}", "2026-04-01", f"{n}.10", "0.00") for n in range(transactions)]
        db.executemany("INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, '2026-05-02 10:00:00')", rows)
    _claims(folder, 1, [("c1", "t1", "Pending"), ("c2", "t2", "Paid"), ("c2", "t2", "Denied"), ("c3", "t3", "Paid")])
    return hospital


def next_day(hospital: Hospital) -> None:
    """Corrections, a patient who arrives after her bills, one whose name is struck out, a provider who leaves."""
    with closing(sqlite3.connect(hospital.folder / "emr.db")) as db, db:
        db.execute(
            "UPDATE transactions SET paid = amount, changed = '2026-06-01 09:00:00' WHERE CAST(amount AS INT) < 40"
        )
        db.execute("INSERT INTO patients VALUES ('p65', 'Zoe', '999-99-9999', '1990-01-01', '2026-06-01 10:00:00')")
        db.execute("UPDATE patients SET name = NULL, changed = '2026-06-01 10:00:00' WHERE id = 'p7'")
        db.execute("UPDATE patients SET name = 'Ann B', changed = '2026-06-01 10:00:00' WHERE id IN ('p8', 'p9')")
        db.execute("DELETE FROM providers WHERE id = 'd3'")
        db.execute("INSERT INTO providers VALUES ('d8', 'Dr 8')")
    _claims(hospital.folder, 2, [("c1", "t1", "Paid"), ("c4", "t400", "Pending")])


def _claims(folder: Path, day: int, told: Sequence[tuple[str, str, str]]) -> None:
    path = folder / "landing" / f"claims_{day}.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["claim", "transaction_no", "payer", "amount", "status", "told"])
        rows.writerows((c, t, "payer-1", "10.00", status, f"2026-05-0{day} 08:00:00") for c, t, status in told)
    long_ago = DAYS[1].timestamp() - 86_400
    os.utime(path, (long_ago, long_ago))  # a file that was just written would wait for the next run


# --- runs ------------------------------------------------------------------------------------------------------------

RUN = """
import os, sys
from datetime import datetime
from carelake.serve import options
now = datetime.fromisoformat(sys.argv[1])
options.now = lambda: now
from carelake.serve import cli
from carelake.source import sql
sql.read.__kwdefaults__["range_rows"] = {range_rows}  # so that a first load is cut into three
{before}
sys.argv = ["carelake", "-p", *sys.argv[2:]]
cli.main()
"""
# Dies at one of the moments that matter, before or after each commit and each change of a folder's name: at the n-th of
# them, or at the first one of a name: `before silver.patient_versions`, `after making gold.dim_date`, `before replace`.
DIES = """
import atexit, functools, itertools, shutil, signal
from carelake.engine import duck
count, wanted = itertools.count(1), {moment!r}
def deadly(verb, word=""):
    @functools.wraps(verb)
    def moments(*given, **more):
        pass_by(f"before {{word}}{{more.get('name', verb.__name__)}}")
        done = verb(*given, **more)
        pass_by(f"after {{word}}{{more.get('name', verb.__name__)}}")
        return done
    return moments
def pass_by(name):
    if wanted in (next(count), name):
        os.kill(os.getpid(), signal.SIGKILL)
duck.write_deltalake = deadly(duck.write_deltalake)
duck.DeltaTable.create = deadly(duck.DeltaTable.create, "making ")
os.replace = deadly(os.replace)
atexit.register(lambda: print("moments", next(count) - 1))
"""


# Says where it is, so that it can be killed there.
TELLS = """
import functools
from carelake import bronze, intake, pipeline, publication
def telling(module, verb, step, then=""):
    does = getattr(module, verb)
    @functools.wraps(does)
    def tells(*given, **more):
        print("in", step, flush=True)
        done = does(*given, **more)
        if then:
            print("in", then, flush=True)
        return done
    setattr(module, verb, tells)
telling(bronze, "land", "land", "extract")
telling(intake, "_extract", "extract")
for step in ("refine", "build", "keep"):
    telling(pipeline, "_" + step, step)
telling(publication, "publish", "release")
"""


@dataclass(frozen=True)
class Stretch:
    """A part of a run: the `place`-th one that it says it is in, and for how many seconds it was."""

    place: int
    step: str
    seconds: float


def started(
    hospital: Hospital, now: datetime, before: str = "", words: Sequence[str] = ("run",)
) -> subprocess.Popen[str]:
    """`carelake run`, or what `words` say, at that hour. `before` is Python that runs in its process first."""
    command = [
        sys.executable,
        "-c",
        RUN.format(before=before, range_rows=_third(hospital)),
        now.isoformat(),
        str(hospital.project),
        *words,
    ]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=hospital.folder, env=hospital.environment)


def _third(hospital: Hospital) -> int:
    """Somewhat more than a third of its transactions."""
    with closing(sqlite3.connect(hospital.folder / "emr.db")) as db:
        (transactions,) = db.execute("SELECT COUNT(*) FROM transactions").fetchone()
    return int(transactions * 2 / 5)


def run(hospital: Hospital, now: datetime, before: str = "", words: Sequence[str] = ("run",)) -> str:
    """What a run that must succeed has said."""
    process = started(hospital, now, before, words)
    said, wrong = process.communicate()
    assert process.returncode == 0, f"{said}\n{wrong}"
    return said


def killed_at(hospital: Hospital, now: datetime, moment: int | str, words: Sequence[str] = ("run",)) -> bool:
    """Whether a run that should die at a moment has died there; else it never came to it, and ended well."""
    process = started(hospital, now, DIES.format(moment=moment), words)
    said, wrong = process.communicate()
    assert process.returncode in (0, -9), f"{said}\n{wrong}"
    return process.returncode == -9


def stretches(hospital: Hospital, now: datetime) -> list[Stretch]:
    """The parts of a run that must succeed."""
    process = started(hospital, now, TELLS)
    told = [(line.removeprefix("in ").strip(), monotonic()) for line in process.stdout or () if line.startswith("in ")]
    _, wrong = process.communicate()
    assert process.returncode == 0, wrong
    return [Stretch(n, step, end - begin) for n, ((step, begin), (_, end)) in enumerate(pairwise(told))]


def killed_in(hospital: Hospital, now: datetime, place: int, seconds: float) -> str:
    """In which step a run died that was killed so many seconds into a stretch; `nowhere` if it had said all by then."""
    with started(hospital, now, TELLS) as process:
        assert process.stdout
        assert process.stderr
        said = list(islice(process.stdout, place + 1))
        sleep(seconds)
        process.kill()
        said += process.stdout
        wrong = process.stderr.read()
    assert process.returncode in (0, -9), wrong
    return said[-1].removeprefix("in ").strip() if said[-1].startswith("in ") else "nowhere"


# --- what a lake holds -----------------------------------------------------------------------------------------------

PASSING = {"run_id", "seconds", "started_at", "sealed", "bytes", "parts", "part_of"}  # of a run, or random by intent
Held = Mapping[str, Counter[tuple[tuple[str, Any], ...]]]


def held(hospital: Hospital) -> Held:
    """Every table of the lake, row by row; a moment of a run is the day of that run."""
    with opened(hospital.project, hospital.environment, writing=False) as lake:
        return {name: _rows(lake.engine.ask(select).to_pylist()) for name, select in selects(lake).items()}


def selects(lake: Lake) -> dict[str, str]:
    """Everything that is stored, but the steps of each run."""
    tables = lake.declared.tables
    selects = {
        name: timeline.standing(tables[name], lake.declared.policy, f"silver.{name}_versions") for name in tables
    }
    stored = {f"{layer}.{name}" for name in tables for layer in ("quarantine", "silver")}
    stored |= {f"restricted.{name}_history" for name in tables} | {f"gold.{name}" for name in lake.declared.marts}
    stored |= {f"silver.{name}_{view}" for name in tables for view in ("history", "all")}
    stored |= {"vault.token", "vault.key_map", "audit.load_logs"}
    selects |= {name: f"SELECT * FROM {name}" for name in stored}
    selects["audit.rule_results"] = "SELECT * FROM audit.rule_results WHERE scope = 'load'"  # others tell of versions
    selects["audit.releases"] = "SELECT id, as_of, loads FROM audit.releases"
    feeds = (one for feed in lake.declared.feeds for one in (feed, feed.repairs))
    loads = {feed.relation: told for feed in feeds if (told := lake.ledger.loads(feed))}
    for name, landed in loads.items():
        files = [f"'{path}'" for path in bronze.files(lake.bronze, landed)]
        selects[name] = f"SELECT * FROM read_parquet([{', '.join(files)}], union_by_name = true)"
    return selects


def _rows(rows: Sequence[Mapping[str, Any]]) -> Counter[tuple[tuple[str, Any], ...]]:
    return Counter(
        tuple((name, _day_of(value)) for name, value in sorted(row.items()) if name not in PASSING) for row in rows
    )


def _day_of(value: Any) -> Any:
    """A moment of a run, as `run of day 1`: a run that makes another good is later on the same day."""
    if isinstance(value, datetime):
        for day, hour in DAYS.items():
            if timedelta(0) <= value - hour < timedelta(hours=12):
                return f"run of day {day}"
    return value


def differences(one: Held, other: Held) -> list[str]:
    """What two lakes differ in: names of tables with a row each."""
    found = []
    for name in sorted(one.keys() | other.keys()):
        gone, new = one[name] - other[name], other[name] - one[name]
        found += [f"{name} lacks {dict(row)}" for row in list(gone)[:1]]
        found += [f"{name} has too much: {dict(row)}" for row in list(new)[:1]]
    return found


def strays(hospital: Hospital) -> list[str]:
    """Files that belong to no load, and what was left in the landing folder."""
    with opened(hospital.project, hospital.environment, writing=False) as lake:
        known = lake.ledger.folders()
        files = [path for path in lake.bronze.rglob("*") if path.is_file()]
        found = [str(path) for path in files if str(path.parent.relative_to(lake.bronze)) not in known]
        found += [str(path) for path in lake.bronze.with_name("staging").rglob("*")]
    return found + [str(path) for path in (hospital.folder / "landing").glob("*.csv")]
