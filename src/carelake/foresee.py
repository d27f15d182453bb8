"""What a run would do and why, and where the lake stands. Nothing is read from a source, and nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from . import gold, migrate, release, silver
from .lake import Lake, opened
from .model import Feed


@dataclass(frozen=True)
class Foreseen:
    """One step that a run would take."""

    step: str
    name: str
    would: str
    why: str


def plan(project: Path, environment: Mapping[str, str], now: datetime, as_of: date | None = None) -> list[Foreseen]:
    """Every step the next run would take, in order. Raises what opening the lake raises."""
    with opened(project, environment, writing=False) as lake:
        return [*_changed(lake), *_feeds(lake), *_tables(lake), *_marts(lake, lake.as_of(as_of, now))]


def _changed(lake: Lake) -> Iterator[Foreseen]:
    for change in migrate.changes(lake.engine, lake.declared):
        would = "add" if change.adds else "refuse"
        yield Foreseen("schema", f"{change.table}.{change.column}", would, f"{change.change}. {change.fix}")


def _feeds(lake: Lake) -> Iterator[Foreseen]:
    for feed in lake.declared.feeds:
        yield Foreseen("extract", f"{feed.source}.{feed.name}", *_would(lake, feed))


def _would(lake: Lake, feed: Feed) -> tuple[str, str]:
    if not feed.active:
        return "skip", "inactive: switched off in the declarations"
    if missing := lake.secrets.missing(feed.connection):
        return ("skip" if feed.optional else "fail"), f"not connected: {', '.join(missing)} is not set"
    progress = lake.ledger.progress(feed)
    if feed.reader == "files":
        return "read", f"new files of {feed.at}; {len(progress.contents)} are known already"
    if feed.load == "watermark" and progress.watermark:
        back = f", and {feed.lookback} before it" if feed.lookback else ""
        return "read", f"{feed.watermark} from {progress.watermark} on{back}"
    return "read", "everything" if feed.load == "full" else "everything: it is the first load"


def _tables(lake: Lake) -> Iterator[Foreseen]:
    for table in lake.declared.tables.values():
        feeds = [feed for feed in lake.declared.feeds if feed.fills == table.name]
        waiting = [
            load
            for feed in feeds
            for load in lake.ledger.loads(
                feed, lake.engine.marked(f"silver.{table.name}_versions", silver.app(table.name, feed))
            )
        ]
        fed = ", ".join(f"{feed.source}.{feed.name}" for feed in feeds) or "no feed"
        if waiting:
            rows = sum(load.rows for load in waiting)
            yield Foreseen("refine", table.name, "refine", f"{len(waiting)} loads of {rows:,} rows wait, of {fed}")
        else:
            yield Foreseen("refine", table.name, "refine if rows land", f"filled by {fed}")


def _marts(lake: Lake, as_of: date) -> Iterator[Foreseen]:
    stale = {mart.name: why for mart, why in gold.stale(lake.engine, lake.declared, as_of)}
    for mart in gold.in_order(lake.declared.marts):
        would = "build" if mart.name in stale else "build if its inputs change"
        yield Foreseen("build", mart.name, would, stale.get(mart.name, "rebuilt whole"))


def status(project: Path) -> dict[str, Any]:
    """The latest release, the last run and where every feed stands, as plain values."""
    with opened(project, {}, writing=False) as lake:
        if lake.engine.version(release.TABLE) is None:
            return {"release": None, "feeds": [], "last_run": [], "tables": []}
        latest = release.latest(lake.engine)
        return {
            "release": latest and {"id": latest.id, "as_of": latest.as_of, "released_at": latest.released_at},
            "feeds": list(_standing(lake)),
            "last_run": _last_run(lake),
            "tables": _sizes(lake),
        }


def _standing(lake: Lake) -> Iterator[dict[str, Any]]:
    for feed in lake.declared.feeds:
        loads = lake.ledger.loads(feed)
        yield {
            "feed": f"{feed.source}.{feed.name}",
            "active": feed.active,
            "loads": len(loads),
            "rows": sum(load.rows for load in loads),
            "watermark": lake.ledger.progress(feed).watermark,
            "last load": loads[-1].extracted_at if loads else None,
        }


def _last_run(lake: Lake) -> list[dict[str, Any]]:
    last = "SELECT MAX(run_id) FROM audit.run_steps"
    asked = "SELECT run_id, step, name, outcome, code, rows, seconds FROM audit.run_steps"
    return list(lake.engine.ask(f"{asked} WHERE run_id = ({last}) AND outcome <> 'unchanged'").to_pylist())


def _sizes(lake: Lake) -> list[dict[str, Any]]:
    return [
        {
            "table": f"silver.{name}",
            "current": counts["current"],
            "versions": counts["versions"],
            "quarantined": held["n"],
        }
        for name in lake.declared.tables
        for counts in lake.engine.ask(
            f"SELECT COUNT(CASE WHEN is_current THEN 1 END) AS current, COUNT(*) AS versions FROM silver.{name}_history"
        ).to_pylist()
        for held in lake.engine.ask(f"SELECT COUNT(*) AS n FROM quarantine.{name}").to_pylist()
    ]
