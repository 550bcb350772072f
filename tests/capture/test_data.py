"""Files and folders that a run declares as data have a digest, so a changed file is told."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from exptrack import Archive
from exptrack.capture import data as capture
from exptrack.capture.data import add_digests


def digest(reference: str | Path) -> str:
    return add_digests({"x": str(reference)})["x"].removeprefix(str(reference))


def test_a_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"1,2\n")
    assert digest(tmp_path / "a.csv") == f"@sha256:{hashlib.sha256(b'1,2' + bytes([10])).hexdigest()}"
    assert digest("a.csv") == digest(tmp_path / "a.csv"), "relative to the working folder"
    before = digest("a.csv")
    (tmp_path / "a.csv").write_bytes(b"1,3\n")
    assert digest("a.csv") != before


def test_a_folder_has_the_digest_of_its_names_and_bytes_wherever_it_is(tmp_path: Path) -> None:
    for place in ("one", "two"):
        (tmp_path / place / "sub").mkdir(parents=True)
        (tmp_path / place / "b").write_bytes(b"b")
        (tmp_path / place / "sub" / "a").write_bytes(b"a")
    assert digest("one").startswith("@sha256:")
    assert digest("one") == digest("two") == digest(tmp_path / "one")
    for change in (
        lambda: (tmp_path / "two" / "sub" / "a").rename(tmp_path / "two" / "sub" / "c"),
        lambda: (tmp_path / "two" / "b").write_bytes(b"c"),
        lambda: (tmp_path / "two" / "d").touch(),
    ):
        before = digest("two")
        change()
        assert digest("two") != before


@pytest.mark.parametrize(
    "reference", ["s3://bucket/train", "imagenet", "", "a\0b", "x" * 5000, "sha256:" + "0" * 64]
)
def test_what_is_no_file_stays_as_it_is(reference: str) -> None:
    assert digest(reference) == ""


def test_a_reference_with_a_digest_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "a@sha256:0123").write_bytes(b"a")
    assert digest("a@sha256:0123") == ""


def test_beyond_the_bound_names_and_sizes_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "MOST_BYTES", 10)
    (tmp_path / "large").write_bytes(bytes(11))
    (tmp_path / "some").write_bytes(bytes(6))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").write_bytes(bytes(11))
    large, folder = digest("large"), digest("folder")
    assert large.startswith("@sizes:")
    assert folder.startswith("@sizes:")
    (tmp_path / "folder" / "a").write_bytes(bytes(12))
    (tmp_path / "large").write_bytes(bytes(12))
    assert digest("folder") != folder
    assert digest("large") != large
    both = add_digests({"a": "some", "b": "some"})
    assert [one[:8] for one in (both["a"][4:], both["b"][4:])] == ["@sha256:", "@sizes:" + both["b"][11]]


def test_a_folder_of_too_many_files_has_none_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(capture, "MOST_FILES", 3)
    (tmp_path / "many").mkdir()
    for number in range(3):
        (tmp_path / "many" / str(number)).touch()
    assert digest("many").startswith("@sha256:")
    (tmp_path / "many" / "one more").touch()
    assert digest("many") == ""
    assert "more than 3 files" in caplog.text


@pytest.mark.skipif(os.name != "posix", reason="a FIFO is POSIX's")
def test_no_special_file_is_opened_and_no_link_to_a_folder_entered(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert digest("pipe") == ""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "folder" / "pipe")
    (tmp_path / "folder" / "circle").symlink_to(tmp_path / "folder")
    (tmp_path / "folder" / "gone").symlink_to("absent")
    before = digest("folder")
    assert before.startswith("@sha256:")
    (tmp_path / "target").write_bytes(b"x")
    (tmp_path / "folder" / "link").symlink_to(tmp_path / "target")
    assert digest("folder") != before, "a link to a file counts as the file"


def test_the_files_of_an_open_archive_are_not_read(archive: Archive, tmp_path: Path) -> None:
    run = archive.start_run(data={"itself": archive.path, "folder": str(tmp_path)})
    run.complete()
    declared = archive.show_run(run.run_id).environment["data_references"]
    assert declared["itself"] == archive.path
    empty = hashlib.sha256(b"[]").hexdigest()
    assert declared["folder"] == f"{tmp_path}@sha256:{empty}"


def test_an_unchanged_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"a")
    first = digest("a")

    def refuse(_path: object) -> None:
        raise AssertionError("it is read again")

    monkeypatch.setattr(capture.own_files, "open_for_reading", refuse)
    assert digest("a") == first
