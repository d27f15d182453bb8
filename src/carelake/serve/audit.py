"""The access log, asked: by patient, by user, and for what went to somebody outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from .. import asked
from ..asked import Told
from ..lake import opened
from .asker import Asker


def questions(project: Path, environment: Mapping[str, str]) -> list[Told]:
    """Everything that was asked for: see asked.py."""
    with opened(project, environment, writing=False) as lake:
        return asked.questions(lake)


def who_saw(project: Path, environment: Mapping[str, str], patient: int) -> Told:
    """`events`: what was asked for of which rows of the patient were shown. `unnamed`: how many other questions showed
    rows of tables about patients, and did not name them: they may have been among those. `other_keys`: how many named
    patients with another key of the log, by which nobody is found with this one.
    """
    asker = Asker.here(project, environment=environment)
    token = asker.patient(patient)
    every = questions(project, environment)
    named = [_without(one) for one in every if token in one["people"]]
    unnamed = sum(bool(one["rows_shown"]) and not one["people"] and asked.is_of_patients(one) for one in every)
    others = sum(bool(one["people"]) and one.get("log_key", asker.key_id) != asker.key_id for one in every)
    return {"patient": token, "events": named, "unnamed": unnamed, "other_keys": others}


def _without(told: Told) -> Told:
    """Not the other patients that were shown beside."""
    return {name: value for name, value in told.items() if name != "people"} | {"patients": len(told["people"])}


def by(project: Path, environment: Mapping[str, str], name: str) -> list[Told]:
    """What one user asked for."""
    return _counted(one for one in questions(project, environment) if one["who"] == name)


def disclosures(project: Path, environment: Mapping[str, str]) -> list[Told]:
    """What was given to a recipient outside: of what failed before a row left, nothing was."""
    return _counted(one for one in questions(project, environment) if one["recipient"] and one["rows_shown"])


def _counted(told: Iterable[Told]) -> list[Told]:
    return [_without(one) for one in told]
