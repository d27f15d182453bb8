"""The access log, moved from the journal to `audit.access_log`, and signed: what anyone may ask, and check."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from . import access, keys
from .access import Found, Head
from .engine import Engine
from .errors import LakeError
from .journal import Event, Journal

if TYPE_CHECKING:
    from .lake import Lake  # which makes the tables

TABLE, HEADS = "audit.access_log", "audit.access_heads"
SHOWN = {  # what an event tells, each a column beside the record itself
    "logged_at": pa.timestamp("us", "UTC"), "who": pa.string(), "through": pa.string(), "action": pa.string(),
    "purpose": pa.string(), "audience": pa.string(), "tables_read": pa.string(), "columns_read": pa.string(),
    "release_id": pa.int64(), "rows_shown": pa.int64(), "patients": pa.string(), "parameters": pa.string(),
    "recipient": pa.string(), "of_number": pa.int64(),
}  # fmt: skip
_RECORD = {"chain": pa.string(), "number": pa.int64(), "told": pa.string(), "digest": pa.string(), "head": pa.int64()}
SCHEMA = pa.schema({**SHOWN, **_RECORD})
_HEAD = pa.schema({"number": pa.int64(), "told": pa.string(), "signature": pa.string()})
_TYPES = {pa.string(): "TEXT", pa.int64(): "BIGINT", pa.timestamp("us", "UTC"): "TIMESTAMPTZ"}
COLUMNS, HEAD_COLUMNS = ({field.name: _TYPES[field.type] for field in schema} for schema in (SCHEMA, _HEAD))
NAME = "access-head-{:08}.json"


class AnchorUnwritable(LakeError):
    code = "LAKE-611"
    exit_code = 60
    why = "Until the head is there, a change by somebody who can write the lake would not show."


def create(engine: Engine) -> None:
    """Make the tables of the access log if they are not there."""
    engine.create(TABLE, COLUMNS, ["logged_at", "head"])
    engine.create(HEADS, HEAD_COLUMNS, ["number"])


def journal_of(root: Path) -> Journal:
    """The journal of the lake whose audit layer lies in `root`."""
    return Journal(root / "journal" / "access.sqlite")


def key_of(lake: Lake) -> Ed25519PrivateKey:
    """The key that heads are signed with: one of the vault's. Raises `SettingMissing`, `VaultKeyWrong`."""
    return Ed25519PrivateKey.from_private_bytes(keys.ring(lake.engine, lake.secrets.masters).of(keys.HEADS))


def of(lake: Lake, now: datetime) -> int:
    """Make a checkpoint of the lake's log, and export its heads if lake.yml names an anchor; how many events it moved.

    Raises `SettingMissing` without the vault's key, `AnchorUnwritable`, and what the journal and the engine raise.
    """
    moved = make(lake.engine, journal_of(lake.root("audit")), key_of(lake), now)
    exported(lake)
    return moved


def exported(lake: Lake) -> None:
    """Export the heads of the lake, if lake.yml names an anchor. Raises `AnchorUnwritable`."""
    if anchor := anchor_of(lake):
        export(stored_heads(lake.engine), anchor)


def waiting(lake: Lake) -> list[Event]:
    """The events that no checkpoint has moved yet."""
    return journal_of(lake.root("audit")).events()


def anchor_of(lake: Lake) -> Path | None:
    """The folder of the anchor; None if lake.yml names none."""
    told = lake.declared.place.anchor
    return lake.project / told if told else None


def make(engine: Engine, journal: Journal, key: Ed25519PrivateKey, now: datetime) -> int:
    """Move what the journal holds to the lake, under a new head; how many events. A kill at any instant leaves what the
    next checkpoint goes on with: events that are in the lake already are not moved twice.
    """
    heads = stored_heads(engine)
    number = heads[-1].number + 1 if heads else 1
    pending = journal.events()
    begun = {(event.chain, event.number) for event, _ in stored(engine, number)}
    fresh = [event for event in pending if (event.chain, event.number) not in begun]
    if fresh:
        engine.lend("logged", pa.Table.from_pylist([_as_row(event, number) for event in fresh], SCHEMA))
        engine.append(TABLE, "SELECT * FROM logged")
        engine.let_go("logged")
    taken = [event for event, _ in stored(engine, number)]
    if taken:
        put_head(engine, access.head(heads[-1] if heads else None, taken, now.isoformat(), key))
    journal.forget(pending)
    return len(taken)


def put_head(engine: Engine, made: Head) -> None:
    """Add a head to those of the lake."""
    engine.lend("head", pa.Table.from_pylist([made._asdict()], _HEAD))
    engine.append(HEADS, "SELECT * FROM head")
    engine.let_go("head")


def take_out(engine: Engine, head: int) -> None:
    """Take the events of all heads up to one out of the lake."""
    engine.replace(TABLE, f"SELECT {', '.join(SCHEMA.names)} FROM {TABLE} WHERE head > {head:d}")


def _as_row(event: Event, head: int) -> dict[str, Any]:
    told = json.loads(event.told)
    shown = {name: told.get(name) for name in SHOWN}
    lists = {name: ",".join(value) for name, value in shown.items() if isinstance(value, list)}
    return {**shown, **lists, "logged_at": datetime.fromisoformat(told["logged_at"]), **event._asdict(), "head": head}


def stored(engine: Engine, head: int = 0) -> list[tuple[Event, int]]:
    """The events of the lake from one head on, each with the number of its head; from 0 on, all there are, also what
    somebody has made NULL.
    """
    if engine.version(TABLE) is None:
        return []
    some = f" WHERE head >= {head}" if head else ""
    rows = engine.ask(f"SELECT chain, number, told, digest, head FROM {TABLE}{some} ORDER BY chain, number").to_pylist()
    return [(_event(row), row["head"] or 0) for row in rows]


def _event(row: Mapping[str, Any]) -> Event:
    return Event(row["chain"] or "", row["number"] or 0, row["told"] or "", row["digest"] or "")


def stored_heads(engine: Engine) -> list[Head]:
    if engine.version(HEADS) is None:
        return []
    rows = engine.ask(f"SELECT number, told, signature FROM {HEADS} ORDER BY number").to_pylist()
    return [Head(row["number"] or 0, row["told"] or "", row["signature"] or "") for row in rows]


def export(heads: Sequence[Head], anchor: Path) -> int:
    """Write the heads that the anchor has not to it, each a file that is never written again; how many.

    Raises `AnchorUnwritable`.
    """
    written = 0
    try:
        last = max((one.number for one in anchored(anchor)), default=0)
        for one in heads:
            path = anchor / NAME.format(one.number)
            if one.number > last:  # what is gone from in between is not put back: `verify` names it
                beside = path.with_suffix(".new")
                with beside.open("w", encoding="utf-8") as file:
                    json.dump(one._asdict(), file)
                    file.flush()
                    os.fsync(file.fileno())
                beside.rename(path)
                written += 1
    except OSError:
        fix = f"Let {anchor} be a folder that can be added to; `carelake audit checkpoint` tries again."
        raise AnchorUnwritable("the head of the access log could not be written to its anchor.", fix) from None
    return written


def anchored(anchor: Path) -> list[Head]:
    """The heads that the anchor keeps. One that cannot be read counts as one that is not as it was signed."""
    return list(_read(anchor))


def _read(anchor: Path) -> Iterator[Head]:
    for path in sorted(anchor.glob(NAME.format(0).replace("0" * 8, "*"))):
        number = int(path.stem.rpartition("-")[2])
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            yield Head(number, told["told"], told["signature"])
        except (OSError, ValueError, KeyError, TypeError):
            yield Head(number, "", "")


def verify(lake: Lake) -> Found:
    """Compare the log with its heads: see access.py. What its columns say is compared with the record itself, and the
    key of the heads with the vault's, where that is known.
    """
    engine, anchor = lake.engine, anchor_of(lake)
    kept = anchored(anchor) if anchor else None
    found = access.verify(stored(engine), waiting(lake), stored_heads(engine), kept, _public_key(lake))
    if anchor and not anchor.is_dir():
        found = replace(found, flaws=("the folder of the anchor is not there", *found.flaws))
    odd = (f"record {chain}/{number}" for chain, number in _odd(engine))
    wrong = tuple(f"{record}: a column says another thing than the record" for record in odd)
    return replace(found, flaws=(*found.flaws, *wrong))


def _public_key(lake: Lake) -> str:
    """Of the key that heads are signed with; empty where nobody has the vault's, as on an auditor's machine."""
    try:
        return key_of(lake).public_key().public_bytes_raw().hex()
    except LakeError:
        return ""


def _odd(engine: Engine) -> Iterator[tuple[str, int]]:
    """The records one of whose columns was changed."""
    if engine.version(TABLE) is None:
        return
    names = ", ".join(SCHEMA.names)
    for row in engine.ask(f"SELECT {names} FROM {TABLE} ORDER BY chain, number").to_pylist():
        event = _event(row)
        try:
            same = _as_row(event, row["head"]) == row
        except (ValueError, KeyError, TypeError, AttributeError):
            same = False
        if not same:
            yield event.chain, event.number
