"""Of keys and of persons nothing is in what Spark tells of itself: its event log with every plan, Delta's commits."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from canaries import Place, Planted, Search
from canary_places import shipped_words
from lake_engines import need_spark
from small_lake import KEY, NOW, PATIENTS, Small, cells, made

from carelake import keys
from carelake.engine.duck import Duck
from carelake.lake import ZONES

PLANTED = "a word that only a plan has"
RUN = """
import os, sys
from datetime import datetime
from pathlib import Path
from carelake import pipeline
from carelake.lake import opened

project = Path(sys.argv[1])
did = pipeline.run(project, os.environ, datetime.fromisoformat(sys.argv[2]))
assert not [step for step in did.steps if step.outcome == "failed"], did
with opened(project, os.environ, writing=False, engine="spark") as lake:
    lake.engine.ask(f"SELECT '{sys.argv[3]}' AS told, COUNT(*) AS n FROM silver.patient")
"""
SPARK = """
spark:
  spark.master: local[1]
  spark.driver.memory: 2g
  spark.driver.defaultJavaOptions: -XX:TieredStopAtLevel=1 -XX:+UseSerialGC
  spark.sql.shuffle.partitions: '1'
  spark.sql.adaptive.enabled: 'false'
  spark.sql.codegen.wholeStage: 'false'
  spark.eventLog.enabled: 'true'
  spark.eventLog.compress: 'false'
  spark.eventLog.dir: {events}
"""
KEPT = {"PatientID", "Gender", "ModifiedDate"}  # what is no identifier, or shorter than what can be searched for


def texts(folder: Path, pattern: str) -> Iterator[str]:
    yield from (path.read_text(errors="replace") for path in folder.rglob(pattern) if path.is_file())


def secrets(lake: Small) -> list[Planted]:
    """The master key, and every data key that it opens, as they could be written."""
    roots = {layer: lake.project / zone for layer, zone in ZONES.items()}
    ring = keys.ring(Duck(roots, lake.folder), lambda: [bytes.fromhex(KEY)])
    raw = [bytes.fromhex(KEY), *ring.opened.values()]
    assert len(raw) > 3
    written = (told for key in raw for told in (key.hex(), str(list(key)), base64.b64encode(key).decode(), str(key)))
    return [Planted("key", told) for told in written]


def persons() -> list[Planted]:
    header, rows = cells(PATIENTS)
    return [
        Planted(name, value)
        for row in rows
        for name, value in zip(header, row, strict=True)
        if name not in KEPT and len(value) > 3
    ]


@pytest.mark.prove
def test_no_key_and_nobody_is_in_the_event_log_in_a_plan_or_in_a_commit(tmp_path):
    need_spark()
    lake, events = made(tmp_path / "lake"), tmp_path / "events"
    events.mkdir()
    page = lake.project / "lake.yml"
    page.write_text(page.read_text().replace("engine: duck", "engine: spark") + SPARK.format(events=events.as_uri()))
    said = subprocess.run(
        [sys.executable, "-c", RUN, str(lake.project), NOW.isoformat(), PLANTED],
        capture_output=True, text=True, env={**os.environ, **lake.around()}, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr[-3000:]
    assert said.stdout + said.stderr == ""
    told = "\n".join([*texts(events, "*"), *texts(lake.project, "_delta_log/*.json")])
    assert PLANTED in told  # so that plans are searched
    assert "MapInArrow" in told  # also those that read a key
    assert json.dumps("carelake.note")[1:-1] in told  # and notes of commits
    search = Search([*secrets(lake), *persons()], ordinary=shipped_words())
    assert search.found([Place("the logs", told.encode())]) == set()
    for planted in (*secrets(lake), *persons()):  # each of them would be found
        assert search.found([Place("the logs", f"a plan of '{planted.value}' and so on".encode())]), planted.kind
