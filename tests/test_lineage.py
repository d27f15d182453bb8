"""What marts show of whom: columns that leak by every mechanism are found, and sound ones pass."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from carelake import declare, leaks, lineage, project, reach, sql
from carelake.errors import DeclarationsRefused
from carelake.model import Column, Declarations, Mart

# mechanism -> three marts, each with the column that leaks, and what reaches it; columns are `not_personal`, unless
# they are called by what they are
KINDS = {"patient_key": "record_number", "claim_key": "event_number", "claim_id": "event_number", "full_name": "name",
         "patient_id": "record_number", "provider_key": "provider_identity", "provider_name": "provider_identity",
         "claim_date": "event_date", "service_date": "event_date", "transaction_key": "event_number",
         "encounter_key": "event_number", "gender": "sex", "icd_code": "diagnosis"}  # fmt: skip
LEAKING = {
    "alias": [
        ("SELECT p.full_name AS note FROM silver.patient AS p", "note", "silver.patient.full_name"),
        ("SELECT patient_id AS ward FROM silver.patient_all", "ward", "silver.patient_all.patient_id"),
        ("SELECT c.claim_date AS batch FROM silver.claim AS c", "batch", "silver.claim.claim_date"),
    ],
    "cte": [
        ("WITH a AS (SELECT full_name AS n FROM silver.patient), b AS (SELECT n AS m FROM a) SELECT m AS note FROM b",
         "note", "silver.patient.full_name"),
        ("WITH a (x, y) AS (SELECT gender, patient_id FROM silver.patient) SELECT y AS note, x AS gender FROM a",
         "note", "silver.patient.patient_id"),
        ("WITH silver_claim AS (SELECT claim_id FROM silver.claim) SELECT LEFT(claim_id, 8) AS note FROM silver_claim",
         "note", "silver.claim.claim_id"),
    ],
    "union": [
        ("SELECT gender AS note FROM silver.patient UNION ALL SELECT full_name FROM silver.patient",
         "note", "silver.patient.full_name"),
        ("SELECT 'a' AS kind, claim_status AS note FROM silver.claim UNION SELECT 'b', patient_id FROM silver.patient",
         "note", "silver.patient.patient_id"),
        ("WITH a AS (SELECT 1 AS n, 'x' AS t UNION ALL SELECT 2, claim_id FROM silver.claim) SELECT t AS note FROM a",
         "note", "silver.claim.claim_id"),
    ],
    "window": [
        ("SELECT claim_key, MAX(claim_date) OVER (PARTITION BY claim_key) AS latest FROM silver.claim",
         "latest", "silver.claim.claim_date"),
        ("SELECT LAG(patient_id) OVER (PARTITION BY gender ORDER BY address) AS before FROM silver.patient",
         "before", "silver.patient.patient_id"),
        ("SELECT ROW_NUMBER() OVER (ORDER BY claim_date) AS place FROM silver.claim",
         "place", "silver.claim.claim_date"),
    ],
    "aggregate": [
        ("SELECT gender, MIN(full_name) AS first_one FROM silver.patient GROUP BY gender",
         "first_one", "silver.patient.full_name"),
        ("SELECT claim_status, MAX(service_date) AS latest FROM silver.claim GROUP BY claim_status",
         "latest", "silver.claim.service_date"),
        ("SELECT claim_key, SUM(YEAR(claim_date) * 400 + MONTH(claim_date) * 31 + DAY(claim_date)) AS score"
         " FROM silver.claim GROUP BY claim_key", "score", "silver.claim.claim_date"),
    ],
    "COUNT(DISTINCT)": [
        ("SELECT full_name AS label, COUNT(DISTINCT patient_key) AS n FROM silver.patient GROUP BY full_name",
         "label", "silver.patient.full_name"),
        ("SELECT patient_key, COUNT(DISTINCT CASE WHEN LEFT(patient_id, 1) = '1' THEN 'a'"
         " WHEN LEFT(patient_id, 1) = '2' THEN 'b' END) AS n FROM silver.patient GROUP BY patient_key",
         "n", "silver.patient.patient_id"),
        ("WITH a AS (SELECT patient_id AS p, COUNT(DISTINCT gender) AS n FROM silver.patient GROUP BY patient_id)"
         " SELECT p || ':' AS note, n FROM a", "note", "silver.patient.patient_id"),
    ],
    "ARRAY_AGG": [
        ("SELECT gender, ARRAY_AGG(full_name) AS people FROM silver.patient GROUP BY gender",
         "people", "silver.patient.full_name"),
        ("SELECT claim_status, ARRAY_AGG(claim_date) AS days FROM silver.claim GROUP BY claim_status",
         "days", "silver.claim.claim_date"),
        ("SELECT STRING_AGG(patient_id, ',') AS everybody FROM silver.patient",
         "everybody", "silver.patient.patient_id"),
    ],
    "CASE branch": [
        ("SELECT CASE WHEN gender = 'Female' THEN full_name ELSE 'x' END AS note FROM silver.patient",
         "note", "silver.patient.full_name"),
        ("SELECT CASE claim_date WHEN '2024-01-01' THEN 1 WHEN '2024-01-02' THEN 2 END AS n FROM silver.claim",
         "n", "silver.claim.claim_date"),
        ("SELECT CASE WHEN claim_date < '2024-01-02' THEN 'a' WHEN claim_date < '2024-01-03' THEN 'b' ELSE 'c' END AS n"
         " FROM silver.claim", "n", "silver.claim.claim_date"),
    ],
    "join key": [
        ("SELECT d.calendar_date AS d FROM silver.claim AS c INNER JOIN gold.dim_date AS d"
         " ON c.claim_date = d.calendar_date", "d", "silver.claim.claim_date"),
        ("SELECT s.value AS note FROM silver.patient AS p INNER JOIN reference.setting AS s ON p.patient_id = s.name",
         "note", "silver.patient.patient_id"),
        ("SELECT m.month FROM gold.fact_claim AS f LEFT JOIN gold.dim_date AS m ON f.service_date_key = m.date_key",
         "month", "gold.fact_claim.service_date_key"),
    ],
    "filter that reveals": [
        ("SELECT claim_status AS note FROM silver.patient AS p CROSS JOIN silver.claim AS c"
         " WHERE p.full_name = 'PATIENT-ABCDEFGHIJKL'", "note", "silver.patient.full_name"),
        ("SELECT claim_status AS note FROM silver.claim WHERE claim_date BETWEEN '2024-02-03' AND '2024-02-03'",
         "note", "silver.claim.claim_date"),
        ("SELECT claim_status AS note FROM silver.claim WHERE COALESCE(claim_id IN ('C1', 'C2'), FALSE)",
         "note", "silver.claim.claim_id"),
    ],
    "ORDER BY and LIMIT": [
        ("SELECT claim_status AS note FROM silver.claim ORDER BY claim_date DESC LIMIT 1",
         "note", "silver.claim.claim_date"),
        ("WITH a AS (SELECT gender FROM silver.patient ORDER BY full_name LIMIT 10) SELECT gender AS note FROM a",
         "note", "silver.patient.full_name"),
        ("SELECT DISTINCT ON (claim_status) claim_status AS note FROM silver.claim ORDER BY patient_id LIMIT 5",
         "note", "silver.claim.patient_id"),
    ],
    "whole row": [
        ("SELECT patient AS note FROM silver.patient AS patient", "note", ""),
        ("SELECT p.* FROM silver.patient AS p", "*", ""),
        ("SELECT COLUMNS('name') AS note FROM silver.patient", "note", ""),
    ],
    "subquery": [
        ("SELECT (SELECT MAX(full_name) FROM silver.patient) AS note", "note", "silver.patient.full_name"),
        ("SELECT x.n AS note FROM (SELECT patient_id AS n FROM silver.patient) AS x",
         "note", "silver.patient.patient_id"),
        ("SELECT s.name AS note FROM reference.setting AS s WHERE s.name IN (SELECT patient_id FROM silver.patient)",
         "note", "silver.patient.patient_id"),
    ],
    "view on view": [
        ("SELECT patient_key AS n FROM gold.fact_claim", "n", "gold.fact_claim.patient_key"),
        ("SELECT p.full_name AS note FROM gold.fact_claim AS f LEFT JOIN gold.dim_patient AS p"
         " ON f.patient_key = p.patient_key", "note", "gold.dim_patient.full_name"),
        ("SELECT CAST(c.first_claim_date AS TEXT) AS note FROM gold.claim_chain AS c",
         "note", "gold.claim_chain.first_claim_date"),
    ],
}  # fmt: skip
SOUND = [
    "SELECT COUNT(*) AS n FROM silver.patient",
    "SELECT gender, COUNT(*) AS n FROM silver.patient GROUP BY gender",
    "SELECT COUNT(DISTINCT patient_key) AS n FROM silver.claim",
    "SELECT claim_status, COUNT(DISTINCT patient_key) AS n FROM silver.claim GROUP BY claim_status",
    "SELECT claim_status, SUM(claim_amount) AS amount FROM silver.claim GROUP BY claim_status",
    "SELECT SUM(CASE WHEN claim_date > $as_of THEN 0 ELSE claim_amount END) AS amount FROM silver.claim",
    "SELECT claim_key, claim_amount FROM silver.claim",
    "SELECT claim_key, claim_date FROM silver.claim",
    "SELECT patient_key, full_name, gender FROM silver.patient",
    "SELECT claim_key, YEAR(claim_date) AS year FROM silver.claim",
    "SELECT claim_key, DATE_DIFF('day', service_date, claim_date) AS days FROM silver.claim",
    "SELECT claim_key, claim_date > $as_of AS is_later FROM silver.claim",
    "SELECT claim_key, claim_date IS NULL AS is_undated FROM silver.claim",
    "SELECT claim_key, service_date > claim_date AS is_odd FROM silver.claim",
    "SELECT claim_key, claim_amount FROM silver.claim WHERE claim_date <= $as_of",
    "SELECT claim_key, claim_amount FROM silver.claim WHERE NOT patient_key IS NULL",
    "SELECT claim_key, claim_amount FROM silver.claim WHERE claim_status = 'Paid'",
    "SELECT claim_key, claim_amount FROM silver.claim WHERE service_date <= claim_date",
    "SELECT COUNT(*) AS n FROM silver.claim WHERE claim_date >= '2024-01-01'",
    "SELECT SUM(paid_amount) AS paid FROM silver.claim WHERE claim_id = 'C1'",
    "SELECT c.claim_key, p.gender FROM silver.claim AS c LEFT JOIN silver.patient AS p"
    " ON c.patient_key = p.patient_key",
    "SELECT c.claim_key, v.provider_name FROM silver.claim AS c INNER JOIN silver.provider AS v"
    " ON c.provider_key = v.provider_key",
    "SELECT p.gender, SUM(c.claim_amount) AS amount FROM silver.claim AS c LEFT JOIN silver.patient AS p"
    " ON c.patient_key = p.patient_key GROUP BY p.gender",
    "SELECT c.claim_key, s.value FROM silver.claim AS c LEFT JOIN reference.setting AS s ON c.claim_status = s.name",
    "SELECT claim_key, ROW_NUMBER() OVER (PARTITION BY patient_key ORDER BY claim_date) AS visit FROM silver.claim",
    "SELECT claim_key, RANK() OVER (PARTITION BY claim_status ORDER BY claim_amount) AS place FROM silver.claim",
    "SELECT claim_key, SUM(claim_amount) OVER (PARTITION BY patient_key) AS amount FROM silver.claim",
    "SELECT claim_key, LAG(claim_amount) OVER (PARTITION BY patient_key ORDER BY claim_date) AS before"
    " FROM silver.claim",
    "SELECT claim_key, MAX(claim_amount) OVER (PARTITION BY claim_status) AS most FROM silver.claim",
    "SELECT claim_key, CASE WHEN claim_date > $as_of THEN 'later' ELSE 'now' END AS state FROM silver.claim",
    "SELECT claim_key, CASE claim_status WHEN 'Paid' THEN 1 WHEN 'Denied' THEN 2 ELSE 3 END AS n FROM silver.claim",
    "SELECT claim_key, CASE WHEN claim_amount < 10 THEN 'a' WHEN claim_amount < 99 THEN 'b' ELSE 'c' END AS size"
    " FROM silver.claim",
    "WITH late AS (SELECT claim_key, DATE_DIFF('day', service_date, claim_date) AS days FROM silver.claim)"
    " SELECT claim_key, CASE WHEN days < 30 THEN 'a' WHEN days < 90 THEN 'b' ELSE 'c' END AS bucket FROM late",
    "WITH a AS (SELECT gender AS g FROM silver.patient) SELECT g AS gender, COUNT(*) AS n FROM a GROUP BY g",
    "SELECT claim_status FROM silver.claim UNION ALL SELECT payer_type FROM silver.claim",
    "SELECT claim_key, patient_key FROM gold.fact_claim",
    "SELECT f.claim_key, d.department_name FROM gold.fact_claim AS f LEFT JOIN gold.dim_department AS d"
    " ON f.department_key = d.department_key",
    "SELECT claim_status, MIN(claim_amount) AS least, MAX(claim_amount) AS most FROM silver.claim"
    " GROUP BY claim_status HAVING COUNT(*) > 10",
    "SELECT claim_status, COUNT(*) AS n FROM silver.claim WHERE patient_key IN"
    " (SELECT patient_key FROM silver.transaction) GROUP BY claim_status",
    "SELECT t.icd_code, COUNT(DISTINCT t.patient_key) AS patients FROM silver.transaction AS t"
    " WHERE REGEXP_MATCHES(t.icd_code, '^E11') GROUP BY t.icd_code",
]  # fmt: skip


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Declarations:
    made = tmp_path_factory.mktemp("leaks") / "project"
    project.make(made, "rcm")
    return declare.read(made)


class Bare:
    """A page by which no kind hides another."""

    def covers(self, kind: str, other: str) -> bool:
        return False

    def is_single(self, kind: str) -> bool:
        return False


def mart(select: str) -> Mart:
    """A mart whose columns say what they are by their names, and else that they are of nobody."""
    names = sql.columns_of(select)
    columns = tuple(Column(name=name, kind=KINDS.get(name, "not_personal"), type="text") for name in names)
    return Mart("one_more", "own", "In a test.", select, columns)


def found(declared: Declarations, select: str) -> list[leaks.Leak]:
    return list(leaks.leaks(replace(declared, marts={**declared.marts, "one_more": mart(select)})))


SLY = {  # how somebody could try to show a date without its value coming out
    "equal to the day of the figures": "SELECT claim_status AS n FROM silver.claim WHERE claim_date = $as_of",
    "between two bounds":
        "SELECT claim_status AS n FROM silver.claim WHERE claim_date >= $as_of AND claim_date <= $as_of",
    "a running count": "SELECT COUNT(*) OVER (ORDER BY claim_date) AS n FROM silver.claim",
    "a running sum of ones": "SELECT SUM(1) OVER (ORDER BY claim_date) AS n FROM silver.claim",
    "a place in a group of all": "SELECT ROW_NUMBER() OVER (PARTITION BY 1 ORDER BY claim_date) AS n FROM silver.claim",
    "a place in a big group":
        "SELECT RANK() OVER (PARTITION BY claim_status ORDER BY claim_date) AS n FROM silver.claim",
    "the one before in time": "SELECT LAG(claim_amount) OVER (ORDER BY claim_date) AS n FROM silver.claim",
    "days from a day of the calendar":
        "SELECT DATE_DIFF('day', c.claim_date, d.calendar_date) AS n FROM silver.claim AS c"
        " CROSS JOIN gold.dim_date AS d",
    "days from the day of the figures": "SELECT DATE_DIFF('day', claim_date, $as_of) AS n FROM silver.claim",
    "a join by two things at once":
        "SELECT d.month AS n FROM silver.claim AS c INNER JOIN gold.dim_date AS d"
        " ON LEFT(CAST(c.claim_date AS TEXT), 7) || d.month = d.month || LEFT(CAST(c.claim_date AS TEXT), 7)",
    "flags under one name":
        "WITH a AS (SELECT DAY(claim_date) AS x FROM silver.claim), b AS (SELECT x > 8 AS f, x FROM a),"
        " c AS (SELECT x - 8 AS x, f FROM b), d AS (SELECT x > 8 AS g, f FROM c)"
        " SELECT CASE WHEN f AND g THEN 3 WHEN f THEN 2 ELSE 1 END AS n FROM d",
    "a date held against one of old":
        "SELECT DATE_DIFF('day', LEAST(claim_date, CAST('1900-01-01' AS DATE)), claim_date) AS n FROM silver.claim",
    "a year of as many days": "SELECT YEAR(CAST('2000-01-01' AS DATE) + 366 * DAY(claim_date)) AS n FROM silver.claim",
    "whether something is left":
        "SELECT CASE WHEN NULLIF(DAY(claim_date), 1) IS NULL THEN 1 WHEN NULLIF(DAY(claim_date), 2) IS NULL THEN 2 END"
        " AS n FROM silver.claim",
    "rows that a flag lets through":
        "WITH a AS (SELECT s.value AS n, CAST(c.claim_date AS TEXT) = s.value AS hit FROM silver.claim AS c"
        " CROSS JOIN reference.setting AS s) SELECT n FROM a WHERE hit",
    "one comparison with all there is":
        "SELECT CASE WHEN CAST(c.claim_date AS TEXT) = s.value THEN s.value END AS n FROM silver.claim AS c"
        " CROSS JOIN reference.setting AS s",
    "a count of days of each claim":
        "SELECT c.claim_key, COUNT(*) AS n FROM silver.claim AS c CROSS JOIN gold.dim_date AS d"
        " WHERE d.calendar_date <= c.claim_date GROUP BY c.claim_key",
    "a sum of one number of each claim":
        "SELECT c.claim_key, SUM(CASE WHEN d.calendar_date = c.claim_date THEN d.date_key ELSE 0 END) AS n"
        " FROM silver.claim AS c CROSS JOIN gold.dim_date AS d GROUP BY c.claim_key",
    "rows of which nothing is left":
        "SELECT s.value AS n FROM silver.claim AS c CROSS JOIN reference.setting AS s"
        " WHERE NULLIF(CAST(c.claim_date AS TEXT), s.value) IS NULL",
    "no day between": "SELECT s.value AS n FROM silver.claim AS c CROSS JOIN reference.setting AS s"
        " WHERE DATE_DIFF('day', c.claim_date, CAST(s.value AS DATE)) = 0",
    "the greatest so far":
        "WITH u AS (SELECT CAST(calendar_date AS TEXT) AS t, calendar_date AS d FROM gold.dim_date UNION ALL"
        " SELECT NULL, claim_date FROM silver.claim) SELECT MAX(t) OVER (PARTITION BY 1 ORDER BY d) AS n FROM u",
    "not another one":
        "SELECT claim_status AS n FROM silver.claim WHERE NOT (claim_date <> CAST('2024-03-01' AS DATE))",
    "a filter of one CTE": "WITH a AS (SELECT claim_status AS n FROM silver.claim WHERE claim_date = '2024-01-01')"
        " SELECT n FROM a",
}  # fmt: skip


@pytest.mark.parametrize("select", SLY.values(), ids=SLY)
def test_a_date_is_not_shown_in_other_ways_either(declared: Declarations, select: str) -> None:
    assert [(one.column, one.reach.leaf if one.reach else "") for one in found(declared, select)] == [
        ("n", "silver.claim.claim_date")
    ]


def test_a_place_among_all_names_is_not_shown_as_a_count(declared: Declarations) -> None:
    select = ("SELECT p.patient_key, COUNT(*) AS n FROM silver.patient AS p INNER JOIN silver.patient AS q"
              " ON q.full_name <= p.full_name GROUP BY p.patient_key")  # fmt: skip
    assert {(one.column, one.reach.kind if one.reach else "") for one in found(declared, select)} == {
        ("n", "name"), ("patient_key", "name")
    }  # fmt: skip


def test_a_name_in_quotes_does_not_hide_a_table(declared: Declarations) -> None:
    select = """WITH "silver.patient" AS (SELECT 'x' AS full_name) SELECT full_name AS n FROM silver.patient"""
    (one,) = found(declared, select)
    assert "cannot be the name of a CTE" in one.untraceable


@pytest.mark.parametrize("select", [
    "SELECT source_system, COUNT(*) AS n FROM silver.claim WHERE claim_date >= CAST('2024-01-01' AS DATE)"
    " GROUP BY source_system",
    "SELECT source_system, SUM(CASE WHEN claim_date >= CAST('2024-01-01' AS DATE) AND claim_date <"
    " CAST('2024-07-01' AS DATE) THEN claim_amount ELSE 0 END) AS half FROM silver.claim GROUP BY source_system",
    "SELECT source_system, MAX(claim_amount) AS n FROM silver.claim WHERE YEAR(claim_date) = 2024"
    " GROUP BY source_system",
    "SELECT YEAR(claim_date) AS y, CASE WHEN COUNT(*) >= 11 THEN COUNT(*) END AS n FROM silver.claim"
    " GROUP BY YEAR(claim_date)",
])  # fmt: skip
def test_figures_of_many_may_be_of_a_span_of_time(declared: Declarations, select: str) -> None:
    assert found(declared, select) == []


def test_a_join_that_does_not_say_of_which_table_its_columns_are_is_refused(declared: Declarations) -> None:
    for join in ("INNER JOIN gold.dim_date AS d USING (claim_date)", "NATURAL JOIN gold.dim_date AS d"):
        (one,) = found(declared, f"SELECT d.month AS n FROM silver.claim AS c {join}")
        assert "a join by USING" in one.untraceable


def test_a_few_flags_of_a_date_pass_and_many_tell_it(declared: Declarations) -> None:
    def flags(many: int) -> str:
        every = (f"claim_date < '2024-0{n}-01' AS f{n}" for n in range(1, many + 1))
        return f"SELECT claim_key, {', '.join(every)} FROM silver.claim"

    assert found(declared, flags(3)) == []
    assert [one.column for one in found(declared, flags(4))] == ["f1", "f2", "f3", "f4"]


def test_there_are_as_many_cases_as_are_promised() -> None:
    assert {name: len(cases) for name, cases in LEAKING.items()} == dict.fromkeys(LEAKING, 3)
    assert (len(LEAKING), len(SOUND)) == (14, 40)


@pytest.mark.parametrize(
    ("select", "column", "leaf"),
    [pytest.param(*case, id=f"{name} {n}") for name, cases in LEAKING.items() for n, case in enumerate(cases, 1)],
)
def test_a_mart_that_leaks_is_refused_for_the_right_column(
    declared: Declarations, select: str, column: str, leaf: str, tmp_path: Path
) -> None:
    told = found(declared, select)
    assert {(one.column, one.reach.leaf if one.reach else "") for one in told} == {(column, leaf)}
    made = tmp_path / "project"
    project.make(made, "rcm")
    with pytest.raises(DeclarationsRefused, match=r"LAKE-1(03|07|20|48|49)"):
        declare.read(written(made, select))


@pytest.mark.parametrize("select", SOUND)
def test_a_sound_mart_passes(declared: Declarations, select: str) -> None:
    assert found(declared, select) == []


def written(made: Path, select: str) -> Path:
    """A project with one more mart."""
    shelf = made / "gold/own"
    shelf.mkdir(parents=True)
    (shelf / "one_more.sql").write_text(f"{select}\n")
    columns = (f"  {one.name}: {{kind: {one.kind}, about: It.}}\n" for one in mart(select).columns)
    (shelf / "one_more.md").write_text(f"---\nabout: One more.\ncolumns:\n{''.join(columns)}---\nWhy.\n")
    return made


def test_a_project_with_a_leak_does_not_load_and_the_path_of_the_column_is_told(tmp_path: Path) -> None:
    project.make(tmp_path / "project", "rcm")
    select = LEAKING["cte"][0][0]
    with pytest.raises(DeclarationsRefused) as caught:
        declare.read(written(tmp_path / "project", select))
    (mistake,) = caught.value.mistakes
    assert (mistake.code, mistake.where) == ("LAKE-148", "own/one_more.md:4")
    assert mistake.found == (
        "gold.one_more.note is 'not_personal', and shows a 'name': silver.patient.full_name -> a.n -> b.m"
    )


@pytest.mark.parametrize(
    ("select", "said"),
    [
        ("SELECT claimid AS n FROM silver.claim", "no column 'claimid' in what is read. Did you mean 'claim_id'?"),
        ("SELECT source_system AS n FROM silver.claim AS a CROSS JOIN silver.patient AS b",
         "'source_system' is a column of a and of b"),
        ("SELECT x.claim_id AS n FROM silver.claim AS a", "no column 'x.claim_id'"),
    ],
)  # fmt: skip
def test_a_column_that_is_not_there_or_that_two_tables_have_is_named(tmp_path: Path, select: str, said: str) -> None:
    project.make(tmp_path / "project", "rcm")
    with pytest.raises(DeclarationsRefused) as caught:
        declare.read(written(tmp_path / "project", select))
    (mistake,) = caught.value.mistakes
    assert (mistake.code, mistake.where) == ("LAKE-149", "own/one_more.sql:1")
    assert mistake.found.startswith("what column 'n' of gold.one_more shows cannot be told: ")
    assert said in mistake.found


def test_every_shipped_mart_passes_and_each_exception_has_a_reason_and_is_needed(declared: Declarations) -> None:
    assert list(leaks.leaks(declared)) == []
    assert list(leaks.needless(declared, declared.policy.lowered)) == []
    assert all(len(because) > 20 for because in declared.policy.lowered.values())
    bare = replace(declared, policy=replace(declared.policy, lowered={}))
    assert {f"gold.{one.mart}.{one.column}" for one in leaks.leaks(bare)} == set(declared.policy.lowered)


def test_a_project_may_not_let_a_column_pass_by_itself_nor_write_a_line_that_lets_nothing_pass(tmp_path: Path) -> None:
    project.make(tmp_path / "project", "rcm")
    made = written(tmp_path / "project", LEAKING["alias"][0][0])
    policy = made / "privacy.yml"
    policy.write_text("lowered:\n  gold.one_more.note: It is wanted.\n")
    with pytest.raises(DeclarationsRefused, match="LAKE-114"):
        declare.read(made)


def test_what_is_counted_as_hiding_as_much(declared: Declarations) -> None:
    """Worked out by hand from privacy.yml, audience by audience."""
    from carelake.privacy import hides_as_much

    kinds = ["name", "record_number", "event_number", "event_date", "sex", "not_personal", "provider_identity"]
    more = {(one, other) for one in kinds for other in kinds if not hides_as_much(declared.policy, one, other)}
    assert more == {
        ("record_number", "name"), ("record_number", "provider_identity"),  # a pseudonym where the other is dropped
        ("event_number", "name"), ("event_number", "provider_identity"),
        ("event_date", "name"), ("event_date", "record_number"), ("event_date", "event_number"),
        ("event_date", "provider_identity"),
        *((open_, other) for open_ in ("sex", "not_personal")
          for other in ("name", "record_number", "event_number", "event_date", "provider_identity")),
    }  # fmt: skip


def test_lineage_names_every_step_on_the_way() -> None:
    known = {"t": reach.leaves("t", {"a": "name", "b": "not_personal"})}
    made = lineage.trace("WITH x AS (SELECT a AS c FROM t) SELECT c || '!' AS d FROM x", known, Bare())
    assert [str(one) for one in made["d"]] == ["t.a -> x.c"]
