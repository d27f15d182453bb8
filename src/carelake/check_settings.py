"""Settings, and the values that a project gives them -> the mistakes in them. Pure, and it never stops at the first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .check_words import misnamed, unknown
from .errors import Mistake
from .page import Page, listed, part, told

SPARKS, ENCRYPTED = "spark.", "spark.io.encryption.enabled"
WHOLE = re.compile(r"-?[0-9]{1,18}")
OF_ENGINES = {  # word -> what it must look like, and is called
    "memory": (re.compile(r"[1-9][0-9]{0,5}[MG]B"), "size", "Write `memory: 8GB`, or `memory: 900MB`."),
    "readers": (re.compile(r"[1-9][0-9]{0,3}"), "number of readers", "Write `readers: 16`; it may be 1 to 9999."),
}
OF_NUMBERS = {"type", "from", "to"}  # the words of a setting that is a whole number


def mistakes_in_settings(shipped: Page, project: Page) -> Iterator[Mistake]:
    """A setting says what it may be, and its default is that. A project adds to the shipped ones."""
    for page in (shipped, project):
        for name, says in page.says.items():
            yield from misnamed(page, name, says, "setting")
            if isinstance(says, Mapping):
                yield from _in_setting(page, name, says)
    for name in (name for name in project.says if name in shipped.says):
        found = f"the setting '{name}' is shipped already"
        why = "Marts that come with CareLake count on what it may be."
        yield project.mistake("LAKE-108", name, found, why, "Give it a value in lake.yml, or rename yours.")


def mistakes_in_values(lake: Page, settings: Mapping[str, Any]) -> Iterator[Mistake]:
    """The settings of lake.yml are among `settings`, and each may be what it is set to."""
    for name, value in lake.part("settings").items():
        yield from unknown(lake, name, "setting", settings)
        if not isinstance(value, str):
            found = f"setting '{name}' is not one word"
            yield lake.mistake("LAKE-101", name, found, "It means nothing so.", f"Write `{name}: ...`.")
        elif name in settings:
            yield from _unsuited(lake, name, value, part(settings, name))


def mistakes_in_engines(lake: Page) -> Iterator[Mistake]:
    """How much the embedded engine holds, how much of the sources Spark reads at once, and Spark's own settings."""
    for word in (word for word in lake.says if word in OF_ENGINES):  # it knows its line
        form, what, fix = OF_ENGINES[word]
        if not form.fullmatch(value := told(lake.says, word)):
            yield lake.mistake("LAKE-102", word, f"'{value}' is no {what}", "The engine would not start.", fix)
    yield from _in_spark(lake)


def _in_spark(lake: Page) -> Iterator[Mistake]:
    """Spark passes over a name that it does not know, so that slips go unseen."""
    for name, value in lake.part("spark").items():
        if not name.startswith(SPARKS):
            found, why = f"'{name}' is no setting of Spark", "Spark would pass over it."
            yield lake.mistake("LAKE-102", name, found, why, f"Write `{SPARKS}...`, as Spark's own pages name it.")
        elif not isinstance(value, str) or not value.strip():
            found = f"the setting '{name}' is not one word"
            yield lake.mistake("LAKE-101", name, found, "It means nothing so.", f"Write `{name}: ...`.")
        elif name == ENCRYPTED and value.strip().lower() != "true":
            found, why = "what spills would not be encrypted", "It has rows, in files beside the lake."
            yield lake.mistake("LAKE-102", name, found, why, "Leave it out: it is `true`.")


def may_be(says: Mapping[str, Any]) -> str:
    """What a setting may be, in words."""
    if "one_of" in says:
        return ", ".join(listed(says, "one_of"))
    bounds = (f"{word} {says[word]}" for word in ("from", "to") if word in says)
    return " ".join(["a whole number", *bounds])


def _in_setting(page: Page, name: str, says: Mapping[str, Any]) -> Iterator[Mistake]:
    if ("one_of" in says) == bool(OF_NUMBERS & says.keys()):
        found = f"setting '{name}' does not say either `one_of` or `type`"
        fix = "Write `one_of: [one, another]`, or `type: integer` with `from` and `to`."
        yield page.mistake("LAKE-101", name, found, "A slip in its value would go unseen.", fix)
        return
    if "type" in says:
        yield from unknown(page, says["type"], "type of a setting", ["integer"])
    bounds = [told(says, word) for word in ("from", "to") if word in says]
    if odd := [bound for bound in bounds if not WHOLE.fullmatch(bound)]:
        found = f"'{odd[0]}' is no whole number"
        yield page.mistake("LAKE-102", odd[0], found, "No value would be compared with it.", "Write digits only.")
    elif "default" in says:
        yield from _unsuited(page, name, told(says, "default"), says)


def _unsuited(page: Page, name: str, value: str, says: Mapping[str, Any]) -> Iterator[Mistake]:
    if "one_of" in says:
        yield from unknown(page, value, name, listed(says, "one_of"))
    elif not _is_within(value, says):
        why = "Marts would compute with another number, or with none."
        yield page.mistake("LAKE-102", value, f"{name} is '{value}'", why, f"Write {may_be(says)}.")


def _is_within(value: str, says: Mapping[str, Any]) -> bool:
    if not WHOLE.fullmatch(value):
        return False
    lowest, highest = (told(says, word) or value for word in ("from", "to"))
    return not all(map(WHOLE.fullmatch, (lowest, highest))) or int(lowest) <= int(value) <= int(highest)
