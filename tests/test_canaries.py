"""No identifier that the synthetic hospitals hold is outside the originals, in any form: in files and what is packed in
them, in what is said and logged, in what lies about meanwhile, and in what leaves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from canaries import Finding, Place, Search
from canary_lake import FILE_NAME, PROFILES, Lived, lived
from canary_places import shipped_words


@dataclass(frozen=True)
class Allowed:
    """Where identifiers of some kinds may stand, and why."""

    where: str  # a pattern of the place's name, from its start
    kinds: frozenset[str]
    because: str


def allowed(where: str, kinds: str, because: str) -> Allowed:
    return Allowed(where, frozenset(kinds.split()), because)


ALLOWED = (
    allowed(
        "restricted/restricted/patient_history/", "birth_date zip", "privacy.yml: what computing needs, in its own zone"
    ),
    allowed("restricted/restricted/transaction_history/", "birth_date", "privacy.yml: the same, as charges tell it"),
    allowed("lake/gold/dim_date/", "birth_date", "a calendar: every day from 1900 to 2100, whoever was born on it"),
    allowed(
        r"lake/(silver/(provider|npi)_versions|gold/(dim_provider|dim_npi|charge_by_provider_department(_month)?))/",
        "name_part",
        "privacy.yml keeps the names of providers, and some have the first or last name of a patient",
    ),
)


def searched(lake: Lived, audience: str = "stored") -> Search:
    """The search for all that is planted of the kinds which that audience may not see as they are."""
    kept = lake.kept(audience)
    also_kept = {one.value.encode() for one in lake.planted if one.kind in kept}
    return Search([one for one in lake.planted if one.kind not in kept], shipped_words() | also_kept)


def unexplained(findings: set[Finding], allowed: tuple[Allowed, ...] = ALLOWED) -> list[Finding]:
    return sorted(
        one
        for one in findings
        if not any(re.match(rule.where, one.where) and one.kind in rule.kinds for rule in allowed)
    )


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    return lived(tmp_path_factory.mktemp("canaries"), patients=400)


@pytest.fixture(scope="module")
def places(lake: Lived) -> list[Place]:
    return list(lake.places)


@pytest.fixture(scope="module")
def search(lake: Lived) -> Search:
    return searched(lake)


@pytest.fixture(scope="module")
def findings(search: Search, places: list[Place]) -> set[Finding]:
    return search.found(places)


def test_no_identifier_is_outside_the_originals_in_any_form(findings: set[Finding]) -> None:
    assert unexplained(findings) == []


def test_whatever_may_stand_somewhere_does_so_there(findings: set[Finding]) -> None:
    """So that no reason outlives what it excuses."""
    used = [rule for rule in ALLOWED if any(re.match(rule.where, one.where) for one in findings)]
    assert used == list(ALLOWED)
    assert {one.form for one in findings} <= {"plain", "digits only"}


def test_nothing_was_left_out_of_the_search_but_what_its_rules_name(search: Search) -> None:
    least = {"name": 1_100, "name_part": 200, "ssn": 390, "phone": 350, "address": 1_200, "zip": 380, "birth_date": 300,
             "record_number": 600, "health_plan_number": 200, "email": 1, "free_text": 1, FILE_NAME: 1}  # fmt: skip
    assert {kind: search.kinds[kind] for kind in search.kinds if search.kinds[kind] < least[kind]} == {}
    assert search.kinds.keys() == least.keys()
    assert {why: many for why, many in search.left_out.items() if many > 5} == {"too short: name_part": 36}
    assert len(search.keys) > 350_000


def test_every_place_was_searched(places: list[Place]) -> None:
    where = [place.where for place in places]
    for pattern, least in {
        r"lake/silver/.*parquet: ": 100,
        r"lake/gold/.*parquet: ": 200,
        r"lake/.*parquet: statistics": 100,
        r"lake/.*parquet: key-value metadata": 100,
        r"lake/.*/_delta_log/.*json$": 100,
        r"lake/.*/_delta_log/.*checkpoint.parquet: ": 50,
        r"lake/journal/.*rows": 1,
        r"lake/quarantine/": 10,
        r"originals/vault/": 50,
        r"pages/.*html$": 2,
        r"error of question": 4,
        r"carelake ": 8,
        r"logs at DEBUG": 1,
    }.items():
        assert sum(bool(re.match(pattern, name)) for name in where) >= least, pattern
    said = {place.where: len(place.content) for place in places}
    assert said["a run at DEBUG that fails"] > 1_000_000
    assert sum(len(place.content) for place in places) > 8_000_000


@pytest.mark.parametrize("profile", PROFILES)
def test_an_extract_holds_none_that_its_profile_does_not_let_leave(lake: Lived, profile: str) -> None:
    search, places = searched(lake, profile), lake.extract(profile)
    assert search.kinds["event_number"] > 1_500
    assert search.kinds["provider_identity"] > 100
    assert ("birth_date" in search.kinds) == ("zip" in search.kinds) == (profile == "safe_harbor")
    assert sum(place.where.endswith(".parquet") for place in places) == 7
    assert {"evidence.json", "evidence.html"} <= {place.where for place in places}
    assert sorted(search.found(places)) == []


@pytest.mark.prove
def test_no_identifier_of_thousands_is_outside_the_originals(tmp_path: Path) -> None:
    lake = lived(tmp_path, patients=3_000)
    search, places = searched(lake), list(lake.places)
    keys = Allowed(
        "originals/vault/pseudonym/", frozenset(["zip"]), "keys of five digits, which are kept as text there"
    )
    assert unexplained(search.found(places), (*ALLOWED, keys)) == []
    for profile in PROFILES:
        assert sorted(searched(lake, profile).found(lake.extract(profile))) == []
