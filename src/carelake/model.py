"""The nouns. Frozen, typed, and free of I/O: everything else is a function over these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal

Otherwise = Literal["warn", "quarantine", "stop"]
FOREVER = "forever"  # how long bronze is kept, if nothing is said
LOG_KEPT = "6 years"  # that events of the access log are kept, at least: 45 CFR 164.316(b)(2)(i), 164.528(a)(1)
REPAIR = "repair"  # the source of all repairs; no other may have that name
TYPES = {  # what a column may be -> how SQL spells it. Times are UTC; money is never a float
    "text": "TEXT",
    "date": "DATE",
    "timestamp": "TIMESTAMPTZ",
    "boolean": "BOOLEAN",
    "integer": "BIGINT",
    "money": "DECIMAL(18, 2)",
    "ratio": "DECIMAL(18, 4)",
    "days": "DECIMAL(18, 2)",
}


@dataclass(frozen=True)
class Column:
    name: str
    kind: str  # what it reveals about a person; see declarations/privacy.yml
    type: str = "text"
    required: bool = False
    optional: bool = False  # a feed that does not have it may leave it out; it is NULL then
    one_of: tuple[str, ...] = ()
    refers_to: str | None = None  # the table whose key it holds: `<table>_key` stands beside it in silver
    about: str = ""


DIMENSIONS = ("completeness", "validity", "consistency", "uniqueness", "timeliness")


@dataclass(frozen=True)
class Severity:
    """What becomes of a rule that is broken, and up to which share of rows nothing does."""

    otherwise: Otherwise
    tolerated: Decimal = Decimal(0)


@dataclass(frozen=True)
class Rule:
    name: str
    must: str  # SQL that is true of a good row. NULL passes: absence is `required`'s job
    because: str
    otherwise: Otherwise
    dimension: str = "validity"  # one of DIMENSIONS: what of a table's quality it measures
    tolerated: Decimal = Decimal(0)
    sources: Mapping[str, Severity] = field(default_factory=dict)  # source system -> another severity there

    def severity(self, source: str) -> Severity:
        """How grave it is in a source system."""
        return self.sources.get(source, Severity(self.otherwise, self.tolerated))


@dataclass(frozen=True)
class Count:
    """How many rows of a source break a rule, of how many. `severity` is today's, whenever they were counted."""

    table: str
    rule: str
    source: str
    dimension: str
    because: str
    severity: Severity
    violating: int
    rows_seen: int

    @property
    def share(self) -> Decimal:
        """The share of rows that break it."""
        return Decimal(self.violating) / max(self.rows_seen, 1)

    @property
    def is_beyond(self) -> bool:
        """Whether more rows break it than are tolerated."""
        return self.violating > self.severity.tolerated * self.rows_seen


@dataclass(frozen=True)
class Event:
    """What happens to a row, in the words of its table."""

    name: str
    when: str  # SQL over what a version says, and as `old_<column>` over what the one before it said
    show: tuple[str, ...] = ()  # the columns that tell more of it


@dataclass(frozen=True)
class Story:
    events: tuple[Event, ...]
    follows: str | None = None  # the column that names the row of the same table whose story it goes on with


@dataclass(frozen=True)
class Table:
    name: str
    about: str
    key: tuple[str, ...]  # first `source_system`: ids collide across systems
    sequence_by: str  # source time: the later of two versions of a key wins
    history: Literal["scd1", "scd2"]
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = ()  # of one row, judged when it arrives
    set_rules: tuple[Rule, ...] = ()  # of all rows that stand: see quality.py
    track: tuple[str, ...] = ()  # the columns whose change counts as one; all but the source time, if empty
    sla: Decimal = Decimal("0.995")  # the share of rows that should be trusted, at least
    tie_breaker: str | None = None  # of two differing rows of one key and time in one load, the greater wins
    z_order: tuple[str, ...] = ()  # the columns that `optimize` lays its rows along
    exact: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # view of the restricted zone -> its columns
    story: Story | None = None

    @property
    def own_key(self) -> str:
        """The surrogate key's column: `<table>_key`."""
        return f"{self.name}_key"

    @property
    def refers(self) -> dict[str, str]:
        """Column that holds a minted key -> the column it is minted from; its own key is not among them."""
        others = (c for c in self.columns if c.refers_to and c.refers_to != self.name)
        return {f"{column.refers_to}_key": column.name for column in others}


@dataclass(frozen=True)
class Feed:
    """One table, file set or service of a source, landed in bronze, and how it becomes a silver table."""

    source: str
    name: str
    reader: Literal["sql", "files", "reference"]
    connection: str  # `${HOS_A_URL}`: a URL or folder, filled in from the secret provider when it is needed
    at: str  # the table, the pattern of file names, or the service
    load: Literal["full", "watermark", "append"]
    fills: str | None  # the silver table; None lands in bronze and goes no further
    columns: Mapping[str, str]  # column of the silver table -> SQL over the feed's own columns
    key: tuple[str, ...] = ()  # the feed's own columns that tell its rows apart
    watermark: str | None = None
    lookback: str | None = None  # how far before the last watermark to read again, in the watermark's unit
    contract: Literal["evolve", "freeze", "quarantine"] = "evolve"
    types: Mapping[str, str] = field(default_factory=dict)  # columns to read as another type than the source says
    delete_when: str | None = None  # SQL over its own columns that is true of a row which says its key is gone
    wanted: str | None = None  # SELECT over silver of what to ask a service for, one column
    control: Mapping[str, str] = field(default_factory=dict)
    sums: tuple[str, ...] = ()  # its own columns that hold amounts: added up at the source and where they landed
    time_zone: str = "UTC"
    active: bool = True
    idle: str = "switched off in the declarations"  # why, where it is not active
    optional: bool = False  # not an error when its connection is not set
    archive: bool = True  # move a delivered file to `archive/`
    ignore: str = ""  # the files beside its own that nobody misses, as a pattern

    @property
    def relation(self) -> str:
        """What it has landed, as `query` shows it: `bronze.<source>_<feed>`."""
        return f"bronze.{self.source}_{self.name}".replace("-", "_")

    @property
    def repairs(self) -> Feed:
        """The feed of the repairs of its rows: loads of their own, and nothing that a source sends."""
        return replace(self, source=REPAIR, name=f"{self.source}_{self.name}", load="append", key=(), watermark=None)


@dataclass(frozen=True)
class Mart:
    name: str
    shelf: str
    about: str
    select: str
    columns: tuple[Column, ...]
    kpi: str | None = None  # the column that holds the figure, if the mart is a KPI
    unit: str = ""  # of that figure
    recompute_by: str | None = None  # the key by which only what a change reaches is computed anew; else all of it
    z_order: tuple[str, ...] = ()  # the columns that `optimize` lays its rows along


VIEWS = ("", "_history", "_all")  # of a silver table, behind its name


@dataclass(frozen=True)
class Cell:
    """One cell of the privacy page: a treatment, and the zone it is computed from if not silver."""

    treatment: str
    zone: str | None = None


@dataclass(frozen=True)
class Label:
    """What makes a row more sensitive than its columns, and who may see such rows all the same: see labels.py."""

    name: str
    about: str
    seen_by: tuple[str, ...]  # audiences, and `custom`
    codes: Mapping[str, tuple[str, ...]]  # column -> what the codes in it begin with
    sources: tuple[str, ...]  # all of whose rows have it
    providers: Mapping[str, tuple[str, ...]]  # source -> the ids of its providers, all of whose rows have it


@dataclass(frozen=True)
class Determination:
    """What an expert found of a custom extract: 45 CFR 164.514(b)(1)."""

    by: str
    on: str
    method: str
    until: str  # the day on which it ends


@dataclass(frozen=True)
class Custom:
    """An extract of a project's own."""

    about: str  # what it calls itself
    seen: Mapping[str, Cell]  # kind of fact -> what is seen of it; of others, nothing
    determination: Determination | None


@dataclass(frozen=True)
class Policy:
    stored: Mapping[str, str]  # kind of fact -> what silver holds of it
    seen: Mapping[str, Mapping[str, Cell]]  # audience -> kind of fact -> what it sees
    sparse_zip3: tuple[str, ...]
    peopled_zip3: tuple[str, ...] = ()  # areas of more than 20,000 people, if a census was loaded: no others are shown
    custom: Custom | None = None
    labels: Mapping[str, Label] = field(default_factory=dict)
    unsigned: tuple[str, ...] = ()  # what shows more than the shipped page, and nobody signed
    lowered: Mapping[str, str] = field(
        default_factory=dict
    )  # gold.mart.column -> why it may show more than its kind says


@dataclass(frozen=True)
class Reference:
    """A small table that marts read beside silver: code lists, and what a project knows better."""

    name: str
    path: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Side:
    """One of the two figures of a reconciliation: what people call it, and its SELECT of `item` and `figure`."""

    name: str
    select: str


@dataclass(frozen=True)
class Reconciliation:
    """Two figures that must agree, item by item. Its `sides` are declared, or it `compares` what metadata tell of."""

    name: str
    about: str
    otherwise: Literal["warn", "stop"]
    sides: tuple[Side, Side] | None = None  # what is expected, and what is found
    compares: str | None = None
    right_is: Literal["equal", "at_least", "at_most"] = "equal"  # to what is expected
    tolerated: Decimal = Decimal(0)  # of what is expected
    beyond_chance: bool = False  # counts, of which only what chance does not explain is a difference
    behind: str | None = None  # SELECT of the keys of the rows that make the difference
    fix: str = ""  # what to do about it


@dataclass(frozen=True)
class Setting:
    """What a project decides for itself, and marts read from `reference.setting`."""

    about: str
    value: str  # what lake.yml says, else the default
    default: str
    may_be: str  # in words


@dataclass(frozen=True)
class Retention:
    """How long rows of bronze are kept that are history, as in `2 years`: see retention.py."""

    bronze: str = FOREVER
    sources: Mapping[str, str] = field(default_factory=dict)  # source -> otherwise there

    def of(self, source: str) -> str:
        """How long those of a source."""
        return self.sources.get(source, self.bronze)


@dataclass(frozen=True)
class Place:
    """Where a project's lake is, and how it is run: what lake.yml says besides rules and settings."""

    roots: Mapping[str, str]  # lake, originals, restricted -> folder, relative to the project
    engine: Literal["duck", "spark"] = "duck"
    memory: str = "2GB"  # what the embedded engine holds before it goes to disk
    spark: Mapping[str, str] = field(default_factory=dict)  # settings of Spark, by their own names
    readers: int = 16  # ranges of tables that executors read at once, over a connection each
    as_of: str = "today"
    keep: int = 35  # days that a release stays readable after the next one is out
    retention: Retention = field(default_factory=Retention)
    report: str = ""  # the folder that each run writes its quality report to; none, if it is empty
    anchor: str = ""  # the folder that heads of the access log are exported to; none, if it is empty
    log_kept: str = LOG_KEPT  # for how long events of the access log are kept: see retention.py
    env: Literal["prod", "dev"] = "prod"  # in `dev`, a privacy page that shows more needs no signature
    officer: str = ""  # the public key of whoever signs the privacy page, in hexadecimal; nobody does, if it is empty
    encrypted_by: Mapping[str, str] = field(default_factory=dict)  # root -> what encrypts it at rest, as somebody says


@dataclass(frozen=True)
class Channel:
    """Who hears of what a run comes upon, and how."""

    name: str
    of: tuple[str, ...]  # failed, held, warned; and the digests that it gets: daily, weekly
    address: str  # `${NAME}`: of the webhook or the mail server, filled in when it is needed
    mail: tuple[str, ...] = ()  # to whom; a webhook, if it is empty
    sender: str = ""
    form: str = "plain"  # of a webhook: plain, slack or teams
    after: int = 0  # hours: hears only of what nobody has acknowledged by then


@dataclass(frozen=True)
class Identifier:
    """One of the 18 identifiers of 45 CFR 164.514(b)(2)(i), and the kinds that are one."""

    about: str
    kinds: tuple[str, ...]
    may_be: Mapping[str, tuple[str, ...]]  # kind -> what may be seen of it in Safe Harbor, beside pseudonyms


@dataclass(frozen=True)
class Extracts:
    """What may leave in an extract, and what persons in it could be told apart by."""

    tables: Mapping[str, tuple[str, ...]]  # table -> its columns that may leave
    persons: str  # the table of persons
    quasi_identifiers: tuple[str, ...]  # columns of it
    events: tuple[str, ...]  # columns of other tables that somebody may know of an event
    identifiers: Mapping[str, Identifier]  # by letter


@dataclass(frozen=True)
class Declarations:
    place: Place
    policy: Policy
    tables: Mapping[str, Table]
    feeds: tuple[Feed, ...]
    marts: Mapping[str, Mart]
    references: Mapping[str, Reference]
    settings: Mapping[str, Setting]
    reconciliations: Mapping[str, Reconciliation] = field(default_factory=dict)
    channels: tuple[Channel, ...] = ()
    extracts: Extracts = Extracts({}, "", (), (), {})

    @property
    def person_key(self) -> str:
        """The column that says whose a row is."""
        return f"{self.extracts.persons}_key"
