"""A lake whose declarations change: what only adds happens by itself, and what would make rows twice is refused."""

from __future__ import annotations

import pytest
from small_lake import Small, contents, failed

from carelake import migrate
from carelake.errors import LakeOutdated

CHANGES = {
    "a kept column gets a token": (
        "silver/patient.yml", "kind: sex", "kind: name", "silver.patient", "gender",
        "was made as 'keep', and would be 'token of name'",
    ),
    "a token of another kind": (
        "silver/patient.yml", "full_name:     {type: text, kind: name", "full_name: {type: text, kind: account_number",
        "silver.patient", "full_name", "was made as 'token of name', and would be 'token of account_number'",
    ),
    "what was kept is dropped": (
        "silver/patient.yml", "kind: sex", "kind: free_text", "silver.patient", "gender",
        "was made as 'keep', and would be 'drop'",
    ),
    "another key": (
        "silver/department.yml", "[source_system, department_id]", "[source_system, department_name]",
        "silver.department", "department_key",
        "was made as 'key by source_system, department_id', and would be 'key by source_system, department_name'",
    ),
    "a key minted from another column": (
        "silver/encounter.yml", "department_id:  {type: text, kind: not_personal, refers_to: department}",
        "department_id:  {type: text, kind: not_personal}\n"
        "  ward: {type: text, kind: not_personal, refers_to: department}",
        "silver.encounter", "department_key", "was made as 'key by department_id', and would be 'key by ward'",
    ),
    "another history": (
        "silver/patient.yml", "history: scd2", "history: scd1", "silver.patient", "valid_from",
        "was made as 'scd2 by updated_at', and would be 'scd1 by updated_at'",
    ),
    "only some changes count": (
        "silver/patient.yml", "history: scd2", "history: scd2\ntrack: [gender]", "silver.patient", "valid_from",
        "was made as 'scd2 by updated_at', and would be 'scd2 by updated_at, tracking gender'",
    ),
}  # fmt: skip
MARTS = {  # what the mart that shows the column says then
    "kind: name": [("gold/core/dim_patient.md", "kind: sex", "kind: name")],
    "kind: free_text": [
        ("gold/core/dim_patient.sql", "    gender,\n", ""), ("gold/core/dim_patient.sql", "    'Unknown',\n", ""),
        ("gold/core/dim_patient.md", "  gender:        {kind: sex,           about: As the source writes it.}\n", ""),
    ],
}  # fmt: skip
TOKENED = "patient_id: {type: text, kind: chart_number"
CHART = """columns: [stored, operations, care_team, limited_data_set, safe_harbor]
kinds:
  chart_number: [token, token, keep from originals, pseudonym, pseudonym]
"""
WARD = ("      ward: DepartmentID\n", "      department_id:  DepartmentID")


@pytest.mark.parametrize(("page", "old", "new", "table", "column", "change"), CHANGES.values(), ids=CHANGES)
def test_rows_that_would_be_made_otherwise_are_refused_before_anything_is_read(
    page: str, old: str, new: str, table: str, column: str, change: str, small: Small
) -> None:
    small.say(page, old, new)
    if "ward" in new:
        small.say("sources/hos-a.yml", WARD[1], WARD[0] + WARD[1])
    for said in MARTS.get(new, ()):
        small.say(*said)
    with pytest.raises(LakeOutdated, match=f"{table}.{column}: {change}") as caught:
        small.run(1)
    assert caught.value.exit_code == 50
    found = migrate.migrate(small.project, {}, dry_run=False)
    assert (table, column, change, False) in {(c.table, c.column, c.change, c.adds) for c in found}
    assert migrate.exit_code(found) == 50


def test_what_was_refused_left_the_lake_as_it_was(small: Small) -> None:
    before = contents(small)
    (small.project / "privacy.yml").write_text(CHART)
    small.say("silver/patient.yml", "kind: record_number", "kind: chart_number")
    small.say("silver/encounter.yml", "kind: record_number", "kind: chart_number")
    small.say("silver/transaction.yml", "patient_id:             {type: text, kind: record_number", TOKENED)
    small.say("silver/claim.yml", "patient_id:     {type: text, kind: record_number", TOKENED)
    small.sql("UPDATE patients SET Gender = 'X', ModifiedDate = '2024-11-01' WHERE PatientID = 'P1'")
    with pytest.raises(LakeOutdated):
        small.run(1)
    for table in ("patient", "encounter", "transaction", "claim"):
        (small.project / f"silver/{table}.yml").unlink()
    assert contents(small) == before
    assert failed(small.run(1)) == {}
    assert small.one("SELECT COUNT(*) FROM silver.patient") == 3
    assert small.one("SELECT COUNT(*) FROM silver.patient_history") == 4


def test_a_kind_that_is_stored_alike_may_change(small: Small) -> None:
    small.say("silver/patient.yml", "kind: sex", "kind: flag")
    assert migrate.migrate(small.project, {}, dry_run=True) == []
    small.sql("UPDATE patients SET Gender = 'X', ModifiedDate = '2024-11-01' WHERE PatientID = 'P1'")
    assert failed(small.run(1)) == {}
    assert small.one("SELECT COUNT(*) FROM silver.patient_history") == 4


COMMANDS = [
    ("plan",),
    ("migrate", "--dry-run"),
    ("migrate",),
    ("status",),
    ("query", "SELECT floor FROM silver.department"),
]


@pytest.mark.parametrize("words", COMMANDS)
def test_after_a_column_was_added_every_command_works_before_the_next_run(words: tuple[str, ...], small: Small) -> None:
    small.say("silver/department.yml", "  updated_at:", "  floor: {type: text, kind: not_personal}\n  updated_at:")
    small.say("sources/hos-a.yml", "department_name: Name", "department_name: Name\n      floor: \"'2'\"")
    small.say("sources/hos-b.yml", "department_name: Name", "department_name: Name, floor: 'NULL'")
    told = small.command(*words)
    assert (told.returncode, told.stderr) == (0, b"")
    if words[0] in {"plan", "migrate"}:
        assert b"floor" in told.stdout
