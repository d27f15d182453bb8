"""What the columns of the tables mean that say what was taken out of bronze, and what is held."""

from __future__ import annotations

from collections.abc import Mapping

from . import purges
from .upkeep import legal_hold

AUDIT: Mapping[str, tuple[str, Mapping[str, str], Mapping[str, str]]] = {
    purges.TABLE: (
        "What `carelake purge` took out of bronze, load by load. What it says of the parts of a load stands for what"
        " the ledger says.",
        purges.COLUMNS,
        {
            "purge": "Counts the purges; several loads have the same.",
            "id": "The load, by its id in the ledger.",
            "load_id": "Source, feed and sequence.",
            "data_source": "The source.",
            "feed": "The feed of that source.",
            "table_name": "The silver table that the feed fills; empty if it fills none.",
            "rows_purged": "Rows that were taken away by this purge.",
            "rows_left": "Rows of the load that are left.",
            "bytes_purged": "By how much its files are smaller; the numbers that rows are given take room too.",
            "bytes": "Size of the files that are left.",
            "parts": "Those files, each with its SHA-256; JSON.",
            "removed": "The files that were deleted, each with its SHA-256; JSON.",
            "policy": "For how long bronze of that source was kept.",
            "cutoff": "What landed before was old enough to go.",
            "holds": "The legal holds that stood; JSON.",
            "who": "Who purged: the user of the operating system.",
            "purged_at": "When.",
        },
    ),
    legal_hold.TABLE: (
        "What nobody may take away, and who ended that. Rows are only added.",
        legal_hold.COLUMNS,
        {
            "hold": "Counts the holds.",
            "act": "place or lift.",
            "data_source": "The source that is held; empty: everything.",
            "feed": "The feed of that source; empty: all of them.",
            "who": "Who did it: the user of the operating system.",
            "why": "Why, as that person said it.",
            "happened_at": "When.",
        },
    ),
}
