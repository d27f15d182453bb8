"""The access log: nothing is shown that it does not tell of first, and no change to it goes unseen."""

from __future__ import annotations

import getpass
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from deltalake import DeltaTable, write_deltalake
from small_lake import Small

from carelake import access
from carelake.access import Head
from carelake.journal import Event, Journal, JournalUnwritable
from carelake.lake import opened
from carelake.serve import audit
from carelake.vault import SealBroken

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


# --- heads and events ------------------------------------------------------------------------------------------------


def log(folder: Path, sizes: list[list[int]]) -> tuple[list[tuple[Event, int]], list[Event], list[Head]]:
    """A log of several processes: of each, how many events it wrote before each checkpoint, and after the last one."""
    journals = [Journal(folder / "access.sqlite") for _ in sizes[0]]
    moved: list[tuple[Event, int]] = []
    heads: list[Head] = []
    for number, counts in enumerate(sizes, 1):
        for journal, count in zip(journals, counts, strict=True):
            for _ in range(count):
                journal.append({"at": len(moved), "of": count})
        if number < len(sizes):
            waiting = journals[0].events()
            heads.append(access.head(heads[-1] if heads else None, waiting, f"2020-01-{number:02}T00:00:00+00:00", KEY))
            moved += [(event, number) for event in waiting]
            journals[0].forget(waiting)
    return moved, journals[0].events(), heads


def test_a_log_that_nobody_touched_is_whole(tmp_path):
    moved, waiting, heads = log(tmp_path, [[3, 0, 5], [2, 4, 0], [1, 0, 1]])
    found = access.verify(moved, waiting, heads, heads)
    assert (found.events, found.heads, found.not_anchored, found.flaws) == (16, 2, 2, ())
    behind = access.verify(moved, waiting, heads, heads[:1])
    assert (behind.not_anchored, len(behind.flaws)) == (8, 0)
    assert access.verify(moved, waiting, heads, None).not_anchored == 2
    assert access.verify([], [], [], []).flaws == ()


def edited(event: Event) -> Event:
    return event._replace(told=event.told.replace("{", '{"more":1,', 1))


def tampered(moved: list[tuple[Event, int]], how: str, chance: random.Random) -> tuple[list[tuple[Event, int]], str]:
    """The log after somebody was at it, and the record that has to be named."""
    place = chance.randrange(len(moved))
    event, head = moved[place]
    name, rest = f"{event.chain}/{event.number}", moved[:place] + moved[place + 1 :]
    if how == "edit":
        return [*rest, (edited(event), head)], name
    if how == "edit, all behind it made anew":
        chain = sorted(one for one in moved if one[0].chain == event.chain)
        others = [one for one in moved if one[0].chain != event.chain]
        anew, before = [], access.BEGIN
        for one, number in chain:
            told = edited(one).told if one.number == event.number else one.told
            before = access.digest(before, one.chain, one.number, told)
            anew.append((Event(one.chain, one.number, told, before), number))
        return [*others, *anew], name
    if how == "delete":
        return rest, name
    if how == "delete a whole chain":
        first = min(one.number for one, _ in moved if one.chain == event.chain)
        return [one for one in moved if one[0].chain != event.chain], f"{event.chain}/{first}"
    if how == "insert":
        told = '{"never":"was"}'
        fresh = Event("f" * 16, 1, told, access.digest(access.BEGIN, "f" * 16, 1, told))
        return [*moved, (fresh, head)], f"{'f' * 16}/1"
    if how == "double":
        return [*moved, (event, head)], name
    other, number = next(one for one in moved if one[0].told != event.told or one[0].chain != event.chain)
    if other == event:
        other, number = next(one for one in moved if one[0] != event)
    swapped = (event._replace(told=other.told, digest=other.digest), head)
    return [one for one in rest if one[0] != other] + [swapped, (other._replace(told=event.told), number)], name


WAYS = [
    "edit", "edit, all behind it made anew", "delete", "delete a whole chain", "insert", "double", "swap",
]  # fmt: skip


@pytest.mark.parametrize("how", WAYS)
def test_what_is_done_to_the_log_before_the_last_head_is_named(how, tmp_path):
    moved, waiting, heads = log(tmp_path, [[7, 1, 12], [5, 9, 0], [1, 0, 1]])
    chance = random.Random(how)
    for _ in range(1_500):
        spoilt, name = tampered(moved, how, chance)
        found = access.verify(spoilt, waiting, heads, heads)
        assert any(f"record {name}" in flaw for flaw in found.flaws), (how, name, found.flaws)


def test_a_head_that_was_signed_by_another_or_is_gone_is_named(tmp_path):
    moved, waiting, heads = log(tmp_path, [[3], [2], [4], [0]])
    other = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
    forged = access.head(heads[0], [event for event, of in moved if of == 2], "2020-01-02T00:00:00+00:00", other)
    assert any("head 2" in flaw for flaw in access.verify(moved, waiting, [heads[0], forged, heads[2]], None).flaws)
    assert any("head 2" in flaw for flaw in access.verify(moved, waiting, [heads[0], heads[2]], None).flaws)
    resigned = access.head(None, [event for event, of in moved], "2020-01-09T00:00:00+00:00", KEY)
    flaws = access.verify([(event, 1) for event, _ in moved], waiting, [resigned], heads).flaws
    assert any(flaw.startswith("head 1") for flaw in flaws)


def test_heads_that_are_doubled_forged_or_signed_with_another_key_than_the_vaults_are_named(tmp_path):
    moved, waiting, heads = log(tmp_path, [[3], [2], [4], [0]])
    doubled = [heads[0], heads[0], *heads[1:]]
    assert access.verify(moved, waiting, doubled, heads).flaws == ("head 1 is there 2 times",)
    assert "head 1 is there 2 times" in access.verify(moved, waiting, [Head(1, "{}", ""), *heads], None).flaws
    own = KEY.public_key().public_bytes_raw().hex()
    assert access.verify(moved, waiting, heads, None, own).flaws == ()
    other = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
    anew = [access.head(None, [event for event, _ in moved], "2020-01-01T00:00:00+00:00", other)]
    told = [(event, 1) for event, _ in moved]
    assert access.verify(told, waiting, anew, None).flaws == ()
    assert "head 1 is not as it was signed" in access.verify(told, waiting, anew, None, own).flaws


def test_a_record_under_no_head_and_rows_without_a_word_are_named_and_stop_nothing(tmp_path):
    moved, waiting, heads = log(tmp_path, [[3], [2], [4], [0]])
    said = "record ffff/1 was put in under a head that there is not"
    for head in (0, -1, 9):
        assert said in access.verify([*moved, (Event("ffff", 1, "{}", "x"), head)], waiting, heads, heads).flaws
    assert (
        "record /0 was put in under a head that there is not"
        in access.verify([*moved, (Event("", 0, "", ""), 0)], waiting, heads, None).flaws
    )
    for told in ("", "[]", '{"number": 2}', '{"number": 2, "segments": []}', '{"segments": {"a": {"first": "x"}}}'):
        for number in (0, 2):
            spoilt = [heads[0], Head(number, told, "zz"), heads[2]]
            assert f"head {number} is not as it was signed" in access.verify(moved, waiting, spoilt, None).flaws


def test_an_anchor_that_is_empty_anchors_nothing_and_one_that_lacks_a_head_in_between_is_named(tmp_path):
    moved, waiting, heads = log(tmp_path, [[3], [2], [4], [0]])
    assert access.verify(moved, waiting, heads, []).not_anchored == 9
    assert access.verify(moved, waiting, heads, [heads[0], heads[2]]).flaws == ("head 2 is gone from the anchor",)


# --- the journal -----------------------------------------------------------------------------------------------------


def write(path: Path, many: int) -> None:
    journal = Journal(path)
    for number in range(many):
        journal.append({"n": number, "by": os.getpid()})


def test_many_processes_write_at_once_and_none_is_lost_or_doubled(tmp_path):
    path, many = tmp_path / "j" / "access.sqlite", 250
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=write, args=(path, many)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    events = Journal(path).events()
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert len(events) == len({json.dumps([json.loads(one.told)["by"], json.loads(one.told)["n"]]) for one in events})
    assert len(events) == 4 * many
    assert access.verify([], events, [], None).flaws == ()


def test_threads_share_the_chain_of_their_process(tmp_path):
    journal = Journal(tmp_path / "access.sqlite")
    with ThreadPoolExecutor(8) as threads:
        numbers = list(threads.map(lambda number: journal.append({"n": number}), range(400)))
    events = journal.events()
    assert sorted(numbers) == [event.number for event in events] == list(range(1, 401))
    assert access.verify([], events, [], None).flaws == ()


def test_a_process_that_was_forked_begins_a_chain_of_its_own(tmp_path):
    journal = Journal(tmp_path / "access.sqlite")
    journal.append({"who": "parent"})
    if (child := os.fork()) == 0:
        journal.append({"who": "child"})
        os._exit(0)
    os.waitpid(child, 0)
    journal.append({"who": "parent"})
    events = journal.events()
    assert sorted((json.loads(one.told)["who"], one.number) for one in events) == [
        ("child", 1), ("parent", 1), ("parent", 2),
    ]  # fmt: skip
    assert access.verify([], events, [], None).flaws == ()


def in_the_way(lake: Small) -> Path:
    """Something that is no folder where the journal would be."""
    folder = lake.project / "lake" / "journal"
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text("in the way")
    return folder


def test_without_a_journal_nothing_is_shown(small: Small) -> None:
    folder = in_the_way(small)
    asked = small.command("query", "SELECT patient_key FROM silver.patient")
    assert (asked.returncode, asked.stdout) == (60, b"")
    assert b"LAKE-610" in asked.stderr
    with pytest.raises(JournalUnwritable):
        Journal(folder / "access.sqlite").append({})


# --- through the door ------------------------------------------------------------------------------------------------


def said(lake: Small, *words: str) -> Any:
    return json.loads(lake.invoke("audit", *words, "--json").stdout)


def key_of(lake: Small, state: str) -> int:
    """The patient_key of the one who lives in a state: of the tables themselves, not through the door."""
    with opened(lake.project, lake.environment, writing=False) as held:
        found = held.engine.ask(f"SELECT patient_key FROM silver.patient WHERE address = '{state}'")
    return int(found["patient_key"].to_pylist()[0])


@pytest.fixture
def fresh(small: Small) -> Small:
    """A lake that nobody has asked yet."""
    shutil.rmtree(small.project / "lake" / "journal", ignore_errors=True)
    return small


def test_a_question_is_in_the_log_with_its_tables_columns_rows_and_patients(fresh: Small) -> None:
    ada, max_ = key_of(fresh, "IL"), key_of(fresh, "TX")
    asked = f"SELECT patient_key, service_date FROM silver.transaction WHERE amount > 99 AND patient_key = {ada}"
    assert fresh.invoke("query", "--purpose", "denials of October", asked).exit_code == 0
    (told,) = said(fresh, "user", getpass.getuser())
    assert told["tables_read"] == ["silver.transaction"]
    columns = ("amount", "patient_key", "service_date")
    assert told["columns_read"] == [f"silver.transaction.{name}" for name in sorted(columns, key=told_order)]
    assert (told["action"], told["purpose"], told["rows_shown"], told["patients"]) == (
        "query", "denials of October", 1, 1,
    )  # fmt: skip
    assert (told["release_id"], len(told["parameters"]), told["through"]) == (1, 2, "command line")
    assert [one["record"] for one in said(fresh, "who-saw", str(ada))["events"]] == [told["record"]]
    assert said(fresh, "who-saw", str(max_)) | {"patient": ""} == {
        "patient": "",
        "events": [],
        "unnamed": 0,
        "other_keys": 0,
    }
    assert said(fresh, "disclosures") == []


def told_order(name: str) -> int:
    """Columns stand in the log as they do in the table."""
    return ["patient_key", "service_date", "amount"].index(name)


@pytest.mark.parametrize(
    "asked",
    [
        "SELECT p FROM silver.patient AS p", "SELECT patient FROM silver.patient", "SELECT to_json(p) FROM"
        " silver.patient AS p", "SELECT MAX(p) FROM silver.patient AS p", "SELECT #1 FROM silver.patient",
        "SELECT a FROM silver.patient AS t(a, b)", "SELECT UNNEST(p) FROM silver.patient AS p",
    ],
)  # fmt: skip
def test_who_takes_a_row_by_another_name_than_its_columns_is_logged_with_all_of_them(fresh: Small, asked: str) -> None:
    assert fresh.invoke("query", asked).exit_code == 0
    (told,) = said(fresh, "user", getpass.getuser())
    assert {"silver.patient.full_name", "silver.patient.patient_id"} <= set(told["columns_read"])


def test_rows_that_name_no_patient_are_counted_as_such(fresh: Small) -> None:
    fresh.ask("SELECT COUNT(*) FROM silver.claim")
    fresh.ask("SELECT COUNT(*) FROM audit.releases")
    fresh.ask("SELECT claim_id FROM silver.claim WHERE FALSE")
    assert said(fresh, "who-saw", str(key_of(fresh, "IL")))["unnamed"] == 1


def test_no_value_of_a_question_is_in_the_log(fresh: Small) -> None:
    fresh.invoke("query", "SELECT claim_id AS zebra, 'walrus' AS w FROM silver.claim WHERE claim_id = 'C1' -- ocelot")
    fresh.invoke("history", "claim", "C1", "--source", "hos-a")
    text = b"".join(path.read_bytes() for path in (fresh.project / "lake" / "journal").iterdir())
    for word in (b"zebra", b"walrus", b"ocelot", b'"C1"'):
        assert word not in text
    assert {told["action"] for told in said(fresh, "user", getpass.getuser())} == {"query", "history"}


def test_a_run_moves_the_log_to_the_lake_and_what_is_changed_there_is_named(fresh: Small) -> None:
    fresh.invoke("query", "SELECT patient_key FROM silver.patient ORDER BY 1")
    fresh.run(2)
    fresh.invoke("query", "SELECT COUNT(*) FROM silver.patient")
    assert fresh.ask("SELECT action, rows_shown FROM audit.access_log ORDER BY number") == [
        ("query", None),
        ("shown", 3),
    ]
    found = said(fresh, "verify")
    assert (found["heads"], found["not_anchored"], found["flaws"], found["anchor"]) == (1, 4, [], False)
    table = DeltaTable(fresh.project / "lake/audit/access_log")
    rows = table.to_pyarrow_table().to_pylist()
    spoilt = [{**row, "rows_shown": 2} if row["action"] == "shown" else row for row in rows]
    write_deltalake(table, pa.Table.from_pylist(spoilt, pa.schema(table.schema().to_arrow())), mode="overwrite")
    answer = fresh.invoke("audit", "verify")
    assert answer.exit_code == 60
    assert f"record {rows[0]['chain']}/2" in answer.stdout.replace("\n", " ")


def test_heads_are_exported_to_the_anchor_which_is_believed(fresh: Small, tmp_path: Path) -> None:
    anchor = tmp_path / "anchor"
    anchor.mkdir()
    with (fresh.project / "lake.yml").open("a") as page:
        page.write(f"\naccess_log: {{anchor: {anchor}}}\n")
    fresh.ask("SELECT COUNT(*) FROM silver.claim")
    fresh.run(2)
    fresh.ask("SELECT COUNT(*) FROM silver.patient")
    found = said(fresh, "verify")
    assert ([path.name for path in anchor.iterdir()], found["flaws"]) == (["access-head-00000001.json"], [])
    assert (found["events"], found["not_anchored"], found["anchor"]) == (4, 2, True)
    table = DeltaTable(fresh.project / "lake/audit/access_heads")
    table.delete()
    assert fresh.invoke("audit", "verify").exit_code == 60
    anchor.rename(tmp_path / "elsewhere")
    gone = said(fresh, "verify")
    assert "the folder of the anchor is not there" in gone["flaws"]
    assert gone["not_anchored"] == 4
    anchor.write_text("in the way")
    did = fresh.run(3)
    assert [(one.outcome, one.code) for one in did.steps if one.step == "log"] == [("warned", "LAKE-611")]


def test_of_a_reader_that_is_killed_no_row_was_shown_that_the_log_does_not_tell_of(fresh: Small) -> None:
    crossed = " CROSS JOIN ".join(f"silver.patient AS p{n}" for n in range(11))
    asked = fresh.words("query", "--format", "csv", f"SELECT p0.patient_key FROM {crossed}")
    with subprocess.Popen(asked, stdout=subprocess.PIPE, env=fresh.around()) as reader:
        assert reader.stdout
        shown = reader.stdout.read(1_500_00)
        reader.send_signal(signal.SIGKILL)
        shown += reader.stdout.read()
    rows = shown.count(b"\n") - 1
    (told,) = said(fresh, "user", getpass.getuser())
    assert 0 < rows <= told["rows_shown"] < 3**11
    assert said(fresh, "verify")["flaws"] == []


def test_what_is_shown_of_quarantine_is_in_the_log(fresh: Small, tmp_path: Path) -> None:
    fresh.sql("UPDATE patients SET FirstName = NULL, ModifiedDate = '2024-12-01' WHERE PatientID = 'P1'")
    fresh.run(2)
    (row,) = json.loads(fresh.invoke("quarantine", "list", "patient", "--rows", "--json").stdout)["rows"]
    assert fresh.invoke("quarantine", "show", row["id"], "--json").exit_code == 0
    assert fresh.invoke("quarantine", "export", "patient", "--out", str(tmp_path / "held.csv")).exit_code == 0
    told = said(fresh, "user", getpass.getuser())
    assert [(one["action"], one["tables_read"], one["rows_shown"], one["patients"]) for one in told] == [
        ("quarantine list", ["quarantine.patient"], 1, 0),
        ("quarantine show", ["quarantine.patient"], 1, 1),
        ("quarantine export", ["quarantine.patient"], 1, 1),
    ]


# --- the vault -------------------------------------------------------------------------------------------------------


def tokens(lake: Small) -> tuple[str, str]:
    """The name and the record number of the one in Illinois, as silver has them."""
    with opened(lake.project, lake.environment, writing=False) as held:
        (row,) = held.engine.ask("SELECT full_name, patient_id FROM silver.patient WHERE address = 'IL'").to_pylist()
    return row["full_name"], row["patient_id"]


def find(lake: Small, token: str, *more: str) -> Result:
    return lake.invoke("vault", "find", "--token", token, "--purpose", "a refund", *more)


def test_a_token_is_traced_back_for_a_purpose_and_the_log_says_for_whom(fresh: Small) -> None:
    name, number = tokens(fresh)
    assert json.loads(find(fresh, name, "--json").stdout) == {
        "source_system": "hos-a", "kind": "name", "original": "Ada Byron",
    }  # fmt: skip
    assert find(fresh, number).stdout.splitlines()[0] == "P1"
    told = said(fresh, "who-saw", str(key_of(fresh, "IL")))["events"]
    assert [(one["action"], one["purpose"], one["rows_shown"]) for one in told] == [("vault find", "a refund", 1)] * 2
    assert said(fresh, "who-saw", str(key_of(fresh, "TX")))["events"] == []
    assert fresh.invoke("vault", "find", "--token", name, "--purpose", " ").exit_code == 2


def test_what_was_never_made_or_was_tampered_with_does_not_open(fresh: Small) -> None:
    name, number = tokens(fresh)
    assert fresh.command("vault", "find", "--token", "PATIENT-AAAAAAAAAAAA", "--purpose", "x").returncode == 60
    table = DeltaTable(vault_of(fresh))
    rows = {row["token"]: row for row in table.to_pyarrow_table().to_pylist()}
    sealed = rows[name]["sealed"]
    other = next(token for token in rows if token.startswith("PATIENT-") and token != name)
    spoilt = {
        "swapped rows": {name: {"sealed": rows[other]["sealed"]}},
        "swapped columns": {name: {"kind": "record_number"}},
        "another source": {name: {"source_system": "hos-b"}},
        "cut short": {name: {"sealed": sealed[:-1]}},
        "nearly nothing left": {name: {"sealed": sealed[:5]}},
        "a bit": {name: {"sealed": bytes([sealed[0] ^ 1]) + sealed[1:]}},
    }
    for how, change in spoilt.items():
        put(table, [{**row, **change.get(token, {})} for token, row in rows.items()])
        answer = fresh.invoke("vault", "find", "--token", name, "--purpose", "x", "--json")
        assert isinstance(answer.exception, SealBroken), how
        assert "Byron" not in f"{answer.output}{answer.exception}"
    put(table, list(rows.values()))
    assert find(fresh, number).stdout.splitlines()[0] == "P1"
    wrong = fresh.command("vault", "find", "--token", name, "--purpose", "x", CARELAKE_VAULT_KEY="43" * 32)
    assert (wrong.returncode, wrong.stdout, b"LAKE-601" in wrong.stderr) == (60, b"", True)


def vault_of(lake: Small) -> Path:
    (found,) = [path.parent for path in lake.project.rglob("vault/token/_delta_log")]
    return found


def put(table: DeltaTable, rows: list[dict[str, Any]]) -> None:
    table.update_incremental()
    write_deltalake(table, pa.Table.from_pylist(rows, pa.schema(table.schema().to_arrow())), mode="overwrite")


def saw(lake: Small, patient: int) -> tuple[int, int]:
    """How many questions showed rows of a patient, and how many did not say whose theirs were."""
    told = said(lake, "who-saw", str(patient))
    return len(told["events"]), told["unnamed"]


def test_whose_rows_were_shown_is_seen_from_the_values_and_not_from_the_name(small: Small) -> None:
    small.invoke("query", "SELECT p.patient_key AS a, p.full_name FROM silver.patient AS p")
    assert [saw(small, key) for key in (1, 2, 3)] == [(1, 0)] * 3
    small.invoke("query", "WITH x AS (SELECT patient_key AS k FROM silver.claim) SELECT k AS b FROM x")
    small.invoke("query", "SELECT * FROM silver.patient WHERE patient_key = 2")
    assert saw(small, 2)[0] == 3  # claim C3 is his
    small.invoke("query", "SELECT 999 AS patient_key, full_name FROM silver.patient")
    assert saw(small, 999) == (0, 1)
    small.invoke("query", "SELECT COUNT(patient_key) AS patient_key FROM silver.patient")
    assert saw(small, 3)[1] == 2


def test_histories_and_lists_of_what_is_wrong_are_logged_with_whose_they_are(small: Small) -> None:
    small.sql("INSERT INTO patients SELECT 'P9', NULL, LastName, MiddleName, SSN, PhoneNumber, Gender, DOB, Address,"
              " '2024-05-01' FROM patients WHERE PatientID = 'P1'")  # fmt: skip
    assert small.run(1).exit_code(strict=False) == 0
    assert small.invoke("history", "patient", "1").exit_code == 0
    assert saw(small, 1) == (1, 0)
    (whose,) = small.ask("SELECT patient_key FROM silver.claim WHERE claim_key = 1")[0]
    before = saw(small, whose)[0]
    assert small.invoke("history", "claim", "1").exit_code == 0
    assert saw(small, whose)[0] == before + 1
    held = small.invoke("quarantine", "export", "patient", "--out", str(small.folder / "held.csv"))
    assert held.exit_code == 0
    assert saw(small, 4)[0] == 1
    assert small.invoke("quarantine", "list", "--rows").exit_code == 0
    assert small.invoke("quality", "--rule", "patient.first_name_present").exit_code == 0
    actions = [one["action"] for one in said(small, "user", getpass.getuser())]
    assert {"history", "quarantine export", "quarantine list", "quality"} <= set(actions)


def test_who_saw_says_if_the_log_names_patients_under_another_key(small: Small) -> None:
    """A lake that was restored without its CARELAKE_LOG_KEY finds nobody, and must not say that nobody looked."""
    key = small.one("SELECT patient_key FROM silver.patient WHERE address = 'IL'")
    small.ask("SELECT patient_key, full_name FROM silver.patient")
    found = audit.who_saw(small.project, small.environment, key)
    assert (len(found["events"]), found["other_keys"]) == (2, 0)
    small.changed["CARELAKE_LOG_KEY"] = "17" * 32
    lost = audit.who_saw(small.project, small.environment, key)
    assert (len(lost["events"]), lost["other_keys"]) == (0, 2)
    assert b"under another key of the log" in small.command("audit", "who-saw", str(key)).stdout


def test_what_failed_before_a_row_left_is_no_disclosure(small: Small) -> None:
    words = ("extract", "--profile", "safe_harbor", "--recipient", "R", "--out")
    assert small.command(*words, str(small.folder / "one")).returncode == 0
    refused = small.command(*words, str(small.folder / "nowhere/two"))
    assert (refused.returncode, b"no folder can be made" in refused.stderr + refused.stdout) == (60, True)
    assert len(audit.disclosures(small.project, small.environment)) == 1
