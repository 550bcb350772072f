"""Recovery: the next opener stores what a killed process left in its journal, once."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from exptrack import Archive, ArchiveIOError
from exptrack.metrics.journal_file import HEADER_BYTES, SLOT
from tests.metrics.points import journals, killed, values_of


def test_a_journal_is_replayed_by_the_next_opener_and_by_whoever_lists(tmp_path: Path) -> None:
    body = """
    for step in range(100):
        run.log({"loss": step, "acc": float("nan")})
    second = archive.start_run()
    second.log_metric("loss", 1.0, -3, 0.0)
    """
    with Archive(tmp_path / "lab.db") as archive:
        killed(tmp_path, body)
        assert len(journals(tmp_path)) == 1
        assert [r.status for r in archive.list_runs()] == ["interrupted", "interrupted"]
        assert journals(tmp_path) == []
        second, first = (archive.get_run(r.run_id) for r in archive.list_runs())
        assert values_of(first, "loss") == [(step, float(step)) for step in range(100)]
        assert len(first.get_metric("acc")) == 100
        assert abs(second.get_metric("loss")[0].time.timestamp()) < 0.001
        again = archive.resume_run(first.run_id)
        again.log({"loss": 0.0})
        assert again.get_metric("loss")[-1].step == 100
        again.complete()
        assert archive.verify().problems == ()


def test_of_two_openers_one_replays(tmp_path: Path) -> None:
    killed(tmp_path, "for step in range(20_000): run.log_metric('x', 1.0, step)")
    opener = f"import exptrack; exptrack.Archive({str(tmp_path / 'lab.db')!r}).close()"
    processes = [subprocess.Popen([sys.executable, "-c", opener], stderr=subprocess.PIPE) for _ in range(4)]
    assert [process.communicate()[1] for process in processes] == [b""] * 4
    with Archive(tmp_path / "lab.db") as archive:
        (record,) = archive.list_runs()
        assert len(archive.get_run(record.run_id).get_metric("x")) == 20_000
        assert archive.verify().problems == ()
    assert journals(tmp_path) == []


def test_a_journal_belongs_to_the_archive_of_exactly_its_name(tmp_path: Path) -> None:
    Archive(tmp_path / "lab.db").close()
    shutil.copyfile(tmp_path / "lab.db", tmp_path / "lab.db.bak")
    killed(tmp_path, "run.log_metric('x', 1.0)", name="lab.db.bak")
    Archive(tmp_path / "lab.db").close()
    assert len(journals(tmp_path)) == 1
    with Archive(tmp_path / "lab.db.bak") as archive:
        (run,) = archive.list_runs()
        assert values_of(archive.get_run(run.run_id), "x") == [(0, 1.0)]


def test_a_journal_that_comes_back_with_its_archive_is_not_stored_again(tmp_path: Path) -> None:
    killed(tmp_path, "run.log_many('y', None, [1.0]); run.log_metric('x', 1.0)")
    (journal,) = journals(tmp_path)
    kept = tmp_path / "kept"
    shutil.copyfile(journal, kept)
    for _ in range(2):
        with Archive(tmp_path / "lab.db") as archive:
            (run,) = archive.list_runs()
            assert values_of(archive.get_run(run.run_id), "x") == [(0, 1.0)]
        shutil.copyfile(kept, journal)


def _garbage(path: Path) -> None:
    path.write_bytes(random.Random(0).randbytes(10_000))


def _short(path: Path) -> None:
    os.truncate(path, 3000)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _zeros(path: Path) -> None:
    path.write_bytes(bytes(10_000))


@pytest.mark.parametrize("damage", [_garbage, _short, _empty, _zeros])
def test_a_damaged_journal_never_stops_an_opener(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    killed(tmp_path, "run.log_metric('x', 1.0)")
    (path,) = journals(tmp_path)
    damage(path)
    for _ in range(2):
        with Archive(tmp_path / "lab.db") as archive:
            assert [r.status for r in archive.list_runs()] == ["interrupted"]
            assert archive.verify().problems == ()
    aside = path.with_name(f"{path.name}.damaged")
    assert journals(tmp_path) == {_garbage: [path], _short: [aside]}.get(damage, [])


def _flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def test_damage_in_the_middle_is_told_the_file_kept_and_the_sound_points_stored_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed(tmp_path, "for step in range(1000): run.log({'loss': float(step)}, step)")
    (path,) = journals(tmp_path)
    _flip(path, HEADER_BYTES + 500 * SLOT + 32)
    before = path.read_bytes()
    for _ in range(2):
        with Archive(tmp_path / "lab.db") as archive:
            run = archive.get_run(archive.list_runs()[0].run_id)
            assert [step for step, _ in values_of(run, "loss")] == [*range(498), *range(499, 1000)]
            assert archive.verify().problems == ()
    assert caplog.text.count("48 bytes do not verify") == 1
    (aside,) = journals(tmp_path)
    assert aside.name.endswith(".points.damaged")
    assert aside.read_bytes() == before


def test_damaged_definitions_are_told_with_the_number_of_points(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    killed(tmp_path, "for step in range(100): run.log({'a': 1.0, 'b': 2.0}, step)")
    (path,) = journals(tmp_path)
    _flip(path, HEADER_BYTES + 20)
    with Archive(tmp_path / "lab.db") as archive:
        assert archive.list_runs()[0].metrics == {"b": 2.0}
    assert "the names of 100 points do not verify" in caplog.text
    assert [one.suffix for one in journals(tmp_path)] == [".damaged"]


def test_a_damaged_journal_whose_replay_was_cut_off_is_still_put_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    killed(tmp_path, "for step in range(100): run.log({'a': 1.0}, step)")
    (path,) = journals(tmp_path)
    _flip(path, HEADER_BYTES + 50 * SLOT)

    def fail(*_: object) -> None:
        raise PermissionError(13, "as if killed here")

    with monkeypatch.context() as patch:
        patch.setattr("exptrack.metrics.recovery.os.replace", fail)
        Archive(tmp_path / "lab.db").close()
    assert journals(tmp_path) == [path]
    with Archive(tmp_path / "lab.db") as archive:
        assert len(archive.get_run(archive.list_runs()[0].run_id).get_metric("a")) == 99
    (aside,) = journals(tmp_path)
    assert aside.suffix == ".unclaimed"
    assert str(aside) in caplog.text


def test_the_journal_of_another_archive_is_left_alone(tmp_path: Path) -> None:
    killed(tmp_path, "run.log_metric('x', 1.0)")
    (path,) = journals(tmp_path)
    before = path.read_bytes()
    (tmp_path / "lab.db").rename(tmp_path / "elsewhere.db")
    for suffix in ("-wal", "-shm"):
        Path(f"{tmp_path / 'lab.db'}{suffix}").unlink(missing_ok=True)
    with Archive(tmp_path / "lab.db") as archive:
        assert archive.list_runs() == []
    assert path.read_bytes() == before


def test_points_of_a_run_that_is_not_in_the_archive_are_set_aside(tmp_path: Path) -> None:
    Archive(tmp_path / "lab.db").close()
    shutil.copyfile(tmp_path / "lab.db", tmp_path / "before.db")
    killed(tmp_path, "run.log_metric('x', 1.0)")
    for suffix in ("-wal", "-shm"):
        Path(f"{tmp_path / 'lab.db'}{suffix}").unlink(missing_ok=True)
    shutil.copyfile(tmp_path / "before.db", tmp_path / "lab.db")
    with Archive(tmp_path / "lab.db") as archive:
        assert archive.list_runs() == []
    (aside,) = journals(tmp_path)
    assert aside.name.endswith(".points.unclaimed")


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES])
def test_a_journal_that_cannot_be_deleted_ends_no_run_with_an_error_and_is_never_stored_again(
    tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(path: object, **_: object) -> None:
        raise OSError(code, os.strerror(code), str(path))

    with Archive(tmp_path / "lab.db") as archive:
        run = archive.start_run()
        run.log({"x": 1.0})
        (left,) = journals(tmp_path)
        with monkeypatch.context() as faulty:
            faulty.setattr(os, "unlink", refuse)
            run.complete()
    assert f"{left} cannot be deleted ({os.strerror(code)})" in caplog.text
    assert journals(tmp_path) == [left]
    open_elsewhere = "import sys, exptrack; exptrack.Archive(sys.argv[1]).close()"
    subprocess.run([sys.executable, "-c", open_elsewhere, str(tmp_path / "lab.db")], check=True)
    with Archive(tmp_path / "lab.db") as archive:
        archive.recover()
        assert values_of(archive.get_run(run.run_id), "x") == [(0, 1.0)]


def test_a_journal_that_was_renamed_and_comes_back_is_not_stored_again(tmp_path: Path) -> None:
    killed(
        tmp_path,
        """
        import logging
        logging.disable()  # of the warning that another program has deleted the journal
        run.log({"x": 1.0})
        run.flush()
        path = run._writer.journal.path
        aside = os.path.join(os.path.dirname(path), "aside")
        os.rename(path, aside)
        run.log({"x": 2.0})
        run.complete()
        archive.close()
        os.rename(aside, path)
        """,
    )
    assert len(journals(tmp_path)) == 1
    with Archive(tmp_path / "lab.db") as archive:
        (run,) = archive.list_runs()
        assert values_of(archive.get_run(run.run_id), "x") == [(0, 1.0), (1, 2.0)]
        assert journals(tmp_path) == []
        assert archive.verify().problems == ()


@pytest.mark.parametrize("name", ["unlink", "replace"])
def test_a_replayed_journal_that_cannot_be_put_away_is_told_as_that(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    killed(tmp_path, "run.log({'x': 1.0})\nrun.log({'x': 2.0})")
    (left,) = journals(tmp_path)
    if name == "replace":
        left.chmod(0o600)
        with left.open("r+b") as file:
            file.seek(HEADER_BYTES + SLOT * 2)
            file.write(b"damage")
    refused = PermissionError(errno.EPERM, "Operation not permitted")

    def refuse(*_: object, **__: object) -> None:
        raise refused

    with monkeypatch.context() as faulty:
        faulty.setattr(os, name, refuse)
        Archive(tmp_path / "lab.db").close()
    assert f"the journal {left} cannot be deleted or renamed" in caplog.text
    assert "cannot be read" not in caplog.text
    with Archive(tmp_path / "lab.db") as archive:
        (run,) = archive.list_runs()
        assert len(values_of(archive.get_run(run.run_id), "x")) == (2 if name == "unlink" else 1)
    assert not left.exists()


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENOSPC, errno.EIO])
def test_a_folder_that_cannot_be_listed_is_a_warning_of_the_opening_and_an_error_of_recover(
    tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    killed(tmp_path, "run.log({'x': 1.0})")
    listdir = os.listdir

    def refuse(path: str | Path = ".") -> list[str]:
        if Path(path) == tmp_path:
            raise OSError(code, os.strerror(code), str(path))
        return listdir(path)

    with monkeypatch.context() as faulty:
        faulty.setattr(os, "listdir", refuse)
        with Archive(tmp_path / "lab.db") as archive:
            assert os.strerror(code) in caplog.text
            assert len(archive.list_runs()) == 1
            with pytest.raises(ArchiveIOError, match="cannot be listed"):
                archive.recover()
    with Archive(tmp_path / "lab.db") as archive:
        (run,) = archive.list_runs()
        assert values_of(archive.get_run(run.run_id), "x") == [(0, 1.0)]
        assert run.status == "interrupted"
