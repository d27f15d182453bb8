"""What Spark reads in another way than the home dialect, said so that it reads the same. Pure: a tree for a tree.

Each of these was found by a value that came out differently, and has a test: tests/test_respell.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

import sqlglot
from sqlglot import exp

FORMATS = {  # of a date in a text, and how Spark spells them; a year has four digits
    "%Y-%m-%d": "yyyy-M-d",
    "%Y%m%d": "yyyyMMdd",
    "%Y/%m/%d": "yyyy/M/d",
    "%m/%d/%Y": "M/d/yyyy",
    "%d.%m.%Y": "d.M.yyyy",
    "%Y-%m-%d %H:%M:%S": "yyyy-M-d H:m:s",
    "%Y-%m-%dT%H:%M:%S": "yyyy-M-d'T'H:m:s",
    "%m/%d/%Y %H:%M:%S": "M/d/yyyy H:m:s",
}
TEXT = "CAST(x AS STRING)"
DASHED = "REGEXP_REPLACE({}, '^([0-9]{{4}})[/ ]([0-9]{{1,2}})[/ ]([0-9]{{1,2}})', '$1-$2-$3')"  # 2026/1/5 is a date
DAY = DASHED.format(f"TRIM({TEXT})")
TIME = DASHED.format(TEXT)
IS_DAY = "RLIKE '^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([ T].*:.*)?$'"  # and neither 2026-02 nor an hour without its minutes
DIGITS = f"REGEXP_REPLACE({TEXT}, '([0-9])_(?=[0-9])', '$1')"
PLAIN = f"REGEXP_REPLACE(RTRIM('0', CAST(TRY_CAST({TEXT} AS DECIMAL(38, 10)) AS STRING)), '[.]$', '.0')"
MIDNIGHT = f"REGEXP_REPLACE({TIME}, '[ T]24:', ' 00:')"
ZONED = f"{TIME} RLIKE ' [+-]'"  # with a blank before it, which is wrong, and passed over where zones are
MOMENT = (
    f"CASE WHEN NOT {TIME} {IS_DAY} OR {ZONED} THEN NULL"
    f" WHEN {TIME} RLIKE '[ T]24:00' THEN TRY_CAST({MIDNIGHT} AS BINARY) + INTERVAL 1 DAY"
    f" ELSE TRY_CAST({TIME} AS BINARY) END"
)
LOCAL = MOMENT.replace(f" OR {ZONED}", "").replace(
    f"ELSE TRY_CAST({TIME}", f"ELSE TRY_CAST(REGEXP_REPLACE({TIME}, ' [+-].*$', '')"
)
READ = {  # type -> what TRY_CAST(x AS that) is, of a text
    "DATE": f"CASE WHEN {DAY} {IS_DAY} THEN TRY_CAST({DAY} AS BINARY) END",
    "TIMESTAMP": LOCAL,
    "TIMESTAMPNTZ": LOCAL,
    "TIMESTAMPTZ": MOMENT,
    "BIGINT": f"TRY_CAST(REGEXP_REPLACE(TRIM({TEXT}), '[.]0*$', '') AS BINARY)",
    "DECIMAL": (
        f"CASE WHEN TYPEOF(x) <> 'string' THEN TRY_CAST(x AS BINARY)"
        f" WHEN {TEXT} RLIKE '^[\\t -~]*$' THEN TRY_CAST({DIGITS} AS BINARY) END"
    ),
    "BOOLEAN": f"CASE WHEN {TEXT} RLIKE '^[^ \\t\\n\\r]*$' THEN TRY_CAST(x AS BINARY) END",
}
# A time with a zone ends with it, and a number that is not whole has no exponent: row hashes are made of such texts.
WRITTEN = {
    exp.Column: f"CASE TYPEOF(x) WHEN 'timestamp' THEN {TEXT} || '+00'"
    f" WHEN 'double' THEN IF({TEXT} RLIKE 'E[0-9]', {PLAIN}, {TEXT}) ELSE {TEXT} END",
    **dict.fromkeys(
        (exp.Paren, exp.Coalesce, exp.Case, exp.Cast, exp.Greatest, exp.Least, exp.Max, exp.Min),
        f"{TEXT} || IF(TYPEOF(x) = 'timestamp', '+00', '')",
    ),
}
GIVEN = "given AS lake_given(lake_value)"  # what a SELECT gives, whose column no other is called like
LOOKED_UP = (
    f"CASE WHEN x IN (SELECT lake_value FROM {GIVEN}) THEN TRUE"
    f" ELSE CASE (SELECT SIGN(COUNT(*)) + SIGN(COUNT(*) - COUNT(lake_value)) FROM {GIVEN})"
    f" WHEN 0 THEN FALSE WHEN 1 THEN IF(x IS NULL, NULL, FALSE) END END"  # given nothing; or something, and no NULL
)
WHOLE = (exp.Day, exp.Length, exp.Month, exp.Rank, exp.RowNumber, exp.Year)  # INT there, BIGINT here


def respell(tree: exp.Expr) -> exp.Expr:
    """`tree`, which is changed, as Spark has to read it."""
    for node in reversed(list(tree.walk())):  # the inner ones first
        _respell(node)
    _name_apart(tree)
    return tree


def is_try_strptime(node: exp.Expr) -> bool:
    """Sqlglot does not know it by name."""
    return isinstance(node, exp.Anonymous) and node.name.upper() == "TRY_STRPTIME" and is_format(*node.expressions[1:])


def is_format(*given: exp.Expr) -> bool:
    """Whether it is one of `FORMATS`."""
    return len(given) == 1 and given[0].name in FORMATS


def _name_apart(tree: exp.Expr) -> None:
    """Give each CTE a name of its own: sqlglot takes inner ones out to the beginning, where they would meet."""
    taken: set[str] = set()
    ctes = list(tree.find_all(exp.CTE))
    for place, cte in reversed(list(enumerate(ctes))):  # the inner ones first, so that an outer one keeps its name
        name, apart, outer = cte.alias, cte.alias, {other.alias for other in ctes[:place]}
        while apart in taken | outer:
            apart += "_"
        taken.add(apart)
        scope = cte.parent.parent if cte.parent else None
        for table in scope.find_all(exp.Table) if scope and apart != name else ():
            if table.name == name and not table.db:
                table.set("alias", table.args.get("alias") or exp.TableAlias(this=exp.to_identifier(name)))
                table.set("this", exp.to_identifier(apart))
        cte.set("alias", exp.TableAlias(this=exp.to_identifier(apart)))


def _respell(node: exp.Expr) -> None:
    if isinstance(node, exp.DateDiff):  # whole days of 24 hours, where times are given
        node.set("this", exp.cast(node.this, "DATE"))
        node.set("expression", exp.cast(node.expression, "DATE"))
    elif isinstance(node, exp.RegexpLike | exp.RegexpExtract) and node.expression.is_string:
        ends = re.sub(r"(\\.|\[[^]]*\])|\$", lambda found: found[1] or r"\z", node.expression.name)
        node.set("expression", exp.Literal.string(ends))  # there `$` is also before a last line break
    elif isinstance(node, WHOLE):
        whole = node.parent if isinstance(node.parent, exp.Window) else node
        _in_place(whole, lambda: exp.cast(whole, "BIGINT"))
    elif isinstance(node, exp.DPipe):
        _respell_joined(node)
    elif isinstance(node, exp.Div | exp.Avg):  # of DECIMALs a DECIMAL there
        for name in ("this", "expression"):
            if (side := node.args.get(name)) and not _is_cast_to(side, "DOUBLE"):
                node.set(name, exp.cast(side, "DOUBLE"))
    elif isinstance(node, exp.AtTimeZone):  # of a time without one; sqlglot turns it the other way
        node.replace(exp.Anonymous(this="TO_UTC_TIMESTAMP", expressions=[node.this, node.args["zone"]]))
    elif isinstance(node, exp.StrToTime) and is_format(node.args["format"]):
        node.replace(_parsed("TO_TIMESTAMP", node.this, node.args["format"]))
    elif is_try_strptime(node):
        node.replace(_parsed("TRY_TO_TIMESTAMP", *node.expressions))
    elif isinstance(node, exp.Cast):
        _respell_cast(node)
    elif isinstance(node, exp.In) and _is_of_one_select(node) and not _is_condition(node):
        _in_place(node, lambda: _looked_up(node))


def _is_of_one_select(node: exp.In) -> bool:
    """Of one that has no CTEs, which would stand there twice, and of one column."""
    query = node.args.get("query")
    return query is not None and not query.find(exp.With) and not isinstance(node.this, exp.Tuple)


def _is_condition(node: exp.Expr) -> bool:
    """Whether rows are taken just where it is true: there NULL is as good as FALSE, and Spark seeks equal values."""
    above = node.parent
    while isinstance(above, exp.And | exp.Paren):
        above = above.parent
    return isinstance(above, exp.Where)


def _looked_up(node: exp.In) -> exp.Expr:
    """`x IN (SELECT ...)` by equal values, and NULL where that is: else Spark compares each row with each, and where it
    does not, says FALSE for NULL.
    """
    says = exp.Paren(this=_template(LOOKED_UP).copy())
    for column in [column for column in says.walk() if _stands_for(column)]:  # before a SELECT is there that has an x
        column.replace(exp.Paren(this=node.this.copy()))
    for place in [place for place in says.walk() if isinstance(place, exp.Table) and place.name == "given"]:
        place.replace(exp.Subquery(this=node.args["query"].unnest().copy(), alias=place.args["alias"]))
    return says


def _respell_cast(node: exp.Cast) -> None:
    kind = node.to.this.value if isinstance(node.to.this, exp.DataType.Type) else ""
    written = WRITTEN.get(type(node.this)) if kind == "TEXT" else None
    says = READ.get(kind) if isinstance(node, exp.TryCast) else written
    if says:
        _in_place(node, lambda: _filled(says, node.this, node.to))


def _respell_joined(node: exp.DPipe) -> None:
    """What is joined to a text is written as if it were cast to one. What stands in brackets has been already."""
    for name in ("this", "expression"):
        side = node.args[name]
        says = WRITTEN.get(type(side)) if not isinstance(side, exp.Paren) and not _is_cast_to(side, "TEXT") else None
        if says:
            node.set(name, _filled(says, side, side))


def _is_cast_to(node: exp.Expr, kind: str) -> bool:
    return isinstance(node, exp.Cast) and node.to.is_type(kind)


def _in_place(node: exp.Expr, of: Callable[[], exp.Expr]) -> None:
    """Put what is made of a node where it stands; unless it stands nowhere, being all there is."""
    place = exp.Null()
    node.replace(place)
    place.replace(of())


def _filled(says: str, value: exp.Expr, kind: exp.Expr) -> exp.Expr:
    """A copy of what `says` says, with its `x` and its type in the place of BINARY."""
    tree = exp.Paren(this=_template(says).copy())
    for node in [node for node in tree.walk() if _stands_for(node)]:
        node.replace(kind.copy() if isinstance(node, exp.DataType) else exp.Paren(this=value.copy()))
    return tree


def _stands_for(node: exp.Expr) -> bool:
    if isinstance(node, exp.DataType):
        return bool(node.this == exp.DataType.Type.BINARY)
    return isinstance(node, exp.Column) and str(node.name) == "x"


@cache
def _template(says: str) -> exp.Expr:
    return sqlglot.parse_one(says, dialect="spark")


def _parsed(function: str, text: exp.Expr, form: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=function, expressions=[exp.Trim(this=text), exp.Literal.string(FORMATS[form.name])])
