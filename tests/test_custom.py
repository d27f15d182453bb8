"""Extracts of a project's own: what they may show, what they may be called, and by whom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from small_lake import Small
from test_extract import extract, rows

from carelake import declare, zip3
from carelake.errors import DeclarationsRefused
from carelake.extract import extraction
from carelake.extract.extraction import ExtractRefused
from carelake.zip3 import PopulationUnfit

SEEN = """custom:
  is: Registry of transplants
  seen:
    sex: keep
    birth_date: shift from restricted
    event_date: shift
    address: region
    zip: zip3 from restricted
    record_number: pseudonym
    event_number: pseudonym
    diagnosis: keep
    not_personal: keep
"""
DETERMINED = "  determination: {by: Dr. Grace Murray, on: 2034-01-01, method: report 17, until: 2036-12-31}\n"
SAYS = "about: A test."


def declares(lake: Small, page: str, env: str = "dev") -> None:
    (lake.project / "privacy.yml").write_text(page)
    path = lake.project / "lake.yml"
    path.write_text(path.read_text().split("\nenv:")[0].rstrip() + f"\nenv: {env}\n")


def refused(lake: Small) -> dict[str, str]:
    """Code -> what was found, and why it matters, of the mistakes in what is declared."""
    with pytest.raises(DeclarationsRefused) as caught:
        declare.read(lake.project)
    return {one.code: f"{one.found}. {one.why}" for one in caught.value.mistakes}


def test_what_a_custom_extract_does_not_name_does_not_leave(small: Small) -> None:
    declares(small, SEEN)
    told = extract(small, "out", profile="custom")
    shown = {(one["table"], column["name"]): column["treatment"] for one in told["tables"] for column in one["columns"]}
    assert (shown["patient", "birth_date"], shown["patient", "region"]) == ("shift", "region")
    assert {table for table, name in shown if name == "claim_amount"} == {"claim"}  # not personal
    assert not {name for _, name in shown} & {"provider_key", "full_name", "address", "zip"}
    assert rows(small, "out", "patient", "gender, region, zip3") == [
        ("F", "Midwest", "627"), ("F", "Northeast", "021"), ("M", "South", "733")
    ]  # fmt: skip


def test_a_table_of_which_nothing_is_named_does_not_leave(small: Small) -> None:
    declares(small, "custom: {is: Visits, seen: {sex: keep, event_number: pseudonym, record_number: pseudonym}}\n")
    told = extract(small, "out", profile="custom")
    assert [one["table"] for one in told["tables"]] == ["patient", "encounter", "transaction", "claim"]
    assert {one["table"]: [column["name"] for column in one["columns"]] for one in told["tables"]}["patient"] == [
        "patient_key", "gender"
    ]  # fmt: skip


def test_rows_that_nobody_could_tell_by_person_do_not_leave(small: Small) -> None:
    declares(small, "custom: {is: Sexes, seen: {sex: keep}}\n")
    with pytest.raises(ExtractRefused, match="no key of patient"):
        extract(small, "out", profile="custom")


def test_dates_of_a_person_are_moved_by_one_number_of_days_and_of_another_by_another(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = iter([10, -20, 30])
    true = extraction._random
    monkeypatch.setattr(extraction, "_random", lambda name: str(next(days)) if name == "shift" else true(name))
    declares(small, SEEN)
    extract(small, "out", profile="custom")
    born = {gender + region: day for gender, region, day in rows(small, "out", "patient", "gender, region, birth_date")}
    true_days = {"FMidwest": date(1980, 12, 10), "MSouth": date(1958, 4, 23), "FNortheast": date(1978, 11, 7)}
    moved = {who: (born[who] - day).days for who, day in true_days.items()}
    assert sorted(moved.values()) == [-20, 10, 30]
    visits = {"FMidwest": date(2024, 10, 1), "MSouth": date(2024, 10, 5), "FNortheast": date(2024, 10, 9)}
    left = {day for (day,) in rows(small, "out", "encounter", "encounter_date")}
    assert left == {day + timedelta(days=moved[who]) for who, day in visits.items()}


def test_days_are_random_bounded_and_never_none() -> None:
    drawn = [int(extraction._random("shift")) for _ in range(5000)]
    assert (min(drawn), max(drawn), 0 in drawn) == (-182, 182, False)


def test_without_a_determination_it_is_protected_health_information_and_says_so(small: Small) -> None:
    declares(small, SEEN)
    told = extract(small, "out", profile="custom")
    assert told["is"].startswith("Registry of transplants: nobody determined it de-identified")
    assert "Protected health information" in (small.folder / "out/evidence.html").read_text()


@pytest.mark.parametrize("name", ["De-identified claims", "deidentified", "An anonymised set", "Safe Harbor, nearly"])
def test_it_may_not_be_called_de_identified_unless_somebody_has_determined_it(small: Small, name: str) -> None:
    declares(small, SEEN.replace("Registry of transplants", name))
    assert "neither" in refused(small)["LAKE-154"]


def test_with_a_determination_it_says_whose_and_until_when(small: Small) -> None:
    declares(small, SEEN.replace("Registry", "De-identified registry") + DETERMINED)
    told = extract(small, "out", profile="custom")
    assert "expert determination, 45 CFR 164.514(b)(1), of Dr. Grace Murray, 2034-01-01, by report 17" in told["is"]
    assert "until 2036-12-31" in told["is"]


def test_a_determination_that_has_ended_lets_nothing_leave(small: Small) -> None:
    declares(small, SEEN + DETERMINED.replace("2036-12-31", "2020-12-31"))
    with pytest.raises(ExtractRefused, match="ended on 2020-12-31"):
        extract(small, "out", profile="custom")
    assert not (small.folder / "out").exists()


def test_a_project_that_declares_none_has_none(small: Small) -> None:
    with pytest.raises(ExtractRefused, match="declares no custom extract"):
        extract(small, "out", profile="custom")


def test_where_patients_are_real_somebody_has_to_sign_it(small: Small) -> None:
    declares(small, SEEN, env="prod")
    assert "lets something leave" in refused(small)["LAKE-114"]


@pytest.mark.parametrize(
    ("page", "code"),
    [
        ("custom: all of it\n", "LAKE-101"),
        ("custom:\n  is: A set\n", "LAKE-101"),
        ("custom:\n  is: A set\n  seen: {hat: keep}\n", "LAKE-102"),
        ("custom:\n  is: A set\n  seen: {sex: mask}\n", "LAKE-112"),
        ("custom:\n  is: A set\n  seen: {name: keep}\n", "LAKE-113"),
        (SEEN + "  determination: yes\n", "LAKE-101"),
        (SEEN + "  determination: {by: A, on: 2034-01-01, method: m}\n", "LAKE-101"),
        (SEEN + "  determination: {by: A, on: yesterday, method: m, until: 2036-02-30}\n", "LAKE-154"),
    ],
)
def test_a_slip_in_it_is_named(small: Small, page: str, code: str) -> None:
    declares(small, page)
    assert code in refused(small)


# --- what is commonly done, and wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "code", "why"),
    [
        ("event_date: [keep, keep, keep, keep, shift]", "LAKE-112", "one known visit gives the rest away"),
        ("event_date: [keep, keep, keep, shift, year]", "LAKE-112", "one known visit"),
        ("record_number: [token, token, keep from originals, pseudonym, hash]", "LAKE-112", "made in minutes"),
        ("ssn: [last4, drop, drop, drop, last4]", "LAKE-155", "164.514(c)(1)"),
        ("record_number: [token, token, keep from originals, pseudonym, token]", "LAKE-155", "164.514(c)(1)"),
        ("birth_date: [restrict, age from restricted, drop, drop, year from restricted]", "LAKE-155", "over 89"),
        ("event_date: [keep, keep, keep, keep, keep]", "LAKE-155", "18 identifiers"),
        ("zip: [restrict, drop, drop, drop, keep from restricted]", "LAKE-155", "18 identifiers"),
        ("free_text: [keep, keep, drop, drop, keep]", "LAKE-155", "18 identifiers"),
    ],
)
def test_what_is_no_safe_harbor_is_refused_with_the_reason_whoever_signs(
    small: Small, row: str, code: str, why: str
) -> None:
    declares(small, f"kinds:\n  {row}\n")
    assert why in refused(small)[code]


# --- areas of few people ---------------------------------------------------------------------------------------------


def census(lake: Small, lines: Sequence[str], header: str = "GEOID,Total") -> Any:
    path = lake.folder / "census.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_with_a_census_only_areas_of_more_than_20000_people_are_told(small: Small) -> None:
    """627 has 20,001 people, 733 has 20,000, 021 none that are told, and 036 is on the list of small ones anyway."""
    path = census(small, ['62701,"20,000"', "62702,1", "73301,20000", "03601,900000"])
    told = small.command("zip3", "build", "--population", str(path))
    assert told.returncode == 0
    assert (small.project / "reference/zip3.csv").read_text().split() == [
        "zip3,population", "036,900000", "627,20001", "733,20000"
    ]  # fmt: skip
    assert declare.read(small.project).policy.peopled_zip3 == ("036", "627")
    extract(small, "out")
    assert rows(small, "out", "patient", "state, zip3") == [("IL", "627"), ("MA", "000"), ("TX", "000")]


def test_a_dry_run_writes_nothing(small: Small) -> None:
    told = small.command("zip3", "build", "--population", str(census(small, ["62701,30000"])), "--dry-run")
    assert (told.returncode, (small.project / "reference").exists()) == (0, False)


def test_the_second_line_of_names_in_a_file_of_the_census_bureau_is_passed_over(small: Small) -> None:
    path = census(small, ["Geography,!!Total", "860Z200US62701,30000"], "GEO_ID,P1_001N")
    assert zip3.build(path) == {"627": 30000}


@pytest.mark.parametrize(
    ("lines", "header", "found"),
    [
        ([], "zip,population", "no rows"),
        (["62701,many"], "zip,population", "line 2"),
        (["62701,-4"], "zip,population", "line 2"),
        (["6270,4"], "zip,population", "line 2"),
        (["62701,4", "62701,5"], "zip,population", "twice"),
        (["62701,4"], "code,population", "no column 'zip'"),
        (["62701,4"], "zip,heads", "no column 'population'"),
        (["62701"], "zip,population", "line 2"),
    ],
)
def test_a_census_that_cannot_be_read_is_refused(small: Small, lines: list[str], header: str, found: str) -> None:
    with pytest.raises(PopulationUnfit, match=found):
        zip3.build(census(small, lines, header))


@pytest.mark.parametrize("text", ["", "zip3,population\n", "zip3,population\n627,many\n", "a,b\n627,30000\n",
                                  "zip3,population\n62,30000\n", "zip3,population\n627,5\n"])  # fmt: skip
def test_a_table_of_areas_that_tells_none_is_named(small: Small, text: str) -> None:
    (small.project / "reference").mkdir()
    (small.project / "reference/zip3.csv").write_text(text)
    assert "LAKE-156" in refused(small)
