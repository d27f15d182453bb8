"""The door: the one function through which people and programs read.

A question runs on an engine that is opened for it alone, whose catalogue holds only the tables it names, at the
versions of the latest release. On the command line the door trusts its operating system user; limits by role hold in
the server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from .. import declare
from ..engine.spark_session import refuse_missing
from ..lake import is_upgraded, root
from ..model import Declarations, Table
from . import question as questions
from .answering import Answering
from .answering_duck import Embedded
from .asker import PERSON, Asker, Log, Read
from .shown import Shown


@contextmanager
def ask(
    project: Path, question: str, *, as_it_stands: bool = False, asker: Asker | None = None, engine: str = ""
) -> Iterator[pa.RecordBatchReader]:
    """The answer to `question`, one SELECT, as batches: of the latest release, or of the tables as they stand now, for
    an operator who looks for what holds a release. Who asked, and what was shown, is in the access log before it is.
    The embedded engine answers, unless `engine` says otherwise or only lake.yml's can read the lake.

    Raises `QuestionRefused` for what is not one SELECT over released tables, `QuestionFailed` if the engine stops, also
    between two batches, `LakeFull`, `JournalUnwritable`, `TableUpgraded` and `SparkMissing`.
    """
    declared = declare.read(project)
    asked = questions.parsed(question)
    named = questions.tables(asked)
    asker = asker or Asker.here(project)
    answering = _answering(project, declared, engine)
    shown = Shown(project, declared, answering, as_it_stands, asker.audience)
    with answering.opened({name: shown.select(name) for name in named}) as opened:
        columns, literals = tuple(questions.columns(asked, opened.columns)), questions.literals(question)
        known = {name: [column.lower() for column in held] for name, held in opened.columns.items()}
        persons = questions.persons(question, known, PERSON)
        log = Log(root(project, declared, "lake"), asker)
        number = log.asked(Read("query", named, columns, shown.release, literals))
        opened.refuse(question)
        answer = opened.ask(question)
        yield pa.RecordBatchReader.from_batches(answer.schema, log.shown(number, answer, persons))


@contextmanager
def telling(
    project: Path, table: Table, named: Sequence[str] = (), asker: Asker | None = None
) -> Iterator[Callable[[str], list[dict[str, Any]]]]:
    """What answers CareLake's own SELECTs over the versions of `table` as they are released: see story.py. The access
    log says that it was asked for the story of the row that is `named`.

    Raises `QuestionRefused` if it is in no release yet, and as `ask` does.
    """
    declared, asker = declare.read(project), asker or Asker.here(project)
    answering = _answering(project, declared, "")
    shown = Shown(project, declared, answering, audience=asker.audience)
    with answering.opened(shown.told(table)) as opened:
        log = Log(root(project, declared, "lake"), asker)
        about = f"silver.{table.name}_history"
        number = log.asked(Read("history", (about,), (f"{about}.*",), shown.release, tuple(named)))

        def tell(select: str) -> list[dict[str, Any]]:
            rows: list[dict[str, Any]] = opened.ask(select).read_all().to_pylist()
            log.rows(number, rows)
            return rows

        yield tell


def tables(project: Path, engine: str = "") -> list[str]:
    """Every table a question may name, as far as there is a release."""
    declared = declare.read(project)
    return Shown(project, declared, _answering(project, declared, engine)).names()


def _answering(project: Path, declared: Declarations, engine: str) -> Answering:
    if not engine and is_upgraded(root(project, declared, "lake")):
        engine = declared.place.engine
    if engine != "spark":
        return Embedded(declared.place.memory)
    refuse_missing()
    from .answering_spark import on_spark  # only who asks for it has it

    return on_spark(declared.place.spark)
