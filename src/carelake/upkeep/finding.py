"""What an examination of a lake finds: what is wrong and where, why it matters, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LEFT = "LAKE-517"  # what is left over is no damage: the next run or vacuum takes it away
WHY = {
    "LAKE-511": "Bronze is what everything else is made of, and what no run can bring back.",
    "LAKE-512": "What the ledger does not count right is loaded twice, or not at all.",
    "LAKE-513": "A run that met it would stop; a question that meets it is not answered.",
    "LAKE-514": "A release promises a state of every table that can be read again.",
    "LAKE-515": "What a table is said to have taken in and has not will never be in any figure.",
    "LAKE-516": "One token stands for one person, for good: else a person has two lives, or two persons have one.",
    LEFT: "It costs space, and nothing reads it.",
}


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be. Nothing in it is a value of a row."""

    code: str
    where: str
    found: str
    fix: str

    @property
    def why(self) -> str:
        return WHY[self.code]

    @property
    def is_damage(self) -> bool:
        """Whether something is wrong; else it is only left over."""
        return self.code != LEFT

    def plain(self) -> dict[str, Any]:
        """For programs."""
        return {**self.__dict__, "why": self.why, "damage": self.is_damage}
