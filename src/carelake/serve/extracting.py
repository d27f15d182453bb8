"""An extract, as it is asked for: logged before a row leaves, and beside its files the evidence of how it was made."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..extract import evidence, extraction, selection
from ..extract.extraction import Made, Order
from ..foreign import in_our_words
from ..lake import Lake, opened
from ..report.html import html
from .asker import Asker, Log, Read

FOOTER = "Written by CareLake beside the files that it speaks of. No value of a row is on this page. Times are UTC."


class Told:
    """The access log, as one extract tells it."""

    def __init__(self, log: Log, order: Order) -> None:
        self.log = log
        self.given = {"profile": order.profile, "address": order.address, "agreement": order.agreement}

    def asked(self, tables: Sequence[str], columns: Sequence[str], release: int) -> int:
        return self.log.asked(Read("extract", tables, columns, release, given=self.given))

    def shown(self, number: int, many: int, keys: Sequence[int]) -> None:
        self.log.shown_of(number, many, keys)


def extract(
    project: Path, environment: Mapping[str, str], order: Order, asker: Asker, *, dry_run: bool
) -> dict[str, Any]:
    """Make an extract, or only say what it would be; its evidence.

    Raises `ExtractRefused`, `LakeBusy` while a run writes, `JournalUnwritable`.
    """
    with opened(project, environment, writing=not dry_run) as lake:
        extraction.refused(lake, order)
        if dry_run:
            tables = selection.selected(lake.declared, order.profile)
            return {"tables": [{"table": one.table, "columns": [vars(c) for c in one.shown],
                                "not_shown": dict(one.dropped)} for one in tables]}  # fmt: skip
        try:
            made = extraction.make(lake, order, Told(Log(lake.root("audit"), asker), order))
            told = evidence.facts(lake.declared, order, made)
            _keep(lake, order, made, told)
        finally:
            shutil.rmtree(extraction.work(order), ignore_errors=True)
        return told


def _keep(lake: Lake, order: Order, made: Made, told: Mapping[str, Any]) -> None:
    """Write the evidence, note the extract in `audit.extracts`, and let the folder be seen."""
    folder, text = extraction.work(order), json.dumps(told, indent=2) + "\n"
    with in_our_words("write"):
        (folder / "evidence.json").write_text(text, encoding="utf-8")
        (folder / "evidence.html").write_text(html(evidence.sheet(told), FOOTER), encoding="utf-8")
    row = {
        "id": made.id, "profile": order.profile, "recipient": order.recipient, "address": order.address,
        "agreement": order.agreement, "purpose": order.purpose, "who": order.who, "made_at": order.now,
        "as_of": order.as_of, "release": made.release, "rows_out": sum(made.rows.values()),
        "persons": made.after["persons"], "evidence_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }  # fmt: skip
    types = {"BIGINT": pa.int64(), "TEXT": pa.string(), "DATE": pa.date32(), "TIMESTAMPTZ": pa.timestamp("us", "UTC")}
    schema = pa.schema([(name, types[kind]) for name, kind in extraction.COLUMNS.items()])
    lake.engine.lend("made", pa.Table.from_pylist([row], schema))
    lake.engine.append(extraction.TABLE, "SELECT * FROM made")
    lake.engine.let_go("made")
    with in_our_words("write"):
        os.replace(folder, order.out)
