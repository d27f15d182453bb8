"""What goes wrong with the lake itself: no space, two runs, damage, a wrong key, declarations that cannot be computed.

Each has its own code; what was released before stays readable, and once it is mended the next run ends right.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest
from cases import some
from deltalake import DeltaTable, TableFeatures
from small_lake import CLAIMS, KEY, NOW, Small, contents, copied, everything_said, failed, step

from carelake import culprit, errors, foresee, migrate, project
from carelake.engine.duck import Duck
from carelake.engine.duck_write import TableUpgraded
from carelake.errors import LakeBusy, LakeDamaged, SettingMissing, SettingUnfit, VaultKeyWrong
from carelake.foreign import failed as engine_failed
from carelake.foreign import in_our_words
from carelake.lake import opened
from carelake.serve import door
from carelake.serve.asker import Asker

FIRST = "2024-11-01"


def news(lake: Small) -> None:
    """A day's change in four feeds."""
    lake.sql(
        f"UPDATE patients SET Gender = 'X', ModifiedDate = '{FIRST}' WHERE PatientID = 'P1'",
        f"UPDATE transactions SET Amount = 7, ModifiedDate = '{FIRST}' WHERE TransactionID = 'T1'",
        "INSERT INTO departments VALUES ('D9', 'New')",
    )
    lake.put("claims/hospital1_more.csv", CLAIMS.replace("C1,", "C7,"))


@pytest.fixture(scope="module")
def undisturbed(small_origin: Small, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[object, ...]]]:
    """What a lake holds to which the day's change came, and nothing else."""
    lake = copied(small_origin, tmp_path_factory.mktemp("undisturbed"))
    news(lake)
    assert failed(lake.run(1)) == {}
    return contents(lake)


def in_python(lake: Small, code: str, *words: str) -> str:
    """What Python code says, in a process of its own, that is given a lake. Where files break off, so would .pyc."""
    told = subprocess.run(
        [sys.executable, "-c", code, str(lake.folder), *words], capture_output=True, text=True, timeout=120,
        env=lake.around({"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}), check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    return told.stdout


# --- no space ---

SIZES = [2_000, 500, 1_000, 1_500, 2_500, 3_000, 3_500, 4_000, 5_000, 6_000, 7_000, 8_000]  # bytes of a file

FULL_BEHIND = """
import resource, sys
from pathlib import Path
from small_lake import Small, failed
def watch(step):
    if f"{step.step} {step.name}" == sys.argv[2]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
did = Small(Path(sys.argv[1])).run(1, watch=watch)
print(did.exit_code(strict=False), sorted(set(failed(did).values())), *failed(did))
"""


@pytest.mark.parametrize(
    ("behind", "then"),
    some(
        0,
        [
            ("refine npi", "refine patient"),
            ("release release", "keep audit.run_steps"),
            ("extract cpt.codes", "extract hos-a.patients"),
            ("extract npi.monthly", "refine claim"),
            ("build ar_over_90", "release release"),
        ],
    ),
)
def test_without_space_a_step_fails_and_the_next_run_ends_as_if_there_had_been_some(
    behind: str, then: str, small: Small, undisturbed: dict[str, list[tuple[object, ...]]]
) -> None:
    before = contents(small)
    news(small)
    code, _, which = in_python(small, FULL_BEHIND, behind).partition(" ")
    assert (code, "LAKE-501" in which, then in which) == ("50", True, True)
    assert contents(small) == (undisturbed if "keep" in then else before)
    assert failed(small.run(1)) == {}
    assert contents(small) == undisturbed


FULL_AT_COMMIT = """
import os, resource, sys
from pathlib import Path
from small_lake import Small, failed
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
def named(old, new, replace=os.replace):
    replace(old, new)
    if "patients" in str(new):
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
def told(step):
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
os.replace = named
print(failed(Small(Path(sys.argv[1])).run(1, watch=told)))
"""


def test_a_load_that_lies_there_and_could_not_be_committed_is_no_load_and_the_run_goes_on(
    small: Small, undisturbed: dict[str, list[tuple[object, ...]]]
) -> None:
    before = contents(small)
    news(small)
    assert in_python(small, FULL_AT_COMMIT) == "{'extract hos-a.patients': 'LAKE-501'}\n"
    assert len(list(small.project.glob("originals/bronze/hos-a/patients/*/*/*/000002/part-*.parquet"))) == 1
    patients = {"silver.patient_history"}
    assert contents(small) == {name: (before if name in patients else undisturbed)[name] for name in before}
    assert step(small.run(2), "hos-a.patients").rows == 1
    assert contents(small) == undisturbed


LIMITED = """
import resource, sys
from pathlib import Path
from small_lake import Small, failed
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), most))
did = Small(Path(sys.argv[1])).run(1)
print(did.exit_code(strict=False), *sorted({*failed(did).values()} - {""}))
"""


@pytest.mark.parametrize("size", some(1, SIZES))
def test_whichever_file_is_the_first_that_finds_no_space_the_next_run_ends_right(
    size: int, small: Small, undisturbed: dict[str, list[tuple[object, ...]]]
) -> None:
    """Half a Parquet file, half an entry of a log: what was written in part counts for nothing."""
    news(small)
    assert in_python(small, LIMITED, str(size)) == "50 LAKE-501\n"
    assert failed(small.run(1)) == {}
    assert contents(small) == undisturbed


def test_an_answer_that_finds_no_space_says_so(small_origin: Small) -> None:
    with Path("/dev/full").open("wb") as full:
        words = small_origin.words("query", "--format", "csv", "SELECT * FROM gold.dim_date")
        told = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, env=small_origin.around(), check=False)
    assert (told.returncode, told.stderr[:8]) == (50, b"LAKE-501")


# --- who may write, and when ---


def test_a_second_run_is_refused_while_one_writes_and_questions_are_answered(small: Small) -> None:
    with (small.project / "lake/lake.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LakeBusy, match="another run or command is writing"):
            small.run(1)
        assert small.one("SELECT COUNT(*) FROM silver.patient") == 3
    assert failed(small.run(1)) == {}


def test_who_is_refused_a_lake_is_told_which_process_holds_it(small: Small) -> None:
    (small.project / "lake/lake.lock").write_text("process 1 on somewhere.example, which is long gone" * 9)
    with opened(small.project, small.environment, writing=True):
        refused = small.command("run")
    who = f"process {os.getpid()} on {socket.gethostname()} is writing to this lake."
    assert (refused.returncode, refused.stderr.decode().splitlines()[0]) == (50, f"LAKE-502 {who}")
    (small.project / "lake/lake.lock").write_text("process 1 on \x1b[2J")
    with (small.project / "lake/lake.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert b"another run or command is writing" in small.command("run").stderr


AS_SOMEBODY = """
import os, sys
from pathlib import Path
import carelake.engine.duck, carelake.source.files, carelake.source.sql
from small_lake import Small
if os.geteuid() == 0:
    os.setegid(65534)
    os.seteuid(65534)
lake = Small(Path(sys.argv[1]))
for what in (lambda: lake.run(1), lambda: lake.one("SELECT COUNT(*) FROM silver.patient")):
    try:
        print(what())
    except carelake.errors.LakeError as error:
        print(error.code, error.exit_code)
"""


@pytest.fixture
def foreign(small_origin: Small) -> Iterator[Small]:
    """A lake whose folders the one who runs may read and not write."""
    folder = Path(tempfile.mkdtemp(prefix="lake-", dir="/tmp"))
    try:
        lake = copied(small_origin, folder / "of_others")
        (lake.project / "lake/journal").mkdir()
        subprocess.run(["chmod", "-R", "a=rX,u+w" if os.geteuid() == 0 else "a=rX", str(folder)], check=True)
        yield lake
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)
        shutil.rmtree(folder)


def test_a_lake_that_may_not_be_written_says_so_and_is_read_by_who_may_write_its_access_log(foreign: Small) -> None:
    assert in_python(foreign, AS_SOMEBODY) == "LAKE-505 50\nLAKE-610 60\n"
    subprocess.run(["chmod", "-R", "a+rwX", str(foreign.project / "lake/journal")], check=True)
    assert in_python(foreign, AS_SOMEBODY) == "LAKE-505 50\n3\n"


def test_ctrl_c_stops_the_run_and_not_only_what_the_engine_did(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background ignores it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    duck = Duck({"silver": tmp_path}, tmp_path)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt), in_our_words("ask"):
        duck.db.execute("SELECT COUNT(*) FROM RANGE(20000000000)").fetchall()
    timer.join()


def test_what_finds_no_memory_is_told_of_memory(tmp_path: Path) -> None:
    duck = Duck({"silver": tmp_path}, tmp_path / "staging", memory="20MB")
    duck.db.execute("SET max_temp_directory_size = '0KB'")
    with pytest.raises(errors.EngineFailed, match=r"OutOfMemory\.(?s:.*) too little memory: raise `memory`"):
        duck.ask("SELECT LIST(i) AS numbers FROM RANGE(20000000) AS t(i)")


PAIRS = "SELECT a.year FROM gold.dim_date AS a, gold.dim_date AS b ORDER BY b.calendar_date, a.calendar_date"


@pytest.mark.parametrize("words", [("status",), ("kpi",), ("query", PAIRS), ("run",), ("releases",)])
def test_too_little_memory_is_no_damage_and_no_mistake_of_a_question(small: Small, words: tuple[str, ...]) -> None:
    small.say("lake.yml", "engine: duck", "engine: duck\nmemory: 1MB")
    told = small.command(*words)
    assert (told.returncode, told.stderr[:8]) == (40, b"LAKE-401"), told.stderr
    assert b"raise `memory` in lake.yml" in told.stderr
    small.say("lake.yml", "memory: 1MB", "memory: 2GB")
    assert (failed(small.run(1)), small.one("SELECT COUNT(*) FROM silver.patient")) == ({}, 3)


def test_what_finds_no_memory_is_neither_a_mart_nor_a_table_that_is_unfit(small: Small) -> None:
    with opened(small.project, small.environment, writing=False) as lake:
        lacking = engine_failed("replace", duckdb.OutOfMemoryException("Out of Memory Error: of a word in no message"))
        assert culprit.in_mart(lake.engine, lake.declared.marts["ar_aging"], lacking) is lacking
        assert culprit.in_table(lake.engine, lake.declared.tables["claim"], lake.declared.feeds, lacking) is lacking
    assert "too little memory" in str(lacking)
    assert "of a word" not in str(lacking)


def test_runs_and_questions_hold_what_lake_yml_lets_them(small: Small) -> None:
    page = small.project / "lake.yml"
    page.write_text(page.read_text() + "\nmemory: 1024MB\n")
    holds = "SELECT CURRENT_SETTING('memory_limit') AS holds"  # 1,024,000,000 / 2 ** 20 = 976.56
    with opened(small.project, small.environment, writing=False) as lake:
        assert lake.engine.ask(holds)["holds"].to_pylist() == ["976.5 MiB"]
    asked = small.command("query", "--format", "csv", holds)
    assert (asked.stdout.split(), asked.stderr) == ([b"holds", b"976.5", b"MiB"], b"")


@pytest.mark.parametrize(
    "words", [("query", "--format", "csv", "SELECT * FROM gold.dim_date"), ("query", "--tables"), ("kpi",)]
)
def test_what_reads_an_answer_may_stop_reading(small_origin: Small, words: tuple[str, ...]) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    told = subprocess.run(
        small_origin.words(*words), stdout=writes, stderr=subprocess.PIPE, env=small_origin.around(), check=False
    )
    os.close(writes)
    assert (told.returncode, told.stderr) == (141, b"")


# --- damage ---


def part(lake: Small) -> Path:
    """The file of the first load of patients."""
    (found,) = lake.project.glob("originals/bronze/hos-a/patients/*/*/*/000001/part-*.parquet")
    return found


def flipped(content: bytes) -> bytes:
    return content[:60] + bytes([content[60] ^ 255]) + content[61:]


def halved(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize("damage", some(1, [flipped, halved, lambda content: None]))
def test_a_damaged_bronze_file_fails_its_feed_only(
    damage: Callable[[bytes], bytes | None], small: Small, undisturbed: dict[str, list[tuple[object, ...]]]
) -> None:
    good = part(small).read_bytes()
    path, bad = part(small), damage(good)
    shutil.rmtree(small.project / "lake/silver/patient_versions")  # so that it is refined again from bronze
    path.unlink() if bad is None else path.write_bytes(bad)
    news(small)
    did = small.run(1)
    assert {failed(did)[of] for of in ("extract hos-a.patients", "refine patient")} == {"LAKE-503"}
    assert step(did, "hos-a.departments").rows == 1
    path.write_bytes(good)
    assert failed(small.run(1)) == {}
    assert contents(small) == undisturbed


def test_a_load_that_is_gone_from_bronze_is_missed_by_the_next_run_even_if_nobody_reads_it(
    small: Small, undisturbed: dict[str, list[tuple[object, ...]]]
) -> None:
    news(small)
    shutil.move(small.project / "originals/bronze/hos-a/claims", small.folder / "aside")
    with pytest.raises(LakeDamaged, match="1 loads are gone from bronze"):
        small.run(1)
    shutil.move(small.folder / "aside", small.project / "originals/bronze/hos-a/claims")
    assert failed(small.run(1)) == {}
    assert contents(small) == undisturbed


ALONE = ["lake/audit/load_logs", "originals/vault/key_map", "originals/vault/token", "lake",
         "restricted/restricted/patient_history"]  # fmt: skip


@pytest.mark.parametrize("folder", some(1, ALONE))
def test_what_no_run_could_bring_back_is_missed_before_anything_is_built_upon_its_absence(
    folder: str, small: Small, undisturbed: dict[str, list[tuple[object, ...]]]
) -> None:
    news(small)
    shutil.move(small.project / folder, small.folder / "aside")
    with pytest.raises(LakeDamaged):
        small.run(1)
    assert len(list((small.project / "originals/bronze").glob("*/*/*/*/*/000001"))) == 9
    shutil.rmtree(small.project / folder, ignore_errors=True)
    shutil.move(small.folder / "aside", small.project / folder)
    assert failed(small.run(1)) == {}
    assert contents(small) == undisturbed


REMADE = ["lake/silver", "lake/silver/patient_versions", "lake/gold/fact_transaction"]


@pytest.mark.parametrize("folder", some(1, REMADE))
def test_what_is_made_of_bronze_is_made_again(
    folder: str, small: Small, undisturbed: dict[str, list[tuple[object, ...]]]
) -> None:
    news(small)
    shutil.rmtree(small.project / folder)
    told = small.command("query", "SELECT * FROM silver.patient, gold.fact_transaction")
    assert (told.returncode, told.stderr[:8]) == (50, b"LAKE-503")
    assert failed(small.run(1)) == {}
    assert contents(small) == undisturbed


SPOILT = {
    "a file is gone": ("*.parquet", lambda content: None),
    "a power failure left an entry of the log empty": ("_delta_log/*.json", lambda content: b""),
    "a file broke off": ("*.parquet", lambda content: content[: len(content) // 2]),
    "an entry of the log broke off": ("_delta_log/*.json", lambda content: content[:100]),
}


@pytest.mark.parametrize(("files", "spoil"), some(1, SPOILT.values()), ids=SPOILT)
@pytest.mark.parametrize(
    "table",
    some(1, ["lake/audit/load_logs", "lake/silver/patient_versions", "originals/vault/key_map"]),
)
def test_a_table_that_is_not_as_it_was_written_is_told_and_not_built_upon(
    table: str, files: str, spoil: Callable[[bytes], bytes | None], small: Small,
    undisturbed: dict[str, list[tuple[object, ...]]],
) -> None:  # fmt: skip
    news(small)
    path = max((small.project / table).glob(files))  # the last one
    good = path.read_bytes()
    bad = spoil(good)
    path.unlink() if bad is None else path.write_bytes(bad)
    with pytest.raises(LakeDamaged, match=table.split("/", 1)[1].replace("/", ".")):
        small.run(1)
    path.write_bytes(good)
    assert failed(small.run(1)) == {}
    assert contents(small) == undisturbed


def test_a_mart_that_is_damaged_is_made_again_once_it_is_moved_away(
    small: Small, undisturbed: dict[str, list[tuple[object, ...]]]
) -> None:
    news(small)
    (path,) = (small.project / "lake/gold/fact_claim").glob("*.parquet")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(LakeDamaged):
        small.run(1)
    with pytest.raises(LakeDamaged):
        small.ask("SELECT * FROM gold.fact_claim")
    shutil.move(path.parent, small.folder / "aside")
    assert failed(small.run(1)) == {}
    assert contents(small) == undisturbed


def test_a_question_over_loads_of_which_a_file_is_gone_is_not_answered_with_the_rest(small: Small) -> None:
    small.sql("INSERT INTO departments VALUES ('D9', 'New')")
    small.run(1)
    assert small.one("SELECT COUNT(*) FROM bronze.hos_a_departments") == 3
    next((small.project / "originals/bronze/hos-a/departments").rglob("000002/*.parquet")).unlink()
    with pytest.raises(LakeDamaged):
        small.ask("SELECT COUNT(*) FROM bronze.hos_a_departments")


# --- keys and settings ---


@pytest.mark.parametrize("folder", ["lake", "lake/originals", "./x/../lake", "."])
def test_a_zone_that_lies_in_another_one_is_refused(folder: str, small: Small) -> None:
    small.say("lake.yml", "originals: originals", f"originals: {folder}")
    with pytest.raises(errors.RootUnfit):
        small.run(1)


@pytest.mark.parametrize("folder", ["lake.yml/below", "lake.yml", "/proc/nowhere"])
def test_a_zone_that_cannot_be_a_folder_is_told_so(folder: str, small: Small) -> None:
    small.say("lake.yml", "restricted: restricted", f"restricted: {folder}")
    with pytest.raises(errors.LakeUnwritable, match="cannot be made a folder"):
        small.run(1)


def test_a_secret_that_is_no_text_is_a_setting_that_cannot_be_read(small: Small) -> None:
    small.changed["HOS_B_URL"] = ""
    (small.project / "secrets/HOS_B_URL").write_bytes(b"\xff\xfe\x00")
    assert failed(small.run(1)) == {"extract hos-b.departments": "LAKE-130"}


@pytest.mark.parametrize(
    ("key", "error", "exit_code"),
    some(
        2,
        [
            ("43" * 32, VaultKeyWrong, 60),
            ("", SettingMissing, 10),
            (f"'{KEY}'", SettingUnfit, 10),
            ("42", SettingUnfit, 10),
        ],
    ),
)
def test_another_key_than_the_vaults_is_refused_before_anything_is_read(
    key: str, error: type[errors.LakeError], exit_code: int, small: Small
) -> None:
    news(small)
    small.changed["CARELAKE_VAULT_KEY"] = key
    shutil.rmtree(small.project / "secrets")
    with pytest.raises(error) as caught:
        small.run(1)
    assert caught.value.exit_code == exit_code
    assert key[:9] not in str(caught.value) or not key
    small.changed.clear()  # without a key nobody could be named in the access log, so that nobody is shown anything
    assert small.one("SELECT COUNT(*) FROM audit.load_logs WHERE feed = 'patients'") == 1
    assert failed(small.run(1)) == {}
    assert small.one("SELECT COUNT(*) FROM silver.patient") == 3


@pytest.mark.parametrize("name", ["a%20b", "a\nb", "a|b", "a#b"])
def test_a_folder_that_cannot_hold_tables_is_refused(name: str, small: Small) -> None:
    small.say("lake.yml", "lake: lake", f'lake: "{name}"'.replace("\n", "\\n"))
    with pytest.raises(errors.RootUnfit):
        small.run(1)


@pytest.mark.parametrize(
    "name",
    some(0, ['quo\'te "ünï 🏥" $HOME', "ünï 🏥 100%", "a b", "-p"]),
)
def test_a_project_may_have_nearly_any_name_and_be_run_from_anywhere(
    name: str, small_origin: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = copied(small_origin, tmp_path / name)
    news(lake)
    monkeypatch.chdir(tmp_path)
    from_here = Small(Path(name), {**lake.environment})
    assert failed(from_here.run(1)) == {}
    assert from_here.one("SELECT COUNT(*) FROM silver.patient_history") == 4
    assert from_here.one("SELECT COUNT(*) FROM bronze.hos_a_patients") == 4


@pytest.mark.parametrize("name", ["taken", "taken/sources", "taken/secrets", "taken/lake.yml"])
def test_a_project_is_not_made_where_a_file_is_in_its_way_not_even_in_part(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    with pytest.raises(project.ProjectExists):
        project.make(tmp_path / "taken", "rcm")
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()] == [name]


def test_a_project_is_made_beside_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources/README.md").write_text("Mine.")
    assert Path("lake.yml") in project.make(tmp_path, "rcm")
    assert (tmp_path / "sources/README.md").read_text() == "Mine."


# --- declarations that are well written and cannot be computed ---

MART = "---\nabout: One more.\ncolumns:\n  claim_id: {kind: event_number, about: It.}\n---\nWhy.\n"


def mart(lake: Small, select: str) -> None:
    shelf = lake.project / "gold/own"
    shelf.mkdir(parents=True, exist_ok=True)
    (shelf / "one_more.md").write_text(MART)
    (shelf / "one_more.sql").write_text(select)


UNFIT = {
    "a mapping of a column that is not there": (
        lambda lake: lake.say("sources/hos-a.yml", "gender:      Gender", "gender: Gendre"),
        "extract hos-a.patients", "LAKE-204", ["'Gendre' (for gender)", "Did you mean 'Gender'?"], 20,
    ),
    "a mapping of a file's column that is not there": (
        lambda lake: lake.say("sources/hos-a.yml", "claim_status:   ClaimStatus", "claim_status: Status"),
        "extract hos-a.claims", "LAKE-204", ["'Status' (for claim_status)", "It has: ClaimID,"], 20,
    ),
    "a delete_when of a column that is not there": (
        lambda lake: lake.say("sources/hos-a.yml", "fills: patient\n", "fills: patient\n    delete_when: Gone = '1'\n"),
        "extract hos-a.patients", "LAKE-204", ["'Gone' (for delete_when)"], 20,
    ),
    "a mapping that does not suit its column": (
        lambda lake: lake.say("sources/hos-a.yml", "gender:      Gender", "gender: Gender + 1"),
        "refine patient", "LAKE-402", ["'gender' of feed 'patients' in sources/hos-a.yml"], 40,
    ),
    "a rule that does not suit its column": (
        lambda lake: lake.say("lake.yml", "must: NOT first_name IS NULL", "must: first_name + 1 > 2"),
        "refine patient", "LAKE-402", ["rule 'first_name_present' of table 'patient'"], 40,
    ),
    "a mart that adds a text to a number": (
        lambda lake: mart(lake, "SELECT claim_key + claim_status AS claim_id FROM silver.claim\n"),
        "build one_more", "LAKE-402", ["the mart gold.one_more"], 40,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "where", "code", "words", "exit_code"), some(1, UNFIT.values()), ids=UNFIT)
def test_a_line_of_the_declarations_that_cannot_be_computed_is_named(
    spoil: Callable[[Small], None], where: str, code: str, words: list[str], exit_code: int, small: Small,
    undisturbed: dict[str, list[tuple[object, ...]]],
) -> None:  # fmt: skip
    good = {path: path.read_text() for path in (*small.project.glob("sources/*"), small.project / "lake.yml")}
    news(small)
    spoil(small)
    did = small.run(1)
    assert (failed(did)[where], did.exit_code(strict=False)) == (code, exit_code)
    found = step(did, where.partition(" ")[2], where.partition(" ")[0]).found
    assert [word for word in words if word not in found] == []
    assert small.one("SELECT COUNT(*) FROM silver.patient") == 3
    for path, text in good.items():
        path.write_text(text)
    shutil.rmtree(small.project / "gold", ignore_errors=True)
    assert failed(small.run(1)) == {}
    assert contents(small) == undisturbed


def test_a_mapping_that_a_waiting_load_cannot_fill_names_what_it_has(small: Small) -> None:
    small.say("lake.yml", "otherwise: quarantine", "otherwise: stop")
    small.sql("INSERT INTO patients VALUES ('P4', NULL, 'X', NULL, NULL, NULL, 'F', NULL, NULL, '2024-11-01')")
    assert failed(small.run(1))["refine patient"] == "LAKE-301"
    small.sql("ALTER TABLE patients ADD COLUMN Sex TEXT")
    small.say("sources/hos-a.yml", "gender:      Gender", "gender: Sex")
    did = small.run(2)
    assert failed(did)["refine patient"] == "LAKE-204"
    found = step(did, "patient", "refine").found
    assert "hos-a.patients has no column Sex, from which gender is made." in found
    assert "It has: PatientID, FirstName," in found


# --- changes of the project between two runs ---


def test_a_new_column_is_seen_empty_before_the_run_that_adds_it(small: Small) -> None:
    small.say("silver/department.yml", "  updated_at:", "  floor: {type: text, kind: not_personal}\n  updated_at:")
    small.say("sources/hos-a.yml", "department_name: Name", "department_name: Name\n      floor: \"'2'\"")
    small.say("sources/hos-b.yml", "department_name: Name", "department_name: Name, floor: 'NULL'")
    asked = "SELECT department_id, floor FROM silver.department_all WHERE source_system = 'hos-a' ORDER BY 1"
    assert small.ask(asked) == [("D1", None), ("D2", None)]
    added = [step for step in foresee.plan(small.project, {}, None) if step.step == "schema"]  # type: ignore[arg-type]
    assert {(one.name, one.would) for one in added} == {
        ("silver.department_versions.floor", "add"), ("quarantine.department.floor", "add"),
    }  # fmt: skip
    assert foresee.status(small.project)["release"]["id"] == 1
    assert len(migrate.migrate(small.project, {}, dry_run=False)) == 2
    assert small.ask(asked) == [("D1", None), ("D2", None)]  # of the release before
    small.sql("INSERT INTO departments VALUES ('D9', 'New')")
    assert failed(small.run(1)) == {}
    assert small.ask(asked) == [("D1", None), ("D2", None), ("D9", "2")]


def test_a_feed_switched_off_keeps_its_rows_and_goes_on_when_it_is_switched_on(
    small: Small, undisturbed: dict[str, list[tuple[object, ...]]]
) -> None:
    news(small)
    small.say("sources/hos-a.yml", "    table: patients\n", "    table: patients\n    active: false\n")
    assert step(small.run(1), "hos-a.patients").outcome == "inactive"
    assert small.one("SELECT COUNT(*) FROM silver.patient") == 3
    small.say("sources/hos-a.yml", "active: false", "active: true")
    assert failed(small.run(1)) == {}
    assert contents(small) == undisturbed


def test_a_source_that_is_renamed_is_a_new_one_and_the_old_ones_feeds_are_named(small: Small) -> None:
    (small.project / "sources/hos-b.yml").rename(small.project / "sources/hos-c.yml")
    did = small.run(1)
    assert step(did, "hos-c.departments").rows == 2
    assert step(did, "hos-b.departments").outcome == "warned"
    assert (did.exit_code(strict=False), did.exit_code(strict=True)) == (0, 80)
    assert "declared no more" in everything_said(small, did)
    foreseen = {one.name: one.would for one in foresee.plan(small.project, small.environment, NOW)}
    assert foreseen["hos-b.departments"] == "warn"
    (standing,) = (one for one in foresee.status(small.project)["feeds"] if one["feed"] == "hos-b.departments")
    assert (standing["state"], standing["loads"], standing["rows"]) == ("declared no more", 1, 2)


@pytest.mark.prove
def test_a_clock_that_goes_backwards_leaves_one_current_version_and_no_overlap(small: Small) -> None:
    for day, name in ((-30, "'One'"), (-40, None), (-35, "'Two'"), (1, "'Three'")):
        small.sql("DELETE FROM departments WHERE DeptID = 'D2'")
        if name:
            small.sql(f"INSERT INTO departments VALUES ('D2', {name})")
        assert failed(small.run(day)) == {}
        assert small.one("SELECT COUNT(*) FROM audit.releases") == 2 + (-30, -40, -35, 1).index(day)
    asked = "FROM silver.department_history WHERE source_system = 'hos-a' AND department_id = 'D2'"
    assert small.ask(f"SELECT department_name {asked} AND is_current") == [("Three",)]
    spans = small.ask(f"SELECT valid_from, valid_to {asked} AND is_change ORDER BY valid_from, valid_to NULLS LAST")
    assert all(end == begin for (_, end), (begin, _) in pairwise(spans))
    assert [end for _, end in spans if end is None] == [None]


def test_a_table_that_another_program_has_upgraded_is_neither_written_nor_read(small: Small) -> None:
    table = DeltaTable(str(small.project / "lake/silver/patient_versions"))
    table.alter.add_feature(TableFeatures.DeletionVectors, allow_protocol_versions_increase=True)
    asked, asker = "SELECT COUNT(*) FROM silver.patient", Asker.here(small.project, environment=small.environment)
    assert small.one(asked) == 3  # what is released was written before
    with (
        pytest.raises(TableUpgraded, match="deletionVectors"),
        door.ask(small.project, asked, as_it_stands=True, asker=asker),
    ):
        pass
    with pytest.raises(TableUpgraded, match="--engine spark"):
        small.run(1)
