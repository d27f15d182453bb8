"""Which reader reads which kind of feed. A reader's libraries are imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from ..model import Feed
from . import Delivery, Progress


def read(
    feed: Feed,
    connection: str,
    progress: Progress,
    now: datetime,
    *,
    whole: bool = False,
    there: Callable[[], str] | None = None,
) -> Iterator[Delivery]:
    """The deliveries of `feed`, which reads a database or files: see `Reader`. `there` gives the connection to other
    machines, from their secrets.
    """
    if feed.reader == "sql":
        from . import sql

        return sql.read(feed, connection, progress, now, whole=whole, there=there)
    from . import files

    return files.read(feed, connection, progress, now, whole=whole)


def unclaimed(feeds: Sequence[Feed], landing: Path) -> list[str]:
    """The files of a landing folder that none of its feeds takes, as they may be told."""
    from .files_folder import unclaimed
    from .files_names import shown

    return [shown(path, landing, feed) for path, feed in unclaimed(feeds, landing)]


def look_up(
    feed: Feed, connection: str, progress: Progress, now: datetime, wanted: Sequence[str], cache: Path
) -> Iterator[Delivery]:
    """What a service answers for what is `wanted`, and to the query that its feed declares; see `reference.read`."""
    from . import reference

    return reference.read(feed, connection, progress, now, wanted=wanted, cache=cache)
