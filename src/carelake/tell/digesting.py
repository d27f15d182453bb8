"""The digest of a day or a week, told to the channels that want it: to each once, which `audit.digests` keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from .. import release, score, standing
from ..errors import LakeError
from ..lake import Lake
from ..model import Channel
from ..plan import instant
from . import digest, post, telling
from .digest import Happened, Span
from .message import Message

RUNS = "audit.run_steps"
_SCHEMA = pa.schema(
    [
        (name, pa.timestamp("us", "UTC") if kind == "TIMESTAMPTZ" else pa.string())
        for name, kind in digest.COLUMNS.items()
    ]
)


@dataclass(frozen=True)
class Prepared:
    """A digest, and the channels that have not had it yet."""

    span: Span
    message: Message
    due: Sequence[Channel]


def prepared(lake: Lake, period: str, now: datetime) -> Prepared:
    """The digest of today or of this week. Nothing is sent."""
    told = _told(lake)
    when = digest.span(period, told, now)
    message = digest.written(_happened(lake, when), lake.project.resolve().name)
    return Prepared(when, message, digest.due(lake.declared.channels, told, when))


def send(lake: Lake, ready: Prepared) -> Iterator[tuple[str, LakeError | None]]:
    """Each channel that has not had it yet, with what kept it from being told, if something did.

    It goes out before it is kept that it did: who is killed in between tells it twice, and never not at all.
    """
    for channel in ready.due:
        try:
            post.send(channel, lake.secrets.filled(channel.address), ready.message)
            _keep(lake, ready.span, channel.name)
        except LakeError as error:
            yield channel.name, error
            continue
        yield channel.name, None


def _happened(lake: Lake, when: Span) -> Happened:
    engine, is_there = lake.engine, lake.engine.version(release.TABLE) is not None
    releases = release.every(engine) if is_there else []
    last = releases[0] if releases else None
    counts = standing.latest(engine, lake.declared)
    then = standing.latest(engine, lake.declared, when.since)
    return Happened(
        span=when,
        alerts=telling.kept(engine),
        channels=lake.declared.channels,
        runs=_runs(lake, when),
        releases=[vars(one) for one in reversed(releases) if when.has(one.released_at)],
        held=last.held if last else {},
        unseen=len(release.unseen(engine, last)) if is_there else 0,
        scores=score.scores(lake.declared, counts, then),
    )


def _runs(lake: Lake, when: Span) -> list[dict[str, Any]]:
    if lake.engine.version(RUNS) is None:
        return []
    within = f"started_at > {instant(when.since)} AND started_at <= {instant(when.until)}"
    failed = "COUNT(CASE WHEN outcome = 'failed' THEN 1 END) > 0 AS failed"
    asked = f"SELECT run_id, MIN(started_at) AS started_at, {failed} FROM {RUNS} WHERE {within} GROUP BY run_id"
    return list(lake.engine.ask(f"{asked} ORDER BY started_at").to_pylist())


def _told(lake: Lake) -> list[dict[str, Any]]:
    if lake.engine.version(digest.TABLE) is None:
        return []
    return list(lake.engine.ask(f"SELECT {', '.join(digest.COLUMNS)} FROM {digest.TABLE}").to_pylist())


def _keep(lake: Lake, when: Span, channel: str) -> None:
    row = {"period": when.period, "of": when.of, "channel": channel, "told_from": when.since, "told_until": when.until}
    lake.engine.create(digest.TABLE, digest.COLUMNS)
    lake.engine.lend("digest_row", pa.Table.from_pylist([row], _SCHEMA))
    lake.engine.append(digest.TABLE, "SELECT * FROM digest_row")
    lake.engine.let_go("digest_row")
