"""The facts of a run -> the page that people read of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..model import DIMENSIONS
from .facts import Facts
from .sheet import Grid, Section, Sheet, Words, cell, counted, grid, listed, percent, section

FOOTER = (
    "Written by CareLake from its audit tables. No value of a row is on this page. Times are UTC. Thresholds and SLAs"
    " are those that are declared on the day of writing."
)


def sheet(facts: Facts) -> Sheet:
    """The page of a run, the most important first."""
    run = facts["run"]
    about = (
        f"Run {run['run_id']} of {cell(run['started_at'])} UTC, figures as of {run['as_of']}."
        f" Written {cell(facts['written_at'])} UTC."
    )
    sections = (_short, _marts, _scores, _release, _rules, _reconciliations, _quarantine, _steps, _loads)
    return Sheet(f"Data quality of {facts['lake']}", about, tuple(one(facts) for one in sections))


def _short(facts: Facts) -> Section:
    """What somebody reads who reads nothing else."""
    run, bad = facts["run"], [one for one in facts["steps"] if one["outcome"] in {"failed", "warned"}]
    failed = sum(one["outcome"] == "failed" for one in bad)
    below = sum(not one["meets_sla"] for one in facts["scores"])
    apart = [one for one in facts["reconciliations"] if one["verdict"] in {"failed", "warned"}]
    landed = sum(load["rows"] for load in facts["loads"])
    waits = sum(one["rows"] for one in facts["quarantine"]["counted"])
    told = {
        "The run": f"{run['outcome']}: {counted(failed, 'failure')}, {counted(len(bad) - failed, 'warning')},"
        f" {landed:,} rows landed, {run['seconds']:,.1f} seconds",
        "Release": _released(facts),
        "Marts": _verdicts(facts["marts"]),
        "Below their SLA": f"{below:,} of {len(facts['scores']):,} tables by source",
        "Rules": f"{sum(one['is_beyond'] for one in facts['rules']):,} broken beyond what is tolerated, of"
        f" {facts['judged']:,} judged",
        "Reconciliations": f"{len(apart):,} of {len(facts['reconciliations']):,} do not hold",
        "Held back": f"{waits:,} rows in quarantine",
    }
    rows = tuple((name, text) for name, text in told.items())
    loud = "" if run["outcome"] != "failed" else "Something failed in this run. What it hit stands below."
    return section("In short", Words(loud, loud=True), Grid("How this run came out", ("what", "how"), rows))


def _released(facts: Facts) -> str:
    release = facts["release"]
    if release is None:
        return "nothing was ever released"
    kind = "" if release["kind"] == "run" else f", a {release['kind']}"
    by = "made by this run" if release["by_this_run"] else f"of {cell(release['released_at'])} UTC, not of this run"
    return f"readers see release {release['id']}{kind}, {by}"


def _verdicts(marts: Sequence[Facts]) -> str:
    verdicts = ("may be used", "with care", "not")
    counts = ((word, sum(mart["verdict"] == word for mart in marts)) for word in verdicts)
    return ", ".join(f"{count:,} {word}" for word, count in counts if count) or "none was judged"


def _marts(facts: Facts) -> Section:
    rows = tuple((one["mart"], one["verdict"], "\n".join(one["because"])) for one in facts["marts"])
    said = "A mart may be used if no rule of the tables that it is made of is broken beyond what is tolerated."
    return section("Which marts may be used", said, Grid("Verdict of each mart", ("mart", "verdict", "because"), rows))


def _scores(facts: Facts) -> Section:
    names = ("table", "source", "rows", "trusted", "SLA", "", *DIMENSIONS, "overall", "grade", "trend")
    rows = tuple(_score(one) for one in facts["scores"])
    said = (
        "A score is the share of checks that passed. Grades: A from 99 %, B 95 %, C 90 %, D 80 %, else F."
        " The trend is against the count before. Trusted is the share of rows that are not held back."
    )
    return section("How good the data is", said, Grid("Scores by table and source", names, rows))


def _score(one: Facts) -> tuple[str, ...]:
    measured = (percent(one["dimensions"].get(name)) for name in DIMENSIONS)
    met = "met" if one["meets_sla"] else "missed"
    trusted = (percent(one["trusted"]), percent(one["sla"]), met)
    overall = (percent(one["overall"]), one["grade"], percent(one["trend"], "+"))
    return (one["table"], one["source"], cell(one["rows"]), *trusted, *measured, *overall)


def _release(facts: Facts) -> Section:
    release = facts["release"]
    if release is None:
        return section("Release and what is held", "Nothing was ever released.", *_kept_back(facts))
    shown = {
        "id": "release",
        "kind": "kind",
        "as_of": "as of",
        "released_at": "released at",
        "who": "who",
        "why": "why",
    }
    held = {"what": "table or mart", "why": "because of"}
    return section(
        "Release and what is held",
        *_kept_back(facts),
        grid("What readers see", shown, [release]),
        grid("Held at what was released before", held, release["held"]),
        grid("Landed, and not seen by readers", {"load_id": "load", "feed": "feed", "rows": "rows"}, facts["unseen"]),
    )


def _kept_back(facts: Facts) -> Iterator[Words]:
    """What the run itself said of a release that it held."""
    for step in facts["steps"]:
        if step["step"] == "release" and step["outcome"] in {"failed", "warned"}:
            yield Words(step["found"], loud=True)


def _rules(facts: Facts) -> Section:
    names = ("rule", "source", "broken", "of", "share", "tolerated", "", "otherwise", "because")
    rows = tuple(
        (
            f"{one['table']}.{one['rule']}", one["source"], cell(one["violating"]), cell(one["rows_seen"]),
            percent(one["share"]), percent(one["tolerated"]), "beyond" if one["is_beyond"] else "tolerated",
            one["otherwise"], one["because"],
        )
        for one in sorted(facts["rules"], key=lambda one: (not one["is_beyond"], -one["share"]))
    )  # fmt: skip
    why: dict[str, list[str]] = {}
    for one in facts["unjudged"]:
        why.setdefault(one["why"], []).append(f"{one['table']}.{one['rule']} of {one['source']}")
    idle = tuple((reason, listed(rules)) for reason, rules in why.items())
    said = f"{facts['judged']:,} rules were judged, each for each source. " + ("" if rows else "None is broken.")
    return section(
        "Rules that are broken",
        said,
        Grid("Rows that break a rule, among all that stand or are held back", names, rows),
        Grid("Rules that cannot be judged", ("because", "rules"), idle),
    )


def _reconciliations(facts: Facts) -> Section:
    names = ("reconciliation", "verdict", "item", "expected", "", "found", "", "difference")
    rows = tuple(row for one in facts["reconciliations"] for row in _items(one))
    troubles = [Words(one["found"]) for one in facts["reconciliations"] if one["verdict"] in {"failed", "warned"}]
    said = "Two figures that must agree, and where each is from. Items that rows have named are not named here."
    return section(
        "Reconciliations", said if rows else "Nothing was compared.", Grid("Both figures", names, rows), *troubles
    )


def _items(one: Facts) -> Iterator[tuple[str, ...]]:
    name = f"{one['name']} {one['part']}".strip()
    for number, row in enumerate(one["items"], 1):
        item = row["item"] or (f"item {number} of {one['of']}" if one["of"] > 1 else "")
        left, right = ((row[f"{side}_name"], cell(row[f"{side}_figure"])) for side in ("left", "right"))
        yield (name, row["verdict"], item, *left, *right, cell(row["difference"]))
    if one["of"] > len(one["items"]):
        yield (name, "", f"and {one['of'] - len(one['items']):,} more", *[""] * 5)


def _quarantine(facts: Facts) -> Section:
    held, is_last = facts["quarantine"], facts["run"]["is_last"]
    shown = {
        "table": "table", "rule": "rule", "source": "source", "rows": "rows", "mended": "mended since",
        "overdue": "overdue", "since": "oldest", "age": "its days",
    }  # fmt: skip
    said = f"A row may wait for {held['days']} days. " + ("" if held["counted"] else "Nothing is held back.")
    now = "" if is_last else "For how long rows waited is told of the last run only: it is not kept for earlier ones."
    return section(
        "Quarantine",
        said,
        grid("Held back", {"table": "table", "source": "source", "rows": "rows", "of": "of"}, held["counted"]),
        grid("By rule and age; a row that breaks several rules is counted under each", shown, held["waits"]),
        now,
    )


def _steps(facts: Facts) -> Section:
    shown = {
        "step": "step", "name": "name", "outcome": "outcome", "rows": "rows", "seconds": "seconds", "code": "code",
        "found": "found",
    }  # fmt: skip
    rows = sorted(
        facts["steps"],
        key=lambda one: ("failed", "warned").index(one["outcome"]) if one["outcome"] in {"failed", "warned"} else 2,
    )
    loud = [one for one in rows if one["outcome"] not in {"unchanged", "inactive"}]
    quiet = len(rows) - len(loud)
    said = f"{counted(quiet, 'step')} had nothing to do, or of a feed that is switched off." if quiet else ""
    return section("What the run did", said, grid("Steps, what went wrong first", shown, loud))


def _loads(facts: Facts) -> Section:
    shown = {
        "load_id": "load", "load_type": "kind", "rows_read": "read", "rows": "landed",
        "rows_deleted": "gone at the source", "rows_rejected": "no rows", "bytes": "bytes",
    }  # fmt: skip
    said = (
        "Nothing was landed." if not facts["loads"] else "Rows that are as they were landed last are not landed again."
    )
    return section("What was loaded", said, grid("Loads of this run", shown, facts["loads"]))
