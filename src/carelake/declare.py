"""declarations/ on disk -> the nouns in model.py. The only module that reads declarations.

A project is a folder of the same shape as what is shipped: a new file adds, one of the same name replaces. Only
`privacy.yml` and `settings.yml` are merged, and `lake.yml` is the project's own.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from . import (
    check,
    check_custom,
    check_extracts,
    check_labels,
    check_leaks,
    check_names,
    check_policy,
    check_reconciliations,
    check_settings,
    check_story,
    check_tell,
    declare_extracts,
    declare_policy,
    declare_table,
    declare_tell,
    load_config,
    signing,
    zip3,
)
from .errors import DeclarationsRefused, Mistake, ProjectMissing
from .model import (
    FOREVER,
    VIEWS,
    Declarations,
    Feed,
    Mart,
    Place,
    Policy,
    Reconciliation,
    Reference,
    Retention,
    Setting,
    Side,
    Table,
)
from .page import Page, listed, part, read_page, read_select, told

READERS: Mapping[str, Any] = {"table": "sql", "files": "files", "service": "reference"}
RECONCILIATIONS = "reconciliations.yml"
EXTRACTS = "serve/extracts.yml"
SHELVES = ("sources/*.yml", "silver/*.yml", "gold/*/*.sql", "gold/*/*.md", "reference/*.csv", "serve/*.yml")


def shipped() -> Path:
    """The declarations that come with CareLake: beside the package in a wheel, at the root of a checkout."""
    inside = Path(__file__).with_name("declarations")
    return inside if inside.is_dir() else Path(__file__).parents[2] / "declarations"


@dataclass(frozen=True)
class Pages:
    """Every page of a project, before anything is made of it."""

    lake: Page
    policy: Page
    project_policy: Page
    settings: Page
    project_settings: Page
    reconciliations: Page
    project_reconciliations: Page
    tables: Mapping[str, Page]
    sources: tuple[Page, ...]
    marts: tuple[tuple[Page, Page], ...]  # what describes it, and its SELECT
    references: Mapping[str, Path]
    extracts: Page


def read(project: Path) -> Declarations:
    """All that is declared, shipped and by the project.

    Raises `ProjectMissing`, or `DeclarationsRefused` with every mistake there is.
    """
    names = ("lake.yml", "privacy.yml", signing.NAME, "settings.yml", RECONCILIATIONS, load_config.NAME)
    own = (project / name for name in names)
    files = [*own, *overlaid(project).values()]
    stats = [(path, path.stat()) for path in files if path.is_file()]
    return _read(project, tuple((path, stat.st_mtime_ns, stat.st_size) for path, stat in stats))


@lru_cache(maxsize=4)
def _read(project: Path, _files: tuple[tuple[Path, int, int], ...]) -> Declarations:
    """The same, made once for files that have not changed."""
    pages = read_pages(project)
    if mistakes := list(_mistakes(pages)):
        raise DeclarationsRefused(mistakes)
    lake = pages.lake.plain()
    tables = {
        name: declare_table.table(page.plain(), part(lake.part("rules"), name)) for name, page in pages.tables.items()
    }
    feeds = chain.from_iterable(_feeds(page.plain()) for page in pages.sources)
    settings = dict(_settings(lake, pages))
    declared = Declarations(
        place=_place(lake),
        policy=_policy(pages, settings),
        tables=tables,
        feeds=load_config.applied((_with_sums(_with_key(f, tables), tables) for f in feeds), configured(project)),
        marts={page.stem: _mart(page.plain(), str(select.says["select"])) for page, select in pages.marts},
        references={name: _reference(path) for name, path in pages.references.items()},
        settings=settings,
        reconciliations=dict(_reconciliations(pages)),
        channels=tuple(declare_tell.channels(lake)),
        extracts=declare_extracts.extracts(pages.extracts.plain()),
    )
    if leaking := list(check_leaks.mistakes_in_marts(declared, pages.marts, pages.project_policy)):
        raise DeclarationsRefused(leaking)
    return declared


def _policy(pages: Pages, settings: Mapping[str, Setting]) -> Policy:
    own, tables = (pages.policy, pages.project_policy, pages.lake), pages.references
    return declare_policy.policy(*own, settings, tables.get(check_labels.CODES), zip3.peopled(tables.get(zip3.NAME)))


def read_pages(project: Path) -> Pages:
    """The pages of `project` laid over the shipped ones."""
    if not (project / "lake.yml").is_file():
        raise ProjectMissing(
            "there is no lake.yml in the project folder.", "Run `carelake init DIR`, or give `-p DIR`."
        )
    files = overlaid(project)
    return Pages(
        lake=read_page(project / "lake.yml"),
        policy=read_page(shipped() / "privacy.yml"),
        project_policy=read_page(project / "privacy.yml"),
        settings=read_page(shipped() / "settings.yml"),
        project_settings=read_page(project / "settings.yml"),
        reconciliations=read_page(shipped() / RECONCILIATIONS),
        project_reconciliations=read_page(project / RECONCILIATIONS),
        tables={path.stem: read_page(path) for name, path in files.items() if name.startswith("silver/")},
        sources=tuple(read_page(path) for name, path in files.items() if name.startswith("sources/")),
        marts=tuple(_pair(name, files) for name in files if name.startswith("gold/") and _is_first(name, files)),
        references={path.stem: path for name, path in files.items() if name.startswith("reference/")},
        extracts=read_page(files[EXTRACTS]),
    )


def _is_first(name: str, files: Mapping[str, Path]) -> bool:
    """Whether it is the SELECT of a mart, or a page that has none beside it."""
    return name.endswith(".sql") or f"{name.removesuffix('.md')}.sql" not in files


def _pair(name: str, files: Mapping[str, Path]) -> tuple[Page, Page]:
    """The page and the SELECT of a mart. Each of them may be the project's own or the shipped one."""
    stem = name.rpartition(".")[0]
    page, select = (files.get(f"{stem}.{suffix}", files[name].with_suffix(f".{suffix}")) for suffix in ("md", "sql"))
    return read_page(page), read_select(select)


def overlaid(project: Path) -> dict[str, Path]:
    """Name below the project -> the file that counts: the project's own, else the shipped one."""
    folders = (shipped(), project)
    found = [(str(p.relative_to(f)), p) for f in folders for shelf in SHELVES for p in sorted(f.glob(shelf))]
    return dict(sorted(dict(found).items()))


def replaced(project: Path) -> dict[str, str]:
    """Name of each shipped file that the project replaces -> SHA-256 of the shipped one today."""
    names = (name for name, path in overlaid(project).items() if path.is_relative_to(project))
    twins = {name: shipped() / name for name in names}
    return {name: digest(path) for name, path in twins.items() if path.is_file()}


def configured(project: Path) -> list[dict[str, str]] | None:
    """The rows of the project's load_config.csv; None if it has none."""
    path = project / "load_config.csv"
    if not path.is_file():
        return None
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        rows = list(csv.DictReader(lines, restkey="", restval=""))
    return [{name.strip().lower(): value.strip() for name, value in row.items() if name} for row in rows]


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _mistakes(pages: Pages) -> Iterator[Mistake]:
    selects = [page for mart in pages.marts for page in mart]
    alone = (pages.lake, pages.policy, pages.project_policy, pages.settings, pages.project_settings)
    agreed = (pages.reconciliations, pages.project_reconciliations)
    for page in (*alone, *agreed, pages.extracts, *pages.tables.values(), *pages.sources, *selects):
        yield from page.unreadable
    counts = declare_policy.merged(pages.policy, pages.project_policy)
    kinds = counts.part("kinds")
    yield from _mistakes_in_privacy(pages, counts)
    if not pages.lake.unreadable:
        sources = {page.stem for page in pages.sources}
        yield from check.mistakes_in_lake(pages.lake, pages.tables, pages.references, sources)
        yield from check_tell.mistakes_in_channels(pages.lake)
        yield from check_settings.mistakes_in_engines(pages.lake)
    yield from check_settings.mistakes_in_settings(pages.settings, pages.project_settings)
    if not pages.project_settings.unreadable:
        yield from check_settings.mistakes_in_values(pages.lake, _known_settings(pages))
    for page in _readable(pages.tables.values()):
        yield from check.mistakes_in_table(page, kinds, pages.tables, pages.references)
        yield from check_story.mistakes_in_story(page, kinds)
    for page in _readable(pages.sources):
        yield from check.mistakes_in_source(page, pages.tables)
    yield from load_config.mistakes_in(configured(pages.lake.path.parent), pages.sources)
    yield from check_names.mistakes_in_names(pages.sources, [page for page, _ in pages.marts])
    for path in pages.references.values():
        yield from check_names.mistakes_in_reference(path)
    if not pages.extracts.unreadable:
        yield from check_extracts.mistakes_in_extracts(pages.extracts, pages.tables, kinds)
    known = _names(pages)
    for page, select in pages.marts:
        if not page.unreadable and not select.unreadable:
            yield from check.mistakes_in_mart(page, select, kinds, known)
    readable = known | _reconcilable(pages)
    yield from check_reconciliations.mistakes_in_reconciliations(*agreed, readable, _keys(pages))


def _mistakes_in_privacy(pages: Pages, counts: Page) -> Iterator[Mistake]:
    """In the privacy page, the project's, and `counts`, which is both; and in the tables that it counts on."""
    yield from check_policy.mistakes_in_policy(pages.policy)
    yield from check_policy.mistakes_in_merged(pages.project_policy, pages.policy)
    yield from declare_policy.unsigned(pages.policy, pages.project_policy, pages.lake)
    yield from check_custom.mistakes_in_custom(pages.project_policy, counts.part("kinds"))
    yield from check_custom.mistakes_in_safe_harbor(pages.project_policy, counts, pages.extracts)
    for page in (pages.policy, pages.project_policy):
        yield from check_labels.mistakes_in_labels(page, counts, _known_settings(pages))
    yield from check_labels.mistakes_in_places(pages.lake, counts, (page.stem for page in pages.sources))
    if areas := pages.references.get(zip3.NAME):
        yield from zip3.mistakes_in(areas)
    if codes := pages.references.get(check_labels.CODES):
        yield from check_labels.mistakes_in_codes(codes, counts)


def _names(pages: Pages) -> set[str]:
    """Everything that a mart may read."""
    silver = {f"silver.{name}{view}" for name in pages.tables for view in VIEWS}
    gold = {f"gold.{page.stem}" for page, _ in pages.marts}
    return {*silver, *gold, "reference.setting", *(f"reference.{name}" for name in pages.references)}


def _reconcilable(pages: Pages) -> set[str]:
    """What a reconciliation may read besides: what was landed and fills no table, and marts as they were released."""
    feeds = ((page, name, feed) for page in pages.sources for name, feed in page.part("feeds").items())
    landed = {f"bronze.{page.stem}_{name}".replace("-", "_") for page, name, feed in feeds if not told(feed, "fills")}
    return landed | {f"released.{page.stem}" for page, _ in pages.marts}


def _keys(pages: Pages) -> set[str]:
    """The columns that tell rows apart: of silver tables, and those that are minted."""
    named = {str(word) for page in pages.tables.values() for word in listed(page.says, "key")}
    return named | {f"{name}_key" for name in pages.tables} | {"item"}


def _reconciliations(pages: Pages) -> Iterator[tuple[str, Reconciliation]]:
    """Every reconciliation, the project's laid over the shipped ones."""
    shipped, project = pages.reconciliations.plain().says, pages.project_reconciliations.plain().says
    for name in {**shipped, **project}:
        says = project.get(name, {})
        says = {**shipped[name], **says} if "about" not in says else says
        sides = tuple(Side(says[word]["name"], says[word]["select"]) for word in ("left", "right") if word in says)
        yield (
            name,
            Reconciliation(
                name=name,
                about=says["about"],
                otherwise=says["otherwise"],
                sides=(sides[0], sides[1]) if sides else None,
                compares=says.get("compares"),
                right_is=says.get("right_is", "equal"),
                tolerated=Decimal(says.get("tolerated", "0")),
                beyond_chance=says.get("beyond_chance") == "true",
                behind=says.get("behind"),
                fix=says.get("fix", ""),
            ),
        )


def _known_settings(pages: Pages) -> dict[str, Any]:
    return {**pages.project_settings.says, **pages.settings.says}  # a shipped one stays as it is


def _readable(pages: Iterable[Page]) -> Iterator[Page]:
    return (page for page in pages if not page.unreadable)


def place(path: Path) -> Place:
    """Where a lake.yml says that its lake is."""
    return _place(read_page(path).plain())


def _place(page: Page) -> Place:
    says, kept = page.says, page.part("retention")
    return Place(
        roots={"lake": "lake", "originals": "originals", "restricted": "restricted", **page.part("roots")},
        engine=says.get("engine", Place.engine),
        memory=says.get("memory", Place.memory),
        spark=page.part("spark"),
        readers=int(says.get("readers", Place.readers)),
        as_of=says.get("as_of", Place.as_of),
        keep=int(page.part("release").get("keep", Place.keep)),
        retention=Retention(kept.get("bronze", FOREVER), kept.get("sources", {})),
        report=says.get("report", Place.report),
        anchor=page.part("access_log").get("anchor", Place.anchor),
        log_kept=page.part("access_log").get("keep", Place.log_kept),
        env=says.get("env", Place.env),
        officer=says.get("privacy_officer", Place.officer),
        encrypted_by=page.part("encrypted_by"),
    )


def _settings(lake: Page, pages: Pages) -> Iterator[tuple[str, Setting]]:
    """Every setting there is, with the value that counts."""
    given = lake.part("settings")
    for name, says in _known_settings(pages).items():
        default = str(says["default"])
        yield str(name), Setting(str(says["about"]), given.get(name, default), default, check_settings.may_be(says))


def _feeds(page: Page) -> Iterator[Feed]:
    for name, says in page.part("feeds").items():
        reads = next(word for word in check.READS if word in says)
        yield Feed(
            source=page.stem,
            name=name,
            reader=READERS[reads],
            connection=page.says[check.READS[reads]],
            at=says[reads],
            load=says.get("load", "full"),
            fills=says.get("fills"),
            columns=says.get("columns", {}),
            key=tuple(says.get("key", ())),
            watermark=says.get("watermark"),
            lookback=says.get("lookback"),
            contract=says.get("contract", "evolve"),
            types=says.get("types", {}),
            delete_when=says.get("delete_when"),
            wanted=says.get("wanted"),
            control=says.get("control", {}),
            time_zone=says.get("time_zone", page.says.get("time_zone", "UTC")),
            active=says.get("active") != "false",
            optional=page.says.get("optional") == "true",
            archive=says.get("archive") != "false",
            ignore=says.get("ignore", Feed.ignore),
        )


def _with_key(feed: Feed, tables: Mapping[str, Table]) -> Feed:
    """A feed that does not say its key has the columns that the table's key is mapped from."""
    if feed.key or not feed.fills:
        return feed
    mapped = (feed.columns[name] for name in tables[feed.fills].key if name != "source_system")
    return replace(feed, key=tuple(name for name in map(check.bare_column, mapped) if name))


def _with_sums(feed: Feed, tables: Mapping[str, Table]) -> Feed:
    """A feed, with those of its columns that become amounts as they stand."""
    money = [c.name for c in tables[feed.fills].columns if c.type == "money"] if feed.fills else []
    bare = (check.bare_column(feed.columns[name]) for name in money if name in feed.columns)
    return replace(feed, sums=tuple(dict.fromkeys(name for name in bare if name)))


def _mart(page: Page, select: str) -> Mart:
    columns = tuple(declare_table.column(name, column) for name, column in page.says["columns"].items())
    return Mart(
        name=page.stem,
        shelf=page.path.parent.name,
        about=page.says["about"],
        select=select,
        columns=columns,
        kpi=page.part("kpi").get("value"),
        unit=page.part("kpi").get("unit", ""),
        recompute_by=page.says.get("recompute_by"),
        z_order=tuple(page.says.get("z_order", ())),
    )


def _reference(path: Path) -> Reference:
    with path.open(encoding="utf-8", newline="") as lines:
        return Reference(path.stem, str(path), tuple(next(csv.reader(lines))))
