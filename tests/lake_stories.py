"""Lakes of which two days are told: a handful of rows, the demo's hospitals, and the course's."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import rcm
from small_lake import KEY, NOW, failed, made

from carelake import pipeline, project, synth
from carelake.lake import examined
from carelake.secret import VAULT_KEY


@dataclass(frozen=True)
class Story:
    """A lake below `folder`, and what happens at its sources before the run of a day."""

    folder: Path
    sources: Callable[[Path], Mapping[str, str]]  # folder -> what the environment says of those in it
    happens: Callable[[Path, int], None]  # in a folder, before the run of a day

    @property
    def project(self) -> Path:
        return self.folder / "project"

    def run(self, engine: str, day: int) -> None:
        """The day, whichever engine runs it. Everything is done, or the test has failed."""
        self.happens(self.folder, day)
        page = self.project / "lake.yml"
        for named in ("duck", "spark"):
            page.write_text(page.read_text().replace(f"engine: {named}", f"engine: {engine}"))
        assert f"engine: {engine}" in page.read_text()
        did = pipeline.run(self.project, self.sources(self.folder), NOW + timedelta(days=day))
        assert failed(did) == {}
        assert did.released == day

    def copied(self, folder: Path) -> Story:
        """Another lake that stands where this one does."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("journal"))
        return Story(folder, self.sources, self.happens)

    def rows(self, of: Callable[[str], str]) -> dict[str, list[str]]:
        """Every stored table, as the embedded engine reads it: what `of` makes of each row, in order."""
        page = self.project / "lake.yml"
        page.write_text(page.read_text().replace("engine: spark", "engine: duck"))
        with examined(self.project, self.sources(self.folder), []) as held:
            told = {name: held.engine.ask(f"SELECT * FROM {name}").to_pylist() for name in held.engine.tables()}
        return {name: sorted(map(of, rows)) for name, rows in told.items()}


def small(folder: Path) -> Story:
    """Three patients; on the second day some of everything changes."""
    lake = made(folder)
    changes = (
        "UPDATE patients SET LastName = 'Lovelace' WHERE PatientID = 'P1'",
        "UPDATE patients SET ModifiedDate = '2026-11-21' WHERE PatientID = 'P1'",
        "UPDATE transactions SET PaidAmount = 12.5 WHERE rowid = 1",
        "DELETE FROM departments WHERE DeptID = 'D2'",
    )

    def sources(folder: Path) -> dict[str, str]:
        urls = {f"HOS_{hospital.upper()}_URL": f"sqlite:///{folder / f'hos-{hospital}.db'}" for hospital in "ab"}
        return {**urls, "LANDING": str(folder / "landing")}

    return _begun(Story(lake.folder, sources, lambda folder, day: _changed(folder, day, changes)))


def demo(folder: Path) -> Story:
    """The demo's two hospitals, with fewer patients, and its second day."""
    folder.mkdir(parents=True)
    project.make(folder / "project", "rcm")

    def happens(folder: Path, day: int) -> None:
        synth.make(folder / "made", patients=200, seed=7, day=day)

    return _begun(Story(folder, lambda folder: synth.connections(folder / "made"), happens))


def course(folder: Path) -> Story:
    """The course's two hospitals: on the second day rows change, a department is gone, and claims come."""
    rcm.needs_rcm()
    folder.mkdir(parents=True)
    for hospital in "ab":
        rcm.into_sqlite(folder, hospital)
    project.make(folder / "project", "rcm")
    rcm.landing(folder / "landing")
    changes = (
        "UPDATE transactions SET PaidAmount = 1.005, ModifiedDate = '2024-11-29' WHERE rowid % 97 = 5",
        "UPDATE encounters SET EncounterType = 'Inpatient', ModifiedDate = '2024-11-29' WHERE rowid % 89 = 3",
        "UPDATE patients SET LastName = 'Lovelace', ModifiedDate = '2024-11-29' WHERE rowid % 83 = 7",
        "INSERT INTO patients SELECT 'HOSP1-999999', 'NULL', LastName, MiddleName, SSN, PhoneNumber, Gender, DOB,"
        " Address, '2024-11-29' FROM patients WHERE rowid = 1",
        "DELETE FROM departments WHERE DeptID = 'DEPT020'",
    )

    def sources(folder: Path) -> dict[str, str]:
        urls = {f"HOS_{hospital.upper()}_URL": f"sqlite:///{folder / f'hos-{hospital}.db'}" for hospital in "ab"}
        return {**urls, "LANDING": str(folder / "landing")}

    def happens(folder: Path, day: int) -> None:
        _changed(folder, day, changes)
        if day == 2:
            header, *lines = (rcm.DATA / "claims/hospital1_claim_data.csv").read_text("utf-8-sig").splitlines()
            again = [line.replace("Pending", "Paid") for line in lines[:500]]
            (folder / "landing/claims/hospital1_day_2.csv").write_text("\n".join([header, *again]) + "\n")

    return _begun(Story(folder, sources, happens))


def _changed(folder: Path, day: int, changes: tuple[str, ...]) -> None:
    if day == 2:
        with closing(sqlite3.connect(folder / "hos-a.db")) as db:
            for change in changes:
                db.execute(change)
            db.commit()


def _begun(story: Story) -> Story:
    """Its key is where those find it too who work elsewhere and know only its project."""
    (story.project / "secrets").mkdir(exist_ok=True)
    (story.project / "secrets" / VAULT_KEY).write_text(KEY)
    return story
