"""The synthetic hospitals: that they are what their truth says, counted again from what was written."""

from __future__ import annotations

import csv
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rcm
import synth_read
from servers import Server
from synth_read import TABLES, Read, Row

from carelake import synth
from carelake.errors import HospitalsMissing, SourceUrlUnknown
from carelake.synth import Truth
from carelake.synth.truth import Kpis, Tally

HOSPITALS = ("hos-a", "hos-b")
EMERGENCY = ("Emergency", "Inpatient")


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Truth, Read]]:
    """Days 1, 2, 3 and 4 of the same hospitals: what is said of them, and what stands there."""
    folder = tmp_path_factory.mktemp("synth")
    told = (synth.make(folder, patients=3_000, day=day, changed_share=0.02) for day in (1, 2, 3, 4))
    return [(truth, synth_read.read(folder)) for truth in told]


def test_the_same_seed_makes_the_same_rows_whatever_the_chunk(tmp_path):
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    for day in (1, 2, 3):
        first = synth.make(whole, patients=700, seed=3, day=day)
        second = synth.make(pieces, patients=700, seed=3, day=day, chunk=97)
        assert first == second
    assert synth_read.contents(whole) == synth_read.contents(pieces)
    assert synth_read.read(whole) == synth_read.read(pieces)


def test_detailed_hospitals_have_defects_too_and_nobody_has_no_day_of_birth(tmp_path):
    nobody = 0
    for day in (1, 2):
        truth = synth.make(tmp_path, patients=300, seed=7, day=day, detailed=True)
        found = synth_read.read(tmp_path)
        for hospital in HOSPITALS:
            rows = found.rows(hospital, "transactions")
            unborn = [row["PatientID"] for row in rows if row["PatientDOB"] in (None, "")]
            assert unborn == [row["PatientID"] for row in rows if int(row["PatientID"].partition("-")[2]) > 9_000_000]
            assert len(unborn) == truth.hospitals[hospital].planted["transactions_without_patient"]
            nobody += len(unborn)
    assert nobody


def test_another_seed_makes_other_hospitals(tmp_path):
    first, second = (synth.make(tmp_path / str(seed), patients=100, seed=seed) for seed in (1, 2))
    assert first.kpis.charges != second.kpis.charges


def test_the_tables_and_claim_files_have_the_columns_of_the_course_data(days):
    rcm.needs_rcm()
    _, found = days[0]
    for hospital, table in found.tables:
        header, _ = rcm.table(hospital[-1], table)
        assert list(found.rows(hospital, table)[0]) == header
    assert list(found.claims["hos-a", "hospital1_claim_data.csv"][0]) == list(rcm.claims(1)[0])


@pytest.mark.parametrize("day", [1, 2, 3, 4])
def test_the_kpis_are_those_of_the_rows_counted_again(days, day):
    truth, found = days[day - 1]
    assert truth.as_of == date(2026, 6, 29 + day) if day == 1 else date(2026, 7, day - 1)
    for hospital in HOSPITALS:
        _agree(truth.hospitals[hospital].kpis, found, (hospital,), truth.as_of)
    _agree(truth.kpis, found, HOSPITALS, truth.as_of)


def _agree(kpis: Kpis, found: Read, hospitals: tuple[str, ...], as_of: date) -> None:
    sums = synth_read.figures(found, hospitals, as_of)
    assert (kpis.charges, kpis.payments) == (sums["charges"], sums["payments"])
    assert kpis.ar_by_bucket == {name: sums[name] for name in kpis.ar_by_bucket}
    assert kpis.ar_credits == sums["credits"] < 0
    assert kpis.ar_total == sum(kpis.ar_by_bucket.values()) + kpis.ar_credits == kpis.charges - kpis.payments
    assert kpis.charges_of_90_days == sums["charges_of_90_days"]
    assert kpis.gross_collection_rate == round(sums["payments"] / sums["charges"], 6)
    assert kpis.days_in_ar == round(kpis.ar_total / (sums["charges_of_90_days"] / 90), 2)
    claims = {name: (one.count, one.billed, one.paid) for name, one in kpis.claims_by_status.items() if one.count}
    assert claims == synth_read.by_status(found, hospitals)


def test_buckets_are_closed_at_30_60_90_and_120_days_and_credits_stand_apart():
    """Seven accounts of 10.00 each, by hand: one paid too much, one a service to come, one paid tomorrow."""
    today = 20_000
    ages = np.array([0, 30, 31, 120, 121, 5, -1])
    paid = np.array([0, 0, 400, 0, 0, 1_250, 0])
    paid_on = np.array([-1, -1, today, -1, -1, today, -1])
    tally = Tally(today)
    tally.add(_accounts(today - ages, paid, paid_on))
    tally.add(_accounts(np.array([today - 1]), np.array([1_000]), np.array([today + 1])))
    kpis = tally.kpis()
    assert (kpis.charges, kpis.payments, kpis.ar_total) == (Decimal("70.00"), Decimal("16.50"), Decimal("53.50"))
    owed = {"0-30": "30.00", "31-60": "6.00", "61-90": "0.00", "91-120": "10.00", "over 120": "10.00"}
    assert kpis.ar_by_bucket == {name: Decimal(amount) for name, amount in owed.items()}
    assert kpis.ar_credits == Decimal("-2.50")
    assert kpis.gross_collection_rate == Decimal("0.235714")  # 16.5 / 70
    assert kpis.days_in_ar == Decimal("96.30")  # 53.50 / (50.00 / 90)


def _accounts(service: Any, paid: Any, paid_on: Any) -> Any:
    """Accounts of 10.00 each, whose claims nobody has decided."""
    from types import SimpleNamespace

    amount, nobody = np.full(len(service), 1_000), np.zeros(len(service), dtype=np.int64)
    facts = {"amount": amount, "paid": paid, "paid_on": paid_on, "insurer_paid": nobody, "status": nobody}
    return SimpleNamespace(visits=SimpleNamespace(service=service, payer=nobody), **facts)


@pytest.mark.parametrize("day", [1, 4])
def test_the_planted_defects_are_there_as_often_as_the_truth_says(days, day):
    truth, found = days[day - 1]
    codes = synth_read.icd_codes()
    for hospital in HOSPITALS:
        planted, transactions = truth.hospitals[hospital].planted, found.rows(hospital, "transactions")
        listed = {row["ProviderID"].partition("-")[2] for row in found.rows(hospital, "providers")}
        known = set(found.by_key(hospital, "patients"))
        as_of = truth.as_of.isoformat()
        counted = {
            "transactions_without_provider": sum(row["ProviderID"] not in listed for row in transactions),
            "transactions_without_patient": sum(row["PatientID"] not in known for row in transactions),
            "transactions_with_unknown_icd_code": sum(row["ICDCode"] not in codes for row in transactions),
            "services_after_as_of": sum(row["ServiceDate"] > as_of for row in transactions),
            "payments_after_as_of": sum((row["PaidDate"] or "") > as_of for row in transactions),
            "accounts_in_credit": sum(row["PaidAmount"] > row["Amount"] for row in transactions),
            "npis_failing_check_digit": _bad_npis(found, hospital),
            "patients_without_first_name": sum(
                list(row.values())[1] == "NULL" for row in found.rows(hospital, "patients")
            ),
        }
        assert {name: planted[name] for name in counted} == counted
        never = {"patients_without_first_name"} if hospital == "hos-a" else set()
        assert {name for name, count in counted.items() if not count} <= never | {"payments_after_as_of"}


def _bad_npis(found: Read, hospital: str) -> int:
    npis = [row["NPI"] for row in found.rows(hospital, "providers")]
    assert len(set(npis)) == len(npis)
    assert all(re.fullmatch(r"1[0-9]{9}", npi) for npi in npis)
    bad = sum(not synth_read.passes_luhn(npi) for npi in npis)
    assert bad < len(npis) / 8
    return bad


def test_the_check_digit_is_that_of_the_example_in_the_npi_standard():
    assert synth_read.passes_luhn("1234567893")
    assert not synth_read.passes_luhn("1234567894")


@pytest.mark.parametrize("day", [2, 3, 4])
def test_a_following_day_changes_exactly_what_the_truth_says(days, day):
    (_, before), (truth, after) = days[day - 2], days[day - 1]
    for hospital in HOSPITALS:
        told = truth.hospitals[hospital]
        for table in TABLES:
            old, new = before.by_key(hospital, table), after.by_key(hospital, table)
            changed = [key for key in old.keys() & new.keys() if old[key] != new[key]]
            counted = (len(new.keys() - old.keys()), len(changed), len(old.keys() - new.keys()))
            assert (told.changes[table].inserted, told.changes[table].updated, told.changes[table].deleted) == counted
            assert told.rows[table] == len(new)
        assert told.changes["transactions"].inserted > 0 < told.changes["transactions"].updated
        assert told.changes["providers"].deleted == 1
    assert truth.hospitals["hos-a"].changes["departments"].deleted == (1 if day in (2, 4) else 0)


@pytest.mark.parametrize("day", [2, 3, 4])
def test_what_changed_bears_the_day_or_the_day_before_and_nothing_else_does_not(days, day):
    (_, before), (truth, after) = days[day - 2], days[day - 1]
    today, yesterday = truth.as_of.isoformat(), date.fromordinal(truth.as_of.toordinal() - 1).isoformat()
    for hospital in HOSPITALS:
        old, new = (one.by_key(hospital, "transactions") for one in (before, after))
        stamps = Counter(row["ModifiedDate"] for key, row in new.items() if old.get(key) != row)
        assert set(stamps) <= {today, yesterday}
        assert stamps[yesterday] == truth.hospitals[hospital].planted["late_rows"]
        assert max(row["ModifiedDate"] for row in old.values()) == yesterday


def test_of_the_changed_transactions_payments_corrections_and_refusals_are_counted_apart(days):
    (_, before), (truth, after) = days[0], days[1]
    for hospital in HOSPITALS:
        old, new = (one.by_key(hospital, "transactions") for one in (before, after))
        pairs = [(old[key], new[key]) for key in old if old[key] != new[key]]
        planted = truth.hospitals[hospital].planted
        assert planted["payments"] == _differ(pairs, "PaidAmount") > 0
        assert planted["corrections"] == _differ(pairs, "Amount", "ICDCode") > 0
        assert planted["refusals"] == _differ(pairs, "AmountType")
        assert len(pairs) == _differ(pairs, "PaidAmount", "Amount", "ICDCode", "AmountType")


def _differ(pairs: list[tuple[Row, Row]], *names: str) -> int:
    """In how many pairs one of these columns differs."""
    return sum(any(was[name] != now[name] for name in names) for was, now in pairs)


@pytest.mark.parametrize("day", [1, 2, 3, 4])
def test_the_lines_of_a_claim_file_are_new_changed_resent_or_doubled(days, day):
    truth, found = days[day - 1]
    earlier = days[day - 2][1] if day > 1 else Read({}, {})
    for hospital in HOSPITALS:
        told = truth.hospitals[hospital].claim_file
        known = earlier.latest_claims(hospital)
        (name,) = {name for owner, name in found.claims if owner == hospital} - {name for _, name in earlier.claims}
        lines = found.claims[hospital, name]
        distinct = {tuple(line.values()): line for line in lines}.values()
        counted = Counter(
            "new" if line["ClaimID"] not in known else "resent" if known[line["ClaimID"]] == line else "changed"
            for line in distinct
        )
        assert (told.lines, told.duplicates) == (len(lines), len(lines) - len(distinct))
        assert (told.new, told.changed, told.resent) == tuple(counted[why] for why in ("new", "changed", "resent"))
        assert told.lines == told.new + told.changed + told.resent + told.duplicates
        assert (told.duplicates > 0, told.changed > 0) == (True, day > 1)


def test_pending_claims_come_back_paid_and_denied_and_paid_ones_adjusted(days):
    first, last = days[0][1], days[3][1]
    moved = Counter()
    for hospital in HOSPITALS:
        old, new = first.latest_claims(hospital), last.latest_claims(hospital)
        moved.update((old[key]["ClaimStatus"], new[key]["ClaimStatus"]) for key in old if old[key] != new[key])
    assert {("Pending", "Paid"), ("Pending", "Denied"), ("Denied", "Paid"), ("Paid", "Paid")} <= set(moved)


def test_a_claim_says_the_same_as_its_transaction(days):
    _, found = days[3]
    for hospital in HOSPITALS:
        accounts, claims = found.by_key(hospital, "transactions"), found.latest_claims(hospital)
        assert {row["ClaimID"] for row in accounts.values()} - {None} == set(claims)
        assert all((row["ClaimID"] is None) == (row["LineOfBusiness"] == "Self-Pay") for row in accounts.values())
        for claim in claims.values():
            account = accounts[claim["TransactionID"]]
            same = ("PatientID", "EncounterID", "ProviderID", "DeptID", "ServiceDate", "PayorID")
            assert [claim[name] for name in same] == [account[name] for name in same]
            assert Decimal(claim["ClaimAmount"]) == synth_read.dollars(account["Amount"])
            assert Decimal(claim["PaidAmount"]) <= synth_read.dollars(account["PaidAmount"])
            assert claim["ClaimStatus"] == "Paid" or Decimal(claim["PaidAmount"]) == 0


def test_without_defects_everything_fits(tmp_path):
    for day in (1, 2, 3):
        truth = synth.make(tmp_path, patients=1_000, defects=False, day=day)
        for hospital in truth.hospitals.values():
            done = {"corrections", "payments", "refusals", "accounts_in_credit"}  # what happens in a sound hospital
            assert {name: count for name, count in hospital.planted.items() if count and name not in done} == {}
            assert (hospital.claim_file.duplicates, hospital.claim_file.resent) == (0, 0)
    found = synth_read.read(tmp_path)
    for hospital in HOSPITALS:
        listed = {row["ProviderID"].partition("-")[2] for row in found.rows(hospital, "providers")}
        departments = set(found.by_key(hospital, "departments"))
        for row in found.rows(hospital, "transactions"):
            assert row["ProviderID"] in listed
            assert row["DeptID"] in departments


def test_every_row_refers_to_rows_of_its_own_hospital_in_the_right_order(days):
    _, found = days[3]
    for hospital in HOSPITALS:
        encounters, patients = found.by_key(hospital, "encounters"), found.by_key(hospital, "patients")
        for row in found.rows(hospital, "transactions"):
            encounter = encounters[row["EncounterID"]]
            shared = (("PatientID", "PatientID"), ("ProviderID", "ProviderID"), ("DeptID", "DepartmentID"))
            assert [row[ours] for ours, _ in shared] == [encounter[theirs] for _, theirs in shared]
            assert row["VisitDate"] == encounter["EncounterDate"] <= row["ServiceDate"]
            assert row["InsertDate"] <= row["ModifiedDate"]
            assert row["PaidDate"] is None or row["PaidDate"] >= row["ServiceDate"]
            born = patients[row["PatientID"]]["DOB"] if row["PatientID"] in patients else ""
            assert born <= row["VisitDate"]
        visits = [(row["EncounterType"], date.fromisoformat(row["EncounterDate"])) for row in encounters.values()]
        assert not any(day.weekday() > 4 for kind, day in visits if kind not in EMERGENCY)


def test_no_identifier_could_be_anyones(days):
    _, found = days[0]
    for hospital in HOSPITALS:
        people = found.rows(hospital, "patients")
        assert all(re.fullmatch(r"9\d\d-\d\d-\d{4}", row["SSN"]) for row in people)
        assert len({row["SSN"] for row in people}) == len(people)
        assert all(re.search(r"555[-.]01\d\d(x204)?$", row["PhoneNumber"]) for row in people)
        addresses = [row["Address"] for row in people]
        assert all(re.search(r" [A-Z]{2} \d{5}(-\d{4})?$", address) for address in addresses)
        assert any(re.search(r" (AE|AP|AA) \d{5}$", address) for address in addresses)
        assert any(re.search(r" (03[6]|059|556|692|821|823|87[89]|884|893)\d\d(-\d{4})?$", text) for text in addresses)
        california = [address for address in addresses if " CA " in address]
        assert len(california) > 100
        assert all(re.search(r" CA 9[0-6]\d{3}", address) for address in california)


def test_the_mix_is_that_of_a_revenue_cycle(days):
    truth, found = days[0]
    claims = truth.kpis.claims_by_status
    decided = sum(claims[status].count for status in ("Paid", "Denied", "Rejected"))
    assert 0.06 < (claims["Denied"].count + claims["Rejected"].count) / decided < 0.10
    assert 25 < truth.kpis.days_in_ar < 60
    assert Decimal("0.9") < truth.kpis.gross_collection_rate < 1
    rows = [row for hospital in HOSPITALS for row in found.rows(hospital, "transactions")]
    assert len(rows) == 12_000
    amounts = sorted(row["Amount"] for row in rows)
    assert sum(amounts) / len(amounts) > 1.2 * amounts[len(amounts) // 2]  # skewed: the mean is above the median
    assert any(0 < row["PaidAmount"] < row["Amount"] for row in rows)
    lines = Counter(row["LineOfBusiness"] for row in rows)
    assert [name for name, _ in lines.most_common()] == ["Commercial", "Medicare", "Medicaid", "Self-Pay"]


def test_the_code_file_is_separated_by_tabs_and_knows_every_procedure_once(tmp_path):
    synth.make(tmp_path, patients=200)
    with (tmp_path / "landing" / "cptcodes" / "cptcodes.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    assert list(rows[0]) == ["Procedure Code Category", "CPT Codes", "Procedure Code Descriptions", "Code Status"]
    codes = {row["CPT Codes"] for row in rows}
    assert len(codes) == len(rows) == 380
    assert all(code < "00100" or code >= "99700" for code in codes)  # numbers that the AMA has given to nothing
    found = synth_read.read(tmp_path)
    for hospital in HOSPITALS:
        for table in ("encounters", "transactions"):
            assert {row["ProcedureCode"] for row in found.rows(hospital, table)} <= codes


def test_the_npi_file_lists_the_providers_whose_npi_is_sound(tmp_path):
    synth.make(tmp_path, patients=200)
    with (tmp_path / "landing" / "npi" / "npidata_pfile_20260630.csv").open(newline="") as lines:
        rows = {row["NPI"]: row for row in csv.DictReader(lines)}
    found = synth_read.read(tmp_path)
    sound = [
        row for hospital in HOSPITALS for row in found.rows(hospital, "providers") if synth_read.passes_luhn(row["NPI"])
    ]
    assert set(rows) == {row["NPI"] for row in sound}
    ended = {npi for npi, row in rows.items() if row["NPI Deactivation Date"]}
    assert len(ended) == 2
    for npi in ended:  # of those NPPES keeps nothing else
        assert {name for name, text in rows[npi].items() if text} == {"NPI", "NPI Deactivation Date"}
    for row in sound:
        assert rows[row["NPI"]]["Provider Last Name (Legal Name)"] == ("" if row["NPI"] in ended else row["LastName"])


def test_changes_fall_on_recent_rows_unless_they_are_scattered(tmp_path):
    recent, anywhere = tmp_path / "recent", tmp_path / "anywhere"
    synth.make(recent, patients=10_000)
    shutil.copytree(recent, anywhere)
    before = synth_read.read(recent)
    shares = [_touched(folder, before, **how) for folder, how in ((recent, {}), (anywhere, {"scattered": True}))]
    assert 0.85 < shares[0] < 0.95
    assert 0.01 < shares[1] < 0.12


def _touched(folder: Path, before: Read, **how: Any) -> float:
    """Of the transactions that day 2 changes, how many are among the newest twentieth of the first 20,000."""
    truth = synth.make(folder, day=2, **how)
    after, old = synth_read.read(folder).by_key("hos-a", "transactions"), before.by_key("hos-a", "transactions")
    numbers = [int(key.removeprefix("TRANS")) for key in old if old[key] != after[key]]
    told = truth.hospitals["hos-a"].changes["transactions"]
    assert len(numbers) == told.updated
    assert 90 <= told.updated + told.inserted <= 100  # half a percent of 20,000; a key is not touched twice
    return sum(number > 19_000 for number in numbers) / len(numbers)


def test_the_smallest_hospitals_live_for_three_days(tmp_path):
    truths = [synth.make(tmp_path, patients=2, transactions=2, day=day, chunk=1) for day in (1, 2, 3)]
    for hospital in HOSPITALS:
        assert [truth.hospitals[hospital].rows["transactions"] for truth in truths] == [1, 2, 3]


def test_days_are_made_in_order(tmp_path):
    with pytest.raises(HospitalsMissing, match="there are no hospitals here"):
        synth.make(tmp_path, day=2)
    synth.make(tmp_path, patients=2)
    with pytest.raises(HospitalsMissing, match="are at day 1, and day 3 changes those of day 2"):
        synth.make(tmp_path, day=3)


def test_day_1_again_takes_the_days_after_it_away_and_nothing_that_is_not_ours(tmp_path):
    synth.make(tmp_path, patients=20)
    own = tmp_path / "landing" / "claims" / "other.csv"
    own.write_text("kept")
    first = synth_read.contents(tmp_path)
    synth.make(tmp_path, day=2)
    synth.make(tmp_path, patients=20)
    assert synth_read.contents(tmp_path) == first


def test_a_day_that_broke_off_is_made_again_from_its_start(tmp_path):
    broken, straight = tmp_path / "broken", tmp_path / "straight"
    for folder in (broken, straight):
        synth.make(folder, patients=200)
    only_b_fails = {"hos-a": f"sqlite://{broken}/hos-a.db", "hos-b": f"sqlite://{broken}/not/there.db"}
    with pytest.raises(Exception, match="no such table"):
        synth.make(broken, day=2, urls=only_b_fails)
    assert synth.make(broken, day=2) == synth.make(straight, day=2)
    assert synth_read.read(broken) == synth_read.read(straight)


def test_connections_are_named_as_the_project_for_two_hospitals_asks(tmp_path):
    assert synth.connections(tmp_path) == {
        "HOS_A_URL": f"sqlite://{tmp_path}/hos-a.db",
        "HOS_B_URL": f"sqlite://{tmp_path}/hos-b.db",
        "LANDING": f"{tmp_path}/landing",
    }


def test_a_url_of_an_unknown_database_is_refused(tmp_path):
    with pytest.raises(SourceUrlUnknown):
        synth.make(tmp_path, patients=2, urls={"hos-a": "oracle://x/y", "hos-b": "oracle://x/z"})


@pytest.fixture(params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    server: Server = request.getfixturevalue(request.param)
    names = ("synth_a", "synth_b")
    for name in names:
        server.run(f"CREATE DATABASE {name}")
    yield server
    for name in names:
        server.run(f"DROP DATABASE {name}")


def test_postgresql_and_mariadb_hold_what_sqlite_holds(server, tmp_path):
    urls = {"hos-a": server.url("synth_a"), "hos-b": server.url("synth_b")}
    for day in (1, 2):
        beside = synth.make(tmp_path / "there", patients=600, day=day, urls=urls, claims=False, chunk=1_000)
        here = synth.make(tmp_path / "here", patients=600, day=day)
        assert beside.kpis == here.kpis
        found = synth_read.read(tmp_path / "here")
        for hospital, table in found.tables:
            quote = '"' if server.scheme == "postgresql" else "`"
            rows = server.run(f"SELECT * FROM {quote}{table}{quote}", database=f"synth_{hospital[-1]}")
            assert _plain(rows) == _plain(list(row.values()) for row in found.rows(hospital, table))
    assert not (tmp_path / "there" / "landing" / "claims").exists()


def _plain(rows: Any) -> list[tuple[str, ...]]:
    """Sorted, and alike for a date and its text, for 12.00 and 12."""
    return sorted(
        tuple(f"{one:.2f}" if isinstance(one, (int, float, Decimal)) else str(one) for one in row) for row in rows
    )


def test_money_is_a_decimal_in_every_database(server, tmp_path):
    urls = {"hos-a": server.url("synth_a"), "hos-b": server.url("synth_b")}
    synth.make(tmp_path, patients=4, urls=urls)
    asked = "SELECT numeric_precision, numeric_scale FROM information_schema.columns WHERE column_name = 'Amount'"
    where = "table_catalog" if server.scheme == "postgresql" else "table_schema"
    assert [tuple(row) for row in server.run(f"{asked} AND {where} = 'synth_a'", database="synth_a")] == [(18, 2)]
