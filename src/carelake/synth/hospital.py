"""A hospital's database and its claim files: made whole on day 1, changed on each following day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import ledgers, people, planted, staff, visits
from .accounts import Accounts, accounts
from .draw import Flags, Ints, below, chance, draw
from .files import csv_file
from .planted import chunks
from .recipe import Hospital
from .stores import Store
from .truth import Changes, ClaimFile, HospitalTruth, Tally

DUPLICATES = 5  # of a thousand lines of a claim file, with defects
CHANGED = {"hos-a": "ModifiedDate", "hos-b": "Updated_Date"}  # the patients' watermark
BY_ID: Mapping[str, Callable[[Hospital, Ints, int], Any]] = {
    "patients": people.patients,
    "encounters": visits.encounters,
}
Write = Callable[[Any], None]


@dataclass(frozen=True)
class Made:
    truth: HospitalTruth
    tally: Tally


@dataclass(frozen=True)
class Work:
    """One hospital on one day: where it goes, and in which pieces."""

    hospital: Hospital
    day: int
    store: Store
    landing: Path | None  # no claim file without it
    chunk: int

    @property
    def claim_file(self) -> AbstractContextManager[Write]:
        """What writes into the day's claim file."""
        if self.landing is None:
            return nullcontext(_drop)
        day = "" if self.day == 1 else f"_{self.hospital.recipe.date_of(self.day):%Y%m%d}"
        name = f"hospital{self.hospital.number}_claim_data{day}.csv"
        return csv_file(self.landing / "claims" / name, ledgers.claim_columns(self.hospital))


def fill(work: Work) -> Made:
    """Everything the hospital has on day 1, in an empty database."""
    hospital, store = work.hospital, work.store
    for table, rows in BY_ID.items():
        for ids in chunks(hospital.count(table, 1), work.chunk):
            _append(store, table, rows(hospital, ids, 1), ids)
    for table, listed in _lists(hospital, 1).items():
        store.create(table, listed.schema)
        store.append(table, listed)
    tally, found, lines = Tally(hospital.today(1)), Counter[str](), Counter[str]()
    with work.claim_file as write:
        for ids in chunks(hospital.count("transactions", 1), work.chunk):
            state = accounts(hospital, ids, 1)
            _append(store, "transactions", ledgers.transactions(hospital, state), ids)
            lines.update(_send(work, state, {"new": np.ones(len(ids), dtype=np.bool_)}, write))
            tally.add(state)
            found.update(planted.in_accounts(hospital, state, 1))
    for table in ("encounters", "transactions"):
        store.index(table, "ModifiedDate")
    store.index("patients", CHANGED[hospital.name])
    changes = {table: Changes(inserted=count) for table, count in _rows(hospital, 1).items()}
    return _made(work, changes, found, lines, tally)


def change(work: Work) -> Made:
    """The same hospital a day later: only what the day touches is written, and all of it is counted again."""
    hospital, store, day = work.hospital, work.store, work.day
    changes = {}
    for table, rows in BY_ID.items():
        touched, new = hospital.touched(table, day), _new(hospital, table, day)
        store.upsert(table, rows(hospital, np.concatenate([touched, new]), day))
        changes[table] = Changes(len(new), len(touched))
    for table, listed in _lists(hospital, day).items():
        changes[table] = _relisted(_lists(hospital, day - 1)[table], listed)
        store.replace(table, listed)
    found, lines = _change_accounts(work)
    touched, new = hospital.touched("transactions", day), _new(hospital, "transactions", day)
    changes["transactions"] = Changes(len(new), len(touched))
    tally = Tally(hospital.today(day))
    for ids in chunks(hospital.count("transactions", day), work.chunk):
        state = accounts(hospital, ids, day)
        tally.add(state)
        found.update(planted.in_accounts(hospital, state, day))
    return _made(work, changes, found, lines, tally)


def _change_accounts(work: Work) -> tuple[Counter[str], Counter[str]]:
    """Write the transactions of a following day and its claim file; count what was done and what was sent."""
    hospital, day = work.hospital, work.day
    touched, new = hospital.touched("transactions", day), _new(hospital, "transactions", day)
    before = accounts(hospital, touched, day - 1)
    after = accounts(hospital, np.concatenate([touched, new]), day)
    work.store.upsert("transactions", ledgers.transactions(hospital, after))
    is_new = after.visits.ids >= hospital.count("transactions", day - 1)
    with work.claim_file as write:
        lines = _send(work, after, {"new": is_new, "changed": _sent_again(before, after)}, write)
        quiet = accounts(hospital, _untouched(work), day)
        lines.update(_send(work, quiet, {"resent": np.ones(len(quiet.amount), dtype=np.bool_)}, write))
    return planted.in_changes(hospital, before, after, day), lines


def _send(work: Work, state: Accounts, why: Mapping[str, Flags], write: Write) -> Counter[str]:
    """Write claim lines about these accounts, and some of them twice. How many lines there were, and why."""
    insured = ~people.is_self_pay(state.visits.payer)
    place = np.flatnonzero(np.logical_or.reduce(list(why.values())) & insured)
    bits = draw(work.hospital.seed, "duplicate", state.visits.ids[place], work.day)
    twice = chance(bits, DUPLICATES * work.hospital.recipe.defects)
    twice[:1] |= work.day > 1 and work.hospital.recipe.defects  # so that the day of a small hospital has one, too
    write(ledgers.claims(work.hospital, state, np.repeat(place, 1 + twice)))
    sent = Counter[str]({reason: int((flag & insured).sum()) for reason, flag in why.items()})
    sent["duplicates"] = int(twice.sum())
    return sent


def _sent_again(before: Accounts, after: Accounts) -> Flags:
    """Which claims were decided or adjusted, of accounts that were there before."""
    differs = np.zeros(len(after.amount), dtype=np.bool_)
    old = len(before.amount)
    for name in ("amount", "insurer_paid", "status"):
        differs[:old] |= getattr(before, name) != getattr(after, name)[:old]
    return differs


def _untouched(work: Work) -> Ints:
    """Some accounts whose claims the insurers send once more, as they were."""
    rows = work.hospital.count("transactions", work.day - 1)
    wanted = np.arange(work.hospital.recipe.defects * (1 + work.hospital.new_a_day // 10), dtype=np.int64)
    some = np.unique(below(draw(work.hospital.seed, "resent", wanted, work.day), rows))
    return np.setdiff1d(some, work.hospital.touched("transactions", work.day))


def _made(work: Work, changes: Mapping[str, Changes], found: Counter[str], lines: Counter[str], tally: Tally) -> Made:
    found.update(planted.in_people(work.hospital, work.day, work.chunk))
    reasons = {reason: lines[reason] for reason in ("new", "changed", "resent", "duplicates")}
    sent = None if work.landing is None else ClaimFile(lines=lines.total(), **reasons)
    truth = HospitalTruth(_rows(work.hospital, work.day), changes, sent, dict(found), tally.kpis())
    return Made(truth, tally)


def _append(store: Store, table: str, rows: Any, ids: Ints) -> None:
    if ids[0] == 0:
        store.create(table, rows.schema)
    store.append(table, rows)


def _new(hospital: Hospital, table: str, day: int) -> Ints:
    return np.arange(hospital.count(table, day - 1), hospital.count(table, day), dtype=np.int64)


def _rows(hospital: Hospital, day: int) -> dict[str, int]:
    counted = {table: hospital.count(table, day) for table in ("patients", "encounters", "transactions")}
    return counted | {table: listed.num_rows for table, listed in _lists(hospital, day).items()}


def _lists(hospital: Hospital, day: int) -> dict[str, Any]:
    return {"providers": staff.providers(hospital, day), "departments": staff.departments(day)}


def _relisted(before: Any, after: Any) -> Changes:
    old, new = (set(table.column(0).to_pylist()) for table in (before, after))
    return Changes(inserted=len(new - old), deleted=len(old - new))


def _drop(table: Any) -> None:
    """Nobody wants it."""
