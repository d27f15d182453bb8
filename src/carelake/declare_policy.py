"""The shipped privacy page and the project's -> the page that counts, and whether it may. Checked elsewhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from . import check_labels, check_policy, signing
from .errors import DeclarationsRefused, Mistake
from .model import Custom, Determination, Label, Policy, Setting
from .page import Page, part, told
from .privacy import read_cell


def policy(
    shipped: Page,
    project: Page,
    lake: Page,
    settings: Mapping[str, Setting],
    codes: Path | None = None,
    peopled: tuple[str, ...] = (),
) -> Policy:
    """The noun of the page that counts, with what it shows more and nobody signed. `codes` is the table of sensitive
    ones; `peopled` are areas of ZIP codes that may be told.
    """
    page = merged(shipped, project).plain()
    _, *audiences = page.says["columns"]
    rows = page.says["kinds"].items()
    more = () if is_signed(shipped, project, lake) else check_policy.showing_more(project, shipped)
    return Policy(
        stored={kind: held for kind, (held, *_) in rows},
        seen={
            audience: {kind: read_cell(row[place]) for kind, (_, *row) in rows}
            for place, audience in enumerate(audiences)
        },
        sparse_zip3=tuple(page.says["sparse_zip3"]),
        peopled_zip3=peopled,
        custom=_custom(page.part("custom")),
        labels={one.name: one for one in _labels(page, lake.plain(), settings, codes)},
        unsigned=tuple(one.found for one in more),
        lowered=page.part("lowered"),
    )


def _labels(page: Page, lake: Page, settings: Mapping[str, Setting], path: Path | None) -> Iterator[Label]:
    """Each label that counts: one may hang on a setting."""
    codes: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for column, code, label in check_labels.rows_of(path) if path else ():
        codes[label][column].append(code)
    for name, says in page.part("labels").items():
        placed = part(lake.part("labels"), name)
        if "when" not in says or settings[says["when"]].value == check_labels.LABELLED:
            yield Label(
                name=name,
                about=says["about"],
                seen_by=tuple(says["seen_by"]),
                codes={column: tuple(each) for column, each in codes[name].items()},
                sources=tuple(placed.get("all_of", ())),
                providers={source: tuple(ids) for source, ids in part(placed, "providers").items()},
            )


def _custom(says: Mapping[str, Any]) -> Custom | None:
    determined = part(says, "determination")
    seen = {kind: read_cell(words) for kind, words in part(says, "seen").items()}
    return Custom(says["is"], seen, Determination(**determined) if determined else None) if says else None


def merged(shipped: Page, project: Page) -> Page:
    """The project's page laid over the shipped one."""
    both = {name: {**shipped.part(name), **project.part(name)} for name in ("kinds", "lowered", "labels")}
    return Page(project.path if project.says else shipped.path, {**shipped.says, **project.says, **both})


def is_signed(shipped: Page, project: Page, lake: Page) -> bool:
    """Whether the privacy officer whom lake.yml names signed the page that counts."""
    page, found = merged(shipped, project).plain().says, signing.read(lake.path.parent)
    return signing.holds(page, found, told(lake.says, "privacy_officer"))


def unsigned(shipped: Page, project: Page, lake: Page) -> Iterator[Mistake]:
    """What the project's page shows more, unless it is signed, or nobody's data is there."""
    if told(lake.says, "env") != "dev" and not is_signed(shipped, project, lake):
        yield from check_policy.showing_more(project, shipped)


def to_sign(shipped: Page, project: Page) -> tuple[Mapping[str, Any], list[str]]:
    """What the page that counts says, and what it shows more than the shipped one. Raises `DeclarationsRefused`."""
    if wrong := [*project.unreadable, *check_policy.mistakes_in_merged(project, shipped)]:
        raise DeclarationsRefused(wrong)
    return merged(shipped, project).plain().says, [one.found for one in check_policy.showing_more(project, shipped)]
