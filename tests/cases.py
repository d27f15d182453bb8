"""Cases of one kind, of which some are enough for every day."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def some(many: int, cases: Iterable[Any]) -> list[Any]:
    """The first so `many` cases run in CI, all of them in `make prove`."""
    return [case if place < many else _slow(case) for place, case in enumerate(cases)]


def _slow(case: Any) -> Any:
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=pytest.mark.prove)
