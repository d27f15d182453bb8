"""What was told, done and released in a day or a week -> one message. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from ..model import Channel
from ..score import Score
from . import alert
from .message import Message

TABLE = "audit.digests"
COLUMNS = {
    "period": "TEXT", "of": "TEXT", "channel": "TEXT", "told_from": "TIMESTAMPTZ", "told_until": "TIMESTAMPTZ",
}  # fmt: skip
PERIODS = {"daily": timedelta(days=1), "weekly": timedelta(days=7)}
LISTED = 10  # of what is listed in one paragraph
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Span:
    """The time that a digest tells of. `of` names it: a day, or a week; the end is in it, the beginning is not."""

    period: str
    of: str
    since: datetime
    until: datetime

    def has(self, moment: datetime) -> bool:
        """Whether a moment lies in it."""
        return self.since < moment <= self.until


@dataclass(frozen=True)
class Happened:
    """What is known of a span."""

    span: Span
    alerts: Sequence[Row]  # of `audit.alerts`, from its beginning on
    channels: Sequence[Channel]
    runs: Sequence[Row]  # run_id, started_at, failed; in order
    releases: Sequence[Row]  # id, kind, why, who; in order
    held: Mapping[str, str]  # what the release that readers see holds back -> why
    unseen: int  # loads that readers do not see
    scores: Sequence[Score]  # with their trend since its beginning


def span(period: str, told: Iterable[Row], now: datetime) -> Span:
    """What the digest of today, or of this week, tells of: all since the one before. Who is told later, since a channel
    failed, is told of the same.
    """
    of = f"{now:%G-W%V}" if period == "weekly" else f"{now:%Y-%m-%d}"
    mine = [row for row in told if row["period"] == period]
    for row in mine:
        if row["of"] == of:
            return Span(period, of, row["told_from"], row["told_until"])
    before = max((row["told_until"] for row in mine), default=now - PERIODS[period])
    return Span(period, of, min(before, now), now)


def due(channels: Iterable[Channel], told: Iterable[Row], when: Span) -> list[Channel]:
    """The channels that get this digest, and have not yet."""
    had = {row["channel"] for row in told if (row["period"], row["of"]) == (when.period, when.of)}
    return [channel for channel in channels if when.period in channel.of and channel.name not in had]


def written(happened: Happened, lake: str) -> Message:
    """The digest: what a person should know first, then the rest."""
    when = happened.span
    rows = [row for row in happened.alerts if row["happened_at"] <= when.until]
    stands = alert.standing(rows)
    first = _first(happened, stands)
    parts = [
        first[0].upper() + first[1:],
        _runs(happened),
        *_alerts(happened, rows),
        *_open(stands),
        *_releases(happened),
        _scores(happened),
    ]
    parts.append(
        f"From {when.since:%Y-%m-%d %H:%M} to {when.until:%Y-%m-%d %H:%M} UTC. More: carelake -p {lake} quality,"
        f" carelake -p {lake} alerts list, carelake -p {lake} report"
    )
    subject = " ".join(f"CareLake {lake}: {when.period} digest of {when.of}: {first}".split())
    return Message("", when.period, "", subject.removesuffix("."), "\n\n".join(filter(None, parts)), "", lake)


def _first(happened: Happened, stands: Mapping[str, alert.Open]) -> str:
    """What it comes to, in one sentence."""
    alone = sum(one.acknowledged is None for one in stands.values())
    if not happened.runs:
        return "no run took place."
    if stands:
        return f"{len(stands)} open, {alone} of them with nobody looking after."
    if happened.held:
        return "tables are held back."
    if happened.runs[-1]["failed"]:
        return "the last run failed."
    missed = sum(not one.meets_sla for one in happened.scores)
    return f"nothing is open, and {missed} below their SLA." if missed else "all is well."


def _runs(happened: Happened) -> str:
    if not happened.runs:
        return "Nothing was loaded: see that the machine is on, and that `carelake run` is scheduled."
    failed = sum(run["failed"] for run in happened.runs)
    last = happened.runs[-1]["started_at"]
    return f"Runs: {len(happened.runs)}, of which {failed} failed; the last one began {last:%Y-%m-%d %H:%M} UTC."


def _alerts(happened: Happened, rows: Sequence[Row]) -> Iterator[str]:
    """What was raised, acknowledged, escalated, and what is gone."""
    causes = {row["alert"]: row for row in rows if row["event"] == "seen"}
    late = {channel.name for channel in happened.channels if channel.after}
    mine = [row for row in rows if happened.span.has(row["happened_at"])]
    yield _listing("Raised", [_cause(row) for row in mine if row["event"] == "seen"])
    known = [row for row in mine if row["alert"] in causes]
    yield _listing("Acknowledged", [_named(causes, row, _who(row)) for row in known if row["event"] == "acknowledged"])
    escalated = [row for row in known if row["event"] == "told" and row["channel"] in late]
    yield _listing("Escalated", [_named(causes, row, f"told to {row['channel']}") for row in escalated])
    yield _listing("Gone", [_named(causes, row, "its cause is gone") for row in known if row["event"] == "gone"])


def _open(stands: Mapping[str, alert.Open]) -> Iterator[str]:
    lines = [
        f"{_cause(one.cause)}; since {one.since:%Y-%m-%d %H:%M}, {_who(one.acknowledged or {})}"
        for one in sorted(stands.values(), key=lambda one: one.since)
    ]
    yield _listing("Still open", lines)


def _cause(row: Row) -> str:
    """An alert in a line: of what was found, the first one."""
    found = (row["found"] or "").strip().splitlines()
    return f"{row['alert']} {row['outcome']} {row['what']}: {found[0] if found else row['code']}"


def _named(causes: Mapping[str, Row], row: Row, then: str) -> str:
    return f"{row['alert']} {causes[row['alert']]['what']}: {then}"


def _who(row: Row) -> str:
    note = f" ({row['note']})" if row.get("note") else ""
    return f"{row['who']} looks after it{note}" if row.get("who") else "nobody looks after it"


def _releases(happened: Happened) -> Iterator[str]:
    made = [one for one in happened.releases if one["kind"] == "run"]
    ids = ", ".join(str(one["id"]) for one in made[-LISTED:])
    yield f"Releases made: {len(made)} ({ids})." if made else "Releases made: none."
    by_hand = [one for one in happened.releases if one["kind"] != "run"]
    yield _listing("By hand", [f"{one['kind']} {one['id']} by {one['who']}. {one['why']}".strip() for one in by_hand])
    why = "; ".join(dict.fromkeys(happened.held.values()))
    yield f"Held back: {len(happened.held)} tables and marts, because of {why}." if happened.held else ""
    yield f"Loads that readers do not see yet: {happened.unseen}." if happened.unseen else ""


def _scores(happened: Happened) -> str:
    """How many of each grade, and which have moved."""
    if not happened.scores:
        return ""
    grades = Counter(one.grade for one in happened.scores)
    moved = sorted(
        (one for one in happened.scores if one.trend), key=lambda one: abs(one.trend or Decimal(0)), reverse=True
    )
    lines = [f"{one.table} of {one.source}: {one.overall:.2%} ({one.trend:+.2%}), {one.grade}" for one in moved]
    told = ", ".join(f"{count} {grade}" for grade, count in sorted(grades.items()))
    missed = sum(not one.meets_sla for one in happened.scores)
    return "\n".join(filter(None, [f"Scores: {told}; {missed} below their SLA.", _listing("Changed", lines)]))


def _listing(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    more = [f"- and {len(lines) - LISTED} more"] if lines[LISTED:] else []
    return "\n".join([f"{title} ({len(lines)}):", *(f"- {' '.join(line.split())}" for line in lines[:LISTED]), *more])
