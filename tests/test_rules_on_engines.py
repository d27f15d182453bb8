"""What the shipped rules ask of all that stands is understood by every engine, and answered alike."""

from __future__ import annotations

from pathlib import Path

import pytest
from sql_engines import SqlEngine
from worked import columns_of_relation

from carelake import declare, project, quality, sql
from carelake.model import Declarations
from carelake.synth import AS_OF


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Declarations:
    folder: Path = tmp_path_factory.mktemp("declared") / "project"
    project.make(folder, "rcm")
    return declare.read(folder)


def test_every_set_rule_is_answered_by_every_engine(sql_engine: SqlEngine, declared: Declarations):
    asked = {table.name: quality.standing(table) for table in declared.tables.values()}
    every = [select for selects in asked.values() for select in selects]
    for name in sorted({name for select in every for name in sql.tables_of(select)}):
        bare = name.removesuffix("_history").removesuffix("_all")
        columns = dict(columns_of_relation(bare, declared))
        columns |= {"is_quarantined": "BOOLEAN", "quarantine_reasons": "TEXT"} if name.endswith("_all") else {}
        nothing = ", ".join(f"CAST(NULL AS {kind}) AS {column}" for column, kind in columns.items())
        sql_engine.define(name, f"SELECT {nothing}")
    for table, selects in asked.items():  # one row of nothing breaks nothing
        (row,) = (row for select in selects for row in sql_engine.ask(select, AS_OF))
        assert (row["found"], row["n"], row["rows_seen"]) == (None, 1, 1), table
