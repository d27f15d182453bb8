"""Shares that move: sound hospitals raise no alarm on nineteen days of twenty at least, and a changed one does."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import duckdb
import pytest

from carelake import declare, project, quality, synth

DAYS = 200
TOLD = {  # table of silver -> how its rows are read from what a hospital has, and when they were told
    "claim": "ClaimStatus AS claim_status, ModifiedDate::DATE AS updated_at, ModifiedDate::DATE AS told_on",
    "transaction": "ServiceDate::DATE AS service_date, CAST(Amount AS DECIMAL(18, 2)) AS amount,"
    " ModifiedDate::DATE AS updated_at, InsertDate::DATE AS told_on",
}
DRIFT = {  # rule -> its table, and a change of the last month that it is there to find
    "denied_share_steady": ("claim", "claim_status = 'Denied' WHERE claim_status = 'Paid' AND rowid % 10 = 0"),
    "charge_level_steady": ("transaction", "amount = amount * 2 WHERE TRUE"),
}


@pytest.fixture(scope="module")
def silver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """What a sound hospital of 50,000 charges has told in two years, with the day that each row was told."""
    folder = tmp_path_factory.mktemp("sound")
    synth.make(folder, patients=25_000, defects=False)
    with closing(sqlite3.connect(folder / "hos-a.db")) as emr, (folder / "charges.csv").open("w", newline="") as file:
        rows = emr.execute("SELECT ServiceDate, Amount, ModifiedDate, InsertDate FROM transactions")
        csv.writer(file).writerows([[column[0] for column in rows.description], *rows])
    files = {"claim": folder / "landing/claims/hospital1_claim_data.csv", "transaction": folder / "charges.csv"}
    with duckdb.connect() as lake:
        lake.execute("CREATE SCHEMA silver")
        for table, path in files.items():
            read = f"SELECT 'hos-a' AS source_system, {TOLD[table]} FROM read_csv('{path}', all_varchar = true)"
            lake.execute(f"CREATE TABLE {table}_told AS {read}")
            lake.execute(f"CREATE VIEW silver.{table} AS FROM {table}_told WHERE told_on <= getvariable('as_of')")
        yield lake


@pytest.fixture(scope="module")
def musts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("declared") / "project"
    project.make(folder, "rcm")
    tables = declare.read(folder).tables
    return {rule.name: rule.must for table, _ in DRIFT.values() for rule in quality.set_rules_of(tables[table])}


def alarms(lake: duckdb.DuckDBPyConnection, table: str, must: str, days: int) -> int:
    """On how many of the last days some row breaks the rule."""
    found = 0
    for back in range(days):
        lake.execute(f"SET VARIABLE as_of = DATE '{synth.AS_OF - timedelta(days=back)}'")
        broken = must.replace("$as_of", "getvariable('as_of')")
        found += lake.execute(f"SELECT count(*) > 0 FROM silver.{table} WHERE NOT ({broken})").fetchall()[0][0]
    return found


@pytest.mark.parametrize("rule", DRIFT)
def test_at_most_one_sound_day_in_twenty_raises_an_alarm(silver, musts, rule):
    assert alarms(silver, DRIFT[rule][0], musts[rule], DAYS) <= DAYS / 20


@pytest.mark.parametrize("rule", DRIFT)
def test_a_share_that_has_moved_is_found(silver, musts, rule):
    table, change = DRIFT[rule]
    day = "updated_at" if table == "claim" else "service_date"
    silver.execute("BEGIN")
    silver.execute(f"UPDATE {table}_told SET {change} AND {day} > DATE '{synth.AS_OF}' - 30")
    assert alarms(silver, table, musts[rule], 1) == 1
    silver.execute("ROLLBACK")
