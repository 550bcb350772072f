"""Restored bytes land where they were asked to, whole, and nowhere else; no path of a stranger leads out."""

from __future__ import annotations

import errno
import ntpath
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exptrack import ExportError, ExptrackError, InvalidValueError, UnsafePathError
from exptrack.artifacts import restore
from exptrack.artifacts.drafts import GRACE_S
from exptrack.artifacts.restore import write_file, write_into, write_tree
from exptrack.artifacts.safe_paths import check_tree, safe_parts
from exptrack.new_files import DRAFT_PREFIX

DEVICES = [
    "CON",
    "PRN",
    "AUX",
    "NUL",
    "CONIN$",
    "CONOUT$",
    *(f"{d}{n}" for d in ("COM", "LPT") for n in "123456789¹²³"),
]


@pytest.fixture(params=["descriptors", "paths"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """As on POSIX, and as on Windows, which has no modes and opens no folders."""
    if request.param == "paths":
        monkeypatch.setattr(restore, "BY_DESCRIPTOR", False)
        monkeypatch.delattr(os, "fchmod", raising=False)
    return str(request.param)


def listing(folder: Path) -> dict[str, bytes | str | None]:
    """Everything below a folder: bytes of files, goals of links, None for folders."""
    found: dict[str, bytes | str | None] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = os.readlink(path)
        else:
            found[name] = None if path.is_dir() else path.read_bytes()
    return found


def permissions(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def broken(*pieces: bytes) -> Iterator[bytes]:
    yield from pieces
    raise KeyError("damaged")


# Paths


@pytest.mark.parametrize(
    "path",
    ["a", "a/b/c.txt", ".hidden", "a..b", "...a", "with space", " leading", "ünï/日本", "CONSOLE", "COM0",
     "COM10", "LPT", "NULL.txt", "my.con", "COMx", "a" * 255, "/".join("a" * 100), "~", "$HOME", "-rf",
     "#%&{}'!@`=+"],
)  # fmt: skip
def test_a_path_that_means_one_file_on_every_system_is_split(path: str) -> None:
    assert safe_parts(path) == tuple(path.split("/"))


@pytest.mark.parametrize(
    ("path", "rule"),
    [("", "empty"), ("/", "absolute"), ("/etc/passwd", "absolute"), ("//host/share", "absolute"),
     *[(path, "'..'") for path in ("..", ".", "../a", "a/..", "a/../b", "./a", "a/./b", "a//b", "a/")],
     *[(f"a{c}b", "character") for c in '<>:"|?*\\\0\x01\x1f\x7f\x80\x9f\n\t'],
     ("C:/a", "character"), ("C:a", "character"), ("\\\\host\\share", "character"),
     ("file.txt:stream", "character"),
     ("..\\a", "character"), ("a\n", "character"),
     *[(path, "dot or a space") for path in ("a.", "a ", "a./b", "b/a /c", "a. .", "...", " ")],
     *[(device, "device") for device in DEVICES],
     *[(path, "device") for path in ("con", "Nul.txt", "a/aux/b", "com1.tar.gz", "prn .txt", "b/LPT9", "lpt².x",
                                     "conin$.log")],
     ("\ud800", "surrogate"), ("a/b\udfff", "surrogate"), ("/".join("a" * 101), "100 parts"),
     ("a" * 256, "255 bytes"), ("ä" * 128, "255 bytes"), ("x/" + "日" * 86 + "/y", "255 bytes")],
)  # fmt: skip
def test_a_path_that_breaks_a_rule_is_refused_by_its_name(path: str, rule: str) -> None:
    with pytest.raises(UnsafePathError, match="export it alone under another name") as caught:
        safe_parts(path)
    assert rule in str(caught.value)
    assert caught.value.path == path
    assert (caught.value.exit_code, isinstance(caught.value, InvalidValueError)) == (55, True)
    assert str(caught.value).isprintable()


HOSTILE = st.lists(
    st.sampled_from(["..", ".", "/", "\\", "C:", "~", "a", "b", " ", "\0", "nul", "//", "\ud800", "é"]),
    max_size=8,
).map("".join)


@given(st.one_of(st.text(st.characters()), HOSTILE))
def test_no_string_at_all_leads_out_of_the_folder(path: str) -> None:
    root = os.path.abspath("root")
    try:
        parts = safe_parts(path)
    except UnsafePathError:
        return
    joined = os.path.normpath(os.path.join(root, *parts))
    assert joined.startswith(root + os.sep)
    assert os.path.relpath(joined, root).split(os.sep) == list(parts), "nothing of it means something else"
    assert ntpath.normpath(ntpath.join("C:\\root", *parts)) == "\\".join(["C:\\root", *parts])


def test_a_tree_has_the_parts_of_each_path() -> None:
    paths = [("b/c", False), ("b", True), ("a", True), ("a/x", True), ("b/d/e", False)]
    assert check_tree(iter(paths)) == [("b", "c"), ("b",), ("a",), ("a", "x"), ("b", "d", "e")]


@pytest.mark.parametrize(
    "paths",
    [[("a", False), ("A", False)], [("a/x", False), ("A/y", False)], [("a", True), ("A/y", False)],
     [("straße", False), ("STRASSE", False)], [("é", False), ("e\u0301", False)],
     [("É/a", True), ("e\u0301/b", True)], [("k", False), ("\u212a", False)],
     [("ͅα", False), ("ᾳ", False), ("Ι\u0301", False), ("ί", False)],
     [("a", False), ("a", False)], [("a", True), ("a", True)], [("a", True), ("a", False)],
     [("a", False), ("a", True)],
     [("a", False), ("a/b", False)], [("a/b", False), ("a", False)], [("a", False), ("A/b/c", True)],
     [("a/b", False), ("a/b/c", False)]],
)  # fmt: skip
def test_paths_of_a_tree_that_would_meet_are_refused(paths: list[tuple[str, bool]]) -> None:
    with pytest.raises(UnsafePathError, match="the same file as another path"):
        check_tree(paths)


def test_a_tree_is_refused_for_one_unsafe_path() -> None:
    with pytest.raises(UnsafePathError, match=r"'\.\.'"):
        check_tree([("a", False), ("../b", False)])


# One file


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    "pieces", [[], [b""], [b"one", b"", b"two"], [bytes(3_000_000)], [memoryview(b"view")]]
)
def test_a_file_holds_its_pieces_and_nothing_is_left_beside_it(tmp_path: Path, pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    assert write_file(tmp_path / "a", iter(pieces)) == len(whole)
    assert listing(tmp_path) == {"a": whole}


@pytest.mark.usefixtures("way")
def test_an_existing_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"old")
    with pytest.raises(ExportError, match="it exists; remove it, or ask to overwrite") as caught:
        write_file(target, [b"new"])
    assert (caught.value.path, caught.value.exit_code) == (str(target), 61)
    assert listing(tmp_path) == {"a": b"old"}
    assert write_file(target, [b"newer"], overwrite=True) == 5
    assert listing(tmp_path) == {"a": b"newer"}


@pytest.mark.usefixtures("way")
def test_a_link_at_the_target_is_refused_or_replaced_and_never_followed(tmp_path: Path) -> None:
    (tmp_path / "goal").write_bytes(b"goal")
    for name, goal in (("link", "goal"), ("dangling", "nowhere")):
        target = tmp_path / name
        target.symlink_to(goal)
        with pytest.raises(ExportError, match="it exists"):
            write_file(target, [b"new"])
        assert os.readlink(target) == goal
        write_file(target, [b"new"], overwrite=True)
    assert listing(tmp_path) == {"goal": b"goal", "link": b"new", "dangling": b"new"}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["folder", "."])
def test_a_folder_is_never_replaced_by_a_file(tmp_path: Path, name: str, overwrite: bool) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ExportError):
        write_file(Path(name), [b"new"], overwrite=overwrite)
    assert listing(tmp_path) == {"folder": None}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("overwrite", [False, True])
def test_when_the_pieces_fail_half_way_their_error_passes_and_nothing_changes(
    tmp_path: Path, overwrite: bool
) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"old")
    with pytest.raises(KeyError, match="damaged"):
        write_file(target, broken(b"half"), overwrite=overwrite)
    assert listing(tmp_path) == {"a": b"old"}


def test_an_error_of_the_system_from_the_pieces_is_not_taken_for_one_of_the_target(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"half"
        raise FileNotFoundError("the source")

    with pytest.raises(FileNotFoundError, match="the source"):
        write_file(tmp_path / "a", pieces())
    with pytest.raises(FileNotFoundError, match="the source"):
        write_tree(tmp_path / "t", [("a", 0o644, pieces())])
    assert listing(tmp_path) == {}


@pytest.mark.usefixtures("way")
def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    for target in (tmp_path / "no" / "a", tmp_path / "file" / "a"):
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(ExportError, match=r"cannot write .*: (its folder is missing|a file is in the way)"):
            write_file(target, [b"new"])
    with pytest.raises(ExportError, match="its folder is missing; make it first"):
        write_tree(tmp_path / "no" / "tree", [])


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize(
    ("code", "reason"),
    [(errno.ENOSPC, "no room; free some"), (errno.EROFS, "not permitted"), (errno.EIO, "Input/output error")],
)
def test_a_failing_system_call_is_a_sentence_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int, reason: str, overwrite: bool
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    (tmp_path / "a").write_bytes(b"old")
    target = tmp_path / ("a" if overwrite else "b")
    monkeypatch.setattr(os, call, fail)
    monkeypatch.setattr(os, "link", fail)
    with pytest.raises(ExportError, match=reason):
        write_file(target, [b"new"], overwrite=overwrite)
    monkeypatch.undo()
    assert listing(tmp_path) == {"a": b"old"}


LIMITED = """
import resource, signal, sys
from pathlib import Path
from exptrack import ExportError
from exptrack.artifacts import restore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
pieces = [bytes(70_000), bytes(70_000)]
try:
    if sys.argv[2] == "tree":
        restore.write_tree(Path(sys.argv[1]), [("a/b", 0o600, pieces)])
    else:
        restore.write_file(Path(sys.argv[1]), pieces)
except ExportError as error:
    print(error)
"""


@pytest.mark.parametrize("kind", ["file", "tree"])
def test_where_there_is_no_room_nothing_is_left(tmp_path: Path, kind: str) -> None:
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "a"), kind]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert "there is no room; free some or choose another folder" in done.stdout
    assert listing(tmp_path) == {}


@pytest.mark.usefixtures("way")
def test_without_hard_links_a_file_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", no_links)
    assert write_file(tmp_path / "a", [b"new"]) == 3
    with pytest.raises(ExportError, match="it exists"):
        write_file(tmp_path / "a", [b"newer"])
    assert listing(tmp_path) == {"a": b"new"}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("links", [True, False])
def test_of_many_writers_of_one_name_one_wins_and_the_others_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def no_links(*_: Any, **__: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, "no hard links here")

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    together = threading.Barrier(8)
    told: list[ExportError] = []
    won: list[int] = []

    def write(number: int) -> None:
        together.wait()
        try:
            write_file(tmp_path / "a", [b"%d" % number] * 1000)
            won.append(number)
        except ExportError as error:
            told.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(told)) == (1, 7)
    assert listing(tmp_path) == {"a": b"%d" % won[0] * 1000}


@pytest.mark.parametrize(
    ("mode", "umask", "expected"),
    [(None, 0o022, 0o644), (None, 0o077, 0o600), (None, 0, 0o666), (0o755, 0o077, 0o755), (0o400, 0, 0o400),
     (0o7777, 0o022, 0o777), (0o104644, 0, 0o644), (0, 0, 0)],
)  # fmt: skip
def test_permission_bits_alone_are_set_and_the_umask_decides_where_none_are_given(
    tmp_path: Path, mode: int | None, umask: int, expected: int
) -> None:
    before = os.umask(umask)
    try:
        write_file(tmp_path / "a", [b"x"], mode=mode)
    finally:
        assert os.umask(before) == umask
    assert permissions(tmp_path / "a") == expected


@pytest.mark.parametrize("mode", [None, 0o666])
def test_while_it_is_written_a_file_is_for_its_owner_alone(tmp_path: Path, mode: int | None) -> None:
    def pieces() -> Iterator[bytes]:
        (temporary,) = tmp_path.iterdir()
        assert temporary.name.startswith(DRAFT_PREFIX)
        assert permissions(temporary) == 0o600
        yield b"secret"

    assert write_file(tmp_path / "a", pieces(), mode=mode) == 6


def test_pieces_are_written_as_they_come(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        for number in range(5):
            (temporary,) = tmp_path.iterdir()
            assert temporary.stat().st_size == number * 1000
            yield bytes(1000)

    assert write_file(tmp_path / "a", pieces()) == 5000


def test_the_file_is_synced_before_it_has_its_name_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[bool, bool]] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        synced.append((stat.S_ISDIR(os.fstat(fd).st_mode), (tmp_path / "a").exists()))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    write_file(tmp_path / "a", [b"x"])
    assert synced == [(False, False), (True, True)]


# A file below a folder


@pytest.mark.usefixtures("way")
def test_a_file_below_a_folder_gets_the_folders_on_its_way(tmp_path: Path) -> None:
    assert write_into(tmp_path, "a/b/c.txt", [b"1"]) == tmp_path / "a" / "b" / "c.txt"
    assert write_into(tmp_path, "a/d", [b"2"]) == tmp_path / "a" / "d"
    assert write_into(tmp_path, "e", [b"3"]) == tmp_path / "e"
    with pytest.raises(ExportError, match="it exists"):
        write_into(tmp_path, "a/d", [b"4"])
    write_into(tmp_path, "a/b/c.txt", [b"5"], overwrite=True)
    assert listing(tmp_path) == {"a": None, "a/b": None, "a/b/c.txt": b"5", "a/d": b"2", "e": b"3"}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("path", ["link/x", "link/new/x", "sub/link/x", "dangling/x", "to_file/x"])
def test_no_link_below_the_folder_is_followed(tmp_path: Path, path: str, overwrite: bool) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    (outside / "x").write_bytes(b"precious")
    (folder / "sub").mkdir(parents=True)
    for link, goal in (
        ("link", outside),
        ("sub/link", outside),
        ("dangling", outside / "no"),
        ("to_file", outside / "x"),
    ):
        (folder / link).symlink_to(goal)
    before = listing(tmp_path)
    with pytest.raises(UnsafePathError, match=r"its folder '.*' is a link") as caught:
        write_into(folder, path, [b"evil"], overwrite=overwrite)
    assert caught.value.path == str(folder / path)
    assert listing(tmp_path) == before


@pytest.mark.usefixtures("way")
def test_a_link_at_the_very_end_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "goal").write_bytes(b"precious")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x").symlink_to("../goal")
    with pytest.raises(ExportError, match="it exists"):
        write_into(tmp_path / "folder", "x", [b"evil"])
    write_into(tmp_path / "folder", "x", [b"new"], overwrite=True)
    assert listing(tmp_path) == {"goal": b"precious", "folder": None, "folder/x": b"new"}


@pytest.mark.usefixtures("way")
def test_the_folder_itself_may_be_a_link_of_the_caller(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "folder").symlink_to("real")
    write_into(tmp_path / "folder", "a/b", [b"1"])
    write_file(tmp_path / "folder" / "c", [b"2"])
    write_tree(tmp_path / "folder" / "d", [])
    assert listing(tmp_path / "real") == {"a": None, "a/b": b"1", "c": b"2", "d": None}


@pytest.mark.usefixtures("way")
def test_a_junction_of_windows_is_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    junction = SimpleNamespace(st_mode=stat.S_IFDIR, st_reparse_tag=0xA0000003)
    monkeypatch.setattr(os, "lstat", lambda *_, **__: junction)
    with pytest.raises(UnsafePathError, match="its folder 'a' is a link"):
        write_into(tmp_path, "a/b", [b"1"])


@pytest.mark.usefixtures("way")
def test_a_file_on_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"file")
    with pytest.raises(ExportError, match="a file is in the way"):
        write_into(tmp_path, "a/b", [b"1"])
    assert listing(tmp_path) == {"a": b"file"}


def test_a_link_swapped_in_after_the_check_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    (folder / "a").mkdir(parents=True)
    real = os.lstat

    def swap(*args: Any, **options: Any) -> os.stat_result:
        status = real(*args, **options)
        (folder / "a").rmdir()
        (folder / "a").symlink_to(outside)
        return status

    monkeypatch.setattr(os, "lstat", swap)
    with pytest.raises(ExportError):
        write_into(folder, "a/x", [b"evil"])
    monkeypatch.undo()
    assert listing(outside) == {}


def test_a_folder_swapped_for_a_link_while_the_file_is_written_redirects_nothing(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    (folder / "a").mkdir(parents=True)

    def pieces() -> Iterator[bytes]:
        (folder / "a").rename(folder / "moved")
        (folder / "a").symlink_to(outside)
        yield b"data"

    write_into(folder, "a/x", pieces())
    assert listing(outside) == {}
    assert listing(folder / "moved") == {"x": b"data"}


@pytest.mark.usefixtures("way")
def test_an_unsafe_path_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UnsafePathError):
        write_into(tmp_path, "a/../../b", [b"evil"])
    assert listing(tmp_path) == {}


# A whole folder

TREE = [("d/e/f", 0o640, [b"12", b"3"]), ("empty", 0o700, None), ("d", 0o4755, None), ("x", 0o6755, [b"4"])]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("streamed", [False, True])
def test_a_tree_has_its_files_and_empty_folders(tmp_path: Path, streamed: bool) -> None:
    (tmp_path / "there").mkdir()
    for name in ("new", "there"):
        assert write_tree(tmp_path / name, iter(TREE) if streamed else TREE) == 4
        assert listing(tmp_path / name) == {"d": None, "d/e": None, "d/e/f": b"123", "empty": None, "x": b"4"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "there"]


def test_a_tree_has_its_permission_bits_and_the_umask_decides_about_the_rest(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_tree(
            tmp_path / "t", [*TREE, ("locked", 0o555, None), ("locked/in", 0, None), ("locked/in/a", 0, [b""])]
        )
    finally:
        os.umask(before)
    found = {name: permissions(tmp_path / "t" / name) for name in listing(tmp_path / "t")}
    assert found == {"d": 0o755, "d/e": 0o750, "d/e/f": 0o640, "empty": 0o700, "x": 0o755,
                     "locked": 0o555, "locked/in": 0, "locked/in/a": 0}  # fmt: skip
    assert permissions(tmp_path / "t") == 0o750


def test_a_tree_is_built_in_a_private_folder_beside_its_place(tmp_path: Path) -> None:
    def entries() -> Iterator[tuple[str, int, list[bytes]]]:
        yield "a", 0o644, [b"1"]
        (temporary,) = tmp_path.iterdir()
        assert temporary.name.startswith(DRAFT_PREFIX)
        assert permissions(temporary) == 0o700

    assert write_tree(tmp_path / "t", entries()) == 1


@pytest.mark.usefixtures("way")
def test_the_working_folder_is_not_a_place_for_a_tree(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"cannot write \.: (?!its folder)"):
        write_tree(Path(), TREE)
    assert listing(tmp_path) == {}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("kind", ["file", "full", "link", "dangling"])
def test_a_taken_place_is_refused_before_anything_is_read(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "t"
    if kind == "file":
        target.write_bytes(b"old")
    elif kind == "full":
        target.mkdir()
        (target / "old").write_bytes(b"old")
    else:
        target.symlink_to("goal")
        if kind == "link":
            (tmp_path / "goal").mkdir()
    before = listing(tmp_path)
    with pytest.raises(ExportError, match=r"it exists; remove it|a file is in the way; remove it"):
        write_tree(target, (pytest.fail("read") for _ in range(1)))
    assert listing(tmp_path) == before


def test_a_place_taken_meanwhile_is_left_alone(tmp_path: Path, way: str) -> None:
    def pieces() -> Iterator[bytes]:
        (tmp_path / "t").mkdir()
        (tmp_path / "t" / "other").write_bytes(b"theirs")
        yield b"ours"

    with pytest.raises(ExportError, match="it exists"):
        write_tree(tmp_path / "t", [("a", 0o644, pieces())])
    assert listing(tmp_path) == {"t": None, "t/other": b"theirs"}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("path", "error"),
    [("b", KeyError), *((path, UnsafePathError) for path in ("A", "../b", "a/b", "d"))],
)  # fmt: skip
def test_a_tree_that_fails_leaves_nothing(tmp_path: Path, path: str, error: type[Exception]) -> None:
    entries: list[Any] = [("a", 0o644, [b"1"]), ("d/e", 0o644, [b"1"]), (path, 0o644, broken(b"half"))]
    with pytest.raises(error):
        write_tree(tmp_path / "t", iter(entries))
    assert listing(tmp_path) == {}


def test_a_list_is_checked_before_anything_is_written(tmp_path: Path) -> None:
    read: list[str] = []

    def pieces() -> Iterator[bytes]:
        read.append("a")
        yield b"1"

    with pytest.raises(UnsafePathError):
        write_tree(tmp_path / "t", [("a", 0o644, pieces()), ("A", 0o644, [b"2"])])
    assert read == []


def test_a_tree_whose_folders_are_read_only_already_is_removed_when_the_last_step_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an ordinary user, whom a read-only folder stops; root becomes one for this."""

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.EIO, "broken")

    home = tmp_path / "home"
    home.mkdir()
    user = os.geteuid() or 65534
    os.chown(home, user, -1)
    monkeypatch.chdir(home)
    monkeypatch.setattr(os, "rename", fail)
    as_before = os.geteuid()
    os.seteuid(user)
    try:
        with pytest.raises(ExportError, match="broken"):
            write_tree(Path("t"), [("d", 0, None), ("d/e", 0, None), ("d/e/f", 0, [b"1"])])
    finally:
        os.seteuid(as_before)
    assert listing(home) == {}


def test_every_file_and_folder_of_a_tree_is_synced_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: dict[int, bool] = {}
    real = os.fsync

    def fsync(fd: int) -> None:
        synced[os.fstat(fd).st_ino] = (tmp_path / "t").exists()
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    write_tree(tmp_path / "t", TREE)
    made = [path.stat().st_ino for path in (tmp_path / "t", *(tmp_path / "t").rglob("*"))]
    assert {inode: synced[inode] for inode in made} == dict.fromkeys(made, False)
    assert synced[tmp_path.stat().st_ino] is True


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"))

    (tmp_path / "link").symlink_to("nowhere")
    before = count()
    write_file(tmp_path / "a", [b"1"])
    write_into(tmp_path, "b/c/d", [b"1"])
    write_tree(tmp_path / "t", TREE)
    for path in ("link/x", "b/c/d/e", "b/c/d"):
        with pytest.raises(ExptrackError):
            write_into(tmp_path, path, [b"1"])
    with pytest.raises(KeyError):
        write_tree(tmp_path / "u", [("a/b", 0o644, broken(b"half"))])
    assert count() == before


# Killed

KILLED = """
import os, signal, sys
from pathlib import Path
from exptrack.artifacts import restore
folder, kind, way = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
if way == "paths":
    restore.BY_DESCRIPTOR = False
def pieces():
    yield b"half"
    os.kill(os.getpid(), signal.SIGKILL)
    yield b"whole"
if kind == "file":
    restore.write_file(folder / "a", pieces())
elif kind == "overwrite":
    restore.write_file(folder / "old", pieces(), overwrite=True)
elif kind == "into":
    restore.write_into(folder, "a", pieces())
else:
    restore.write_tree(folder / "a", [("d/first", 0o644, [b"1"]), ("d/second", 0o644, pieces())])
"""


@pytest.mark.parametrize("kind", ["file", "overwrite", "into", "tree"])
def test_a_kill_leaves_a_recognisable_temporary_and_nothing_else(tmp_path: Path, kind: str, way: str) -> None:
    (tmp_path / "old").write_bytes(b"old")
    command = [sys.executable, "-c", KILLED, str(tmp_path), kind, way]
    done = subprocess.run(command, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == -signal.SIGKILL
    (left,) = (path for path in tmp_path.iterdir() if path.name != "old")
    assert left.name.startswith(DRAFT_PREFIX)
    if way == "descriptors":
        assert permissions(left) == (0o700 if kind == "tree" else 0o600)
    assert (tmp_path / "old").read_bytes() == b"old"
    write_file(tmp_path / "b", [b"1"])
    assert left.exists()  # it is not yet old enough for all to see that it is dead
    long_ago = time.time() - 2 * GRACE_S
    os.utime(left, (long_ago, long_ago))
    write_file(tmp_path / "c", [b"1"])
    assert left.exists() == (way != "descriptors")
    assert {path.name for path in tmp_path.iterdir()} - {left.name} == {"old", "b", "c"}
