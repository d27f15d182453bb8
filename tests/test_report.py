"""The page of a run: its figures, its words whatever names hold, and a file that stands alone."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest
from small_lake import NOW, Small, copied, failed

from carelake import pipeline, step
from carelake.lake import opened
from carelake.report import quality_sheet
from carelake.report.html import html
from carelake.report.quality_report import RunUnknown
from carelake.report.sheet import Grid, Section, Sheet, Words, cell, grid

HOSTILE = ["<script>alert(1)</script>", "\"><img src=x onerror='alert(1)'>", "a\x1b[2J\u202eb", "&amp;", "</table>"]
TAGS = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section", "h1", "h2", "p", "div",
    "table", "caption", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
ATTRIBUTES = {"lang", "charset", "name", "content", "http-equiv", "id", "class", "role", "tabindex", "aria-labelledby",
              "scope"}  # fmt: skip


class Read(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.words: list[tuple[str, str]] = []  # tag and text
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append((self.open[-1] if self.open else "", data))


def stands_alone(page: str) -> Read:
    """The page, read; it is whole, accessible, and asks for nothing from elsewhere."""
    read = Read(page)
    assert read.open == []
    assert set(read.tags) <= TAGS
    assert read.attributes <= ATTRIBUTES
    assert page.startswith('<!DOCTYPE html>\n<html lang="en">')
    assert "default-src 'none'" in page
    assert "width=device-width" in page
    assert re.search(r"https?:|url\(|@import|javascript:", page) is None
    assert read.tags.count("table") == read.tags.count("caption") == read.tags.count("thead")
    assert '<th scope="col"' in page
    assert len(page) < 300_000
    return read


# --- how it looks ----------------------------------------------------------------------------------------------------


def hostile(word: str) -> Sheet:
    table = Grid(word, (word, "n"), ((word, "1"),))
    return Sheet(word, word, (Section(word, (Words(word), Words(word, loud=True), table)),))


@pytest.mark.parametrize("word", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_is_shown_and_does_nothing(word):
    read = stands_alone(html(hostile(word), word))
    plain = re.sub("[\x1b\u202e]", "\ufffd", word)
    assert [tag for tag, text in read.words if text == plain] == [
        "title", "h1", "p", "h2", "p", "p", "caption", "th", "th", "p",
    ]  # fmt: skip


def test_colours_can_be_told_apart_from_white_by_tired_eyes():
    """WCAG 2.1 asks for a contrast of 4.5."""
    from carelake.report.html import STYLE

    colours = set(re.findall(r"color: (#[0-9a-f]{6});", STYLE))
    assert len(colours) >= 4
    assert [one for one in colours if 1.05 / (luminance(one) + 0.05) < 4.5] == []


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_values_are_written_as_people_write_them():
    values = [
        None,
        True,
        1234567,
        Decimal("1234.5000"),
        Decimal("7.0000"),
        Decimal("-0.0010"),
        0.25,
        date(2026, 3, 1),
        "a",
    ]
    assert [cell(value) for value in values] == [
        "",
        "yes",
        "1,234,567",
        "1,234.50",
        "7",
        "0",
        "0.25",
        "2026-03-01",
        "a",
    ]
    assert cell(datetime(2026, 3, 1, 23, 59, 59, tzinfo=UTC)) == "2026-03-01 23:59"
    assert grid("it", {"b": "B", "a": "A"}, [{"a": 1, "b": "x"}]).rows == (("x", "1"),)


# --- what it says ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def told(small_origin: Small, tmp_path_factory: pytest.TempPathFactory) -> tuple[Small, list[str]]:
    """A lake that writes a page at each run: one with a patient too many who has no first name, one that fails."""
    lake = copied(small_origin, tmp_path_factory.mktemp("report"))
    path = lake.project / "lake.yml"
    path.write_text(path.read_text() + "\nreport: pages\n")
    lake.sql(
        "INSERT INTO patients SELECT 'P9', NULL, LastName, MiddleName, SSN, PhoneNumber, Gender, DOB, Address,"
        " '2024-05-01' FROM patients WHERE PatientID = 'P1'"
    )
    first = lake.run(1)
    assert failed(first) == {}
    lost = Small(lake.folder, {"HOS_A_URL": f"sqlite:///{lake.folder / 'nowhere.db'}"})
    second = lost.run(2)
    assert len(failed(second)) == 5
    return lake, [first.run_id, second.run_id]


def facts(lake: Small, run: str) -> dict:
    return json.loads((lake.project / f"pages/quality-{run}.json").read_text())


def test_each_run_leaves_its_page_and_the_same_as_json(told):
    lake, runs = told
    names = {f"quality-{run}.{kind}" for run in runs for kind in ("html", "json")}
    assert {path.name for path in (lake.project / "pages").iterdir()} == names
    for run in runs:
        stands_alone((lake.project / f"pages/quality-{run}.html").read_text())


def test_the_page_says_what_was_landed_held_back_and_released(told):
    lake, (first, _) = told
    said = facts(lake, first)
    assert [(load["feed"], load["rows"]) for load in said["loads"]] == [("hos-a.patients", 1)]
    held = said["quarantine"]["counted"]
    assert held == [{"table": "patient", "source": "hos-a", "rows": 1, "of": 4}]
    (waits,) = said["quarantine"]["waits"]
    assert (waits["table"], waits["rows"], waits["overdue"], waits["age"]) == ("patient", 1, 0, 0)
    (score,) = [one for one in said["scores"] if one["table"] == "patient"]
    assert (score["rows"], score["trusted"], score["sla"], score["meets_sla"]) == (4, "0.7500", "0.995", False)
    (rule,) = [one for one in said["rules"] if one["table"] == "patient"]
    assert (rule["violating"], rule["rows_seen"], rule["share"], rule["is_beyond"]) == (1, 4, "0.25", True)
    assert said["release"]["by_this_run"]
    assert said["unseen"] == []


def test_reconciliations_show_both_figures_and_the_difference(told):
    lake, (first, _) = told
    said = {f"{one['name']} {one['part']}": one for one in facts(lake, first)["reconciliations"]}
    (item,) = [one for one in said["refined patient"]["items"] if one["verdict"] == "holds"]
    assert (item["left_figure"], item["right_figure"], item["difference"]) == ("4.0000", "4.0000", "0.0000")


def test_a_failed_run_says_so_first_and_what_failed(told):
    lake, (_, second) = told
    said = facts(lake, second)
    assert said["run"]["outcome"] == "failed"
    page = stands_alone((lake.project / f"pages/quality-{second}.html").read_text())
    words = [text for _, text in page.words]
    assert any(text.startswith("failed: 5 failures, ") for text in words)
    assert "Something failed in this run. What it hit stands below." in words
    assert "LAKE-201" in words


def test_an_earlier_run_is_told_again_as_it_was(told, tmp_path):
    lake, (first, _) = told
    did = lake.invoke("report", "--run", first, "--out", str(tmp_path / "new"), "--json")
    assert did.exit_code == 0, did.output
    written = json.loads(did.output)
    assert set(written) == {"html", "json"}
    again, before = json.loads(Path(written["json"]).read_text()), facts(lake, first)
    moved = {
        "written_at",
        "run",
        "quarantine",
    }  # it is not the last one any more, and the days are counted for that one
    assert {name: again[name] for name in again if name not in moved} == {
        name: before[name] for name in before if name not in moved
    }
    assert again["quarantine"]["counted"] == before["quarantine"]["counted"]
    assert again["quarantine"]["waits"] == []
    assert "of the last run only" in Path(written["html"]).read_text()


def test_a_run_that_there_is_not_is_named_with_those_there_are(told):
    lake, (first, second) = told
    did = lake.invoke("report", "--run", "it's not")
    assert isinstance(did.exception, RunUnknown)
    assert "there is no run 'it's not'." in str(did.exception)
    assert f"{second}, {first}" in str(did.exception)


def test_a_page_that_cannot_be_written_is_a_warning_and_fails_nothing(told, tmp_path):
    lake, (first, _) = told
    (tmp_path / "file").write_text("in its way")
    with opened(lake.project, lake.environment, writing=False) as whole:
        elsewhere = replace(whole.declared, place=replace(whole.declared.place, report=str(tmp_path / "file/pages")))
        (did,) = pipeline._report(replace(whole, declared=elsewhere), pipeline.Run(first, date(2026, 11, 22), NOW))
    assert (did.outcome, did.code, did.exit_code) == ("warned", "LAKE-722", step.WARNED)


def test_a_page_of_a_hundred_tables_stays_small_enough_for_a_phone():
    row = {"table": "t" * 30, "source": "s" * 20, "rows": 10**9, "of": 10**9}
    table = grid("many", {name: name for name in row}, [row] * 2_000)
    assert len(html(Sheet("t", "a", (Section("many", (table,)),)), quality_sheet.FOOTER)) < 400_000
