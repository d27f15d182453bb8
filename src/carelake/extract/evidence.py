"""An extract that was made -> what proves how: facts for a program, and a page that somebody reads and signs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .. import __version__, labels
from ..model import Declarations
from ..report.sheet import Grid, Section, Sheet, Words, section
from .extraction import AGREED, Made, Order
from .selection import CUSTOM

NOT_CHECKED = (
    "Whether anybody who gets it knows something by which a person can be told (45 CFR 164.514(b)(2)(ii)).",
    "Whether a source wrote an identifier into a column that is declared to hold none.",
    "Which areas of the current census have 20,000 people or fewer, beyond the list on the privacy page.",
    "What can be told from this extract together with another one, or with what is known elsewhere.",
)
PROTECTED = "protected health information"
CALLED = {
    "safe_harbor": "De-identified by Safe Harbor, 45 CFR 164.514(b)(2), as far as the rows below hold",
    AGREED: f"A limited data set, 45 CFR 164.514(e): it is {PROTECTED}, and not de-identified",
}


def _called(declared: Declarations, profile: str) -> str:
    """What an extract may be called."""
    custom = declared.policy.custom
    if profile != CUSTOM or custom is None:
        return CALLED[profile]
    found = custom.determination
    if found is None:
        return f"{custom.about}: nobody determined it de-identified. It is {PROTECTED}"
    by = f"{found.by}, {found.on}, by {found.method}; it holds until {found.until}"
    return f"{custom.about}: de-identified by expert determination, 45 CFR 164.514(b)(1), of {by}"


def facts(declared: Declarations, order: Order, made: Made) -> dict[str, Any]:
    """What was made, for whom, of what, and how each of the 18 identifiers was treated. No value of a row is in it."""
    return {
        "extract": made.id, "profile": order.profile, "is": _called(declared, order.profile),
        "recipient": order.recipient, "address": order.address, "purpose": order.purpose,
        "agreement": order.agreement, "made_by": order.who, "made_at": order.now.isoformat(),
        "ages_as_of": order.as_of.isoformat(), "release": made.release,
        "carelake": __version__,
        "tables": [
            {
                "table": one.table,
                "rows": made.rows[one.table],
                "columns": [vars(column) for column in one.shown],
                "not_shown": dict(one.dropped),
            }
            for one in made.tables
        ],
        "files": dict(made.parts),
        "identifiers": list(_identifiers(declared, made)),
        "zip3_hidden": list(declared.policy.sparse_zip3),
        "zip3_told": list(declared.policy.peopled_zip3) or "all but those that are hidden",
        "risk": {
            "smallest_class_wanted": order.smallest_class,
            "before_suppression": made.before,
            "after_suppression": made.after,
            "persons_suppressed": made.suppressed,
            "persons_left_out": made.left_out,
        },
        "labels_not_seen": [label.name for label in labels.denied(declared, order.profile)],
        "not_checked": list(NOT_CHECKED),
    }  # fmt: skip


def _identifiers(declared: Declarations, made: Made) -> Iterator[dict[str, Any]]:
    """Each of the 18, and what became of the columns that hold one."""
    for letter, told in declared.extracts.identifiers.items():
        shown = [(one.table, column) for one in made.tables for column in one.shown if column.kind in told.kinds]
        hidden = [f"{one.table}.{n}" for one in made.tables for n, kind in one.dropped.items() if kind in told.kinds]
        yield {
            "letter": letter,
            "is": told.about,
            "shown": {f"{table}.{column.name}": column.treatment for table, column in shown},
            "not_shown": hidden,
            "found": _found(bool(told.kinds), bool(shown), bool(hidden)),
        }


def _found(declared: bool, shown: bool, hidden: bool) -> str:
    if shown:
        return "leaves as treated"
    if hidden:
        return "does not leave"
    return "no column of the extract is one" if declared else "no kind of fact that is declared is one"


def sheet(told: Mapping[str, Any]) -> Sheet:
    """The page of the evidence."""
    made = f"made {told['made_at'][:16]} UTC by {told['made_by']} of release {told['release']}"
    about = f"{told['is']}. For {told['recipient']}, {made}."
    parts = (_order, _tables, _identified, _risk, _unchecked)
    return Sheet(f"Evidence of extract {told['extract']}", about, tuple(part(told) for part in parts))


def _order(told: Mapping[str, Any]) -> Section:
    names = {
        "profile": "profile",
        "address": "address",
        "purpose": "what for",
        "agreement": "agreement",
        "ages_as_of": "ages as of",
    }
    rows = tuple((called, str(told[name])) for name, called in names.items() if told[name])
    is_protected = PROTECTED in told["is"]
    loud = "Protected health information: it may be used as agreed, and not otherwise." if is_protected else ""
    hidden = ", ".join(told["labels_not_seen"])
    words = f"Rows with one of these labels did not leave: {hidden}." if hidden else "No row was left out for a label."
    return section("What it is", Words(loud, loud=True), Grid("The order", ("what", "how"), rows), words)


def _tables(told: Mapping[str, Any]) -> Section:
    rows = [(one["table"], f"{one['rows']:,}", ", ".join(f"{c['name']} ({c['treatment']})" for c in one["columns"]),
             ", ".join(one["not_shown"])) for one in told["tables"]]  # fmt: skip
    files = tuple(told["files"].items())
    return section(
        "What is in it",
        Grid("Tables", ("table", "rows", "columns, and how each is shown", "not shown"), tuple(rows)),
        Grid("Files", ("file", "SHA-256"), files),
    )


def _identified(told: Mapping[str, Any]) -> Section:
    rows = tuple(
        (one["letter"], one["is"], one["found"], ", ".join(f"{name}: {how}" for name, how in one["shown"].items()))
        for one in told["identifiers"]
    )
    return section(
        "The 18 identifiers", Grid("45 CFR 164.514(b)(2)(i)", ("", "identifier", "what became of it", "how"), rows)
    )


def _risk(told: Mapping[str, Any]) -> Section:
    risk = told["risk"]
    names = {
        "persons": "persons",
        "smallest": "smallest class",
        "alone": "alone in theirs",
        "alone_by_two_events": "told by two events",
    }
    rows = tuple(
        (called, f"{risk['before_suppression'][name]:,}", f"{risk['after_suppression'][name]:,}")
        for name, called in names.items()
    )
    words = (
        "Nobody was suppressed: no smallest class was asked for."
        if risk["smallest_class_wanted"] < 2
        else (
            f"Persons in classes of fewer than {risk['smallest_class_wanted']} show no quasi-identifiers"
            f" ({', '.join(risk['after_suppression']['quasi_identifiers'])}): {risk['persons_suppressed']:,}."
            f" Left out with all their rows: {risk['persons_left_out']:,}."
        )
    )
    return section(
        "How easily persons could be told apart",
        words,
        Grid("Indicators", ("what", "before suppression", "as it leaves"), rows),
    )


def _unchecked(told: Mapping[str, Any]) -> Section:
    line = (
        "Read by ______________________  Role ______________________  Date ____________  Signature ____________________"
    )
    return section("What was not checked", *(Words(one) for one in told["not_checked"]), line)
