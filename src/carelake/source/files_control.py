"""Control totals: a small file beside a data file that says how many rows and which sum its sender counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation, localcontext
from pathlib import Path

import pyarrow.compute as pc

from ..errors import FileControlBroken
from ..model import Feed
from . import Sum
from .files_csv import batches
from .files_look import Sheet

FIX = "Ask the sender which of both is right, and for both files again."


def beside(path: Path, feed: Feed) -> Path | None:
    """The control file of `path`, if the feed has such and it is there: `claims.csv.ctl` or `claims.ctl`."""
    if not (suffix := feed.control.get("suffix")):
        return None
    names = (path.name + suffix, path.name.partition(".")[0] + suffix)
    return next((twin for name in names if (twin := path.with_name(name)).is_file()), None)


def is_control(path: Path, feed: Feed) -> bool:
    return "suffix" in feed.control and path.name.endswith(feed.control["suffix"])


def compare(sheet: Sheet, control: Path, feed: Feed) -> dict[str, Sum]:
    """The sums that the sender counted. Raises `FileControlBroken` unless the file holds just that. Sums are exact."""
    says = _said(control)
    if "rows" in feed.control:
        counted = _figure(says, feed.control["rows"], sheet.name)
        if counted != sheet.rows:
            refused = f" and {len(sheet.bad):,} lines that are no rows" if sheet.bad else ""
            _refuse(f"{sheet.name} has {sheet.rows:,} rows{refused}; its control file says {counted:,}.")
    if column := feed.control.get("sum"):
        counted, found = _figure(says, column, sheet.name), _sum(sheet, column)
        if counted != found:
            _refuse(f"{column} of {sheet.name} comes to {found:,}; its control file says {counted:,}.")
        return {_spelt(sheet, column): Sum(counted, "TRY_CAST(TRIM({0}) AS DECIMAL(28, 10))")}
    return {}


def _refuse(found: str) -> None:
    raise FileControlBroken(found, FIX)


def _said(control: Path) -> Mapping[str, str]:
    """`rows=10000`, line by line; names in lower case."""
    with control.open("rb") as file:
        text = file.read(1 << 16).decode("utf-8-sig", "replace")
    pairs = (line.partition("=") for line in text.splitlines())
    return {name.strip().lower(): figure.strip() for name, _, figure in pairs}


def _figure(says: Mapping[str, str], word: str, name: str) -> Decimal:
    figure = _decimals([says.get(word.lower(), "")])
    if figure is None:
        raise FileControlBroken(f"the control file of {name} does not say `{word}=` and a number.", FIX)
    return figure


def _spelt(sheet: Sheet, column: str) -> str:
    (spelt,) = (name for name in sheet.dialect.names if name.lower() == column.lower())
    return spelt


def _sum(sheet: Sheet, column: str) -> Decimal:
    """The exact sum of a column. Empty fields count as nothing."""
    total = Decimal(0)
    with localcontext(prec=60):
        for batch in batches(sheet, sheet.dialect.names, only=(_spelt(sheet, column),)):
            part = _decimals(pc.drop_null(batch.column(0)).to_pylist())
            if part is None:
                raise FileControlBroken(f"{column} of {sheet.name} holds something that is no number.", FIX)
            total += part
    return total


def _decimals(figures: Iterable[str]) -> Decimal | None:
    """Their sum; None if one is no number."""
    try:
        with localcontext(prec=60):
            total = sum(map(Decimal, figures), Decimal(0))
    except InvalidOperation:
        return None
    return total if total.is_finite() else None
