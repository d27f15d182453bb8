"""What is true of the hospitals just made: counted while they are made, in whole cents, never read back.

A charge counts if its service is not after `as_of`; a payment if, besides, it was not made after `as_of`. Accounts
receivable are charges less payments. Its buckets go by days since the service and hold what is owed; credits, accounts
on which more was paid than charged, stand apart, and all together are the total.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import numpy as np

from .accounts import Accounts
from .draw import Ints
from .people import is_self_pay
from .recipe import Change, Recipe
from .words import STATUSES

FILE = "truth.json"
BUCKETS = ("0-30", "31-60", "61-90", "91-120", "over 120")
LAST_DAYS = np.array([30, 60, 90, 120], dtype=np.int64)
WINDOW = 90


@dataclass(frozen=True)
class Claims:
    count: int
    billed: Decimal
    paid: Decimal


@dataclass(frozen=True)
class Kpis:
    charges: Decimal
    payments: Decimal
    ar_total: Decimal  # with credits, which are negative
    ar_by_bucket: Mapping[str, Decimal]
    ar_credits: Decimal
    gross_collection_rate: Decimal | None  # of 1, to six places, half up
    charges_of_90_days: Decimal
    days_in_ar: Decimal | None  # to two places, half up
    claims_by_status: Mapping[str, Claims]


@dataclass(frozen=True)
class Changes:
    """Rows of a table that a day adds, changes and takes away."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0


@dataclass(frozen=True)
class ClaimFile:
    """Lines of the day's claim file, without its header: `lines` is the sum of the others."""

    lines: int
    new: int  # claims that no file had before
    changed: int  # claims decided or adjusted since
    resent: int  # lines as an earlier file has them
    duplicates: int  # lines that stand twice in this file


@dataclass(frozen=True)
class HospitalTruth:
    rows: Mapping[str, int]  # of each table, at the end of the day
    changes: Mapping[str, Changes]  # of each table, on that day
    claim_file: ClaimFile | None
    planted: Mapping[str, int]
    kpis: Kpis


@dataclass(frozen=True)
class Truth:
    made_with: Recipe
    day: int
    as_of: date  # the calendar day of `day`
    hospitals: Mapping[str, HospitalTruth]
    kpis: Kpis  # of both hospitals


@dataclass
class Tally:
    """Sums over accounts, in cents, which are added up chunk by chunk."""

    today: int
    charges: int = 0
    payments: int = 0
    credits: int = 0
    recent_charges: int = 0
    buckets: Ints = field(default_factory=lambda: np.zeros(len(BUCKETS), dtype=np.int64))
    claims: Ints = field(default_factory=lambda: np.zeros((3, len(STATUSES)), dtype=np.int64))

    def add(self, state: Accounts) -> None:
        """Count these accounts in."""
        age = self.today - state.visits.service
        counts = age >= 0
        amount, age = state.amount[counts], age[counts]
        paid = np.where(state.paid_on <= self.today, state.paid, 0)[counts]
        balance = amount - paid
        bucket, owed = np.searchsorted(LAST_DAYS, age), np.maximum(balance, 0)
        self.charges += int(amount.sum())
        self.payments += int(paid.sum())
        self.credits += int(np.minimum(balance, 0).sum())
        self.recent_charges += int(amount[age < WINDOW].sum())
        for place in range(len(BUCKETS)):
            self.buckets[place] += int(owed[bucket == place].sum())
        self._add_claims(state)

    def _add_claims(self, state: Accounts) -> None:
        insured = ~is_self_pay(state.visits.payer)
        for place in range(len(STATUSES)):
            these = insured & (state.status == place)
            facts = (these.sum(), state.amount[these].sum(), state.insurer_paid[these].sum())
            self.claims[:, place] += np.array(facts, dtype=np.int64)

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        ours, theirs = vars(self), vars(other)
        return Tally(**{**{name: ours[name] + theirs[name] for name in ours}, "today": self.today})

    def kpis(self) -> Kpis:
        """The figures of what was counted."""
        total = self.charges - self.payments
        return Kpis(
            charges=dollars(self.charges),
            payments=dollars(self.payments),
            ar_total=dollars(total),
            ar_by_bucket={name: dollars(int(cents)) for name, cents in zip(BUCKETS, self.buckets, strict=True)},
            ar_credits=dollars(self.credits),
            gross_collection_rate=_ratio(self.payments, self.charges, "0.000001"),
            charges_of_90_days=dollars(self.recent_charges),
            days_in_ar=_ratio(total * WINDOW, self.recent_charges, "0.01"),
            claims_by_status={
                name: Claims(int(count), dollars(int(billed)), dollars(int(paid)))
                for name, (count, billed, paid) in zip(STATUSES, self.claims.T, strict=True)
            },
        )


def dollars(cents: int) -> Decimal:
    """Cents as dollars, to two places."""
    return Decimal(cents).scaleb(-2)


def _ratio(part: int, whole: int, places: str) -> Decimal | None:
    return (Decimal(part) / Decimal(whole)).quantize(Decimal(places), ROUND_HALF_UP) if whole else None


def write(folder: Path, truth: Truth) -> None:
    """Put it beside the hospitals, amounts as text, whole or not at all."""
    part = folder / f"{FILE}.part"
    part.write_text(json.dumps(asdict(truth), indent=2, default=str) + "\n", encoding="utf-8")
    part.replace(folder / FILE)


def recipe_of(folder: Path) -> Recipe | None:
    """What the hospitals in this folder were made with; None if there are none."""
    path = folder / FILE
    if not path.is_file():
        return None
    says: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["made_with"]
    days = tuple(Change(**change) for change in says.pop("days"))
    return Recipe(**{**says, "as_of": date.fromisoformat(says["as_of"]), "days": days})
