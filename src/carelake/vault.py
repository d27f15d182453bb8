"""Tokens and originals, surrogate keys, and the keys that protect them. Nothing of it leaves the originals zone.

Key material reaches an engine as a lent relation of one row, never as SQL text, plan, log or commit info.
"""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from . import keys
from .engine import Engine
from .errors import LakeError
from .keys import LOOKUP, ROW_HASH, Masters, Ring

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
LENGTH = 12  # base32 signs of a token: 60 bits
MET = (  # lookups whose tokens are those of others
    "SELECT lookup FROM (SELECT lookup, token, ROW_NUMBER() OVER (PARTITION BY token ORDER BY lookup) AS n FROM minted)"
    " AS numbered WHERE n > 1 OR token IN (SELECT token FROM vault.token)"
)


class TokenUnknown(LakeError):
    code = "LAKE-602"
    exit_code = 60
    why = "The vault finds one person at a time, by a token that it has made."


class SealBroken(LakeError):
    code = "LAKE-603"
    exit_code = 60
    why = "A sealed original opens only with its key, and only in the place that it was sealed for."


class TokensAmbiguous(LakeError):
    code = "LAKE-604"
    exit_code = 60
    why = "One person has one token, and one token one person: else histories of two people would become one."


class Original(NamedTuple):
    """What a token stands for: whose it is, what sort of identifier, and the identifier as its source wrote it."""

    source_system: str
    kind: str
    original: str


class Vault:
    """Mints what stands for a person. `masters` asks the secret provider for the master keys.

    Raises `VaultKeyWrong` if the tokens that are there were made with another one.
    """

    def __init__(self, engine: Engine, masters: Masters) -> None:
        self.engine = engine
        engine.create("vault.token", TOKENS, plain=["source_system", "kind"])
        engine.create("vault.key_map", KEYS, plain=["entity", "source_system", "key"])
        keys.create(engine, masters)
        self.ring = keys.ring(engine, masters)
        self.ring.seal()  # before anything is read: without a key nothing could be refined

    def lend_hash_key(self) -> None:
        """Let SELECTs of this run read `hash_key(secret)`, one row."""
        self.engine.lend("hash_key", partial(_hash_key, self.ring))

    def mint_tokens(self, identifiers: str, now: datetime) -> None:
        """Let SELECTs of this run read `token_of(source_system, kind, stands_for, token)` for every row of
        `identifiers`, a SELECT of the first three, all different. What has no token yet gets one; a value keeps its
        token for good.

        Raises `TokensAmbiguous` if a value has several tokens, or a token several values.
        """
        self.engine.lend("lookup_key", partial(_pads, self.ring))
        sought = self.engine.hold("sought", _looked_up(identifiers))
        self.engine.let_go("lookup_key")
        known = self.engine.version("vault.token") or 0
        self.engine.hold("found", _sought_in("vault.token"))
        if self.engine.hold("unknown", "SELECT * FROM sought WHERE NOT lookup IN (SELECT lookup FROM found)"):
            self._mint(now)
        fresh = "fresh" if self.engine.added("fresh", "vault.token", known) else "vault.token"
        self.engine.hold(
            "token_of",
            "SELECT sought.source_system, sought.kind, sought.stands_for, token.token FROM sought INNER JOIN"
            f" (SELECT lookup, token FROM found UNION {_sought_in(fresh)}) AS token ON token.lookup = sought.lookup",
        )
        self.engine.let_go("unknown", "sought", "found", "fresh")
        self._refuse_ambiguous(sought)

    def _mint(self, now: datetime) -> None:
        """Store a token for each row of `unknown`. Sixty bits meet rarely, and must not: neither one another nor older
        ones. Where they do, other sixty of the lookup are taken.
        """
        self.engine.transform("minted", "SELECT * FROM unknown", partial(_minted, self.ring, now, 0), TOKENS)
        start = 1
        while self.engine.hold("met", MET):
            others = "SELECT * FROM unknown WHERE lookup IN (SELECT lookup FROM met)"
            self.engine.transform("otherwise", others, partial(_minted, self.ring, now, start), TOKENS)
            apart = "SELECT * FROM minted WHERE NOT lookup IN (SELECT lookup FROM met)"
            self.engine.hold("told_apart", f"{apart} UNION ALL SELECT * FROM otherwise")
            self.engine.hold("minted", "SELECT * FROM told_apart")
            start += 1
        self.engine.append("vault.token", "SELECT * FROM minted")
        self.engine.let_go("minted", "met", "otherwise", "told_apart")

    def _refuse_ambiguous(self, sought: int) -> None:
        """One value has one token, and one token one value: looked at in every load."""
        (had,) = self.engine.ask("SELECT COUNT(*) AS n, COUNT(DISTINCT token) AS tokens FROM token_of").to_pylist()
        if not had["n"] == had["tokens"] == sought:
            found = f"{sought:,} identifiers have {had['n']:,} tokens, {had['tokens']:,} of them different."
            raise TokensAmbiguous(found, "Bring the folder `vault` back from the backup, and run `carelake verify`.")

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


def find(engine: Engine, masters: Masters, token: str) -> Original:
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
    ring = keys.ring(engine, masters)
    if any(row["key_id"] not in ring.seals() for row in rows):
        raise keys.another_key()
    opened = [_opened(row, ring.seals(), ring.of(LOOKUP)) for row in rows]
    if len(rows) > 1 or opened[0] is None:
        fix = "Bring vault/token back from the backup: what is stored is not what was sealed."
        raise SealBroken("the original of this token does not open.", fix)
    return Original(rows[0]["source_system"], rows[0]["kind"], opened[0].decode())


def doubled(engine: Engine, table: str, columns: str) -> int:
    """How many values of `columns` several rows of `table` have."""
    twice = f"SELECT {columns} FROM {table} GROUP BY {columns} HAVING COUNT(*) > 1"
    return int(engine.ask(f"SELECT COUNT(*) AS n FROM ({twice}) AS twice").to_pylist()[0]["n"])


def unopened(engine: Engine, masters: Masters, most: int) -> tuple[int, int]:
    """Of how many sealed originals, at most so many, and how many of them the keys at hand do not open to what their
    token was minted for. Nothing is written.
    """
    asked = f"SELECT {', '.join(TOKENS)} FROM vault.token ORDER BY lookup LIMIT {most}"
    rows = engine.ask(asked).to_pylist()
    ring = keys.ring(engine, masters)
    if not ring.seals():
        return len(rows), len(rows)
    return len(rows), sum(_opened(row, ring.seals(), ring.of(LOOKUP)) is None for row in rows)


def sealed_anew(ring: Ring, rows: pa.Table) -> pa.Table:
    """Rows of `vault.token`, their originals sealed with the newest seal. Raises `SealBroken` for one that does not
    open.
    """
    (key_id, key), seals, lookup = ring.seal(), ring.seals(), ring.of(LOOKUP)
    sealing, sealed = AESGCM(key), []
    for row in rows.to_pylist():
        if (original := _opened(row, seals, lookup)) is None:
            fix = "Bring vault/token back from the backup first: `carelake verify` says how many there are."
            raise SealBroken("an original does not open, so that it cannot be sealed anew.", fix)
        sealed.append(_sealed(sealing, original, _place_of(row)))
    done = rows.set_column(rows.schema.get_field_index("sealed"), "sealed", pa.array(sealed, pa.binary()))
    return done.set_column(rows.schema.get_field_index("key_id"), "key_id", pa.repeat(key_id, rows.num_rows))


def _minted(ring: Ring, now: datetime, start: int, new: pa.Table) -> pa.Table:
    """Rows of `vault.token` for lookups that have none: a token is cut from the lookup, at `start`."""
    (key_id, key), size = ring.seal(), new.num_rows
    systems, kinds, lookups, originals = (
        new[name].to_pylist() for name in ("source_system", "kind", "lookup", "stands_for")
    )
    tokens = [_token(kind, lookup, start) for kind, lookup in zip(kinds, lookups, strict=True)]
    sealing, places = AESGCM(key), map(_place, systems, kinds, tokens)
    sealed = [_sealed(sealing, text.encode(), place) for text, place in zip(originals, places, strict=True)]
    return pa.table(
        {
            **{name: new[name] for name in ("source_system", "kind", "lookup")},
            "token": pa.array(tokens, pa.string()),
            "sealed": pa.array(sealed, pa.binary()),
            "key_id": pa.repeat(key_id, size),
            "minted_at": pa.repeat(pa.scalar(now, pa.timestamp("us", "UTC")), size),
        }
    )


def _token(kind: str, lookup: str, start: int) -> str:
    signs = base64.b32encode(bytes.fromhex(lookup)).decode()
    return f"{PREFIX.get(kind, kind.upper())}-{signs[start : start + LENGTH]}"


def _place(system: str, kind: str, token: str) -> bytes:
    """What an original is bound to: in another row or column it does not open."""
    return f"{system}\x1f{kind}\x1f{token}".encode()


def _place_of(row: Mapping[str, Any]) -> bytes:
    return _place(row["source_system"], row["kind"], row["token"])


def _sealed(sealing: AESGCM, original: bytes, place: bytes) -> bytes:
    nonce = os.urandom(12)
    return nonce + sealing.encrypt(nonce, original, place)


def _opened(row: Mapping[str, Any], seals: Mapping[str, bytes], lookup: bytes) -> bytes | None:
    """What was sealed; None if it does not open, or is not what its token was minted for."""
    try:
        original = AESGCM(seals[row["key_id"]]).decrypt(row["sealed"][:12], row["sealed"][12:], _place_of(row))
    except (InvalidTag, KeyError, ValueError):
        return None
    namespace = f"{row['source_system']}\x1f{row['kind']}\x1f".encode()
    looked_up = hmac.new(lookup, namespace + original, "sha256").hexdigest()
    return original if hmac.compare_digest(looked_up, str(row["lookup"])) else None


def _hash_key(ring: Ring) -> pa.Table:
    return pa.table({"secret": [ring.of(ROW_HASH).hex()]})


def _pads(ring: Ring) -> pa.Table:
    """The inner and outer pad of HMAC (RFC 2104) with a block of 64 bytes."""
    block = ring.of(LOOKUP).ljust(64, b"\0")
    return pa.table({"inside": [bytes(b ^ 0x36 for b in block)], "outside": [bytes(b ^ 0x5C for b in block)]})


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
