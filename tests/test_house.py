"""What keeps the house small enough to read, and its walls where they were drawn."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

import carelake
from carelake import errors
from carelake.errors import LakeError

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "carelake"
CODE = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
WRITTEN = [  # by people: what a reader of the repository meets
    path
    for folder in ("src", "tests", "declarations", "docs", "tools", "bench", ".ci")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.is_file() and path.suffix not in {".gz", ".pyc", ".db"} and "data" not in path.parts
] + [path for path in sorted(ROOT.glob("*")) if path.suffix in {".md", ".toml"} or path.name == "Makefile"]

# What the machinery must not know: it would run a bakery's lake as well.
HEALTHCARE = re.compile(
    r"patient|encounter|diagnos|medic(?!al_)|clinic|hospital|claim|\bicd|\bcpt|\bnpi|fhir|hl7|physician|nurse|payer",
    re.I,
)
MACHINERY = ["model", "declare", "page", "check", "check_words", "check_names", "check_settings", "plan", "sql",
             "quality", "engine", "bronze", "silver", "gold", "release", "upkeep", "check_upkeep", "tell", "report",
             "reconcile", "reckoning", "comparison", "accounts", "landed", "check_reconciliations",
             "purges", "retention", "superseded", "lineage", "leaks", "ancestry", "keys", "suppressions",
             "lineage_page"]  # fmt: skip


def functions(path: Path) -> list[tuple[str, int]]:
    """Every function of a file, and how many lines it has."""
    nodes = ast.walk(ast.parse(path.read_text()))
    found = (node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [(f"{path.name}:{node.name}", (node.end_lineno or node.lineno) - node.lineno + 1) for node in found]


def test_no_file_of_the_code_is_over_400_lines():
    assert [path.name for path in CODE if len(path.read_text().splitlines()) > 400] == []


def test_no_function_is_over_40_lines():
    assert [name for path in [*CODE, *TESTS] for name, lines in functions(path) if lines > 40] == []


def test_the_machinery_knows_no_healthcare():
    files = [path for name in MACHINERY for path in [PACKAGE / f"{name}.py", *(PACKAGE / name).glob("*.py")]]
    said = {path.name: HEALTHCARE.findall(path.read_text()) for path in files if path.exists()}
    assert len(said) > len(MACHINERY)
    assert {name: words for name, words in said.items() if words} == {}


def test_every_module_is_a_noun_of_its_own():
    vague = {"utils", "util", "helpers", "helper", "base", "manager", "common", "misc", "core"}
    assert [path.name for path in [*CODE, *TESTS] if set(path.stem.split("_")) & vague] == []


def test_only_errors_have_ancestors():
    allowed = {"Protocol", "StrEnum", "str", "NamedTuple", "TypedDict"}
    allowed |= {"TyperGroup", "Console"}  # whose methods their frameworks call
    found = [
        f"{path.name}:{node.name}({ast.unparse(parent)})"
        for path in CODE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        for parent in node.bases
        if ast.unparse(parent) not in allowed
        and "yaml" not in ast.unparse(parent)
        and not is_error(ast.unparse(parent))
    ]
    assert found == []


def is_error(name: str) -> bool:
    return name == "Exception" or name in {error.__name__ for error in tree(LakeError)}


def tree(root: type[LakeError]) -> list[type[LakeError]]:
    """An error and everything below it, as far as it was imported."""
    return [root, *chain.from_iterable(tree(child) for child in root.__subclasses__())]


def test_every_error_has_a_code_of_its_own_and_exits_as_its_family_does():
    from carelake import project  # noqa: F401 - its errors

    found = tree(LakeError)
    codes = [error.code for error in found if "code" in vars(error)]  # one that inherits it is a case of the same
    assert len(codes) == len(set(codes))
    assert {(error.code, error.exit_code) for error in found if error.exit_code != family(error.code)} == set()


def family(code: str) -> int:
    """LAKE-216 exits with 20: the exit code says which family it is of."""
    return int(code.removeprefix("LAKE-")) // 100 * 10 or 1


def test_every_mistake_in_declarations_is_of_family_one_hundred():
    codes = {code for path in CODE for code in re.findall(r"LAKE-1\d\d", path.read_text())}
    assert codes >= {"LAKE-101", "LAKE-120"}
    assert errors.DeclarationsRefused.exit_code == 10


def test_nothing_is_left_to_do_in_a_comment():
    mark = re.compile("|".join(["TO" + "DO", "FIX" + "ME", "X" * 3 + r"\b(?!-XX)", "HA" + "CK"]))
    found = {path.name: mark.findall(path.read_text(errors="replace")) for path in [*CODE, *TESTS]}
    assert {name: marks for name, marks in found.items() if marks} == {}


def test_only_the_one_page_that_draws_on_the_terminal_prints():
    calls = {
        path.name
        for path in CODE
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }
    assert calls <= {"show.py"}


def test_nothing_names_the_hosts_that_packages_come_from():
    hosts = re.compile("|".join([r"pypi\.org", r"python" + r"hosted", r"index-url", r"artifactory", r"nexus\."]), re.I)
    locks = [ROOT / name for name in ("requirements.lock", "requirements-spark.lock")]
    places = [path for path in [*WRITTEN, *locks] if path != Path(__file__)]
    assert [path.name for path in places if hosts.search(path.read_text(errors="replace"))] == []


def test_every_dependency_is_pinned_with_its_hash():
    for name in ("requirements.lock", "requirements-spark.lock"):
        lines = [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith((" ", "#"))]
        assert lines
        assert [line for line in lines if "==" not in line or not line.endswith("\\")] == []


@pytest.mark.parametrize("module", ["carelake", "carelake.model", "carelake.plan", "carelake.sql", "carelake.privacy"])
def test_importing_what_is_pure_loads_no_engine_and_no_terminal(module):
    heavy = {"duckdb", "pyarrow", "pyspark", "deltalake", "connectorx", "typer", "rich", "fastapi", "httpx"}
    code = f"import sys, {module}; print(*sorted({heavy} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT / "src")
    assert told.stdout.strip() == ""


def test_help_and_version_load_no_engine():
    code = (
        "import sys; from carelake.serve import cli; sys.argv = ['carelake', '--help']\n"
        "try: cli.main()\nexcept SystemExit: pass\n"
        "print('loaded:', *sorted({'duckdb', 'pyarrow', 'deltalake', 'connectorx'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT / "src")
    assert told.stdout.splitlines()[-1].strip() == "loaded:"


def test_the_public_version_is_that_of_the_package():
    import tomllib

    assert carelake.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_import_contracts_hold():
    told = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": "src"}, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout[-2000:]
