"""`carelake quarantine`: what a person sees of rows that are held back, and what becomes of them."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from small_lake import NOW, Small, copied, everything_said, failed, made
from typer.testing import CliRunner

from carelake.errors import RepairRefused
from carelake.serve import cli

SECRET = "1958-04-23"  # the birthday that is given back to Max
BIRTH = "birth_date_readable"


@pytest.fixture(scope="module")
def spoiled_origin(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A lake with three rows that are held back: a claim of a file, and two patients of a database."""
    lake = made(tmp_path_factory.mktemp("spoiled"))
    claims = (lake.landing / "claims/hospital1_claims.csv").read_text()
    assert "100.10" in claims
    lake.put("claims/hospital1_claims.csv", claims.replace("100.10", "a lot"))
    lake.sql("UPDATE patients SET DOB = 'one day' WHERE PatientID IN ('P2', 'P3')")
    assert failed(lake.run(0)) == {}
    return lake


@pytest.fixture
def spoiled(spoiled_origin: Small, tmp_path: Path) -> Small:
    return copied(spoiled_origin, tmp_path)


def told(lake: Small, *words: str, exits: int = 0) -> Any:
    """What a command answers."""
    done = CliRunner().invoke(cli.app, ["-p", str(lake.project), "quarantine", *words, "--json"], env=lake.environment)
    assert done.exit_code == exits, done.exception or done.output
    return json.loads(done.output)


def refused(lake: Small, *words: str) -> str:
    """What it says that does nothing."""
    done = CliRunner().invoke(cli.app, ["-p", str(lake.project), "quarantine", *words], env=lake.environment)
    assert isinstance(done.exception, RepairRefused), done.output
    return str(done.exception)


def ids(lake: Small, table: str) -> list[str]:
    return [row["id"] for row in told(lake, "list", table, "--rows")["rows"]]


def test_what_is_held_back_is_counted_by_table_rule_and_source_and_ages(spoiled):
    listed = told(spoiled, "list")
    found = {(one["table"], one["rule"], one["source"], one["rows"]) for one in listed["waits"]}
    assert ("patient", BIRTH, "hos-a", 2) in found
    assert [one[:2] for one in found if one[0] == "claim"] == [("claim", "claim_amount_readable")]
    assert listed["days"] == 14


def test_what_waits_for_longer_than_it_may_fails_where_that_is_asked(spoiled, monkeypatch):
    monkeypatch.setattr("carelake.serve.cli_quarantine.now", lambda: NOW + timedelta(days=14))
    assert {one["overdue"] for one in told(spoiled, "list", "--strict")["waits"]} == {0}
    monkeypatch.setattr("carelake.serve.cli_quarantine.now", lambda: NOW + timedelta(days=15))
    assert {one["overdue"] for one in told(spoiled, "list", "patient", "--strict", exits=80)["waits"]} == {2}
    spoiled.sql("UPDATE patients SET DOB = '1958-04-23', ModifiedDate = '2024-02-01' WHERE PatientID = 'P2'")
    spoiled.run(1)
    (left,) = told(spoiled, "list", "patient")["waits"]
    assert (left["rows"], left["mended"], left["overdue"]) == (2, 1, 1)  # the source has mended one since


def test_one_row_shows_tokens_and_never_what_its_source_had_told(spoiled):
    (one, _) = ids(spoiled, "patient")
    row = told(spoiled, "show", one)
    assert (row["table"], row["source"], row["feed"], list(row["reasons"])) == ("patient", "hos-a", "patients", [BIRTH])
    assert row["shows"]["full_name"].startswith("PATIENT-")
    assert {"DOB", "FirstName"} <= set(row["corrects"])
    said = spoiled.command("quarantine", "show", one).stdout.decode()
    assert [word for word in ("Max", "222-22-2222", "one day") if word in said] == []


def test_a_row_is_repaired_with_the_next_run_and_leaves_no_value_behind(spoiled):
    one, other = ids(spoiled, "patient")
    assert told(spoiled, "repair", one, "--set", f"DOB={SECRET}", "--dry-run")["rows"] == 1
    done = told(spoiled, "repair", one, "--set", f"DOB={SECRET}", "--because", "asked the ward")
    assert (done["rows"], done["loads"]) == (1, ["repair.hos-a_patients.000001"])
    again = told(spoiled, "repair", one, "--set", f"DOB={SECRET}")
    assert (again["rows"], again["already"], again["loads"]) == (0, 1, [])
    did = spoiled.run(1)
    assert failed(did) == {}
    assert ids(spoiled, "patient") == [other]
    assert spoiled.one("SELECT COUNT(*) FROM silver.patient WHERE source_system = 'hos-a'") == 2
    assert spoiled.ask("SELECT load_type, why FROM audit.load_logs WHERE data_source = 'repair'") == [
        ("repair", "asked the ward")
    ]
    assert spoiled.ask("SELECT how, quarantine_reasons FROM audit.quarantine_resolved") == [("repair", BIRTH)]
    assert spoiled.one("SELECT COUNT(*) FROM bronze.repair_hos_a_patients") == 1
    assert SECRET not in everything_said(spoiled, did)
    assert "settled" in refused(spoiled, "repair", one, "--set", f"DOB={SECRET}")


def test_what_the_source_sends_again_neither_lands_nor_opens_it_anew(spoiled):
    for one in ids(spoiled, "patient"):
        told(spoiled, "repair", one, "--set", f"DOB={SECRET}")
    spoiled.run(1)
    landed = spoiled.one("SELECT COUNT(*) FROM bronze.hos_a_patients")
    spoiled.run(2, reconcile=True)  # a whole extraction, which still brings the bad rows
    assert spoiled.one("SELECT COUNT(*) FROM bronze.hos_a_patients") == landed
    assert ids(spoiled, "patient") == []
    assert spoiled.one("SELECT COUNT(*) FROM silver.patient WHERE source_system = 'hos-a'") == 3


def test_a_row_of_a_file_is_accepted_and_says_so(spoiled):
    (one,) = ids(spoiled, "claim")
    assert told(spoiled, "accept", one, "--because", "the payer knows")["rows"] == 1
    assert told(spoiled, "accept", one, "--because", "the payer knows")["already"] == 1
    spoiled.run(1)
    assert ids(spoiled, "claim") == []
    assert spoiled.ask("SELECT claim_amount FROM silver.claim WHERE flags LIKE '%claim_amount_readable%'") == [(None,)]


def test_a_batch_goes_out_as_a_file_and_comes_back_all_or_nothing(spoiled):
    out = spoiled.folder / "patients.csv"
    assert told(spoiled, "export", "patient", "--out", str(out))["rows"] == 2
    assert out.stat().st_mode & 0o077 == 0
    rows = [*csv.DictReader(out.read_text().splitlines())]
    assert "Max" not in out.read_text()
    assert {row["silver.full_name"][:8] for row in rows} == {"PATIENT-"}
    refused(spoiled, "export", "patient", "--out", str(out))

    def filled(**wrong: str) -> str:
        given = [dict(row, DOB=SECRET) for row in rows]
        given[1] |= wrong
        with out.open("w", newline="") as file:
            writer = csv.DictWriter(file, given[0].keys())
            writer.writeheader()
            writer.writerows(given)
        return str(out)

    assert "line 3" in refused(spoiled, "repair", "--from", filled(id="77-7"))
    assert told(spoiled, "repair", "--from", filled(), "--dry-run")["rows"] == 2
    assert told(spoiled, "repair", "--from", filled())["rows"] == 2
    spoiled.run(1)
    assert ids(spoiled, "patient") == []


def test_what_still_breaks_a_rule_keeps_its_id_and_waits(spoiled):
    one, _ = ids(spoiled, "patient")
    told(spoiled, "repair", one, "--set", "DOB=another day")
    did = spoiled.run(1)
    assert [(step.name, step.rows) for step in did.steps if step.step == "repair"] == [("patient", 1)]
    assert len(ids(spoiled, "patient")) == 2
    told(spoiled, "repair", one, "--set", f"DOB={SECRET}")
    spoiled.run(2)
    assert len(ids(spoiled, "patient")) == 1


def test_a_changed_mapping_is_replayed(spoiled):
    spoiled.say("sources/hos-a.yml", "birth_date:  DOB", "birth_date: NULLIF(DOB, 'one day')")
    assert told(spoiled, "replay", "patient", "--rule", "another_rule")["rows"] == 0
    assert told(spoiled, "replay", "patient")["rows"] == 2
    assert told(spoiled, "replay", "patient")["already"] == 2
    spoiled.run(1)
    assert ids(spoiled, "patient") == []


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("repair", "nonsense", "--set", "DOB=1"), "an id looks like"),
        (("repair", "1-999", "--set", "DOB=1"), "no row of that id"),
        (("repair", "{patient}", "--set", "Born=1958-04-23"), "has no column 'Born'. It has: "),
        (("repair", "{patient}", "--set", "DOB"), "no '='"),
        (("show", "1-999"), "no row of the id"),
        (("list", "pateint"), "Did you mean 'patient'"),
    ],
)
def test_what_cannot_be_taken_is_named(spoiled_origin, words, found):
    (patient, _) = ids(spoiled_origin, "patient") if any("{" in word for word in words) else ("", "")
    said = refused(spoiled_origin, *(word.format(patient=patient) for word in words))
    assert found in said
    assert SECRET not in said
