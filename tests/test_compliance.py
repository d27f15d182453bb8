"""The report of a month: what is told of it, what it says that it does not know, and what a signature stands for."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from small_lake import NOW as FIRST
from small_lake import Small, copied, failed, made
from test_report import HOSTILE, stands_alone

from carelake import assessment, checkpoint, purges, quarantine, repair
from carelake.lake import opened
from carelake.plan import instant
from carelake.report import compliance_report, compliance_sheet, review, writing
from carelake.report.html import html
from carelake.report.month import Month, before, unusual
from carelake.report.review import ReviewRefused
from carelake.tell import telling
from carelake.upkeep import legal_hold

NOVEMBER = Month("2026-11")
NOW = datetime(2026, 12, 15, 6, tzinfo=UTC)
ANN = review.Signature("Ann <b>Meyer</b>", "privacy officer", "ann", "ticket 4711", NOW)


# --- months and hours ------------------------------------------------------------------------------------------------


def test_a_month_ends_where_the_next_one_begins():
    assert (Month("2024-02").since, Month("2024-02").until) == (datetime(2024, 2, 1, tzinfo=UTC),
                                                                datetime(2024, 3, 1, tzinfo=UTC))  # fmt: skip
    assert Month("2026-12").until == datetime(2027, 1, 1, tzinfo=UTC)
    assert not Month("2026-12").has(datetime(2027, 1, 1, tzinfo=UTC))
    assert before(datetime(2026, 1, 1, tzinfo=UTC)).name == "2025-12"
    assert before(datetime(2026, 3, 31, 23, tzinfo=UTC)).name == "2026-02"


@pytest.mark.parametrize("name", ["2026-13", "2026-1", "26-01", "2026-00", "0000-01", "2026-01-01", "' OR 1=1"])
def test_what_is_no_month_is_none(name):
    with pytest.raises(ValueError, match=re.escape(name)):
        Month(name)


def nights(count: int) -> list[datetime]:
    """Runs at two in the morning, of the last days of November."""
    return [datetime(2026, 11, 30, 2, 10, tzinfo=UTC) - timedelta(days=n) for n in range(count)]


def test_a_run_at_an_hour_at_which_hardly_any_begins_is_unusual():
    odd = datetime(2026, 11, 20, 15, tzinfo=UTC)
    near = datetime(2026, 11, 20, 1, 15, tzinfo=UTC)
    assert unusual([*nights(25), odd, near], NOVEMBER) == [odd]
    assert unusual([*nights(25), *[odd] * 2], NOVEMBER) == []  # 2 of 27 are more than one in twenty
    assert unusual([*nights(60), odd - timedelta(days=30)], NOVEMBER) == []  # of another month


def test_midnight_lies_between_the_last_hour_and_the_first():
    late = [datetime(2026, 11, 1, 23, 40, tzinfo=UTC) + timedelta(days=n) for n in range(25)]
    assert unusual([*late, datetime(2026, 11, 27, 0, 20, tzinfo=UTC)], NOVEMBER) == []


def test_of_few_runs_nothing_is_said():
    assert unusual(nights(19), NOVEMBER) is None
    assert unusual([*nights(19), datetime(2026, 8, 1, tzinfo=UTC)], NOVEMBER) is None  # longer ago than is looked back


# --- what is told ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def worked(small_origin: Small, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """Two rows are held back, and one of them accepted; then a database is gone; then a release is rolled back."""
    lake = copied(small_origin, tmp_path_factory.mktemp("month"))
    for key in ("P8", "P9"):
        lake.sql(
            f"INSERT INTO patients SELECT '{key}', NULL, LastName, MiddleName, SSN, PhoneNumber, Gender, DOB, Address,"
            " '2024-05-01' FROM patients WHERE PatientID = 'P1'"
        )
    assert failed(lake.run(1)) == {}
    with opened(lake.project, lake.environment, writing=True) as whole:
        ids = [row["id"] for row in quarantine.rows(whole)]
        assert len(ids) == 2
        repair.accept(
            whole, ids[:1], repair.Act("accept", "ann", "has no first name", FIRST + timedelta(days=1, hours=1))
        )
    lost = Small(lake.folder, {"HOS_A_URL": f"sqlite:///{lake.folder / 'nowhere.db'}"})
    assert len(failed(lost.run(2))) == 5
    then = FIRST + timedelta(days=3)
    assessment.rollback(lake.project, lake.environment, then, None, "claims twice", "bob", dry_run=False)
    return lake


def told(lake: Small, month: Month = NOVEMBER, now: datetime = NOW) -> dict:
    with opened(lake.project, lake.environment, writing=False) as whole:
        return compliance_report.told(whole, month, now)


def test_who_changed_what_by_hand_is_told_with_the_reason(worked):
    said = told(worked)["recorded"]
    assert [(one["kind"], one["who"], one["why"]) for one in said["by_hand"]] == [("rollback", "bob", "claims twice")]
    (accepted,) = said["repairs"]
    assert (accepted["how"], accepted["who"], accepted["row_count"]) == ("accept", "ann", 1)
    assert accepted["why"] == "has no first name"
    assert said["begun_anew"] == []


def test_what_is_kept_held_and_purged_is_told(worked, tmp_path):
    lake = copied(worked, tmp_path)
    lake.say("lake.yml", "about:", "retention: {bronze: 2 years, sources: {hos-b: 7 years}}\nabout:")
    for day, feed in ((1, "patients"), (40, "")):  # in November, and on the last day of December
        legal_hold.place(lake.project, lake.environment, "hos-a", feed, "cy", "a <suit>", FIRST + timedelta(days=day))
    legal_hold.lift(lake.project, lake.environment, 1, "dee", "settled", FIRST + timedelta(days=41))  # in January
    facts = told(lake)
    assert [(one["over"], one["who"], one["why"], one["lifted_at"]) for one in facts["recorded"]["holds"]] == [
        ("hos-a.patients", "cy", "a <suit>", None)  # it was lifted in another month
    ]
    assert [one["over"] for one in facts["stands"]["holds"]] == ["hos-a"]
    january = told(lake, Month("2027-01"))["recorded"]["holds"]
    assert [(one["id"], one["lifted_by"]) for one in january] == [(1, "dee")]
    kept = facts["stands"]["retention"]
    assert (kept["bronze"], kept["sources"], kept["release_days"]) == ("2 years", {"hos-b": "7 years"}, 35)
    assert facts["recorded"]["purges"] == []
    note_purges(lake)
    assert told(lake)["recorded"]["purges"] == [
        {"purge": 1, "loads": 2, "row_count": 12, "who": "eve", "purged_at": FIRST + timedelta(days=2)}
    ]
    words = html(compliance_sheet.sheet(facts | {"reviews": []}), compliance_sheet.FOOTER)
    assert "a &lt;suit&gt;" in words
    stands_alone(words)


def note_purges(lake: Small) -> None:
    """Two loads that were purged in November, and one in January: what the report is made of, and no more."""
    with opened(lake.project, lake.environment, writing=True) as whole:
        whole.engine.create(purges.TABLE, purges.COLUMNS)
        for number, days, rows in ((1, 2, 5), (1, 2, 7), (2, 50, 9)):
            told = {"purge": str(number), "rows_purged": str(rows), "who": "'eve'"}
            told["purged_at"] = instant(FIRST + timedelta(days=days))
            row = (f"CAST({told.get(name, 'NULL')} AS {kind}) AS {name}" for name, kind in purges.COLUMNS.items())
            whole.engine.append(purges.TABLE, f"SELECT {', '.join(row)}")


def test_runs_failed_loads_and_alerts_are_counted(worked):
    said = told(worked)["recorded"]
    assert (said["runs"]["count"], said["runs"]["failed"], said["runs"]["is_usual_known"]) == (3, 1, False)
    assert len(said["failed_loads"]) == 5
    assert {(one["code"], one["times"], one["is_mended"]) for one in said["failed_loads"]} == {("LAKE-201", 1, False)}
    (alert,) = said["alerts"]["open"]
    assert (said["alerts"]["raised"], alert["code"], alert["who"]) == (1, "LAKE-201", None)


def test_open_risks_are_told(worked):
    facts = told(worked)
    (below,) = [one for one in facts["recorded"]["below_sla"] if one["table"] == "patient"]
    assert (below["rows"], str(below["trusted"])) == (5, "0.8000")  # three at first, one accepted, one held back
    (late,) = facts["stands"]["overdue"]
    assert (late["table"], late["overdue"], late["age"]) == ("patient", 1, 23)  # since the 22nd of November
    roots = {one["root"]: one for one in facts["stands"]["roots"]}
    assert {one["encrypted"] for one in roots.values()} == {"unknown"}
    assert not any(one["is_open_to_others"] for one in roots.values())
    assert facts["recorded"]["marts"]["not"] == []
    assert facts["recorded"]["marts"]["judged"] > 20


def test_a_root_that_others_may_enter_is_told(tmp_path):
    lake = made(tmp_path)
    with opened(lake.project, lake.environment, writing=True):
        """Its folders are made."""
    assert open_roots(lake) == {"lake": False, "originals": False, "restricted": False}
    os.chmod(lake.project / "originals", 0o755)
    assert open_roots(lake) == {"lake": False, "originals": True, "restricted": False}


def open_roots(lake: Small) -> dict:
    return {one["root"]: one["is_open_to_others"] for one in told(lake)["stands"]["roots"]}


def test_each_key_of_the_vault_has_its_age_and_what_wraps_it_and_other_secrets_have_none(worked):
    stands = told(worked)["stands"]
    assert sorted(key["use"] for key in stands["keys"]) == ["access heads", "lookup", "row hash", "seal"]
    assert {(key["since"], key["days"]) for key in stands["keys"]} == {(FIRST, 24)}
    assert len({key["wrapped_by"] for key in stands["keys"]}) == 1
    assert {"HOS_A_URL", "LANDING"} <= set(stands["secrets"])


def test_another_month_has_nothing_of_it_and_one_that_runs_is_provisional(worked):
    october = told(worked, Month("2026-10"))
    assert october["recorded"]["runs"]["count"] == 0
    assert october["recorded"]["alerts"] == {"raised": 0, "acknowledged": 0, "open": []}
    assert october["recorded"]["marts"] == {"judged": 0, "not": []}
    december = told(worked, Month("2026-12"))
    assert (october["provisional"], december["provisional"]) == (False, True)
    assert len(december["recorded"]["alerts"]["open"]) == 1  # raised before, and still open


def asks(lake: Small, who: str, at: str, rows: int, patients: Sequence[str], to: str = "") -> None:
    """Let the access log say that `who` asked, and what was shown."""
    journal = checkpoint.journal_of(lake.project / "lake")
    said = {"who": who, "purpose": "billing", "through": "command line", "audience": "operations", "recipient": to}
    asked = {"tables_read": ["silver.patient"], "columns_read": [], "release_id": 1, "parameters": []}
    number = journal.append({**said, **asked, "action": "query", "logged_at": f"2025-10-{at}+00:00"})
    shown = {"of_number": number, "rows_shown": rows, "patients": list(patients)}
    journal.append({**said, **shown, "action": "shown", "logged_at": f"2025-10-{at}+00:00"})


def test_who_asked_and_of_how_many_patients_rows_were_shown_is_told(worked, tmp_path):
    lake = copied(worked, tmp_path)
    asks(lake, "ann", "03T09:00:00", 2, ["PERSON-A", "PERSON-B"])
    asks(lake, "ann", "03T10:00:00", 1, ["PERSON-C"])
    asks(lake, "ann", "04T09:00:00", 1, ["PERSON-A"])
    asks(lake, "bob", "05T23:30:00", 10, [], "the payer")
    said = told(lake, Month("2025-10"))["recorded"]["access"]
    assert (said["questions"], [tuple(one.values()) for one in said["users"]]) == (4, [
        ("ann", 3, 4, 3, 3, datetime(2025, 10, 4, 9, tzinfo=UTC)),
        ("bob", 1, 10, 0, 0, datetime(2025, 10, 5, 23, 30, tzinfo=UTC)),
    ])  # fmt: skip
    (given,) = said["disclosures"]
    assert (given["recipient"], given["who"], given["rows_shown"]) == ("the payer", "bob", 10)
    assert told(lake, Month("2025-09"))["recorded"]["access"]["questions"] == 0
    with opened(lake.project, lake.environment, writing=True) as whole:
        assert checkpoint.of(whole, NOW) == 8
    assert told(lake, Month("2025-10"))["recorded"]["access"] == said
    for hour in range(20):
        asks(lake, "ann", f"{hour + 6:02}T09:00:00", 0, [])
    (odd,) = told(lake, Month("2025-10"))["recorded"]["access"]["unusual"]
    assert (odd["who"], odd["rows_shown"]) == ("bob", 10)


def test_the_page_says_plainly_what_is_not_recorded(worked, tmp_path):
    with opened(worked.project, worked.environment, writing=False) as whole:
        page, _ = writing.compliance(whole, tmp_path, NOVEMBER, NOW)
    text = page.read_text()
    read = stands_alone(text)
    words = " ".join(" ".join(text for _, text in read.words).split())
    assert "Who read the files of the lake with other tools than CareLake" in words
    assert "Nobody has signed this report." in words
    assert "Whether disks and backups are encrypted" in words
    assert "Of fewer than 20 nothing is said." in words


def test_a_lake_that_was_never_run_has_a_report_too(tmp_path):
    lake = made(tmp_path)
    facts = told(lake) | {"reviews": []}
    assert (facts["recorded"]["runs"]["count"], facts["stands"]["keys"]) == (0, [])
    stands_alone(html(compliance_sheet.sheet(facts), compliance_sheet.FOOTER))


# --- what a signature stands for -------------------------------------------------------------------------------------


@pytest.fixture
def signed(worked: Small, tmp_path: Path) -> tuple[Small, Path]:
    lake, pages = copied(worked, tmp_path / "signed"), tmp_path / "pages"
    with opened(lake.project, lake.environment, writing=True) as whole:
        names = [path.name for path in writing.signed(whole, pages, NOVEMBER, ANN)]
    assert names == ["compliance-2026-11.html", "compliance-2026-11.json", "compliance-2026-11-signed-1.json"]
    return lake, pages


def again(lake: Small, pages: Path) -> tuple[str, dict]:
    """The page and its facts, written a day later."""
    with opened(lake.project, lake.environment, writing=False) as whole:
        page, facts = writing.compliance(whole, pages, NOVEMBER, NOW + timedelta(days=1))
    return page.read_text(), json.loads(facts.read_text())


def test_the_page_shows_who_signed_and_the_digest_of_the_file_that_was(signed):
    lake, pages = signed
    page, facts = again(lake, pages)
    (by,) = facts["reviews"]
    assert (by["who"], by["role"], by["os_user"], by["note"]) == (ANN.who, ANN.role, "ann", "ticket 4711")
    file = (pages / "compliance-2026-11-signed-1.json").read_bytes()
    assert hashlib.sha256(file).hexdigest() == by["sha256"]
    assert (by["is_whole"], by["differs"]) == (True, [])
    assert "Ann &lt;b&gt;Meyer&lt;/b&gt;" in page
    assert "What was recorded of the month is what Ann" in page
    stands_alone(page)


def test_what_is_told_otherwise_since_is_named(signed):
    lake, pages = signed
    with opened(lake.project, lake.environment, writing=True) as whole:  # by a clock that is behind
        (alert,) = telling.listed(whole)
        telling.acknowledge(whole, alert["alert"], "Bob", "", FIRST + timedelta(days=5))
    assessment.resume(lake.project, lake.environment, FIRST + timedelta(days=6), "bob")
    page, facts = again(lake, pages)
    assert facts["reviews"][0]["differs"] == ["alerts", "by_hand"]
    assert "What was recorded differs in: alerts, by hand." in page


def test_a_signed_report_that_somebody_changed_is_told(signed):
    lake, pages = signed
    with opened(lake.project, lake.environment, writing=True) as whole:
        kept = ", ".join(name for name in review.COLUMNS if name != "report")
        forged = f"SELECT {kept}, REPLACE(report, 'claims twice', 'claims thrice') AS report FROM {review.TABLE}"
        whole.engine.replace(review.TABLE, forged)
    page, facts = again(lake, pages)
    assert facts["reviews"][0]["is_whole"] is False
    assert "it was changed since" in page


def test_a_month_that_runs_and_a_nobody_sign_nothing(worked, tmp_path):
    facts = told(worked, Month("2026-12"))
    with opened(worked.project, worked.environment, writing=False) as whole:
        with pytest.raises(ReviewRefused, match="from 2027-01-01 on"):
            review.sign(whole, Month("2026-12"), facts, ANN)
        with pytest.raises(ReviewRefused, match="in which role"):
            review.sign(whole, NOVEMBER, told(worked), review.Signature("Ann", " ", "ann", "", NOW))
        assert whole.engine.version(review.TABLE) is None


@pytest.mark.parametrize("word", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_reason_is_shown_and_does_nothing(worked, word):
    facts = told(worked)
    by = {"who": word, "role": word, "os_user": word, "note": word, "signed_at": NOW, "sha256": word}
    facts["recorded"]["by_hand"][0]["why"] = word
    facts |= {"lake": word, "reviews": [by | {"is_whole": True, "differs": [word]}]}
    stands_alone(html(compliance_sheet.sheet(facts), compliance_sheet.FOOTER))


def test_the_commands_write_sign_and_refuse(worked, tmp_path):
    did = worked.invoke("compliance", "--month", "2026-13")
    assert (did.exit_code, "YYYY-MM" in did.output) == (2, True)
    did = worked.invoke("compliance", "--month", "2026-10", "--out", str(tmp_path), "--json")
    assert json.loads(did.output) == {kind: str(tmp_path / f"compliance-2026-10.{kind}") for kind in ("html", "json")}
    lake = copied(worked, tmp_path)
    by = ("--by", "Ann", "--role", "officer")
    assert isinstance(lake.invoke("compliance", "sign", "--month", "2099-01", *by).exception, ReviewRefused)
    did = lake.invoke("compliance", "sign", "--month", "2026-10", *by, "--json")
    assert set(json.loads(did.output)) == {"html", "json", "signed"}
    assert (lake.project / "reports/compliance-2026-10-signed-1.json").is_file()
