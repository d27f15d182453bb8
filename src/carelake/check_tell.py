"""What lake.yml says of telling people -> the mistakes in it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .check_words import CHANNEL, misnamed, unfit, unknown
from .errors import Mistake
from .page import Page, listed, told

OUTCOMES = ("failed", "held", "warned")
DIGESTS = ("daily", "weekly")


def mistakes_in_channels(page: Page) -> Iterator[Mistake]:
    """A channel says how it tells, of what, and to whom; its address is a secret."""
    channels = page.part("tell")
    yield from unfit(page, channels, CHANNEL)
    for name, says in channels.items():
        yield from misnamed(page, name, says, "channel")
        if isinstance(says, Mapping):
            for outcome in listed(says, "of"):
                yield from unknown(page, outcome, "outcome", (*OUTCOMES, *DIGESTS))
            yield from _unreachable(page, name, says)


def _unreachable(page: Page, name: str, says: Mapping[str, Any]) -> Iterator[Mistake]:
    ways = [word for word in ("mail", "webhook") if word in says]
    needs = {"mail": ("through", "sender"), "webhook": ("webhook",)}
    lacks = [word for way in ways for word in needs[way] if not told(says, word)]
    secret = told(says, "webhook" if ways == ["webhook"] else "through")
    hours = told(says, "after") or "0"
    if len(ways) != 1 or lacks:
        found = f"channel '{name}' does not say where to"
        fix = "Say `webhook: ${NAME}`; or `mail: [...]`, `through: ${NAME}` and `sender: ...`."
        yield page.mistake("LAKE-142", name, found, "Nobody would hear of anything.", fix)
    elif "${" not in secret:
        found = f"channel '{name}' writes out its address"
        why = "Who knows the address of a webhook or the password of a mail server can speak in its name."
        yield page.mistake("LAKE-142", secret, found, why, "Write `${NAME}`, and give it to the secret provider.")
    elif not (hours.isdigit() and len(hours) < 5):
        fix = "Write it as in `after: 4`."
        yield page.mistake("LAKE-142", hours, f"'{hours}' is no number of hours", "Nobody would be told.", fix)
