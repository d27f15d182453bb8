"""Which reader reads which kind of feed. A reader's libraries are imported when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from ..model import Feed
from . import Delivery, Progress


def read(feed: Feed, connection: str, progress: Progress, now: datetime, *, whole: bool = False) -> Iterator[Delivery]:
    """The deliveries of `feed`: see `Reader`."""
    if feed.reader == "sql":
        from . import sql

        return sql.read(feed, connection, progress, now, whole=whole)
    if feed.reader == "files":
        from . import files

        return files.read(feed, connection, progress, now, whole=whole)
    from . import reference

    return reference.read(feed, connection, progress, now, whole=whole)
