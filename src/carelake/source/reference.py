"""Code sets that are asked for: the NPI registry and the NLM's ICD-10-CM. What is shipped or delivered is `files`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qsl

from ..errors import SourceTableMissing, choose
from ..model import Feed
from . import Delivery, Progress, reference_icd, reference_npi
from .reference_answer import Answer, joined
from .reference_service import Manners, Service

SERVICES = {"npi_registry": reference_npi, "nlm_icd10cm": reference_icd}
MANNERS = Manners()


def read(
    feed: Feed,
    connection: str,
    progress: Progress,
    now: datetime,
    *,
    whole: bool = False,
    wanted: Sequence[str] = (),
    cache: Path | None = None,
    manners: Manners = MANNERS,
) -> Iterator[Delivery]:
    """One delivery of what the service at `connection` answers; none if nothing is asked of it.

    Asked are the `wanted` numbers or codes, one by one, and the query that the feed declares behind the service's name
    (`npi_registry?state=RI&taxonomy_description=Cardiology`). `cache` is a folder for the answers of the last day.
    `whole` changes nothing: a service gives out a part, so nothing that it leaves out has vanished.

    Raises `ReferenceUnavailable`, and `SourceTableMissing` for a service that nobody knows.
    """
    name, _, query = feed.at.partition("?")
    if name not in SERVICES:
        raise SourceTableMissing(f"'{feed.source}.{feed.name}' asks a service '{name}'.", choose(name, SERVICES))
    if not wanted and not query:
        return
    with Service(name, connection, now, cache, manners) as service:
        answer = _asked(service, query, wanted)
    if answer.rows or answer.warnings:
        yield Delivery(
            name=feed.at,
            schema=answer.schema,
            batches=iter([answer.batch] if answer.rows else ()),
            whole=False,
            expected=len(answer.rows),
            warnings=list(answer.warnings),
        )


def _asked(service: Service, query: str, wanted: Sequence[str]) -> Answer:
    api = SERVICES[service.name]
    answers = [api.search(service, dict(parse_qsl(query)))] if query else []
    answers += [api.look_up(service, wanted)] if wanted else []
    return answers[0] if len(answers) == 1 else joined(*answers)
