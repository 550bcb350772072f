"""An archive of a spool is one whole file while no run is open in it, and works as any archive meanwhile."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from exptrack import (
    Archive,
    ArchiveFullError,
    ArchiveIOError,
    ArchiveMovedError,
    ArchiveNotFoundError,
    local_archive,
)
from exptrack.database import filesystem, spooled_file
from exptrack.database.rest import remove_at_rest
from exptrack.database.spooled_file import find_work_folder, is_spooled_name, read_note

ROLLBACK, WAL = b"\1\1", b"\2\2"


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "spool"
    yield folder
    spooled_file._own.pop(folder, None)


@pytest.fixture
def network(tmp_path: Path, spool: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for work on the local disk, where the spool lies on a network file system."""
    table = tmp_path / "mountinfo"
    table.write_text(f"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n50 22 0:60 / {spool} rw - nfs4 server:/ rw\n")
    monkeypatch.setattr(filesystem, "MOUNTS", str(table))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = find_work_folder()
    assert folder is not None
    assert folder.parent == tmp_path
    return folder


def names(folder: Path) -> list[str]:
    """The endings of the names in a folder, without the part that tells the process."""
    return sorted(name[name.index(".db") :] for name in os.listdir(folder))


def mode_of(path: str | Path) -> bytes:
    with open(path, "rb") as file:
        file.seek(18)
        return file.read(2)


def test_it_is_whole_while_no_run_is_open(spool: Path) -> None:
    with local_archive(spool) as archive:
        assert is_spooled_name(Path(archive.path).name)
        with archive.start_run(name="first") as first:
            first.log({"loss": 0.5})
            second = archive.start_run(name="second")
            assert {".db", ".db.open", ".db-wal", ".db-shm"} <= set(names(spool))
        assert ".db-wal" in names(spool)
        second.complete()
        assert names(spool) == [".db"]
        assert mode_of(archive.path) == ROLLBACK
        raw = sqlite3.connect(archive.path)
        assert raw.execute("SELECT name, status FROM runs ORDER BY name").fetchall() == [
            ("first", "completed"),
            ("second", "completed"),
        ]
        raw.close()


def test_handles_on_ended_runs_go_on(spool: Path) -> None:
    with local_archive(spool) as archive:
        with archive.start_run() as run:
            run.log({"loss": 0.5})
        assert list(run.series("loss").values) == [0.5]
        assert [found.run_id for found in archive.list_runs()] == [run.run_id]
        assert names(spool) == [".db"]
        run.add_tag("good")
        assert ".db.open" in names(spool)
        assert mode_of(archive.path) == WAL
        with archive.start_run() as again:
            again.log({"loss": 0.4})
        assert names(spool) == [".db"]
        assert run.tags == ("good",)
        again.add_tag("last")
    assert names(spool) == [".db"]
    (path,) = spool.iterdir()
    assert mode_of(path) == ROLLBACK
    with Archive(path, mode="ro") as found:
        assert {summary.tags for summary in found.list_runs()} == {("good",), ("last",)}
        assert found.verify().ok
    assert names(spool) == [".db"]


def test_further_calls_open_the_same_file(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPTRACK_SPOOL", str(spool))
    with local_archive(spool) as one, local_archive(str(spool)) as other, Archive() as third:
        assert one.path == other.path == third.path
        with one.start_run():
            pass
        assert names(spool) == [".db"]
        with other.start_run(), third.start_run():
            one.list_runs()
        assert names(spool) == [".db"]
        assert len(third.list_runs()) == 3
    with local_archive(spool) as again:
        assert len(again.list_runs()) == 3
    assert names(spool) == [".db"]


def test_the_spool_wins_over_the_default_archive(
    spool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPTRACK_DB", str(tmp_path / "lab.db"))
    monkeypatch.setenv("EXPTRACK_SPOOL", str(spool))
    with Archive.default() as archive:
        with archive.start_run():
            pass
        assert Path(archive.path).parent == spool
        assert Archive.default()._connection is archive._connection
    assert not (tmp_path / "lab.db").exists()
    with Archive(tmp_path / "named.db") as named:
        assert Path(named.path).parent == tmp_path
    monkeypatch.setenv("EXPTRACK_SPOOL", "")
    with Archive() as plain:
        assert plain.path == str(tmp_path / "lab.db")


def test_without_a_run_no_file_stays(spool: Path) -> None:
    with local_archive(spool) as archive:
        assert archive.list_runs() == []
    assert list(spool.iterdir()) == []
    with local_archive(spool) as archive:
        archive.create_group("kept")
    assert names(spool) == [".db"]


def test_threads_share_one_file(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPTRACK_SPOOL", str(spool))
    paths = set()

    def work() -> None:
        archive = Archive()
        for _ in range(5):
            with archive.start_run() as run:
                run.log({"loss": 0.5})
            assert list(run.series("loss").values) == [0.5]
        paths.add(archive.path)
        archive.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (path,) = paths
    assert names(spool) == [".db"]
    with Archive(path, mode="ro") as found:
        assert found.info().runs == {"completed": 20}
        assert found.verify().ok


def test_a_folder_that_cannot_be_a_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArchiveNotFoundError, match="create it first"):
        local_archive(tmp_path / "no" / "spool")
    (tmp_path / "file").write_text("")
    with pytest.raises(ArchiveIOError, match="is not a folder"):
        local_archive(tmp_path / "file")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ArchiveIOError.__mro__[1], match="check the permissions"):
        local_archive(tmp_path / "spool")


def test_a_full_disk_leaves_nothing(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(spooled_file, "write_new_file", refuse)
    with pytest.raises(ArchiveFullError, match="free disk space"):
        local_archive(spool)
    assert list(spool.iterdir()) == []
    monkeypatch.undo()
    monkeypatch.setattr("exptrack.database.opening.bring_up_to_date", refuse)
    with pytest.raises(OSError, match="No space"):
        local_archive(spool)
    assert list(spool.iterdir()) == []
    monkeypatch.undo()
    with local_archive(spool) as archive:
        pass
    assert list(spool.iterdir()) == []
    with local_archive(spool) as archive, archive.start_run():
        monkeypatch.setattr("exptrack.database.opening.bring_up_to_date", refuse)
        before = {path: path.read_bytes() for path in spool.glob("*.open")}
        with pytest.raises(OSError, match="No space"):
            local_archive(spool)
        assert {path: path.read_bytes() for path in spool.glob("*.open")} == before
    assert names(spool) == [".db"]


def test_a_file_that_is_open_elsewhere_stays_as_it_is(spool: Path) -> None:
    with local_archive(spool) as archive:
        with archive.start_run():
            raw = sqlite3.connect(archive.path)
            raw.execute("SELECT count(*) FROM run").fetchone()
        assert ".db.open" in names(spool)
        raw.close()
    assert names(spool) == [".db"]


def test_a_file_is_removed_only_at_rest_and_unchanged(spool: Path) -> None:
    archive = local_archive(spool)
    place = Path(archive.path)
    with archive.start_run() as run:
        assert not remove_at_rest(place, lambda _: True)
    assert not remove_at_rest(place, lambda _: False)
    assert not remove_at_rest(place, lambda _: run.add_tag("meanwhile") is None)
    assert run.tags == ("meanwhile",)
    with archive.start_run():
        pass
    assert remove_at_rest(place, lambda path: path == place)
    assert list(spool.iterdir()) == []
    with pytest.raises(ArchiveMovedError, match="was moved, replaced or deleted"):
        run.add_tag("too late")
    assert list(spool.iterdir()) == []
    archive.close()
    with local_archive(spool) as again, again.start_run():
        pass
    assert names(spool) == [".db"]


def test_a_removal_while_a_process_wakes_the_file_is_noticed(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with local_archive(spool) as archive:
        with archive.start_run() as run:
            pass
        place = Path(archive.path)
        switch = type(archive._connection).switch_to_wal

        def remove_first(connection: object) -> None:
            place.unlink()
            switch(archive._connection)

        run.add_tag("before")
        with archive.start_run():
            pass
        archive._connection._handle()
        archive.list_runs()
        monkeypatch.setattr(type(archive._connection), "switch_to_wal", remove_first)
        with pytest.raises(ArchiveMovedError):
            run.add_tag("too late")


# A network file system


def test_on_a_network_file_system_it_is_worked_on_elsewhere(spool: Path, network: Path) -> None:
    with local_archive(spool) as archive:
        assert Path(archive.path).parent == network
        with archive.start_run() as run:
            run.log({"loss": 0.5})
            assert names(spool) == [".db.open"]
            (note,) = spool.iterdir()
            found = read_note(note)
            assert found is not None
            assert (found.path, found.spool, found.process.pid) == (archive.path, str(spool), os.getpid())
        assert names(spool) == [".db"]
        assert names(network) == [".db", ".db.open"]
        run.add_tag("good")
        assert names(spool) == [".db", ".db.open"]
    assert names(spool) == [".db"]
    assert names(network) == []
    (path,) = spool.iterdir()
    assert mode_of(path) == ROLLBACK
    with Archive(path, mode="ro") as copy:
        assert copy.list_runs()[0].tags == ("good",)
        assert copy.verify().ok


@pytest.mark.usefixtures("network")
def test_a_copy_is_removed_without_locks_and_a_newer_one_stays(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = local_archive(spool)
    place = spool / Path(archive.path).name
    with archive.start_run() as run:
        pass
    first = place.read_bytes()
    with monkeypatch.context() as without_sqlite:
        without_sqlite.setattr(sqlite3, "connect", None)
        assert not remove_at_rest(place, lambda _: False)
        assert remove_at_rest(place, lambda path: path.read_bytes() == first)
    assert list(spool.iterdir()) == []
    run.add_tag("later")
    with archive.start_run():
        pass
    rename = os.rename

    def deliver_first(one: Path, other: Path) -> None:
        place.write_bytes(b"newer")
        rename(one, other)

    def deliver_after(one: Path, other: Path) -> None:
        deliver_first(one, other)
        place.write_bytes(b"newest")

    for deliver, expected in ((deliver_first, b"newer"), (deliver_after, b"newest")):
        monkeypatch.setattr(os, "rename", deliver)
        assert not remove_at_rest(place, lambda _: True)
        assert place.read_bytes() == expected
        assert names(spool) == [".db"]
    monkeypatch.setattr(os, "rename", rename)
    archive.close()


def test_a_spool_that_cannot_be_written_loses_nothing(
    spool: Path, network: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with local_archive(spool) as archive:
        with archive.start_run() as run:
            run.log({"loss": 0.5})
            monkeypatch.setattr("exptrack.database.spooled_file.os.replace", refuse)
        with monkeypatch.context() as again:
            again.setattr("exptrack.database.spooled_file.os.replace", os.rename)
            run.add_tag("good")
    (message,) = caplog.messages
    assert f"could not be copied to {spool}" in message
    assert names(spool) == [".db.open"]
    assert names(network) == [".db", ".db.open"]
    with Archive(next(network.glob("*.db")), mode="ro") as found:
        assert found.list_runs()[0].tags == ("good",)


def test_without_a_local_disk_it_works_in_the_spool_and_says_so(
    spool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text("22 1 8:1 / / rw - nfs4 server:/ rw\n")
    monkeypatch.setattr(filesystem, "MOUNTS", str(table))
    with local_archive(spool) as archive, archive.start_run():
        assert Path(archive.path).parent == spool
    (message,) = caplog.messages
    assert "has no folder on a local disk to work in; set TMPDIR to one" in message


@pytest.mark.skipif(os.name != "posix", reason="folders have no modes")
def test_a_folder_that_others_may_write_is_not_worked_in(
    network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooled_file, "LOCAL_FOLDERS", ())
    network.chmod(0o777)
    assert find_work_folder() is None
    network.rmdir()
    network.symlink_to(tmp_path)
    assert find_work_folder() is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "\xff", json.dumps({"process": [1], "path": "", "spool": ""})]
)
def test_a_note_that_says_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "note"
    path.write_text(text, encoding="latin-1")
    assert read_note(path) is None
    assert read_note(tmp_path / "missing") is None
