"""Verification tells of a change in any column of any table, and never raises, whatever a column holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from exptrack import Archive, ExptrackError, VerifyReport
from exptrack.portable import quick_points
from tests.effort import tries
from tests.faults.wrong_values import COLUMNS, NASTY, change, connect, put, sound
from tests.strategies import INT64, TEXTS

# Columns that may change without a word, and why.
UNCHECKED: dict[str, str] = {}


def verify(path: Path) -> VerifyReport:
    with Archive(path, mode="ro") as archive:
        return archive.verify()


def test_what_is_unchecked_is_a_column() -> None:
    assert set(UNCHECKED) <= {".".join(column) for column in COLUMNS}


def test_the_archive_is_sound_before_any_change(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    path.write_bytes(sound().data)
    assert verify(path).ok


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=map(".".join, COLUMNS))
def test_a_change_of_any_column_is_reported(
    tmp_path: Path, table: str, column: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lab.db"
    # Another value of the same type; of a text, the next letter, so that times and JSON stay what they are.
    other = f"""{column} = CASE typeof({column})
        WHEN 'integer' THEN {column} - 1
        WHEN 'real' THEN {column} * 1.5 + 0.125
        WHEN 'blob' THEN CAST(x'01' || substr({column}, 2) AS BLOB)
        WHEN 'null' THEN 1
        ELSE substr({column}, 1, length({column}) - 2) || char(unicode(substr({column}, -2, 1)) + 1)
             || substr({column}, -1) END"""
    changed = 0
    for last in (False, True):
        if last:  # points are read from pages too
            monkeypatch.setattr(quick_points, "FEW_POINTS", 0)
        path.write_bytes(sound().data)
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        if change(path, table, other, last=last):
            changed += 1
            # The seal covers all too, but most files have none.
            told = [problem for problem in verify(path).problems if problem.part != "seal"]
            assert (not told) is (f"{table}.{column}" in UNCHECKED), (table, column, last)
    assert changed


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=map(".".join, COLUMNS))
def test_no_value_makes_verification_raise(tmp_path: Path, table: str, column: str) -> None:
    path = tmp_path / "lab.db"
    # Each column gets a part of the values, and each value a part of the columns; tests.faults tries all.
    begin = COLUMNS.index((table, column)) % 20
    for name, value in list(NASTY.items())[begin::20]:
        assert_told(path, table, column, value, name)


def assert_told(path: Path, table: str, column: str, value: Any, name: str) -> None:
    """Store a value in a column of any type; verification tells, or opening does, by an error of ours."""
    if not put(path, table, column, name, value):
        return
    try:
        ok = verify(path).ok
    except ExptrackError:
        return
    assert not ok, (table, column, name)


@settings(max_examples=tries(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(COLUMNS),
    st.one_of(st.none(), INT64, TEXTS, st.floats(), st.binary(max_size=40)),
)
def test_a_random_value_never_makes_verification_raise(
    tmp_path: Path, place: tuple[str, str], value: Any
) -> None:
    # A sequence is the highest row id ever given, so a larger one is as after a deletion.
    assume(place != ("sqlite_sequence", "seq") or not isinstance(value, (int, float)) or not 0 < value < 2**48)
    assert_told(tmp_path / "lab.db", *place, value, "random")


@pytest.mark.parametrize("kind", ["table", "index", "view"])
def test_an_object_that_is_missing_or_changed_is_told(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "lab.db"
    path.write_bytes(sound().data)
    connection = connect(path)
    names = [
        row[0]
        for row in connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = ? AND sql IS NOT NULL AND name <> 'sqlite_sequence'",
            (kind,),
        )
    ]
    connection.close()
    for name in set(names) - {"best"}:  # a view of the user's may be dropped by any client
        path.write_bytes(sound().data)
        connection = connect(path)
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(f"DROP {kind} {name}")
        connection.close()
        try:
            assert not verify(path).ok, name
        except ExptrackError:
            continue


def test_a_file_that_is_cut_or_emptied_is_told(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    size = 4096
    for pages in range(0, len(sound().data) // size, 11):
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        path.write_bytes(sound().data[: pages * size])
        try:
            assert not verify(path).ok, pages
        except ExptrackError:
            continue
    for data in (bytes(len(sound().data)), bytes(size), sound().data[:size] + bytes(len(sound().data) - size)):
        path.write_bytes(data)
        with pytest.raises(ExptrackError):
            assert verify(path).ok
