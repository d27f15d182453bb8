"""Stories of keys: what each load of a small lake brings of each key, told to a true lake and to the reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from in_memory import InMemory, declared, hours
from versions_reference import NO_RULES, Arrived, Landed, Rules, Told, Version, accepted, ambiguous, timeline

from carelake import plan
from carelake.ledger import Load
from carelake.model import Declarations
from carelake.timeline import standing

TABLE = """
about: Things that change.
key: [source_system, thing_id]
sequence_by: updated_at
history: {history}
{more}
columns:
  source_system: {{type: text, kind: not_personal}}
  thing_id:      {{type: text, kind: event_number, refers_to: thing}}
  name:          {{type: text, kind: not_personal}}
  amount:        {{type: money, kind: not_personal}}
  alias:         {{type: text, kind: name}}
  phone:         {{type: text, kind: phone}}
  born:          {{type: date, kind: birth_date}}
  rank:          {{type: text, kind: not_personal}}
  updated_at:    {{type: timestamp, kind: event_date}}
rules:
  amount_not_negative:
    must: amount >= 0
    because: nobody is charged less than nothing
    otherwise: quarantine
"""
FEED = """
    fills: thing
    key: [id]
    delete_when: gone = 'yes'
    columns: {thing_id: id, name: name, amount: amount, alias: alias, phone: phone, born: born, rank: rank,
              updated_at: told_at}
"""
SOURCE = f"""
about: A source of things.
connection: nowhere
feeds:
  roll:
    table: roll{FEED}
  news:
    table: news
    load: watermark
    watermark: told_at{FEED}
"""
PAGES = {"sources/one.yml": SOURCE, "sources/two.yml": SOURCE}
COLUMNS = ("id", "name", "amount", "alias", "phone", "born", "rank", "gone", "told_at")
SAID = ("name", "amount", "alias", "phone", "born", "rank")  # what a row says besides its key and its time
EARLY, MIDDLE, LATE, FUTURE = (str(hours(n)) for n in (5, 15, 25, 500))

Row = Mapping[str, str | None]  # without its id
Cell = tuple[Row, ...]  # what one load brings of one key


def row(name: str | None = "A", at: str | None = EARLY, **more: str | None) -> Row:
    """A row of a thing called `name`."""
    return {"name": name, "amount": "1.00", "told_at": at, **more}


A, B = row("A"), row("B")
PLAIN: tuple[Cell, ...] = (
    (),
    (A,),
    (B,),
    (row("A", MIDDLE),),
    (row("B", MIDDLE),),
    (row("B", LATE),),
    (row("A", None),),
    (A, B),
    (A, row("B", MIDDLE)),
    (row("A", EARLY, amount="-1"),),
    (row("A", MIDDLE, gone="yes"),),
)
ODD: tuple[Cell, ...] = (
    (row("A", FUTURE),),
    (row("B", FUTURE), A),
    (row("B", None),),
    (A, A),
    (A, A, B),
    (row(None),),
    (row(""),),
    (row("NULL"),),
    (row("A", MIDDLE, phone="555"),),
    (row("A", MIDDLE, phone=""),),
    (row("A", EARLY, born="1936-02-28"),),
    (row("A", EARLY, born="1936-02-29", alias="Ann"),),
    (row("A", LATE, alias="Ann"),),
    (row("A", EARLY, amount=None),),
    (row("A", EARLY, amount="a lot"),),
    (row("A", LATE, amount="-1"),),
    (row("A", EARLY, amount="-1"), A),
    (row("A", EARLY, gone="yes"),),
    (row("A", LATE, gone="yes"),),
    (row("A", None, gone="yes"),),
    (row("A", EARLY, gone="yes"), A),
    (row("A", "one day"),),
    (row("A", rank="1"), row("B", rank="2")),
    (row("A", rank=None), row("B", rank="2")),
    (row("A", rank="2"), row("B", rank="2"), row("B", rank="1")),
)
CELLS = PLAIN + ODD


@dataclass(frozen=True)
class Step:
    """One load: of which feed, whether it holds all there is, and whether silver is refined behind it."""

    feed: str = "one.roll"
    whole: bool = True
    upper: float | None = None  # hours behind the start
    refined: bool = True


Stories = Mapping[str | None, Sequence[Cell]]  # key -> what each step brings of it


def declarations(folder: Path, *, history: str = "scd2", more: str = "") -> Declarations:
    """One table, `thing`, and two sources of two feeds each."""
    return declared(folder, {**PAGES, "silver/thing.yml": TABLE.format(history=history, more=more)})


def told(lake: InMemory, steps: Sequence[Step], stories: Stories) -> list[Load | None]:
    """The load that each step of the stories became; silver is refined where a step says so, and at the end."""
    loads = []
    for n, step in enumerate(steps):
        rows = [{"id": key, **one} for key, cells in stories.items() for one in cells[n]]
        upper = None if step.upper is None else hours(step.upper)
        loads.append(lake.land(step.feed, rows, columns=COLUMNS, whole=step.whole, seen=seen_at(n), upper=upper))
        if step.refined:
            lake.refine(now=seen_at(n))
    lake.refine(now=seen_at(len(steps)))
    return loads


def seen_at(step: int) -> datetime:
    """When the extraction of a step ran."""
    return hours(10 * (step + 1))


# --- what the reference makes of it ----------------------------------------------------------------------------------

Key = tuple[str, str | None]  # source, id


def arrivals(steps: Sequence[Step], stories: Stories, loads: Sequence[Load | None]) -> dict[Key, list[Arrived]]:
    """What each load should have brought of each key. Asserts that each step landed as many rows as it should."""
    feeds: dict[str, Landed] = {}
    came: dict[Key, list[Arrived]] = {}
    for n, (step, load) in enumerate(zip(steps, loads, strict=True)):
        given = [Told(key, None, _raw(one)) for key, cells in stories.items() for one in cells[n]]
        news, vanished = feeds.setdefault(step.feed, Landed()).land(given, whole=step.whole)
        assert (load.rows if load else 0) == len(news) + len(vanished), f"step {n} landed other rows"
        landed: dict[str | None, list[Told]] = {key: [] for key in vanished}
        for row in news:
            landed.setdefault(row.key, []).append(_typed(row, seen_at(n)))
        for key, rows in landed.items():
            upper = seen_at(n) if step.upper is None else hours(step.upper)
            arrived = Arrived(load.id if load else 0, upper, seen_at(n), tuple(rows), key in vanished)
            came.setdefault((step.feed.partition(".")[0], key), []).append(arrived)
    return came


def _raw(one: Row) -> tuple[str | None, ...]:
    return tuple(one.get(column) for column in COLUMNS[1:])


def _typed(landed: Told, seen: datetime) -> Told:
    """A row of bronze as silver reads it: blank text is nothing, and what cannot be read, or what tells a time that is
    more than a day ahead of the extraction, is not good.
    """
    says = {name: value or None for name, value in zip(COLUMNS[1:], landed.values, strict=True)}
    readable = says["amount"] != "a lot" and says["told_at"] != "one day"
    gone = says["gone"] == "yes"
    time = datetime.fromisoformat(says["told_at"]) if says["told_at"] and readable else None
    ahead = time is not None and time > seen + timedelta(days=1)
    good = landed.key is not None and not ahead and (gone or (readable and says["amount"] != "-1"))
    return Told(landed.key, time, tuple(says[name] for name in SAID), good, gone, says["rank"])


# --- what both are compared by ---------------------------------------------------------------------------------------

SHOWN = ("name", "amount", "rank")


def expected(came: Mapping[Key, Sequence[Arrived]], rules: Rules = NO_RULES) -> dict[Key, set[tuple[Any, ...]]]:
    """Key -> its versions, as the reference has them."""
    return {key: {_shown(version) for version in timeline(loads, rules)} for key, loads in came.items() if key[1]}


def _shown(version: Version) -> tuple[Any, ...]:
    says = dict(zip(SAID, version.values, strict=False))
    told = tuple(says.get(name) for name in SHOWN)
    place = (version.valid_from, version.valid_to, version.current, version.change)
    return (version.load, version.time, version.deleted, told, *place)


def found(lake: InMemory) -> dict[Key, set[tuple[Any, ...]]]:
    """Key -> its versions, as the lake has them."""
    table = lake.declared.tables["thing"]
    versions: dict[Key, set[tuple[Any, ...]]] = {}
    for row in lake.ask(standing(table, lake.declared.policy, "silver.thing_versions")):
        says = {"name": row["name"], "amount": row["amount"] and str(row["amount"]), "rank": row["rank"]}
        told = tuple(None if row["is_deleted"] else says[name] for name in SHOWN)
        place = (row["valid_from"], row["valid_to"], row["is_current"], row["is_change"])
        version = (row[plan.LOAD], row[plan.SOURCE_TIME], row["is_deleted"], told, *place)
        mine = versions.setdefault((row["source_system"], row["thing_id"]), set())
        assert version not in mine, "a version stands twice"
        mine.add(version)
    return versions


def differences(came: Mapping[Key, Sequence[Arrived]], lake: InMemory, rules: Rules = NO_RULES) -> str:
    """The key of the shortest story whose versions are not as they should be; empty if all are."""
    should, are = expected(came, rules), found(lake)
    wrong = [key for key in should.keys() | are.keys() if should.get(key, set()) != are.get(key, set())]
    if not wrong:
        return ""
    key = min(wrong, key=lambda key: (sum(1 + len(load.rows) for load in came.get(key, ())), str(key)))
    return "\n".join(
        [
            f"{len(wrong)} of {len(should)} keys differ; the shortest story, {key}:",
            *(f"  load {load}" for load in came.get(key, ())),
            *(f"  missing {version}" for version in sorted(should.get(key, set()) - are.get(key, set()), key=str)),
            *(f"  too many {version}" for version in sorted(are.get(key, set()) - should.get(key, set()), key=str)),
        ]
    )


def held_back(came: Mapping[Key, Sequence[Arrived]], rules: Rules = NO_RULES) -> Counter[tuple[Any, ...]]:
    """(source, key, load, name, is it ambiguous) of every row that should be in quarantine."""
    rows: Counter[tuple[Any, ...]] = Counter()
    for (source, key), loads in came.items():
        for load in loads:
            rows.update((source, key, load.load, told.values[0], False) for told in load.rows if not told.good)
            rows.update((source, key, load.load, told.values[0], True) for told in ambiguous(load, rules))
    return rows


def quarantined(lake: InMemory) -> Counter[tuple[Any, ...]]:
    """The same, as the lake has them."""
    return Counter(
        (row["source_system"], row["thing_id"], row[plan.LOAD], row["name"], "ambiguous" in row["quarantine_reasons"])
        for row in lake.ask("SELECT * FROM quarantine.thing")
    )


def exact(came: Mapping[Key, Sequence[Arrived]], rules: Rules = NO_RULES) -> Counter[tuple[Any, ...]]:
    """(source, key, load, birth date) of every row that the restricted zone should hold."""
    rows: Counter[tuple[Any, ...]] = Counter()
    for (source, key), loads in came.items():
        for load in loads:
            kept = [*accepted(load, rules), *ambiguous(load, rules), *(one for one in load.rows if not one.good)]
            rows.update((source, key, load.load, told.values[4]) for told in kept if not told.gone)
    return rows


def restricted(lake: InMemory) -> Counter[tuple[Any, ...]]:
    """The same, as the lake has them."""
    known = "SELECT DISTINCT thing_key, thing_id FROM silver.thing_versions"
    known += " UNION SELECT DISTINCT thing_key, thing_id FROM quarantine.thing"
    exact = "SELECT exact.*, thing_id FROM restricted.thing_history AS exact"
    return Counter(
        (row["source_system"], row["thing_id"], row[plan.LOAD], row["born"] and str(row["born"]))
        for row in lake.ask(f"{exact} LEFT JOIN ({known}) AS known USING (thing_key)")
    )
