"""The demo as a person runs it, and its KPIs against the truth that the synthetic hospitals were planted with."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from carelake import pipeline, project, synth
from carelake.serve import door

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)


def ask(folder: Path, question: str) -> list[dict[str, Any]]:
    with door.ask(folder, question) as batches:
        return [row for batch in batches for row in batch.to_pylist()]


@pytest.mark.prove
def test_the_demo_runs_and_shows_what_was_loaded_refused_and_treated(tmp_path):
    command = [sys.executable, "-m", "carelake", "demo", str(tmp_path / "demo"), "--patients", "200"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    for said in (
        "Day 1",
        "Day 2",
        "release 1",
        "release 2",
        "days_in_ar",
        "Landed",
        "Held back",
        "Treated",
        "Where to look",
    ):
        assert said in done.stdout
    again = subprocess.run(
        [*command[:4], str(tmp_path), *command[5:]], capture_output=True, text=True, timeout=60, check=False
    )
    assert again.returncode == 10  # that folder is not empty, and not a demo's
    assert "LAKE-122" in again.stderr


@pytest.fixture(scope="module")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, dict[str, list[dict[str, Any]]]]]:
    """For each of two days, what was planted, and what the lake says."""
    folder = tmp_path_factory.mktemp("hospitals")
    project.make(folder / "project", "rcm")
    told = []
    for day in (1, 2):
        truth = synth.make(folder / "made", patients=1_500, seed=11, day=day)
        environment = {**synth.connections(folder / "made"), "CARELAKE_VAULT_KEY": "42" * 32}
        did = pipeline.run(folder / "project", environment, NOW + timedelta(days=day), as_of=truth.as_of)
        assert did.exit_code(strict=True) == 0, [step for step in did.steps if step.outcome in {"failed", "warned"}]
        questions = {
            "ar": "SELECT source_system, bucket, ar_amount FROM gold.ar_aging",
            "days": "SELECT source_system, days_in_ar, numerator, charges_in_window FROM gold.days_in_ar",
            "gross": "SELECT source_system, numerator, denominator FROM gold.collection_rates WHERE measure = 'gross'",
            "claims": "SELECT source_system, claim_status, COUNT(*) AS n, SUM(claim_amount) AS billed,"
            " SUM(paid_amount) AS paid FROM silver.claim GROUP BY ALL",
            "rows": "SELECT data_source, feed, numberofrowscopied, rows_deleted FROM audit.load_logs"
            f" WHERE run_id = '{did.run_id}'",
            "nameless": "SELECT source_system, COUNT(*) AS n FROM silver.patient_all WHERE is_quarantined GROUP BY ALL",
            "claims landed": " UNION ALL ".join(  # a line that stands twice in one file is landed as it came
                f"SELECT 'hos-{h}' AS source_system, COUNT(DISTINCT ClaimID) AS n FROM bronze.hos_{h}_claims"
                f" WHERE _lake_sequence = {day}"
                for h in "ab"
            ),
            "counts": " UNION ALL ".join(
                f"SELECT '{t}' AS name, source_system, COUNT(*) AS n FROM silver.{t}_all GROUP BY ALL"
                for t in ("patient", "provider", "department", "encounter", "transaction")
            ),
        }
        told.append((truth, {name: ask(folder / "project", question) for name, question in questions.items()}))
    return told


@pytest.mark.parametrize("day", [1, 2])
def test_the_kpis_are_those_that_were_planted(two_days, day):
    truth, lake = two_days[day - 1]
    for name, hospital in truth.hospitals.items():
        kpis = hospital.kpis
        buckets = {row["bucket"]: row["ar_amount"] for row in lake["ar"] if row["source_system"] == name}
        assert {bucket: buckets[bucket] for bucket in kpis.ar_by_bucket} == dict(kpis.ar_by_bucket)
        assert buckets["credit"] == kpis.ar_credits
        assert sum(buckets.values()) == kpis.ar_total
        (days,) = (row for row in lake["days"] if row["source_system"] == name)
        assert (days["days_in_ar"], days["charges_in_window"]) == (kpis.days_in_ar, kpis.charges_of_90_days)
        (gross,) = (row for row in lake["gross"] if row["source_system"] == name)
        assert (gross["numerator"], gross["denominator"]) == (kpis.payments, kpis.charges)
        claims = {
            r["claim_status"]: (r["n"], r["billed"], r["paid"]) for r in lake["claims"] if r["source_system"] == name
        }
        assert claims == {status: (c.count, c.billed, c.paid) for status, c in kpis.claims_by_status.items()}
    assert sum(row["ar_amount"] for row in lake["ar"]) == truth.kpis.ar_total


@pytest.mark.parametrize("day", [1, 2])
def test_silver_holds_the_rows_that_the_hospitals_hold(two_days, day):
    truth, lake = two_days[day - 1]
    for name, hospital in truth.hospitals.items():
        held = {row["name"] + "s": row["n"] for row in lake["counts"] if row["source_system"] == name}
        assert held == dict(hospital.rows)
        nameless = {row["source_system"]: row["n"] for row in lake["nameless"]}
        assert nameless.get(name, 0) == hospital.planted["patients_without_first_name"]


def test_a_day_lands_exactly_what_changed(two_days):
    truth, lake = two_days[1]
    for name, hospital in truth.hospitals.items():
        landed = {row["feed"]: row for row in lake["rows"] if row["data_source"] == name}
        for table, changes in hospital.changes.items():
            many = changes.inserted + changes.updated + changes.deleted
            assert landed[table]["numberofrowscopied"] == many if many else table not in landed, table
            assert not many or landed[table]["rows_deleted"] == changes.deleted
        (claims,) = (row for row in lake["claims landed"] if row["source_system"] == name)
        assert claims["n"] == hospital.claim_file.new + hospital.claim_file.changed


def test_amounts_never_become_floats(two_days):
    _, lake = two_days[1]
    assert all(isinstance(row["ar_amount"], Decimal) for row in lake["ar"])
