"""What Spark answers is what the embedded engine answers, and it shows no more."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cases import some
from lake_engines import need_spark
from small_lake import Small, made
from typer.testing import CliRunner

from carelake import checkpoint
from carelake.engine.duck_write import TableUpgraded
from carelake.errors import LakeDamaged, QuestionFailed, QuestionRefused
from carelake.serve import cli, door, history
from carelake.serve.answering_spark import on_spark
from carelake.serve.asker import Asker

ASKED = [
    "SELECT * FROM silver.patient ORDER BY patient_key",
    "SELECT * FROM silver.patient_history ORDER BY patient_key, valid_from",
    "SELECT * FROM silver.transaction_all ORDER BY transaction_key",
    "SELECT * FROM audit.load_logs ORDER BY id",
    "SELECT * FROM bronze.hos_a_departments ORDER BY ALL",
    "SELECT * FROM gold.fact_transaction ORDER BY ALL",
    "SELECT * FROM reference.claim_status ORDER BY ALL",
    "SELECT COUNT(*) AS n, SUM(amount) AS money, MIN(service_date) AS first FROM silver.transaction",
    "WITH t AS (SELECT amount, amount FROM silver.transaction) SELECT 1 AS a, 2 AS a, COUNT(*) AS n FROM t",
    "SELECT amount, ROW_NUMBER() OVER (ORDER BY amount DESC) AS place FROM silver.transaction ORDER BY amount LIMIT 2",
    "SELECT 'a''b' AS quoted, 'x\\y' AS slashed, 1 = 1 AS yes, CAST(NULL AS DATE) AS nothing",
    "SELECT 1 AS n WHERE FALSE",
    "SELECT valid_from || '' AS a, amount || '' AS b, patient_key || '' FROM silver.transaction_history ORDER BY ALL",
    "SELECT COUNT(*), AVG(amount), SUM(amount) / 8, SUM(Amount - paid_amount), 7 / 2, NULL FROM silver.transaction",
    "SELECT amount, COUNT(*) FILTER (WHERE amount > 50) OVER (PARTITION BY patient_key) FROM silver.transaction"
    " ORDER BY amount LIMIT 2 OFFSET 1",
    "SELECT p.patient_key, (SELECT MAX(t.amount) FROM silver.transaction AS t WHERE t.patient_key = p.patient_key)"
    " FROM silver.patient AS p WHERE EXISTS (SELECT 1 FROM silver.encounter AS e WHERE e.patient_key = p.patient_key)"
    " EXCEPT SELECT patient_key, amount FROM silver.transaction WHERE visit_type LIKE '%gency' ORDER BY 1",
]


def answer(lake: Small, question: str, engine: str) -> list[list[Any]]:
    asker = Asker.here(lake.project, environment=lake.environment)
    with door.ask(lake.project, question, asker=asker, engine=engine) as batches:
        table = batches.read_all()
        return [table.schema.names, *([column[n].as_py() for column in table.columns] for n in range(len(table)))]


@pytest.fixture(scope="module")
def asked(small_origin: Small, spark_session: Any) -> Iterator[Small]:
    return small_origin


ROWS = {"department": "D1", "transaction": "T1", "claim": "C1"}  # of each table one, by its own id
TABLE = (Path(__file__).parents[1] / "docs/deployment.md").read_text()
REFUSED = re.findall(r"^[|] `(SELECT .*)` [|] ", TABLE, re.MULTILINE)
SLOW = "SELECT * FROM audit.changes ORDER BY ALL"


@pytest.mark.parametrize("question", some(11, [*reversed(ASKED), SLOW]))
def test_both_engines_answer_alike(asked, question):
    assert answer(asked, question, "spark") == answer(asked, question, "duck")


def test_an_answer_comes_in_its_order_from_many_partitions(asked):
    rows = " UNION ALL ".join("SELECT name FROM reference.setting" for _ in range(40))
    question = f"SELECT ROW_NUMBER() OVER (ORDER BY name) AS n FROM ({rows}) AS t ORDER BY n DESC"
    _, *told = answer(asked, question, "spark")
    assert [n for (n,) in told] == list(range(len(told), 0, -1))
    assert told
    assert len(told) % 40 == 0


@pytest.mark.parametrize(
    ("question", "error", "says"),
    [
        ("SELECT reflect('java.lang.System', 'getProperty', 'user.home')", QuestionFailed, "REFLECT is not allowed"),
        ("SELECT java_method('java.lang.System', 'exit', 1)", QuestionFailed, "JAVA_METHOD is not allowed"),
        ("SELECT no_such FROM silver.patient", QuestionFailed, "does not exist"),
        ("SELECT * FROM vault.token", QuestionRefused, "vault.token"),
        ("SELECT * FROM parquet.`/etc/passwd`", QuestionRefused, "is not a table"),
        ('SELECT * FROM "delta"."/tmp"', QuestionRefused, "is not a table"),
        ("SELECT CAST(gender AS DATE) FROM silver.patient", QuestionFailed, "stopped before the end"),
        ("SELECT format_bytes(patient_key) FROM silver.patient", QuestionFailed, "FORMAT_BYTES is not allowed"),
    ],
)
def test_what_is_not_to_be_asked_is_refused_in_our_words(asked, question, error, says):
    with pytest.raises(error, match=says) as caught:
        answer(asked, question, "spark")
    assert "Ada" not in str(caught.value)


@pytest.mark.parametrize("question", some(3, REFUSED))
def test_what_the_engines_would_answer_in_two_ways_spark_refuses(asked, question):
    assert len(REFUSED) > 10
    assert len(answer(asked, question, "duck")) > 1
    with pytest.raises(QuestionFailed, match=r"Spark (may|would|does)"):
        answer(asked, question, "spark")


def test_spark_is_asked_for_nothing_that_the_embedded_engine_has_not(spark_session):
    with on_spark({}).opened({}) as opened, pytest.raises(QuestionFailed, match="does not exist"):
        opened.ask("SELECT reflect('java.lang.System', 'getProperty', 'user.home')")


def test_the_access_log_has_what_spark_has_shown(small, spark_session):
    answer(small, "SELECT patient_key FROM silver.patient", "spark")
    told, shown = (json.loads(event.told) for event in checkpoint.journal_of(small.project / "lake").events())
    assert (told["action"], told["columns_read"]) == ("query", ["silver.patient.patient_key"])
    assert (shown["action"], shown["rows_shown"], len(shown["patients"])) == ("shown", 3, 3)


@pytest.mark.prove
def test_a_lake_that_only_spark_can_read_is_read_by_spark_if_lake_yml_says_so(small, spark_session, monkeypatch):
    for name, value in small.environment.items():
        monkeypatch.setenv(name, value)
    told = {table: history.read(small.project, table, own, "hos-a").plain() for table, own in ROWS.items()}
    done = CliRunner().invoke(cli.app, ["-p", str(small.project), "tables", "upgrade", "--spark", "--yes"])
    assert done.exit_code == 0, done.output
    with pytest.raises(TableUpgraded, match="query it with"):
        answer(small, "SELECT COUNT(*) FROM silver.patient", "")
    assert answer(small, "SELECT COUNT(*) AS n FROM silver.patient", "spark") == [["n"], [3]]
    small.say("lake.yml", "engine: duck", "engine: spark")
    assert answer(small, "SELECT COUNT(*) AS n FROM silver.patient", "") == [["n"], [3]]
    for table, own in ROWS.items():
        assert history.read(small.project, table, own, "hos-a").plain() == told[table]


def test_a_file_that_is_gone_is_told(small, spark_session):
    for file in Path(small.project / "lake/silver/department_versions").glob("*.parquet"):
        file.unlink()
    with pytest.raises(LakeDamaged):
        answer(small, "SELECT * FROM silver.department", "spark")


ENDS = """
import sys
from pathlib import Path
from lake_engines import SMALL_SPARK
from carelake.engine.spark_session import started
started(Path(sys.argv[1]), SMALL_SPARK)
"""


def test_spark_takes_what_it_keeps_beside_tables_with_it_when_the_process_ends(tmp_path):
    need_spark()
    around = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", ENDS, str(tmp_path / "it's a scratch")], env=around, check=True)
    assert list(tmp_path.iterdir()) == []


def test_nothing_released_is_told(tmp_path, spark_session):
    with pytest.raises(QuestionRefused, match="nothing is released yet"):
        answer(made(tmp_path), "SELECT 1 FROM silver.patient", "spark")
