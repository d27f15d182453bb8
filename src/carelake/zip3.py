"""How many people live in the areas of three digits of a ZIP code, as a census counts them: `reference/zip3.csv`.

Safe Harbor tells the three digits of areas of more than 20,000 people (45 CFR 164.514(b)(2)(i)(B)), by current data of
the Census Bureau. With such a table no other area is told; the shipped list of small ones is hidden either way.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from .errors import LakeError, Mistake

NAME, COLUMNS = "zip3", ["zip3", "population"]
FEW = 20_000  # people: areas of so many, or fewer, are not told
ZIP_NAMES = ("zip", "zcta", "zip5", "zcta5", "zcta20", "zcta5ce20", "geoid", "geo_id", "zip_code", "name")
PEOPLE_NAMES = ("population", "total", "pop", "total_population", "p1_001n")


class PopulationUnfit(LakeError):
    code = "LAKE-156"
    exit_code = 10
    why = "An area that is counted wrongly would tell where few people live."


def peopled(path: Path | None) -> tuple[str, ...]:
    """The areas of the table that may be told; none without a table."""
    return () if path is None else tuple(area for area, people in sorted(_read(path).items()) if people > FEW)


def mistakes_in(path: Path) -> Iterator[Mistake]:
    """What is wrong with a project's table."""
    try:
        areas = _read(path)
    except (OSError, ValueError, csv.Error, StopIteration):
        areas = {}
    if not any(people > FEW for people in areas.values()):
        why, fix = "Which areas may be told hangs on it.", "Make it anew: `carelake zip3 build --population FILE`."
        yield Mistake("LAKE-156", f"reference/{path.name}:1", "it is no table of areas and their people", why, fix)


def _read(path: Path) -> dict[str, int]:
    with path.open(encoding="utf-8", newline="") as lines:
        header, *rows = csv.reader(lines)
    areas = {area: int(people) for area, people in rows}
    if header != COLUMNS or len(areas) < len(rows) or not all(re.fullmatch("[0-9]{3}", area) for area in areas):
        raise ValueError
    return areas


def build(population: Path) -> dict[str, int]:
    """Area -> people, summed over the ZIP codes of a file: CSV with a column of ZIP codes and one of people, as the
    Census Bureau gives them for ZCTAs. Raises `PopulationUnfit`.
    """
    try:
        with population.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines)
            zips, people = (_column(rows.fieldnames or [], names) for names in (ZIP_NAMES, PEOPLE_NAMES))
            return _summed(rows, zips, people)
    except (OSError, UnicodeError, csv.Error):
        raise PopulationUnfit("the file cannot be read as CSV in UTF-8.", "Save it so, with a line of names.") from None


def _column(names: Iterable[str], wanted: tuple[str, ...]) -> str:
    found = [name for word in wanted for name in names if name.strip().lower() == word]
    if not found:
        fix = f"Call it one of: {', '.join(wanted)}."
        raise PopulationUnfit(f"the file has no column '{wanted[0]}'.", fix)
    return found[0]


def _summed(rows: csv.DictReader[str], zips: str, people: str) -> dict[str, int]:
    areas, seen = Counter[str](), set[str]()
    for row in rows:
        code = re.fullmatch(r"(?:ZCTA5 |8[0-9]{2}Z200US)?([0-9]{5})", (row[zips] or "").strip())
        count = (row[people] or "").strip().replace(",", "")
        if rows.line_num == 2 and not code and not count.isdecimal():
            continue  # the Census Bureau writes a second line of names
        if not code or not count.isdecimal() or code[1] in seen:
            what = "is there twice" if code and code[1] in seen else "is no ZIP code with a number of people"
            raise PopulationUnfit(f"line {rows.line_num} {what}.", "Mend the file; nothing was written.")
        seen.add(code[1])
        areas[code[1][:3]] += int(count)
    if not areas:
        raise PopulationUnfit("the file has no rows.", "Give the population of every ZCTA of the census.")
    return dict(areas)


def write(project: Path, areas: Mapping[str, int]) -> Path:
    """Put the table into the project, in one step."""
    path = project / "reference" / f"{NAME}.csv"
    path.parent.mkdir(exist_ok=True)
    work = path.with_suffix(".new")
    with work.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *sorted(areas.items())])
    return work.replace(path)
