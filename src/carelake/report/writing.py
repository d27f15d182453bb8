"""A report, put where people find it: a page for them, and the same facts as JSON for programs."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import LakeError
from ..foreign import is_no_space
from ..lake import Lake
from . import compliance_report, compliance_sheet, quality_report, quality_sheet, review
from .facts import Facts, plain
from .html import html
from .month import Month

DEFAULT = "reports"  # below the project, where nothing else is said


class ReportUnwritable(LakeError):
    code = "LAKE-722"
    exit_code = 70
    why = "The lake is as it is without the report, and everything in it can be asked for again."


def folder(lake: Lake, asked: Path | None) -> Path:
    """Where reports go: as asked, else as lake.yml says, else `reports` of the project."""
    return asked or lake.project / (lake.declared.place.report or DEFAULT)


def quality(lake: Lake, into: Path, run_id: str, now: datetime) -> list[Path]:
    """Write the quality report of a run, or of the last one. Raises `RunUnknown`, `ReportUnwritable`."""
    facts = quality_report.told(lake, run_id, now)
    page = html(quality_sheet.sheet(facts), quality_sheet.FOOTER)
    stem = f"quality-{facts['run']['run_id']}"
    return put(into, {f"{stem}.html": page, f"{stem}.json": plain(facts) + "\n"})


def compliance(lake: Lake, into: Path, month: Month, now: datetime) -> list[Path]:
    """Write the report of a month, with who has signed it. Raises `ReportUnwritable`."""
    facts = compliance_report.told(lake, month, now)
    return put(into, _of_month(lake, month, facts))


def signed(lake: Lake, into: Path, month: Month, by: review.Signature) -> list[Path]:
    """Sign the report of a month as it is now, and write it, with what was signed to the byte: `sha256sum` of that file
    is what the page shows. Raises `ReviewRefused`, `ReportUnwritable`.
    """
    facts: dict[str, Any] = compliance_report.told(lake, month, by.now)
    text = review.sign(lake, month, facts, by)
    number = len(list(review.reviews(lake, month, facts)))
    return put(into, _of_month(lake, month, facts) | {f"compliance-{month.name}-signed-{number}.json": text})


def _of_month(lake: Lake, month: Month, facts: Facts) -> dict[str, str]:
    told = {**facts, "reviews": list(review.reviews(lake, month, facts))}
    stem = f"compliance-{month.name}"
    page = html(compliance_sheet.sheet(told), compliance_sheet.FOOTER)
    return {f"{stem}.html": page, f"{stem}.json": plain(told) + "\n"}


def put(into: Path, texts: dict[str, str]) -> list[Path]:
    """Files in a folder, each there as a whole or not at all. Raises `ReportUnwritable`."""
    try:
        into.mkdir(parents=True, exist_ok=True)
        return [_put(into / name, text) for name, text in texts.items()]
    except OSError as error:
        found = "there was no space left for the report." if is_no_space(error) else "the report could not be written."
        raise ReportUnwritable(found, f"Let {into} be a folder with room that this user may write to.") from None


def _put(path: Path, text: str) -> Path:
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8", errors="replace")
    os.replace(part, path)
    return path
