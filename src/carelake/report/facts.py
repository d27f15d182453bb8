"""The facts of a report -> JSON: exact figures, days and moments as text. The same facts are always the same text, so
that a digest of it can be signed. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

Facts = Mapping[str, Any]


def plain(facts: Facts) -> str:
    """Facts as JSON."""
    return json.dumps(facts, default=_word, indent=1, sort_keys=True)


def _word(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)  # a datetime is a date
