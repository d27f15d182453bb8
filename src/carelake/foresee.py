"""What a run would do and why, and where the lake stands. Nothing is read from a source, and nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from . import epochs, gold, migrate, pipeline, quality, refinery, release, silver
from .lake import Lake, opened
from .model import Feed, Mart


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
        changed = [*_changed(lake), *_rules(lake), *_left_out(lake)]
        return [*changed, *_feeds(lake), *_tables(lake), *_marts(lake, lake.as_of(as_of, now))]


def _rules(lake: Lake) -> Iterator[Foreseen]:
    """What has changed in the rules of a table since it was last judged by them. What a `must` said is not kept."""
    judged = _judged(lake)
    for table in (table for name, table in lake.declared.tables.items() if name in judged):
        last = judged[table.name]
        for rule in quality.counted(table):
            was = last.pop(rule.name, "")
            if was != rule.otherwise:
                why = f"it is '{rule.otherwise}' now, and was '{was}'" if was else "it is new"
                why = f"{why}: it judges what loads from now on"
                yield Foreseen("rule", f"{table.name}.{rule.name}", "judge", why)
        for name in last:
            yield Foreseen("rule", f"{table.name}.{name}", "leave out", "it is declared no more: rows stay as judged")


def _judged(lake: Lake) -> dict[str, dict[str, str]]:
    """Table -> rule -> severity, as of the last time that rows of the table were judged."""
    if lake.engine.version("audit.rule_results") is None:
        return {}
    told = "SELECT table_name, rule, otherwise, MAX(judged_at) AS judged_at FROM audit.rule_results"
    if "scope" in lake.engine.columns("audit.rule_results"):
        told = f"{told} WHERE scope IS DISTINCT FROM '{silver.OF_TABLE}'"
    rows = lake.engine.ask(f"{told} GROUP BY table_name, rule, otherwise").to_pylist()
    judged: dict[str, dict[str, str]] = {}
    when: dict[str, datetime] = {}
    for row in sorted(rows, key=lambda row: row["judged_at"]):
        name = row["table_name"]
        if when.get(name) != row["judged_at"]:
            when[name], judged[name] = row["judged_at"], {}
        judged[name][row["rule"]] = row["otherwise"]
    return judged


def _left_out(lake: Lake) -> Iterator[Foreseen]:
    """Marts of the latest release that are declared no more."""
    latest = release.latest(lake.engine) if lake.engine.version(release.TABLE) is not None else None
    for name in latest.tables if latest else ():
        layer, _, mart = name.partition(".")
        if layer == "gold" and mart not in lake.declared.marts:
            yield Foreseen("build", mart, "leave out", "it is declared no more: the next release is without it")


def _changed(lake: Lake) -> Iterator[Foreseen]:
    for change in migrate.changes(lake.engine, lake.declared):
        would = "add" if change.adds else "refuse"
        yield Foreseen("schema", f"{change.table}.{change.column}", would, f"{change.change}. {change.fix}")


def _feeds(lake: Lake) -> Iterator[Foreseen]:
    for feed in lake.declared.feeds:
        yield Foreseen("extract", f"{feed.source}.{feed.name}", *_would(lake, feed))
    for name, (_, rows) in lake.ledger.forgotten(lake.declared.feeds).items():
        yield Foreseen("extract", name, "warn", f"{pipeline.FORGOTTEN} It has {rows:,} rows.")


def _would(lake: Lake, feed: Feed) -> tuple[str, str]:
    if not feed.active:
        return "skip", f"inactive: {feed.idle}"
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
    began = epochs.current(lake.engine)
    for table in lake.declared.tables.values():
        feeds = [feed for feed in lake.declared.feeds if feed.fills == table.name]
        feeds += [feed.repairs for feed in feeds if lake.ledger.loads(feed.repairs)]
        waiting = [
            load
            for feed in feeds
            for load in lake.ledger.loads(
                feed,
                lake.engine.marked(
                    f"silver.{table.name}_versions", refinery.mark(table.name, feed.source, feed.name, began)
                ),
            )
        ]
        fed = ", ".join(f"{feed.source}.{feed.name}" for feed in feeds) or "no feed"
        if waiting:
            rows = sum(load.left for load in waiting)
            yield Foreseen("refine", table.name, "refine", f"{len(waiting)} loads of {rows:,} rows wait, of {fed}")
        else:
            yield Foreseen("refine", table.name, "refine if rows land", f"filled by {fed}")


def _marts(lake: Lake, as_of: date) -> Iterator[Foreseen]:
    stale = {mart.name: why for mart, why in gold.stale(lake.engine, lake.declared, as_of)}
    for mart in gold.in_order(lake.declared.marts):
        would = "build" if mart.name in stale else "build if its inputs change"
        yield Foreseen("build", mart.name, would, stale.get(mart.name, _how(mart)))


def _how(mart: Mart) -> str:
    return f"what changes reach, by {mart.recompute_by}" if mart.recompute_by else "rebuilt whole"


def status(project: Path) -> dict[str, Any]:
    """The latest release, the last run and where every feed stands, as plain values."""
    with opened(project, {}, writing=False) as lake:
        is_made = lake.engine.version(release.TABLE) is not None
        latest = release.latest(lake.engine) if is_made else None
        steps = _last_steps(lake) if is_made else []
        return {
            "release": latest and {"id": latest.id, "as_of": latest.as_of, "released_at": latest.released_at},
            "feeds": list(_standing(lake, {row["name"]: row["outcome"] for row in steps if row["step"] == "extract"})),
            "last_run": _told(steps),
            "tables": _sizes(lake) if is_made else [],
        }


def _standing(lake: Lake, outcomes: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Where every feed stands. `outcomes` says how each came out of the last run."""
    for feed in lake.declared.feeds:
        name, loads = f"{feed.source}.{feed.name}", lake.ledger.loads(feed)
        yield {
            "feed": name,
            "state": _state(feed, outcomes.get(name, ""), loaded=bool(loads)),
            "loads": len(loads),
            "rows": sum(load.rows for load in loads),
            "watermark": lake.ledger.progress(feed).watermark,
            "last load": loads[-1].extracted_at if loads else None,
        }
    for name, (count, rows) in lake.ledger.forgotten(lake.declared.feeds).items():
        gone = {"state": "declared no more", "loads": count, "rows": rows, "watermark": None, "last load": None}
        yield {"feed": name, **gone}


def _state(feed: Feed, outcome: str, *, loaded: bool) -> str:
    """One of five words on a feed, the gravest that is true."""
    if not feed.active or outcome == "inactive":
        return "inactive"
    if outcome == "failed":
        return "failed in the last run"
    if not loaded:
        return "never loaded"
    return "warned in the last run" if outcome == "warned" else "current"


def _last_steps(lake: Lake) -> list[dict[str, Any]]:
    last = "SELECT MAX(run_id) FROM audit.run_steps"
    return list(lake.engine.ask(f"SELECT * FROM audit.run_steps WHERE run_id = ({last})").to_pylist())


def _told(steps: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The last run, and those of its steps that failed or warned; None if there was none."""
    if not steps:
        return None
    bad = [row for row in steps if row["outcome"] in {"failed", "warned"}]
    kept = [{name: row[name] for name in ("step", "name", "outcome", "code", "found")} for row in bad]
    landed = sum(row["rows"] for row in steps if row["step"] == "extract")
    return {"run_id": steps[0]["run_id"], "as_of": steps[0]["as_of"], "rows": landed, "steps": kept}


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
