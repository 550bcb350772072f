"""The sums of rows: what the documentation says of them gives the numbers in the file."""

from __future__ import annotations

import hashlib
import math
import random
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exptrack import Archive, Run
from exptrack.database.functions import add_wrapping
from exptrack.database.migrations import read_schema
from exptrack.database.row_sums import hash_row, sum_points, sum_words, wrap_sum
from exptrack.runs.row_sums import OF_GROUP, OF_RUN, OF_STUDY, OF_TRIAL
from tests.strategies import INT64

FACTORS = (0x9E3779B97F4A7C15, 0x3243F6A8885A308D, 0x313198A2E0370735, 0xA4093822299F31D1)
POINTS = st.lists(st.tuples(INT64, st.integers(0, 9), INT64, st.floats()), max_size=20)


def signed(total: int) -> int:
    return int.from_bytes((total % 2**64).to_bytes(8, "big"), "big", signed=True)


def test_the_hash_of_a_row_is_what_the_documentation_says() -> None:
    row = ("tag", 'ä"\x7f\n', 2**53 + 1, 0.1, None, math.inf)
    text = '["tag","ä\\"\x7f\\n",9007199254740993,"3fb999999999999a",null,"7ff0000000000000"]'
    expected = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)
    assert hash_row("tag", row[1:]) == expected


@given(st.lists(INT64))
def test_sums_wrap_alike_in_python_and_sql(numbers: list[int]) -> None:
    total = 0
    for number in numbers:
        total = add_wrapping(total, number)
    assert total == wrap_sum(sum(numbers)) == signed(sum(numbers))


@given(POINTS)
def test_the_sum_of_points_is_what_the_documentation_says(points: list[tuple[int, int, int, float]]) -> None:
    expected = 0
    for *integers, value in points:
        stored = math.nan if math.isnan(value) else value + 0.0
        (bits,) = struct.unpack("<q", struct.pack("<d", stored))
        expected += sum(factor * number for factor, number in zip(FACTORS, (*integers, bits), strict=True))
    columns = [list(column) for column in zip(*points, strict=True)] or [[], [], [], []]
    assert wrap_sum(sum_points(*columns)) == signed(expected)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 1023, 1024, 1025, 5000])
@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_many_words_are_summed_at_once(count: int, byteorder: Literal["little", "big"]) -> None:
    for data in (random.Random(count).randbytes(8 * count), b"\xff" * 8 * count):
        words = struct.unpack(f"{'<' if byteorder == 'little' else '>'}{count}Q", data)
        assert sum_words(data, byteorder) == sum(words)


@given(INT64, st.integers(0, 9), INT64, st.floats(allow_nan=False), st.integers(0, 3), st.integers(0, 62))
def test_a_flipped_bit_of_a_point_changes_the_sum(
    step: int, seq: int, time_ms: int, value: float, column: int, bit: int
) -> None:
    def sum_of(step: int, seq: int, time_ms: int, bits: int) -> int:
        (number,) = struct.unpack("<d", struct.pack("<q", bits))
        return wrap_sum(sum_points([step], [seq], [time_ms], [number]))

    (bits,) = struct.unpack("<q", struct.pack("<d", value + 0.0))
    numbers = [step, seq, time_ms, bits]
    before = sum_of(*numbers)
    numbers[column] ^= 1 << bit
    (after,) = struct.unpack("<d", struct.pack("<q", numbers[3]))
    if after == value or math.isnan(after):
        return  # NaN and -0.0 are not stored so
    assert sum_of(*numbers) != before


CHANGES: dict[str, Callable[[Run], object]] = {
    "tag": lambda run: run.add_tag("b"),
    "untag": lambda run: run.remove_tag("a"),
    "note": lambda run: run.add_note("again"),
    "event": lambda run: run.append_event("mark"),
    "artifact": lambda run: run.artifacts.register_data("w", b"2"),
    "removal": lambda run: run.artifacts.remove("w", 1),
    "use": lambda run: run.use_artifact("w"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_written_later_does_not_hide_damage(tmp_path: Path, change: str) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        run = archive.start_run({"lr": 0.1}, ["a"])
        run.add_note("do not use these weights")
        run.artifacts.register_data("w", b"1")
        run.complete()
    connection = sqlite3.connect(tmp_path / "lab.db")
    connection.execute("UPDATE note SET text = 'do now use these weights'")
    connection.commit()
    connection.close()
    with Archive(tmp_path / "lab.db") as archive:
        assert not archive.verify().ok
        CHANGES[change](archive.get_run(run.run_id))
        assert not archive.verify().ok


def test_points_in_any_order_from_any_handle_keep_the_sum(archive: Archive) -> None:
    run = archive.start_run()
    for steps in ([0, 1, 2], [2, 2, 1], [9, 3], [9]):
        run.log_many("x", steps, [step * 0.5 if step else math.nan for step in steps])
        run.flush()
        assert archive.verify().problems == ()
    run.complete()
    with archive.resume_run(run.run_id) as again:
        again.log_many("x", [9, 10], [-0.0, math.inf])
    assert archive.verify().problems == ()


def test_a_deleted_run_leaves_sound_children_and_trials(archive: Archive) -> None:
    with archive.start_run() as parent:
        pass
    with archive.start_run(parent=parent) as child:
        pass
    study = archive.create_study("s", "minimize")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    (trial,) = archive.trials("s")
    archive.delete_run(parent.run_id, trial.run_id)
    assert archive.show_run(child.run_id).summary.parent == parent.run_id
    assert archive.verify().problems == ()


def test_rows_that_are_gone_are_told(tmp_path: Path) -> None:
    with Archive(tmp_path / "good.db") as archive:
        run = archive.start_run({"lr": 0.1}, ["a"])
        run.add_note("one")
        run.artifacts.register_data("w", b"1")
        run.use_artifact("w")
        run.log({"x": 1.0}, 0)
        run.complete()
        live = archive.start_run({"lr": 0.1}, ["b"])
        live.log({"x": 1.0}, 0)
        live.flush()
        study = archive.create_study("s", "minimize")
        study.ask().suggest_float("x", 0, 1)
        live.complete()
        assert archive.verify().ok
    data = (tmp_path / "good.db").read_bytes()
    for table in ("run_tag", "note", "run_input", "event", "artifact", "metric_series", "trial_param", "trial"):
        path = tmp_path / f"{table}.db"
        path.write_bytes(data)
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"DELETE FROM {table}")
        connection.commit()
        connection.close()
        with Archive(path) as damaged:
            assert not damaged.verify().ok, table


def test_the_columns_of_a_row_are_those_of_its_table() -> None:
    """Kind and columns follow from the schema, as docs/format.md says, so no new column can be forgotten."""
    left_out = {"run", "run_group", "study", "trial", "seq", "checksum", "rows_sum"}
    compared = []
    with closing(sqlite3.connect(":memory:")) as empty:
        empty.executescript(read_schema("current.sql"))
        for kind, query, _together in (*OF_RUN, *OF_GROUP, *OF_STUDY, *OF_TRIAL):
            columns = [row[1] for row in empty.execute(f"PRAGMA table_info({kind})")]
            if columns and kind != "config_value":
                found = [column[0] for column in empty.execute(query, (0,)).description]
                assert found == [column for column in columns if column not in left_out], kind
                compared.append(kind)
    assert len(compared) == 22, "the kinds that are no table tell of several: their columns are in the page"
