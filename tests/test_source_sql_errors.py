"""What goes wrong in a source, each with its own code, and nothing of a password or a row in any word about it."""

from __future__ import annotations

import threading
import traceback
from pathlib import Path

import pytest
from servers import PASSWORD, Server, Source, free_port
from sql_feeds import a_feed, read

from carelake.errors import (
    LakeError,
    SourceColumnMissing,
    SourceDenied,
    SourceFailed,
    SourceNameTaken,
    SourceTableMissing,
    SourceUnreachable,
    SourceUrlUnknown,
    SourceWatermarkUnfit,
)
from carelake.source import Progress

WRONG = "wr0ng-Pa55word"


def refused(kind: type[LakeError], url: str, capfd: pytest.CaptureFixture[str], feed=None) -> str:  # type: ignore[no-untyped-def]
    """What is said, after a look at all that was printed or could be."""
    with pytest.raises(kind) as caught:
        read(feed or a_feed(), url)
    told = capfd.readouterr()
    everything = "".join(traceback.format_exception(caught.value)) + told.out + told.err
    for secret in (PASSWORD, WRONG, url):
        assert secret not in everything
    assert "hos-a/" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("scheme", ["postgresql", "mysql", "mariadb"])
def test_a_database_that_does_not_answer_is_unreachable(scheme: str, capfd: pytest.CaptureFixture[str]) -> None:
    refused(SourceUnreachable, f"{scheme}://reader:{WRONG}@127.0.0.1:{free_port()}/hospital", capfd)


@pytest.mark.parametrize("server", ["postgres", "mariadb"])
def test_a_wrong_password_is_told_from_that_and_tried_once(
    server: str, request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]
) -> None:
    there: Server = request.getfixturevalue(server)
    before = _refused_by(there)
    refused(SourceDenied, there.url(password=WRONG), capfd)
    assert _refused_by(there) == before + 1


def _refused_by(server: Server) -> int:
    sign = {"postgresql": "password authentication failed", "mysql": "Access denied"}[server.scheme]
    return server.log.read_text().count(sign)


@pytest.mark.parametrize("server", ["postgres", "mariadb"])
def test_a_server_without_that_database_says_so(
    server: str, request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]
) -> None:
    there: Server = request.getfixturevalue(server)
    assert "no database of that name" in refused(SourceUnreachable, there.url("elsewhere"), capfd)


def test_a_missing_sqlite_file_is_not_made(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    refused(SourceUnreachable, f"sqlite://{tmp_path}/none.db", capfd)
    assert not (tmp_path / "none.db").exists()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.db").write_text("PATIENT ONE, 1961-02-28\n" * 99)
    assert "PATIENT" not in refused(SourceFailed, f"sqlite://{tmp_path}/notes.db", capfd)


@pytest.mark.parametrize(
    "url",
    [
        f"oracle://reader:{WRONG}@127.0.0.1/x",
        f"{WRONG}",
        f"postgresql://reader:12#{WRONG}@127.0.0.1/x",
        f"mysql://reader:a/{WRONG}@127.0.0.1/x",
        "mysql://",
    ],
)
def test_a_url_that_cannot_be_understood_is_never_repeated(url: str, capfd: pytest.CaptureFixture[str]) -> None:
    refused(SourceFailed if "12#" in url else SourceUrlUnknown, url, capfd)


def test_a_missing_table_is_named_with_what_is_like_it(source: Source, capfd: pytest.CaptureFixture[str]) -> None:
    source.run("CREATE TABLE encounters (id int)", "CREATE TABLE providers (id int)")
    assert "Did you mean 'encounters'?" in refused(SourceTableMissing, source.url, capfd, a_feed("encountres"))


def test_a_table_that_may_not_be_read_counts_as_missing(
    postgres: Server, postgres_source: Source, capfd: pytest.CaptureFixture[str]
) -> None:
    postgres_source.run("CREATE TABLE visits (id int)", f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")
    url = postgres.url(postgres_source.url.rpartition("/")[2], user="guest")
    refused(SourceTableMissing, url, capfd)


def test_one_name_in_two_schemas_asks_for_the_schema(
    postgres_source: Source, capfd: pytest.CaptureFixture[str]
) -> None:
    postgres_source.run(
        "CREATE SCHEMA a", "CREATE SCHEMA b", "CREATE TABLE a.visits (id int)", "CREATE TABLE b.visits ()"
    )
    said = refused(SourceTableMissing, postgres_source.url, capfd)
    assert "a.visits, b.visits" in said
    assert read(a_feed("A.Visits"), postgres_source.url)[0].delivery.schema.names == ["id"]


@pytest.mark.parametrize(
    "says",
    [
        {"load": "watermark", "watermark": "changd"},
        {"key": ("changd",)},
        {"types": {"changd": "text"}},
        {"columns": {"updated_at": "COALESCE(changd, '2026-01-01')"}},
    ],
)
def test_a_missing_column_is_named_with_what_is_like_it(
    source: Source, says: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    source.run("CREATE TABLE visits (id int, changed date)")
    said = refused(SourceColumnMissing, source.url, capfd, a_feed(**says))
    assert "no column 'changd'" in said
    assert "Did you mean 'changed'?" in said


def test_columns_that_differ_in_case_only_are_refused(
    postgres_source: Source, capfd: pytest.CaptureFixture[str]
) -> None:
    postgres_source.run('CREATE TABLE visits (id int, "Vv" int, "vV" int)')
    said = refused(SourceNameTaken, postgres_source.url, capfd, a_feed())
    assert "the table 'visits' has the columns 'Vv', 'vV'" in said


@pytest.mark.parametrize(
    ("watermark", "lookback"), [("id", "1 day"), ("changed", "1000000"), ("changed", "a while"), ("sure", None)]
)
def test_a_watermark_that_does_not_suit_is_refused(
    postgres_source: Source, watermark: str, lookback: str | None, capfd: pytest.CaptureFixture[str]
) -> None:
    postgres_source.run(
        "CREATE TABLE visits (id int, changed timestamp, sure boolean)",
        "INSERT INTO visits VALUES (7, '2026-03-01', true)",
    )
    feed = a_feed(load="watermark", watermark=watermark, lookback=lookback)
    with pytest.raises(SourceWatermarkUnfit, match=f"the watermark '{watermark}' cannot be used"):
        read(feed, postgres_source.url, Progress(sequence=1, watermark="7" if watermark == "id" else "2026-03-01"))


def test_text_that_is_no_date_makes_no_watermark(sqlite_source: Source) -> None:
    sqlite_source.run("CREATE TABLE visits (changed text)", "INSERT INTO visits VALUES ('1961 secret')")
    with pytest.raises(SourceWatermarkUnfit) as caught:
        read(a_feed(load="watermark", watermark="changed"), sqlite_source.url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("lost", "error"), [("the reading one", SourceFailed), ("all", SourceUnreachable)])
def test_a_connection_lost_while_reading_fails_the_load_and_prints_no_row(
    lost: str, error: type[LakeError], postgres_source: Source, capfd: pytest.CaptureFixture[str]
) -> None:
    postgres_source.run(
        "CREATE VIEW visits AS SELECT pg_sleep(i * 10)::text AS slept, 'PATIENT' AS who FROM (VALUES (0), (1)) v (i)"
    )
    ours = "datname = current_database() AND pid <> pg_backend_pid()"
    ours += " AND state = 'active'" if lost == "the reading one" else ""
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}"
    timer = threading.Timer(1, postgres_source.run, [cut])
    timer.start()
    feed = a_feed()
    with pytest.raises(error) as caught:
        read(feed, postgres_source.url)
    timer.join()
    told = capfd.readouterr()
    assert "PATIENT" not in "".join(traceback.format_exception(caught.value)) + told.out + told.err


def test_a_password_of_any_letters_is_understood(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    for name, make in (
        ("postgres", "CREATE ROLE odd LOGIN SUPERUSER PASSWORD"),
        ("mariadb", "CREATE USER odd@localhost IDENTIFIED BY"),
    ):
        server: Server = request.getfixturevalue(name)
        server.run(f"{make} 'p@s/s#w:ö rd%'")
        if name == "mariadb":
            server.run("GRANT ALL ON *.* TO odd@localhost")
        server.run("CREATE TABLE IF NOT EXISTS odd (id int)", "INSERT INTO odd VALUES (1)")
        (pulled,) = read(a_feed("odd"), server.url(user="odd", password="p%40s%2Fs%23w%3A%C3%B6%20rd%25"))
        assert pulled.ids() == [1]
