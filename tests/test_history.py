"""The story of a row, told by hand: a claim from its submission over denial, replacement and void."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from small_lake import CLAIMS, Small, copied, failed
from test_declare import WARD, refused, write
from test_declare import rcm as rcm  # the fixture

from carelake import declare
from carelake.errors import RowUnknown
from carelake.serve import history

HEADER = CLAIMS.partition("\n")[0].replace("\\\n", "") + ",Frequency,Original\n"
# A claim of 500 dollars is denied, sent again as a replacement, paid, and in the end voided. That it had been adjusted
# before it was denied arrives last of all.
LINES = {  # run -> number, claim date, billed, paid, status, when it was told, frequency and original
    1: ("K1", "2024-10-10", "500.00", "0.00", "Pending", "2024-10-10", "1,"),
    2: ("K1", "2024-10-10", "510.00", "0.00", "Denied", "2024-10-15", "1,"),
    3: ("K2", "2024-10-20", "450.00", "", "Pending", "2024-10-20", "7,K1"),
    4: ("K2", "2024-10-20", "450.00", "300.00", "Paid", "2024-11-01", "7,K1"),
    5: ("K3", "2024-11-05", "450.00", "", "Void", "2024-11-05", "8,K2"),
    6: ("K1", "2024-10-10", "510.00", "0.00", "Pending", "2024-10-12", "1,"),
}
STORY = [  # when, the claim, what happened, why it is told so, load
    ("2024-10-10", "K1", ("submitted",), "inserted", "hos-a.claims.000002"),
    ("2024-10-12", "K1", ("adjusted",), "late", "hos-a.claims.000007"),
    ("2024-10-15", "K1", ("denied",), "updated", "hos-a.claims.000003"),
    ("2024-10-20", "K2", ("submitted_as_replacement",), "inserted", "hos-a.claims.000004"),
    ("2024-11-01", "K2", ("paid",), "updated", "hos-a.claims.000005"),
    ("2024-11-05", "K3", ("void_submitted",), "inserted", "hos-a.claims.000006"),
]
CHANGED = [
    {"claim_amount": ("500.00", "510.00")},
    {"claim_status": ("Pending", "Denied")},
    {"claim_status": ("Pending", "Paid"), "paid_amount": (None, "300.00")},
]


@pytest.fixture(scope="module")
def told(small_origin, tmp_path_factory) -> Small:
    """The lake behind that story, a run for each of its lines."""
    lake = copied(small_origin, tmp_path_factory.mktemp("told"))
    mapped = "      updated_at:     ModifiedDate\n      frequency_code: Frequency\n      original_claim_id: Original\n"
    source = lake.project / "sources/hos-a.yml"
    head, _, _ = source.read_text().rpartition("      updated_at:     ModifiedDate\n")
    source.write_text(head + mapped)
    for day, (number, date, billed, paid, status, told, frequency) in LINES.items():
        line = f"{number},T1,P1,E1,V1,D1,2024-10-01,{date},Y1,{billed},{paid},{status},Commercial,10.00,5.00,1.00"
        lake.put(f"claims/hospital1_claims_{day}.csv", f"{HEADER}{line},{date},{told},{frequency}\n")
        assert failed(lake.run(day)) == {}
    return lake


def key_of(lake: Small, claim: str) -> str:
    return str(lake.one(f"SELECT claim_key FROM silver.claim WHERE claim_id = '{claim}'"))


def test_a_claim_is_told_from_its_submission_to_its_void_whichever_submission_is_asked_for(told):
    for claim in ("K1", "K2", "K3"):
        found = history.read(told.project, "claim", key_of(told, claim))
        assert [(f"{m.at:%Y-%m-%d}", m.own_id, m.events, m.reason, m.load_id) for m in found.story] == STORY
        assert len(found.keys) == 3
    changed = [{c.column: (c.old, c.new) for c in m.changes} for m in found.story if m.operation == "updated"]
    assert changed == CHANGED
    runs = dict(told.ask("SELECT load_id, run_id FROM audit.load_logs"))
    assert [moment.run_id for moment in found.story] == [runs[moment.load_id] for moment in found.story]


def test_what_became_of_that_claim_and_what_was_paid_on_it(told):
    first, last = key_of(told, "K1"), key_of(told, "K3")
    final = "claim_key, submissions, disposition, billed_amount, paid_amount"
    asked = f"SELECT {final} FROM gold.claim_final_disposition WHERE original_claim_key = {first}"
    assert told.ask(asked) == [(int(last), 3, "voided", Decimal("0.00"), Decimal("0.00"))]
    flow = "SELECT month, payments, reversals, cash_amount FROM gold.claim_cash_flow"
    assert told.ask(f"{flow} WHERE original_claim_key = {first}") == [
        ("2024-11", Decimal("300.00"), Decimal("-300.00"), Decimal("0.00"))
    ]
    sums = (
        "SELECT SUM(cash_amount) FROM gold.claim_cash_flow",
        "SELECT SUM(paid_amount) FROM gold.claim_final_disposition",
    )
    assert [told.one(asked) for asked in sums] == [Decimal("210.50")] * 2  # 60.00 of C1, 150.50 of C3


def test_the_command_tells_it_to_people_and_to_programs(told):
    said = told.command("history", "claim", "K2", "--source", "hos-a").stdout.decode()
    assert [word in said for word in ("submitted as replacement", "void submitted", "adjusted", "(late)", "K3")] == [
        True
    ] * 5
    assert "paid_amount: 300.00" in said
    answer = told.command("history", "claim", key_of(told, "K1"), "--json")
    found = json.loads(answer.stdout)
    assert [tuple(moment["events"]) for moment in found["story"]] == [events for _, _, events, _, _ in STORY]
    assert (found["table"], found["is_current"], found["quarantined"]) == ("claim", True, [])


def test_a_row_without_a_story_is_told_in_plain_words(small):
    small.sql("UPDATE departments SET Name = 'Heart' WHERE DeptID = 'D1'")
    small.run(1)
    key = small.one(
        "SELECT department_key FROM silver.department WHERE department_id = 'D1' AND source_system = 'hos-a'"
    )
    found = history.read(small.project, "department", str(key))
    assert [(m.operation, m.events, [c.column for c in m.changes]) for m in found.story] == [
        ("inserted", (), ["department_id", "department_name"]),
        ("updated", (), ["department_name"]),
    ]


def test_what_waits_in_quarantine_is_told_until_a_later_version_is_good(small):
    nobody = "UPDATE patients SET FirstName = {}, ModifiedDate = '2024-02-0{}' WHERE PatientID = 'P1'"
    small.sql(nobody.format("NULL", 1))
    small.run(1)
    token = small.one("SELECT patient_id FROM quarantine.patient")
    found = history.read(small.project, "patient", token, "hos-a")
    assert ([m.operation for m in found.story], found.is_current) == (["inserted"], True)
    assert [(held.reasons, held.load_id) for held in found.quarantined] == [
        (("first_name_present",), "hos-a.patients.000002")
    ]
    small.sql(nobody.format("'Ada'", 2))
    small.run(2)
    assert history.read(small.project, "patient", token, "hos-a").quarantined == ()


def test_a_change_that_silver_does_not_show_is_told_without_what_it_was(small):
    small.sql("UPDATE patients SET PhoneNumber = '555-9999', ModifiedDate = '2024-02-01' WHERE PatientID = 'P1'")
    small.run(1)
    key = str(small.one("SELECT patient_key FROM silver.patient_history GROUP BY patient_key HAVING COUNT(*) = 2"))
    said = small.command("history", "patient", key).stdout + small.command("history", "patient", key, "--json").stdout
    assert b"changed in what silver does not show" in said
    assert [word for word in (b"555", b"Byron", b"Ada", b"P1", b"1980") if word in said] == []


def test_an_id_is_read_from_standard_input_and_stands_nowhere_else(small):
    import subprocess

    words = small.words("history", "claim", "-", "--source", "hos-a", "--json")
    said = subprocess.run(words, input=b"C1\n", capture_output=True, env=small.around(), check=True)
    assert json.loads(said.stdout)["story"][0]["own_id"] == "C1"
    wrong = subprocess.run(words, input=b"SECRET-77\n", capture_output=True, env=small.around(), check=False)
    assert (wrong.returncode, b"LAKE-711" in wrong.stderr, b"SECRET-77" in wrong.stderr + wrong.stdout) == (
        70,
        True,
        False,
    )


@pytest.mark.parametrize(
    ("table", "key", "source", "found"),
    [
        ("claims", "1", "", "Did you mean 'claim'?"),
        ("claim", "999", "", "no such row"),
        ("claim", "C1", "", "keys are whole numbers"),
        ("claim", "C1' OR 1=1 --", "hos-a", "no such row"),
        ("claim", "C1", "hos-a' OR 1=1 --", "no such row"),
        ("patient", "P1", "hos-a", "no such row"),  # an original is not known here: silver has its token
    ],
)
def test_a_row_that_is_not_there_is_said_to_be_so(small_origin, table, key, source, found):
    with pytest.raises(RowUnknown) as refusal:
        history.read(small_origin.project, table, key, source)
    assert found in str(refusal.value)
    assert "C1" not in str(refusal.value)


TOLD = WARD + "  ward_name:     {type: text, kind: name_part}\nstory:\n  events:\n    renamed: {when: A, show: [B]}\n"


@pytest.mark.parametrize(
    ("story", "code"),
    [
        (("A", "old_ward_id <> ward_id"), ""),
        (("A", "ward_name IS NULL"), "LAKE-102"),  # silver does not hold it
        (("A", "updated_at IS NULL"), "LAKE-102"),
        (("A", "old_updated_at IS NULL"), "LAKE-102"),
        (("A", "SUM(ward_id) > 0"), "LAKE-120"),
        (("{when: A, show: [B]}", "{show: [ward_id]}"), "LAKE-101"),
        (("{when: A, show: [B]}", "{when: ward_id IS NULL, shows: [ward_id]}"), "LAKE-102"),
        (("{when: A, show: [B]}", "{when: ward_id IS NULL, show: ward_id}"), "LAKE-101"),
        (("[B]", "[ward_name]"), "LAKE-102"),
        (("  events:", "  follows: ward_name\n  events:"), "LAKE-102"),
        (("renamed:", "Renamed:"), "LAKE-116"),
    ],
)
def test_a_slip_in_a_story_is_named(rcm, story, code):
    text = TOLD.replace(*story).replace("when: A", "when: ward_id IS NULL").replace("[B]", "[ward_id]")
    write(rcm, "silver/ward.yml", text)
    if code:
        assert code in {found for found, where in refused(rcm) if where.startswith("silver/ward.yml")}
    else:
        assert declare.read(rcm).tables["ward"].story


def test_a_story_follows_no_table_of_several_key_columns(rcm):
    keyed = WARD.replace("ward_id]", "ward_id, house]").replace(", refers_to: ward", "")
    house = "  house:         {type: text, kind: not_personal}\n"
    write(
        rcm, "silver/ward.yml", keyed + house + "story:\n  follows: house\n  events: {gone: {when: ward_id IS NULL}}\n"
    )
    found: list[Any] = refused(rcm)
    assert [code for code, _ in found] == ["LAKE-141"]
