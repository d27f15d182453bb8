"""From an identifier to everything that it may look like, and where any of that stands in what is searched.

    search = Search([Planted("name", "Ada Byron")], ordinary=shipped_words())
    search.found(files(folder))                    # kind, form and place of everything that was found
    search.found([*files(folder), *said("the plan", plan)])

What is searched for, and by which rule:

- A form of eight bytes or more stands anywhere: in text, in the middle of a word, in bytes that nobody can read.
- A shorter one, of four bytes or more, is found as a whole word of what is text. By chance it stands in any 100 MB of
  compressed bytes. Of digits alone it must be a whole cell of text, or stand in quotes: any count may be 73301, and
  backwards it is another ZIP code or procedure.
- Digits alone, as many as they are, are found only where no letter and no digit stands beside: a SHA-256 has many. They
  are searched for of what has more digits than letters: those of an address may be those of any day.
- What is shorter than four bytes (an initial, an age) is not searched for by itself.
- A word that CareLake itself ships (`June`, `fields`), or that the sources also hold in a column which is kept (a ZIP
  code that is a procedure, too), tells of nobody, and is not searched for by itself either.

`Search.left_out` counts what these rules take away.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

import numpy as np

LONG, SHORT = 8, 4  # bytes
LEAST_DIGITS = 7  # of a number that is written among other signs: fewer are a part of it, a count, a year
HASHES = ("md5", "sha1", "sha256", "sha512")
HASHED = 16  # signs of a written hash that are enough to know it by, also where it was cut
PIECE, OVERLAP = 1 << 22, 1 << 12
MIX, SLOTS = np.uint64(0x9E3779B97F4A7C15), 24
WORD, QUOTED = re.compile(rb"[0-9A-Za-z]+"), re.compile(rb"[\"']([0-9]{4,7})[\"']")
ALNUM = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


@dataclass(frozen=True)
class Planted:
    """An identifier as a source gives it, and its kind in `privacy.yml`."""

    kind: str
    value: str


@dataclass(frozen=True)
class Place:
    """Something that is searched. Short forms are searched for in text only."""

    where: str
    content: bytes
    is_text: bool = True


@dataclass(frozen=True, order=True)
class Finding:
    """What was found where. Not the value: whoever reads a failed test need not know it."""

    kind: str
    form: str
    where: str


# --- what an identifier looks like -----------------------------------------------------------------------------------


def forms(value: str) -> Iterator[tuple[str, bytes]]:
    """Every form of an identifier, with its name; some are given twice."""
    written = spellings(value)
    for name, text in written.items():
        yield name, text.encode()
        yield f"{name} in UTF-16", text.encode("utf-16-le")
    for escaped in {quote(value, safe=""), quote(value), quote_plus(value)} - {value}:
        yield "URL-encoded", escaped.encode()
        yield "URL-encoded", re.sub(r"%..", lambda code: code[0].lower(), escaped).encode()
    for escaped in {json.dumps(value)[1:-1], html.escape(value), value.replace("'", "''")} - {value}:
        yield "escaped", escaped.encode()  # as JSON, a page and SQL have it
    for text in {*written.values()} - {written["reversed"]}:
        raw = text.encode()
        yield from based(raw)
        yield from hashed(raw)


def spellings(value: str) -> dict[str, str]:
    """As it is written, in small and in capital letters, backwards; the digits of a number; a date as Americans do."""
    told = {"plain": value, "small": value.casefold(), "capital": value.upper(), "reversed": value[::-1]}
    digits = re.sub(r"\D", "", value)
    if len(digits) >= LEAST_DIGITS and digits != value and len(digits) > sum(map(str.isalpha, value)):
        told["digits only"] = digits
    if date := re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)", value):
        told["American date"] = f"{date[2]}/{date[3]}/{date[1]}"
    return told


def based(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """Base64, by itself and within something longer: of the signs at both ends only those that do not depend on it."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield "base64", encode(raw)
        for shift in range(3):
            whole = encode(bytes(shift) + raw)
            core = whole[-(-shift * 8 // 6) : (shift + len(raw)) * 8 // 6]
            if len(core) >= LONG:
                yield f"base64 at {shift}", core


def hashed(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """Hashes that need no key: as bytes, and as they are commonly written."""
    for name in HASHES:
        digest = hashlib.new(name, raw, usedforsecurity=False).digest()
        written = digest.hex()[:HASHED].encode()
        yield f"{name} bytes", digest[:LONG]
        yield f"{name} hex", written
        yield f"{name} HEX", written.upper()
        yield f"{name} base64", base64.b64encode(digest)[:HASHED]
        yield f"{name} base64", base64.urlsafe_b64encode(digest)[:HASHED]
        yield f"{name} base32", base64.b32encode(digest)[:12]  # as a token has


# --- where it stands -------------------------------------------------------------------------------------------------


class Search:
    """All forms of many identifiers, looked for at once: by their last eight bytes, at every byte."""

    def __init__(self, planted: Iterable[Planted], ordinary: frozenset[bytes] = frozenset()) -> None:
        self.left_out = Counter[str]()  # why, and of which kind -> how many forms
        self.kinds = Counter[str]()  # kind -> how many identifiers of which at least the plain form is searched for
        self.short: dict[bytes, tuple[str, str]] = {}
        long: dict[bytes, tuple[str, str]] = {}
        for one in sorted(set(planted), key=lambda one: (one.kind, one.value)):
            for name, form in forms(one.value):
                if why := _unfit(name, form, ordinary):
                    self.left_out[f"{why}: {one.kind}"] += name == "plain"
                    continue
                self.kinds[one.kind] += name == "plain"
                (long if len(form) >= LONG else self.short).setdefault(form, (one.kind, name))
        ends = np.frombuffer(b"".join(form[-LONG:] for form in long), "<u8")
        order, told = np.argsort(ends, kind="stable"), list(long.items())
        self.keys = ends[order]
        self.long = [told[place] for place in order.tolist()]
        self.known = np.zeros(1 << SLOTS, dtype=np.bool_)
        self.known[_slots(self.keys)] = True

    def found(self, places: Iterable[Place]) -> set[Finding]:
        """Everything that stands in those places."""
        return {Finding(*told, place.where) for place in places for told in self._in(place)}

    def _in(self, place: Place) -> Iterator[tuple[str, str]]:
        data = place.content
        for start in range(0, len(data), PIECE):
            piece = data[max(start - OVERLAP, 0) : start + PIECE]
            yield from self._long(piece)
            if place.is_text:
                yield from self._short(piece)

    def _short(self, text: bytes) -> Iterator[tuple[str, str]]:
        words = {word for word in WORD.findall(text) if SHORT <= len(word) < LONG and not word.isdigit()}
        alone = {cell for cell in text.split(b"\n") if cell.isdigit()} | set(QUOTED.findall(text))
        for word in (words | alone) & self.short.keys():
            yield self.short[word]

    def _long(self, data: bytes) -> Iterator[tuple[str, str]]:
        for shift in range(min(LONG, len(data) - LONG + 1)):
            windows = np.frombuffer(data, "<u8", (len(data) - shift) // LONG, shift)
            near = np.flatnonzero(self.known[_slots(windows)])
            first = np.searchsorted(self.keys, windows[near])
            for window, at in zip(near.tolist(), first.tolist(), strict=True):
                yield from self._ending(data, shift + window * LONG + LONG, int(windows[window]), at)

    def _ending(self, data: bytes, end: int, key: int, at: int) -> Iterator[tuple[str, str]]:
        """The forms that end there, of those from `at` on that have that key."""
        while at < len(self.keys) and int(self.keys[at]) == key:
            form, told = self.long[at]
            start = end - len(form)
            beside = {*data[max(start - 1, 0) : max(start, 0)], *data[end : end + 1]}
            if start >= 0 and data[start:end] == form and not (form.isdigit() and beside & ALNUM):
                yield told
            at += 1


def _unfit(name: str, form: bytes, ordinary: frozenset[bytes]) -> str:
    """Why a form is not searched for; empty, if it is."""
    if len(form) < SHORT or (name == "reversed" and len(form) < LONG and form.isdigit()):
        return "too short"
    if form in ordinary:
        return "an ordinary word"
    return "" if len(form) >= LONG or WORD.fullmatch(form) else "short, and no word"


def _slots(keys: Any) -> Any:
    return (keys * MIX) >> np.uint64(64 - SLOTS)
