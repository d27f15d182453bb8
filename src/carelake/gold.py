"""Silver -> gold: every mart whose inputs, SELECT or day have changed is built anew, each after those it reads."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pyarrow as pa

from . import culprit, sql
from .declare import digest
from .engine import Engine
from .errors import DeclarationsRefused, EngineFailed, Mistake
from .model import Declarations, Mart, Reference


@dataclass(frozen=True)
class Built:
    mart: str
    why: str  # what made it necessary; empty if it stands as it was
    rows: int


def lay_out_references(engine: Engine, declared: Declarations) -> None:
    """Store the reference tables and settings that marts read, where they have changed."""
    for reference in declared.references.values():
        _lay_out(engine, reference.name, _read(reference), digest(Path(reference.path)))
    settings = {"name": list(declared.settings), "value": list(declared.settings.values())}
    told = json.dumps(settings)
    _lay_out(engine, "setting", pa.table(settings, pa.schema({"name": pa.string(), "value": pa.string()})), told)


def _lay_out(engine: Engine, name: str, rows: pa.Table, told: str) -> None:
    note = hashlib.sha256(told.encode()).hexdigest()
    if engine.note(f"reference.{name}") != note:
        engine.lend("laid_out", rows)
        engine.replace(f"reference.{name}", "SELECT * FROM laid_out", note=note)
        engine.let_go("laid_out")


def _read(reference: Reference) -> pa.Table:
    with Path(reference.path).open(encoding="utf-8", newline="") as lines:
        _, *rows = csv.reader(lines)
    columns = zip(*rows, strict=True) if rows else ((),) * len(reference.columns)
    return pa.table({name: pa.array(list(c), pa.string()) for name, c in zip(reference.columns, columns, strict=True)})


def build(engine: Engine, declared: Declarations, as_of: date) -> Iterator[Built]:
    """Each mart, as it is built or found unchanged. Raises `SqlUnfit` for one that cannot be computed."""
    for mart in in_order(declared.marts):
        why, note = _why(engine, mart, as_of)
        if why:
            _replace(engine, mart, as_of, note)
        yield Built(
            mart.name, why, engine.ask(f"SELECT COUNT(*) AS n FROM gold.{mart.name}").to_pylist()[0]["n"] if why else 0
        )


def _replace(engine: Engine, mart: Mart, as_of: date, note: str) -> None:
    try:
        engine.replace(f"gold.{mart.name}", mart.select, as_of, note)
    except EngineFailed:
        raise culprit.in_mart(engine, mart) from None


def stale(engine: Engine, declared: Declarations, as_of: date) -> Iterator[tuple[Mart, str]]:
    """The marts that a build would make anew, each with why; those that read such a one are among them."""
    touched: set[str] = set()
    for mart in in_order(declared.marts):
        needs = sorted(touched.intersection(sql.tables_of(mart.select)))
        if why := (f"{needs[0]} is built anew" if needs else _why(engine, mart, as_of)[0]):
            touched.add(f"gold.{mart.name}")
            yield mart, why


def in_order(marts: Mapping[str, Mart]) -> list[Mart]:
    """Marts, each behind those it reads. Raises `DeclarationsRefused` if some read each other in a circle."""
    needs = {name: [t.removeprefix("gold.") for t in sql.tables_of(mart.select)] for name, mart in marts.items()}
    known = {name: sorted(n for n in needed if n in marts) for name, needed in sorted(needs.items())}
    try:
        return [marts[name] for name in TopologicalSorter(known).static_order()]
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        why, fix = "None of them could be built first.", "Let one of them read silver instead."
        raise DeclarationsRefused([Mistake("LAKE-117", "gold", f"marts read each other: {circle}", why, fix)]) from None


def _why(engine: Engine, mart: Mart, as_of: date) -> tuple[str, str]:
    """Why a mart is not as it should be (empty if it is), and the note that says what it is built from."""
    inputs = {name: _version(engine, name) for name in sorted(sql.tables_of(mart.select))}
    select = hashlib.sha256(mart.select.encode()).hexdigest()
    day = as_of.isoformat() if "$as_of" in mart.select else ""
    note = json.dumps({"inputs": inputs, "select": select, "as_of": day})
    last = engine.note(f"gold.{mart.name}")
    if last == note:
        return "", note
    was = json.loads(last) if last else {}
    if not was:
        return "it is not there yet", note
    if was["select"] != select:
        return "its SELECT has changed", note
    if was["as_of"] != day:
        return f"it is seen from {day}, no longer from {was['as_of']}", note
    changed = [name for name, version in inputs.items() if was["inputs"].get(name) != version]
    return f"{', '.join(changed)} changed", note


def _version(engine: Engine, name: str) -> str:
    """What tells one state of an input from another."""
    layer, _, table = name.partition(".")
    if layer != "silver":
        return str(engine.version(name))
    base = table.removesuffix("_history").removesuffix("_all")
    return f"{engine.version(f'silver.{base}_versions')}/{engine.version(f'quarantine.{base}')}"
