"""Which columns reach a column of a SELECT: by value, or by what decides which value it is. Pure.

What reaches a column carries its kind with it. It is harmless only where nothing of the value can be told any more:

- in a COUNT or SUM over the rows of many persons or events; in days between two dates, and in the year of one;
- in a comparison with what is known, which tells one thing of two, as long as an expression makes one of each column.
  Several of them, as in a CASE with many branches, tell the value bit by bit: the kind stays;
- in a place among the rows of one person or event.

A filter that holds a column to what is known tells that value of every row that comes out. A comparison of two tables
tells of the columns of either what it is compared with, unless they are guarded by a kind that hides as much. A column
that cannot be named, or SQL that is not known here, fails: nobody could say what is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import count

from sqlglot import exp

from .errors import choose
from .reach import (
    COMPARED,
    COUNTED,
    DATED,
    DURATION,
    FILTERED,
    FLAG,
    HARMLESS,
    JOINED,
    NOTHING,
    OF_NOBODY,
    ORDERED,
    PRESENT,
    RANKED,
    VALUE,
    YEAR,
    Columns,
    Flows,
    Kinds,
    Reach,
    Relation,
    Untraceable,
    filtered,
    of_dates,
    through,
    union,
)
from .sql import HOME, tree_of

COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ)
TESTS = (*COMPARISONS, exp.Between, exp.In, exp.RegexpLike)
LOGIC = (exp.And, exp.Or, exp.Not)
WRAPS = (exp.Paren, exp.Alias, exp.Cast)
CONSTANTS = (exp.Literal, exp.Null, exp.Boolean, exp.Placeholder, exp.DataType, exp.Var, exp.Identifier)
THROUGH = (  # what comes out of them can tell what went in
    exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.Neg, exp.DPipe, exp.Paren, exp.Alias, exp.Cast, exp.TryCast,
    exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least, exp.Replace, exp.Trim, exp.Left, exp.Right, exp.Round,
    exp.Floor, exp.RegexpExtract, exp.Length, exp.Year, exp.Month, exp.Day, exp.StrToTime, exp.Anonymous, exp.Max,
    exp.Min,
    exp.Lag, exp.Lead, exp.Distinct, exp.ArrayAgg, exp.GroupConcat, exp.AnyValue, exp.First, exp.Last, exp.FirstValue,
    exp.LastValue, exp.Concat, exp.Lower, exp.Upper, exp.Substring, exp.Tuple, exp.Struct, *LOGIC,
)  # fmt: skip
BOUNDS = (exp.GT, exp.GTE, exp.LT, exp.LTE)
PLACES = (exp.RowNumber, exp.Rank)
PINS = (exp.EQ, exp.NullSafeEQ, exp.In, exp.Between)  # with anything that is known, also with `$as_of`
SCOPES = count()


def trace(select: str, known: Mapping[str, Relation], kinds: Kinds) -> dict[str, Flows]:
    """Column of a SELECT over `known` relations -> all that reaches it. Raises `Untraceable`."""
    return dict(_query(tree_of(select), known, kinds))


def _query(node: exp.Expr, known: Mapping[str, Relation], kinds: Kinds) -> Columns:
    if isinstance(node, exp.Subquery | exp.Paren):
        return _query(node.this, known, kinds)
    if not isinstance(node, exp.Select | exp.SetOperation):
        raise Untraceable(f"{_name(node)} is not a SELECT that can be followed")
    for cte in node.ctes:
        if "." in cte.alias:  # it would be taken for a table of that name
            raise Untraceable(f"'{cte.alias}' cannot be the name of a CTE")
        known = {**known, cte.alias.lower(): _passed(_query(cte.this, known, kinds), cte.args["alias"])}
    if isinstance(node, exp.Select):
        return list(_Select(node, known, kinds).columns())
    left, right = (_query(side, known, kinds) for side in (node.left, node.right))
    if len(left) != len(right):
        raise Untraceable("the sides of a UNION have not as many columns")
    return [(name, mine | other) for (name, mine), (_, other) in zip(left, right, strict=True)]


def _passed(made: Columns, alias: exp.TableAlias) -> Relation:
    """The columns of a CTE or subquery, as those who read it see them."""
    names = [one.name.lower() for one in alias.columns] or [name for name, _ in made]
    if len(names) != len(made):
        raise Untraceable(f"'{alias.name}' does not name each of its columns")
    return {
        name: frozenset(replace(one, path=(*one.path, f"{alias.name}.{name}")) for one in flows)
        for name, (_, flows) in zip(names, made, strict=True)
    }


class _Select:
    """One SELECT: its relations by alias, and what decides about its rows."""

    def __init__(self, node: exp.Select, known: Mapping[str, Relation], kinds: Kinds) -> None:
        self.node, self.known, self.kinds = node, known, kinds
        self.scope = next(SCOPES)
        self.relations: dict[str, Relation] = {}
        self.joined: dict[str, Flows] = {}
        self.decides: Flows = NOTHING
        joins = node.args.get("joins") or []
        for source in [*filter(None, [node.args.get("from_")]), *joins]:
            if source.args.get("using") or source.args.get("method"):
                raise Untraceable("a join by USING, or a NATURAL one, does not say of which table its columns are")
            self._add(source.this)
        conditions = [*filter(None, (join.args.get("on") for join in joins)), *self._filters()]
        for condition in conditions:
            self._decided_by(condition)
        self.decides |= self._hemmed(conditions)
        self.is_aggregated = bool(node.args.get("group")) or any(map(_adds_up, node.expressions))
        self.is_single = self._tells_apart(self._groups())
        if node.args.get("limit") or (node.args.get("distinct") and node.args["distinct"].args.get("on")):
            ordered = (one.this for one in (node.args.get("order") or exp.Order()).expressions)
            self.decides |= through(ORDERED, union(map(self.of, ordered)))

    def _add(self, source: exp.Expr) -> None:
        if isinstance(source, exp.Table) and source.name:
            name = ".".join(part.name for part in source.parts).lower()
            if name not in self.known or any("." in part.name for part in source.parts):
                raise Untraceable(f"{name} is not known")
            self.relations[source.alias_or_name.lower()] = self.known[name]
        elif isinstance(source, exp.Subquery) and source.alias:
            made = _query(source.this, self.known, self.kinds)
            self.relations[source.alias.lower()] = _passed(made, source.args["alias"])
        else:
            raise Untraceable(f"what is read by {_name(source)} cannot be named")

    def _filters(self) -> Iterator[exp.Expr]:
        for place in ("where", "having", "qualify"):
            if condition := self.node.args.get(place):
                yield condition.this

    def _groups(self) -> Flows:
        """What reaches the keys that rows are grouped by."""
        group, columns = self.node.args.get("group"), self.node.expressions
        keys = group.expressions if group else []
        told = (columns[int(key.name) - 1] if isinstance(key, exp.Literal) and key.is_int else key for key in keys)
        return union(self.of(key) for key in told)

    def columns(self) -> Iterator[tuple[str, Flows]]:
        """What reaches each column that comes out."""
        for column in self.node.expressions:
            name = column.alias_or_name.lower()
            try:
                flows = self._whole(column)
            except Untraceable as error:
                error.column = error.column or name
                raise
            yield name, flows | self._decides(column)

    def _decides(self, column: exp.Expr) -> Flows:
        """What decides about the rows of a column shows in it, unless it is of the rows of many persons or events."""
        if not self.is_aggregated:
            return self.decides
        if self.is_single:
            return union([self.decides, *self.joined.values()])
        return self.decides if column.find(exp.Max, exp.Min, exp.ArrayAgg, exp.GroupConcat) else NOTHING

    # --- expressions -------------------------------------------------------------------------------------------------

    def of(self, node: exp.Expr) -> Flows:
        """All that reaches what an expression comes to."""
        if isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star)):
            raise Untraceable("a * names no column")
        if isinstance(node, CONSTANTS):
            return NOTHING
        if isinstance(node, exp.Column):
            return self._column(node)
        if isinstance(node, exp.Subquery):
            return union(flows for _, flows in _query(node.this, self.known, self.kinds))
        if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null) and _is_bare(node.this):
            return through(PRESENT, self.of(node.this))  # whether there is a value tells nothing of it
        if isinstance(node, (*TESTS, exp.Is)):
            return self._test(node)
        if isinstance(node, exp.Case | exp.If):
            return self._case(node)
        if isinstance(node, exp.Window):
            return self._window(node)
        if isinstance(node, exp.Count):
            counted = NOTHING if isinstance(node.this, exp.Star) else self._below(node)
            return self._of_many(node, self._finished(node, counted), COMPARED, FLAG)
        if isinstance(node, exp.Sum | exp.Avg):
            told = self._whole(node.this)
            values = frozenset(one for one in told if one.how == VALUE)
            return values | self._of_many(node, told - values, COMPARED, FLAG, JOINED)
        if isinstance(node, exp.Year) and _is_bare(node.this):
            return of_dates(YEAR, self._below(node))
        if isinstance(node, exp.DateDiff):
            return self._difference(node)
        if isinstance(node, THROUGH):
            return self._below(node)
        raise Untraceable(f"what {_name(node)} does to a column is not known")

    def _of_many(self, node: exp.Expr, flows: Flows, *ways: str) -> Flows:
        """What a count or a sum tells of what it is over: nothing, but of the rows of one person or event in `ways`."""
        if self.is_single or isinstance(node.parent, exp.Window):
            return through(COUNTED, flows, but=ways)
        return frozenset(replace(one, how=COUNTED, test="") for one in flows)

    def _below(self, node: exp.Expr) -> Flows:
        return union(self.of(part) for part in node.iter_expressions())

    def _column(self, node: exp.Column) -> Flows:
        name, alias = node.name.lower(), node.table.lower()
        asked = [alias] if alias else list(self.relations)
        found = [one for one in asked if name in self.relations.get(one, {})]
        if len(found) > 1:
            raise Untraceable(f"'{name}' is a column of {' and of '.join(found)}")
        if not found:
            known = [column for one in asked for column in self.relations.get(one, {})]
            raise Untraceable(f"there is no column '{node.sql(HOME)}' in what is read. {choose(name, known)}")
        return self.relations[found[0]][name] | self.joined.get(found[0], NOTHING)

    def _test(self, node: exp.Expr) -> Flows:
        """A flag of what is compared: it tells one thing of two."""
        told, beside = self._named(node), self._told_beside(node)
        looked_up = {one.leaf for flows in beside.values() for one in flows}
        return frozenset(
            replace(one, how=JOINED if one.leaf in looked_up else FLAG, test="" if one.leaf in looked_up else told)
            if one.how == VALUE
            else one
            for part in node.iter_expressions()
            if not isinstance(part, exp.Query)
            for one in self.of(part)
        )

    def _case(self, node: exp.Expr) -> Flows:
        operand = node.this if isinstance(node, exp.Case) else None
        branches = node.args["ifs"] if isinstance(node, exp.Case) else [node]
        tests = (exp.EQ(this=operand.copy(), expression=one.this.copy()) if operand else one.this for one in branches)
        values = [*(one.args["true"] for one in branches), node.args.get("default") or node.args.get("false")]
        return union(map(self.of, [*tests, *filter(None, values)]))

    def _window(self, node: exp.Window) -> Flows:
        """What a window tells; and of the order of its rows nothing within small groups, and their place among all."""
        by = node.args["order"].expressions if node.args.get("order") else []
        ordered = union(self.of(one.this) for one in by)
        told = NOTHING if isinstance(node.this, PLACES) else self.of(node.this)
        groups = union(map(self.of, node.args.get("partition_by") or []))
        guarded = (one for one in groups if one.how == VALUE and one.kind != DATED)
        is_small = any(not self.kinds.covers(OF_NOBODY, one.kind) for one in guarded)
        return told | through(RANKED if is_small else ORDERED, ordered)

    def _tells_apart(self, keys: Flows) -> bool:
        """Whether the rows that are alike in some keys are those of one person or event."""
        return any(one.how == VALUE and self.kinds.is_single(one.kind) for one in keys)

    def _difference(self, node: exp.DateDiff) -> Flows:
        """How far two dates are apart tells neither; how far one is from a day that is known tells it."""
        sides = [self._whole(side) for side in (node.this, node.expression)]
        dated = (any((one.how, one.kind) == (VALUE, DATED) for one in side) for side in sides)
        if all(dated) and _is_bare(node.this) and _is_bare(node.expression):
            return of_dates(DURATION, union(sides))
        return union(sides)

    # --- what decides about rows -------------------------------------------------------------------------------------

    def _decided_by(self, node: exp.Expr) -> None:
        """Take in what a condition tells of the rows that it lets through."""
        if isinstance(node, exp.Is) and _is_bare(node.this):
            return
        if isinstance(node, exp.In) and node.args.get("query"):
            self._member(node)
        elif isinstance(node, (*TESTS, exp.Is)):
            self._compared(node)
        elif isinstance(node, LOGIC + WRAPS + (exp.Coalesce,)) and not isinstance(node, exp.Cast):
            for part in node.iter_expressions():
                if not isinstance(part, CONSTANTS):
                    self._decided_by(part)
        else:
            self.decides |= filtered(self.of(node))

    def _compared(self, node: exp.Expr) -> None:
        sides = [side for side in node.iter_expressions() if side.find(exp.Column)]
        self._joins(node)
        if len(sides) < 2 and (isinstance(node, PINS) or node.find(exp.Literal) or node.find(exp.Case, exp.If)):
            self.decides |= filtered(union(map(self.of, sides)))
        elif any(one.how == FLAG for side in sides for one in self.of(side)):
            self.decides |= filtered(frozenset(one for side in sides for one in self.of(side) if one.how == FLAG))

    def _joins(self, node: exp.Expr, others: Flows = NOTHING) -> None:
        """What columns are compared with is told by their relation, unless their own kinds there hide as much."""
        for alias, told in self._told_beside(node, others).items():
            self.joined[alias] = self.joined.get(alias, NOTHING) | through(JOINED, told)

    def _told_beside(self, node: exp.Expr, others: Flows = NOTHING) -> dict[str, Flows]:
        """Relation -> what its columns are compared with, and do not hide. To be greater than another name or number
        tells a place, whatever its kind.
        """
        by_alias: dict[str, Flows] = {}
        is_ordering = isinstance(node, (*BOUNDS, exp.Between))
        for column in node.find_all(exp.Column):
            alias = self._alias(column)
            by_alias[alias] = by_alias.get(alias, NOTHING) | self.of(column)
        told = {}
        for alias, mine in by_alias.items():
            guards = {one.kind for one in mine if one.how not in HARMLESS}
            beside = union([others, *(flows for other, flows in by_alias.items() if other != alias)])
            told[alias] = frozenset(
                one
                for one in beside
                if one.how not in HARMLESS
                and not any(
                    self.kinds.covers(guard, one.kind) and not (is_ordering and self.kinds.is_single(one.kind))
                    for guard in guards
                )
            )
        return told

    def _hemmed(self, conditions: Iterable[exp.Expr]) -> Flows:
        """The columns that filters hold between two bounds: both together tell a value."""
        tests: dict[Reach, set[str]] = {}
        for condition in conditions:
            for test in condition.find_all(*BOUNDS):
                sides = [side for side in test.iter_expressions() if side.find(exp.Column)]
                for one in self.of(sides[0]) if len(sides) == 1 else NOTHING:
                    tests.setdefault(one, set()).add(test.sql(HOME))
        return through(FILTERED, frozenset(one for one, told in tests.items() if len(told) > 1))

    def _alias(self, column: exp.Column) -> str:
        if column.table:
            return column.table.lower()
        for alias, held in self.relations.items():
            if column.name.lower() in held:
                return alias
        raise Untraceable(f"'{column.name}' is not a column of what is read here")  # of a SELECT within it

    def _member(self, node: exp.In) -> None:
        made = union(flows for _, flows in _query(node.args["query"], self.known, self.kinds))
        self._joins(node.this, made)
        self.decides |= through(FILTERED, frozenset(one for one in made if one.how != VALUE))

    # --- flags -------------------------------------------------------------------------------------------------------

    def _named(self, node: exp.Expr) -> str:
        """A name of a test: the same words mean the same within one SELECT only."""
        return f"{self.scope}: {node.sql(HOME)}"

    def _whole(self, node: exp.Expr) -> Flows:
        """All that reaches a whole expression."""
        return self._finished(node, self.of(node))

    def _finished(self, node: exp.Expr, flows: Flows) -> Flows:
        """One of two outcomes is a flag; more comparisons of a column tell it."""
        if _has_two_outcomes(node):
            return frozenset(replace(one, test=self._named(node)) if one.how == FLAG else one for one in flows)
        tests: dict[str, set[str]] = {}
        for one in flows:
            if one.how == FLAG:
                tests.setdefault(one.leaf, set()).add(one.test)
        return frozenset(
            replace(one, how=COMPARED, test="") if one.how == FLAG and len(tests[one.leaf]) > 1 else one
            for one in flows
        )


def _has_two_outcomes(node: exp.Expr) -> bool:
    while isinstance(node, WRAPS):
        node = node.this
    if isinstance(node, exp.Coalesce):
        return _has_two_outcomes(node.this) and all(isinstance(one, CONSTANTS) for one in node.expressions)
    if isinstance(node, exp.Case):
        values = [*(one.args["true"] for one in node.args["ifs"]), node.args.get("default") or exp.Null()]
        return all(isinstance(one, CONSTANTS) for one in values) and len({one.sql(HOME) for one in values}) <= 2
    return isinstance(node, (*TESTS, *LOGIC, exp.Is))


def _adds_up(node: exp.Expr) -> bool:
    """Whether rows are put together in it, and not by a window."""
    return any(not isinstance(one.parent, exp.Window) for one in node.find_all(exp.AggFunc))


def _is_bare(node: exp.Expr) -> bool:
    """A column as it stands, or cast."""
    while isinstance(node, exp.Paren | exp.Cast):
        node = node.this
    return isinstance(node, exp.Column)


def _name(node: exp.Expr) -> str:
    return node.sql_name() if isinstance(node, exp.Func) else type(node).__name__.upper()
