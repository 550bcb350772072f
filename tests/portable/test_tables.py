"""Rows are read from pages: all of them, from every kind of archive, and never more than the file holds."""

from __future__ import annotations

import errno
import os
import random
import shutil
import sqlite3
import struct
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from exptrack import (
    Archive,
    ArchiveNotFoundError,
    NotAnArchiveError,
    OwnFileError,
)
from exptrack.database.layout import known_layouts
from exptrack.portable.pages import PageFile
from exptrack.portable.tables import TableReader

PAGE = 4096
Rows = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed archive with rows in most tables: some in chains of pages, some deleted."""
    path = tmp_path_factory.mktemp("tables") / "lab.db"
    chance = random.Random(1)
    ids = []
    with Archive(path) as archive:
        for number in range(12):
            config = {"lr": number / 8, "seed": number, "text": "x" * (number * 900)}
            with archive.start_run(config, ["a", f"t{number}"], name=f"run {number}") as run:
                for step in range(400):
                    run.log({"loss": chance.random(), "accuracy": chance.random()}, step)
                run.add_note("n" * 6000 if number % 3 == 0 else "short")
                run.artifacts.register_data("weights", chance.randbytes(90_000))
            ids.append(run.run_id)
        for run_id in (ids[3], ids[7]):
            archive.delete_run(run_id)
    return path


def read_rows(path: Path) -> Rows:
    with PageFile(path) as file:
        reader = TableReader(file)
        return {name: sorted(reader.rows(name), key=repr) for name in tables()}


def tables() -> list[str]:
    return [name for name, tree in known_layouts()[0].items() if tree.table == name]


def ask_sqlite(path: Path) -> Rows:
    found = {}
    with closing(sqlite3.connect(path)) as connection:
        for name in tables():
            columns = ", ".join(column.name for column in known_layouts()[0][name].columns)
            found[name] = sorted(connection.execute(f"SELECT {columns} FROM {name}"), key=repr)
    return found


def same(found: Rows, expected: Rows) -> None:
    """Compare all rows. A whole number in a column of floats is stored as an integer."""
    for name, rows in expected.items():
        assert len(found[name]) == len(rows), name
        assert set(found[name]) == set(rows), name


def damaged(lab: Path, folder: Path, change: Callable[[bytearray], None]) -> Path:
    data = bytearray(lab.read_bytes())
    change(data)
    path = folder / "damaged.db"
    path.write_bytes(data)
    return path


def run_sql(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_all_rows_are_read_from_archives_of_every_kind(lab: Path, tmp_path: Path) -> None:
    expected = ask_sqlite(lab)
    assert len(expected["metric_point"]) == 10 * 2 * 400
    fresh = tmp_path / "fresh.db"
    with Archive(fresh):
        pass
    with Archive(lab, mode="ro") as archive:
        archive.backup(tmp_path / "backup.db")
    own = tmp_path / "own.db"
    shutil.copyfile(lab, own)
    with Archive(own) as archive:
        archive.create_view("mine", ["config.lr", "metric.loss"])
    run_sql(
        own,
        "CREATE TABLE a_user_s (x)",
        "INSERT INTO a_user_s VALUES (1)",
        "CREATE INDEX by_x ON a_user_s (x)",
        "CREATE VIEW theirs AS SELECT 1",
        "ANALYZE",
        "DROP TABLE a_user_s",
        "CREATE TABLE another (y)",
    )
    vacuumed, both = tmp_path / "vacuumed.db", tmp_path / "both.db"
    run_sql(lab, f"VACUUM INTO '{vacuumed}'")
    shutil.copyfile(own, both)
    run_sql(both, "VACUUM")
    for path in (fresh, lab, tmp_path / "backup.db", own, vacuumed, both):
        same(read_rows(path), ask_sqlite(path))


def test_the_tables_of_each_kind_of_archive_begin_where_the_layouts_say(lab: Path, tmp_path: Path) -> None:
    vacuumed = tmp_path / "vacuumed.db"
    run_sql(lab, "CREATE TABLE IF NOT EXISTS a_user_s (x)", f"VACUUM INTO '{vacuumed}'", "DROP TABLE a_user_s")
    for path, layout in zip((lab, vacuumed), known_layouts()[:2], strict=True):
        with closing(sqlite3.connect(path)) as connection:
            roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_schema WHERE type = 'table'"))
        assert {name: roots[name] for name in tables()} == {name: layout[name].root for name in tables()}


def test_other_sizes_of_pages_are_found_without_page_1(lab: Path, tmp_path: Path) -> None:
    expected = ask_sqlite(lab)
    for size in (512, 1024, 16384, 65536):
        path = tmp_path / f"{size}.db"
        shutil.copyfile(lab, path)
        run_sql(path, "PRAGMA journal_mode = DELETE", f"PRAGMA page_size = {size}", "VACUUM")
        data = bytearray(path.read_bytes())
        assert int.from_bytes(data[16:18], "big") in (size, size >> 16)
        data[:100] = bytes(100)
        path.write_bytes(data)
        same(read_rows(path), expected)


def test_pages_below_a_lost_one_are_still_found(lab: Path, tmp_path: Path) -> None:
    expected = ask_sqlite(lab)
    roots = known_layouts()[0]
    for name in ("metric_point", "event", "chunk_data"):
        root = roots[name].root

        def zero(data: bytearray, begin: int = (root - 1) * PAGE) -> None:
            data[:100] = bytes(100)
            assert data[begin] in (2, 5)
            data[begin : begin + PAGE] = bytes(PAGE)

        head = lab.read_bytes()[(root - 1) * PAGE :]
        in_it = int.from_bytes(head[3:5], "big") if head[0] == 2 else 0  # a table's inner page holds no row
        found = read_rows(damaged(lab, tmp_path, zero))
        assert len(expected[name]) - len(found[name]) == in_it
        assert set(found[name]) <= set(expected[name])
        del found[name]
        same(found, {other: rows for other, rows in expected.items() if other != name})


def test_a_wrong_child_or_a_wrong_entry_of_the_pointer_map_costs_no_row(lab: Path, tmp_path: Path) -> None:
    expected = ask_sqlite(lab)
    root = known_layouts()[0]["metric_point"].root
    begin = (root - 1) * PAGE

    def redirect(data: bytearray) -> None:
        pointer = int.from_bytes(data[begin + 12 : begin + 14], "big")
        other = data[begin + 8 : begin + 12]
        data[begin + pointer : begin + pointer + 4] = other

    def misplace(data: bytearray) -> None:
        child = int.from_bytes(data[begin + 8 : begin + 12], "big")
        at = PAGE + (child - 3) * 5
        assert data[at : at + 5] == bytes([5]) + root.to_bytes(4, "big")
        event = known_layouts()[0]["event"].root
        data[at + 1 : at + 5] = event.to_bytes(4, "big")

    def forget(data: bytearray) -> None:
        data[PAGE : 2 * PAGE] = bytes(PAGE)

    for change in (redirect, misplace, forget):
        same(read_rows(damaged(lab, tmp_path, change)), expected)


def test_deleted_rows_stay_deleted(lab: Path, tmp_path: Path) -> None:
    """Whatever is zeroed, no row is read that the archive does not hold."""
    some = tmp_path / "some.db"
    shutil.copyfile(lab, some)
    run_sql(some, "PRAGMA journal_mode = DELETE", "DELETE FROM metric_point WHERE series % 4 = 1")
    expected = ask_sqlite(some)
    with closing(sqlite3.connect(some)) as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone()[0] > 10
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    chance = random.Random(3)
    for _ in range(10):
        page = chance.randrange(2, pages)

        def zero(data: bytearray, page: int = page) -> None:
            data[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)

        found = read_rows(damaged(some, tmp_path, zero))
        for name, rows in found.items():
            assert len(rows) <= len(expected[name])
            # A page of zeros in the middle of a long value looks like its bytes; their hash tells.
            if name == "chunk_data":
                assert {row[0] for row in rows} <= {row[0] for row in expected[name]}
            else:
                assert set(rows) <= set(expected[name])


def test_commits_in_the_log_count_also_behind_damage(lab: Path, tmp_path: Path) -> None:
    live, copy = tmp_path / "live.db", tmp_path / "copy.db"
    shutil.copyfile(lab, live)
    connection = sqlite3.connect(live, isolation_level=None)
    with closing(connection):
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        for number in range(6):
            connection.execute("INSERT INTO metric_name (name) VALUES (?)", (f"in the log {number}",))
        connection.execute("UPDATE metric_point SET value = 7 WHERE series = 1")
        shutil.copyfile(live, copy)
        wal = Path(f"{live}-wal").read_bytes()
    side = Path(f"{copy}-wal")
    side.write_bytes(wal)
    whole = read_rows(copy)
    assert {row[1] for row in whole["metric_name"]} >= {f"in the log {number}" for number in range(6)}
    assert [row[4] for row in whole["metric_point"] if row[0] == 1] == [7] * 400
    frames = (len(wal) - 32) // (PAGE + 24)
    for at in (
        8,
        17,
        26,
        32,
        33,
        35,
        45,
        50,
        32 + 24 + 4000,
    ):  # header: salt, sum; frame 1: page, salt, sum, data
        torn = bytearray(wal)
        torn[at] ^= 4
        side.write_bytes(torn)
        same(read_rows(copy), whole)
    # A later version of the page is in a later frame; so all of these frames but the last ones can be spared.
    torn = bytearray(wal)
    torn[32 : 32 + PAGE + 24] = bytes(PAGE + 24)
    side.write_bytes(torn)
    same(read_rows(copy), whole)
    # Without its commit, a transaction did not happen.
    side.write_bytes(wal[: 32 + (frames - 1) * (PAGE + 24)])
    assert 7 not in {row[4] for row in read_rows(copy)["metric_point"]}
    side.write_bytes(b"no log at all")
    same(read_rows(copy), ask_sqlite(lab))


def test_what_is_no_archive_is_refused(lab: Path, tmp_path: Path) -> None:
    empty, text = tmp_path / "empty", tmp_path / "text"
    empty.touch()
    text.write_text("a diary " * 10_000)
    holes = tmp_path / "holes"
    holes.touch()
    os.truncate(holes, 1 << 40)
    other = tmp_path / "other.db"
    run_sql(other, "CREATE TABLE run (id, run_id)", "INSERT INTO run VALUES (1, 'x')")
    for path in (empty, text, holes, other, tmp_path):
        with pytest.raises(NotAnArchiveError):
            read_rows(path)
    with pytest.raises(ArchiveNotFoundError):
        read_rows(tmp_path / "missing")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(NotAnArchiveError):
            read_rows(tmp_path / "pipe")
    with Archive(lab), pytest.raises(OwnFileError):
        read_rows(lab)


def test_pages_that_the_medium_does_not_give_are_lost_alone(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = ask_sqlite(lab)
    root = known_layouts()[0]["note"].root
    read = os.read

    def fail(descriptor: int, size: int) -> bytes:
        if os.lseek(descriptor, 0, os.SEEK_CUR) == (root - 1) * PAGE:
            raise OSError(errno.EIO, "Input/output error")
        return read(descriptor, size)

    monkeypatch.setattr(os, "read", fail)
    with PageFile(lab) as file:
        reader = TableReader(file)
        found = {name: sorted(reader.rows(name), key=repr) for name in tables()}
        assert file.failures
    assert found["note"] == []
    same({**found, "note": expected["note"]}, expected)


def test_hostile_pages_end(lab: Path, tmp_path: Path) -> None:
    """Pages that lead to themselves and to each other, and records that claim to be endless."""
    expected = ask_sqlite(lab)
    root = known_layouts()[0]["metric_point"].root
    begin = (root - 1) * PAGE

    def circle(data: bytearray) -> None:
        cells = (PAGE - 12) // 6
        children = b"".join(struct.pack(">I", root) + b"\x02\x02\x01" for _ in range(cells))[: PAGE - 1500]
        data[begin : begin + 12] = struct.pack(">BHHHBI", 2, 0, 300, 0, 0, root)
        data[begin + 1500 : begin + 1500 + len(children)] = children

    def endless(data: bytearray) -> None:
        for page in range(len(data) // PAGE):
            at = page * PAGE
            if data[at] == 13:
                for cell in range(8, 40, 2):
                    place = int.from_bytes(data[at + cell : at + cell + 2], "big")
                    if 100 < place < PAGE - 10:
                        data[at + place : at + place + 4] = b"\x8f\xff\xff\x7f"

    def noise(data: bytearray) -> None:
        chance = random.Random(5)
        for page in range(2, len(data) // PAGE):
            data[page * PAGE + 1 : (page + 1) * PAGE] = chance.randbytes(PAGE - 1)

    for change in (circle, endless, noise):
        found = read_rows(damaged(lab, tmp_path, change))
        assert sum(map(len, found.values())) < sum(map(len, expected.values()))


def test_pages_below_one_that_was_cut_off_with_its_map_belong_to_the_table_of_their_rows(
    tmp_path: Path,
) -> None:
    """An inner page of points stands behind the second page of the pointer map, most of its leaves before."""
    path = tmp_path / "lab.db"
    with Archive(path) as archive, archive.start_run() as run:
        run.artifacts.register_data("space", random.Random(1).randbytes(1_670_000))
        run.log_many("loss", range(60_000), [0.1 + step for step in range(60_000)])
    data = path.read_bytes()
    pages = [data[at : at + PAGE] for at in range(0, len(data), PAGE)]
    second_map = 2 + PAGE // 5 + 1
    below = sum(len(_leaves(pages, page, second_map)) for page in pages[second_map:] if page[0] == 2)
    path.write_bytes(data[: (second_map - 1) * PAGE])
    with PageFile(path) as file:
        found = {row[:3] for row in TableReader(file).rows("metric_point")}
    with closing(sqlite3.connect(tmp_path / "whole.db")) as whole:
        whole.deserialize(data[:18] + b"\1\1" + data[20:])
        rows = whole.execute("SELECT series, step, seq FROM metric_point").fetchall()
    cut_off = sum(int.from_bytes(page[3:5], "big") for page in pages[second_map - 1 :] if page[0] in (2, 10))
    assert below > 10
    assert found <= set(rows)
    assert len(found) >= len(rows) - cut_off


def _leaves(pages: list[bytes], page: bytes, before: int) -> list[int]:
    """Return the leaves below an inner page that stand before a place in the file."""
    count = int.from_bytes(page[3:5], "big")
    places = struct.unpack_from(f">{count}H", page, 12)
    children = [int.from_bytes(page[at : at + 4], "big") for at in places]
    return [child for child in children if child < before and pages[child - 1][0] == 10]
