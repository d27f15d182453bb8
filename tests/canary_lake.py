"""A lake of synthetic hospitals that has lived through everything which could let an identifier out, and what was
planted in its sources.
"""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
from canaries import Place, Planted
from canary_places import files, logged, raised, said, temporary
from click.testing import Result
from deltalake import DeltaTable
from small_lake import ICD_SOURCE, NOW, Small

from carelake import declare, project, synth
from carelake.errors import QuestionFailed
from carelake.model import Feed

DEFECTS = [
    "person_born_tomorrow", "person_born_in_1850", "person_without_a_name", "person_numbered_with_a_blank",
    "person_with_a_short_ssn", "person_with_an_ssn_in_words", "claim_paid_in_words", "claim_service_on_february_30",
    "claim_without_a_number", "claim_of_an_unknown_patient", "visit_of_an_unknown_patient",
    "charge_of_an_unknown_patient",
]  # fmt: skip
NAMED = "claims/hospital1_Quuxworth_Zebedina_HOSP1-990001.csv"
FILE_NAME = "file_name"  # the kind of what stands in the name of a file
NOTES = {  # kind -> what is planted of it in every row of hospital A, in a column that nothing maps
    "email": "zebedina.quuxworth@wobblebrook.example",
    "free_text": "the daughter of Mrs Quuxworth, Xanthippa, phoned from Wobblebrook about the biopsy",
}
PROFILES = ("safe_harbor", "limited_data_set")
DAY_BY_DAY = 2_010  # from this year on a date may be a visit's as well as a birth's
QUESTIONS = [
    "SELECT CAST(FirstName AS INTEGER) FROM bronze.hos_a_patients",
    "SELECT CAST(SSN AS DATE) FROM bronze.hos_a_patients",
    "SELECT CAST(full_name AS DATE) FROM silver.patient_all",
    "SELECT CAST(line AS INTEGER) FROM bronze.hos_a_claims_rejected",
]
ANSWERED = [
    "SELECT * FROM silver.patient_all",
    "SELECT * FROM silver.transaction_history",
    "SELECT * FROM gold.fact_claim",
]
COMMANDS = [
    ["status"], ["report"], ["compliance", "--month", "2026-11"], ["audit", "verify"],
    ["alerts", "digest", "--weekly", "--dry-run"], ["quarantine", "list"],
]  # fmt: skip


# --- what was planted ------------------------------------------------------------------------------------------------


def planted(lake: Small) -> Iterator[Planted]:
    """Every value that the sources hold now, of the columns that fill a table of silver, with its declared kind."""
    declared = declare.read(lake.project)
    for feed in declared.feeds:
        if feed.fills is None or feed.reader == "reference" or not (rows := _rows(lake, feed)):
            continue
        kinds = {column.name: column.kind for column in declared.tables[feed.fills].columns}
        with duckdb.connect() as db:
            db.register("rows", rows)
            for name, expression in feed.columns.items():
                told = db.sql(f"SELECT DISTINCT CAST({expression} AS TEXT) FROM rows").fetchall()
                for value in (value for (value,) in told if value):
                    yield from _parts(kinds[name], value.strip())
                    if declared.policy.stored[kinds[name]] == "token":  # a token is a digest of this, and of a key
                        yield Planted(kinds[name], "\x1f".join([feed.source, kinds[name], value]))


def _rows(lake: Small, feed: Feed) -> pa.Table | None:
    """What a table holds, or the files of a feed, wherever they lie by now; all of it text."""
    if feed.reader == "files":
        paths = [str(path) for path in lake.landing.rglob(feed.at) if path.name != Path(NAMED).name]
        read = f"SELECT * FROM read_csv({paths}, all_varchar = true, union_by_name = true)"
        return duckdb.sql(read).to_arrow_table() if paths else None
    with closing(sqlite3.connect(lake.folder / f"{feed.source}.db")) as db:
        asked = db.execute(f"SELECT * FROM {feed.at}")
        names = [name for name, *_ in asked.description]
        columns = list(zip(*asked, strict=True))
    texts = [[None if value is None else str(value) for value in column] for column in columns]
    return pa.table([pa.array(column, pa.string()) for column in texts], names=names)


def _parts(kind: str, value: str) -> Iterator[Planted]:
    """An identifier, and what of it tells of a person by itself."""
    if kind == "birth_date" and value[:4] >= str(DAY_BY_DAY):
        return
    yield Planted(kind, value)
    if kind == "name":
        first, _, last = value.partition(" ")
        yield Planted(kind, f"{last}, {first}")
    if kind == "address":
        street, _, rest = value.partition(", ")
        city, _, state_and_zip = rest.rpartition(", ")
        yield from (Planted(kind, part) for part in (street, city.rpartition(", ")[2], state_and_zip) if part)


# --- what becomes of it ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lived:
    """A lake after all of that."""

    lake: Small
    planted: frozenset[Planted]
    told: tuple[Place, ...]  # what was printed, logged and raised, and what lay about meanwhile

    @property
    def places(self) -> Iterator[Place]:
        """Everything outside bronze, where the originals are, and the database and landing folder of the hospitals."""
        yield from files(self.lake.project, but=["originals/bronze", "originals/staging"])
        yield from self.told

    def kept(self, audience: str) -> frozenset[str]:
        """The kinds of fact that privacy.yml lets be stored, or be seen by an audience, as they are."""
        policy = declare.read(self.lake.project).policy
        seen = policy.seen.get(audience, {})
        says = {kind: cell.treatment for kind, cell in seen.items()} or policy.stored
        return frozenset(kind for kind, treatment in says.items() if treatment == "keep")

    def extract(self, name: str) -> list[Place]:
        return list(files(self.lake.folder / name))


def made(folder: Path, patients: int) -> Small:
    """Two detailed hospitals with defects, e-mail addresses and notes, and the project that reads them."""
    lake = Small(folder)
    synth.make(folder, patients=patients, defects=False, detailed=True)
    synth.plant(folder, DEFECTS, each=1)
    project.make(lake.project, "detailed")
    (lake.project / "sources/icd.yml").write_text(ICD_SOURCE)
    lake.say("lake.yml", "about:", "report: pages\nabout:")
    for name, value in NOTES.items():
        lake.sql(f"ALTER TABLE patients ADD COLUMN {name} TEXT DEFAULT '{value}'")
    header = (lake.landing / "claims/hospital1_claim_data.csv").read_text().splitlines()[0]
    lake.put(
        NAMED, f"{header}\nC8,HOSP1-990001,Zebedina Quuxworth\n" + ",".join(["C9"] * (header.count(",") + 1)) + "\n"
    )
    return lake


def spoilt(lake: Small) -> None:
    """Everything that can stop over a value does so over one that was planted."""
    lines = (lake.landing / f"archive/{_day(0)}/claims/hospital1_claim_data.csv").read_text().splitlines()
    lake.put("claims/hospital1_headless.csv", "\n".join(lines[1:3]) + "\n")
    lake.sql("CREATE TABLE kept AS SELECT * FROM encounters", "DROP TABLE encounters")
    lake.sql("ALTER TABLE departments ADD COLUMN Head TEXT", "UPDATE departments SET Head = 'Zebedina'", hospital="b")
    lake.say("sources/hos-a.yml", "first_name:  NULLIF(FirstName, 'NULL')", "first_name:  FirstName + 1")


def _day(day: int) -> str:
    return f"{NOW + timedelta(days=day):%Y/%m/%d}"


def asked(lake: Small) -> Iterator[Place]:
    """What is said of questions that stumble over a value, and what is answered from silver and gold."""
    for number, question in enumerate(QUESTIONS):
        try:
            lake.ask(question)
        except QuestionFailed as error:
            yield from raised(f"error of question {number}", error)
        else:
            raise AssertionError(question)
    for question in ANSWERED:
        yield from said(question, *(cell for row in lake.ask(question) for cell in row))


def commanded(lake: Small, *words: str) -> list[Place]:
    """What a command prints."""
    done: Result = lake.invoke(*words)
    told = said(f"carelake {words[0]}", done.output)
    assert done.exit_code == 0, done.output
    return told


def ran_aloud(lake: Small) -> list[Place]:
    """A run as a process of its own, of which every library says all that it can."""
    code = "import logging; logging.basicConfig(level=logging.DEBUG); from carelake.serve.cli import main; main()"
    words = lake.words("run")
    words[words.index("-c") + 1] = code
    env = lake.around({"RUST_LOG": "debug", "RUST_BACKTRACE": "full", "PYTHONWARNINGS": "always"})
    done = subprocess.run(words, capture_output=True, env=env, timeout=300, check=False)
    assert done.returncode == 20, done.stderr[-2000:]
    return said("a run at DEBUG that fails", done.stdout, done.stderr)


def lived(folder: Path, patients: int) -> Lived:
    """Two days, both extracts, questions, reports, and a run that fails, with all that was said meanwhile."""
    lake = made(folder / "lake", patients)
    known = {*planted(lake), Planted(FILE_NAME, Path(NAMED).stem.partition("_")[2])}
    known |= {Planted(kind, value) for kind, value in NOTES.items()}
    with temporary(folder / "temporary") as passing, logged() as logs:
        first = lake.run(0)
        told = [*said("the first run", first), *asked(lake)]
        for profile in PROFILES:
            order = ("--recipient", "University", "--agreement", "DUA-17", "--as-of", "2035-06-30")
            told += commanded(lake, "extract", "--profile", profile, "--out", str(lake.folder / profile), *order)
        lake.sql(*(f"ALTER TABLE patients DROP COLUMN {name}" for name in NOTES))  # synth writes whole rows
        synth.make(lake.folder, day=2)
        known |= {*planted(lake)}
        spoilt(lake)
        told += ran_aloud(lake)
        for words in COMMANDS:
            told += commanded(lake, *words)
        told += logs()
    for log in lake.project.rglob("_delta_log"):
        DeltaTable(log.parent).create_checkpoint()
    return Lived(lake, frozenset(known), (*told, *passing.places()))
