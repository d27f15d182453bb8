"""The course data set through the lake, from three kinds of database. What is expected is counted in its files."""

from __future__ import annotations

import csv
import io
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rcm
import rcm_rules
from test_defects import counted
from typer.testing import CliRunner

from carelake import assessment, declare, pipeline, project, quality
from carelake.lake import opened
from carelake.serve import cli, door

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
KEY = "42" * 32
DATABASES = ("sqlite", "postgres", "mariadb")
CENT = Decimal("0.01")


@dataclass(frozen=True)
class Made:
    folder: Path
    environment: dict[str, str]

    def run(self, now: datetime = NOW) -> pipeline.Run:
        return pipeline.run(self.folder, self.environment, now)

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        with door.ask(self.folder, question) as batches:
            return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]

    def table(self, question: str) -> pa.Table:
        with door.ask(self.folder, question) as batches:
            return batches.read_all()

    def one(self, question: str) -> Any:
        ((value,),) = self.ask(question)
        return value


def made(request: pytest.FixtureRequest, kind: str, folder: Path) -> Made:
    rcm.needs_rcm()
    if kind == "sqlite":
        urls = [rcm.into_sqlite(folder, hospital) for hospital in "ab"]
    else:
        server = request.getfixturevalue(kind)
        urls = [(rcm.into_postgres if kind == "postgres" else rcm.into_mariadb)(server, h) for h in "ab"]
    project.make(folder / "project", "rcm")
    landing = rcm.landing(folder / "landing")
    environment = {"HOS_A_URL": urls[0], "HOS_B_URL": urls[1], "LANDING": str(landing), "CARELAKE_VAULT_KEY": KEY}
    return Made(folder / "project", environment)


@pytest.fixture(scope="module")
def lakes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """After their first run; nobody may change them."""
    told = {}
    for kind in DATABASES:
        told[kind] = made(request, kind, tmp_path_factory.mktemp(kind))
        assert told[kind].run().exit_code(strict=False) == 0
    return told


@pytest.fixture
def lake(lakes: dict[str, Made]) -> Made:
    """One of them: what it holds behind bronze is what the others hold."""
    return lakes["sqlite"]


@pytest.mark.parametrize("kind", DATABASES)
def test_every_row_of_every_table_is_landed(lakes, kind):
    lake = lakes[kind]
    for number, hospital in enumerate("ab", 1):
        counted = {name: len(rcm.table(hospital, name)[1]) for name in rcm.TABLES} | {"claims": len(rcm.claims(number))}
        landed = dict(
            lake.ask(
                "SELECT feed, SUM(numberofrowscopied) FROM audit.load_logs"
                f" WHERE data_source = 'hos-{hospital}' GROUP BY feed"
            )
        )
        assert landed == counted
        for name, rows in counted.items():
            assert lake.one(f"SELECT COUNT(*) FROM bronze.hos_{hospital}_{name}") == rows


def test_the_ledger_has_the_columns_that_people_know(lake):
    (row,) = lake.ask(
        "SELECT id, data_source, tablename, numberofrowscopied, watermarkcolumnname, loaddate FROM audit.load_logs"
        " WHERE data_source = 'hos-b' AND feed = 'patients'"
    )
    assert row[1:5] == ("hos-b", "patients", 5000, "Updated_Date")
    assert row[5] == NOW
    assert [n for (n,) in lake.ask("SELECT id FROM audit.load_logs ORDER BY id")] == list(range(1, 15))


COUNTED = """
WITH charge AS (
    SELECT 'hos-a' AS hospital, * FROM read_csv('{data}/EMR/hospital-a/transactions.csv', all_varchar = true)
    UNION ALL BY NAME
    SELECT 'hos-b' AS hospital, * FROM read_csv('{data}/EMR/hospital-b/transactions.csv', all_varchar = true)
),
claim AS (
    SELECT 'hos-a' AS hospital, * FROM read_csv('{data}/claims/hospital1_claim_data.csv', all_varchar = true)
    UNION ALL BY NAME
    SELECT 'hos-b' AS hospital, * FROM read_csv('{data}/claims/hospital2_claim_data.csv', all_varchar = true)
),
charged AS (
    SELECT hospital, TransactionID, Amount::DECIMAL(18, 2) AS amount, PaidAmount::DECIMAL(18, 2) AS paid,
        ServiceDate::DATE AS served, PaidDate::DATE AS received FROM charge
),
billed AS (
    SELECT hospital, TransactionID, ClaimAmount::DECIMAL(18, 2) AS billed, PaidAmount::DECIMAL(18, 2) AS paid,
        ClaimStatus AS status, ClaimDate::DATE AS made FROM claim
)
SELECT 'amount, paidamount of ' || hospital || '.transactions' AS item, SUM(amount + paid) AS figure
    FROM charged GROUP BY ALL
UNION ALL SELECT 'rows of ' || hospital || '.claims', COUNT(*) FROM billed GROUP BY ALL
UNION ALL SELECT 'fact_claim.claim_amount of ' || hospital, SUM(billed) FROM billed GROUP BY ALL
UNION ALL SELECT 'fact_transaction.amount of ' || hospital, SUM(amount) FROM charged GROUP BY ALL
UNION ALL SELECT 'rows of claim', COUNT(*) FROM billed
UNION ALL SELECT 'rows of transaction', COUNT(*) FROM charged
UNION ALL SELECT hospital || ' ' || CASE status WHEN 'Paid' THEN 'approved' WHEN 'Approved' THEN 'approved'
    WHEN 'Denied' THEN 'denied' WHEN 'Rejected' THEN 'denied' WHEN 'Pending' THEN 'pending' END, COUNT(*)
    FROM billed WHERE made <= '2024-11-30' GROUP BY ALL
UNION ALL SELECT hospital || ' denied dollars', SUM(billed) FROM billed
    WHERE made <= '2024-11-30' AND status IN ('Denied', 'Rejected') GROUP BY ALL
UNION ALL SELECT hospital || ' by age', SUM(CASE WHEN served <= '2024-11-30' THEN amount ELSE 0 END)
    - SUM(CASE WHEN received <= '2024-11-30' THEN paid ELSE 0 END) FROM charged GROUP BY ALL
UNION ALL SELECT hospital || ' charged', SUM(amount)
    FROM charged INNER JOIN billed USING (hospital, TransactionID) GROUP BY ALL
"""


def test_what_stops_a_release_holds_and_its_figures_are_those_of_the_files(lake):
    stops = lake.ask("SELECT name, verdict FROM audit.reconciliations WHERE otherwise = 'stop' ORDER BY ALL")
    assert {verdict for _, verdict in stops} == {"holds", "idle"}
    assert {name for name, verdict in stops if verdict == "idle"} <= {"landed", "billing_database", "billing_file"}
    renamed = "CASE name WHEN 'claim_dollars_by_status' THEN item || ' dollars' WHEN 'claims_and_charges'"
    items = f"SELECT {renamed} THEN item || ' charged' ELSE item END, left_figure FROM audit.reconciliations"
    told = {item.lower(): figure for item, figure in lake.ask(items)}  # PostgreSQL folds the names of columns
    counted = duckdb.sql(COUNTED.format(data=rcm.DATA)).fetchall()
    assert len(counted) > 20
    assert {item: told.get(item, 0) for item, _ in counted} == dict(counted)


def test_keys_of_two_hospitals_never_meet(lake):
    for table, key in (
        ("patient", "patient_id"),
        ("encounter", "encounter_id"),
        ("transaction", "transaction_id"),
        ("claim", "claim_id"),
    ):
        everything, ids, keys = lake.ask(
            f"SELECT COUNT(*), COUNT(DISTINCT source_system || '/' || {key}), COUNT(DISTINCT {table}_key)"
            f" FROM silver.{table}_all"
        )[0]
        assert everything == ids == keys


def test_patients_without_a_first_name_are_held_back_and_their_visits_keep_their_place(lake):
    header, rows = rcm.table("b", "patients")
    nameless = {row[0] for row in rows if row[header.index("F_Name")] == "NULL"}
    assert len(nameless) == 15
    header, rows = rcm.table("b", "encounters")
    visits = sum(row[header.index("PatientID")] in nameless for row in rows)
    header, rows = rcm.table("b", "transactions")
    charges = sum(row[header.index("PatientID")] in nameless for row in rows)
    assert (visits, charges) == (32, 36)

    assert lake.one("SELECT COUNT(*) FROM silver.patient") == 9985
    assert lake.ask(
        "SELECT is_quarantined, quarantine_reasons, COUNT(*) FROM silver.patient_all GROUP BY ALL ORDER BY 1"
    ) == [
        (False, None, 9985),
        (True, "first_name_present", 15),
    ]
    joined = "SELECT COUNT(*) FROM silver.encounter AS e INNER JOIN silver.{} AS p ON p.patient_key = e.patient_key"
    assert lake.one(joined.format("patient_all")) == 20_000
    assert lake.one(joined.format("patient")) == 19_968
    for fact, count in (("fact_encounter", visits), ("fact_transaction", charges)):
        assert lake.one(f"SELECT COUNT(*) FROM gold.{fact} WHERE patient_key = -1") == count
        assert lake.one(f"SELECT COUNT(*) FROM gold.{fact}") == 20_000
    assert lake.ask(
        "SELECT rule, violating FROM audit.rule_results WHERE table_name = 'patient' AND violating > 0"
        " AND otherwise = 'quarantine' ORDER BY scope, rule"
    ) == [("first_name_present", 15), ("(held back)", 15), ("first_name_present", 15)]


def test_every_dollar_is_rounded_half_up_per_row_and_arrives_in_the_facts(lake):
    charged, paid = Decimal(0), Decimal(0)
    for hospital in "ab":
        header, rows = rcm.table(hospital, "transactions")
        for row in rows:
            charged += Decimal(row[header.index("Amount")]).quantize(CENT, ROUND_HALF_UP)
            paid += Decimal(row[header.index("PaidAmount")]).quantize(CENT, ROUND_HALF_UP)
    for table in ("silver.transaction", "gold.fact_transaction"):
        assert lake.ask(f"SELECT SUM(amount), SUM(paid_amount) FROM {table}") == [(charged, paid)]
    types = lake.ask("SELECT DISTINCT TYPEOF(amount), TYPEOF(paid_amount) FROM silver.transaction")
    assert types == [("DECIMAL(18,2)", "DECIMAL(18,2)")]
    marts = "SELECT SUM(charge_amount), SUM(paid_amount), SUM(transactions) FROM gold.charge_by_provider_department"
    assert lake.ask(marts) == [(charged, paid, 20_000)]
    assert lake.ask(marts + "_month") == [(charged, paid, 20_000)]


def test_claims_keep_their_amounts_and_states(lake):
    rows = [row for number in (1, 2) for row in rcm.claims(number)]
    assert lake.ask("SELECT SUM(claim_amount), SUM(paid_amount) FROM silver.claim") == [
        (sum(Decimal(r["ClaimAmount"]) for r in rows), sum(Decimal(r["PaidAmount"]) for r in rows))
    ]
    states = Counter(r["ClaimStatus"] for r in rows)
    assert dict(lake.ask("SELECT claim_status, COUNT(*) FROM silver.claim GROUP BY 1")) == states


def test_what_is_owed_is_the_sum_of_its_buckets(lake):
    charged, paid = lake.ask("SELECT SUM(amount), SUM(paid_amount) FROM silver.transaction")[0]  # all are before as_of
    assert lake.one("SELECT SUM(ar_amount) FROM gold.ar_aging") == charged - paid
    assert lake.one("SELECT MAX(as_of) FROM gold.ar_aging").isoformat() == "2024-11-30"


def test_the_providers_that_are_listed_are_found_by_their_prefixed_number(lake):
    listed = {}
    for hospital, prefix in (("a", "H1-"), ("b", "H2-")):
        header, rows = rcm.table(hospital, "providers")
        listed[hospital] = {row[0] for row in rows}
        header, rows = rcm.table(hospital, "transactions")
        known = sum(prefix + row[header.index("ProviderID")] in listed[hospital] for row in rows)
        asked = (
            f"SELECT COUNT(*) FROM gold.fact_transaction WHERE provider_key <> -1 AND source_system = 'hos-{hospital}'"
        )
        assert lake.one(asked) == known
        assert 0 < known < 1000


def test_no_name_ssn_phone_or_birth_date_is_in_silver(lake):
    header, rows = rcm.table("a", "patients")
    buffer = io.StringIO()
    with door.ask(lake.folder, "SELECT * FROM silver.patient_all") as batches:
        assert not {"first_name", "last_name", "ssn", "phone", "birth_date", "zip"} & set(batches.schema.names)
        for batch in batches:
            csv.writer(buffer).writerows(zip(*(c.to_pylist() for c in batch.columns), strict=True))
    said = buffer.getvalue()
    for name in ("PatientID", "SSN", "PhoneNumber", "Address"):
        assert not [row for row in rows if row[header.index(name)] in said], name


def test_every_rule_counts_what_is_counted_in_the_files(lake):
    tables = declare.read(lake.folder).tables
    shipped = {f"{t.name}.{rule.name}" for t in tables.values() for rule in (*t.rules, *quality.set_rules_of(t))}
    judged = {name for name in shipped if name.split(".")[0] in rcm_rules.BROKEN} - {
        "claim.payer_id_met",  # nobody lists payers: they cannot be judged
        "transaction.payer_id_met",
    }
    wanted = rcm_rules.counted()
    assert wanted.keys() == judged
    results = lake.ask("SELECT table_name, rule, scope, violating FROM audit.rule_results")
    assert counted(results, lake.folder) == {name: count for name, count in wanted.items() if count}


def test_the_figures_may_be_used_with_care(lake):
    verdicts = {mart.mart: mart.verdict for mart in assessment.assess(lake.folder).marts}
    assert "not" not in verdicts.values()
    facts = ("fact_claim", "fact_encounter", "fact_transaction", "ar_aging", "days_in_ar", "collection_rates")
    assert {name: verdicts[name] for name in facts} == dict.fromkeys(facts, "with care")


def contents(lake: Made) -> dict[str, pa.Table]:
    """Every view of silver and every mart, in an order of its own."""
    with opened(lake.folder, lake.environment, writing=False) as there:
        views = [f"silver.{name}{view}" for name in there.declared.tables for view in ("", "_history", "_all")]
        every = [*views, *(f"gold.{mart}" for mart in there.declared.marts)]
        return {name: there.engine.ask(f"SELECT * FROM {name} ORDER BY ALL") for name in every}


def test_the_lakes_of_three_kinds_of_database_are_equal(lakes):
    """Same key, same clock: every row of every table of silver and gold, history included."""
    first = contents(lakes["sqlite"])
    for kind in DATABASES[1:]:
        held = contents(lakes[kind])
        assert held.keys() == first.keys()
        for name, rows in held.items():
            assert rows.equals(first[name]), f"{name} from {kind}"


def test_a_run_without_changes_lands_nothing_and_a_change_moves_exactly_the_changed_rows(lakes, tmp_path):
    log = shutil.ignore_patterns("journal")  # of what was asked of it since
    shutil.copytree(lakes["sqlite"].folder.parent, tmp_path, dirs_exist_ok=True, ignore=log)
    urls = {f"HOS_{hospital.upper()}_URL": f"sqlite:///{tmp_path / f'hos-{hospital}.db'}" for hospital in "ab"}
    landing = {"LANDING": str(tmp_path / "landing")}
    lake = Made(tmp_path / "project", {**lakes["sqlite"].environment, **urls, **landing})
    before = contents(lake)
    idle = lake.run(NOW + timedelta(hours=1))
    assert {step.name: step.outcome for step in idle.steps if step.outcome not in {"unchanged", "inactive"}} == {}
    assert idle.released is None

    with closing(sqlite3.connect(tmp_path / "hos-a.db")) as db:
        db.execute(
            "UPDATE transactions SET PaidAmount = 1.005, ModifiedDate = '2024-11-29'"
            " WHERE TransactionID = 'TRANS000007'"
        )
        db.execute(
            "UPDATE encounters SET EncounterType = 'Inpatient', ModifiedDate = '2024-11-29'"
            " WHERE EncounterID = 'ENC000003'"
        )
        db.execute("DELETE FROM departments WHERE DeptID = 'DEPT020'")
        db.commit()
    lake.run(NOW + timedelta(days=1))
    after = contents(lake)

    landed = lake.ask("SELECT feed, numberofrowscopied, rows_deleted FROM audit.load_logs WHERE id > 14 ORDER BY feed")
    assert landed == [("departments", 1, 1), ("encounters", 1, 0), ("transactions", 1, 0)]
    assert {name for name in after if name.startswith("silver.") and not after[name].equals(before[name])} == {
        f"silver.{table}{view}"
        for table in ("department", "encounter", "transaction")
        for view in ("", "_history", "_all")
    }
    rows = [set(map(str, state["silver.transaction"].to_pylist())) for state in (before, after)]
    assert len(rows[0] ^ rows[1]) == 2  # the row as it was, and as it is
    assert lake.ask(
        "SELECT paid_amount, valid_to IS NULL, is_current FROM silver.transaction_history"
        " WHERE source_system = 'hos-a' AND transaction_id = 'TRANS000007' ORDER BY valid_from"
    )[-1] == (Decimal("1.01"), True, True)
    assert lake.one("SELECT COUNT(*) FROM silver.department WHERE source_system = 'hos-a'") == 19
    assert lake.ask("SELECT COUNT(*) FROM gold.fact_transaction") == [(20_000,)]


# --- what leaves -----------------------------------------------------------------------------------------------------

ABOUT_PATIENTS = {  # table of the hospital -> its columns that name a patient, or an event of one
    "patients": ["PatientID", "FirstName", "LastName", "MiddleName", "SSN", "PhoneNumber", "DOB", "Address",
                 "ID", "F_Name", "L_Name", "M_Name", "DOB", "Address"],
    "encounters": ["EncounterID", "PatientID"],
    "transactions": ["TransactionID", "PatientID", "EncounterID", "ClaimID", "MedicaidID", "MedicareID"],
}  # fmt: skip
NOT_OF_PATIENTS = {"department_name", "description", "category"}  # of tables that tell of nobody


def test_no_value_of_an_identifier_leaves_in_an_extract(lake: Made, tmp_path: Path) -> None:
    """Every value of more than five signs of every identifying column, against every cell of every column."""
    wrote: set[str] = set()
    for hospital in "ab":
        for name, columns in ABOUT_PATIENTS.items():
            header, told = rcm.table(hospital, name)
            places = [place for place, column in enumerate(header) if column in columns]
            assert len(places) >= 2
            wrote |= {row[place] for row in told for place in places if len(row[place]) > 5}
    assert len(wrote) > 40_000
    words = ("extract", "--profile", "safe_harbor", "--recipient", "University", "--out", str(tmp_path / "out"))
    made = CliRunner().invoke(cli.app, ["-p", str(lake.folder), *words], env=lake.environment)
    assert made.exit_code == 0, made.exception
    found = set()
    for path in (tmp_path / "out").rglob("*.parquet"):
        for name, column in zip(
            (read := pq.read_table(path, partitioning=None)).column_names, read.columns, strict=True
        ):
            if name not in NOT_OF_PATIENTS and wrote & {str(value) for value in column.unique().to_pylist()}:
                found.add(f"{path.parent.name}.{name}")
    assert found == set()
