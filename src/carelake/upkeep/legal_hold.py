"""Legal holds: what nobody may take away until somebody has said that it may be. `audit.legal_holds`, only added to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from ..engine import Engine
from ..errors import LakeError, choose
from ..lake import Lake, still
from ..ledger import TABLE as LEDGER
from ..model import REPAIR, Declarations

TABLE = "audit.legal_holds"
COLUMNS = {
    "hold": "BIGINT", "act": "TEXT", "data_source": "TEXT", "feed": "TEXT", "who": "TEXT", "why": "TEXT",
    "happened_at": "TIMESTAMPTZ",
}  # fmt: skip
PLACE, LIFT = "place", "lift"
SHARED = ("gold", "vault", "audit")  # layers whose tables hold what many sources told


class HoldUnfit(LakeError):
    code = "LAKE-520"
    exit_code = 50
    why = "A hold that names what is not there holds nothing; and who asks for one later has to know why it was there."


@dataclass(frozen=True)
class Hold:
    """What is held, and why; who lifted it, if somebody has."""

    id: int
    source: str  # empty: everything
    feed: str  # of that source; empty: all of them
    who: str
    why: str
    placed_at: datetime
    lifted_by: str = ""
    lifted_why: str = ""
    lifted_at: datetime | None = None

    @property
    def over(self) -> str:
        return ".".join(filter(None, (self.source, self.feed))) or "everything"

    @property
    def stands(self) -> bool:
        return self.lifted_at is None

    def covers(self, source: str, feed: str) -> bool:
        """Whether it is over a feed."""
        return self.source in {"", source} and self.feed in {"", feed}


def every(engine: Engine) -> list[Hold]:
    """All holds, in the order they were placed, also those that were lifted."""
    if engine.version(TABLE) is None:
        return []
    holds: dict[int, Hold] = {}
    for row in engine.ask(f"SELECT * FROM {TABLE} ORDER BY happened_at, act DESC").to_pylist():
        if row["act"] == PLACE:
            holds[row["hold"]] = Hold(
                row["hold"], row["data_source"], row["feed"], row["who"], row["why"], row["happened_at"]
            )
        else:
            lifted = {"lifted_by": row["who"], "lifted_why": row["why"], "lifted_at": row["happened_at"]}
            holds[row["hold"]] = replace(holds[row["hold"]], **lifted)
    return [holds[number] for number in sorted(holds)]


def standing(engine: Engine) -> list[Hold]:
    """Those that nobody has lifted."""
    return [hold for hold in every(engine) if hold.stands]


def place(
    project: Path, environment: Mapping[str, str], source: str, feed: str, who: str, why: str, now: datetime
) -> Hold:
    """A new hold over everything, a source, or a feed of it. Raises `HoldUnfit`, `LakeBusy`, `LakeMissing`."""
    with still(project, environment) as lake:
        _refuse_unknown(lake, source, feed, why)
        number = max((hold.id for hold in every(lake.engine)), default=0) + 1
        _add(lake.engine, number, PLACE, (source, feed), who, why, now)
        return Hold(number, source, feed, who, why, now)


def lift(project: Path, environment: Mapping[str, str], number: int, who: str, why: str, now: datetime) -> Hold:
    """The hold, which holds nothing any more. Raises `HoldUnfit`, `LakeBusy`, `LakeMissing`."""
    with still(project, environment) as lake:
        stand = {hold.id: hold for hold in standing(lake.engine)}
        if number not in stand:
            listed = ", ".join(map(str, stand)) or "none"
            raise HoldUnfit(f"no hold {number} stands.", f"Those that stand: {listed}. See `carelake hold list`.")
        _refuse_blank(why)
        held = stand[number]
        _add(lake.engine, number, LIFT, (held.source, held.feed), who, why, now)
        return replace(held, lifted_by=who, lifted_why=why, lifted_at=now)


def _refuse_blank(why: str) -> None:
    if not why.strip():
        raise HoldUnfit("it does not say why.", 'Say it: `--why "..."`. It is kept.')


def _refuse_unknown(lake: Lake, source: str, feed: str, why: str) -> None:
    """Raises `HoldUnfit` for a source or a feed that is neither declared nor was ever loaded."""
    _refuse_blank(why)
    known = {(one.source, one.name) for one in lake.declared.feeds}
    asked = f"SELECT DISTINCT data_source, feed FROM {LEDGER} WHERE data_source <> '{REPAIR}'"
    known |= {(row["data_source"], row["feed"]) for row in lake.engine.ask(asked).to_pylist()}
    sources, feeds = {one for one, _ in known}, {name for one, name in known if one == source}
    if feed and not source:
        raise HoldUnfit("a feed is of a source, and none is named.", "Name it with --source.")
    if source and source not in sources:
        raise HoldUnfit(f"there is no source '{source[:60]}'.", choose(source, sources))
    if feed and feed not in feeds:
        raise HoldUnfit(f"{source} has no feed '{feed[:60]}'.", choose(feed, feeds))


def _add(engine: Engine, number: int, act: str, over: tuple[str, str], who: str, why: str, now: datetime) -> None:
    engine.create(TABLE, COLUMNS)
    row = {
        "hold": number, "act": act, "data_source": over[0], "feed": over[1], "who": who, "why": why,
        "happened_at": pa.scalar(now, pa.timestamp("us", "UTC")),
    }  # fmt: skip
    engine.lend("hold", pa.table({name: pa.array([value]) for name, value in row.items()}))
    engine.append(TABLE, "SELECT * FROM hold")
    engine.let_go("hold")


def is_held(stored: str, declared: Declarations, holds: Sequence[Hold]) -> bool:
    """Whether the earlier versions of a stored table may tell something that is held. Of a mart, the vault or an audit
    table, any hold is taken for one over it.
    """
    layer, _, name = stored.partition(".")
    if not holds or any(not hold.source for hold in holds):
        return bool(holds)
    if layer in SHARED:
        return True
    fed = {feed.fills for feed in declared.feeds if any(hold.covers(feed.source, feed.name) for hold in holds)}
    return name.removesuffix({"silver": "_versions", "restricted": "_history"}.get(layer, "")) in fed
