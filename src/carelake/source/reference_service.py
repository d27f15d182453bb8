"""Asking a public service politely: no more than a few requests a second, none for what was answered today, a few
tries, and none at all once it has failed again and again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type

from ..errors import ReferenceUnavailable

FIX = "The next run asks again. If this lasts, look at its address and at the query of its feed."


@dataclass(frozen=True)
class Manners:
    """How a service is asked. Clock and sleep are arguments, so that tests do not wait."""

    per_second: float = 4.0
    attempts: int = 4  # of one request
    patience: float = 60.0  # seconds to wait at most before another attempt
    breaks_after: int = 3  # requests in a row given up, after which no more are made
    look_ups: int = 1000  # of one run
    timeout: float = 10.0  # seconds, for a connection and for each part of an answer
    largest: int = 32_000_000  # bytes of an answer
    fresh: timedelta = timedelta(days=1)  # how long an answer is not asked for again
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class _Again(Exception):
    """It may work the next time. `after` is what the service asks to wait, in seconds."""

    def __init__(self, why: str, after: float | None = None) -> None:
        self.after = after
        super().__init__(why)


class _Refused(Exception):
    """It will not work the next time either."""


class Misshapen(Exception):
    """An answer that is JSON, and not as the service is known to answer. Its text says why, without a value."""


T = TypeVar("T")


class Service:
    """One service at one address. Answers are JSON; those of the last day come from `cache`, a folder."""

    def __init__(self, name: str, url: str, now: datetime, cache: Path | None, manners: Manners) -> None:
        self.name, self.now, self.cache, self.manners = name, now, cache, manners
        self._url, self._last, self._failed = url, -1e9, 0
        for library in ("httpx", "httpcore"):  # they log every address with its query, and so what was looked up
            logging.getLogger(library).setLevel(logging.WARNING)
        self._client = httpx.Client(timeout=manners.timeout, headers={"User-Agent": "carelake"})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    @property
    def is_broken(self) -> bool:
        """Whether it failed so often in a row that it is left alone for the rest of this run."""
        return self._failed >= self.manners.breaks_after

    def ask(self, question: Mapping[str, str], read: Callable[[Any], T]) -> T:
        """What `read` makes of the answer to `question`; it raises `Misshapen` of one that it does not know.

        Raises `ReferenceUnavailable`, without asking once the service is broken.
        """
        if (kept := self._kept(question)) is not None:
            with suppress(Misshapen):
                return read(kept)
        if self.is_broken:
            raise self._unavailable(f"failed {self._failed} times in a row, and was left alone")
        try:
            answer = self._retrying()(self._fetch, question)
            told = read(answer)
        except (_Again, Misshapen, _Refused) as error:
            self._failed += 1
            raise self._unavailable(str(error)) from None
        self._failed = 0
        self._keep(question, answer)
        return told

    def _unavailable(self, why: str) -> ReferenceUnavailable:
        return ReferenceUnavailable(f"{self.name} {why}.", FIX)

    def _retrying(self) -> Retrying:
        return Retrying(
            stop=self._is_enough,
            wait=_wait,
            retry=retry_if_exception_type(_Again),
            sleep=self.manners.sleep,
            reraise=True,
        )

    def _is_enough(self, state: RetryCallState) -> bool:
        """After some attempts, or if the service asks us to stay away for longer than we wait."""
        return state.attempt_number >= self.manners.attempts or _wait(state) > self.manners.patience

    def _fetch(self, question: Mapping[str, str]) -> Any:
        self._pace()
        try:
            with self._client.stream("GET", self._url, params=dict(question)) as response:
                self._refuse(response)
                return json.loads(self._body(response))
        except httpx.InvalidURL:
            raise _Refused("has an address that is no URL") from None
        except httpx.UnsupportedProtocol:
            raise _Refused("has an address without http") from None
        except httpx.TimeoutException:
            raise _Again("did not answer in time") from None
        except httpx.TransportError:
            raise _Again("could not be reached") from None
        except ValueError:  # JSON or its encoding; also a page that says it is being mended
            raise _Again("answered something that is not JSON") from None

    def _refuse(self, response: httpx.Response) -> None:
        status = response.status_code
        if status == httpx.codes.TOO_MANY_REQUESTS or status >= 500:
            raise _Again(f"answered with status {status}", _after(response, self.now))
        if status != httpx.codes.OK:
            raise _Refused(f"answered with status {status}")

    def _body(self, response: httpx.Response) -> bytes:
        body = bytearray()
        for part in response.iter_bytes():
            body += part
            if len(body) > self.manners.largest:
                raise _Refused(f"answered with more than {self.manners.largest:,} bytes")
        return bytes(body)

    def _pace(self) -> None:
        due = self._last + 1 / self.manners.per_second
        if (early := due - self.manners.clock()) > 0:
            self.manners.sleep(early)
        self._last = self.manners.clock()

    def _kept(self, question: Mapping[str, str]) -> Any:
        """The answer of the last day to the same question; None if there is none."""
        if not self.cache:
            return None
        try:
            kept = json.loads(self._place(self.cache, question).read_bytes())
            asked = datetime.fromisoformat(kept["asked"])
            return kept["answer"] if asked <= self.now < asked + self.manners.fresh else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _keep(self, question: Mapping[str, str], answer: Any) -> None:
        """Whole or not at all. A cache that cannot be written costs requests, not the run."""
        if not self.cache:
            return
        place = self._place(self.cache, question)
        try:
            self.cache.mkdir(mode=0o700, parents=True, exist_ok=True)
            half = place.with_suffix(f".{os.getpid()}.tmp")
            half.write_text(json.dumps({"asked": self.now.isoformat(), "answer": answer}), encoding="utf-8")
            half.replace(place)
        except OSError:
            return

    def _place(self, cache: Path, question: Mapping[str, str]) -> Path:
        """By hash: what was asked for is in no file's name."""
        whole = json.dumps([self.name, self._url, sorted(question.items())])
        return cache / f"{hashlib.sha256(whole.encode()).hexdigest()}.json"


def _wait(state: RetryCallState) -> float:
    """The seconds that the service asks for, else 1, 2, 4 ..."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.after if isinstance(error, _Again) else None
    return 2.0 ** (state.attempt_number - 1) if asked is None else asked


def _after(response: httpx.Response, now: datetime) -> float | None:
    """What `Retry-After` asks for: seconds, or a date."""
    asked = response.headers.get("Retry-After", "")
    if asked.isdecimal():
        return float(asked)
    try:
        return max((parsedate_to_datetime(asked) - now).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None
