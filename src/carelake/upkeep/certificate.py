"""What shows that something was taken away: as it stands in `audit.purges`, and nothing else is kept of it."""

from __future__ import annotations

import json
from typing import Any

from .. import purges
from ..engine import Engine
from ..errors import LakeError

BACKUPS = "Backups are not reached: one that was made before still has what was purged, until it is deleted."


class PurgeUnknown(LakeError):
    code = "LAKE-521"
    exit_code = 50
    why = "A certificate says what a purge took away, and there is none of one that took nothing."


def certificate(engine: Engine, number: int) -> dict[str, Any]:
    """What a purge took away, by whom and why, as plain values; none of them is of a row. Raises `PurgeUnknown`."""
    last = purges.last(engine)
    if not 1 <= number <= last:
        known = f"There are purges 1 to {last}." if last else "Nothing was purged yet."
        raise PurgeUnknown(f"there is no purge {number}.", known)
    rows = engine.ask(f"SELECT * FROM {purges.TABLE} WHERE purge = {number} ORDER BY id").to_pylist()
    told = ("load_id", "policy", "cutoff", "rows_purged", "rows_left", "bytes_purged")
    return {
        "purge": number,
        "purged_at": rows[0]["purged_at"],
        "who": rows[0]["who"],
        "holds_respected": json.loads(rows[0]["holds"]),
        "rows": sum(row["rows_purged"] for row in rows),
        "bytes": sum(row["bytes_purged"] for row in rows),
        "loads": [
            {name: row[name] for name in told}
            | {"removed": json.loads(row["removed"]), "written": json.loads(row["parts"])}
            for row in rows
        ],
        "backups": BACKUPS,
    }
