"""The secret provider: connections and keys by name, from the environment or the project's `secrets/` folder."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import SettingMissing, SettingUnfit

VAULT_KEY, NEXT_KEY = "CARELAKE_VAULT_KEY", "CARELAKE_VAULT_KEY_NEXT"  # the second while it replaces the first
LOG_KEY = "CARELAKE_LOG_KEY"
KEYS = (VAULT_KEY, NEXT_KEY, LOG_KEY)
KEY_SHAPE = re.compile(r"[0-9a-fA-F]{64}")
PLACE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Secrets:
    """Looks in the environment first, then in `secrets/NAME` of the project."""

    def __init__(self, project: Path, environment: Mapping[str, str]) -> None:
        self.folder = project / "secrets"
        self.environment = environment

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy that is sent elsewhere carries no secret: it looks into the environment there."""
        return _there, (self.folder.parent,)

    def get(self, name: str) -> str | None:
        """The secret of that name; None if there is none."""
        if value := self.environment.get(name):
            return value
        path = self.folder / name
        try:
            return path.read_text(encoding="utf-8").strip() if path.is_file() else None
        except (OSError, UnicodeError):
            fix = "Let the user that CareLake runs as read it, and write it in UTF-8."
            raise SettingMissing(f"the file secrets/{name} of the project cannot be read.", fix) from None

    def need(self, name: str) -> str:
        """The secret of that name. Raises `SettingMissing`, which lists every place searched."""
        if (value := self.get(name)) is None:
            searched = f"Searched: the environment variable {name}, and the file secrets/{name} of the project."
            raise SettingMissing(f"{name} is not set.", f"{searched} Set one of them.")
        return value

    def filled(self, text: str) -> str:
        """`text` with every `${NAME}` filled in. Raises `SettingMissing`."""
        return PLACE.sub(lambda found: self.need(found[1]), text)

    def missing(self, text: str) -> list[str]:
        """The names in `text` that are not set."""
        return [name for name in PLACE.findall(text) if self.get(name) is None]

    def masters(self) -> list[bytes]:
        """The keys of 32 bytes that protect the vault: the one, and while it is rotated also the next. Raises
        `SettingMissing` or `SettingUnfit`.
        """
        return [self._key(VAULT_KEY), *([self._key(NEXT_KEY)] if self.get(NEXT_KEY) else [])]

    def log_key(self) -> bytes:
        """The 32 bytes behind the names that patients have in the access log: its own, so that who reads the lake needs
        no key of the vault. A project that has none uses the vault's. Raises `SettingMissing` or `SettingUnfit`.
        """
        return self._key(LOG_KEY if self.get(LOG_KEY) or not self.get(VAULT_KEY) else VAULT_KEY)

    def make_next(self) -> None:
        """Make the vault's next key, if the present one lies in `secrets/` and there is no next one yet.

        Raises `SettingMissing` if the present one is given by the environment: the next one has to be given there too.
        """
        if self.get(NEXT_KEY):
            return
        if self.environment.get(VAULT_KEY):
            fix = f"Set {NEXT_KEY} beside it, to 64 random hexadecimal digits: `openssl rand -hex 32` makes some."
            raise SettingMissing(f"{VAULT_KEY} comes from the environment, and {NEXT_KEY} does not.", fix)
        _write_new(self.folder / NEXT_KEY, secrets.token_hex(32))

    def keep_log_key(self) -> None:
        """Give the access log the vault's key as its own before that one changes, if it has none: the names that
        patients have in the log are for good. Raises `SettingMissing` if that has to be done in the environment.
        """
        if self.get(LOG_KEY):
            return
        if self.environment.get(VAULT_KEY):
            fix = f"Set {LOG_KEY} to what {VAULT_KEY} is now: patients keep their names in the log then."
            raise SettingMissing(f"{LOG_KEY} is not set, and the log used the key that is to change.", fix)
        _write_new(self.folder / LOG_KEY, self.need(VAULT_KEY))

    def bring(self, told: Mapping[str, str]) -> list[str]:
        """Put secrets into `secrets/`; the names of those that were not there. Raises `SettingUnfit`, before anything
        is written, if another one of that name is there.
        """
        if other := [name for name, value in told.items() if self.get(name) not in (None, value)]:
            fix = "Move what is there away first, if it is not needed."
            raise SettingUnfit(f"{', '.join(other)} is there already, and is another one.", fix)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        new = [name for name in told if self.get(name) is None]
        for name in new:
            _write_new(self.folder / name, told[name])
        return new

    def promote(self) -> bool:
        """Let the vault's next key take the place of the present one. False if the environment gives one of them, where
        a person has to do it.
        """
        if self.environment.get(VAULT_KEY) or self.environment.get(NEXT_KEY):
            return False
        os.replace(self.folder / NEXT_KEY, self.folder / VAULT_KEY)
        return True

    def _key(self, name: str) -> bytes:
        told = self.need(name)
        if not KEY_SHAPE.fullmatch(told):
            fix = f"Write it as `carelake init` wrote it into secrets/{name}, without quotes or blanks."
            raise SettingUnfit(f"{name} is not 64 hexadecimal digits.", fix)
        return bytes.fromhex(told)


def _there(project: Path) -> Secrets:
    return Secrets(project, os.environ)


def make_keys(project: Path) -> None:
    """Put new random keys into `secrets/` of the project, for its owner only; those that are there stay."""
    folder = project / "secrets"
    folder.mkdir(mode=0o700, exist_ok=True)
    for path in (folder / VAULT_KEY, folder / LOG_KEY):
        if not path.exists():
            _write_new(path, secrets.token_hex(32))


def _write_new(path: Path, key: str) -> None:
    """On the disk before anything relies on it, and whole or not at all: what a lost key protects is lost."""
    work = path.with_name(f"{path.name}.undone")
    with os.fdopen(os.open(work, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(key + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(work, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
