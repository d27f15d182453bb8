"""What a token stands for, one person at a time, and in the access log before it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from .. import vault
from ..lake import Lake, opened
from ..vault import Original
from .asker import PERSON, Asker, Log, Read

PEOPLE = "patient"  # the silver table of the persons whose identifiers are sealed


def find(project: Path, environment: Mapping[str, str], token: str, asker: Asker) -> Original:
    """What `token` stands for. Raises `TokenUnknown`, `VaultKeyWrong`, `SealBroken`, `JournalUnwritable`."""
    with opened(project, environment, writing=False) as lake:
        log = Log(lake.root("audit"), asker)
        number = log.asked(Read("vault find", ("vault.token",), ("vault.token.sealed",), None, (token,)))
        found = vault.find(lake.engine, lake.secrets.masters, token)
        log.shown_of(number, 1, _persons(lake, found.kind, token))
        return found


def _persons(lake: Lake, kind: str, token: str) -> list[int]:
    """The keys of the persons whose token it is, or was; also of those whom no view shows, since the vault does."""
    table = lake.declared.tables[PEOPLE]
    names = [column.name for column in table.columns if column.kind == kind]
    lake.engine.lend("asked", pa.table({"token": pa.array([token], pa.string())}))
    where = " OR ".join(f"{name} IN (SELECT token FROM asked)" for name in names) or "FALSE"
    found = lake.engine.ask(f"SELECT DISTINCT {PERSON} FROM silver.{PEOPLE}_versions WHERE {where}")
    lake.engine.let_go("asked")
    return [int(key) for key in found[PERSON].to_pylist()]
