"""A backup, restored on a machine that has nothing else, is the lake: whole, equal, and with nothing left to load."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from small_lake import KEY, NOW, Small, contents, copied, failed

from carelake.errors import BackupUnfit, LakeBusy, LakeDamaged, LakeMissing, SettingMissing, SettingUnfit
from carelake.lake import opened
from carelake.upkeep.backup import Made, make
from carelake.upkeep.backup_store import Store
from carelake.upkeep.restoration import Restored, check, restore
from carelake.upkeep.verification import verify

PASSPHRASE = "correct horse battery staple"


def backed_up(lake: Small, day: int = 0, **how: bool) -> Made:
    return make(lake.project, lake.environment, lake.folder / "backups", NOW + timedelta(days=day, hours=1), **how)


def restored(lake: Small, to: str = "clean/project", which: str = "", **how: bool) -> tuple[Small, Restored]:
    """The lake on a clean machine: what its databases and landing folder are called is the same there."""
    there = Small(lake.folder / Path(to).parent, dict(lake.changed))
    there.changed.update({name: lake.environment[name] for name in ("HOS_A_URL", "HOS_B_URL", "LANDING")})
    return there, restore(lake.folder / "backups", there.project, there.environment, which, **how)


@pytest.fixture(scope="module")
def kept_origin(small_origin: Small, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A lake with its backup. Nobody may change it."""
    lake = copied(small_origin, tmp_path_factory.mktemp("kept"))
    backed_up(lake)
    return lake


@pytest.fixture
def kept(kept_origin: Small, tmp_path: Path) -> Small:
    return copied(kept_origin, tmp_path)


def test_a_restored_lake_is_whole_and_equal_and_the_next_run_finds_nothing_to_do(kept: Small) -> None:
    before = contents(kept)
    shutil.move(kept.project, kept.folder / "burnt")
    there, done = restored(kept)
    assert done.release == 1
    told = verify(there.project, there.environment, NOW)
    assert (told.findings, told.loads, told.releases) == ((), 9, 1)
    assert contents(there) == before
    did = there.run(0)
    assert (sum(step.rows for step in did.steps if step.step == "extract"), did.released, failed(did)) == (0, None, {})
    assert contents(there) == before


def test_a_file_is_copied_once_and_every_backup_can_be_restored(kept: Small) -> None:
    first = contents(kept)
    kept.sql("INSERT INTO departments VALUES ('D9', 'New')")
    assert failed(kept.run(1)) == {}
    second, made = contents(kept), backed_up(kept, 1)
    assert 0 < made.copied < made.files / 2
    assert backed_up(kept, 2).copied == 0
    ids = Store(kept.folder / "backups").ids()
    assert ids == ["20261121T070000Z", "20261122T070000Z", "20261123T070000Z"]
    for which, wanted in zip(ids, (first, second, second), strict=True):
        there, _ = restored(kept, f"{which}/project", which)
        assert contents(there) == wanted
    assert check(kept.folder / "backups")[1] == []


def test_a_backup_that_was_cut_short_goes_on_where_it_was(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    add, count = Store.add, iter(range(1000))

    def break_off(self: Store, *given: object) -> object:
        if next(count) == 40:
            raise KeyboardInterrupt
        return add(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Store, "add", break_off)
    with pytest.raises(KeyboardInterrupt):
        backed_up(small)
    assert Store(small.folder / "backups").ids() == []
    made = backed_up(small)
    assert made.copied == made.files - 40
    assert not list((small.folder / "backups").rglob("*undone"))


def test_secrets_are_in_it_only_if_asked_for_and_then_sealed(small: Small) -> None:
    with pytest.raises(SettingMissing, match="CARELAKE_BACKUP_PASSPHRASE"):
        backed_up(small, secrets=True)
    small.changed["CARELAKE_BACKUP_PASSPHRASE"] = "too short"
    with pytest.raises(SettingUnfit):
        backed_up(small, secrets=True)
    small.changed["CARELAKE_BACKUP_PASSPHRASE"] = PASSPHRASE
    (small.project / "secrets/MAIL_PASSWORD").write_text("hunter2hunter2")
    made = backed_up(small, secrets=True)
    assert (made.secrets, made.missing) == (
        ("CARELAKE_LOG_KEY", "CARELAKE_VAULT_KEY", "MAIL_PASSWORD"),
        ("HOS_A_URL", "HOS_B_URL", "LANDING"),
    )
    stored = b"".join(path.read_bytes() for path in (small.folder / "backups").rglob("*") if path.is_file())
    assert [secret for secret in (KEY, "hunter2hunter2", PASSPHRASE) if secret.encode() in stored] == []
    there, done = restored(small, secrets=True)
    there.changed["CARELAKE_VAULT_KEY"] = ""
    assert done.secrets == ("CARELAKE_LOG_KEY", "CARELAKE_VAULT_KEY", "MAIL_PASSWORD")
    assert (there.project / "secrets/MAIL_PASSWORD").read_text() == "hunter2hunter2\n"
    assert (there.project / "secrets/CARELAKE_VAULT_KEY").stat().st_mode & 0o77 == 0
    assert verify(there.project, there.environment, NOW).is_whole
    small.changed["CARELAKE_BACKUP_PASSPHRASE"] = PASSPHRASE.upper()
    with pytest.raises(BackupUnfit, match="passphrase does not open"):
        restored(small, "other/project", secrets=True)


def test_without_secrets_none_is_in_it_and_it_says_so(kept: Small) -> None:
    stored = b"".join(path.read_bytes() for path in (kept.folder / "backups").rglob("*") if path.is_file())
    own = (kept.project / "secrets/CARELAKE_VAULT_KEY").read_text().strip()
    assert [secret for secret in (KEY, own) if secret.encode() in stored] == []
    said = " ".join(kept.command("backup", "make", str(kept.folder / "backups")).stdout.decode().split())
    assert "Keep CARELAKE_VAULT_KEY elsewhere" in said
    assert "as sensitive as the lake, and not encrypted" in said
    with pytest.raises(BackupUnfit, match="no secrets"):
        restored(kept, secrets=True)


def test_nobody_else_may_read_a_backup(kept: Small) -> None:
    made = [path for path in (kept.folder / "backups").rglob("*") if path.is_file()]
    assert [path.name for path in made if path.stat().st_mode & 0o77] == []


def part(lake: Small) -> Path:
    return next(lake.project.glob("originals/bronze/hos-a/patients/*/*/*/000001/part-*.parquet"))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lake: flip(part(lake)),
        lambda lake: part(lake).unlink(),
        lambda lake: next(lake.project.glob("lake/silver/patient_versions/*.parquet")).unlink(),
    ],
)
def test_a_damaged_lake_is_not_backed_up(spoil: Callable[[Small], None], small: Small) -> None:
    spoil(small)
    with pytest.raises(LakeDamaged):
        backed_up(small)
    assert Store(small.folder / "backups").ids() == []


def test_a_backup_that_was_damaged_is_told_and_not_restored(kept: Small) -> None:
    (manifest,) = (Store(kept.folder / "backups").manifest(one) for one in Store(kept.folder / "backups").ids())
    name = next(name for name in manifest.files if name.startswith("lake/gold/") and name.endswith(".parquet"))
    path = Store(kept.folder / "backups").object(manifest.files[name].sha256)
    flip(path)
    told = kept.command("backup", "check", str(kept.folder / "backups"), "--json")
    assert (told.returncode, json.loads(told.stdout)["wrong"]) == (50, [name])
    with pytest.raises(BackupUnfit):
        restored(kept)
    assert not (kept.folder / "clean/project/lake.yml").exists()
    flip(path)
    there, _ = restored(kept)  # goes on where it was
    assert contents(there) == contents(kept)


def test_a_manifest_that_was_changed_is_not_believed(kept: Small) -> None:
    (path,) = (kept.folder / "backups/backups").glob("*.json")
    path.write_text(path.read_text().replace('"lake/gold/', '"../../gold/', 1))
    with pytest.raises(BackupUnfit, match="manifest"):
        restored(kept)


def test_what_is_there_already_is_never_written_over(kept: Small) -> None:
    with pytest.raises(BackupUnfit, match="not empty"):
        restore(kept.folder / "backups", kept.project, kept.environment)
    with pytest.raises(BackupUnfit, match=r"no backup '2020'.*"):
        restored(kept, which="2020")


def test_roots_elsewhere_come_from_another_lake_yml(small: Small) -> None:
    away = small.folder / "elsewhere"
    text = (small.project / "lake.yml").read_text()
    (small.folder / "other.yml").write_text(text.replace("originals: originals", f"originals: {away}"))
    backed_up(small)
    there = Small(small.folder / "clean")
    restore(small.folder / "backups", there.project, small.environment, lake_yml=small.folder / "other.yml")
    assert part_exists(away)
    assert verify(there.project, small.environment, NOW).is_whole


def part_exists(originals: Path) -> bool:
    return any(originals.glob("bronze/hos-a/patients/*/*/*/000001/part-*.parquet"))


def test_where_a_backup_cannot_go_is_told(kept: Small, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(BackupUnfit, match="lies in the root"):
        make(kept.project, kept.environment, kept.project / "lake/backups", NOW)
    with opened(kept.project, kept.environment, writing=True), pytest.raises(LakeBusy):
        backed_up(kept)
    empty = Small(tmp_path_factory.mktemp("empty"))
    shutil.copytree(kept.project, empty.project, ignore=shutil.ignore_patterns("lake", "originals", "restricted"))
    with pytest.raises(LakeMissing):
        make(empty.project, kept.environment, kept.folder / "backups", NOW)
    assert failed(Small(empty.folder, {"HOS_A_URL": kept.environment["HOS_A_URL"],
                                       "HOS_B_URL": kept.environment["HOS_B_URL"]}).run(0)) != {}  # fmt: skip
    with pytest.raises(BackupUnfit, match="another lake"):
        make(empty.project, kept.environment, kept.folder / "backups", NOW)
