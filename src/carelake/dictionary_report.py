"""What the columns of the tables mean that say who was told what, and who has signed what."""

from __future__ import annotations

from collections.abc import Mapping

from .report import review
from .tell import digest

AUDIT: Mapping[str, tuple[str, Mapping[str, str], Mapping[str, str]]] = {
    digest.TABLE: (
        "Which channel was told which digest, so that none gets it twice.",
        digest.COLUMNS,
        {
            "period": "daily or weekly.",
            "of": "The day, as 2026-11-21, or the week, as 2026-W47.",
            "channel": "Who was told.",
            "told_from": "What it tells of began then.",
            "told_until": "And ended then.",
        },
    ),
    review.TABLE: (
        "Who has reviewed and signed the compliance report of a month.",
        review.COLUMNS,
        {
            "month": "The month, as 2026-10.",
            "who": "Who signed, as that person said it.",
            "role": "In which role.",
            "os_user": "The user of the operating system.",
            "note": "What that person wanted kept with it.",
            "signed_at": "When.",
            "sha256": "The digest of what was signed.",
            "report": "What was signed: the facts of the report, as JSON, to the byte.",
        },
    ),
}
