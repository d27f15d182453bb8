"""Whether the access log is as it was written: its events against the heads that were signed over them. Pure.

A head says which events a checkpoint took in, each by the beginning of its digest, and bears the digest of the head
before it. What is changed, taken out, put in or moved before the last head is found, and named. Whoever can write the
lake could write its heads too: those that an anchor keeps, where they cannot, are believed before those of the lake.
Events that were kept for long enough may be retired: a head says so, signed like all others.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .journal import BEGIN, Event, digest, spelled
from .model import LOG_KEPT
from .retention import cutoff

SHORT = 16  # signs of a digest that a head keeps of each event


class Head(NamedTuple):
    """What a checkpoint signs: its number from 1 on, what it tells as JSON, and the signature, in hexadecimal."""

    number: int
    told: str
    signature: str


class Retired(NamedTuple):
    """What was kept for long enough: the events of all heads up to number `head`. `last` are those among them that
    others follow in their chain, each as (chain, number, digest).
    """

    head: int
    last: Sequence[tuple[str, int, str]]


@dataclass(frozen=True)
class Found:
    """What `verify` finds."""

    events: int
    retired: int  # events that were kept for long enough, and are gone
    heads: int
    not_anchored: int  # events that no head in the anchor tells of; in none at all, if there is no anchor
    flaws: tuple[str, ...]  # each names a record, as `chain/number`, or a head


def head(
    before: Head | None,
    events: Sequence[Event],
    made_at: str,
    key: Ed25519PrivateKey,
    retired: Retired | None = None,
) -> Head:
    """The head over `events`, which the checkpoint after `before` takes in. One of no events says what is `retired`."""
    segments: dict[str, list[Event]] = {}
    for event in sorted(events):
        segments.setdefault(event.chain, []).append(event)
    number = before.number + 1 if before else 1
    told = spelled(
        {
            "number": number,
            "made_at": made_at,
            "before": _digest_of(before),
            "public_key": key.public_key().public_bytes_raw().hex(),
            "segments": {
                chain: {"first": mine[0].number, "digests": [event.digest[:SHORT] for event in mine]}
                for chain, mine in segments.items()
            },
            **({"retired": retired._asdict()} if retired else {}),
        }
    )
    return Head(number, told, key.sign(told.encode()).hex())


def _digest_of(one: Head | None) -> str:
    return hashlib.sha256(one.told.encode()).hexdigest() if one else BEGIN


def verify(
    moved: Sequence[tuple[Event, int]],
    waiting: Sequence[Event],
    heads: Sequence[Head],
    anchored: Sequence[Head] | None,
    public_key: str = "",
) -> Found:
    """Compare `moved`, events of the lake with the number of their head, and `waiting`, those of the journal, with the
    heads of the lake and of the anchor; None for a lake without one. Heads have to be signed with the key that
    `public_key` says; that of the first head, if it is not known.
    """
    believed = {one.number: one for one in (*heads, *(anchored or ()))}
    order = [believed[number] for number in sorted(believed)]
    signed = _signed(order, public_key or (_told(order[0]).get("public_key", "") if order else ""))
    covered, let_go = _covered(signed), retired(signed)
    flaws = [*_of_heads(order, signed, heads, anchored), *_of_events(moved, waiting, covered, let_go, len(order))]
    kept = {one.number for one in (heads if anchored is None else anchored)}
    sure = _covered([one for one in signed if one.number in kept])
    known = {(event.chain, event.number) for event in (*(event for event, _ in moved), *waiting)}
    gone = sum(number <= let_go.head for place, (_, number) in covered.items() if place not in known)
    return Found(len(known), gone, len(order), len(known - sure.keys()), tuple(dict.fromkeys(flaws)))


def retired(heads: Iterable[Head]) -> Retired:
    """What heads say that was kept for long enough, all together."""
    told = [one["retired"] for one in map(_told, heads) if "retired" in one]
    last = [(chain, number, mark) for one in told for chain, number, mark in one["last"]]
    return Retired(max((one["head"] for one in told), default=0), last)


def made_at(one: Head) -> datetime:
    """When a head was made."""
    return datetime.fromisoformat(_told(one)["made_at"])


def _covered(heads: Iterable[Head]) -> dict[tuple[str, int], tuple[str, int]]:
    """(chain, number) of each event that heads tell of -> the beginning of its digest, and the head's number."""
    found = {}
    for one in heads:
        for chain, segment in _told(one).get("segments", {}).items():
            for place, short in enumerate(segment["digests"], segment["first"]):
                found[chain, place] = (short, one.number)
    return found


def _told(one: Head) -> Mapping[str, Any]:
    try:
        told = json.loads(one.told)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _of_heads(
    order: Sequence[Head], signed: Sequence[Head], heads: Sequence[Head], anchored: Sequence[Head] | None
) -> Iterator[str]:
    there = {one.number: one for one in heads}
    for number, many in Counter(one.number for one in heads).items():
        if many > 1:
            yield f"head {number} is there {many} times"
    for one in anchored or ():
        if there.get(one.number) != one:
            yield f"head {one.number}: the lake has another one than the anchor, or none"
    kept = {one.number for one in anchored or ()}
    for number in sorted(set(range(1, max(kept, default=0))) - kept):
        yield f"head {number} is gone from the anchor"
    if [one.number for one in order] != list(range(1, len(order) + 1)):
        yield f"head {_first_gap(order)} is gone"
    for one in order:
        if one not in signed:
            yield f"head {one.number} is not as it was signed"
    for before, after in pairwise(order):
        if _told(after).get("before") != _digest_of(before):
            yield f"head {after.number} does not follow head {before.number}"
    for one in signed:
        let_go = retired([one]).head
        least = cutoff(LOG_KEPT, made_at(one))
        if let_go and not all(least and made_at(other) < least for other in signed if other.number <= let_go):
            yield f"head {one.number} retires what was not kept for {LOG_KEPT}"


def _first_gap(order: Sequence[Head]) -> int:
    return next((n for n, one in enumerate(order, 1) if one.number != n), len(order))


def _signed(order: Sequence[Head], public_key: str) -> list[Head]:
    """The heads that are as they were signed with a key."""
    return [one for one in order if _is_signed(one, public_key)]


def _is_signed(one: Head, public_key: str) -> bool:
    if _told(one).get("public_key") != public_key or _told(one).get("number") != one.number:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(
            bytes.fromhex(one.signature), one.told.encode()
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def _of_events(
    moved: Sequence[tuple[Event, int]],
    waiting: Sequence[Event],
    covered: Mapping[tuple[str, int], tuple[str, int]],
    let_go: Retired,
    heads: int,
) -> Iterator[str]:
    there: dict[tuple[str, int], Event] = {}
    for event, number in moved:
        place = event.chain, event.number
        if place in there:
            yield f"{_name(place)} is there twice"
        if not 1 <= number <= heads + 1:  # one is of a checkpoint that was killed
            yield f"{_name(place)} was put in under a head that there is not"
        elif number <= heads and covered.get(place, ("", 0))[1] != number:
            yield f"{_name(place)} was not there when head {number} was made"
        there[place] = event
    for event in waiting:  # of a checkpoint that was killed, an event is in both: it has to be the same
        if there.setdefault((event.chain, event.number), event) != event:
            yield f"{_name((event.chain, event.number))} is not in the journal as it is in the lake"
    for place, (short, number) in covered.items():
        if place not in there:
            if number > let_go.head:
                yield f"{_name(place)}, which head {number} tells of, is gone"
        elif not there[place].digest.startswith(short):
            yield f"{_name(place)} is not the one that head {number} tells of"
    yield from _of_chains(there, {(chain, number): mark for chain, number, mark in let_go.last})


def _of_chains(there: Mapping[tuple[str, int], Event], last: Mapping[tuple[str, int], str]) -> Iterator[str]:
    """Where a chain has a gap, or an event does not follow the one before it, which may be the `last` that is gone."""
    chain, number, before = "", 0, BEGIN
    for place in sorted(there):
        event = there[place]
        if event.chain != chain:
            chain = event.chain
            number = event.number - 1 if (chain, event.number - 1) in last else 0
            before = last.get((chain, number), BEGIN)
        number += 1
        if event.number != number:
            yield f"{_name((chain, number))} is gone"
        elif digest(before, chain, number, event.told) != event.digest:
            yield f"{_name(place)} is not as it was written"
        number, before = event.number, event.digest


def _name(place: tuple[str, int]) -> str:
    return f"record {place[0]}/{place[1]}"
