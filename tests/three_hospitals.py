"""Three generated hospitals: gaps, credits, orphans, and days on the edges of every rule. One seed, one set of rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from random import Random

AS_OF = date(2024, 11, 30)
DAYS_AGO = [-40, -1, 0, 1, 29, 30, 31, 59, 60, 61, 89, 90, 91, 119, 120, 121, 400]
SYSTEMS = ["hos-a", "hos-b", "hos-c"]
PEOPLE = ["patient", "provider", "department"]
SETTINGS = {"ar_aging_from": "service_date", "days_in_ar_window": "90"}
STATUSES = {"Paid": "approved", "Denied": "denied", "Rejected": "denied", "Pending": "pending"}

Tables = Mapping[str, list[dict[str, str]]]


class Dice:
    """Values as a person would write them; one in ten is missing."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def maybe(self, value: object) -> str:
        return "" if self.random.random() < 0.1 else str(value)

    def any_of(self, *values: object) -> str:
        return self.maybe(self.random.choice(values))

    def day(self) -> str:
        return self.maybe(AS_OF - timedelta(days=self.random.choice(DAYS_AGO)))

    def money(self, most: int) -> str:
        return self.maybe(Decimal(self.random.randrange(most * 100)) / 100)

    def keys(self, system: str, *names: str) -> dict[str, str]:
        """Keys of one hospital, of which five are listed in its tables and three are not."""
        first = SYSTEMS.index(system) * 8
        return {f"{name}_key": self.maybe(first + self.random.randrange(8)) for name in names}


def three_hospitals(seed: int, size: int = 300) -> Tables:
    """What is given of silver and reference, for `worked.build`."""
    dice = Dice(seed)
    systems = [dice.random.choice(SYSTEMS) for _ in range(size)]
    claims = [claim(dice, key, system) for key, system in enumerate(systems)]
    return {
        "silver.transaction": [transaction(dice, key, system) for key, system in enumerate(systems)],
        "silver.encounter": [encounter(dice, key, system) for key, system in enumerate(systems)],
        "silver.claim": claims,
        "silver.claim_history": [version for row in claims for version in history(dice, row)],
        **{f"silver.{name}": [listed(name, key) for key in range(24) if key % 8 < 5] for name in PEOPLE},
        "silver.cpt_code": [
            {"cpt_code_key": "1", "source_system": "billing", "cpt_code": "99213"},
            {"cpt_code_key": "2", "source_system": "coding", "cpt_code": "99213"},
            {"cpt_code_key": "3", "source_system": "coding", "cpt_code": "99214"},
        ],
        "silver.icd_code": [{"icd_code_key": "1", "source_system": "icd", "icd_code": "I10"}],
        "reference.setting": [{"name": name, "value": value} for name, value in SETTINGS.items()],
        "reference.claim_status": [{"claim_status": word, "counts_as": means} for word, means in STATUSES.items()],
    }


def transaction(dice: Dice, key: int, system: str) -> dict[str, str]:
    return {
        "transaction_key": str(key),
        "source_system": system,
        **dice.keys(system, *PEOPLE, "payer"),
        "visit_date": dice.day(),
        "service_date": dice.day(),
        "paid_date": dice.day(),
        "amount": dice.money(1000),
        "paid_amount": dice.money(800),
        "contractual_adjustment": dice.money(200) if system == "hos-a" else "",  # the others do not say
        "procedure_code": dice.any_of("99213", "99214", "00000"),
        "icd_code": dice.any_of("I10", "X00"),
    }


def encounter(dice: Dice, key: int, system: str) -> dict[str, str]:
    return {
        "encounter_key": str(key),
        "source_system": system,
        **dice.keys(system, *PEOPLE),
        "encounter_date": dice.day(),
        "procedure_code": dice.any_of("99213", "99214", "00000"),
    }


def claim(dice: Dice, key: int, system: str) -> dict[str, str]:
    return {
        "claim_key": str(key),
        "source_system": system,
        **dice.keys(system, *PEOPLE, "payer"),
        "claim_id": f"C{key}",
        "frequency_code": dice.any_of("1", "1", "7", "7", "8", "3"),
        "original_claim_id": dice.maybe(f"C{max(0, key + dice.random.randrange(-12, 4))}"),
        "claim_date": dice.day(),
        "claim_status": dice.any_of(*STATUSES, "Lost"),
        "claim_amount": dice.money(1000),
        "paid_amount": dice.money(800),
    }


def history(dice: Dice, row: dict[str, str]) -> list[dict[str, str]]:
    """What is known of a claim: some earlier states of it, and what it says now. Some states held for no time."""
    days = sorted(dice.random.choices(range(1, 330), k=dice.random.randrange(1, 5)))
    times = [f"2024-{1 + day // 28:02}-{1 + day % 28:02} 10:00" for day in days]
    states = [
        {name: row[name] for name in ("claim_key", "source_system")}
        | {
            "valid_from": time,
            "valid_to": until,
            "paid_amount": dice.money(800),
            "is_deleted": dice.random.choice(["true", "false", "false"]),
        }
        for time, until in zip(times, [*times[1:], ""], strict=True)
    ]
    states[-1] |= {"paid_amount": row["paid_amount"], "is_deleted": "false"}
    return states


def listed(name: str, key: int) -> dict[str, str]:
    """Every third provider has the same name as another."""
    row = {f"{name}_key": str(key), "source_system": SYSTEMS[key // 8]}
    return row if name == "patient" else {**row, f"{name}_name": f"{name} {key % 4}"}
