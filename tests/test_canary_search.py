"""The search for identifiers is proven: whatever is planted in whatever place, in whatever form, is found there."""

from __future__ import annotations

import base64
import gzip
import logging
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from canaries import LONG, Finding, Place, Planted, Search, forms
from canary_places import files, logged, raised, said, shipped_words, temporary
from deltalake import CommitProperties, DeltaTable, write_deltalake

VALUES = ("O'Quux, 1-555-867-5309, Q77", "987-65-4320", "1899-07-19", "zébedina@quuxworth.example")
SOUND = b"nothing of anybody"
Plant = Callable[[Path, bytes], "Iterator[Place]"]


def is_text(form: bytes) -> bool:
    try:
        return form.decode().isprintable()
    except UnicodeDecodeError:
        return False


def column(form: bytes) -> pa.Array:
    return pa.array([form.decode()]) if is_text(form) else pa.array([form])


# --- a place, and how something comes into it ------------------------------------------------------------------------


def in_a_page(folder: Path, form: bytes) -> Iterator[Place]:
    (folder / "page.html").write_bytes(b"<td>" + form + b"</td>")
    return files(folder)


def in_the_middle_of_bytes(folder: Path, form: bytes) -> Iterator[Place]:
    (folder / "spilled").write_bytes(os.urandom(5_000) + b"\0" + form + b"\0" + os.urandom(5_000))
    return files(folder)


def in_a_name_of_a_file(folder: Path, form: bytes) -> Iterator[Place]:
    (folder / form.decode()).touch()
    return files(folder)


def in_a_packed_file(folder: Path, form: bytes) -> Iterator[Place]:
    (folder / "log.gz").write_bytes(gzip.compress(form))
    return files(folder)


def in_the_values_of_parquet(folder: Path, form: bytes) -> Iterator[Place]:
    pq.write_table(pa.table({"a": column(form)}), folder / "a.parquet", compression="zstd", use_dictionary=False)
    return only(folder, "a.parquet: a")


def in_an_entry_of_a_dictionary_that_no_row_has(folder: Path, form: bytes) -> Iterator[Place]:
    entries = pa.concat_arrays([column(SOUND) if is_text(form) else pa.array([SOUND]), column(form)])
    table = pa.table({"a": pa.DictionaryArray.from_arrays(pa.array([0, 0]), entries)})
    pq.write_table(table, folder / "a.parquet", compression="zstd", write_statistics=False)
    return only(folder, "a.parquet: a")


def in_the_statistics_of_parquet(folder: Path, form: bytes) -> Iterator[Place]:
    pq.write_table(pa.table({"a": column(form)}), folder / "a.parquet")
    return only(folder, "a.parquet: statistics")


def in_the_key_value_metadata_of_parquet(folder: Path, form: bytes) -> Iterator[Place]:
    pq.write_table(pa.table({"a": [1]}).replace_schema_metadata({"note": form}), folder / "a.parquet")
    return only(folder, "a.parquet: key-value metadata")


def in_a_list_within_parquet(folder: Path, form: bytes) -> Iterator[Place]:
    table = pa.table({"a": pa.array([[{"b": [form]}]])})
    pq.write_table(table, folder / "a.parquet", compression="zstd", write_statistics=False)
    return only(folder, "a.parquet: a")


def in_the_commit_info_of_delta(folder: Path, form: bytes) -> Iterator[Place]:
    note = CommitProperties(custom_metadata={"note": form.decode()})
    write_deltalake(folder, pa.table({"a": [1]}), commit_properties=note)
    return only(folder, "_delta_log/00000000000000000000.json")


def in_the_statistics_of_a_delta_log(folder: Path, form: bytes) -> Iterator[Place]:
    write_deltalake(folder, pa.table({"a": column(form)}))
    return only(folder, "_delta_log/00000000000000000000.json")


def in_a_checkpoint_of_delta(folder: Path, form: bytes) -> Iterator[Place]:
    write_deltalake(folder, pa.table({"a": column(form)}))
    DeltaTable(folder).create_checkpoint()
    return (place for place in files(folder) if "checkpoint.parquet: " in place.where)


def in_the_journal(folder: Path, form: bytes) -> Iterator[Place]:
    with closing(sqlite3.connect(folder / "journal.sqlite")) as db:
        db.execute("CREATE TABLE event (said)")
        db.execute("INSERT INTO event VALUES (?)", [form.decode()])
        db.commit()
    return only(folder, "journal.sqlite: rows")


def in_a_log_line(folder: Path, form: bytes) -> Iterator[Place]:
    with logged() as logs:
        logging.getLogger("some.library").debug("read %s", form.decode())
        yield from logs()


def in_a_warning(folder: Path, form: bytes) -> Iterator[Place]:
    with logged() as logs:
        warnings.simplefilter("always")
        warnings.warn(form.decode(), stacklevel=1)
        yield from logs()


def in_an_error(folder: Path, form: bytes) -> Iterator[Place]:
    return iter(raised("an error", ValueError(form.decode())))


def in_what_an_error_was_raised_from(folder: Path, form: bytes) -> Iterator[Place]:
    try:
        try:
            raise ValueError(form.decode())
        except ValueError as error:
            raise RuntimeError("it failed") from error
    except RuntimeError as error:
        return iter(raised("an error", error))


def in_what_is_printed(folder: Path, form: bytes) -> Iterator[Place]:
    code = "import sys; sys.stdout.buffer.write(sys.argv[1].encode()); sys.stderr.write('done')"
    done = subprocess.run([sys.executable, "-S", "-c", code, form.decode()], capture_output=True, check=True)
    return iter(said("what was printed", done.stdout, done.stderr))


def in_a_temporary_file_that_is_gone_again(folder: Path, form: bytes) -> Iterator[Place]:
    with temporary(folder / "temporary") as passing, tempfile.NamedTemporaryFile() as file:
        file.write(form)
        file.flush()
        for _ in range(200):
            if any(passing.seen.values()):
                break
            time.sleep(0.01)
    assert not list((folder / "temporary").iterdir())
    return iter(passing.places())


def only(folder: Path, name: str) -> Iterator[Place]:
    (place,) = (place for place in files(folder) if place.where == name)
    return iter([place])


ANY_BYTES = (
    in_a_page, in_the_middle_of_bytes, in_a_packed_file, in_the_values_of_parquet, in_the_statistics_of_parquet,
    in_an_entry_of_a_dictionary_that_no_row_has, in_a_list_within_parquet,
)  # fmt: skip
TEXT = (
    in_a_name_of_a_file, in_the_key_value_metadata_of_parquet, in_the_commit_info_of_delta, in_a_log_line, in_an_error,
    in_the_statistics_of_a_delta_log, in_a_checkpoint_of_delta, in_the_journal, in_a_warning,
    in_what_an_error_was_raised_from, in_what_is_printed, in_a_temporary_file_that_is_gone_again,
)  # fmt: skip


# --- whatever is planted is found ------------------------------------------------------------------------------------


@pytest.mark.parametrize("plant", [*ANY_BYTES, *TEXT])
def test_each_form_is_found_in_each_place_and_in_a_sound_one_nothing(plant: Plant, tmp_path: Path) -> None:
    value = VALUES[0]
    search = Search([Planted("name", value)])
    fits = {in_a_name_of_a_file: lambda form: is_text(form) and b"/" not in form}.get(plant, is_text)
    tried = {form: name for name, form in forms(value) if plant in ANY_BYTES or fits(form)}
    assert len(set(tried.values())) >= (35 if plant in ANY_BYTES else 25)
    for number, (form, name) in enumerate(tried.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert {one.kind for one in search.found(plant(folder, form))} == {"name"}, name
    (sound := tmp_path / "sound").mkdir()
    assert search.found(plant(sound, SOUND)) == set()


@pytest.mark.parametrize("value", VALUES)
def test_each_form_of_each_identifier_is_found_and_known_by_its_name(value: str) -> None:
    search, known_as = Search([Planted("kind", value)]), dict[bytes, str]()
    for name, form in forms(value):
        known_as.setdefault(form, name)
        for text in (form, b"\xff" * 3 + form, b"a line\n" + form + b"\nanother"):
            assert Finding("kind", known_as[form], "here") in search.found([Place("here", text)]), name


def test_what_a_form_is_made_of_was_worked_out_elsewhere() -> None:
    """By `printf 'Ada Byron' | base64`, `sha256sum` and so on; in base64 at 1 and 2, an `x` or two stand before it."""
    told = {form for _, form in forms("Ada Byron")}
    for form in (
        b"Ada Byron", b"ada byron", b"ADA BYRON", b"noryB adA", b"Ada%20Byron", b"Ada+Byron",
        b"A\0d\0a\0 \0B\0y\0r\0o\0n\0", b"QWRhIEJ5cm9u", b"FkYSBCeXJvb", b"BZGEgQnlyb2",
        b"14c64d9a395d3a91", b"14C64D9A395D3A91", b"CTDE3GRZLU5J", b"c4cf3321cc534be4",
        bytes.fromhex("33f841172edd0097"), bytes.fromhex("f1ce614dddcb971a"),
    ):  # fmt: skip
        assert form in told, form
    assert b"987654320" in {form for _, form in forms("987-65-4320")}
    assert b"07/19/1899" in {form for _, form in forms("1899-07-19")}


# --- and what only looks like it is not ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("planted", "found", "not_found"),
    [
        ("Rosa", b"for Rosa, of ward 7", b"Rosalind rosary Rosa2"),
        ("73301", b"a\n73301\nb", b"73301.50\n$73301 and x73301\n733011"),
        ("73301", b'{"zip":"73301"}', b'{"rows":73301}'),
        ("73301", b"73301\n#5", b"#73301\n73302"),
        ("HOSP1-000123", b"of HOSP1-000123Z", b"HOSP1-000124"),
        ("987-65-4320", b"(987654320)", b"00987654320ab"),
        ("K", b"", b"K\n"),
        ("June", b"", b"June"),
    ],
)
def test_what_is_short_or_digits_alone_is_found_where_it_stands_alone(
    planted: str, found: bytes, not_found: bytes
) -> None:
    search = Search([Planted("kind", planted)], ordinary=frozenset([b"June", b"june", b"JUNE"]))
    assert bool(search.found([Place("here", found)])) == bool(found)
    assert search.found([Place("here", not_found)]) == set()
    assert search.found([Place("here", b"\xff" + found, is_text=False)]) == set() or len(planted) >= LONG


def test_what_is_left_out_is_counted() -> None:
    planted = [Planted("name_part", value) for value in ("K", "June", "Rosa", "Zebedina", "Al B")]
    search = Search(planted, ordinary=frozenset([b"June"]))
    assert {why: many for why, many in search.left_out.items() if many} == {
        "too short: name_part": 1, "an ordinary word: name_part": 1, "short, and no word: name_part": 1,
    }  # fmt: skip
    assert search.kinds == {"name_part": 2}
    assert b"Zebedina" not in shipped_words()
    assert {b"Delta", b"hospital", b"fields"} <= shipped_words()


def people(many: int) -> list[Planted]:
    """Their names, numbers and days of birth."""
    born = [f"{1900 + n % 100}-{1 + n % 12:02}-{1 + n % 28:02}" for n in range(many)]
    numbers = [f"9{n % 100:02}-{n % 90 + 10}-{n:04}" for n in range(many)]
    return [*(Planted("birth_date", day) for day in born), *(Planted("ssn", number) for number in numbers),
            *(Planted("name", f"Q{n}x Zebe{n:04}din") for n in range(many))]  # fmt: skip


def chance(size: int) -> Iterator[Place]:
    """What has no identifier in it: bytes as if encrypted, as hexadecimal and base64, and amounts and counts."""
    draw = random.Random(7)
    for _ in range(4):
        raw = draw.randbytes(size // 8)
        yield Place("bytes", raw, is_text=False)
        yield Place("hex", raw[: size // 16].hex().encode())
        yield Place("base64", base64.b64encode(raw[: size // 16]))
    yield Place("amounts", "\n".join(f"{draw.randrange(10**8) / 100:.2f}" for _ in range(size // 80)).encode())


def test_nothing_is_found_by_chance() -> None:
    assert Search(people(500)).found(chance(8_000_000)) == set()


@pytest.mark.prove
def test_nothing_is_found_by_chance_in_100_mb() -> None:
    search, places = Search(people(6_000)), list(chance(80_000_000))
    assert len(search.keys) > 1_000_000
    assert sum(len(place.content) for place in places) > 90_000_000
    assert search.found(places) == set()
