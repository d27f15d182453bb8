"""Check, reconcile, release: whether readers may see what a run has written, and what of it is held back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain

from . import gate, quality, release, standing, vault
from . import reconcile as reconciliation
from .errors import LakeError, SetRuleBroken
from .lake import Lake
from .step import WARNED, Run, Step, failed


def check(lake: Lake, did: Run) -> Iterator[Step]:
    """Count what breaks the rules among all that stands, and say what stops the release."""
    try:
        anew = standing.count(lake.engine, lake.declared, did.as_of, did.run_id, did.started)
        counts = standing.latest(lake.engine, lake.declared)
    except LakeError as error:
        yield replace(failed("check", "rules", error), holds=everything(lake))
        return
    broken = {(one.table, one.rule) for one in counts if one.is_beyond and one.rule != quality.HELD_BACK}
    found = f"more rows than are tolerated break {len(broken)} rules: see `carelake quality`" if broken else ""
    yield Step("check", "rules", "done" if anew else "unchanged", sum(one.violating for one in counts), found=found)
    for one in gate.stopped(lake.declared, counts):
        stop = SetRuleBroken(one.table, one.rule, one.because, one.source, one.violating, one.rows_seen)
        step = failed("check", f"{one.table}.{one.rule}", stop, one.violating)
        yield replace(step, holds=(f"silver.{one.table}",))


def reconcile(lake: Lake, did: Run) -> Iterator[Step]:
    """Compare what must agree. Not over what is held because it could not be refined or built: it stands behind the
    others, and would disagree for that.
    """
    causes = {relation: step.name for step in did.steps if step.step in {"refine", "build"} for relation in step.holds}
    behind = gate.held(lake.declared, causes)
    try:
        results = reconciliation.judge(lake, did.run_id, did.as_of, did.started, frozenset(behind))
    except LakeError as error:
        yield replace(failed("reconcile", "reconciliations", error), holds=everything(lake))
        return
    yield from (_reconciled(lake, result) for result in results if result.verdict in {"failed", "warned"})
    verdicts = Counter(result.verdict for result in results)
    found = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in reconciliation.VERDICTS if verdicts[verdict])
    is_moved = any(result.is_new for result in results) and any(step.outcome == "done" for step in did.steps)
    outcome = "done" if is_moved else "unchanged"
    yield Step("reconcile", "reconciliations", outcome, sum(len(result.rows) for result in results), found=found)


def _reconciled(lake: Lake, result: reconciliation.Result) -> Step:
    """What is only warned of is said once; what fails, as long as it does."""
    name, rows = f"{result.of.name} {result.part}".strip(), len(result.rows)
    if result.verdict == "warned":
        return Step("reconcile", name, "warned" if result.is_new else "unchanged", rows, found=result.found)
    holds = tuple(gate.relations(lake.declared, result.reads)) or everything(lake)
    code, exit_code = reconciliation.CODE, reconciliation.EXIT_CODE
    return Step("reconcile", name, "failed", rows, 0, code, result.found, exit_code, holds)


def everything(lake: Lake) -> tuple[str, ...]:
    """Every table and mart: what is held where nothing can be told apart."""
    tables, marts = lake.declared.tables, lake.declared.marts
    return (*(f"silver.{table}" for table in tables), *(f"gold.{mart}" for mart in marts))


def publish(lake: Lake, did: Run) -> Iterator[Step]:
    causes = {relation: f"{step.step} {step.name}" for step in did.steps for relation in step.holds}
    held = _held(lake, gate.held(lake.declared, causes))
    try:
        published = release.publish(lake.engine, _releasable(lake), did.as_of, did.run_id, did.started, held)
        latest = release.latest(lake.engine)
    except LakeError as error:
        yield failed("release", "release", error)
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
