"""The vault under another master key, and every original sealed anew. Tokens, surrogate keys and row hashes stay.

The next master key stands beside the present one until all is done, and either opens what the other does not: a run
in between, and one that was killed, finds everything. What is done is told by the rows themselves, so that a rotation
which was cut short goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from .. import keys, vault
from ..engine import Engine
from ..errors import LakeMissing, SettingUnfit
from ..keys import SEAL, Ring
from ..lake import Lake, still
from ..secret import NEXT_KEY, VAULT_KEY

AT_ONCE = 1_000_000  # originals in one commit
Watch = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Rotated:
    """How many originals were sealed anew, or would be; the ids of the master keys; what a person has still to do."""

    originals: int
    before: str
    after: str
    to_do: tuple[str, ...] = ()


def rotate(
    project: Path,
    environment: Mapping[str, str],
    now: datetime,
    *,
    dry_run: bool = False,
    at_once: int = AT_ONCE,
    watch: Watch = lambda *told: None,
) -> Rotated:
    """Let `CARELAKE_VAULT_KEY_NEXT` protect the vault. Keys that lie in `secrets/` are made, and take their places.

    Raises `LakeBusy` while a run writes, `LakeMissing`, `SettingMissing` or `SettingUnfit` for a key that has to be
    given, `VaultKeyWrong`, and `SealBroken` if an original does not open: nothing of it is lost then.
    """
    with still(project, environment) as lake:
        if lake.engine.version("vault.token") is None:
            raise LakeMissing("the lake has no vault yet.", "Run `carelake run` first.")
        before = keys.id_of(lake.secrets.masters()[0])
        if dry_run:
            every = _counted(lake.engine, "SELECT COUNT(*) AS n FROM vault.token")
            return Rotated(every, before, "a new one")
        keys.ring(lake.engine, lake.secrets.masters).seal()  # before a key is made for a vault that does not open
        lake.secrets.keep_log_key()
        after = _next(lake)
        keys.create(lake.engine, lake.secrets.masters)
        _begin(lake, after, now)
        done = _seal_anew(lake, at_once, watch)
        _end(lake, after)
        given = not lake.secrets.promote()
        return Rotated(done, before, keys.id_of(after), _to_do(given))


def _next(lake: Lake) -> bytes:
    """The master key that is to be. Raises `SettingUnfit` if it is the present one."""
    lake.secrets.make_next()
    present, coming = lake.secrets.masters()
    if present == coming:
        fix = f"Give {NEXT_KEY} 64 other random hexadecimal digits, for example those of `openssl rand -hex 32`."
        raise SettingUnfit(f"{NEXT_KEY} is the key that is in use.", fix)
    return coming


def _begin(lake: Lake, after: bytes, now: datetime) -> None:
    """Wrap every key with the next master key too, and make a new seal that only that one opens."""
    ring = keys.ring(lake.engine, lake.secrets.masters)
    if all(key.wrapped_by != keys.id_of(after) for key in ring.wrapped):
        keys.store(lake.engine, [*ring.wrapped, *keys.wrapped_again(ring, after), keys.new_seal(after, now)])


def _seal_anew(lake: Lake, at_once: int, watch: Watch) -> int:
    """Seal every original with the newest seal, some in each commit; how many."""
    engine, ring = lake.engine, keys.ring(lake.engine, lake.secrets.masters)
    old = f"SELECT {', '.join(vault.TOKENS)} FROM vault.token WHERE key_id <> '{ring.seal()[0]}'"
    left, done = _counted(engine, f"SELECT COUNT(*) AS n FROM ({old}) AS old"), 0
    while done < left:
        watch("originals", done, left)
        done += _seal_some(engine, ring, f"{old} ORDER BY lookup LIMIT {at_once}")
    return done


def _seal_some(engine: Engine, ring: Ring, some: str) -> int:
    sealed = engine.transform("sealed", some, partial(vault.sealed_anew, ring), vault.TOKENS)
    others = f"SELECT {', '.join(vault.TOKENS)} FROM vault.token WHERE NOT token IN (SELECT token FROM sealed)"
    engine.replace("vault.token", f"{others} UNION ALL SELECT * FROM sealed")
    engine.let_go("sealed")
    return sealed


def _end(lake: Lake, after: bytes) -> None:
    """Forget what the former master key wrapped, and the seals with which nothing is sealed any more."""
    ring = keys.ring(lake.engine, lake.secrets.masters)
    newest, mine = ring.seal()[0], keys.id_of(after)
    kept = [key for key in ring.wrapped if key.wrapped_by == mine and (key.use != SEAL or key.key_id == newest)]
    if len(kept) < len(ring.wrapped):
        keys.store(lake.engine, kept)


def _to_do(given: bool) -> tuple[str, ...]:
    place = f"Set {VAULT_KEY} to the value of {NEXT_KEY}, then unset {NEXT_KEY}: until then both are needed."
    rest = (
        "Make a backup of the keys: `carelake keys backup FILE`.",
        "Backups made before open with the former key only: keep it sealed for as long as you keep them.",
        "Older files of vault.token are sealed with the former key: `carelake vacuum` takes what no release needs.",
    )
    return (place, *rest) if given else rest


def _counted(engine: Engine, select: str) -> int:
    return int(engine.ask(select).to_pylist()[0]["n"])
