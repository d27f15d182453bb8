"""Start here: source -> bronze -> silver -> gold -> check -> release."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import chain
from pathlib import Path

import pyarrow as pa

from . import (
    bronze,
    epochs,
    gate,
    gold,
    quality,
    reconcile,
    refinery,
    release,
    repaired,
    silver,
    standing,
    vault,
)
from .errors import LakeError, LoginDenied, ReferenceUnavailable, SetRuleBroken
from .foreign import as_ours
from .lake import Lake, opened, vault_of
from .model import Feed
from .report import writing
from .source import Delivery, Progress, readers
from .tell import telling
from .tell.alert import Trouble


@dataclass(frozen=True)
class Step:
    """What one step of a run did: `done`, `unchanged`, `inactive`, `warned` or `failed`."""

    step: str
    name: str
    outcome: str
    rows: int = 0
    seconds: float = 0.0
    code: str = ""
    found: str = ""
    exit_code: int = 0
    holds: tuple[str, ...] = ()  # the tables and marts that may not be released as they are

    @property
    def cause(self) -> str:
        """What was found, without the name of the step that found it: one that others may share."""
        found = self.found
        for name in (self.name, self.name.replace(".", "/", 1)):
            found = found.replace(f"{name}: ", "")
        return found


@dataclass
class Run:
    """What a run did, step by step."""

    run_id: str
    as_of: date
    started: datetime
    steps: list[Step] = field(default_factory=list)
    released: int | None = None

    def exit_code(self, *, strict: bool) -> int:
        """0 only if all that was asked was done; a warning counts under `strict`."""
        bad = [step for step in self.steps if step.outcome == "failed" or (strict and step.outcome == "warned")]
        return (bad[0].exit_code or (WARNED if bad[0].outcome == "warned" else 1)) if bad else 0


Watch = Callable[[Step], None]
WARNED = 80  # the exit code of warnings, where they count
BEHIND = (
    "this machine says {:%Y-%m-%d %H:%M}, and the latest release came out at {:%Y-%m-%d %H:%M}. Nothing is lost and the"
    " order is kept, but times are shown that never were: set the clock (`timedatectl`), and run again."
)
FORGOTTEN = (
    "declared no more, and its rows stay in silver and in every figure. If its source was renamed, give it the old name"
    " again, or it is loaded twice. If it has ended, declare it with `active: false`."
)


def run(
    project: Path,
    environment: Mapping[str, str],
    now: datetime,
    *,
    as_of: date | None = None,
    reconcile: bool = False,
    watch: Watch = lambda step: None,
) -> Run:
    """Bring the lake of `project` up to what its sources hold now, and release it.

    A feed that fails does not stop the others: its step says why. Raises `LakeError` for what concerns all of them.
    """
    with opened(project, environment, writing=True) as lake:
        did = Run(f"{now:%Y%m%dT%H%M%S}", lake.as_of(as_of, now), now)
        did_step = _recorder(did, watch)
        minted = vault_of(lake)  # before anything is read: without its key nothing could be refined
        _tidy(lake)
        did_step(_clock(lake, did))
        denied: set[str] = set()
        for feeds in _rounds(lake.declared.feeds):
            for feed in feeds:
                did_step(_extract(lake, feed, did, reconcile, denied))
            did_step(_refine(lake, minted, did, feeds))
        did_step(_forgotten(lake))
        did_step(_build(lake, did))
        did_step(_check(lake, did))
        did_step(_reconcile(lake, did))
        did_step(_release(lake, did))
        did_step(_tell(lake, did))
        did_step(_keep(lake, did))
        did_step(_report(lake, did))
        return did


def _rounds(feeds: Sequence[Feed]) -> Iterator[list[Feed]]:
    """The feeds that deliver; then the services, which are asked for what silver wants to know by then."""
    asked = [feed for feed in feeds if feed.reader == "reference"]
    yield [feed for feed in feeds if feed not in asked]
    if asked:
        yield asked


def _recorder(did: Run, watch: Watch) -> Callable[[Iterable[Step]], None]:
    def record(steps: Iterable[Step]) -> None:
        for step in _timed(steps):
            did.steps.append(step)
            watch(step)

    return record


def _timed(steps: Iterable[Step]) -> Iterator[Step]:
    began = time.monotonic()
    for step in steps:
        yield replace(step, seconds=round(time.monotonic() - began, 3))
        began = time.monotonic()


def _tidy(lake: Lake) -> None:
    """Take away what a killed run left: parts of loads that never were, and what spilled."""
    bronze.sweep(lake.bronze, lake.ledger)
    staging = lake.bronze.with_name("staging")
    for path in staging.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _clock(lake: Lake, did: Run) -> Iterator[Step]:
    """A clock that has gone backwards costs nothing, since loads and releases are counted, and has to be known."""
    last = release.latest(lake.engine)
    if last and did.started < last.released_at:
        yield Step("clock", "clock", "warned", found=BEHIND.format(did.started, last.released_at))


def _extract(lake: Lake, feed: Feed, did: Run, reconcile: bool, denied: set[str]) -> Iterator[Step]:
    """Read what is new of a feed, and land each delivery as a load. A connection that was `denied` is not tried again,
    since databases lock accounts that fail too often.
    """
    name = f"{feed.source}.{feed.name}"
    if not feed.active:
        yield Step("extract", name, "inactive", found=feed.idle)
        return
    if feed.optional and (missing := lake.secrets.missing(feed.connection)):
        yield Step("extract", name, "inactive", found=f"not connected: {', '.join(missing)} is not set")
        return
    rows, warnings = 0, list[str]()
    try:
        if feed.connection in denied:
            raise LoginDenied(name)
        to = bronze.Landing(lake.engine, lake.ledger, lake.bronze, did.run_id, did.as_of, did.started)
        progress = lake.ledger.progress(feed)
        for delivery in _deliveries(lake, feed, progress, did, reconcile):
            load = bronze.land(to, feed, delivery, progress)
            warnings += delivery.warnings
            if load:
                rows += load.rows
                progress = lake.ledger.progress(feed)
    except Exception as error:  # noqa: BLE001 - whatever a reader throws, the other feeds go on
        if isinstance(error, LoginDenied):
            denied.add(feed.connection)
        yield _failed("extract", name, as_ours(error), rows, progress if "progress" in locals() else None)
        return
    outcome = "warned" if warnings else "done" if rows else "unchanged"
    yield Step("extract", name, outcome, rows, found=" ".join(warnings))


def _deliveries(lake: Lake, feed: Feed, progress: Progress, did: Run, reconcile: bool) -> Iterator[Delivery]:
    if feed.reader == "reference":
        wanted = lake.engine.ask(feed.wanted).columns[0].to_pylist() if feed.wanted else []
        return readers.look_up(
            feed, lake.connection(feed), progress, did.started, sorted(filter(None, wanted)), lake.cache
        )
    return readers.read(feed, lake.connection(feed), progress, did.started, whole=reconcile)


def _failed(step: str, name: str, error: LakeError, rows: int = 0, progress: Progress | None = None) -> Step:
    stale = isinstance(error, ReferenceUnavailable) and progress is not None and progress.sequence > 0
    return Step(step, name, "warned" if stale else "failed", rows, 0, error.code, str(error), error.exit_code)


def _forgotten(lake: Lake) -> Iterator[Step]:
    """The feeds that have loads and are declared no more: renamed, most often, and then loaded a second time."""
    for name in lake.ledger.forgotten(lake.declared.feeds):
        yield Step("extract", name, "warned", found=FORGOTTEN)


def _refine(lake: Lake, minted: vault.Vault, did: Run, feeds: Sequence[Feed]) -> Iterator[Step]:
    policy, began = lake.declared.policy, epochs.current(lake.engine)
    at = refinery.Refinery(lake.engine, lake.ledger, minted, lake.bronze, policy, did.run_id, did.started, began)
    filled = {feed.fills for feed in feeds}
    for table in (table for name, table in lake.declared.tables.items() if name in filled):
        try:
            refined = silver.refine(at, table, feeds)
            renewed = repaired.renew(at, table, lake.declared.feeds)
        except Exception as error:  # noqa: BLE001 - the other tables go on
            yield replace(_failed("refine", table.name, as_ours(error)), holds=(f"silver.{table.name}",))
            continue
        held = f"{refined.quarantined:,} quarantined: {_counts(refined.reasons)}" if refined.reasons else ""
        flagged = f"only flagged: {_counts(refined.flagged)}" if refined.flagged else ""
        found = "; ".join(filter(None, (held, flagged)))
        yield Step("refine", table.name, "done" if refined.rows else "unchanged", refined.rows, found=found)
        if renewed.rows:
            held = f"; {renewed.quarantined:,} of them are still held back: {_counts(renewed.reasons)}"
            found = "repaired rows, with all that is known of their keys" + (held if renewed.quarantined else "")
            yield Step("repair", table.name, "done", renewed.rows, found=found)


def _counts(counts: Mapping[str, int]) -> str:
    """The largest first."""
    most = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{count:,} {name}" for name, count in most)


def _build(lake: Lake, did: Run) -> Iterator[Step]:
    try:
        gold.lay_out_references(lake.engine, lake.declared)
        for built in gold.build(lake.engine, lake.declared, did.as_of):
            if built.error:
                yield replace(_failed("build", built.mart, built.error), holds=(f"gold.{built.mart}",))
            else:
                yield Step("build", built.mart, "done" if built.why else "unchanged", built.rows, found=built.why)
    except LakeError as error:
        yield replace(_failed("build", "gold", error), holds=_everything(lake))


def _check(lake: Lake, did: Run) -> Iterator[Step]:
    """Count what breaks the rules among all that stands, and say what stops the release."""
    try:
        anew = list(standing.count(lake.engine, lake.declared, did.as_of, did.run_id, did.started))
        counts = standing.latest(lake.engine, lake.declared)
    except LakeError as error:
        yield replace(_failed("check", "rules", error), holds=_everything(lake))
        return
    broken = {(one.table, one.rule) for one in counts if one.is_beyond and one.rule != quality.HELD_BACK}
    found = f"more rows than are tolerated break {len(broken)} rules: see `carelake quality`" if broken else ""
    yield Step("check", "rules", "done" if anew else "unchanged", sum(one.violating for one in counts), found=found)
    for one in gate.stopped(lake.declared, counts):
        stop = SetRuleBroken(one.table, one.rule, one.because, one.source, one.violating, one.rows_seen)
        step = _failed("check", f"{one.table}.{one.rule}", stop, one.violating)
        yield replace(step, holds=(f"silver.{one.table}",))


def _reconcile(lake: Lake, did: Run) -> Iterator[Step]:
    """Compare what must agree. Not over what is held because it could not be refined or built: it stands behind the
    others, and would disagree for that.
    """
    causes = {relation: step.name for step in did.steps if step.step in {"refine", "build"} for relation in step.holds}
    behind = gate.held(lake.declared, causes)
    try:
        results = reconcile.judge(lake, did.run_id, did.as_of, did.started, frozenset(behind))
    except LakeError as error:
        yield replace(_failed("reconcile", "reconciliations", error), holds=_everything(lake))
        return
    yield from (_reconciled(lake, result) for result in results if result.verdict in {"failed", "warned"})
    verdicts = Counter(result.verdict for result in results)
    found = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in reconcile.VERDICTS if verdicts[verdict])
    is_moved = any(result.is_new for result in results) and any(step.outcome == "done" for step in did.steps)
    outcome = "done" if is_moved else "unchanged"
    yield Step("reconcile", "reconciliations", outcome, sum(len(result.rows) for result in results), found=found)


def _reconciled(lake: Lake, result: reconcile.Result) -> Step:
    """What is only warned of is said once; what fails, as long as it does."""
    name, rows = f"{result.of.name} {result.part}".strip(), len(result.rows)
    if result.verdict == "warned":
        return Step("reconcile", name, "warned" if result.is_new else "unchanged", rows, found=result.found)
    holds = tuple(gate.relations(lake.declared, result.reads)) or _everything(lake)
    return Step("reconcile", name, "failed", rows, 0, reconcile.CODE, result.found, reconcile.EXIT_CODE, holds)


def _everything(lake: Lake) -> tuple[str, ...]:
    tables, marts = lake.declared.tables, lake.declared.marts
    return (*(f"silver.{table}" for table in tables), *(f"gold.{mart}" for mart in marts))


def _release(lake: Lake, did: Run) -> Iterator[Step]:
    causes = {relation: f"{step.step} {step.name}" for step in did.steps for relation in step.holds}
    held = _held(lake, gate.held(lake.declared, causes))
    try:
        published = release.publish(lake.engine, _releasable(lake), did.as_of, did.run_id, did.started, held)
        latest = release.latest(lake.engine)
    except LakeError as error:
        yield _failed("release", "release", error)
        return
    did.released = published.id if published else None
    found = f"release {published.id}" if published else "the latest release says the same"
    if latest and latest.kind == "rollback":
        yield Step("release", "release", "warned", found=f"{ROLLED_BACK.format(latest.id)}", exit_code=WARNED)
    elif held.causes:
        found = f"{found if published else 'nothing is released'}; {_told(held)}"
        yield Step("release", "release", "failed", found=found, exit_code=30)
    else:
        yield Step("release", "release", "done" if published else "unchanged", found=found)


ROLLED_BACK = "held: release {} is a rollback. `carelake release resume` lets the next run release again."


def _held(lake: Lake, causes: Mapping[str, str]) -> release.Held:
    filled = {relation.removeprefix("silver.") for relation in causes if relation.startswith("silver.")}
    return release.Held(
        causes=causes,
        tables=frozenset(chain.from_iterable(map(gate.tables_of, causes))),
        feeds=frozenset(f"{feed.source}.{feed.name}" for feed in lake.declared.feeds if feed.fills in filled),
    )


def _told(held: release.Held) -> str:
    """What is kept back, and why."""
    why = "; ".join(dict.fromkeys(held.causes.values()))
    tables = ", ".join(name for name in held.causes if name.startswith("silver."))
    marts = sum(name.startswith("gold.") for name in held.causes)
    return f"held: {why} failed, and tables that share keys advance together or not at all: {tables}, {marts} marts."


def _releasable(lake: Lake) -> list[str]:
    """Every stored table that a release names."""
    tables = chain.from_iterable(gate.tables_of(f"silver.{table}") for table in lake.declared.tables)
    marts = (f"gold.{mart}" for mart in lake.declared.marts)
    return [*vault.TABLES, *tables, *marts, *(f"reference.{name}" for name in (*lake.declared.references, "setting"))]


def _tell(lake: Lake, did: Run) -> Iterator[Step]:
    """Tell those who want to hear of it what went wrong. That somebody could not be told fails nothing."""
    bad = [step for step in did.steps if step.outcome in {"failed", "warned"}]
    explained = any(step.holds for step in bad)  # then the release that is held is a consequence, and no cause
    troubles = [
        Trouble(f"{step.step} {step.name}", step.outcome, step.code, step.cause, bool(step.holds))
        for step in bad
        if not (explained and step.step == "release")
    ]
    try:
        for channel, told in telling.tell(lake, troubles, did.run_id, did.started):
            if isinstance(told, int):
                yield Step("tell", channel, "done", told, found=f"{told} told")
            else:
                yield Step("tell", channel, "warned", 0, 0, told.code, str(told), WARNED)
    except LakeError as error:
        yield _failed("tell", "audit.alerts", error)


def _keep(lake: Lake, did: Run) -> Iterator[Step]:
    """Keep what the run did, for `carelake status` and for the auditor; a step only if that fails."""
    names = ("step", "name", "outcome", "code", "found", "rows", "seconds")
    rows = [
        {"run_id": did.run_id, "as_of": did.as_of, **{name: getattr(step, name) for name in names}}
        | {"started_at": did.started}
        for step in did.steps
    ]
    lake.engine.lend("did", pa.Table.from_pylist(rows))
    try:
        lake.engine.append("audit.run_steps", "SELECT * FROM did")
    except LakeError as error:
        yield _failed("keep", "audit.run_steps", error)
    lake.engine.let_go("did")


def _report(lake: Lake, did: Run) -> Iterator[Step]:
    """Write the page of the run, if lake.yml says so: of what was kept, so last. That it cannot be fails nothing."""
    if lake.declared.place.report:
        try:
            page, _ = writing.quality(lake, writing.folder(lake, None), did.run_id, did.started)
            yield Step("report", page.name, "done")
        except LakeError as error:
            yield Step("report", "report", "warned", 0, 0, error.code, str(error), WARNED)
