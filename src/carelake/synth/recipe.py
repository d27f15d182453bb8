"""What is made: how many of everything, when each row appears, and which rows a following day touches.

Row numbers grow with time, as in a real system: row n is older than row n + 1. Everything here is integer arithmetic
on row numbers, so that any row of any day can be made without the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache

import numpy as np

from .draw import Ints, below, chance, draw

HISTORY = 730  # days of transactions that the hospitals have on day 1
RECENT = 20  # the newest of twenty rows are the recent ones
EPOCH = date(1970, 1, 1)
LATE_PER_MILLE = 40  # of the rows that a day touches: stamped the day before, after that day was extracted
RETIRING = 5  # providers who leave, one a day from day 2 on: the last ones of each list


@dataclass(frozen=True)
class Change:
    """How a following day changes what is there."""

    changed_share: float = 0.005  # of the transactions: new ones and changed ones together
    recent_share: float | None = 0.9  # of the changed ones, how many are recent; None takes any key


@dataclass(frozen=True)
class Recipe:
    seed: int
    patients: int  # of both hospitals together, as are the transactions
    transactions: int
    as_of: date  # day 1
    defects: bool
    detailed: bool = False  # columns that not every hospital has: stays, drugs, allowed amounts, types of bill
    days: tuple[Change, ...] = ()  # day 2, day 3, ...

    @property
    def day(self) -> int:
        return 1 + len(self.days)

    def followed_by(self, change: Change) -> Recipe:
        """The same hospitals one day later."""
        return replace(self, days=(*self.days, change))

    def date_of(self, day: int) -> date:
        """The calendar day of day 1, 2, 3 ..."""
        return self.as_of + timedelta(days=day - 1)


@dataclass(frozen=True)
class Hospital:
    name: str  # the source system
    number: int
    recipe: Recipe
    patients: int  # on day 1
    transactions: int  # on day 1

    @property
    def seed(self) -> str:
        return f"{self.recipe.seed}/{self.number}"

    @property
    def encounters(self) -> int:
        return max(1, self.transactions // 2)

    @property
    def providers(self) -> int:
        """Who is listed on day 1."""
        return min(400, 24 + self.number + self.patients // 250)

    @property
    def new_a_day(self) -> int:
        """Transactions that come with each following day."""
        return max(1, self.transactions // HISTORY)

    @property
    def _newcomers(self) -> int:
        """Patients of day 1 who were registered during the history; the others were there before it."""
        return min(-(-self.patients * 2 // 5), self.encounters)

    def today(self, day: int) -> int:
        """The day's number since 1970."""
        return (self.recipe.date_of(day) - EPOCH).days

    def count(self, table: str, day: int) -> int:
        """Rows in the table at the end of that day."""
        transactions = self.transactions + (day - 1) * self.new_a_day
        if table == "transactions":
            return transactions
        encounters = (transactions - 1) * self.encounters // self.transactions + 1
        if table == "encounters":
            return encounters
        last = np.array([encounters - 1], dtype=np.int64)
        return int(self.known_patients(last)[0])

    def known_patients(self, encounters: Ints) -> Ints:
        """How many patients were registered when each encounter took place."""
        return self.patients - self._newcomers + encounters * self._newcomers // self.encounters + 1

    def encounter_of(self, transactions: Ints) -> Ints:
        """The encounter each transaction belongs to: none, one or several transactions an encounter, two on average."""
        back = np.maximum(transactions - below(draw(self.seed, "encounter of", transactions), 6), 0)
        encounter: Ints = back * self.encounters // self.transactions
        return encounter

    def transactions_appear(self, ids: Ints) -> Ints:
        """The day each transaction is entered."""
        past = self.today(1) - HISTORY + 1 + ids * HISTORY // self.transactions
        later = self.today(2) + (ids - self.transactions) // self.new_a_day
        return np.where(ids < self.transactions, past, later)

    def encounters_appear(self, ids: Ints) -> Ints:
        """The day each encounter is entered: no later than its first transaction."""
        return self.transactions_appear(-(-ids * self.transactions // self.encounters))

    def patients_appear(self, ids: Ints) -> Ints:
        """The day each patient is registered: no later than the first encounter."""
        before = self.patients - self._newcomers
        first = -(-np.maximum(ids - before, 0) * self.encounters // self._newcomers)
        long_ago = self.today(1) - HISTORY - below(draw(self.seed, "registered", ids), 5 * 365)
        return np.where(ids < before, long_ago, self.encounters_appear(first))

    def touched(self, table: str, day: int) -> Ints:
        """The rows of the day before that a following day changes, ascending."""
        return _touched(self, table, day)

    def touched_among(self, table: str, day: int, ids: Ints) -> Ints:
        """Where in `ids` (ascending) the touched rows of that day stand."""
        touched = self.touched(table, day)
        touched = touched[(touched >= ids[0]) & (touched <= ids[-1])] if len(ids) else touched[:0]
        place = np.searchsorted(ids, touched)
        found: Ints = place[ids[place] == touched]
        return found

    def stamped(self, table: str, ids: Ints, day: int) -> Ints:
        """The day that a row entered or changed on `day` bears: for some, with defects, the day before."""
        late = chance(draw(self.seed, f"late {table}", ids, day), LATE_PER_MILLE * self.recipe.defects)
        return self.today(day) - late.astype(np.int64)


def hospitals(recipe: Recipe) -> tuple[Hospital, Hospital]:
    """The two hospitals, which share the patients and transactions evenly; each has at least one."""
    patients, transactions = max(2, recipe.patients), max(2, recipe.transactions)
    first = Hospital("hos-a", 1, recipe, patients - patients // 2, transactions - transactions // 2)
    return first, Hospital("hos-b", 2, recipe, patients // 2, transactions // 2)


@lru_cache(maxsize=64)
def _touched(hospital: Hospital, table: str, day: int) -> Ints:
    rows = hospital.count(table, day - 1)
    change = hospital.recipe.days[day - 2]
    share = change.changed_share if table == "transactions" else change.changed_share / 5
    wanted = max(1, round(rows * share) - (hospital.new_a_day if table == "transactions" else 0))
    order = np.arange(wanted, dtype=np.int64)
    bits = draw(hospital.seed, f"touched {table}", order, day)
    if change.recent_share is None:
        return np.unique(below(bits, rows))
    old = rows - max(1, rows // RECENT)
    recent = order < round(wanted * change.recent_share)
    return np.unique(np.where(recent | (old == 0), old + below(bits, rows - old), below(bits, max(old, 1))))
