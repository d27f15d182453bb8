"""What `carelake check` has to show when everything holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..at_rest import UNKNOWN, encryption
from ..model import Declarations

UNSTATED = f"{UNKNOWN}, and `encrypted_by` of lake.yml does not say"


@dataclass(frozen=True)
class Proof:
    """What was checked of a project, and found to hold."""

    tables: int
    feeds: int
    marts: int
    columns: int  # of marts, each of which shows no more than its kind says
    lowered: Mapping[str, str]  # but these: column -> the reason on the privacy page
    unsigned: Sequence[str]  # what shows more than the shipped privacy page, and nobody signed: in `env: dev` only
    officer: str  # the public key of whoever signs the page; empty if lake.yml names none
    encrypted_by: Mapping[str, str]  # root -> what encrypts it at rest


def proof(declared: Declarations, roots: Mapping[str, Path]) -> Proof:
    """The proof of declarations that were read without a mistake."""
    stated = declared.place.encrypted_by
    found = {name: encryption(folder) for name, folder in roots.items()}
    return Proof(
        tables=len(declared.tables),
        feeds=len(declared.feeds),
        marts=len(declared.marts),
        columns=sum(len(mart.columns) for mart in declared.marts.values()),
        lowered=dict(declared.policy.lowered),
        unsigned=declared.policy.unsigned,
        officer=declared.place.officer,
        encrypted_by={
            name: (f"{stated[name]} (as lake.yml says)" if name in stated else UNSTATED) if told == UNKNOWN else told
            for name, told in found.items()
        },
    )
