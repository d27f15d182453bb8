"""What a person sees of quality and releases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from rich.markup import escape

from ..assessment import SHOWN, Assessment
from ..model import DIMENSIONS, Rule
from ..quality import HELD_BACK
from ..release import Release
from .show import console, shown, table

COLOUR = {"may be used": "green", "with care": "yellow", "not": "red"}


def plain(found: Assessment) -> dict[str, Any]:
    """An assessment as JSON takes it: shares as text."""
    return {
        "scores": [asdict(score) | {"meets_sla": score.meets_sla} for score in found.scores],
        "rules": [asdict(count) | {"share": count.share, "is_beyond": count.is_beyond} for count in found.counts],
        "marts": [asdict(mart) for mart in found.marts],
        "unjudged": [asdict(one) for one in found.unjudged],
    }


def assessment(found: Assessment) -> None:
    """Scores, then the rules that are broken, then the verdict on every mart."""
    out = console()
    if not found.counts:
        out.print("Nothing is checked yet: run `carelake run`.")
        return
    scores = table("table", "source", "rows", "trusted", "SLA", *DIMENSIONS, "overall", "grade", "trend")
    for one in found.scores:
        measured = (_percent(one.dimensions[name]) if name in one.dimensions else "-" for name in DIMENSIONS)
        met = "met" if one.meets_sla else f"[red]below {_percent(one.sla)}[/]"
        trend = "-" if one.trend is None else f"{one.trend * 100:+.2f}"
        cells = (_percent(one.trusted), met, *measured, _percent(one.overall), one.grade, trend)
        scores.add_row(one.table, one.source, f"{one.rows:,}", *cells)
    out.print(scores, "")
    _rules(found)
    _unjudged(found)
    _marts(found)


def _rules(found: Assessment) -> None:
    rules = table("rule", "source", "broken", "of", "tolerated", "otherwise")
    for one in found.counts:
        if one.violating and one.rule != HELD_BACK:
            severity = one.severity
            cells = (f"{one.violating:,}", f"{one.rows_seen:,}", _percent(severity.tolerated), severity.otherwise)
            rules.add_row(f"{one.table}.{one.rule}", one.source, *cells)
    if rules.row_count:
        console().print(rules, "")


def _unjudged(found: Assessment) -> None:
    """Rules that cannot be judged, by what keeps them from it."""
    why: dict[str, list[str]] = {}
    for one in found.unjudged:
        why.setdefault(one.why, []).append(f"{one.table}.{one.rule}")
    rules = table("cannot be judged", "because")
    for reason, names in why.items():
        rules.add_row(", ".join(names), reason)
    if why:
        console().print(rules, "")


def _marts(found: Assessment) -> None:
    out = console()
    for verdict, colour in COLOUR.items():
        names = [one.mart for one in found.marts if one.verdict == verdict]
        if names:
            out.print(f"[{colour}]{verdict}[/]: {', '.join(names)}")
    why = dict.fromkeys(line for one in found.marts if one.verdict != "may be used" for line in one.because)
    for line in why:
        out.print(f"  {escape(line)}")


def breaking(name: str, rule: Rule, keys: Sequence[int]) -> None:
    """Which rows break a rule."""
    out = console()
    out.print(f"{escape(name)} must: {escape(rule.must)}\nbecause {escape(rule.because)}")
    more = f" (the first {SHOWN:,})" if len(keys) == SHOWN else ""
    own = f"{name.partition('.')[0]}_key"
    told = ", ".join(map(str, keys)) or "none: every row that stands keeps it"
    out.print(f"{own}{more}: {escape(told)}")


def releases(found: Sequence[Release]) -> None:
    """Every release, a row each."""
    listed = table("release", "as of", "released at", "kind", "who", "why", "held back")
    for one in found:
        held = "; ".join(dict.fromkeys(one.held.values()))
        cells = (str(one.as_of), shown(one.released_at), one.kind, one.who, one.why, held)
        listed.add_row(str(one.id), *(escape(cell) for cell in cells))
    console().print(listed if found else "Nothing is released yet: run `carelake run`.")


def rolled_back(found: Release, *, dry_run: bool) -> None:
    """What a rollback did, or would do."""
    if dry_run:
        console().print(f"Readers would see what release {found.id} says, as of {found.as_of}. Nothing was changed.")
        return
    told = f"Release {found.id}: readers see what was released before, as of {found.as_of}."
    console().print(f"{told} Runs go on and release nothing until `carelake release resume`.")


def _percent(share: Decimal) -> str:
    return f"{share * 100:.2f} %"
