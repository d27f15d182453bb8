"""What a person sees of upkeep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ..secret import VAULT_KEY
from ..upkeep.backup import Made
from ..upkeep.backup_store import Manifest
from ..upkeep.compaction import Compacted
from ..upkeep.restoration import Restored
from ..upkeep.vacuum import Vacuumed
from ..upkeep.verification import Verified
from .show import console


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """What tells a person how much of the work is done."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task("opening the lake", total=None)

        def watch(what: str, done: int, of: int) -> None:
            bar.update(task, description=f"{what}: {done:,} of {of:,}", completed=done, total=of or None)

        yield watch


def verified(told: Verified) -> None:
    """Each finding with why it matters and what to do; then what was looked at."""
    out = console()
    for finding in told.findings:
        colour = "red" if finding.is_damage else "yellow"
        out.print(f"[{colour}]{finding.code}[/] {escape(finding.where)}: {escape(finding.found)}")
        out.print(f"    {escape(finding.why)}\n    {escape(finding.fix)}\n")
    looked = f"{told.loads:,} loads of {told.bytes / 1e6:,.1f} MB, {told.tables:,} tables, {told.releases:,} releases"
    out.print(f"Looked at {looked} and {told.originals:,} sealed originals.")
    if told.passed_over:
        out.print(f"[dim]Not looked at: {told.passed_over}.[/]")
    damages = sum(finding.is_damage for finding in told.findings)
    out.print(f"[red]{damages:,} damages.[/]" if damages else "The lake is whole.")


def optimized(done: Sequence[Compacted], dry_run: bool) -> None:
    """Each table that has fewer files now, or would have."""
    for one in done:
        files = f"{one.files_before:,} files" if dry_run else f"{one.files_before:,} files are {one.files_after:,}"
        console().print(f"{one.table}: {files}, {_size(one.bytes_before, one.bytes_after)}")
    would = "would be" if dry_run else "were"
    console().print(f"{len(done):,} tables {would} written anew." if done else "Every table lies in large files.")


def upgraded(tables: Sequence[str], dry_run: bool) -> None:
    """The tables that only Spark can write now, or could."""
    for table in tables if dry_run else ():  # they were named before it was asked
        console().print(table)
    would = "would be" if dry_run else "are"
    told = (
        f"{len(tables):,} tables {would} such that only Spark can write them: the embedded engine will refuse the lake."
    )
    console().print(told if tables else "Every table is such that only Spark can write it.")


def vacuumed(done: Vacuumed, dry_run: bool) -> None:
    """What was taken away, and what can still be read."""
    for one in done.tables:
        console().print(f"{one.table}: {one.files:,} files, {_size(one.bytes)}")
    would, files = "would be" if dry_run else "were", sum(one.files for one in done.tables)
    console().print(f"{files:,} files {would} taken away. Readable: {_releases(done.releases)}.")
    if done.held:
        console().print(f"{len(done.held):,} tables keep all their versions: see `carelake hold list`.")


def _releases(ids: Iterable[int]) -> str:
    told = [f"{one}" for one in ids]
    return f"release {', '.join(told)}" if told else "no release, since there is none yet"


def _size(*sizes: int) -> str:
    return " -> ".join(f"{size / 1e6:,.1f} MB" for size in sizes)


def backed_up(made: Made) -> None:
    """What the backup holds, and what it does not."""
    out = console()
    out.print(f"Backup {made.id}: {made.files:,} files, {_size(made.bytes)}, of which {made.copied:,} files were new.")
    if made.secrets:
        out.print(f"Sealed in it: {', '.join(made.secrets)}. Without the passphrase nobody opens them.")
    if made.missing:
        out.print(f"Not in it, and needed by a restored lake: {', '.join(made.missing)}.")
    if VAULT_KEY in made.missing:
        out.print(f"[yellow]Keep {VAULT_KEY} elsewhere: without it no token can be traced back.[/]")
    out.print("[dim]It is as sensitive as the lake, and not encrypted: keep it as the originals are kept.[/]")


def checked(manifest: Manifest, wrong: Sequence[str]) -> None:
    """Whether a backup is whole."""
    for name in wrong:
        console().print(f"[red]LAKE-519[/] {escape(name)} is not what was copied.")
    console().print(f"Backup {manifest.id}: {len(manifest.files):,} files, {len(wrong):,} of them damaged.")


def restored(done: Restored, project: Path) -> None:
    """What was brought back, and what comes next."""
    out = console()
    out.print(f"Backup {done.id}, release {done.release}: {done.files:,} files, {_size(done.bytes)}, in {project}.")
    if VAULT_KEY not in done.secrets:
        out.print(f"Set {VAULT_KEY}, and the connections that the sources name, before the next run.")
    out.print(f"Next: `carelake -p {project} verify`.")
