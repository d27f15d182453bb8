"""Synthetic hospitals, with what is true of them written beside: for demos, tests and benches. Nobody in them is real.

    truth = make(folder, patients=10_000, seed=7)      # two databases, a landing folder, truth.json
    truth = make(folder, day=2)                        # what changed overnight
    os.environ |= connections(folder)                  # as a project's sources name them

The same seed makes the same hospitals, whatever the chunk size. Memory goes with `chunk`, and not with what is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from ..errors import HospitalsMissing
from . import codes, defects, truth
from .files import csv_file
from .hospital import Made, Work, change, fill
from .recipe import Change, Recipe, hospitals
from .stores import opened
from .truth import Truth

__all__ = ["AS_OF", "Truth", "connections", "follow", "make", "plant"]

AS_OF = date(2026, 6, 30)
LANDING = "landing"


def make(
    folder: Path,
    *,
    patients: int = 10_000,
    transactions: int | None = None,
    seed: int = 7,
    as_of: date = AS_OF,
    day: int = 1,
    defects: bool = True,
    detailed: bool = False,
    changed_share: float = 0.005,
    recent_share: float = 0.9,
    scattered: bool = False,
    urls: Mapping[str, str] | None = None,
    claims: bool = True,
    chunk: int = 100_000,
) -> Truth:
    """The two hospitals as they stand at the end of that day, in `folder`, and what is true of them.

    Day 1 makes them anew, four transactions a patient unless told otherwise. A following day changes those that are
    there: how many, whose seed and which `as_of` (always the date of day 1) is then theirs, and not asked for again.
    `detailed` adds the columns that the template of that name maps. `urls` puts `hos-a` and `hos-b` elsewhere than into
    SQLite files. Raises `HospitalsMissing`.
    """
    if day > 1:
        share = None if scattered else recent_share
        return follow(folder, day, Change(changed_share, share), urls=urls, claims=claims, chunk=chunk)
    recipe = Recipe(seed, patients, 4 * patients if transactions is None else transactions, as_of, defects, detailed)
    folder.mkdir(parents=True, exist_ok=True)
    _clear(folder)
    _write_codes(folder / LANDING, recipe)
    return _told(folder, recipe, urls, claims, chunk)


def follow(
    folder: Path,
    day: int,
    how: Change | None = None,
    *,
    urls: Mapping[str, str] | None = None,
    claims: bool = True,
    chunk: int = 100_000,
) -> Truth:
    """The hospitals in `folder` one day later, and what is true of them then. Raises `HospitalsMissing`."""
    recipe = truth.recipe_of(folder)
    if recipe is None or recipe.day != day - 1:
        stand = "there are no hospitals here" if recipe is None else f"the hospitals here are at day {recipe.day}"
        raise HospitalsMissing(f"{stand}, and day {day} changes those of day {day - 1}.", _BEGIN)
    return _told(folder, recipe.followed_by(how or Change()), urls, claims, chunk)


def plant(folder: Path, names: Sequence[str], *, each: int = defects.EACH) -> dict[str, list[str]]:
    """Plant defects of these names into hospital A of `folder`, `each` in so many rows. Name -> the keys of the rows.

    The hospitals must be as they were just made, detailed and without defects; `truth.json` stays what is true of them
    without. Raises `HospitalsMissing` and `DefectUnknown`.
    """
    recipe = truth.recipe_of(folder)
    if recipe is None:
        raise HospitalsMissing("there are no hospitals here to plant defects in.", _BEGIN)
    claims = folder / LANDING / "claims" / "hospital1_claim_data.csv"
    planted = defects.plant(folder / "hos-a.db", claims, recipe.as_of, defects.known(names), each)
    defects.write(folder, planted)
    return planted


def connections(folder: Path) -> dict[str, str]:
    """What a project's sources want to know, for the SQLite files in `folder`."""
    where = {f"{name.upper().replace('-', '_')}_URL": url for name, url in _files(folder).items()}
    return {**where, "LANDING": str((folder / LANDING).resolve())}


_BEGIN = "Make the days in order: carelake synth FOLDER, then --day 2, --day 3 ..."


def _told(folder: Path, recipe: Recipe, urls: Mapping[str, str] | None, claims: bool, chunk: int) -> Truth:
    """Make both hospitals, and write down the truth last: so that a day broken off is made again from its start."""
    made: dict[str, Made] = {}
    landing = folder / LANDING if claims else None
    for hospital in hospitals(recipe):
        url = (urls or _files(folder))[hospital.name]
        with opened(url, fresh=recipe.day == 1) as store:
            work = Work(hospital, recipe.day, store, landing, chunk)
            made[hospital.name] = fill(work) if recipe.day == 1 else change(work)
    first, second = made.values()
    told = {name: one.truth for name, one in made.items()}
    whole = Truth(recipe, recipe.day, recipe.date_of(recipe.day), told, first.tally.plus(second.tally).kpis())
    truth.write(folder, whole)
    return whole


def _write_codes(landing: Path, recipe: Recipe) -> None:
    known = codes.procedures()
    with csv_file(landing / "cptcodes" / "cptcodes.csv", known.column_names, "\t") as write:
        write(known)
    listed = codes.nppes(hospitals(recipe))
    with csv_file(
        landing / "npi" / f"npidata_pfile_{recipe.as_of:%Y%m%d}.csv", listed.column_names, quoting="needed"
    ) as write:
        write(listed)


def _clear(folder: Path) -> None:
    """Take away what an earlier making left, under the names that are ours, and nothing else."""
    (folder / truth.FILE).unlink(missing_ok=True)
    (folder / defects.FILE).unlink(missing_ok=True)
    for ours in ("claims/hospital[12]_claim_data*.csv", "cptcodes/cptcodes.csv", "npi/npidata_pfile_*.csv"):
        for path in (folder / LANDING).glob(ours):
            path.unlink()


def _files(folder: Path) -> dict[str, str]:
    return {name: f"sqlite://{(folder / name).resolve()}.db" for name in ("hos-a", "hos-b")}
