"""Who asks, and what the access log is told of it before a row is shown."""

from __future__ import annotations

import base64
import getpass
import hmac
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..checkpoint import journal_of
from ..journal import Journal
from ..secret import Secrets

PERSON = "patient_key"  # the column of an answer that says whose row it is
_JOURNALS: dict[Path, Journal] = {}  # one a lake: a chain is a process's


@dataclass(frozen=True)
class Asker:
    """A person or program that reads. On the command line nobody proves who they are: it is the system's user."""

    who: str
    key: bytes = field(repr=False)  # of the digests of what is asked for, and of the tokens that name patients
    purpose: str = "not stated"
    through: str = "command line"
    audience: str = "operations"
    recipient: str = ""

    @classmethod
    def here(cls, project: Path, purpose: str = "", environment: Mapping[str, str] = os.environ) -> Asker:
        """The user of the operating system. Raises `SettingMissing` without a key for the log."""
        secret = Secrets(project, environment).log_key()
        key = HKDF(hashes.SHA256(), 32, None, b"carelake access log").derive(secret)
        sudo = environment.get("SUDO_USER", "")
        return cls(getpass.getuser() + (f" for {sudo}" if sudo else ""), key, purpose or cls.purpose)

    def to(self, recipient: str) -> Asker:
        """The same, who gives to a recipient outside what is shown."""
        return replace(self, recipient=recipient)

    @property
    def key_id(self) -> str:
        """Tells the log's key from another, and tells nothing of it."""
        return hmac.digest(self.key, b"name of the key", "sha256").hex()[:8]

    def digest(self, told: str) -> str:
        """What stands for a parameter in the log: who knows it can find it again."""
        return hmac.digest(self.key, b"parameter\n" + told.encode(), "sha256").hex()[:32]

    def patient(self, key: int) -> str:
        """What stands for a patient in the log: a name of its own, which no rotation changes."""
        digest = hmac.digest(self.key, f"patient\n{key}".encode(), "sha256")
        return f"PERSON-{base64.b32encode(digest)[:12].decode()}"


@dataclass(frozen=True)
class Read:
    """What is asked for. `parameters` are as they were said: only their digests are kept."""

    action: str
    tables: Sequence[str]
    columns: Sequence[str]
    release: int | None
    parameters: Sequence[str] = ()
    given: Mapping[str, str] = field(default_factory=dict)  # to somebody outside: as what, and where to


class Log:
    """The access log, as far as one question goes. `root` is where the audit layer lies."""

    def __init__(self, root: Path, asker: Asker) -> None:
        self.asker = asker
        self.journal = _JOURNALS.setdefault(root, journal_of(root))

    def asked(self, read: Read) -> int:
        """Say what is asked for; the number of that event. Raises `JournalUnwritable`."""
        told = {
            "tables_read": list(read.tables),
            "columns_read": list(read.columns),
            "release_id": read.release,
            "parameters": sorted({self.asker.digest(one) for one in read.parameters}),
            **({"given": dict(read.given)} if read.given else {}),
        }
        return self._append(read.action, told)

    def shown(
        self, number: int, batches: Iterable[pa.RecordBatch], persons: Collection[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The batches of an answer to question `number`, each once it is said how many rows it has, and whose:
        `persons` are the columns that say it, or the one of that name, if nobody could tell.
        """
        said = {PERSON} if persons is None else {name.lower() for name in persons}
        for batch in batches:
            places = [place for place, name in enumerate(batch.schema.names) if name.lower() in said]
            keys = [key for place in places for key in batch.column(place).to_pylist()]
            self.shown_of(number, batch.num_rows, keys)
            yield batch

    def rows(self, number: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """The same of rows that are there already."""
        self.shown_of(number, len(rows), [row.get(PERSON) for row in rows])

    def shown_of(self, number: int, many: int, keys: Iterable[Any] = ()) -> None:
        """The same of rows that are counted, and of the patients that they name."""
        if many:
            known = {key for key in keys if isinstance(key, int) and key > 0}
            patients = sorted(self.asker.patient(key) for key in known)
            self._append("shown", {"of_number": number, "rows_shown": many, "patients": patients})

    def _append(self, action: str, told: Mapping[str, Any]) -> int:
        asker = self.asker
        who = {name: getattr(asker, name) for name in ("who", "purpose", "through", "audience", "recipient")}
        return self.journal.append(
            {**who, **told, "log_key": asker.key_id, "action": action, "logged_at": datetime.now(UTC).isoformat()}
        )
