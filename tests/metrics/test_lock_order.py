"""No lock of a journal is taken inside a transaction: a fork takes that lock, then waits for transactions."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import TracebackType

import pytest

from exptrack import Archive, Run
from exptrack.database import forks
from exptrack.database.connection import Connection
from exptrack.metrics import writer as writer_module
from exptrack.metrics.journal import Journal
from exptrack.threads import END_WAIT_S


class WatchedLock:
    """Stands for the lock of a journal, and notes who takes it inside a transaction."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.taken = 0
        self.taken_inside: list[str] = []

    def acquire(self) -> bool:
        self.taken += 1
        if any(one.in_transaction for one in forks.connections() if isinstance(one, Connection)):
            self.taken_inside.append(threading.current_thread().name)
        return self.lock.acquire()

    def release(self) -> None:
        self.lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _is_owned(self) -> bool:
        owned: bool = self.lock._is_owned()  # type: ignore[attr-defined]
        return owned


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[WatchedLock]:
    """Return the locks of the journals that are made from now on."""
    locks: list[WatchedLock] = []
    make = Journal.__init__

    def make_watched(journal: Journal, *given: str) -> None:
        make(journal, *given)
        locks.append(WatchedLock())
        journal.lock = locks[-1]  # type: ignore[assignment]

    monkeypatch.setattr(Journal, "__init__", make_watched)
    return locks


def use(archive: Archive, run: Run) -> None:
    for step in range(300):
        run.log_metric("loss", 1.0 / (step + 1))
    run.log({"loss": 0.5, "accuracy": 0.25})
    run.log_many("later", [3, 4], [1.0, 2.0])
    run.add_tag("one")
    run.flush()
    run.log({"accuracy": 0.5})
    assert len(run.get_metric("loss")) == 301
    run.log({"loss": 0.25})  # which the end stores


def test_no_lock_of_a_journal_is_taken_inside_a_transaction(tmp_path: Path, watched: list[WatchedLock]) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        first, second = archive.start_run(), archive.start_run()
        use(archive, first)
        use(archive, second)
        first.complete()
        second.fail("enough")
        with archive.start_run() as third:
            use(archive, third)
        assert archive.verify().problems == ()
    assert sum(lock.taken for lock in watched) > 900
    assert [lock.taken_inside for lock in watched if lock.taken_inside] == []


def test_points_that_the_file_has_already_are_skipped_outside_of_the_transaction(
    tmp_path: Path, watched: list[WatchedLock], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        run = archive.start_run()
        run.log({"loss": 1.0})
        writer = writer_module._WRITERS[archive._connection]
        noted = Journal.drained_to

        def note_nothing(journal: Journal, address: int) -> bool:
            raise MemoryError

        monkeypatch.setattr(Journal, "drained_to", note_nothing)
        with pytest.raises(MemoryError):
            writer.drain()
        monkeypatch.setattr(Journal, "drained_to", noted)
        run.log({"loss": 2.0})
        run.complete()
        assert [point.value for point in run.get_metric("loss")] == [1.0, 2.0]
    assert [lock.taken_inside for lock in watched if lock.taken_inside] == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_during_the_long_end_of_a_run_makes_a_child_that_can_use_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        run, other = archive.start_run(), archive.start_run()
        began = threading.Event()
        append = writer_module.append_points

        def append_slowly(*given: object) -> None:
            append(*given)  # type: ignore[arg-type]
            began.set()
            time.sleep(END_WAIT_S + 0.5)  # a loaded machine or a slow disk

        monkeypatch.setattr(writer_module, "append_points", append_slowly)
        ending = threading.Thread(target=run.complete)

        def end_just_before_the_fork() -> None:
            run.log({"loss": 1.0})  # after the fork has stored what was logged before
            ending.start()
            began.wait()

        monkeypatch.setattr(forks, "_BEFORE", [*forks._BEFORE, end_just_before_the_fork])
        began_at = time.monotonic()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                other.add_tag("child")
                code = 0
            finally:
                os._exit(code)
        assert time.monotonic() - began_at < forks.WAIT_S
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        ending.join()
        monkeypatch.setattr(writer_module, "append_points", append)
        other.complete()
        assert archive.verify().problems == ()
