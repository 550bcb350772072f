"""Named views of the page: saved, listed, renamed, deleted; and files of a format that has none."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from exptrack import (
    Archive,
    ArchiveCorruptError,
    ArchiveReadOnlyError,
    ConflictError,
    InvalidTypeError,
    InvalidValueError,
    NotFoundError,
    diff_archives,
    local_archive,
    salvage,
    unpack,
)
from exptrack.database.row_sums import hash_row
from exptrack.query import page_views
from tests.older_formats import making_format

FAILED = "/runs?where=status+%3D+failed"


def listed(archive: Archive) -> dict[str, str]:
    return {view.name: view.path for view in archive.list_page_views()}


def test_a_view_is_saved_replaced_renamed_and_deleted(archive: Archive) -> None:
    assert archive.list_page_views() == []
    archive.save_page_view("failed", FAILED)
    archive.save_page_view("größer", "/charts?metrics=loss#x")
    first = archive.list_page_views()[0]
    archive.save_page_view("failed", "/runs")
    (second, other) = archive.list_page_views()
    assert (second.name, second.path, other.name) == ("failed", "/runs", "größer")
    assert second.changed_at > first.changed_at
    archive.rename_page_view("failed", "all")
    assert listed(archive) == {"all": "/runs", "größer": "/charts?metrics=loss#x"}
    archive.rename_page_view("all", "all")
    archive.delete_page_view("all")
    archive.save_page_view("failed", FAILED, replace=False)
    assert listed(archive) == {"failed": FAILED, "größer": "/charts?metrics=loss#x"}
    assert archive.sql("SELECT name, path FROM page_views ORDER BY name").rows[0] == ("failed", FAILED)
    assert archive.verify().problems == ()


def test_a_view_comes_back_after_its_deletion(archive: Archive) -> None:
    archive.save_page_view("failed", FAILED)
    archive.delete_page_view("failed")
    assert listed(archive) == {}
    archive.save_page_view("failed", FAILED, replace=False)
    assert listed(archive) == {"failed": FAILED}


def test_each_change_is_later_than_the_one_before_though_the_clock_was_set_back(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.save_page_view("failed", FAILED)
    before = archive.list_page_views()[0].changed_at
    monkeypatch.setattr(page_views, "utc_text", lambda: "2001-01-01 00:00:00.000000")
    archive.save_page_view("failed", "/runs")
    assert archive.list_page_views()[0].changed_at > before


def test_names_that_are_taken_or_unknown(archive: Archive) -> None:
    archive.save_page_view("failed", FAILED)
    archive.save_page_view("other", "/runs")
    with pytest.raises(ConflictError, match="a view named 'failed'"):
        archive.save_page_view("failed", "/runs", replace=False)
    with pytest.raises(ConflictError, match="a view named 'failed'"):
        archive.rename_page_view("other", "failed")
    for call in (archive.delete_page_view, lambda name: archive.rename_page_view(name, "new")):
        with pytest.raises(NotFoundError, match="did you mean 'failed'"):
            call("faield")
        with pytest.raises(NotFoundError, match="lists them"):
            call("zzz")
    archive.delete_page_view("other")
    with pytest.raises(NotFoundError):
        archive.delete_page_view("other")
    assert listed(archive) == {"failed": FAILED}


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("runs", InvalidValueError, "begin with one '/'"),
        ("", InvalidValueError, "begin with one '/'"),
        ("//elsewhere.org/runs", InvalidValueError, "begin with one '/'"),
        ("/\\elsewhere.org", InvalidValueError, "begin with one '/'"),
        ("javascript:alert(1)", InvalidValueError, "begin with one '/'"),
        ("/runs?where=\n", InvalidValueError, "control character"),
        ("/runs?where=\x7f", InvalidValueError, "control character"),
        ("/" + "x" * 8000, InvalidValueError, "8,000"),
        ("/\ud800", InvalidValueError, "surrogate"),
        (7, InvalidTypeError, "path"),
        (None, InvalidTypeError, "path"),
    ],
)
def test_what_is_no_path_of_the_page_is_refused(
    archive: Archive, path: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        archive.save_page_view("name", path)
    assert listed(archive) == {}


def test_the_longest_path_and_any_characters_are_kept(archive: Archive) -> None:
    longest = "/" + "ä" * 7999
    archive.save_page_view("<img src=x onerror=alert(1)>", longest)
    assert listed(archive) == {"<img src=x onerror=alert(1)>": longest}
    for name in ("", "a\x00b", "x" * 1001, 5):
        with pytest.raises((InvalidValueError, InvalidTypeError)):
            archive.save_page_view(name, "/runs")  # type: ignore[arg-type]


def test_an_archive_that_is_only_read_lists_its_views(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive:
        archive.save_page_view("failed", FAILED)
    with Archive(path, mode="ro") as archive:
        assert listed(archive) == {"failed": FAILED}
        for change in (
            lambda: archive.save_page_view("new", "/runs"),
            lambda: archive.rename_page_view("failed", "new"),
            lambda: archive.delete_page_view("failed"),
        ):
            with pytest.raises(ArchiveReadOnlyError):
                change()


# A file of format 1, which has no such table


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.db"
    with making_format(1), Archive(path) as archive:
        with archive.start_run({"lr": 0.1}, name="first") as run:
            run.log({"loss": 0.5}, step=0)
        assert archive.info().format == 1
    return path


def test_a_file_of_format_1_is_read_and_gets_its_table_when_it_is_written(old: Path) -> None:
    before = old.read_bytes()
    with Archive(old, mode="ro") as archive:
        assert archive.info().format == 1
        assert archive.list_page_views() == []
        assert archive.verify().problems == ()
        digest = archive.digest()
        with pytest.raises(ArchiveReadOnlyError):
            archive.save_page_view("failed", FAILED)
    assert old.read_bytes() == before
    with Archive(old) as archive:
        assert archive.digest() == digest
        archive.save_page_view("failed", FAILED)
        assert archive.digest() != digest
        assert archive.verify().problems == ()


def test_a_reader_sees_the_views_of_a_file_that_is_migrated_meanwhile(old: Path) -> None:
    with Archive(old, mode="ro") as reader:
        assert reader.list_page_views() == []
        with Archive(old) as archive:
            archive.save_page_view("failed", FAILED)
        assert listed(reader) == {"failed": FAILED}


def test_a_file_of_format_1_is_merged_compared_packed_and_salvaged(old: Path, tmp_path: Path) -> None:
    with Archive(old, mode="ro") as archive:
        archive.pack(tmp_path / "packed.db")
        archive.backup(tmp_path / "copy.db")
    with Archive(tmp_path / "packed.db", mode="ro") as packed:
        assert packed.info().format == 1
        assert packed.verify().problems == ()
    assert unpack(tmp_path / "packed.db", tmp_path / "unpacked.db").runs == 1
    with Archive(tmp_path / "all.db") as archive:
        archive.save_page_view("failed", FAILED)
        assert len(archive.merge(old).files[0].new) == 1
        assert listed(archive) == {"failed": FAILED}
    found = diff_archives(old, tmp_path / "all.db")
    assert (found.runs_differ, found.page_views_differ, found.same) == ((), ("failed",), False)
    assert salvage(old, tmp_path / "saved.db").ok
    with Archive(tmp_path / "saved.db") as archive:
        assert [run.name for run in archive.list_runs()] == ["first"]


# In other files


def test_views_go_where_the_archive_goes(archive: Archive, tmp_path: Path) -> None:
    archive.start_run({"lr": 0.1}, name="first").complete()
    archive.save_page_view("failed", FAILED)
    archive.save_page_view("gone", "/runs")
    archive.delete_page_view("gone")
    archive.backup(tmp_path / "copy.db")
    archive.pack(tmp_path / "packed.db")
    unpack(tmp_path / "packed.db", tmp_path / "unpacked.db")
    for name in ("copy.db", "packed.db", "unpacked.db"):
        with Archive(tmp_path / name, mode="ro") as other:
            assert (listed(other), other.digest()) == ({"failed": FAILED}, archive.digest()), name
            assert other.verify().problems == (), name
    archive.extract(tmp_path / "some.db", archive.list_runs())
    with Archive(tmp_path / "some.db") as other:
        assert (len(other.list_runs()), listed(other)) == (1, {})


def change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(sql)
        connection.commit()


def signed(path: str) -> str:
    """Return the statement that gives a view a path with the right checksum, as a stranger could."""
    at = "2026-01-01 00:00:00.000000"
    checksum = hash_row("page_view", ("failed", path, at, None))
    facts = f"path = '{path}', changed_at = '{at}', checksum = {checksum}"
    return f"UPDATE page_view SET {facts} WHERE name = 'failed'"


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("UPDATE page_view SET path = '/runs' WHERE name = 'failed'", "does not match its checksum"),
        ("UPDATE page_view SET deleted_at = changed_at WHERE name = 'failed'", "does not match its checksum"),
        (signed("//elsewhere.org"), "begin with one '/'"),
        (signed("javascript:alert(1)"), "begin with one '/'"),
    ],
)
def test_a_row_that_exptrack_did_not_write_is_told_and_left_out(tmp_path: Path, sql: str, problem: str) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive:
        archive.save_page_view("failed", FAILED)
        archive.save_page_view("sound", "/sql")
    change(path, sql)
    with Archive(path, mode="ro") as archive:
        (found,) = archive.verify().problems
        assert (found.part, found.where) == ("file", "page_view failed")
        assert problem in found.message
    with Archive(tmp_path / "all.db") as archive:
        (left_out,) = archive.merge(path).files[0].left_out
        assert left_out.what == "page view failed"
        assert problem in left_out.reason
        assert listed(archive) == {"sound": "/sql"}
    report = salvage(path, tmp_path / "saved.db")
    assert any("page view 'failed'" in one and problem in one for one in report.lost)
    with Archive(tmp_path / "saved.db") as archive:
        assert listed(archive) == {"sound": "/sql"}


def test_a_time_that_is_none_is_told_as_damage(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive:
        archive.save_page_view("failed", FAILED)
    change(path, "UPDATE page_view SET changed_at = 'soon'")
    with Archive(path) as archive:
        with pytest.raises(ArchiveCorruptError):
            archive.list_page_views()
        assert not archive.verify().ok


# What is salvaged without page 1, which tells where each table begins


def make_lab(path: Path) -> str:
    """Fill an archive with rows that need many pages; return its digest."""
    with Archive(path) as archive:
        for number in range(5):
            with archive.start_run({"lr": number / 7, "words": "x" * 900}, name=f"run {number}") as run:
                run.log_many("loss", range(3000), [step / 3 for step in range(3000)])
                run.add_note("n" * 5000)
        return archive.digest()


def without_page_1(path: Path) -> Path:
    data = bytearray(path.read_bytes())
    data[:4096] = bytes(4096)
    broken = path.with_name("broken.db")
    broken.write_bytes(data)
    return broken


@pytest.mark.parametrize("is_vacuumed", [False, True])
@pytest.mark.parametrize("break_file", [lambda path: path, without_page_1], ids=["whole", "without page 1"])
def test_views_come_back_from_the_pages(
    tmp_path: Path, is_vacuumed: bool, break_file: Callable[[Path], Path]
) -> None:
    path = tmp_path / "lab.db"
    make_lab(path)
    with Archive(path) as archive:
        for number in range(100):
            archive.save_page_view(f"view {number:02}", f"/runs?where={'x' * 500}{number}")
        archive.delete_page_view("view 50")
        digest = archive.digest()
    if is_vacuumed:
        change(path, "VACUUM")
    assert salvage(break_file(path), tmp_path / "saved.db").ok
    with Archive(tmp_path / "saved.db") as archive:
        assert (len(archive.list_page_views()), archive.digest()) == (99, digest)


@pytest.mark.parametrize("is_vacuumed", [False, True])
def test_a_file_of_format_1_loses_nothing_to_a_table_that_it_has_not(tmp_path: Path, is_vacuumed: bool) -> None:
    path = tmp_path / "lab.db"
    with making_format(1):
        digest = make_lab(path)
    if is_vacuumed:
        change(path, "VACUUM")
    for number, file in enumerate((path, without_page_1(path))):
        assert salvage(file, tmp_path / f"{number}.db").ok
        with Archive(tmp_path / f"{number}.db") as archive:
            assert archive.digest() == digest


@pytest.mark.parametrize("is_vacuumed", [False, True])
def test_a_migrated_file_gives_its_views_back(tmp_path: Path, is_vacuumed: bool) -> None:
    path = tmp_path / "lab.db"
    with making_format(1):
        make_lab(path)
    if is_vacuumed:
        change(path, "VACUUM")
    with Archive(path) as archive:
        archive.save_page_view("failed", FAILED)
        digest = archive.digest()
    for number, file in enumerate((path, without_page_1(path))):
        assert salvage(file, tmp_path / f"{number}.db").ok
        with Archive(tmp_path / f"{number}.db") as archive:
            assert archive.digest() == digest


def test_the_newest_of_two_damaged_copies_counts(tmp_path: Path) -> None:
    one, other = tmp_path / "one.db", tmp_path / "other.db"
    with Archive(one) as archive:
        archive.save_page_view("a", "/runs")
        archive.save_page_view("b", "/runs")
        archive.backup(other)
        archive.save_page_view("a", "/sql")
    with Archive(other) as archive:
        archive.save_page_view("b", "/file")
        archive.save_page_view("c", "/media")
    change(other, "UPDATE page_view SET path = '/elsewhere' WHERE name = 'c'")
    salvage(one, tmp_path / "saved.db", others=[other])
    with Archive(tmp_path / "saved.db") as archive:
        assert listed(archive) == {"a": "/sql", "b": "/file"}


def test_an_archive_of_a_spool_that_has_only_views_stays(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    with local_archive(spool) as archive:
        path = archive.path
    assert not Path(path).exists()
    with local_archive(spool) as archive:
        archive.save_page_view("failed", FAILED)
        path = archive.path
    with Archive(path, mode="ro") as archive:
        assert listed(archive) == {"failed": FAILED}
