"""Where every column comes from, as a page of graphs: from sources to silver, and from there to each mart. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from . import leaks, sql
from .ancestry import Step, told
from .model import Declarations, Mart, Table
from .reach import COMPARED, FILTERED, JOINED, ORDERED

DECIDES = {COMPARED, FILTERED, JOINED, ORDERED}  # ways to reach a column without being part of its values
HEAD = """# Lineage

Generated from the declarations by `tools/make_lineage.py`, with the project of the `rcm` template: do not edit it. A
line says that values come from there; a dotted one, that it decides which values there are, in a filter, a join, a
group or an order. The same of one column, step by step down to its sources: `carelake lineage gold.ar_aging.ar_amount`.
What it proves: [the lineage proof](decisions/lineage.md)."""


def page(declared: Declarations) -> str:
    """The whole page, in Markdown with graphs in Mermaid."""
    parts = [HEAD, "## Tables", _graph(_tables(declared))]
    for table in declared.tables.values():
        parts += [f"## silver.{table.name}", _graph(_silver(declared, table))]
    for mart in declared.marts.values():
        parts += [f"## gold.{mart.name}", _graph(_mart(declared, mart))]
    return "\n\n".join(parts) + "\n"


def _graph(edges: Iterable[tuple[str, str, bool]]) -> str:
    """Mermaid of (from, to, whether values come from there), each once, in a fixed order."""
    lines = sorted({f'    {_id(begin)}["{begin}"] {"-->" if value else "-.->"} {_id(end)}["{end}"]'
                    for begin, end, value in edges})  # fmt: skip
    return "\n".join(["```mermaid", "flowchart LR", *lines, "```"])


def _id(name: str) -> str:
    """A name that Mermaid takes for one: it has words of its own, and signs that end one."""
    return "n_" + "".join(sign if sign.isalnum() or sign == "_" else "__" for sign in name)


def _tables(declared: Declarations) -> Iterator[tuple[str, str, bool]]:
    for feed in declared.feeds:
        if feed.fills:
            yield f"{feed.source}.{feed.name}", f"silver.{feed.fills}", True
    for mart in declared.marts.values():
        for name in sql.tables_of(mart.select):
            yield name.removesuffix("_history").removesuffix("_all"), f"gold.{mart.name}", True


def _silver(declared: Declarations, table: Table) -> Iterator[tuple[str, str, bool]]:
    for name in leaks.of_silver(table, declared.policy):
        steps = told(declared, f"silver.{table.name}.{name}")
        for step in steps[1:]:
            yield step.column.replace('"', "'"), name, True
        if len(steps) == 1:
            yield "CareLake", name, True


def _mart(declared: Declarations, mart: Mart) -> Iterator[tuple[str, str, bool]]:
    steps = {one.name: _reaching(declared, f"gold.{mart.name}.{one.name}") for one in mart.columns}
    deciding = [{step.column for step in found if step.how in DECIDES} for found in steps.values()]
    always = set.intersection(*deciding)
    yield from ((leaf, "every column", False) for leaf in always)
    for name, found in steps.items():
        for step in found:
            if step.how not in DECIDES or step.column not in always:
                yield step.column, name, step.how not in DECIDES
        if all(step.how in DECIDES for step in found):
            yield "what the SELECT says", name, True


def _reaching(declared: Declarations, column: str) -> list[Step]:
    return [step for step in told(declared, column) if step.depth == 1]
