"""Code sets: what is asked of a service and how often, what becomes of its answers, and the tables that are shipped.

The services are real HTTP servers on loopback, that answer in the shapes of the NPI registry and of the NLM.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pytest
from servers import free_port

from carelake import errors
from carelake.declare import shipped
from carelake.model import Feed
from carelake.page import part, read_page
from carelake.source import Delivery, Progress, files, reference
from carelake.source.files_contract import needed
from carelake.source.reference_npi import is_npi
from carelake.source.reference_service import Manners

NOW = datetime(2024, 11, 30, 12, tzinfo=UTC)
Query = dict[str, str]
Reply = tuple[int, dict[str, str], bytes]


@dataclass
class Clock:
    """Time that passes only when somebody sleeps."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@dataclass
class Served:
    url: str
    asked: list[Query]


@contextmanager
def serving(answer: Callable[[Query, int], Any]) -> Iterator[Served]:
    """A server whose `answer` is given the query and how many were asked before; bytes or JSON, maybe with a status."""
    asked: list[Query] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query, True).items()}
            asked.append(query)
            told = answer(query, len(asked) - 1)
            status, headers, body = told if isinstance(told, tuple) else (200, {}, told)
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda request, client_address: None  # type: ignore[method-assign] # a client that left
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Served(f"http://127.0.0.1:{server.server_port}/api/", asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def manners(clock: Clock | None = None, **says: Any) -> Manners:
    clock = clock or Clock()
    return replace(Manners(clock=clock, sleep=clock.sleep), **says)


def feed(at: str) -> Feed:
    return Feed("npi", "registry", "reference", "${NPI_API_URL}", at, "append", "npi", {})


def read(served: Served, at: str = "npi_registry", **how: Any) -> list[Delivery]:
    how = {"manners": manners(), **how}
    return list(reference.read(feed(at), served.url, Progress(), how.pop("now", NOW), **how))


def rows(delivery: Delivery) -> list[dict[str, str | None]]:
    return [row for batch in delivery.batches for row in batch.to_pylist()]


def npi(place: int) -> str:
    """The NPI at some place of a list of valid ones."""
    stem = str(1_000_000_000 + place * 10)[:9]
    return next(stem + str(check) for check in range(10) if is_npi(stem + str(check)))


def person(number: str) -> dict[str, Any]:
    """A provider, as the registry tells of one."""
    return {
        "created_epoch": "1175299200000",
        "enumeration_type": "NPI-1",
        "last_updated_epoch": "1183852800000",
        "number": number,
        "addresses": [
            {"address_purpose": "MAILING", "city": "BOSTON", "state": "MA", "country_code": "US"},
            {"address_purpose": "LOCATION", "city": "PROVIDENCE", "state": "RI", "country_code": "US"},
        ],
        "practiceLocations": [],
        "basic": {
            "first_name": "ANNA",
            "last_name": "MUSTER",
            "middle_name": "--",
            "enumeration_date": "2007-03-31",
            "last_updated": "2020-07-08",
            "status": "A",
        },
        "taxonomies": [
            {"code": "207Q00000X", "desc": "Family Medicine", "primary": False, "state": "MA"},
            {"code": "207RC0000X", "desc": "Cardiology", "primary": True, "state": "RI"},
        ],
        "identifiers": [],
        "other_names": [],
    }


def organisation(number: str) -> dict[str, Any]:
    basic = {"organization_name": "MUSTER HOSPITAL", "enumeration_date": "2006-01-02", "last_updated": "2019-01-03"}
    return {"number": number, "enumeration_type": "NPI-2", "basic": basic, "addresses": [], "taxonomies": []}


def registry(*known: dict[str, Any]) -> Callable[[Query, int], Any]:
    """The registry's rules: 200 a page, 1,000 skipped at most, and beyond that the last page again without a word."""

    def answer(query: Query, before: int) -> Any:
        found = [one for one in known if query.get("number") in (None, one["number"])]
        size, skip = min(int(query.get("limit", "10")), 200), min(int(query.get("skip", "0")), 1000)
        page = found[skip : skip + size]
        return {"result_count": len(page), "results": page}

    return answer


class TestTheNpiRegistry:
    def test_a_look_up_gives_one_flat_row_a_provider(self) -> None:
        one, two = npi(1), npi(2)
        with serving(registry(person(one), organisation(two))) as served:
            (delivery,) = read(served, wanted=[one, two, one])
        assert rows(delivery) == [
            {
                "number": one, "enumeration_type": "NPI-1", "organization_name": None, "last_name": "MUSTER",
                "first_name": "ANNA", "taxonomy_code": "207RC0000X", "practice_state": "RI",
                "enumeration_date": "2007-03-31", "deactivation_date": None, "reactivation_date": None,
                "last_updated": "2020-07-08", "status": "A",
            },
            {
                "number": two, "enumeration_type": "NPI-2", "organization_name": "MUSTER HOSPITAL", "last_name": None,
                "first_name": None, "taxonomy_code": None, "practice_state": None, "enumeration_date": "2006-01-02",
                "deactivation_date": None, "reactivation_date": None, "last_updated": "2019-01-03", "status": None,
            },
        ]  # fmt: skip
        assert served.asked == [{"version": "2.1", "number": one}, {"version": "2.1", "number": two}]
        assert (delivery.whole, delivery.warnings, delivery.expected) == (False, [], 2)
        assert {str(column.type) for column in delivery.schema} == {"string"}

    def test_what_is_no_npi_is_not_asked_for_and_counted(self) -> None:
        with serving(registry(person(npi(1)))) as served:
            (delivery,) = read(served, wanted=["1234567890", "", "abc", npi(1), npi(9)])
        assert [query["number"] for query in served.asked] == [npi(1), npi(9)]
        assert delivery.warnings == [
            "npi_registry: 3 of the numbers asked for are no NPIs by their check digit.",
            "npi_registry: 1 of 2 are not in it, or were deactivated.",
        ]

    @pytest.mark.parametrize(
        ("number", "valid"),
        [
            ("1234567893", True),
            ("1234567890", False),
            ("323456789", False),
            ("3234567891", False),
            ("0000000000", False),
        ],
    )
    def test_the_check_digit(self, number: str, valid: bool) -> None:
        """1234567893 is the example of the standard itself: 80840 in front, Luhn."""
        assert is_npi(number) is valid

    def test_nothing_is_asked_if_nothing_is_wanted(self) -> None:
        with serving(registry()) as served:
            assert read(served) == []
        assert served.asked == []

    def test_a_query_is_paged_to_its_end(self) -> None:
        with serving(registry(*(person(npi(place)) for place in range(450)))) as served:
            (delivery,) = read(served, "npi_registry?state=RI&taxonomy_description=Cardiology")
        assert [row["number"] for row in rows(delivery)] == [npi(place) for place in range(450)]
        assert [query["skip"] for query in served.asked] == ["0", "200", "400"]
        assert all((query["state"], query["limit"], query["version"]) == ("RI", "200", "2.1") for query in served.asked)
        assert delivery.warnings == []

    def test_more_than_it_gives_out_is_told_and_never_asked_for(self) -> None:
        with serving(registry(*(person(npi(place)) for place in range(1500)))) as served:
            (delivery,) = read(served, "npi_registry?state=RI")
        assert len(rows(delivery)) == 1200
        assert max(int(query["skip"]) for query in served.asked) == 1000
        assert "gave 1,200 providers of this query and has more, so it is incomplete" in delivery.warnings[0]

    def test_pages_that_repeat_are_seen(self) -> None:
        known = [person(npi(place)) for place in range(400)]
        with serving(lambda query, before: {"results": known[:200]}) as served:
            (delivery,) = read(served, "npi_registry?state=RI")
        assert len(rows(delivery)) == 200
        assert len(served.asked) == 2
        assert "incomplete" in delivery.warnings[0]

    def test_a_query_that_it_refuses(self) -> None:
        refusal = {"Errors": [{"description": "Secretname is too short", "field": "last_name", "number": "05"}]}
        with serving(lambda query, before: refusal) as served, pytest.raises(errors.ReferenceUnavailable) as caught:
            read(served, "npi_registry?last_name=Secretname")
        assert "its errors: 05" in str(caught.value)
        assert "Secretname" not in str(caught.value)
        assert len(served.asked) == 1

    def test_a_number_that_it_refuses_is_one_that_it_does_not_have(self) -> None:
        gone = {"Errors": [{"description": "CMS deactivated NPI", "field": "number", "number": "12"}]}
        with serving(lambda query, before: gone) as served:
            (delivery,) = read(served, wanted=[npi(1)])
        assert delivery.warnings == ["npi_registry: 1 of 1 are not in it, or were deactivated."]

    @pytest.mark.parametrize(
        "answer", [[], {}, {"results": 1}, {"results": [1]}, {"results": [{"number": "12"}]}, "x", None]
    )
    def test_an_answer_of_another_shape(self, answer: Any) -> None:
        with serving(lambda query, before: answer) as served, pytest.raises(errors.ReferenceUnavailable, match="shape"):
            read(served, "npi_registry?state=RI")

    def test_no_more_are_looked_up_than_a_run_may(self) -> None:
        with serving(registry(*(person(npi(place)) for place in range(5)))) as served:
            (delivery,) = read(served, wanted=[npi(place) for place in range(5)], manners=manners(look_ups=3))
        assert len(rows(delivery)) == len(served.asked) == 3
        assert delivery.warnings == ["npi_registry: 2 of 5 were not answered, and wait for the next run."]

    def test_a_service_that_nobody_knows(self) -> None:
        with pytest.raises(errors.SourceTableMissing, match="Did you mean 'npi_registry'"):
            read(Served("http://127.0.0.1:1", []), "npi_registy", wanted=[npi(1)])


def clinical_tables(codes: dict[str, str]) -> Callable[[Query, int], Any]:
    """The NLM's rules: 500 a page, and offset and page together no further than 7,500."""

    def answer(query: Query, before: int) -> Any:
        found = [code for code in codes if code.startswith(query["terms"])]
        offset, size = int(query.get("offset", "0")), int(query.get("count", query.get("maxList", "7")))
        page = found[offset : min(offset + min(size, 500), 7500)]
        return [len(found), page, None, [[code, codes[code]] for code in page]]

    return answer


class TestTheNlm:
    def test_codes_are_looked_up_one_by_one(self) -> None:
        known = {"E11.6": "Other", "E11.65": "Type 2 diabetes mellitus with hyperglycemia", "E11.651": "?"}
        with serving(clinical_tables(known)) as served:
            (delivery,) = read(served, "nlm_icd10cm", wanted=["E11.65", "X99"])
        assert rows(delivery) == [{"code": "E11.65", "name": "Type 2 diabetes mellitus with hyperglycemia"}]
        assert delivery.warnings == ["nlm_icd10cm: 1 of 2 are no codes of ICD-10-CM."]
        assert served.asked[0] == {"terms": "E11.65", "sf": "code", "df": "code,name", "maxList": "500"}

    def test_a_query_is_paged_to_its_end(self) -> None:
        known = {f"E{number:04}": f"name {number}" for number in range(1234)}
        with serving(clinical_tables(known)) as served:
            (delivery,) = read(served, "nlm_icd10cm?terms=E")
        assert {row["code"]: row["name"] for row in rows(delivery)} == known
        assert len(served.asked) == 3
        assert delivery.warnings == []

    def test_more_than_it_gives_out_is_told(self) -> None:
        known = {f"E{number:05}": "name" for number in range(7600)}
        with serving(clinical_tables(known)) as served:
            (delivery,) = read(served, "nlm_icd10cm?terms=E")
        assert len(rows(delivery)) == 7500
        assert "has 7,600 codes of this query and gives out 7,500, so it is incomplete" in delivery.warnings[0]

    def test_a_service_that_knows_no_pages_is_seen(self) -> None:
        page = [f"E{number}" for number in range(500)]
        answer = [900, page, None, [[code, "name"] for code in page]]
        with serving(lambda query, before: answer) as served:
            (delivery,) = read(served, "nlm_icd10cm?terms=E")
        assert len(rows(delivery)) == 500
        assert "incomplete" in delivery.warnings[0]
        assert len(served.asked) == 2

    @pytest.mark.parametrize(
        "answer",
        [{}, [], [1], ["1", [], 0, []], [1, ["a"], 0, []], [1, ["a"], 0, [["a"]]], [1, [1], 0, [["a", "b"]]]],
    )
    def test_an_answer_of_another_shape(self, answer: Any) -> None:
        with serving(lambda query, before: answer) as served, pytest.raises(errors.ReferenceUnavailable, match="shape"):
            read(served, "nlm_icd10cm?terms=E")


class TestManners:
    """Few requests, few tries, and an end to trying."""

    def test_no_more_than_so_many_requests_a_second(self) -> None:
        clock = Clock()
        with serving(registry()) as served:
            read(served, wanted=[npi(place) for place in range(5)], manners=manners(clock, per_second=2))
        assert clock.slept == [0.5, 0.5, 0.5, 0.5]

    @pytest.mark.parametrize("reply", [(429, {}, b""), (500, {}, b""), (503, {}, b""), b"<html>mended", b"", b"\xff"])
    def test_what_may_work_the_next_time_is_asked_again_a_little_later(self, reply: Any) -> None:
        clock, good = Clock(), registry(person(npi(1)))
        with serving(lambda query, before: reply if before < 3 else good(query, before)) as served:
            (delivery,) = read(served, wanted=[npi(1)], manners=manners(clock))
        assert len(rows(delivery)) == 1
        assert clock.slept == [1, 2, 4]

    def test_what_will_not_work_is_not_asked_again(self) -> None:
        told = "answered with status 404"
        with serving(lambda query, before: (404, {}, b"")) as served, pytest.raises(errors.SourceFailed, match=told):
            read(served, wanted=[npi(1)])
        assert len(served.asked) == 1

    @pytest.mark.parametrize("asked", ["7", "Sat, 30 Nov 2024 12:00:07 GMT"])
    def test_retry_after_is_honoured(self, asked: str) -> None:
        clock, good = Clock(), registry(person(npi(1)))
        busy = (429, {"Retry-After": asked}, b"")
        with serving(lambda query, before: busy if before == 0 else good(query, before)) as served:
            read(served, wanted=[npi(1)], manners=manners(clock))
        assert clock.slept == [7]

    def test_who_asks_us_to_stay_away_for_long_is_left_alone(self) -> None:
        clock, busy = Clock(), (429, {"Retry-After": "3600"}, b"")
        with serving(lambda query, before: busy) as served, pytest.raises(errors.ReferenceUnavailable):
            read(served, wanted=[npi(1)], manners=manners(clock))
        assert (len(served.asked), clock.slept) == (1, [])

    def test_after_repeated_failures_no_more_is_asked(self) -> None:
        with serving(lambda query, before: (500, {}, b"")) as served, pytest.raises(errors.ReferenceUnavailable):
            read(served, wanted=[npi(place) for place in range(50)], manners=manners(attempts=2, breaks_after=3))
        assert len(served.asked) == 6

    def test_one_failure_between_answers_breaks_nothing(self) -> None:
        good = registry(*(person(npi(place)) for place in range(6)))
        fails = {npi(1), npi(3), npi(5)}
        with serving(lambda query, n: (500, {}, b"") if query["number"] in fails else good(query, n)) as served:
            (delivery,) = read(served, wanted=[npi(place) for place in range(6)], manners=manners(attempts=1))
        assert [row["number"] for row in rows(delivery)] == [npi(0), npi(2), npi(4)]
        assert delivery.warnings == ["npi_registry: 3 of 6 were not answered, and wait for the next run."]

    def test_a_server_that_does_not_answer_in_time(self) -> None:
        done = Event()
        with serving(lambda query, before: done.wait(5)) as served:
            with pytest.raises(errors.ReferenceUnavailable, match="did not answer in time"):
                read(served, wanted=[npi(1)], manners=manners(timeout=0.1, attempts=1))
            done.set()

    def test_a_server_that_is_not_there(self) -> None:
        gone = Served(f"http://127.0.0.1:{free_port()}", [])
        with pytest.raises(errors.ReferenceUnavailable, match="could not be reached"):
            read(gone, wanted=[npi(1)])

    @pytest.mark.parametrize("url", ["ftp://example.org", "no url", "http://[", ""])
    def test_an_address_that_is_none(self, url: str) -> None:
        with pytest.raises(errors.ReferenceUnavailable):
            read(Served(url, []), wanted=[npi(1)])

    def test_an_answer_without_end(self) -> None:
        with serving(lambda query, before: b" " * 10_000) as served, pytest.raises(errors.ReferenceUnavailable):
            read(served, wanted=[npi(1)], manners=manners(largest=5_000))

    def test_neither_address_nor_question_is_shown_or_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        with serving(lambda query, before: (500, {}, b"Secretname")) as served, caplog.at_level(logging.DEBUG):
            logging.getLogger("httpx").setLevel(logging.DEBUG)
            with pytest.raises(errors.ReferenceUnavailable) as caught:
                read(served, "npi_registry?last_name=Secretname", wanted=[npi(1)])
        shown = f"{caught.value} {caught.value.__cause__} {caplog.text}"
        assert not re.search(f"Secretname|{npi(1)}|127.0.0.1", shown)


class TestTheCache:
    def test_an_answer_is_not_asked_for_again_within_a_day(self, tmp_path: Path) -> None:
        with serving(registry(person(npi(1)))) as served:
            first = read(served, wanted=[npi(1)], cache=tmp_path / "cache")
            later = read(served, wanted=[npi(1)], cache=tmp_path / "cache", now=NOW + timedelta(hours=23))
            assert rows(first[0]) == rows(later[0])
            assert len(served.asked) == 1
            read(served, wanted=[npi(1)], cache=tmp_path / "cache", now=NOW + timedelta(hours=25))
            assert len(served.asked) == 2

    def test_it_answers_while_the_service_does_not(self, tmp_path: Path) -> None:
        with serving(registry(person(npi(1)))) as served:
            read(served, wanted=[npi(1)], cache=tmp_path)
        (delivery,) = read(served, wanted=[npi(1)], cache=tmp_path)
        assert len(rows(delivery)) == 1

    def test_failures_and_strange_answers_are_not_kept(self, tmp_path: Path) -> None:
        replies: list[Any] = [(500, {}, b""), {"strange": 1}]
        with serving(lambda query, before: replies[min(before, 1)]) as served:
            for _ in replies:
                with pytest.raises(errors.ReferenceUnavailable):
                    read(served, wanted=[npi(1)], cache=tmp_path, manners=manners(attempts=1))
        assert len(served.asked) == 2
        assert list(tmp_path.iterdir()) == []

    def test_what_a_killed_run_left_half_written_is_asked_for_again(self, tmp_path: Path) -> None:
        with serving(registry(person(npi(1)))) as served:
            read(served, wanted=[npi(1)], cache=tmp_path)
            (kept,) = tmp_path.iterdir()
            kept.write_text(kept.read_text()[:20])
            (delivery,) = read(served, wanted=[npi(1)], cache=tmp_path)
        assert (len(rows(delivery)), len(served.asked)) == (1, 2)

    def test_a_cache_that_cannot_be_written_costs_nothing_but_requests(self, tmp_path: Path) -> None:
        (tmp_path / "cache").write_text("a file where the folder should be")
        with serving(registry(person(npi(1)))) as served:
            (delivery,) = read(served, wanted=[npi(1)], cache=tmp_path / "cache")
        assert len(rows(delivery)) == 1

    def test_its_names_say_nothing_of_what_was_asked(self, tmp_path: Path) -> None:
        with serving(registry(person(npi(1)))) as served:
            read(served, wanted=[npi(1)], cache=tmp_path)
        assert all(re.fullmatch(r"[0-9a-f]{64}\.json", path.name) for path in tmp_path.iterdir())


@pytest.fixture(scope="module")
def codes() -> dict[str, tuple[str, str, str]]:
    with gzip.open(shipped() / "reference" / "icd10cm_2026.csv.gz", "rt", encoding="utf-8", newline="") as file:
        header, *told = csv.reader(file)
    assert header == ["code", "description", "is_billable", "release_year"]
    assert [row[0] for row in told] == sorted({row[0] for row in told})
    return {code: (description, billable, year) for code, description, billable, year in told}


class TestWhatIsShipped:
    """ICD-10-CM, and the sources that read code sets."""

    def test_the_table_has_as_many_codes_as_the_release(self, codes: dict[str, tuple[str, str, str]]) -> None:
        """Fiscal year 2026 has 74,719 valid codes: the 74,260 of 2025, with 487 new and 28 deleted ones."""
        assert sum(billable == "true" for _, billable, _ in codes.values()) == 74_260 + 487 - 28
        assert len(codes) == 98_186
        assert {year for *_, year in codes.values()} == {"2026"}

    def test_known_codes_by_hand(self, codes: dict[str, tuple[str, str, str]]) -> None:
        assert codes["A00"] == ("Cholera", "false", "2026")
        assert codes["I10"] == ("Essential (primary) hypertension", "true", "2026")
        assert codes["E11.65"] == ("Type 2 diabetes mellitus with hyperglycemia", "true", "2026")
        torus = "Torus fracture of lower end of right radius, initial encounter for closed fracture"
        assert codes["S52.521A"] == (torus, "true", "2026")
        open_fracture = "Other fracture of left femur, initial encounter for open fracture type I or II"
        assert codes["S72.8X2B"] == (open_fracture, "true", "2026")
        assert codes["S52.521"][1] == "false"  # its seventh character is missing
        assert codes["Z11.52"] == ("Encounter for screening for COVID-19", "true", "2026")

    def test_a_code_is_billable_if_none_is_below_it(self, codes: dict[str, tuple[str, str, str]]) -> None:
        above = {code[:cut].rstrip(".") for code in codes for cut in range(3, len(code))}
        assert all((billable == "false") == (code in above) for code, (_, billable, _) in codes.items())

    def test_the_page_beside_it_tells_its_hash(self) -> None:
        page = (shipped() / "reference" / "README.md").read_text(encoding="utf-8")
        for path in sorted((shipped() / "reference").glob("icd10cm_*")):
            assert hashlib.sha256(path.read_bytes()).hexdigest() in page

    def test_it_is_read_like_any_other_file_and_stays(self) -> None:
        of = Feed(
            "icd", "codes", "files", "", "icd10cm_*.csv.gz", "full", "icd_code", {"icd_code": "code"}, archive=False
        )
        (delivery,) = files.read(of, str(shipped() / "reference"), Progress(), NOW)
        table = pa.Table.from_batches(delivery.batches)
        assert (table.num_rows, delivery.whole, delivery.rejects, delivery.warnings) == (98_186, True, [], [])
        delivery.committed()
        known = Progress(contents=frozenset([delivery.content or ""]))
        assert list(files.read(of, str(shipped() / "reference"), known, NOW)) == []

    def test_the_feeds_of_services_read_columns_that_the_services_give(self) -> None:
        for source, name in (("npi", "registry"), ("icd", "newer")):
            says = part(read_page(shipped() / "sources" / f"{source}.yml").part("feeds"), name)
            of = replace(feed(says["service"]), columns=says["columns"], key=tuple(says["key"]))
            assert set(needed(of)) <= set(reference.SERVICES[of.at].COLUMNS)

    def test_the_monthly_file_is_read_by_its_real_names_of_columns(self) -> None:
        says = part(read_page(shipped() / "sources" / "npi.yml").part("feeds"), "monthly")
        of = replace(feed(says["files"]), columns=says["columns"], key=tuple(says["key"]))
        assert {
            "NPI", "Entity Type Code", "Provider Organization Name (Legal Business Name)",
            "Provider Last Name (Legal Name)", "Provider First Name", "Healthcare Provider Taxonomy Code_1",
            "Provider Business Practice Location Address State Name", "Provider Enumeration Date",
            "NPI Deactivation Date", "NPI Reactivation Date", "Last Update Date",
        } <= set(needed(of))  # fmt: skip
