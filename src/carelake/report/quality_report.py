"""What one run did, and how good the data was when it ended: the facts of its quality report, from `audit`.

Counts, names and reasons; never a value of a row. An earlier run is told from what was counted and judged until then;
thresholds and SLAs are those that are declared today, so that two reports can be compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from .. import comparison, quality, quarantine, reconcile, release, score, standing, unjudged
from ..errors import LakeError
from ..lake import Lake
from ..ledger import TABLE as LEDGER
from ..model import Count
from ..release import Release

RUNS = "audit.run_steps"
NEWEST = f"SELECT MAX(run_id) AS run_id FROM {RUNS}"
MOST = 20  # items of one reconciliation, and runs that a message names


class RunUnknown(LakeError):
    code = "LAKE-721"
    exit_code = 70
    why = "A report tells what one run did, and `audit` keeps what every run did."


def told(lake: Lake, asked: str, now: datetime) -> dict[str, Any]:
    """The facts of the run of that id, or of the last one. Raises `RunUnknown`."""
    steps = _steps(lake, asked)
    is_last = steps[0]["run_id"] == _last(lake)
    began = steps[0]["started_at"]
    until = None if is_last else began
    published = _released(lake, until)
    held = published.held if published else {}
    counts = standing.latest(lake.engine, lake.declared, until)
    before = standing.before(lake.engine, lake.declared, until)
    return {
        "lake": lake.project.resolve().name,
        "written_at": now,
        "run": _run(steps, is_last),
        "steps": [{name: step[name] for name in STEP} for step in steps],
        "loads": _loads(lake, steps[0]["run_id"]),
        "release": published and _release(published, steps[0]["run_id"]),
        "unseen": release.unseen(lake.engine, published, until),
        "scores": [vars(one) | {"meets_sla": one.meets_sla} for one in score.scores(lake.declared, counts, before)],
        "marts": [vars(one) for one in score.verdicts(lake.declared, counts, held)] if counts else [],
        "rules": [_rule(one) for one in counts if one.violating and one.rule != quality.HELD_BACK],
        "judged": sum(one.rule != quality.HELD_BACK for one in counts),
        "unjudged": [vars(one) for one in unjudged.unjudged(lake.declared)],
        "reconciliations": list(_reconciliations(lake, until)),
        "quarantine": _quarantine(lake, counts, now if is_last else None),
    }


STEP = ("step", "name", "outcome", "code", "found", "rows", "seconds")


def _steps(lake: Lake, asked: str) -> list[dict[str, Any]]:
    """The steps of the run, in the order in which they were taken."""
    there = lake.engine.version(RUNS) is not None
    known = lake.engine.ask(f"SELECT DISTINCT run_id FROM {RUNS} ORDER BY run_id DESC") if there else None
    runs = known["run_id"].to_pylist() if known else []
    if not runs or asked not in ("", *runs):
        found = f"there is no run '{asked[:40]}'." if asked else "nothing was run yet."
        fix = f"The last ones are: {', '.join(runs[:MOST])}." if runs else "Run `carelake run`."
        raise RunUnknown(found, fix)
    return list(lake.engine.ask(f"SELECT * FROM {RUNS} WHERE run_id = '{asked or runs[0]}'").to_pylist())


def _last(lake: Lake) -> str:
    return str(lake.engine.ask(NEWEST).to_pylist()[0]["run_id"])


def _run(steps: Sequence[Mapping[str, Any]], is_last: bool) -> dict[str, Any]:
    outcomes = [step["outcome"] for step in steps]
    outcome = next((word for word in ("failed", "warned") if word in outcomes), "done")
    seconds = round(sum(step["seconds"] for step in steps), 3)
    run = {name: steps[0][name] for name in ("run_id", "as_of", "started_at")}
    return run | {"outcome": outcome, "seconds": seconds, "is_last": is_last}


def _loads(lake: Lake, run_id: str) -> list[dict[str, Any]]:
    """What the run landed. Names of files and watermarks stay in the ledger: they can be of a person."""
    told = (
        "load_id, data_source || '.' || feed AS feed, load_type, rows_read, numberofrowscopied AS rows, rows_deleted,"
        " rows_rejected, bytes"
    )
    return list(lake.engine.ask(f"SELECT {told} FROM {LEDGER} WHERE run_id = '{run_id}' ORDER BY id").to_pylist())


def _released(lake: Lake, until: datetime | None) -> Release | None:
    """What readers saw then."""
    known = release.every(lake.engine) if lake.engine.version(release.TABLE) is not None else []
    return next((one for one in known if until is None or one.released_at <= until), None)


def _release(published: Release, run_id: str) -> dict[str, Any]:
    told = {name: getattr(published, name) for name in ("id", "as_of", "released_at", "kind", "why", "who")}
    held = [{"what": what, "why": why} for what, why in published.held.items()]
    return told | {"by_this_run": published.run_id == run_id, "held": held}


def _rule(count: Count) -> dict[str, Any]:
    told = {name: getattr(count, name) for name in ("table", "rule", "source", "because", "violating", "rows_seen")}
    severity = {"otherwise": count.severity.otherwise, "tolerated": count.severity.tolerated}
    return told | severity | {"share": count.share, "is_beyond": count.is_beyond}


def _reconciliations(lake: Lake, until: datetime | None) -> Iterator[dict[str, Any]]:
    """Each reconciliation with its items, the gravest first. An item is named only where no row can have named it."""
    sources, judged = {feed.source for feed in lake.declared.feeds}, reconcile.latest(lake.engine, until)
    worst = {of: comparison.VERDICTS.index(comparison.worst(row["verdict"] for row in judged[of])) for of in judged}
    for name, part in sorted(judged, key=lambda of: (worst[of], of)):
        known = lake.declared.reconciliations.get(name)
        if known is None:
            continue
        items = sorted(
            judged[name, part],
            key=lambda row: (comparison.VERDICTS.index(row["verdict"]), -abs(row["difference"] or 0)),
        )
        shown = [_item(row, named=known.sides is None or row["item"] in sources) for row in items[:MOST]]
        verdict = {word: items[0][word] for word in ("verdict", "otherwise", "found")}
        yield {"name": name, "part": part, "about": known.about, **verdict, "items": shown, "of": len(items)}


def _item(row: Mapping[str, Any], *, named: bool) -> dict[str, Any]:
    figures = ("left_name", "left_figure", "right_name", "right_figure", "difference", "tolerated", "verdict")
    return {"item": row["item"] if named else ""} | {name: row[name] for name in figures}


def _quarantine(lake: Lake, counts: Sequence[Count], now: datetime | None) -> dict[str, Any]:
    """What is held back: by table and source as it was counted; by rule and age as it waits `now`, if it is asked."""
    held = [one for one in counts if one.rule == quality.HELD_BACK and one.violating]
    waits = quarantine.waits(lake, now) if now else []
    return {
        "counted": [
            {"table": one.table, "source": one.source, "rows": one.violating, "of": one.rows_seen} for one in held
        ],
        "days": quarantine.days(lake),
        "waits": [vars(one) | {"age": (now - one.since).days} for one in waits if now],
    }
