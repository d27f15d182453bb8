"""Policy -> what is stored of each kind of fact, as SQL. Pure: no original and no key is ever written into SQL."""

from __future__ import annotations

from collections.abc import Mapping

from .model import Cell, Column, Policy

# States, territories, freely associated states and military posts: USPS Publication 28, appendix B. Any two letters
# before a ZIP would let parts of a street through.
USPS = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|DC|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA"
    "|RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|AS|GU|MP|PR|VI|FM|MH|PW|AA|AE|AP"
)
# Treatments that a SELECT can make of the value itself. A token is joined from the vault instead.
STORED_AS = {
    "keep": "{value}",
    # USPS code before the ZIP at the end of an address. The rest of the address is dropped.
    "state": f"REGEXP_EXTRACT({{value}}, '[, ]({USPS}) [0-9]{{{{5}}}}(-[0-9]{{{{4}}}})?$', 1)",
    "last4": "'XXX-XX-' || RIGHT({value}, 4)",
}
STORED = {*STORED_AS, "token", "restrict", "drop"}  # `age` cannot be among them: it is wrong a year later
COMPUTABLE_FROM = {  # treatment -> what silver must hold for it
    "keep": {"keep"},
    "token": {"token"},
    "pseudonym": {"keep", "token"},
    "drop": STORED,
    "year": {"keep"},
    "age": {"keep"},
    "zip3": {"keep"},
    "state": {"keep", "state"},
    "region": {"state"},
    "shift": {"keep"},
    "last4": {"keep", "last4"},
}
ZONES = {"originals", "restricted"}
REVEALS = {"drop": 0, "restrict": 1, "pseudonym": 1, "token": 2, "keep": 4}  # every other treatment shows a part: 3


def read_cell(words: str) -> Cell:
    """`age from restricted` -> the treatment and its zone."""
    treatment, _, zone = words.partition(" from ")
    return Cell(treatment, zone or None)


def is_computable(cell: Cell, stored: str) -> bool:
    """Whether `cell` can be made from what silver stores, or from the zone it names."""
    if cell.zone == "originals":
        return cell.treatment == "keep" and stored == "token"  # the door looks a token up, one person at a time
    if cell.zone == "restricted":
        return stored == "restrict" and "keep" in COMPUTABLE_FROM[cell.treatment]
    return stored in COMPUTABLE_FROM[cell.treatment]


def reveals(words: str) -> int:
    """How much a cell shows, so that a project cannot show more than was signed: 0 nothing … 4 everything."""
    return REVEALS.get(read_cell(words).treatment, 3)


def in_silver(column: Column, policy: Policy) -> bool:
    """Whether the open zone holds anything of the column."""
    return policy.stored[column.kind] not in {"drop", "restrict"}


def is_restricted(column: Column, policy: Policy) -> bool:
    """Whether only the restricted zone holds the column."""
    return policy.stored[column.kind] == "restrict"


def is_token(column: Column, policy: Policy) -> bool:
    """Whether a token stands for the column's values."""
    return policy.stored[column.kind] == "token"


def made_as(column: Column, policy: Policy) -> str:
    """What is stored of a column, in words that differ where its values would: each kind has tokens of its own."""
    treatment = policy.stored[column.kind]
    return f"{treatment} of {column.kind}" if treatment == "token" else treatment


def stored(column: Column, policy: Policy, value: str) -> str:
    """The SQL of what silver stores of `value`, an SQL expression."""
    return STORED_AS[policy.stored[column.kind]].format(value=value)


def hides_as_much(policy: Policy, kind: str, other: str) -> bool:
    """Whether every audience sees of `kind` at most what it sees of `other`, both as silver stores them."""
    return all(_at_most(_shown(policy, cells, kind), _shown(policy, cells, other)) for cells in policy.seen.values())


def _shown(policy: Policy, cells: Mapping[str, Cell], kind: str) -> tuple[int, str]:
    """How much a cell shows of what is stored: 0 nothing, 1 a pseudonym, 3 a part, which one, or 4 all of it."""
    treatment = cells[kind].treatment
    if treatment in {"keep", policy.stored[kind]}:
        return 4, ""
    return REVEALS.get(treatment, 3), treatment if treatment not in REVEALS else ""


def _at_most(mine: tuple[int, str], theirs: tuple[int, str]) -> bool:
    """Two parts of a value cannot be compared, unless they are the same."""
    return mine == theirs or mine[0] < theirs[0]


def tells_apart(policy: Policy, kind: str) -> bool:
    """Whether values of a kind tell persons or events apart: somebody sees a token or a pseudonym of them."""
    shown = {policy.stored[kind], *(cells[kind].treatment for cells in policy.seen.values())}
    return not shown.isdisjoint({"token", "pseudonym"})
