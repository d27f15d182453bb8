"""What the columns of the access log mean."""

from __future__ import annotations

from collections.abc import Mapping

from . import checkpoint
from .extract import extraction

AUDIT: Mapping[str, tuple[str, Mapping[str, str], Mapping[str, str]]] = {
    checkpoint.TABLE: (
        "Who was shown what: an event for what was asked, and one for each lot of rows, written before they were shown."
        " What was asked since the last checkpoint is in the journal, and `carelake audit` reads both.",
        checkpoint.COLUMNS,
        {
            "logged_at": "When.",
            "who": "Who asked; on the command line the user of the operating system, which nobody has proven.",
            "through": "By which way.",
            "action": "query, history, quarantine show, vault find, or shown: rows of what `of_number` asked for.",
            "purpose": "What for, as that person said it.",
            "audience": "As whom.",
            "tables_read": "The tables that the question names, with commas.",
            "columns_read": "The columns of those that it names, or all behind a *.",
            "release_id": "The release that was shown.",
            "rows_shown": "Rows that were shown.",
            "patients": "Whose rows they were, where the answer says it: a name of each patient's own in this log.",
            "parameters": "A keyed digest of each text and number of the question.",
            "recipient": "Who got it, of what went outside.",
            "of_number": "Of what was shown: the number of the event that asked for it, in the same chain.",
            "chain": "The process that wrote the event.",
            "number": "Its place in the chain, from 1 on.",
            "told": "The event itself, as it was digested; JSON.",
            "digest": "SHA-256 of the digest before it, the chain, the number and what is told.",
            "head": "The head that signs it.",
        },
    ),
    checkpoint.HEADS: (
        "What checkpoints signed: which events they took in, by their digests, and the digest of the head before.",
        checkpoint.HEAD_COLUMNS,
        {
            "number": "Counts up from 1.",
            "told": "What is signed; JSON.",
            "signature": "Ed25519, by the key whose public half it tells.",
        },
    ),
    extraction.TABLE: (
        "Every extract that was made for somebody outside.",
        extraction.COLUMNS,
        {
            "id": "Counts the extracts.",
            "profile": "safe_harbor or limited_data_set.",
            "recipient": "Who gets it.",
            "address": "Where the recipient is, as it was said.",
            "agreement": "The id of the data use agreement.",
            "purpose": "What for.",
            "who": "Who made it: the user of the operating system.",
            "made_at": "When.",
            "as_of": "The day of ages.",
            "release": "The release that left.",
            "rows_out": "Rows of all its tables.",
            "persons": "Persons whose own row is in it.",
            "evidence_sha256": "SHA-256 of its evidence.json.",
        },
    ),
}
