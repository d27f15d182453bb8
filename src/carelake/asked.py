"""What was asked of the lake: the events of the access log, a question each."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from . import checkpoint
from .journal import Event
from .lake import Lake

Told = dict[str, Any]


def questions(lake: Lake) -> list[Told]:
    """Everything that was asked for, oldest first, each with how many rows were shown of it, and whose: also what no
    checkpoint has moved yet.
    """
    return together((*(event for event, _ in checkpoint.stored(lake.engine)), *checkpoint.waiting(lake)))


def together(events: Iterable[Event]) -> list[Told]:
    """The questions of `events`, each with the rows that were shown of it. An event may be there twice."""
    shown: dict[tuple[str, int], list[Told]] = defaultdict(list)
    asked: dict[tuple[str, int], Told] = {}
    for chain, number, told, _ in sorted(set(events)):
        event = json.loads(told)
        if event["action"] == "shown":
            shown[chain, event["of_number"]].append(event)
        else:
            asked[chain, number] = {**event, "record": f"{chain}/{number}"}
    return sorted((_whole(told, shown[place]) for place, told in asked.items()), key=lambda one: one["logged_at"])


def _whole(told: Told, shown: list[Told]) -> Told:
    people = sorted({patient for one in shown for patient in one["patients"]})
    at = datetime.fromisoformat(told["logged_at"])
    return {**told, "logged_at": at, "rows_shown": sum(one["rows_shown"] for one in shown), "people": people}


def is_of_patients(told: Told) -> bool:
    """Whether a question read tables in which rows may be about patients."""
    return not all(table.startswith(("audit.", "reference.")) for table in told["tables_read"])
