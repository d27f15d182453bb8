"""What a month was like for whoever answers for privacy and security: the facts of its report, from `audit`.

`recorded` is what happened in the month and how it ended, told from what has a time: the same whenever it is written,
so that what was signed can be compared with it. `stands` is what is known of the day of writing only.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from .. import asked, epochs, keys, plan, purges, quarantine, release, score, standing
from .. import ledger as ledgers
from ..lake import Lake, root
from ..model import REPAIR
from ..plan import instant
from ..secret import PLACE
from ..tell import alert, telling
from ..upkeep import legal_hold
from .month import LOOKED_BACK, Month, unusual

RUNS = "audit.run_steps"
FAILED = "CASE WHEN outcome = 'failed' THEN 1 END"
NOT_CHECKED = (
    "Who read the files of the lake with other tools than CareLake: take that from the logs of the machine.",
    "What becomes of an answer to `carelake query`: CareLake cannot see it.",
    "Whether disks and backups are encrypted: CareLake cannot see it, and does not encrypt bronze.",
    "Whether backups were made, and whether one was ever restored: that is not recorded.",
    "Who may log in to the machine, and who may become the user that CareLake runs as.",
    "Whether somebody changed the audit tables: only the access log can show it. Whoever may write to the root of the"
    " lake can.",
    "Whether the clock of the machine was right.",
    "Agreements with business associates, training, risk analysis, physical safeguards, breaches that nobody reported.",
)


def told(lake: Lake, month: Month, now: datetime) -> dict[str, Any]:
    """The facts of a month. Nothing is written."""
    return {
        "lake": lake.project.resolve().name,
        "month": month.name,
        "provisional": now < month.until,
        "written_at": now,
        "recorded": _recorded(lake, month),
        "stands": _stands(lake, now),
        "not_checked": list(NOT_CHECKED),
    }


# --- what happened in the month --------------------------------------------------------------------------------------


def _recorded(lake: Lake, month: Month) -> dict[str, Any]:
    known = release.every(lake.engine) if lake.engine.version(release.TABLE) is not None else []
    end = next((one for one in known if one.released_at < month.until), None)
    by_hand = [one for one in reversed(known) if one.kind != "run" and month.has(one.released_at)]
    told = ("id", "kind", "who", "why", "released_at")
    return {
        "access": _access(lake, month),
        "runs": _runs(lake, month),
        "by_hand": [{name: getattr(one, name) for name in told} for one in by_hand],
        "repairs": list(_repairs(lake, month)),
        "begun_anew": _begun_anew(lake, month),
        "purges": _purges(lake, month),
        "holds": list(_moved(_holds(lake), month)),
        "failed_loads": list(_failed_loads(lake, month)),
        "alerts": _alerts(lake, month),
        **_quality(lake, month, end.held if end else {}),
    }


def _access(lake: Lake, month: Month) -> dict[str, Any]:
    """What was asked for in the month, by whom, and of how many people rows were shown."""
    known = asked.questions(lake)
    mine = [one for one in known if month.has(one["logged_at"])]
    odd = unusual([one["logged_at"] for one in known], month)
    return {
        "questions": len(mine),
        "users": [_user(who, [one for one in mine if one["who"] == who]) for who in sorted({o["who"] for o in mine})],
        "disclosures": [_asked(one) for one in mine if one["recipient"]],
        "is_usual_known": odd is not None,
        "unusual": [_asked(one) for one in mine if one["logged_at"] in (odd or [])],
    }


def _asked(one: asked.Told) -> dict[str, Any]:
    told = {name: one[name] for name in ("who", "purpose", "recipient", "rows_shown", "logged_at")}
    given = {name: one.get("given", {}).get(name, "") for name in ("profile", "address", "agreement")}
    return {**told, **given, "tables_read": ", ".join(one["tables_read"])}


def _user(who: str, mine: Sequence[asked.Told]) -> dict[str, Any]:
    days: dict[date, set[str]] = {}
    for one in mine:
        days.setdefault(one["logged_at"].date(), set()).update(one["people"])
    return {
        "who": who,
        "questions": len(mine),
        "row_count": sum(one["rows_shown"] for one in mine),
        "people": len(set().union(*days.values())),
        "most_in_a_day": max(map(len, days.values())),
        "last_asked": mine[-1]["logged_at"],
    }


def _runs(lake: Lake, month: Month) -> dict[str, Any]:
    rows = _rows(lake, RUNS, f"SELECT run_id, MIN(started_at) AS began, COUNT({FAILED}) AS failed FROM {RUNS}"
                 f" WHERE started_at >= {instant(month.until - LOOKED_BACK)} AND started_at < {instant(month.until)}"
                 " GROUP BY run_id ORDER BY began")  # fmt: skip
    mine = [row for row in rows if month.has(row["began"])]
    odd = unusual([row["began"] for row in rows], month)
    return {
        "count": len(mine),
        "failed": sum(row["failed"] > 0 for row in mine),
        "is_usual_known": odd is not None,
        "unusual": [{"run_id": row["run_id"], "began": row["began"]} for row in mine if row["began"] in (odd or [])],
    }


def _repairs(lake: Lake, month: Month) -> Iterator[dict[str, Any]]:
    """Rows that were repaired, accepted or replayed: by whom, how many, and why, in that person's words."""
    there = plan.widened(ledgers.TABLE, lake.engine.columns(ledgers.TABLE), ledgers.COLUMNS)
    asked = (
        "SELECT load_id, load_type AS how, feed, numberofrowscopied AS row_count, who, why, extracted_at AS landed_at"
        f" FROM {there} AS loads WHERE data_source = '{REPAIR}' AND {_within('extracted_at', month)} ORDER BY id"
    )
    yield from _rows(lake, ledgers.TABLE, asked)


def _begun_anew(lake: Lake, month: Month) -> list[dict[str, Any]]:
    told = "table_name, how, release, who, why, begun_at"
    where = _within("begun_at", month)
    return _rows(lake, epochs.TABLE, f"SELECT {told} FROM {epochs.TABLE} WHERE {where} ORDER BY begun_at, table_name")


def _purges(lake: Lake, month: Month) -> list[dict[str, Any]]:
    """What was taken out of bronze for its age."""
    told = (
        "purge, COUNT(*) AS loads, CAST(SUM(rows_purged) AS BIGINT) AS row_count, MAX(who) AS who,"
        " MAX(purged_at) AS purged_at"
    )
    asked = f"SELECT {told} FROM {purges.TABLE} WHERE {_within('purged_at', month)} GROUP BY purge ORDER BY purge"
    return _rows(lake, purges.TABLE, asked)


def _holds(lake: Lake) -> list[dict[str, Any]]:
    """Every legal hold: over what, who placed and who lifted it, when and why."""
    return [vars(hold) | {"over": hold.over} for hold in legal_hold.every(lake.engine)]


def _moved(holds: Iterable[Mapping[str, Any]], month: Month) -> Iterator[dict[str, Any]]:
    """Those that were placed or lifted in the month; of one that was lifted later, nothing of that."""
    for hold in holds:
        lifted = hold["lifted_at"]
        if month.has(hold["placed_at"]) or (lifted and month.has(lifted)):
            later = lifted is not None and lifted >= month.until
            yield {**hold, **({"lifted_by": "", "lifted_why": "", "lifted_at": None} if later else {})}


def _failed_loads(lake: Lake, month: Month) -> Iterator[dict[str, Any]]:
    """Feeds that could not be read, how often, and whether they could be again before the month was over."""
    asked = (
        f"SELECT name AS feed, COUNT({FAILED}) AS times, MAX(CASE WHEN outcome = 'failed' THEN code END) AS code,"
        " MAX(CASE WHEN outcome = 'failed' THEN started_at END) AS last_failed,"
        " MAX(CASE WHEN outcome <> 'failed' THEN started_at END) AS last_read"
        f" FROM {RUNS} WHERE step = 'extract' AND {_within('started_at', month)} GROUP BY name ORDER BY name"
    )
    for row in _rows(lake, RUNS, asked):
        if row["times"]:
            told = {name: row[name] for name in ("feed", "code", "times", "last_failed")}
            yield told | {"is_mended": row["last_read"] is not None and row["last_read"] > row["last_failed"]}


def _alerts(lake: Lake, month: Month) -> dict[str, Any]:
    """How many were raised, and those that were open when the month ended."""
    rows = [row for row in telling.kept(lake.engine) if row["happened_at"] < month.until]
    mine = [row for row in rows if month.has(row["happened_at"])]
    stands = sorted(alert.standing(rows).items(), key=lambda one: (one[1].since, one[0]))
    return {
        "raised": sum(row["event"] == "seen" for row in mine),
        "acknowledged": sum(row["event"] == "acknowledged" for row in mine),
        "open": [
            {
                "alert": name,
                "since": one.since,
                **{word: one.cause[word] for word in ("outcome", "code", "what")},
                "who": (one.acknowledged or {}).get("who"),
            }
            for name, one in stands
        ],
    }


def _quality(lake: Lake, month: Month, held: Mapping[str, str]) -> dict[str, Any]:
    """How good the data was when the month ended, judged by what is declared today."""
    counts = standing.latest(lake.engine, lake.declared, month.until)
    verdicts = score.verdicts(lake.declared, counts, held) if counts else []
    scores = score.scores(lake.declared, counts)
    told = ("table", "source", "rows", "trusted", "sla")
    return {
        "marts": {"judged": len(verdicts), "not": [vars(one) for one in verdicts if one.verdict == "not"]},
        "below_sla": [{name: getattr(one, name) for name in told} for one in scores if not one.meets_sla],
    }


def _within(column: str, month: Month) -> str:
    return f"{column} >= {instant(month.since)} AND {column} < {instant(month.until)}"


def _rows(lake: Lake, table: str, select: str) -> list[dict[str, Any]]:
    """What a SELECT over a table of `audit` says; nothing, in a lake that does not have it yet."""
    return list(lake.engine.ask(select).to_pylist()) if lake.engine.version(table) is not None else []


# --- what is so on the day of writing --------------------------------------------------------------------------------


def _stands(lake: Lake, now: datetime) -> dict[str, Any]:
    is_made = lake.engine.version(release.TABLE) is not None
    waits = quarantine.waits(lake, now) if is_made else []
    late = [vars(one) | {"age": (now - one.since).days} for one in waits if one.overdue]
    return {
        "keys": list(_keys(lake, now)),
        "secrets": sorted({name for place in _places(lake) for name in PLACE.findall(place)}),
        "retention": _retention(lake),
        "holds": [hold for hold in _holds(lake) if hold["lifted_at"] is None],
        "overdue": late,
        "roots": list(_roots(lake)),
    }


def _keys(lake: Lake, now: datetime) -> Iterator[dict[str, Any]]:
    """The data keys of the vault: what each is for, which key of the secret provider wraps it, and since when, at
    least, it is in use. Of the first ones no moment is kept, only that of the first token.
    """
    first = [row["since"] for row in _rows(lake, "vault.token", "SELECT MIN(minted_at) AS since FROM vault.token")]
    asked = f"SELECT key_id, use, wrapped_by, made_at FROM {keys.TABLE} ORDER BY made_at, use, key_id, wrapped_by"
    for row in _rows(lake, keys.TABLE, asked):
        told = {name: row[name] for name in ("key_id", "use", "wrapped_by")}
        since = row["made_at"] if row["made_at"] > keys.BEGAN else next(iter(first), None)
        yield told | {"since": since, "days": (now - since).days if since else None}


def _places(lake: Lake) -> Iterator[str]:
    """Where names of secrets stand."""
    yield from (feed.connection for feed in lake.declared.feeds)
    yield from (channel.address for channel in lake.declared.channels)


def _retention(lake: Lake) -> dict[str, Any]:
    asked = f"SELECT COUNT(*) AS loads, MIN(extracted_at) AS oldest FROM {ledgers.TABLE}"
    (kept,) = _rows(lake, ledgers.TABLE, asked) or [{"loads": 0, "oldest": None}]
    place = lake.declared.place
    days = {"release_days": place.keep, "quarantine_days": quarantine.days(lake)}
    return {"bronze": place.retention.bronze, "sources": dict(place.retention.sources), **days, **kept}


def _roots(lake: Lake) -> Iterator[dict[str, Any]]:
    """Where the zones are, and whether other users of the machine may enter them."""
    for name in sorted(lake.declared.place.roots):
        folder = root(lake.project, lake.declared, name)
        mode = folder.stat().st_mode if folder.is_dir() else None
        is_open = None if mode is None else bool(mode & (stat.S_IRWXG | stat.S_IRWXO))
        yield {"root": name, "folder": str(folder), "is_open_to_others": is_open, "encrypted": "unknown"}
