"""What a question asks: the tables and columns that it names, and nothing but one SELECT."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import TokenType
from sqlglot.tokens import Tokenizer

from .. import lineage, reach
from ..errors import QuestionRefused

LAYERS = ("bronze", "silver", "gold", "audit", "quarantine", "reference")
ONE_SELECT = ("this is not one SELECT.", "Ask one question at a time; nothing can be changed here.")
# How DuckDB calls what a question is made of. What is not listed is refused: from 2.0 on, a WITH may hold a COPY.
QUERIES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE"}
SOURCES = {"BASE_TABLE", "SUBQUERY", "JOIN", "PIVOT", "EXPRESSION_LIST", "EMPTY"}
LITERALS = {TokenType.STRING, TokenType.NUMBER, TokenType.BIT_STRING, TokenType.HEX_STRING, TokenType.NATIONAL_STRING}


def parsed(question: str) -> Any:
    """A question, as DuckDB itself reads it: another parser would see other tables."""
    try:
        with duckdb.connect() as db:
            told = json.loads(db.execute("SELECT json_serialize_sql(?)", [question]).fetchall()[0][0])
        if told["error"] and told["error_type"] == "parser":
            raise QuestionRefused("this is not SQL that can be understood.", "Check its spelling; quote texts with '.")
        if told["error"] or len(told["statements"]) != 1:
            raise QuestionRefused(*ONE_SELECT)
        return told["statements"][0]["node"]
    except (duckdb.Error, UnicodeError, RecursionError):
        raise QuestionRefused("this cannot be read as SQL.", "Ask something shorter, in UTF-8.") from None


def tables(asked: Any) -> list[str]:
    """The tables that a question names, each once. Raises `QuestionRefused` as `_named` does."""
    return sorted(set(_named(asked, frozenset())))


def _named(node: Any, ctes: frozenset[bytes]) -> Iterator[str]:
    """The tables that a part of a question reads. `ctes` are the names that a WITH around it gave, and that are none.

    Raises `QuestionRefused` for what changes something, and for what is no table of a layer.
    """
    if isinstance(node, list):
        for each in node:
            yield from _named(each, ctes)
    if not isinstance(node, dict):
        return
    _refuse_others(node)
    for cte in node.get("cte_map", {}).get("map", []):
        itself = {_folded(cte["key"])}  # which only a recursive one may read: else the name is a table's
        recursive = cte["value"]["query_node"]["type"] == "RECURSIVE_CTE_NODE"
        yield from _named(cte["value"], ctes | itself if recursive else ctes)
        ctes |= itself
    if node.get("type") == "BASE_TABLE":
        yield from _in_layer(node["qualified_name"]["path"], ctes)
    for part in (value for key, value in node.items() if key != "cte_map"):
        yield from _named(part, ctes)


def columns(asked: Any, known: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The columns that a question may read: of each table those whose name it says; or all, if it says *, a whole row,
    a place or names of its own. `known`: table that the question names -> its columns.
    """
    said = {name.lower() for name in _said(asked)}
    whole = "*" in said or bool(_alone(asked) & _called(asked))
    for table, held in known.items():
        yield from (f"{table}.{name}" for name in held if whole or name.lower() in said)


def persons(question: str, known: Mapping[str, Sequence[str]], key: str) -> set[str] | None:
    """The columns of an answer that are the `key` of a stored table, under whatever name; None if that cannot be told.
    `known`: table that the question names -> its columns.
    """
    try:
        made = lineage.trace(question, {name: reach.leaves(name, dict.fromkeys(held, "")) for name, held in
                                        known.items()}, _Nothing())  # fmt: skip
    except Exception:  # noqa: BLE001 - whatever cannot be followed is answered all the same, and named by its columns
        return None
    return {name for name, flows in made.items() if _is_of(flows, key)}


def _is_of(flows: reach.Flows, key: str) -> bool:
    values = [one for one in flows if one.how == reach.VALUE]
    return bool(values) and all(one.leaf.endswith(f".{key}") for one in values)


class _Nothing:
    """A page on which no kind hides another: it is only asked where values come from."""

    def covers(self, kind: str, other: str) -> bool:
        return True

    def is_single(self, kind: str) -> bool:
        return False


def _said(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for each in node:
            yield from _said(each)
    if isinstance(node, dict):
        if node.get("type") == "COLUMN_REF":
            yield from node["column_names"]
        elif node.get("type") in {"STAR", "POSITIONAL_REFERENCE"} or node.get("column_name_alias"):
            yield "*"
        for part in node.values():
            yield from _said(part)


def _alone(node: Any) -> set[str]:
    """The names of one word that are said: each is a column, or a table with all of its row."""
    return {each["column_names"][0].lower() for each in _nodes(node, "COLUMN_REF") if len(each["column_names"]) == 1}


def _called(node: Any) -> set[str]:
    """What tables are called in a question."""
    tables = _nodes(node, "BASE_TABLE")
    return {name.lower() for each in tables for name in (each.get("alias"), each.get("table_name")) if name}


def _nodes(node: Any, kind: str) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if node.get("type") == kind:
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for each in node:
            yield from _nodes(each, kind)


def _in_layer(path: list[str], ctes: frozenset[bytes]) -> Iterator[str]:
    if len(path) == 1 and _folded(path[0]) in ctes:
        return
    if len(path) != 2 or path[0].lower() not in LAYERS:
        raise _no_table(".".join(path))
    yield ".".join(path).lower()


def _refuse_others(node: dict[str, Any]) -> None:
    """Only queries, and behind FROM only tables, joins, subqueries and values; of table functions just `unnest`."""
    kind = node.get("type")
    if isinstance(kind, str) and kind.endswith("_NODE") and kind not in QUERIES:
        raise QuestionRefused(*ONE_SELECT)
    for place in ("from_table", "left", "right", "source"):
        there = node.get(place)
        if isinstance(there, dict) and "class" not in there and there["type"] not in {*QUERIES, *SOURCES}:
            function = there.get("function", {}).get("function_name", there["type"].partition("_")[0])
            if function != "unnest":
                raise _no_table(function)


def _no_table(name: str) -> QuestionRefused:
    fix = f"Name them as layer.table, of {', '.join(LAYERS)}."
    return QuestionRefused(f"'{name[:60]}' is not a table that can be read.", fix)


def _folded(name: str) -> bytes:
    """As DuckDB compares names: of ASCII, upper and lower case are alike."""
    return name.encode().lower()


def literals(question: str) -> tuple[str, ...]:
    """The texts and numbers that a question compares with; all of it, if it cannot be taken apart."""
    try:
        tokens = Tokenizer(dialect="duckdb").tokenize(question)
    except SqlglotError:
        return (question,)
    return tuple(token.text for token in tokens if token.token_type in LITERALS)
