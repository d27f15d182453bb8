"""What there is to be seen: the SELECT behind each name that a question may say, pinned to one release."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from .. import changes, plan, purges, story, suppressions, timeline
from ..engine.stored import exists, seen
from ..errors import LakeDamaged, QuestionRefused, choose
from ..labels import Hiding, denied
from ..lake import ZONES, root
from ..model import REPAIR, Declarations, Feed, Table
from ..repaired import RESOLVED
from . import question as questions
from .answering import MEND, Answering, undamaged
from .asker import PERSON, Asker

SHOWN_AS_STORED = ("gold", "quarantine", "reference")  # of silver, only the views: row hashes are never shown
RELEASES = "audit.releases"
CHANGES = "audit.changes"  # made of the histories when it is asked for, and stored nowhere


@dataclass
class Shown:
    """What the latest release shows, or what stands now, to an audience."""

    project: Path
    declared: Declarations
    answering: Answering
    as_it_stands: bool = False
    audience: str = Asker.audience

    def __post_init__(self) -> None:
        self.views: dict[str, tuple[Table, str]] = {
            f"silver.{name}": (table, name)
            for table in self.declared.tables.values()
            for name in (table.name, f"{table.name}_history", f"{table.name}_all")
        }
        latest = self._standing() if self.as_it_stands else self._latest()
        self.released: Mapping[str, int] = json.loads(latest["tables"]) if latest else {}
        self.loads = latest["loads"] if latest else 0
        self.release = latest.get("id") if latest else None
        self.held_loads: Mapping[str, int] = json.loads(latest.get("held_loads") or "{}") if latest else {}
        self.hiding = Hiding(self.declared, denied(self.declared, self.audience), self._suppressed(), self._versions)
        feeds = (*self.declared.feeds, *self._repairs())
        self.bronze = {feed.relation: feed for feed in feeds}

    def names(self) -> list[str]:
        stored = [name for name in self.released if name.partition(".")[0] in SHOWN_AS_STORED]
        audit = [f"audit.{p.name}" for p in sorted((self._root("audit") / "audit").glob("*")) if p.is_dir()]
        return sorted([*self.views, *self.bronze, *stored, *audit, *([CHANGES] if self.released else [])])

    def select(self, name: str) -> str:
        layer = name.partition(".")[0]
        if not self.released and layer != "audit":
            raise QuestionRefused("nothing is released yet.", "Run `carelake run`, and ask again.")
        if name in self.views:
            return self._silver(*self.views[name])
        if name == CHANGES and self.released:
            return self._changes()
        if name in self.bronze or name.removesuffix("_rejected") in self.bronze:
            return self._bronze(name)
        if layer == "audit" and exists(self._root("audit") / name.replace(".", "/")):
            return self._stored(name, None)
        if name in self.released and layer in SHOWN_AS_STORED:
            return f"SELECT * FROM {self._seen(name, layer)}"
        raise QuestionRefused(f"there is no table '{name}'.", choose(name, self.names()))

    def _silver(self, table: Table, view: str) -> str:
        stored, held = self._relations(table)
        standing = f"(\n{timeline.standing(table, self.declared.policy, stored)}\n)"
        return timeline.seen(table, self.declared.policy, standing, held)[view]

    def _relations(self, table: Table) -> tuple[str, str]:
        """What stores a table's versions and its quarantine, as released, without who is suppressed by now."""
        held = plan.quarantine_columns(table, self.declared.policy)
        waiting = self._widened(f"quarantine.{table.name}", held)
        return self.hiding.without(table, self._versions(table)), self.hiding.without(table, waiting)

    def _seen(self, name: str, layer: str) -> str:
        """A stored table, as released, without rows of persons and events that are not to be seen."""
        columns, rows = seen(self._delta(name, self.released[name])), f"({self._stored(name, self.released[name])})"
        table = self.declared.tables.get(name.partition(".")[2]) if layer == "quarantine" else None
        return self.hiding.without(table, rows) if table else self.hiding.without_keys(rows, columns)

    def _versions(self, table: Table) -> str:
        return self._widened(f"silver.{table.name}_versions", plan.stored_columns(table, self.declared.policy))

    def _changes(self) -> str:
        """The changes of every table that keeps its history and is released."""
        kept = (table for table in self.declared.tables.values() if changes.is_told(table))
        released = [table for table in kept if f"silver.{table.name}_versions" in self.released]
        policy, loads = self.declared.policy, f"({self._stored('audit.load_logs', None)})"
        told = []
        for each in released:
            stored, held = self._relations(each)
            told.append(changes.changes(each, policy, stored, self._mended(each, held), loads))
        return "\nUNION ALL\n".join(told)

    def _mended(self, table: Table, held: str) -> str:
        """The places of rows that were held back and stand now: as told, or of `held` in a lake without repairs."""
        if not exists(self._root("audit") / RESOLVED.replace(".", "/")):
            return held
        place, settled = f"{plan.LOAD}, {plan.SOURCE_TIME}", self._stored(RESOLVED, None)
        return f"(SELECT key AS {table.own_key}, {place} FROM ({settled}) WHERE table_name = '{table.name}')"

    def _widened(self, name: str, wanted: Mapping[str, str]) -> str:
        """The table as it was released, with the columns that were declared since."""
        select = self._stored(name, self.released.get(name))
        holds = [field.name for field in self._delta(name, self.released[name]).schema().fields]
        return plan.widened(f"({select})", holds, wanted)

    def told(self, table: Table) -> dict[str, str]:
        """What stories are told of, by name: the versions of `table`, what is held back of it, and the loads."""
        if not self.released:
            raise QuestionRefused("nothing is released yet.", "Run `carelake run`, and ask again.")
        stored, held = self._relations(table)
        loads = f"({self._stored('audit.load_logs', None)})"
        steps = changes.steps(table, self.declared.policy, stored, self._mended(table, held), loads)
        every = f"SELECT * FROM {held} AS held"
        told = {story.STEPS: steps, story.HELD: every, story.LOADS: f"SELECT id, load_id FROM {loads} AS load"}
        whose = ", ".join(dict.fromkeys((table.own_key, PERSON)))
        if PERSON in {table.own_key, *table.refers}:
            told[story.WHOSE] = f"SELECT {whose} FROM {stored} AS stored"
        return told

    def _stored(self, name: str, version: int | None) -> str:
        if version is None and not name.startswith("audit."):
            raise QuestionRefused(f"{name} is in no release yet.", "Run `carelake run`, and ask again.")
        return self.answering.version(self._delta(name, version), name)

    def _delta(self, name: str, version: int | None) -> DeltaTable:
        layer, _, table = name.partition(".")
        with undamaged(name, DeltaError):
            return DeltaTable(str(self._root(layer) / layer / table), version=version)

    def _bronze(self, name: str) -> str:
        feed = self.bronze[name.removesuffix("_rejected")]
        rejected = name.endswith("_rejected") and name not in self.bronze
        last = self.held_loads.get(f"{feed.source}.{feed.name}", 2**62)
        where = f"data_source = '{feed.source}' AND feed = '{feed.name}' AND id <= {self.loads} AND sequence <= {last}"
        rows = self.answering.rows(f"SELECT folder, parts FROM {self._loads_left()} AS load WHERE {where}")
        base = root(self.project, self.declared, "originals") / "bronze"
        parts = [
            base / r["folder"] / p for r in rows for p in (["rejected.parquet"] if rejected else json.loads(r["parts"]))
        ]
        found = [str(path) for path in parts if path.exists()]
        if len(found) < len(parts) and not rejected:  # of rejected lines most loads have no file
            raise LakeDamaged(f"{name} is not there as the latest release knows it.", MEND)
        if not found:
            raise QuestionRefused(
                f"nothing has been landed in {name}.", "Run `carelake run`, or see `carelake status`."
            )
        return self.answering.landed(found)

    def _loads_left(self) -> str:
        """All loads, as purges have left them."""
        there = exists(self._root("audit") / purges.TABLE.replace(".", "/"))
        taken = f"({self._stored(purges.TABLE, None)})" if there else ""
        loads = f"({self._stored('audit.load_logs', None)})"
        return purges.left(loads, ("id", "data_source", "feed", "sequence", "folder", "bytes", "parts"), taken)

    def _latest(self) -> dict[str, Any] | None:
        """The row of the latest release; None before the first."""
        if not exists(self._root("audit") / RELEASES.replace(".", "/")):
            return None
        releases = self._stored(RELEASES, None)
        return next(iter(self.answering.rows(f"SELECT * FROM ({releases}) ORDER BY id DESC LIMIT 1")), None)

    def _suppressed(self) -> frozenset[int]:
        """The persons whom nobody is shown: as it is now, whatever is released."""
        if not exists(self._root("vault") / suppressions.TABLE.replace(".", "/")):
            return frozenset()
        acts = f"({self.answering.version(self._delta(suppressions.TABLE, None), suppressions.TABLE)})"
        return suppressions.standing(self.answering.rows(suppressions.ASKED.format(acts)))

    def _standing(self) -> dict[str, Any]:
        """The same of every table as it stands now, and of all loads."""
        layers = (layer for layer in questions.LAYERS if layer in ZONES)
        folders = (path for layer in layers for path in (self._root(layer) / layer).glob("*"))
        stored = [f"{path.parent.name}.{path.name}" for path in folders if path.is_dir() and exists(path)]
        tables = {name: self._delta(name, None).version() for name in sorted(stored)}
        return {"tables": json.dumps(tables), "loads": sys.maxsize}

    def _repairs(self) -> list[Feed]:
        """The feeds of repairs that there are."""
        if not self.released:
            return []
        asked = f"SELECT DISTINCT feed FROM ({self._stored('audit.load_logs', None)}) WHERE data_source = '{REPAIR}'"
        there = {row["feed"] for row in self.answering.rows(asked)}
        return [feed.repairs for feed in self.declared.feeds if feed.repairs.name in there]

    def _root(self, layer: str) -> Path:
        return root(self.project, self.declared, ZONES[layer])
