"""`optimize` and `vacuum` change no row and no release that stays readable, and stop nobody who reads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from small_lake import NOW, Small, contents, made
from worn_lake import Rows, day

from carelake import declare
from carelake.engine.duck import Duck
from carelake.errors import DeclarationsRefused, LakeBusy, LakeDamaged, TableUnknown
from carelake.lake import opened
from carelake.upkeep.compaction import optimize
from carelake.upkeep.vacuum import Vacuumed, vacuum
from carelake.upkeep.verification import verify

SOON, LATER = NOW + timedelta(days=3), NOW + timedelta(days=60)


def compacted(lake: Small, **how: Any) -> dict[str, tuple[int, int]]:
    """Table -> its files before and after."""
    done = optimize(lake.project, lake.environment, **how)
    return {one.table: (one.files_before, one.files_after) for one in done}


def swept(lake: Small, now: datetime, **how: Any) -> Vacuumed:
    return vacuum(lake.project, lake.environment, now, **how)


def whole(lake: Small, now: datetime = SOON) -> bool:
    told = verify(lake.project, lake.environment, now)
    return told.findings == ()


def test_a_compacted_lake_holds_the_same_and_the_next_run_has_nothing_to_do(worn: Small) -> None:
    before = contents(worn)
    files = compacted(worn)
    assert files["silver.transaction_versions"] == (3, 1)
    assert files["audit.load_logs"][1] == 1
    assert contents(worn) == before
    did = worn.run(2)
    assert {step.outcome for step in did.steps if step.step in {"extract", "refine", "build"}} <= {
        "unchanged",
        "inactive",
    }
    assert contents(worn) == before
    assert compacted(worn, table="silver.transaction") == {}
    assert whole(worn)


@pytest.mark.prove
def test_after_optimize_and_vacuum_the_next_day_comes_out_as_it_would_have(worn: Small, on_day_three: Rows) -> None:
    compacted(worn)
    assert swept(worn, LATER).tables
    day(worn, 3)
    assert contents(worn) == on_day_three
    assert whole(worn)


def test_what_compaction_writes_repeats_no_value_in_logs_and_footers(tmp_path: Path) -> None:
    staging = tmp_path / "staging"
    staging.mkdir()
    duck = Duck({"silver": tmp_path}, staging)
    duck.create("silver.t", {"k": "BIGINT", "name": "TEXT"}, plain=["k"])
    for k in range(3):
        duck.append("silver.t", f"SELECT {k} AS k, 'Ada Byron {k}' AS name FROM RANGE(1000)", {"app": k + 1})
    for order in ((), ("name", "k", "gone")):
        assert duck.compact("silver.t", order)
        assert duck.layout("silver.t")[:2] == (1, 1)
    assert not duck.compact("silver.t", ("name", "k"))  # it lies so already
    assert (duck.marked("silver.t", "app"), duck.state("silver.t").split("/")[0]) == (3, "3")
    (newest,) = (Path(path) for path in duck.stored.files("silver.t", 5) or [])
    footer = newest.read_bytes()[-int.from_bytes(newest.read_bytes()[-8:-4], "little") - 8 :]
    said = footer + b"".join(path.read_bytes() for path in (tmp_path / "silver/t/_delta_log").glob("*.json"))
    assert b"Ada" not in said
    assert b'"maxValues":{"k":2}' in said.replace(b'\\"', b'"')
    assert list(staging.iterdir()) == []


def test_a_z_order_lays_rows_along_its_columns_and_is_done_once(worn: Small) -> None:
    worn.say("silver/transaction.yml", "history:", "z_order: [patient_key, service_date]\nhistory:")
    before = contents(worn)
    assert "silver.transaction_versions" in compacted(worn)
    assert compacted(worn) == {}
    assert contents(worn) == before


def test_a_dry_run_changes_nothing_and_says_what_would_be_done(worn: Small) -> None:
    before = files(worn)
    assert compacted(worn, dry_run=True)["silver.transaction_versions"] == (3, 3)
    told = swept(worn, LATER, dry_run=True)
    assert told.tables
    assert files(worn) == before
    assert swept(worn, LATER).tables == told.tables
    assert {name for name in files(worn) if "audit/vacuums" not in name} < before


def files(lake: Small) -> set[str]:
    return {str(path.relative_to(lake.project)) for path in lake.project.rglob("*") if path.suffix != ".lock"}


def test_within_its_time_every_release_can_be_read_and_beyond_it_only_the_latest(worn: Small) -> None:
    before = [released(worn, one) for one in (1, 2, 3)]
    compacted(worn)
    assert swept(worn, NOW + timedelta(days=30)) == Vacuumed((), (1, 2, 3))
    assert [released(worn, one) for one in (1, 2, 3)] == before
    assert swept(worn, NOW + timedelta(days=36, hours=12)).releases == (2, 3)  # the second came out on day 1
    assert [released(worn, one) for one in (2, 3)] == before[1:]
    assert swept(worn, LATER).releases == (3,)
    assert released(worn, 3) == before[2]
    with pytest.raises(FileNotFoundError):
        released(worn, 1)
    assert whole(worn)  # also for a clock that went back, or a longer `release.keep`: what was vacuumed is known


def released(lake: Small, number: int) -> Rows:
    """Some tables as a release knows them, by nothing but the files of its versions."""
    with opened(lake.project, lake.environment, writing=False) as at:
        (row,) = at.engine.ask(f"SELECT tables FROM audit.releases WHERE id = {number}").to_pylist()
        versions, found = json.loads(row["tables"]), {}
        for table in ("silver.transaction_versions", "gold.fact_claim", "gold.ar_aging", "vault.token"):
            if not at.engine.recall("known", table, versions[table]):
                raise FileNotFoundError(table)
            found[table] = [
                tuple(each.values()) for each in at.engine.ask("SELECT * FROM known ORDER BY ALL").to_pylist()
            ]
        return found


def test_how_long_releases_stay_readable_is_a_word_of_lake_yml(worn: Small) -> None:
    worn.say("lake.yml", "engine: duck", "engine: duck\nrelease: {keep: 1}")
    assert swept(worn, NOW + timedelta(days=2, hours=12)).releases == (2, 3)
    assert swept(worn, NOW + timedelta(days=4)).releases == (3,)


@pytest.mark.parametrize(
    ("page", "old", "new", "code"),
    [
        ("lake.yml", "engine: duck", "engine: duck\nrelease: {keep: forever}", "LAKE-138"),
        ("lake.yml", "engine: duck", "engine: duck\nrelease: {keep: 0}", "LAKE-138"),
        ("lake.yml", "engine: duck", "engine: duck\nrelease: {kept: 35}", "LAKE-102"),
        ("silver/claim.yml", "history:", "z_order: [claim_no]\nhistory:", "LAKE-102"),
    ],
)
def test_upkeep_that_cannot_be_done_is_a_mistake(page: str, old: str, new: str, code: str, tmp_path: Path) -> None:
    lake = made(tmp_path)
    lake.say(page, old, new)
    with pytest.raises(DeclarationsRefused) as refused:
        declare.read(lake.project)
    assert [mistake.code for mistake in refused.value.mistakes] == [code]


def test_what_killed_writers_left_is_taken_away_at_once(worn: Small) -> None:
    for name in ("part-9.parquet#1", "part-9-c000.zstd.parquet"):
        (worn.project / "lake/silver/claim_versions" / name).write_bytes(b"cut")
    (one,) = swept(worn, SOON).tables
    assert (one.table, one.files) == ("silver.claim_versions", 2)
    assert whole(worn)


def test_a_version_that_cannot_be_read_stops_the_vacuum_before_anything_goes(worn: Small) -> None:
    log = worn.project / "lake/audit/run_steps/_delta_log"
    min(log.glob("*.json")).unlink()
    before = files(worn)
    with pytest.raises(LakeDamaged):
        swept(worn, LATER)
    assert files(worn) == before


def test_neither_waits_for_a_run_nor_works_beside_one(worn: Small) -> None:
    with opened(worn.project, worn.environment, writing=True):
        for work in (lambda: compacted(worn), lambda: swept(worn, LATER)):
            with pytest.raises(LakeBusy):
                work()


def test_a_table_that_is_not_there_is_told_with_the_nearest(small_origin: Small) -> None:
    with pytest.raises(TableUnknown, match=r"silver\.claim"):
        compacted(small_origin, table="silver.clam", dry_run=True)


READER = """
import sys
from pathlib import Path
from small_lake import Small
from carelake.serve import door
lake = Small(Path(sys.argv[1]))
def tables():
    for name in ("silver.transaction_history", "silver.patient_all", "gold.fact_claim", "gold.ar_aging"):
        yield door.ask(lake.project, f"SELECT * FROM {name} ORDER BY ALL")
opened = [one.__enter__() for one in tables()]
print("reading", flush=True)
sys.stdin.readline()
print(sum(batch.num_rows for answer in opened for batch in answer))
print(hash(tuple(lake.one(f"SELECT COUNT(*) FROM {name}") for name in ("silver.patient", "audit.load_logs"))) != 0)
"""


@pytest.fixture
def reader(worn: Small) -> Iterator[subprocess.Popen[str]]:
    """Another process, that has begun to read what was released on day 2."""
    process = subprocess.Popen(
        [sys.executable, "-c", READER, str(worn.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=worn.around({"PYTHONPATH": ":".join(sys.path)}),
    )  # fmt: skip
    assert process.stdout
    assert process.stdout.readline() == "reading\n"
    yield process
    process.kill()
    process.communicate()


@pytest.mark.prove
def test_a_reader_in_another_process_reads_on_while_runs_optimize_and_vacuum_work(
    worn: Small, reader: subprocess.Popen[str]
) -> None:
    names = ("silver.transaction_history", "silver.patient_all", "gold.fact_claim", "gold.ar_aging")
    rows = sum(worn.one(f"SELECT COUNT(*) FROM {name}") for name in names)
    day(worn, 3)
    compacted(worn)
    swept(worn, NOW + timedelta(days=30))
    said, wrong = reader.communicate("go on\n")
    assert (said.split()[-2:], wrong) == ([str(rows), "True"], "")


@pytest.mark.prove
def test_what_a_rollback_went_back_to_stays_however_long_it_holds(worn: Small) -> None:
    before = released(worn, 1)
    told = worn.command("release", "rollback", "--to", "1", "--because", "a test")
    assert told.returncode == 0
    assert swept(worn, LATER + timedelta(days=400)).releases == (4,)
    assert released(worn, 4) == released(worn, 1) == before
    assert worn.command("release", "resume").returncode == 0
    day(worn, 3)
    assert whole(worn, LATER)
    told = worn.command("release", "rollback", "--to", "2", "--because", "a test")
    assert (told.returncode, b"can no longer be read" in told.stderr) == (30, True)


def test_on_the_command_line_both_say_what_they_did(worn: Small) -> None:
    told = worn.command("optimize", "silver.claim").stdout.decode()
    assert told.splitlines()[-1] == "1 tables were written anew."
    told = worn.command("vacuum", "--dry-run").stdout.decode()
    assert told.splitlines()[-1] == "0 files would be taken away. Readable: release 1, 2, 3."
