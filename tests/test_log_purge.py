"""Retention of the access log: what is old enough goes, a signed head says so, and nothing else may be missing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from small_lake import Small

from carelake import access, checkpoint
from carelake.access import Head
from carelake.errors import DeclarationsRefused
from carelake.journal import Event, Journal
from carelake.lake import opened
from carelake.model import LOG_KEPT
from carelake.upkeep import log_purge
from carelake.upkeep.log_purge import LogTouched

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
Log = tuple[list[tuple[Event, int]], list[Head]]


# --- heads and events ------------------------------------------------------------------------------------------------


def log(folder: Path, days: list[str], each: list[list[int]]) -> Log:
    """A log of some processes, of a checkpoint a day: `each` says how many events of which process it took in."""
    journals = [Journal(folder / "access.sqlite") for _ in each[0]]
    moved: list[tuple[Event, int]] = []
    heads: list[Head] = []
    for number, (day, counts) in enumerate(zip(days, each, strict=True), 1):
        for journal, count in zip(journals, counts, strict=True):
            for _ in range(count):
                journal.append({"action": "query", "logged_at": f"{day}T00:00:00+00:00"})
        pending = journals[0].events()
        heads.append(access.head(heads[-1] if heads else None, pending, f"{day}T00:00:00+00:00", KEY))
        moved += [(event, number) for event in pending]
        journals[0].forget(pending)
    return moved, heads


def retired(moved: list[tuple[Event, int]], heads: list[Head], number: int, day: str) -> Log:
    """The log without the events up to a head, which another head says of a day."""
    told = log_purge.followed(moved, [], number)
    made = access.head(heads[-1], [], f"{day}T00:00:00+00:00", KEY, told)
    return [one for one in moved if one[1] > number], [*heads, made]


DAYS = ["2014-05-01", "2015-05-01", "2020-05-01", "2021-05-01"]
EACH = [[2, 1, 3], [1, 2, 0], [2, 0, 0], [0, 3, 1]]  # eight events or less of each process, over three heads at most


def test_what_was_kept_for_six_years_may_be_missing_and_nothing_else(tmp_path):
    moved, heads = log(tmp_path, DAYS, EACH)
    left, after = retired(moved, heads, 2, "2021-05-02")
    assert access.verify(left, [], after, after) == access.Found(6, 9, 5, 0, ())
    for place in range(len(left)):
        (event, _), rest = left[place], left[:place] + left[place + 1 :]
        assert any(
            f"record {event.chain}/{event.number}" in flaw for flaw in access.verify(rest, [], after, None).flaws
        )
        edited = [*rest, (event._replace(told='{"action":"other"}'), left[place][1])]
        assert any(
            f"record {event.chain}/{event.number}" in flaw for flaw in access.verify(edited, [], after, None).flaws
        )


def test_a_purge_that_was_killed_between_its_head_and_its_rows_is_no_flaw_nor_is_one_behind_another(tmp_path):
    moved, heads = log(tmp_path, DAYS, EACH)
    left, once = retired(moved, heads, 1, "2020-06-01")
    _, twice = retired(left, once, 2, "2021-06-01")
    assert access.verify(moved, [], once, None).flaws == ()
    assert access.verify(left, [], twice, None) == access.Found(9, 6, 6, 0, ())


def test_what_is_younger_than_six_years_is_not_retired_by_a_head_that_says_so(tmp_path):
    moved, heads = log(tmp_path, DAYS, EACH)
    for day, number, allowed in [("2021-05-01", 2, False), ("2021-05-02", 2, True), ("2026-05-02", 4, False)]:
        left, after = retired(moved, heads, number, day)
        said = access.verify(left, [], after, None).flaws
        assert said == (() if allowed else (f"head 5 retires what was not kept for {LOG_KEPT}",))


def test_a_head_that_another_key_signed_retires_nothing(tmp_path):
    moved, heads = log(tmp_path, DAYS, EACH)
    other = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
    told = log_purge.followed(moved, [], 2)
    forged = [*heads, access.head(heads[-1], [], "2021-05-02T00:00:00+00:00", other, told)]
    flaws = access.verify([one for one in moved if one[1] > 2], [], forged, None).flaws
    assert sum(", which head 1 tells of, is gone" in flaw for flaw in flaws) == 6
    assert "head 5 is not as it was signed" in flaws


def test_only_heads_behind_which_nothing_younger_lies_are_retired_and_a_question_stays_with_its_rows(tmp_path):
    moved, heads = log(tmp_path, DAYS, EACH)
    for day, number in [("2014-05-01", 0), ("2014-05-02", 1), ("2015-05-02", 2), ("2020-05-02", 3), ("2030-01-01", 4)]:
        assert log_purge.retirable(moved, heads, datetime.fromisoformat(f"{day}T00:00:00+00:00")) == number
    assert log_purge.retirable(moved, heads, None) == 0
    clock_set_back = [heads[2], heads[0], heads[1], heads[3]]
    assert log_purge.retirable(moved, clock_set_back, datetime(2016, 1, 1, tzinfo=UTC)) == 0
    fresh = [
        (event._replace(told='{"logged_at":"2026-11-22T00:00:00+00:00"}') if of == 2 else event, of)
        for event, of in moved
    ]  # its head was made by a clock that was wrong
    assert log_purge.retirable(fresh, heads, datetime(2021, 1, 1, tzinfo=UTC)) == 1
    chain = next(event.chain for event, of in moved if of == 3)
    shown = [
        (event._replace(told=json.dumps({"of_number": 3, "logged_at": "2015-01-01T00:00:00+00:00"})), of)
        if event.chain == chain and of == 3
        else (event, of)
        for event, of in moved
    ]  # its third event, of head 2, is the question
    assert log_purge.retirable(shown, heads, datetime(2016, 1, 1, tzinfo=UTC)) == 1


# --- the lake --------------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(small: Small) -> Small:
    """A lake whose log has four events, of two questions, under a head."""
    small.ask("SELECT COUNT(*) FROM silver.claim")
    assert small.invoke("query", "SELECT patient_key FROM silver.patient").exit_code == 0
    assert small.invoke("audit", "checkpoint").exit_code == 0
    return small


LATER = datetime.now(UTC) + timedelta(days=6 * 366)


def purged(lake: Small, now: datetime, *, dry_run: bool = False) -> tuple[int, tuple[int, ...]]:
    done = log_purge.purge(lake.project, lake.environment, now, dry_run=dry_run)
    return done.events, done.holds


def verified(lake: Small) -> tuple[int, int, int]:
    told = json.loads(lake.invoke("audit", "verify", "--json").stdout)
    assert told["flaws"] == []
    return told["events"], told["retired"], told["heads"]


def test_the_log_goes_when_it_is_six_years_old_and_shows_that_it_did(asked: Small) -> None:
    assert purged(asked, LATER - timedelta(days=10)) == (0, ())
    assert purged(asked, LATER, dry_run=True) == (4, ())
    assert verified(asked) == (4, 0, 1)
    assert purged(asked, LATER) == (4, ())
    assert verified(asked) == (0, 4, 2)
    assert json.loads(asked.invoke("audit", "who-saw", "1", "--json").stdout)["events"] == []
    assert purged(asked, LATER) == (0, ())
    assert asked.command("query", "SELECT COUNT(*) FROM silver.claim").returncode == 0
    assert asked.run(2).exit_code(strict=False) == 0
    assert verified(asked) == (2, 4, 3)


def test_the_command_says_what_it_would_do_and_does_nothing_young(asked: Small) -> None:
    for words in ([], ["--dry-run"]):
        answer = asked.invoke("audit", "purge", *words)
        assert answer.exit_code == 0
        assert "The log is kept for 6 years: 0 events" in answer.stdout
    assert json.loads(asked.invoke("audit", "purge", "--json").stdout) == {
        "policy": "6 years", "events": 0, "before": None, "holds": [], "dry_run": False,
    }  # fmt: skip


def test_a_hold_a_longer_retention_and_a_log_that_was_touched_keep_it(asked: Small) -> None:
    assert asked.invoke("hold", "place", "--why", "a suit").exit_code == 0
    assert purged(asked, LATER) == (0, (1,))
    assert asked.invoke("audit", "purge").stdout.split(":")[0] == "Nothing goes while holds stand"
    assert asked.invoke("hold", "lift", "1", "--why", "it is over").exit_code == 0
    with (asked.project / "lake.yml").open("a") as page:
        page.write("\naccess_log: {keep: 7 years}\n")
    assert purged(asked, LATER) == (0, ())
    with opened(asked.project, asked.environment, writing=True) as lake:
        lake.engine.replace(checkpoint.TABLE, f"SELECT * FROM {checkpoint.TABLE} WHERE action <> 'shown'")
    with pytest.raises(LogTouched) as error:
        purged(asked, LATER + timedelta(days=366))
    assert (error.value.code, error.value.exit_code) == ("LAKE-612", 60)


def test_what_was_exported_to_an_anchor_is_retired_there_too(asked: Small, tmp_path: Path) -> None:
    anchor = tmp_path / "anchor"
    anchor.mkdir()
    with (asked.project / "lake.yml").open("a") as page:
        page.write(f"\naccess_log: {{anchor: {anchor}}}\n")
    assert purged(asked, LATER) == (4, ())
    assert len(list(anchor.iterdir())) == 2
    assert verified(asked) == (0, 4, 2)


@pytest.mark.parametrize(
    ("period", "codes"),
    [
        ("6 years", []), ("72 months", []), ("2192 days", []), ("forever", []), ("9999 years", []),
        ("5 years", ["LAKE-157"]), ("71 months", ["LAKE-157"]), ("2191 days", ["LAKE-157"]), ("long", ["LAKE-139"]),
    ],
)  # fmt: skip
def test_nobody_keeps_the_log_for_less_than_the_law_wants(small: Small, period: str, codes: list[str]) -> None:
    with (small.project / "lake.yml").open("a") as page:
        page.write(f"\naccess_log: {{keep: {period}}}\n")
    said: list[str] = []
    try:
        with opened(small.project, small.environment, writing=False):
            pass
    except DeclarationsRefused as refused:
        said = [mistake.code for mistake in refused.mistakes]
    assert said == codes
