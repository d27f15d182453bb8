"""Tokens and originals, surrogate keys, and the keys that protect them. Nothing of it leaves the originals zone.

Key material reaches an engine as a lent relation of one row, never as SQL text, plan, log or commit info.
"""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .engine import Engine
from .errors import LakeError, VaultKeyWrong

TOKENS = {
    "source_system": "TEXT", "kind": "TEXT", "lookup": "TEXT", "token": "TEXT", "sealed": "BLOB", "key_id": "TEXT",
    "minted_at": "TIMESTAMPTZ",
}  # fmt: skip
KEYS = {"entity": "TEXT", "source_system": "TEXT", "source_id": "TEXT", "key": "BIGINT"}
TABLES = ("vault.token", "vault.key_map")
UNIQUE = (  # what no two rows of a table have alike
    ("vault.token", "token"),
    ("vault.token", "lookup"),
    ("vault.key_map", "entity, key"),
    ("vault.key_map", "entity, source_system, source_id"),
)
PREFIX = {"name": "PATIENT", "record_number": "RECORD", "health_plan_number": "PLAN", "account_number": "ACCOUNT"}
AT_ONCE = 250_000  # values that pass through Python together, so that its memory is bounded
LENGTH = 12  # base32 signs of a token: 60 bits


class TokenUnknown(LakeError):
    code = "LAKE-602"
    exit_code = 60
    why = "The vault finds one person at a time, by a token that it has made."


class SealBroken(LakeError):
    code = "LAKE-603"
    exit_code = 60
    why = "A sealed original opens only with its key, and only in the place that it was sealed for."


class Original(NamedTuple):
    """What a token stands for: whose it is, what sort of identifier, and the identifier as its source wrote it."""

    source_system: str
    kind: str
    original: str


class Vault:
    """Mints what stands for a person. `secret` is 32 bytes from the secret provider.

    Raises `VaultKeyWrong` if the tokens that are there were made with another one.
    """

    def __init__(self, engine: Engine, secret: bytes) -> None:
        self.engine = engine
        self.sealing = AESGCM(_derived(secret, "seal"))
        self.lookup_key = _derived(secret, "lookup")
        self.hash_key = _derived(secret, "row hash")
        self.key_id = _id_of(secret)
        engine.create("vault.token", TOKENS, plain=["source_system", "kind"])
        engine.create("vault.key_map", KEYS, plain=["entity", "source_system", "key"])
        self._refuse_another_key()

    def _refuse_another_key(self) -> None:
        made_with = self.engine.ask("SELECT key_id FROM vault.token LIMIT 1")["key_id"].to_pylist()
        if made_with not in ([], [self.key_id]):
            raise _another_key()

    def lend_hash_key(self) -> None:
        """Let SELECTs of this run read `hash_key(secret)`, one row."""
        self.engine.lend("hash_key", pa.table({"secret": [self.hash_key.hex()]}))

    def mint_tokens(self, identifiers: str, now: datetime) -> None:
        """Let SELECTs of this run read `token_of(source_system, kind, stands_for, token)` for every row of
        `identifiers`, a SELECT of the first three. What has no token yet gets one; a value keeps its token for good.
        """
        inner, outer = _pads(self.lookup_key)
        self.engine.lend("lookup_key", pa.table({"inside": [inner], "outside": [outer]}))
        self.engine.hold("sought", _looked_up(identifiers))
        self.engine.let_go("lookup_key")
        known = self.engine.version("vault.token") or 0
        self.engine.hold("found", _sought_in("vault.token"))
        self.engine.hold("unknown", "SELECT * FROM sought WHERE NOT lookup IN (SELECT lookup FROM found)")
        while (new := self.engine.ask(f"SELECT * FROM unknown LIMIT {AT_ONCE}")).num_rows:
            self.engine.lend("minted", self._minted(new, now))
            self.engine.append("vault.token", "SELECT * FROM minted")
            self.engine.hold("rest", "SELECT * FROM unknown WHERE NOT lookup IN (SELECT lookup FROM minted)")
            self.engine.hold("unknown", "SELECT * FROM rest")
            self.engine.let_go("minted", "rest")
        fresh = "fresh" if self.engine.added("fresh", "vault.token", known) else "vault.token"
        self.engine.hold(
            "token_of",
            "SELECT sought.source_system, sought.kind, sought.stands_for, token.token FROM sought INNER JOIN"
            f" (SELECT lookup, token FROM found UNION {_sought_in(fresh)}) AS token ON token.lookup = sought.lookup",
        )
        self.engine.let_go("unknown", "sought", "found", "fresh")

    def mint_keys(self, named: str) -> None:
        """Let SELECTs of this run read `key_of(entity, source_system, source_id, key)` for every row of `named`, a
        SELECT of the first three. What has no key yet gets one, counted up per entity from the last one in the order of
        the ids, so that a run that is repeated mints the same; keys are never derived from an id, and never change.
        """
        places = "named.entity, named.source_system, named.source_id"
        self.engine.hold(
            "wanted",
            f"SELECT {places}, known.key FROM ({named}) AS named LEFT JOIN vault.key_map AS known"
            " ON known.entity = named.entity AND known.source_system = named.source_system"
            " AND known.source_id = named.source_id"
            " WHERE NOT named.source_system IS NULL AND NOT named.source_id IS NULL",
        )
        news = "SELECT entity FROM wanted WHERE key IS NULL"
        last = f"SELECT entity, MAX(key) AS key FROM vault.key_map WHERE entity IN ({news}) GROUP BY entity"
        count = "ROW_NUMBER() OVER (PARTITION BY wanted.entity ORDER BY wanted.source_system, wanted.source_id)"
        new = (
            f"SELECT wanted.entity, wanted.source_system, wanted.source_id, COALESCE(last.key, 0) + {count} AS key"
            f" FROM wanted LEFT JOIN ({last}) AS last ON last.entity = wanted.entity WHERE wanted.key IS NULL"
        )
        if self.engine.hold("unkeyed", new):
            self.engine.append("vault.key_map", "SELECT * FROM unkeyed")
        both = "SELECT * FROM wanted WHERE NOT key IS NULL UNION ALL SELECT * FROM unkeyed"
        self.engine.hold("key_of", both)
        self.engine.let_go("wanted", "unkeyed")

    def _tokens(self, new: pa.Table) -> list[str]:
        """A token for each new value. Sixty bits meet rarely, and must not: neither one another nor older ones."""
        pairs = list(zip(new["kind"].to_pylist(), new["lookup"].to_pylist(), strict=True))
        tokens = _told_apart(pairs, set())
        self.engine.lend("chosen", pa.table({"token": pa.array(tokens, pa.string())}))
        met = self.engine.ask("SELECT token FROM vault.token WHERE token IN (SELECT token FROM chosen)")
        self.engine.let_go("chosen")
        return _told_apart(pairs, set(met["token"].to_pylist())) if met.num_rows else tokens

    def _sealed(self, system: str, kind: str, original: str, token: str) -> bytes:
        """The original, encrypted. Bound to its place: a row or column swapped does not open."""
        nonce = os.urandom(12)
        return nonce + self.sealing.encrypt(nonce, original.encode(), f"{system}\x1f{kind}\x1f{token}".encode())

    def _minted(self, new: pa.Table, now: datetime) -> pa.Table:
        tokens = self._tokens(new)
        systems, kinds, originals = (new[name].to_pylist() for name in ("source_system", "kind", "stands_for"))
        sealed = [self._sealed(*each) for each in zip(systems, kinds, originals, tokens, strict=True)]
        size = new.num_rows
        return pa.table(
            {
                **{name: new[name] for name in ("source_system", "kind", "lookup")},
                "token": tokens,
                "sealed": pa.array(sealed, pa.binary()),
                "key_id": pa.repeat(self.key_id, size),
                "minted_at": pa.repeat(pa.scalar(now, pa.timestamp("us", "UTC")), size),
            }
        )


def find(engine: Engine, secret: bytes, token: str) -> Original:
    """What a token stands for.

    Raises `TokenUnknown`, `VaultKeyWrong`, or `SealBroken` if what is stored was swapped, cut short or changed.
    """
    engine.lend("asked", pa.table({"token": pa.array([token], pa.string())}))
    wanted = "source_system, kind, lookup, token, sealed, key_id"
    rows = engine.ask(f"SELECT {wanted} FROM vault.token WHERE token IN (SELECT token FROM asked)").to_pylist()
    engine.let_go("asked")
    if not rows:
        fix = "Copy it whole, as a query shows it: PATIENT-, RECORD-, PLAN- or ACCOUNT- and twelve signs."
        raise TokenUnknown("no such token was ever made.", fix)
    if any(row["key_id"] != _id_of(secret) for row in rows):
        raise _another_key()
    sealing, key = AESGCM(_derived(secret, "seal")), _derived(secret, "lookup")
    opened = [_opened(row, sealing, key) for row in rows]
    if len(rows) > 1 or opened[0] is None:
        fix = "Bring vault/token back from the backup: what is stored is not what was sealed."
        raise SealBroken("the original of this token does not open.", fix)
    return Original(rows[0]["source_system"], rows[0]["kind"], opened[0].decode())


def _another_key() -> VaultKeyWrong:
    fix = "Set CARELAKE_VAULT_KEY, or secrets/CARELAKE_VAULT_KEY of the project, to the key it was made with."
    return VaultKeyWrong("the key of the vault is not the one that its tokens were made with.", fix)


def _id_of(secret: bytes) -> str:
    """Tells two keys apart, and tells nothing of either."""
    return _derived(secret, "key id").hex()[:16]


def doubled(engine: Engine, table: str, columns: str) -> int:
    """How many values of `columns` several rows of `table` have."""
    twice = f"SELECT {columns} FROM {table} GROUP BY {columns} HAVING COUNT(*) > 1"
    return int(engine.ask(f"SELECT COUNT(*) AS n FROM ({twice}) AS twice").to_pylist()[0]["n"])


def unopened(engine: Engine, secret: bytes, most: int) -> tuple[int, int]:
    """Of how many sealed originals, at most so many, and how many of them `secret` does not open to what their token
    was minted for. Nothing is written.
    """
    asked = f"SELECT source_system, kind, lookup, token, sealed FROM vault.token ORDER BY lookup LIMIT {most}"
    rows = engine.ask(asked).to_pylist()
    sealing, key = AESGCM(_derived(secret, "seal")), _derived(secret, "lookup")
    return len(rows), sum(_opened(row, sealing, key) is None for row in rows)


def _opened(row: Mapping[str, Any], sealing: AESGCM, key: bytes) -> bytes | None:
    """What was sealed; None if it does not open, or is not what its token was minted for."""
    place = f"{row['source_system']}\x1f{row['kind']}\x1f"
    try:
        original = sealing.decrypt(row["sealed"][:12], row["sealed"][12:], f"{place}{row['token']}".encode())
    except (InvalidTag, ValueError):
        return None
    lookup = hmac.new(key, place.encode() + original, "sha256").hexdigest()
    return original if hmac.compare_digest(lookup, str(row["lookup"])) else None


def _told_apart(pairs: Sequence[tuple[str, str]], taken: set[str]) -> list[str]:
    return [_token(kind, lookup, taken) for kind, lookup in pairs]


def _token(kind: str, lookup: str, taken: set[str]) -> str:
    """The token of a lookup. A part of the lookup; should two values meet in one, the next part is taken."""
    signs = base64.b32encode(bytes.fromhex(lookup)).decode()
    for start in range(len(signs) - LENGTH):
        token = f"{PREFIX.get(kind, kind.upper())}-{signs[start : start + LENGTH]}"
        if token not in taken:
            break
    taken.add(token)
    return token


def _sought_in(relation: str) -> str:
    return f"SELECT lookup, token FROM {relation} WHERE lookup IN (SELECT lookup FROM sought)"


def _looked_up(identifiers: str) -> str:
    """HMAC-SHA256 of each value in its namespace, spelled in SQL: 0.5 s per million, where Python takes 1.4 s."""
    message = "ENCODE(CONCAT(sought.source_system, CHR(31), sought.kind, CHR(31), sought.stands_for))"
    inside = f"UNHEX(SHA256(lookup_key.inside || {message}))"
    return (
        f"SELECT sought.source_system, sought.kind, sought.stands_for, SHA256(lookup_key.outside || {inside}) AS lookup"
        f" FROM ({identifiers}) AS sought CROSS JOIN lookup_key"
    )


def _pads(key: bytes) -> tuple[bytes, bytes]:
    """The inner and outer pad of HMAC (RFC 2104) with a block of 64 bytes."""
    block = key.ljust(64, b"\0")
    return bytes(b ^ 0x36 for b in block), bytes(b ^ 0x5C for b in block)


def _derived(secret: bytes, purpose: str) -> bytes:
    return HKDF(hashes.SHA256(), 32, None, f"carelake {purpose}".encode()).derive(secret)
