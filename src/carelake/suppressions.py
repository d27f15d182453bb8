"""Persons whom nobody is shown any more: a list of their keys, in the zone of originals, that is only added to.

Their rows stay where they are, and every view leaves them out: also rows that come later, since a key is for good.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from .engine import Engine

TABLE = "vault.stop_list"
COLUMNS = {
    "id": "BIGINT", "act": "TEXT", "person_key": "BIGINT", "who": "TEXT", "why": "TEXT", "happened_at": "TIMESTAMPTZ",
}  # fmt: skip
SUPPRESS, LIFT = "suppress", "lift"
ASKED = "SELECT act, person_key FROM {} AS stop_list ORDER BY id"


def hidden(engine: Engine) -> frozenset[int]:
    """The keys of the persons who are suppressed now."""
    return frozenset() if engine.version(TABLE) is None else standing(engine.ask(ASKED.format(TABLE)).to_pylist())


def standing(acts: Iterable[Mapping[str, Any]]) -> frozenset[int]:
    """The same, of what was done, in its order."""
    last = {int(act["person_key"]): act["act"] for act in acts}
    return frozenset(key for key, act in last.items() if act == SUPPRESS)


def without(people: Collection[int], key: str, relation: str, columns: Collection[str]) -> str:
    """`relation` without the rows of `people`, if it has their `key`. Keys are no identifiers, and may stand in SQL."""
    if not people or key not in columns:
        return relation
    listed = ", ".join(map(str, sorted(people)))
    return f"(SELECT * FROM {relation} AS every WHERE {key} IS NULL OR NOT {key} IN ({listed}))"
