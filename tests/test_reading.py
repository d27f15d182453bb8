"""Feeds that are read side by side: an account is not locked for it, and what is told is in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from sql_feeds import NOW, a_feed

from carelake import bronze, reading
from carelake.errors import LoginDenied, SourceUnreachable
from carelake.model import Feed
from carelake.source import Delivery, Progress, readers
from carelake.step import Run

FEEDS = [a_feed(name=f"feed_{n}", connection=f"${{HOS_{n % 2}}}") for n in range(8)]


def a_lake(many: int) -> Any:
    """As much of a lake as is asked before anything lands."""
    return SimpleNamespace(
        engine=SimpleNamespace(readers=many),
        ledger=SimpleNamespace(progress=lambda feed: Progress()),
        bronze=Path("nowhere"),
        connection=lambda feed: feed.connection,
        secrets=SimpleNamespace(filled=lambda text: text),
    )


def extracted(many: int) -> list[tuple[str, str, str]]:
    did = Run("r", date(2026, 3, 10), NOW)
    steps = reading.extract(a_lake(many), FEEDS, did, reading.Doors(FEEDS), reconcile=False)
    return [(step.name, step.outcome, step.code) for step in steps]


def reads(patch: pytest.MonkeyPatch, read: Any) -> None:
    """Let feeds be read by a function of the connection."""
    patch.setattr(readers, "read", lambda feed, connection, progress, now, **how: read(feed, connection))


@pytest.mark.parametrize("many", [1, 8])
def test_a_login_that_was_denied_is_not_tried_again_though_all_come_at_once(
    many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def denied(feed: Feed, connection: str) -> Iterator[Delivery]:
        tried.append(connection)
        threading.Event().wait(0.05)  # the others are at the door by then
        raise LoginDenied(feed.name)
        yield

    reads(monkeypatch, denied)
    told = extracted(many)
    assert sorted(tried) == ["${HOS_0}", "${HOS_1}"]
    assert told == [(f"hos-a.feed_{n}", "failed", LoginDenied.code) for n in range(8)]


def test_feeds_of_a_connection_that_opened_are_all_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    together = threading.Barrier(8)

    def read(feed: Feed, connection: str) -> Iterator[Delivery]:
        yield Delivery(feed.name, pa.schema([]), iter(()), whole=True)

    def land(to: bronze.Landing, feed: Feed, delivery: Delivery, progress: Progress) -> None:
        together.wait(timeout=60)

    reads(monkeypatch, read)
    monkeypatch.setattr(bronze, "land", land)
    assert extracted(8) == [(f"hos-a.feed_{n}", "unchanged", "") for n in range(8)]


@pytest.mark.parametrize("many", [1, 3, 8])
def test_feeds_land_in_the_order_in_which_they_are_declared_however_soon_they_were_read(
    many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    landed = list[tuple[str, int]]()

    def read(feed: Feed, connection: str) -> Iterator[Delivery]:
        if feed.name == "feed_2":
            raise SourceUnreachable("hos-a/feed_2: it is off.", "Switch it on.")
        for part in range(2):
            yield Delivery(feed.name, pa.schema([]), iter(()), whole=True, range=part)

    def land(to: bronze.Landing, feed: Feed, delivery: Delivery, progress: Progress) -> None:
        threading.Event().wait(0.01 * (8 - int(feed.name[-1])))  # the last one is ready first
        with to.turn():
            landed.append((feed.name, delivery.range))

    reads(monkeypatch, read)
    monkeypatch.setattr(bronze, "land", land)
    assert [step[1] for step in extracted(many)] == [*["unchanged"] * 2, "failed", *["unchanged"] * 5]
    assert landed == [(f"feed_{n}", part) for n in range(8) if n != 2 for part in range(2)]


def test_one_that_fails_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(feed: Feed, connection: str) -> Iterator[Delivery]:
        if feed.name == "feed_3":
            raise SourceUnreachable("hos_a/feed_3: it is off.", "Switch it on.")
        return
        yield

    reads(monkeypatch, read)
    told = {name: (outcome, code) for name, outcome, code in extracted(3)}
    assert told.pop("hos-a.feed_3") == ("failed", SourceUnreachable.code)
    assert set(told.values()) == {("unchanged", "")}
    assert len(told) == 7
