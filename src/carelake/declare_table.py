"""The page of a table -> the noun. It was checked before. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from . import quality
from .model import Column, Event, Rule, Severity, Story, Table
from .page import Page


def table(page: Page, project: Mapping[str, Any]) -> Table:
    """The table that a page declares, with the severities that `project` gives its rules."""
    says = page.says
    plain = Table(
        name=page.stem,
        about=says["about"],
        key=tuple(says["key"]),
        sequence_by=says["sequence_by"],
        history=says["history"],
        columns=tuple(column(name, told) for name, told in says["columns"].items()),
        track=tuple(says.get("track", ())),
        sla=Decimal(says.get("sla", Table.sla)),
        tie_breaker=says.get("tie_breaker"),
        z_order=tuple(says.get("z_order", ())),
        exact={name: tuple(columns) for name, columns in says.get("exact", {}).items()},
        story=_story(says["story"]) if "story" in says else None,
    )
    rules = _rules({rule.name: rule for rule in (*quality.implied(plain), *quality.met(plain))}, says, project)
    return replace(
        plain,
        rules=tuple(rule for rule in rules if not quality.is_of_a_set(rule.must)),
        set_rules=tuple(rule for rule in rules if quality.is_of_a_set(rule.must)),
    )


def _rules(implied: Mapping[str, Rule], says: Mapping[str, Any], project: Mapping[str, Any]) -> list[Rule]:
    """The rules that a table declares, and those to which the project gives another severity."""
    rules = {name: _rule(name, rule) for name, rule in says.get("rules", {}).items()}
    for name, rule in project.items():
        known = rules.get(name) or implied.get(name)
        rules[name] = _rule(name, {**_told(known), **rule} if known else rule)
    return list(rules.values())


def _told(rule: Rule) -> dict[str, Any]:
    words = ("must", "because", "otherwise", "dimension", "tolerated")
    sources = {name: {"otherwise": s.otherwise, "tolerated": s.tolerated} for name, s in rule.sources.items()}
    return {word: getattr(rule, word) for word in words} | {"sources": sources}


def _rule(name: str, says: Mapping[str, Any]) -> Rule:
    otherwise, tolerated = says["otherwise"], Decimal(says.get("tolerated", 0))
    return Rule(
        name=name,
        must=says["must"],
        because=says["because"],
        otherwise=otherwise,
        dimension=says.get("dimension", "validity"),
        tolerated=tolerated,
        sources={
            source: Severity(there.get("otherwise", otherwise), Decimal(there.get("tolerated", tolerated)))
            for source, there in says.get("sources", {}).items()
        },
    )


def _story(says: Mapping[str, Any]) -> Story:
    events = (Event(name, event["when"], tuple(event.get("show", ()))) for name, event in says["events"].items())
    return Story(tuple(events), says.get("follows"))


def column(name: str, says: Mapping[str, Any]) -> Column:
    """A column of a table or a mart."""
    return Column(
        name=name,
        kind=says["kind"],
        type=says.get("type", "text"),
        required=says.get("required") == "true",
        optional=says.get("optional") == "true",
        one_of=tuple(says.get("one_of", ())),
        refers_to=says.get("refers_to"),
        about=says.get("about", ""),
    )
