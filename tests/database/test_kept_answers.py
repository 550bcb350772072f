"""A connection keeps what it has read until the file changes, and only so much of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from exptrack import Archive
from exptrack.database.connection import Connection
from exptrack.database.kept_answers import KeptAnswers


def test_answers_are_kept_for_one_version_and_up_to_a_size() -> None:
    kept = KeptAnswers(3000)
    kept.put(1, "a", bytes(1000))
    kept.put(1, "b", bytes(1000))
    assert kept.get(1, "a") == bytes(1000)
    kept.put(1, "c", bytes(1000))  # b was asked for least recently
    assert [kept.get(1, key) is None for key in "abc"] == [False, True, False]
    kept.put(1, "a", bytes(500))
    kept.put(1, "d", bytes(900))
    assert [kept.get(1, key) is None for key in "acd"] == [False, False, False]
    kept.put(1, "e", bytes(5000))
    assert [kept.get(1, key) is None for key in "acde"] == [True] * 4
    kept.put(1, "a", b"1")
    assert kept.get(2, "a") is None
    assert kept.get(1, "a") is None
    kept.put(2, "a", b"2")
    assert kept.get(2, "a") == b"2"
    kept.clear()
    assert kept.get(2, "a") is None


def count_readings(connection: Connection) -> Callable[[], int]:
    """Return a call that asks for one answer, and tells how often it has been read."""
    readings: list[int] = []

    def read() -> int:
        readings.append(connection.value("SELECT count(*) FROM run_tag"))
        return readings[-1]

    def ask() -> int:
        found = connection.reading(lambda: connection.keep("tags", read))
        assert found == readings[-1]
        return len(readings)

    return ask


def test_an_answer_is_read_again_after_a_commit_of_any_connection(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with Archive(path) as archive, Archive(path) as other:
        run = archive.start_run({"lr": 0.1})
        run.complete()
        ask = count_readings(archive._connection)
        assert [ask(), ask()] == [1, 1]
        archive.get_run(run).add_tag("own")
        assert [ask(), ask()] == [2, 2]
        other.get_run(run).add_tag("other")
        assert [ask(), ask()] == [3, 3]


def test_a_reading_keeps_what_its_snapshot_holds(tmp_path: Path) -> None:
    """A commit amid a reading is neither seen by it nor by what it keeps, and the next reading sees it."""
    path = tmp_path / "lab.db"
    with Archive(path) as archive, Archive(path) as other:
        run = archive.start_run({"lr": 0.1})
        run.complete()
        connection = archive._connection

        def count() -> int:
            return connection.keep("tags", lambda: int(connection.value("SELECT count(*) FROM run_tag")))

        def look_twice() -> tuple[int, int]:
            before = connection.value("SELECT count(*) FROM run_tag")
            other_thread = threading.Thread(target=other.get_run(run).add_tag, args=("amid",))
            other_thread.start()
            other_thread.join()
            return before, count()

        assert connection.reading(look_twice) == (0, 0)
        assert connection.reading(count) == 1


def test_a_section_keeps_nothing(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        archive.start_run({"lr": 0.1}).complete()
        connection = archive._connection

        def count() -> int:
            return connection.keep(
                "sources", lambda: int(connection.value("SELECT count(*) FROM config_source"))
            )

        def change_and_look() -> list[int]:
            with connection.transaction():
                found = [count()]
                connection.execute("INSERT INTO config_source (kind, name, line) VALUES ('code', 'x', 7)")
                found.append(count())
                seen.append(found)
                raise KeyError("undo")

        seen: list[list[int]] = []
        try:
            connection.section(change_and_look)
        except KeyError:
            before, after = seen[0]
        assert after == before + 1
        assert connection.reading(count) == before
