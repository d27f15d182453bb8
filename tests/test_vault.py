"""Tokens and keys: stable, told apart by namespace, and of no use to somebody without the key."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from carelake import keys, vault
from carelake.engine.duck import Duck
from carelake.vault import Vault

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SECRET = bytes.fromhex("42" * 32)


@pytest.fixture
def duck(tmp_path: Path) -> Duck:
    (tmp_path / "staging").mkdir()
    return Duck({"vault": tmp_path}, tmp_path / "staging")


def named(*rows: tuple[str, str, str]) -> str:
    return " UNION ALL ".join(f"SELECT '{a}' AS source_system, '{b}' AS kind, '{c}' AS stands_for" for a, b, c in rows)


def tokens(duck: Duck, *rows: tuple[str, str, str], secret: bytes = SECRET) -> dict[tuple[str, str, str], str]:
    Vault(duck, lambda: [secret]).mint_tokens(named(*rows), NOW)
    told = duck.ask("SELECT source_system, kind, stands_for, token FROM token_of").to_pylist()
    return {(row["source_system"], row["kind"], row["stands_for"]): row["token"] for row in told}


def test_a_value_keeps_its_token_and_another_system_or_kind_gives_another(duck):
    ann = ("hos-a", "name", "Ann Lee")
    first = tokens(
        duck, ann, ("hos-b", "name", "Ann Lee"), ("hos-a", "record_number", "Ann Lee"), ("hos-a", "name", "ann lee")
    )
    assert len(set(first.values())) == 4
    assert tokens(duck, ann) == {ann: first[ann]}
    assert duck.ask("SELECT COUNT(*) AS n FROM vault.token").to_pylist() == [{"n": 4}]


def test_a_token_has_sixty_bits_and_the_form_people_know(duck):
    (token,) = tokens(duck, ("hos-a", "name", "Ann Lee")).values()
    prefix, _, signs = token.partition("-")
    assert prefix == "PATIENT"
    assert len(signs) == 12
    assert set(signs) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")


def test_the_lookup_is_hmac_sha256_as_python_computes_it(duck):
    tokens(duck, ("hos-a", "name", "Ännchen Leé"))
    key = keys.derived(SECRET, "lookup")
    message = "hos-a\x1fname\x1fÄnnchen Leé".encode()
    assert duck.ask("SELECT lookup FROM vault.token").to_pylist() == [
        {"lookup": hmac.new(key, message, hashlib.sha256).hexdigest()}
    ]


def test_another_key_gives_other_tokens(duck, tmp_path):
    (tmp_path / "other").mkdir()
    other = Duck({"vault": tmp_path / "other"}, tmp_path / "staging")
    ann = ("hos-a", "name", "Ann Lee")
    assert tokens(duck, ann) != tokens(other, ann, secret=bytes(32))


def test_values_whose_tokens_would_meet_get_different_ones(duck, monkeypatch):
    monkeypatch.setattr(vault, "LENGTH", 1)  # of 20 values some meet in one of 32 signs
    people = [("hos-a", "name", f"Person {n}") for n in range(20)]
    first = tokens(duck, *people)
    rows = duck.ask("SELECT token, lookup FROM vault.token").to_pylist()
    cut = [row for row in rows if vault._token("name", row["lookup"], 0) == row["token"]]
    assert len(set(first.values())) == 20 > len(cut)
    assert tokens(duck, *people) == first


def test_a_new_token_that_would_meet_one_of_an_earlier_run_is_made_otherwise(duck):
    (first,) = tokens(duck, ("hos-a", "name", "Ann Lee")).values()
    duck.replace("vault.token", f"SELECT * REPLACE ('elsewhere' AS lookup) FROM vault.token WHERE token = '{first}'")
    (second,) = tokens(duck, ("hos-a", "name", "Ann Lee")).values()
    assert second != first


def test_an_original_is_sealed_and_opens_only_in_its_own_place(duck):
    tokens(duck, ("hos-a", "name", "Zebra Lee"))
    (row,) = duck.ask("SELECT token, sealed FROM vault.token").to_pylist()
    assert b"Zebra" not in row["sealed"]
    cipher = AESGCM(keys.derived(SECRET, "seal"))
    bound = f"hos-a\x1fname\x1f{row['token']}".encode()
    assert cipher.decrypt(row["sealed"][:12], row["sealed"][12:], bound) == b"Zebra Lee"
    with pytest.raises(InvalidTag):
        cipher.decrypt(row["sealed"][:12], row["sealed"][12:], bound.replace(b"hos-a", b"hos-b"))


def test_no_original_and_no_key_is_in_any_file_of_the_vault(duck, tmp_path):
    tokens(duck, ("hos-a", "name", "Zebra Lee"))
    held = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in (SECRET, keys.derived(SECRET, "lookup"), keys.derived(SECRET, "seal")):
        assert secret not in held
        assert secret.hex().encode() not in held
    assert b"Zebra" not in held
    assert hashlib.sha256(b"Zebra Lee").hexdigest().encode() not in held


def minted(duck: Duck, *rows: tuple[str, str, str]) -> dict[tuple[str, str, str], int]:
    named = " UNION ALL ".join(
        f"SELECT '{a}' AS entity, '{b}' AS source_system, '{c}' AS source_id" for a, b, c in rows
    )
    Vault(duck, lambda: [SECRET]).mint_keys(named)
    told = duck.ask("SELECT entity, source_system, source_id, key FROM key_of").to_pylist()
    return {(row["entity"], row["source_system"], row["source_id"]): row["key"] for row in told}


def test_keys_count_up_per_entity_in_the_order_of_the_ids_and_never_change(duck):
    assert minted(duck, ("visit", "hos-a", "2"), ("visit", "hos-a", "1"), ("bill", "hos-a", "1")) == {
        ("visit", "hos-a", "1"): 1,
        ("visit", "hos-a", "2"): 2,
        ("bill", "hos-a", "1"): 1,
    }
    assert minted(duck, ("visit", "hos-a", "0"), ("visit", "hos-b", "1"), ("visit", "hos-a", "1")) == {
        ("visit", "hos-a", "0"): 3,  # behind those that are taken, though its id comes first
        ("visit", "hos-b", "1"): 4,
        ("visit", "hos-a", "1"): 1,
    }
