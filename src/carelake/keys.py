"""The keys of the vault: data keys that are stored wrapped, and the master key of the secret provider that wraps them.

`lookup` finds the token of a value, `row hash` tells whether a row has changed, `access heads` signs the access log:
they are for good, as tokens are. `seal` encrypts originals, and is what `carelake keys rotate` renews. Those of a new
lake are derived from its first master key, so that a lake that is built anew from its sources has the tokens it had;
seals made later are random.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, NamedTuple

import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .engine import Engine
from .errors import VaultKeyWrong

TABLE = "vault.data_key"
COLUMNS = {"key_id": "TEXT", "use": "TEXT", "wrapped": "BLOB", "wrapped_by": "TEXT", "made_at": "TIMESTAMPTZ"}
BEGAN = datetime.fromtimestamp(0, UTC)  # when the first keys of a vault were made, which nobody has noted
LOOKUP, ROW_HASH, HEADS, SEAL = "lookup", "row hash", "access heads", "seal"
Masters = Callable[[], Sequence[bytes]]  # asks the secret provider, wherever it is called


class DataKey(NamedTuple):
    """A row of `vault.data_key`: what a key is for, and the key, encrypted with the master key `wrapped_by`."""

    key_id: str
    use: str
    wrapped: bytes
    wrapped_by: str
    made_at: datetime


@dataclass(frozen=True)
class Ring:
    """The data keys of a vault. They are opened where they are used: a ring that is sent elsewhere carries them
    wrapped, and asks the secret provider there.
    """

    masters: Masters
    wrapped: tuple[DataKey, ...]

    @cached_property
    def opened(self) -> dict[tuple[str, str], bytes]:
        """(use, id) -> key, of those that a master key at hand opens."""
        masters = {id_of(master): master for master in self.masters()}
        mine = [key for key in self.wrapped if key.wrapped_by in masters]
        return {(key.use, key.key_id): _unwrapped(key, masters[key.wrapped_by]) for key in mine}

    def __reduce__(self) -> tuple[Any, ...]:
        return Ring, (self.masters, self.wrapped)

    def of(self, use: str) -> bytes:
        """The key for a use that has one key only. Raises `VaultKeyWrong` if no master key at hand opens it."""
        return self._having(use)[0][1]

    def seal(self) -> tuple[str, bytes]:
        """The id of the newest seal, and the key. Raises `VaultKeyWrong`."""
        return self._having(SEAL)[-1]

    def seals(self) -> Mapping[str, bytes]:
        """Every seal that a master key at hand opens, by its id; there may be none."""
        return {key_id: key for (use, key_id), key in self.opened.items() if use == SEAL}

    def _having(self, use: str) -> list[tuple[str, bytes]]:
        found = [(key_id, key) for (of, key_id), key in self.opened.items() if of == use]
        if not found:
            raise another_key()
        return found


def ring(engine: Engine, masters: Masters) -> Ring:
    """The keys of a vault as it is; those that it would have, if there is none yet. Nothing is written."""
    if engine.version(TABLE) is None:
        return Ring(masters, tuple(_first(masters)))
    rows = engine.ask(f"SELECT {', '.join(COLUMNS)} FROM {TABLE} ORDER BY made_at, use, key_id").to_pylist()
    return Ring(masters, tuple(DataKey(**row) for row in rows) or tuple(_first(masters)))


def create(engine: Engine, masters: Masters) -> None:
    """Store the keys of a vault that has none yet. Raises `VaultKeyWrong` if it has tokens made with others."""
    engine.create(TABLE, COLUMNS, plain=["key_id", "use", "wrapped_by"])
    if engine.ask(f"SELECT key_id FROM {TABLE} LIMIT 1").num_rows:
        return
    first = _first(masters)
    made_with = engine.ask("SELECT key_id FROM vault.token LIMIT 1")["key_id"].to_pylist()
    if made_with not in ([], [first[0].key_id]):
        raise another_key()
    store(engine, first)


def store(engine: Engine, keys: Iterable[DataKey]) -> None:
    """Let these be the keys of the vault, in one commit."""
    texts = {name: pa.string() for name in COLUMNS}
    schema = pa.schema({**texts, "wrapped": pa.binary(), "made_at": pa.timestamp("us", "UTC")})
    engine.lend("data_keys", pa.Table.from_pylist([key._asdict() for key in keys], schema=schema))
    engine.replace(TABLE, f"SELECT {', '.join(COLUMNS)} FROM data_keys")
    engine.let_go("data_keys")


def new_seal(master: bytes, now: datetime) -> DataKey:
    """A new random seal, wrapped."""
    return _wrapped(os.urandom(8).hex(), SEAL, os.urandom(32), master, now)


def wrapped_again(keys: Ring, master: bytes) -> list[DataKey]:
    """Every key of a ring that is not wrapped by `master` yet, wrapped by it too."""
    mine = id_of(master)
    done = {(key.use, key.key_id) for key in keys.wrapped if key.wrapped_by == mine}
    others = {(key.use, key.key_id): key for key in keys.wrapped}
    return [
        _wrapped(key.key_id, key.use, keys.opened[place], master, key.made_at)
        for place, key in others.items()
        if place not in done and place in keys.opened
    ]


def id_of(master: bytes) -> str:
    """Tells two master keys apart, and tells nothing of either."""
    return derived(master, "key id").hex()[:16]


def derived(secret: bytes, purpose: str) -> bytes:
    """A key for one purpose, of 32 bytes (HKDF, RFC 5869)."""
    return HKDF(hashes.SHA256(), 32, None, f"carelake {purpose}".encode()).derive(secret)


def another_key() -> VaultKeyWrong:
    fix = (
        "Set CARELAKE_VAULT_KEY, or secrets/CARELAKE_VAULT_KEY of the project, to the key it was made with, or was last"
        " rotated to."
    )
    return VaultKeyWrong("the key of the vault is not the one that its tokens were made with.", fix)


def _first(masters: Masters) -> list[DataKey]:
    """The keys of a vault that is begun. Their time is the beginning of all, so that seals made later are newer."""
    master = masters()[0]
    return [
        _wrapped(id_of(master), use, derived(master, use), master, BEGAN) for use in (SEAL, LOOKUP, ROW_HASH, HEADS)
    ]


def _wrapped(key_id: str, use: str, key: bytes, master: bytes, made_at: datetime) -> DataKey:
    """A key encrypted (AES-256-GCM), bound to its use and its id: another one in its place does not open."""
    nonce = os.urandom(12)
    held = AESGCM(derived(master, "wrap")).encrypt(nonce, key, f"{use}\x1f{key_id}".encode())
    return DataKey(key_id, use, nonce + held, id_of(master), made_at)


def _unwrapped(key: DataKey, master: bytes) -> bytes:
    bound = f"{key.use}\x1f{key.key_id}".encode()
    try:
        return AESGCM(derived(master, "wrap")).decrypt(key.wrapped[:12], key.wrapped[12:], bound)
    except (InvalidTag, ValueError):
        fix = "Bring vault/data_key back from the backup: what is stored is not what was wrapped."
        raise VaultKeyWrong("a key of the vault does not open with the master key that wrapped it.", fix) from None
