"""The nouns of a run: what it did, step by step."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

from .errors import LakeError, ReferenceUnavailable

if TYPE_CHECKING:
    from .source import Progress

WARNED = 80  # the exit code of warnings, where they count


@dataclass(frozen=True)
class Step:
    """What one step of a run did: `done`, `unchanged`, `inactive`, `warned` or `failed`."""

    step: str
    name: str
    outcome: str
    rows: int = 0
    seconds: float = 0.0
    code: str = ""
    found: str = ""
    exit_code: int = 0
    holds: tuple[str, ...] = ()  # the tables and marts that may not be released as they are

    @property
    def cause(self) -> str:
        """What was found, without the name of the step that found it: one that others may share."""
        found = self.found
        for name in (self.name, self.name.replace(".", "/", 1)):
            found = found.replace(f"{name}: ", "")
        return found


@dataclass
class Run:
    """What a run did, step by step."""

    run_id: str
    as_of: date
    started: datetime
    steps: list[Step] = field(default_factory=list)
    released: int | None = None

    def exit_code(self, *, strict: bool) -> int:
        """0 only if all that was asked was done; a warning counts under `strict`."""
        bad = [step for step in self.steps if step.outcome == "failed" or (strict and step.outcome == "warned")]
        return (bad[0].exit_code or (WARNED if bad[0].outcome == "warned" else 1)) if bad else 0


def failed(step: str, name: str, error: LakeError, rows: int = 0, progress: Progress | None = None) -> Step:
    """A step that came to an error; yesterday's reference data is a warning."""
    stale = isinstance(error, ReferenceUnavailable) and progress is not None and progress.sequence > 0
    return Step(step, name, "warned" if stale else "failed", rows, 0, error.code, str(error), error.exit_code)
