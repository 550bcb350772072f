"""The writer: points that a call returned for are stored once, whole and in order, whatever happens."""

from __future__ import annotations

import _thread
import errno
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from exptrack import Archive, RunFinishedError, RunStatus
from exptrack.errors import (
    ArchiveFullError,
    ArchiveLockedError,
    ArchiveMovedError,
    ArchiveReadOnlyError,
    RunNotFoundError,
)
from exptrack.metrics import journal as journal_module
from exptrack.metrics import journal_file
from exptrack.metrics import writer as writer_module
from exptrack.metrics.journal_file import SEGMENT_SLOTS
from tests.changes import altering, changing
from tests.metrics.points import journals, killed, values_of
from tests.warm_python import run_code


@pytest.mark.usefixtures("quiet")
def test_everybody_in_the_process_reads_what_was_logged(archive: Archive) -> None:
    run = archive.start_run()
    with Archive(archive.path) as other, Archive(archive.path, mode="ro") as reader:
        for step in range(5):
            run.log_metric("x", step)
            for view in (archive, other, reader):
                last = view.get_run(run.run_id).get_last_metric("x")
                assert last is not None
                assert last.value == step
            assert reader.list_runs()[0].metrics == {"x": step}
            assert other.sql("SELECT count FROM metrics").rows == ((step + 1,),)
    run.complete()


@pytest.mark.usefixtures("quiet")
def test_a_copy_knows_nothing_of_what_is_logged_to_the_archive(archive: Archive, tmp_path: Path) -> None:
    run = archive.start_run()
    run.log_metric("x", 0.5)
    archive.backup(tmp_path / "copy.db")
    run.log_many("x", range(1, 10), [0.5] * 9)
    with Archive(tmp_path / "copy.db") as copy:
        copy.get_run(run.run_id).log_rows([("x", 0.5)])
        assert [point.step for point in copy.get_run(run.run_id).get_metric("x")] == [0, 1]
    run.complete()


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_a_signal_handler_ends_a_run_while_another_begins(tmp_path: Path) -> None:
    code = """
import signal
from exptrack import Archive
from exptrack.metrics import writer

archive, other = Archive("lab.db"), Archive("other.db")
first, second = archive.start_run(name="first"), other.start_run(name="second")
make_journal = writer.Journal

def interrupt(*about):
    journal = make_journal(*about)
    signal.raise_signal(signal.SIGALRM)  # the handler runs in the main thread, now or when that is next at work
    return journal

def end(*_):
    writer.Journal = make_journal
    first.complete()
    second.complete()

signal.signal(signal.SIGALRM, end)
writer.Journal = interrupt
with Archive("third.db") as third:
    third.start_run().complete()
print(first.status, second.status)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "completed completed\n"


def test_a_process_that_may_begin_no_thread_logs_all_the_same(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    archive.list_runs()

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    run = archive.start_run()
    points = 2 * SEGMENT_SLOTS + 1000  # more than the journal holds
    for step in range(points):
        run.log_metric("x", 0.5, step)
    run.add_tag("t")
    assert len(run.get_metric("x")) == points
    run.complete()
    assert caplog.text.count("may begin no more threads") == 1


def test_idle_writers_sleep(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a drain that leaves nothing, the thread waits for the next point, not for the clock."""
    monkeypatch.setattr(writer_module, "DRAIN_S", 0.01)
    run = archive.start_run()
    drains: list[float] = []
    store = writer_module.Writer._store
    monkeypatch.setattr(
        writer_module.Writer, "_store", lambda self, *a: (drains.append(time.monotonic()), store(self, *a))[1]
    )
    for number in range(3):
        run.log_metric("x", number)
        while len(drains) <= number:
            time.sleep(0.001)
        time.sleep(0.1)
    assert len(drains) == 3
    run.complete()


def test_a_signal_handler_that_flushes_inside_a_logging_call_is_refused(archive: Archive) -> None:
    run = archive.start_run()
    with run._journal.lock, pytest.raises(ArchiveLockedError, match="signal handler"):
        run.flush()
    run.complete()


FORKER = """
import os, sys, exptrack
archive = exptrack.Archive(sys.argv[1])
run = archive.start_run()
for step in range(1000):
    run.log_metric("x", float(step))
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        for step in range(10):
            run.log_metric(f"child {number}", float(step))
        own = archive.start_run(name=f"of child {number}")
        own.log_metric("x", 1.0)
        own.complete()
        sys.exit(0)
    children.append(child)
for step in range(1000):
    run.log_metric("x", float(step))
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
assert len([name for name in os.listdir(os.path.dirname(sys.argv[1])) if name.endswith(".points")]) == 1
run.complete()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_leaves_the_journal_alone_and_logs_by_commits(archive: Archive) -> None:
    done = run_code(FORKER, archive.path)
    assert (done.returncode, done.stderr) == (0, "")
    assert journals(Path(archive.path).parent) == []
    parent = archive.get_run(archive.list_runs()[-1].run_id)
    assert [step for step, _ in values_of(parent, "x")] == list(range(2000))
    for number in range(3):
        assert values_of(parent, f"child {number}") == [(step, float(step)) for step in range(10)]
    assert sorted(r.name or "" for r in archive.list_runs()) == ["", *(f"of child {n}" for n in range(3))]


CLOSER = """
import sys, threading, time, exptrack
for _ in range(8):
    archive = exptrack.Archive(sys.argv[1])
    run = archive.start_run()
    logged, wrong = [0, 0, 0], []

    def log(number):
        try:
            while True:
                if number % 2:
                    run.log({f"x{number}": 1.0})
                else:
                    run.log_metric(f"x{number}", 1.0)
                logged[number] += 1
        except exptrack.ArchiveClosedError:
            pass
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=log, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.02)
    archive.close()
    for thread in threads:
        thread.join()
    assert not wrong, wrong
    with exptrack.Archive(sys.argv[1]) as archive:
        found = [len(archive.get_run(run.run_id).get_metric(f"x{number}")) for number in range(3)]
    assert all(a >= b for a, b in zip(found, logged)), (found, logged)
"""


def test_an_archive_that_is_closed_while_threads_log_has_all_that_calls_returned_for(tmp_path: Path) -> None:
    done = run_code(CLOSER, tmp_path / "lab.db")
    assert (done.returncode, done.stderr) == (0, "")
    assert journals(tmp_path) == []


@pytest.mark.usefixtures("quiet")
def test_a_full_journal_is_drained_by_who_logs(archive: Archive) -> None:
    run = archive.start_run()
    for step in range(60_000):
        run.log_metric("x", float(step), step)
    names = [f"metric {'é' * 100} {number}" for number in range(3000)]
    for _ in range(3):
        run.log(dict.fromkeys(names, 1.0))
    run.log({f"one of very many {number}": 1.0 for number in range(20_000)})
    run.complete()
    assert len(run.get_metric("x")) == 60_000
    assert archive.sql("SELECT count(*), sum(count) FROM metrics").rows == ((23_001, 60_000 + 9000 + 20_000),)


@pytest.mark.usefixtures("quiet")
def test_points_wait_while_the_archive_cannot_be_written_and_a_warning_says_so_once(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = archive.start_run()
    assert run._writer is not None
    run.log_metric("x", 0.0)
    full = ArchiveFullError("no room to write", path=archive.path)

    def refuse(*_: object) -> None:
        raise full

    with monkeypatch.context() as patch:
        patch.setattr(writer_module, "append_points", refuse)
        run._writer.journal.batch_ready.set()
        while run._writer.trouble is None:
            time.sleep(0.001)
        run.log_metric("x", 1.0)
        run.log_metric("x", 2.0)
        run.log({"x": 3.0})
        for call in (run.flush, run.complete):
            with pytest.raises(ArchiveFullError, match=r"room to write. 4 logged points .* wait in .*points"):
                call()
        assert archive.get_run(run.run_id).get_metric("x") == []
        for _ in range(3):
            assert not run._writer.drain_if_possible()
    assert caplog.text.count("WARNING") == 1
    assert "until they can be stored: no room to write" in caplog.text
    run.log_metric("x", 4.0)
    run.complete()
    assert [value for _, value in values_of(run, "x")] == [0.0, 1.0, 2.0, 3.0, 4.0]


@pytest.mark.usefixtures("quiet")
def test_the_journal_grows_while_it_cannot_be_drained_and_refuses_when_it_may_not_grow(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "MOST_SEGMENTS", 5)
    run = archive.start_run()
    full = ArchiveFullError("no room to write", path=archive.path)

    def refuse(*_: object) -> None:
        raise full

    kept: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(writer_module, "append_points", refuse)
        raised: list[int] = []
        while len(raised) < 3:
            step = len(kept)
            try:
                run.log_metric("x", float(step), step)
            except ArchiveFullError:
                raised.append(step)
            else:
                kept.append(step)
        assert len(kept) == 5 * (SEGMENT_SLOTS - 2)  # in each, two define the series
    run.flush()
    assert run._writer is not None
    assert run._writer.trouble is None
    run.log_metric("x", 0.5)
    run.complete()
    assert [step for step, _ in values_of(run, "x")] == [*kept, len(kept)]
    assert archive.verify().problems == ()


def test_a_journal_that_has_grown_is_replayed_after_a_kill(tmp_path: Path) -> None:
    body = """
    from exptrack.errors import ArchiveFullError
    from exptrack.metrics import writer
    import logging
    logging.disable()
    def refuse(*_):
        raise ArchiveFullError("no room to write")
    writer.append_points = refuse
    for step in range(100_000):
        run.log_metric("x", float(step), step)
        if step % 1000 == 0:
            run.log({"x": -1.0, f"y{step}": 1.0}, step)
    """
    killed(tmp_path, body)
    with Archive(tmp_path / "lab.db") as archive:
        (summary,) = archive.list_runs()
        run = archive.get_run(summary.run_id)
        assert len(run.get_metric("x")) == 100_100
        assert len(summary.metrics) == 101
        assert archive.verify().problems == ()
    assert journals(tmp_path) == []


def test_no_room_to_grow_refuses_the_call(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    run = archive.start_run()

    def refuse(*_: object) -> None:
        raise ArchiveFullError("no room to write", path=archive.path)

    def refuse_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    kept = 0
    with monkeypatch.context() as patch:
        patch.setattr(writer_module, "append_points", refuse)
        patch.setattr(journal_file, "allocate", refuse_room)
        with pytest.raises(ArchiveFullError, match="no room for the journal"):
            for kept in range(10 * SEGMENT_SLOTS):
                run.log_metric("x", float(kept), kept)
        assert kept > 40_000
    run.complete()
    assert len(run.get_metric("x")) == kept


def test_a_run_that_is_not_there_any_more_ends_with_that_error_and_leaves_no_journal(
    archive: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    run = archive.start_run()
    run.log_metric("x", 1.0)
    with changing(archive._connection):
        archive._connection.execute("DELETE FROM run")
    for call in (run.flush, run.complete):
        with pytest.raises(RunNotFoundError):
            call()
    assert run.run_id in caplog.text
    assert journals(Path(archive.path).parent) == []


def test_an_archive_opened_for_reading_makes_no_journal(
    archive: Archive, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "Journal", None)
    with Archive(archive.path, mode="ro") as reader, pytest.raises(ArchiveReadOnlyError):
        reader.start_run()
    assert caplog.text == ""


def test_a_journal_that_somebody_deletes_is_written_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed(
        tmp_path,
        """
        import time
        run.log_metric("x", 0.0)
        os.unlink(run._writer.journal.path)
        run.log_metric("x", 1.0)
        while not os.path.exists(run._writer.journal.path):
            time.sleep(0.001)
        # Not what the drained part says, but what a killed process left in the new file:
        threading.Thread(target=run._connection.section, args=(lambda: time.sleep(60),), daemon=True).start()
        time.sleep(0.1)
        for number in range(2, 6):
            run.log({"x": float(number), "new": 1.0})
        """.replace("import time", "import logging, threading, time; logging.disable()"),
    )
    (journal,) = journals(tmp_path)
    assert stat.S_IMODE(journal.stat().st_mode) == 0o400
    with Archive(tmp_path / "lab.db") as archive:
        run = archive.get_run(archive.list_runs()[0].run_id)
        assert values_of(run, "x") == [(number, float(number)) for number in range(6)]
        assert len(values_of(run, "new")) == 4
        assert archive.verify().problems == ()


def test_a_deleted_journal_that_cannot_be_written_again_is_told_once_and_loses_nothing(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = archive.start_run()
    run.log_metric("x", 0.0)
    assert run._writer is not None
    journal = run._writer.journal
    os.unlink(journal.path)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal_file, "allocate", refuse)
        for number in range(1, 4):
            run.flush()
            run.log_metric("x", float(number))
        assert not journal.is_safe
        assert caplog.text.count("cannot be written again") == 1
    run.flush()
    run.log_metric("x", 4.0)
    assert os.path.exists(journal.path)
    run.complete()
    assert [value for _, value in values_of(run, "x")] == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_a_run_that_somebody_else_ended_keeps_what_was_logged(archive: Archive) -> None:
    run = archive.start_run()
    run.log_metric("x", 1.0)
    with altering(archive._connection):
        archive._connection.execute("UPDATE run_owner SET pid_started = '0'")
    assert archive.list_runs()[0].status is RunStatus.INTERRUPTED
    run.log_metric("x", 2.0)
    with pytest.raises(RunFinishedError):
        run.complete()
    assert [value for _, value in values_of(run, "x")] == [1.0, 2.0]


@pytest.mark.parametrize("completes", [True, False])
@pytest.mark.usefixtures("quiet")
def test_series_that_begin_at_the_end_of_their_run_are_inserted_with_their_seals(
    archive: Archive, completes: bool
) -> None:
    archive.start_run().complete()  # the connection is open by now
    run, other = archive.start_run(), archive.start_run()
    for step in range(3):
        run.log({"rising": 1.0 * step, "once more": 0.5}, step)
        run.log_metric("repeated", 1.0, 0)
        other.log_metric("of another run", 1.0, step)
    statements: list[str] = []
    for handle in archive._connection._handles:
        assert handle.raw is not None
        handle.raw.set_trace_callback(statements.append)
    run.finish("completed" if completes else "failed")
    # Only the series whose points have to be read is sealed after it was inserted.
    assert len([sql for sql in statements if sql.startswith("UPDATE metric_series SET completed")]) == 1
    query = "SELECT n.name, s.completed, s.checksum IS NULL FROM metric_series AS s JOIN metric_name AS n"
    stored = {tuple(row) for row in archive._connection.all(f"{query} ON n.id = s.metric")}
    own = {(name, int(completes), 0) for name in ("rising", "once more", "repeated")}
    assert stored == {*own, ("of another run", 0, 1)}
    other.complete()
    assert archive.verify().ok


def test_series_that_begin_with_an_end_that_is_refused_get_no_seal(archive: Archive) -> None:
    run = archive.start_run()
    run.log_metric("x", 1.0)
    with altering(archive._connection):
        archive._connection.execute("UPDATE run_owner SET pid_started = '0'")
    assert archive.list_runs()[0].status is RunStatus.INTERRUPTED
    run.log_metric("new", 2.0)
    with pytest.raises(RunFinishedError):
        run.complete()
    seals = archive._connection.all("SELECT completed FROM metric_series")
    assert [row[0] for row in seals] == [0, 0]
    assert [value for _, value in values_of(run, "new")] == [2.0]


@pytest.mark.skipif(os.name != "posix", reason="Windows does not let an open file go")
def test_an_archive_that_is_put_back_gets_what_was_logged_meanwhile(tmp_path: Path) -> None:
    path, away = tmp_path / "lab.db", tmp_path / "away.db"
    with Archive(path) as archive, archive.start_run() as run:
        run.log_metric("x", 1.0)
        path.rename(away)
        run.log_metric("x", 2.0)
        with pytest.raises(ArchiveMovedError):
            run.flush()
        run.log_metric("x", 3.0)
        away.rename(path)
    assert [value for _, value in values_of(Archive(path).get_run(run.run_id), "x")] == [1.0, 2.0, 3.0]
