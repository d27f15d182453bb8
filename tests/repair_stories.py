"""A lake whose sources spoil some of their rows, and one that gets them right: what both hold in the end."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from in_memory import InMemory
from version_stories import COLUMNS, FUTURE, Row, Step, Stories, declarations, seen_at

from carelake import bronze, plan, repair, timeline
from carelake.repair import Act, Correction

NOTED = (*COLUMNS, "note")  # what no column of silver reads: it tells rows apart whose difference was spoiled


def acting(how: str, now: datetime, why: str | None = None) -> Act:
    return Act(how, "tester", why, now)


def told(
    folder: Path,
    steps: Sequence[Step],
    stories: Stories,
    spoils: Mapping[str, Row],
    chance: random.Random,
    table: Any,
    between: Callable[[InMemory], None] = lambda lake: None,
) -> InMemory:
    """Tell stories in which some rows are spoiled. What is held back for that is repaired, in any order and between any
    two loads; in the end all of it. What happens to the lake `between` is to change none of it.
    """
    lake = InMemory(folder / "lake", declarations(folder / "project", **table))
    for n, step in enumerate(steps):
        rows = [{"id": key, **one, "note": note(key, one)} for key, cells in stories.items() for one in cells[n]]
        spoiled = [{**row, **spoils.get(str(row["note"]), {})} for row in rows]
        lake.land(step.feed, spoiled, columns=NOTED, whole=step.whole, seen=seen_at(n))
        if step.refined:
            lake.refine(now=seen_at(n))
            waiting = corrections(lake, stories, spoils)
            mended = chance.sample(waiting, chance.randint(0, len(waiting)))
            for half in (mended[::2], mended[1::2]):
                waits = {one.id for one in corrections(lake, stories, spoils)}  # one that repeats a mended one does not
                if some := [one for one in half if one.id in waits]:
                    repair.repair(lake, some, acting("repair", seen_at(n)))
                    if chance.random() < 0.5:
                        lake.refine(now=seen_at(n))
        between(lake)
    lake.refine(now=seen_at(len(steps)))
    between(lake)
    if spoils and (rest := corrections(lake, stories, spoils)):
        repair.repair(lake, rest, acting("repair", seen_at(len(steps))))
        lake.refine(now=seen_at(len(steps)))
    return lake


def note(key: str | None, one: Row) -> str:
    return repr((key, sorted((name, str(value)) for name, value in one.items())))


def spoils_of(stories: Stories, chance: random.Random, share: float) -> dict[str, Row]:
    """Note of a row -> what its source tells wrong of it, each time it tells it: always so that it is held back."""
    spoiled: dict[str, Row] = {}
    every = {note(key, one): one for key, cells in stories.items() if key for cell in cells for one in cell}
    for name, one in every.items():
        wrong = [{"told_at": FUTURE}]
        if one.get("gone") != "yes":  # of a row that says it is gone, no more is demanded than its place
            wrong += [{"amount": "-7"}, {"amount": "a lot"}, {"told_at": "one day"}]
        if chance.random() < share:
            spoiled[name] = chance.choice(wrong)
    return spoiled


def corrections(lake: InMemory, stories: Stories, spoils: Mapping[str, Row]) -> list[Correction]:
    """What would make good each spoiled row that is held back; in an order that is the same in every lake, as that of
    the rows in bronze is not.
    """
    right = {note(key, one): one for key, cells in stories.items() for cell in cells for one in cell}
    spoiled = [(load, name, row) for (load, row), name in notes(lake).items() if name in spoils]
    return [
        Correction(f"{load}-{row}", f"{load}-{row}", {column: right[name].get(column) for column in spoils[name]})
        for load, name, row in sorted(spoiled)
    ]


def notes(lake: InMemory) -> dict[tuple[int, int], str]:
    """Load and row of all that is held back -> the note of its row in bronze."""
    found = {}
    held = {(row[plan.LOAD], row[plan.ROW]) for row in lake.ask("SELECT * FROM quarantine.thing")}
    for feed in lake.declared.feeds:
        for load in lake.ledger.loads(feed):
            if load.parts and any(load.id == one for one, _ in held):
                lake.engine.show("looked", bronze.files(lake.bronze, [load]), plan.NUMBER)
                for row in lake.ask(f"SELECT note, {plan.NUMBER} AS row FROM looked"):
                    if (load.id, row["row"]) in held:
                        found[load.id, row["row"]] = row["note"]
    return found


# --- what both are compared by ---------------------------------------------------------------------------------------

CLOCK = {"inserted_date", "modified_date", "quarantined_at", plan.REVISION}


def ends(lake: InMemory) -> dict[str, Counter[tuple[Any, ...]]]:
    """All that a lake holds of its things, row by row; loads by feed and number, keys by what they stand for."""
    loads = {one.id: one.load_id for feed in lake.declared.feeds for one in lake.ledger.loads(feed)}
    keys = {row["key"]: (row["source_system"], row["source_id"]) for row in lake.ask("SELECT * FROM vault.key_map")}
    table = lake.declared.tables["thing"]
    selects = {
        "versions": timeline.standing(table, lake.declared.policy, "silver.thing_versions"),
        "all": "SELECT * FROM silver.thing_all",
        "history": "SELECT * FROM silver.thing_history",
        "restricted": "SELECT * FROM restricted.thing_history",
        "quarantine": f"SELECT * EXCLUDE ({plan.ROW}) FROM quarantine.thing",
    }
    return {name: Counter(_plain(lake.ask(select), loads, keys)) for name, select in selects.items()}


def _plain(
    rows: Iterable[Mapping[str, Any]], loads: Mapping[int, str], keys: Mapping[int, Any]
) -> Iterable[tuple[Any, ...]]:
    for row in rows:
        held = bool(row.get("is_quarantined"))
        passing = CLOCK | ({"valid_from"} if held and row["updated_at"] is None else set())
        told = {name: value for name, value in sorted(row.items()) if name not in passing}
        if plan.LOAD in told:
            told[plan.LOAD] = loads[told[plan.LOAD]]
        told["thing_key"] = keys.get(told["thing_key"])
        yield tuple(told.items())


def difference(one: InMemory, other: InMemory) -> list[str]:
    """What two lakes differ in."""
    mine, theirs = ends(one), ends(other)
    return [
        f"{name}: {len(mine[name] - theirs[name])} too many, {len(theirs[name] - mine[name])} missing"
        f"\n  {list(mine[name] - theirs[name])[:1]}\n  {list(theirs[name] - mine[name])[:1]}"
        for name in mine
        if mine[name] != theirs[name]
    ]
