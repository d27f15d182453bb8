"""Nothing that names a person leaves the originals: every byte of a lake and every word that is said is searched for
what was planted in its sources.
"""

from __future__ import annotations

import hashlib
import json
import re
import traceback
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from small_lake import CLAIMS, Small, everything_said, failed, made

from carelake.engine.duck import Duck
from carelake.errors import QuestionFailed

HEADER = CLAIMS.splitlines()[0]
RESTRICTED = {"birth date": rb"1899-07-19|18990719", "zip": rb"(?<![0-9A-Fa-f])73399(?![0-9A-Fa-f])"}
PLANTED = {
    "first name": rb"Zebedina",
    "middle name": rb"Xanthippa",
    "last name": rb"Quuxworth",
    "social security number": rb"987-?65-?4320",
    "phone": rb"555-?867-?5309",
    "street": rb"Wobblebrook",
    "record number": rb"MRN-Q31X",
    "health plan numbers": rb"PLAN-Q\d\d",
    **RESTRICTED,
}
KEPT = rb"CONTROL-77"  # the number of a charge, which the lake stores as it is


def patient(number: str, first: str = "'Zebedina'", born: str = "1899-07-19", changed: str = "2024-02-01") -> str:
    return f"""INSERT INTO patients VALUES ({number}, {first}, 'Quuxworth', 'Xanthippa', '987-65-4320', '555-867-5309',
        'F', '{born}', '77 Wobblebrook Lane, Austin, TX 73399', '{changed}')"""


def charge(key: str, of: str) -> str:
    return f"""INSERT INTO transactions SELECT '{key}', EncounterID, '{of}', ProviderID, DeptID, VisitDate, ServiceDate,
        PaidDate, VisitType, Amount, AmountType, PaidAmount, ClaimID, PayorID, ProcedureCode, ICDCode, LineOfBusiness,
        'PLAN-Q88', 'PLAN-Q99', InsertDate, ModifiedDate FROM transactions WHERE TransactionID = 'T1'"""


def claim(key: str, of: str, status: str = "Paid") -> str:
    return (
        f"{key},CONTROL-77,{of},E1,V1,D1,2024-10-01,2024-10-03,Y1,9,9,{status},Commercial,1,1,1,2024-10-03,2024-10-20\n"
    )


def planted(lake: Small) -> None:
    """A person as she should be; one without a first name, one born never, one without a number: all held back."""
    lake.sql(
        patient("'MRN-Q31X'"), patient("'MRN-Q31X-2'", first="NULL"), patient("NULL"),
        patient("'MRN-Q31X-3'", born="18990719, Quuxworth"),
        charge("CONTROL-77", "MRN-Q31X"), charge("CONTROL-78", "MRN-Q31X-9"),
        "INSERT INTO encounters SELECT 'E9', 'MRN-Q31X', EncounterDate, EncounterType, ProviderID, DepartmentID,"
        " ProcedureCode, InsertedDate, ModifiedDate FROM encounters WHERE EncounterID = 'E1'",
    )  # fmt: skip
    broken = "C8,MRN-Q31X,Zebedina Quuxworth\n"  # a line that is no row
    lake.put("claims/hospital1_more.csv", f"{HEADER}\n{claim('C9', 'MRN-Q31X')}{broken}")


def spoilt(lake: Small) -> None:
    """Everything that can stop over a value does so over one that was planted."""
    lake.sql("UPDATE departments SET Beds = 'Zebedina' WHERE DeptID = 'D1'", hospital="b")
    lake.sql(patient("'MRN-Q31X-4'", changed="2024-03-01"))
    lake.put("claims/hospital1_headless.csv", claim("C7", "MRN-Q31X", "Zebedina") * 2)
    lake.put("claims/hospital1_quote.csv", f'{HEADER}\n"MRN-Q31X'.encode() + b"x" * 20_000_000)
    lake.say("sources/hos-a.yml", "first_name:  NULLIF(FirstName, 'NULL')", "first_name:  FirstName + 1")


def mended(lake: Small) -> None:
    lake.sql("UPDATE departments SET Beds = 9 WHERE DeptID = 'D1'", hospital="b")
    for name in ("headless", "quote"):
        (lake.landing / f"claims/hospital1_{name}.csv").unlink()
    lake.say("sources/hos-a.yml", "first_name:  FirstName + 1", "first_name:  NULLIF(FirstName, 'NULL')")
    lake.sql("DELETE FROM patients WHERE PatientID = 'MRN-Q31X-2'")
    lake.sql(
        "UPDATE patients SET LastName = 'Quuxworth-Byron', ModifiedDate = '2024-04-01' WHERE PatientID = 'MRN-Q31X'"
    )


QUESTIONS = [
    "SELECT CAST(FirstName AS INTEGER) FROM bronze.hos_a_patients",
    "SELECT CAST(SSN AS DATE) FROM bronze.hos_a_patients",
    "SELECT Zebedina FROM silver.patient",
    "SELECT CAST(line AS INTEGER) FROM bronze.hos_a_claims_rejected",
]


COMMANDS = [
    ["run", "--json"], ["status"], ["plan"], ["kpi"], ["report"], ["compliance", "--month", "2026-11"],
    ["alerts", "digest", "--weekly", "--dry-run"],
]  # fmt: skip


def said(lake: Small) -> str:
    """What commands tell of the lake, and what is said of questions that stumble over a value."""
    told = [lake.command(*words) for words in COMMANDS]
    words = [(one.stdout + one.stderr).decode() for one in told]
    for question in QUESTIONS:
        with pytest.raises(QuestionFailed) as caught:
            lake.ask(question)
        words += traceback.format_exception(caught.value)
    assert [one.returncode for one in told] == [20, *[0] * 6]
    assert len(list((lake.project / "pages").iterdir())) == 8  # of three runs and a month, of each two
    return "".join(words)


def contents(path: Path) -> bytes:
    """A file as it lies there; of Parquet also what is packed in it, and its statistics."""
    raw = path.read_bytes()
    if path.suffix != ".parquet":
        return raw
    rows = json.dumps(pq.read_table(path, partitioning=None).to_pylist(), default=str, ensure_ascii=False)
    return b"\n".join([raw, rows.encode(), json.dumps(pq.read_metadata(path).to_dict(), default=str).encode()])


def found(folder: Path, searched: dict[str, bytes]) -> set[str]:
    """Which of what was planted is below a folder, and in which of its folders; names of files are searched too."""
    seen = set()
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        text = str(name).encode() + (contents(path) if path.is_file() else b"")
        seen |= {f"{what} in {name.parts[0]}" for what, pattern in searched.items() if re.search(pattern, text)}
    return seen


def checkpoints(lake: Small) -> Iterator[Path]:
    """Each Delta table with a checkpoint of its log."""
    for log in lake.project.rglob("_delta_log"):
        DeltaTable(log.parent).create_checkpoint()
        (made_of,) = log.glob("*.checkpoint.parquet")
        yield made_of


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Small, bytes]:
    """A lake after runs of which one failed wherever it could, and all that was said."""
    lake = made(tmp_path_factory.mktemp("leaks"))
    lake.say("lake.yml", "about:", "report: pages\nabout:")
    planted(lake)
    runs = [lake.run(0)]
    spoilt(lake)
    runs.append(lake.run(1))
    words = said(lake)
    mended(lake)
    runs.append(lake.run(2, reconcile=True))
    assert len(list(checkpoints(lake))) > 50
    lake.sql(patient("'MRN-Q31X-5'", changed="2024-05-01"))
    runs.append(lake.run(3))
    assert [failed(did) for did in (runs[0], *runs[2:])] == [{}, {}, {}]
    assert {"LAKE-205", "LAKE-214", "LAKE-402"} <= set(failed(runs[1]).values())
    return lake, f"{words}{runs}{everything_said(lake)}".encode()


@pytest.mark.prove
def test_no_planted_value_is_in_the_lake_and_what_is_kept_by_intent_is(told: tuple[Small, bytes]) -> None:
    lake, _ = told
    assert found(lake.project / "lake", PLANTED) == set()
    assert {"kept in silver", "kept in gold"} <= found(lake.project / "lake", {"kept": KEPT})


@pytest.mark.prove
def test_the_restricted_zone_has_birth_dates_and_zip_codes_and_nothing_else(told: tuple[Small, bytes]) -> None:
    lake, _ = told
    assert found(lake.project / "restricted", PLANTED) == {"birth date in restricted", "zip in restricted"}


@pytest.mark.prove
def test_of_the_originals_only_bronze_has_them_in_the_clear(told: tuple[Small, bytes]) -> None:
    lake, _ = told
    assert found(lake.project / "originals", PLANTED) == {f"{what} in bronze" for what in PLANTED}


@pytest.mark.prove
def test_no_other_file_of_the_project_and_no_name_of_a_file_has_them(told: tuple[Small, bytes]) -> None:
    lake, _ = told
    others = [path for path in lake.project.rglob("*") if path.relative_to(lake.project).parts[0] != "originals"]
    names = "\n".join(str(path.relative_to(lake.project)) for path in lake.project.rglob("*")).encode()
    own = b"".join(path.read_bytes() for path in others if path.is_file() and path.suffix != ".parquet")
    assert [what for what, pattern in PLANTED.items() if re.search(pattern, names + own)] == []


@pytest.mark.prove
def test_nothing_that_was_said_has_them(told: tuple[Small, bytes]) -> None:
    _, words = told
    assert len(words) > 50_000
    assert [what for what, pattern in PLANTED.items() if re.search(pattern, words)] == []


def test_what_is_too_much_for_memory_is_spilled_unreadably(tmp_path: Path) -> None:
    duck = Duck({"silver": tmp_path}, tmp_path / "staging", memory="60MB")
    duck.hold("many", "SELECT UNHEX(SHA256(CAST(n AS TEXT))) AS told FROM (SELECT UNNEST(RANGE(3000000)) AS n) AS a")
    spilled = [path.read_bytes() for path in (tmp_path / "staging").rglob("*") if path.is_file()]
    some = [hashlib.sha256(str(n).encode()).digest() for n in range(0, 3_000_000, 60_000)]
    assert sum(map(len, spilled)) > 20_000_000
    assert sum(one in content for one in some for content in spilled) == 0
