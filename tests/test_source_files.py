"""Landing folders: what is delivered of a file, what is refused of it and with which code, and where it goes."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import os
import tracemalloc
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from carelake import errors
from carelake.model import Feed
from carelake.source import Delivery, Progress, files, files_folder, files_text
from carelake.source.files_csv import batches
from carelake.source.files_look import look
from carelake.source.files_scan import Limits

NOW = datetime(2024, 11, 30, 12, tzinfo=UTC)
COLUMNS = {"claim_id": "ClaimID", "claim_amount": "ClaimAmount"}
CLAIMS = "ClaimID,ClaimAmount,ClaimStatus\nC1,10.00,Paid\nC2,20.50,Denied\n"
ROWS = [("C1", "10.00", "Paid"), ("C2", "20.50", "Denied")]


def feed(at: str = "claims/*", **says: Any) -> Feed:
    known = {"load": "append", "columns": COLUMNS, **says}
    return Feed("hos-a", "claims", "files", "${LANDING}", at, fills="claim", **known)


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    (tmp_path / "claims").mkdir()
    return tmp_path


def put(landing: Path, text: str | bytes, name: str = "claims/a.csv") -> Path:
    path = landing / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    os.utime(path, (NOW.timestamp() - 60, NOW.timestamp() - 60))
    return path


def deliveries(
    landing: Path, of: Feed | None = None, progress: Progress | None = None, **how: Any
) -> Iterator[Delivery]:
    return files.read(of or feed(), str(landing), progress or Progress(), NOW, **how)


def rows(delivery: Delivery) -> list[tuple[str | None, ...]]:
    return [tuple(row.values()) for batch in delivery.batches for row in batch.to_pylist()]


def landed(landing: Path, of: Feed | None = None, progress: Progress | None = None, **how: Any) -> list[list[Any]]:
    """The rows of each delivery, each committed before the next is asked for."""
    told = []
    for delivery in deliveries(landing, of, progress, **how):
        told.append(rows(delivery))
        delivery.committed()
    return told


def refused(landing: Path, of: Feed | None = None, **how: Any) -> errors.SourceFailed:
    with pytest.raises(errors.SourceFailed) as caught:
        landed(landing, of, **how)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


def names(landing: Path) -> list[str]:
    return sorted(str(path.relative_to(landing)) for path in landing.rglob("*") if path.is_file())


class TestWhatIsRecognised:
    @pytest.mark.parametrize("delimiter", [",", "\t", "|", ";"])
    def test_the_delimiter_is_known_by_content_and_not_by_name(self, landing: Path, delimiter: str) -> None:
        put(landing, CLAIMS.replace(",", delimiter))
        assert landed(landing) == [ROWS]

    @pytest.mark.parametrize("ends", ["\n", "\r\n", "\r", "\r\r\n"])
    def test_lines_may_end_as_on_any_system(self, landing: Path, ends: str) -> None:
        put(landing, CLAIMS.replace("\n", ends))
        assert landed(landing) == [ROWS]

    @pytest.mark.parametrize(
        ("encoding", "mark"),
        [
            ("utf-8", b""),
            ("utf-8", codecs.BOM_UTF8),
            ("utf-16-le", codecs.BOM_UTF16_LE),
            ("utf-16-be", codecs.BOM_UTF16_BE),
            ("utf-16-le", b""),
            ("utf-16-be", b""),
            ("utf-32-le", codecs.BOM_UTF32_LE),
            ("latin-1", b""),
            ("cp1252", b""),
        ],
    )
    @pytest.mark.parametrize("pack", [bytes, gzip.compress])
    def test_every_encoding_gives_the_same_rows(self, landing: Path, encoding: str, mark: bytes, pack: Any) -> None:
        text = "ClaimID,ClaimAmount,ClaimStatus\nC1,10.00,Payé\nC2,20.50,Größe\n"
        put(landing, pack(mark + text.encode(encoding)))
        assert landed(landing) == [[("C1", "10.00", "Payé"), ("C2", "20.50", "Größe")]]

    def test_a_euro_sign_tells_windows_1252_from_latin_1(self, landing: Path) -> None:
        put(landing, "ClaimID,ClaimAmount\nC1,10 €\n".encode("cp1252"))
        (delivery,) = deliveries(landing)
        assert rows(delivery) == [("C1", "10 €")]
        assert "Windows-1252" in delivery.warnings[0]

    def test_a_gzip_is_known_by_its_first_bytes(self, landing: Path) -> None:
        put(landing, gzip.compress(CLAIMS.encode()), "claims/a.csv")
        put(landing, CLAIMS.replace("C1", "C9"), "claims/b.csv.gz")
        assert landed(landing) == [ROWS, [("C9", "10.00", "Paid"), ROWS[1]]]

    def test_a_file_of_one_column_has_no_delimiter(self, landing: Path) -> None:
        put(landing, "NPI\n1234567893\n1003000126\n")
        assert landed(landing, feed(columns={"npi": "NPI"})) == [[("1234567893",), ("1003000126",)]]

    def test_commas_in_text_do_not_hide_the_tabs_between_fields(self, landing: Path) -> None:
        put(landing, "ClaimID\tClaimAmount\nC1\tone, two, three\nC2\tfour, five, six\n")
        assert landed(landing) == [[("C1", "one, two, three"), ("C2", "four, five, six")]]

    def test_names_of_columns_are_trimmed(self, landing: Path) -> None:
        put(landing, '\ufeff ClaimID , "ClaimAmount "\u00a0\nC1,1\n')
        (delivery,) = deliveries(landing)
        assert delivery.schema.names == ["ClaimID", "ClaimAmount"]

    def test_every_column_is_text_and_an_empty_field_is_null(self, landing: Path) -> None:
        put(landing, 'ClaimID,ClaimAmount,ClaimStatus\n007,,""\nNULL,1e5,NA\n')
        (delivery,) = deliveries(landing)
        assert {str(field.type) for field in delivery.schema} == {"string"}
        assert rows(delivery) == [("007", None, None), ("NULL", "1e5", "NA")]

    def test_blank_lines_are_nothing(self, landing: Path) -> None:
        put(landing, "\n\r\n" + CLAIMS.replace("C2", "\nC2") + "\n\n")
        (delivery,) = deliveries(landing)
        assert (rows(delivery), delivery.rejects) == (ROWS, [])

    def test_a_last_line_without_its_end_is_a_row(self, landing: Path) -> None:
        put(landing, CLAIMS.rstrip("\n"))
        assert landed(landing) == [ROWS]

    def test_a_code_file_named_csv_that_is_parted_by_tabs(self, landing: Path) -> None:
        header = "Procedure Code Category\tCPT Codes\tProcedure Code Descriptions\tCode Status\r\n"
        put(landing, header + "AAA\t34830\tRepair, open  \tNo Change\r\n", "cptcodes/cptcodes.csv")
        of = feed("cptcodes/*", columns={"cpt_code": '"CPT Codes"'}, key=("CPT Codes",))
        assert landed(landing, of) == [[("AAA", "34830", "Repair, open  ", "No Change")]]


class TestBadLines:
    def told(self, landing: Path, text: str | bytes, **says: Any) -> tuple[list[Any], list[tuple[int, str, str]]]:
        put(landing, text)
        (delivery,) = deliveries(landing, feed(**says))
        return rows(delivery), delivery.rejects

    def test_a_line_of_too_few_or_too_many_fields_is_kept_with_its_number(self, landing: Path) -> None:
        good, bad = self.told(landing, "ClaimID,ClaimAmount\nC1,1\nC2\nC3,3\nC4,4,4\nC5,5\n")
        assert good == [("C1", "1"), ("C3", "3"), ("C5", "5")]
        assert bad == [(3, "field_count", "C2"), (5, "field_count", "C4,4,4")]

    def test_the_number_is_of_the_line_and_not_of_the_record(self, landing: Path) -> None:
        good, bad = self.told(landing, 'ClaimID,ClaimAmount\nC1,"one\ntwo\nthree"\n\nC2\nC3,3\n')
        assert good == [("C1", "one\ntwo\nthree"), ("C3", "3")]
        assert bad == [(6, "field_count", "C2")]

    def test_an_unclosed_quote_does_not_swallow_the_rows_behind_it(self, landing: Path) -> None:
        good, bad = self.told(landing, 'ClaimID,ClaimAmount,Note\nC1,1,x\nC2,2,"open\nC3,3,y\nC4,4,z\n')
        assert good == [("C1", "1", "x"), ("C3", "3", "y"), ("C4", "4", "z")]
        assert bad == [(3, "broken_quote", 'C2,2,"open')]

    def test_nor_when_a_later_line_has_a_quote_that_would_close_it(self, landing: Path) -> None:
        text = 'ClaimID,ClaimAmount,c,d,e,Note\nC1,1,,,,"open\nC2,2,,,,x\nC3,3,,,,y"\nC4,4,,,,z\n'
        good, bad = self.told(landing, text)
        assert [row[0] for row in good] == ["C2", "C3", "C4"]
        assert bad == [(2, "broken_quote", 'C1,1,,,,"open')]

    def test_in_a_narrow_table_they_may_be_lines_of_a_note_and_are_told_of(self, landing: Path) -> None:
        put(landing, 'ClaimID,ClaimAmount,Note\nC1,1,x\nC2,2,"seen,\nstable, fed, walking\nhome"\nC3,3,z\n')
        (delivery,) = deliveries(landing)
        assert rows(delivery)[1] == ("C2", "2", "seen,\nstable, fed, walking\nhome")
        assert delivery.warnings == [
            "claims/a.csv has 1 quoted texts that hold lines like rows, the first from line 3: "
            "if a quote was left open there, rows were taken for text."
        ]

    def test_a_quoted_field_may_run_over_a_hundred_lines_and_no_more(self, landing: Path) -> None:
        text = "ClaimID,ClaimAmount\nC1,{}\nC2,2\n"
        long = '"' + "\n".join(f"line {line}" for line in range(100)) + '"'
        assert self.told(landing, text.format(long)) == ([("C1", long.strip('"')), ("C2", "2")], [])
        good, bad = self.told(landing, text.format(long.replace("line 0", "line\nagain")))
        assert good == [("C2", "2")]
        assert bad[0] == (2, "broken_quote", 'C1,"line')
        assert len(bad) == 101  # nothing of it is lost

    def test_text_behind_a_closing_quote_is_bad(self, landing: Path) -> None:
        good, bad = self.told(landing, 'ClaimID,ClaimAmount\nC1,"1" and more\nC2,"2"\n')
        assert (good, bad) == ([("C2", "2")], [(2, "broken_quote", 'C1,"1" and more')])

    def test_a_quote_inside_a_field_is_a_letter(self, landing: Path) -> None:
        good, bad = self.told(landing, 'ClaimID,ClaimAmount\nC1,5\'11" tall\nC2,a""b\nC3,"say ""x"""\nC4,""""\n')
        assert good == [("C1", "5'11\" tall"), ("C2", 'a""b'), ("C3", 'say "x"'), ("C4", '"')]
        assert bad == []

    def test_delimiters_and_both_line_ends_may_stand_in_quotes(self, landing: Path) -> None:
        good, bad = self.told(landing, 'ClaimID,ClaimAmount\r\nC1,"a,b\r\nc\rd"\r\nC2,2\r\n')
        assert (good, bad) == ([("C1", "a,b\r\nc\rd"), ("C2", "2")], [])

    def test_bytes_that_are_no_letters_are_bad_in_a_utf8_file(self, landing: Path) -> None:
        text = "ClaimID,ClaimAmount\nC1,Größe\nC2,é\n".encode() + b"C3,\xff\xfe\nC4,a\0b\nC5,a\rb\nC6,6\n"
        good, bad = self.told(landing, text)
        assert good == [("C1", "Größe"), ("C2", "é"), ("C6", "6")]
        assert bad == [
            (4, "wrong_bytes", r"C3,\xff\xfe"),
            (5, "wrong_bytes", "C4,a\0b"),
            (6, "wrong_bytes", "C5,a\rb"),
        ]

    def test_a_full_load_with_bad_lines_takes_no_key_for_vanished(self, landing: Path) -> None:
        put(landing, CLAIMS)
        (whole,) = deliveries(landing, feed(load="full"))
        put(landing, CLAIMS + "C3\n")
        (broken,) = deliveries(landing, feed(load="full"))
        assert (whole.whole, broken.whole) == (True, False)
        assert "line 4" in broken.warnings[0]

    def test_a_file_of_hardly_any_rows_is_no_table(self, landing: Path) -> None:
        put(landing, CLAIMS + "x\n" * 11)
        assert refused(landing, limits=Limits(rejects=10)).code == "LAKE-213"

    def test_a_file_of_no_row_at_all_is_no_table(self, landing: Path) -> None:
        put(landing, "ClaimID,ClaimAmount\n1;2\n3;4\n")
        assert refused(landing).code == "LAKE-213"

    @pytest.mark.parametrize("block", [40, 64, 100])
    def test_a_record_may_lie_on_the_edge_of_what_is_read_at_once(
        self, landing: Path, block: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(files_text, "BLOCK", block)
        text = "".join(f'C{n},"a\n{n},b\n"\n' + ("bad\n" if n % 3 == 0 else "") for n in range(40))
        good, bad = self.told(landing, "ClaimID,ClaimAmount\n" + text)
        assert good == [(f"C{n}", f"a\n{n},b\n") for n in range(40)]
        assert [line for line, *_ in bad] == [5 + 10 * n for n in range(14)]


def cells(delimiter: str) -> st.SearchStrategy[str]:
    letters = st.sampled_from(["a", "é", "'", '"', " ", "\n", "0", ",", ";", delimiter])
    return st.text(letters, max_size=6)


class TestAnyTable:
    """What another program wrote as CSV comes back as it was."""

    @settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(data=st.data())
    def test_the_rows_that_were_written_are_the_rows_that_are_read(self, tmp_path: Path, data: st.DataObject) -> None:
        delimiter = data.draw(st.sampled_from([",", "\t", "|", ";"]))
        width = data.draw(st.integers(2, 4))
        table = data.draw(st.lists(st.tuples(*[cells(delimiter)] * width), min_size=1, max_size=8))
        encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]))
        ends = data.draw(st.sampled_from(["\n", "\r\n"]))
        quoting = data.draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
        header = [f"column_{place}" for place in range(width)]
        text = io.StringIO()
        csv.writer(text, delimiter=delimiter, lineterminator=ends, quoting=quoting).writerows([header, *table])
        path = tmp_path / "any.csv"
        path.write_bytes(text.getvalue().encode(encoding))
        sheet = look(path, "any.csv", frozenset(header), Limits())
        read = [tuple(row.values()) for batch in batches(sheet, header) for row in batch.to_pylist()]
        assert read == [tuple(cell or None for cell in row) for row in table]
        assert sheet.bad == ()

    @settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(text=st.text(st.sampled_from(list('ab",\n\r')), max_size=60))
    def test_whatever_stands_there_no_letter_of_it_is_lost(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "any.csv"
        path.write_bytes(b"one,two,three\n" + text.encode())
        try:
            sheet = look(path, "any.csv", frozenset(["one", "two", "three"]), Limits(span=3))
        except errors.FileNotATable:
            return  # no line is a row
        read = [row for batch in batches(sheet, ["one", "two", "three"]) for row in batch.to_pylist()]
        assert len(read) == sheet.rows
        kept = "".join([*(cell or "" for row in read for cell in row.values()), *(bad for _, _, bad in sheet.rejects)])
        assert [kept.count(letter) for letter in "ab"] == [text.count(letter) for letter in "ab"]


class TestWhatIsRefused:
    """Each file of its own code; it stays where it is, and no value of it is shown."""

    @pytest.mark.parametrize(
        ("code", "content"),
        [
            ("LAKE-211", b""),
            ("LAKE-211", codecs.BOM_UTF8),
            ("LAKE-211", codecs.BOM_UTF16_LE + " \r\n".encode("utf-16-le")),
            ("LAKE-211", gzip.compress(b"", mtime=0)),
            ("LAKE-211", b" \n\t\r\n"),
            ("LAKE-212", gzip.compress(CLAIMS.encode(), mtime=0)[:-9]),
            ("LAKE-212", gzip.compress(CLAIMS.encode(), mtime=0)[:-8] + bytes(8)),  # length and checksum wiped out
            ("LAKE-212", gzip.compress(CLAIMS.encode(), mtime=0) + b"tail"),
            ("LAKE-213", "(1, N'Secretname', 2),\n(2, N'x', 3);\n".encode("utf-16")),
            ("LAKE-213", b"INSERT INTO claims VALUES\n(1, 'Secretname');\n"),
            ("LAKE-213", b"INSERT [dbo].[Claims] ([ClaimID]) VALUES (N'Secretname')\r\nGO\r\n"),
            ("LAKE-213", b"/****** Object:  Table [dbo].[Secretname] ******/\nUSE [x]\n"),
            ("LAKE-213", b"(HOSP1-1, Secretname, Paid),\n(HOSP1-2, x, y)\n"),
            ("LAKE-213", b"<!DOCTYPE html><html>Secretname</html>"),
            ("LAKE-213", b'{"ClaimID": "Secretname"}'),
            ("LAKE-213", b'[{"ClaimID": "Secretname"}]'),
            ("LAKE-213", b"ISA*00*Secretname*00*  ~GS*"),
            ("LAKE-213", b"MSH|^~\\&|Secretname|"),
            ("LAKE-213", b"%PDF-1.7\n"),
            ("LAKE-213", b"ClaimID\x01\x02\x03\x04,ClaimAmount\0\n" * 9),
            ("LAKE-214", b"C1,Secretname,Paid\nC2,20.50,Denied\n"),
            ("LAKE-214", b"ClaimID,ClaimAmount,,\nC1,1,Secretname,2\n"),
            ("LAKE-214", b"ClaimID,claimid,ClaimAmount\nC1,C1,Secretname\n"),
            ("LAKE-204", b"ClaimID,Other\nC1,Secretname\n"),
            ("LAKE-218", "ClaimID,ClaimAmount\nC1,é\n".encode() + b"C2,\xe9\nC3,\x81\n" * 9),
            ("LAKE-218", codecs.BOM_UTF16_LE + CLAIMS.encode("utf-16-le") + b"\x00\xd8\n\0"),
        ],
    )
    def test_bad_files_each_with_its_code(self, landing: Path, code: str, content: bytes) -> None:
        put(landing, content, "claims/broken.csv")
        error = refused(landing)
        assert error.code == code
        assert "claims/broken.csv" in str(error)
        assert "Secretname" not in str(error)
        assert names(landing) == ["claims/broken.csv"]

    def test_a_workbook_named_csv(self, landing: Path) -> None:
        with zipfile.ZipFile(put(landing, b""), "w") as book:
            book.writestr("xl/workbook.xml", "<workbook/>")
        assert refused(landing).code == "LAKE-213"

    def test_a_line_of_a_hundred_megabytes_is_refused_before_it_is_held(self, landing: Path) -> None:
        with gzip.open(put(landing, b""), "wb", compresslevel=1) as file:
            file.write(b"ClaimID,ClaimAmount\nC1,")
            for _ in range(100):
                file.write(b"x" * 1_000_000)
        tracemalloc.start()
        try:
            assert refused(landing).code == "LAKE-215"
            assert tracemalloc.get_traced_memory()[1] < 50_000_000
        finally:
            tracemalloc.stop()

    def test_a_line_above_the_limit_between_short_ones(self, landing: Path) -> None:
        put(landing, CLAIMS + f"C3,3,{'x' * 300}\nC4,4,y\n")
        assert refused(landing, limits=Limits(line=200)).code == "LAKE-215"

    def test_a_header_alone_is_a_delivery_of_no_rows_with_a_warning(self, landing: Path) -> None:
        put(landing, "ClaimID,ClaimAmount\n")
        (delivery,) = deliveries(landing, feed(load="full"))
        assert (rows(delivery), delivery.rejects, delivery.whole) == ([], [], False)
        assert "no rows" in delivery.warnings[0]

    def test_a_first_line_of_numbers_is_no_header_even_if_no_column_is_known(self, landing: Path) -> None:
        put(landing, "1,2024-01-01,x\n2,2024-01-02,y\n")
        assert refused(landing, feed(columns={})).code == "LAKE-214"

    def test_the_good_files_of_a_feed_are_delivered_before_the_bad_are_told(self, landing: Path) -> None:
        put(landing, b"", "claims/a.csv")
        put(landing, CLAIMS, "claims/b.csv")
        put(landing, CLAIMS.replace("ClaimAmount", "Amount"), "claims/c.csv")
        arriving = deliveries(landing)
        first = next(arriving)
        assert rows(first) == ROWS
        first.committed()
        with pytest.raises(errors.FileEmpty) as caught:
            next(arriving)
        assert "2 files could not be read" in str(caught.value)
        assert "claims/c.csv (LAKE-204)" in str(caught.value)
        assert names(landing) == ["archive/2024/11/30/claims/b.csv", "claims/a.csv", "claims/c.csv"]

    def test_a_landing_folder_that_is_not_there(self, landing: Path) -> None:
        assert refused(landing / "nowhere").code == "LAKE-201"

    def test_a_file_that_changes_while_it_is_read(self, landing: Path) -> None:
        path = put(landing, CLAIMS)
        (delivery,) = deliveries(landing)
        path.write_text(CLAIMS.replace("10.00", "99.00"))
        with pytest.raises(errors.SourceFailed, match="changed while it was read"):
            rows(delivery)


class TestLinksAndNames:
    def test_a_link_out_of_the_landing_folder_is_refused(self, landing: Path, tmp_path_factory: Any) -> None:
        outside = put(tmp_path_factory.mktemp("elsewhere"), CLAIMS, "secret.csv")
        (landing / "claims" / "a.csv").symlink_to(outside)
        assert refused(landing).code == "LAKE-219"
        assert outside.exists()

    def test_so_is_a_linked_folder(self, landing: Path, tmp_path_factory: Any) -> None:
        outside = put(tmp_path_factory.mktemp("elsewhere"), CLAIMS, "secret.csv")
        (landing / "claims" / "more").symlink_to(outside.parent)
        assert refused(landing, feed("claims/more/*")).code == "LAKE-219"

    @pytest.mark.parametrize("at", ["../*", "/etc/*", "claims/../../*"])
    def test_so_is_a_pattern_that_leads_out(self, landing: Path, at: str) -> None:
        assert refused(landing, feed(at)).code == "LAKE-219"

    def test_a_link_within_the_folder_is_read(self, landing: Path) -> None:
        put(landing, CLAIMS, "store/real.csv")
        (landing / "claims" / "a.csv").symlink_to(landing / "store" / "real.csv")
        assert landed(landing) == [ROWS]

    @pytest.mark.parametrize(
        "name", ["with blank.csv", 'it\'s "q".csv', "größe€.csv", "-rf.csv", "a;b&$(x).csv", "[1].csv"]
    )
    def test_names_of_every_kind(self, landing: Path, name: str) -> None:
        put(landing, CLAIMS, f"claims/{name}")
        assert landed(landing) == [ROWS]
        assert names(landing) == [f"archive/2024/11/30/claims/{name}"]

    def test_a_name_that_would_move_the_cursor_is_shown_without(self, landing: Path) -> None:
        put(landing, b"", "claims/a\x1b[2J\n.csv")
        assert "claims/a?[2J?.csv" in str(refused(landing))

    def test_folders_hidden_files_and_what_is_archived_are_not_read(self, landing: Path) -> None:
        for folder in ("claims/.", "claims/.folder/", "archive/2024/11/29/claims/", "quarantine/claims/"):
            put(landing, CLAIMS, f"{folder}a.csv")
        assert landed(landing, feed("**/*")) == []


class TestSameContent:
    def content(self, text: str) -> str:
        return sha256(text.encode()).hexdigest()

    def test_it_is_known_by_its_bytes_unpacked(self, landing: Path) -> None:
        put(landing, CLAIMS, "claims/a.csv")
        put(landing, gzip.compress(CLAIMS.encode()), "claims/b.gz")
        first, second = deliveries(landing)
        assert first.content == second.content == self.content(CLAIMS)
        assert (rows(first), rows(second)) == (ROWS, [])

    def test_what_was_loaded_before_is_archived_and_not_loaded(self, landing: Path) -> None:
        put(landing, CLAIMS, "claims/renamed.csv")
        (delivery,) = deliveries(landing, progress=Progress(contents=frozenset([self.content(CLAIMS)])))
        assert (rows(delivery), delivery.schema.names) == ([], ["ClaimID", "ClaimAmount", "ClaimStatus"])
        assert "was loaded before" in delivery.warnings[0]
        assert names(landing) == ["claims/renamed.csv"]
        delivery.committed()
        assert names(landing) == ["archive/2024/11/30/claims/renamed.csv"]

    def test_a_feed_that_keeps_its_files_says_nothing_of_those_it_knows(self, landing: Path) -> None:
        put(landing, CLAIMS)
        assert landed(landing, feed(archive=False), Progress(contents=frozenset([self.content(CLAIMS)]))) == []
        assert names(landing) == ["claims/a.csv"]

    def test_a_run_killed_between_load_and_move_does_not_load_twice(self, landing: Path) -> None:
        put(landing, CLAIMS)
        (delivery,) = deliveries(landing)
        assert rows(delivery) == ROWS  # and killed here: `committed` is never called
        known = Progress(sequence=1, contents=frozenset([delivery.content or ""]))
        assert landed(landing, progress=known) == [[]]
        assert names(landing) == ["archive/2024/11/30/claims/a.csv"]


class TestTheArchive:
    def test_a_file_moves_when_its_load_exists_and_not_before(self, landing: Path) -> None:
        put(landing, CLAIMS, "claims/2024/a.csv")
        (delivery,) = deliveries(landing, feed("claims/**/*"))
        rows(delivery)
        assert names(landing) == ["claims/2024/a.csv"]
        delivery.committed()
        assert names(landing) == ["archive/2024/11/30/claims/2024/a.csv"]

    def test_another_file_of_that_name_is_never_written_over(self, landing: Path) -> None:
        for amount in ("1", "2", "3"):
            put(landing, f"ClaimID,ClaimAmount\nC1,{amount}\n")
            landed(landing)
        hashes = [sha256(f"ClaimID,ClaimAmount\nC1,{amount}\n".encode()).hexdigest()[:8] for amount in "23"]
        folder = "archive/2024/11/30/claims/"
        assert names(landing) == sorted([f"{folder}a.csv", *(f"{folder}a-{digest}.csv" for digest in hashes)])

    def test_the_same_file_again_and_again_is_counted(self, landing: Path) -> None:
        for _ in range(3):
            put(landing, CLAIMS)
            landed(landing)
        assert len(names(landing)) == 3

    def test_a_file_that_cannot_be_moved_is_a_warning(self, landing: Path) -> None:
        put(landing, CLAIMS)
        (landing / "archive").write_text("a file where the folder should be")
        (delivery,) = deliveries(landing)
        rows(delivery)
        delivery.committed()
        assert "could not be moved" in delivery.warnings[0]
        assert (landing / "claims" / "a.csv").exists()

    def test_a_feed_may_leave_its_files(self, landing: Path) -> None:
        put(landing, CLAIMS)
        assert landed(landing, feed(archive=False)) == [ROWS]
        assert names(landing) == ["claims/a.csv"]


class TestStillBeingWritten:
    @pytest.mark.parametrize("name", ["a.csv.part", "a.tmp", "a.csv.filepart", "A.TMP"])
    def test_names_of_unfinished_transfers_wait(self, landing: Path, name: str) -> None:
        put(landing, CLAIMS, f"claims/{name}")
        (delivery,) = deliveries(landing)
        assert (rows(delivery), delivery.content) == ([], None)
        assert delivery.warnings == [f"claims/{name} is still being written: it waits for the next run."]
        delivery.committed()
        assert names(landing) == [f"claims/{name}"]

    def test_a_file_that_grows_between_two_looks_waits(self, landing: Path) -> None:
        path = put(landing, CLAIMS)
        os.utime(path, (NOW.timestamp(), NOW.timestamp()))

        def more_arrives() -> None:
            with path.open("a") as file:
                file.write("C3,3,Paid\n")

        (delivery,) = deliveries(landing, pause=more_arrives)
        assert rows(delivery) == []
        assert "still being written" in delivery.warnings[0]

    def test_a_fresh_file_that_rests_is_read_and_an_old_one_is_not_waited_for(self, landing: Path) -> None:
        waits: list[None] = []
        path = put(landing, CLAIMS)
        os.utime(path, (NOW.timestamp(), NOW.timestamp()))
        assert landed(landing, pause=lambda: waits.append(None)) == [ROWS]
        put(landing, CLAIMS)
        landed(landing, pause=lambda: waits.append(None))
        assert len(waits) == 1


class TestTheHeadersContract:
    before = Progress(sequence=1, schema={"ClaimID": "string", "ClaimAmount": "string", "Note": "string"})

    def test_order_and_case_are_no_change(self, landing: Path) -> None:
        put(landing, "NOTE,claimid,CLAIMAMOUNT\nn,C1,1\n")
        (delivery,) = deliveries(landing, feed(contract="freeze"), self.before)
        assert delivery.schema.names == ["Note", "ClaimID", "ClaimAmount"]
        assert (rows(delivery), delivery.warnings) == ([("n", "C1", "1")], [])

    def test_evolve_lands_new_columns_and_does_without_those_nobody_needs(self, landing: Path) -> None:
        put(landing, "ClaimID,ClaimAmount,Copay\nC1,1,5\n")
        (delivery,) = deliveries(landing, progress=self.before)
        assert rows(delivery) == [("C1", "1", "5")]
        assert delivery.warnings == ["claims/a.csv has a new column Copay and no longer has Note."]

    @pytest.mark.parametrize(
        "says",
        [
            {"columns": {"a": "CAST(\"Paid Amount\" AS TEXT) || '-' || ClaimID"}},
            {"columns": {"a": "ClaimID"}, "key": ("Paid Amount",)},
            {"columns": {"a": "CASE WHEN [Paid Amount] > 1 THEN ClaimID END".replace("[", '"').replace("]", '"')}},
        ],
    )
    def test_a_column_that_is_needed_must_be_there(self, landing: Path, says: dict[str, Any]) -> None:
        put(landing, CLAIMS)
        error = refused(landing, feed(**says))
        assert error.code == "LAKE-204"
        assert "no column 'Paid Amount'" in str(error)

    def test_freeze_refuses_every_change_and_leaves_the_file(self, landing: Path) -> None:
        put(landing, "ClaimID,ClaimAmount,Note,Copay\nC1,1,n,5\n")
        error = refused(landing, feed(contract="freeze"), progress=self.before)
        assert error.code == "LAKE-216"
        assert "has a new column Copay" in str(error)
        assert names(landing) == ["claims/a.csv"]

    def test_quarantine_moves_it_aside_and_goes_on(self, landing: Path) -> None:
        put(landing, "ClaimID,ClaimAmount\nC1,1\n", "claims/a.csv")
        put(landing, "ClaimID,ClaimAmount,Note\nC1,1,n\n", "claims/b.csv")
        error = refused(landing, feed(contract="quarantine"), progress=self.before)
        assert error.code == "LAKE-216"
        assert names(landing) == ["archive/2024/11/30/claims/b.csv", "quarantine/claims/a.csv"]

    def test_the_first_file_of_a_frozen_feed_sets_its_columns(self, landing: Path) -> None:
        put(landing, CLAIMS)
        assert landed(landing, feed(contract="freeze")) == [ROWS]


class TestControlTotals:
    def feed(self) -> Feed:
        return feed(control={"suffix": ".ctl", "rows": "rows", "sum": "ClaimAmount"})

    @pytest.mark.parametrize("name", ["claims/a.csv.ctl", "claims/a.ctl"])
    def test_what_agrees_is_delivered_and_both_are_archived(self, landing: Path, name: str) -> None:
        put(landing, CLAIMS)
        put(landing, "Rows = 2\nClaimAmount=30.5\n", name)
        assert landed(landing, self.feed()) == [ROWS]
        assert names(landing) == [f"archive/2024/11/30/{file}" for file in sorted(["claims/a.csv", name])]

    def test_sums_are_exact(self, landing: Path) -> None:
        """0.1 + 0.2 is 0.3, and seventeen digits are not rounded."""
        put(landing, "ClaimID,ClaimAmount\nC1,0.1\nC2,0.2\nC3,90071992547409.93\nC4,\n")
        put(landing, "rows=4\nClaimAmount=90071992547410.23\n", "claims/a.csv.ctl")
        assert len(landed(landing, self.feed())[0]) == 4

    @pytest.mark.parametrize(
        ("says", "figures"),
        [("rows=3\nClaimAmount=30.50", ("2 rows", "3")), ("rows=2\nClaimAmount=30.51", ("30.50", "30.51"))],
    )
    def test_a_difference_names_both_figures(self, landing: Path, says: str, figures: tuple[str, str]) -> None:
        put(landing, CLAIMS)
        put(landing, says, "claims/a.csv.ctl")
        error = refused(landing, self.feed())
        assert error.code == "LAKE-217"
        assert all(figure in str(error) for figure in figures)
        assert names(landing) == ["claims/a.csv", "claims/a.csv.ctl"]

    def test_a_bad_line_breaks_the_control(self, landing: Path) -> None:
        put(landing, CLAIMS + "C3\n")
        put(landing, "rows=3\nClaimAmount=30.50", "claims/a.csv.ctl")
        assert "1 lines that are no rows" in str(refused(landing, self.feed()))

    @pytest.mark.parametrize("says", ["", "rows=many\n", "rows=2\n", "rows=NaN\nClaimAmount=30.5"])
    def test_a_control_file_without_its_figures(self, landing: Path, says: str) -> None:
        put(landing, CLAIMS)
        put(landing, says, "claims/a.csv.ctl")
        assert refused(landing, self.feed()).code == "LAKE-217"

    def test_an_amount_that_is_no_number_is_not_shown(self, landing: Path) -> None:
        put(landing, "ClaimID,ClaimAmount\nC1,Secretname\n")
        put(landing, "rows=1\nClaimAmount=1", "claims/a.csv.ctl")
        error = refused(landing, self.feed())
        assert error.code == "LAKE-217"
        assert "Secretname" not in str(error)

    def test_a_file_waits_for_its_control_file(self, landing: Path) -> None:
        put(landing, CLAIMS)
        (delivery,) = deliveries(landing, self.feed())
        assert rows(delivery) == []
        assert delivery.warnings == ["claims/a.csv waits for its control file, '*.ctl'."]
        put(landing, "rows=2\nClaimAmount=30.5\n", "claims/a.csv.ctl")
        assert landed(landing, self.feed()) == [ROWS]


def test_two_passes_over_a_large_file_hold_little_of_it(landing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """60 MB in blocks of 256 KB: what is held at once follows from the block and not from the file."""
    monkeypatch.setattr(files_text, "BLOCK", 1 << 18)
    row = b"C1,10.00," + b"x" * 90 + b"\n"
    put(landing, b"ClaimID,ClaimAmount,ClaimStatus\n" + row * 600_000)
    tracemalloc.start()
    try:
        (delivery,) = deliveries(landing)
        assert sum(batch.num_rows for batch in delivery.batches) == delivery.expected == 600_000
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_feed_without_files_delivers_nothing(landing: Path) -> None:
    assert landed(landing) == []
    assert landed(landing, replace(feed(), load="full")) == []


# --- what no feed takes ----------------------------------------------------------------------------------------------


def test_a_file_that_no_feed_takes_is_found_and_what_is_ours_or_ignored_is_not(landing):
    takes = [
        feed("claims/*hospital1*", control={"suffix": ".ctl"}),
        feed("claims/*hospital2*"),
        feed("npi/a*", ignore="npi/*"),
        feed("years/20??/*.csv"),
        feed("../elsewhere/*"),
        feed("/elsewhere/*"),
    ]
    for name in ("claims/hospital1.csv", "claims/hospital1.csv.ctl", "claims/hospital2.csv.part", "claims/.hidden",
                 "claims/below/hospital9.csv", "npi/a1.csv", "npi/header.csv", "years/2024/a.csv", "years/old/b.txt",
                 "archive/2024/11/30/claims/hospital9.csv", "quarantine/claims/hospital9.csv"):  # fmt: skip
        put(landing, CLAIMS, name)
    assert files_folder.unclaimed(takes, landing) == []
    names = ("claim/hospital1.csv", "claims/hospitl1.csv", "hospital1.csv", "years/2023/a.txt")
    missed = [put(landing, CLAIMS, name) for name in names]
    assert [path for path, _ in files_folder.unclaimed(takes, landing)] == missed
    far = put(landing, CLAIMS, "one/two/b.txt")  # feeds of two sources may have one name
    assert far in [path for path, _ in files_folder.unclaimed([feed("one/two/a*"), feed("claims/a*")], landing)]
    for at in ("*.csv", "**/*.csv"):
        beside = put(landing, CLAIMS, f"beside{len(at)}.txt")
        assert beside in [path for path, _ in files_folder.unclaimed([feed(at)], landing)]
