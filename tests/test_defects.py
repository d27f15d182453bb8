"""Planted defects: each is found by the rule meant for it, as often as it was planted. What is sound raises nothing."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from carelake import declare, pipeline, project, quality, synth
from carelake.lake import opened
from carelake.serve import cli, door
from carelake.synth.defect_table import Defect, listed

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
KEYS = {
    "claims": ("claim", "claim_id"),
    "transactions": ("transaction", "transaction_id"),
    "encounters": ("encounter", "encounter_id"),
    "providers": ("provider", "provider_id"),
}
OF_KEYS = {"ambiguous_version"}  # reasons that no rule stands for: they are found where rows of one key meet


@dataclass(frozen=True)
class Planted:
    project: Path
    rows: dict[str, list[str]]  # defect -> keys of the rows that have it

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        with door.ask(self.project, question) as batches:
            return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]

    def disagreeing(self) -> set[str]:
        """The reconciliations that warn or stop."""
        told = "SELECT DISTINCT name FROM audit.reconciliations WHERE NOT verdict IN ('holds', 'idle')"
        return {f"reconciliation.{name}" for (name,) in self.ask(told)}

    def counted(self) -> dict[str, int]:
        """Every rule that any row breaks -> how many do."""
        return counted(self.ask("SELECT table_name, rule, scope, violating FROM audit.rule_results"), self.project)


def counted(results: list[tuple[Any, ...]], folder: Path) -> dict[str, int]:
    """Every rule that any row breaks -> how many do: row rules of what arrived, set rules of what stands."""
    tables = declare.read(folder).tables
    sets = {(table.name, rule.name) for table in tables.values() for rule in quality.set_rules_of(table)}
    found = Counter[str]()
    for table, rule, scope, violating in results:
        if scope == ("table" if (table, rule) in sets else "load"):
            found[f"{table}.{rule}"] += violating
    return {name: count for name, count in found.items() if count}


def loaded(folder: Path, patients: int, defects: list[str]) -> Planted:
    """The lake of two detailed hospitals, sound but for these defects."""
    synth.make(folder / "hospitals", patients=patients, defects=False, detailed=True)
    rows = synth.plant(folder / "hospitals", defects)
    project.make(folder / "project", "detailed")
    environment = {**synth.connections(folder / "hospitals"), "CARELAKE_VAULT_KEY": "42" * 32}
    did = pipeline.run(folder / "project", environment, NOW, as_of=synth.AS_OF)
    assert [step for step in did.steps if step.outcome == "failed"] == []
    return Planted(folder / "project", rows)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return loaded(tmp_path_factory.mktemp("planted"), 2_500, [defect.name for defect in listed()])


def judged_by_row(declared: Any, found_by: str) -> bool:
    table, rule = found_by.split(".")
    known = {one.name for one in quality.counted(declared.tables[table])} if table in declared.tables else set()
    return rule in OF_KEYS or rule in known


def judged_by_set(declared: Any, found_by: str) -> bool:
    table, rule = found_by.split(".")
    known = quality.set_rules_of(declared.tables[table]) if table in declared.tables else ()
    return rule in {one.name for one in known}


def test_every_defect_is_meant_for_a_rule_that_is_declared(planted):
    declared = declare.read(planted.project)
    named = {name for defect in listed() for name in (defect.found_by, *defect.implied)}
    known = {f"reconciliation.{name}" for name in declared.reconciliations}
    rules = named - known
    assert [name for name in rules if judged_by_row(declared, name) == judged_by_set(declared, name)] == []
    assert len({defect.name for defect in listed()}) == len(listed()) >= 80


def test_each_defect_is_found_as_often_as_it_was_planted_and_besides_only_by_what_it_implies(planted):
    wanted = Counter[str]()
    for defect in listed():
        assert len(planted.rows[defect.name]) == 2
        for rule in (defect.found_by, *defect.implied):
            wanted[rule] += len(planted.rows[defect.name]) * (defect.rows if rule == defect.found_by else 1)
    sums = {name for name in wanted if name.startswith("reconciliation.")}
    assert planted.disagreeing() == sums
    for name in sums:
        del wanted[name]
    of_keys = {name: wanted.pop(name) for name in list(wanted) if name.split(".")[1] in OF_KEYS}
    assert planted.counted() == dict(wanted)
    for name, count in of_keys.items():
        table, reason = name.split(".")
        held = f"SELECT COUNT(*) FROM quarantine.{table} WHERE quarantine_reasons = '{reason}'"
        assert planted.ask(held) == [(count,)]


@pytest.fixture(scope="module")
def said(planted: Planted) -> dict[tuple[str, str], list[set[str]]]:
    """(table of the hospital, key) -> of each row of that key what it is flagged or held back for."""
    found: dict[tuple[str, str], list[set[str]]] = {}
    for name, (table, key) in KEYS.items():
        good = f"SELECT {key}, flags FROM silver.{table} WHERE source_system = 'hos-a'"
        held = f"SELECT {key}, CONCAT_WS(';', flags, quarantine_reasons) FROM quarantine.{table}"
        for number, rules in planted.ask(f"{good} UNION ALL {held}"):
            found.setdefault((name, number), []).append(set(filter(None, (rules or "").split(";"))))
    return found


@pytest.mark.parametrize("defect", [one for one in listed() if one.table in KEYS], ids=lambda one: one.name)
def test_the_planted_rows_say_which_rules_they_break(planted, said, defect: Defect):
    """Beside rows that have other defects: each says its own. One without a number cannot be asked for by it."""
    declared = declare.read(planted.project)
    wanted = {name.split(".")[1] for name in (defect.found_by, *defect.implied) if judged_by_row(declared, name)}
    for number in filter(None, planted.rows[defect.name]):
        assert said[defect.table, number] == [wanted] * defect.rows


def test_no_other_row_is_flagged_or_held_back(planted, said):
    declared = declare.read(planted.project)
    for name in KEYS:
        found = sum(bool(rules) for (table, _), rows in said.items() if table == name for rules in rows)
        meant = [one for one in listed() if one.table == name and judged_by_row(declared, one.found_by)]
        assert found == sum(2 * one.rows for one in meant), name


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return loaded(tmp_path_factory.mktemp("sound"), 600, [])


def test_sound_hospitals_raise_nothing(sound):
    raises_nothing(sound, 600)


@pytest.mark.prove
def test_a_hundred_thousand_sound_claims_raise_nothing(tmp_path):
    assert raises_nothing(loaded(tmp_path, 28_000, []), 28_000) >= 100_000


def raises_nothing(lake: Planted, patients: int) -> int:
    """How many claims there are."""
    assert (lake.counted(), lake.disagreeing()) == ({}, set())
    ((claims,),) = lake.ask("SELECT COUNT(*) FROM silver.claim")
    assert claims > 3.5 * patients  # 28,000 patients have 100,000 of them
    for table in declare.read(lake.project).tables:
        assert lake.ask(f"SELECT COUNT(*) FROM quarantine.{table}") == [(0,)]
    return int(claims)


def test_set_rules_name_the_very_rows_that_were_planted(planted):
    """As `carelake quality --rule` names them."""
    declared = declare.read(planted.project)
    by_rule: dict[tuple[str, str], set[str]] = {}
    for defect in listed():
        for name in (defect.found_by, *defect.implied):
            if judged_by_set(declared, name) and defect.table in KEYS:
                by_rule.setdefault((defect.table, name), set()).update(planted.rows[defect.name])
    assert len(by_rule) > 15
    with opened(planted.project, {}, writing=False) as lake:
        for (of, name), wanted in by_rule.items():
            table, key = KEYS[of]
            (rule,) = [r for r in quality.set_rules_of(declared.tables[table]) if f"{table}.{r.name}" == name]
            broken = quality.breaking(declared.tables[table], rule)
            rows = f"SELECT {key} FROM silver.{table} WHERE {table}_key IN ({broken})"
            assert set(lake.engine.ask(rows, synth.AS_OF).column(0).to_pylist()) == wanted, name


def test_a_token_that_two_people_have_is_found():
    """No file of a hospital can bring that about: it takes a vault that was put together from two."""
    with TemporaryDirectory() as folder:
        project.make(Path(folder) / "project", "rcm")
        rules = quality.set_rules_of(declare.read(Path(folder) / "project").tables["patient"])
    (must,) = [rule.must for rule in rules if rule.name == "one_person_one_token"]
    people = "(VALUES (1, 'T-A'), (2, 'T-B'), (3, 'T-A'), (4, 'T-C')) AS patient (patient_key, patient_id)"
    judged = f"SELECT patient_key, {must} AS holds FROM {people} ORDER BY patient_key"
    assert duckdb.sql(judged).fetchall() == [(1, True), (2, True), (3, False), (4, True)]


def test_a_source_that_stands_still_is_found(sound, tmp_path):
    shutil.copytree(sound.project.parent, tmp_path, dirs_exist_ok=True)
    lake = Planted(tmp_path / "project", {})
    environment = {**synth.connections(tmp_path / "hospitals"), "CARELAKE_VAULT_KEY": "42" * 32}
    pipeline.run(lake.project, environment, NOW + timedelta(days=40), as_of=synth.AS_OF + timedelta(days=40))
    ((charges, visits),) = lake.ask("SELECT COUNT(*), (SELECT COUNT(*) FROM silver.encounter) FROM silver.transaction")
    found = lake.counted()
    assert {name: count for name, count in found.items() if name.endswith("_fresh")} == {
        "transaction.transactions_fresh": charges,
        "encounter.encounters_fresh": visits,  # of claims, 45 days without a file are not yet too many
    }


def test_a_defect_is_planted_by_name_and_an_unknown_one_refused(tmp_path):
    make = ["synth", str(tmp_path / "made"), "--patients", "200", "--defect"]
    told = CliRunner().invoke(cli.app, [*make, "charge_of_nothing", "--defect", "npi_in_letters"])
    assert told.exit_code == 0
    assert "planted 2 x charge_of_nothing" in told.output
    assert "planted 2 x npi_in_letters" in told.output
    refused = CliRunner().invoke(cli.app, [*make, "charge_of_nothin"])
    assert "LAKE-143" in str(refused.exception)
    assert "charge_of_nothing" in str(refused.exception)


def test_the_defects_are_listed_with_what_is_meant_to_find_them():
    told = CliRunner().invoke(cli.app, ["synth", "--defects"])
    assert told.exit_code == 0
    lines = dict(line.split(maxsplit=1) for line in told.output.splitlines())
    assert list(lines) == [defect.name for defect in listed()]
    assert lines["claim_denied_yet_paid"] == "claim.denied_is_unpaid"
