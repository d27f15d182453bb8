"""Mistakes in declarations: each found at once, at its line, with what to write instead."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from carelake import check_words, declare, project
from carelake.errors import DeclarationsRefused, ProjectMissing
from carelake.model import Declarations, Feed
from carelake.serve import show

SLIPS = [
    ("lake.yml", "engine: duck", "engine: dukc"),
    ("lake.yml", "as_of: 2024-11-30", "as_of: 30.11.2024"),
    ("lake.yml", "must: NOT first_name IS NULL", "must: NOT frist_name IS NULL"),
    ("sources/hos-b.yml", "gender:      Gender\n      birth_date:  DOB", "gander:      Gender\n      birth_date:  DOB"),
    ("sources/hos-b.yml", "watermark: Updated_Date", "water_mark: Updated_Date"),
    ("sources/hos-b.yml", "department_name: Name", "department_name: LOWER(Name)"),
    ("silver/encounter.yml", "[source_system, encounter_id]", "[encounter_id]"),
    ("silver/patient.yml", "kind: birth_date", "kind: birthdate"),
    ("silver/patient.yml", "sequence_by: updated_at", "sequence: updated_at"),
    ("silver/provider.yml", "otherwise: warn", "otherwise: warning"),
    ("gold/core/fact_claim.sql", "FROM silver.claim ", "FROM silver.claims "),
    ("gold/core/dim_npi.sql", "deactivated_on <= $as_of", "deactivated_on <= CURRENT_DATE"),
    ("gold/core/dim_icd.md", "is_billable:", "billable:"),
]
FOUND = [
    ("LAKE-102", "rcm/lake.yml:8"),
    ("LAKE-102", "rcm/lake.yml:9"),
    ("LAKE-102", "rcm/lake.yml:15"),
    ("LAKE-105", "silver/encounter.yml:2"),
    ("LAKE-101", "silver/patient.yml:1"),
    ("LAKE-102", "silver/patient.yml:3"),
    ("LAKE-104", "silver/patient.yml:17"),
    ("LAKE-102", "silver/provider.yml:19"),
    ("LAKE-102", "sources/hos-b.yml:10"),
    ("LAKE-109", "sources/hos-b.yml:7"),
    ("LAKE-102", "sources/hos-b.yml:21"),
    ("LAKE-106", "sources/hos-b.yml:7"),
    ("LAKE-120", "sources/hos-b.yml:33"),
    ("LAKE-102", "core/fact_claim.sql:{claim}"),
    ("LAKE-107", "core/dim_icd.md:1"),
    ("LAKE-120", "core/dim_npi.sql:{today}"),
]
HINTS = (
    "Did you mean 'duck'?",
    "or a day as in `as_of: 2024-11-30`",
    "Did you mean 'first_name'?",
    "Did you mean 'gender'?",
    "Did you mean 'watermark'?",
    "Did you mean 'birth_date'?",
    "Did you mean 'sequence_by'?",
    "Did you mean 'warn'?",
    "Did you mean 'silver.claim'?",
    "Use $as_of.",
    "Put it first",
    "Map it; to NULL, if this source does not have it.",
)


@pytest.fixture
def rcm(tmp_path: Path) -> Path:
    """A project as `carelake init` makes it."""
    project.make(tmp_path / "rcm", "rcm")
    return tmp_path / "rcm"


def own(rcm: Path, name: str) -> Path:
    """The project's own copy of a file, made of the shipped one if need be."""
    path = rcm / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(declare.shipped() / name, path)
    return path


def slip(rcm: Path, name: str, right: str, wrong: str) -> None:
    path = own(rcm, name)
    text = path.read_text()
    assert right in text, f"{name} no longer says '{right}'"
    path.write_text(text.replace(right, wrong, 1))


def write(rcm: Path, name: str, text: str | bytes) -> None:
    path = rcm / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)


def refused(rcm: Path) -> list[tuple[str, str]]:
    """Code and place of every mistake."""
    with pytest.raises(DeclarationsRefused) as error:
        declare.read(rcm)
    assert error.value.exit_code == 10
    return [(mistake.code, mistake.where) for mistake in error.value.mistakes]


def said(rcm: Path) -> str:
    with pytest.raises(DeclarationsRefused) as error:
        declare.read(rcm)
    return str(error.value)


def line_of(path: Path, words: str) -> int:
    return next(n for n, line in enumerate(path.read_text().splitlines(), 1) if words in line)


def test_every_mistake_is_reported_at_once_with_its_line_and_what_to_write(rcm):
    for name, right, wrong in SLIPS:
        slip(rcm, name, right, wrong)
    lines = {
        "claim": line_of(rcm / "gold/core/fact_claim.sql", "silver.claims"),
        "today": line_of(rcm / "gold/core/dim_npi.sql", "CURRENT_DATE"),
    }
    assert sorted(refused(rcm)) == sorted((code, where.format(**lines)) for code, where in FOUND)
    told = said(rcm)
    assert [hint for hint in HINTS if hint not in told] == []


def test_what_is_shipped_has_no_mistake(rcm):
    declared = declare.read(rcm)
    assert [feed.source for feed in declared.feeds if feed.name == "patients"] == ["hos-a", "hos-b"]
    assert declared.policy.sparse_zip3[0] == "036"  # text, not thirty
    assert all(table.key[0] == "source_system" for table in declared.tables.values())
    assert declared.place.as_of == "2024-11-30"


def test_a_folder_without_a_lake_yml_is_no_project(tmp_path):
    with pytest.raises(ProjectMissing):
        declare.read(tmp_path)


def test_yaml_that_cannot_be_read_is_a_mistake_among_the_others(rcm):
    slip(rcm, "sources/hos-a.yml", "  departments:\n", "  departments: [\n")
    slip(rcm, "lake.yml", "engine: duck", "engine: dukc")
    found = refused(rcm)
    assert ("LAKE-102", "rcm/lake.yml:8") in found
    assert [where for code, where in found if code == "LAKE-103"] == ["sources/hos-a.yml:29"]


@pytest.mark.parametrize(
    "text", ["- one\n- two\n", "only words\n", b"about: \xff\xfe\n", "a: b: c\n", "? [a, b]\n: c\n"]
)
def test_a_page_that_is_no_page_says_so(rcm, text):
    write(rcm, "silver/ward.yml", text)
    assert {code for code, where in refused(rcm) if where.startswith("silver/ward.yml")} == {"LAKE-103"}


def test_a_name_given_twice_is_a_mistake_and_not_the_last_one(rcm):
    slip(rcm, "sources/hos-a.yml", "      ssn:         SSN\n", "      ssn:         SSN\n      ssn:         Phone\n")
    assert "'ssn' is given twice" in said(rcm)


def test_yes_and_no_and_octal_numbers_stay_text(rcm):
    write(rcm, "settings.yml", "ask:\n  about: Whether to.\n  one_of: [NO, YES, 036]\n  default: 036\n")
    assert declare.read(rcm).settings["ask"].value == "036"
    slip(rcm, "lake.yml", "days_in_ar_window: 90", "days_in_ar_window: 090\n  ask: NO")
    assert declare.read(rcm).settings["days_in_ar_window"].value == "090"
    assert declare.read(rcm).settings["ask"].value == "NO"


WARD = """about: Wards.
key: [source_system, ward_id]
sequence_by: updated_at
history: scd2
columns:
  source_system: {type: text, kind: not_personal}
  ward_id:       {type: text, kind: not_personal, refers_to: ward}
  updated_at:    {type: timestamp, kind: not_personal}
"""


def test_a_file_of_the_projects_own_adds_a_table(rcm):
    write(rcm, "silver/ward.yml", WARD)
    assert declare.read(rcm).tables["ward"].key == ("source_system", "ward_id")


@pytest.mark.parametrize(
    ("right", "wrong", "code"),
    [
        ("key: [source_system, ward_id]", "key: source_system", "LAKE-101"),  # a word where a list is wanted
        ("about: Wards.", "about: [Wards]", "LAKE-101"),  # a list where a word is wanted
        ("columns:\n  source", "columns: all\nrules:\n  source", "LAKE-101"),  # a word where a mapping is wanted
        ("refers_to: ward", "refers_to: [ward]", "LAKE-101"),
        ("refers_to: ward", "one_of: A", "LAKE-101"),  # else it would be a list of letters
        ("{type: timestamp, kind: not_personal}", "timestamp", "LAKE-101"),
        ("type: timestamp", "type: datetime", "LAKE-102"),
        ("history: scd2", "history: scd3", "LAKE-102"),
        ("refers_to: ward", "refers_to: wards", "LAKE-102"),
        ("ward_id: ", "WardID: ", "LAKE-116"),
        ("ward_id: ", "'ward id; DROP': ", "LAKE-116"),
        ("ward_id: ", "order: ", "LAKE-116"),
        ("ward_id:       {type: text, kind: not_personal", "ward_id: {type: text, kind: phone", "LAKE-119"),
        ("history: scd2", "history: scd2\nrules: {a: {must: SUM(x), because: b, otherwise: warn}}", "LAKE-120"),
        ("history: scd2", "history: scd2\nrules: {a: {must: [x], because: b, otherwise: warn}}", "LAKE-101"),
        ("history: scd2", "history: scd2\nrules: {a: {must: ward IS NULL, because: b, otherwise: warn}}", "LAKE-102"),
        ("history: scd2", "history: scd2\nrules: {a: {must: 'a) OR (b', because: b, otherwise: warn}}", "LAKE-120"),
    ],
)
def test_a_word_of_the_wrong_shape_or_meaning_is_named(rcm, right, wrong, code):
    assert right in WARD
    write(rcm, "silver/ward.yml", WARD.replace(right, wrong))
    assert code in {found for found, where in refused(rcm) if where.startswith("silver/ward.yml")}


@pytest.mark.parametrize(
    ("right", "wrong", "code"),
    [
        ("table: patients", "tabel: patients", "LAKE-109"),
        ("table: patients", "table: patients\n    files: '*.csv'", "LAKE-109"),
        ("connection: ${HOS_A_URL}\n", "", "LAKE-109"),
        ("watermark: ModifiedDate\n    lookback: 1 day\n    fills: patient", "fills: patient", "LAKE-109"),
        ("patient_id:  PatientID", "patient_id:  TRIM(PatientID)", "LAKE-109"),
        ("fills: patient", "fills: person", "LAKE-102"),
        ("time_zone: UTC", "time_zone: Mars/Olympus", "LAKE-102"),
        ("fills: patient", "fills: patient\n    time_zone: Paris", "LAKE-102"),
        ("fills: patient", "fills: patient\n    types: {DOB: number}", "LAKE-102"),
        ("fills: patient", "fills: patient\n    control: {rows: rows}", "LAKE-101"),
        ("fills: patient", "fills: patient\n    active: no", "LAKE-102"),
        ("fills: patient", "fills: patient\n    key: PatientID", "LAKE-101"),
        ("fills: patient", "fills: patient\n    delete_when: EXISTS (SELECT 1)", "LAKE-120"),
        ("fills: patient", "fills: patient\n    wanted: SELECT npi FROM silver.provider", "LAKE-109"),
        ("fills: patient", "fills: patient\n    wanted: SELECT npi FROM silver.providers", "LAKE-102"),
        ("fills: patient", "fills: patient\n    wanted: SELECT * FROM silver.provider", "LAKE-120"),
        ("  patients:", "  ../patients:", "LAKE-116"),
        ("feeds:\n", "feeds: all\nelse:\n", "LAKE-101"),
    ],
)
def test_a_feed_that_does_not_hold_together_is_named(rcm, right, wrong, code):
    slip(rcm, "sources/hos-a.yml", right, wrong)
    assert code in {found for found, where in refused(rcm) if where.startswith("sources/hos-a.yml")}


@pytest.mark.parametrize(
    ("right", "wrong", "code"),
    [
        ("  lake: lake  ", "  lakes: lake  ", "LAKE-102"),
        ("about: Revenue cycle of two hospitals.", "", "LAKE-101"),
        ("  patient:\n", "  person:\n", "LAKE-102"),
        ("      otherwise: quarantine", "      otherwise: ignore", "LAKE-102"),
        ("      because: the billing", "      since: the billing", "LAKE-101"),
    ],
)
def test_a_slip_in_lake_yml_is_named(rcm, right, wrong, code):
    slip(rcm, "lake.yml", right, wrong)
    assert code in {found for found, where in refused(rcm) if where.startswith("rcm/lake.yml")}


@pytest.mark.parametrize(
    ("says", "code"),
    [
        ("driver.memory: 2g", "LAKE-102"),
        ("spark.driver.memory:", "LAKE-101"),
        ("spark.driver.memory: [2g]", "LAKE-101"),
        ("spark.io.encryption.enabled: no", "LAKE-102"),
    ],
)
def test_a_setting_of_spark_that_would_be_passed_over_or_tell_of_rows_is_named(rcm, says, code):
    slip(rcm, "lake.yml", "engine: duck", "engine: spark\nspark:\n  spark.driver.memory: 4g")
    assert declare.read(rcm).place.spark == {"spark.driver.memory": "4g"}
    slip(rcm, "lake.yml", "spark.driver.memory: 4g", says)
    line = line_of(rcm / "lake.yml", says)
    assert refused(rcm) == [(code, f"rcm/lake.yml:{line}")]


@pytest.mark.parametrize(
    "says",
    [f"memory:{size}" for size in (" 8", " 0GB", " half", " [8GB]", "", " 80%")] + ["readers: 0", "readers: many"],
)
def test_memory_and_readers_that_cannot_be_are_named(rcm, says):
    assert (declare.read(rcm).place.memory, declare.read(rcm).place.readers) == ("2GB", 16)
    slip(rcm, "lake.yml", "engine: duck", f"engine: duck\n{says}")
    assert ("LAKE-102", f"rcm/lake.yml:{line_of(rcm / 'lake.yml', says)}") in refused(rcm)
    slip(rcm, "lake.yml", says, "memory: 900MB\nreaders: 4")
    assert (declare.read(rcm).place.memory, declare.read(rcm).place.readers) == ("900MB", 4)


def test_a_shipped_rule_of_a_misspelled_name_is_named_with_the_nearest(rcm):
    slip(rcm, "lake.yml", "  patient:\n", "  patient:\n    birth_in_past: {otherwise: warn}\n")
    assert refused(rcm) == [("LAKE-102", f"rcm/lake.yml:{line_of(rcm / 'lake.yml', 'birth_in_past')}")]
    assert "Did you mean 'birth_is_past'?" in said(rcm)


def test_a_shipped_rule_can_be_given_another_severity_only(rcm):
    slip(rcm, "lake.yml", "rules: ", "rules:\n  transaction: {paid_within_amount: {otherwise: stop}}\n#")
    slip(rcm, "lake.yml", "  patient:\n", "  patient:\n    birth_is_past: {otherwise: warn}\n")
    rules = {rule.name: rule for rule in declare.read(rcm).tables["patient"].rules}
    assert rules["birth_is_past"].otherwise == "warn"
    assert rules["birth_is_past"].must == "birth_date <= $as_of"
    assert rules["first_name_present"].otherwise == "quarantine"


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("kind: record_number, refers_to: patient", "kind: account_number, refers_to: patient"),
        ("kind: record_number, refers_to: patient", "kind: not_personal, refers_to: patient"),
        ("kind: record_number, refers_to: patient", "kind: record_number, refers_to: department"),
    ],
)
def test_a_column_that_could_never_find_what_it_refers_to_is_named(rcm, right, wrong):
    slip(rcm, "silver/encounter.yml", right, wrong)
    assert ("LAKE-105", "silver/encounter.yml:9") in refused(rcm)


def test_nothing_refers_to_a_table_whose_key_has_several_columns(rcm):
    slip(
        rcm,
        "silver/department.yml",
        "key: [source_system, department_id]",
        "key: [source_system, department_id, department_name]",
    )
    assert ("LAKE-105", "silver/encounter.yml:13") in refused(rcm)


# --- settings ---

LABELLED = {"reproductive_health_label": "labelled"}
BEDS = "beds:\n  about: How many.\n  type: integer\n  from: 1\n  to: 40\n  default: 12\n"


def test_a_setting_that_lake_yml_does_not_name_has_its_default(rcm):
    write(rcm, "settings.yml", BEDS)
    slip(rcm, "lake.yml", "  ar_aging_from: service_date # service_date | visit_date\n", "")
    slip(rcm, "lake.yml", "days_in_ar_window: 90 ", "days_in_ar_window: 366 ")
    values = {name: setting.value for name, setting in declare.read(rcm).settings.items()}
    shipped = {"ar_aging_from": "service_date", "days_in_ar_window": "366", "large_claim_from": "50000"}
    assert values == {**shipped, "quarantine_days": "14", "beds": "12", **LABELLED}


@pytest.mark.parametrize(
    ("wrong", "code", "told"),
    [
        ("days_in_ar_windw: 90 ", "LAKE-102", "Did you mean 'days_in_ar_window'?"),
        ("days_in_ar_window: abc ", "LAKE-102", "Write a whole number from 1 to 366."),
        ("days_in_ar_window: 0 ", "LAKE-102", "days_in_ar_window is '0'"),
        ("days_in_ar_window: 367 ", "LAKE-102", "days_in_ar_window is '367'"),
        ("days_in_ar_window: 9.5 ", "LAKE-102", "days_in_ar_window is '9.5'"),
        ("days_in_ar_window: '' #", "LAKE-102", "days_in_ar_window is ''"),
        ("days_in_ar_window: [90] ", "LAKE-101", "is not one word"),
        ("days_in_ar_window: 90\n  beds: 41 #", "LAKE-102", "Write a whole number from 1 to 40."),
    ],
)
def test_a_slip_in_a_setting_of_lake_yml_is_named_with_its_line(rcm, wrong, code, told):
    write(rcm, "settings.yml", BEDS)
    slip(rcm, "lake.yml", "days_in_ar_window: 90 ", wrong)
    line = line_of(rcm / "lake.yml", wrong.split("\n")[-1].strip(" #"))
    assert refused(rcm) == [(code, f"rcm/lake.yml:{line}")]
    assert told in said(rcm)


def test_a_setting_that_is_none_of_its_words_is_named_with_the_nearest(rcm):
    slip(rcm, "lake.yml", "ar_aging_from: service_date ", "ar_aging_from: visitdate ")
    assert refused(rcm) == [("LAKE-102", f"rcm/lake.yml:{line_of(rcm / 'lake.yml', 'visitdate')}")]
    assert "there is no ar_aging_from 'visitdate'" in said(rcm)
    assert "Did you mean 'visit_date'?" in said(rcm)


@pytest.mark.parametrize(
    ("right", "wrong", "code"),
    [
        ("  about: How many.\n", "", "LAKE-101"),
        ("  default: 12\n", "", "LAKE-101"),
        ("  default: 12\n", "  default: 41\n", "LAKE-102"),
        ("  type: integer\n  from: 1\n  to: 40\n", "", "LAKE-101"),
        ("  type: integer\n", "  one_of: [a, b]\n", "LAKE-101"),  # with bounds
        ("  type: integer\n  from: 1\n  to: 40\n", "  one_of: [a, b]\n", "LAKE-102"),  # 12 is neither
        ("  type: integer\n", "  type: money\n", "LAKE-102"),
        ("  from: 1\n", "  from: one\n", "LAKE-102"),
        ("  from: 1\n", "  form: 1\n", "LAKE-102"),
        ("beds:\n", "days_in_ar_window:\n", "LAKE-108"),
        (BEDS, "beds: 12\n", "LAKE-101"),
        (BEDS, "beds: {\n", "LAKE-103"),
    ],
)
def test_a_setting_that_does_not_hold_together_is_named(rcm, right, wrong, code):
    assert right in BEDS
    write(rcm, "settings.yml", BEDS.replace(right, wrong))
    found = refused(rcm)
    assert code in {one for one, where in found if where.startswith("rcm/settings.yml")}
    assert not [where for _, where in found if where.startswith("rcm/lake.yml")]


# --- marts and reference tables ---


def mart(rcm: Path, select: str, page: str, name: str = "gold/wards/ward_count") -> None:
    write(rcm, f"{name}.sql", select)
    write(rcm, f"{name}.md", page)


COUNT = "SELECT COUNT(*) AS wards\nFROM silver.department\n"
PAGE = "---\nabout: How many.\ncolumns:\n  wards: {kind: not_personal, type: integer, about: All.}\n---\n# Wards\n"


def test_a_mart_of_the_projects_own_is_added(rcm):
    mart(rcm, COUNT, PAGE)
    assert declare.read(rcm).marts["ward_count"].shelf == "wards"


def test_a_project_that_replaces_the_page_of_a_mart_keeps_its_select(rcm):
    slip(rcm, "gold/core/dim_icd.md", "about: ", "about: Ours. ")
    mine, theirs = declare.read(rcm).marts["dim_icd"], (declare.shipped() / "gold/core/dim_icd.sql").read_text()
    assert mine.about.startswith("Ours.")
    assert mine.select == theirs


def test_a_project_that_replaces_the_select_of_a_mart_keeps_its_page(rcm):
    slip(rcm, "gold/core/dim_icd.sql", "SELECT", "-- ours\nSELECT")
    assert declare.read(rcm).marts["dim_icd"].select.count("-- ours") == 1


@pytest.mark.parametrize(
    ("select", "page", "codes"),
    [
        (COUNT.replace("wards", "beds"), PAGE, {"LAKE-107"}),
        (COUNT.replace("COUNT(*)", "AVG(1)"), PAGE, {"LAKE-120"}),
        (COUNT.replace("silver.department", "'/etc/passwd'"), PAGE, {"LAKE-120"}),
        (COUNT.replace("silver.department", "department"), PAGE, {"LAKE-102"}),
        ("DROP TABLE x", PAGE, {"LAKE-120"}),
        ("", PAGE, {"LAKE-120"}),
        (b"SELECT \xff", PAGE, {"LAKE-103"}),
        (COUNT, PAGE.replace("kind: not_personal, ", ""), {"LAKE-104"}),
        (COUNT, PAGE.replace("about: How many.", "kpi: {value: beds, unit: n}"), {"LAKE-101", "LAKE-102"}),
        (COUNT, PAGE.replace("columns:\n  wards: ", "columns: [a]\nwards: "), {"LAKE-101", "LAKE-102", "LAKE-107"}),
    ],
)
def test_a_mart_that_does_not_hold_together_is_named(rcm, select, page, codes):
    mart(rcm, select, page)
    assert {code for code, _ in refused(rcm)} == codes


def test_of_sql_that_cannot_be_read_it_is_said_where_reading_stopped(rcm):
    mart(rcm, "SELECT\n    COUNT(*) AS wards,\n    department_id one two\nFROM silver.department\n", PAGE)
    with pytest.raises(DeclarationsRefused, match="not one SELECT or expression, from line 3, letter 25 of it on"):
        declare.read(rcm)


def test_a_mart_needs_both_its_page_and_its_select(rcm):
    write(rcm, "gold/wards/alone.md", PAGE)
    write(rcm, "gold/wards/silent.sql", COUNT)
    found = refused(rcm)
    assert ("LAKE-120", "wards/alone.sql:1") in found
    assert ("LAKE-101", "wards/silent.md:1") in found


def test_two_marts_of_one_name_hide_each_other_and_do_not_load(rcm):
    mart(rcm, COUNT, PAGE)
    mart(rcm, COUNT, PAGE, "gold/beds/ward_count")
    assert [code for code, _ in refused(rcm)] == ["LAKE-108"]


def test_two_feeds_that_would_land_under_one_name_do_not_load(rcm):
    shutil.copyfile(rcm / "sources/hos-a.yml", rcm / "sources/hos_a.yml")
    assert {code for code, _ in refused(rcm)} == {"LAKE-108"}


@pytest.mark.parametrize("text", ["", "a,b\n1\n", "a,b\n1,2,3\n", b"a,b\n\xff,2\n"])
def test_a_reference_table_that_is_none_is_named(rcm, text):
    write(rcm, "reference/bed.csv", text)
    assert refused(rcm) == [("LAKE-118", "reference/bed.csv:1")]


@pytest.mark.parametrize("name", ["gold/w/Ward-Count", "gold/w/select"])
def test_a_mart_has_a_name_that_people_can_write(rcm, name):
    mart(rcm, COUNT, PAGE, name)
    assert {code for code, _ in refused(rcm)} == {"LAKE-116"}


def test_the_words_that_cannot_be_names_are_those_of_the_engine():
    words = duckdb.sql("SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category = 'reserved'").fetchall()
    assert {word for (word,) in words} == check_words.RESERVED


# --- the privacy page ---


def policy(rcm: Path, row: str, more: str = "") -> None:
    write(rcm, "privacy.yml", f"kinds:\n  {row}\n{more}")


@pytest.mark.parametrize(
    "row",
    [
        "zip: [keep, keep, keep, keep, keep]",
        "ssn: [last4, last4, last4, drop, drop]",
        "name: [token, token, keep from originals, drop, token]",
        "birth_date: [restrict, year from restricted, keep from restricted, keep from restricted, age from restricted]",
    ],
)
def test_a_privacy_page_that_shows_more_is_refused(rcm, row):
    policy(rcm, row)
    assert "LAKE-114" in {code for code, where in refused(rcm) if where == "rcm/privacy.yml:2"}


def test_a_privacy_page_that_shows_less_is_merged(rcm):
    policy(rcm, "sex: [keep, keep, keep, drop, drop]\n  badge: [token, drop, drop, drop, drop]")
    held = declare.read(rcm).policy
    assert held.seen["limited_data_set"]["sex"].treatment == "drop"
    assert held.stored["badge"] == "token"
    assert held.stored["ssn"] == "drop"  # as shipped
    assert held.seen["operations"]["zip"].zone == "restricted"


def test_a_project_adds_areas_of_few_people_and_takes_none_away(rcm):
    shipped = declare.read(rcm).policy.sparse_zip3
    write(rcm, "privacy.yml", f"sparse_zip3: [{', '.join([*shipped, '999'])}]\n")
    assert "999" in declare.read(rcm).policy.sparse_zip3
    write(rcm, "privacy.yml", f"sparse_zip3: [{', '.join(shipped[1:])}]\n")
    assert refused(rcm) == [("LAKE-114", "rcm/privacy.yml:1")]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("kinds: [a]\n", "LAKE-110"),
        ("kinds:\n  zip: drop\n", "LAKE-110"),
        ("kinds:\n  zip: [drop, drop]\n", "LAKE-110"),
        ("kinds:\n  zip: [[drop], drop, drop, drop, drop]\n", "LAKE-110"),
        ("columns: [stored, safe_harbor]\n", "LAKE-110"),
        ("sparse_zip3: 036\n", "LAKE-110"),
        ("sparse_zip3: []\n", "LAKE-110"),
        ("kinds:\n  badge: [age, drop, drop, drop, drop]\n", "LAKE-111"),
        ("kinds:\n  badge: [drop, hide, drop, drop, drop]\n", "LAKE-112"),
        ("kinds:\n  badge: [restrict, age from bronze, drop, drop, drop]\n", "LAKE-112"),
        ("kinds:\n  badge: [drop, keep, drop, drop, drop]\n", "LAKE-113"),
        ("sparse: [036]\n", "LAKE-102"),
        ("kinds:\n  Badge No: [drop, drop, drop, drop, drop]\n", "LAKE-116"),
        ("kinds: {", "LAKE-103"),
    ],
)
def test_a_slip_on_the_privacy_page_is_named(rcm, text, code):
    write(rcm, "privacy.yml", text)
    assert {found for found, where in refused(rcm) if where.startswith("rcm/privacy.yml")} == {code}


# --- load_config.csv, in the format users have ---

HEADER = "database,datasource,tablename,loadtype,watermark,is_active,targetpath"
CONFIG = f"""{HEADER}
trendytech-hospital-a,hos-a,dbo.encounters,Incremental,ModifiedDate,0,hosa
trendytech-hospital-a,hos-a,dbo.patients,Full,,1,hosa
trendytech-hospital-b,hos-b,dbo.patients,Incremental,Updated_Date,1,hosb
trendytech-hospital-b,hos-b,dbo.beds,Full,,1,hosb"""


def feeds(declared: Declarations) -> dict[str, Feed]:
    return {f"{feed.source}.{feed.name}": feed for feed in declared.feeds}


def test_load_config_decides_what_loads_and_how(rcm):
    write(rcm, "load_config.csv", CONFIG)
    found = feeds(declare.read(rcm))
    assert not found["hos-a.encounters"].active  # is_active is 0
    assert not found["hos-a.transactions"].active  # not listed, and its database is
    assert found["hos-a.patients"].active
    assert (found["hos-a.patients"].load, found["hos-a.patients"].watermark) == ("full", None)
    assert (found["hos-b.patients"].load, found["hos-b.patients"].watermark) == ("watermark", "Updated_Date")
    assert found["hos-a.claims"].active  # files are none of its business
    assert found["cpt.codes"].active


def test_a_listed_table_that_no_feed_describes_lands_and_goes_no_further(rcm):
    write(rcm, "load_config.csv", CONFIG)
    beds = feeds(declare.read(rcm))["hos-b.beds"]
    assert (beds.at, beds.fills, beds.connection) == ("dbo.beds", None, "${HOS_B_URL}")


def test_inactive_feeds_are_named_with_their_reason(rcm):
    from datetime import UTC, datetime

    from carelake import foresee

    write(rcm, "load_config.csv", CONFIG)
    steps = {
        step.name: step for step in foresee.plan(rcm, {"HOS_A_URL": "sqlite:///x"}, datetime(2024, 12, 1, tzinfo=UTC))
    }
    assert (steps["hos-a.encounters"].would, steps["hos-a.encounters"].why) == (
        "skip", "inactive: is_active is 0 in load_config.csv",
    )  # fmt: skip
    assert steps["hos-a.transactions"].why == "inactive: not listed in load_config.csv"


@pytest.mark.parametrize(
    ("right", "wrong", "found"),
    [
        ("hos-a,dbo.patients", "hos-c,dbo.patients", "there is no database 'hos-c'"),
        ("hos-a,dbo.patients", "cpt,dbo.patients", "there is no database 'cpt'"),
        ("Full,,1,hosa", "Total,,1,hosa", "there is no loadtype 'Total'"),
        ("Incremental,Updated_Date,1", "Incremental,,1", "it is Incremental and names no watermark"),
        ("Full,,1,hosa", "Full,,yes,hosa", "is_active is 'yes'"),
        ("hos-a,dbo.encounters", "hos-a,dbo.patients", "'patients' is listed 2 times"),
        ("dbo.beds", "dbo.Bed Plan", "'bed plan' cannot be the name of a feed"),
        ("dbo.beds,Full,,1,hosb", "dbo.beds", "there is no loadtype ''"),
    ],
)
def test_a_slip_in_load_config_is_named_with_its_line(rcm, right, wrong, found):
    assert right in CONFIG
    write(rcm, "load_config.csv", CONFIG.replace(right, wrong))
    assert {code for code, _ in refused(rcm)} == {"LAKE-115"}
    assert found in said(rcm)
    assert "load_config.csv:" in said(rcm)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", HEADER, CONFIG.encode("utf-16")])
def test_a_load_config_without_its_columns_says_which_it_wants(rcm, text):
    write(rcm, "load_config.csv", text)
    assert refused(rcm) == [("LAKE-115", "load_config.csv:1")]
    assert HEADER in said(rcm)


def test_a_load_config_written_by_a_spreadsheet_is_read_too(rcm):
    write(rcm, "load_config.csv", b"\xef\xbb\xbf" + CONFIG.replace("\n", ",,\r\n").encode())
    assert not feeds(declare.read(rcm))["hos-a.encounters"].active


# --- what a project replaces ---


def test_a_file_of_the_same_name_replaces_the_shipped_one(rcm):
    slip(rcm, "silver/department.yml", "about: ", "about: Ours. ")
    assert declare.read(rcm).tables["department"].about.startswith("Ours.")
    assert list(declare.replaced(rcm)) == ["silver/department.yml"]
    (difference,) = project.differences(rcm)
    assert not difference.moved_on
    assert project.accept(rcm) == []
    assert any(line.startswith("+about: Ours.") for line in difference.lines)


def test_diff_says_when_the_shipped_file_has_moved_on(rcm):
    slip(rcm, "silver/department.yml", "about: ", "about: Ours. ")
    project.note_replaced(rcm)
    noted = rcm / project.NOTED
    noted.write_text(noted.read_text().replace(declare.digest(declare.shipped() / "silver/department.yml"), "0" * 64))
    project.note_replaced(rcm)  # a later run does not forget it
    assert [one.moved_on for one in project.differences(rcm)] == [True]
    assert project.accept(rcm) == ["silver/department.yml"]
    assert [one.moved_on for one in project.differences(rcm)] == [False]


def test_diff_says_that_a_file_is_the_same_and_what_was_taken_as_seen(rcm, capsys):
    own(rcm, "silver/department.yml")
    found = list(project.differences(rcm))
    assert [one.lines for one in found] == [()]
    show.differences(found, None)
    assert "The same as the shipped one" in capsys.readouterr().out
    show.differences(found, [])
    assert "Nothing had moved on" in capsys.readouterr().out
    show.differences(found, ["silver/department.yml"])
    assert "Taken as seen: silver/department.yml." in capsys.readouterr().out


def test_init_overwrites_nothing(rcm):
    with pytest.raises(project.ProjectExists) as error:
        project.make(rcm, "rcm")
    assert error.value.exit_code == 10


def test_an_unknown_template_is_named_with_those_there_are(tmp_path):
    with pytest.raises(ProjectMissing, match="rcm"):
        project.make(tmp_path / "x", "rmc")
    assert not (tmp_path / "x").exists()


WARDS = """about: A source of wards.
connection: nowhere
feeds:
  wards:
    table: wards
    fills: ward
    columns: {ward_id: id, updated_at: 'NULL'}
"""


def test_an_optional_column_may_be_left_out_by_a_feed_and_no_other(rcm):
    beds = "  beds: {type: integer, kind: not_personal%s}\n"
    write(rcm, "sources/beds.yml", WARDS)
    write(rcm, "silver/ward.yml", WARD + beds % "")
    assert refused(rcm) == [("LAKE-106", "sources/beds.yml:4")]
    write(rcm, "silver/ward.yml", WARD + beds % ", optional: true")
    assert declare.read(rcm).tables["ward"].columns[-1].optional


@pytest.mark.parametrize("left_out", ["ward_id: id, ", ", updated_at: 'NULL'"])
def test_key_and_source_time_are_never_left_out(rcm, left_out):
    write(rcm, "sources/beds.yml", WARDS.replace(left_out, "").replace("fills: ward", "fills: ward\n    key: [id]"))
    write(rcm, "silver/ward.yml", WARD.replace("}", ", optional: true}"))
    assert refused(rcm) == [("LAKE-106", "sources/beds.yml:4")]
