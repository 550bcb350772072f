"""Files that a user named are written whole, and replace nothing that exists unless that is asked for."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from exptrack import Archive, new_files
from exptrack.new_files import write_new_file
from tests.cli.calls import call

OLD = b"do not lose me"


def make_file(place: Path) -> None:
    place.write_bytes(OLD)


def make_link(place: Path) -> None:
    (place.parent / "real").write_bytes(OLD)
    place.symlink_to("real")


def make_dangling_link(place: Path) -> None:
    place.symlink_to("nowhere")


def make_folder(place: Path) -> None:
    place.mkdir()
    (place / "a").write_bytes(OLD)


MAKERS = [make_file, make_link, make_dangling_link, make_folder]


def contents(folder: Path) -> dict[str, object]:
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if not path.is_dir() or path.is_symlink()
    }


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    "words",
    ["sql|SELECT 1 AS a|--parquet", "snapshot", "config|convert|c.sdn|--to|json|-o", "artifacts|get|RUN|d|-o"],
)
def test_no_command_replaces_what_exists(words: str, make: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "c.sdn").write_text("a: 1\n")
    with Archive(tmp_path / "lab.db") as archive, archive.start_run() as run:
        run.artifacts.register_data("d", b"new")
    folder = tmp_path / "target"
    folder.mkdir()
    make(folder / "out")
    before = contents(folder)
    said = [run.run_id if word == "RUN" else word for word in words.split("|")]
    done = call(tmp_path / "lab.db", *said, str(folder / "out"))
    if make is make_folder and said[0] == "artifacts":  # the artifact goes into the folder
        assert contents(folder) == before | {"out/d": b"new"}
    else:
        assert done.exit_code in (52, 61), done.stderr
        assert "exist" in done.stderr
        assert contents(folder) == before


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_file_that_another_process_makes_meanwhile_stays(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_sync, target = os.fsync, tmp_path / "out"

    def sync(descriptor: int) -> None:
        real_sync(descriptor)
        target.write_bytes(OLD)

    def no_links(*_args: object, **_options: object) -> None:
        raise OSError("no hard links here")

    monkeypatch.setattr(new_files.os, "fsync", sync)
    if not links:
        monkeypatch.setattr(new_files.os, "link", no_links)
    with pytest.raises(FileExistsError):
        write_new_file(str(target), b"new")
    assert contents(tmp_path) == {"out": OLD}


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_file_is_written_and_replaced_when_asked(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_args: object, **_options: object) -> None:
        raise OSError("no hard links here")

    if not links:
        monkeypatch.setattr(new_files.os, "link", no_links)
    target = str(tmp_path / "out")
    write_new_file(target, b"one")
    write_new_file(target, b"two", overwrite=True, mode=0o640)
    assert contents(tmp_path) == {"out": b"two"}
    assert os.name == "nt" or os.stat(target).st_mode & 0o777 == 0o640


def test_parquet_replaces_a_file_only_by_overwrite(tmp_path: Path) -> None:
    Archive(tmp_path / "lab.db").close()
    (tmp_path / "out").write_bytes(OLD)
    words = ("sql", "SELECT 1 AS a", "--parquet", str(tmp_path / "out"))
    assert call(tmp_path / "lab.db", *words).exit_code == 61
    assert call(tmp_path / "lab.db", *words, "--overwrite").exit_code == 0
    assert (tmp_path / "out").read_bytes().startswith(b"PAR1")
    assert call(tmp_path / "lab.db", "sql", "SELECT 1", "--overwrite").exit_code == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no FIFOs in folders")
def test_a_fifo_is_not_replaced_when_asked_either(tmp_path: Path) -> None:
    with Archive(tmp_path / "lab.db") as archive, archive.start_run() as run:
        run.artifacts.register_data("m", b"some bytes")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "lost").symlink_to("nowhere")
    for name in ("pipe", "link"):
        target = str(tmp_path / name)
        for words in (
            ("sql", "SELECT 1 AS a", "--parquet", target, "--overwrite"),
            ("artifacts", "get", run.run_id, "m", "-o", target, "--overwrite"),
        ):
            done = call(tmp_path / "lab.db", *words)
            assert (done.exit_code, "leads to no regular file" in done.output) == (61, True), done.output
        assert stat.S_ISFIFO(os.stat(target).st_mode)
    assert (tmp_path / "link").is_symlink()
    write_new_file(str(tmp_path / "lost"), b"new", overwrite=True)
    assert (tmp_path / "lost").read_bytes() == b"new"


def test_a_changed_config_leaves_the_files_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "c.sdn"
    path.write_text("a: 1\n")
    other = tmp_path / f".c.sdn.{os.getpid()}.new"
    other.write_bytes(OLD)
    assert call(None, "config", "set", str(path), "a=2").exit_code == 0
    assert contents(tmp_path) == {"c.sdn": b"a: 2\n", other.name: OLD}
