"""How good the data of a lake is: what the last check counted, judged by today's rules. Nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from . import quality, release, score, standing, unjudged
from .errors import QuestionRefused, choose
from .labels import Hiding, denied
from .lake import Lake, opened
from .model import Count, Rule, Table

SHOWN = 1_000  # keys of rows that break a rule


@dataclass(frozen=True)
class Assessment:
    counts: list[Count]
    scores: list[score.Score]
    marts: list[score.Judged]
    unjudged: list[unjudged.Unjudged]


def assess(project: Path) -> Assessment:
    """Counts, scores and verdicts as they stand. Empty before the first run."""
    with opened(project, {}, writing=False) as lake:
        if lake.engine.version(release.TABLE) is None:
            return Assessment([], [], [], [])
        counts = standing.latest(lake.engine, lake.declared)
        before = standing.before(lake.engine, lake.declared)
        latest = release.latest(lake.engine)
        held = latest.held if latest else {}
        return Assessment(
            counts,
            score.scores(lake.declared, counts, before),
            score.verdicts(lake.declared, counts, held) if counts else [],
            unjudged.unjudged(lake.declared),
        )


def breaking(project: Path, name: str, audience: str) -> tuple[Rule, list[int]]:
    """The rule `<table>.<rule>`, and the surrogate keys of the rows that break it now, `SHOWN` at most, of those that
    an audience may see.

    Raises `QuestionRefused` if there is no such rule.
    """
    with opened(project, {}, writing=False) as lake:
        table, rule = _named(lake, name)
        keys = _keys(lake, table, rule, audience)
        return rule, keys


def _named(lake: Lake, name: str) -> tuple[Table, Rule]:
    known = {
        f"{table.name}.{rule.name}": (table, rule)
        for table in lake.declared.tables.values()
        for rule in (*quality.counted(table), *quality.set_rules_of(table))
    }
    if name not in known:
        raise QuestionRefused(f"there is no rule '{name[:80]}'.", choose(name, known))
    return known[name]


def _keys(lake: Lake, table: Table, rule: Rule, audience: str) -> list[int]:
    is_set = rule.name in {one.name for one in quality.set_rules_of(table)}
    select = quality.breaking(table, rule) if is_set else quality.flagged(table, rule)
    as_of = lake.engine.ask("SELECT MAX(as_of) AS as_of FROM audit.run_steps").to_pylist()[0]["as_of"]
    hiding = Hiding(lake.declared, denied(lake.declared, audience), frozenset(), lambda of: f"silver.{of.name}_history")
    seen = f"SELECT * FROM {hiding.without_keys(f'({select})', [table.own_key])} AS seen LIMIT {SHOWN}"
    rows: list[dict[str, Any]] = lake.engine.ask(seen, as_of).to_pylist()
    return [row[table.own_key] for row in rows]


def releases(project: Path) -> list[release.Release]:
    """All releases, the latest first."""
    with opened(project, {}, writing=False) as lake:
        return release.every(lake.engine) if lake.engine.version(release.TABLE) is not None else []


def rollback(
    project: Path,
    environment: Mapping[str, str],
    now: datetime,
    to: int | None,
    because: str,
    who: str,
    *,
    dry_run: bool,
) -> release.Release:
    """The release that readers see from now on; with `dry_run`, the one whose tables it would name.

    Raises `ReleaseUnknown`, and what opening the lake raises.
    """
    with opened(project, environment, writing=not dry_run) as lake:
        target = release.target(lake.engine, to)
        return target if dry_run else release.rollback(lake.engine, target, because, who, now)


def resume(project: Path, environment: Mapping[str, str], now: datetime, who: str) -> release.Release:
    """The release from which runs go on. Raises `ReleaseNotHeld`, and what opening the lake raises."""
    with opened(project, environment, writing=True) as lake:
        return release.resume(lake.engine, who, now)
