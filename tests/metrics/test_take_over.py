"""Recovery of the journal of a process that was declared dead, and in truth lives on another machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exptrack import Archive, RunStatus
from exptrack.metrics.journal_file import HEADER_BYTES, SLOT
from tests.metrics.points import journals, values_of
from tests.sweeps.elsewhere import MACHINE

LOGS = f"""
import os, signal, sys, time
from exptrack import process
{MACHINE}
from exptrack.metrics import writer
writer.DRAIN_S = 3600.0  # the points wait in the journal until someone asks for them
import exptrack
archive = exptrack.Archive(sys.argv[1])
run = archive.start_run()
step = 0
for line in sys.stdin:
    word, count = line.split()
    if word == "log":
        for _ in range(int(count)):
            run.log({{"loss": float(step)}}, step)
            step += 1
    elif word == "write-again":
        while not any(name.endswith(".points") for name in os.listdir(os.path.dirname(sys.argv[1]))):
            time.sleep(0.01)
    elif word == "close":
        archive.close()
    elif word == "complete":
        try:
            run.complete()
        except exptrack.RunFinishedError:
            pass
        else:
            sys.exit("the run could be completed")
    print("done", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


class Elsewhere:
    """A training on another machine that does what it is told."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def do(self, word: str, count: int = 0) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{word} {count}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def die(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@contextmanager
def training_elsewhere(path: Path) -> Iterator[Elsewhere]:
    process = subprocess.Popen(
        [sys.executable, "-c", LOGS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield Elsewhere(process)
        finally:
            process.kill()


@pytest.fixture(autouse=True)
def locks_of_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the locks of the process, as they are hidden from another machine."""
    names = (
        "recovery.is_writer_alive",
        *(f"{file}.is_family_alive" for file in ("recovery", "waiting", "journal_reader")),
    )
    for name in names:
        monkeypatch.setattr(f"exptrack.metrics.{name}", lambda _path: False)


def take_over(path: Path) -> int:
    with Archive(path) as archive:
        return archive.recover(take_over=True).points


def stored(path: Path) -> list[tuple[int, float]]:
    with Archive(path) as archive:
        (record,) = archive.list_runs()
        assert archive.verify().problems == ()
        return values_of(archive.get_run(record.run_id), "loss")


def first(count: int) -> list[tuple[int, float]]:
    return [(step, float(step)) for step in range(count)]


# 30,000 points fill more than the first segment of the file.
@pytest.mark.parametrize("count", [100, 30_000])
def test_a_writer_that_was_taken_for_dead_stores_what_it_logs_later_once(tmp_path: Path, count: int) -> None:
    path = tmp_path / "lab.db"
    with training_elsewhere(path) as training:
        training.do("log", count)
        take_over(path)
        assert stored(path) == first(count)
        training.do("log", 100)
        training.do("close")
    assert stored(path) == first(count + 100)
    assert journals(tmp_path) == []


def test_the_run_of_such_a_writer_stays_interrupted_with_all_its_points(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with training_elsewhere(path) as training:
        training.do("log", 100)
        take_over(path)
        training.do("log", 100)
        training.do("complete")
    with Archive(path) as archive:
        (run,) = archive.list_runs()
        assert run.status == RunStatus.INTERRUPTED
        assert archive.verify().problems == ()
    assert stored(path) == first(200)


def test_such_a_writer_writes_its_file_again_so_that_its_kill_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with training_elsewhere(path) as training:
        training.do("log", 100)
        assert take_over(path) == 100
        training.do("log", 100)
        training.do("write-again")
        training.do("log", 100)
        training.die()
        assert take_over(path) == 200
    assert stored(path) == first(300)
    assert take_over(path) == 0


def test_such_a_writer_is_taken_over_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "lab.db"
    with training_elsewhere(path) as training:
        for _ in range(3):
            training.do("log", 50)
            training.do("write-again")
            assert take_over(path) == 50
        training.do("close")
    assert stored(path) == first(150)


def test_its_damaged_journal_is_kept_also_if_the_replay_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lab.db"
    with training_elsewhere(path) as training:
        training.do("log", 100)
        training.die()
    (journal,) = journals(tmp_path)
    data = bytearray(journal.read_bytes())
    data[HEADER_BYTES + 50 * SLOT + 32] ^= 1
    journal.chmod(0o600)
    journal.write_bytes(data)

    def fail(*_: object) -> None:
        raise PermissionError(13, "as if killed here")

    with monkeypatch.context() as patch:
        patch.setattr("exptrack.metrics.recovery.os.replace", fail)
        take_over(path)
    assert take_over(path) == 0
    (aside,) = journals(tmp_path)
    assert (aside.suffix, aside.read_bytes()) == (".damaged", bytes(data))
    assert len(stored(path)) == 99
