"""What leaves in an extract, how it is treated, what is refused, and the evidence of it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
from contextlib import closing
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from small_lake import Small, failed

from carelake import declare
from carelake.extract.extraction import ExtractRefused
from carelake.extract.selection import selected

HELD = """
  department:
    one_of_each:
      must: ROW_NUMBER() OVER (PARTITION BY source_system, department_name ORDER BY department_key) = 1
      because: two of one name are one
      otherwise: stop
"""
DAY = "2035-06-30"  # of the ages: one that is not over
PSEUDONYM = re.compile(r"[A-Z2-7]{16}")


def extract(lake: Small, out: str, *words: str, profile: str = "safe_harbor") -> dict[str, Any]:
    """The evidence of an extract that was made into a folder of that name."""
    asked = ("extract", "--profile", profile, "--recipient", "University", "--out", str(lake.folder / out))
    told = lake.invoke(*asked, *(() if "--as-of" in words else ("--as-of", DAY)), *words, "--json")
    if told.exception and not isinstance(told.exception, SystemExit):
        raise told.exception
    made: dict[str, Any] = json.loads(told.stdout)
    return made


def rows(lake: Small, out: str, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    with duckdb.connect() as db:
        return db.sql(f"SELECT {columns} FROM '{lake.folder / out / table}/*.parquet' ORDER BY ALL").fetchall()


# --- what leaves -----------------------------------------------------------------------------------------------------


def test_by_safe_harbor_ages_states_three_digits_and_years_leave(small: Small) -> None:
    told = extract(small, "out")
    assert rows(small, "out", "patient", "gender, age, state, zip3") == [
        ("F", "54", "IL", "627"), ("F", "56", "MA", "021"), ("M", "77", "TX", "733")
    ]  # fmt: skip
    assert rows(small, "out", "claim", "service_year, claim_year, claim_amount, claim_status") == [
        (2024, 2024, Decimal("100.10"), "Paid"), (2024, 2024, Decimal("300.00"), "Paid")
    ]  # fmt: skip
    assert {one["table"]: one["rows"] for one in told["tables"]} == {
        "patient": 3, "encounter": 3, "transaction": 4, "claim": 2, "department": 4, "icd_code": 2, "cpt_code": 2
    }  # fmt: skip
    shown = {column["name"] for one in told["tables"] for column in one["columns"]}
    assert not {"birth_date", "zip", "address", "full_name", "provider_key", "claim_date"} & shown
    assert told["is"].startswith("De-identified by Safe Harbor")


def test_a_limited_data_set_has_dates_and_zips_and_calls_itself_protected(small: Small) -> None:
    with pytest.raises(ExtractRefused, match="data use agreement"):
        extract(small, "out", profile="limited_data_set")
    assert not (small.folder / "out").exists()
    told = extract(small, "out", "--agreement", "DUA-17", profile="limited_data_set")
    dates = [(str(born), state, zip_) for born, state, zip_ in rows(small, "out", "patient", "birth_date, state, zip")]
    assert dates == [("1958-04-23", "TX", "73301"), ("1978-11-07", "MA", "02101"), ("1980-12-10", "IL", "62701")]
    assert [str(day) for (day,) in rows(small, "out", "claim", "claim_date")] == ["2024-10-03", "2024-10-07"]
    assert "protected health information, and not de-identified" in told["is"]
    assert told["agreement"] == "DUA-17"
    assert "Protected health information" in (small.folder / "out/evidence.html").read_text()


def test_pseudonyms_link_the_tables_of_one_extract_and_no_two_extracts(small: Small) -> None:
    extract(small, "one")
    extract(small, "two")
    linked = (
        "SELECT COUNT(*) FROM '{0}/claim/*.parquet' AS c INNER JOIN '{1}/patient/*.parquet' AS p USING (patient_key)"
    )
    with duckdb.connect() as db:
        assert db.sql(linked.format(small.folder / "one", small.folder / "one")).fetchall() == [(2,)]
        assert db.sql(linked.format(small.folder / "one", small.folder / "two")).fetchall() == [(0,)]
    for name, key in (("claim", "claim_key"), ("transaction", "encounter_key"), ("patient", "patient_key")):
        assert all(PSEUDONYM.fullmatch(value) for (value,) in rows(small, "one", name, key))
    kept = pq.read_table(small.project / "originals/vault/pseudonym", partitioning=None).to_pylist()
    mine = {row["pseudonym"]: row["stored"] for row in kept if (row["extract"], row["namespace"]) == (1, "patient_key")}
    assert {name for (name,) in rows(small, "one", "patient", "patient_key")} == set(mine)
    assert sorted(mine.values()) == ["1", "2", "3"]


def test_no_row_says_by_its_place_where_it_was(small: Small) -> None:
    extract(small, "out")
    for table, key in (("patient", "patient_key"), ("transaction", "transaction_key")):
        (path,) = (small.folder / "out" / table).glob("*.parquet")
        keys = pq.read_table(path)[key].to_pylist()
        assert keys == sorted(keys)


# --- what was planted ------------------------------------------------------------------------------------------------


def test_of_what_the_hospital_wrote_nothing_that_names_a_patient_leaves(small: Small) -> None:
    """Every value of more than five signs of every column about patients, against every cell of the extract."""
    extract(small, "out")
    cells = {str(value) for path in (small.folder / "out").rglob("*.parquet")
             for row in pq.read_table(path, partitioning=None).to_pylist() for value in row.values()}  # fmt: skip
    text = "".join(path.read_text() for path in (small.folder / "out").glob("evidence.*"))
    with closing(sqlite3.connect(small.folder / "hos-a.db")) as db:
        asked = db.execute("SELECT * FROM patients")
        wrote = {
            name: set(map(str, values))
            for (name, *_), values in zip(asked.description, zip(*asked, strict=True), strict=True)
        }
    identifying = {name: {v for v in values if len(v) > 5} for name, values in wrote.items()}
    assert sum(map(len, identifying.values())) > 15
    assert {name: values & cells for name, values in identifying.items() if values & cells} == {}
    assert [v for values in identifying.values() for v in values if v in text] == []


# --- who could be told apart -----------------------------------------------------------------------------------------


def test_persons_in_small_classes_show_no_quasi_identifiers_or_are_left_out(small: Small) -> None:
    for n in range(4, 10):  # six alike, and the three that are there, each alone
        alike = "FirstName, LastName, MiddleName, SSN, PhoneNumber, 'F', '1990-01-01', '1 Elm, Boston, MA 02101'"
        small.sql(f"INSERT INTO patients SELECT 'P{n}', {alike}, '2024-05-01' FROM patients WHERE PatientID = 'P1'")
    assert failed(small.run(1)) == {}
    told = extract(small, "plain")["risk"]
    assert (told["before_suppression"]["persons"], told["before_suppression"]["smallest"]) == (9, 1)
    assert told["before_suppression"]["alone"] == told["after_suppression"]["alone"] == 3
    told = extract(small, "three", "--smallest-class", "3")["risk"]
    assert (told["persons_suppressed"], told["persons_left_out"]) == (3, 0)
    assert (told["after_suppression"]["smallest"], told["after_suppression"]["alone"]) == (3, 0)
    assert rows(small, "three", "patient", "gender, age, state, zip3") == [
        *[("F", "45", "MA", "021")] * 6, *[(None, None, None, None)] * 3
    ]  # fmt: skip
    told = extract(small, "four", "--smallest-class", "4")["risk"]
    assert (told["persons_suppressed"], told["persons_left_out"]) == (0, 3)
    assert len(rows(small, "four", "patient")) == 6
    assert rows(small, "four", "claim") == rows(small, "four", "encounter") == []  # of those three, all of it


def test_two_events_that_somebody_knows_tell_who_it_is(small: Small) -> None:
    told = extract(small, "out", "--agreement", "A", profile="limited_data_set")["risk"]["before_suppression"]
    assert told["alone_by_two_events"] == 3  # each has a visit and a charge of a day of their own


# --- what is refused, and what is kept -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--profile", "public"], "no profile 'public'"),
        (["--recipient", " "], "who gets it"),
        (["--profile", "limited_data_set", "--agreement", " "], "data use agreement"),
    ],
)
def test_what_may_not_be_made_is_refused_and_leaves_nothing(small: Small, words: list[str], said: str) -> None:
    with pytest.raises(ExtractRefused, match=said):
        extract(small, "out", *words)
    assert not list(small.folder.glob("out*"))


def test_an_age_above_89_is_not_told_by_the_day_of_another_year(small: Small) -> None:
    with pytest.raises(ExtractRefused, match="over 89"):
        extract(small, "out", "--as-of", "2010-01-01")
    assert extract(small, "out", "--as-of", "2010-01-01", "--agreement", "A", profile="limited_data_set")


def test_an_extract_is_not_made_in_the_lake_and_takes_nothing_away_beside_it(small: Small) -> None:
    for inside in ("lake", "originals", "restricted"):
        with pytest.raises(ExtractRefused, match=f"own folder '{inside}'"):
            extract(small, f"project/{inside}/silver/out")
    (small.folder / "out.undone").mkdir()
    (small.folder / "out.undone/mine").write_text("mine")
    extract(small, "out")
    assert (small.folder / "out.undone/mine").read_text() == "mine"
    assert (small.folder / "out").stat().st_mode & 0o77 == 0


def test_a_folder_that_is_there_is_not_touched(small: Small) -> None:
    (small.folder / "out").mkdir()
    (small.folder / "out/mine").write_text("mine")
    with pytest.raises(ExtractRefused, match="there already"):
        extract(small, "out")
    assert [path.name for path in (small.folder / "out").iterdir()] == ["mine"]


def test_what_is_not_released_does_not_leave(small: Small) -> None:
    small.say("lake.yml", "\nsettings:", f"{HELD}\nsettings:")
    small.sql("INSERT INTO departments VALUES ('D7', 'Oncology')")
    assert failed(small.run(1)) != {}
    with pytest.raises(ExtractRefused, match=r"silver\.department_versions has moved on since the latest release"):
        extract(small, "out")


def test_a_dry_run_says_what_would_leave_and_writes_nothing(small: Small) -> None:
    told = extract(small, "out", "--dry-run")
    assert [one["table"] for one in told["tables"]][:2] == ["patient", "encounter"]
    assert not (small.folder / "out").exists()
    assert not (small.project / "originals/vault/pseudonym").exists()


def test_the_access_log_and_the_audit_know_who_got_what(small: Small) -> None:
    extract(small, "out", "--purpose", "study 12", "--address", "1 Campus Way")
    (given,) = json.loads(small.invoke("audit", "disclosures", "--json").stdout)
    assert given["given"].keys() == {"profile", "address", "agreement"}
    assert given["given"]["profile"] in small.invoke("audit", "disclosures").stdout
    assert (given["recipient"], given["purpose"], given["rows_shown"], given["patients"]) == (
        "University",
        "study 12",
        20,
        3,
    )
    assert len(json.loads(small.invoke("audit", "who-saw", "1", "--json").stdout)["events"]) == 1
    (row,) = small.ask(
        "SELECT profile, recipient, address, purpose, rows_out, persons, evidence_sha256 FROM audit.extracts"
    )
    digest = hashlib.sha256((small.folder / "out/evidence.json").read_bytes()).hexdigest()
    assert row == ("safe_harbor", "University", "1 Campus Way", "study 12", 20, 3, digest)


def test_the_evidence_names_every_identifier_every_file_and_what_was_not_checked(small: Small) -> None:
    told = extract(small, "out")
    assert told == json.loads((small.folder / "out/evidence.json").read_text())
    assert [one["letter"] for one in told["identifiers"]] == list("ABCDEFGHIJKLMNOPQR")
    found = {one["letter"]: one["found"] for one in told["identifiers"]}
    assert (found["A"], found["C"], found["K"]) == (
        "no column of the extract is one", "leaves as treated", "no kind of fact that is declared is one"
    )  # fmt: skip
    for name, digest in told["files"].items():
        assert hashlib.sha256((small.folder / "out" / name).read_bytes()).hexdigest() == digest
    assert len(told["files"]) == 7
    assert len(told["not_checked"]) == 4
    page = (small.folder / "out/evidence.html").read_text()
    assert "Social Security Numbers" in page
    assert "Signature ______" in page


def test_no_extract_is_left_half_made_by_a_lack_of_space(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(Exception, match="LAKE-501"):
        extract(small, "out")
    assert not list(small.folder.glob("out*"))


def test_every_column_that_may_leave_has_a_treatment_in_every_profile(small_origin: Small) -> None:
    says = declare.read(small_origin.project)
    for profile in ("safe_harbor", "limited_data_set"):
        for one in selected(says, profile):
            assert {column.treatment for column in one.shown} <= {"keep", "year", "age", "zip3", "state", "pseudonym"}
            assert not [
                c for c in one.shown if c.kind in ("name", "ssn", "phone", "email", "free_text", "provider_identity")
            ]
