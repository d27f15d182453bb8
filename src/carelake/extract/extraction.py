"""Makes an extract: pseudonyms, tables, suppression, files. The latest release is what leaves."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from .. import bronze, release
from ..errors import LakeError
from ..foreign import in_our_words
from ..lake import Lake, root
from . import risk, selection
from .selection import PSEUDONYM, Selected

TABLE = "audit.extracts"
COLUMNS = {
    "id": "BIGINT", "profile": "TEXT", "recipient": "TEXT", "address": "TEXT", "agreement": "TEXT", "purpose": "TEXT",
    "who": "TEXT", "made_at": "TIMESTAMPTZ", "as_of": "DATE", "release": "BIGINT", "rows_out": "BIGINT",
    "persons": "BIGINT", "evidence_sha256": "TEXT",
}  # fmt: skip
PSEUDONYMS = "vault.pseudonym"
MINTED = {
    "extract": "BIGINT", "namespace": "TEXT", "source_system": "TEXT", "stored": "TEXT", "pseudonym": "TEXT",
}  # fmt: skip
SHIFTED = 182  # days, at most, back or forth: half a year, so that seasons tell little
AT_ONCE = 250_000  # values that pass through Python together
AGREED = "limited_data_set"  # the profile that is still protected health information: 45 CFR 164.514(e)


class ExtractRefused(LakeError):
    code = "LAKE-620"
    exit_code = 60
    why = "What has left cannot be called back."


class ToldTo(Protocol):
    """Whoever is told whose rows leave, before they do."""

    def asked(self, tables: Sequence[str], columns: Sequence[str], release: int) -> int: ...

    def shown(self, number: int, many: int, keys: Sequence[int]) -> None: ...


@dataclass(frozen=True)
class Order:
    """What is wanted, by whom, for whom and what for."""

    profile: str
    recipient: str
    address: str
    purpose: str
    agreement: str
    out: Path
    who: str
    now: datetime
    as_of: date  # the day of ages
    smallest_class: int  # persons in smaller ones show no quasi-identifiers; 1 suppresses nobody


@dataclass(frozen=True)
class Made:
    """What an extract holds, as far as it is known before its evidence is written."""

    id: int
    release: int
    tables: Sequence[Selected]
    rows: Mapping[str, int]
    parts: Mapping[str, str]  # file below the folder -> its SHA-256
    before: Mapping[str, Any]  # indicators of risk, without suppression
    after: Mapping[str, Any]
    suppressed: int  # persons whose quasi-identifiers are not told
    left_out: int  # persons whose rows do not leave


def refused(lake: Lake, order: Order) -> None:
    """Raises `ExtractRefused` for what may not be made."""
    if order.profile not in selection.PROFILES:
        raise ExtractRefused(
            f"there is no profile '{order.profile[:40]}'.", f"Take one of {', '.join(selection.PROFILES)}."
        )
    if order.profile == selection.CUSTOM:
        _refuse_custom(lake, order)
    if not order.recipient.strip():
        raise ExtractRefused("it is not said who gets it.", "Give --recipient.")
    if order.profile == AGREED and not order.agreement.strip():
        fix = "Give --agreement with the id of the data use agreement that the recipient has signed."
        raise ExtractRefused("a limited data set leaves under a data use agreement only (45 CFR 164.514(e)(4)).", fix)
    if order.profile != AGREED and order.as_of < order.now.date():
        found = "ages of an earlier day would tell of persons over 89 that they are younger."
        raise ExtractRefused(found, "Leave --as-of out, or name a day that is not over.")
    inside = [name for name, folder in _roots(lake).items() if order.out.resolve().is_relative_to(folder)]
    if inside:
        raise ExtractRefused(f"--out lies in the lake's own folder '{inside[0]}'.", "Name one outside of the lake.")
    if not os.access(order.out.parent, os.W_OK) or not order.out.parent.is_dir():
        raise ExtractRefused("no folder can be made where --out is.", "Name one in a folder that you may write to.")
    if order.out.exists():
        raise ExtractRefused("the folder of --out is there already.", "Name a new one: an extract is never added to.")
    last = release.latest(lake.engine)
    if last is None:
        raise ExtractRefused("nothing is released yet.", "Run `carelake run`, and try again.")
    names = [f"silver.{name}_versions" for name in lake.declared.extracts.tables]
    if moved := [name for name in names if lake.engine.version(name) != last.tables.get(name)]:
        found = f"{', '.join(moved)} {'has' if len(moved) == 1 else 'have'} moved on since the latest release."
        raise ExtractRefused(found, "See `carelake releases` for what holds it; then run, and try again.")


def _refuse_custom(lake: Lake, order: Order) -> None:
    """Raises `ExtractRefused` for a custom extract that is not declared, or whose determination has ended."""
    custom = lake.declared.policy.custom
    if custom is None:
        fix = "Let privacy.yml say `custom: {is: ..., seen: {kind: treatment, ...}}`, and the privacy officer sign it."
        raise ExtractRefused("the project declares no custom extract.", fix)
    persons = lake.declared.extracts.persons
    shown = {column.name for one in selection.selected(lake.declared, order.profile) if one.table == persons
             for column in one.shown}  # fmt: skip
    if lake.declared.tables[persons].own_key not in shown:
        fix = "Let `seen` name `record_number: pseudonym`: by it the rows of one person are told from another's."
        raise ExtractRefused(f"the custom extract shows no key of {persons}.", fix)
    ends = custom.determination.until if custom.determination else ""
    if ends and ends < order.now.date().isoformat():
        fix = "Have it determined anew, and say so in privacy.yml; or take the determination out: it is PHI then."
        raise ExtractRefused(f"the determination that it is de-identified ended on {ends}.", fix)


def make(lake: Lake, order: Order, log: ToldTo) -> Made:
    """Make the files of an extract in a folder beside `order.out`, which becomes it once the evidence is there.

    Raises `ExtractRefused`, and what the engine and the log raise.
    """
    refused(lake, order)
    engine, declared = lake.engine, lake.declared
    engine.create(TABLE, COLUMNS, ["id"])
    engine.create(PSEUDONYMS, MINTED, ["extract", "namespace", "source_system"])
    number = int(engine.ask(f"SELECT COALESCE(MAX(extract), 0) + 1 AS id FROM {PSEUDONYMS}").to_pylist()[0]["id"])
    tables = selection.selected(declared, order.profile)
    last = release.latest(engine)
    asked = log.asked(
        [f"silver.{one.table}" for one in tables],
        [f"silver.{one.table}.{column.column}" for one in tables for column in one.shown],
        last.id if last else 0,
    )
    _mint(lake, tables, number)
    for one in tables:
        engine.hold(_held(one.table), one.select, order.as_of)
    before = _indicators(lake, tables, _held)
    suppressed, left_out = _suppress(lake, tables, order.smallest_class)
    rows = {one.table: engine.hold(_out(one.table), _told(lake, one)) for one in tables}
    after = _indicators(lake, tables, _out)
    _tell(lake, log, asked, tables, rows)
    parts = _write(lake, tables, work(order))
    engine.let_go("unnamed", "pseudonym_of", risk.SMALL, risk.GONE)
    engine.let_go(*(name(one.table) for one in tables for name in (_held, _out)))
    return Made(number, last.id if last else 0, tables, rows, parts, before, after, suppressed, left_out)


def _roots(lake: Lake) -> dict[str, Path]:
    return {name: root(lake.project, lake.declared, name) for name in lake.declared.place.roots}


def work(order: Order) -> Path:
    """Where an extract lies until it is whole: a folder of its own, beside the one that it becomes."""
    return order.out.with_name(f".{order.out.name}-{order.now:%Y%m%dT%H%M%S%f}-{os.getpid()}.undone")


def _held(table: str) -> str:
    return f"treated_{table}"


def _out(table: str) -> str:
    return f"leaving_{table}"


def _mint(lake: Lake, tables: Sequence[Selected], number: int) -> None:
    """Give every value that wants one a pseudonym: random, of this extract only, and kept in the vault."""
    engine = lake.engine
    wanted = selection.to_mint(lake.declared, tables)
    engine.hold("unnamed", wanted or "SELECT namespace, source_system, stored FROM vault.pseudonym WHERE FALSE")
    while (new := engine.ask(f"SELECT * FROM unnamed LIMIT {AT_ONCE}")).num_rows:
        columns = {name: new[name] for name in ("namespace", "source_system", "stored")}
        names = pa.array([_random(namespace) for namespace in columns["namespace"].to_pylist()], pa.string())
        numbers = pa.repeat(pa.scalar(number, pa.int64()), new.num_rows)
        engine.lend("minted", pa.table({"extract": numbers, **columns, "pseudonym": names}))
        engine.append(PSEUDONYMS, "SELECT * FROM minted")
        same = "minted.namespace = unnamed.namespace AND minted.source_system = unnamed.source_system"
        engine.hold(
            "rest",
            f"SELECT unnamed.* FROM unnamed LEFT JOIN minted ON {same} AND minted.stored = unnamed.stored"
            " WHERE minted.stored IS NULL",
        )
        engine.hold("unnamed", "SELECT * FROM rest")
        engine.let_go("minted", "rest")
    engine.hold("pseudonym_of", f"SELECT * FROM {PSEUDONYMS} WHERE extract = {number}")


def _random(namespace: str) -> str:
    """Eighty random bits, as sixteen signs; of how many days dates are shifted, a number that is not 0."""
    if namespace == selection.SHIFT:
        return str(secrets.choice((-1, 1)) * (1 + secrets.randbelow(SHIFTED)))
    return base64.b32encode(secrets.token_bytes(10)).decode()


# --- who could be told apart -----------------------------------------------------------------------------------------


def _persons(lake: Lake, tables: Sequence[Selected]) -> tuple[str, str, list[str]]:
    """The table of persons, its key, and its quasi-identifiers that leave."""
    told = lake.declared.extracts
    (persons,) = (one for one in tables if one.table == told.persons)
    quasi = [column.name for column in persons.shown if column.column in told.quasi_identifiers]
    return told.persons, lake.declared.tables[told.persons].own_key, quasi


def _indicators(lake: Lake, tables: Sequence[Selected], relation: Any) -> dict[str, Any]:
    persons, key, quasi = _persons(lake, tables)
    found = lake.engine.ask(risk.indicators(relation(persons), quasi)).to_pylist()[0]
    told = {name: int(value) for name, value in found.items()}
    events = {
        relation(one.table): [c.name for c in one.shown if c.column in lake.declared.extracts.events]
        for one in tables
        if one.table != persons and key in [column.name for column in one.shown]
    }
    asked = risk.by_events({name: columns for name, columns in events.items() if columns}, key)
    alone = int(lake.engine.ask(asked).to_pylist()[0]["alone"]) if asked else 0
    return {**told, "alone_by_two_events": alone, "quasi_identifiers": quasi}


def _suppress(lake: Lake, tables: Sequence[Selected], smallest: int) -> tuple[int, int]:
    """Say who is suppressed and who is left out, as relations of this run; how many are."""
    persons, key, quasi = _persons(lake, tables)
    classes = risk.classes(_held(persons), key, quasi)
    few = lake.engine.hold(risk.SMALL, f"SELECT {key} FROM ({classes}) AS class WHERE alike < {smallest}")
    nobody = "" if 0 < few < smallest else " WHERE FALSE"
    gone = lake.engine.hold(risk.GONE, f"SELECT {key} FROM {risk.SMALL}{nobody}")
    return few - gone, gone


def _told(lake: Lake, one: Selected) -> str:
    _, key, quasi = _persons(lake, [one]) if one.table == lake.declared.extracts.persons else ("", "", [])
    key = lake.declared.tables[lake.declared.extracts.persons].own_key
    columns = [column.name for column in one.shown]
    return risk.told(columns, quasi, _held(one.table), key) if key in columns else f"SELECT * FROM {_held(one.table)}"


# --- what leaves -----------------------------------------------------------------------------------------------------


def _tell(lake: Lake, log: ToldTo, asked: int, tables: Sequence[Selected], rows: Mapping[str, int]) -> None:
    """Say in the access log how many rows leave of each table, and whose."""
    persons, key, _ = _persons(lake, tables)
    left = f"SELECT person.{key} FROM silver.{persons} AS person"
    if any(column.name == key and column.treatment == PSEUDONYM for one in tables for column in one.shown):
        named = f"named.namespace = '{key}' AND named.stored = CAST(person.{key} AS TEXT)"
        left += f" INNER JOIN pseudonym_of AS named ON {named} AND named.source_system = person.source_system"
        left += f" INNER JOIN {_out(persons)} AS leaving ON leaving.{key} = named.pseudonym"
    keys = lake.engine.ask(left)[key].to_pylist()
    for start in range(0, max(len(keys), 1), 10_000):
        log.shown(asked, sum(rows.values()) if start == 0 else 0, keys[start : start + 10_000])


def _write(lake: Lake, tables: Sequence[Selected], folder: Path) -> dict[str, str]:
    """Write each table in an order that says nothing of where its rows were."""
    with in_our_words("write"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
    parts = {}
    for one in tables:
        columns = ", ".join(column.name for column in one.shown)
        for path in lake.engine.write_files(
            f"SELECT {columns} FROM {_out(one.table)} ORDER BY {columns}", folder / one.table
        ):
            bronze.durable(path)
            parts[str(path.relative_to(folder))] = bronze.digest(path)
    return parts
