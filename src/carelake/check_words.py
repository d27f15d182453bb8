"""The words that declarations may say, and the shape of what stands behind each. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from .errors import Mistake, choose
from .model import DIMENSIONS, TYPES
from .page import Page

NEEDS = {
    "table": {"about", "key", "sequence_by", "history", "columns"},
    "column": {"type", "kind"},
    "rule": {"must", "because", "otherwise"},
    "severity": set[str](),
    "story": {"events"},
    "event": {"when"},
    "source": {"about", "feeds"},
    "feed": set[str](),
    "control": {"suffix"},
    "mart": {"about", "columns"},
    "column of a mart": {"kind", "about"},
    "lake": {"about"},
    "channel": {"of"},
    "roots": set[str](),
    "release": set[str](),
    "retention": set[str](),
    "access log": set[str](),
    "kpi": {"value", "unit"},
    "setting": {"about", "default"},
    "reconciliation": {"about", "otherwise"},
    "side": {"name", "select"},
    "privacy page": set[str](),
    "custom extract": {"is", "seen"},
    "label": {"about", "seen_by"},
    "labelled rows": set[str](),
    "determination": {"by", "on", "method", "until"},
    "extracts": {"about", "tables", "persons", "quasi_identifiers", "known_events", "identifiers"},
    "identifier": {"is", "kinds"},
}
MAY_HAVE = {
    "table": {"rules", "track", "tie_breaker", "z_order", "sla", "exact", "story"},
    "story": {"follows"},
    "event": {"show"},
    "column": {"required", "optional", "one_of", "refers_to", "about"},
    "rule": {"dimension", "tolerated", "sources"},
    "severity": {"otherwise", "tolerated"},
    "source": {"connection", "landing", "time_zone", "optional"},
    "feed": {
        "about", "table", "files", "service", "load", "watermark", "lookback", "key", "fills", "columns", "contract",
        "types", "delete_when", "wanted", "control", "time_zone", "active", "archive",
        "ignore",
    },
    "control": {"rows", "sum"},
    "mart": {"kpi", "recompute_by", "z_order"},
    "column of a mart": {"type"},
    "lake": {
        "roots", "encrypted_by", "env", "privacy_officer", "engine", "memory", "spark", "readers", "as_of", "rules",
        "settings", "release", "retention", "tell", "report", "access_log", "labels",
    },
    "channel": {"mail", "through", "sender", "webhook", "format", "after"},
    "release": {"keep"},
    "retention": {"bronze", "sources"},
    "access log": {"anchor", "keep"},
    "roots": {"lake", "originals", "restricted"},
    "privacy page": {"columns", "kinds", "lowered", "sparse_zip3", "custom", "labels"},
    "label": {"when"},
    "labelled rows": {"all_of", "providers"},
    "custom extract": {"determination"},
    "identifier": {"may_be"},
    "setting": {"one_of", "type", "from", "to"},
    "reconciliation": {"left", "right", "compares", "right_is", "tolerated", "beyond_chance", "behind", "fix"},
}  # fmt: skip
CHOICES = {
    "history": {"scd1", "scd2"},
    "otherwise": {"warn", "quarantine", "stop"},
    "dimension": set(DIMENSIONS),
    "type": set(TYPES),
    "load": {"full", "watermark", "append"},
    "contract": {"evolve", "freeze", "quarantine"},
    "engine": {"duck", "spark"},
    "env": {"prod", "dev"},
    "active": {"true", "false"},
    "archive": {"true", "false"},
    "optional": {"true", "false"},
    "required": {"true", "false"},
    "format": {"plain", "slack", "teams"},
    "compares": {"source_and_bronze", "bronze_and_silver", "silver_and_gold", "landed_and_usual"},
    "right_is": {"equal", "at_least", "at_most"},
    "beyond_chance": {"true", "false"},
}
MAPPINGS = {
    "access_log", "columns", "control", "determination", "encrypted_by", "events", "exact", "feeds", "identifiers",
    "kpi", "labels", "left", "may_be", "providers", "release", "retention", "right", "roots", "rules", "seen",
    "settings", "sources", "spark", "story", "tables", "tell", "types",
}  # fmt: skip
LISTS = {
    "all_of",
    "key",
    "kinds",
    "known_events",
    "mail",
    "of",
    "one_of",
    "quasi_identifiers",
    "seen_by",
    "show",
    "track",
    "z_order",
}

NAME = re.compile(r"[a-z][a-z0-9_]*")
SOURCE = CHANNEL = re.compile(r"[a-z][a-z0-9_-]*")
# Names stand in SQL without quotes, so that people can write them so: these words would be read as something else.
RESERVED = {
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "both", "case", "cast", "check",
    "collate", "column", "constraint", "create", "default", "deferrable", "desc", "describe", "distinct", "do",
    "else", "end", "except", "false", "fetch", "for", "foreign", "from", "group", "having", "in", "initially",
    "intersect", "into", "lambda", "lateral", "leading", "limit", "not", "null", "offset", "on", "only", "or",
    "order", "pivot", "pivot_longer", "pivot_wider", "placing", "primary", "qualify", "references", "returning",
    "select", "show", "some", "summarize", "symmetric", "table", "then", "to", "trailing", "true", "union", "unique",
    "unpivot", "using", "variadic", "when", "where", "window", "with",
}  # fmt: skip


def misnamed(page: Page, name: str, says: object, noun: str) -> Iterator[Mistake]:
    """Words that a noun lacks or does not know, and what stands behind a word and cannot."""
    if not isinstance(says, Mapping):
        fix = f"Write {', '.join(sorted(NEEDS[noun])) or 'its words'} below it, indented."
        yield page.mistake("LAKE-101", name, f"{noun} '{name}' says nothing", "It means nothing without.", fix)
        return
    for word in sorted(NEEDS[noun] - says.keys() - {"kind"}):
        found = f"{noun} '{name}' has no '{word}'"
        yield page.mistake("LAKE-101", name, found, "It means nothing without.", f"Add `{word}: ...`.")
    known = NEEDS[noun] | MAY_HAVE.get(noun, set())
    for word, value in says.items():
        if word in known:
            yield from _misshapen(page, word, value, f"'{word}' of {noun} '{name}'")
        else:
            yield from unknown(page, word, "word", known)


def _misshapen(page: Page, word: str, value: object, what: str) -> Iterator[Mistake]:
    if word in MAPPINGS:
        shape, fits, fix = (
            "a list of `name: ...`",
            isinstance(value, Mapping),
            "Indent one `name: ...` a line below it.",
        )
    elif word in LISTS:
        fits = isinstance(value, list) and all(isinstance(one, str) for one in value)
        shape, fix = "a list of words", f"Write `{word}: [one, another]`."
    else:
        shape, fits, fix = "one word or text", isinstance(value, str), f"Write it on one line: `{word}: ...`."
    if not fits:
        yield page.mistake("LAKE-101", word, f"{what} is not {shape}", "It means nothing so.", fix)
    elif word in CHOICES:
        yield from unknown(page, value, word, CHOICES[word])


def unknown(page: Page, word: object, noun: str, known: Iterable[str]) -> Iterator[Mistake]:
    """A word that is not among those known, and the nearest one to write instead."""
    if not isinstance(word, str) or word not in known:
        shown = word if isinstance(word, str) else "what stands here"
        found = f"there is no {noun} '{shown}'"
        yield page.mistake("LAKE-102", word, found, "A slip would go unseen.", choose(shown, known))


def unfit(page: Page, names: Iterable[str], pattern: re.Pattern[str] = NAME) -> Iterator[Mistake]:
    """Names that cannot be those of a folder, a table or a column."""
    why = "It becomes the name of a folder, a table or a column."
    for name in names:
        if name in RESERVED:
            found = f"'{name}' is a word of SQL and cannot be a name"
            yield page.mistake("LAKE-116", name, found, why, f"Say what it is of, as in `{name}_code`.")
        elif not isinstance(name, str) or not pattern.fullmatch(name):
            fix = "Use small letters, digits and underscores, beginning with a letter."
            yield page.mistake("LAKE-116", name, f"'{name}' cannot be a name", why, fix)
