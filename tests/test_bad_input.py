"""What goes wrong in a source, through the whole lake: its own code, the other feeds go on, nothing is lost, and once
it is mended the next run ends right. Each reader's own corners are in `test_source_*`.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from cases import some
from servers import PASSWORD, Server, free_port
from small_lake import CLAIMS, Small, everything_said, failed, step

HEADER, FIRST, _ = CLAIMS.splitlines()
SECRET = "Zebedee"  # stands in everything that is refused, and must never be repeated
LATE = FIRST.replace("C1,", "C8,") + "\n"
NEWS = "UPDATE patients SET PhoneNumber = '555-9999', ModifiedDate = '2024-11-01' WHERE PatientID = 'P1'"
BAD = "claims/hospital1_bad.csv"
Change = Callable[[Small], object]


@dataclass(frozen=True)
class Trouble:
    feed: str
    code: str
    spoil: Change
    mend: Change
    question: str  # of how many rows there are
    before: int
    after: int


def sql(*statements: str, hospital: str = "a") -> Change:
    return lambda lake: lake.sql(*statements, hospital=hospital)


def table(feed: str, code: str, spoil: list[str], mend: list[str], before: int, after: int) -> Trouble:
    silver = {"providers": "provider", "encounters": "encounter"}[feed]
    question = f"SELECT COUNT(*) FROM silver.{silver}_all"
    return Trouble(f"hos-a.{feed}", code, sql(*spoil), sql(*mend), question, before, after)


def file(code: str, content: str | bytes, name: str = BAD) -> Trouble:
    """A claim file that is refused, beside one of claim C7 that is not; it is mended to one of claim C8."""

    def spoil(lake: Small) -> None:
        lake.put(name, content)
        lake.put("claims/hospital1_good.csv", f"{HEADER}\n{FIRST.replace('C1,', 'C7,')}\n")

    def mend(lake: Small) -> None:
        assert (lake.landing / name).is_file(), "it was to be left where it is"
        (lake.landing / name).unlink()
        lake.put(BAD, f"{HEADER}\n{LATE}")

    return Trouble("hos-a.claims", code, spoil, mend, "SELECT COUNT(*) FROM silver.claim", 3, 4)


# Some number of rows, and another one each time: it is once in five thousand that they are as many as were counted.
MANY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1 + ABS(RANDOM()) % 5000) SELECT 1 FROM n"
TROUBLES = {
    "a missing table": table(
        "providers", "LAKE-203",
        ["INSERT INTO providers VALUES ('H1-V3', 'Zebedee', 'Fox', 'Surgery', 'D1', NULL)",
         "ALTER TABLE providers RENAME TO doctors"],
        ["ALTER TABLE doctors RENAME TO providers"], 2, 3,
    ),
    "a missing watermark column": table(
        "encounters", "LAKE-204",
        ["INSERT INTO encounters VALUES ('E4', 'P1', '2024-11-01', 'Zebedee', 'V1', 'D1', '97099', NULL, '2024-11-02')",
         "ALTER TABLE encounters RENAME COLUMN ModifiedDate TO Changed"],
        ["ALTER TABLE encounters RENAME COLUMN Changed TO ModifiedDate"], 3, 4,
    ),
    "a changed column type": Trouble(
        "hos-b.departments", "LAKE-205",
        sql("UPDATE departments SET Beds = 'Zebedee' WHERE DeptID = 'D1'", hospital="b"),
        sql("UPDATE departments SET Beds = 14, Name = 'Heart' WHERE DeptID = 'D1'", hospital="b"),
        "SELECT COUNT(*) FROM silver.department_history", 4, 5,
    ),
    "a source that counts rows and gives others": table(
        "providers", "LAKE-206",
        ["INSERT INTO providers VALUES ('H1-V3', 'Zebedee', 'Fox', 'Surgery', 'D1', NULL)",
         "ALTER TABLE providers RENAME TO doctors",
         f"CREATE VIEW providers AS SELECT doctors.* FROM doctors, ({MANY})"],
        ["DROP VIEW providers", "ALTER TABLE doctors RENAME TO providers"], 2, 3,
    ),
    "an unreachable database": Trouble(
        "hos-b.departments", "LAKE-201",
        lambda lake: lake.changed.update(HOS_B_URL=f"postgresql://reader:{SECRET}@127.0.0.1:{free_port()}/hospital"),
        lambda lake: (lake.changed.clear(), lake.sql("INSERT INTO departments VALUES ('D9', 'New', 1)", hospital="b")),
        "SELECT COUNT(*) FROM silver.department", 4, 5,
    ),
    "an empty file": file("LAKE-211", ""),
    "a truncated gzip": file("LAKE-212", gzip.compress(f"{HEADER}\n{LATE}{SECRET}".encode())[:-9], f"{BAD}.gz"),
    "tuples of SQL in UTF-16": file("LAKE-213", "('C8', 'Zebedee', 1),\n('C9', 'Zebedee', 2);\n".encode("utf-16")),
    "a missing header": file("LAKE-214", LATE.replace("Paid", SECRET) * 3),
    "a line of 100 MB": file("LAKE-215", f'{HEADER}\n"{SECRET}'.encode() + b"x" * 100_000_000),
}  # fmt: skip


def together() -> list[list[str]]:
    """All troubles, as many at once as there are feeds to have them."""
    rounds: list[dict[str, str]] = []
    for name, trouble in TROUBLES.items():
        free = next((one for one in rounds if trouble.feed not in one), None)
        if free is None:
            rounds.append(free := {})
        free[trouble.feed] = name
    return [list(one.values()) for one in rounds]


@pytest.mark.parametrize("names", some(3, together()), ids=map(", ".join, together()))
def test_a_feed_fails_with_its_own_code_and_the_next_run_ends_right(
    names: list[str], small: Small, capfd: pytest.CaptureFixture[str]
) -> None:
    troubles = [TROUBLES[name] for name in names]
    for trouble in troubles:
        trouble.spoil(small)
    small.sql(NEWS)
    did = small.run(1)
    assert failed(did) == {f"extract {trouble.feed}": trouble.code for trouble in troubles}
    assert did.exit_code(strict=False) == 20
    assert step(did, "hos-a.patients").rows == 1
    assert did.released == 2
    assert small.one("SELECT COUNT(*) FROM silver.patient_history") == 4
    assert [small.one(trouble.question) for trouble in troubles] == [trouble.before for trouble in troubles]
    printed = capfd.readouterr()
    assert SECRET not in everything_said(small, did) + printed.out + printed.err

    for trouble in troubles:
        trouble.mend(small)
    did = small.run(2)
    assert (failed(did), did.exit_code(strict=False)) == ({}, 0)
    assert [small.one(trouble.question) for trouble in troubles] == [trouble.after for trouble in troubles]
    assert not list((small.landing / "claims").iterdir())


def test_a_log_in_that_is_denied_is_tried_once_a_run_whatever_the_number_of_feeds(
    small: Small, postgres: Server
) -> None:
    def denied() -> int:
        return postgres.log.read_text().count("password authentication failed")

    small.changed["HOS_A_URL"] = postgres.url(password="wr0ng-Pa55word")
    before = denied()
    did = small.run(1)
    feeds = ("patients", "departments", "providers", "encounters", "transactions")
    assert failed(did) == {f"extract hos-a.{name}": "LAKE-202" for name in feeds}
    assert denied() == before + 1


@pytest.mark.parametrize("kind", some(1, ["postgres", "mariadb"]))
def test_a_wrong_password_is_never_printed(kind: str, small: Small, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(kind)
    server.run(
        "CREATE TABLE IF NOT EXISTS departments (DeptID varchar(9), Name varchar(9))", "DELETE FROM departments",
        "INSERT INTO departments VALUES ('D1', 'Heart'), ('D2', 'Oncology')",
    )  # fmt: skip
    small.changed["HOS_B_URL"] = server.url(password="wr0ng-Pa55word")
    small.sql(NEWS)
    told = small.command("run")
    assert told.returncode == 20
    assert b"failed: extract hos-b.departments\nLAKE-202" in told.stdout
    for secret in ("wr0ng-Pa55word", server.url(password="wr0ng-Pa55word")):
        assert secret not in (told.stdout + told.stderr).decode() + everything_said(small)
    assert small.ask("SELECT outcome, code FROM audit.run_steps WHERE code <> ''") == [("failed", "LAKE-202")]
    assert small.one("SELECT COUNT(*) FROM silver.patient_history") == 4

    small.changed["HOS_B_URL"] = server.url()
    told = small.command("run")
    assert (told.returncode, PASSWORD.encode() in told.stdout + told.stderr) == (0, False)
    named = "SELECT department_name FROM silver.department WHERE source_system = 'hos-b' ORDER BY 1"
    assert small.ask(named) == [("Heart",), ("Oncology",)]


def charge(key: str, amount: str, changed: str) -> str:
    """A copy of transaction T1."""
    return f"""INSERT INTO transactions SELECT '{key}', EncounterID, PatientID, ProviderID, DeptID, VisitDate,
        ServiceDate, PaidDate, VisitType, {amount}, AmountType, PaidAmount, ClaimID, PayorID, ProcedureCode, ICDCode,
        LineOfBusiness, MedicaidID, MedicareID, InsertDate, {changed}
        FROM transactions WHERE TransactionID = 'T1' LIMIT 1"""


def test_of_a_key_twice_in_one_load_equal_rows_are_one_and_differing_ones_wait(small: Small) -> None:
    small.sql(
        charge("SAME", "5", "'2024-11-01'"), charge("SAME", "5", "'2024-11-01'"),
        charge("TWO", "6", "'2024-11-01'"), charge("TWO", "7", "'2024-11-01'"),
        charge("LATER", "8", "'2024-11-01'"), charge("LATER", "9", "'2024-11-02'"),
    )  # fmt: skip
    assert small.run(1).exit_code(strict=False) == 0
    asked = (
        "SELECT transaction_id, CAST(amount AS INTEGER), is_quarantined, quarantine_reasons FROM silver.transaction_all"
    )
    told = small.ask(f"{asked} WHERE amount BETWEEN 5 AND 9 ORDER BY ALL")
    assert [row for row in told if row[0] != "TWO"] == [("LATER", 9, False, None), ("SAME", 5, False, None)]
    assert {row[2:] for row in told if row[0] == "TWO"} == {(True, "ambiguous_version")}
    assert small.one("SELECT COUNT(*) FROM quarantine.transaction WHERE transaction_id = 'TWO'") == 2
    assert small.one("SELECT COUNT(*) FROM silver.transaction_history WHERE transaction_id = 'LATER'") == 2


def test_a_row_without_a_watermark_is_read_each_time_and_landed_once(small: Small) -> None:
    small.sql(charge("NONE", "5", "NULL"))
    assert step(small.run(1), "hos-a.transactions").rows == 1
    assert step(small.run(2), "hos-a.transactions").rows == 0
    small.sql("UPDATE transactions SET Amount = 6 WHERE TransactionID = 'NONE'")
    assert step(small.run(3), "hos-a.transactions").rows == 1
    assert small.one("SELECT CAST(amount AS INTEGER) FROM silver.transaction WHERE transaction_id = 'NONE'") == 6


def test_a_date_that_is_none_is_held_back_and_one_to_come_does_not_move_the_watermark(small: Small) -> None:
    small.sql(
        "UPDATE transactions SET ServiceDate = '2024-02-30', ModifiedDate = '2024-11-01' WHERE TransactionID = 'T1'",
        "UPDATE patients SET DOB = '2090-01-01', ModifiedDate = '2024-11-01' WHERE PatientID = 'P1'",
        "UPDATE encounters SET EncounterType = 'Later', ModifiedDate = '2999-01-01' WHERE EncounterID = 'E1'",
    )
    did = small.run(1)
    assert (did.exit_code(strict=False), step(did, "hos-a.encounters").outcome) == (0, "warned")
    held = "SELECT quarantine_reasons FROM quarantine."
    assert small.ask(f"{held}transaction") == [("service_date_readable",)]
    assert small.ask(f"{held}patient") == [("birth_is_past",)]
    assert small.one("SELECT COUNT(*) FROM silver.patient") == 3  # the good version stands
    assert small.ask(f"{held}encounter") == [("updated_at_not_in_future",)]
    assert small.one("SELECT encounter_type FROM silver.encounter WHERE encounter_id = 'E1'") == "Inpatient"
    small.sql(
        "INSERT INTO encounters VALUES ('E4', 'P1', '2024-11-01', 'New', 'V1', 'D1', '97099', NULL, '2024-11-02')"
    )
    assert step(small.run(2), "hos-a.encounters").rows == 1


NO_DATES = ["0000-01-01", "99999-01-01", "10000-01-01", "infinity", "-infinity", "epoch", "today", "2024-01-01 BC",
            "20240101", "01/02/2024", "2024-01-01T25:00:00"]  # fmt: skip
DATES = ["0001-01-01", "9999-12-31", "2024-1-9", " 2024-01-09 ", "2024-01-09 23:59:59"]


def test_what_no_calendar_has_or_no_program_can_read_is_no_date(small: Small) -> None:
    small.sql(*(charge(f"NONE {n}", "5", "'2024-11-01'") for n in range(len(NO_DATES))))
    small.sql(*(charge(f"ONE {n}", "5", "'2024-11-01'") for n in range(len(DATES))))
    for kind, told in (("NONE", NO_DATES), ("ONE", DATES)):
        small.sql(*(f"UPDATE transactions SET ServiceDate = '{date}' WHERE TransactionID = '{kind} {n}'"
                    for n, date in enumerate(told)))  # fmt: skip
    assert failed(small.run(1)) == {}
    held = small.ask("SELECT transaction_id, quarantine_reasons FROM quarantine.transaction")
    assert dict(held) == {f"NONE {n}": "service_date_readable" for n in range(len(NO_DATES))}
    asked = "SELECT CAST(service_date AS TEXT) FROM silver.transaction WHERE transaction_id LIKE 'ONE%' ORDER BY 1"
    assert small.ask(asked) == [("0001-01-01",), *[("2024-01-09",)] * 3, ("9999-12-31",)]


def test_every_mistake_in_the_declarations_is_told_at_once_and_nothing_is_read(small: Small) -> None:
    small.sql(NEWS)
    good = {path: path.read_text() for path in (small.project / "sources").iterdir()}
    (small.project / "sources/hos-b.yml").write_text("about: [unclosed\nfeeds:\n")
    small.say("sources/hos-a.yml", "lookback: 1 day", "lookbak: 1 day")
    small.say("sources/icd.yml", "load: full", "load: ful")
    told = small.command("run")
    assert (told.returncode, told.stdout) == (10, b"")
    for code, words in (("LAKE-103", "hos-b.yml:2"), ("LAKE-102", "'lookbak'"), ("LAKE-102", "Did you mean 'full'?")):
        assert code in told.stderr.decode()
        assert words in told.stderr.decode()
    for path, text in good.items():
        path.write_text(text)
    assert small.one("SELECT COUNT(*) FROM audit.load_logs WHERE feed = 'patients'") == 1
    assert step(small.run(1), "hos-a.patients").rows == 1


STRANGE = ["a\"b; DROP TABLE x --", "select", "naïve 🏥", "c$as_of", "d.e", "tab\tnew\nline", "%s {0}", "\u202egnp",
           "[b]x[/b]"]  # fmt: skip
ODD = 'dep; DROP TABLE "x" --\''
VALUES = ["'; DROP TABLE patients; --", 'a"b', "🏥", "\u202elanigiro", "y" * 1_000_000, "nul\0inside", "{0} %s",
          "tab\tnew\nline\r", "$as_of", "\ufeffmark", "\x1b[31mred", " blank ", "a\u0308", "=1+1"]  # fmt: skip


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def test_strange_names_of_columns_and_tables_come_through(small: Small) -> None:
    columns = [*STRANGE, "least", "greatest", "versions", "last", "is_deleted", "updated_at"]
    small.sql(f"CREATE TABLE {quoted(ODD)} ({', '.join(f'{quoted(name)} TEXT' for name in columns)})")
    small.sql(f"INSERT INTO {quoted(ODD)} VALUES ({', '.join(repr('x') for _ in columns)})")
    text = f"table: '{ODD.replace(chr(39), 2 * chr(39))}'"
    small.say(
        "sources/hos-b.yml", "feeds:\n", f"feeds:\n  odd:\n    {text}\n    key: [least, greatest, versions, last]\n"
    )
    small.changed["HOS_B_URL"] = small.environment["HOS_A_URL"]
    for day, change in enumerate(("'x'", "least || 'y'", "least"), 1):
        small.sql(f"UPDATE {quoted(ODD)} SET least = {change}")
        assert failed(small.run(day)) == {}
    (first, told, gone) = small.ask("SELECT * FROM bronze.hos_b_odd ORDER BY _lake_sequence, _lake_deleted")
    assert (first[: len(columns)], told[: len(STRANGE)], gone[-1]) == (
        ("x",) * len(columns),
        ("x",) * len(STRANGE),
        True,
    )


@pytest.mark.parametrize("name", some(1, ["_LAKE_feed", "_lake_sequence"]))
def test_a_column_named_as_one_of_bronze_is_refused(name: str, small: Small) -> None:
    small.sql(f"ALTER TABLE departments ADD COLUMN {name} TEXT", NEWS)
    assert failed(small.run(1)) == {"extract hos-a.departments": "LAKE-209"}
    small.sql(
        f"ALTER TABLE departments RENAME COLUMN {name} TO lake", "INSERT INTO departments VALUES ('D3', 'New', 'x')"
    )
    assert failed(small.run(2)) == {}
    assert small.one("SELECT COUNT(*) FROM silver.department WHERE source_system = 'hos-a'") == 3


def test_strange_values_come_through_unchanged_and_are_said_nowhere(
    small: Small, capfd: pytest.CaptureFixture[str]
) -> None:
    values = ", ".join("(" + ", ".join([f"CAST(x'{value.encode().hex()}' AS TEXT)"] * 2) + ")" for value in VALUES)
    small.sql(f"INSERT INTO departments VALUES {values}")
    patients = ", ".join(
        "("
        + ", ".join([f"CAST(x'{value.encode().hex()}' AS TEXT)"] * 7 + ["'1990-01-01'", "'x'", "'2024-11-01'"])
        + ")"
        for value in VALUES
    )
    small.sql(f"INSERT INTO patients VALUES {patients}")
    small.put(BAD, HEADER.encode() + b"\nC\0Zebedee,T9\n" + LATE.replace("Paid,", "\u202e🏥'; --,").encode())
    did = small.run(1)
    assert failed(did) == {}
    for layer, key, name in (
        ("bronze.hos_a_departments", "DeptID", "Name"),
        ("silver.department", "department_id", "department_name"),
    ):
        told = dict(small.ask(f"SELECT {key}, {name} FROM {layer}"))
        assert {value: told.get(value) for value in VALUES} == {value: value for value in VALUES}
    assert small.one("SELECT COUNT(DISTINCT patient_key) FROM silver.patient WHERE source_system = 'hos-a'") == 3 + len(
        VALUES
    )
    assert small.one("SELECT COUNT(DISTINCT patient_id) FROM silver.patient WHERE source_system = 'hos-a'") == 3 + len(
        VALUES
    )
    assert small.one("SELECT claim_status FROM silver.claim WHERE claim_id = 'C8'") == "\u202e🏥'; --"
    assert small.ask("SELECT line_number, line FROM bronze.hos_a_claims_rejected") == [(2, "C\0Zebedee,T9")]
    printed = capfd.readouterr()
    said = everything_said(small, did) + printed.out + printed.err
    assert [
        value for value in ("DROP TABLE patients", "lanigiro", "nul\\x00", SECRET, "🏥", "y" * 50) if value in said
    ] == []


def test_a_password_in_a_file_of_the_project_is_read_and_never_shown(small: Small) -> None:
    small.changed["HOS_B_URL"] = ""
    (small.project / "secrets/HOS_B_URL").write_text(f"postgresql://reader:{SECRET}@127.0.0.1:{free_port()}/x\n")
    for words in (["plan"], ["run"], ["status"], ["run", "--json"]):
        told = small.command(*words)
        assert SECRET.encode() not in told.stdout + told.stderr
    assert told.returncode == 20
