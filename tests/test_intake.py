"""Feeds whose big tables other machines read: all at once, no account locked for it, and landed in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sql_feeds import NOW, a_feed

from carelake import bronze, intake
from carelake.engine.duck import Duck
from carelake.errors import EngineFailed, LoginDenied, SourceUnreachable
from carelake.ledger import Ledger
from carelake.model import Feed
from carelake.source import Delivery, Progress, readers

FEEDS = [a_feed(f"feed_{n}", connection=f"${{HOS_{n % 2}}}", key=("id",)) for n in range(20)]
SCHEMA = pa.schema([("id", pa.int64())])
ROWS = [1, 2, 3, 4]


class Spread(Duck):
    """Has other machines, which are this one, and where some connections may be denied."""

    has_others = True
    called: list[list[str]]

    def elsewhere(self, tasks: Sequence[Callable[[], None]]) -> list[bool]:
        self.called.append([str(vars(task)["file"]) for task in tasks])
        return [_ends(task) for task in tasks]


def _ends(task: Callable[[], None]) -> bool:
    try:
        task()
    except LoginDenied:
        return False
    return True


@pytest.fixture(params=[Duck, Spread])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """As much of a lake as takes feeds in."""
    for name in ("audit", "bronze", "staging"):
        (tmp_path / name).mkdir()
    engine = request.param({"audit": tmp_path / "audit"}, tmp_path / "staging")
    engine.called = []
    ledger = Ledger(engine, tmp_path / "bronze")
    ledger.create()
    secrets = SimpleNamespace(filled=lambda text: text)
    return SimpleNamespace(
        engine=engine,
        ledger=ledger,
        bronze=tmp_path / "bronze",
        connection=lambda feed: feed.connection,
        secrets=secrets,
    )


Read = Callable[[Feed], Iterator[Delivery]]


def extracted(lake: Any, read: Read, patch: pytest.MonkeyPatch, feeds: Sequence[Feed] = FEEDS) -> list[Any]:
    """The steps of feeds that are read by a function."""
    patch.setattr(readers, "read", lambda feed, connection, progress, now, **how: read(feed))
    to = bronze.Landing(lake.engine, lake.ledger, lake.bronze, "r", date(2026, 3, 10), NOW)
    return list(intake.extract(intake.Intake(lake, to, reconcile=False), feeds))


def rows(batch: Sequence[int]) -> Iterator[pa.RecordBatch]:
    yield pa.record_batch({"id": pa.array(batch, pa.int64())})


def big(feed: Feed, *, expected: int = 4) -> Delivery:
    """A delivery that other machines may read in two parts. Here nobody may."""

    def here() -> Iterator[pa.RecordBatch]:
        raise AssertionError("it was read here")
        yield

    elsewhere = [lambda: rows(ROWS[:2]), lambda: rows(ROWS[2:])]
    return Delivery(feed.name, SCHEMA, here(), whole=True, expected=expected, elsewhere=lambda: elsewhere)


def landed(lake: Any) -> list[tuple[str, list[int]]]:
    """Feed after feed, as the loads are counted."""
    told = lake.engine.ask("SELECT id, feed, folder FROM audit.load_logs ORDER BY id").to_pylist()
    files = [sorted((lake.bronze / load["folder"]).glob("*.parquet")) for load in told]
    return [
        (load["feed"], [row for path in paths for row in pq.read_table(path)["id"].to_pylist()])
        for load, paths in zip(told, files, strict=True)
    ]


def test_a_login_that_was_denied_is_not_tried_again(lake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def denied(feed: Feed) -> Iterator[Delivery]:
        tried.append(feed.connection)
        raise LoginDenied(feed.name)
        yield

    steps = extracted(lake, denied, monkeypatch)
    assert sorted(tried) == ["${HOS_0}", "${HOS_1}"]
    told = [(step.name, step.outcome, step.code) for step in steps]
    assert told == [(f"hos-a.{feed.name}", "failed", LoginDenied.code) for feed in FEEDS]


def test_feeds_land_in_the_order_in_which_they_are_declared_and_one_that_fails_stops_no_other(
    lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(feed: Feed) -> Iterator[Delivery]:
        if feed.name == "feed_2":
            raise SourceUnreachable("hos-a/feed_2: it is off.", "Switch it on.")
        if lake.engine.has_others and feed.name in {"feed_4", "feed_19"}:
            yield big(feed)
        else:
            yield Delivery(feed.name, SCHEMA, rows(ROWS), whole=True)

    steps = extracted(lake, read, monkeypatch)
    assert [(step.name, step.outcome) for step in steps] == [
        (f"hos-a.{feed.name}", "failed" if feed.name == "feed_2" else "done") for feed in FEEDS
    ]
    assert steps[2].code == SourceUnreachable.code
    assert landed(lake) == [(feed.name, ROWS) for feed in FEEDS if feed.name != "feed_2"]


@pytest.mark.parametrize("lake", [Spread], indirect=True)
def test_parts_of_several_feeds_are_read_at_once_after_one_of_each_connection(
    lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(feed: Feed) -> Iterator[Delivery]:
        yield big(feed)

    steps = extracted(lake, read, monkeypatch, FEEDS[:5])
    assert [(step.outcome, step.found) for step in steps] == [("done", "")] * 5
    assert landed(lake) == [(feed.name, ROWS) for feed in FEEDS[:5]]
    first, others = ([tuple(Path(file).parts[-6:][i] for i in (0, 5)) for file in call] for call in lake.engine.called)
    assert [name for name, _ in first] == ["feed_0", "feed_1"]
    assert len(others) == 8
    every = {(feed.name, f"part-{n:04}.parquet") for feed in FEEDS[:5] for n in range(2)}
    assert {*first, *others} == every


@pytest.mark.parametrize("lake", [Spread], indirect=True)
def test_a_connection_that_is_denied_elsewhere_is_tried_there_once_and_read_here(
    lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def denied() -> Iterator[pa.RecordBatch]:
        tried.append("elsewhere")
        raise LoginDenied("hos-a")
        yield

    def read(feed: Feed) -> Iterator[Delivery]:
        yield Delivery(feed.name, SCHEMA, rows(ROWS), whole=True, expected=4, elsewhere=lambda: [denied] * 3)

    steps = extracted(lake, read, monkeypatch, FEEDS[:8:2])
    assert tried == ["elsewhere"]
    warned = "could not be read by the executors, and was read by the driver."
    assert [(step.outcome, step.found) for step in steps] == [
        ("warned", f"{feed.name} {warned}") for feed in FEEDS[:8:2]
    ]
    assert landed(lake) == [(feed.name, ROWS) for feed in FEEDS[:8:2]]


@pytest.mark.parametrize("lake", [Spread], indirect=True)
def test_what_machines_that_are_lost_should_have_read_is_read_here(lake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(tasks: Sequence[Callable[[], None]]) -> list[bool]:
        tasks[0]()
        raise EngineFailed("elsewhere", "SparkException")

    def read(feed: Feed) -> Iterator[Delivery]:
        yield replace(big(feed), batches=rows(ROWS))

    monkeypatch.setattr(lake.engine, "elsewhere", lost)
    steps = extracted(lake, read, monkeypatch, FEEDS[:3])
    assert [step.outcome for step in steps] == ["warned"] * 3
    assert landed(lake) == [(feed.name, ROWS) for feed in FEEDS[:3]]


@pytest.mark.parametrize("lake", [Spread], indirect=True)
def test_what_is_being_read_elsewhere_goes_when_it_is_interrupted(lake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(tasks: Sequence[Callable[[], None]]) -> list[bool]:
        tasks[0]()
        assert len(list(lake.bronze.rglob("*.parquet"))) == 1
        raise KeyboardInterrupt

    monkeypatch.setattr(lake.engine, "elsewhere", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extracted(lake, lambda feed: iter([big(feed)]), monkeypatch, FEEDS[:3])
    assert [path for path in lake.bronze.rglob("*") if path.is_file() or path.name.startswith(".")] == []


@pytest.mark.parametrize("lake", [Spread], indirect=True)
def test_what_was_read_elsewhere_goes_when_its_turn_never_comes(lake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lands = bronze.land

    def interrupted(to: bronze.Landing, feed: Feed, delivery: Delivery, progress: Progress, came: Any) -> Any:
        if feed.name == "feed_1":
            assert len(list(lake.bronze.rglob("*.parquet"))) == 6
            raise KeyboardInterrupt
        return lands(to, feed, delivery, progress, came)

    monkeypatch.setattr(bronze, "land", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extracted(lake, lambda feed: iter([big(feed)]), monkeypatch, FEEDS[:3])
    assert landed(lake) == [("feed_0", ROWS)]
    assert len(list(lake.bronze.rglob("*.parquet"))) == 2
