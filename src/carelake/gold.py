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
from typing import Any

import pyarrow as pa

from . import culprit, sql, suppressions
from .declare import digest
from .engine import Engine
from .errors import DeclarationsRefused, EngineFailed, LakeError, MartLacking, MartMistyped, Mistake
from .model import TYPES, Declarations, Mart, Reference
from .renew import Before, LookedUp, renew

ARROW = {  # what a column may be -> how an engine hands it over
    "text": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
    "boolean": pa.bool_(),
    "integer": pa.int64(),
    "money": pa.decimal128(18, 2),
    "ratio": pa.decimal128(18, 4),
    "days": pa.decimal128(18, 2),
}


@dataclass(frozen=True)
class Built:
    mart: str
    why: str  # what made it necessary; empty if it stands as it was
    rows: int  # that were computed: all, or those that a change reaches
    error: LakeError | None = None  # why it could not be built: it stands as it was


def lay_out_references(engine: Engine, declared: Declarations) -> None:
    """Store the reference tables and settings that marts read, where they have changed."""
    for name, note in _outdated(engine, declared).items():
        references = declared.references
        engine.lend("laid_out", _read(references[name]) if name in references else _settings(declared))
        engine.replace(f"reference.{name}", "SELECT * FROM laid_out", note=note)
        engine.let_go("laid_out")


def _outdated(engine: Engine, declared: Declarations) -> dict[str, str]:
    """Each reference table that is not stored as it is declared -> the note of what it would be."""
    told = {name: digest(Path(reference.path)) for name, reference in declared.references.items()}
    told["setting"] = json.dumps(_settings(declared).to_pydict())
    notes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in told.items()}
    return {name: note for name, note in notes.items() if engine.note(f"reference.{name}") != note}


def _settings(declared: Declarations) -> pa.Table:
    rows = {"name": list(declared.settings), "value": [setting.value for setting in declared.settings.values()]}
    return pa.table(rows, pa.schema({"name": pa.string(), "value": pa.string()}))


def _read(reference: Reference) -> pa.Table:
    with Path(reference.path).open(encoding="utf-8", newline="") as lines:
        _, *rows = csv.reader(lines)
    columns = zip(*rows, strict=True) if rows else ((),) * len(reference.columns)
    return pa.table({name: pa.array(list(c), pa.string()) for name, c in zip(reference.columns, columns, strict=True)})


def build(engine: Engine, declared: Declarations, as_of: date) -> Iterator[Built]:
    """Each mart, as it is built or found unchanged. One that fails does not stop the others, unless they read it: its
    error is `SqlUnfit` if it cannot be computed, `MartMistyped` if it is not what its page says.

    Raises `DeclarationsRefused` if marts read each other in a circle.
    """
    failed, looked_up = set[str](), LookedUp(engine)
    for mart in in_order(declared.marts):
        lacking = sorted(failed.intersection(sql.tables_of(mart.select)))
        try:
            if lacking:
                raise MartLacking(mart.name, lacking[0])
            why, note = _why(engine, mart, as_of)
            yield Built(mart.name, why, _build(engine, looked_up, mart, as_of, note) if why else 0)
        except LakeError as error:
            failed.add(f"gold.{mart.name}")
            yield Built(mart.name, "", 0, error)
    looked_up.let_go()


def _build(engine: Engine, looked_up: LookedUp, mart: Mart, as_of: date, note: str) -> int:
    """How many rows were computed."""
    before = _before(engine, mart, json.loads(note))
    try:
        _check_types(engine, mart, as_of)
        renewed = renew(engine, looked_up, mart, before, as_of, note) if before else None
        if renewed is not None:
            return renewed
        engine.replace(f"gold.{mart.name}", mart.select, as_of, note)
        return int(engine.ask(f"SELECT COUNT(*) AS n FROM gold.{mart.name}").to_pylist()[0]["n"])
    except EngineFailed as error:
        raise culprit.in_mart(engine, mart, error) from None


def _before(engine: Engine, mart: Mart, now: Mapping[str, Any]) -> Before | None:
    """What a mart was made of; None if that was another SELECT, or tables of which one was taken away since."""
    was = json.loads(engine.note(f"gold.{mart.name}") or "{}")
    if not was or was["select"] != now["select"] or was["inputs"].keys() != now["inputs"].keys():
        return None
    changed = {name: state for name, state in was["inputs"].items() if state != now["inputs"][name]}
    if any(_ids(state) != _ids(now["inputs"][name]) for name, state in changed.items()):
        return None
    versions = {name: int(state.partition("/")[0]) for name, state in changed.items()}
    return Before(versions, date.fromisoformat(was["as_of"]) if was["as_of"] != now["as_of"] else None)


def _ids(state: str) -> list[str]:
    return [one.partition("/")[2] for one in state.split()]


def _check_types(engine: Engine, mart: Mart, as_of: date) -> None:
    """Ask for no row of a mart. Raises `MartMistyped` if a column is of another type than its page says."""
    built = engine.ask(f"SELECT * FROM ({mart.select}\n) AS built WHERE FALSE", as_of).schema
    wrong = [
        f"{column.name} is said to be {column.type} ({TYPES[column.type]}), and comes out as {built.field(name).type}"
        for name, column in zip(built.names, mart.columns, strict=True)
        if built.field(name).type != ARROW[column.type]
    ]
    if wrong:
        page = f"gold/{mart.shelf}/{mart.name}"
        fix = f"CAST it in {page}.sql, or say its `type` in {page}.md."
        raise MartMistyped(f"gold.{mart.name}: {'; '.join(wrong)}.", fix)


def stale(engine: Engine, declared: Declarations, as_of: date) -> Iterator[tuple[Mart, str]]:
    """The marts that a build would make anew, each with why; those that read such a one are among them."""
    touched = {f"reference.{name}" for name in _outdated(engine, declared)}
    for mart in in_order(declared.marts):
        needs = sorted(touched.intersection(sql.tables_of(mart.select)))
        if why := _why(engine, mart, as_of)[0] or (f"{needs[0]}, which it reads, changes" if needs else ""):
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
    inputs = {name: state(engine, name) for name in sorted(sql.tables_of(mart.select))}
    typed = "".join(f"\n{column.name} {column.type}" for column in mart.columns)
    select = hashlib.sha256((mart.select + typed).encode()).hexdigest()
    day = as_of.isoformat() if "$as_of" in mart.select else ""
    note = json.dumps({"inputs": inputs, "select": select, "as_of": day})
    last = engine.note(f"gold.{mart.name}")
    if last == note:
        return "", note
    was = json.loads(last) if last else {}
    if not was:
        return "it is not there yet", note
    if was["select"] != select:
        return "its SELECT, or the types on its page, have changed", note
    if was["as_of"] != day:
        return f"it is seen from {day}, no longer from {was['as_of']}", note
    changed = [name for name, version in inputs.items() if was["inputs"].get(name) != version]
    return f"{', '.join(changed)} changed", note


def state(engine: Engine, name: str) -> str:
    """What tells one state of an input from another."""
    layer, _, table = name.partition(".")
    if layer != "silver":
        return engine.state(name)
    base = table.removesuffix("_history").removesuffix("_all")
    told = f"{engine.state(f'silver.{base}_versions')} {engine.state(f'quarantine.{base}')}"
    listed = engine.state(suppressions.TABLE)  # behind a stroke, as what has to be the same for rows to be recomputed
    return f"{told} /{listed}" if listed else told
