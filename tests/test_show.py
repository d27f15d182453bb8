"""What a person reads on the terminal."""

from __future__ import annotations

import pytest
from small_lake import NOW, Small, failed, step

from carelake import declare, foresee
from carelake.serve import door, show


def drawn(lake: Small, question: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines of an answer, as they are drawn where there is no terminal: 160 columns wide."""
    with door.ask(lake.project, question) as batches:
        show.answer(batches, "table")
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_an_answer_that_fits_side_by_side_is_a_table(small_origin, capsys):
    assert drawn(small_origin, "SELECT 7 AS n, REPEAT('x', 157) AS words", capsys) == [
        "n  words", "7  " + "x" * 157,
    ]  # fmt: skip


def test_an_answer_that_does_not_fit_has_a_column_a_line(small_origin, capsys):
    question = (
        "SELECT * FROM (VALUES (7, REPEAT('x', 158)), (8, '[bold]a' || CHR(10) || 'b')) AS t (n, words) ORDER BY n"
    )
    assert drawn(small_origin, question, capsys) == [
        "-[ row 1 ]-----", "n     | 7", "words | " + "x" * 158,
        "-[ row 2 ]-----", "n     | 8", "words | [bold]a", "      | b",
    ]  # fmt: skip


def test_a_value_cannot_steer_the_terminal(small_origin, capsys):
    question = "SELECT CHR(27) || '[2J' || CHR(155) || CHR(13) || 'é' AS words"
    assert drawn(small_origin, question, capsys) == ["words", "\ufffd[2J\ufffd\ufffdé"]


def test_every_setting_stands_in_the_lake_with_its_value_or_its_default(small):
    asked = "SELECT name, value FROM reference.setting ORDER BY name"
    others = [("days_in_ar_window", "90"), ("large_claim_from", "50000"), ("quarantine_days", "14")]
    others += [("reproductive_health_label", "labelled")]
    assert small.ask(asked) == [("ar_aging_from", "service_date"), *others]
    small.say("lake.yml", "  days_in_ar_window: 90 ", "  # ")
    small.say("lake.yml", "ar_aging_from: service_date", "ar_aging_from: visit_date")
    small.run(1)
    assert small.ask(asked) == [("ar_aging_from", "visit_date"), *others]


# --- what a run did ---


def shown(did, capsys: pytest.CaptureFixture[str]) -> str:
    show.run(did)
    return capsys.readouterr().out


def test_a_database_that_cannot_be_reached_is_told_once_with_all_the_feeds_that_it_hit(small, capsys):
    small.changed["HOS_A_URL"] = "sqlite:////nowhere/hos-a.db"
    did = small.run(1)
    assert set(failed(did).values()) == {"LAKE-201"}
    text = shown(did, capsys)
    assert text.count("there is no such SQLite file") == text.count("LAKE-201") == 1
    (line,) = (line for line in text.splitlines() if line.startswith("failed: "))
    names = ("departments", "encounters", "patients", "providers", "transactions")
    assert sorted(line.removeprefix("failed: extract ").split(", ")) == [f"hos-a.{name}" for name in names]


def test_two_causes_are_told_apart(small, capsys):
    small.sql("DROP TABLE patients", "DROP TABLE departments")
    text = shown(small.run(1), capsys)
    assert "failed: extract hos-a.patients\n" in text
    assert "failed: extract hos-a.departments\n" in text
    assert text.count("LAKE-203") == 2


def test_what_had_nothing_to_do_is_told_in_a_line(small, capsys):
    small.say("sources/hos-a.yml", "    table: patients\n", "    table: patients\n    active: false\n")
    first, *rest = shown(small.run(0), capsys).splitlines()
    # 5 of hospital A's 6 feeds, 1 of hospital B, 3 code sets, and the billing totals that nobody delivers here; and all
    # tables but payers, which nobody sends
    assert first == f"Unchanged: 10 feeds, 9 tables, {len(list(declare.shipped().glob('gold/*/*.sql')))} marts."
    assert "Inactive (switched off in the declarations): hos-a.patients." in rest
    assert rest[-1].startswith("Run 20261121T060000, as of 2024-11-30: 0 rows landed, ")


def test_a_run_tells_rows_held_back_by_reason_and_apart_those_only_flagged(small):
    small.sql(
        "UPDATE patients SET DOB = 'soon', ModifiedDate = '2024-11-01' WHERE PatientID IN ('P1', 'P2')",
        "UPDATE patients SET FirstName = NULL WHERE PatientID = 'P2'",
        "UPDATE transactions SET PaidAmount = 500, ModifiedDate = '2024-11-01' WHERE TransactionID IN ('T1', 'T2')",
        "UPDATE transactions SET PaidDate = 'then' WHERE TransactionID = 'T1'",
    )
    did = small.run(1)
    assert step(did, "patient", "refine").found == "2 quarantined: 2 birth_date_readable, 1 first_name_present"
    assert step(did, "transaction", "refine").found == (
        "1 quarantined: 1 paid_date_readable; only flagged: 2 paid_within_amount, 1 payment_has_a_date"
    )
    counted = "SELECT rule, otherwise, violating, rows_seen FROM audit.rule_results WHERE table_name = 'patient'"
    counted = f"{counted} AND scope = 'load'"
    assert small.ask(f"{counted} AND run_id = '{did.run_id}' AND violating > 0 ORDER BY rule") == [
        ("birth_date_readable", "quarantine", 2, 2), ("first_name_present", "quarantine", 1, 2),
    ]  # fmt: skip
    assert small.ask(f"{counted} AND run_id <> '{did.run_id}' AND rule = 'birth_date_readable'") == [
        ("birth_date_readable", "quarantine", 0, 3),
    ]  # fmt: skip


# --- where the lake stands ---


def test_every_feed_stands_somewhere(small, capsys):
    small.changed["HOS_B_URL"] = "sqlite:////nowhere/hos-b.db"
    small.sql("DROP TABLE providers", "CREATE TABLE wards (id TEXT)")
    small.say("sources/hos-a.yml", "    table: patients\n", "    table: patients\n    active: false\n")
    small.say("sources/hos-a.yml", "feeds:\n", "feeds:\n  wards: {table: wards}\n")
    small.run(1)
    told = foresee.status(small.project)
    states = {row["feed"]: row["state"] for row in told["feeds"]}
    assert (states["hos-a.departments"], states["hos-a.wards"]) == ("current", "never loaded")
    assert (states["hos-a.providers"], states["hos-a.patients"]) == ("failed in the last run", "inactive")
    assert (states["hos-b.departments"], states["npi.registry"]) == ("failed in the last run", "inactive")
    assert [row["name"] for row in told["last_run"]["steps"]] == ["hos-a.providers", "hos-b.departments"]
    show.status(told)
    text = capsys.readouterr().out
    assert text.count("LAKE-201") == text.count("LAKE-203") == 1
    assert max(map(len, text.splitlines())) <= 160


def test_before_the_first_run_every_feed_that_would_load_was_never_loaded(tmp_path, capsys):
    from small_lake import made

    lake = made(tmp_path)
    told = foresee.status(lake.project)
    assert {row["state"] for row in told["feeds"]} == {"never loaded"}
    show.status(told)
    assert "run `carelake run`" in capsys.readouterr().out


# --- what a run would do ---


def planned(lake: Small) -> dict[str, tuple[str, str]]:
    """What would be done to each thing, and why."""
    return {f"{s.step} {s.name}": (s.would, s.why) for s in foresee.plan(lake.project, lake.environment, NOW)}


def test_a_plan_names_in_a_line_what_would_not_change(small, capsys):
    show.plan(foresee.plan(small.project, small.environment, NOW))
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("Built if its inputs change: ") for line in lines) == 1
    assert not [line for line in lines if line.startswith(("build ", "refine "))]


def test_a_plan_says_which_rules_will_judge_otherwise(small):
    small.say("lake.yml", "  patient:\n", "  patient:\n    birth_is_past: {otherwise: stop}\n")
    small.say("lake.yml", "first_name_present:", "a_first_name:")
    judged = {name: told for name, told in planned(small).items() if name.startswith("rule ")}
    assert judged == {
        "rule patient.birth_is_past": (
            "judge", "it is 'stop' now, and was 'quarantine': it judges what loads from now on",
        ),
        "rule patient.a_first_name": ("judge", "it is new: it judges what loads from now on"),
        "rule patient.first_name_present": ("leave out", "it is declared no more: rows stay as judged"),
    }  # fmt: skip
    small.sql("UPDATE patients SET Gender = 'X', ModifiedDate = '2024-11-01' WHERE PatientID = 'P1'")
    small.run(1)
    assert [name for name in planned(small) if name.startswith("rule ")] == []


def test_a_plan_says_which_marts_a_changed_setting_changes_and_which_are_declared_no_more(small):
    page = "---\nabout: It.\ncolumns:\n  n: {kind: not_personal, type: integer, about: It.}\n---\n"
    own = small.project / "gold/own"
    own.mkdir(parents=True)
    (own / "mine.md").write_text(page)
    (own / "mine.sql").write_text("SELECT COUNT(*) AS n FROM silver.patient\n")
    assert planned(small)["build mine"] == ("build", "it is not there yet")
    small.run(1)
    assert [name for name, (would, _) in planned(small).items() if would == "build"] == []
    (own / "mine.md").unlink()
    (own / "mine.sql").unlink()
    small.say("lake.yml", "days_in_ar_window: 90", "days_in_ar_window: 30")
    assert {name: told for name, told in planned(small).items() if told[0] in {"build", "leave out"}} == {
        "build days_in_ar": ("build", "reference.setting, which it reads, changes"),
        "build ar_aging": ("build", "reference.setting, which it reads, changes"),
        "build ar_over_90": ("build", "gold.ar_aging, which it reads, changes"),
        "build mine": ("leave out", "it is declared no more: the next release is without it"),
    }
    small.run(2)
    assert [name for name, (would, _) in planned(small).items() if would in {"build", "leave out"}] == []
