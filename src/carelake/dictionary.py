"""Declarations -> the data dictionary: every table that can be asked, its columns, their types, kinds and meaning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from . import (
    changes,
    dictionary_access,
    dictionary_report,
    dictionary_retention,
    epochs,
    lake,
    leaks,
    ledger,
    made,
    plan,
    privacy,
    quality,
    reconcile,
    release,
    repaired,
    silver,
)
from .model import Column, Declarations, Mart, Policy, Table
from .reach import Flows
from .tell import alert
from .upkeep import needs

HEAD = """# Data dictionary

Made from the declarations by `tools/make_dictionary.py`; a test fails when it is stale. *Kind* says what a column
reveals about a person; [`privacy.yml`](../declarations/privacy.yml) says what is stored and shown of it. Times are
UTC, amounts are DECIMAL(18, 2). `carelake query --tables` lists what a lake of yours has.
"""
SILVER = """## Silver

Every table has three views: `silver.x` shows the current, trusted rows; `silver.x_history` every accepted version;
`silver.x_all` one row per key, the trusted one or, where there is none, the last one held back. `quarantine.x` keeps
every row that is held back, with its reasons. Beside the columns of their table they have these:
"""
REFERENCE = """## Reference

Small tables that marts read beside silver. All their columns are TEXT. `reference.setting` holds the settings, which
`lake.yml` gives values:
"""
LANDED = """## Bronze

`bronze.<source>_<feed>` shows what a feed has landed, as its source has it, identifiers included: it is in the zone of
originals. A hyphen in a name becomes an underscore. `bronze.<source>_<feed>_rejected` shows lines that are no rows
(`line_number`, `reason`, `line`), and `bronze.repair_<source>_<feed>` what was repaired by hand. Columns of CareLake's
own stand behind those of the source:
"""

TIMELINE = {  # column of every history -> what it means
    "flags": "Names of the `warn` rules that the row breaks, with `;` between; empty if none.",
    "valid_from": "From when on the version holds: its source time, or its extraction's where the source tells none.",
    "valid_to": "Until when it held, that moment not included; empty while it is the last one.",
    "is_current": "Whether it holds now: the last version of its key, and not a deletion.",
    "is_deleted": "Whether the version says that the row was gone from its source.",
    "is_change": "Whether it differs from the version before it.",
    "inserted_date": "When this version was first stored.",
    "modified_date": "When its place in the timeline was last computed.",
    "is_quarantined": "Whether the row is held back.",
    "quarantine_reasons": "Names of the rules that it breaks, with `;` between.",
    "quarantined_at": "When it was held back.",
}
BRONZE = {
    plan.SEQUENCE: ("BIGINT", "The load of its feed that landed it, counted from 1."),
    plan.NUMBER: ("BIGINT", "Of a load that was purged in part, which of its rows it was when it landed, from 0 on."),
    plan.DELETED: ("BOOLEAN", "A tombstone: its key was in the source before, and is no more."),
    plan.OF_ROW: ("BIGINT", "Of a repair, the row that it stands for, of the load in `_lake_sequence` of that feed."),
    plan.REPAIR: ("BIGINT", "Of a repair, the load of repairs that it is of, counted from 1."),
    plan.ACCEPTED: ("TEXT", "Of a repair, the rules that it may break, with `;` between."),
}
AUDIT: Mapping[str, tuple[str, Mapping[str, str], Mapping[str, str]]] = {
    "audit.load_logs": (
        "One row per load. A load exists when its row is here.",
        ledger.COLUMNS,
        {
            "id": "Counts the loads of the lake.",
            "load_id": "Source, feed and sequence.",
            "run_id": "The run that landed it.",
            "data_source": "The source, as its file in `sources/` is called.",
            "feed": "The feed of that source.",
            "tablename": "The table, file pattern or service that the feed reads.",
            "sequence": "Counts the loads of the feed, without a gap.",
            "load_type": "full, watermark or append; full also for a reconciliation.",
            "numberofrowscopied": "Rows landed, tombstones among them.",
            "rows_read": "Rows read from the source, also those that were known already.",
            "rows_deleted": "Tombstones landed.",
            "rows_rejected": "Lines of a file that are no rows; they are kept beside the load.",
            "bytes": "Size of its Parquet files.",
            "watermarkcolumnname": "The source's column that the watermark is of.",
            "watermark_from": "Lower bound of what was read, as the source writes it; the lookback is in it.",
            "watermark_to": "Upper bound: where the next extraction begins, less the lookback.",
            "as_of": "The day from which row rules judge its rows, also when it is reprocessed.",
            "extracted_at": "When its extraction began.",
            "loaddate": "The same moment, under the name that users know.",
            "delivery": "The table or the file's name.",
            "content_sha256": "SHA-256 of a file's bytes, unpacked: the same content is loaded once.",
            "folder": "Where its files are, below bronze.",
            "parts": "Its Parquet files, each with its SHA-256; JSON.",
            "schema": "Its columns and their Arrow types; JSON.",
            "schema_hash": "SHA-256 of that.",
            "part_of": "The first extraction that it is a key range of; empty for a load of its own.",
            "range": "Which range, from 0.",
            "is_last": "Whether the extraction is whole with it, so that the watermark moves.",
            "rows_told": "Rows that the source counted; empty where it cannot say.",
            "summed": "Its columns that were added up.",
            "sum_told": "What they come to at the source, or in the control file.",
            "sum_read": "What they come to where the rows arrived.",
            "who": "Who repaired, accepted or replayed rows with it: the user of the operating system.",
            "why": "Why, as that person said it.",
        },
    ),
    "audit.run_steps": (
        "What every run did, step by step.",
        lake.RUNS,
        {
            "run_id": "The run: when it began, UTC.",
            "as_of": "The day that its figures are seen from.",
            "step": "extract, refine, build, check, reconcile, release or tell.",
            "name": "The feed, table or mart.",
            "outcome": "done, unchanged, inactive, warned or failed.",
            "code": "The error's code; see troubleshooting.",
            "found": "What was found, without a value of a row.",
            "rows": "Rows landed, refined or built.",
            "seconds": "How long it took.",
            "started_at": "When the run began.",
        },
    ),
    "audit.rule_results": (
        "How many rows break each rule, per source system: of what loads brought, and of all that stands. 0 means that"
        " it was looked at.",
        silver.RESULTS,
        {
            "run_id": "The run that judged.",
            "table_name": "The silver table.",
            "rule": "The rule's name.",
            "otherwise": "What happens to a row that breaks it: warn, quarantine or stop.",
            "source_system": "The source the rows came from.",
            "violating": "Rows that break it.",
            "rows_seen": "Rows judged.",
            "load_from": "The first load judged, by its id.",
            "load_to": "The last one.",
            "judged_at": "When.",
            "scope": "`load`: rows that loads brought. `table`: all rows that stand or are held back.",
            "state": "Tells whether the table or its rules have changed since; of scope `table`.",
        },
    ),
    reconcile.TABLE: (
        "What was expected and what was found, item by item, each time it was judged. The highest judgement of a name"
        " and part is what holds.",
        reconcile.COLUMNS,
        {
            "judgement": "Counts the times that something was judged.",
            "run_id": "The run that judged.",
            "name": "The reconciliation's name.",
            "part": "The feed, table or mart that it was made for; empty if it is declared with its SELECTs.",
            "item": "What the figures are of: a source, a month, a status.",
            "left_name": "Who says what is expected.",
            "left_figure": "What is expected; empty while there is nothing to compare.",
            "right_name": "Who says what is found.",
            "right_figure": "What is found.",
            "difference": "What is found, less what is expected.",
            "right_is": "What must hold: the right figure is equal, at_least or at_most the left one.",
            "tolerated": "The share of the left figure that they may be apart.",
            "otherwise": "What follows if they are further apart: warn or stop.",
            "verdict": "holds, warned, failed, or idle: there is nothing to compare yet.",
            "found": "What is wrong and what to do, without a value of a row.",
            "as_of": "The day of the figures.",
            "judged_at": "When.",
            "inputs": "A digest of what it was judged from: the same again is not computed again.",
        },
    ),
    made.TABLE: (
        "How the columns of silver are made, since they were declared first. Made otherwise, rows would stand twice.",
        made.COLUMNS,
        {
            "table_name": "The silver table.",
            "column_name": "The column; `valid_from` stands for how its versions are ordered.",
            "made_as": "What is stored of it, or of which columns it is the key.",
            "epoch": "Since which epoch of the table; empty is the first.",
        },
    ),
    epochs.TABLE: (
        "Tables that were begun anew: from bronze, or from what a release knew. Their first epoch is not here.",
        epochs.COLUMNS,
        {
            "table_name": "The silver table.",
            "epoch": "Counts the epochs of the table; it is part of the marks of its loads.",
            "how": "reprocess or restore.",
            "release": "The release that it was set back to.",
            "why": "Why, as that person said it.",
            "who": "Who did it: the user of the operating system.",
            "begun_at": "When.",
        },
    ),
    repaired.RESOLVED: (
        "Rows that were held back, and are not any more.",
        repaired.COLUMNS,
        {
            "table_name": "The silver table.",
            "source_system": "The source the row came from.",
            "_load_id": "The load that brought it, by its id: the first half of the row's own id.",
            "_load_row": "Which row of that load it is, from 0 on: the second half.",
            "key": "The surrogate key that it had, as long as it was held back; empty if it had none.",
            "_source_time": "Its time at its source, as long as it was held back.",
            "quarantine_reasons": "Why it was held back, at last.",
            "quarantined_at": "Since when.",
            "how": "repair, accept or replay; settled, if that of another row settled it too.",
            "resolved_by": "The load that did, by its id: the ledger says who made it, and why.",
            "resolved_at": "When.",
            "run_id": "The run that took it in.",
        },
    ),
    "audit.releases": (
        "What readers see: the latest row names the version of every table.",
        release.COLUMNS,
        {
            "id": "Counts the releases.",
            "run_id": "The run that published it.",
            "as_of": "The day that its figures are seen from.",
            "released_at": "When.",
            "tables": "The version of every table; JSON.",
            "loads": "The last load that readers of bronze see, by its id.",
            "kind": "`run`, `rollback` (it holds: runs release nothing), or `resume`, which ends one.",
            "why": "Why it was rolled back.",
            "who": "Who did it: the user of the operating system.",
            "held": "The tables and marts that stand as they were released before, each with the cause; JSON.",
            "held_loads": "The last load of each feed that fills such a table, as readers see it; JSON.",
        },
    ),
    "audit.alerts": (
        "What runs came upon, who was told of it, and who looks after it. Rows are only added.",
        alert.COLUMNS,
        {
            "alert": "The cause, by the name that it has at every run.",
            "event": "seen (for the first time), told, acknowledged, or gone: a run did not come upon it any more.",
            "run_id": "The run, but for what was acknowledged.",
            "outcome": "failed, held (it keeps tables out of the release) or warned.",
            "code": "The error's code; see troubleshooting.",
            "what": "The steps that it hit.",
            "found": "What was found, without a value of a row.",
            "channel": "Who was told.",
            "who": "Who looks after it.",
            "note": "What is being done.",
            "happened_at": "When.",
        },
    ),
    "audit.vacuums": (
        "What `carelake vacuum` took away: no file that a release which stays readable needs.",
        needs.COLUMNS,
        {
            "at": "When.",
            "readable_from": "The first release that can still be read; earlier ones may have lost files.",
            "files": "How many files.",
            "bytes": "How large they were together.",
        },
    ),
    **dictionary_retention.AUDIT,
    **dictionary_report.AUDIT,
    **dictionary_access.AUDIT,
    "audit.changes": (
        "What changed, column by column, in every silver table that keeps its history. Made of the versions of the"
        " release when it is asked for, and stored nowhere. It tells what silver shows, and nothing that it does not"
        " hold. What is inserted was nothing before, and what is deleted says nothing, so that the changes of a key add"
        " up to its row. When a row was changed is `changed_at`, so that its source time has no line of its own.",
        changes.COLUMNS,
        {
            "table_name": "The silver table.",
            "key": "The row, by its surrogate key.",
            "source_system": "The system that it is from.",
            "version": "Counts the versions of the key, in their order.",
            "column_name": "The column that says otherwise than before.",
            "old": "What the version before said, as text; times in UTC.",
            "new": "What it says now.",
            "changed_at": "From when on it holds: `valid_from` of the version.",
            "operation": "inserted, updated, deleted or reinserted: after it was gone.",
            "reason": "The same; or late, if it was loaded after a version that follows it; or repaired, if it was held"
            " back at first.",
            "load_id": "The load that brought it.",
            "run_id": "The run that landed that load.",
            "known_at": "When it was first stored.",
        },
    ),
}


def page(declared: Declarations, built: Mapping[str, Mapping[str, str]]) -> str:
    """The whole dictionary, as Markdown. `built` says the columns of each mart and their types."""
    parts = [HEAD, *_silver(declared), *_gold(declared, built), *_reference(declared), *_audit(), *_bronze()]
    return "\n".join(parts).rstrip() + "\n"


def _silver(declared: Declarations) -> Iterator[str]:
    yield SILVER
    types = {
        **plan.TIMELINE,
        "is_quarantined": "BOOLEAN",
        "quarantine_reasons": "TEXT",
        "quarantined_at": "TIMESTAMPTZ",
    }
    rows = [(f"`{name}`", types[name], _places(name), told) for name, told in TIMELINE.items()]
    yield from _grid(("column", "type", "in", "meaning"), rows)
    for table in declared.tables.values():
        yield from _table(table, declared.policy)


def _places(name: str) -> str:
    """Which views of silver show it."""
    held = name.startswith("quarantine") or name == "is_quarantined"
    views = {
        "x": name in plan.SHOWN,
        "x_history": name in plan.TIMELINE,
        "x_all": name in plan.SHOWN or name in {"is_quarantined", "quarantine_reasons"},
        "quarantine.x": name == "flags" or (held and name != "is_quarantined"),
    }
    return ", ".join(view for view, shows in views.items() if shows)


def _table(table: Table, policy: Policy) -> Iterator[str]:
    yield f"### silver.{table.name}\n\n{table.about}\n"
    yield f"Key: {', '.join(table.key)}. Ordered by {table.sequence_by}; history: {table.history}.\n"
    types = plan.stored_columns(table, policy)
    kinds = {column.name: column.kind for column in table.columns}
    mine = [(f"`{table.own_key}`", "BIGINT", kinds[table.key[-1]], "keep", "Its own key, minted once and for good.")]
    others = [
        (f"`{key}`", "BIGINT", kinds[name], "keep", f"The key of `silver.{key.removesuffix('_key')}`, of {name}.")
        for key, name in table.refers.items()
    ]
    rows = [*mine, *others, *(_column(column, types, policy) for column in table.columns)]
    yield from _grid(("column", "type", "kind", "stored", "meaning"), rows)
    rules = [(f"`{r.name}`", f"`{_cell(r.must)}`", r.otherwise, r.because) for r in quality.rules_of(table)]
    yield from _grid(("rule", "must", "otherwise", "because"), rules)


def _column(column: Column, types: Mapping[str, str], policy: Policy) -> tuple[str, str, str, str, str]:
    kept = types[column.name] if privacy.in_silver(column, policy) else "not in silver"
    return f"`{column.name}`", kept, column.kind, policy.stored[column.kind], column.about


def _gold(declared: Declarations, built: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    yield "## Gold\n"
    for shelf in sorted({mart.shelf for mart in declared.marts.values()}):
        for mart in declared.marts.values():
            if mart.shelf == shelf:
                yield from _mart(mart, built[mart.name], leaks.flows(declared, mart))


def _mart(mart: Mart, types: Mapping[str, str], made_of: Mapping[str, Flows]) -> Iterator[str]:
    yield f"### gold.{mart.name}\n\n{mart.about}\n"
    kpi = f" A KPI: its figure is `{mart.kpi}`, in {mart.unit}." if mart.kpi else ""
    yield f"[Its page](../declarations/gold/{mart.shelf}/{mart.name}.md) has reasons and worked examples.{kpi}\n"
    yield from _grid(
        ("column", "type", "kind", "meaning", "made of"),
        [(f"`{c.name}`", _spelled(types[c.name]), c.kind, c.about, _leaves(made_of[c.name])) for c in mart.columns],
    )


def _leaves(flows: Flows) -> str:
    return ", ".join(sorted({reach.leaf for reach in flows}))


def _spelled(kind: str) -> str:
    return kind.replace("VARCHAR", "TEXT").replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ").replace(",", ", ")


def _reference(declared: Declarations) -> Iterator[str]:
    yield REFERENCE
    rows = [(f"`reference.{r.name}`", ", ".join(r.columns)) for r in declared.references.values()]
    yield from _grid(("table", "columns"), [*rows, ("`reference.setting`", "name, value")])
    settings = [(f"`{name}`", s.about, s.may_be, s.default) for name, s in declared.settings.items()]
    yield from _grid(("setting", "meaning", "may be", "default"), settings)


def _audit() -> Iterator[str]:
    yield "## Audit\n"
    for name, (about, types, meanings) in AUDIT.items():
        yield f"### {name}\n\n{about}\n"
        yield from _grid(("column", "type", "meaning"), [(f"`{n}`", types[n], meanings[n]) for n in types])


def _bronze() -> Iterator[str]:
    yield LANDED
    yield from _grid(("column", "type", "meaning"), [(f"`{n}`", kind, told) for n, (kind, told) in BRONZE.items()])


def _grid(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |\n| {' | '.join('---' for _ in header)} |"
    for row in rows:
        yield f"| {' | '.join(_cell(value) for value in row)} |"
    yield ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|") if "\\|" not in text else text
