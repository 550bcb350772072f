"""Other programs cut, replace or delete the journal of a live run: nothing that a call returned for is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exptrack import Archive
from exptrack.metrics.bus_error import protect
from tests.metrics.points import journals, killed
from tests.warm_python import run_code

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows lets no other program cut a mapped file")

INSIDE = """
archive.start_run().complete()
def tamper():
    path = run._writer.journal.path
    whole = os.path.getsize(path)
    {tamper}
def log(begin, end):
    for step in range(begin, end):
        run.log_metric("x", float(step), step)
        if step % 10 == 0:
            run.log({{"x": -1.0, f"y{{step % 500}}": 1.0}}, step)
"""
CUTS = {
    "emptied": "os.truncate(path, 0)",
    "a page left": "os.truncate(path, 4096)",
    "half left": "os.truncate(path, whole // 2)",
    "opened for writing": "open(path, 'wb').close()",
    "emptied and deleted": "os.truncate(path, 0); os.unlink(path)",
    "emptied, another in its place": "os.truncate(path, 0); os.unlink(path); open(path, 'wb').write(b'x')",
}
MOMENTS = {
    "before a batch": "tamper(); log(0, 3000)",
    "in a batch": "log(0, 1000); tamper(); log(1000, 3000)",
    "after a batch": "log(0, 1000); run.flush(); tamper(); log(1000, 3000)",
    "in a long batch": "log(0, 23_000); tamper(); log(23_000, 45_000); tamper(); log(45_000, 46_000)",
}


def require_all(path: Path, count: int) -> None:
    with Archive(path) as archive:
        run = archive.get_run(archive.list_runs()[-1].run_id)
        steps = [point.step for point in run.get_metric("x") if point.value >= 0]
        assert steps == list(range(count))
        assert len(run.get_metric("x")) == count + -(-count // 10)
        assert archive.verify().problems == ()


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("cut", CUTS)
def test_a_journal_that_is_cut_from_inside_keeps_every_point_over_a_kill(
    tmp_path: Path, cut: str, moment: str
) -> None:
    setup = "import logging; logging.disable()\n" + INSIDE.format(tamper=CUTS[cut])
    killed(tmp_path, f"{setup}\n{MOMENTS[moment]}")
    require_all(tmp_path / "lab.db", int(MOMENTS[moment].rpartition(", ")[2].strip(")").replace("_", "")))
    # Where the kill came before anything noticed the cut, the next opener does, and keeps the file.
    assert [path.suffix for path in journals(tmp_path)] in ([], [".damaged"])


def test_a_cut_is_told_by_a_warning(tmp_path: Path) -> None:
    code = f"""
import os, exptrack
archive = exptrack.Archive({str(tmp_path / "lab.db")!r})
run = archive.start_run()
{INSIDE.format(tamper=CUTS["emptied"])}
log(0, 100); tamper(); log(100, 300)
run.complete()
"""
    done = run_code(code)
    assert done.returncode == 0
    assert done.stderr.count("was cut short by another program; it was written again, nothing is lost") == 1
    require_all(tmp_path / "lab.db", 300)


LOGGER = """
import logging, os, sys, exptrack
logging.disable()
archive = exptrack.Archive(sys.argv[1])
run = archive.start_run()
step = 0
while True:
    for _ in range(50):
        run.log_metric("x", float(step), step)
        step += 1
    print(step, flush=True)
"""


@pytest.mark.parametrize("size", [0, 4096, 1_000_000, -1])
def test_a_journal_that_is_cut_or_deleted_from_outside_keeps_every_point_over_a_kill(
    tmp_path: Path, size: int
) -> None:
    path = tmp_path / "lab.db"
    logger = subprocess.Popen([sys.executable, "-c", LOGGER, path], stdout=subprocess.PIPE, text=True)
    assert logger.stdout is not None
    try:
        for _ in range(3):
            for _ in range(100):
                logger.stdout.readline()
            (journal,) = journals(tmp_path)
            before = journal.stat()
            if size < 0:
                journal.unlink()
            else:
                os.truncate(journal, size)
            while not journal.exists() or (
                journal.stat().st_size < before.st_size if size >= 0 else journal.stat().st_ino == before.st_ino
            ):
                logger.stdout.readline()
        # A record between the cut and the next look, 50 ms later, is not in the file yet.
        for _ in range(300):
            time.sleep(0.001)
            acknowledged = int(logger.stdout.readline())
    finally:
        logger.kill()
        logger.communicate()
    with Archive(path) as archive:
        run = archive.get_run(archive.list_runs()[0].run_id)
        steps = [point.step for point in run.get_metric("x")]
        assert len(steps) >= acknowledged
        assert steps == list(range(len(steps)))
        assert archive.verify().problems == ()


FOREIGN = """
import mmap, os, sys, exptrack
archive = exptrack.Archive(sys.argv[1])
run = archive.start_run()
run.log_metric("x", 1.0)
with open(sys.argv[2], "wb+") as file:
    file.truncate(8192)
    mapped = mmap.mmap(file.fileno(), 8192)
    file.truncate(0)
    mapped[5000] = 1
print("not reached")
"""


def test_a_bus_error_of_other_code_ends_the_process_as_without_exptrack(tmp_path: Path) -> None:
    done = run_code(FOREIGN, tmp_path / "lab.db", tmp_path / "own")
    assert (done.returncode, done.stdout) == (-signal.SIGBUS, "")


FORKED = """
import os, sys, exptrack
from exptrack.metrics import bus_error
archive = exptrack.Archive(sys.argv[1])
run = archive.start_run()
run.log_metric("x", 1.0)
mapped, path = run._writer.journal.map, run._writer.journal.path
child = os.fork()
if child == 0:
    os.truncate(path, 0)
    os._exit(len(bus_error._JOURNALS) + (not mapped.closed))
assert os.waitpid(child, 0)[1] == 0
for step in range(100):
    run.log_metric("x", 1.0)
run.complete()
"""


def test_a_forked_child_leaves_the_journal_of_its_parent_alone(tmp_path: Path) -> None:
    done = run_code(FORKED, tmp_path / "lab.db")
    assert done.returncode == 0, done.stderr
    with Archive(tmp_path / "lab.db") as archive:
        assert archive.sql("SELECT count FROM metrics").rows == ((101,),)


def test_a_handler_of_the_script_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    class Healthy:
        def heal(self) -> bool:
            return False

    def own(_number: int, _frame: object) -> None: ...

    kept: list[object] = []
    monkeypatch.setattr("exptrack.metrics.bus_error._kept", kept)
    before = signal.signal(signal.SIGBUS, own)
    try:
        protect(Healthy())
        assert signal.getsignal(signal.SIGBUS) is own
    finally:
        signal.signal(signal.SIGBUS, before)
    assert kept == []


def test_a_deleted_journal_is_written_again_within_a_moment_while_points_wait(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive, archive.start_run() as run:
        for step in range(100):
            run.log_metric("x", float(step))
            if step % 20 == 0:
                (journal,) = journals(tmp_path)
                journal.unlink()
                run.log_metric("y", float(step))
                while not journal.exists():
                    time.sleep(0.001)
    with Archive(tmp_path / "lab.db") as archive:
        assert [len(archive.get_run(run.run_id).get_metric(name)) for name in "xy"] == [100, 5]
