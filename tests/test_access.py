"""The access log: nothing is shown that it does not tell of first, and no change to it goes unseen."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from carelake import access
from carelake.access import Head
from carelake.journal import Event, Journal, JournalUnwritable

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
            heads.append(access.head(heads[-1] if heads else None, waiting, f"moment {number}", KEY))
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
    forged = access.head(heads[0], [event for event, of in moved if of == 2], "another moment", other)
    assert any("head 2" in flaw for flaw in access.verify(moved, waiting, [heads[0], forged, heads[2]], None).flaws)
    assert any("head 2" in flaw for flaw in access.verify(moved, waiting, [heads[0], heads[2]], None).flaws)
    resigned = access.head(None, [event for event, of in moved], "all anew", KEY)
    flaws = access.verify([(event, 1) for event, _ in moved], waiting, [resigned], heads).flaws
    assert any(flaw.startswith("head 1") for flaw in flaws)


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


def test_without_a_place_to_write_nothing_is_taken_for_logged(tmp_path):
    (tmp_path / "journal").write_text("in the way")
    with pytest.raises(JournalUnwritable, match="LAKE-610"):
        Journal(tmp_path / "journal" / "access.sqlite").append({})
