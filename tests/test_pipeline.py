"""What a run says of itself: its steps, its releases and its exit code."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlparse

import pytest
from small_lake import Small

from carelake import pipeline, project, synth
from carelake.errors import LakeBusy, QuestionRefused, SettingMissing
from carelake.lake import opened
from carelake.serve import door

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospitals")
    synth.make(folder, patients=40, seed=5)
    return folder


@pytest.fixture
def made(tmp_path: Path, hospitals: Path) -> tuple[Path, dict[str, str]]:
    """A project over small hospitals of its own."""
    shutil.copytree(hospitals, tmp_path / "made")
    project.make(tmp_path / "project", "rcm")
    return tmp_path / "project", synth.connections(tmp_path / "made")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, hospitals: Path) -> tuple[Path, pipeline.Run]:
    """The same after its first run: where it lies, and that run. Nobody may change it."""
    folder = tmp_path_factory.mktemp("first")
    shutil.copytree(hospitals, folder / "made")
    project.make(folder / "project", "rcm")
    return folder, pipeline.run(folder / "project", synth.connections(folder / "made"), NOW, as_of=date(2026, 6, 30))


@pytest.fixture
def loaded(tmp_path: Path, first: tuple[Path, pipeline.Run]) -> tuple[Path, dict[str, str]]:
    """A copy of it."""
    shutil.copytree(first[0], tmp_path, dirs_exist_ok=True)
    return tmp_path / "project", synth.connections(tmp_path / "made")


def outcomes(did: pipeline.Run) -> dict[str, str]:
    return {f"{step.step} {step.name}": step.outcome for step in did.steps}


def ask(folder: Path, question: str) -> list[dict[str, Any]]:
    with door.ask(folder, question) as batches:
        return [row for batch in batches for row in batch.to_pylist()]


def test_a_run_that_did_all_exits_with_0_and_makes_a_release(first, loaded):
    did = first[1]
    assert did.exit_code(strict=True) == 0
    assert did.released == 1
    kept = ask(loaded[0], "SELECT step, name, outcome, rows FROM audit.run_steps")
    assert {f"{row['step']} {row['name']}": row["outcome"] for row in kept} == outcomes(did)


def test_a_run_without_changes_lands_nothing_and_releases_nothing(loaded):
    again = pipeline.run(*loaded, NOW + timedelta(hours=1), as_of=date(2026, 6, 30))
    assert set(outcomes(again).values()) == {"unchanged", "inactive"}
    assert (again.released, again.exit_code(strict=True)) == (None, 0)
    assert ask(loaded[0], "SELECT COUNT(*) AS n FROM audit.releases") == [{"n": 1}]


def test_another_day_is_another_release_of_the_same_rows(loaded):
    later = pipeline.run(*loaded, NOW + timedelta(hours=1), as_of=date(2026, 7, 1))
    assert later.released == 2
    assert outcomes(later)["build days_in_ar"] == "done"
    assert outcomes(later)["build dim_cpt"] == "unchanged"  # its SELECT does not look at the day


def test_one_feed_that_fails_does_not_stop_the_others_and_the_next_run_catches_up(made):
    folder, environment = made
    broken = {**environment, "HOS_B_URL": "sqlite:////nowhere/hos-b.db"}
    did = pipeline.run(folder, broken, NOW, as_of=date(2026, 6, 30))
    told = outcomes(did)
    assert told["extract hos-b.patients"] == "failed"
    assert told["extract hos-a.patients"] == told["refine patient"] == told["release release"] == "done"
    assert did.exit_code(strict=False) == 20
    assert {row["source_system"] for row in ask(folder, "SELECT source_system FROM silver.patient")} == {"hos-a"}

    mended = pipeline.run(folder, environment, NOW + timedelta(hours=1), as_of=date(2026, 6, 30))
    assert mended.exit_code(strict=False) == 0
    assert ask(folder, "SELECT COUNT(*) AS n FROM silver.patient_all") == [{"n": 40}]


def test_a_setting_that_is_missing_names_every_place_searched(made):
    folder, environment = made
    did = pipeline.run(folder, {n: v for n, v in environment.items() if n != "HOS_A_URL"}, NOW)
    (step,) = (step for step in did.steps if step.name == "hos-a.patients")
    assert (step.outcome, step.code, step.exit_code) == ("failed", SettingMissing.code, 10)
    assert "environment variable HOS_A_URL" in step.found
    assert "secrets/HOS_A_URL" in step.found


def test_two_runs_at_once_are_one_too_many(made):
    folder, environment = made
    with opened(folder, environment, writing=True), pytest.raises(LakeBusy):
        pipeline.run(folder, environment, NOW)


def test_readers_see_the_last_release_while_a_later_run_has_not_released(loaded):
    folder, environment = loaded
    path = environment["HOS_A_URL"].removeprefix("sqlite://")
    with closing(sqlite3.connect(path)) as db:
        db.execute("DELETE FROM departments")
        db.commit()
    (folder / "gold" / "mine").mkdir(parents=True)
    (folder / "gold" / "mine" / "broken.sql").write_text(
        "SELECT department_key + department_name AS nothing_of_the_sort FROM silver.department\n"
    )
    page = "---\nabout: Does not bind.\ncolumns:\n  nothing_of_the_sort: {kind: not_personal, about: None.}\n---\n"
    (folder / "gold" / "mine" / "broken.md").write_text(page)
    did = pipeline.run(folder, environment, NOW + timedelta(hours=1), as_of=date(2026, 6, 30))
    assert outcomes(did)["release release"] == "failed"
    assert did.exit_code(strict=False) != 0
    held = "SELECT COUNT(*) AS n FROM silver.department WHERE source_system = 'hos-a'"
    assert ask(folder, held)[0]["n"] > 0  # silver has moved on, and what people see has not
    for name in ("broken.sql", "broken.md"):
        (folder / "gold" / "mine" / name).unlink()
    pipeline.run(folder, environment, NOW + timedelta(hours=2), as_of=date(2026, 6, 30))
    assert ask(folder, held) == [{"n": 0}]


def test_a_question_before_the_first_release_says_so(made):
    with pytest.raises(QuestionRefused):
        ask(made[0], "SELECT patient_key FROM silver.patient")


class Registry(BaseHTTPRequestHandler):
    """Answers as the NPI registry does, or not at all."""

    asked: ClassVar[list[str]] = []
    works = True

    def do_GET(self) -> None:
        if not self.works:
            self.send_error(500)
            return
        (number,) = parse_qs(urlparse(self.path).query)["number"]
        self.asked.append(number)
        basic = {"last_name": "RAY", "first_name": "BOB", "status": "A", "enumeration_date": "2010-01-02"}
        result = {"number": number, "enumeration_type": "NPI-1", "basic": {**basic, "last_updated": "2020-03-04"}}
        result |= {"taxonomies": [{"code": "207Q00000X", "primary": True}]}
        result |= {"addresses": [{"address_purpose": "LOCATION", "state": "RI"}]}
        body = json.dumps({"result_count": 1, "results": [result]}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def registry() -> Iterator[tuple[str, type[Registry]]]:
    handler = type("Answers", (Registry,), {"asked": [], "works": True})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/api/", handler
        server.shutdown()


def only_one_unknown_provider(made: tuple[Path, dict[str, str]]) -> None:
    """No NPPES file, and one provider of hospital A with a sound NPI."""
    _, environment = made
    for path in Path(environment["LANDING"]).glob("npi/*"):
        path.unlink()
    for url in ("HOS_A_URL", "HOS_B_URL"):
        with closing(sqlite3.connect(environment[url].removeprefix("sqlite://"))) as db:
            db.execute("UPDATE providers SET NPI = 'none'")
            if url == "HOS_A_URL":
                db.execute("UPDATE providers SET NPI = '1234567893' WHERE ProviderID = 'H1-PROV0001'")
            db.commit()


def test_the_registry_is_asked_for_the_providers_that_are_not_known_in_the_same_run(made, registry):
    url, handler = registry
    only_one_unknown_provider(made)
    folder, environment = made[0], {**made[1], "NPI_API_URL": url}
    did = pipeline.run(folder, environment, NOW, as_of=date(2026, 6, 30))
    assert did.exit_code(strict=True) == 0
    assert handler.asked == ["1234567893"]
    (row,) = ask(folder, "SELECT npi, npi_name, entity_type, taxonomy_code, practice_state FROM silver.npi")
    assert tuple(row.values()) == ("1234567893", "RAY, BOB", "1", "207Q00000X", "RI")
    pipeline.run(folder, environment, NOW + timedelta(days=2), as_of=date(2026, 6, 30))
    assert handler.asked == ["1234567893"]  # known by now


def test_a_registry_that_is_down_is_a_warning_once_there_is_an_older_copy_and_fails_under_strict(made, registry):
    url, handler = registry
    only_one_unknown_provider(made)
    folder, environment = made[0], {**made[1], "NPI_API_URL": url}
    handler.works = False
    first = pipeline.run(folder, environment, NOW, as_of=date(2026, 6, 30))
    assert outcomes(first)["extract npi.registry"] == "failed"  # nothing at all is known of any provider
    assert first.exit_code(strict=False) == 20
    handler.works = True
    pipeline.run(folder, environment, NOW + timedelta(days=1), as_of=date(2026, 6, 30))
    handler.works = False
    with closing(sqlite3.connect(environment["HOS_A_URL"].removeprefix("sqlite://"))) as db:
        db.execute("UPDATE providers SET NPI = '1245319599' WHERE ProviderID = 'H1-PROV0002'")
        db.commit()
    down = pipeline.run(folder, environment, NOW + timedelta(days=2), as_of=date(2026, 6, 30))
    assert outcomes(down)["extract npi.registry"] == "warned"
    assert (down.exit_code(strict=False), down.exit_code(strict=True)) == (0, 20)


def test_a_file_that_no_feed_takes_is_told_each_time_without_what_its_sender_wrote(small: Small) -> None:
    small.put("claims/claims_of_byron_hospitl1.csv", "a,b\n1,2\n")
    for day in (2, 3):
        told = [one for one in small.run(day).steps if "no feed takes" in one.found]
        assert [(one.step, one.name, one.outcome) for one in told] == [("extract", "landing", "warned")]
        assert "claims/claims_xx_xxxxx_xxxxxxx1.csv" in told[0].found
        assert "byron" not in told[0].found
