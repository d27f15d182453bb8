"""Every mart gives the answers worked by hand in the page beside it, on every engine."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path

import pytest
from worked import build, examples, shown

from carelake import declare
from carelake.model import Declarations
from carelake.sql import columns_of, refused_in_select, tables_of

DECLARATIONS = Path(__file__).parents[1] / "declarations"
MARTS = sorted(path.stem for path in DECLARATIONS.glob("gold/*/*.sql"))


@cache
def declared() -> Declarations:
    return declare.read(DECLARATIONS / "templates" / "rcm")


@pytest.mark.parametrize("example", examples(DECLARATIONS / "gold"), ids=str)
def test_a_mart_gives_the_answer_worked_by_hand(sql_engine, example):
    build(sql_engine, declared(), example.mart, example.given, example.as_of)
    asked = list(example.expect[0])
    rows = sql_engine.ask(f"SELECT {', '.join(asked)} FROM gold.{example.mart}")
    answer = sorted(tuple(shown(row[name]) for name in asked) for row in rows)
    expect = sorted(tuple(row.values()) for row in example.expect)
    assert (answer if example.whole else [row for row in answer if row in expect]) == expect


@pytest.mark.parametrize("mart", MARTS)
def test_a_mart_is_portable_and_every_column_of_it_is_described(mart):
    said = declared().marts[mart]
    assert not refused_in_select(said.select)
    assert columns_of(said.select) == [column.name for column in said.columns]
    assert all(column.about and column.kind in declared().policy.stored for column in said.columns)


@pytest.mark.parametrize("mart", MARTS)
def test_a_mart_has_an_example_worked_by_hand(mart):
    assert any(example.mart == mart for example in examples(DECLARATIONS / "gold"))


@pytest.mark.parametrize("mart", MARTS)
def test_a_mart_reads_what_is_trusted_and_never_itself(mart):
    reads = tables_of(declared().marts[mart].select)
    known = {f"silver.{table}" for table in declared().tables} | {f"gold.{name}" for name in MARTS if name != mart}
    assert set(reads) <= known | {"silver.claim_history", "reference.setting", "reference.claim_status"}


@pytest.mark.parametrize("mart", [mart for mart in MARTS if declared().marts[mart].kpi])
def test_a_kpi_states_what_it_is_made_of(mart):
    names = columns_of(declared().marts[mart].select)
    assert {"numerator", "denominator", "as_of", "definition", declared().marts[mart].kpi} <= set(names)


SPELLED = {"text": "VARCHAR", "date": "DATE", "boolean": "BOOLEAN", "integer": "BIGINT"}
SPELLED |= {"money": "DECIMAL(18,2)", "days": "DECIMAL(18,2)", "ratio": "DECIMAL(18,4)"}


@pytest.mark.parametrize("mart", MARTS)
def test_columns_are_of_the_type_the_page_says_on_every_engine(sql_engine, mart):
    build(sql_engine, declared(), mart, {}, date(2024, 11, 30))
    said = {column.name: SPELLED[column.type] for column in declared().marts[mart].columns}
    assert sql_engine.types(f"gold.{mart}") == said


def test_the_shipped_statuses_are_those_that_the_page_names():
    lines = (DECLARATIONS / "reference" / "claim_status.csv").read_text(encoding="utf-8").split()
    assert lines == [
        "claim_status,counts_as",
        "Paid,approved",
        "Approved,approved",
        "Denied,denied",
        "Rejected,denied",
        "Pending,pending",
    ]
