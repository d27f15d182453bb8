"""Rows that carry a label are seen by the audiences that the page names, with what belongs to them; by no others."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from small_lake import Small, copied, failed, made
from test_custom import declares, refused
from test_extract import extract, rows

from carelake import declare, labels
from carelake.model import Label
from carelake.serve import door
from carelake.serve.asker import Asker

# Transaction T3 of encounter E2 and patient P2, with claim C3, is of provider V2; of alcohol (F10.20) in some lakes.
ALCOHOL = "UPDATE transactions SET ICDCode = 'F10.20', ModifiedDate = '2024-12-01' WHERE TransactionID = 'T3'"
OF_V2 = "labels: {part_2: {providers: {hos-a: [H1-V2]}}}\n"
COUNTED = ("silver.patient", "silver.encounter", "silver.transaction", "silver.transaction_history", "silver.claim_all",
           "gold.fact_transaction", "gold.fact_claim", "gold.dim_patient")  # fmt: skip


def counts(lake: Small, audience: str = "operations") -> dict[str, int]:
    asker = replace(Asker.here(lake.project, environment=lake.environment), audience=audience)
    asked = " UNION ALL ".join(f"SELECT '{name}' AS name, COUNT(*) AS n FROM {name}" for name in COUNTED)
    with door.ask(lake.project, asked, asker=asker) as batches:
        return {row["name"].partition(".")[2]: row["n"] for batch in batches for row in batch.to_pylist()}


@pytest.fixture(scope="module")
def alcohol(tmp_path_factory: pytest.TempPathFactory) -> Small:
    lake = made(tmp_path_factory.mktemp("alcohol"))
    assert failed(lake.run(0)) == {}
    lake.sql(ALCOHOL)
    assert failed(lake.run(1)) == {}
    return lake


@pytest.fixture
def lake(alcohol: Small, tmp_path: Path) -> Small:
    return copied(alcohol, tmp_path)


EVERYTHING = {"patient": 3, "encounter": 3, "transaction": 4, "transaction_history": 5, "claim_all": 2,
              "fact_transaction": 4, "fact_claim": 2, "dim_patient": 3}  # fmt: skip
WITHOUT = {**EVERYTHING, "encounter": 2, "transaction": 3, "transaction_history": 3, "claim_all": 1,
           "fact_transaction": 3, "fact_claim": 1}  # fmt: skip


def test_who_is_named_sees_the_rows_and_who_is_not_sees_nothing_that_belongs_to_them(lake: Small) -> None:
    known = counts(lake)
    assert {**known, "dim_patient": 3} == EVERYTHING  # the page names operations for the use of substances
    seen = counts(lake, "limited_data_set")
    assert {**seen, "dim_patient": 3} == WITHOUT
    assert seen["dim_patient"] == known["dim_patient"]  # a person carries no label


def test_rows_of_a_provider_that_lake_yml_names_are_seen_by_nobody(small: Small) -> None:
    path = small.project / "lake.yml"
    path.write_text(path.read_text() + OF_V2)
    seen = counts(small)
    assert (seen["encounter"], seen["transaction"], seen["claim_all"], seen["fact_transaction"]) == (2, 3, 1, 3)


def test_rows_of_a_source_that_lake_yml_names_are_seen_by_nobody(small: Small) -> None:
    path = small.project / "lake.yml"
    path.write_text(path.read_text() + "labels: {psychotherapy_notes: {all_of: [hos-a]}}\n")
    seen = counts(small)
    assert {name: n for name, n in seen.items() if n} == {"dim_patient": 1}  # who is not known


def test_marts_add_up_all_rows(lake: Small) -> None:
    path = lake.project / "lake.yml"
    path.write_text(path.read_text() + OF_V2)
    before = lake.one("SELECT claim_amount FROM gold.claim_status WHERE source_system = 'all'")
    assert failed(lake.run(2)) == {}
    assert lake.one("SELECT claim_amount FROM gold.claim_status WHERE source_system = 'all'") == before


def test_a_story_of_a_hidden_row_is_not_told(lake: Small) -> None:
    path, key = (
        lake.project / "lake.yml",
        lake.one("SELECT transaction_key FROM silver.transaction WHERE icd_code = 'F10.20'"),
    )
    assert lake.command("history", "transaction", str(key)).returncode == 0
    path.write_text(path.read_text() + OF_V2)
    assert lake.command("history", "transaction", str(key)).returncode != 0
    assert lake.one(f"SELECT COUNT(*) FROM audit.changes WHERE table_name = 'transaction' AND key = {key}") == 0


def test_a_mart_that_names_a_hidden_claim_in_another_column_does_not_show_it(lake: Small) -> None:
    claim = lake.one("SELECT claim_key FROM silver.claim WHERE claim_id = 'C3'")
    flow = f"SELECT COUNT(*) FROM gold.claim_cash_flow WHERE original_claim_key = {claim}"
    assert lake.one(flow) > 0
    path = lake.project / "lake.yml"
    path.write_text(path.read_text() + OF_V2)
    assert lake.one(flow) == 0
    assert lake.one("SELECT COUNT(*) FROM gold.claim_cash_flow") > 0


def test_which_rows_break_a_rule_is_told_of_those_that_are_seen(lake: Small) -> None:
    key = lake.one("SELECT transaction_key FROM silver.transaction WHERE icd_code = 'F10.20'")
    asked = ("quality", "--rule", "transaction.icd_code_known", "--json")
    assert key in json.loads(lake.command(*asked).stdout)["keys"]  # the small table of codes knows I10 and E11.9
    path = lake.project / "lake.yml"
    path.write_text(path.read_text() + OF_V2)
    assert key not in json.loads(lake.command(*asked).stdout)["keys"]


def test_nothing_of_it_leaves_in_an_extract_and_the_evidence_says_so(lake: Small) -> None:
    told = extract(lake, "out", "--agreement", "DUA-17", profile="limited_data_set")
    left = {one["table"]: one["rows"] for one in told["tables"]}
    assert [left[name] for name in ("patient", "encounter", "transaction", "claim")] == [3, 2, 3, 1]
    assert rows(lake, "out", "transaction", "COUNT(*) FILTER (icd_code LIKE 'F%')") == [(0,)]
    assert "substance_use" in told["labels_not_seen"]
    assert (
        "Rows with one of these labels did not leave: substance_use" in (lake.folder / "out/evidence.html").read_text()
    )


def test_a_setting_says_whether_a_state_has_it_so(small: Small) -> None:
    assert "reproductive_health" in declare.read(small.project).policy.labels
    small.say("lake.yml", "settings:", "settings:\n  reproductive_health_label: open")
    assert "reproductive_health" not in declare.read(small.project).policy.labels


@pytest.mark.parametrize(
    ("code", "label"),
    [("F10.20", "substance_use"), ("F1020", "substance_use"), ("F17.210", None), ("F1", None), ("B20", "hiv"),
     ("O98.711", "hiv"), ("O98711", "hiv"), ("O98.8", None), ("F32.1", "mental_health"), ("F70", None),
     ("Z33.2", "reproductive_health"), ("Z33.1", None), ("I10", None), ("E11.9", None)],
)  # fmt: skip
def test_a_code_has_the_label_that_it_begins_with(small: Small, code: str, label: str | None) -> None:
    """By the shipped table, with and without its dot, compared here sign by sign."""
    with (declare.shipped() / "reference/sensitive_code.csv").open() as lines:
        known = [
            (row["code"].replace(".", ""), row["label"])
            for row in csv.DictReader(lines)
            if row["code_column"] == "icd_code"
        ]
    bare = code.replace(".", "")
    assert {name for begin, name in known if bare.startswith(begin)} == ({label} if label else set())
    policy = declare.read(small.project).policy
    conditions = {
        name: " OR ".join(labels._conditions(declare.read(small.project).tables["transaction"], one))
        for name, one in policy.labels.items()
    }
    row = f"(SELECT '{code}' AS icd_code, '' AS procedure_code) AS row_of"
    asked = {name: f"SELECT COUNT(*) FROM {row} WHERE {where}" for name, where in conditions.items() if where}
    told = [name for name, select in asked.items() if small.one(select)]
    assert told == ([label] if label else [])


def test_what_is_named_by_people_stands_in_sql_as_a_text() -> None:
    label = Label("x", "", (), {}, ("it's",), {"o'b": ("x'); DROP",)})
    claim = declare.read(declare.shipped() / "templates/rcm").tables["claim"]
    told = " OR ".join(labels._conditions(claim, label))
    assert told == "source_system IN ('it''s') OR (source_system = 'o''b' AND provider_id IN ('x''); DROP'))"


@pytest.mark.parametrize(
    ("page", "code"),
    [
        ("labels: [a]\n", "LAKE-110"),
        ("labels: {wealth: rich}\n", "LAKE-101"),
        ("labels: {wealth: {about: Money}}\n", "LAKE-101"),
        ("labels: {wealth: {about: Money, seen_by: [the boss]}}\n", "LAKE-102"),
        ("labels: {wealth: {about: Money, seen_by: [], when: moon}}\n", "LAKE-102"),
        ("labels: {Wealth of a: {about: Money, seen_by: []}}\n", "LAKE-116"),
    ],
)
def test_a_slip_of_a_label_is_named(small: Small, page: str, code: str) -> None:
    declares(small, page)
    assert code in refused(small)


def test_whoever_shall_see_more_needs_a_signature(small: Small) -> None:
    declares(small, "labels: {part_2: {about: Part 2, seen_by: [operations]}}\n", env="prod")
    assert "'operations' would see rows with the label 'part_2'" in refused(small)["LAKE-114"]
    declares(small, "labels: {hiv: {about: HIV, seen_by: [care_team]}}\n", env="prod")
    assert declare.read(small.project).policy.labels["hiv"].seen_by == ("care_team",)


@pytest.mark.parametrize(
    ("text", "code"),
    [("a,b\nicd_code,F10\n", "LAKE-118"), ("code_column,code,label\nicd_code,F10,wealth\n", "LAKE-102"),
     ("code_column,code,label\nicd_code,F1|.*,hiv\n", "LAKE-118")],
)  # fmt: skip
def test_a_slip_in_the_table_of_codes_is_named(small: Small, text: str, code: str) -> None:
    (small.project / "reference").mkdir()
    (small.project / "reference/sensitive_code.csv").write_text(text)
    assert code in refused(small)


PLACES = [
    "{wealth: {all_of: [hos-a]}}",
    "{part_2: {all_of: [hos-z]}}",
    "{part_2: {providers: {hos-z: [V1]}}}",
    "{part_2: {providers: {hos-a: V1}}}",
    "{part_2: hos-a}",
    "{part_2: {sources: [hos-a]}}",
]


@pytest.mark.parametrize("says", PLACES)
def test_a_slip_in_what_lake_yml_labels_is_named(small: Small, says: str) -> None:
    path = small.project / "lake.yml"
    path.write_text(f"{path.read_text()}labels: {says}\n")
    assert set(refused(small)) <= {"LAKE-101", "LAKE-102"}
