"""What a purge takes out of bronze is history, and nothing else of the lake changes; what is held stays."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from in_memory import InMemory, declared, hours
from repair_stories import acting, difference, ends, spoils_of, told
from small_lake import NOW, Small, contents, copied, failed
from test_repair import STEPS, TABLES
from typer.testing import CliRunner
from version_stories import CELLS, COLUMNS, EARLY, LATE, MIDDLE, PLAIN, TABLE, Step, declarations, row, seen_at

from carelake import accounts, bronze, declare, epochs, plan, project, purges, repair, retention
from carelake.epochs import HistoryPurged
from carelake.errors import DeclarationsRefused, LakeDamaged
from carelake.model import Declarations, Retention
from carelake.repair import Correction
from carelake.serve import cli, cli_hold, cli_purge
from carelake.upkeep import backup, legal_hold, purge, vacuum
from carelake.upkeep.certificate import PurgeUnknown
from carelake.upkeep.expired import HELD, STANDS, UNREFINED, WAITS, OfFeed
from carelake.upkeep.legal_hold import HoldUnfit
from carelake.upkeep.verification import verify

LATER = hours(24 * 400)
GOOD = row("A", EARLY)


def kept(says: Declarations, words: str = "1 day") -> Declarations:
    return replace(says, place=replace(says.place, retention=Retention(words)))


@pytest.fixture
def lake(tmp_path: Path) -> InMemory:
    return InMemory(tmp_path / "lake", kept(declarations(tmp_path / "project")))


def land(lake: InMemory, n: int, *, whole: bool = True, **rows: Mapping[str, str | None] | None) -> int:
    """How many rows a load lands that tells `rows` by id."""
    given = [{"id": key, **told} for key, told in rows.items() if told]
    load = lake.land("one.roll", given, columns=COLUMNS, whole=whole, seen=seen_at(n))
    lake.refine(now=seen_at(n))
    return load.rows if load else 0


def taken(lake: InMemory, now: datetime = LATER) -> OfFeed:
    """What a purge takes of the one feed that has loads."""
    (found,) = purge.take(lake, now, "tester").feeds
    return found


def in_bronze(lake: InMemory) -> list[tuple[int, str, str | None]]:
    """Load, id and name of every row that is there; no name: a tombstone."""
    loads = [load for load in lake.ledger.loads(lake.feed("one.roll")) if load.parts]
    lake.engine.show("looked", bronze.proven(lake.bronze, loads), plan.NUMBER)
    told = lake.ask("SELECT _lake_sequence AS load, id, name FROM looked ORDER BY ALL")
    lake.engine.let_go("looked")
    return [(row["load"], row["id"], row["name"]) for row in told]


def balances(lake: InMemory) -> bool:
    """Whether each row that was landed is a version, held back, refused or purged."""
    fed = [(feed.source, feed.name) for feed in lake.declared.feeds]
    ((_, expected, found),) = accounts.refined(lake.engine, "thing", fed, accounts.loads(lake.engine))
    return expected == found


@pytest.fixture
def lived(lake: InMemory) -> InMemory:
    """Three loads: a changes twice, b and c stay, w is held back, d goes."""
    assert land(lake, 0, a=GOOD, b=GOOD, c=GOOD, d=GOOD, w=row("A", EARLY, amount="-1")) == 5
    assert land(lake, 1, a=row("B", MIDDLE), b=GOOD, c=GOOD, w=row("A", EARLY, amount="-1")) == 2
    assert land(lake, 2, whole=False, a=row("C", LATE)) == 1
    return lake


LEFT = [(1, "b", "A"), (1, "c", "A"), (1, "w", "A"), (3, "a", "C")]


# --- what goes -------------------------------------------------------------------------------------------------------


def test_history_goes_and_what_stands_or_waits_stays(lived):
    before = ends(lived)
    found = taken(lived)
    assert (found.loads, found.rows, found.stays) == (2, 4, {WAITS: 1, STANDS: 3})
    assert in_bronze(lived) == LEFT
    assert [sorted(load.parts) for load in lived.ledger.loads(lived.feed("one.roll"))] == [
        ["part-000001-0000.parquet"], [], ["part-0000.parquet"]
    ]  # fmt: skip
    assert ends(lived) == before
    assert balances(lived)
    assert taken(lived).rows == 0


def test_nothing_goes_that_is_young_or_that_silver_has_not_taken_in(lived):
    assert purge.take(lived, seen_at(0) + timedelta(days=1), "tester").feeds == ()  # landed a day before, and not more
    lived.land("one.roll", [{"id": "a", **row("D", LATE)}], columns=COLUMNS, seen=seen_at(3))
    found = taken(lived)
    assert (found.rows, found.stays) == (4, {WAITS: 1, STANDS: 3, UNREFINED: 1})
    assert (3, "a", "C") in in_bronze(lived)  # what stands for it was not taken in
    lived.refine(now=seen_at(3))
    assert taken(lived).rows == 1


def test_a_tombstone_goes_last(lake):
    land(lake, 0, a=GOOD, b=GOOD)
    land(lake, 1, b=GOOD)
    land(lake, 40, a=GOOD, b=GOOD)  # a is there again
    land(lake, 80, b=GOOD)
    young = seen_at(40) + timedelta(hours=20)  # of which the first two loads are old enough
    assert taken(lake, young).rows == 1
    assert in_bronze(lake) == [(1, "b", "A"), (2, "a", None), (3, "a", "A"), (4, "a", None)]
    assert taken(lake).rows == 3
    assert in_bronze(lake) == [(1, "b", "A")]
    assert land(lake, 90, b=GOOD) == 0
    assert land(lake, 91, a=GOOD, b=GOOD) == 1


def test_a_key_of_which_a_row_waits_in_another_feed_of_its_table_stays_whole(lake):
    for n, (name, at) in enumerate([("A", EARLY), ("B", MIDDLE)]):
        lake.land("one.news", [{"id": key, **row(name, at)} for key in "kl"], columns=COLUMNS, seen=seen_at(n))
    lake.land("one.roll", [{"id": "k", **row("C", LATE, amount="-1")}], columns=COLUMNS, seen=seen_at(2))
    lake.refine(now=seen_at(2))
    found = {one.feed: (one.rows, one.stays) for one in purge.take(lake, LATER, "tester").feeds}
    assert found == {"one.roll": (0, {WAITS: 1}), "one.news": (1, {WAITS: 2, STANDS: 1})}


def test_rows_without_a_key_all_stand(lake):
    lake.declared = replace(lake.declared, feeds=tuple(replace(feed, key=()) for feed in lake.declared.feeds))
    land(lake, 0, a=GOOD, b=GOOD)
    land(lake, 1, a=row("B", MIDDLE), b=GOOD)
    found = taken(lake)
    assert (found.rows, found.stays) == (0, {STANDS: 3})


SIDES = ("quarantine.thing", "restricted.thing_history")


# --- what comes after ------------------------------------------------------------------------------------------------


def test_a_load_after_it_lands_what_is_new_and_sees_what_was_deleted(lived):
    taken(lived)
    assert land(lived, 3, a=row("C", LATE), b=row("B", MIDDLE), w=row("A", EARLY, amount="-1")) == 2
    assert in_bronze(lived)[-2:] == [(4, "b", "B"), (4, "c", None)]
    assert land(lived, 4, whole=False, a=GOOD) == 1  # A -> B -> C -> A
    assert land(lived, 5, whole=False, a=GOOD) == 0


def test_a_row_that_waits_has_the_id_it_had_and_can_be_repaired(lived):
    (one,) = [f"{row[plan.LOAD]}-{row[plan.ROW]}" for row in lived.ask("SELECT * FROM quarantine.thing")]
    taken(lived)
    right = {"amount": "1.00", "id": "a", "name": "N", "told_at": str(hours(10))}
    repair.repair(lived, [Correction(one, one, right)], acting("repair", seen_at(8)))
    lived.refine(now=seen_at(8))
    told = lived.ask("SELECT name, valid_from FROM silver.thing_history WHERE thing_id = 'a' ORDER BY valid_from, name")
    assert [(row["name"], row["valid_from"]) for row in told] == [
        ("A", hours(5)), ("N", hours(10)), ("B", hours(15)), ("C", hours(25))
    ]  # fmt: skip
    counts = [lived.ask(f"SELECT COUNT(*) AS n FROM {side}")[0]["n"] for side in SIDES]
    assert counts == [0, 7]  # all but d's tombstone, and N in the place of what w had told
    assert balances(lived)


def test_what_was_repaired_stays_and_so_does_its_repair(lived):
    (one,) = [f"{row[plan.LOAD]}-{row[plan.ROW]}" for row in lived.ask("SELECT * FROM quarantine.thing")]
    repair.repair(lived, [Correction(one, one, {"amount": "1.00"})], acting("repair", seen_at(8)))
    lived.refine(now=seen_at(8))
    land(lived, 9, whole=False, w=row("B", LATE))
    assert taken(lived).stays[WAITS] == 2
    assert (1, "w", "A") in in_bronze(lived)
    assert len(lived.ledger.loads(lived.feed("one.roll").repairs)) == 1


def test_what_ends_a_life_of_a_key_still_does_when_it_is_purged(tmp_path):
    lake = InMemory(tmp_path / "lake", kept(declarations(tmp_path / "project", history="scd1")))
    bad = row("A", EARLY, amount="-1")
    land(lake, 0, a=row("A", LATE), w=bad)
    land(lake, 1, w=bad)  # a is gone: what is told of it from now on is of a life that begins at 25 h
    assert taken(lake).rows == 2
    land(lake, 2, a=GOOD, w=bad)
    (one,) = [f"{row[plan.LOAD]}-{row[plan.ROW]}" for row in lake.ask("SELECT * FROM quarantine.thing")]
    right = {"amount": "1.00", "id": "a", "told_at": str(hours(1))}
    repair.repair(lake, [Correction(one, one, right)], acting("repair", seen_at(8)))
    lake.refine(now=seen_at(8))
    told = lake.ask("SELECT name, updated_at, valid_from FROM silver.thing_history WHERE thing_id = 'a'")
    assert [tuple(row.values()) for row in told] == [("A", hours(5), hours(25))]


def ends_as_if_never_purged(steps: Sequence[Step], seed: int, many: int, table: dict[str, str]) -> None:
    chance = random.Random(seed)
    stories: dict[str | None, Any] = {f"k{n}": chance.choices(CELLS, k=len(steps)) for n in range(many)}
    stories |= {f"p{n}": chance.choices(PLAIN, k=len(steps)) for n in range(many)}
    spoils = spoils_of(stories, chance, share=0.3)

    def purging(lake: InMemory) -> None:
        lake.declared = kept(lake.declared)
        purge.take(lake, LATER, "tester")

    with TemporaryDirectory(prefix="lake-") as name:
        purged = told(Path(name, "purged"), steps, stories, spoils, random.Random(seed), table, purging)
        never = told(Path(name, "never"), steps, stories, spoils, random.Random(seed), table)
        assert difference(purged, never) == []
        assert balances(purged)
        landed = [[load["numberofrowscopied"] for load in accounts.loads(one.engine)] for one in (purged, never)]
        assert landed[0] == landed[1]


def test_a_lake_that_is_purged_all_the_time_ends_as_one_that_never_was():
    ends_as_if_never_purged([Step(), Step()], 5, 12, {})


@pytest.mark.prove
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS, st.integers(0, 2**32), st.sampled_from(TABLES))
def test_whatever_is_told_a_lake_that_is_purged_ends_as_one_that_never_was(steps, seed, table):
    ends_as_if_never_purged(steps, seed, 20, table)


# --- whoever is killed -----------------------------------------------------------------------------------------------


class Killed(Exception):
    pass


def killed(*given: Any, **more: Any) -> None:
    raise Killed


def test_a_purge_that_dies_before_its_commit_has_taken_nothing(lived, tmp_path, monkeypatch):
    before = in_bronze(lived)
    with monkeypatch.context() as patch:
        patch.setattr(purge, "_commit", killed)
        with pytest.raises(Killed):
            taken(lived)
    again = InMemory(tmp_path / "lake", lived.declared)
    assert in_bronze(again) == before
    assert [path.name for path in purges.strays(again.bronze, again.ledger.landed())] == ["part-000001-0000.parquet"]
    assert taken(again).rows == 4
    assert in_bronze(again) == LEFT
    assert purges.strays(again.bronze, again.ledger.landed()) == []


def test_a_purge_that_dies_behind_its_commit_is_done_and_the_next_run_tidies_up(lived, tmp_path, monkeypatch):
    commit = purge._commit
    with monkeypatch.context() as patch:
        patch.setattr(purge, "_commit", lambda *given: (commit(*given), killed()))
        with pytest.raises(Killed):
            taken(lived)
    again = InMemory(tmp_path / "lake", lived.declared)
    assert in_bronze(again) == LEFT
    assert len(purges.strays(again.bronze, again.ledger.landed())) == 2
    bronze.sweep(again.bronze, again.ledger)
    assert len(list(again.bronze.rglob("part-*.parquet"))) == 2
    assert in_bronze(again) == LEFT
    assert taken(again).rows == 0


def test_files_are_not_swept_beside_a_load_that_is_not_whole(lived):
    taken(lived)
    part = next(lived.bronze.rglob("part-000001-0000.parquet"))
    beside = part.with_name("part-0000.parquet")
    part.rename(beside)
    bronze.sweep(lived.bronze, lived.ledger)
    assert beside.is_file()
    with pytest.raises(LakeDamaged):
        in_bronze(lived)


def test_a_load_that_is_damaged_is_not_written_anew(lived):
    part = next(lived.bronze.rglob("000001/part-0000.parquet"))
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    with pytest.raises(LakeDamaged):
        taken(lived)
    assert purges.last(lived.engine) == 0


# --- made anew -------------------------------------------------------------------------------------------------------


def test_a_table_is_not_made_anew_of_less_than_it_was_made_of_unless_that_is_wanted(lived):
    before, tables = ends(lived), list(lived.declared.tables.values())
    taken(lived)
    asked = epochs.Asked("tester", "a drill", seen_at(9))
    with pytest.raises(HistoryPurged, match="thing would lose 4 rows"):
        epochs.declare(lived.engine, lived.declared, tables, asked)
    assert ends(lived) == before
    epochs.declare(lived.engine, lived.declared, tables, replace(asked, shorter=True))
    epochs.begin(lived.engine, lived.declared)
    lived.refine(now=seen_at(9))
    told = lived.ask("SELECT thing_id AS id, name FROM silver.thing_history ORDER BY ALL")
    assert [(row["id"], row["name"]) for row in told] == [("a", "C"), ("b", "A"), ("c", "A")]
    assert balances(lived)
    epochs.declare(lived.engine, lived.declared, tables, asked)  # it has nothing more to lose


# --- names and words -------------------------------------------------------------------------------------------------

ODD = """
about: A source whose columns have the names of everything.
connection: nowhere
feeds:
  roll:
    table: roll
    fills: thing
    key: ['od"d''; --', verdict]
    columns: {thing_id: '"od""d''; --"', name: landed, amount: "'1'", alias: 'NULL', phone: 'NULL', born: 'NULL',
              rank: id, updated_at: sequence}
"""


def test_columns_of_any_name_are_purged_by(tmp_path):
    says = declared(
        tmp_path / "project", {"sources/one.yml": ODD, "silver/thing.yml": TABLE.format(history="scd2", more="")}
    )
    lake, columns = (
        InMemory(tmp_path / "lake", kept(says)),
        ["od\"d'; --", "verdict", "landed", "id", "sequence", "why"],
    )
    for n, name in enumerate("AB"):
        rows = [dict(zip(columns, (key, None, name, "1", EARLY, "x"), strict=True)) for key in ("'; DROP", "k")]
        lake.land("one.roll", rows[: 2 - n], columns=columns, seen=seen_at(n))
        lake.refine(now=seen_at(n))
    assert taken(lake).rows == 1
    lake.engine.show("looked", bronze.proven(lake.bronze, lake.ledger.loads(lake.feed("one.roll"))))
    told = lake.ask('SELECT "od""d\'; --" AS key, landed FROM looked ORDER BY ALL')
    assert [tuple(row.values()) for row in told] == [("'; DROP", "B"), ("k", "A")]


@pytest.mark.parametrize(
    ("words", "cutoff"),
    [
        ("2 years", datetime(2026, 2, 28, 6, tzinfo=UTC)),
        ("1 month", datetime(2028, 1, 29, 6, tzinfo=UTC)),
        ("14 months", datetime(2026, 12, 29, 6, tzinfo=UTC)),
        ("29 days", datetime(2028, 1, 31, 6, tzinfo=UTC)),
        ("forever", None),
        ("9999 years", None),
    ],
)
def test_how_long_is_counted_by_the_calendar(words, cutoff):
    assert retention.is_period(words)
    assert retention.cutoff(words, datetime(2028, 2, 29, 6, tzinfo=UTC)) == cutoff


def test_a_slip_in_the_policy_is_found_before_anything_is_taken(tmp_path):
    folder = tmp_path / "project"
    project.make(folder, "rcm")
    page, codes = (folder / "lake.yml").read_text(), []
    sources = "sources: {hos-a: soon, hos-b: 0 days, hos-z: 2 years}"
    for says in (f"{{bronze: 2 yrs, silver: 2 years, {sources}}}", "{bronze: }", "2 years"):
        (folder / "lake.yml").write_text(f"{page}\nretention: {says}\n")
        with pytest.raises(DeclarationsRefused) as refused:
            declare.read(folder)
        codes.append(sorted(mistake.code for mistake in refused.value.mistakes))
    assert codes == [["LAKE-102", "LAKE-102", "LAKE-139", "LAKE-139", "LAKE-139"], ["LAKE-139"], ["LAKE-101"]]


# --- a whole project -------------------------------------------------------------------------------------------------

DAY_90 = NOW + timedelta(days=90)
GOES = {"hos-a.patients": 2, "hos-a.transactions": 2}  # P1, P2, T1 and T2, as the first load had them


@pytest.fixture(scope="module")
def old_origin(worn_origin: Small, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """Three days of a lake that keeps bronze for a month."""
    lake = copied(worn_origin, tmp_path_factory.mktemp("old"))
    lake.say("lake.yml", "engine: duck", "engine: duck\nretention: {bronze: 1 month, sources: {hos-b: forever}}")
    return lake


@pytest.fixture
def old(old_origin: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    for module in (cli_purge, cli_hold):
        monkeypatch.setattr(module, "now", lambda: DAY_90)
    return copied(old_origin, tmp_path)


def command(lake: Small, *words: str) -> Any:
    """What a command says as JSON."""
    done = CliRunner().invoke(cli.app, ["-p", str(lake.project), *words, "--json"], env=lake.environment)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return json.loads(done.output)


def rows(told: Mapping[str, Any]) -> dict[str, int]:
    return {one["feed"]: one["rows"] for one in told["feeds"] if one["rows"]}


def test_a_purged_lake_is_whole_and_shows_and_does_what_it_did(old):
    before, patients = contents(old), "SELECT COUNT(*) FROM bronze.hos_a_patients"
    foreseen = command(old, "purge", "--dry-run")
    assert (rows(foreseen), foreseen["number"]) == (GOES, None)
    assert old.one(patients) == 5
    done = command(old, "purge")
    assert (rows(done), done["number"]) == (GOES, 1)
    assert next(one["stays"] for one in done["feeds"] if one["feed"] == "hos-a.patients") == {STANDS: 3}
    assert "hos-b.departments" not in {one["feed"] for one in done["feeds"]}
    assert old.ask("SELECT PatientID, Gender FROM bronze.hos_a_patients ORDER BY ALL") == [
        ("P1", "X"), ("P2", "X"), ("P3", "F")
    ]  # fmt: skip
    assert contents(old) == before
    assert verify(old.project, old.environment, DAY_90).findings == ()
    did = old.run(91)
    assert failed(did) == {}
    assert not [step.name for step in did.steps if step.step in {"extract", "refine"} and step.outcome == "done"]
    assert old.one("SELECT COUNT(*) FROM audit.reconciliations WHERE verdict = 'failed'") == 0


def test_what_readers_see_does_not_go_for_what_they_do_not_see(old):
    command(old, "release", "rollback", "--to", "1", "--because", "the second day is wrong")
    foreseen = command(old, "purge", "--dry-run")
    assert rows(foreseen) == {}
    stays = next(one["stays"] for one in foreseen["feeds"] if one["feed"] == "hos-a.patients")
    assert stays == {STANDS: 3, UNREFINED: 2}  # the changes of P1 and P2 are in no release


def test_the_certificate_says_what_went_and_no_value_of_it(old):
    command(old, "hold", "place", "--source", "hos-a", "--feed", "patients", "--why", "case 7")
    command(old, "purge")
    told = command(old, "purge", "--certificate", "1")
    assert (told["rows"], told["holds_respected"]) == (2, [1])
    (load,) = told["loads"]
    assert (load["load_id"], load["rows_purged"], load["rows_left"]) == ("hos-a.transactions.000001", 2, 2)
    ((parts,),) = old.ask("SELECT parts FROM audit.load_logs WHERE load_id = 'hos-a.transactions.000001'")
    assert load["removed"] == json.loads(parts)
    assert list(load["written"]) == ["part-000001-0000.parquet"]
    assert "Backups are not reached" in told["backups"]
    assert not {"P1", "100.1", "T1"} & set(json.dumps(told).replace('"', " ").split())
    with pytest.raises(PurgeUnknown, match="There are purges 1 to 1"):
        command(old, "purge", "--certificate", "2")


def test_what_is_held_is_not_purged_nor_vacuumed_until_the_hold_is_lifted(old):
    hold = command(old, "hold", "place", "--why", "a law suit")
    assert (hold["id"], hold["source"], hold["placed_at"]) == (1, "", str(DAY_90))
    done = command(old, "purge")
    assert (rows(done), done["number"], done["holds"]) == ({}, None, [1])
    assert next(one["stays"] for one in done["feeds"] if one["feed"] == "hos-a.patients") == {HELD: 5}
    later = DAY_90 + timedelta(days=90)
    assert vacuum.vacuum(old.project, old.environment, later).tables == ()
    command(old, "hold", "lift", "1", "--why", "it is settled")
    assert command(old, "hold", "list") == []
    (lifted,) = command(old, "hold", "list", "--all")
    assert (lifted["lifted_why"], lifted["stands"]) == ("it is settled", False)
    assert rows(command(old, "purge")) == GOES


def test_a_hold_over_a_source_keeps_the_earlier_versions_of_its_tables(old):
    one = legal_hold.Hold(1, "hos-b", "", "x", "y", DAY_90)
    says = declare.read(old.project)
    held = {name for name in ("silver.department_versions", "silver.patient_versions", "quarantine.department",
            "restricted.department_history", "restricted.patient_history", "gold.fact_claim", "vault.token",
            "reference.setting") if legal_hold.is_held(name, says, [one])}  # fmt: skip
    assert held == {"silver.department_versions", "quarantine.department", "restricted.department_history",
                    "gold.fact_claim", "vault.token"}  # fmt: skip
    assert not legal_hold.is_held("gold.fact_claim", says, [])


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("place", "--why", "x", "--source", "hos-z"), "no source 'hos-z'"),
        (("place", "--why", "x", "--source", "hos-a", "--feed", "nobody"), "no feed 'nobody'"),
        (("place", "--why", "x", "--feed", "patients"), "none is named"),
        (("place", "--why", " "), "does not say why"),
        (("lift", "3", "--why", "x"), "no hold 3 stands"),
    ],
)
def test_a_hold_that_would_hold_nothing_is_refused(old_origin, words, found):
    with pytest.raises(HoldUnfit, match=found):
        command(old_origin, "hold", *words)


def test_a_backup_has_what_is_left_and_not_what_a_killed_purge_left_behind(old, tmp_path):
    command(old, "purge")
    part = next((old.project / "originals").rglob("part-000001-0000.parquet"))
    part.with_name("part-0000.parquet").write_bytes(b"old")
    (left,) = verify(old.project, old.environment, DAY_90).findings
    assert (left.code, left.where) == ("LAKE-517", "bronze")
    made = backup.make(old.project, old.environment, tmp_path / "backups", DAY_90)
    assert made.files
    names = json.loads(next((tmp_path / "backups/backups").glob("*.json")).read_text())["says"]["files"]
    mine = [name for name in names if str(part.parent.relative_to(old.project)) in name and "part" in name]
    assert [Path(name).name for name in mine] == ["part-000001-0000.parquet"]


def test_without_a_policy_all_is_kept_and_it_is_said_how_to_change_that(small):
    done = CliRunner().invoke(cli.app, ["-p", str(small.project), "purge"], env=small.environment)
    assert done.exit_code == 0
    assert "retention: {bronze: 2 years}" in " ".join(done.output.split())
    assert command(small, "purge")["keeps_all"] is True
    assert small.one("SELECT COUNT(*) FROM bronze.hos_a_patients") == 3
