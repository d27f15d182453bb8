"""The keys of the vault, renewed and kept elsewhere: every token still finds its person, whatever happens meanwhile."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from cases import some
from small_lake import KEY, NOW, Small, copied, failed, made

from carelake import keys, vault
from carelake.errors import BackupUnfit, SettingMissing, SettingUnfit, VaultKeyWrong
from carelake.lake import opened
from carelake.secret import Secrets
from carelake.serve import originals
from carelake.serve.asker import Asker
from carelake.upkeep import key_backup
from carelake.upkeep.rotation import rotate
from carelake.upkeep.verification import verify
from carelake.vault import SealBroken

NEXT = "37" * 32
PASSPHRASE = "correct horse battery staple"
PEOPLE = 300
KEYS = "SELECT patient_key, full_name FROM silver.patient ORDER BY ALL"
VERSIONS = """SELECT address, COUNT(*), COUNT(*) FILTER (is_change) FROM silver.patient_history
WHERE patient_id IN (SELECT patient_id FROM silver.patient_history GROUP BY ALL HAVING COUNT(*) > 1)
GROUP BY address ORDER BY address"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A lake of 303 patients whose keys lie in `secrets/`. Nobody may change it."""
    lake = made(tmp_path_factory.mktemp("rotation"))
    (lake.project / "secrets/CARELAKE_VAULT_KEY").write_text(KEY)
    lake.changed["CARELAKE_VAULT_KEY"] = ""
    lake.sql(
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {PEOPLE}) INSERT INTO patients"
        " SELECT 'Q' || i, 'First' || i, 'Last' || i, 'M', '987-65-' || (1000 + i), '555', 'F', '1970-01-01',"
        " '1 Elm, Austin, TX 73301', '2024-01-05' FROM n"
    )
    assert failed(lake.run(0)) == {}
    return lake


@pytest.fixture
def lake(loaded: Small, tmp_path: Path) -> Small:
    there = copied(loaded, tmp_path)
    there.changed.update(loaded.changed)
    return there


def names(lake: Small) -> dict[str, str]:
    """Token -> name, of everybody: what each original opens to."""
    with opened(lake.project, lake.environment, writing=False) as held:
        ring = keys.ring(held.engine, held.secrets.masters)
        rows = held.engine.ask("SELECT * FROM vault.token WHERE kind = 'name'").to_pylist()
    opens = {row["token"]: vault._opened(row, ring.seals(), ring.of(keys.LOOKUP)) for row in rows}
    return {token: name.decode() for token, name in opens.items() if name is not None}


def sealed_with(lake: Small) -> set[str]:
    with opened(lake.project, lake.environment, writing=False) as held:
        return set(held.engine.ask("SELECT DISTINCT key_id FROM vault.token")["key_id"].to_pylist())


def wrapped_by(lake: Small) -> set[str]:
    with opened(lake.project, lake.environment, writing=False) as held:
        return {key.wrapped_by for key in keys.ring(held.engine, held.secrets.masters).wrapped}


def key_of(lake: Small) -> bytes:
    return Secrets(lake.project, lake.environment).masters()[0]


def is_rotated(lake: Small, before: dict[str, str]) -> bool:
    """Whether every token stands for whom it did, under a new key and nothing else; and the lake goes on."""
    assert names(lake) == before
    assert key_of(lake) != bytes.fromhex(KEY)
    assert len(sealed_with(lake)) == 1
    assert wrapped_by(lake) == {keys.id_of(key_of(lake))}
    assert not list((lake.project / "secrets").glob("*NEXT*"))
    return True


def test_everybody_keeps_the_token_and_the_former_key_opens_nothing_any_more(lake: Small) -> None:
    before, was = names(lake), sealed_with(lake)
    assert len(before) == PEOPLE + 3
    assert {"Ada Byron", "First7 Last7"} <= set(before.values())
    done = rotate(lake.project, lake.environment, NOW, at_once=100)
    assert is_rotated(lake, before)
    assert done.originals == len(before) * 2 + 6  # a name and a record number each; plan numbers of three
    assert sealed_with(lake).isdisjoint(was)
    former = Small(lake.folder, {"CARELAKE_VAULT_KEY": KEY})
    with pytest.raises(VaultKeyWrong):
        names(former)
    with pytest.raises(VaultKeyWrong):
        former.run(1)


def test_the_lake_goes_on_as_if_nothing_had_been(lake: Small) -> None:
    before, people = names(lake), lake.ask(KEYS)
    assert lake.command("audit", "checkpoint").returncode == 0
    rotate(lake.project, lake.environment, NOW)
    lake.sql("UPDATE patients SET PhoneNumber = '555-9999', ModifiedDate = '2024-02-02' WHERE PatientID = 'P1'")
    lake.sql("UPDATE patients SET ModifiedDate = '2024-02-02' WHERE PatientID = 'P2'")
    assert failed(lake.run(1)) == {}
    assert names(lake) == before
    assert lake.ask(KEYS) == people
    assert lake.ask(VERSIONS) == [("IL", 2, 2), ("TX", 2, 1)]  # what P2 tells is told as before: no change
    assert verify(lake.project, lake.environment, NOW).findings == ()
    assert lake.command("audit", "verify").returncode == 0


def files(lake: Small) -> dict[Path, int]:
    every = (path for path in lake.project.rglob("*") if path.is_file() and path.name != "lake.lock")
    return {path: path.stat().st_mtime_ns for path in every}


def test_a_dry_run_counts_and_changes_nothing(lake: Small) -> None:
    before = files(lake)
    told = lake.command("keys", "rotate", "--dry-run").stdout.decode()
    assert "612 originals would be sealed anew" in told
    assert files(lake) == before


def test_keys_that_the_environment_gives_are_asked_for_and_put_in_place_by_a_person(lake: Small) -> None:
    before = names(lake)
    lake.changed["CARELAKE_VAULT_KEY"] = KEY
    with pytest.raises(SettingMissing, match="CARELAKE_VAULT_KEY_NEXT"):
        rotate(lake.project, lake.environment, NOW)
    lake.changed["CARELAKE_VAULT_KEY_NEXT"] = KEY
    with pytest.raises(SettingUnfit, match="in use"):
        rotate(lake.project, lake.environment, NOW)
    lake.changed["CARELAKE_VAULT_KEY_NEXT"] = NEXT
    done = rotate(lake.project, lake.environment, NOW)
    assert done.to_do[0].startswith("Set CARELAKE_VAULT_KEY to the value of CARELAKE_VAULT_KEY_NEXT, then unset")
    assert failed(lake.run(1)) == {}  # with both
    assert rotate(lake.project, lake.environment, NOW).originals == 0
    lake.changed.update(CARELAKE_VAULT_KEY=NEXT, CARELAKE_VAULT_KEY_NEXT="")
    assert names(lake) == before
    assert failed(lake.run(2)) == {}


def test_for_a_vault_that_does_not_open_no_key_is_made(lake: Small) -> None:
    (lake.project / "secrets/CARELAKE_VAULT_KEY").write_text(NEXT)
    with pytest.raises(VaultKeyWrong):
        rotate(lake.project, lake.environment, NOW)
    assert not (lake.project / "secrets/CARELAKE_VAULT_KEY_NEXT").exists()


def test_the_names_that_patients_have_in_the_log_stay(lake: Small) -> None:
    (lake.project / "secrets/CARELAKE_LOG_KEY").unlink()
    before = Asker.here(lake.project, environment=lake.environment).patient(1)
    rotate(lake.project, lake.environment, NOW)
    assert Asker.here(lake.project, environment=lake.environment).patient(1) == before


def test_an_original_that_does_not_open_stops_a_rotation_and_none_is_lost(lake: Small) -> None:
    with opened(lake.project, lake.environment, writing=True) as held:
        cut = "CASE WHEN token = (SELECT MIN(token) FROM vault.token) THEN sealed[:20] ELSE sealed END"
        held.engine.replace("vault.token", f"SELECT * REPLACE ({cut} AS sealed) FROM vault.token")
    before = names(lake)
    with pytest.raises(SealBroken):
        rotate(lake.project, lake.environment, NOW, at_once=50)
    assert names(lake) == before
    assert failed(lake.run(1)) == {}  # with either key, halfway


SWAPS = {
    "two originals": "CASE token WHEN '{a}' THEN (SELECT sealed FROM vault.token WHERE token = '{b}') ELSE sealed END",
    "columns": "CASE token WHEN '{a}' THEN CAST(lookup AS BLOB) ELSE sealed END",
    "truncated": "CASE token WHEN '{a}' THEN sealed[:30] ELSE sealed END",
    "empty": "CASE token WHEN '{a}' THEN CAST('' AS BLOB) ELSE sealed END",
}


@pytest.mark.parametrize("swap", SWAPS)
def test_what_was_swapped_or_cut_short_is_refused(lake: Small, swap: str) -> None:
    a, b = sorted(names(lake))[:2]
    with opened(lake.project, lake.environment, writing=True) as held:
        held.engine.replace(
            "vault.token", f"SELECT * REPLACE ({SWAPS[swap].format(a=a, b=b)} AS sealed) FROM vault.token"
        )
    asker = Asker.here(lake.project, "a test", environment=lake.environment)
    with pytest.raises(SealBroken):
        originals.find(lake.project, lake.environment, a, asker)


def test_a_whole_row_that_stands_for_somebody_else_is_refused(lake: Small) -> None:
    a, b = sorted(names(lake))[:2]
    with opened(lake.project, lake.environment, writing=True) as held:
        swapped = f"CASE token WHEN '{a}' THEN '{b}' WHEN '{b}' THEN '{a}' ELSE token END"
        held.engine.replace("vault.token", f"SELECT * REPLACE ({swapped} AS token) FROM vault.token")
    asker = Asker.here(lake.project, "a test", environment=lake.environment)
    with pytest.raises(SealBroken):
        originals.find(lake.project, lake.environment, a, asker)


def test_a_data_key_that_was_swapped_or_changed_opens_nothing(lake: Small) -> None:
    with opened(lake.project, lake.environment, writing=True) as held:
        other = "(SELECT wrapped FROM vault.data_key WHERE use = 'row hash')"
        held.engine.replace(
            keys.TABLE, f"SELECT * REPLACE (CASE use WHEN 'lookup' THEN {other} ELSE wrapped END AS wrapped)"
            " FROM vault.data_key"
        )  # fmt: skip
    with pytest.raises(VaultKeyWrong, match="does not open"):
        names(lake)


def test_a_lake_whose_data_keys_are_gone_is_not_given_others(lake: Small) -> None:
    rotate(lake.project, lake.environment, NOW)
    shutil.rmtree(lake.project / "originals/vault/data_key")
    with pytest.raises(VaultKeyWrong):
        lake.run(1)


def test_a_value_with_two_tokens_stops_the_table_and_is_told(lake: Small) -> None:
    with opened(lake.project, lake.environment, writing=True) as held:
        held.engine.append("vault.token", "SELECT * REPLACE ('PATIENT-TWICE' AS token) FROM vault.token LIMIT 1")
        held.engine.append("vault.token", "SELECT * REPLACE (token || '2' AS token) FROM vault.token")
    lake.sql("UPDATE patients SET ModifiedDate = '2024-03-03'")
    assert failed(lake.run(1)) == {"refine patient": "LAKE-604", "release release": ""}


def test_keys_go_to_a_clean_machine_in_a_file_and_old_tokens_find_their_people_there(lake: Small) -> None:
    before = names(lake)
    lake.changed["CARELAKE_BACKUP_PASSPHRASE"] = PASSPHRASE
    rotate(lake.project, lake.environment, NOW)
    file = lake.folder / "keys.sealed"
    assert key_backup.write(lake.project, lake.environment, file) == ["CARELAKE_LOG_KEY", "CARELAKE_VAULT_KEY"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert key_of(lake).hex().encode() not in file.read_bytes()
    with pytest.raises(BackupUnfit, match="there already"):
        key_backup.write(lake.project, lake.environment, file)
    assert lake.command("backup", "make", str(lake.folder / "kept")).returncode == 0
    shutil.move(lake.project, lake.folder / "burnt")
    there = Small(lake.folder / "clean", {**lake.environment, "CARELAKE_VAULT_KEY": ""})
    there.folder.mkdir()
    done = there.command("backup", "restore", str(lake.folder / "kept"), "--to", str(there.project))
    assert done.returncode == 0
    assert there.command("keys", "restore", str(file)).returncode == 0
    assert names(there) == before
    token = next(token for token, name in before.items() if name == "Ada Byron")
    assert "Ada Byron" in there.command("vault", "find", "--token", token, "--purpose", "a test").stdout.decode()
    assert failed(there.run(1)) == {}


def test_keys_are_not_brought_over_others_and_not_with_another_passphrase(lake: Small) -> None:
    lake.changed["CARELAKE_BACKUP_PASSPHRASE"] = PASSPHRASE
    file = lake.folder / "keys.sealed"
    key_backup.write(lake.project, lake.environment, file)
    assert key_backup.read(lake.project, lake.environment, file) == []
    (lake.project / "secrets/CARELAKE_VAULT_KEY").write_text(NEXT)
    with pytest.raises(SettingUnfit, match="CARELAKE_VAULT_KEY is there"):
        key_backup.read(lake.project, lake.environment, file)
    lake.changed["CARELAKE_BACKUP_PASSPHRASE"] = PASSPHRASE[::-1]
    with pytest.raises(BackupUnfit, match="passphrase"):
        key_backup.read(lake.project, lake.environment, file)
    file.write_bytes(b"short")
    with pytest.raises(BackupUnfit, match="passphrase"):
        key_backup.read(lake.project, lake.environment, file)
    with pytest.raises(BackupUnfit, match="cannot be read"):
        key_backup.read(lake.project, lake.environment, lake.folder / "none")


# --- killed ----------------------------------------------------------------------------------------------------------

ROTATES = """
import itertools, os, signal, sys
from datetime import datetime
from pathlib import Path
from carelake.engine import duck
from carelake.upkeep.rotation import rotate
count, deadly = itertools.count(1), int(sys.argv[3])
def dying(verb):
    def moments(*given, **more):
        pass_by()
        done = verb(*given, **more)
        pass_by()
        return done
    return moments
def pass_by():
    if next(count) == deadly:
        os.kill(os.getpid(), signal.SIGKILL)
duck.write_deltalake, os.replace, os.fsync = map(dying, (duck.write_deltalake, os.replace, os.fsync))
print("begins", flush=True)
rotate(Path(sys.argv[1]), os.environ, datetime.fromisoformat(sys.argv[2]), at_once=90)
print("moments", next(count) - 1)
"""


def rotating(lake: Small, moment: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ROTATES, str(lake.project), NOW.isoformat(), str(moment)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=lake.around())


def killed_at(lake: Small, moment: int) -> bool:
    """Whether it died at that moment; else it never came to it."""
    process = rotating(lake, moment)
    process.communicate()
    assert process.returncode in (0, -9)
    return process.returncode == -9


def copies(loaded: Small, folder: Path) -> Small:
    there = copied(loaded, folder)
    there.changed.update(loaded.changed)
    return there


def gets_up_again(lake: Small, before: dict[str, str], run_first: bool) -> bool:
    """After a kill nobody is lost; a run may come first; and a second rotation ends what the first began."""
    assert names(lake) == before
    if run_first:
        assert failed(lake.run(1)) == {}
    if key_of(lake) == bytes.fromhex(KEY):
        rotate(lake.project, lake.environment, NOW + timedelta(days=1))
    return is_rotated(lake, before)


@pytest.mark.parametrize("share", some(0, [0.5, 0.1, 0.95]))
def test_a_rotation_that_is_killed_goes_on_where_it_was(loaded: Small, tmp_path: Path, share: float) -> None:
    before = names(loaded)
    last = moments(loaded, tmp_path / "whole")
    assert last > 20
    lake = copies(loaded, tmp_path / "killed")
    assert killed_at(lake, int(last * share))
    assert gets_up_again(lake, before, run_first=share == 0.5)


def moments(loaded: Small, folder: Path) -> int:
    process = rotating(copies(loaded, folder))
    said, _ = process.communicate()
    return int(said.split()[-1])


@pytest.mark.prove
def test_a_rotation_killed_at_each_moment_goes_on_where_it_was(loaded: Small, tmp_path: Path) -> None:
    before, last = names(loaded), moments(loaded, tmp_path / "whole")
    for moment in range(1, last + 1):
        lake = copies(loaded, tmp_path / str(moment))
        assert killed_at(lake, moment)
        assert gets_up_again(lake, before, run_first=moment % 5 == 0)
        shutil.rmtree(lake.folder)


@pytest.mark.prove
@pytest.mark.parametrize("seed", range(20))
def test_a_rotation_killed_at_a_random_instant_goes_on_where_it_was(loaded: Small, tmp_path: Path, seed: int) -> None:
    before, lake = names(loaded), copies(loaded, tmp_path)
    process = rotating(lake)
    assert process.stdout
    process.stdout.readline()
    time.sleep(random.Random(seed).uniform(0, 0.9))  # of a rotation that takes about a second
    process.kill()
    process.communicate()
    assert gets_up_again(lake, before, run_first=seed % 4 == 0)
