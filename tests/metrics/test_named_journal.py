"""A journal that the user names: wherever it lies, its points are stored once, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from exptrack import Archive, ArchiveReadOnlyError, InvalidTypeError, JournalError, process
from exptrack.metrics.journal_file import HEADER_BYTES, SLOT
from tests.cli.calls import call
from tests.metrics.points import journals, killed, values_of
from tests.metrics.test_take_over import training_elsewhere
from tests.sweeps.elsewhere import MACHINE

# Two runs with 60 and 40 points, none of them stored, and a copy of the journal from the middle.
LEAVES = f"""
import os, shutil, signal
from exptrack import process
{MACHINE}
from exptrack.metrics import writer
writer.DRAIN_S = 3600.0
import exptrack
archive = exptrack.Archive("lab.db")
first, second = archive.start_run(name="first"), archive.start_run(name="second")
for step in range(60):
    first.log({{"loss": float(step)}}, step)
(journal,) = [name for name in os.listdir() if name.endswith(".points")]
shutil.copyfile(journal, "earlier")
for step in range(40):
    second.log({{"loss": float(step)}}, step)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("left")
    subprocess.run([sys.executable, "-c", LEAVES], cwd=folder, capture_output=True)
    assert len(journals(folder)) == 1
    return folder


@pytest.fixture
def lab(left: Path, tmp_path: Path) -> Path:
    """An archive of another machine, whose journal came later, in another folder and with another name."""
    shutil.copytree(left, tmp_path / "lab")
    (journal,) = journals(tmp_path / "lab")
    journal.rename(tmp_path / "mailed")
    return tmp_path / "lab" / "lab.db"


@pytest.fixture
def mailed(lab: Path) -> Path:
    return lab.parent.parent / "mailed"


def counted(archive: Archive) -> dict[str | None, int]:
    assert archive.verify().problems == ()
    return {run.name: len(archive.series(run.run_id, "loss")) for run in archive.list_runs()}


def test_a_journal_that_lies_elsewhere_is_stored_once_and_stays_as_it_is(lab: Path, mailed: Path) -> None:
    before = mailed.read_bytes()
    with Archive(lab) as archive:
        assert archive.info().waiting == ()
        report = archive.recover(mailed, take_over=True)
        assert (report.points, len(report.runs), report.waiting) == (100, 2, ())
        assert report.journal == (str(mailed), 100, str(mailed), "")
        assert {run.status for run in archive.list_runs()} == {"interrupted"}
        again = archive.recover(str(mailed), take_over=True)
        assert (again.points, again.journal) == (0, (str(mailed), 0, str(mailed), ""))
        assert counted(archive) == {"first": 60, "second": 40}
    assert mailed.read_bytes() == before


def test_the_archives_own_journal_is_removed(left: Path, tmp_path: Path) -> None:
    shutil.copytree(left, tmp_path / "lab")
    (journal,) = journals(tmp_path / "lab")
    (tmp_path / "link").symlink_to(journal)
    with Archive(tmp_path / "lab" / "lab.db") as archive:
        report = archive.recover(tmp_path / "link", take_over=True)
        assert (report.points, report.journal) == (100, (str(journal), 100, None, ""))
        assert counted(archive) == {"first": 60, "second": 40}
    assert not journal.exists()


@pytest.mark.parametrize("names", [("earlier", "mailed"), ("mailed", "earlier")])
def test_copies_of_different_moments_are_stored_once_in_any_order(
    lab: Path, mailed: Path, names: tuple[str, str]
) -> None:
    (lab.parent / "earlier").rename(mailed.with_name("earlier"))
    with Archive(lab) as archive:
        stored = [archive.recover(mailed.with_name(name), take_over=True).points for name in names]
        assert stored == ([60, 40] if names[0] == "earlier" else [100, 0])
        assert counted(archive) == {"first": 60, "second": 40}


def test_an_earlier_copy_is_stored_together_with_the_journal_at_its_place(left: Path, tmp_path: Path) -> None:
    shutil.copytree(left, tmp_path / "lab")
    with Archive(tmp_path / "lab" / "lab.db") as archive:
        report = archive.recover(tmp_path / "lab" / "earlier", take_over=True)
        assert (report.points, len(report.runs), report.waiting) == (100, 2, ())
        assert report.journal is not None
        assert report.journal.points == 60
        assert counted(archive) == {"first": 60, "second": 40}


def test_a_file_that_is_no_journal_is_refused_and_untouched(lab: Path, tmp_path: Path) -> None:
    noise, empty, cut = tmp_path / "noise", tmp_path / "empty.points", tmp_path / "cut"
    noise.write_bytes(b"noise" * 9000)
    empty.write_bytes(b"")
    cut.write_bytes((tmp_path / "mailed").read_bytes()[:50])
    wrong: dict[Path, str] = {
        tmp_path / "absent": "there is no journal",
        tmp_path: "is not a file",
        noise: "is not a journal that this version",
        empty: "is not a journal that this version",
        cut: "is not a journal that this version",
        lab: "is a file of the archive",
        lab.with_name("lab.db-wal"): "is a file of the archive",
    }
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "fifo.points")
        wrong[tmp_path / "fifo.points"] = "is not a file"
    os.link(lab, tmp_path / "lab.db.deadbeef-1-00000007.points")
    wrong[tmp_path / "lab.db.deadbeef-1-00000007.points"] = "is a file of the archive"
    with Archive(lab) as archive:
        for path, message in wrong.items():
            with pytest.raises(JournalError, match=message) as caught:
                archive.recover(path, take_over=True)
            assert caught.value.path == str(path)
        with pytest.raises(InvalidTypeError):
            archive.recover(7)  # type: ignore[arg-type]
        assert counted(archive) == {"first": 0, "second": 0}
    assert noise.read_bytes() == b"noise" * 9000


def test_a_journal_of_another_archive_is_refused_and_of_a_copy_accepted(lab: Path, mailed: Path) -> None:
    with Archive(lab.with_name("other.db")) as other, pytest.raises(JournalError, match="another archive"):
        other.recover(mailed, take_over=True)
    with Archive(lab) as archive:
        archive.backup(lab.with_name("copy.db"))
    with Archive(lab.with_name("copy.db")) as copy:
        assert copy.recover(mailed, take_over=True).points == 100
        assert counted(copy) == {"first": 60, "second": 40}
    with Archive(lab) as archive:
        assert archive.recover(mailed, take_over=True).points == 100


def test_a_process_that_cannot_be_seen_has_to_be_declared_dead(lab: Path, mailed: Path) -> None:
    with Archive(lab) as archive:
        with pytest.raises(JournalError, match=r"process \d+ on host .*, last seen .* UTC wrote .*--take-over"):
            archive.recover(mailed)
        assert counted(archive) == {"first": 0, "second": 0}
        assert {run.status for run in archive.list_runs()} == {"running"}
    with Archive(lab, mode="ro") as reader, pytest.raises(ArchiveReadOnlyError):
        reader.recover(mailed, take_over=True)


def test_a_dead_process_of_this_machine_needs_no_declaration(tmp_path: Path) -> None:
    killed(tmp_path, "for step in range(100): run.log({'loss': float(step)}, step)")
    (journal,) = journals(tmp_path)
    journal.rename(tmp_path / "moved")
    with Archive(tmp_path / "lab.db") as archive:
        (run,) = archive.list_runs()
        assert (run.status, run.metrics) == ("interrupted", {})
        assert archive.recover(tmp_path / "moved").points == 100
        assert values_of(archive.get_run(run.run_id), "loss") == [(step, float(step)) for step in range(100)]
        assert archive.verify().ok


def test_a_living_process_stores_its_points_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Archive(tmp_path / "lab.db") as archive:
        run = archive.start_run()
        run.log({"loss": 1.0})
        (journal,) = journals(tmp_path)
        shutil.copyfile(journal, tmp_path / "copy")
        for path in (journal, tmp_path / "copy"):
            with pytest.raises(JournalError, match="is alive"):
                archive.recover(path, take_over=True)
        # A container that shares the file: the process is unknown there, but the lock on its journal is seen.
        monkeypatch.setattr(process, "_current", process.current_process()._replace(host_id="another"))
        for path in (journal, tmp_path / "copy"):
            with pytest.raises(JournalError, match="is alive"):
                archive.recover(path, take_over=True)
        monkeypatch.undo()
        run.complete()
        assert values_of(run, "loss") == [(0, 1.0)]


def test_a_process_that_lives_after_all_stores_only_what_it_logs_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lab" / "lab.db"
    path.parent.mkdir()
    with training_elsewhere(path) as training:
        training.do("log", 100)
        (journal,) = journals(path.parent)
        shutil.copyfile(journal, tmp_path / "copy")
        training.do("log", 100)
        for name in ("named_journal.is_writer_alive", "recovery.is_writer_alive", "recovery.is_family_alive"):
            monkeypatch.setattr(f"exptrack.metrics.{name}", lambda _path: False)
        with Archive(path) as archive:
            report = archive.recover(tmp_path / "copy", take_over=True)
            assert report.journal is not None
            assert report.journal.points == 100
        training.do("log", 100)
        training.do("close")
    with Archive(path) as archive:
        (run,) = archive.list_runs()
        assert values_of(archive.get_run(run.run_id), "loss") == [(step, float(step)) for step in range(300)]
        assert archive.verify().ok


def test_of_a_damaged_journal_the_sound_points_are_stored_once_and_the_file_stays(
    lab: Path, mailed: Path
) -> None:
    data = bytearray(mailed.read_bytes())
    data[HEADER_BYTES + 50 * SLOT + 32] ^= 1
    mailed.chmod(0o600)
    mailed.write_bytes(data)
    with Archive(lab) as archive:
        for points in (99, 0):
            report = archive.recover(mailed, take_over=True)
            assert (report.points, report.journal and report.journal.points) == (points, points)
            assert (report.journal and report.journal.problem.startswith("48 bytes")) or not points
        assert sum(counted(archive).values()) == 99
    assert mailed.read_bytes() == bytes(data)


def test_a_journal_that_was_put_aside_before_is_told_as_that(tmp_path: Path) -> None:
    killed(tmp_path, "for step in range(100): run.log({'loss': float(step)}, step)")
    (journal,) = journals(tmp_path)
    journal.chmod(0o600)
    data = bytearray(journal.read_bytes())
    data[HEADER_BYTES + 50 * SLOT + 32] ^= 1
    journal.write_bytes(data)
    with Archive(tmp_path / "lab.db") as archive:
        (aside,) = journals(tmp_path)
        report = archive.recover(aside)
        problem = "an earlier recovery could not store all of its points"
        assert report.journal == (str(aside), 0, str(aside), problem)
        assert report.points == 99  # which the opening has stored
        assert archive.verify().ok
    assert aside.read_bytes() == bytes(data)


def test_points_whose_runs_are_missing_are_told_and_another_copy_of_the_archive_stores_them(
    lab: Path, mailed: Path
) -> None:
    with Archive(lab) as archive:
        archive.recover(take_over=True)  # so that the runs can be deleted
        archive.backup(lab.with_name("whole.db"))
        second, first = archive.list_runs()
        archive.delete_run(second.run_id)
        report = archive.recover(mailed, take_over=True)
        assert (report.points, report.journal and report.journal.kept_as) == (60, str(mailed))
        assert report.journal is not None
        assert report.journal.problem.startswith("the runs of 40 points are not in")
        assert counted(archive) == {"first": 60}
    with Archive(lab.with_name("whole.db")) as whole:
        whole.backup(lab.with_name("without.db"))
        assert whole.recover(mailed, take_over=True).points == 100
    with Archive(lab.with_name("without.db")) as without:
        without.delete_run(first.run_id, second.run_id)
        with pytest.raises(JournalError, match=r"the runs of the 100 points .* are not in"):
            without.recover(mailed, take_over=True)


def test_the_command_takes_one_journal(lab: Path, mailed: Path, tmp_path: Path) -> None:
    refused = call(lab, "recover", str(mailed))
    assert (refused.exit_code, "--take-over" in refused.stderr) == (26, True)
    done = call(None, "recover", "--take-over", str(lab), str(mailed))
    assert "100 points stored, 2 runs marked" in done.stdout
    assert f"left {mailed}; delete it if you do not need it" in done.stdout.replace("\n", " ")
    again = call(lab, "recover", "--take-over", str(mailed))
    assert "were stored before" in again.stdout
    assert call(lab, "recover", str(tmp_path / "absent.points")).exit_code == 26
    assert call(lab, "recover", str(mailed), "one.points").exit_code == 2
    no_journal = call(None, "recover", str(lab), "words.txt")
    assert (no_journal.exit_code, "words.txt is not a journal" in no_journal.stderr) == (50, True)
