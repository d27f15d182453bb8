"""What the papers promise, tried out: README blocks run, examples load, every code, command and word is described."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import sqlglot
import yaml

from carelake import check_words, declare, errors, privacy, project, sql
from carelake.errors import LakeError
from carelake.serve import cli

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
CODES = re.compile(r"LAKE-\d{3}")


def blocks(page: Path, language: str) -> list[tuple[str, str]]:
    """Every fenced block of a language: what stands behind it, and its text."""
    found = re.findall(rf"^```{language}\b ?([^\n]*)\n(.*?)^```$", page.read_text(), re.M | re.S)
    return [(words.strip(), text) for words, text in found]


def named(text: str) -> set[str]:
    """Every word that stands alone between backquotes."""
    return set(re.findall(r"`([^`\n]+)`", text))


# --- README ---


def test_the_readme_runs_as_it_stands(tmp_path):
    quickstart = "\n".join(text for words, text in blocks(ROOT / "README.md", "sh") if words == "run")
    assert {f"carelake {word}" for word in ("synth", "init")} <= set(re.findall(r"carelake \w+", quickstart))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    told = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", quickstart],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PATH": path}, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout[-3000:] + told.stderr[-3000:]
    assert "days_in_ar" in told.stdout


def test_the_readme_gives_no_figure_without_a_command():
    text = re.sub(r"```.*?```", "", (ROOT / "README.md").read_text(), flags=re.S)
    speeds = re.findall(r"\d[\d.,]*\s*(?:s|ms|seconds|minutes|GB|MB|times|%)(?!\w)", text)
    assert speeds == []


# --- errors and mistakes ---


def tree(root: type[LakeError]) -> list[type[LakeError]]:
    return [root, *chain.from_iterable(tree(child) for child in root.__subclasses__())]


def test_every_code_is_described_exactly_once_and_none_that_does_not_exist():
    code = "\n".join(path.read_text() for path in sorted((ROOT / "src").rglob("*.py")))
    described = re.findall(r"^### (LAKE-\d{3}): ", (DOCS / "troubleshooting.md").read_text(), re.M)
    assert len(described) == len(set(described))
    assert set(described) == set(CODES.findall(code))


def test_no_page_names_a_code_that_does_not_exist():
    known = set(CODES.findall((DOCS / "troubleshooting.md").read_text()))
    assert {code for page in PAGES for code in CODES.findall(page.read_text())} <= known


def test_every_code_stands_under_its_exit_code():
    parts = re.split(r"^## .*\(exit code (\d+)\)$", (DOCS / "troubleshooting.md").read_text(), flags=re.M)
    place = {code: int(exit_code) for exit_code, text in zip(parts[1::2], parts[2::2], strict=True)
             for code in re.findall(r"^### (LAKE-\d{3})", text, re.M)}  # fmt: skip
    assert {(error.code, error.exit_code) for error in tree(errors.LakeError)} <= set(place.items())
    mistakes = {code: exit_code for code, exit_code in place.items() if code.startswith("LAKE-1")}
    assert set(mistakes.values()) == {errors.DeclarationsRefused.exit_code}


# --- commands ---


def commands() -> dict[str, Any]:
    import typer

    found: dict[str, Any] = {}
    page = (DOCS / "commands.md").read_text()
    for name, command in typer.main.get_command(cli.app).commands.items():  # type: ignore[attr-defined]
        inside = getattr(command, "commands", {})  # of a group, which may be described as one
        alone = not inside or f"## carelake {name}\n" in page
        found |= {name: command} if alone else {f"{name} {word}": one for word, one in inside.items()}
    return found


def asked_by(command: Any) -> list[Any]:
    """The options and arguments of a command; of a group, those of all its commands."""
    inner = getattr(command, "commands", {}).values()
    return [*command.params, *(param for one in inner for param in asked_by(one))]


def section(command: str) -> str:
    (text,) = re.findall(rf"^## carelake {command}\n(.*?)(?=^## |\Z)", (DOCS / "commands.md").read_text(), re.M | re.S)
    return text


def test_every_command_is_described_and_no_other():
    described = re.findall(r"^## carelake (\w+(?: \w+)?)$", (DOCS / "commands.md").read_text(), re.M)
    assert sorted(described) == sorted(commands())


@pytest.mark.parametrize("command", sorted(commands()))
def test_every_option_of_a_command_is_described_and_no_other(command):
    asked = [param for param in asked_by(commands()[command]) if param.name != "help"]
    options = {word for param in asked for word in (*param.opts, *param.secondary_opts) if word.startswith("-")}
    arguments = {param.name.upper() for param in asked if param.opts == [param.name]}
    described = {word for cell in re.findall(r"^\| (`.*?) \|", section(command), re.M) for word in named(cell)}
    assert described == options | arguments


def test_every_make_target_is_described():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    described = set(re.findall(r"`make ([a-z]+)`", (DOCS / "commands.md").read_text()))
    assert described == targets


# --- declarations ---

CONFIGURATION = (DOCS / "pipeline-configuration.md").read_text() if DOCS.exists() else ""


def test_every_word_of_the_declarations_is_described():
    words = chain.from_iterable((*check_words.NEEDS.values(), *check_words.MAY_HAVE.values()))
    choices = chain.from_iterable(values for values in check_words.CHOICES.values() if "true" not in values)
    assert {*words, *choices} - named(CONFIGURATION) == set()


@pytest.mark.parametrize(
    "noun", ["table", "column", "rule", "source", "feed", "mart", "lake", "setting", "reconciliation"]
)
def test_no_word_is_described_that_does_not_exist(noun):
    heading = "## lake.yml" if noun == "lake" else f"| word of a {noun} |"
    rows = CONFIGURATION.partition(heading)[2].partition("| --- | --- |\n")[2].partition("\n\n")[0]
    described = {word for cell in re.findall(r"^\| (`.*?) \|", rows, re.M) for word in named(cell)}
    assert described == check_words.NEEDS[noun] | check_words.MAY_HAVE.get(noun, set())


def test_every_kind_and_treatment_is_described_and_no_other():
    part = CONFIGURATION.partition("## Privacy\n")[2].partition("\n## ")[0]
    kinds, treatments = part.partition("| word of custom |")[0].partition("| treatment |")[::2]
    shipped = yaml.safe_load((declare.shipped() / "privacy.yml").read_text())
    cells = [word for cell in re.findall(r"^\| (`.*?) \|", kinds, re.M) for word in named(cell)]
    assert sorted(cells) == sorted(shipped["kinds"])
    assert set(re.findall(r"^\| `(\w+)` \|", treatments, re.M)) == {*privacy.STORED, *privacy.COMPUTABLE_FROM}


def test_every_setting_and_secret_of_the_template_is_described():
    settings = yaml.safe_load((declare.shipped() / "settings.yml").read_text())
    sources = "".join(path.read_text() for path in declare.shipped().rglob("*.yml"))
    secrets = set(re.findall(r"\$\{(\w+)\}", sources))
    assert {*settings, *secrets} - named(CONFIGURATION) == set()


def test_every_function_that_sql_may_use_is_described_and_no_other():
    part = CONFIGURATION.partition("## SQL\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*`) \| .* \| (yes|no) \|$", part, re.M)
    told = [(example, where) for examples, where in rows for example in re.findall("`([^`]+)`", examples)]
    used = {type(node) for example, _ in told for node in sqlglot.parse_one(example, dialect=sql.HOME).walk()}
    assert set(sql.FUNCTIONS) <= used
    assert [one for one, _ in told if sql.refused_in_select(f"SELECT {one} AS y FROM silver.t")] == []
    assert {one: "no" if sql.refused_in_expression(one) else "yes" for one, _ in told} == dict(told)
    formats = part.partition("Formats of dates: ")[2].partition("\n\n")[0]
    assert re.findall("`([^`]+)`", formats) == list(sql.FORMATS)


def test_the_examples_of_the_configuration_load_together(tmp_path):
    folder = tmp_path / "example"
    project.make(folder, "rcm")
    examples = [
        one for kind in ("yaml", "sql", "markdown", "csv") for one in blocks(DOCS / "pipeline-configuration.md", kind)
    ]
    assert len(examples) >= 8
    for name, text in examples:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    declared = declare.read(folder)
    assert {"rooms", "visits", "wards"} <= {feed.name for feed in declared.feeds if feed.source == "hos-c"}
    assert declared.marts["missed_appointments"].kpi == "missed"
    assert declared.settings["missed_counts_from"].value == "first"
    assert declared.policy.seen["care_team"]["badge_number"].zone == "originals"
    assert {rule.name: rule.otherwise for rule in declared.tables["transaction"].rules}[
        "paid_within_amount"
    ] == "quarantine"


# --- the papers among each other ---


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    broken = [link for link in links if not leads(page, link)]
    assert broken == []


def leads(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    there = (page.parent / name).resolve() if name else page
    if not anchor:
        return there.exists()
    headings = re.findall(r"^#+ (.*)$", there.read_text(), re.M)
    return anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_decision_stands_in_the_index():
    index = (DOCS / "index.md").read_text()
    pages = [path.relative_to(DOCS).as_posix() for path in sorted(DOCS.rglob("*.md")) if path.name != "index.md"]
    assert [name for name in pages if f"({name})" not in index] == []


def test_every_decision_says_what_why_and_what_was_rejected():
    parts = ("## What", "## Why", "## Measured", "## Rejected")
    pages = sorted((DOCS / "decisions").glob("*.md"))
    assert len(pages) >= 8
    assert [(page.name, part) for page in pages for part in parts if part not in page.read_text()] == []


def test_every_file_that_the_design_names_is_there():
    table = (ROOT / "DESIGN.md").read_text().partition("## Question → file")[2]
    files = [name for row in re.findall(r"^\|.*\| (`.*`) \|$", table, re.M) for name in named(row)]
    assert len(files) > 30
    assert [name for name in files if not [*ROOT.glob(name), *(ROOT / "src/carelake").glob(name)]] == []


def test_the_changelog_begins_with_the_version_of_the_package():
    import tomllib

    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    (first, *_) = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert first == version


def test_every_dependency_is_in_the_table_of_libraries():
    import tomllib

    told = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = told["project"].get("optional-dependencies", {}).values()
    groups = told.get("dependency-groups", {}).values()
    wanted = [*told["project"]["dependencies"], *chain.from_iterable([*extras, *groups])]
    names = {re.split(r"[<>=\[; ]", one)[0].lower() for one in wanted}
    table = (DOCS / "decisions/libraries.md").read_text()
    assert {name.lower() for name in re.findall(r"^\| `([\w-]+)` \|", table, re.M)} == names


@pytest.mark.parametrize("tool", ["make_dictionary", "make_lineage"])
def test_a_generated_page_is_fresh(tool):
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        made = importlib.import_module(tool)
    finally:
        sys.path.pop(0)
    assert made.PAGE.read_text() == made.text(), f"run tools/{tool}.py"


def test_a_graph_of_a_mart_shows_what_its_columns_are_made_of_and_what_decides_about_them():
    graph = (DOCS / "lineage.md").read_text().partition("## gold.ar_over_90\n")[2].partition("\n## ")[0]
    edges = set(re.findall(r'\["([^"]+)"\] (-->|-\.->) \w+\["([^"]+)"\]', graph))
    made = {(f"gold.ar_aging.{leaf}", "-->", column) for leaf in ("ar_amount", "bucket")
            for column in ("ar_over_90", "denominator", "numerator")}  # fmt: skip
    rest = {("what the SELECT says", "-->", "as_of"), ("what the SELECT says", "-->", "definition")}
    assert edges == {*made, *rest, ("gold.ar_aging.source_system", "-->", "source_system")}
