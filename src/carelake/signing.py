"""The signature under the privacy page of a project: who signed what, so that a page that shows more can count.

Signed is the page as it counts, the project's laid over the shipped one: neither can change without a new signature.
The key is the privacy officer's own. `lake.yml` names its public half under `privacy_officer`; whoever can write that
can name another one, and `carelake check` shows which one it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .errors import LakeError

NAME = "privacy.sig"
SIGNED = ("columns", "kinds", "lowered", "sparse_zip3", "custom", "labels")


class KeyFileUnfit(LakeError):
    code = "LAKE-153"
    exit_code = 10
    why = "A signature stands for the person who has the key, and for what that person read."


@dataclass(frozen=True)
class Signature:
    """Who signed the page, as what, when, with which public key, and the signature itself; both in hexadecimal."""

    who: str
    role: str
    signed_at: str
    public_key: str
    signature: str


def sign(page: Mapping[str, Any], key: bytes, who: str, role: str, now: datetime) -> Signature:
    """The signature of a page that counts, made with the 32 bytes of an Ed25519 key."""
    private = Ed25519PrivateKey.from_private_bytes(key)
    bare = Signature(who, role, now.isoformat(), private.public_key().public_bytes_raw().hex(), "")
    return Signature(**{**asdict(bare), "signature": private.sign(_signed(page, bare)).hex()})


def holds(page: Mapping[str, Any], found: Signature | None, officer: str) -> bool:
    """Whether the officer, named by the public key, signed the page as it counts."""
    if found is None or not officer or found.public_key != officer:
        return False
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(officer))
        public.verify(bytes.fromhex(found.signature), _signed(page, found))
    except (InvalidSignature, ValueError):
        return False
    return True


def _signed(page: Mapping[str, Any], by: Signature) -> bytes:
    """What is signed: all that the page decides, and who signs it. The order of kinds and areas says nothing."""
    said = {word: page[word] for word in SIGNED if word in page}
    told = {**said, "sparse_zip3": sorted(page.get("sparse_zip3", ()))}
    return json.dumps([told, by.who, by.role, by.signed_at, by.public_key], sort_keys=True).encode()


def make_key(path: Path) -> str:
    """Write a new private key to a file that is not there yet, for its owner only; the public half, in hexadecimal.

    Raises `KeyFileUnfit`.
    """
    made = Ed25519PrivateKey.generate()
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(made.private_bytes_raw().hex() + "\n")
    except OSError:
        raise KeyFileUnfit("the file cannot be made, or is there already.", "Name a new one.") from None
    return made.public_key().public_bytes_raw().hex()


def under(
    project: Path, page: Mapping[str, Any], key: Path, officer: str, who: str, role: str, now: datetime
) -> Signature:
    """Sign the page of a project with the key in a file, which has to be that of the `officer` whom lake.yml names; the
    signature is put beside the page. Raises `KeyFileUnfit`.
    """
    if not who.strip() or not role.strip():
        raise KeyFileUnfit("it is not said who signs, or in which role.", "Give --by NAME and --role ROLE.")
    try:
        secret = bytes.fromhex(key.read_text(encoding="ascii").strip())
        made = sign(page, secret, who, role, now)
    except (OSError, ValueError):
        raise KeyFileUnfit("the file holds no key that can be read.", "Make one: `carelake privacy key`.") from None
    if made.public_key != officer:
        found = "lake.yml names no privacy officer" if not officer else "this is not the key of the officer in lake.yml"
        fix = f"Let lake.yml say `privacy_officer: {made.public_key}`, if that is who signs."
        raise KeyFileUnfit(f"{found}, so that the signature would not count.", fix)
    write(project, made)
    return made


def read(project: Path) -> Signature | None:
    """The signature beside the project's page; None if there is none that can be read."""
    try:
        told = json.loads((project / NAME).read_text(encoding="utf-8"))
        return Signature(**{name: str(told[name]) for name in Signature.__dataclass_fields__})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(project: Path, made: Signature) -> Path:
    """Put the signature beside the project's page, in one step."""
    path = project / NAME
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(asdict(made), indent=2) + "\n", encoding="utf-8")
    return beside.replace(path)
