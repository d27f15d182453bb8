"""A file of declarations, read as text. Each word knows its line, so that a mistake can say where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .errors import Mistake


class Text(str):
    """A word of a page, and the line it stands on."""

    line: int

    def __new__(cls, word: str, line: int = 1) -> Text:
        text = super().__new__(cls, word)
        text.line = line
        return text


@dataclass(frozen=True)
class Page:
    path: Path
    says: Mapping[str, Any]
    unreadable: tuple[Mistake, ...] = ()

    @property
    def stem(self) -> str:
        return self.path.stem

    def mistake(self, code: str, word: object, found: str, why: str, fix: str) -> Mistake:
        """A mistake where `word` stands on this page."""
        return Mistake(code, f"{_where(self.path)}:{getattr(word, 'line', 1)}", found, why, fix)

    def plain(self) -> Page:
        """The same page with plain text, for the nouns: some libraries take no other."""
        return Page(self.path, _plain(self.says), self.unreadable)

    def part(self, name: str) -> Mapping[str, Any]:
        """The mapping under `name`; an empty one if there is none, or something else stands there."""
        return part(self.says, name)


def _plain(says: Any) -> Any:
    if isinstance(says, Mapping):
        return {str(name): _plain(value) for name, value in says.items()}
    return [_plain(value) for value in says] if isinstance(says, list) else str(says)


def part(says: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The mapping under `name`; an empty one if there is none, or something else stands there."""
    held = says.get(name)
    return held if isinstance(held, Mapping) else {}


def listed(says: Mapping[str, Any], name: str) -> list[Text]:
    """The words under `name`; none if there are none, or something else stands there."""
    held = says.get(name)
    return [word for word in held if isinstance(word, Text)] if isinstance(held, list) else []


def told(says: object, name: str) -> Text:
    """The text under `name`; an empty one if there is none, or something else stands there."""
    held = says.get(name) if isinstance(says, Mapping) else None
    return held if isinstance(held, Text) else Text("")


class Reader(getattr(yaml, "CBaseLoader", yaml.BaseLoader)):  # type: ignore[misc]  # libyaml is ten times as fast
    """YAML with every scalar left as text: ZIP 036 is not 30, and NO is not false. A key given twice is a mistake."""

    def construct_scalar(self, node: Any) -> Text:
        return Text(super().construct_scalar(node), node.start_mark.line + 1)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a list cannot be a name", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"'{key.value}' is given twice", key.start_mark)
            seen.add(key.value)
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made


def read_page(path: Path) -> Page:
    """A YAML page, or the front matter of a Markdown page. One that is not there says nothing."""
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if path.suffix == ".md":
            text = text.removeprefix("---").partition("\n---\n")[0]
        says = yaml.load(text, Reader) or {}  # noqa: S506 - Reader builds only text, lists and maps
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return Page(path, {}, (_unreadable(path, error),))
    if not isinstance(says, Mapping):
        return Page(path, {}, (_not_a_page(path),))
    return Page(path, says)


def read_select(path: Path) -> Page:
    """A mart's SELECT, as a page that says nothing else. One that is not there is empty."""
    try:
        return Page(path, {"select": Text(path.read_text(encoding="utf-8") if path.exists() else "")})
    except UnicodeDecodeError as error:
        return Page(path, {"select": Text("")}, (_unreadable(path, error),))


def _unreadable(path: Path, error: Exception) -> Mistake:
    mark = getattr(error, "problem_mark", None)
    where = f"{_where(path)}:{mark.line + 1 if mark else 1}"
    found = str(getattr(error, "problem", None) or "it is not UTF-8 text")
    return Mistake("LAKE-103", where, found, "The rest of the page cannot be read.", "Mend the YAML on that line.")


def _not_a_page(path: Path) -> Mistake:
    why = "A page of declarations says `word: value`, line by line."
    return Mistake("LAKE-103", f"{_where(path)}:1", "it is a list or a single word", why, "Begin with `about: ...`.")


def _where(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"
