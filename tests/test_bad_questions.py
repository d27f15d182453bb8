"""Questions that try to write, to read what is not released, or to ask two things: each is refused and says nothing."""

from __future__ import annotations

import hashlib
import tempfile
import traceback
from pathlib import Path

import pytest
from small_lake import Small

from carelake.errors import LakeError, QuestionFailed, QuestionRefused
from carelake.serve import door

REFUSED = [
    "INSERT INTO silver.patient VALUES (1)",
    "UPDATE silver.patient SET gender = 'x'",
    "DELETE FROM silver.patient",
    "DROP TABLE silver.patient",
    "CREATE TABLE x AS SELECT 1",
    "MERGE INTO silver.patient USING silver.patient ON TRUE WHEN MATCHED THEN DELETE",
    "SELECT * INTO x FROM silver.patient",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE silver.patient",
    "",
    ";",
    "--",
    "no SQL at all",
    "SELECT " + "(" * 5000 + "1" + ")" * 5000,
    "SELECT \udc80",
    "SELECT * FROM '{file}'",
    'SELECT * FROM "{file}"',
    "SELECT * FROM read_parquet('{file}')",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "WITH t AS (SELECT * FROM read_csv('/etc/passwd')) SELECT * FROM t",
    "SELECT (SELECT COUNT(*) FROM read_csv('/etc/passwd'))",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM parquet_metadata('{file}')",
    "SELECT * FROM 'https://example.com/x.parquet'",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM query_table('silver.patient')",
    "SELECT * FROM range(10)",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM sqlite_master",
    "COPY (SELECT 1) TO '{folder}/leak.csv'",
    "COPY silver.patient TO '{folder}/leak.csv'",
    "ATTACH '{folder}/leak.db'",
    "EXPORT DATABASE '{folder}/leak'",
    "PRAGMA database_list",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "INSTALL httpfs",
    "LOAD httpfs",
    "CALL pragma_version()",
    "EXPLAIN ANALYZE SELECT * FROM silver.patient",
    "DESCRIBE silver.patient",
    "SHOW TABLES",
    "BEGIN",
    "SELECT * FROM vault.token",
    "SELECT * FROM vault.key_map",
    "SELECT * FROM restricted.patient_history",
    "SELECT * FROM silver.patient WHERE EXISTS (SELECT 1 FROM vault.token)",
    "SELECT * FROM silver.patient UNION SELECT * FROM vault.token",
    "WITH vault AS (SELECT 1) SELECT * FROM vault.token",
    "TABLE vault.token",
    "FROM vault.token",
    "PIVOT vault.token ON kind USING COUNT(*)",
    "SELECT * FROM memory.silver.patient",
    "WITH x AS (COPY (SELECT 1) TO '{folder}/leak.csv') SELECT * FROM x",
    "WITH x AS (COPY (SELECT 1 AS a) TO '{file}' (FORMAT parquet, USE_TMP_FILE FALSE)) SELECT * FROM x",
    "WITH x AS (INSERT INTO silver.patient VALUES (1) RETURNING *) SELECT * FROM x",
    "WITH x AS (DELETE FROM silver.patient RETURNING *) SELECT * FROM silver.claim",
    "SELECT * FROM silver.patient WHERE EXISTS (WITH x AS (UPDATE silver.patient SET gender = 'x') SELECT 1)",
    "SELECT * FROM silver.patient CROSS JOIN LATERAL read_parquet('{file}')",
    "SELECT * FROM silver.patient, LATERAL query('SELECT * FROM silver.claim')",
    "SELECT * FROM silver.patient LEFT JOIN duckdb_views() ON TRUE",
    "SELECT * FROM (silver.patient JOIN (vault.token JOIN silver.claim ON TRUE) ON TRUE)",
    "SELECT gender FROM silver.patient ORDER BY (SELECT MAX(token) FROM vault.token)",
    "SELECT [x FOR x IN (SELECT LIST(token) FROM vault.token)]",
    "FROM (DESCRIBE silver.patient)",
    "SELECT * FROM (SUMMARIZE silver.patient)",
    "FROM (SHOW TABLES)",
    "SELECT * FROM silver.patient -- \r, vault.token",
    # A WITH gives a name to what is around it, and to nothing else; not even to itself.
    "SELECT * FROM (WITH sqlite_master AS (SELECT 1) SELECT 1), sqlite_master",
    "SELECT * FROM (WITH \"{file}\" AS (SELECT 1) SELECT 1), '{file}'",
    "WITH sqlite_master AS (SELECT * FROM sqlite_master) SELECT * FROM sqlite_master",
    "WITH a AS (SELECT * FROM duckdb_views), duckdb_views AS (SELECT 1) SELECT * FROM a",
    'WITH "\u212aey" AS (SELECT 1) SELECT * FROM key',  # a Kelvin sign, which is no k to DuckDB
    "SELECT * FROM silver.patient_versions",  # it has hashes of rows, which are never shown
    "SELECT * FROM silver.nosuch",
    "SELECT * FROM patient",
]
FAILED = [
    "SELECT read_text('/etc/passwd')",
    "SELECT getenv('HOME')",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT nosuch FROM silver.patient",
    "SELECT CAST(patient_id AS INTEGER) FROM silver.patient",
    "SELECT CAST(gender AS DATE) FROM silver.patient",
    "SELECT repeat('x', 1000000000000)",
    "SELECT $as_of",
]


@pytest.fixture(scope="module")
def files(small_origin: Small) -> set[tuple[str, int]]:
    return every(small_origin)


def every(lake: Small) -> set[tuple[str, int]]:
    """All files and when they were written, but those of the access log, to which each question adds."""
    files = (path for path in lake.folder.rglob("*") if path.is_file() and path.parent.name != "journal")
    return {(str(path), path.stat().st_mtime_ns) for path in files}


@pytest.mark.parametrize(
    ("question", "error"), [*((one, QuestionRefused) for one in REFUSED), *((one, QuestionFailed) for one in FAILED)]
)
def test_a_hostile_question_is_refused_and_changes_nothing(
    question: str, error: type[LakeError], small_origin: Small, files: set[tuple[str, int]], tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    token = next(small_origin.project.glob("originals/vault/token/*.parquet"))
    asked = question.replace("{file}", str(token)).replace("{folder}", str(tmp_path))
    with pytest.raises(error) as caught:
        small_origin.ask(asked)
    assert (caught.value.exit_code, caught.value.__cause__) == (70, None)
    for secret in ("RECORD-", "root:", "Conversion Error", "Binder Error"):
        assert secret not in str(caught.value)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
    assert every(small_origin) == files


def test_on_the_command_line_a_refusal_has_its_exit_code_and_one_paragraph(small_origin: Small) -> None:
    told = small_origin.command("query", "LOAD httpfs")
    assert (told.returncode, told.stdout, told.stderr.count(b"\n")) == (70, b"", 3)
    assert told.stderr.startswith(b"LAKE-701 this is not one SELECT.")


GOOD = {
    "SELECT 1 AS one /* ; DROP TABLE x */ -- y": [(1,)],
    'WITH "a.b" AS (SELECT 2 AS two) SELECT * FROM "A.B"': [(2,)],
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT MAX(n) FROM R": [(3,)],
    "WITH claim AS (SELECT 7 AS seven) SELECT seven FROM claim, silver.claim ORDER BY ALL LIMIT 1": [(7,)],
    "FROM Silver.Patient SELECT COUNT(*)": [(3,)],
    "SELECT COUNT(*) FROM silver.patient AS p, LATERAL (SELECT p.gender) AS q, UNNEST([1, 2])": [(6,)],
    "FROM (SELECT gender FROM silver.patient) PIVOT (COUNT(*) FOR gender IN ('F', 'M'))": [(2, 1)],
    "SELECT x FROM (VALUES (1), (2)) AS t(x) WHERE x IN (SELECT 2 UNION SELECT 3)": [(2,)],
    "SELECT 1 AS a, 2 AS b;": [(1, 2)],
}


@pytest.mark.parametrize(("question", "told"), GOOD.items())
def test_a_question_that_only_asks_is_answered(
    question: str, told: list[tuple[object, ...]], small_origin: Small
) -> None:
    assert small_origin.ask(question) == told


def test_only_what_is_shown_is_listed(small_origin: Small) -> None:
    listed = door.tables(small_origin.project)
    assert {"silver.patient", "silver.patient_history", "silver.patient_all", "gold.fact_claim"} <= {*listed}
    assert [name for name in listed if name.startswith(("vault", "restricted")) or name.endswith("_versions")] == []


SLIPS = "CAST(CASE WHEN n = 2500000 THEN 'Zebedee' ELSE '1' END AS INTEGER)"


def test_what_the_engine_stumbles_over_late_is_not_quoted_either(
    small_origin: Small, capfd: pytest.CaptureFixture[str]
) -> None:
    question = f"SELECT {SLIPS} AS n FROM (SELECT UNNEST(RANGE(3000000)) AS n)"
    with pytest.raises(QuestionFailed) as caught:
        small_origin.ask(question)
    assert "Zebedee" not in "".join(traceback.format_exception(caught.value))
    told = small_origin.command("query", "--format", "csv", question)
    assert (told.returncode, told.stderr[:8], b"Zebedee" in told.stderr) == (70, b"LAKE-702", False)
    assert capfd.readouterr() == ("", "")


# --- what does not fit into memory ---

# Of digests, which cannot be packed: else no original could be found in what was spilled in the clear either.
MANY = "SELECT UNHEX(SHA256(CAST(n AS TEXT))) AS told FROM (SELECT UNNEST(RANGE(2000000)) AS n) ORDER BY told"
SOME = [hashlib.sha256(str(n).encode()).digest() for n in range(0, 2_000_000, 40_000)]


@pytest.fixture
def spills(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where questions to `small` spill, which have little memory."""
    page = small.project / "lake.yml"
    page.write_text(page.read_text() + "\nmemory: 80MB\n")
    folder = tmp_path / "spills"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_question_larger_than_its_memory_spills_unreadably_and_leaves_nothing_behind(
    small: Small, spills: Path
) -> None:
    with door.ask(small.project, MANY) as batches:
        first = batches.read_next_batch()
        spilled = [path.read_bytes() for path in spills.rglob("*") if path.is_file()]
        count = first.num_rows + sum(batch.num_rows for batch in batches)
    assert sum(map(len, spilled)) > 20_000_000
    assert sum(one in content for one in SOME for content in spilled) == 0
    assert (count, list(spills.iterdir())) == (2_000_000, [])


def test_a_question_that_nobody_reads_to_its_end_leaves_nothing_behind(small: Small, spills: Path) -> None:
    with door.ask(small.project, MANY) as batches:
        batches.read_next_batch()
        assert [path for path in spills.rglob("*") if path.is_file()] != []
    assert list(spills.iterdir()) == []
