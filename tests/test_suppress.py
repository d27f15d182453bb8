"""A person who is suppressed is in no view any more, whatever comes later; and is again, once that is lifted."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from small_lake import NOW, Small, contents, copied, failed

from carelake.upkeep import suppress
from carelake.upkeep.suppress import SuppressionUnfit

# Max Planck, P2: one encounter (E2), one transaction (T3, 300.00 of which 150.50 are paid), one claim (C3).
MAX = "SELECT patient_key FROM silver.patient WHERE address = 'TX'"
VIEWS = [
    f"silver.{table}{view}"
    for table in ("patient", "encounter", "transaction", "claim")
    for view in ("", "_history", "_all")
]
ROWS = [*VIEWS, "gold.dim_patient", "gold.fact_transaction", "gold.fact_claim", "gold.fact_encounter"]


def rows_of(lake: Small, key: int) -> dict[str, int]:
    """How many rows of a person each table and view shows."""
    there = [
        name for name in ROWS if name.startswith("silver.") or (lake.project / "lake" / name.replace(".", "/")).is_dir()
    ]
    each = (f"SELECT '{name}' AS name, COUNT(*) AS n FROM {name} WHERE patient_key = {key}" for name in there)
    return dict(lake.ask(" UNION ALL ".join(each)))


def hide(lake: Small, person: object, **how: bool) -> suppress.Suppression:
    return suppress.suppress(lake.project, lake.environment, str(person), "ann", "asked for it", NOW, **how)


@pytest.fixture(scope="module")
def hidden(small_origin: Small, tmp_path_factory: pytest.TempPathFactory) -> tuple[Small, int, suppress.Suppression]:
    """A lake in which Max is suppressed, and no run was since. Nobody may change it."""
    lake = copied(small_origin, tmp_path_factory.mktemp("hidden"))
    key = lake.one(MAX)
    assert min(rows_of(lake, key).values()) > 0
    return lake, key, hide(lake, key)


def test_no_view_and_no_mart_shows_a_row_of_the_person_at_once(hidden: tuple[Small, int, suppress.Suppression]) -> None:
    lake, key, _ = hidden
    found = rows_of(lake, key)
    assert len(found) >= 15
    assert set(found.values()) == {0}
    assert lake.one("SELECT COUNT(*) FROM silver.patient") == 2
    told = "SELECT COUNT(*) FROM audit.changes WHERE table_name = 'patient' AND key"
    assert lake.one(f"{told} = {key}") == 0
    assert lake.one(f"{told} <> {key}") > 0
    assert lake.command("history", "patient", str(key)).returncode != 0


def test_rows_that_name_only_an_event_of_the_person_are_hidden_too(
    hidden: tuple[Small, int, suppress.Suppression], small_origin: Small
) -> None:
    """Marts of claims have no key of the patient: C3 is Max's, whatever the column is called."""
    claim = small_origin.one("SELECT claim_key FROM silver.claim WHERE claim_id = 'C3'")
    for mart, column in {
        "claim_final_disposition": "claim_key", "claim_chain": "claim_key", "claim_cash_flow": "original_claim_key",
        "fact_claim": "claim_key",
    }.items():  # fmt: skip
        asked = f"SELECT COUNT(*) FROM gold.{mart} WHERE {column} = {claim}"
        assert hidden[0].one(asked) == 0
        assert hidden[0].one(f"SELECT COUNT(*) FROM gold.{mart}") == small_origin.one(
            f"SELECT COUNT(*) FROM gold.{mart} WHERE {column} <> {claim}"
        )


def test_what_is_held_back_of_the_person_is_listed_to_nobody(small: Small) -> None:
    key = small.one(MAX)
    small.sql("UPDATE patients SET FirstName = NULL, ModifiedDate = '2024-05-05' WHERE PatientID = 'P2'")
    assert failed(small.run(1)) == {}
    before = json.loads(small.command("quarantine", "list", "--rows", "--json").stdout)
    hide(small, key)
    after = json.loads(small.command("quarantine", "list", "--rows", "--json").stdout)
    assert (len(str(before)) > len(str(after)), "patient" in str(after)) == (True, False)


def test_the_certificate_counts_what_is_hidden_and_says_what_is_not(
    hidden: tuple[Small, int, suppress.Suppression],
) -> None:
    lake, key, done = hidden
    there = {name: rows for name, rows in done.rows.items() if rows}
    assert there == {"silver.patient": 1, "silver.encounter": 1, "silver.transaction": 1, "silver.claim": 1}
    told = json.loads(lake.command("suppress", str(key), "--certificate", "--json").stdout)
    assert told["rows"] == dict(done.rows)
    assert (told["who"], told["why"], told["act"]) == ("ann", "asked for it", "suppress")
    assert "ar_aging" in told["marts"]
    assert len(told["not_reached"]) == 5


def test_figures_are_without_the_person_from_the_next_run_on(small: Small) -> None:
    billed = "SELECT SUM(amount) FROM gold.fact_transaction"
    claimed = "SELECT claim_amount FROM gold.claim_status WHERE source_system = 'all'"
    assert (small.one(billed), small.one(claimed)) == (Decimal("470.11"), Decimal("400.10"))
    key = small.one(MAX)
    hide(small, key)
    did = small.run(1)
    assert failed(did) == {}  # every reconciliation holds
    assert did.released == 2
    assert (small.one(billed), small.one(claimed)) == (Decimal("170.11"), Decimal("100.10"))
    assert suppress.certificate(small.project, small.environment, str(key), NOW).marts == ()


def test_what_comes_later_is_hidden_too(small: Small) -> None:
    key = small.one(MAX)
    hide(small, key)
    small.sql("UPDATE patients SET Gender = 'X', ModifiedDate = '2024-05-05' WHERE PatientID = 'P2'")
    small.sql("INSERT INTO encounters SELECT 'E9', PatientID, EncounterDate, EncounterType, ProviderID, DepartmentID,"
              " ProcedureCode, InsertedDate, '2024-05-05' FROM encounters WHERE EncounterID = 'E2'")  # fmt: skip
    assert failed(small.run(1)) == {}
    assert set(rows_of(small, key).values()) == {0}
    assert failed(small.run(2, reconcile=True)) == {}
    assert set(rows_of(small, key).values()) == {0}
    assert hide(small, key, lift=True).rows["silver.encounter"] == 2


def test_once_lifted_the_lake_is_as_if_nothing_had_been(small: Small) -> None:
    before, key = contents(small), small.one(MAX)
    hide(small, key)
    assert failed(small.run(1)) == {}
    hide(small, key, lift=True)
    assert failed(small.run(2)) == {}
    assert contents(small) == before
    acts = json.loads(small.command("suppressions", "--json").stdout)
    assert [(act["act"], act["person_key"]) for act in acts] == [("suppress", key), ("lift", key)]


def test_an_extract_is_without_the_person(hidden: tuple[Small, int, suppress.Suppression], tmp_path: Path) -> None:
    lake = copied(hidden[0], tmp_path / "lake")
    out = tmp_path / "out"
    done = lake.command("extract", "--profile", "safe_harbor", "--recipient", "a registry", "--out", str(out))
    assert done.returncode == 0
    assert pq.read_table(out / "patient").num_rows == 2
    assert pq.read_table(out / "claim").num_rows == 1


def test_a_dry_run_counts_and_changes_nothing(small: Small) -> None:
    key = small.one(MAX)
    assert hide(small, key, dry_run=True).rows["silver.claim"] == 1
    assert rows_of(small, key)["silver.claim"] == 1
    assert "Nothing was changed" in small.command("suppress", str(key), "--why", "x", "--dry-run").stdout.decode()


def test_a_person_may_be_named_by_a_token_if_it_is_one_person_s(small: Small) -> None:
    token = small.one("SELECT patient_id FROM silver.patient WHERE address = 'TX'")
    key = small.one(MAX)
    assert hide(small, token).person_key == key
    assert small.one("SELECT COUNT(*) FROM silver.patient") == 2


@pytest.mark.parametrize(
    ("person", "said"),
    [
        ("99", "nobody"),
        ("PATIENT-AAAAAAAAAAAA", "nobody"),
        ("", "nobody"),
        ("1 OR 1=1", "nobody"),
        ("9" * 40, "nobody"),
        ("0" * 20 + "1", "nobody"),
    ],
)
def test_who_is_not_there_is_not_suppressed(small: Small, person: str, said: str) -> None:
    with pytest.raises(SuppressionUnfit, match=said):
        hide(small, person)


def test_a_token_of_two_persons_names_neither_of_them(small: Small) -> None:
    small.sql("INSERT INTO patients SELECT 'P9', FirstName, LastName, MiddleName, SSN, PhoneNumber, Gender, DOB,"
              " Address, '2024-06-01' FROM patients WHERE PatientID = 'P2'")  # fmt: skip
    assert failed(small.run(1)) == {}
    token = small.one("SELECT DISTINCT full_name FROM silver.patient WHERE address = 'TX'")
    with pytest.raises(SuppressionUnfit, match="2 persons"):
        hide(small, token)


def test_nothing_is_done_twice_and_not_without_a_reason(hidden: tuple[Small, int, suppress.Suppression]) -> None:
    lake, key, _ = hidden
    with pytest.raises(SuppressionUnfit, match="already"):
        hide(lake, key)
    with pytest.raises(SuppressionUnfit, match="is not suppressed"):
        hide(lake, 1 if key != 1 else 2, lift=True)
    with pytest.raises(SuppressionUnfit, match="why"):
        suppress.suppress(lake.project, lake.environment, str(1 if key != 1 else 2), "ann", " ", NOW)
