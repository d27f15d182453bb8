"""`tell` of lake.yml -> the nouns. Checked elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from .model import Channel
from .page import Page


def channels(lake: Page) -> Iterator[Channel]:
    """Who is told what, and by which way."""
    for name, says in lake.part("tell").items():
        yield Channel(
            name=name,
            of=tuple(says["of"]),
            address=says.get("webhook") or says["through"],
            mail=tuple(says.get("mail", ())),
            sender=says.get("sender", ""),
            form=says.get("format", "plain"),
            after=int(says.get("after", 0)),
        )
