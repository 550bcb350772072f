"""A folder comes back as it was registered, and only what every system can restore is registered."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from exptrack import Archive, ArtifactNotFoundError, ArtifactStore, InvalidValueError, UnsafePathError
from tests.artifacts.contents import DATA, made, tree
from tests.changes import trace


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


FILES: dict[str, bytes | None] = {
    "a.txt": b"a",
    "same": b"a",
    "none": b"",
    "sub/deep/b": DATA[:500_000],
    "empty": None,
    "sub/empty": None,
    "ünï/日本": b"names",
}


def test_a_folder_comes_back_with_names_modes_and_empty_folders(store: ArtifactStore, tmp_path: Path) -> None:
    folder = made(tmp_path / "in", FILES)
    for path, bits in (("a.txt", 0o640), ("same", 0o755), ("empty", 0o700), ("sub", 0o750)):
        (folder / path).chmod(bits)
    digest = store.register_dir("d", folder)
    place = store.export("d", tmp_path / "out")
    assert place == tmp_path / "out"
    assert tree(place) == tree(folder)
    assert [mode(place / path) for path in tree(folder)] == [mode(folder / path) for path in tree(folder)]
    assert store.register_dir("d", folder) == digest
    files = store.list_files("d")
    assert [f.path for f in files] == sorted(tree(folder))
    folders = {path for path, content in tree(folder).items() if content is None}
    assert {f.path for f in files if f.hash is None} == folders
    with store.open("d", file="sub/deep/b") as file:
        assert file.read() == FILES["sub/deep/b"]
    found = store.get_artifact("d")
    assert found is not None
    assert found.kind == "folder"


def test_one_file_of_a_folder_is_exported_alone(store: ArtifactStore, tmp_path: Path) -> None:
    store.register_dir("d", made(tmp_path / "in", FILES))
    assert store.export("d", tmp_path / "b", file="sub/deep/b").read_bytes() == FILES["sub/deep/b"]
    (tmp_path / "there").mkdir()
    assert store.export("d", tmp_path / "there", file="sub/deep/b") == tmp_path / "there" / "b"
    for absent in ("sub", "empty", "absent", "../in/a.txt", ""):
        with pytest.raises(ArtifactNotFoundError):
            store.open("d", file=absent)
        with pytest.raises(ArtifactNotFoundError):
            store.export("d", tmp_path / "x", file=absent)
    with pytest.raises(InvalidValueError, match="folder"):
        store.open("d")


def test_an_empty_folder_and_a_checkpoint_folder_come_back(store: ArtifactStore, tmp_path: Path) -> None:
    store.register_dir("d", made(tmp_path / "in", {}))
    assert tree(store.export("d", tmp_path / "out")) == {}
    store.register_checkpoint("c", made(tmp_path / "model", {"w": b"1"}), 3)
    assert tree(store.export("c", tmp_path / "restored")) == {"w": b"1"}
    found = store.get_artifact("c")
    assert found is not None
    assert (found.kind, found.step) == ("checkpoint", 3)


def test_links_are_stored_as_what_they_lead_to(store: ArtifactStore, tmp_path: Path) -> None:
    folder = made(tmp_path / "in", {"a": b"a", "sub/b": b"b"})
    (folder / "file").symlink_to("a")
    (folder / "folder").symlink_to("sub")
    outside = made(tmp_path / "outside", {"c": b"c"})
    (folder / "out").symlink_to(outside)
    store.register_dir("d", folder)
    place = store.export("d", tmp_path / "restored")
    assert tree(place) == {
        "a": b"a",
        "sub": None,
        "sub/b": b"b",
        "file": b"a",
        "folder": None,
        "folder/b": b"b",
        "out": None,
        "out/c": b"c",
    }
    assert not any(path.is_symlink() for path in place.rglob("*"))


def test_folders_that_cannot_be_stored_or_restored_everywhere_are_refused(
    archive: Archive, store: ArtifactStore, tmp_path: Path
) -> None:
    names = ("circle", "self", "dead", "pipe")
    bad = {name: made(tmp_path / name, {"a": b"a"}) for name in names}
    (bad["circle"] / "sub").mkdir()
    (bad["circle"] / "sub" / "up").symlink_to("..")
    (bad["self"] / "me").symlink_to("me")
    (bad["dead"] / "gone").symlink_to("nowhere")
    os.mkfifo(bad["pipe"] / "pipe")
    for number, name in enumerate(["NUL", "a:b", "dot.", "back\\slash", "A", os.fsdecode(b"\xff")]):
        bad[name] = made(tmp_path / str(number), {"a": b"a", name: b""})
    for name, folder in bad.items():
        with pytest.raises(InvalidValueError):
            store.register_dir("d", folder)
        assert store.list_artifacts() == [], name
    assert archive.gc_artifacts().blobs == 0
    with pytest.raises(InvalidValueError):
        store.register_dir("d", bad["circle"] / "a")


def test_a_folder_too_deep_to_restore_is_refused(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "in" / "/".join("a" * 120)).mkdir(parents=True)
    with pytest.raises(UnsafePathError):
        store.register_dir("d", tmp_path / "in")


def test_thousands_of_small_files_are_one_transaction_and_share_chunks(
    archive: Archive, store: ArtifactStore, tmp_path: Path
) -> None:
    files = {f"{n % 30}/{n}": b"%d" % (n % 1000) for n in range(3000)}
    folder = made(tmp_path / "in", dict(files))
    commits: list[str] = []
    trace(archive._connection, commits.append)
    store.register_dir("d", folder)
    trace(archive._connection, None)
    assert commits.count("COMMIT") == 1
    assert archive._connection.value("SELECT count(*) FROM chunk") <= 1002
    found = {f.path: f.hash for f in store.list_files("d") if f.hash is not None}
    assert found == {path: f"sha256:{hashlib.sha256(content).hexdigest()}" for path, content in files.items()}


def test_a_folder_of_large_files_is_collected_whole_when_one_cannot_be_read(
    archive: Archive, store: ArtifactStore, tmp_path: Path
) -> None:
    folder = made(tmp_path / "in", {f"{n}": DATA[n:] for n in range(1, 9)})

    def removing(done: int, _total: int) -> None:
        if done > 7 * len(DATA) - 1000:
            (folder / "8").unlink(missing_ok=True)

    with pytest.raises(InvalidValueError, match="cannot read"):
        store.register_dir("d", folder, progress=removing)
    assert archive._connection.value("SELECT count(*) FROM blob") == 0
    assert archive._connection.value("SELECT count(*) FROM chunk") == 0
