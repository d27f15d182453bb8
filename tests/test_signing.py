"""A privacy page that shows more counts only with the privacy officer's signature under it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from carelake import declare, project, signing
from carelake.errors import DeclarationsRefused
from carelake.serve import cli

PAGE = """columns: [stored, operations, care_team, limited_data_set, safe_harbor]
kinds:
  ssn: [last4, last4, last4, drop, drop]
"""


def carelake(made: Path, *words: str) -> Result:
    return CliRunner().invoke(cli.app, ["-p", str(made), *words])


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A project that stores the last four digits of a number of which the shipped page stores nothing."""
    project.make(tmp_path / "project", "rcm")
    (tmp_path / "project/privacy.yml").write_text(PAGE)
    return tmp_path / "project"


@pytest.fixture
def signed(made: Path, tmp_path: Path) -> Path:
    told = carelake(made, "privacy", "key", "--out", str(tmp_path / "officer"))
    with (made / "lake.yml").open("a") as lake:
        lake.write(told.stdout.splitlines()[-1] + "\n")
    sign = carelake(made, "privacy", "sign", "--by", "Ann", "--role", "officer", "--key", str(tmp_path / "officer"))
    assert sign.exit_code == 0
    return made


def refused(made: Path) -> list[str]:
    with pytest.raises(DeclarationsRefused) as caught:
        declare.read(made)
    return [mistake.code for mistake in caught.value.mistakes]


def test_what_shows_more_is_refused_without_a_signature_and_says_whose_cell_it_is(made: Path) -> None:
    assert refused(made) == ["LAKE-114"] * 3
    with pytest.raises(DeclarationsRefused, match="'last4' in 'care_team' shows more of 'ssn' than 'drop'"):
        declare.read(made)


def test_a_signature_lets_it_count_and_the_key_is_for_its_owner_only(signed: Path, tmp_path: Path) -> None:
    assert declare.read(signed).policy.stored["ssn"] == "last4"
    assert declare.read(signed).policy.unsigned == ()
    assert (tmp_path / "officer").stat().st_mode & 0o77 == 0
    assert (tmp_path / "officer").read_text().strip() not in (signed / signing.NAME).read_text()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("privacy.yml", "last4, drop, drop]", "last4, last4, drop]"),
        ("privacy.sig", '"Ann"', '"Bob"'),
        ("privacy.sig", '"officer"', '"intern"'),
        ("privacy.sig", '"2', '"1'),
        ("privacy.sig", '"signature": "', '"signature": "00'),
        ("privacy.sig", "{", ""),
        ("lake.yml", "privacy_officer: ", "privacy_officer: 00"),
    ],
)
def test_what_was_not_signed_as_it_stands_does_not_count(signed: Path, file: str, old: str, new: str) -> None:
    path = signed / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    assert set(refused(signed)) == {"LAKE-114"}
    path.write_text(text)
    assert declare.read(signed).policy.stored["ssn"] == "last4"


def test_another_key_than_the_officers_signs_nothing(signed: Path, tmp_path: Path) -> None:
    carelake(signed, "privacy", "key", "--out", str(tmp_path / "other"))
    before = (signed / signing.NAME).read_text()
    words = ("privacy", "sign", "--by", "Eve", "--role", "officer", "--key", str(tmp_path / "other"))
    told = carelake(signed, *words).exception
    assert isinstance(told, signing.KeyFileUnfit)
    assert "not the key of the officer in lake.yml" in str(told)
    assert (signed / signing.NAME).read_text() == before


def test_in_dev_nothing_has_to_be_signed_and_check_says_what_is_not(made: Path) -> None:
    with (made / "lake.yml").open("a") as lake:
        lake.write("env: dev\n")
    told = json.loads(carelake(made, "check", "--json").stdout)
    assert len(told["unsigned"]) == 3
    assert "Not signed, and let pass" in carelake(made, "check").stdout


def test_a_dry_run_signs_nothing_and_says_what_would_be_signed(made: Path, tmp_path: Path) -> None:
    carelake(made, "privacy", "key", "--out", str(tmp_path / "officer"))
    words = ("--by", "Ann", "--role", "officer", "--key", str(tmp_path / "officer"), "--dry-run", "--json")
    told = json.loads(carelake(made, "privacy", "sign", *words).stdout)
    assert (len(told["shows_more"]), told["signed"]) == (3, None)
    assert not (made / signing.NAME).exists()


def test_a_key_that_is_none_or_there_already_is_refused(made: Path, tmp_path: Path) -> None:
    (tmp_path / "officer").write_text("not a key")
    for words in (("key", "--out", str(tmp_path / "officer")),
                  ("sign", "--by", "Ann", "--role", "officer", "--key", str(tmp_path / "officer")),
                  ("sign", "--by", " ", "--role", "officer", "--key", str(tmp_path / "officer"))):  # fmt: skip
        error = carelake(made, "privacy", *words).exception
        assert isinstance(error, signing.KeyFileUnfit)
        assert "not a key" not in str(error)
    assert (tmp_path / "officer").read_text() == "not a key"


def test_a_column_of_a_mart_that_shows_more_counts_with_a_signature_too(signed: Path, tmp_path: Path) -> None:
    shelf = signed / "gold/own"
    shelf.mkdir(parents=True)
    (shelf / "mine.sql").write_text("SELECT claim_date AS batch FROM silver.claim\n")
    (shelf / "mine.md").write_text(
        "---\nabout: It.\ncolumns:\n  batch: {kind: not_personal, type: date, about: It.}\n---\n"
    )
    assert refused(signed) == ["LAKE-148"]
    with (signed / "privacy.yml").open("a") as page:
        page.write("lowered:\n  gold.mine.batch: The day of a file, of no single person.\n")
    assert set(refused(signed)) == {"LAKE-114"}
    carelake(signed, "privacy", "sign", "--by", "Ann", "--role", "officer", "--key", str(tmp_path / "officer"))
    assert "gold.mine.batch" in declare.read(signed).policy.lowered
    with (signed / "privacy.yml").open("a") as page:
        page.write("  gold.dim_date.year: It is wanted.\n")
    carelake(signed, "privacy", "sign", "--by", "Ann", "--role", "officer", "--key", str(tmp_path / "officer"))
    assert refused(signed) == ["LAKE-150"]
