"""Threads cost little memory, and a page is told that the file has changed."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from exptrack import Archive, InvalidValueError
from exptrack.database import upkeep
from exptrack.database.connection import Connection


def opened(connection: Connection) -> int:
    gc.collect()
    return sum(handle.raw is not None for handle in connection._handles)


def read_in_threads(archive: Archive, count: int, then: Callable[[], object] = lambda: None) -> None:
    """Read in this many threads, all at once; call `then` before they end."""
    everyone = threading.Barrier(count + 1)

    def work() -> None:
        archive._connection.value("SELECT count(*) FROM run")
        archive.list_runs()
        everyone.wait()
        everyone.wait()

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    everyone.wait()
    then()
    everyone.wait()
    for thread in threads:
        thread.join()


def test_an_idle_connection_is_closed(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = archive._connection
    with archive.start_run() as run:
        run.log({"loss": 0.5})

    def wait_and_read() -> None:
        assert opened(connection) >= 6
        monkeypatch.setattr(upkeep, "IDLE_S", 0.0)
        archive.list_runs()
        # The one for changes, and the one that has just read.
        assert opened(connection) <= 2
        assert len(connection._idle_readers) <= upkeep.KEPT_READERS
        monkeypatch.undo()

    read_in_threads(archive, 8, wait_and_read)
    assert len(connection._idle_readers) <= upkeep.KEPT_READERS
    with archive.start_run() as run:
        run.log({"loss": 0.25})
    assert [one.metrics for one in archive.list_runs()] == [{"loss": 0.25}, {"loss": 0.5}]


def test_a_connection_in_use_stays_open(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "IDLE_S", 0.0)
    connection = archive._connection
    archive.start_run().complete()
    found = []

    def read_twice() -> None:
        with connection.snapshot():
            found.append(connection.value("SELECT count(*) FROM run"))
            read_in_threads(archive, 3)
            archive.start_run().complete()
            found.append(connection.value("SELECT count(*) FROM run"))

    connection.reading(read_twice)
    assert found == [1, 1]


def test_the_cache_of_each_thread_has_its_limit(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db", cache_bytes=1_024_000) as archive:
        sizes: list[int] = [archive._connection.value("PRAGMA cache_size")]
        archive._connection.section(lambda: sizes.append(archive._connection.value("PRAGMA cache_size")))
        archive._connection.reading(lambda: sizes.append(archive._connection.value("PRAGMA cache_size")))
    assert sizes == [-1000] * 3
    with Archive(tmp_path / "lab.db", mode="ro") as archive:
        assert archive._connection.value("PRAGMA cache_size") == -16_000
    for wrong in (0, 1.5, 2**60):
        with pytest.raises(InvalidValueError):
            Archive(tmp_path / "lab.db", cache_bytes=wrong)  # type: ignore[arg-type]


def test_a_version_changes_with_every_commit_and_only_then(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive, Archive(tmp_path / "lab.db", mode="ro") as page:
        seen = [page.data_version()]

        def has_changed() -> bool:
            seen.append(page.data_version())
            return seen[-1] not in seen[:-1]

        assert not has_changed()
        run = archive.start_run()
        assert has_changed()
        run.log({"loss": 0.5})
        run.flush()
        assert has_changed()
        run.add_tag("seen")
        mine = archive.data_version()
        assert has_changed()
        page.list_runs()
        archive.show_run(run)
        assert not has_changed()
        assert archive.data_version() == mine
        run.complete()
        assert has_changed()
        assert archive.data_version() != mine
        code = "import sys, exptrack; exptrack.Archive(sys.argv[1]).start_run().complete()"
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "lab.db")], check=True)
        assert has_changed()
        watcher = page._connection._watcher
        assert watcher is not None
        watcher.close()  # as a fork does
        assert has_changed()


@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_the_first_question_reads_through_the_connection_that_opened_the_archive(
    archive: Archive, mode: str
) -> None:
    archive.start_run({"lr": 0.1}).complete()
    with Archive(archive.path, mode=mode) as other:
        handles = list(other._connection._handles)
        assert [handle.raw is not None for handle in handles] == [True]
        assert len(other.list_runs()) == len(other.runs().to_dicts(["id"])) == 1
        assert list(other._connection._handles) == handles
        if mode == "rw":
            other.start_run({"lr": 0.2}).complete()  # the thread for changes opens one of its own
            assert opened(other._connection) == 2
            assert len(other.list_runs()) == 2
    assert opened(other._connection) == 0
