"""`carelake verify` finds what was damaged, wherever it is, says what to do, and changes nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from small_lake import KEY, NOW, Small

from carelake.engine.duck import Duck
from carelake.lake import opened
from carelake.upkeep.verification import Verified, verify

LATER = NOW + timedelta(days=1)


def verified(lake: Small) -> Verified:
    return verify(lake.project, lake.environment, LATER)


def found(lake: Small) -> list[tuple[str, str]]:
    """Code and place of each damage."""
    return [(finding.code, finding.where) for finding in verified(lake).findings if finding.is_damage]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_lake_that_is_whole_is_said_to_be_and_nothing_is_changed(small: Small) -> None:
    before = files(small.project)
    told = json.loads(small.command("verify", "--json").stdout)
    assert (told["whole"], told["findings"], told["loads"], told["releases"]) == (True, [], 9, 1)
    assert told["originals"] == sealed(small)
    assert files(small.project) == before


def sealed(lake: Small) -> int:
    """How many tokens there are: every one has its original beside it."""
    with opened(lake.project, lake.environment, writing=False) as at:
        return int(at.engine.ask("SELECT COUNT(*) AS n FROM vault.token")["n"][0].as_py())


def part(lake: Small) -> Path:
    (path,) = lake.project.glob("originals/bronze/hos-a/patients/*/*/*/000001/part-*.parquet")
    return path


def last(lake: Small, table: str, pattern: str) -> Path:
    return max((lake.project / table).glob(pattern))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[60] ^= 255
    path.write_bytes(content)


def remove(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def spoil_footer(path: Path) -> None:
    content = path.read_bytes()
    length = int.from_bytes(content[-8:-4], "little")
    path.write_bytes(content[: -8 - length] + bytes(length) + content[-8:])


def replace_by_another(path: Path) -> None:
    """As long as it was, and readable, and of other rows."""
    size = path.stat().st_size
    other = next(one for one in sorted(path.parent.glob("*.parquet")) if one != path)
    content = other.read_bytes()
    path.write_bytes(content[:4] + bytes(size - len(content)) + content[4:])


DAMAGE = {
    "are gone": ("*.parquet", remove),
    "are not as long as they were written": ("*.parquet", cut),
    "cannot be read": ("*.parquet", spoil_footer),
    "do not hold the rows that were written": ("*.parquet", replace_by_another),
    "is not what was written": ("_delta_log/*.json", cut),
    "for version 2 is not what": ("_delta_log/*.json", empty),
    "its log are gone, the first of them that of version 1": ("_delta_log/*1.json", remove),
    "its log has no beginning": ("_delta_log/*0.json", remove),
    "version 2, which a release names, is not among the versions 0 to 1": ("_delta_log/*2.json", remove),
}


@pytest.mark.parametrize(("said", "pattern", "spoil"), [(said, *how) for said, how in DAMAGE.items()], ids=DAMAGE)
def test_what_is_wrong_with_a_table_is_told(
    said: str, pattern: str, spoil: Callable[[Path], None], tmp_path: Path
) -> None:
    duck = Duck({"silver": tmp_path}, tmp_path / "staging")
    duck.create("silver.t", {"k": "BIGINT"}, plain=["k"])
    for k in ("1", "2 AS k UNION ALL SELECT 2"):
        duck.append("silver.t", f"SELECT {k} AS k")
    assert duck.flaws("silver.t", {0, 1, 2}) == []
    spoil(max((tmp_path / "silver/t").glob(pattern), key=lambda path: path.stat().st_mtime_ns))
    (told,) = duck.flaws("silver.t", {1, 2})
    assert said in told


def test_every_damage_is_told_at_once_with_what_to_do(small: Small) -> None:
    flip(part(small))
    remove(last(small, "lake/silver/patient_versions", "*.parquet"))
    cut(last(small, "originals/vault/key_map", "*.parquet"))
    told = small.command("verify")
    said = " ".join(told.stdout.decode().split())
    assert told.returncode == 50
    assert [line for line in ("Ada", "Byron", "111-11", "Planck", "Elm") if line in said] == []
    assert "is not what was landed." in said
    assert "Move the folder silver/patient_versions away" in said
    assert "Bring it back from the backup" in said
    assert "3 damages" in said


@pytest.mark.parametrize("spoil", [remove, cut, flip])
def test_a_part_of_bronze_that_is_not_what_was_landed_is_named(spoil: Callable[[Path], None], small: Small) -> None:
    spoil(part(small))
    assert found(small) == [("LAKE-511", f"bronze/{part_name(small)}")]


def part_name(lake: Small) -> str:
    (folder,) = (lake.project / "originals/bronze").glob("hos-a/patients/*/*/*/000001")
    return f"{folder.relative_to(lake.project / 'originals/bronze')}/part-0000.parquet"


def test_a_ledger_that_cannot_be_read_is_named_and_what_it_would_have_told_is_passed_over(small: Small) -> None:
    log = small.project / "lake/audit/load_logs/_delta_log"
    remove(log / f"{3:020}.json")
    told = verified(small)
    assert [(one.code, one.where) for one in told.findings] == [("LAKE-513", "audit.load_logs")]
    assert told.passed_over == "bronze, marks and what is left over, since the ledger cannot be read"


def test_a_release_that_names_a_version_which_is_gone_is_named(small: Small) -> None:
    shutil.rmtree(small.project / "lake/gold/fact_claim")
    remove(last(small, "lake/silver/claim_versions", "_delta_log/*.json"))
    assert {("LAKE-513", "gold.fact_claim"), ("LAKE-513", "silver.claim_versions")} <= set(found(small))


def restored_ledger(lake: Small) -> None:
    """The ledger as it was before the last load, as somebody may bring it back from an older copy."""
    log = lake.project / "lake/audit/load_logs/_delta_log"
    remove(max(log.glob("*.json")))


def test_tables_that_are_ahead_of_the_ledger_are_named(small: Small) -> None:
    restored_ledger(small)
    codes = {code for code, _ in found(small)}
    assert {"LAKE-514", "LAKE-515"} <= codes


def doctored(lake: Small, table: str, select: str) -> None:
    with opened(lake.project, lake.environment, writing=True) as at:
        at.engine.hold("doctored", select)
        at.engine.replace(table, "SELECT * FROM doctored")


def test_a_gap_in_the_ledger_and_a_doubled_folder_are_named(small: Small) -> None:
    doctored(small, "audit.load_logs", "SELECT * REPLACE (id + 1 AS id) FROM audit.load_logs WHERE id > 1")
    assert ("LAKE-512", "audit.load_logs") in found(small)


@pytest.mark.parametrize(
    ("table", "select"),
    [
        ("vault.token", "SELECT * REPLACE (FIRST(token) OVER (ORDER BY lookup) AS token) FROM vault.token"),
        ("vault.token", "SELECT * FROM vault.token UNION ALL SELECT * FROM vault.token"),
        ("vault.key_map", "SELECT * REPLACE (1 AS key) FROM vault.key_map"),
    ],
)
def test_a_token_or_key_of_two_is_named(table: str, select: str, small: Small) -> None:
    doctored(small, table, select)
    assert ("LAKE-516", table) in found(small)


def test_a_key_that_opens_nothing_or_is_not_there_is_named(small: Small) -> None:
    for key, said in (("ab" * 32, "does not open"), ("", "is not at hand")):  # secrets/ has one too
        small.changed["CARELAKE_VAULT_KEY"] = key
        shutil.rmtree(small.project / "secrets", ignore_errors=True)
        (finding,) = verified(small).findings
        assert (finding.code, said in finding.found) == ("LAKE-516", True)
    small.changed["CARELAKE_VAULT_KEY"] = KEY
    assert found(small) == []


def test_what_is_left_over_is_named_and_is_no_damage(small: Small) -> None:
    small.project.joinpath("originals/bronze/hos-a/patients/2026/11/22/.unfinished-000002").mkdir(parents=True)
    small.project.joinpath("lake/silver/claim_versions/part-0.parquet#1").write_bytes(b"cut")
    small.project.joinpath("originals/staging/spilled.tmp").write_bytes(b"cut")
    told = verified(small)
    assert told.is_whole
    assert sorted((one.code, one.where) for one in told.findings) == [
        ("LAKE-517", "bronze"), ("LAKE-517", "silver.claim_versions"), ("LAKE-517", "staging"),
    ]  # fmt: skip


def test_loads_that_the_ledger_lost_are_no_leftovers(small: Small) -> None:
    folder = part(small).parent
    shutil.copytree(folder, folder.with_name("000005"))
    assert found(small) == [("LAKE-512", "audit.load_logs")]


def test_a_lake_of_an_older_version_can_be_verified_as_it_is(small: Small) -> None:
    doctored(small, "audit.load_logs", "SELECT * EXCLUDE (who, why) FROM audit.load_logs")
    assert verified(small).findings == ()


def test_before_the_first_run_there_is_nothing_to_find(tmp_path: Path) -> None:
    from small_lake import made

    told = verified(made(tmp_path))
    assert (told.findings, told.loads, told.tables) == ((), 0, 0)


def test_an_engine_that_refuses_damage_still_does(small: Small) -> None:
    remove(last(small, "lake/silver/patient_versions", "*.parquet"))
    damaged: list[str] = []
    Duck({"silver": small.project / "lake"}, small.project / "originals/staging", damaged=damaged)
    assert damaged == ["silver.patient_versions"]
