"""What every verb of the engine promises, and that none of them leaves a value where it does not belong."""

from __future__ import annotations

import traceback
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from carelake import delivered
from carelake.engine import Engine
from carelake.engine.duck import Duck
from carelake.engine.duck_write import TableUpgraded
from carelake.engine.spark_write import activate
from carelake.errors import EngineFailed, LakeFull, SourceFailed
from carelake.foreign import in_our_words
from carelake.source import Delivery

COLUMNS = {"k": "BIGINT", "name": "TEXT", "amount": "DECIMAL(18, 2)", "at": "TIMESTAMPTZ"}
ANN = "SELECT 1 AS k, 'ann' AS name, CAST(10.10 AS DECIMAL(18, 2)) AS amount, CAST('2026-01-01' AS TIMESTAMPTZ) AS at"
BOB = ANN.replace("1 AS k", "2 AS k").replace("'ann'", "'bob'")


def in_capitals(column: str, rows: pa.Table) -> pa.Table:
    return pa.table({column: [value.upper() for value in rows[column].to_pylist()]})


def held(engine: Engine) -> list[tuple[int, str]]:
    return [(row["k"], row["name"]) for row in engine.ask("SELECT k, name FROM silver.t ORDER BY k").to_pylist()]


def test_append_and_replace_make_versions(engine):
    engine.create("silver.t", COLUMNS, ["k"])
    assert engine.append("silver.t", ANN) == 1
    assert engine.append("silver.t", BOB) == 2
    assert held(engine) == [(1, "ann"), (2, "bob")]
    assert engine.replace("silver.t", BOB) == 3
    assert held(engine) == [(2, "bob")]


def test_a_table_replaced_keeps_its_marks_and_its_plain_columns(engine, tmp_path):
    engine.create("silver.t", COLUMNS, ["k"])
    engine.append("silver.t", ANN, {"t/a/f#1": 7})
    engine.replace("silver.t", "SELECT * FROM silver.t")
    assert engine.marked("silver.t", "t/a/f#1") == 7
    assert DeltaTable(str(tmp_path / "silver/t")).metadata().configuration["delta.dataSkippingStatsColumns"] == "k"


def test_rows_of_files_are_numbered_through_the_parts_of_a_folder(engine, tmp_path):
    for folder, parts in (("one", ("ab", "c")), ("two", ("d",))):
        (tmp_path / folder).mkdir()
        for n, letters in enumerate(parts):
            pq.write_table(pa.table({"x": list(letters)}), tmp_path / folder / f"part-{n:04}.parquet")
    engine.show("shown", sorted(tmp_path.glob("*/part-*.parquet")), "row")
    told = {row["x"]: row["row"] for row in engine.ask("SELECT * FROM shown").to_pylist()}
    assert told == {"a": 0, "b": 1, "c": 1_000_000_000, "d": 0}


def test_a_mark_is_committed_with_the_rows_even_with_none_and_never_twice(engine):
    engine.create("silver.t", COLUMNS, ["k"])
    assert engine.marked("silver.t", "t/a/f#1") == 0
    engine.append("silver.t", ANN, {"t/a/f#1": 1})
    engine.append("silver.t", f"{ANN} WHERE FALSE", {"t/a/f#1": 2})
    assert engine.marked("silver.t", "t/a/f#1") == 2
    for again in (1, 2):
        with pytest.raises(EngineFailed):
            engine.append("silver.t", BOB, {"t/a/f#1": again})
    assert held(engine) == [(1, "ann")]


def test_a_second_writer_that_commits_first_is_noticed_by_the_first(engine, make_engine, tmp_path):
    engine.create("silver.t", COLUMNS, ["k"])
    other = make_engine({"silver": tmp_path}, tmp_path / "staging")
    other.append("silver.t", ANN, {"t/a/f#1": 1})
    with pytest.raises(EngineFailed):
        engine.append("silver.t", BOB, {"t/a/f#1": 1})
    assert held(engine) == [(1, "ann")]


def test_a_column_that_is_added_is_empty_in_what_was_stored_before(engine):
    engine.create("silver.t", COLUMNS, ["k"])
    engine.append("silver.t", ANN)
    engine.create("silver.t", {**COLUMNS, "born": "DATE"}, ["k"])
    assert engine.ask("SELECT k, born FROM silver.t").to_pylist() == [{"k": 1, "born": None}]
    assert engine.columns("silver.t")["born"] == "DATE"


def test_an_empty_table_can_be_read(engine):
    engine.create("silver.t", COLUMNS, ["k"])
    assert engine.ask("SELECT COUNT(*) AS n FROM silver.t").to_pylist() == [{"n": 0}]
    assert engine.columns("silver.nothing") == {}
    assert engine.version("silver.nothing") is None


def test_a_note_tells_what_a_table_was_made_of(engine):
    engine.replace("gold.g", ANN, note="made of x")
    assert engine.note("gold.g") == "made of x"
    engine.replace("gold.g", ANN)
    assert engine.note("gold.g") == ""


TOLD = (
    "SELECT CAST({} AS BIGINT) AS k, CAST({} AS BIGINT) AS load, '{}' AS name, CAST({} AS BIGINT) AS last, {} AS gone"
)


def stood(engine: Engine) -> list[str]:
    return sorted(engine.ask("SELECT name FROM silver.standing")["name"].to_pylist())


def test_of_rows_alike_the_last_revision_stands_unless_it_is_gone(engine):
    engine.create("silver.t", {"k": "BIGINT", "load": "BIGINT", "name": "TEXT", "last": "BIGINT", "gone": "BOOLEAN"})
    engine.stand("silver.standing", "silver.t", ["k", "load"], "last", "gone")
    assert stood(engine) == []
    first = [(1, 1, "ann", 0, False), (1, 2, "anna", 0, False), (2, 1, "bob", 0, False), (3, 1, "cas", 0, False)]
    engine.append("silver.t", " UNION ALL ".join(TOLD.format(*row) for row in first))
    assert stood(engine) == ["ann", "anna", "bob", "cas"]
    again = [(1, 1, "ann, closed", 1, False), (2, 1, "bob", 1, True)]
    engine.append("silver.t", " UNION ALL ".join(TOLD.format(*row) for row in again))
    assert stood(engine) == ["ann, closed", "anna", "cas"]
    later = [(1, 1, "ann, twice", 3, False), (2, 1, "bob, back", 2, False), (4, 9, "dot", 0, False)]
    engine.append("silver.t", " UNION ALL ".join(TOLD.format(*row) for row in later))
    assert stood(engine) == ["ann, twice", "anna", "bob, back", "cas", "dot"]
    assert engine.ask("SELECT * FROM silver.standing").column_names == ["k", "load", "name", "last", "gone"]
    engine.compact("silver.t", ["k"])
    assert stood(engine) == ["ann, twice", "anna", "bob, back", "cas", "dot"]
    engine.replace("silver.t", f"SELECT * FROM ({TOLD.format(7, 1, 'eve', 0, 'FALSE')}) AS one")
    assert stood(engine) == ["eve"]


def test_as_of_is_the_one_parameter(engine):
    assert engine.ask("SELECT $as_of AS day", date(2026, 2, 28)).to_pylist() == [{"day": date(2026, 2, 28)}]
    assert engine.hold("h", "SELECT $as_of AS day", date(2026, 2, 28)) == 1
    assert engine.ask("SELECT YEAR(day) AS year FROM h").to_pylist() == [{"year": 2026}]


def test_what_was_lent_shown_or_held_is_gone_when_let_go(engine, tmp_path):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "a.parquet")
    engine.lend("lent", pa.table({"a": [1]}))
    engine.show("shown", [tmp_path / "a.parquet"])
    engine.hold("held", "SELECT a FROM shown")
    assert engine.ask("SELECT lent.a FROM lent INNER JOIN held ON held.a = lent.a").num_rows == 1
    engine.let_go("lent", "shown", "held", "never was")
    for name in ("lent", "shown", "held"):
        with pytest.raises(EngineFailed):
            engine.ask(f"SELECT a FROM {name}")


def test_a_write_that_fails_changes_nothing_and_quotes_nobody(engine):
    engine.create("silver.t", COLUMNS, ["k"])
    engine.append("silver.t", ANN.replace("ann", "zebra"))
    with pytest.raises(EngineFailed) as failed:
        engine.replace("silver.t", "SELECT CAST(name AS DATE) AS name FROM silver.t")
    assert "'replace'" in str(failed.value)
    assert "zebra" not in "".join(traceback.format_exception(failed.value))
    assert held(engine) == [(1, "zebra")]


@pytest.mark.parametrize("words", ["No space left on device", "Disk quota exceeded", "IO Error: File too large"])
def test_a_full_disk_is_said_as_such(words):
    with pytest.raises(LakeFull), in_our_words("append"):
        raise OSError(words)


def test_no_value_of_an_identified_column_is_in_the_log_or_in_a_footer(engine, tmp_path):
    """The log keeps statistics, predicates and settings; a footer keeps statistics: of plain columns only."""
    engine.create("silver.t", COLUMNS, ["k"])
    engine.append("silver.t", ANN.replace("ann", "zebra"))
    engine.replace("silver.t", BOB.replace("bob", "walrus"))
    engine.replace("gold.g", ANN.replace("ann", "ocelot"))
    log = "".join(path.read_text() for path in tmp_path.rglob("_delta_log/*.json"))
    assert log.count("commitInfo") == 4
    for name in ("zebra", "walrus", "ocelot", "10.1"):
        assert name not in log
    for file in tmp_path.rglob("part-*.parquet"):
        group = pq.read_metadata(file).row_group(0)
        told = {group.column(i).path_in_schema: group.column(i).is_stats_set for i in range(group.num_columns)}
        assert {name for name, is_set in told.items() if is_set} <= {"k"}, file


def test_decimals_of_eighteen_digits_are_found_by_equality(engine):
    """Delta's statistics of decimals are floats: a reader that trusts them loses rows from sixteen digits on."""
    engine.create("silver.t", COLUMNS, ["k"])
    values = [f"12345678901234{n:02d}.{n:02d}" for n in range(40)]
    engine.append("silver.t", " UNION ALL ".join(ANN.replace("10.10", value) for value in values))
    filtered = "SELECT k FROM silver.t WHERE amount = CAST('{}' AS DECIMAL(18, 2))"
    assert [engine.ask(filtered.format(value)).num_rows for value in values[::4]] == [1] * 10


def test_a_table_is_of_the_portable_protocol(engine, tmp_path):
    engine.create("silver.t", COLUMNS, ["k"])
    engine.append("silver.t", ANN)
    protocol = DeltaTable(str(tmp_path / "silver/t")).protocol()
    assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2)


def test_what_a_function_gives_is_read_like_a_table(engine):
    engine.lend("lent", partial(pa.table, {"a": [1, 2]}))
    assert engine.ask("SELECT SUM(a) AS n FROM lent").to_pylist() == [{"n": 3}]


def test_what_a_reader_has_brought_is_nowhere_once_it_is_let_go(engine, tmp_path):
    rows = pa.table({"a": ["ann", "bob"]}).to_reader()
    engine.lend("lent", rows)
    assert engine.hold("kept", "SELECT a FROM lent") == 2
    engine.let_go("lent")
    assert engine.ask("SELECT COUNT(*) AS n FROM kept").to_pylist() == [{"n": 2}]
    engine.let_go("kept")
    assert [path for path in (tmp_path / "staging").rglob("*") if path.is_file()] == []


def test_a_source_that_breaks_off_says_so_itself_and_leaves_nothing_of_its_rows(engine, tmp_path):
    rows = pa.record_batch({"a": ["ann", "bob"]})

    def broken():
        yield rows
        raise SourceFailed("one.roll: the connection is gone.", "Ask again.")

    delivery = Delivery("roll", rows.schema, broken(), whole=True)
    with pytest.raises(SourceFailed, match="the connection is gone"):
        delivered.staged(engine, delivered.Wanted(delivery, "${ONE}", 1, tmp_path / "staging/load"))
    spooled = [path for path in (tmp_path / "staging").rglob("*.parquet") if "load" not in path.parts]
    assert spooled == []
    assert engine.columns("delivered") == {}


def test_rows_are_made_anew_by_a_function(engine):
    engine.hold("before", "SELECT 1 AS k, 'ann' AS name UNION ALL SELECT 2, 'bob'")
    assert engine.transform("after", "SELECT * FROM before", partial(in_capitals, "name"), {"name": "TEXT"}) == 2
    assert sorted(engine.ask("SELECT name FROM after")["name"].to_pylist()) == ["ANN", "BOB"]


def test_each_engine_reads_what_the_other_has_marked_and_noted_and_superseded(spark_engine, tmp_path):
    """One lake, two engines in turn: what one has committed, the other has to know of."""
    for one, other in ((Duck, type(spark_engine)), (type(spark_engine), Duck)):
        writer = one(spark_engine.stored.roots, tmp_path / "staging")
        writer.replace("gold.g", ANN, note="made of x", marks={"g/a/f#1": (writer.marked("gold.g", "g/a/f#1") + 1)})
        many = " UNION ALL ".join(ANN.replace("1 AS k", f"{n} AS k") for n in range(1, 101))
        writer.replace("gold.many", f"SELECT * FROM ({many}) AS every")
        writer.hold("touched", "SELECT 1 AS k UNION ALL SELECT 2 AS k")
        writer.supersede("gold.many", "k", ANN.replace("'ann'", "'zoe'"), note="anew")
        again = other(writer.stored.roots, tmp_path / "staging")
        assert again.note("gold.g") == "made of x"
        assert again.marked("gold.g", "g/a/f#1") == writer.marked("gold.g", "g/a/f#1") > 0
        assert again.state("gold.many") == writer.state("gold.many")
        assert again.note("gold.many") == "anew"
        told = again.ask("SELECT k, name FROM gold.many WHERE k < 4 ORDER BY k").to_pylist()
        assert told == [{"k": 1, "name": "zoe"}, {"k": 3, "name": "ann"}]
        again.compact("gold.many")
        assert again.state("gold.many") == writer.state("gold.many")


def changes(engine, since):
    """What Delta's change data feed tells of `silver.t` from a version on."""
    reader = engine.session.read.format("delta").option("readChangeFeed", "true").option("startingVersion", since)
    rows = reader.load(str(engine.stored.at("silver.t"))).collect()
    return sorted((row["_commit_version"], row["_change_type"], row["k"], row["name"]) for row in rows)


@pytest.mark.prove
def test_what_others_delete_and_change_in_an_upgraded_table_is_kept_and_vacuumed_with_it(spark_engine, tmp_path):
    many = " UNION ALL ".join(ANN.replace("1 AS k", f"{n} AS k") for n in range(1, 9))
    spark_engine.create("silver.t", COLUMNS, ["k"])
    spark_engine.append("silver.t", f"SELECT * FROM ({many}) AS every ORDER BY k")
    spark_engine.compact("silver.t")
    spark_engine.upgrade("silver.t")
    place, session = spark_engine.stored.at("silver.t"), spark_engine.session
    activate(session)
    session.sql(f"DELETE FROM delta.`{place}` WHERE k > 2")
    session.sql(f"UPDATE delta.`{place}` SET name = 'bob' WHERE k = 2")
    (tmp_path / "other").mkdir()
    again = type(spark_engine)({"silver": tmp_path}, tmp_path / "other")
    version = again.version("silver.t")
    told = [(version, "update_postimage", 2, "bob"), (version, "update_preimage", 2, "ann")]
    assert (held(again), changes(again, version)) == ([(1, "ann"), (2, "bob")], told)
    marking, telling = list(place.glob("deletion_vector_*.bin")), list(place.glob("_change_data/*.parquet"))
    assert marking
    assert telling
    assert again.strays("silver.t") == []
    assert set(marking) <= set(again.files("silver.t", []))
    soon, late = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    assert again.unneeded("silver.t", [], soon) == []
    assert set(telling) <= set(again.unneeded("silver.t", [], late))
    assert not set(marking) & set(again.unneeded("silver.t", [], late))
    for file in again.unneeded("silver.t", [], late):
        file.unlink()
    assert held(again) == [(1, "ann"), (2, "bob")]
    assert again.flaws("silver.t", []) == []


def test_a_table_that_only_spark_may_write_is_refused_before_anything_is_touched(spark_engine, tmp_path):
    spark_engine.create("silver.t", COLUMNS, ["k"])
    spark_engine.append("silver.t", ANN, {"t/a/f#1": 1})
    assert spark_engine.upgrade("silver.t", dry_run=True)
    assert spark_engine.upgrade("silver.t")
    assert not spark_engine.upgrade("silver.t", dry_run=True)
    version = spark_engine.append("silver.t", BOB, {"t/a/f#1": 2})
    assert held(spark_engine) == [(1, "ann"), (2, "bob")]
    assert changes(spark_engine, version) == [(version, "insert", 2, "bob")]
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(TableUpgraded, match="--engine spark"):
        Duck({"silver": tmp_path, "gold": tmp_path}, tmp_path / "staging")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_column_that_files_have_in_two_types_has_the_wider_one(engine, tmp_path):
    """What a source may become: whole numbers with decimals, days with times, more digits."""
    older = {
        "amount": pa.array([5, 10], pa.int64()),
        "small": pa.array([1, 2], pa.int32()),
        "day": pa.array([date(2024, 10, 4)] * 2),
        "digits": pa.array([Decimal("1.5"), Decimal("2.5")], pa.decimal128(10, 1)),
    }
    newer = {
        "amount": pa.array([Decimal("7.25")], pa.decimal128(10, 2)),
        "small": pa.array([Decimal("0.5")], pa.decimal128(18, 1)),
        "day": pa.array([datetime(2024, 10, 5, 1)], pa.timestamp("us")),
        "digits": pa.array([Decimal("2.125")], pa.decimal128(8, 3)),
    }
    files = [tmp_path / "older.parquet", tmp_path / "newer.parquet"]
    for path, columns in zip(files, (older, newer), strict=True):
        pq.write_table(pa.table(columns), path)
    engine.show("shown", files)
    told = engine.ask(
        "SELECT MAX(amount) AS amount, MAX(small + 1) AS small, MAX(day) AS day, MIN(CAST(day AS TEXT)) AS told,"
        " SUM(digits) AS digits, MIN(CAST(amount AS TEXT)) AS text FROM shown"
    ).to_pylist()
    day = datetime(2024, 10, 5, 1)
    assert told == [
        {
            "amount": Decimal("10.00"), "small": Decimal("3.0"), "day": day, "told": "2024-10-04 00:00:00",
            "digits": Decimal("6.125"), "text": "10.00",
        }
    ]  # fmt: skip
    engine.let_go("shown")
