"""No way to name a file of an open archive makes exptrack open it, store it or write over it."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from exptrack import (
    Archive,
    ConfigError,
    ConfigNotFoundError,
    InvalidValueError,
    OwnFileError,
    Run,
    load_exp_config,
    load_sdn_config,
    load_sweep,
    own_files,
    sdn,
)
from exptrack.cli import main
from exptrack.metrics.journal_file import list_journals
from tests.faults.nasty_values import special_files


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "lab"
    folder.mkdir()
    return folder


@pytest.fixture
def run(lab: Path) -> Iterator[Run]:
    with Archive(lab / "lab.db") as archive:
        started = archive.start_run()
        started.log({"loss": 1.0})  # so that there is a journal
        yield started
        started.complete()


def opened_files(monkeypatch: pytest.MonkeyPatch) -> set[tuple[int, int]]:
    """Collect device and inode of all that Python code opens from now on."""
    found: set[tuple[int, int]] = set()
    real = os.open

    def spy(path: str, flags: int, *rest: int, **more: int) -> int:
        descriptor = real(path, flags, *rest, **more)
        status = os.fstat(descriptor)
        found.add((status.st_dev, status.st_ino))
        return descriptor

    monkeypatch.setattr(os, "open", spy)
    return found


def ids(*paths: Path) -> set[tuple[int, int]]:
    return {(status.st_dev, status.st_ino) for status in map(os.stat, paths)}


def plain(path: Path, _other: Path) -> Path:
    return path


def link(path: Path, other: Path) -> Path:
    other.symlink_to(path)
    return other


def hard_link(path: Path, other: Path) -> Path:
    os.link(path, other)
    return other


def link_in_a_linked_folder(path: Path, other: Path) -> Path:
    other.symlink_to(path.parent)
    return other / path.name


def relative(path: Path, _other: Path) -> Path:
    return Path(os.path.relpath(path))


def descriptor(path: Path, _other: Path) -> Path:
    """Through /proc, where the process has it open."""
    for number in os.listdir("/proc/self/fd"):
        if os.path.exists(f"/proc/self/fd/{number}") and os.path.samefile(f"/proc/self/fd/{number}", path):
            return Path(f"/proc/self/fd/{number}")
    raise AssertionError("the archive is not open")


NAMINGS = [plain, link, hard_link, link_in_a_linked_folder, relative]
CASES = [(naming, ending) for naming in NAMINGS for ending in ("", "-wal", "-shm", "journal")]
if sys.platform == "linux":
    CASES += [(descriptor, ending) for ending in ("", "-wal", "-shm")]


@pytest.mark.parametrize(("naming", "ending"), CASES)
def test_a_file_of_the_archive_is_refused_by_every_name(
    run: Run, lab: Path, tmp_path: Path, naming: Callable[[Path, Path], Path], ending: str
) -> None:
    path = list_journals(lab / "lab.db")[0] if ending == "journal" else lab / f"lab.db{ending}"
    place = naming(path, tmp_path / "other")
    for read in (
        lambda: run.artifacts.register_file("x", place),
        lambda: run.artifacts.register_checkpoint("x", place, 1),
        lambda: run.log_image("x", place),
        lambda: load_sdn_config(place),
        lambda: load_sweep(place),
        lambda: sdn.load(place),
    ):
        with pytest.raises(OwnFileError, match="backup"):
            read()
    assert run.artifacts.list_artifacts() == []


def test_an_open_file_is_refused_too(run: Run, lab: Path) -> None:
    with open(lab / "lab.db", "rb") as file, pytest.raises(OwnFileError, match="backup"):
        run.artifacts.register_data("x", file)


def test_a_config_that_extends_the_archive_is_refused(run: Run, lab: Path) -> None:
    os.link(lab / "lab.db", lab / "base.sdn")
    (lab / "config.sdn").write_text("extends: base.sdn\n")
    with pytest.raises(OwnFileError):
        load_exp_config(lab)


@pytest.mark.parametrize(
    "name", ["lab.db", "lab.db-wal", "lab.db-journal", "lab.db.0a1b2c3d-7-0a1b2c3d.points"]
)
def test_nothing_is_written_over_a_file_of_the_archive(run: Run, lab: Path, name: str) -> None:
    """Also where there is no such file yet: SQLite would take it for its own."""
    run.artifacts.register_data("x", b"bytes")
    run.artifacts.register_dir("d", Path(__file__).parent / "sdn")
    before = sorted(lab.iterdir())
    for write in (
        lambda: run.artifacts.export("x", lab / name),
        lambda: run.artifacts.export("x", lab / name, overwrite=True),
        lambda: run.artifacts.export("d", lab / name),
        lambda: run.artifacts.export_all(lab / name),
    ):
        with pytest.raises(OwnFileError):
            write()
    assert sorted(lab.iterdir()) == before


def test_an_artifact_named_as_the_archive_is_not_written_over_it(run: Run, lab: Path) -> None:
    run.artifacts.register_data("lab.db", b"bytes")
    with pytest.raises(OwnFileError):
        run.artifacts.export("lab.db", lab, overwrite=True)


def test_a_folder_is_stored_without_the_archive_and_says_so_once(
    run: Run,
    lab: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = {"train.py": b"print(1)\n", "sub/data": b"1", "lab.db.bak": b"2", "my-lab.db": b"3"}
    for name, content in kept.items():
        (lab / name).parent.mkdir(exist_ok=True)
        (lab / name).write_bytes(content)
    journal = list_journals(lab / "lab.db")[0]
    journal.with_name(f"{journal.name}.unclaimed").write_bytes(b"4")
    (lab / "lab.db.rescued-20260101-000000-1").write_bytes(b"5")
    (lab / "lab.db.damaged-0123456789abcdef").write_bytes(b"6")
    (lab / "link").symlink_to("lab.db")
    os.link(lab / "lab.db-wal", lab / "sub" / "wal")
    own = ids(*(p for p in lab.glob("lab.db*") if p.name != "lab.db.bak"))
    opened = opened_files(monkeypatch)
    with caplog.at_level(logging.WARNING, "exptrack"):
        first = run.artifacts.register_dir("project", lab)
        second = run.artifacts.register_checkpoint("project", lab, 1)
    assert ids(lab / "train.py", lab / "lab.db.bak") <= opened
    assert not opened & own
    assert first == second
    (message,) = [r.getMessage() for r in caplog.records]
    assert "backup" in message
    for name in ("lab.db", "lab.db-wal", "lab.db-shm", "link", "sub/wal", journal.name):
        assert re.search(rf"(^|, ){re.escape(name)}(,| in)", message), name
    assert {f.path for f in run.artifacts.list_files("project")} == {*kept, "sub"}
    place = run.artifacts.export("project", tmp_path / "out")
    assert {str(p.relative_to(place)): p.read_bytes() for p in place.rglob("*") if p.is_file()} == kept
    assert run.artifacts.register_dir("project", place) == first


def test_a_file_that_vanishes_from_the_list_is_no_error_if_it_is_the_archives(
    run: Run, lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.listdir

    def more(path: str = ".") -> list[str]:
        return [*real(path), *(["lab.db-journal"] if os.fspath(path) == str(lab) else [])]

    monkeypatch.setattr(os, "listdir", more)
    run.artifacts.register_dir("project", lab)
    assert run.artifacts.list_files("project") == []


def test_a_path_that_becomes_the_archive_while_it_is_opened_keeps_its_descriptor(
    run: Run, lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "place"
    place.write_bytes(b"1")
    real = os.open

    def swap(path: str, flags: int) -> int:
        place.unlink()
        place.symlink_to(lab / "lab.db")
        return real(path, flags)

    monkeypatch.setattr(os, "open", swap)
    closed: list[int] = []
    monkeypatch.setattr(os, "close", closed.append)
    before = list(own_files._KEPT)
    with pytest.raises(OwnFileError):
        own_files.open_descriptor(place, os.O_RDONLY)
    assert len(own_files._KEPT) == len(before) + 1
    assert closed == []


def test_a_renamed_archive_is_still_known(run: Run, lab: Path) -> None:
    own_files.find_owner(lab)
    os.rename(lab / "lab.db", lab / "old.db")
    try:
        assert own_files.find_owner(lab / "old.db") == lab / "lab.db"
    finally:
        os.rename(lab / "old.db", lab / "lab.db")


def test_a_closed_archive_is_a_file_like_any_other(tmp_path: Path) -> None:
    with Archive(tmp_path / "old.db"):
        assert own_files.find_owner(tmp_path / "old.db") is not None
    with Archive(tmp_path / "lab.db") as archive:
        run = archive.start_run()
        run.artifacts.register_file("old", tmp_path / "old.db")
        assert run.artifacts.get_blob("old") == (tmp_path / "old.db").read_bytes()


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["artifacts", "put", "RUN", "lab.db"], "make a copy with backup() or 'exptrack snapshot'"),
        (["artifacts", "put", "RUN", "-", "--name", "x"], "make a copy with backup() or 'exptrack snapshot'"),
        (["artifacts", "get", "RUN", "w", "-o", "lab.db", "--overwrite"], "choose another name to write to"),
        (["sql", "SELECT 1 AS a", "--parquet", "lab.db"], "choose another name to write to"),
        (["snapshot", "lab.db"], "choose another name to write to"),
    ],
)
def test_the_commands_refuse_the_archive_too(tmp_path: Path, words: list[str], advice: str) -> None:
    with Archive(tmp_path / "lab.db") as archive, archive.start_run() as run:
        run.artifacts.register_data("w", b"bytes")
    words = [run.run_id if word == "RUN" else word for word in words]
    command = [sys.executable, "-m", "exptrack", "--db", "lab.db", *words]
    with open(tmp_path / "lab.db", "rb") as standard_input:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, stdin=standard_input)
    assert done.returncode == OwnFileError.exit_code, done.stderr
    assert advice in done.stderr
    with Archive(tmp_path / "lab.db") as archive:
        assert [a.name for a in archive.artifacts(run.run_id).list_artifacts()] == ["w"]


# Special files


@pytest.fixture
def special(tmp_path: Path) -> dict[str, Path]:
    return special_files(tmp_path / "special")


def test_only_a_regular_file_is_opened(special: dict[str, Path], run: Run, tmp_path: Path) -> None:
    ways: dict[str, Callable[[Path], object]] = {
        "open_for_reading": own_files.open_for_reading,
        "register_file": lambda path: run.artifacts.register_file("x", path),
        "register_checkpoint": lambda path: run.artifacts.register_checkpoint("x", path, 0),
        "log_image": lambda path: run.log_image("x", path),
        "sdn.load": sdn.load,
        "load_sdn_config": load_sdn_config,
        "load_sweep": load_sweep,
    }
    for kind, path in special.items():
        if kind in ("folder", "memory"):
            continue
        for name, call in ways.items():
            with pytest.raises((InvalidValueError, ConfigNotFoundError, OSError)) as caught:
                call(path)
            assert isinstance(caught.value, OSError) == (name == "open_for_reading"), (kind, name)
            assert path.name in str(caught.value), (kind, name)
    assert run.artifacts.list_artifacts() == []


@pytest.mark.skipif(os.name != "posix", reason="Windows has no FIFOs in folders")
def test_a_config_that_extends_a_fifo_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "below.sdn")
    (tmp_path / "config.sdn").write_text("extends: below.sdn\n")
    with pytest.raises(ConfigError, match=r"cannot read below.sdn \(it is a FIFO, not a regular file\)"):
        load_sdn_config(tmp_path / "config.sdn")


def test_a_file_that_grows_is_read_as_far_as_it_went(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"begin")
    with own_files.open_for_reading(path) as file, open(path, "ab") as writer:
        assert file.read(2) == b"be"
        writer.write(b" and end")
        writer.flush()
        assert file.read() == b"gin"
    with own_files.open_for_reading(path) as file:
        assert file.read() == b"begin and end"


def test_a_file_that_shrinks_ends_earlier(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(bytes(1_000_000))
    with own_files.open_for_reading(path) as file:
        os.truncate(path, 10)
        assert len(file.read()) == 10


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_a_file_without_a_size_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with own_files.open_for_reading("/proc/self/status") as file:
        assert file.read().startswith(b"Name:")
    monkeypatch.setattr(own_files, "MAX_WITHOUT_SIZE", 10)
    for path, problem in (("/proc/self/status", "has no size"), ("/proc/self/mem", "cannot read the file")):
        with own_files.open_for_reading(path) as file, pytest.raises(InvalidValueError, match=problem):
            file.read()


@pytest.mark.skipif(os.name != "posix", reason="Windows has no FIFOs in folders")
def test_the_commands_refuse_a_fifo_at_once(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive, archive.start_run() as run:
        pass
    os.mkfifo(tmp_path / "fifo.sdn")
    for words in (
        ["artifacts", "put", run.run_id, "fifo.sdn", "--name", "x"],
        ["config", "fmt", "fifo.sdn"],
        ["config", "check", "fifo.sdn"],
        ["sweep", "run", "fifo.sdn", "--", "true"],
    ):
        done = CliRunner().invoke(main, ["--db", "lab.db", *words])
        assert done.exit_code in (50, 52), (words, done.output)
        assert "fifo.sdn" in done.output, words
        assert "not a regular file" in done.output, words
