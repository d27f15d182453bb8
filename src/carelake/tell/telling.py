"""A run's causes, told to those who want to hear of them, and kept in `audit.alerts`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa

from ..engine import Engine
from ..errors import AlertUnknown, LakeError
from ..lake import Lake
from ..model import Channel
from . import alert, post
from .alert import COLUMNS, TABLE, Cause, Open, Trouble
from .message import written

SCHEMA = pa.schema(
    [(name, pa.timestamp("us", "UTC") if kind == "TIMESTAMPTZ" else pa.string()) for name, kind in COLUMNS.items()]
)


def tell(lake: Lake, troubles: Iterable[Trouble], run_id: str, now: datetime) -> Iterator[tuple[str, LakeError | int]]:
    """Each channel, with how many causes it was told of, or with what kept it from being told.

    A message goes out before it is kept that it did: who is killed in between tells it twice, and never not at all.
    """
    found = alert.causes(troubles)
    rows = _rows(lake.engine)
    now, stands = _behind(rows, now), alert.standing(rows)
    news = [*_gone(found, stands, run_id, now), *_seen(found, stands, run_id, now)]
    stands = alert.standing([*rows, *news])
    for channel in lake.declared.channels:
        told, error = _told(lake, channel, alert.due(channel, found, stands, now), run_id)
        news += [alert.row("told", cause.alert, now, run_id=run_id, channel=channel.name) for cause in told]
        if told or error:
            yield channel.name, error or len(told)
    _keep(lake.engine, news)


def _gone(found: list[Cause], stands: Mapping[str, Open], run_id: str, now: datetime) -> list[dict[str, Any]]:
    here = {cause.alert for cause in found}
    return [alert.row("gone", name, now, run_id=run_id) for name in stands if name not in here]


def _seen(found: list[Cause], stands: Mapping[str, Open], run_id: str, now: datetime) -> list[dict[str, Any]]:
    return [
        alert.row("seen", cause.alert, now, run_id=run_id, outcome=cause.outcome, code=cause.code, found=cause.found,
                  what=", ".join(cause.what))
        for cause in found
        if cause.alert not in stands
    ]  # fmt: skip


def _told(lake: Lake, channel: Channel, due: list[Cause], run_id: str) -> tuple[list[Cause], LakeError | None]:
    """The causes that a channel was told of, until one could not be sent."""
    told: list[Cause] = []
    try:
        address = lake.secrets.filled(channel.address) if due else ""
        for cause in due:
            post.send(channel, address, written(cause, lake.project.resolve().name, run_id))
            told.append(cause)
    except LakeError as error:
        return told, error
    return told, None


def acknowledge(lake: Lake, name: str, who: str, note: str, now: datetime) -> None:
    """Keep that somebody looks after an alert: nobody is told of it again as long as it is there.

    Raises `AlertUnknown`.
    """
    rows = _rows(lake.engine)
    if name not in alert.standing(rows):
        raise AlertUnknown("no alert of that name is open.", "`carelake alerts list` shows those that are.")
    _keep(lake.engine, [alert.row("acknowledged", name, _behind(rows, now), who=who, note=note)])


def _behind(rows: Iterable[Mapping[str, Any]], now: datetime) -> datetime:
    """Now, or when the last row was written: a clock may go backwards, and what is told must not."""
    moments: list[datetime] = [now, *(row["happened_at"] for row in rows)]
    return max(moments)


def listed(lake: Lake) -> list[dict[str, Any]]:
    """Every alert that is open, the oldest first; none in a lake that has no `audit.alerts` yet."""
    stands = sorted(alert.standing(kept(lake.engine)).items(), key=lambda one: (one[1].since, one[0]))
    return [_plain(name, one) for name, one in stands]


def _plain(name: str, one: Open) -> dict[str, Any]:
    cause = {word: one.cause[word] for word in ("outcome", "code", "what", "found", "run_id")}
    looked = one.acknowledged or {"who": None, "note": None}
    mine = {"who": looked["who"], "note": looked["note"], "told": sorted(one.told)}
    return {"alert": name, "since": one.since, **cause, **mine}


def kept(engine: Engine) -> list[dict[str, Any]]:
    """Every row of `audit.alerts`; none in a lake that has none yet."""
    return _rows(engine) if engine.version(TABLE) is not None else []


def _rows(engine: Engine) -> list[dict[str, Any]]:
    return list(engine.ask(f"SELECT {', '.join(COLUMNS)} FROM {TABLE}").to_pylist())


def _keep(engine: Engine, rows: list[dict[str, Any]]) -> None:
    if rows:
        engine.lend("alert_rows", pa.Table.from_pylist(rows, SCHEMA))
        engine.append(TABLE, "SELECT * FROM alert_rows")
        engine.let_go("alert_rows")
