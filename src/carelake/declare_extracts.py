"""The page of extracts -> the noun. Checked elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .model import Extracts, Identifier
from .page import Page, part


def extracts(page: Page) -> Extracts:
    """What may leave, of whom, and which kinds are identifiers."""
    says = page.says
    return Extracts(
        tables={name: tuple(columns) for name, columns in says["tables"].items()},
        persons=says["persons"],
        quasi_identifiers=tuple(says["quasi_identifiers"]),
        events=tuple(says["known_events"]),
        identifiers={letter: _identifier(one) for letter, one in says["identifiers"].items()},
    )


def _identifier(says: Mapping[str, Any]) -> Identifier:
    may_be = {kind: tuple(treatments) for kind, treatments in part(says, "may_be").items()}
    return Identifier(says["is"], tuple(says["kinds"]), may_be)
