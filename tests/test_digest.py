"""The digest of a day or a week: what it says first, what it lists, and that nobody gets it twice."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from small_lake import Small, copied
from tenacity import wait_none
from test_declare import rcm as rcm  # the fixture
from told_servers import webhook

from carelake import declare
from carelake.model import Channel
from carelake.score import Score
from carelake.tell import digesting, post
from carelake.tell.alert import row
from carelake.tell.digest import Happened, Span, due, span, written

NOW = datetime(2026, 11, 21, 2, tzinfo=UTC)  # a Saturday, of week 47
DAY = Span("daily", "2026-11-21", NOW - timedelta(days=1), NOW)
OFFICE = Channel("office", ("failed", "daily"), "${HOOK}")
BOSS = Channel("boss", ("failed", "weekly"), "${HOOK}", after=4)
RUN = {"run_id": "r", "started_at": NOW - timedelta(hours=1), "failed": False}
BELOW = Score("t", "a", 10, {}, Decimal("0.9800"), "B", Decimal("0.9900"), Decimal("0.995"), Decimal("-0.0050"))
CALM = Happened(DAY, [], [OFFICE, BOSS], [RUN], [], {}, 0, [])


def at(hours: float, event: str, name: str = "abc", **more: Any) -> dict[str, Any]:
    """A row of audit.alerts, so many hours before the end of the day."""
    cause = {"outcome": "failed", "what": "extract a.b", "found": "LAKE-201 not reached.\n    why\n    fix"}
    return row(event, name, NOW - timedelta(hours=hours), **(cause if event == "seen" else {}), **more)


def said(**changed: Any) -> str:
    return written(replace(CALM, **changed), "lake").text


def test_a_quiet_day_says_that_all_was_well():
    message = written(CALM, "lake")
    assert message.subject == "CareLake lake: daily digest of 2026-11-21: all is well"
    assert "Runs: 1, of which 0 failed; the last one began 2026-11-21 01:00 UTC." in message.text
    assert "Releases made: none." in message.text


@pytest.mark.parametrize(
    ("changed", "first"),
    [
        ({"runs": []}, "no run took place"),
        ({"runs": [RUN | {"failed": True}]}, "the last run failed"),
        ({"held": {"silver.a": "check b"}}, "tables are held back"),
        ({"scores": [BELOW]}, "nothing is open, and 1 below their SLA"),
        ({"alerts": [at(1, "seen")]}, "1 open, 1 of them with nobody looking after"),
        (
            {"alerts": [at(99, "seen"), at(90, "acknowledged", who="Ann")]},
            "1 open, 0 of them with nobody looking after",
        ),
        ({"alerts": [at(99, "seen"), at(1, "gone")]}, "all is well"),
        ({"alerts": [at(-1, "seen")]}, "all is well"),  # after its end
    ],
)
def test_the_subject_says_what_matters_most(changed, first):
    assert written(replace(CALM, **changed), "lake").subject.endswith(f"2026-11-21: {first}")


def test_alerts_are_told_under_what_became_of_them_that_day():
    alerts = [
        at(50, "seen", "old"), at(49, "told", "old", channel="office"), at(3, "told", "old", channel="boss"),
        at(20, "seen", "new"), at(20, "told", "new", channel="office"),
        at(2, "acknowledged", "new", who="Ann", note="rebooting"),
        at(30, "seen", "mended"), at(1, "gone", "mended"),
    ]  # fmt: skip
    text = said(alerts=alerts)
    assert "Raised (1):\n- new failed extract a.b: LAKE-201 not reached.\n" in text
    assert "Acknowledged (1):\n- new extract a.b: Ann looks after it (rebooting)\n" in text
    assert "Escalated (1):\n- old extract a.b: told to boss\n" in text
    assert "Gone (1):\n- mended extract a.b: its cause is gone\n" in text
    assert (
        "Still open (2):\n"
        "- old failed extract a.b: LAKE-201 not reached.; since 2026-11-19 00:00, nobody looks after it\n"
        "- new failed extract a.b: LAKE-201 not reached.; since 2026-11-20 06:00, Ann looks after it (rebooting)\n"
    ) in text


def test_releases_rollbacks_held_loads_and_scores_are_told():
    releases = [{"id": n, "kind": "run", "who": "", "why": ""} for n in (7, 8)]
    releases.append({"id": 9, "kind": "rollback", "who": "ann", "why": "twice"})
    calm = replace(BELOW, source="b", overall=Decimal(1), grade="A", trusted=Decimal(1), trend=Decimal(0))
    text = said(
        releases=releases, held={"silver.t": "check t.r", "gold.m": "check t.r"}, unseen=3, scores=[BELOW, calm]
    )
    assert "Releases made: 2 (7, 8)." in text
    assert "By hand (1):\n- rollback 9 by ann. twice" in text
    assert "Held back: 2 tables and marts, because of check t.r." in text
    assert "Loads that readers do not see yet: 3." in text
    assert "Scores: 1 A, 1 B; 1 below their SLA.\nChanged (1):\n- t of a: 98.00% (-0.50%), B" in text


def test_a_list_ends_with_how_many_more_there_are():
    text = said(alerts=[at(n, "seen", f"a{n}") for n in range(1, 14)])
    assert "Raised (13):" in text
    assert text.count("- and 3 more") == 2  # raised, and still open


# --- of when, and to whom --------------------------------------------------------------------------------------------


def told(period: str, of: str, channel: str, until: datetime) -> dict[str, Any]:
    return {"period": period, "of": of, "channel": channel, "told_from": until - timedelta(days=1), "told_until": until}


def test_the_first_digest_tells_of_a_day_or_a_week():
    assert span("daily", [], NOW) == DAY
    assert span("weekly", [], NOW) == Span("weekly", "2026-W47", NOW - timedelta(days=7), NOW)


def test_the_next_one_tells_of_all_since_the_one_before():
    friday = datetime(2026, 11, 18, 9, tzinfo=UTC)
    assert span("daily", [told("daily", "2026-11-18", "office", friday)], NOW).since == friday
    assert span("weekly", [told("daily", "2026-11-18", "office", friday)], NOW).since == NOW - timedelta(days=7)


def test_who_is_told_later_is_told_of_the_same():
    early = NOW - timedelta(hours=1)
    rows = [told("daily", "2026-11-21", "office", early)]
    when = span("daily", rows, NOW)
    assert (when.since, when.until) == (early - timedelta(days=1), early)
    other = replace(OFFICE, name="other")
    assert due([OFFICE, other, BOSS], rows, when) == [other]
    assert due([OFFICE, BOSS], rows, span("weekly", rows, NOW)) == [BOSS]


def test_a_clock_that_goes_backwards_makes_no_span_that_ends_before_it_begins():
    when = span("daily", [told("daily", "2026-11-22", "office", NOW + timedelta(days=1))], NOW)
    assert when.since == when.until == NOW


# --- on its way ------------------------------------------------------------------------------------------------------


@pytest.fixture
def office(small_origin: Small, tmp_path, monkeypatch) -> Small:
    monkeypatch.setattr(post, "WAIT", wait_none())
    lake = copied(small_origin, tmp_path)
    path = lake.project / "lake.yml"
    path.write_text(path.read_text() + "\ntell:\n  office:\n    webhook: ${HOOK}\n    of: [failed, daily]\n")
    return lake


def test_a_digest_is_shown_sent_and_not_sent_again(office):
    with webhook() as heard:
        lake = Small(office.folder, {"HOOK": f"http://127.0.0.1:{heard.port}/hush77"})
        shown = json.loads(lake.invoke("alerts", "digest", "--daily", "--dry-run", "--json").output)
        assert (shown["due"], shown["told"], heard.tries) == (["office"], [], 0)
        first = json.loads(lake.invoke("alerts", "digest", "--json").output)
        assert first["told"] == ["office"]
        again = lake.invoke("alerts", "digest")
        assert (again.exit_code, "Nobody is to be told" in again.output) == (0, True)
        weekly = lake.invoke("alerts", "digest", "--weekly")
        assert "no channel wants the weekly digest" in weekly.output
    assert [body["text"] for body in heard.bodies] == [first["text"]]
    assert first["subject"].startswith("CareLake project: daily digest of 20")


def test_a_channel_that_fails_gets_it_with_the_next_try(office):
    with webhook(404, 200) as heard:
        lake = Small(office.folder, {"HOOK": f"http://127.0.0.1:{heard.port}/hush77"})
        did = lake.invoke("alerts", "digest")
        assert (did.exit_code, "LAKE-712" in did.output, "hush77" in did.output) == (70, True, False)
        assert json.loads(lake.invoke("alerts", "digest", "--json").output)["told"] == ["office"]
    assert len(heard.bodies) == 1


def test_a_run_of_the_day_is_told_with_its_release(small_origin):
    from small_lake import NOW as FIRST

    from carelake.lake import opened

    with opened(small_origin.project, small_origin.environment, writing=False) as lake:
        ready = digesting.prepared(lake, "daily", FIRST + timedelta(hours=1))
    assert ready.message.subject.endswith("daily digest of 2026-11-21: all is well")
    assert "Runs: 1, of which 0 failed" in ready.message.text
    assert "Releases made: 1 (1)." in ready.message.text


def test_a_channel_may_want_digests_alone(rcm):
    path = rcm / "lake.yml"
    path.write_text(path.read_text() + "\ntell:\n  boss:\n    webhook: ${A}\n    of: [weekly]\n")
    assert declare.read(rcm).channels[0].of == ("weekly",)
