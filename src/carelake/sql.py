"""Portable SQL: written once, in DuckDB's dialect, and spelled for whichever engine runs it.

What may be written is an allow-list: the functions below give the same value on every engine, and each
has the test that shows it. sqlglot translates many more, and some of those differ without a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import sqlglot
from sqlglot import ErrorLevel, exp
from sqlglot.errors import ParseError, SqlglotError

from .respell import FORMATS, is_format, is_try_strptime, respell

HOME = "duckdb"

# a / b to four places, half up, and NULL where b is 0. In whole cents, because a division of DECIMALs is a DOUBLE here
# and a DECIMAL there, and because engines turn a DOUBLE into a DECIMAL by rules of their own unless it is whole.
RATIO = "CAST(FLOOR(CAST(a * 1000000 AS DOUBLE) / CAST(NULLIF(b, 0) * 100 AS DOUBLE) + 0.5) AS DECIMAL(18, 0)) * 0.0001"
FUNCTIONS: dict[type[exp.Expr], str] = {
    exp.Cast: "CAST(x AS DATE)",  # to one of TYPES: CAST(1.5 AS INT) is 2 here and 1 there
    exp.Coalesce: "COALESCE(x, y)",
    exp.Count: "COUNT(x)",
    exp.DateDiff: "DATE_DIFF('day', from, to)",  # days only: years are boundaries here, whole years there
    exp.Day: "DAY(d)",
    exp.Floor: RATIO,  # nowhere else: it is a DOUBLE here and a BIGINT there
    exp.Greatest: "GREATEST(x, y)",  # passes over NULLs
    exp.Lag: "LAG(x) OVER (PARTITION BY k ORDER BY d)",
    exp.Lead: "LEAD(x) OVER (PARTITION BY k ORDER BY d)",
    exp.Least: "LEAST(x, y)",
    exp.Left: "LEFT(x, 3)",  # a written number: below zero they differ
    exp.Length: "LENGTH(x)",
    exp.Max: "MAX(x)",
    exp.Min: "MIN(x)",
    exp.Month: "MONTH(d)",
    exp.Nullif: "NULLIF(x, y)",
    exp.Rank: "RANK() OVER (PARTITION BY k ORDER BY d)",
    exp.RegexpExtract: "REGEXP_EXTRACT(x, pattern, 1)",
    exp.RegexpLike: "REGEXP_MATCHES(x, pattern)",
    exp.Replace: "REPLACE(x, old, new)",
    exp.Right: "RIGHT(x, 4)",
    exp.Round: "ROUND(CAST(x AS DECIMAL(18, 4)), 2)",  # half away from zero; the halves of a DOUBLE differ
    exp.RowNumber: "ROW_NUMBER() OVER (PARTITION BY k ORDER BY d)",
    exp.StrToTime: "STRPTIME(x, '%Y-%m-%d')",  # or TRY_STRPTIME, in one of FORMATS
    exp.Sum: "SUM(x)",
    exp.Trim: "TRIM(x)",  # spaces, not tabs
    exp.TryCast: "TRY_CAST(x AS DECIMAL(18, 2))",  # to no date: '2026-02' is one there
    exp.Year: "YEAR(d)",
}
TYPES = {"TEXT", "DATE", "TIMESTAMP", "TIMESTAMPNTZ", "TIMESTAMPTZ", "BOOLEAN", "DECIMAL"}
_PARSED = f"CAST(TRY_STRPTIME(x, '%Y-%m-%d') AS DATE), or another format: {', '.join(FORMATS)}"
INSTEAD = {
    "AVG": RATIO,
    "CAST": f"CAST(x AS DATE), or {', '.join(sorted(TYPES))}; CAST(CAST(x AS DECIMAL(18, 0)) AS BIGINT)",
    "CONCAT": "x || y",
    "CURRENT_DATE": "$as_of",
    "DATE_ADD": "d + 30, which is a date",
    "DIV": RATIO,
    "INTDIV": RATIO,
    "INTERVAL": "d + 30, which is a date, or DATE_DIFF('day', from, to), compared with the number of days",
    "JOIN": "LEFT JOIN, INNER JOIN or CROSS JOIN",
    "LIKE": "REGEXP_MATCHES(x, pattern)",
    "LOWER": "the spellings that occur, one by one: engines differ on some letters",
    "NOW": "$as_of",
    "PLACEHOLDER": "$as_of, the one parameter",
    "STAR": "the columns, by name",
    "STR_TO_TIME": _PARSED,
    "SUB": "DATE_DIFF('day', from, to) between dates, CAST(x AS DECIMAL(18, 2)) around an amount",
    "SUBQUERY": "a CTE",
    "SUBSTRING": "LEFT(x, 3) and RIGHT(x, 4)",
    "TRY_CAST": f"TRY_CAST(x AS DECIMAL(18, 2)); for a date {_PARSED}",
    "TRY_STRPTIME": _PARSED,
    "UPPER": "the spellings that occur, one by one: engines differ on some letters",
}
UNREADABLE = "what is not one SELECT or expression"
ANY = "one of " + ", ".join(FUNCTIONS.values())

_OF_MANY_ROWS = (exp.Count, exp.Lag, exp.Lead, exp.Max, exp.Min, exp.Rank, exp.RowNumber, exp.Sum)
_WHOLE = (exp.Count, exp.DateDiff, exp.Day, exp.Length, exp.Month, exp.Rank, exp.RowNumber, exp.Year)
# fmt: off
_VALUES: tuple[type[exp.Expr], ...] = (
    exp.Add, exp.And, exp.Anonymous, exp.Between, exp.Boolean, exp.Case, exp.Column, exp.DataType, exp.DataTypeParam,
    exp.Div, exp.DPipe, exp.EQ, exp.GT, exp.GTE, exp.Identifier, exp.If, exp.In, exp.Is, exp.Literal, exp.LT, exp.LTE,
    exp.Mod, exp.Mul, exp.Neg, exp.NEQ, exp.Not, exp.Null, exp.Or, exp.Paren, exp.Placeholder, exp.Sub, exp.Var,
    *(function for function in FUNCTIONS if function not in _OF_MANY_ROWS),
)
_QUERIES: tuple[type[exp.Expr], ...] = (
    exp.Alias, exp.CTE, exp.Distinct, exp.From, exp.Group, exp.Having, exp.Join, exp.Order, exp.Ordered, exp.Select,
    exp.Star, exp.Table, exp.TableAlias, exp.Union, exp.Where, exp.Window, exp.With, *_OF_MANY_ROWS,
)
_RULE: tuple[type[exp.Expr], ...] = (
    *_VALUES, exp.Order, exp.Ordered, exp.Star, exp.Subquery, exp.Window, *_OF_MANY_ROWS,
)
_QUESTION: tuple[type[exp.Expr], ...] = (
    *_VALUES, *_QUERIES, exp.Avg, exp.Except, exp.Exists, exp.Filter, exp.Intersect, exp.Like, exp.Limit, exp.Offset,
    exp.Subquery, exp.WindowSpec,
)
# fmt: on


def render(select: str, dialect: str, called: Callable[[str], str] = str) -> str:
    """The same SELECT, as `dialect` spells it; `called` says what an engine calls `layer.table`.

    >>> render("SELECT DATE_DIFF('day', a, $as_of) AS days FROM stay", "spark")
    'SELECT DATEDIFF(DAY, CAST(a AS DATE), CAST(:as_of AS DATE)) AS days FROM stay'
    """
    if dialect == HOME:
        return select
    tree = sqlglot.parse_one(select, dialect=HOME)
    for node in respell(tree).walk():
        _rename(node, called)
    return tree.sql(dialect, unsupported_level=ErrorLevel.RAISE)


@cache
def quoted(name: str) -> str:
    """A name, as SQL quotes it.

    >>> quoted("order")
    '"order"'
    """
    return exp.to_identifier(name, quoted=True).sql(HOME)


def refused_in_select(select: str) -> list[tuple[str, str]]:
    """What a mart may not say, each with what to say instead."""
    return _refused(select, _VALUES + _QUERIES)


def refused_in_expression(expression: str) -> list[tuple[str, str]]:
    """The same for a rule or a mapping: one value of one row, so no table, no second SELECT and no sum."""
    # Read in both ways, so that neither `a) + (b` nor a comment can change the SQL it is put into.
    return _refused(expression, _VALUES) or _refused(f"({expression})", _VALUES)


def refused_in_rule(must: str) -> list[tuple[str, str]]:
    """The same for a rule, which may look further: by a window, or by IN (SELECT ...)."""
    return _refused(must, _RULE) or _refused(f"({must})", _RULE)


def refused_in_question(question: str) -> list[tuple[str, str]]:
    """The same for a question that another engine than the home one is to answer. It may say more than a mart: who
    answers it sees of which types both answers are, and of an average the last digit may differ.
    """
    return _refused(question, _QUESTION)


@lru_cache(maxsize=1000)  # each is asked several times, and reading takes longer than most of what is asked
def tree_of(text: str) -> exp.Expr:
    """What one SELECT or expression says. It is the same tree for all who ask: whoever changes it, changes a copy.

    Raises `SqlglotError`, or `ValueError`, where it cannot be read as one.
    """
    trees = sqlglot.parse(text, dialect=HOME)
    if len(trees) != 1 or trees[0] is None:
        raise ParseError("not one statement")
    return trees[0]


def columns_of(select: str) -> list[str]:
    """The names of the columns that come out of a SELECT."""
    tree = tree_of(select)
    return [column.alias_or_name for column in tree.selects] if isinstance(tree, exp.Query) else []


def tables_of(select: str) -> list[str]:
    """The relations that a SELECT reads, by name. Its own CTEs are not among them.

    >>> tables_of("WITH stay AS (SELECT a FROM silver.visit) SELECT a FROM stay INNER JOIN gold.dim_date ON a = b")
    ['gold.dim_date', 'silver.visit']
    """
    tree = tree_of(select)
    named = {".".join(part.name for part in table.parts) for table in tree.find_all(exp.Table)}
    return sorted(named - {cte.alias for cte in tree.find_all(exp.CTE)})


def _rename(node: exp.Expr, called: Callable[[str], str]) -> None:
    """A table of two words is called otherwise, and its columns still go by the second one."""
    if isinstance(node, exp.Table) and node.db and called is not str:
        if not node.alias:
            node.set("alias", exp.TableAlias(this=exp.to_identifier(node.name)))
        node.set("this", exp.to_identifier(called(f"{node.db}.{node.name}")))
        node.set("db", None)
    elif isinstance(node, exp.Column) and node.args.get("db"):
        node.set("db", None)


def _refused(sql: str, allowed: tuple[type[exp.Expr], ...]) -> list[tuple[str, str]]:
    try:
        tree = tree_of(sql)
    except (SqlglotError, ValueError):
        return [(UNREADABLE, "one that DuckDB understands, with every bracket and quote closed")]
    if exp.Select in allowed and not isinstance(tree, exp.Query):
        return [(_name(tree), ANY)]
    found = {_name(node): node for node in tree.walk() if not _is_allowed(node, _there(node, allowed))}
    return [(name, INSTEAD.get(name) or FUNCTIONS.get(type(node)) or ANY) for name, node in found.items()]


def _there(node: exp.Expr, allowed: tuple[type[exp.Expr], ...]) -> tuple[type[exp.Expr], ...]:
    """What is allowed where a node stands: more within IN (SELECT ...), and a sum over rows only in a window."""
    if allowed is not _RULE:
        return allowed
    if node.find_ancestor(exp.Subquery):
        return _VALUES + _QUERIES
    return allowed if isinstance(node.parent, exp.Window) or not isinstance(node, _OF_MANY_ROWS) else _VALUES


def _is_allowed(node: exp.Expr, allowed: tuple[type[exp.Expr], ...]) -> bool:
    only = {**_ONLY, **_IN_A_QUESTION} if allowed is _QUESTION else _ONLY
    return type(node) in allowed and (type(node) not in only or only[type(node)](node))


# Nodes that are allowed in some shapes only: in others the engines read them in two ways.
_ONLY: dict[type[exp.Expr], Callable[[Any], bool]] = {
    exp.Anonymous: lambda node: is_try_strptime(node),
    exp.Cast: lambda node: _is_type(node),
    exp.DateDiff: lambda node: node.text("unit").upper() == "DAY",
    exp.Div: lambda node: isinstance(node.parent, exp.Add) and isinstance(node.parent.parent, exp.Floor),
    exp.Floor: lambda node: _is_ratio(node.this) and _is_cast(node.parent, "DECIMAL") and _is_whole(node.parent),
    exp.Group: lambda node: not node.args.get("all"),
    exp.Join: lambda node: not node.method and node.side in ("", "LEFT") and node.kind in ("", "INNER", "CROSS"),
    exp.Left: lambda node: _is_digits(node.expression),
    exp.Max: lambda node: not node.args.get("count") and not node.expressions,
    exp.Min: lambda node: not node.args.get("count") and not node.expressions,
    exp.Placeholder: lambda node: node.name == "as_of",
    exp.RegexpExtract: lambda node: node.expression.is_string,
    exp.RegexpLike: lambda node: node.expression.is_string,
    exp.Right: lambda node: _is_digits(node.expression),
    exp.Round: lambda node: _is_cast(node.this, "DECIMAL"),
    exp.Star: lambda node: isinstance(node.parent, exp.Count),
    exp.StrToTime: lambda node: is_format(node.args["format"]),
    exp.Sub: lambda node: _is_digits(node.right) or (_is_number(node.left) and _is_number(node.right)),
    exp.Subquery: lambda node: isinstance(node.parent, exp.In) and not node.alias,
    exp.Table: lambda node: all(re.fullmatch(r"\w+", part.name) for part in node.parts),  # no FROM 'file.csv'
    exp.Trim: lambda node: not node.args.get("position") and not node.expression,
    exp.TryCast: lambda node: not _is_cast(node, "DATE", "TIMESTAMP", "TIMESTAMPNTZ", "TIMESTAMPTZ") and _is_type(node),
    exp.Union: lambda node: not node.args.get("by_name"),
    exp.With: lambda node: not node.recursive,
}
_IN_A_QUESTION: dict[type[exp.Expr], Callable[[Any], bool]] = {
    exp.Avg: lambda node: not isinstance(node.this, exp.Distinct),
    exp.Div: lambda node: True,
    exp.Group: lambda node: not any(node.args.get(word) for word in ("rollup", "cube", "grouping_sets", "totals")),
    exp.Join: lambda node: _ONLY[exp.Join](node) and not node.args.get("using"),  # it orders columns in ways of its own
    exp.Like: lambda node: node.expression.is_string and "\\" not in node.expression.name,  # there it has a meaning
    exp.Limit: lambda node: _is_digits(node.expression) and not node.args.get("limit_options"),
    exp.Offset: lambda node: _is_digits(node.expression),
    exp.Star: lambda node: not node.args.get("replace") and not node.args.get("rename"),
    exp.Sub: lambda node: True,
    exp.Subquery: lambda node: True,
}


def _is_type(node: exp.Expr) -> bool:
    """Whole numbers are made of whole numbers only: a fraction is rounded here and cut off there."""
    if _is_cast(node, "DOUBLE"):
        return isinstance(node.parent, exp.Div)
    return _is_cast(node, *TYPES) or (_is_cast(node, "BIGINT") and _is_whole(node.this))


def _is_whole(node: exp.Expr | None) -> bool:
    node = node.unnest() if node else exp.Null()
    if isinstance(node, exp.Case):
        return all(
            _is_whole(branch)
            for branch in (*(when.args["true"] for when in node.args["ifs"]), node.args.get("default"))
        )
    if isinstance(node, exp.Add | exp.Sub | exp.Mul | exp.Mod):
        return _is_whole(node.left) and _is_whole(node.right)
    if isinstance(node, exp.Window | exp.Sum | exp.Neg):
        return _is_whole(node.this)
    if isinstance(node, exp.Cast):
        return _is_cast(node, "BIGINT") or (_is_cast(node, "DECIMAL") and node.to.expressions[1].name == "0")
    return isinstance(node, (exp.Null, *_WHOLE)) or _is_digits(node)


def _is_number(node: exp.Expr) -> bool:
    return (
        isinstance(node.unnest(), exp.Literal | exp.Sum | exp.Sub | exp.Mul)
        or _is_whole(node)
        or _is_cast(node.unnest(), "DECIMAL")
    )


def _is_ratio(node: exp.Expr) -> bool:
    ratio = node.left if isinstance(node, exp.Add) else node
    return isinstance(ratio, exp.Div) and _is_cast(ratio.left, "DOUBLE") and _is_cast(ratio.right, "DOUBLE")


def _is_cast(node: exp.Expr | None, *types: str) -> bool:
    return isinstance(node, exp.Cast) and node.to.this.value in types


def _is_digits(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and node.is_int


def _name(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous):
        return str(node.name).upper()
    return node.sql_name() if isinstance(node, exp.Func) else type(node).__name__.upper()
