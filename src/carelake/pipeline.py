"""Start here: source -> bronze -> silver -> gold -> check -> release."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa

from . import bronze, checkpoint, epochs, gold, intake, publication, refinery, release, repaired, silver, vault
from .errors import LakeError
from .foreign import as_ours
from .lake import Lake, opened, vault_of
from .model import Feed
from .report import writing
from .source import readers
from .step import WARNED, Run, Step, failed
from .tell import telling
from .tell.alert import Trouble

__all__ = ["Run", "Step", "run"]

Watch = Callable[[Step], None]
BEHIND = (
    "this machine says {:%Y-%m-%d %H:%M}, and the latest release came out at {:%Y-%m-%d %H:%M}. Nothing is lost and the"
    " order is kept, but times are shown that never were: set the clock (`timedatectl`), and run again."
)
UNSIGNED = "it shows more than the shipped page, and nobody signed it, which passes in `env: dev` only: {}."
UNCLAIMED = (
    "no feed takes what lies beside its files: {}. Name such files as `files:` of a feed says, move them away, or let"
    " `ignore:` of the feed name them."
)
FEW = 5  # names that are told
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
    engine: str = "",
    watch: Watch = lambda step: None,
) -> Run:
    """Bring the lake of `project` up to what its sources hold now, and release it; with `engine`, if that is not the
    one of lake.yml.

    A feed that fails does not stop the others: its step says why. Raises `LakeError` for what concerns all of them.
    """
    with opened(project, environment, writing=True, engine=engine) as lake:
        did = Run(f"{now:%Y%m%dT%H%M%S}", lake.as_of(as_of, now), now)
        did_step = _recorder(did, watch)
        minted = vault_of(lake)  # before anything is read: without its key nothing could be refined
        _tidy(lake)
        did_step(_clock(lake, did))
        did_step(_unsigned(lake))
        to = bronze.Landing(lake.engine, lake.ledger, lake.bronze, did.run_id, did.as_of, did.started)
        taken = intake.Intake(lake, to, reconcile)
        for feeds in _rounds(lake.declared.feeds):
            did_step(intake.extract(taken, feeds))
            did_step(_refine(lake, minted, did, feeds))
        did_step(_unclaimed(lake))
        did_step(_forgotten(lake))
        did_step(_build(lake, did))
        did_step(publication.check(lake, did))
        did_step(publication.reconcile(lake, did))
        did_step(publication.publish(lake, did))
        did_step(_checkpoint(lake, did))
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
    for path in (path for path in staging.iterdir() if path != lake.engine.scratch):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _clock(lake: Lake, did: Run) -> Iterator[Step]:
    """A clock that has gone backwards costs nothing, since loads and releases are counted, and has to be known."""
    last = release.latest(lake.engine)
    if last and did.started < last.released_at:
        yield Step("clock", "clock", "warned", found=BEHIND.format(did.started, last.released_at))


def _unsigned(lake: Lake) -> Iterator[Step]:
    if more := lake.declared.policy.unsigned:
        yield Step("privacy", "privacy.yml", "warned", found=UNSIGNED.format("; ".join(more)))


def _forgotten(lake: Lake) -> Iterator[Step]:
    """The feeds that have loads and are declared no more: renamed, most often, and then loaded a second time."""
    for name in lake.ledger.forgotten(lake.declared.feeds):
        yield Step("extract", name, "warned", found=FORGOTTEN)


def _unclaimed(lake: Lake) -> Iterator[Step]:
    """The files that lie in a landing folder, and that no feed takes: misnamed, most often, and else missed unseen."""
    landings: dict[str, list[Feed]] = {}
    for feed in lake.declared.feeds:
        if feed.reader == "files" and feed.connection != "reference" and not lake.secrets.missing(feed.connection):
            landings.setdefault(lake.connection(feed), []).append(feed)
    for landing, feeds in landings.items():
        try:
            names = readers.unclaimed(feeds, Path(landing))
        except Exception as error:  # noqa: BLE001 - what cannot be looked into has failed its own feeds already
            yield failed("extract", "landing", as_ours(error))
            continue
        if names:
            listed = ", ".join(names[:FEW]) + (f" and {len(names) - FEW:,} more" if len(names) > FEW else "")
            yield Step("extract", "landing", "warned", found=UNCLAIMED.format(listed))


def _refine(lake: Lake, minted: vault.Vault, did: Run, feeds: Sequence[Feed]) -> Iterator[Step]:
    policy, began = lake.declared.policy, epochs.current(lake.engine)
    at = refinery.Refinery(lake.engine, lake.ledger, minted, lake.bronze, policy, did.run_id, did.started, began)
    filled = {feed.fills for feed in feeds}
    for table in (table for name, table in lake.declared.tables.items() if name in filled):
        try:
            refined = silver.refine(at, table, feeds)
            renewed = repaired.renew(at, table, lake.declared.feeds)
        except Exception as error:  # noqa: BLE001 - the other tables go on
            yield replace(failed("refine", table.name, as_ours(error)), holds=(f"silver.{table.name}",))
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
                yield replace(failed("build", built.mart, built.error), holds=(f"gold.{built.mart}",))
            else:
                yield Step("build", built.mart, "done" if built.why else "unchanged", built.rows, found=built.why)
    except LakeError as error:
        yield replace(failed("build", "gold", error), holds=publication.everything(lake))


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
        yield failed("tell", "audit.alerts", error)


def _checkpoint(lake: Lake, did: Run) -> Iterator[Step]:
    """Move what was logged since the last run to the lake. If it cannot, nothing is lost: the journal keeps it."""
    try:
        events = checkpoint.of(lake, did.started)
    except LakeError as error:
        yield Step("log", "access_log", "warned", 0, 0, error.code, str(error), WARNED)
    else:
        if events:
            yield Step("log", "access_log", "done", events)


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
        yield failed("keep", "audit.run_steps", error)
    lake.engine.let_go("did")


def _report(lake: Lake, did: Run) -> Iterator[Step]:
    """Write the page of the run, if lake.yml says so: of what was kept, so last. That it cannot be fails nothing."""
    if lake.declared.place.report:
        try:
            page, _ = writing.quality(lake, writing.folder(lake, None), did.run_id, did.started)
            yield Step("report", page.name, "done")
        except LakeError as error:
            yield Step("report", "report", "warned", 0, 0, error.code, str(error), WARNED)
