"""What stands on each transaction at the end of a day: charge, payments, and how its claim stands.

On the day a transaction appears (day 1 for the history) its state follows from its charge and two lags, the insurer's
and the patient's. From then on only the following days that touch it change it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import visits
from .columns import NO_DAY
from .draw import Flags, Ints, below, chance, draw, lognormal, pick, spread
from .people import is_self_pay
from .recipe import Hospital
from .words import BAD_ICD_CODES, ICD_CODES, ICD_EACH, PROCEDURES, STATUSES

PENDING, APPROVED, PAID, DENIED, REJECTED = range(len(STATUSES))
VERDICTS = (715, 200, 62, 18, 5)  # of a thousand: paid whole, in part, denied, rejected, paid too much
WHOLE, PART, DENIES, REJECTS, TOO_MUCH = range(len(VERDICTS))


@dataclass
class Accounts:
    """The state of some transactions, in cents, days since 1970, and places in lists."""

    visits: visits.Visits
    amount: Ints
    paid: Ints
    paid_on: Ints
    insurer_paid: Ints
    status: Ints  # of the claim
    billed_to_patient: Flags
    icd: Ints
    inserted: Ints
    modified: Ints
    claim_date: Ints
    claim_modified: Ints


def accounts(hospital: Hospital, ids: Ints, day: int) -> Accounts:
    """The transactions `ids` (ascending) at the end of that day."""
    state, offered = _appeared(hospital, ids)
    for following in range(2, day + 1):
        place = hospital.touched_among("transactions", following, ids)
        _touch(hospital, state, offered, place, following)
    return state


def _appeared(hospital: Hospital, ids: Ints) -> tuple[Accounts, Ints]:
    """Each on the day it appeared, or on day 1; and what the insurer pays or has paid."""
    seed, seen = hospital.seed, visits.visits(hospital, ids)
    clock = np.maximum(seen.appeared, hospital.today(1))
    amount, verdict = _charges(seed, ids, seen.procedure), _verdicts(hospital, seen)
    offered = _offers(seed, ids, amount, verdict)
    first = np.maximum(seen.service + spread(draw(seed, "first lag", ids), lognormal(21, 0.6)), seen.appeared)
    early = 7 * chance(draw(seed, "postdated", ids), 50 * hospital.recipe.defects)
    settled = first <= clock + early
    final = first + 1 + spread(draw(seed, "second lag", ids), lognormal(35, 0.7))
    cleared = (offered < amount) & chance(draw(seed, "is cleared", ids), 920) & (final <= clock)
    paid = np.where(cleared, amount, np.where(settled, offered, 0))
    paid_on = np.where(paid == 0, NO_DAY, np.where(cleared, final, first))
    status = np.where(settled, _decided(verdict), np.where((verdict <= PART) & (first <= clock + 5), APPROVED, PENDING))
    inserted = _stamped(hospital, ids, seen.appeared)
    settled_on = np.where(settled, np.minimum(first, clock), inserted)
    claim_date = np.minimum(seen.appeared + below(draw(seed, "claim lag", ids), 4), clock)
    approved_on = np.where(status == APPROVED, np.minimum(first - 5, clock), 0)
    state = Accounts(
        visits=seen,
        amount=amount,
        paid=paid,
        paid_on=paid_on,
        insurer_paid=np.where(settled, offered, 0),
        status=status,
        billed_to_patient=settled & (offered == 0),
        icd=_diagnoses(hospital, ids, seen.department),
        inserted=inserted,
        modified=np.maximum(settled_on, np.where(cleared, final, inserted)),
        claim_date=claim_date,
        claim_modified=np.maximum(claim_date, np.maximum(np.where(settled, settled_on, 0), approved_on)),
    )
    return state, offered


def _verdicts(hospital: Hospital, seen: visits.Visits) -> Ints:
    """What the first payer will decide. Patients who pay themselves deny nothing: they pay a part."""
    verdict = pick(draw(hospital.seed, "verdict", seen.ids), VERDICTS)
    verdict = np.where((verdict == TOO_MUCH) & (not hospital.recipe.defects), WHOLE, verdict)
    return np.where(is_self_pay(seen.payer) & (verdict >= DENIES), PART, verdict)


def _charges(seed: str, ids: Ints, procedure: Ints) -> Ints:
    """A list price per procedure, skewed, and up to 40 % more or less of it; in cents, 1.00 at least."""
    codes = np.arange(len(PROCEDURES), dtype=np.int64)
    prices = spread(draw(seed, "price", codes), lognormal(24_000, 1.0))
    charges: Ints = prices[procedure] * (600 + below(draw(seed, "charge", ids), 801)) // 1000
    return np.maximum(charges, 100)


def _offers(seed: str, ids: Ints, amount: Ints, verdict: Ints) -> Ints:
    """What the first payer pays."""
    part = amount * (50 + below(draw(seed, "part", ids), 45)) // 100
    more = amount * (101 + below(draw(seed, "too much", ids), 20)) // 100
    return np.choose(verdict, [amount, part, np.zeros_like(amount), np.zeros_like(amount), more])


def _decided(verdict: Ints) -> Ints:
    """The claim's status once the insurer has decided."""
    return np.choose(verdict, [PAID, PAID, DENIED, REJECTED, PAID])


def _diagnoses(hospital: Hospital, ids: Ints, department: Ints) -> Ints:
    """A code of the department, as a place in ICD_CODES, or behind them in BAD_ICD_CODES."""
    code = department * ICD_EACH + below(draw(hospital.seed, "diagnosis", ids), ICD_EACH)
    bad = chance(draw(hospital.seed, "bad diagnosis", ids), 5 * hospital.recipe.defects)
    return np.where(bad, len(ICD_CODES) + ids % len(BAD_ICD_CODES), code)


def _stamped(hospital: Hospital, ids: Ints, appeared: Ints) -> Ints:
    """The day each row bears when it appears: some of the following days' are a day behind."""
    stamped = appeared.copy()
    for following in np.unique(appeared[appeared > hospital.today(1)]).tolist():
        place = np.flatnonzero(appeared == following)
        stamped[place] = hospital.stamped("transactions", ids[place], following - hospital.today(1) + 1)
    return stamped


def _touch(hospital: Hospital, state: Accounts, offered: Ints, place: Ints, day: int) -> None:
    """Change the rows at `place` as a following day does: decide, pay the rest, or correct."""
    ids = state.visits.ids[place]
    on = hospital.stamped("transactions", ids, day)
    roll = below(draw(hospital.seed, "touch", ids, day), 100)
    given = state.visits.service[place] <= on  # nobody pays before
    waits = given & (state.paid[place] == 0) & (state.status[place] <= APPROVED)
    owes = given & ~waits & (state.paid[place] < state.amount[place])
    settled = state.paid[place] >= state.amount[place]
    before = _claim_facts(state, place)
    _decide(state, offered, place[waits], on[waits])
    _pay_rest(state, place[owes], on[owes], roll[owes] < 40)
    _correct_amount(hospital, state, place[settled & (roll < 60)], day)
    _correct_diagnosis(state, place[~given | (settled & (roll >= 60))])
    state.modified[place] = on
    differs = np.any(before != _claim_facts(state, place), axis=0)
    state.claim_modified[place[differs]] = on[differs]


def _claim_facts(state: Accounts, place: Ints) -> Ints:
    return np.stack([state.amount[place], state.insurer_paid[place], state.status[place]])


def _decide(state: Accounts, offered: Ints, place: Ints, on: Ints) -> None:
    """The insurer pays what it offers, or nothing: then the patient owes it all."""
    paid = offered[place]
    pays = paid > 0
    refused = np.where(state.visits.ids[place] % 5 == 0, REJECTED, DENIED)
    state.paid[place] = state.insurer_paid[place] = paid
    state.paid_on[place] = np.where(pays, on, NO_DAY)
    state.status[place] = np.where(pays, PAID, refused)
    state.billed_to_patient[place] = ~pays


def _pay_rest(state: Accounts, place: Ints, on: Ints, appealed: Flags) -> None:
    """Whoever owes it pays the rest: the insurer, if it had refused and the appeal was won, else the patient."""
    won = appealed & (state.status[place] >= DENIED)
    state.paid[place] = state.amount[place]
    state.paid_on[place] = on
    state.insurer_paid[place] = np.where(won, state.amount[place], state.insurer_paid[place])
    state.status[place] = np.where(won, PAID, state.status[place])


def _correct_amount(hospital: Hospital, state: Accounts, place: Ints, day: int) -> None:
    """The charge was up to 10 % too low or too high: what was paid stays, so credits arise."""
    bits = draw(hospital.seed, "correction", state.visits.ids[place], day)
    by = 1 + below(bits, state.amount[place] // 10)
    state.amount[place] += np.where(bits & np.uint64(1), by, -by)


def _correct_diagnosis(state: Accounts, place: Ints) -> None:
    """Another code, always a valid one."""
    state.icd[place] = (state.icd[place] + 1) % len(ICD_CODES)
