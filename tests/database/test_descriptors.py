"""What is known of descriptor numbers, and what stands at one while SQLite closes it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from exptrack import Archive
from exptrack.database.descriptors import NotedNumbers, fcntl, file_id, open_numbers, set_aside

pytestmark = pytest.mark.skipif(fcntl is None, reason="the system's SQLite does not use descriptor numbers")


def open_new(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT)


def test_the_listing_names_what_is_open_and_nothing_else(tmp_path: Path) -> None:
    before = open_numbers()
    assert before is not None
    number = open_new(tmp_path / "file")
    after = open_numbers()
    assert after is not None
    assert after - before == {number}
    os.close(number)
    assert open_numbers() == before


def test_another_file_at_the_number_is_neither_written_nor_closed(tmp_path: Path) -> None:
    number = open_new(tmp_path / "users")
    os.set_inheritable(number, True)
    with set_aside([number], []):
        with pytest.raises(OSError, match=r"Bad file descriptor|Illegal seek"):
            os.pwrite(number, b"page", 0)
        with pytest.raises(OSError, match="Bad file descriptor"):
            fcntl.lockf(number, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
        os.close(number)
    assert file_id(number) == file_id(tmp_path / "users")
    assert os.get_inheritable(number)
    os.write(number, b"mine")
    os.close(number)
    assert (tmp_path / "users").read_bytes() == b"mine"


def test_a_number_that_another_thread_closes_meanwhile_counts_as_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = open_new(tmp_path / "users")
    ask = os.get_inheritable

    def close_first(descriptor: int) -> bool:
        monkeypatch.setattr(os, "get_inheritable", ask)
        os.close(descriptor)
        return ask(descriptor)

    monkeypatch.setattr(os, "get_inheritable", close_first)
    with set_aside([number], []), pytest.raises(OSError, match=r"Bad file descriptor|Illegal seek"):
        os.pwrite(number, b"page", 0)
    assert file_id(number) is None


def test_a_free_number_is_kept_free_for_nobody_else(tmp_path: Path) -> None:
    number = open_new(tmp_path / "file")
    os.close(number)
    with set_aside([number], []):
        other = open_new(tmp_path / "other")
        assert other != number
    os.close(other)
    assert file_id(number) is None


def test_a_file_of_our_own_is_left_at_its_number(tmp_path: Path) -> None:
    number = open_new(tmp_path / "file")
    identity = file_id(number)
    assert identity is not None
    with set_aside([number], [identity]):
        os.write(number, b"page")
    os.close(number)
    assert (tmp_path / "file").read_bytes() == b"page"


def test_no_descriptor_is_left_behind(tmp_path: Path) -> None:
    numbers = [open_new(tmp_path / f"{name}") for name in range(5)]
    before = open_numbers()
    with set_aside([*numbers, 900], []):
        pass
    assert open_numbers() == before
    for number in numbers:
        os.close(number)


def test_a_number_is_noted_until_sqlite_has_closed_it(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    kept, closed = (os.open(tmp_path / "a", os.O_RDONLY) for _ in range(2))
    numbers = {number: identity for number in (kept, closed) if (identity := file_id(number)) is not None}
    noted = NotedNumbers()
    noted.add(numbers)
    assert noted.all() == {kept, closed}
    noted.begin_close(numbers)
    os.close(closed)
    noted.end_close(numbers)
    assert noted.all() == {kept}
    os.close(kept)
    noted.end_close({})
    assert noted.all() == frozenset()


def test_what_is_noted_of_an_archive_leads_to_it(archive: Archive) -> None:
    """A connection of a thread that has ended, and one that was idle, have left numbers that others may get."""
    connection = archive._connection
    archive.start_run().complete()
    for _ in range(3):
        with connection.apart() as raw:
            raw.execute("SELECT count(*) FROM run").fetchone()
        thread = threading.Thread(target=lambda: connection.value("SELECT count(*) FROM run"))
        thread.start()
        thread.join()
    connection._close_left()
    held = connection.current_hold
    assert held is not None
    noted = held.sqlite.all()
    assert noted
    assert {file_id(number) for number in noted} <= set(held.ids)
