"""What must hold of the figures whatever the data are, on generated hospitals; and that engines agree on all of it."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_gold import MARTS, declared
from three_hospitals import AS_OF, STATUSES, SYSTEMS, Tables, three_hospitals
from worked import build, build_all

ANY_SEED = given(seed=st.integers(0, 10**9))
A_FEW = settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Account:
    """One charge as it counts on the day, computed apart from the marts."""

    def __init__(self, row: dict[str, str]) -> None:
        self.system = row["source_system"]
        self.served, self.paid_on = day(row["service_date"]), day(row["paid_date"])
        counts = self.served is None or self.served <= AS_OF
        self.is_charged = counts
        self.charge = money(row["amount"]) if counts else Decimal(0)
        self.adjustment = money(row["contractual_adjustment"]) if counts else Decimal(0)
        self.payment = money(row["paid_amount"]) if self.paid_on is None or self.paid_on <= AS_OF else Decimal(0)
        self.balance = self.charge - self.payment - self.adjustment
        self.age = (AS_OF - self.served).days if self.served else None
        # Keys are of one hospital each, eight a hospital, of which the first five are listed.
        self.people = tuple(listed(row[f"{name}_key"]) for name in ("patient", "provider", "department"))

    @property
    def bucket(self) -> str:
        if self.balance < 0:
            return "credit"
        if self.age is None:
            return "unknown date"
        ends = {"0-30": 30, "31-60": 60, "61-90": 90, "91-120": 120}
        return next((name for name, last in ends.items() if self.age <= last), "over 120")


def day(cell: str) -> date | None:
    return date.fromisoformat(cell) if cell else None


def money(cell: str) -> Decimal:
    return Decimal(cell or 0)


def listed(cell: str) -> int:
    return int(cell) if cell and int(cell) % 8 < 5 else -1


def total(accounts: Iterable[Account], what: str) -> Decimal:
    return sum(map(operator.attrgetter(what), accounts), Decimal(0))


def ratio(a: Decimal, b: Decimal, places: int = 4) -> Decimal | None:
    return Decimal(floor(Fraction(a) / Fraction(b) * 10**places + Fraction(1, 2))).scaleb(-places) if b else None


@pytest.fixture
def built(duck_sql) -> Callable[[int, str], list[Account]]:
    def build_from(seed: int, mart: str) -> list[Account]:
        tables = three_hospitals(seed)
        build(duck_sql, declared(), mart, tables, AS_OF)
        return [Account(row) for row in tables["silver.transaction"]]

    return build_from


@A_FEW
@ANY_SEED
def test_no_fact_loses_or_doubles_a_row_or_a_cent(duck_sql, seed):
    tables = three_hospitals(seed)
    for fact, amount in [("transaction", "amount"), ("claim", "claim_amount"), ("encounter", None)]:
        build(duck_sql, declared(), f"fact_{fact}", tables, AS_OF)
        rows, silver = duck_sql.ask(f"SELECT * FROM gold.fact_{fact}"), tables[f"silver.{fact}"]
        assert sorted(row[f"{fact}_key"] for row in rows) == [int(row[f"{fact}_key"]) for row in silver]
        if amount:
            assert sum(row[amount] or 0 for row in rows) == sum(money(row[amount]) for row in silver)
        for name in ("patient", "provider", "department"):
            assert Counter(row[f"{name}_key"] for row in rows) == Counter(listed(row[f"{name}_key"]) for row in silver)


@A_FEW
@ANY_SEED
def test_the_buckets_of_a_hospital_sum_to_what_it_is_owed(duck_sql, built, seed):
    accounts = built(seed, "ar_over_90")
    rows = duck_sql.ask("SELECT source_system, bucket, ar_amount, denominator FROM gold.ar_aging")
    for system in SYSTEMS:
        of_it = [account for account in accounts if account.system == system]
        in_it = {row["bucket"]: row["ar_amount"] for row in rows if row["source_system"] == system}
        ar = total(of_it, "charge") - total(of_it, "payment") - total(of_it, "adjustment")
        assert sum(in_it.values()) == ar
        assert {row["denominator"] for row in rows if row["source_system"] == system} == {ar}
        assert in_it == {name: total((a for a in of_it if a.bucket == name), "balance") for name in in_it}


@A_FEW
@ANY_SEED
def test_what_is_owed_is_what_was_charged_less_paid_and_adjusted_month_by_month(duck_sql, built, seed):
    accounts = built(seed, "monthly_financials")
    for system in SYSTEMS:
        rows = duck_sql.ask(f"SELECT * FROM gold.monthly_financials WHERE source_system = '{system}'")
        rows.sort(key=lambda row: "" if row["month"] == "Unknown" else row["month"])
        of_it = [account for account in accounts if account.system == system]
        carried = Decimal(0)
        for row in rows:
            assert row["ar_start"] == carried
            carried += row["charge_amount"] - row["paid_amount"] - row["adjustment_amount"]
            assert row["ar_end"] == carried
        assert carried == total(of_it, "balance")
        assert sum(row["paid_amount"] for row in rows) == total(of_it, "payment")
        assert sum(row["transactions"] for row in rows) == sum(account.is_charged for account in of_it)


@A_FEW
@ANY_SEED
def test_the_charges_of_providers_and_departments_sum_to_all_charges(duck_sql, built, seed):
    for mart in ("charge_by_provider_department", "charge_by_provider_department_month"):
        accounts = built(seed, mart)
        rows = duck_sql.ask(f"SELECT * FROM gold.{mart}")
        assert sum(row["charge_amount"] for row in rows) == total(accounts, "charge")
        assert sum(row["paid_amount"] for row in rows) == total(accounts, "payment")
        assert sum(row["transactions"] for row in rows) == sum(account.is_charged for account in accounts)
    charged = {account.people[1:] for account in accounts if account.is_charged or account.payment}
    rows = duck_sql.ask("SELECT provider_name FROM gold.charge_by_provider_department")
    assert len(rows) == len(charged)


@A_FEW
@ANY_SEED
def test_rates_are_those_computed_by_hand(duck_sql, built, seed):
    accounts = built(seed, "collection_rates")
    built(seed, "days_in_ar")
    rates = {
        (r["source_system"], r["measure"]): r["collection_rate"]
        for r in duck_sql.ask("SELECT * FROM gold.collection_rates")
    }
    days = {row["source_system"]: row["days_in_ar"] for row in duck_sql.ask("SELECT * FROM gold.days_in_ar")}
    for system in [*SYSTEMS, "all"]:
        of_it = [account for account in accounts if system in ("all", account.system)]
        charges, payments = total(of_it, "charge"), total(of_it, "payment")
        assert rates[system, "gross"] == ratio(payments, charges)
        net = ratio(payments, charges - total(of_it, "adjustment")) if system == "hos-a" else None
        assert rates[system, "net"] == net
        recent = [account for account in of_it if account.age is not None and account.age < 90]
        assert days[system] == ratio(total(of_it, "balance") * 90, total(recent, "charge"), 2)
        for within in (30, 60, 90):
            old = [a for a in of_it if a.age is not None and a.age >= within and (a.paid_on or not a.payment)]
            soon = [a for a in old if a.served and a.paid_on and (a.paid_on - a.served).days <= within]
            assert rates[system, f"within {within} days"] == ratio(total(soon, "payment"), total(old, "charge"))


@A_FEW
@ANY_SEED
def test_every_claim_up_to_the_day_has_one_place(duck_sql, seed):
    tables = three_hospitals(seed)
    build(duck_sql, declared(), "claim_status", tables, AS_OF)
    *rows, whole = sorted(
        duck_sql.ask("SELECT * FROM gold.claim_status"), key=lambda row: row["source_system"] == "all"
    )
    claims = [c for c in tables["silver.claim"] if (day(c["claim_date"]) or AS_OF) <= AS_OF]
    counts = Counter(STATUSES.get(claim["claim_status"], "unmapped") for claim in claims)
    assert sum(row["claims"] for row in rows) == whole["claims"] == len(claims)
    assert {name: whole[name] for name in ("approved", "denied", "pending", "unmapped")} == counts
    assert whole["denial_rate"] == ratio(Decimal(counts["denied"]), Decimal(counts["denied"] + counts["approved"]))


def chains(tables: Tables) -> dict[int, list[dict[str, str]]]:
    """Key of each original -> the submissions of its chain in their order, followed by hand from claim to claim."""
    claims = {(row["source_system"], row["claim_id"]): row for row in tables["silver.claim"]}
    found: dict[int, list[tuple[Any, ...]]] = {}
    for claim in claims.values():
        way = [claim]
        while len(way) < 10 and (earlier := claims.get((claim["source_system"], named(way[-1])))):
            way.append(earlier)
        root = claim if len(way) == 10 else way[-1]
        place = (0 if len(way) == 10 else len(way), claim["claim_date"] or "9999", int(claim["claim_key"]))
        found.setdefault(int(root["claim_key"]), []).append((*place, claim))
    return {root: [claim for *_, claim in sorted(chain, key=lambda one: one[:3])] for root, chain in found.items()}


def named(claim: dict[str, str]) -> str | None:
    """The claim that a replacement or a void names."""
    return claim["original_claim_id"] if claim["frequency_code"] in ("7", "8") else None


@A_FEW
@ANY_SEED
def test_every_claim_is_of_one_chain_and_the_last_submission_of_it_decides(duck_sql, seed):
    tables = three_hospitals(seed)
    build(duck_sql, declared(), "claim_final_disposition", tables, AS_OF)
    rows = {row["original_claim_key"]: row for row in duck_sql.ask("SELECT * FROM gold.claim_final_disposition")}
    expected = chains(tables)
    assert rows.keys() == expected.keys()
    for root, chain in expected.items():
        last, row = chain[-1], rows[root]
        void = last["frequency_code"] == "8"
        assert (row["claim_key"], row["submissions"]) == (int(last["claim_key"]), len(chain))
        assert row["paid_amount"] == (0 if void else money(last["paid_amount"]))
        assert row["billed_amount"] == (0 if void else money(last["claim_amount"]))
        assert (row["disposition"] == "voided") == void
    assert sum(row["submissions"] for row in rows.values()) == len(tables["silver.claim"])


@A_FEW
@ANY_SEED
def test_the_cash_flow_of_a_claim_sums_to_what_was_paid_on_it_in_the_end(duck_sql, seed):
    tables = three_hospitals(seed)
    build(duck_sql, declared(), "claim_final_disposition", tables, AS_OF)
    build(duck_sql, declared(), "claim_cash_flow", tables, AS_OF)
    flows = Counter[int]()
    for row in duck_sql.ask("SELECT * FROM gold.claim_cash_flow"):
        assert row["payments"] >= 0 >= row["reversals"]
        assert row["payments"] + row["reversals"] == row["cash_amount"]
        flows[row["original_claim_key"]] += row["cash_amount"]
    paid = {
        row["original_claim_key"]: row["paid_amount"]
        for row in duck_sql.ask("SELECT original_claim_key, paid_amount FROM gold.claim_final_disposition")
    }
    assert any(amount for amount in paid.values())
    assert {key: amount for key, amount in flows.items() if amount} == {k: v for k, v in paid.items() if v}


@pytest.mark.prove
@settings(max_examples=1, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@ANY_SEED
def test_engines_agree_on_every_mart(duck_sql, spark_sql, seed):
    tables = three_hospitals(seed)
    for engine in (duck_sql, spark_sql):
        build_all(engine, declared(), tables, AS_OF)
    for mart in MARTS:
        names = [column.name for column in declared().marts[mart].columns]
        asked = f"SELECT {', '.join(names)} FROM gold.{mart}"
        found, other = (Counter(tuple(row[n] for n in names) for row in e.ask(asked)) for e in (duck_sql, spark_sql))
        assert found == other, mart


def test_the_calendar_has_every_day_once(duck_sql):
    build(duck_sql, declared(), "dim_date", {}, AS_OF)
    rows = duck_sql.ask(
        "SELECT calendar_date, date_key, day_of_week FROM gold.dim_date WHERE date_key > 0 ORDER BY date_key"
    )
    first, last = date(1900, 1, 1).toordinal(), date(2100, 12, 31).toordinal()
    assert [row["calendar_date"] for row in rows] == [date.fromordinal(n) for n in range(first, last + 1)]
    assert all(row["day_of_week"] == row["calendar_date"].isoweekday() for row in rows)
    assert all(row["date_key"] == int(row["calendar_date"].strftime("%Y%m%d")) for row in rows)
