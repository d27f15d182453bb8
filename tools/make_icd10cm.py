"""Make declarations/reference/icd10cm_<year>.csv.gz from the CDC's tabular list.

    uv run --with simple-icd-10-cm==1.5.0 tools/make_icd10cm.py

The package carries the CDC's XML as it was released. The XML spells out most codes, and for the rest only says which
seventh characters they take: the package builds those, checked against the list of all valid codes.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import simple_icd_10_cm as icd

REFERENCE = Path(__file__).parents[1] / "declarations" / "reference"
HEADER = ("code", "description", "is_billable", "release_year")


def main(folder: Path = REFERENCE) -> None:
    year = release_year()
    rows = sorted(codes(year))
    path = folder / f"icd10cm_{year}.csv.gz"
    path.write_bytes(packed(rows))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    billable = sum(row[2] == "true" for row in rows)
    sys.stdout.write(f"{path.name}: {len(rows):,} codes, {billable:,} billable, SHA-256 {digest}\n")


def release_year() -> str:
    """The fiscal year that the XML says it is of."""
    (tabular,) = (path for path in files("simple_icd_10_cm.data").iterdir() if path.name.endswith(".xml"))
    found = ET.fromstring(tabular.read_text(encoding="utf-8")).findtext("version")
    if not found:
        raise SystemExit("The tabular list does not say which year it is of.")
    return found


def codes(year: str) -> Iterator[tuple[str, str, str, str]]:
    """Categories and everything below them; chapters and blocks are no codes. A leaf is billable."""
    for code in set(filter(icd.is_category_or_subcategory, icd.get_all_codes(with_dots=True))):
        yield code, " ".join(title(code).split()), str(icd.is_leaf(code)).lower(), year


def title(code: str) -> str:
    """Its title. The package hangs inclusion notes on seventh characters, behind a slash: they are no part of it."""
    if not icd.is_extended_subcategory(code):
        return str(icd.get_description(code))
    stem = icd.get_description(icd.get_parent(code))
    return str(stem + icd.get_description(code)[len(stem) :].partition("/")[0])


def packed(rows: list[tuple[str, str, str, str]]) -> bytes:
    """The table as gzip. Without a time stamp, so that the same rows give the same bytes."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([HEADER, *rows])
    return gzip.compress(text.getvalue().encode(), mtime=0)


if __name__ == "__main__":
    main()
