"""Who hears of what a run came upon: once for each cause, over real mail servers and webhooks on this machine."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from small_lake import Small, failed, step
from tenacity import wait_none
from test_declare import rcm as rcm  # the fixture
from test_declare import refused
from told_servers import certificate, mail_server, webhook

from carelake import declare
from carelake.errors import ChannelFailed
from carelake.model import Channel
from carelake.tell import post
from carelake.tell.alert import Cause, Trouble, causes, due, row, standing
from carelake.tell.message import posted, written

NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)
LOST = Cause("failed", "LAKE-201", "the database cannot be reached.", ("extract hos-a.patients",))
ANYBODY = Channel("anybody", ("failed", "held"), "${HOOK}")


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(post, "WAIT", wait_none())


# --- what is told ----------------------------------------------------------------------------------------------------


def test_what_says_the_same_of_many_is_one_cause():
    lost = [Trouble(f"extract a.{n}", "failed", "LAKE-201", "not reached", False) for n in range(12)]
    rule = [Trouble(f"refine t{n}", "failed", "LAKE-301", f"{n} of 1,0{n}0 rows break it", True) for n in (1, 2)]
    found = causes([*lost, *rule, Trouble("extract b", "warned", "", "not reached", False)])
    assert [(cause.outcome, len(cause.what)) for cause in found] == [("failed", 12), ("held", 2), ("warned", 1)]
    assert len({cause.alert for cause in found}) == 3
    text = written(found[0], "lake", "r1")
    assert text.subject == "CareLake lake: failed: extract a.0 and 11 more"
    assert "extract a.9 and 2 more." in text.text


def story(*events: str) -> list[dict[str, object]]:
    """Rows of audit.alerts, an hour after each other."""
    return [row(event, LOST.alert, NOW + timedelta(hours=n), channel="anybody", who="Ann")
            for n, event in enumerate(events)]  # fmt: skip


@pytest.mark.parametrize(
    ("events", "hears"),
    [
        (("seen",), True),
        (("seen", "told"), False),
        (("seen", "acknowledged"), False),
        (("seen", "told", "gone", "seen"), True),
        (("seen", "acknowledged", "gone", "seen"), True),
        (("seen", "told", "gone", "seen", "told"), False),
    ],
)
def test_a_channel_hears_of_a_cause_once_as_long_as_it_is_there(events, hears):
    stands = standing(story(*events))
    assert bool(due(ANYBODY, [LOST], stands, NOW + timedelta(hours=9))) == hears


def test_who_waits_hears_only_of_what_nobody_looks_after_by_then():
    later = replace(ANYBODY, name="boss", after=4)
    for hours, events, hears in [(3, ("seen",), False), (4, ("seen",), True), (5, ("seen", "acknowledged"), False)]:
        assert bool(due(later, [LOST], standing(story(*events)), NOW + timedelta(hours=hours))) == hears


def test_who_does_not_want_to_hear_of_it_does_not():
    assert due(replace(ANYBODY, of=("warned",)), [LOST], standing(story("seen")), NOW) == []


def test_slack_and_teams_get_what_they_take():
    message = written(replace(LOST, found="<!channel> & more"), "lake", "r1")
    assert "&lt;!channel&gt; &amp; more" in posted(message, "slack")["text"]
    (card,) = posted(message, "teams")["attachments"]
    assert card["content"]["body"][0]["text"] == message.subject
    assert posted(message, "plain")["alert"] == replace(LOST, found="<!channel> & more").alert


# --- on its way ------------------------------------------------------------------------------------------------------

MESSAGE = written(LOST, "lake", "r1")
POST = replace(ANYBODY, mail=("ann@hospital.example", "bob@hospital.example"), sender="lake@hospital.example")


def test_a_webhook_that_stumbles_is_told_at_the_second_try():
    with webhook(503, 200) as heard:
        post.send(ANYBODY, f"http://127.0.0.1:{heard.port}/hush77", MESSAGE)
    assert (heard.tries, heard.bodies[0]["subject"]) == (2, MESSAGE.subject)


@pytest.mark.parametrize(("answer", "tries"), [(500, 3), (429, 3), (404, 1), (302, 1)])
def test_a_webhook_that_refuses_is_not_told_and_its_address_is_not_repeated(answer, tries):
    with webhook(answer) as heard, pytest.raises(ChannelFailed) as failure:
        post.send(ANYBODY, f"http://127.0.0.1:{heard.port}/hush77", MESSAGE)
    assert heard.tries == tries
    assert "hush77" not in str(failure.value)
    assert failure.value.__cause__ is None


@pytest.mark.parametrize("address", ["http://hooks.example/hush77", "ftp://hooks.example/hush77", "hush77", "http://["])
def test_what_is_not_encrypted_does_not_leave_this_machine(address):
    with pytest.raises(ChannelFailed) as failure:
        post.send(ANYBODY, address, MESSAGE)
    assert "hush77" not in str(failure.value)


def test_mail_goes_over_tls_to_who_is_trusted(tmp_path, monkeypatch):
    shown, trusted = certificate(tmp_path)
    with mail_server(shown) as heard:
        with pytest.raises(ChannelFailed, match="CertVerification"):
            post.send(POST, f"smtps://127.0.0.1:{heard.port}", MESSAGE)
        assert (heard.said, heard.tries) == ([], 0)
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        post.send(POST, f"smtps://us%40er:pass@127.0.0.1:{heard.port}", MESSAGE)
    (mail,) = heard.bodies
    assert f"Subject: {MESSAGE.subject}" in re.sub(r"\r\n ", " ", mail)
    assert "To: ann@hospital.example, bob@hospital.example" in mail
    assert any(word.startswith("AUTH PLAIN") for word in heard.said)


def test_a_server_that_does_not_turn_to_tls_hears_nothing():
    with mail_server() as heard, pytest.raises(ChannelFailed, match="SMTPNotSupported"):
        post.send(POST, f"smtp://user:hush77@127.0.0.1:{heard.port}", MESSAGE)
    assert [word for word in heard.said if word.startswith(("AUTH", "MAIL", "DATA"))] == []


def test_plain_mail_is_sent_where_that_is_said_and_again_where_the_server_stumbles():
    with mail_server(None, 451, 250) as heard:
        post.send(POST, f"smtp+plain://127.0.0.1:{heard.port}", MESSAGE)
    assert (heard.tries, len(heard.bodies)) == (2, 1)


def test_a_mail_server_that_is_not_there_is_said_to_be_so():
    with mail_server() as heard:
        gone = heard.port
    with pytest.raises(ChannelFailed, match="could not be told: ConnectionRefusedError"):
        post.send(POST, f"smtp+plain://127.0.0.1:{gone}", MESSAGE)


# --- at the end of a run ---------------------------------------------------------------------------------------------

TELL = "\ntell:\n  office:\n    webhook: ${HOOK}\n    of: [failed, held]\n"


def telling(small: Small, port: int, **changed: str) -> Small:
    """The same lake, which tells a webhook."""
    path = small.project / "lake.yml"
    path.write_text(path.read_text().partition("\ntell:")[0] + TELL)
    return Small(small.folder, {"HOOK": f"http://127.0.0.1:{port}/hush77", **changed})


def test_a_database_that_is_gone_is_told_once_acknowledged_and_forgotten_when_it_is_back(small):
    with webhook() as heard:
        broken = telling(small, heard.port, HOS_A_URL=f"sqlite:///{small.folder / 'nowhere.db'}")
        assert len(failed(broken.run(1))) == 5
        broken.run(2)
        assert [body["outcome"] for body in heard.bodies] == ["failed"]  # five feeds, two runs, one message
        assert "extract hos-a.patients" in heard.bodies[0]["text"]
        (alert,) = json.loads(broken.command("alerts", "list", "--json").stdout)
        assert (alert["alert"], alert["told"], alert["who"]) == (heard.bodies[0]["alert"], ["office"], None)
        assert broken.command("alerts", "ack", alert["alert"], "--who", "Ann", "--note", "rebooting").returncode == 0
        assert b"Ann" in broken.command("alerts", "list").stdout
        telling(small, heard.port).run(3)
        assert b"No alert is open." in broken.command("alerts", "list").stdout
        broken.run(4)
        assert len(heard.bodies) == 2
    events = small.ask("SELECT event FROM audit.alerts ORDER BY happened_at, event DESC")
    assert [event for (event,) in events] == ["told", "seen", "acknowledged", "gone", "told", "seen"]


def test_a_channel_that_fails_is_a_warning_and_hears_of_it_at_the_next_run(small):
    with webhook(500, 500, 500, 200) as heard:
        lake = telling(small, heard.port, HOS_A_URL=f"sqlite:///{small.folder / 'nowhere.db'}")
        did = lake.run(1)
        told = step(did, "office", "tell")
        assert (told.outcome, told.code) == ("warned", "LAKE-712")
        assert "hush77" not in told.found
        assert step(lake.run(2), "office", "tell").rows == 1
    assert len(heard.bodies) == 1
    assert small.one("SELECT COUNT(*) FROM audit.run_steps WHERE code = 'LAKE-712'") == 1


def test_an_address_that_is_not_set_is_a_warning_and_only_if_there_is_something_to_tell(small):
    lake = telling(small, 1)
    lake.changed.pop("HOOK")
    assert [one for one in lake.run(1).steps if one.step == "tell"] == []
    lake.changed["HOS_A_URL"] = f"sqlite:///{small.folder / 'nowhere.db'}"
    assert step(lake.run(2), "office", "tell").code == "LAKE-130"


def test_what_holds_the_release_is_told_as_held_and_not_twice(small):
    (small.project / "gold/own").mkdir(parents=True)
    page = "---\nabout: It.\ncolumns:\n  n: {kind: not_personal, about: It.}\n---\n"
    (small.project / "gold/own/bad.md").write_text(page)
    (small.project / "gold/own/bad.sql").write_text("SELECT COUNT(*) AS n FROM silver.claim")
    with webhook() as heard:
        telling(small, heard.port).run(1)
    assert [(body["outcome"], body["code"]) for body in heard.bodies] == [("held", "LAKE-403")]


def test_an_alert_that_is_not_open_is_not_acknowledged(small):
    said = small.command("alerts", "ack", "00000000", "--who", "Ann")
    assert (said.returncode, b"LAKE-713" in said.stderr) == (70, True)


# --- what may be declared --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "code"),
    [
        ("{webhook: '${A}', of: [failed], after: 4, format: teams}", ""),
        ("{mail: [a@b.example], through: '${A}', sender: a@b.example, of: [held]}", ""),
        ("{webhook: '${A}', of: [broken]}", "LAKE-102"),
        ("{webhook: '${A}', of: failed}", "LAKE-101"),
        ("{webhook: '${A}'}", "LAKE-101"),
        ("{webhook: '${A}', of: [failed], format: irc}", "LAKE-102"),
        ("{of: [failed]}", "LAKE-142"),
        ("{webhook: '${A}', mail: [a@b.example], of: [failed]}", "LAKE-142"),
        ("{mail: [a@b.example], of: [failed]}", "LAKE-142"),
        ("{webhook: 'https://hooks.example/hush77', of: [failed]}", "LAKE-142"),
        ("{webhook: '${A}', of: [failed], after: soon}", "LAKE-142"),
    ],
)
def test_a_channel_that_would_tell_nobody_is_a_mistake(rcm, says, code):
    lake = rcm / "lake.yml"
    lake.write_text(lake.read_text() + f"\ntell:\n  office: {says}\n")
    if code:
        assert code in {found for found, _ in refused(rcm)}
    else:
        assert declare.read(rcm).channels[0].name == "office"
