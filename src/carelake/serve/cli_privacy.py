"""`carelake check`, `lineage` and `privacy …`: what the privacy page promises, and how it is known to hold."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from .options import Json, State, now

app = typer.Typer()


@app.command()
def check(as_json: Json = False) -> None:
    """Check every declaration, and prove of each column of a mart that it shows no more than its kind says.

    Fails with each mistake, its file and line. Nothing is read from a source, and no lake is needed.
    """
    from .. import declare
    from ..lake import root
    from . import show_privacy
    from .proof import proof

    declared = declare.read(State.project)
    told = proof(declared, {name: root(State.project, declared, name) for name in declared.place.roots})
    if as_json:
        typer.echo(json.dumps(asdict(told)))
    else:
        show_privacy.proof(told)


@app.command()
def lineage(
    column: Annotated[str, typer.Argument(help="The column, as gold.ar_aging.bucket or silver.patient.full_name.")],
    as_json: Json = False,
) -> None:
    """Say what a column is made of, step by step, down to the columns of its sources."""
    from .. import ancestry, declare
    from . import show_privacy

    steps = ancestry.told(declare.read(State.project), column.lower())
    if as_json:
        typer.echo(json.dumps([asdict(step) for step in steps]))
    else:
        show_privacy.lineage(steps)


privacy_app = typer.Typer(help="See what the project's privacy page shows more, and sign it.", no_args_is_help=True)
app.add_typer(privacy_app, name="privacy")


@privacy_app.command()
def key(
    out: Annotated[Path, typer.Option(help="The new file that it is written to; keep it from the project.")],
) -> None:
    """Make the key of a privacy officer: a file for that person, and a line for lake.yml."""
    from .. import signing

    typer.echo(f"wrote {out}\nInto lake.yml:\n\nprivacy_officer: {signing.make_key(out)}")


@privacy_app.command()
def sign(
    by: Annotated[str, typer.Option(help="Who signs.")],
    role: Annotated[str, typer.Option(help="In which role, as 'privacy officer'.")],
    key: Annotated[Path, typer.Option(help="The file with the key of that person.")],
    dry_run: Annotated[bool, typer.Option(help="Only say what the page shows more.")] = False,
    as_json: Json = False,
) -> None:
    """Sign the privacy page as it counts, the project's laid over the shipped one."""
    from .. import declare, declare_policy, signing
    from . import show_privacy

    pages = declare.read_pages(State.project)
    page, more = declare_policy.to_sign(pages.policy, pages.project_policy)
    officer = str(pages.lake.says.get("privacy_officer", ""))
    made = None if dry_run else signing.under(State.project, page, key, officer, by, role, now())
    if as_json:
        typer.echo(json.dumps({"shows_more": more, "signed": asdict(made) if made else None}))
    else:
        show_privacy.signed(more, made)
