"""An older lake -> the declarations of today. What only adds happens by itself; the rest is named, never guessed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import epochs, made, plan
from .engine import Engine
from .errors import LakeOutdated
from .model import Declarations


@dataclass(frozen=True)
class Change:
    """A difference between a stored table and what is declared."""

    table: str
    column: str
    change: str
    adds: bool
    fix: str


def changes(engine: Engine, declared: Declarations) -> Iterator[Change]:
    """Every difference between the stored silver tables and the declared ones."""
    for table in declared.tables.values():
        for name, columns in epochs.stored(table, declared.policy).items():
            yield from _differing(name, engine.columns(name), columns, table.name)
    yield from _made_otherwise(engine, declared)


def _made_otherwise(engine: Engine, declared: Declarations) -> Iterator[Change]:
    """Columns whose stored values were made in another way than new ones would be."""
    known = made.known(engine, epochs.current(engine))
    for table in declared.tables.values():
        for column, how in plan.made_as(table, declared.policy).items():
            was = known.get((table.name, column), how)
            if was != how:
                again = f"Declare it so that it is made as '{was}' again, or make it anew: {_anew(table.name)}."
                yield Change(f"silver.{table.name}", column, f"was made as '{was}', and would be '{how}'", False, again)


def _anew(table: str) -> str:
    return f"`carelake reprocess {table} --because …`"


def _differing(name: str, stored: Mapping[str, str], wanted: Mapping[str, str], table: str) -> Iterator[Change]:
    if not stored:
        return
    held = {column: made.spelled(kind) for column, kind in stored.items()}
    for column, kind in wanted.items():
        if column not in held:
            yield Change(name, column, f"is new ({kind})", True, "It is empty in the versions stored before.")
        elif held[column] != made.spelled(kind):
            again = f"Declare it as {held[column]} again, or make it anew: {_anew(table)}."
            yield Change(name, column, f"is stored as {held[column]}, declared as {kind}", False, again)
    for column in held.keys() - wanted.keys():
        yield Change(name, column, "is declared no more", True, "It stays stored, and is not shown.")


def migrate(project: Path, environment: Mapping[str, str], *, dry_run: bool) -> list[Change]:
    """Add to the lake of `project` what the declarations have added; every change there is.

    With `dry_run`, nothing is written. Changes that do not only add are not made: see `exit_code`.
    """
    from .lake import opened  # the lake itself asks this module what has changed

    with opened(project, environment, writing=False) as lake:
        found = list(changes(lake.engine, lake.declared))
    if not dry_run and found and all(change.adds for change in found):
        with opened(project, environment, writing=True):
            pass  # opening it to write adds the columns
    return found


def exit_code(found: Sequence[Change]) -> int:
    """0 if the lake is, or by adding became, what is declared."""
    return 0 if all(change.adds for change in found) else LakeOutdated.exit_code
