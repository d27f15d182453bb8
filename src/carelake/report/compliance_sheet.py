"""The facts of a month -> the page that whoever answers for privacy and security reads and signs. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from .facts import Facts
from .sheet import Grid, Section, Sheet, Words, cell, counted, grid, listed, percent, section

FOOTER = (
    "Written by CareLake from its audit tables. No value of a row is on this page. Months and times are UTC. It helps a"
    " review of information system activity (45 CFR 164.308(a)(1)(ii)(D)); it does not replace one."
)
UNNAMED = (
    "People are counted by the names that they have in the access log, where an answer says whose its rows are;"
    " `carelake audit who-saw` finds them, and `carelake audit verify` says whether the log is as it was written."
)


def sheet(facts: Facts) -> Sheet:
    """The page of a month: what it comes to, who signed it, then each part, and what was not checked."""
    state = "provisional: the month is not over" if facts["provisional"] else "the month is over"
    about = f"Lake {facts['lake']}, {facts['month']} ({state}). Written {cell(facts['written_at'])} UTC."
    parts = (_short, _reviews, _access, _patterns, _loads, _keys, _retention, _risks, _not_checked)
    return Sheet(f"HIPAA compliance report of {facts['month']}", about, tuple(one(facts) for one in parts))


def _short(facts: Facts) -> Section:
    said, stands = facts["recorded"], facts["stands"]
    access = said["access"]
    alone = sum(one["who"] is None for one in said["alerts"]["open"])
    late = sum(one["overdue"] for one in stands["overdue"])
    told = {
        "Questions that were asked": f"{access['questions']:,}, by {counted(len(access['users']), 'user')}",
        "Given to somebody outside": f"{len(access['disclosures']):,}",
        "Runs": f"{said['runs']['count']:,}, of which {said['runs']['failed']:,} failed",
        "At unusual hours": f"{len(said['runs']['unusual']):,}"
        if said["runs"]["is_usual_known"]
        else "too few runs to say",
        "Releases changed by hand": f"{len(said['by_hand']):,}",
        "Repairs, accepted and replayed rows": f"{counted(len(said['repairs']), 'load')} of"
        f" {sum(one['row_count'] for one in said['repairs']):,} rows",
        "Feeds that could not be read": f"{len(said['failed_loads']):,}",
        "Alerts open when the month ended": f"{len(said['alerts']['open']):,}, of which nobody looked after {alone:,}",
        "Marts that may not be used": f"{len(said['marts']['not']):,} of {said['marts']['judged']:,}",
        "Rows in quarantine for too long, today": f"{late:,}",
    }
    loud = "The month is not over: all of this is provisional, and cannot be signed." if facts["provisional"] else ""
    return section(
        "In short", Words(loud, loud=True), Grid("What the month comes to", ("what", "how"), tuple(told.items()))
    )


def _reviews(facts: Facts) -> Section:
    shown = {
        "who": "signed by", "role": "role", "os_user": "as the system's user", "signed_at": "when", "note": "note",
        "sha256": "SHA-256 of what was signed",
    }  # fmt: skip
    none = "" if facts["reviews"] else "Nobody has signed this report."
    line = (
        ""
        if facts["provisional"] or facts["reviews"]
        else "Reviewed by ______________________  Role ______________________  Date ____________"
    )
    return section(
        "Review and sign-off", none, line, grid("Who has signed", shown, facts["reviews"]), *_differing(facts)
    )


def _differing(facts: Facts) -> Iterator[Words]:
    for one in facts["reviews"]:
        who = f"{one['who']} signed on {cell(one['signed_at'])}"
        if not one["is_whole"]:
            yield Words(f"What {who} is not what the audit table holds of it: it was changed since.", loud=True)
        elif one["differs"]:
            parts = ", ".join(name.replace("_", " ") for name in one["differs"])
            yield Words(f"This page is not what {who}. What was recorded differs in: {parts}.", loud=True)
        else:
            yield Words(f"What was recorded of the month is what {who}.")


def _access(facts: Facts) -> Section:
    said = facts["recorded"]["access"]
    users = {
        "who": "who", "questions": "questions", "row_count": "rows shown", "people": "people",
        "most_in_a_day": "most in a day", "last_asked": "last",
    }  # fmt: skip
    given = {
        "recipient": "to", "address": "where", "profile": "as", "agreement": "agreement", "who": "by",
        "purpose": "what for", "tables_read": "of", "rows_shown": "rows", "logged_at": "when",
    }  # fmt: skip
    none = "" if said["questions"] else "Nobody asked anything through CareLake this month."
    return section(
        "Access and extracts",
        none or UNNAMED,
        grid("Who asked, and what was shown", users, said["users"]),
        grid("What was given to somebody outside", given, said["disclosures"]),
    )


def _patterns(facts: Facts) -> Section:
    """What deserves a question, of what is recorded."""
    said = facts["recorded"]
    usual = (
        "A run or a question is at an unusual hour if fewer than one in twenty of those of the last 90 days came"
        " within an hour of that time of day. Of fewer than 20 nothing is said."
    )
    by_hand = {"id": "release", "kind": "what", "who": "who", "released_at": "when", "why": "why"}
    repairs = {
        "load_id": "load",
        "how": "how",
        "feed": "feed",
        "row_count": "rows",
        "who": "who",
        "landed_at": "when",
        "why": "why",
    }
    anew = {"table_name": "table", "how": "how", "release": "release", "who": "who", "begun_at": "when", "why": "why"}
    asked = {"who": "who", "logged_at": "when", "tables_read": "of", "rows_shown": "rows", "purpose": "what for"}
    found = (
        grid("Questions at unusual hours", asked, said["access"]["unusual"]),
        grid("Runs at unusual hours", {"run_id": "run", "began": "began"}, said["runs"]["unusual"]),
        grid("Releases rolled back or resumed", by_hand, said["by_hand"]),
        grid("Rows that were held back, and were repaired, accepted or replayed", repairs, said["repairs"]),
        grid("Tables made anew or set back", anew, said["begun_anew"]),
    )
    none = "" if any(one.rows for one in found) else "Nothing of it happened this month."
    return section("Unusual patterns", usual, *found, none)


def _loads(facts: Facts) -> Section:
    shown = {"feed": "feed", "times": "times", "last_failed": "last", "code": "code", "is_mended": "read again since"}
    rows = facts["recorded"]["failed_loads"]
    said = "" if rows else "Every feed that was tried was read."
    return section("Failed loads", said, grid("Feeds that could not be read", shown, rows))


def _keys(facts: Facts) -> Section:
    stands = facts["stands"]
    shown = {
        "key_id": "key",
        "use": "what for",
        "wrapped_by": "wrapped by",
        "since": "in use since, at least",
        "days": "days",
    }
    names = f"The age of these secrets is unknown: {listed(stands['secrets'], 40)}." if stands["secrets"] else ""
    return section(
        "Keys",
        "`carelake keys rotate` changes the key of the secret provider, which wraps all others, and the one that seals."
        if stands["keys"]
        else "Nothing was loaded yet, so that there are no keys.",
        grid("Keys of the vault, on the day of writing", shown, stands["keys"]),
        names,
    )


def _retention(facts: Facts) -> Section:
    said, kept = facts["recorded"], facts["stands"]["retention"]
    oldest = f", the first one on {cell(kept['oldest'])} UTC" if kept["oldest"] else ""
    told = (
        ("What is history in bronze", kept["bronze"]),
        *((f"of {source}", words) for source, words in sorted(kept["sources"].items())),
        ("Loads that were landed", f"{kept['loads']:,}{oldest}"),
        ("A release stays readable for", f"{kept['release_days']:,} days after the next one"),
        ("A row may wait in quarantine for", f"{kept['quarantine_days']:,} days"),
    )
    gone = {"purge": "purge", "loads": "loads", "row_count": "rows", "who": "who", "purged_at": "when"}
    held = {"id": "hold", "over": "over", "who": "placed by", "placed_at": "when", "why": "why"}
    lifted = {"lifted_by": "lifted by", "lifted_at": "when", "lifted_why": "why"}
    return section(
        "Retention and legal holds",
        Grid("What is kept, and for how long, on the day of writing", ("what", "how long"), told),
        grid("Taken out of bronze this month", gone, said["purges"]),
        "" if said["purges"] else "Nothing was taken out of bronze this month.",
        grid("Legal holds placed or lifted this month", held | lifted, said["holds"]),
        grid("Legal holds that stand on the day of writing", held, facts["stands"]["holds"]),
        "" if facts["stands"]["holds"] else "No legal hold stands.",
    )


def _risks(facts: Facts) -> Section:
    said, stands = facts["recorded"], facts["stands"]
    alerts = {
        "alert": "alert",
        "since": "since",
        "outcome": "outcome",
        "code": "code",
        "what": "what",
        "who": "looked after by",
    }
    late = {
        "table": "table",
        "rule": "rule",
        "source": "source",
        "overdue": "rows overdue",
        "since": "oldest",
        "age": "its days",
    }
    below = tuple(
        (one["table"], one["source"], cell(one["rows"]), percent(one["trusted"]), percent(one["sla"]))
        for one in said["below_sla"]
    )
    roots = tuple(
        (one["root"], one["folder"], _open(one["is_open_to_others"]), one["encrypted"]) for one in stands["roots"]
    )
    return section(
        "Open risks",
        grid("Alerts open when the month ended", alerts, said["alerts"]["open"]),
        Grid("Marts that might not be used when the month ended", ("mart", "because"),
             tuple((one["mart"], "\n".join(one["because"])) for one in said["marts"]["not"])),
        Grid("Tables below their SLA when the month ended", ("table", "source", "rows", "trusted", "SLA"), below),
        grid("Rows in quarantine for longer than they may, on the day of writing", late, stands["overdue"]),
        Grid("Where the zones are, on the day of writing",
             ("root", "folder", "open to other users of the machine", "encrypted at rest"), roots),
        "Judged by the rules, thresholds and SLAs that are declared on the day of writing.",
    )  # fmt: skip


def _open(is_open: bool | None) -> str:
    return "not there" if is_open is None else cell(is_open)


def _not_checked(facts: Facts) -> Section:
    rows = tuple((str(number), text) for number, text in enumerate(facts["not_checked"], 1))
    return section("What was not checked", Grid("Nothing on this page says anything about it", ("no.", "what"), rows))
